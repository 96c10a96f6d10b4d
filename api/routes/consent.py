"""The letter for programs and kiosks: open a reading, tell that it is on screen, sign, withdraw, fetch the papers."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api.deps import AnyCaller, PersonCaller, StaffCaller, TxDep, WorldDep, session_token
from api.line import Line, follow_line
from api.stream import RELOAD, StreamResponse
from api.world import World
from consent import flows
from consent.rules import SignerRole, SigningChannel, Strokes, read_strokes
from consent.service import contracts, eligibility, letters, reading, standing
from consent.service.reading import Reading
from consent.service.signing import Signature
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.outside import NotConfigured
from people.rules import Actor, ActorKind
from people.service import hospitals
from visits.service import encounters
from visits.service.subjects import subject_of_visit
from words import letter_text

router = APIRouter(prefix="/api/consent", tags=["consent"])


# --------------------------------------------------------------------------- shared with the pages (pwa.pages.consent)


def device_of(request: Request, caller: Actor, *, elder: bool = False) -> reading.Device:
    """From where the caller reads: the hospital's tablet, WeChat, or another browser."""
    name = request.headers.get("user-agent", "")[:200]
    if caller.kind is ActorKind.STAFF:
        channel = SigningChannel.TABLET
    else:
        channel = SigningChannel.OFFICIAL_ACCOUNT if "MicroMessenger" in name else SigningChannel.WEB
    return reading.Device(channel, name, elder)


def drawn_by(raw: object, width: object, height: object) -> Strokes:
    """Checked strokes; see ``consent.rules.read_strokes``."""
    return read_strokes(raw, width, height)


async def insurance_status(tx: Tx, hospital_id: UUID, patient_id: UUID) -> tuple[str, UUID] | None:
    """(status, visit) of today's visit at this hospital; ``None`` before any."""
    visit = encounters.visit_id(hospital_id, patient_id, china_day(tx.now))
    try:
        await subject_of_visit(tx, visit)
    except NotFoundError:
        return None
    return await encounters.insurance_status_of(tx, visit), visit


async def open_for(world: World, caller: Actor, hospital_id: UUID, patient_id: UUID, device: reading.Device) -> UUID:
    """Ask the credit platform if need be, then open the reading. The right comes first: nobody asks about strangers.

    Raises:
        ConsentError, NotFoundError: see ``consent.service.reading.open_reading``.
    """
    from consent.service import signers

    async with world.db.begin() as tx:
        await signers.right_of(tx, caller, hospital_id, patient_id)
        found = await insurance_status(tx, hospital_id, patient_id)
    await flows.check_credit(world.db, world.ports.credit, hospital_id, patient_id)
    async with world.db.begin() as tx:
        opened = await reading.open_reading(
            tx,
            caller,
            hospital_id,
            patient_id,
            device,
            insurance_status=found[0] if found else None,
            credit_asked_here=world.ports.credit is not None,
        )
        return opened.id


# --------------------------------------------------------------------------------------------------------- promises


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class OpenBody(_Body):
    """For whom, where."""

    hospital_id: UUID
    patient_id: UUID
    elder: bool = Field(False, description="长辈版: more reading time")


class RegionOut(BaseModel):
    """One part of the letter."""

    code: str
    title: str
    text: str


class ReadingOut(BaseModel):
    """The letter being read; the server's seconds."""

    reading_id: UUID
    title: str
    version: str
    sha256: str
    regions: list[RegionOut]
    seconds_total: int
    seconds_left: int


class BeatBody(_Body):
    """What the page saw; evidence only."""

    end: bool = False
    regions: Annotated[list[str], Field(max_length=5)] = []


class LeftOut(BaseModel):
    """Seconds until the pen is handed over, by the server's clock."""

    seconds_left: int


class PenOut(BaseModel):
    """The nonce that goes with the signature."""

    nonce: str


