"""What every phone must have been told, by what the hospital's system sent and holds, and what it must not be told.

Nothing here asks Houfu anything: the facts come from the hospital's books, the screens from the phones.
"""

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from sandbox.his.books import Books, Encounter
from sandbox.his.catalogue import Department
from sandbox.rehearsal.phones import Following, Screen

Json = dict[str, Any]
Fact = tuple[object, ...]
"""``("line", name, amount, fund, account, self, where it stands)`` or ``("step", name, kind, state, flag)``."""
Key = tuple[str, str, str]
"""An event by its type, its encounter, and its own number where it has one."""
_MONEY = frozenset({"sums", "line", "payment", "busy", "due_at"})


class Truth:
    """The hospital's day as phones must know it.

    Args:
        departments: code → department, for its sensitive category.
    """

    def __init__(self, books: Books, departments: Mapping[str, Department]) -> None:
        self.books, self.departments = books, departments

    def hidden(self, enc: Encounter, order_no: str | None) -> bool:
        """Whether it is of a sensitive category, or of an encounter that is: no relative here was let see those."""
        if self.departments[enc.started["department"]].sensitive:
            return True
        if order_no is None:
            return False
        order = enc.orders[order_no]
        return bool(order.get("category") or self.departments[order["department"]].sensitive)

    def lines(self, encounters: Iterable[str], all_of_it: bool = True) -> Counter[Fact]:
        """Every line with its amounts and where it stands: done, paid, at the window, ordered or cancelled."""
        found: Counter[Fact] = Counter()
        for no in encounters:
            enc, bill = self.books.encounters[no], self.books.right_bill(no)
            piles = {
                "done": {**bill.payable, **bill.excluded},
                "ordered": bill.planned,
                "cancelled": bill.gone,
                "window": bill.at_window,
            }
            for pile, amounts in piles.items():
                for number in amounts:
                    charge = enc.charges[number]
                    if all_of_it or not self.hidden(enc, charge.get("order_no")):
                        stands = "paid" if pile == "done" and number in self.books.settled else pile
                        found[_line(charge["name"], charge["amount_fen"], self.books.split(number), stands)] += 1
        return found

    def steps(self, encounters: Iterable[str], all_of_it: bool = True, reports: bool | None = None) -> Counter[Fact]:
        """Every order with its state and the flag of its report.

        Args:
            all_of_it: what is under a sensitive category, too.
            reports: whether they are seen; None: only where all of it is.
        """
        told = all_of_it if reports is None else reports
        found: Counter[Fact] = Counter()
        for no in encounters:
            enc = self.books.encounters[no]
            came = {r["order_no"]: r for r in enc.results.values()}
            for number, order in enc.orders.items():
                if all_of_it or not self.hidden(enc, number):
                    report = came.get(number) if told else None
                    state = self._state(enc, number, report)
                    found["step", order["name"], order["kind"], state, report and report["flag"]] += 1
        return found

    def _state(self, enc: Encounter, order: str, report: Json | None) -> str:
        if self.books.is_performed(enc, order):
            return "result" if report is not None and report["status"] in ("final", "amended") else "performed"
        return "cancelled" if order in enc.cancelled else "placed"

    def performed_by(self, encounters: Iterable[str], heard: Mapping[Key, float], until: float) -> Counter[Fact]:
        """(name, kind) of every order, open to all, whose beginning and doing Houfu had accepted by a moment.

        Args:
            heard: key of an event (``key_of``) → when Houfu first accepted it.
        """
        done: set[str] = set()
        found: Counter[Fact] = Counter()
        for no in encounters:
            enc = self.books.encounters[no]
            for execution in enc.executions:
                order = execution.get("order_no")
                if order is None or order in done or self.hidden(enc, order):
                    continue
                needed = (
                    ("encounter.started", no, ""),
                    ("order.placed", no, order),
                    ("execution.confirmed", no, execution["execution_no"]),
                )
                if all(heard.get(one, until + 1) <= until for one in needed):
                    done.add(order)
                    found["step", enc.orders[order]["name"], enc.orders[order]["kind"], "performed", None] += 1
        return found

    def secret_names(self, encounters: Iterable[str]) -> set[str]:
        """Names that occur in a visit only under a sensitive category: no relative may read them."""
        secret, open_to_all = set[str](), set[str]()
        for no in encounters:
            enc = self.books.encounters[no]
            for number, order in enc.orders.items():
                (secret if self.hidden(enc, number) else open_to_all).add(order["name"])
            for charge in enc.charges.values():
                (secret if self.hidden(enc, charge.get("order_no")) else open_to_all).add(charge["name"])
        return secret - open_to_all


