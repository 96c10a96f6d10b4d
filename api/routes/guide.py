"""What may be said to the guide by programs: where she stands, how she walks, another time, and a nurse's word."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.deps import AnyCaller, PersonCaller, StaffCaller, TxDep
from guide.ports import Profile
from guide.service import moving, nursing, walking, whereabouts

router = APIRouter(prefix="/api/visits/{visit_id}", tags=["visits"])


class LaterBody(BaseModel):
    """Not before a moment, or not before another open order is done: one of the two."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"until": "2026-11-20T10:15:00+08:00", "reason": "unwell"}]}
    )
    until: Annotated[datetime | None, Field(description="with its offset, at most twelve hours ahead")] = None
    after: UUID | None = None
    reason: Annotated[str, Field(max_length=20, description="one of the reasons the desk's page offers")]

    @model_validator(mode="after")
    def _one(self) -> "LaterBody":
        if (self.until is None) == (self.after is None):
            raise ValueError("until or after, one of the two")
        if self.until is not None and self.until.tzinfo is None:
            raise ValueError("until has its offset")
        return self


class PlaceBody(BaseModel):
    """The code of a sign on the wall: the last part of the address its QR says."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"code": "K7M2QXA"}]})
    code: Annotated[str, Field(min_length=1, max_length=16)]


class WalkingBody(BaseModel):
    """How she moves."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"profile": "wheelchair"}]})
    profile: Profile


@router.post("/orders/{order_id}/move", status_code=204)
async def move(visit_id: UUID, order_id: UUID, caller: PersonCaller, tx: TxDep) -> None:
    """Ask the hospital for another time of an examination; for one appointment it is asked once. 409: nothing to move.

    `move` of the step says how it stands; the appointment holds until the hospital has said a new one.
    """
    await moving.ask(tx, caller, visit_id, order_id)


@router.post("/orders/{order_id}/later", status_code=204)
async def later(visit_id: UUID, order_id: UUID, body: LaterBody, caller: StaffCaller, tx: TxDep) -> None:
    """A nurse puts an examination off. 409: she has reported there, or a rule of the hospital forbids it."""
    await nursing.put_off(tx, caller, visit_id, order_id, nursing.Later(body.until, body.after), body.reason)


@router.delete("/first", status_code=204)
async def unpin(visit_id: UUID, caller: StaffCaller, tx: TxDep) -> None:
    """A nurse takes back what she put first or off; what she has looked at stays looked at."""
    await nursing.unpin(tx, caller, visit_id)


@router.post("/walking", status_code=204)
async def walk(visit_id: UUID, body: WalkingBody, caller: AnyCaller, tx: TxDep) -> None:
    """Say how she moves: her own side, or who guides her. Ways and walking times are for that from now on."""
    await walking.choose(tx, caller, visit_id, body.profile)


@router.post("/place", status_code=204)
async def place(visit_id: UUID, body: PlaceBody, caller: AnyCaller, tx: TxDep) -> None:
    """Say at which sign she stands: the order advised and the sheet begin there. 404: there is no such sign.

    It counts until she goes on and half an hour at the most; whoever has switched the place off is not remembered.
    """
    await whereabouts.say(tx, caller, visit_id, body.code)
