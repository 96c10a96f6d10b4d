"""Pay links and a payer's own limits for programs; what is paid by a link is paid on its page."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PersonCaller, Public, TxDep, WorldDep
from api.pace import slow_down
from family_pay import flows
from family_pay.rules import PayLinkState
from family_pay.service import asking, links
from kernel.db import Tx
from kernel.errors import NotFoundError
from payments.rules.limits import MOST_FEN, AfterVisit, Limits
from payments.service import limits
from people.rules import Actor
from people.service import access
from visits.service.subjects import subject_of_visit

router = APIRouter(prefix="/api", tags=["family"])

Fen = Annotated[int, Field(ge=1, le=MOST_FEN, description="fen; empty: no limit")]


class LinkBody(BaseModel):
    """For how much: all that is left to pay, or one share, as it was shown."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"amount_fen": 7760}]})
    amount_fen: Annotated[int, Field(ge=1, description="the amount that was shown, fen")]
    share: Annotated[int | None, Field(ge=1, description="number of one share; empty: all that is left")] = None


class LinkMadeOut(BaseModel):
    """A fresh link; its path is told this once."""

    id: UUID
    path: str
    amount_fen: int
    expires_at: datetime


class LinkOut(BaseModel):
    """A link as its giver sees it; ``paid_at`` and ``channel`` once it was paid by it."""

    id: UUID
    state: PayLinkState
    amount_fen: int
    share: int | None
    created_at: datetime
    expires_at: datetime
    paid_at: datetime | None
    channel: str | None


class LinkSeenOut(BaseModel):
    """All that whoever holds a link learns."""

    hospital: str
    patient: Annotated[str, Field(description="masked")]
    amount_fen: int
    state: PayLinkState
    expires_at: datetime
    paid_at: datetime | None


class LimitsBody(BaseModel):
    """What a payer lets herself pay for one patient; days and months are China's. All are set anew."""

    model_config = ConfigDict(extra="forbid")
    per_payment_fen: Fen | None = None
    per_day_fen: Fen | None = None
    per_month_fen: Fen | None = None
    after_visit: Literal["nothing", "ask", "ready", "auto"] = "nothing"
    ready_fen: Annotated[
        int | None, Field(ge=1, le=MOST_FEN, description="with `ready`: up to this the payment is laid ready, fen")
    ] = None


class LimitsOut(LimitsBody):
    """The same, and what they leave now; empty: nothing is limited."""

    left_fen: int | None


@router.post("/visits/{visit_id}/pay-links", status_code=201)
async def make(visit_id: UUID, body: LinkBody, caller: PersonCaller, tx: TxDep) -> LinkMadeOut:
    """Make a pay link: whoever holds it sees hospital, amount and a masked name, and may pay once within a day."""
    made = await links.make(tx, caller, visit_id, body.amount_fen, body.share)
    return LinkMadeOut(id=made.id, path=f"/l/{made.token}", amount_fen=made.amount_fen, expires_at=made.expires_at)


@router.get("/visits/{visit_id}/pay-links")
async def given(visit_id: UUID, caller: PersonCaller, tx: TxDep) -> list[LinkOut]:
    """A visit's pay links, newest first: all of them for the patient's side, to a relative her own."""
    every = await links.given(tx, caller, visit_id)
    await access.look(tx, caller, await subject_of_visit(tx, visit_id), "pay")
    return [
        LinkOut(
            id=x.link.id,
            state=x.state,
            amount_fen=x.link.amount_fen,
            share=x.link.share,
            created_at=x.link.created_at,
            expires_at=x.link.expires_at,
            paid_at=x.attempt.paid_at if x.attempt else None,
            channel=x.attempt.channel if x.attempt and x.state is PayLinkState.PAID else None,
        )
        for x in every
    ]


