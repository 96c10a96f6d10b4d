"""The books for the finance department, of their own hospital: the days, the worklist of one, its files."""

from datetime import date, timedelta
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from billing.service import books as ledger_books
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import HoufuError, NotFoundError
from payments.flows.reconciling import reconcile
from payments.rules.reconciling import NoReasonError, Side, SideState, day_of
from payments.service import reconciling, worklist
from payments.service.reconciling import DayBook, Item
from payments.service.worklist import Difference
from people.rules import Actor
from people.service import hospitals, staff
from pwa import books_sheets as sheets
from pwa.answer import go, show
from pwa.books_files import as_csv, as_xlsx
from pwa.books_views import BookDay, BookLine, DeskBook, DeskBooks, LedgerAccount, Light
from pwa.urls import Urls
from words import errors
from words.books import Books as Words
from words.books import Export

router = APIRouter(include_in_schema=False)

_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def light_of(day: DayBook) -> tuple[Light, str]:
    """How a day ended: in a word for the tag, and in a sentence."""
    if day.open:
        return "open", Words.differs(day.open_fen, day.open)
    missing = [s for s, state in day.sides.items() if state is not SideState.THERE]
    if missing:
        return "partly", "；".join(f"{Words.sides[s]}{Words.states[day.sides[s]]}" for s in missing)
    return ("explained", Words.results["explained"]) if day.diff_fen else ("right", Words.results["right"])


def _day(day: DayBook) -> BookDay:
    light, says = light_of(day)
    return BookDay(day.day, light, says, day.totals, Urls.desk_book(day.day))


# ------------------------------------------------------------------------------------------------------------- days


async def _days(request: Request, tx: Tx, caller: Actor, error: str | None = None, status: int = 200) -> Response:
    hospital = await hospitals.by_id(tx, worklist.check_finance(caller))
    today = china_day(tx.now)
    found = [_day(day) for day in await reconciling.days(tx, hospital.id)]
    view = DeskBooks(hospital.name, found, today - timedelta(days=1), today, error)
    return await show(request, tx, "desk_books.html", view, status=status)


@router.get(Urls.desk_books)
async def days(request: Request, caller: StaffCaller, tx: TxDep) -> Response:
    """The compared days, newest first, and a form for any other."""
    return await _days(request, tx, caller)


@router.post(Urls.desk_books)
async def run(
    request: Request, caller: StaffCaller, world: WorldDep, tx: TxDep, day: Annotated[str, Form(max_length=20)] = ""
) -> Response:
    """Compare one day now."""
    worklist.check_finance(caller)
    await tx.let_go()
    try:
        chosen = date.fromisoformat(day)
        await reconcile(world.db, world.ports.pay, world.ports.his, chosen, insurance=world.ports.insurance_books)
    except ValueError:
        said, status = errors.sentence("validation"), 422
    except HoufuError as no:
        said, status = errors.sentence(no.code, no.kind, **no.params), STATUS[no.kind]
    else:
        return go(Urls.desk_book(chosen))
    async with world.db.begin() as fresh:
        return await _days(request, fresh, caller, said, status)


# ---------------------------------------------------------------------------------------------------------- one day


async def _found(tx: Tx, caller: Actor, day: date) -> DayBook:
    found = await reconciling.days(tx, worklist.check_finance(caller), day)
    if not found:
        raise NotFoundError
    return found[0]


async def _accounts(tx: Tx, hospital_id: UUID, day: date) -> list[LedgerAccount]:
    moved = await ledger_books.movements(tx, hospital_id, *day_of(day))
    return [
        LedgerAccount(Words.accounts.get(m.account, m.account), m.debit_fen, m.credit_fen, m.net_fen) for m in moved
    ]


async def _line(tx: Tx, row: Difference, names: sheets.Names) -> BookLine:
    why, todo = Words.why(row.cause)
    closed = None
    if row.closed_at is not None:
        by = f"{await staff.name_of(tx, row.closed_by)}：{row.closed_reason}" if row.closed_by else Words.by_itself
        closed = by
    patient = names[row.visit_id][0] if row.visit_id is not None and row.visit_id in names else ""
    numbers = [number for number in dict.fromkeys((row.number, row.payment, row.reference)) if number]
    return BookLine(
        id=str(row.id),
        what=Words.what(row.about, row.kind),
        amount_fen=row.amount_fen,
        here_fen=row.here_fen,
        there_fen=row.there_fen,
        why=why,
        todo=todo,
        numbers=numbers,
        found_at=row.found_at,
        patient=patient,
        visit_url=Urls.desk_visit(str(row.visit_id)) if row.visit_id else None,
        closed=closed,
        closed_at=row.closed_at,
    )


