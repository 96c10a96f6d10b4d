"""Another number, a lost phone: for programs. By oneself with both phones in hand, or at a desk by two of its staff."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PersonCaller, StaffCaller, TxDep, WorldDep
from api.routes.session import StepOut, sender, step_out
from kernel.errors import ForbiddenError, NotFoundError
from people import flows
from people.rules import Document
from people.service import patients, phones
from people.service.codes import Purpose

router = APIRouter(tags=["session"])

Phone = Annotated[str, Field(pattern=r"^1[0-9]{10}$", examples=["19900000001"])]
Code = Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["204816"])]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewPhone(_Asked):
    """The new number."""

    phone: Phone


class PhoneProof(_Asked):
    """The codes of both phones, and the identity number."""

    phone: Phone
    old_code: Code
    new_code: Code
    id_number: Annotated[str, Field(min_length=18, max_length=18)]


class DeskPhone(_Asked):
    """What the desk saw: the person, a paper, and the code on the new phone."""

    patient_number: Annotated[str, Field(min_length=1, max_length=64)]
    phone: Phone
    code: Code
    document: Document


class DeskAnswer(_Asked):
    """What the second member of staff says."""

    confirmed: bool


class ChangeOut(BaseModel):
    """A change that waits for a second member of staff, a day at most; the number masked."""

    id: UUID
    patient: str
    phone: str
    document: str
    asked_by: UUID
    asked_at: datetime


@router.post("/api/session/phone/codes", status_code=202)
async def send_codes(asked: NewPhone, caller: PersonCaller, world: WorldDep, tx: TxDep) -> dict[str, str]:
    """Send one code to the old phone and one to the new. Who no longer has the old one goes to a desk."""
    await tx.let_go()
    await flows.ask_phone_change(world.db, sender(world), caller, asked.phone)
    return {"status": "sent"}


@router.post("/api/session/phone")
async def change(asked: PhoneProof, caller: PersonCaller, world: WorldDep, tx: TxDep) -> StepOut:
    """Change the number: every session ends, and the answer holds the only new one. The family is told."""
    await tx.let_go()
    done = await flows.change_phone(world.db, caller, asked.phone, asked.old_code, asked.new_code, asked.id_number)
    return step_out(done)


@router.post("/api/session/lost")
async def lost(caller: PersonCaller, world: WorldDep, tx: TxDep) -> StepOut:
    """A phone was lost: every other session ends and no WeChat account logs in until it is linked again."""
    await tx.let_go()
    return step_out(await flows.forget_other_devices(world.db, caller))


@router.post("/api/desk/phone-changes/codes", status_code=202)
async def send_at_desk(asked: NewPhone, caller: StaffCaller, world: WorldDep, tx: TxDep) -> dict[str, str]:
    """Send a code to the new phone of somebody who stands at the desk."""
    if caller.role not in phones.MAY_CHANGE_PHONES:
        raise ForbiddenError
    await tx.let_go()
    await flows.send_code(world.db, sender(world), asked.phone, Purpose.NEW_PHONE)
    return {"status": "sent"}


@router.post("/api/desk/phone-changes", status_code=201)
async def ask_at_desk(asked: DeskPhone, caller: StaffCaller, world: WorldDep, tx: TxDep) -> dict[str, UUID]:
    """Write the change down; it takes effect when a second member of staff confirms it."""
    if caller.role not in phones.MAY_CHANGE_PHONES or caller.hospital_id is None:
        raise ForbiddenError
    patient = await patients.known_number(tx, caller.hospital_id, asked.patient_number)
    if patient is None:
        raise NotFoundError
    await tx.let_go()
    made = await flows.ask_desk_change(world.db, caller, patient.id, asked.phone, asked.code, asked.document)
    return {"id": made.id}


@router.get("/api/desk/phone-changes")
async def waiting(caller: StaffCaller, tx: TxDep) -> list[ChangeOut]:
    """Changes that wait for a second member of staff here."""
    return [
        ChangeOut(
            id=w.id, patient=w.patient, phone=w.phone, document=w.document, asked_by=w.asked_by, asked_at=w.asked_at
        )
        for w in await phones.waiting_at(tx, caller)
    ]


@router.post("/api/desk/phone-changes/{change_id}/answer", status_code=204)
async def answer(change_id: UUID, asked: DeskAnswer, caller: StaffCaller, tx: TxDep) -> Response:
    """Confirm or refuse a change a colleague wrote down; confirmed, all the person's old phones are out at once."""
    await phones.answer_at_desk(tx, caller, change_id, confirmed=asked.confirmed)
    return Response(status_code=204)
