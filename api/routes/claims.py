"""Who accepted an invitation waits for her yes: listed for both sides, answered by hers, told as it happens."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep, session_token
from api.line import Line, serve_line
from api.routes.family import GrantOut, OfferBody, grant_out, offer_fields
from api.stream import StreamResponse
from family_pay.service import confirming
from family_pay.service.confirming import Claim
from notices.service import telling

router = APIRouter(prefix="/api/family/claims", tags=["family"])


class ClaimOut(OfferBody):
    """Somebody has accepted an invitation; names masked. ``tail``: the last digits of the relative's telephone."""

    id: UUID
    patient: str
    relative: str
    tail: str
    visit_id: UUID | None
    expires_at: datetime


class ClaimsOut(BaseModel):
    """Those the caller is to answer, and those of the caller that wait for somebody else."""

    to_answer: list[ClaimOut]
    waiting: list[ClaimOut]


class ClaimBody(BaseModel):
    """Yes or no, after having seen who it is."""

    model_config = ConfigDict(extra="forbid")
    agreed: bool = Field(description="only a yes lets anything begin")


def _out(claim: Claim) -> ClaimOut:
    return ClaimOut(
        **offer_fields(claim.offer),
        id=claim.id,
        patient=claim.patient,
        relative=claim.who,
        tail=claim.tail,
        visit_id=claim.visit_id,
        expires_at=claim.expires_at,
    )


@router.get("")
async def claims(caller: PersonCaller, tx: TxDep) -> ClaimsOut:
    """Who waits for whose yes, the oldest first."""
    await telling.seen(tx, caller.id, caller.id)
    return ClaimsOut(
        to_answer=[_out(c) for c in await confirming.claims_for(tx, caller)],
        waiting=[_out(c) for c in await confirming.waiting_with_others(tx, caller)],
    )


@router.get("/stream", response_class=StreamResponse)
async def stream(
    request: Request,
    caller: PersonCaller,
    tx: TxDep,
    world: WorldDep,
    after: Annotated[str, Query(max_length=64, description="the mark the page was drawn with")] = "",
) -> Response:
    """Wait for somebody to accept, or for her word: ``event: refresh``, and nothing else."""
    token, about = session_token(request) or "", {caller.id}

    async def mark() -> str | None:
        async with world.db.begin() as now:
            same = await world.who(now, token)
            return None if same != caller else await confirming.mark(now, caller)

    return StreamResponse(serve_line(world.hub, caller.viewer, Line(world.hub, mark, after, about=about)))


@router.post("/{invitation_id}")
async def answer(invitation_id: UUID, asked: ClaimBody, caller: PersonCaller, tx: TxDep) -> list[GrantOut]:
    """The patient's side says yes or no; what begins by a yes."""
    made = await confirming.answer(tx, caller, invitation_id, agreed=asked.agreed)
    return [await grant_out(tx, g) for g in made]
