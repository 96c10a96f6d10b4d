"""What a payer lets herself pay for one of her family, and what happens for her once their visit has ended."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep
from api.routes.contracts import standing
from api.routes.payments import in_wechat
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.money import fen_of_yuan, yuan
from payments.rules.limits import UP_TO, AfterVisit, Limits, WrongLimitsError
from payments.service import limits
from people.rules import Actor
from people.service import access, patients
from pwa.answer import show, world_of
from pwa.pay_views import LimitsForm
from words import family as family_words
from words.pay import Limits as Words

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=20)]


def _typed(fen: int | None) -> str:
    return "" if fen is None else yuan(fen).replace(",", "")


def _fen(text: str) -> int | None:
    plain = text.strip().removeprefix("¥").replace(",", "")
    return fen_of_yuan(plain) if plain else None


async def _form(request: Request, tx: Tx, caller: Actor, patient_id: UUID) -> LimitsForm:
    """The page as it stands.

    Raises:
        NotFoundError: the caller does not pay for this patient.
    """
    if not await limits.pays_for(tx, caller, patient_id):
        raise NotFoundError
    patient, now = await patients.by_id(tx, patient_id), await limits.of(tx, caller.id, patient_id)
    label = family_words.label((await access.relations_of(tx, caller.id)).get(patient_id, ""), patient.sex)
    room, world = await limits.left(tx, caller.id, patient_id), world_of(request)
    contract = await standing(tx, world, caller)
    return LimitsForm(
        str(patient_id),
        f"{label} {patient.name_masked}",
        {"payment": _typed(now.per_payment_fen), "day": _typed(now.per_day_fen), "month": _typed(now.per_month_fen)},
        now.after_visit,
        _typed(now.ready_fen),
        left=None if room.fen is None else Words.now(room.fen),
        contract=contract.state if contract.offered else None,
        in_wechat=in_wechat(request, world),
    )


@router.get("/family/limits/{patient_id}")
async def page(request: Request, patient_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Three amounts, and one choice."""
    return await show(request, tx, "limits.html", await _form(request, tx, caller, patient_id))


@router.post("/family/limits/{patient_id}")
async def save(
    request: Request,
    patient_id: UUID,
    caller: PersonCaller,
    tx: TxDep,
    payment: Short = "",
    day: Short = "",
    month: Short = "",
    ready: Short = "",
    after: AfterVisit = Form(AfterVisit.NOTHING),
) -> Response:
    """Keep them; what is under way goes on."""
    before = await _form(request, tx, caller, patient_id)
    try:
        wanted = Limits(_fen(payment), _fen(day), _fen(month), after, _fen(ready) if after in UP_TO else None)
        await limits.set_for(tx, caller, patient_id, wanted)
    except (ValueError, WrongLimitsError):
        typed = {"payment": payment, "day": day, "month": month}
        again = replace(before, yuan=typed, after_visit=after, ready_yuan=ready, error=Words.wrong, left=None)
        return await show(request, tx, "limits.html", again, status=422)
    return await show(request, tx, "limits.html", replace(await _form(request, tx, caller, patient_id), saved=True))
