"""The hospital system's day list of what it booked of Houfu's payments, and how to get one line of it wrong.

Made from the system's own books, never from what Houfu says now; ``docs/his.md``, "Questions out".
"""

from datetime import date, datetime

from kernel.clock import china_day
from sandbox.his.books import Books
from sandbox.his.wire import Json

PAGE = 1000


def listed(books: Books, day: date) -> list[Json]:
    """Every settlement and refund entered on this day in China, in the order entered."""
    found = [_settled(books, data) for data in books.settlements.values()]
    found += [_refunded(books, data) for data in books.refunds.values()]
    found = [line for line in found if china_day(datetime.fromisoformat(line["booked_at"])) == day]
    return sorted(found, key=lambda line: (datetime.fromisoformat(line["booked_at"]), line["number"]))


def spoilt(lines: list[Json], how: str, at: str) -> list[Json]:
    """Get one line with money in it wrong.

    Args:
        how: ``missing`` (the first), ``extra`` (one nobody told us of, dated ``at``), ``differing`` (by one fen),
            ``insured`` (a fen of the fund's of the first that has any is the account's), ``uninsured`` (says nothing
            of the insurance).
    """
    if how == "uninsured":
        return [{name: value for name, value in line.items() if name != "insurance"} for line in lines]
    if how == "insured":
        return _insured(lines)
    first = next((n for n, line in enumerate(lines) if line["total_fen"]), None)
    if how == "extra":
        odd = {"kind": "settle", "number": "HF0000EXTRA", "settlement_no": "HF0000EXTRA", "total_fen": 1234}
        return [*lines, {**odd, "charges": [], "payments": [{"transaction": "4200EXTRA"}], "booked_at": at}]
    if first is None:
        return lines
    if how == "missing":
        return [*lines[:first], *lines[first + 1 :]]
    wrong = {**lines[first], "total_fen": lines[first]["total_fen"] + 1}
    return [*lines[:first], wrong, *lines[first + 1 :]]


def _insured(lines: list[Json]) -> list[Json]:
    which = next((n for n, line in enumerate(lines) if line["insurance"]), None)
    if which is None:
        return lines
    first, *others = lines[which]["insurance"]
    wrong = first | {"fund_fen": first["fund_fen"] - 1, "account_fen": first["account_fen"] + 1}
    return [*lines[:which], lines[which] | {"insurance": [wrong, *others]}, *lines[which + 1 :]]


def page(lines: list[Json], after: str | None, size: int = PAGE) -> Json:
    """One page; ``after`` is the ``next`` of the page before.

    Raises:
        ValueError: it never was one.
    """
    start = int(after or 0)
    rest = {} if start + size >= len(lines) else {"next": str(start + size)}
    return {"items": lines[start : start + size], **rest}


def _settled(books: Books, data: Json) -> Json:
    number = data["settlement_no"]
    same = {name: data[name] for name in ("settlement_no", "total_fen", "charges", "payments", "insurance")}
    return {"kind": "settle", "number": number, **same, "booked_at": books.booked_at[number]}


def _refunded(books: Books, data: Json) -> Json:
    number, whole = data["refund_no"], books.settlements[data["settlement_no"]]
    same = {name: data[name] for name in ("settlement_no", "total_fen", "charges")}
    return {
        "kind": "refund",
        "number": number,
        **same,
        "payments": whole["payments"],
        "insurance": data.get("insurance", []),
        "booked_at": books.booked_at[number],
    }
