"""Bugs we plant: each a mistake somebody once made with money, and the tests that have to notice it.

A bug is a small change of one function while it runs (``was`` must stand in it exactly once), of a table, or of the
database. Where a second defence would hide it, that one is off too, and ``without`` says which.
"""

from collections.abc import Sequence
from dataclasses import dataclass

P = "tests/payments/"
PROOF = "tests/proof/"


@dataclass(frozen=True, slots=True)
class Change:
    """In ``where`` (``module:function`` or ``module:Class.method``) ``was`` becomes ``now``."""

    where: str
    was: str
    now: str


@dataclass(frozen=True, slots=True)
class Bug:
    """One seeded bug.

    Args:
        changes: of functions.
        python: run once at start, for tables that are data.
        sql: run in each fresh database; it must not fail.
        suite: what must catch it, as pytest is told.
        without: the other defence that is off.
    """

    name: str
    suite: Sequence[str]
    changes: Sequence[Change] = ()
    python: str = ""
    sql: str = ""
    without: str = ""


ATTEMPTS, FLOWS, REFUNDS = "payments.service.attempts", "payments.flows", "payments.service.refunds"
ROUNDS, INSURANCE, NOTICES = "payments.service.rounds", "payments.service.insurance", "payments.service.notices"
HISTORIES = f"{PROOF}test_histories.py"
SCHEDULES = f"{PROOF}test_schedules.py::test_every_schedule_ends_well"
CALLBACKS = f"{PROOF}test_callbacks.py"

