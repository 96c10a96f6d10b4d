"""The books of a day for programs of the finance department: how all sides agree, and what does not."""

from datetime import date, datetime
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel

from api.deps import StaffCaller, TxDep, WorldDep
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.flows.reconciling import reconcile
from payments.service import reconciling, worklist
from people.rules import Actor

router = APIRouter(prefix="/api/desk", tags=["desk"])


class SideTotals(BaseModel):
    """What one side adds up to, fen."""

    paid: int
    back: int
    count: int


class DifferenceOut(BaseModel):
    """One line of the worklist; ``here_fen`` or ``there_fen`` null: that side does not know it."""

    id: UUID
    about: str
    kind: str
    number: str
    payment: str
    reference: str
    amount_fen: int
    here_fen: int | None
    there_fen: int | None
    cause: str
    state: str
    found_at: datetime
    closed_at: datetime | None
    closed_reason: str | None


class BookOut(BaseModel):
    """The books of one day: ``sides`` says whose are with us, ``diff_fen`` is what the last comparison found."""

    day: date
    sides: dict[str, str]
    totals: dict[str, SideTotals]
    diff_fen: int
    open_fen: int
    waiting: int
    compared_at: datetime
    lines: list[DifferenceOut]


async def _book(tx: Tx, caller: Actor, day: date) -> BookOut:
    hospital_id = worklist.check_finance(caller)
    found = await reconciling.days(tx, hospital_id, day)
    if not found:
        raise NotFoundError
    book = found[0]
    lines = await worklist.lines(tx, hospital_id, day)
    return BookOut(
        day=book.day,
        sides={str(side): str(state) for side, state in book.sides.items()},
        totals={side: SideTotals(**part) for side, part in book.totals.items()},
        diff_fen=book.diff_fen,
        open_fen=book.open_fen,
        waiting=book.waiting,
        compared_at=book.compared_at,
        lines=[DifferenceOut.model_validate(line, from_attributes=True) for line in lines],
    )


@router.get("/books/{day}")
async def book(day: date, caller: StaffCaller, tx: TxDep) -> BookOut:
    """The books of one day (finance only); 404 when it was never compared."""
    return await _book(tx, caller, day)


@router.post("/books/{day}")
async def compare(day: date, caller: StaffCaller, world: WorldDep, tx: TxDep) -> BookOut:
    """Compare one day now, past or today so far (finance only); again is the same as once."""
    worklist.check_finance(caller)
    await tx.let_go()
    await reconcile(world.db, world.ports.pay, world.ports.his, day, insurance=world.ports.insurance_books)
    async with world.db.begin() as fresh:
        return await _book(fresh, caller, day)