@router.delete("/pay-links/{link_id}", status_code=204)
async def withdraw(link_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Take a pay link back at once; what is being paid by it is stopped, what is paid stays paid."""
    await tx.let_go()
    await flows.withdraw_link(world.db, world.ports.pay, caller, link_id)
    return Response(status_code=204)


@router.get("/pay-links/{token}", dependencies=[Public])
async def read(request: Request, token: str, tx: TxDep) -> LinkSeenOut:
    """What a pay link asks for, and how it stands; thirty wrong tokens and this place waits ten minutes."""
    with slow_down(request):
        found = await links.opened(tx, token)
    paid = found.state is PayLinkState.PAID and found.attempt is not None
    return LinkSeenOut(
        hospital=found.hospital,
        patient=found.patient,
        amount_fen=found.amount_fen,
        state=found.state,
        expires_at=found.expires_at,
        paid_at=found.attempt.paid_at if paid and found.attempt else None,
    )


class AskBody(BaseModel):
    """The amount that was shown."""

    model_config = ConfigDict(extra="forbid")
    amount_fen: Annotated[int, Field(ge=1, description="fen")]


class RequestOut(BaseModel):
    """Somebody wishes to pay, and the patient wants to be asked."""

    visit_id: UUID
    person_id: UUID
    who: Annotated[str, Field(description="as the patient calls them, masked")]
    amount_fen: int


class AnswerBody(BaseModel):
    """The patient's word."""

    model_config = ConfigDict(extra="forbid")
    visit_id: UUID
    person_id: UUID
    agreed: bool


@router.post("/visits/{visit_id}/pay-requests", status_code=204)
async def ask(visit_id: UUID, body: AskBody, caller: PersonCaller, tx: TxDep) -> None:
    """Ask a patient who wants to be asked first; until she agrees a payment is refused (`ask_first`)."""
    await asking.ask_patient(tx, caller, visit_id, body.amount_fen)


@router.get("/pay-requests")
async def requests(caller: PersonCaller, tx: TxDep) -> list[RequestOut]:
    """Who waits for the caller's word, as the patient or as who stands for her."""
    return [
        RequestOut(visit_id=x.visit.id, person_id=x.person_id, who=x.who, amount_fen=x.amount_fen)
        for x in await asking.requests(tx, caller)
    ]


@router.post("/pay-requests/answer", status_code=204)
async def answer(body: AnswerBody, caller: PersonCaller, tx: TxDep) -> None:
    """Say yes or no; the last word counts for what is begun from now on."""
    await asking.answer(tx, caller, body.visit_id, body.person_id, agreed=body.agreed)


async def _limits(tx: Tx, caller: Actor, patient_id: UUID) -> LimitsOut:
    if not await limits.pays_for(tx, caller, patient_id):
        raise NotFoundError
    now = await limits.of(tx, caller.id, patient_id)
    return LimitsOut(
        per_payment_fen=now.per_payment_fen,
        per_day_fen=now.per_day_fen,
        per_month_fen=now.per_month_fen,
        after_visit=now.after_visit.value,
        ready_fen=now.ready_fen,
        left_fen=(await limits.left(tx, caller.id, patient_id)).fen,
    )


@router.get("/family/limits/{patient_id}")
async def read_limits(patient_id: UUID, caller: PersonCaller, tx: TxDep) -> LimitsOut:
    """What the caller lets herself pay for this patient, and what is left of it now."""
    return await _limits(tx, caller, patient_id)


@router.post("/family/limits/{patient_id}")
async def set_limits(patient_id: UUID, body: LimitsBody, caller: PersonCaller, tx: TxDep) -> LimitsOut:
    """Set all limits anew; payments under way go on, the next press is held against these."""
    wanted = Limits(
        body.per_payment_fen, body.per_day_fen, body.per_month_fen, AfterVisit(body.after_visit), body.ready_fen
    )
    await limits.set_for(tx, caller, patient_id, wanted)
    return await _limits(tx, caller, patient_id)
