"""Whether the money is right: each invariant as one question to the database, answered with the rows that break it.

The questions are SQL and read nothing by way of the use cases, so that a mistake there cannot excuse itself here.
``houfu audit`` prints what they find, a sweep counts it for the metrics, and a restored backup is asked before use.
"""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import text

from kernel.crypto import load_vault
from kernel.db import Database, Tx, connect
from kernel.settings import Settings


@dataclass(frozen=True, slots=True)
class Check:
    """One invariant.

    Attributes:
        name: label of the metric.
        says: what is wrong where it finds something.
        sql: answers (the row's key, figures that show it); nothing where all is right.
        weight: ``wrong`` must never be; ``late`` waits longer than it should, and a person has to look.
    """

    name: str
    says: str
    sql: str
    weight: Literal["wrong", "late"] = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that breaks an invariant."""

    check: Check
    row: str
    figures: str


_LEDGER = """SELECT t.visit_id, sum(e.amount_fen) AS held
    FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
    WHERE e.account IN ('{}') GROUP BY 1"""

CHECKS = (
    Check(
        "posting_balanced",
        "a posting whose entries do not add up to zero",
        """SELECT 'ledger_transaction ' || t.id, 'off by ' || coalesce(sum(e.amount_fen), 0) || ' fen'
        FROM ledger_transaction t LEFT JOIN ledger_entry e ON e.transaction_id = t.id
        GROUP BY t.id HAVING coalesce(sum(e.amount_fen), 0) <> 0 OR count(e) = 0""",
    ),
    Check(
        "owed_was_executed",
        "a line owed or paid for as done that no department confirmed, or one done that counts as not done",
        """SELECT 'charge_item ' || id, state FROM charge_item
        WHERE (state IN ('billable', 'disputed', 'covered', 'settled') AND executed_at IS NULL)
        OR (state IN ('planned', 'prepaying', 'prepaid') AND executed_at IS NOT NULL)""",
    ),
    Check(
        "split_adds_up",
        "a line whose parts are not its whole",
        """SELECT 'charge_item ' || id,
            fund_fen || ' + ' || account_fen || ' + ' || other_fen || ' + ' || hospital_fen || ' + ' || self_fen
                || ' of ' || amount_fen
        FROM charge_item WHERE fund_fen + account_fen + other_fen + hospital_fen + self_fen <> amount_fen""",
    ),
    Check(
        "receivable",
        "a visit whose patient, creditor and subsidy owe something else than its executed, unpaid lines less the shares"
        " that are paid",
        f"""WITH ledger AS ({_LEDGER.format("patient', 'creditor', 'subsidy")}), bill AS (
            SELECT visit_id, sum(due) AS due FROM (
                SELECT visit_id, self_fen AS due FROM charge_item
                WHERE executed_at IS NOT NULL AND state IN ('billable', 'disputed', 'covered')
                UNION ALL SELECT visit_id, -paid_fen FROM round
                WHERE state IN ('insuring', 'open', 'closing') AND NOT first) AS owed GROUP BY 1)
        SELECT 'visit ' || coalesce(l.visit_id, b.visit_id),
            'ledger ' || coalesce(held, 0) || ', lines ' || coalesce(due, 0) || ' fen'
        FROM ledger l FULL JOIN bill b USING (visit_id) WHERE coalesce(held, 0) <> coalesce(due, 0)""",
    ),
    Check(
        "carried",
        "a visit of which a creditor or the treasury carries less than nothing, or more than is owed",
        """SELECT 'visit ' || t.visit_id,
            'creditor ' || coalesce(sum(e.amount_fen) FILTER (WHERE account = 'creditor'), 0)
            || ', subsidy ' || coalesce(sum(e.amount_fen) FILTER (WHERE account = 'subsidy'), 0)
            || ', patient ' || coalesce(sum(e.amount_fen) FILTER (WHERE account = 'patient'), 0) || ' fen'
        FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id GROUP BY t.visit_id
        HAVING sum(e.amount_fen) FILTER (WHERE account = 'creditor') < 0
        OR sum(e.amount_fen) FILTER (WHERE account = 'subsidy') < 0
        OR (sum(e.amount_fen) FILTER (WHERE account = 'patient') < 0
            AND sum(e.amount_fen) FILTER (WHERE account IN ('creditor', 'subsidy')) > 0)""",
    ),
    Check(
        "prepaid",
        "a visit whose ledger holds other money for things not done than was paid for them",
        f"""WITH ledger AS ({_LEDGER.format("prepaid")}), bill AS (
            SELECT visit_id, sum(due) AS due FROM (
                SELECT visit_id, self_fen AS due FROM charge_item WHERE state = 'prepaid'
                UNION ALL SELECT visit_id, paid_fen FROM round WHERE state IN ('open', 'closing') AND first
            ) AS owed GROUP BY 1)
        SELECT 'visit ' || coalesce(l.visit_id, b.visit_id),
            'ledger ' || -coalesce(held, 0) || ', lines ' || coalesce(due, 0) || ' fen'
        FROM ledger l FULL JOIN bill b USING (visit_id) WHERE -coalesce(held, 0) <> coalesce(due, 0)""",
    ),
    Check(
        "revenue",
        "a visit whose ledger earned something else than its executed lines",
        f"""WITH ledger AS ({_LEDGER.format("revenue")}), bill AS (
            SELECT visit_id, sum(amount_fen) AS due FROM charge_item WHERE executed_at IS NOT NULL
            AND state IN ('billable', 'disputed', 'covered', 'settled', 'settled_elsewhere')
            AND NOT (state = 'settled' AND reversed_at IS NOT NULL) GROUP BY 1)
        SELECT 'visit ' || coalesce(l.visit_id, b.visit_id),
            'ledger ' || -coalesce(held, 0) || ', lines ' || coalesce(due, 0) || ' fen'
        FROM ledger l FULL JOIN bill b USING (visit_id) WHERE -coalesce(held, 0) <> coalesce(due, 0)""",
    ),
    Check(
        "cash",
        "a visit whose ledger holds other cash than was paid and not given back",
        """WITH ledger AS (SELECT t.visit_id, e.account, sum(e.amount_fen) AS held
            FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
            WHERE e.account IN ('cash_wechat', 'cash_counter', 'bank_card', 'paid_by_hand') GROUP BY 1, 2),
        till AS (SELECT id, visit_id, amount_fen, state,
            CASE channel WHEN 'CASH' THEN 'cash_counter' WHEN 'CARD' THEN 'bank_card' ELSE 'cash_wechat' END AS account
            FROM attempt),
        moved AS (SELECT visit_id, account, sum(fen) AS fen FROM (
            SELECT visit_id, account, amount_fen AS fen FROM till
            WHERE state IN ('paid', 'settled', 'late_paid', 'refunding', 'refunded')
            UNION ALL SELECT r.visit_id, CASE WHEN r.by_hand IS NULL THEN t.account ELSE 'paid_by_hand' END,
                -r.amount_fen FROM refund r JOIN till t ON t.id = r.attempt_id WHERE r.done_at IS NOT NULL) AS each
            GROUP BY 1, 2)
        SELECT 'visit ' || visit_id, account || ' ' || coalesce(held, 0) || ', till ' || coalesce(fen, 0) || ' fen'
        FROM ledger FULL JOIN moved USING (visit_id, account) WHERE coalesce(held, 0) <> coalesce(fen, 0)""",
    ),
    Check(
        "till",
        "a visit whose ledger has other money at the counter than passed through the cashiers' shifts",
        """WITH ledger AS (SELECT t.visit_id, e.account, sum(e.amount_fen) AS held
            FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
            WHERE e.account IN ('cash_counter', 'bank_card') GROUP BY 1, 2),
        moved AS (SELECT visit_id, CASE way WHEN 'CASH' THEN 'cash_counter' ELSE 'bank_card' END AS account,
            sum(amount_fen) AS fen FROM till_movement GROUP BY 1, 2)
        SELECT 'visit ' || visit_id, account || ' ' || coalesce(held, 0) || ', shifts ' || coalesce(fen, 0) || ' fen'
        FROM ledger FULL JOIN moved USING (visit_id, account) WHERE coalesce(held, 0) <> coalesce(fen, 0)""",
    ),
    Check(
        "shift_count",
        "a closed shift that expected something else than its float and its cash, or holds a movement of later",
        """SELECT 'shift ' || s.id, 'expected ' || s.expected_fen || ', float and cash '
            || s.float_fen + coalesce(sum(m.amount_fen) FILTER (WHERE m.way = 'CASH'), 0) || ' fen'
        FROM shift s LEFT JOIN till_movement m ON m.shift_id = s.id WHERE s.state = 'closed' GROUP BY s.id
        HAVING s.expected_fen <> s.float_fen + coalesce(sum(m.amount_fen) FILTER (WHERE m.way = 'CASH'), 0)
        OR max(m.at) > s.closed_at""",
    ),
    Check(
        "one_shift",
        "a cashier with two open shifts",
        """SELECT 'staff ' || staff_id, count(*) || ' open shifts' FROM shift WHERE state = 'open'
        GROUP BY staff_id HAVING count(*) > 1""",
    ),
    Check(
        "paid_once",
        "a line in two rounds that were paid and keep their money, or a share paid by two payments",
        """SELECT 'charge_item ' || line, 'paid ' || count(*) || ' times'
        FROM round r, jsonb_array_elements_text(r.charge_ids) AS line WHERE r.state IN ('paid', 'settled')
        AND NOT EXISTS (SELECT FROM insurance_part p WHERE p.round_id = r.id AND p.state = 'refunded'
            AND p.charge_ids ? line)
        AND NOT EXISTS (SELECT FROM refund f JOIN attempt a ON a.id = f.attempt_id
            WHERE a.round_id = r.id AND f.charge_id::text = line AND f.state <> 'refused')
        GROUP BY line HAVING count(*) > 1
        UNION ALL SELECT 'allocation ' || allocation_id, count(*) || ' live attempts' FROM attempt
        WHERE state IN ('created', 'offered', 'unknown', 'closing', 'paid', 'settled')
        GROUP BY allocation_id HAVING count(*) > 1""",
    ),
    Check(
        "paid_for_lines",
        "a round whose lines are not its cash, those aside whose insurance went back",
        """WITH gone AS (SELECT round_id, charge_ids, cash_fen - coalesce(hospital_part_fen, 0) AS cash_fen
            FROM insurance_part WHERE state = 'refunded'),
        stands AS (SELECT r.id, r.cash_fen - coalesce(sum(g.cash_fen), 0) AS cash
            FROM round r LEFT JOIN gone g ON g.round_id = r.id
            WHERE r.state IN ('open', 'paid', 'settled') GROUP BY r.id)
        SELECT 'round ' || r.id, 'asks for ' || s.cash || ', lines ' || coalesce(sum(c.self_fen), 0) || ' fen'
        FROM stands s JOIN round r USING (id) LEFT JOIN charge_item c ON r.charge_ids ? c.id::text
            AND NOT EXISTS (SELECT FROM gone g WHERE g.round_id = r.id AND g.charge_ids ? c.id::text)
        GROUP BY r.id, s.cash HAVING coalesce(sum(c.self_fen), 0) <> s.cash""",
    ),
    Check(
        "shares",
        "a round whose shares are not its cash, or a replaced share somebody pays",
        """SELECT 'round ' || r.id, 'asks for ' || r.cash_fen || ', shares ' || coalesce(sum(s.amount_fen), 0) || ' fen'
        FROM round r LEFT JOIN allocation s ON s.round_id = r.id AND s.replaced_at IS NULL
        GROUP BY r.id HAVING coalesce(sum(s.amount_fen), 0) <> r.cash_fen
        UNION ALL SELECT 'allocation ' || s.id, 'replaced, its attempt is ' || a.state || ', ' || a.amount_fen || ' fen'
        FROM allocation s JOIN attempt a ON a.allocation_id = s.id WHERE s.replaced_at IS NOT NULL
        AND a.state IN ('created', 'offered', 'unknown', 'closing', 'paid', 'settled')""",
    ),
    Check(
        "round_money",
        "a round that counts other money than its payments",
        """SELECT 'round ' || r.id, 'paid ' || r.paid_fen || ', being paid ' || r.busy_fen || ', attempts '
            || coalesce(sum(a.amount_fen) FILTER (WHERE a.state IN ('paid', 'settled')), 0) || ' and '
            || coalesce(sum(a.amount_fen) FILTER (WHERE a.state IN ('created', 'offered', 'unknown', 'closing')), 0)
        FROM round r LEFT JOIN attempt a ON a.round_id = r.id GROUP BY r.id
        HAVING r.paid_fen <> coalesce(sum(a.amount_fen) FILTER (WHERE a.state IN ('paid', 'settled')), 0)
        OR r.busy_fen <> coalesce(
            sum(a.amount_fen) FILTER (WHERE a.state IN ('created', 'offered', 'unknown', 'closing')), 0)""",
    ),
    Check(
        "frozen",
        "a line frozen for a round that no longer lives",
        """SELECT 'charge_item ' || c.id, 'round is ' || coalesce(r.state, 'not there')
        FROM charge_item c LEFT JOIN round r ON r.id = c.round_id WHERE c.state IN ('covered', 'prepaying')
        AND (r.state IS NULL OR r.state NOT IN ('insuring', 'open', 'closing'))""",
    ),
    Check(
        "one_round",
        "a visit with two live rounds",
        """SELECT 'visit ' || visit_id, count(*) || ' rounds' FROM round WHERE state IN ('insuring', 'open', 'closing')
        GROUP BY visit_id HAVING count(*) > 1""",
    ),
    Check(
        "taken_as_announced",
        "money taken by contract that was not announced long enough, is another amount, or had no contract that stood",
        """SELECT 'attempt ' || a.id, a.amount_fen || ' fen of ' || coalesce(d.announced_fen, 0) || ' announced, up to '
            || coalesce(d.cap_fen, 0) || ', contract ' || coalesce(c.state, 'not there')
        FROM attempt a LEFT JOIN deduction d ON d.attempt_id = a.id
        LEFT JOIN deduction_contract c ON c.id = d.contract_id
        WHERE (a.channel = 'PAP') <> (d.attempt_id IS NOT NULL)
        OR (a.channel = 'PAP' AND (a.amount_fen <> d.announced_fen OR a.amount_fen > d.cap_fen
            OR a.created_at < d.announced_at + interval '2 hours' OR c.person_id IS DISTINCT FROM a.payer_id
            OR c.mchid <> a.mchid OR c.signed_at IS NULL OR c.signed_at > a.created_at
            OR c.stopped_at < a.created_at))""",
    ),
    Check(
        "insurance_split",
        "a settlement whose lines bear another split than the insurance paid",
        """SELECT 'insurance_part ' || p.id, 'fund ' || p.fund_fen || ', lines ' || coalesce(sum(c.fund_fen), 0)
            || '; cash ' || p.cash_fen || ', lines ' || coalesce(sum(c.self_fen + c.hospital_fen), 0) || ' fen'
        FROM insurance_part p JOIN round r ON r.id = p.round_id LEFT JOIN charge_item c ON p.charge_ids ? c.id::text
        WHERE r.state IN ('open', 'paid', 'settled') AND p.state <> 'refunded' GROUP BY p.id
        HAVING coalesce(sum(c.fund_fen), 0) <> p.fund_fen OR coalesce(sum(c.account_fen), 0) <> p.account_fen
        OR coalesce(sum(c.other_fen), 0) <> p.other_fen OR coalesce(sum(c.self_fen + c.hospital_fen), 0) <> p.cash_fen
        OR coalesce(sum(c.hospital_fen), 0) <> coalesce(p.hospital_part_fen, 0)""",
    ),
    Check(
        "both_or_neither",
        "a round whose insurance stands otherwise than its cash",
        """SELECT 'round ' || r.id, r.state || ', insurance ' || p.state || ', ' || p.total_fen || ' fen'
        FROM round r JOIN insurance_part p ON p.round_id = r.id
        WHERE (r.state IN ('open', 'paid', 'settled') AND p.state <> 'paid' AND NOT (r.state IN ('paid', 'settled')
            AND p.refund_at IS NOT NULL AND p.state IN ('refunding', 'manual', 'refunded')))
        OR (r.state = 'released' AND p.state NOT IN ('revoked', 'refunded', 'failed'))""",
    ),
    Check(
        "mixed_once",
        "a settlement for which WeChat could take a password twice",
        """SELECT 'insurance_part ' || part_id, count(*) || ' live mixed orders' FROM mixed_order
        WHERE state <> 'dead' GROUP BY part_id HAVING count(*) > 1""",
    ),
    Check(
        "mixed_paid",
        "a settlement that counts as paid though its mixed order does not",
        """SELECT 'insurance_part ' || p.id, p.total_fen || ' fen, mixed order is ' || string_agg(m.state, ', ')
        FROM insurance_part p JOIN mixed_order m ON m.part_id = p.id WHERE p.state = 'paid'
        GROUP BY p.id HAVING count(*) FILTER (WHERE m.state IN ('whole', 'insurance_alone')) <> 1""",
    ),
    Check(
        "counter_alone",
        "a settlement agreed to on a phone without an order at WeChat, or at the counter with one",
        """SELECT 'insurance_part ' || p.id, p.total_fen || ' fen, begun by ' || split_part(r.opened_by, ':', 1)
            || ', agreed by ' || split_part(coalesce(p.confirmed_by, ''), ':', 1) || ', mixed orders ' || count(m.id)
        FROM insurance_part p JOIN round r ON r.id = p.round_id LEFT JOIN mixed_order m ON m.part_id = p.id
        WHERE p.confirmed_at IS NOT NULL GROUP BY p.id, r.opened_by
        HAVING (count(m.id) = 0) IS DISTINCT FROM (r.opened_by LIKE 'staff:%' AND p.confirmed_by LIKE 'staff:%')""",
    ),
    Check(
        "mixed_cash",
        "a mixed order whose cash is not its settlement's, or whose attempt could be paid alone",
        """SELECT 'mixed_order ' || m.id, 'cash ' || p.cash_fen || ', attempt ' || a.amount_fen || ' fen, '
            || a.out_trade_no
        FROM mixed_order m JOIN insurance_part p ON p.id = m.part_id JOIN attempt a ON a.id = m.attempt_id
        WHERE a.amount_fen <> p.cash_fen - coalesce(p.hospital_part_fen, 0)
        OR a.out_trade_no <> m.out_trade_no OR a.round_id <> m.round_id OR NOT a.mixed""",
    ),
    Check(
        "insurance_first",
        "cash of an insurance settlement that goes back before the insurance has its money, or less or more of it",
        """SELECT 'refund ' || r.id, r.state || ', insurance ' || p.state FROM refund r
        JOIN insurance_part p ON p.id = r.part_id
        WHERE (p.state = 'refunded') = (r.state IN ('requested', 'approved'))
        UNION ALL SELECT 'insurance_part ' || p.id, 'cash ' || p.cash_fen || ', back ' || coalesce(sum(r.amount_fen), 0)
        FROM insurance_part p JOIN round o ON o.id = p.round_id LEFT JOIN refund r ON r.visit_id = p.visit_id
            AND (r.part_id = p.id OR (r.part_id IS NULL AND p.charge_ids ? r.charge_id::text
            AND EXISTS (SELECT FROM attempt a WHERE a.id = r.attempt_id AND a.round_id = p.round_id)))
        WHERE o.state IN ('paid', 'settled') AND p.state = 'refunded' AND p.refund_at IS NOT NULL
        GROUP BY p.id HAVING coalesce(sum(r.amount_fen), 0) <> p.cash_fen - coalesce(p.hospital_part_fen, 0)""",
    ),
    Check(
        "insurance_ledger",
        "a visit whose ledger expects something else of the insurance than its executed lines say",
        """WITH ledger AS (SELECT t.visit_id, e.amount_fen AS fen,
            CASE e.account WHEN 'mutual_aid' THEN 'personal_account' ELSE e.account END AS account
            FROM ledger_transaction t JOIN ledger_entry e ON e.transaction_id = t.id
            WHERE e.account IN ('pooled_fund', 'personal_account', 'mutual_aid', 'insurance_other')),
        bill AS (SELECT c.visit_id, part.account, part.fen FROM charge_item c, LATERAL (VALUES
            ('pooled_fund', c.fund_fen), ('personal_account', c.account_fen), ('insurance_other', c.other_fen))
            AS part (account, fen) WHERE c.executed_at IS NOT NULL
            AND c.state IN ('billable', 'disputed', 'covered', 'settled', 'settled_elsewhere')
            AND NOT (c.state = 'settled' AND c.reversed_at IS NOT NULL)),
        held AS (SELECT visit_id, account, sum(fen) AS fen FROM ledger GROUP BY 1, 2),
        due AS (SELECT visit_id, account, sum(fen) AS fen FROM bill GROUP BY 1, 2)
        SELECT 'visit ' || visit_id, account || ' ' || coalesce(held.fen, 0) || ', lines ' || coalesce(due.fen, 0)
        FROM held FULL JOIN due USING (visit_id, account) WHERE coalesce(held.fen, 0) <> coalesce(due.fen, 0)""",
    ),
    Check(
        "over_refund",
        "a payment of which more goes back than was paid, or than its refunds say",
        """SELECT 'attempt ' || a.id,
            'paid ' || a.amount_fen || ', noted ' || a.refunded_fen || ', refunds ' || coalesce(sum(r.amount_fen), 0)
        FROM attempt a LEFT JOIN refund r ON r.attempt_id = a.id AND r.state <> 'refused'
        GROUP BY a.id HAVING a.refunded_fen <> coalesce(sum(r.amount_fen), 0) OR a.refunded_fen > a.amount_fen""",
    ),
    Check(
        "suspense",
        "a visit whose suspense is not the refunds on their way",
        f"""WITH ledger AS ({_LEDGER.format("suspense")}), going AS (
            SELECT visit_id, sum(amount_fen) AS due FROM refund
            WHERE done_at IS NULL AND state NOT IN ('requested', 'refused') GROUP BY 1)
        SELECT 'visit ' || visit_id, 'ledger ' || -coalesce(held, 0) || ', refunds ' || coalesce(due, 0) || ' fen'
        FROM ledger FULL JOIN going USING (visit_id) WHERE -coalesce(held, 0) <> coalesce(due, 0)""",
    ),
    Check(
        "feed_numbers",
        "a feed with a gap, or whose counter is not its last row",
        """SELECT 'feed ' || f.subject, f.last_seq || ' counted, ' || count(r.seq) || ' rows up to ' || max(r.seq)
        FROM feed f LEFT JOIN feed_row r ON r.subject = f.subject
        GROUP BY f.subject HAVING count(r.seq) <> f.last_seq OR coalesce(max(r.seq), 0) <> f.last_seq""",
    ),
    Check(
        "suspense_age",
        "money that has been on its way back for ten minutes, by a provider",
        """SELECT 'refund ' || r.id, r.amount_fen || ' fen since ' || r.created_at
        FROM refund r JOIN attempt a ON a.id = r.attempt_id
        WHERE r.done_at IS NULL AND r.state NOT IN ('requested', 'refused') AND a.channel NOT IN ('CASH', 'CARD')
        AND r.created_at < now() - interval '10 minutes'""",
        "late",
    ),
    Check(
        "shift_age",
        "a cashier's shift that has been open for a day",
        """SELECT 'shift ' || id, float_fen || ' fen of float, open since ' || opened_at FROM shift
        WHERE state = 'open' AND opened_at < now() - interval '24 hours'""",
        "late",
    ),
    Check(
        "insurance_age",
        "a settlement that has neither been paid nor taken back for ten minutes",
        """SELECT 'insurance_part ' || id, state || ' since ' || coalesce(refund_at, confirmed_at, created_at)
        FROM insurance_part WHERE state IN ('paying', 'revoking', 'refunding', 'manual')
        AND coalesce(refund_at, confirmed_at, created_at) < now() - interval '10 minutes'""",
        "late",
    ),
    Check(
        "mixed_age",
        "a mixed order WeChat and the centre contradict each other about, that outlives its settlement for an hour, or"
        " whose return WeChat was not told of for an hour",
        """SELECT 'mixed_order ' || m.id, m.state || ', settlement ' || p.state || ', since '
            || coalesce(m.disagrees_since, p.refund_at, m.created_at)
        FROM mixed_order m JOIN insurance_part p ON p.id = m.part_id
        WHERE m.disagrees_since < now() - interval '5 minutes'
        OR (m.state IN ('created', 'open') AND p.state IN ('revoked', 'refunded', 'failed')
            AND m.created_at < now() - interval '1 hour')
        OR (m.state IN ('whole', 'insurance_alone') AND p.state = 'refunded'
            AND coalesce(p.refund_at, m.created_at) < now() - interval '1 hour')""",
        "late",
    ),
    Check(
        "unsettled_age",
        "money the hospital has not booked for ten minutes",
        """SELECT 'round ' || id, paid_fen || ' fen since ' || paid_at FROM round
        WHERE state = 'paid' AND paid_at < now() - interval '10 minutes'""",
        "late",
    ),
    Check(
        "parked_age",
        "a statement that has waited five minutes for what it refers to",
        """SELECT 'parked ' || event_id, 'waits for ' || waits_for || ' since ' || since FROM parked
        WHERE since < now() - interval '5 minutes'""",
        "late",
    ),
)


async def audit(tx: Tx, each: int = 20) -> list[Finding]:
    """Ask every question.

    Args:
        each: rows told per check; the first few show what is wrong.
    """
    found = []
    for check in CHECKS:
        rows = await tx.session.execute(text(f"SELECT * FROM ({check.sql}) AS found LIMIT {each:d}"))
        found += [Finding(check, row, figures) for row, figures in rows]
    return found


async def audit_once(settings: Settings) -> list[Finding]:
    """Ask every question of the configured database."""
    db = Database(connect(settings.database_url or "", pool_size=1), load_vault(settings.keys))
    try:
        async with db.begin() as tx:
            return await audit(tx)
    finally:
        await db.close()
