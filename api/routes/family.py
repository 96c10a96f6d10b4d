"""Families for programs: who may see and pay, invitations, spoken codes, guardians, and who looked when."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from pydantic import BaseModel, ConfigDict, Field

from api.deps import PersonCaller, StaffCaller, TxDep, WorldDep
from family_pay import flows
from family_pay.rules import Offer, Relation
from family_pay.service import bonds, invitations
from kernel.errors import ForbiddenError, NotFoundError
from notices.service import telling
from people.rules import Action, Actor, ChoiceKind, Depth, Document
from people.service import access, choices, grants, patients, sessions
from people.service.grants import Grant

router = APIRouter(prefix="/api/family", tags=["family"])

DepthName = Literal["none", "steps", "bill", "results"]
_DEPTHS: dict[DepthName, Depth] = {
    "none": Depth.NOTHING,
    "steps": Depth.STEPS,
    "bill": Depth.BILL,
    "results": Depth.RESULTS,
}


class OfferBody(BaseModel):
    """What the patient opens; ``visit_id`` empty: standing."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"relation": "daughter", "pays": True, "depth": "bill"}]}
    )
    relation: Relation
    pays: bool = False
    cap_fen: Annotated[int, Field(ge=1, description="most for one payment, fen")] | None = None
    ask_first: bool = False
    depth: DepthName = "none"
    opened: list[str] = Field(default=[], max_length=10, description="sensitive categories opened one by one")
    signs: bool = Field(False, description="may sign the letter ahead")
    books: bool = Field(False, description="may book, and carry the pass of a visit they know of")
    calls: bool = Field(False, description="the relative is shown the patient's telephone number")

    def offer(self) -> Offer:
        """As the domain knows it."""
        return Offer(
            self.relation,
            self.pays,
            self.cap_fen,
            self.ask_first,
            _DEPTHS[self.depth],
            frozenset(self.opened),
            self.signs,
            self.calls,
            self.books,
        )


class InviteBody(OfferBody):
    """An offer for oneself, or for whom one is the guardian of."""

    share: bool = Field(False, description="agrees, by this, to share at all; needed while that is not agreed")
    patient_id: UUID | None = None
    visit_id: UUID | None = None


class CodeBody(BaseModel):
    """A spoken code; ``who`` is the inviter's phone, or the identity number of somebody without one."""

    model_config = ConfigDict(extra="forbid")
    who: Annotated[str, Field(min_length=11, max_length=18)]
    code: Annotated[str, Field(min_length=1, max_length=20)]


class GuardianBody(BaseModel):
    """Who stands for whom, as the desk saw it on paper; the guardian has logged in once with this phone."""

    model_config = ConfigDict(extra="forbid")
    patient_number: Annotated[str, Field(min_length=1, max_length=64)]
    guardian_phone: Annotated[str, Field(pattern=r"^1[0-9]{10}$")]
    relation: Relation = Relation.PARENT
    cannot_act: bool = Field(False, description="an adult who cannot act for themselves; needs `document`")
    document: Document | None = Field(None, description="the paper that was seen")
    until: date | None = Field(None, description="of an adult: the last day the paper speaks of")


class InvitedOut(BaseModel):
    """The link's path, and the code to be read out; the code is told once."""

    id: UUID
    path: str
    code: str
    code_expires_at: datetime
    expires_at: datetime


class OfferOut(OfferBody):
    """What the relative is asked to accept."""

    patient: str
    visit_id: UUID | None
    expires_at: datetime
    state: Literal["offered", "waiting", "accepted", "withdrawn"] = Field(
        "offered", description="to who has accepted it: whether the patient has said yes since, or it has ended"
    )


class GrantOut(BaseModel):
    """One right; those with the same ``bond`` end together."""

    id: UUID
    bond: UUID
    patient: str
    relative: str
    kind: str
    relation: str
    depth: DepthName
    opened: list[str]
    calls: bool
    visit_id: UUID | None
    cap_fen: int | None
    ask_first: bool
    proof: str = Field(description="how it was proven: invitation, spoken, phone, desk, his")
    until: datetime | None
    state: str


