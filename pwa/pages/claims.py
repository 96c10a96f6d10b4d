"""Who has accepted an invitation: the patient sees them before anything begins, and answers with one tap."""

from typing import Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep
from api.routes.family import depth_name
from family_pay.rules import Offer
from family_pay.service import confirming
from kernel.db import Tx
from notices.service import telling
from people.rules import Actor, Depth
from pwa.answer import go, show
from pwa.urls import Urls
from pwa.views import ClaimCard, Claims
from words import family as words
from words.patient import Family as FamilyWords

router = APIRouter(include_in_schema=False)


def opens(offer: Offer, *, scope: bool) -> list[str]:
    """What an offer lets a relative do, a sentence each; ``scope``: for one visit only."""
    lines = []
    if offer.pays:
        cap = "" if offer.cap_fen is None else f"，{FamilyWords.cap_says(offer.cap_fen)}"
        lines.append(FamilyWords.pays + cap + (f"，{FamilyWords.ask_first}" if offer.ask_first else ""))
    if offer.depth > Depth.NOTHING:
        lines.append(FamilyWords.depth[depth_name(offer.depth)])
    if offer.opened:
        lines.append(FamilyWords.bind_open + "、".join(words.CATEGORIES.get(c, c) for c in sorted(offer.opened)))
    if offer.calls:
        lines.append(FamilyWords.calls)
    if offer.books:
        lines.append(FamilyWords.books)
    if offer.signs:
        lines.append(FamilyWords.signs)
    return [*lines, FamilyWords.scope_visit if scope else FamilyWords.scope_standing]


async def cards(tx: Tx, caller: Actor) -> tuple[list[ClaimCard], str]:
    """(those who wait for the caller's yes, the stream that tells of more)."""
    found = [
        ClaimCard(
            str(c.id),
            c.who,
            words.relation(c.offer.relation),
            c.tail,
            opens(c.offer, scope=c.visit_id is not None),
            None if c.patient_id == caller.id else c.patient,
        )
        for c in await confirming.claims_for(tx, caller)
    ]
    return found, stream_url(await confirming.mark(tx, caller))


def stream_url(mark: str) -> str:
    """The line of a page that shows what ``confirming.mark`` saw."""
    return f"/api/family/claims/stream?after={mark}"


@router.get(Urls.claims)
async def page(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """Who waits, and what each would be able to do."""
    await telling.seen(tx, caller.id, caller.id)
    found, url = await cards(tx, caller)
    return await show(request, tx, "claims.html", Claims(found, url))


@router.post("/family/claims/{invitation_id}")
async def answer(
    invitation_id: UUID, caller: PersonCaller, tx: TxDep, word: Literal["yes", "no"] = Form("no")
) -> Response:
    """Her word."""
    await confirming.answer(tx, caller, invitation_id, agreed=word == "yes")
    return go(Urls.family)