async def _page(
    request: Request, tx: Tx, caller: Actor, day: date, failed: UUID | None = None, said: str = ""
) -> Response:
    book = await _found(tx, caller, day)
    hospital = await hospitals.by_id(tx, worklist.check_finance(caller))
    rows = await worklist.lines(tx, hospital.id, day)
    names = await sheets.names_of(tx, [row.visit_id for row in rows])
    lines = [(row.state, await _line(tx, row, names)) for row in rows]
    missing = [(Words.sides[s], Words.states[state]) for s, state in book.sides.items() if state != SideState.THERE]
    view = DeskBook(
        hospital=hospital.name,
        day=_day(book),
        open=[line for state, line in lines if state == "open"],
        closed=[line for state, line in lines if state != "open"],
        lacking=missing,
        waiting=book.waiting,
        ledger=await _accounts(tx, hospital.id, day),
        error=errors.sentence(NoReasonError.code) if failed else None,
        failed=str(failed) if failed else None,
        said=said,
    )
    return await show(request, tx, "desk_book.html", view, status=422 if failed else 200)


@router.get("/desk/books/{day}")
async def page(request: Request, day: date, caller: StaffCaller, tx: TxDep) -> Response:
    """What differs, why probably, what to do; and how the day adds up."""
    return await _page(request, tx, caller, day)


@router.post("/desk/books/differences/{difference_id}")
async def close(
    request: Request,
    difference_id: UUID,
    caller: StaffCaller,
    world: WorldDep,
    tx: TxDep,
    reason: Annotated[str, Form(max_length=500)] = "",
    day: Annotated[date | None, Form()] = None,
) -> Response:
    """It has been found out: say what it was."""
    try:
        row = await worklist.close(tx, caller, difference_id, reason)
    except NoReasonError:
        if day is None:
            raise
        return await _page(request, tx, caller, day, difference_id, reason)
    return go(Urls.desk_book(row.day))


# ------------------------------------------------------------------------------------------------------------ files


def _file(content: bytes, kind: str, name: str) -> Response:
    plain = f"books.{name.rpartition('.')[2]}"
    headers = {
        "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}",
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(content, media_type=kind, headers=headers)


async def _items(tx: Tx, hospital_id: UUID, day: date) -> tuple[list[Item], sheets.Names]:
    items = await reconciling.rows(tx, hospital_id, day)
    return items, await sheets.names_of(tx, [item.visit_id for item in items])


@router.get("/desk/books/{day}/worklist.csv")
async def worklist_csv(day: date, caller: StaffCaller, tx: TxDep) -> Response:
    """The worklist."""
    await _found(tx, caller, day)
    rows = await worklist.lines(tx, worklist.check_finance(caller), day)
    names = await sheets.names_of(tx, [row.visit_id for row in rows])
    return _file(
        as_csv(await sheets.worklist(tx, rows, names)), "text/csv; charset=utf-8", f"{Export.worklist}{day}.csv"
    )


@router.get("/desk/books/{day}/rows.csv")
async def rows_csv(day: date, caller: StaffCaller, tx: TxDep) -> Response:
    """Each payment and refund with what every side says."""
    await _found(tx, caller, day)
    items, names = await _items(tx, worklist.check_finance(caller), day)
    return _file(as_csv(sheets.every(items, names)), "text/csv; charset=utf-8", f"{Export.rows}{day}.csv")


@router.get("/desk/books/{day}/books.xlsx")
async def xlsx(day: date, caller: StaffCaller, tx: TxDep) -> Response:
    """All of it in one workbook."""
    book, hospital_id = await _found(tx, caller, day), worklist.check_finance(caller)
    items, names = await _items(tx, hospital_id, day)
    rows = await worklist.lines(tx, hospital_id, day)
    every = dict(names) | dict(await sheets.names_of(tx, [row.visit_id for row in rows if row.visit_id not in names]))
    pages = [
        sheets.totals(book),
        await sheets.worklist(tx, rows, every),
        sheets.every(items, names),
        sheets.side(items, Side.PROVIDER, Export.provider),
        sheets.side(items, Side.HIS, Export.his),
        sheets.side(items, Side.INSURANCE, Export.insurance),
        sheets.ledger(await _accounts(tx, hospital_id, day)),
    ]
    return _file(as_xlsx(pages), _XLSX, f"{Export.file}{day}.xlsx")