class FamilyOut(BaseModel):
    """Rights one gave, and rights one has."""

    given: list[GrantOut]
    held: list[GrantOut]


class WatchBody(BaseModel):
    """What a relative shall see from now on; ``none`` lets them watch no more."""

    model_config = ConfigDict(extra="forbid")
    depth: DepthName
    opened: list[str] = Field(default=[], max_length=10, description="sensitive categories opened one by one")
    calls: bool = False


class ChoiceBody(BaseModel):
    """Agree to something, or take it back; for oneself, or for whom one is the guardian of."""

    model_config = ConfigDict(extra="forbid")
    kind: ChoiceKind
    given: bool
    patient_id: UUID | None = None


class ChoiceOut(BaseModel):
    """Something that was chosen; of each kind the first stands. ``version`` names the text."""

    kind: ChoiceKind
    given: bool
    version: str
    at: datetime


class LookOut(BaseModel):
    """One look at the patient's visits; kept for three years."""

    who: str
    relation: str
    page: str
    visit_id: UUID | None
    at: datetime


def depth_name(depth: int) -> DepthName:
    """A depth as programs spell it."""
    return next((name for name, value in _DEPTHS.items() if value == depth), "none")


async def grant_out(tx: TxDep, grant: Grant) -> GrantOut:
    """A right as it is told, both sides masked."""
    patient, relative = await patients.by_id(tx, grant.patient_id), await patients.by_id(tx, grant.person_id)
    return GrantOut(
        id=grant.id,
        bond=grant.bond,
        patient=patient.name_masked,
        relative=relative.name_masked,
        kind=grant.kind,
        relation=grant.relation,
        depth=depth_name(grant.depth),
        opened=grant.opened,
        calls=grant.calls,
        visit_id=grant.visit_id,
        cap_fen=grant.cap_fen,
        ask_first=grant.ask_first,
        proof=grant.proof,
        until=grant.until,
        state=grant.state,
    )


async def _whose(tx: TxDep, caller: Actor, patient_id: UUID | None, action: Action) -> UUID:
    whose = patient_id or caller.id
    if not await access.can_for(tx, caller, action, whose):
        raise NotFoundError
    return whose


@router.get("")
async def family(caller: PersonCaller, tx: TxDep) -> FamilyOut:
    """Rights given and rights held; ended ones are listed with the given, newest first."""
    await telling.seen(tx, caller.id, caller.id)
    return FamilyOut(
        given=[await grant_out(tx, g) for g in await grants.of_patient(tx, caller.id)],
        held=[await grant_out(tx, g) for g in await grants.of_relative(tx, caller.id)],
    )


@router.post("/invitations", status_code=201)
async def invite(asked: InviteBody, caller: PersonCaller, tx: TxDep) -> InvitedOut:
    """Offer something to a relative."""
    whose = await _whose(tx, caller, asked.patient_id, Action.SHARE)
    made = await invitations.invite(tx, caller, whose, asked.offer(), asked.visit_id, agrees=asked.share)
    return InvitedOut(
        id=made.id,
        path=f"/bind/{made.token}",
        code=made.code,
        code_expires_at=made.code_expires_at,
        expires_at=made.expires_at,
    )


@router.get("/invitations/{token}")
async def read_invitation(token: str, caller: PersonCaller, tx: TxDep) -> OfferOut:
    """What an invitation offers; whose it is, masked."""
    found = await invitations.seen(tx, caller, token)
    state = "withdrawn" if found.state == "refused" else found.state.value
    return OfferOut(
        **offer_fields(found.offer),
        patient=found.patient,
        visit_id=found.visit_id,
        expires_at=found.expires_at,
        state=state,
    )


def offer_fields(o: Offer) -> dict[str, Any]:
    """An offer as programs read it: the members of ``OfferBody``."""
    return {
        "relation": o.relation,
        "pays": o.pays,
        "cap_fen": o.cap_fen,
        "ask_first": o.ask_first,
        "depth": depth_name(o.depth),
        "opened": sorted(o.opened),
        "signs": o.signs,
        "calls": o.calls,
        "books": o.books,
    }