class Heard:
    """When Houfu first took each event for a fact, as the hospital's system heard it.

    ``at``: by key. ``ended``: encounter → when Houfu accepted that it is over.
    """

    def __init__(self, books: Books, now: Callable[[], float]) -> None:
        self.at: dict[Key, float] = {}
        self.ended: dict[str, float] = {}
        self._now = now
        books.heard = self._hear

    def _hear(self, item: Json, answer: Json) -> None:
        if answer["status"] != "accepted":
            return
        data, subject = item["data"], item["subject"]
        number = data.get("execution_no") or data.get("order_no") or ""
        self.at.setdefault((item["type"], subject, str(number)), self._now())
        over = item["type"] == "encounter.finished" or data.get("encounter", {}).get("finished_at")
        if over:
            self.ended.setdefault(subject, self._now())


def _line(name: str, amount: int, split: Mapping[str, int], stands: str) -> Fact:
    return ("line", name, amount, split["fund_fen"], split["account_fen"], split["self_fen"], stands)


def on_screen(screen: Screen, kind: str, only: Collection[str] | None = None) -> Counter[Fact]:
    """The same facts as a screen shows them.

    Args:
        kind: ``line`` or ``step``.
        only: ids of rows to look at; None: all.
    """
    rows = (screen.lines if kind == "line" else screen.steps).items()
    read = _line_of if kind == "line" else _step_of
    return Counter(read(row) for key, row in rows if only is None or key in only)


def _line_of(row: Json) -> Fact:
    stands = {"settled_elsewhere": "window", "settled": "paid"}.get(row["state"], row["pile"])
    return _line(row["name"], row["amount_fen"], row, str(stands))


def _step_of(row: Json) -> Fact:
    state = "placed" if row["state"] in ("called", "checked_in") else row["state"]
    return ("step", row["name"], row["kind"], state, row["result_flag"])


def leaks(watched: Following, secret: set[str]) -> list[str]:
    """What a relative's phone was told that it must not know, over all rows that came and the page as it stands."""
    shown = [json.dumps(list(part.values()), ensure_ascii=False, default=str) for part in _page(watched)]
    found = []
    for text in (*watched.raw, *shown):
        found += [f"{name} in {text[:200]}" for name in secret if json.dumps(name, ensure_ascii=False) in text]
    if watched.sees in ("steps", "bill"):
        found += [f"a report in {row}" for row in watched.screen.steps.values() if row["result_flag"] is not None]
    if watched.sees == "steps":
        found += [f"money in {raw[:200]}" for raw in watched.raw if _tells_money(json.loads(raw)["data"])]
        visits = [json.loads(raw)["data"].get("visit") for raw in watched.raw]
        found += [f"how it is paid in {visit}" for visit in visits if visit and visit["mode"] != "DEFERRED"]
    return found


def _page(watched: Following) -> tuple[Json, Json]:
    return watched.screen.lines, watched.screen.steps


def _tells_money(value: object) -> bool:
    if isinstance(value, dict):
        return any(
            (key in _MONEY and part is not None) or key.endswith("_fen") or _tells_money(part)
            for key, part in value.items()
        )
    return isinstance(value, list) and any(map(_tells_money, value))