BUGS: Sequence[Bug] = (
    Bug(
        "unsigned callback accepted",
        (f"{P}test_notices.py::test_a_forged_notice",),
        (
            Change(
                "adapters.wechat_pay.line:Line.decode_envelope",
                "envelope = self.library.callback(lower, raw)",
                "self.library._core._verify_signature = lambda *_: True; envelope = self.library.callback(lower, raw)",
            ),
        ),
    ),
    Bug(
        "stale callback accepted",
        (f"{P}test_notices.py::test_a_day_late",),
        (Change("adapters.wechat_pay.line:Line.decode_envelope", "> FRESH.total_seconds()", "> 10**9"),),
    ),
    Bug(
        "replayed notice taken",
        (CALLBACKS,),
        (Change(f"{NOTICES}:_fresh", "if seen is None or message in seen.messages:", "if seen is None:"),),
    ),
    Bug(
        "amount trusted",
        (CALLBACKS,),
        (Change(f"{ATTEMPTS}:_fits", "if state.amount_fen != attempt.amount_fen:", "if not state.amount_fen:"),),
    ),
    Bug(
        "wrong payer taken",
        (CALLBACKS,),
        (
            Change(
                f"{ATTEMPTS}:_fits", "if attempt.openid_sealed is not None and", "if attempt.openid_sealed is None and"
            ),
        ),
    ),
    Bug(
        "another merchant's money taken",
        (CALLBACKS,),
        (Change(f"{ATTEMPTS}:_fits", "if state.mchid != attempt.mchid:", "if not state.mchid:"),),
    ),
    Bug(
        "no unique index on live attempts",
        (f"{P}test_rules.py::test_the_database_allows_one_live_attempt",),
        sql="DROP INDEX uq_attempt_live",
        without="the rule that a share is taken once",
    ),
    Bug(
        "two attempts of one share",
        (f"{P}test_shares.py::test_two_relatives_on_one_share",),
        (Change("payments.service.shares:of_round", "Attempt.state.in_(LIVE)", 'Attempt.state.in_(["paid"])'),),
        sql="DROP INDEX uq_attempt_live; ALTER TABLE round DROP CONSTRAINT ck_round_not_overpaid",
        without="the unique index, the sums of the round",
    ),
    Bug(
        "an old sheet pays once more",
        (HISTORIES,),
        (Change("payments.service.shares:of_round", "Attempt.state.in_(LIVE)", 'Attempt.state.in_(["paid"])'),),
        sql="DROP INDEX uq_attempt_live; ALTER TABLE round DROP CONSTRAINT ck_round_not_overpaid",
        without="the unique index, the sums of the round",
    ),
    Bug(
        "double post",
        (HISTORIES,),
        (
            Change(
                f"{ROUNDS}:came",
                "await paying.cash_in(tx, now, attempt.id, attempt.out_trade_no, attempt.amount_fen, till)",
                "for again in ('', '+'): await paying.cash_in("
                "tx, now, attempt.id, attempt.out_trade_no + again, attempt.amount_fen, till)",
            ),
        ),
    ),
    Bug(
        "unexecuted line billed",
        (f"{PROOF}test_owed.py",),
        (
            Change(
                "billing.service.lines:record",
                "order.state == OrderState.PERFORMED and order.covers_all",
                "order.state != 'nothing'",
            ),
        ),
    ),
    Bug(
        "confirm does not beat cancel",
        ("tests/intake/test_permutations.py::test_each_statement_in_a_transaction_of_its_own",),
        (
            Change(
                "billing.service.lines:confirm",
                "if charge.executed_at is not None:",
                "if charge.executed_at is not None or charge.state == ChargeState.ABORTED:",
            ),
        ),
    ),
    Bug(
        "new refund number per retry",
        (SCHEDULES,),
        (
            Change(
                f"{REFUNDS}:order_of",
                "refund.out_refund_no, attempt.out_trade_no",
                "refund.out_refund_no + str(refund.tries), attempt.out_trade_no",
            ),
        ),
    ),
    Bug(
        "over-refund",
        (f"{P}test_money_back.py::test_never_more_than_was_paid",),
        (
            Change(
                f"{REFUNDS}:ask",
                "fits = Attempt.refunded_fen + amount_fen <= Attempt.amount_fen",
                "fits = Attempt.refunded_fen <= Attempt.amount_fen",
            ),
        ),
        sql="ALTER TABLE attempt DROP CONSTRAINT ck_attempt_not_over_refunded",
        without="the CHECK of the table",
    ),
    Bug(
        "sweeper assumes closed",
        (f"{P}test_paying.py::test_closing_waits_for_an_answer",),
        (
            Change(
                f"{FLOWS}:_close",
                "return  # still closing: the sweeper tries again",
                "found = None",
            ),
        ),
    ),
    Bug(
        "timeout is failed",
        (f"{P}test_paying.py::test_an_order_that_never_reached_wechat",),
        (Change(f"{FLOWS}:offer", "if first and not isinstance(error, Unknown):", "if first:"),),
    ),
    Bug(
        "a later refusal ends what is open",
        (f"{P}test_paying.py::test_a_no_after_the_order_was_opened",),
        (Change(f"{FLOWS}:offer", "elif first:", "elif True:"),),
    ),
    Bug(
        "a closed attempt reopens",
        (f"{P}test_rules.py::test_the_sentences_of_the_design_hold",),
        python="from payments.rules import ATTEMPT, A; ATTEMPT.edges[A.CLOSED, A.OFFERED] = 'AttemptOffered'",
    ),
    Bug(
        "acknowledged before the work",
        (CALLBACKS,),
        (
            Change(
                "api.callbacks.wechat_pay:_take",
                "fresh = await take(tx, headers, raw)",
                "fresh = True\n        async with world.db.begin() as tx:\n"
                "            with __import__('contextlib').suppress(Exception):\n"
                "                await take(tx, headers, raw)",
            ),
        ),
        without="the sweeper",
    ),
    Bug(
        "dedupe row committed first",
        (CALLBACKS,),
        (
            Change(
                "api.callbacks.wechat_pay:_take",
                "fresh = await take(tx, headers, raw)",
                "from dataclasses import replace\n"
                "            notice = world.ports.pay.decode_notify(headers, raw, tx.now)\n"
                "            fresh = await notices.take(tx, replace(notice, payment=None), headers, raw)\n"
                "        async with world.db.begin() as tx:\n"
                "            if fresh: await notices.attempts.paid(tx, notice.payment)",
            ),
        ),
        without="the sweeper",
    ),
    Bug(
        "late money is lost",
        (f"{P}test_money_back.py::test_late_money_without_a_callback",),
        (Change(f"{ATTEMPTS}:closed", "tx.now + LAST_LOOK", "None"),),
        without="the notice",
    ),
    Bug(
        "late money is kept",
        (f"{P}test_money_back.py::test_late_money_goes_back",),
        (
            Change(
                f"{ATTEMPTS}:paid",
                "if attempt.state in OVER:",
                "if attempt.state in OVER: return attempt\n    if False:",
            ),
        ),
    ),
    Bug(
        "insurance paid, but given up",
        (SCHEDULES,),
        (Change(f"{INSURANCE}:said", "part.state in (S.PAYING, S.REVOKING):", "part.state == S.PAYING:"),),
    ),
    Bug(
        "cash goes back before the insurance",
        (f"{P}test_insurance.py::test_the_insurance_paid_and_the_cash_is_given_up",),
        (Change(f"{ROUNDS}:go_back", "or not await parts.over(tx, now)", "or False"),),
    ),
    Bug(
        "the hospital is told of a part",
        (f"{P}test_shares.py::test_the_daughter_pays_a_part_the_son_the_rest",),
        (Change(f"{ROUNDS}:came", "if now.paid_fen == now.cash_fen and", "if now.paid_fen and"),),
    ),
    Bug(
        "lines released before the close is heard",
        (f"{PROOF}test_owed.py::test_given_up_while_two_pay",),
        (Change(f"{ROUNDS}:go_back", "or now.busy_fen or", "or"),),
    ),
    Bug(
        "two presses at once pass a payer's limit",
        (f"{P}test_limits.py::test_two_places_at_once",),
        (Change("payments.service.limits:require", "lock=True", "lock=False"),),
    ),
    Bug(
        "what is under way does not count",
        (f"{P}test_limits.py::test_what_comes_back_can_be_paid_again",),
        (Change("payments.service.limits:_out", "Attempt.state.in_(PAYABLE)", "Attempt.state.is_(None)"),),
    ),
    Bug(
        "a refund counts before it has arrived",
        (f"{P}test_limits.py::test_what_comes_back_can_be_paid_again",),
        (Change("payments.service.limits:_out", "Refund.done_at.is_not(None)", "Refund.created_at.is_not(None)"),),
    ),
    Bug(
        "a link outlives the right of who gave it",
        (f"{P}test_pay_links.py::test_it_ends",),
        (
            Change(
                "family_pay.service.links:_stands",
                "return await access.can(tx, Actor(ActorKind.PERSON, link.made_by), Action.PAY, subject_of(visit))",
                "return True",
            ),
        ),
    ),
    Bug(
        "paid for somebody else than was shown",
        (f"{P}test_limits.py::test_the_sheet_named_somebody_else",),
        (
            Change(
                "payments.service.pressing:_begin",
                "not in (None, visit.patient_id)",
                "not in (None, press.seen_patient)",
            ),
        ),
    ),
    Bug(
        "a code is charged twice",
        (f"{P}test_captures.py::test_replayed_and_read_twice",),
        (
            Change(
                "payments.service.codes:burn",
                "return (await tx.session.scalars(row.returning(CaptureSeen.digest))).first() is not None",
                "return (await tx.session.scalars(row.returning(CaptureSeen.digest))).first() is not None or True",
            ),
        ),
    ),
    Bug(
        "cancelled while it is paid first, and kept",
        (SCHEDULES,),
        (Change("billing.service.paying:settle", "is None and not await _unwanted(tx, c)]", "is None]"),),
    ),
    Bug(
        "refused by the hospital, and said again whole",
        (f"{P}test_said_again.py::test_a_line_went_back_meanwhile",),
        (Change("payments.service.again:_what_stands", 'if line["charge_no"] in standing]', "]"),),
    ),
    Bug(
        "what the insurance takes back is booked after all",
        (f"{P}test_said_again.py::test_all_of_it_went_back_and_was_paid_anew",),
        (Change("payments.service.again:_what_stands", "p.state != InsuranceState.PAID", "False"),),
    ),
    Bug(
        "one refused reading ends the other department's settlement",
        (f"{P}test_insurance.py::test_a_consent_that_is_no_good",),
        (Change(f"{INSURANCE}:refused", "if reason in rules.CONSENT_REFUSED and", "if False and"),),
    ),
    Bug(
        "an answer about a refused consent counts",
        (f"{P}test_insurance_counter.py::test_the_centre_refuses_it",),
        (Change(f"{INSURANCE}:still", "return part.order_number == asked.fees.order_number", "return True"),),
    ),
    Bug(
        "taken from the account she has left",
        (f"{P}test_taking.py::test_a_contract_is_the_accounts_that_signed_it",),
        (Change("payments.service.contracts:standing", "if await _another_account(tx, found):", "if False:"),),
    ),
    Bug(
        "the list of the day so far is the day's",
        (f"{P}test_reconciling.py::test_a_list_of_the_day_so_far_is_no_list_of_the_day",),
        (Change("payments.service.reconciling:record", "china_day(run.ran_at) > day", "True"),),
    ),
)