@router.post("/invitations/{token}/accept", status_code=201)
async def accept(token: str, caller: PersonCaller, tx: TxDep, response: Response) -> list[GrantOut]:
    """Accept an invitation; it works once.

    202 and an empty list: the patient is shown who accepted, and it begins with her yes (`/api/family/claims`).
    """
    made = await invitations.accept(tx, caller, token)
    if not made:
        response.status_code = status.HTTP_202_ACCEPTED
    return [await grant_out(tx, g) for g in made]


@router.delete("/invitations/{invitation_id}", status_code=204)
async def take_back(invitation_id: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Take an invitation back."""
    await invitations.withdraw_invitation(tx, caller, invitation_id)
    return Response(status_code=204)


@router.post("/codes")
async def by_code(asked: CodeBody, caller: PersonCaller, world: WorldDep, tx: TxDep) -> dict[str, str]:
    """Turn a spoken code into the invitation's token; twenty tries a day, five a code."""
    await tx.let_go()
    return {"token": await flows.open_by_code(world.db, caller, asked.who, asked.code)}


@router.delete("/bonds/{bond}", status_code=204)
async def withdraw(bond: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """End a bond at once, from either side."""
    await bonds.withdraw(tx, caller, bond)
    return Response(status_code=204)


@router.post("/bonds/{bond}/watch")
async def watch(bond: UUID, asked: WatchBody, caller: PersonCaller, tx: TxDep) -> list[GrantOut]:
    """Change what a relative sees, at once; empty when they watch no more."""
    made = await bonds.change(tx, caller, bond, _DEPTHS[asked.depth], frozenset(asked.opened), calls=asked.calls)
    return [await grant_out(tx, g) for g in made]


@router.get("/choices")
async def chosen(
    caller: PersonCaller, tx: TxDep, patient_id: Annotated[UUID | None, Query()] = None
) -> list[ChoiceOut]:
    """What was agreed to and taken back, newest first; what is not listed was never chosen."""
    found = await choices.history(tx, await _whose(tx, caller, patient_id, Action.SHARE))
    return [ChoiceOut(kind=ChoiceKind(c.kind), given=c.given, version=c.version, at=c.at) for c in found]


@router.post("/choices", status_code=204)
async def choose(asked: ChoiceBody, caller: PersonCaller, tx: TxDep) -> Response:
    """Agree to sharing, credit reporting or location, or take it back; no care depends on it."""
    whose = await _whose(tx, caller, asked.patient_id, Action.SHARE)
    await choices.choose(tx, caller, whose, asked.kind, given=asked.given)
    return Response(status_code=204)


@router.get("/looks")
async def looks(caller: PersonCaller, tx: TxDep, patient_id: Annotated[UUID | None, Query()] = None) -> list[LookOut]:
    """Who looked when, newest first."""
    whose = await _whose(tx, caller, patient_id, Action.READ_LOOKS)
    found = await access.looks(tx, whose)
    return [LookOut(who=x.viewer_name, relation=x.relation, page=x.page, visit_id=x.visit_id, at=x.at) for x in found]


@router.post("/guardians", status_code=201)
async def set_guardian(asked: GuardianBody, caller: StaffCaller, tx: TxDep) -> GrantOut:
    """Write down, at the desk, who stands for a child or for an adult who cannot act."""
    if caller.hospital_id is None:
        raise NotFoundError
    if caller.role not in bonds.MAY_SET_GUARDIANS:
        raise ForbiddenError  # before anybody is looked up: a no says nothing about who is known here
    patient = await patients.known_number(tx, caller.hospital_id, asked.patient_number)
    guardians = await sessions.with_phone(tx, asked.guardian_phone)  # not the child, whose phone it often is
    if patient is None or len(guardians) != 1:
        raise NotFoundError
    made = await bonds.set_guardian(
        tx,
        caller,
        patient.id,
        guardians[0].id,
        asked.relation,
        bonds.Papers(asked.document, asked.cannot_act, asked.until),
    )
    return await grant_out(tx, made)
