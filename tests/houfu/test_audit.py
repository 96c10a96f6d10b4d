"""The auditor asks SQL alone: right books pass, and every invariant that is broken is found with its row."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from houfu.audit import CHECKS, audit
from houfu.tables import SWEEPS
from houfu.worker import run_once
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.visits.ward import Ward, open_ward

ROUND = """INSERT INTO round (id, visit_id, number, charge_ids, total_fen, cash_fen, paid_fen, busy_fen, shared, state,
    opened_by, opened_at, paid_at)
    SELECT gen_random_uuid(), id, gen_random_uuid(), {lines}, {fen}, {fen}, {paid}, 0, false, '{state}', 'x', now(),
    now() - interval '1 hour' FROM visit LIMIT 1"""
SHARE = """INSERT INTO allocation (id, round_id, number, amount_fen, made_by, made_at)
    SELECT gen_random_uuid(), id, {number}, {fen}, 'x', now() FROM round ORDER BY number LIMIT 1"""
TRY = """INSERT INTO attempt (id, out_trade_no, visit_id, round_id, allocation_id, hospital_id, patient_id, actor,
    relation, idempotency_key, sheet, channel, mchid, appid, description, attach, amount_fen, state, created_at,
    expires_at, transaction_id, paid_at)
    SELECT gen_random_uuid(), gen_random_uuid(), v.id, s.round_id, s.id, v.hospital_id, v.patient_id, 'x', 'self',
    gen_random_uuid(), 0, 'JSAPI', 'm', 'a', 'd', '', s.amount_fen, '{state}', now(), now(), gen_random_uuid(),
    now() - interval '1 hour' FROM visit v, allocation s"""
LINES = "(SELECT jsonb_agg(id) FROM charge_item WHERE state = 'billable')"
SETTLED = ROUND.format(lines=LINES, fen=6300, paid=6300, state="settled") + ";" + SHARE.format(number=1, fen=6300)
RELEASED = ROUND.format(lines="'[]'", fen=5, paid=0, state="released") + ";" + SHARE.format(number=1, fen=5)
LATE = RELEASED + ";" + TRY.format(state="refunding")
GOING = """INSERT INTO refund (id, out_refund_no, attempt_id, visit_id, amount_fen, reason, state, created_at, tries)
    SELECT gen_random_uuid(), 'R', id, visit_id, 5, 'r', 'sent', {at}, 0 FROM attempt;
    UPDATE attempt SET refunded_fen = 5"""
PART = """INSERT INTO insurance_part (id, round_id, visit_id, hospital_id, encounter, order_number, charge_ids,
    total_fen, state, actor, facts_sealed, created_at, fund_fen, account_fen, mutual_aid_fen, other_fen, cash_fen)
    SELECT gen_random_uuid(), r.id, v.id, v.hospital_id, 'E', 'O', r.charge_ids, 12600, '{state}', 'x', '',
    now() - interval '1 hour', {fund}, 0, 0, 0, 12600 - {fund} FROM round r, visit v"""
INSURED = ROUND.format(lines=LINES, fen=6300, paid=0, state="open") + ";" + SHARE.format(number=1, fen=6300)
MIXED = """INSERT INTO mixed_order (id, out_trade_no, part_id, round_id, visit_id, attempt_id, kind, channel, actor,
    openid_sealed, state, mix_trade_no, created_at)
    SELECT gen_random_uuid(), gen_random_uuid(), p.id, p.round_id, p.visit_id, {attempt}, '{kind}', 'JSAPI', 'x', '',
    '{state}', gen_random_uuid(), now() - interval '2 hours' FROM insurance_part p"""
ALONE = {"attempt": "NULL", "kind": "INSURANCE_ONLY"}
WITH_CASH = {"attempt": "(SELECT id FROM attempt)", "kind": "CASH_AND_INSURANCE"}
SHIFT = """INSERT INTO shift (id, hospital_id, staff_id, state, float_fen, opened_at, closed_at, expected_fen,
    counted_fen)
    SELECT gen_random_uuid(), s.hospital_id, s.id, {rest} FROM (SELECT * FROM staff WHERE login = 'c.cash') AS s"""
OPEN = SHIFT.format(rest="'open', 100, {at}, NULL, NULL, NULL")
CLOSED = SHIFT.format(rest="'closed', 100, now() - interval '1 hour', now(), {expected}, {expected}")
MOVED = """INSERT INTO till_movement (id, hospital_id, shift_id, visit_id, attempt_id, way, amount_fen, at)
    SELECT gen_random_uuid(), s.hospital_id, s.id, a.visit_id, a.id, 'CASH', a.amount_fen, {at}
    FROM shift s, attempt a"""
# What breaks each invariant, and the others it must break with it.
BREAKS = {
    "posting_balanced": (
        "UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE account = 'pooled_fund'",
        {"insurance_ledger"},
    ),
    "owed_was_executed": (
        "ALTER TABLE charge_item DROP CONSTRAINT ck_charge_item_executed;"
        "UPDATE charge_item SET executed_at = NULL WHERE state = 'billable'",
        {"receivable", "revenue", "insurance_ledger"},
    ),
    "split_adds_up": (
        "ALTER TABLE charge_item DROP CONSTRAINT ck_charge_item_split_adds_up;"
        "UPDATE charge_item SET fund_fen = fund_fen + 1 WHERE state = 'billable'",
        {"insurance_ledger"},
    ),
    "receivable": ("UPDATE charge_item SET self_fen = self_fen + 1, fund_fen = fund_fen - 1", {"insurance_ledger"}),
    "revenue": ("UPDATE charge_item SET amount_fen = amount_fen + 1, fund_fen = fund_fen + 1", {"insurance_ledger"}),
    "insurance_ledger": ("UPDATE charge_item SET account_fen = account_fen + 1, fund_fen = fund_fen - 1", set()),
    "insurance_first": (
        ";".join([SETTLED, PART.format(state="refunded", fund=6300), "UPDATE insurance_part SET refund_at = now()"]),
        {"round_money"},
    ),
    "carried": (
        "UPDATE ledger_entry SET account = 'creditor', amount_fen = 6400 WHERE account = 'patient';"
        "INSERT INTO ledger_entry SELECT transaction_id, 'patient', -100 FROM ledger_entry WHERE account = 'creditor'",
        set(),
    ),
    "prepaid": ("UPDATE charge_item SET state = 'prepaid' WHERE state = 'planned'", set()),
    "cash": (SETTLED + ";" + TRY.format(state="settled"), set()),
    "till": (
        ";".join([OPEN.format(at="now()"), RELEASED, TRY.format(state="closed"), MOVED.format(at="now()")]),
        set(),
    ),
    "shift_count": (CLOSED.format(expected=101), set()),
    "one_shift": ("DROP INDEX uq_shift_open;" + ";".join([OPEN.format(at="now()")] * 2), set()),
    "shift_age": (OPEN.format(at="now() - interval '25 hours'"), set()),
    "paid_once": (
        "DROP INDEX uq_attempt_live;" + ";".join([SETTLED, *[TRY.format(state="settled")] * 2]),
        {"cash", "round_money"},
    ),
    "paid_for_lines": (
        ROUND.format(lines=LINES, fen=1, paid=0, state="open") + ";" + SHARE.format(number=1, fen=1),
        set(),
    ),
    "shares": (SETTLED.replace("1, 6300, 'x'", "1, 6299, 'x'"), {"round_money"}),
    "round_money": (SETTLED, set()),
    "frozen": (
        "UPDATE charge_item SET state = 'covered', round_id = gen_random_uuid() WHERE state = 'billable'",
        set(),
    ),
    "one_round": (
        "DROP INDEX uq_round_live;" + ";".join([*[ROUND.format(lines="'[]'", fen=5, paid=0, state="open")] * 2]),
        {"paid_for_lines", "shares"},
    ),
    "insurance_split": (INSURED + ";" + PART.format(state="paid", fund=6299), set()),
    "both_or_neither": (INSURED + ";" + PART.format(state="refunded", fund=6300), set()),
    "mixed_once": (
        "DROP INDEX uq_mixed_live;"
        + ";".join([INSURED, PART.format(state="paying", fund=6300), *[MIXED.format(state="open", **ALONE)] * 2]),
        {"both_or_neither", "insurance_age"},
    ),
    "mixed_paid": (
        ";".join([INSURED, PART.format(state="paid", fund=6300), MIXED.format(state="dead", **ALONE)]),
        set(),
    ),
    "counter_alone": (
        ";".join(
            [
                INSURED.replace("'x', now()", "'staff:1', now()"),
                PART.format(state="paid", fund=6300),
                "UPDATE insurance_part SET confirmed_at = now(), confirmed_by = 'person:1'",
            ]
        ),
        set(),
    ),
    "mixed_cash": (
        ";".join(
            [
                INSURED,
                PART.format(state="paid", fund=6300),
                TRY.format(state="closed"),
                MIXED.format(state="whole", **WITH_CASH),
            ]
        ),
        set(),
    ),
    "mixed_age": (
        ";".join(
            [
                INSURED.replace("'open'", "'released'"),
                PART.format(state="revoked", fund=6300),
                MIXED.format(state="open", **ALONE),
            ]
        ),
        set(),
    ),
    "taken_as_announced": (
        RELEASED + ";" + TRY.format(state="closed").replace("'JSAPI'", "'PAP'"),
        set(),
    ),
    "insurance_age": (
        INSURED.replace("'open'", "'closing'") + ";" + PART.format(state="refunding", fund=6300),
        set(),
    ),
    "over_refund": (RELEASED + ";" + TRY.format(state="closed") + "; UPDATE attempt SET refunded_fen = 1", set()),
    "suspense": (LATE + ";" + GOING.format(at="now()"), {"cash"}),
    "feed_numbers": ("UPDATE feed SET last_seq = last_seq + 1", set()),
    "suspense_age": (LATE + ";" + GOING.format(at="now() - interval '1 hour'"), {"cash", "suspense"}),
    "unsettled_age": (
        ROUND.format(lines=LINES, fen=6300, paid=6300, state="paid") + ";" + SHARE.format(number=1, fen=6300),
        {"round_money"},
    ),
    "parked_age": (
        "INSERT INTO parked (event_id, hospital_id, waits_for, sequence, since)"
        " SELECT gen_random_uuid(), id, 'order:1', 1, now() - interval '1 hour' FROM hospital",
        set(),
    ),
}


@pytest.fixture
async def ward(database_url: str, tmp_path: Path) -> AsyncIterator[Ward]:
    """A visit with one line done: half of 126.00 yuan is the fund's, half is owed."""
    async with open_ward(database_url, tmp_path, json.loads(HOSPITAL_FILE.read_text("utf-8"))) as opened:
        await opened.perform("blood")
        yield opened


async def found(ward: Ward) -> dict[str, str]:
    """The checks that find something, and what they say of it."""
    async with ward.world.db.begin() as tx:
        return {one.check.name: f"{one.row}: {one.figures}" for one in await audit(tx)}


async def test_right_books_pass(ward: Ward) -> None:
    """A day in the hospital by the use cases: nothing to find."""
    assert await found(ward) == {}


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
async def test_every_broken_invariant_is_found(ward: Ward, name: str) -> None:
    """Somebody changes the rows behind the triggers' back: the auditor names what is wrong, and only that."""
    statement, besides = BREAKS[name]
    async with ward.world.db.begin() as tx:
        await tx.session.execute(text("SET LOCAL session_replication_role = replica"))
        for part in statement.split(";"):
            await tx.session.execute(text(part))
    said = await found(ward)
    assert set(said) == {name} | besides
    assert any(character.isdigit() for character in said[name])
    metrics = ward.world.metrics
    await run_once(ward.world, next(sweep for sweep in SWEEPS if sweep.name == "houfu.audit"))
    assert f'houfu_audit_findings{{check="{name}"}} ' in metrics.text().decode()
    assert f'houfu_audit_findings{{check="{name}"}} 0.0' not in metrics.text().decode()
