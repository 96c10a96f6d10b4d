"""When a charge is owed, in which pile of the bill it lies, and what of it each viewer sees."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle
from notices.rules import Row
from people.rules import Audience, Depth, View

Pile = Literal["done", "ordered", "cancelled"]


class ChargeState(StrEnum):
    """Where a charge item stands (FHIR's words where there are any)."""

    PLANNED = "planned"
    BILLABLE = "billable"
    DISPUTED = "disputed"
    COVERED = "covered"  # frozen in a live round of paying
    PREPAYING = "prepaying"  # frozen in a live round, and nobody has done it yet
    PREPAID = "prepaid"  # paid before it is done: the hospital owes it, or its money
    SETTLED = "settled"
    SETTLED_ELSEWHERE = "settled_elsewhere"
    ABORTED = "aborted"
    REVERSED = "reversed"
    REFUNDED = "refunded"


S = ChargeState
CHARGE = Lifecycle[ChargeState](
    "Charge item",
    {
        (None, S.PLANNED): "ChargePlanned",
        (S.PLANNED, S.BILLABLE): "ChargeBecameBillable",
        (S.PLANNED, S.ABORTED): "ChargeAborted",
        (S.PLANNED, S.REVERSED): "ChargeReversed",
        # The performing department's word stands above a cancel or an abandon that crossed it on the way.
        (S.ABORTED, S.BILLABLE): "ChargeBecameBillable",
        (S.ABORTED, S.REVERSED): "ChargeReversed",
        (S.BILLABLE, S.DISPUTED): "LineDisputed",
        (S.DISPUTED, S.BILLABLE): "DisputeAnswered",
        (S.BILLABLE, S.REVERSED): "ChargeReversed",
        (S.DISPUTED, S.REVERSED): "ChargeReversed",
        (S.BILLABLE, S.COVERED): "ChargeCovered",
        (S.COVERED, S.BILLABLE): "ChargeReleased",
        (S.COVERED, S.SETTLED): "ChargeSettled",
        # Paid before it is done. Done while it is being paid, it is owed, and frozen all the same.
        (S.PLANNED, S.PREPAYING): "ChargeCovered",
        (S.PREPAYING, S.PLANNED): "ChargeReleased",
        (S.PREPAYING, S.COVERED): "ChargeBecameBillable",
        (S.PREPAYING, S.PREPAID): "ChargePrepaid",
        (S.PREPAID, S.SETTLED): "ChargeSettled",
        # Its money goes back at once; it is back when the line is refunded.
        (S.PREPAID, S.ABORTED): "ChargeAborted",
        (S.PREPAID, S.REVERSED): "ChargeReversed",
        (S.ABORTED, S.REFUNDED): "ChargeRefunded",
        (S.REVERSED, S.REFUNDED): "ChargeRefunded",
        # The department's word stands above that, too: it is owed once more.
        (S.REFUNDED, S.BILLABLE): "ChargeBecameBillable",
        (S.PLANNED, S.SETTLED_ELSEWHERE): "ChargeSettledElsewhere",
        (S.BILLABLE, S.SETTLED_ELSEWHERE): "ChargeSettledElsewhere",
        (S.DISPUTED, S.SETTLED_ELSEWHERE): "ChargeSettledElsewhere",
        (S.ABORTED, S.SETTLED_ELSEWHERE): "ChargeSettledElsewhere",
        (S.SETTLED_ELSEWHERE, S.REVERSED): "ChargeReversed",
        (S.SETTLED, S.REFUNDED): "ChargeRefunded",
        # The insurance's settlement it was paid in went back whole, because of another line.
        (S.SETTLED, S.BILLABLE): "ChargeOwedAgain",
    },
)

PILE: Mapping[str, Pile] = {
    S.PLANNED: "ordered",
    S.PREPAYING: "ordered",
    S.PREPAID: "ordered",
    S.BILLABLE: "done",
    S.DISPUTED: "done",
    S.COVERED: "done",
    S.SETTLED: "done",
    S.SETTLED_ELSEWHERE: "done",
    S.ABORTED: "cancelled",
    S.REVERSED: "cancelled",
    S.REFUNDED: "cancelled",
}

OWED = frozenset({S.BILLABLE, S.DISPUTED, S.COVERED})
GONE_LINE = frozenset({S.ABORTED, S.REVERSED, S.REFUNDED})
FROZEN = frozenset({S.COVERED, S.PREPAYING})
_PAID = frozenset({S.SETTLED, S.SETTLED_ELSEWHERE})


class RoundState(StrEnum):
    """Where one turn of paying stands."""

    INSURING = "insuring"  # the insurance is settling first; what remains in cash is not known yet
    OPEN = "open"
    CLOSING = "closing"  # being given up: nothing may begin, what is under way is closed first
    PAID = "paid"  # all of it is there, the hospital has not booked it yet (结算中)
    SETTLED = "settled"
    RELEASED = "released"  # came to nothing; what had been paid of it goes back


T = RoundState
ROUND = Lifecycle[RoundState](
    "Round of paying",
    {
        (None, T.OPEN): "RoundOpened",
        (None, T.INSURING): "RoundInsuring",
        (T.INSURING, T.OPEN): "RoundOpened",
        (T.INSURING, T.CLOSING): "RoundClosing",
        # The insurance paid all of it.
        (T.INSURING, T.PAID): "RoundPaid",
        (T.OPEN, T.PAID): "RoundPaid",
        (T.OPEN, T.CLOSING): "RoundClosing",
        (T.OPEN, T.RELEASED): "RoundReleased",
        # The last payers were quicker than the one who gave it up.
        (T.CLOSING, T.PAID): "RoundPaid",
        (T.CLOSING, T.RELEASED): "RoundReleased",
        (T.PAID, T.SETTLED): "RoundSettled",
    },
)
LIVE_ROUND = frozenset({T.INSURING, T.OPEN, T.CLOSING})
"""At most one of a visit; a unique index keeps it so."""


class Account(StrEnum):
    """The accounts of the ledger; a positive entry is a debit."""

    PATIENT = "patient"  # owed by the patient's side, in cash
    POOLED_FUND = "pooled_fund"
    PERSONAL_ACCOUNT = "personal_account"
    MUTUAL_AID = "mutual_aid"  # relatives' personal accounts
    INSURANCE_OTHER = "insurance_other"
    HOSPITAL_PART = "hospital_part"  # borne by the hospital itself in a settlement of the insurance
    CREDITOR = "creditor"  # owed by the patient's side, to the bank or insurer that carries it
    SUBSIDY = "subsidy"  # cannot be collected, and claimed from the treasury
    REVENUE = "revenue"
    CASH_WECHAT = "cash_wechat"
    CASH_COUNTER = "cash_counter"  # in the cashiers' drawers
    BANK_CARD = "bank_card"  # taken by the bank's terminals
    PAID_BY_HAND = "paid_by_hand"  # given back by finance where the provider could not
    ELSEWHERE = "elsewhere"  # paid at the hospital's own window
    SUSPENSE = "suspense"  # money on its way back to who paid it
    PREPAID = "prepaid"  # paid for what is not done yet: owed to who paid, until it is done or the money is back


class RefundWish(StrEnum):
    """Where a request to have paid lines paid back stands."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REFUSED = "refused"
    OVERTAKEN = "overtaken"  # the hospital took the lines back itself before anybody answered


W = RefundWish
REFUND_REQUEST = Lifecycle[RefundWish](
    "Refund request",
    {
        (None, W.REQUESTED): "RefundAsked",
        (W.REQUESTED, W.APPROVED): "RefundAgreed",
        (W.REQUESTED, W.REFUSED): "RefundDeclined",
        (W.REQUESTED, W.OVERTAKEN): "RefundOvertaken",
    },
)
ANSWER_AT_MOST = 200


class NotRefundableError(HoufuError):
    """A line that is not paid here, has gone back, or is being asked back already."""

    code = "line_not_refundable"
    kind = Kind.CONFLICT


class RefundReasonError(HoufuError):
    """A request, and a refusal of one, say why."""

    code = "refund_reason"


class OwnRequestError(HoufuError):
    """Whoever asked for money to go back does not approve it."""

    code = "own_request"
    kind = Kind.FORBIDDEN


class RequestAnsweredError(HoufuError):
    """Somebody has answered this request meanwhile."""

    code = "request_answered"
    kind = Kind.CONFLICT


TILLS: Mapping[str, Account] = {"CASH": Account.CASH_COUNTER, "CARD": Account.BANK_CARD}
"""Where money of a channel lies; of any other it lies at WeChat."""


def till_of(channel: str) -> Account:
    """The account that holds the money of a channel."""
    return TILLS.get(channel, Account.CASH_WECHAT)


class AmountChangedError(HoufuError):
    """The HIS sent a charge number again with other money; it has to reverse and charge anew."""

    code = "charge_amount_changed"
    kind = Kind.CONFLICT


class PaidTooMuchError(HoufuError):
    """The HIS says that more was paid for a line than it costs."""

    code = "paid_more_than_it_costs"
    kind = Kind.CONFLICT


OWED_IN = (Account.PATIENT, Account.CREDITOR, Account.SUBSIDY)
"""The accounts in which what the patient's side owes may stand; together they are exactly the lines that are owed."""


class Parts(NamedTuple):
    """Who bears a line, in fen: fund + account + other + own + hospital is its amount."""

    fund_fen: int
    account_fen: int
    other_fen: int
    self_fen: int
    hospital_fen: int = 0


def spread(final: Parts, estimates: Sequence[Parts]) -> list[Parts]:
    """A settlement's split over its lines; rows and columns add up exactly.

    Each part goes first where it was estimated, then to lines of which the insurance was to bear something at all, so
    that one it never pays does not seem to be paid by it.

    Raises:
        ValueError: the split and the lines are not the same total.
    """
    left = [sum(line) for line in estimates]
    if sum(left) != sum(final) or min(final, default=0) < 0:
        raise ValueError("the split is not that of these lines")
    made = [[0] * len(final) for _ in estimates]
    for part in (0, 1, 2, 4):  # what remains is the patient's own
        rest = final[part]
        insured = [fen if line.self_fen < sum(line) else 0 for fen, line in zip(left, estimates, strict=True)]
        for wanted in ([line[part] for line in estimates], insured, list(left)):
            for n, most in enumerate(wanted):
                fen = min(rest, most, left[n])
                made[n][part] += fen
                left[n] -= fen
                rest -= fen
    return [Parts(m[0], m[1], m[2], own, m[4]) for m, own in zip(made, left, strict=True)]


class NotCarriedError(HoufuError):
    """Nobody else can carry this debt: it is not due, is carried already, or is less than was named."""

    code = "debt_not_carried"
    kind = Kind.CONFLICT


class NothingPayableError(HoufuError):
    """There is nothing to pay now: all paid, being paid, or not done yet."""

    code = "nothing_payable"
    kind = Kind.CONFLICT


class NotDisputableError(HoufuError):
    """The line is not owed, so there is nothing to dispute."""

    code = "line_not_disputable"
    kind = Kind.CONFLICT


# A bill, or the part of it in one category, in fen; fund + account + hospital + self = done. ``first``: to be paid
# before it is done; ``prepaid``: paid, and not done yet. Both are the patient's own part, and neither is owed.
_DONE = ("done_fen", "fund_fen", "account_fen", "hospital_fen", "self_fen")
SUMS = (*_DONE, "payable_fen", "planned_fen", "paid_fen", "first_fen", "prepaid_fen")
# What of it is told to who neither pays nor acts for the patient. A settlement of the insurance is spread over all
# lines, hidden ones too, so such a viewer reads the hospital's own split, line by line.
_FAR = {"fund_fen": "far_fund_fen", "account_fen": "far_account_fen", "self_fen": "far_self_fen"}
PAYABLE_FIRST = frozenset({S.PLANNED, S.BILLABLE})
"""Where a line that is to be paid first can be paid: nobody has done it yet, or the department did not wait."""


class Money(NamedTuple):
    """What the sums need of a line."""

    state: str
    category: str | None
    amount_fen: int
    fund_fen: int
    account_fen: int
    self_fen: int
    hospital_fen: int
    here: bool  # payable through Houfu: the visit is post-pay and the line is not excluded
    estimate: tuple[int, int, int]  # fund, account, self as the hospital had split it, whatever the insurance did


class Turn(NamedTuple):
    """The live round in two amounts (fen): what nobody is paying yet, and what has come."""

    left_fen: int
    paid_fen: int


def sums_by_category(lines: Iterable[Money]) -> dict[str, dict[str, int]]:
    """Sums per category ("" for what is not sensitive)."""
    found: dict[str, dict[str, int]] = {}
    for state, category, amount, fund, account, own, hospital, here, estimate in lines:
        part = found.get(category or "")
        if part is None:
            part = found[category or ""] = dict.fromkeys((*SUMS, *_FAR.values()), 0)
        pile = PILE[state]
        if pile == "ordered":
            part["planned_fen"] += amount
            if state == S.PREPAID:
                part["prepaid_fen"] += own
            elif state == S.PLANNED and not here:
                part["first_fen"] += own
        elif pile == "done":
            part["done_fen"] += amount
            part["fund_fen"] += fund
            part["account_fen"] += account
            part["self_fen"] += own
            part["hospital_fen"] += hospital
            for name, fen in zip(_FAR.values(), estimate, strict=True):
                part[name] += fen
            if state in _PAID:
                part["paid_fen"] += own
            elif state == S.BILLABLE:
                part["payable_fen" if here else "first_fen"] += own
    return found


def seen_sums(sums: Mapping[str, Mapping[str, int]], view: View, turn: Iterable[int] | None) -> dict[str, int]:
    """The sums a view is told: its categories only, but a payer the whole payable total.

    While a round lives (``turn``: ``Turn``'s two amounts) it is what is left of it that can be paid, and later lines
    wait. Who neither pays nor acts for the patient is told what was done and what is ordered, and nothing of paying:
    when a free line is booked, and how the insurance's money is spread, depends on lines they may not know of.
    """
    made = dict.fromkeys(SUMS, 0)
    known = [part for key, part in sums.items() if view.sees(Depth.BILL, key or None)]
    if not knows_mode(view):
        for part in known:
            for name in ("done_fen", "planned_fen"):
                made[name] += part[name]
            for name, far in _FAR.items():
                made[name] += part[far]
        return made
    for part in known:
        for name in SUMS:
            made[name] += part[name]
    if view.pays:
        made["payable_fen"] = sum(part["payable_fen"] for part in sums.values())
    if turn is not None:
        left, paid = turn
        made["payable_fen"] = left
        made["paid_fen"] += paid if view.owner or view.staff else 0
        made["first_fen"] = 0
    return made


def knows_mode(view: View) -> bool:
    """Whether a view may know what is paid before it is done; the others cannot tell the two ways of paying apart."""
    return view.owner or view.pays or view.staff


def seen_line(line: Mapping[str, Any], view: View) -> dict[str, Any]:
    """A line as this view sees it; what can be done with it is told to the patient's side alone.

    Who neither pays nor acts for the patient is told whether it was done, and the hospital's own split of it.
    """
    made = dict(line)
    if not knows_mode(view):
        made["pay_first"] = made["going_back"] = False
        gone = S.REVERSED if made["executed_at"] else S.ABORTED
        made["state"] = {"ordered": S.PLANNED, "done": S.BILLABLE}.get(made["pile"], gone).value
        made.update(made["estimate"] or {}, estimate=None, hospital_fen=0)
    if not view.owner:
        made.update(category=None, can_dispute=False, can_abandon=False, can_refund=False, refund=None, order_id=None)
    return made


def see_bill(row: Row, view: View) -> dict[str, Any] | None:
    """What of a ``bill.line`` row a view sees: the line and sums, only the payable total (a payer), or nothing."""
    sums = seen_sums(row.payload["sums"], view, row.payload["turn"])
    if row.audience is Audience.PAYERS and not knows_mode(view):
        return None
    if view.shows(Audience.BILL, row.category):
        return {"line": seen_line(row.payload["line"], view), "sums": sums}
    return {"sums": sums} if view.pays else None


def see_payment(row: Row, view: View) -> dict[str, Any] | None:
    """What of a ``payment`` row a view sees: the patient's side and payers the payment, who sees the bill its sums."""
    sums = seen_sums(row.payload["sums"], view, row.payload["turn"])
    if view.shows(Audience.PAYERS, None):
        payment = dict(row.payload["payment"])
        own = payment.pop("owner_label", None)
        if view.owner and own:
            payment["payer_label"] = own  # the patient reads 您女儿 where others read 女儿
        return {"payment": payment, "sums": sums, "round": seen_round(row.payload["round"], view)}
    return None


def seen_round(told: Mapping[str, Any] | None, view: View) -> dict[str, Any] | None:
    """A live round as a payer, the patient's side or staff see it: each share with its one label."""
    if told is None:
        return None
    shares = []
    for share in told["shares"]:
        shown = {name: share[name] for name in ("number", "amount_fen", "state")}
        shares.append({**shown, "label": share["owner_label" if view.owner else "family_label"]})
    # What the insurance bears is part of the bill: a payer who is told totals only is told none of it.
    parts = told.get("parts") if view.owner or view.staff else None
    return {**told, "shares": shares, "parts": parts}
