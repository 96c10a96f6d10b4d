"""What lies in the cashiers' drawers against what the hospital's system was told came over the counter."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from sandbox.rehearsal.desk import Movement
from sandbox.rehearsal.verdict import Json

COUNTER = frozenset({"CASH", "CARD"})


def at_till(settlement: Json) -> list[Json]:
    """The payments of a settlement that lie at the till; the others came over the counter."""
    return [one for one in settlement["payments"] if one.get("way") not in COUNTER]


def judge_drawers(
    till: Json,
    settlements: Mapping[str, Json],
    refunds: Iterable[Json],
    moved: Iterable[Movement],
    whose: Callable[[Json], str],
) -> tuple[int, list[str]]:
    """Patient by patient: what till and drawers kept is what the hospital booked, and each payment of it was made.

    Args:
        whose: the patient number of a settlement.

    Returns: (fen that differ, what differs); patients of whom nothing came over a counter are left to the till.
    """
    taken: dict[str, Counter[tuple[str, int]]] = {}
    kept: Counter[str] = Counter()
    slips: dict[str, int] = {}
    for one in moved:
        kept[one.patient] += one.fen
        if one.fen > 0:
            taken.setdefault(one.patient, Counter())[one.way, one.fen] += 1
            slips |= {one.slip: one.fen} if one.slip else {}
    at_the_till, booked = _balances(till, settlements, refunds, whose)
    named: dict[str, Counter[tuple[str, int]]] = {}
    off, said = 0, list[str]()
    for number, data in settlements.items():
        for paid in (one for one in data["payments"] if one.get("way") in COUNTER):
            named.setdefault(whose(data), Counter())[paid["way"], paid["amount_fen"]] += 1
            if paid["way"] == "CARD" and paid["amount_fen"] != _of_slip(slips, paid["transaction"]):
                off += paid["amount_fen"]
                said.append(f"{number} names a slip nobody has: {paid}")
    for patient in taken.keys() | named.keys():
        strange = named.get(patient, Counter()) - taken.get(patient, Counter())
        fen = sum(amount * times for (_, amount), times in strange.items())
        fen += abs(kept[patient] + at_the_till[patient] - booked[patient])
        off += fen
        if fen:
            there = f"drawers keep {kept[patient]}, the till {at_the_till[patient]}"
            said.append(f"{patient}: {there}, the hospital booked {booked[patient]}; never taken: {dict(strange)}")
    return off, said


def _balances(
    till: Json, settlements: Mapping[str, Json], refunds: Iterable[Json], whose: Callable[[Json], str]
) -> tuple[Counter[str], Counter[str]]:
    """By patient: what the till kept of their settlements, and what the hospital booked of them less paid back."""
    back: Counter[str] = Counter()
    for refund in till["refunds"]:
        back[refund["out_trade_no"]] += refund["amount"] if refund["status"] == "SUCCESS" else 0
    payments = {one["transaction_id"]: one["total"] - back[one["out_trade_no"]] for one in till["payments"]}
    kept, booked = Counter[str](), Counter[str]()
    for data in settlements.values():
        booked[whose(data)] += data["total_fen"]
        kept[whose(data)] += sum(payments.get(one["transaction"], 0) for one in at_till(data))
    for data in refunds:
        booked[whose(settlements[data["settlement_no"]])] -= data["total_fen"]
    return kept, booked


def _of_slip(slips: Mapping[str, int], transaction: str) -> int | None:
    return next((fen for slip, fen in slips.items() if transaction.endswith(f"-{slip}")), None)