class SignBody(_Body):
    """A signature: drawn (``strokes`` and ``box``), or by ``name`` and SMS ``code``."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "nonce": "…",
                    "strokes": [[[20, 40.5, 0, 0.2], [60.3, 44, 40, 0.5]]],
                    "box": [320, 160],
                    "client_time": "2026-11-20T09:03:11+08:00",
                }
            ]
        },
    )
    nonce: Annotated[str, Field(max_length=60)]
    strokes: list[Any] | None = Field(None, description="[[[x, y, t, pressure], …], …]: pixels, ms, 0…1")
    box: tuple[int, int] | None = Field(None, description="width and height of the pad, pixels")
    name: Annotated[str, Field(max_length=30)] | None = None
    code: Annotated[str, Field(pattern=r"^[0-9]{6}$")] | None = None
    role: Literal["patient", "proxy"] = "patient"
    relation: Annotated[str, Field(max_length=20)] | None = None
    reason: Annotated[str, Field(max_length=20)] | None = None
    client_time: datetime | None = Field(None, description="what the device thinks the time is; evidence only")


class ContractOut(BaseModel):
    """A standing contract."""

    contract_id: UUID
    hospital_id: UUID
    state: str
    role: str
    method: str
    channel: str
    signed_at: datetime
    sealed: bool
    waits_for_doctor: bool


class OfferOut(BaseModel):
    """Whether signing is offered; ``why_not`` is a whole sentence's reason."""

    offered: bool
    signed: bool
    why_not: str | None = None


def _contract(row: contracts.Contract) -> ContractOut:
    return ContractOut(
        contract_id=row.id,
        hospital_id=row.hospital_id,
        state=row.state,
        role=row.role,
        method=row.method,
        channel=row.channel,
        signed_at=row.signed_at,
        sealed=row.sealed_at is not None,
        waits_for_doctor=row.countersign and row.countersigned_at is None,
    )


@router.get("/offers/{hospital_id}")
async def offer(hospital_id: UUID, caller: PersonCaller, world: WorldDep, tx: TxDep) -> OfferOut:
    """Is the service for me here, and have I signed?"""
    await hospitals.by_id(tx, hospital_id)
    if await standing.contract_of(tx, hospital_id, caller.id) is not None:
        return OfferOut(offered=False, signed=True)
    found = await insurance_status(tx, hospital_id, caller.id)
    # Credit that was never asked is asked when the letter is opened; it is no reason against before.
    refusal = await eligibility.decide(
        tx, hospital_id, caller.id, insurance_status=found[0] if found else None, credit_asked_here=False
    )
    why = None if refusal is None else letter_text.REFUSALS[refusal]
    return OfferOut(offered=refusal is None, signed=False, why_not=why)


@router.post("/readings", status_code=201)
async def open_reading(request: Request, body: OpenBody, caller: AnyCaller, world: WorldDep, tx: TxDep) -> ReadingOut:
    """Begin to read; the server's clock starts. Coming back gives the same reading."""
    device = device_of(request, caller, elder=body.elder)
    await tx.let_go()
    opened = await open_for(world, caller, body.hospital_id, body.patient_id, device)
    async with world.db.begin() as fresh:
        return await _reading(fresh, caller, opened)


@router.get("/readings/{reading_id}")
async def get_reading(reading_id: UUID, caller: AnyCaller, tx: TxDep) -> ReadingOut:
    """The letter being read."""
    return await _reading(tx, caller, reading_id)


async def _reading(tx: Tx, caller: Actor, reading_id: UUID) -> ReadingOut:
    read, _ = await reading.of(tx, caller, reading_id)
    letter = await letters.by_id(tx, read.letter_id)
    filled = letters.filled(letter, await letters.identity_of(tx, read.patient_id))
    return ReadingOut(
        reading_id=read.id,
        title=letter.title,
        version=letter.label,
        sha256=letter.sha256,
        regions=[RegionOut(code=r["code"], title=r["title"], text=r["text"]) for r in filled],
        seconds_total=reading.total(read),
        seconds_left=reading.left(read, tx.now),
    )


def mark_of(read: Reading) -> str:
    """How far a reading has got on whatever device: changes when it moves on to another, and when it ends."""
    return f"{read.state}-{len(read.handed_to)}"


