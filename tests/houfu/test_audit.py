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

PAID = """INSERT INTO attempt (id, out_trade_no, visit_id, hospital_id, patient_id, actor, relation, idempotency_key,
    sheet, channel, mchid, appid, description, attach, amount_fen, charge_ids, state, created_at, expires_at,
    transaction_id, paid_at)
    SELECT gen_random_uuid(), gen_random_uuid(), id, hospital_id, patient_id, 'x', 'self', gen_random_uuid(), 0,
    'JSAPI', 'm', 'a', 'd', '', {fen}, {lines}, '{state}', now(), now(), gen_random_uuid(), now() - interval '1 hour'
    FROM visit LIMIT 1"""
LINES = "(SELECT jsonb_agg(id) FROM charge_item WHERE state = 'billable')"
# What breaks each invariant, and the others it must break with it.
BREAKS = {
    "posting_balanced": (
        "UPDATE ledger_entry SET amount_fen = amount_fen + 1 WHERE account = 'pooled_fund'",
        set(),
    ),
    "owed_was_executed": (
        "ALTER TABLE charge_item DROP CONSTRAINT ck_charge_item_executed;"
        "UPDATE charge_item SET executed_at = NULL WHERE state = 'billable'",
        {"receivable", "revenue"},
    ),
    "split_adds_up": (
        "ALTER TABLE charge_item DROP CONSTRAINT ck_charge_item_split_adds_up;"
        "UPDATE charge_item SET fund_fen = fund_fen + 1 WHERE state = 'billable'",
        set(),
    ),
    "receivable": ("UPDATE charge_item SET self_fen = self_fen + 1, fund_fen = fund_fen - 1", set()),
    "revenue": ("UPDATE charge_item SET amount_fen = amount_fen + 1, fund_fen = fund_fen + 1", set()),
    "cash": (PAID.format(fen=6300, lines=LINES, state="settled"), set()),
    "paid_once": (
        ";".join([PAID.format(fen=6300, lines=LINES, state="settled")] * 2),
        {"cash"},
    ),
    "paid_for_lines": (PAID.format(fen=1, lines=LINES, state="settled"), {"cash"}),
    "frozen": (
        "UPDATE charge_item SET state = 'covered', attempt_id = gen_random_uuid() WHERE state = 'billable'",
        set(),
    ),
    "over_refund": (
        PAID.format(fen=6300, lines=LINES, state="closed") + "; UPDATE attempt SET refunded_fen = 1",
        set(),
    ),
    "suspense": (PAID.format(fen=5, lines="'[]'", state="refunding"), {"cash", "suspense_age"}),
    "feed_numbers": ("UPDATE feed SET last_seq = last_seq + 1", set()),
    "suspense_age": (PAID.format(fen=5, lines="'[]'", state="late_paid"), {"cash", "suspense"}),
    "unsettled_age": (PAID.format(fen=6300, lines=LINES, state="paid"), {"cash"}),
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
