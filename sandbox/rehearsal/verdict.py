"""What is right and what is wrong at the end, by what the hospital's system sent and holds and what the till holds."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sandbox.his.books import Books, RightBill
from sandbox.rehearsal.ways import ALWAYS_FROM

Json = dict[str, Any]
_WINDOW = "settled_elsewhere"


@dataclass(slots=True)
class Verdict:
    """The end of a rehearsal.

    Attributes:
        pushes_expected: facts of the hospital's and the till's books that no page had shown before they came true,
            so that a phone could only know them by a push; ``pushes_seen`` those that stand on it because one came.
        pushes_lost: such facts missing on a phone, and rows that a second reading of the stream says and the phone
            did not get; ``pushes_doubled``: rows got twice, and moments that sent rows of which none said
            anything new (what was taken twice is told twice).
        push_p50_ms: from the moment the house took the fact (the row's own time) until a phone that was listening
            had read it; ``push_p99_ms`` likewise. Whatever else ran on the machine is in it.
        bill_mismatch_fen: by how much bills differ from the hospital's books, line by line and sum by sum.
        ledger_imbalance_fen: None where the ledger could not be looked at.
        reconcile_difference_fen: what Houfu's own comparison of the day's books (the till's bill, its ledger, the
            hospital's settlement list) finds, asked by its finance department; None where nobody of it could log in.
        insurance_mismatch_fen: what the insurer's books hold, paid less given back, against what the hospital's system
            was told, order by order; None where nobody could ask the insurance.
        drawer_mismatch_fen: the drawers as the cashiers counted them against what the house thinks is in them, and
            what came over the counter against what the hospital booked; None where there was no cashier.
        ways: each way to pay that the house offers, and how often it was played (``sandbox.rehearsal.ways``).
        people: patients, those who stand for them, relatives, and strangers who paid by a link.
        elders: patients without a phone, for whom a daughter does it all; ``wards``: adults who cannot act, for whom a
            guardian stands. ``families_wrong``: what one of those, a child, or a payer who was shut out could not do
            and should, or could and should not.
        withdrawn: relatives whom the patient shut out while they followed a visit; ``strangers``: pay links paid by
            somebody nobody knows; ``limits_held``: presses refused because a payer had set a limit.
        leaks: things a relative's phone or a stranger was told that its owner was not let see.
        unjudged: what could not be judged in this rehearsal, and why.
    """

    visits: int = 0
    events_sent: int = 0
    pushes_expected: int = 0
    pushes_seen: int = 0
    pushes_lost: int = 0
    pushes_doubled: int = 0
    push_p50_ms: float = 0.0
    push_p99_ms: float = 0.0
    bill_mismatch_fen: int = 0
    ledger_imbalance_fen: int | None = 0
    reconcile_difference_fen: int | None = 0
    insurance_mismatch_fen: int | None = 0
    drawer_mismatch_fen: int | None = 0
    payments_doubled: int = 0
    his_mismatch: int = 0
    payments: int = 0
    refunds: int = 0
    signed: int = 0
    abandoned: int = 0
    people: int = 0
    people_per_patient: float = 0.0
    relatives: int = 0
    withdrawn: int = 0
    strangers: int = 0
    limits_held: int = 0
    children: int = 0
    elders: int = 0
    wards: int = 0
    families_wrong: int = 0
    leaks: int = 0
    forged_refused: int = 0
    shared: int = 0  # bills cut into shares
    spoilt_refused: int = 0
    rows_seen: int = 0
    broke_off: str = ""
    ways: dict[str, int] = field(default_factory=dict)
    unjudged: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> dict[str, int | None]:
        """What must be 0; None: could not be judged."""
        return {
            "pushes_lost": self.pushes_lost,
            "pushes_doubled": self.pushes_doubled,
            "bill_mismatch_fen": self.bill_mismatch_fen,
            "ledger_imbalance_fen": self.ledger_imbalance_fen,
            "reconcile_difference_fen": self.reconcile_difference_fen,
            "insurance_mismatch_fen": self.insurance_mismatch_fen,
            "drawer_mismatch_fen": self.drawer_mismatch_fen,
            "payments_doubled": self.payments_doubled,
            "his_mismatch": self.his_mismatch,
            "leaks": self.leaks,
            "families_wrong": self.families_wrong,
        }

    @property
    def ok(self) -> bool:
        """Only if all is right, and something was there to be right."""
        there = self.visits > 0 and self.events_sent > 0 and self.pushes_seen > 0
        return there and not self.broke_off and not self.unplayed and not any(self.wrong.values())

    @property
    def unplayed(self) -> list[str]:
        """Ways the house offers that nobody went, though enough patients came to go each."""
        return [way for way, times in self.ways.items() if not times] if self.visits >= ALWAYS_FROM else []

    def note(self, text: str) -> None:
        """Say what is wrong, for whoever looks for the cause."""
        if len(self.notes) < 50:
            self.notes.append(text)

    def wrong_his(self, texts: Iterable[str]) -> None:
        """So many things do not fit between Houfu and the outside world."""
        for text in texts:
            self.his_mismatch += 1
            self.note(text)

    def json(self) -> str:
        """For machines."""
        return json.dumps({"ok": self.ok, **asdict(self)}, ensure_ascii=False, indent=1)


def percentiles(values: Iterable[float]) -> tuple[float, float]:
    """p50 and p99; zeros when there is nothing."""
    ordered = sorted(values)
    if not ordered:
        return 0.0, 0.0
    return tuple(round(ordered[min(len(ordered) - 1, int(len(ordered) * part))], 1) for part in (0.5, 0.99))  # type: ignore[return-value]


def expected_lines(books: Books, bills: Sequence[RightBill]) -> Counter[tuple[str, str, int]]:
    """(pile, name, amount) of every line a patient's bills must show; lines paid at the window stand apart."""
    found: Counter[tuple[str, str, int]] = Counter()
    for bill in bills:
        charges = books.encounters[bill.encounter].charges
        piles: Mapping[str, Mapping[str, int]] = {
            "done": {**bill.payable, **bill.excluded},
            "ordered": bill.planned,
            "cancelled": bill.gone,
            _WINDOW: bill.at_window,
        }
        for pile, amounts in piles.items():
            found.update((pile, charges[no]["name"], fen) for no, fen in amounts.items())
    return found


def shown_lines(bills: Sequence[Json]) -> Counter[tuple[str, str, int]]:
    """The same of what Houfu shows."""
    return Counter(
        (_WINDOW if line["state"] == _WINDOW else line["pile"], line["name"], line["amount_fen"])
        for bill in bills
        for line in bill["lines"]
    )


def bill_mismatch(
    books: Books, right: Sequence[RightBill], shown: Sequence[Json], settled: set[str]
) -> tuple[int, str]:
    """How many fen one patient's bills are off, line by line and in their sums; and what differs.

    Args:
        settled: charges paid through Houfu and known so to the hospital's system.
    """
    lines, expected = shown_lines(shown), expected_lines(books, right)
    differ = (lines - expected) + (expected - lines)
    off = sum(fen * times for (_, _, fen), times in differ.items()) + sum(differ.values())
    said: Counter[str] = Counter()
    for page in shown:
        said.update(page["sums"])
    want: Counter[str] = Counter()
    for bill in right:
        charges = books.encounters[bill.encounter].charges
        fits = books.encounters[bill.encounter].mode == "DEFERRED"
        done = [*bill.payable, *bill.excluded, *bill.at_window]
        want["done_fen"] += sum(charges[no]["amount_fen"] for no in done)
        want["planned_fen"] += sum(bill.planned.values())
        for part in ("fund_fen", "account_fen", "self_fen"):
            want[part] += sum(books.split(no)[part] for no in done)
        own = {no: books.split(no)["self_fen"] for no in charges}
        first = [*bill.planned, *bill.payable, *bill.excluded]
        excluded = books.encounters[bill.encounter].excluded
        want["first_fen"] += sum(own[no] for no in first if no not in settled and (not fits or no in excluded))
        want["prepaid_fen"] += sum(own[no] for no in bill.planned if no in settled)
        owed = [no for no in bill.payable if no not in settled]
        want["payable_fen"] += sum(books.split(no)["self_fen"] for no in owed) if fits else 0
        paid = [*bill.at_window, *(no for no in done if no in settled)]
        want["paid_fen"] += sum(books.split(no)["self_fen"] for no in paid)
    wrong = {name: (said[name], want[name]) for name in want | said if said[name] != want[name]}
    off += sum(abs(a - b) for a, b in wrong.values())
    return off, f"lines {dict(differ)} sums {wrong}" if off else ""


def moment(text: object) -> object:
    """An ISO moment as a moment, anything else as it is: two ways of writing the same time are equal."""
    if isinstance(text, str) and len(text) >= 19 and text[4:5] == "-" and "T" in text:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            return text
    return text


def plain(row: Mapping[str, Any], leave_out: frozenset[str] = frozenset()) -> Json:
    """A row with its moments made comparable."""
    return {name: moment(value) for name, value in row.items() if name not in leave_out}