@router.get("/readings/{reading_id}/stream", response_class=StreamResponse)
async def follow(
    request: Request,
    reading_id: UUID,
    caller: AnyCaller,
    world: WorldDep,
    tx: TxDep,
    after: Annotated[str, Query(max_length=40, description="the mark the page was drawn with")] = "",
) -> Response:
    """Wait until a reading goes on or is signed on another device: ``event: reload``, and nothing else."""
    read, _ = await reading.of(tx, caller, reading_id)
    token = session_token(request) or ""

    async def mark() -> str | None:
        async with world.db.begin() as now:
            same = await world.who(now, token)
            return None if same != caller else mark_of((await reading.of(now, caller, reading_id))[0])

    return follow_line(world.hub, caller.viewer, Line(world.hub, mark, after, RELOAD, {read.patient_id}))


@router.post("/readings/{reading_id}/beats")
async def beat(reading_id: UUID, body: BeatBody, caller: AnyCaller, tx: TxDep) -> LeftOut:
    """The letter is on screen."""
    return LeftOut(seconds_left=await reading.beat(tx, caller, reading_id, end=body.end, regions=body.regions))


@router.post("/readings/{reading_id}/pen")
async def pen(request: Request, reading_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> PenOut:
    """Ask for the pen; 425 while the reading time is not served."""
    await tx.let_go()
    return PenOut(nonce=await flows.ask_pen(world.db, caller, reading_id, device_of(request, caller)))


@router.post("/readings/{reading_id}/code", status_code=202)
async def send_code(reading_id: UUID, caller: AnyCaller, world: WorldDep, tx: TxDep) -> None:
    """Send the code to sign with the name."""
    if world.ports.sms is None:
        raise NotConfigured("sms.secret_id")
    await tx.let_go()
    await flows.send_sign_code(world.db, world.ports.sms, world.settings.sms_template_code, caller, reading_id)


@router.post("/readings/{reading_id}/sign", status_code=201)
async def sign(
    request: Request, reading_id: UUID, body: SignBody, caller: AnyCaller, world: WorldDep, tx: TxDep
) -> ContractOut:
    """Sign the letter that was read. The same signature twice gives the same contract."""
    read, _ = await reading.of(tx, caller, reading_id)
    status = await insurance_status(tx, read.hospital_id, read.patient_id)
    signature = Signature(
        body.nonce,
        None if body.strokes is None else drawn_by(body.strokes, *(body.box or (None, None))),
        body.name,
        body.code,
        SignerRole(body.role),
        body.relation,
        body.reason,
        body.client_time,
    )
    await tx.let_go()
    contract = await flows.sign(
        world.db,
        caller,
        reading_id,
        signature,
        device_of(request, caller),
        insurance_status=status[0] if status else None,
        credit_asked_here=world.ports.credit is not None,
    )
    async with world.db.begin() as fresh:
        return _contract(await contracts.by_id(fresh, caller, contract))


@router.get("/contracts")
async def mine(caller: PersonCaller, tx: TxDep) -> list[ContractOut]:
    """My standing contracts."""
    return [_contract(c) for c in await contracts.of_patient(tx, caller.id)]


@router.get("/contracts/{contract_id}/evidence.json", response_class=Response)
async def evidence_file(contract_id: UUID, caller: AnyCaller, tx: TxDep) -> Response:
    """The evidence bundle, once sealed: check it with ``houfu verify-consent``."""
    contract = await contracts.by_id(tx, caller, contract_id)
    found = await contracts.papers(tx, contract.id)
    if found is None:
        raise NotFoundError
    return Response(found[1], media_type="application/json", headers={"Cache-Control": "private, no-store"})


@router.post("/contracts/{hospital_id}/withdraw")
async def withdraw(hospital_id: UUID, caller: PersonCaller, tx: TxDep, patient_id: UUID | None = None) -> ContractOut:
    """Stop the service; what is on account stays owed."""
    return _contract(await contracts.withdraw(tx, caller, hospital_id, patient_id or caller.id))


@router.post("/contracts/{contract_id}/countersign")
async def countersign(contract_id: UUID, caller: StaffCaller, tx: TxDep) -> ContractOut:
    """The doctor signs beside the patient."""
    return _contract(await contracts.countersign(tx, caller, contract_id))
