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
