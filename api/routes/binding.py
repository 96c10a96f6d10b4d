"""Binding for programs where the patient has no page of ours: by a code to her phone, or by the desk beside her."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PersonCaller, StaffCaller, TxDep, WorldDep
from api.routes.family import GrantOut, InvitedOut, OfferBody, grant_out
from api.world import World
from family_pay import flows
from family_pay.flows import AskInsurer, BindingCodeSender
from family_pay.rules import Relation
from family_pay.service import bonds, invitations, phone_bindings
from kernel.errors import ForbiddenError, NotFoundError
from kernel.outside import NotConfigured
from payments.ports import Insured
from people.rules import Actor, Document
from people.service import patients
from people.service.grants import Grant

router = APIRouter(prefix="/api/family", tags=["family"])


def binding_sender(world: World) -> BindingCodeSender:
    """How such a code reaches the patient's phone here; its text says who asks, and for what.

    Raises:
        NotConfigured: no text messages, or no approved text for this.
    """
    sms, template = world.ports.sms, world.settings.sms_template_bind
    if sms is None or not template:
        raise NotConfigured("sms_template_bind")

    async def send(phone: str, who: str, digits: str, minutes: int) -> None:
        await sms.send(template, phone, [who, digits, str(minutes)])

    return send


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PhoneBindingBody(_Asked):
    """Whom the relative means; all three must be the patient's own."""

    name: Annotated[str, Field(min_length=1, max_length=30)]
    id_number: Annotated[str, Field(min_length=18, max_length=18)]
    phone: Annotated[str, Field(pattern=r"^1[0-9]{10}$")]
    relation: Relation = Relation.OTHER


class PhoneBindingOut(BaseModel):
    """A request: the same answer whoever was named. If all is right, the patient has a code until ``expires_at``."""

    id: UUID
    expires_at: datetime


class PhoneCodeBody(_Asked):
    """The digits on the patient's phone."""

    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")]


class NamedOut(BaseModel):
    """Whom one is about to be bound to, masked."""

    patient: str
    relation: Relation


class InsurerBody(_Asked):
    """About whom; one must be bound to them."""

    patient_id: UUID


class InsurerOut(BaseModel):
    """What the insurer says; ``unknown``: it did not say."""

    says: Literal["yes", "no", "unknown"]


class DeskInviteBody(OfferBody):
    """What a patient beside the desk offers; ``share``: she was read what sharing is, and agrees."""

    patient_number: Annotated[str, Field(min_length=1, max_length=64)]
    share: bool = False


class GuardianOut(GrantOut):
    """A guardianship as the desk reviews it: by which paper, and written down by whom."""

    document: Document | None
    proven_by: UUID | None
    created_at: datetime


@router.post("/phone-bindings", status_code=202)
async def ask(asked: PhoneBindingBody, caller: PersonCaller, world: WorldDep, tx: TxDep) -> PhoneBindingOut:
    """Ask to pay for a patient by her name, identity number and phone; five a day, three codes a day to one patient."""
    binding_sender(world)
    made = await phone_bindings.ask(
        tx, caller, phone_bindings.Named(asked.name, asked.id_number, asked.phone, asked.relation)
    )
    return PhoneBindingOut(id=made.id, expires_at=made.expires_at)


@router.post("/phone-bindings/{request_id}/code")
async def prove(request_id: UUID, asked: PhoneCodeBody, caller: PersonCaller, world: WorldDep, tx: TxDep) -> NamedOut:
    """Bring the code that came to the patient's phone; five tries. Nothing is bound yet."""
    await tx.let_go()
    patient, relation = await flows.prove_by_phone(world.db, caller, request_id, asked.code)
    return NamedOut(patient=patient, relation=Relation(relation))


@router.post("/phone-bindings/{request_id}/accept", status_code=201)
async def accept(request_id: UUID, caller: PersonCaller, tx: TxDep) -> list[GrantOut]:
    """Say yes to whom one was shown: the right to pay, and no more."""
    return [await grant_out(tx, g) for g in await phone_bindings.accept(tx, caller, request_id)]


def insurer_of(world: World) -> AskInsurer:
    """The line to the insurer's family accounts.

    Raises:
        NotConfigured: there is none here.
    """
    line = world.ports.family_accounts
    if line is None:
        raise NotConfigured("insurance.family_path")

    async def ask_about(payer: tuple[str, str], patient: tuple[str, str]) -> bool:
        return await line.family_account(Insured(payer[0], "01", payer[1]), Insured(patient[0], "01", patient[1]))

    return ask_about


@router.post("/insurance-accounts")
async def ask_insurance(asked: InsurerBody, caller: PersonCaller, world: WorldDep, tx: TxDep) -> InsurerOut:
    """Ask the insurer whether the caller may pay for a patient by its own family account; our binding says nothing."""
    await tx.let_go()
    related = await flows.ask_insurer(world.db, insurer_of(world), caller, asked.patient_id)
    return InsurerOut(says={True: "yes", False: "no", None: "unknown"}[related])


async def _patient(tx: TxDep, caller: Actor, number: str) -> UUID:
    if caller.hospital_id is None:
        raise ForbiddenError
    patient = await patients.known_number(tx, caller.hospital_id, number)
    if patient is None:
        raise NotFoundError
    return patient.id


@router.post("/desk-invitations", status_code=201)
async def invite_at_desk(asked: DeskInviteBody, caller: StaffCaller, tx: TxDep) -> InvitedOut:
    """Make an invitation with the patient beside the desk, to read out or print; who made it is kept."""
    whose = await _patient(tx, caller, asked.patient_number)
    made = await invitations.invite_at_desk(tx, caller, whose, asked.offer(), agrees=asked.share)
    return InvitedOut(
        id=made.id,
        path=f"/bind/{made.token}",
        code=made.code,
        code_expires_at=made.code_expires_at,
        expires_at=made.expires_at,
    )


async def _guardian_out(tx: TxDep, grant: Grant) -> GuardianOut:
    shown = (await grant_out(tx, grant)).model_dump()
    document = Document(grant.document) if grant.document else None
    return GuardianOut(**shown, document=document, proven_by=grant.proven_by, created_at=grant.created_at)


@router.get("/guardians")
async def guardians(
    caller: StaffCaller, tx: TxDep, patient_number: Annotated[str, Query(min_length=1, max_length=64)]
) -> list[GuardianOut]:
    """Who stands for a patient now, by which paper, written down by whom: for review at the desk."""
    whose = await _patient(tx, caller, patient_number)
    if caller.role not in bonds.MAY_SET_GUARDIANS:
        raise ForbiddenError
    return [await _guardian_out(tx, g) for g in await bonds.guardians_of(tx, whose)]


@router.delete("/guardians/{grant_id}", status_code=204)
async def end_guardian(grant_id: UUID, caller: StaffCaller, tx: TxDep) -> Response:
    """End a guardianship at the desk, at once."""
    await bonds.end_at_desk(tx, caller, grant_id)
    return Response(status_code=204)
