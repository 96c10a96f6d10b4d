"""The tables of a day's export: the totals, the worklist, every payment as each side has it, the sides' own lines."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from kernel.db import Tx
from payments.rules.reconciling import About, Side
from payments.service.books import Item
from payments.service.reconciling import DayBook
from payments.service.worklist import Difference
from people.service import patients, staff
from pwa.books_files import Cell, Sheet, moment
from pwa.books_views import LedgerAccount
from visits.service.reading import visit_of
from words.books import Books, Export
from words.pay import Receipt

Names = Mapping[UUID, tuple[str, str]]
"""Visit → the patient's name and the visit's number."""


async def names_of(tx: Tx, visits: Sequence[UUID | None]) -> Names:
    """Whose visits these are."""
    found = {}
    for visit_id in dict.fromkeys(v for v in visits if v is not None):
        visit = await visit_of(tx, visit_id)
        if visit is not None:
            patient = await patients.by_id(tx, visit.patient_id)
            found[visit_id] = (patients.name_of(tx, patient), visit.number)
    return found


async def worklist(tx: Tx, lines: Sequence[Difference], names: Names) -> Sheet:
    """The differences, open and closed."""
    rows = []
    for line in lines:
        why, todo = Books.why(line.cause)
        patient, number = names.get(line.visit_id, ("", "")) if line.visit_id else ("", "")
        by = await staff.name_of(tx, line.closed_by) if line.closed_by else ""
        explained = line.closed_reason or ""
        if line.closed_at is not None and line.closed_by is None:
            by, explained = Export.itself, Books.by_itself
        rows.append(
            (
                line.day.isoformat(),
                Export.states[line.state],
                Export.about[line.about],
                Books.what(line.about, line.kind),
                line.amount_fen,
                line.here_fen,
                line.there_fen,
                line.number,
                line.payment,
                line.reference,
                patient,
                number,
                why,
                todo,
                moment(line.found_at),
                moment(line.closed_at),
                by,
                explained,
            )
        )
    return Sheet(Export.worklist, Export.worklist_head, rows)


def every(items: Sequence[Item], names: Names) -> Sheet:
    """Each payment and refund with what every side says of it."""
    rows = []
    for item in items:
        thing = item.thing
        patient, number = names.get(item.visit_id, ("", "")) if item.visit_id else ("", "")
        rows.append(
            (
                moment(item.at),
                Export.about[thing.about],
                thing.number,
                thing.payment,
                item.reference,
                patient,
                number,
                Receipt.ways.get(item.way, item.way),
                thing.state,
                thing.here,
                thing.ledger,
                thing.provider,
                thing.told,
                thing.his,
            )
        )
    return Sheet(Export.rows, Export.rows_head, rows)


def side(items: Sequence[Item], which: Side, name: str) -> Sheet:
    """One side's own lines as they were fetched."""
    rows = [
        (
            moment(row.at),
            Export.about[About(row.about)],
            row.number,
            row.payment,
            row.reference,
            row.amount_fen,
            row.state,
        )
        for item in items
        for row in item.rows.get(which, [])
    ]
    return Sheet(name, Export.side_head, rows)


def totals(day: DayBook) -> Sheet:
    """What each side adds up to."""
    rows: list[Sequence[Cell]] = []
    for name, label in Books.sides.items():
        part = day.totals.get(name)
        if part is not None:
            rows.append((label, part["paid"], part["back"], part["paid"] - part["back"], part["count"]))
    return Sheet(Export.totals, Export.totals_head, rows, frozenset({4}))


def ledger(accounts: Sequence[LedgerAccount]) -> Sheet:
    """The movements of each account."""
    rows = [(a.name, a.debit_fen, a.credit_fen, a.net_fen) for a in accounts]
    return Sheet(Export.ledger, Export.ledger_head, rows)
