"""Who bears a line: the estimate, the insurance's split in its place, and the estimate again."""

from collections.abc import Sequence

from billing.models import ChargeItem
from billing.rules import Account, Parts


def parts_of(lines: Sequence[ChargeItem]) -> list[Parts]:
    """Who bears each line."""
    return [Parts(c.fund_fen, c.account_fen, c.other_fen, c.self_fen, c.hospital_fen) for c in lines]


def estimated(lines: Sequence[ChargeItem], mutual_aid_fen: int) -> dict[Account, int]:
    """Give lines the insurance has paid their estimate back; the entries that make paid lines owed ones.

    Whatever line the mutual aid was spread to: lines taken back have left all of it to these entries.
    """
    now = Parts(*(sum(column) for column in zip(*parts_of(lines), strict=True))) if lines else Parts(0, 0, 0, 0)
    for charge in lines:
        restore(charge)
    again = Parts(*(sum(column) for column in zip(*parts_of(lines), strict=True))) if lines else Parts(0, 0, 0, 0)
    return {
        Account.POOLED_FUND: again.fund_fen - now.fund_fen,
        Account.PERSONAL_ACCOUNT: again.account_fen - (now.account_fen - mutual_aid_fen),
        Account.MUTUAL_AID: -mutual_aid_fen,
        Account.INSURANCE_OTHER: again.other_fen - now.other_fen,
        Account.HOSPITAL_PART: again.hospital_fen - now.hospital_fen,
        Account.PATIENT: again.self_fen,
        Account.SUSPENSE: -now.self_fen,
    }


def restore(charge: ChargeItem) -> None:
    """A line the insurance paid bears the HIS's estimate again."""
    was = charge.estimate
    if was is not None:
        charge.fund_fen, charge.account_fen, charge.self_fen = was["fund_fen"], was["account_fen"], was["self_fen"]
        charge.other_fen, charge.hospital_fen, charge.estimate = 0, 0, None


def paid_apart(charge: ChargeItem, paid_fen: int) -> dict[Account, int]:
    """At its window the hospital reckoned a line otherwise than estimated: what the patient paid there is her part.

    Nobody tells who bears the rest: less for her is more for others of the insurance, and what she paid more is taken
    from these, the fund and her account in this order.

    Returns: the entries that make the line's owed parts these ones.
    """
    was = parts_of([charge])[0]
    charge.estimate = charge.estimate or {
        "fund_fen": was.fund_fen,
        "account_fen": was.account_fen,
        "self_fen": was.self_fen,
    }
    more = paid_fen - was.self_fen
    charge.self_fen = paid_fen
    for name in ("other_fen", "fund_fen", "account_fen", "hospital_fen"):
        taken = min(more, getattr(charge, name))  # below zero: all of it is given to the first
        setattr(charge, name, getattr(charge, name) - taken)
        more -= taken
    now = parts_of([charge])[0]
    return {
        Account.PATIENT: now.self_fen - was.self_fen,
        Account.INSURANCE_OTHER: now.other_fen - was.other_fen,
        Account.POOLED_FUND: now.fund_fen - was.fund_fen,
        Account.PERSONAL_ACCOUNT: now.account_fen - was.account_fen,
        Account.HOSPITAL_PART: now.hospital_fen - was.hospital_fen,
    }
