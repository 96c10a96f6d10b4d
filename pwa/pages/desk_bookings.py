"""The desk's bookings of today: whose call was missed comes first, and is put back into the queue here."""

from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.deps import StaffCaller, TxDep, WorldDep
from api.problems import STATUS
from api.routes.bookings import shown
from kernel.db import Tx
from kernel.errors import HoufuError
from people.rules import Actor
from people.service import patients
from pwa.answer import go, show
from pwa.booking_views import BookingCard, DeskBooking, DeskBookings
from pwa.urls import Urls
from visits.flows import booking as flows
from visits.service import bookings
from visits.service.bookings import Booking
from words import errors

router = APIRouter(include_in_schema=False)


async def _row(tx: Tx, booking: Booking) -> DeskBooking:
    seen = await shown(tx, booking)
    person = await patients.by_id(tx, booking.patient_id)
    name = patients.name_of(tx, person)
    card = BookingCard(str(booking.id), name, seen.department, booking.doctor, booking.begins, booking.state)
    return DeskBooking(card, booking.number, requeue=booking.state == "missed")


async def _page(request: Request, tx: Tx, caller: Actor, error: str | None = None, status: int = 200) -> Response:
    rows = [await _row(tx, b) for b in await bookings.of_desk(tx, caller)]
    first = [r for r in rows if r.card.state in ("missed", "requeuing")]
    view = DeskBookings(first, [r for r in rows if r not in first], error)
    return await show(request, tx, "desk_bookings.html", view, status=status)


@router.get(Urls.desk_bookings)
async def page(request: Request, caller: StaffCaller, tx: TxDep) -> Response:
    """The list."""
    return await _page(request, tx, caller)


@router.post("/desk/bookings/{booking_id}/requeue")
async def requeue(request: Request, booking_id: UUID, caller: StaffCaller, world: WorldDep, tx: TxDep) -> Response:
    """Put her back into the queue; what the hospital's system has not answered is shown as such."""
    await tx.let_go()
    try:
        await flows.requeue(world.db, world.ports.his, world.slots, caller, booking_id)
    except HoufuError as error:
        said, status = errors.sentence(error.code, error.kind, **error.params), STATUS[error.kind]
        async with world.db.begin() as own:
            return await _page(request, own, caller, said, status)
    return go(Urls.desk_bookings)
