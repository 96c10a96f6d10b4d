"""The family's pages: who may see and pay, inviting, binding, ending."""

import io
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Annotated
from uuid import UUID

import qrcode
from fastapi import APIRouter, Form, Request
from starlette.responses import Response

from api.deps import PersonCaller, TxDep, WorldDep
from api.routes.family import depth_name
from family_pay import flows
from family_pay.rules import EmptyOfferError, InviteUsedError, Offer, Relation
from family_pay.service import bonds, confirming, insurer, invitations
from family_pay.service.confirming import Claim
from family_pay.service.invitations import Offered
from kernel.clock import china_day
from kernel.db import Tx
from kernel.errors import HoufuError, NotFoundError
from notices.service import telling
from people.rules import Action, Actor, ActorKind, ChoiceKind, Depth, GrantKind, GrantState, Looked
from people.service import access, choices, grants, patients
from people.service.grants import Grant
from people.service.wechat_account import Purpose
from pwa.answer import chosen, go, show, uuid_or_none, world_of
from pwa.codes import code_text
from pwa.pages import claims as claims_pages
from pwa.urls import Urls
from pwa.views import Ask, Bind, Family, GrantCard, Invite, InviteCode, Look, Nav, Person
from words import errors
from words import family as words
from words.binding import PROOFS, Binding
from words.patient import Family as FamilyWords

router = APIRouter(include_in_schema=False)

Short = Annotated[str, Form(max_length=40)]
DEPTHS = {"steps": Depth.STEPS, "bill": Depth.BILL, "results": Depth.RESULTS}
MOST_YUAN = 1_000_000
MOST_LOOKS = 60
TELEPHONE = "telephone"


def _sentence(error: HoufuError) -> str:
    return errors.sentence(error.code, error.kind, **error.params)


def _depth(value: int) -> str | None:
    name = depth_name(value)
    return None if name == "none" else name


def _card(rights: list[Grant], who: str, relation: str, categories: Iterable[str] = ()) -> GrantCard:
    first = rights[0]
    pay = next((g for g in rights if g.kind == GrantKind.PAY), None)
    watch = next((g for g in rights if g.kind == GrantKind.WATCH), None)
    return GrantCard(
        id=str(first.bond),
        who=who,
        relation=relation,
        pays=pay is not None,
        watches=watch is not None,
        depth=_depth(watch.depth) if watch else None,
        cap_fen=pay.cap_fen if pay else None,
        until=first.until,
        opened=tuple(words.CATEGORIES.get(c, c) for c in (watch.opened if watch else ())),
        state="active" if first.state == GrantState.ACTIVE else "ended",
        signs=any(g.kind == GrantKind.SIGN for g in rights),
        guards=any(g.kind == GrantKind.GUARD for g in rights),
        calls=watch is not None and watch.calls,
        categories=tuple(
            (c, words.CATEGORIES.get(c, c), watch is not None and c in watch.opened) for c in sorted(categories)
        ),
        scope=first.visit_id is not None,
        books=any(g.kind == GrantKind.BOOK for g in rights),
        proof=words.proven(PROOFS.get(first.proof, ""), china_day(first.created_at)),
    )


def _waiting(claim: Claim) -> GrantCard:
    o = claim.offer
    return GrantCard(
        str(claim.id),
        claim.patient,
        words.relation(o.relation),
        o.pays,
        o.depth > Depth.NOTHING,
        _depth(o.depth),
        o.cap_fen,
        claim.expires_at,
        state="offered",
        signs=o.signs,
        books=o.books,
    )


def _bonds(found: list[Grant]) -> list[list[Grant]]:
    together: dict[UUID, list[Grant]] = {}
    for grant in found:
        together.setdefault(grant.bond, []).append(grant)
    return list(together.values())


async def _given(tx: Tx, patient_id: UUID) -> list[GrantCard]:
    cards = [
        GrantCard(
            str(x.id),
            words.relation(x.relation),
            words.relation(x.relation),
            x.pays,
            x.depth > Depth.NOTHING,
            _depth(x.depth),
            x.cap_fen,
            x.expires_at,
            tuple(words.CATEGORIES.get(c, c) for c in x.opened),
            "offered",
            x.signs,
            books=x.books,
        )
        for x in await invitations.waiting_of(tx, patient_id)
    ]
    known = await invitations.categories(tx)
    live = [g for g in await grants.of_patient(tx, patient_id) if g.state == GrantState.ACTIVE]
    for rights in _bonds([g for g in live if g.until is None or g.until > tx.now]):
        relative = await patients.by_id(tx, rights[0].person_id)
        cards.append(_card(rights, relative.name_masked, words.relation(rights[0].relation), known))
    return cards


async def _held(tx: Tx, person_id: UUID, *, insurer_answers: bool) -> list[GrantCard]:
    cards = [
        replace(_waiting(c), who=words.label(c.offer.relation, None) + f" {c.patient}")
        for c in await confirming.waiting_with_others(tx, Actor(ActorKind.PERSON, person_id))
    ]
    bonds_held = _bonds(await grants.of_relative(tx, person_id))
    said = await insurer.said_to(tx, person_id, {rights[0].patient_id for rights in bonds_held})
    for rights in bonds_held:
        patient = await patients.by_id(tx, rights[0].patient_id)
        card = _card(rights, patient.name_masked, words.label(rights[0].relation, patient.sex))
        if insurer_answers:
            told, at = said.get(patient.id, (None, None))
            text = Binding.insurer_says[told] if at is not None else None
            card = replace(card, insurer=text, insurer_at=at, insurer_url=Urls.ask_insurer(card.id))
        pays = card.pays or card.guards
        cards.append(replace(card, limits_url=Urls.limits(str(patient.id))) if pays else card)
    return cards


async def person_of(request: Request, tx: Tx, caller: Actor) -> Person:
    """Whose family the pages are about: oneself, or the child one guards and has switched to."""
    row = await chosen(request, tx, caller)
    if row.id == caller.id or not await access.can_for(tx, caller, Action.SHARE, row.id):
        row = await patients.by_id(tx, caller.id)
    mine = row.id == caller.id
    return Person(str(row.id), words.ME if mine else words.SOMEBODY, patients.name_of(tx, row))


@router.get(Urls.family)
async def family(request: Request, caller: PersonCaller, world: WorldDep, tx: TxDep) -> Response:
    """Who may see and pay, and who looked."""
    person = await person_of(request, tx, caller)
    whose = UUID(person.id)
    looks = [_look(x) for x in (await access.sittings_of(tx, whose))[:MOST_LOOKS]]
    last = await choices.latest(tx, whose, ChoiceKind.SHARE)
    shares = None if last is None else last.given
    await telling.seen(tx, caller.id, caller.id)
    held = await _held(tx, caller.id, insurer_answers=world.ports.family_accounts is not None)
    by_phone = world.ports.sms is not None and bool(world.settings.sms_template_bind)
    claims, claims_url = await claims_pages.cards(tx, caller)
    view = Family(person, await _given(tx, whose), held, looks, shares, by_phone, claims, claims_url)
    return await show(request, tx, "family.html", view, Nav("family"))


def _look(x: Looked) -> Look:
    who = f"{words.relation(x.relation)} {x.who}" if x.relation else x.who
    return Look(who, words.looked(x.page), x.first, x.last if x.last != x.first else None, x.times)


@router.post("/family/{bond}/watch")
async def watch(bond: UUID, caller: PersonCaller, tx: TxDep, depth: Short = "", toggle: Short = "") -> Response:
    """One tap: more, less or nothing to see (``depth``), a category or the telephone opened or closed (``toggle``)."""
    now = next((g for g in await grants.live_of_bond(tx, bond) if g.kind == GrantKind.WATCH), None)
    level = Depth(now.depth) if now else Depth.NOTHING
    opened, calls = frozenset(now.opened if now else ()), now is not None and now.calls
    if depth:
        level = DEPTHS.get(depth, Depth.NOTHING)
    if toggle == TELEPHONE:
        calls = not calls
    elif toggle:
        opened ^= {toggle}
    await bonds.change(tx, caller, bond, level, opened, calls=calls)
    return go(Urls.family)


async def _asking(request: Request, tx: Tx, caller: Actor, visit: str | None = None) -> Invite:
    person = await person_of(request, tx, caller)
    return Invite(
        person,
        relations=tuple(words.RELATIONS.items()),
        categories=tuple((c, words.CATEGORIES.get(c, c)) for c in sorted(await invitations.categories(tx))),
        visit_id=visit,
        agrees=await choices.agreed(tx, UUID(person.id), ChoiceKind.SHARE),
    )


@router.get(Urls.invite)
async def ask(request: Request, caller: PersonCaller, tx: TxDep, visit: UUID | None = None) -> Response:
    """What shall the relative see and do?"""
    return await show(request, tx, "invite.html", await _asking(request, tx, caller, str(visit) if visit else None))


def _fen(yuan: str) -> int | None:
    """A cap as typed, in yuan; empty for none.

    Raises:
        EmptyOfferError: not an amount of money.
    """
    text = yuan.strip().removeprefix("¥").replace(",", "")
    if not text:
        return None
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise EmptyOfferError from None
    fen = amount * 100
    if not amount.is_finite() or not 0 < amount <= MOST_YUAN or fen != fen.to_integral_value():
        raise EmptyOfferError
    return int(fen)


@router.post(Urls.invite)
async def invite(
    request: Request,
    caller: PersonCaller,
    tx: TxDep,
    relation: Relation = Form(Relation.OTHER),
    pays: Short = "",
    cap_yuan: Short = "",
    ask_first: Short = "",
    depth: Short = "",
    signs: Short = "",
    calls: Short = "",
    books: Short = "",
    share: Short = "",
    visit: Short = "",
    opened: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Make the invitation; its QR, link and code come at once, the code only this time."""
    view = await _asking(request, tx, caller, visit or None)
    level = DEPTHS.get(depth, Depth.NOTHING)
    try:
        offer = Offer(
            relation,
            bool(pays),
            _fen(cap_yuan) if pays else None,
            bool(pays and ask_first),
            level,
            frozenset(opened or ()) if level else frozenset(),
            bool(signs),
            bool(calls and level),
            bool(books),
        )
        made = await invitations.invite(
            tx, caller, UUID(view.person.id), offer, uuid_or_none(visit), agrees=bool(share)
        )
    except HoufuError as error:
        return await show(request, tx, "invite.html", replace(view, error=_sentence(error)), status=422)
    url = _link(request, made.token)
    qr_url = f"{Urls.invite}/{made.id}/qr.png"
    claims, claims_url = await claims_pages.cards(tx, caller)
    done = replace(
        view, url=url, qr_url=qr_url, until=made.expires_at, code=made.code, claims=claims, claims_url=claims_url
    )
    return await show(request, tx, "invite.html", done)


def _link(request: Request, token: str) -> str:
    return world_of(request).settings.base_url + Urls.bind(token)


@router.get(Urls.invite + "/{invitation}/qr.png")
async def qr(request: Request, invitation: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """The link as a QR picture, for its maker only."""
    token = await invitations.token_of(tx, caller, invitation)
    await tx.let_go()
    picture = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4)
    picture.add_data(await code_text(world_of(request), Urls.bind(token), Purpose.BIND))
    out = io.BytesIO()
    picture.make_image().save(out, "PNG")
    return Response(out.getvalue(), media_type="image/png", headers={"Cache-Control": "private, no-store"})


@router.get("/family/{bond}/withdraw")
async def ask_withdraw(request: Request, bond: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """Really end it? Says what will be different."""
    back, action = Urls.family, Urls.withdraw_grant(str(bond))
    live = await grants.live_of_bond(tx, bond)
    if live:
        held = live[0].person_id == caller.id
        if not held and not await access.can_for(tx, caller, Action.SHARE, live[0].patient_id):
            raise NotFoundError
        other = await patients.by_id(tx, live[0].patient_id if held else live[0].person_id)
        says = FamilyWords.leave_says if held else FamilyWords.end_says
        title, button = (
            (FamilyWords.leave_title, FamilyWords.leave) if held else (FamilyWords.end_title, FamilyWords.end)
        )
        line = says(other.name_masked)
    else:
        if not any(c.id == bond for c in await confirming.waiting_with_others(tx, caller)):
            await invitations.token_of(tx, caller, bond)  # an invitation still waiting, or nothing at all
        title, button, line = FamilyWords.back_title, FamilyWords.take_back, FamilyWords.back_says
    view = Ask(title, (line,), action, button, back, danger=True)
    return await show(request, tx, "ask.html", view)


@router.post("/family/{bond}/withdraw")
async def withdraw(bond: UUID, caller: PersonCaller, tx: TxDep) -> Response:
    """End it at once."""
    try:
        await bonds.withdraw(tx, caller, bond)
    except NotFoundError:
        with suppress(InviteUsedError):  # pressed twice: it has ended already
            await invitations.withdraw_invitation(tx, caller, bond)
    return go(Urls.family)


@router.get(Urls.bind_code)
async def ask_code(request: Request, caller: PersonCaller, tx: TxDep) -> Response:
    """Type in a spoken code."""
    return await show(request, tx, "bind_code.html", InviteCode())


@router.post(Urls.bind_code)
async def by_code(
    request: Request, caller: PersonCaller, world: WorldDep, tx: TxDep, who: Short = "", code: Short = ""
) -> Response:
    """From the code to the invitation."""
    await tx.let_go()
    try:
        token = await flows.open_by_code(world.db, caller, who, code)
    except HoufuError as error:
        async with world.db.begin() as fresh:
            return await show(request, fresh, "bind_code.html", InviteCode(who, _sentence(error)), status=422)
    return go(Urls.bind(token))


def _bind(token: str, found: Offered) -> Bind:
    offer = found.offer
    return Bind(
        token,
        found.patient,
        words.relation(offer.relation),
        offer.pays,
        offer.depth > Depth.NOTHING,
        _depth(offer.depth),
        offer.cap_fen,
        None,
        signs=offer.signs,
        opened=tuple(words.CATEGORIES.get(c, c) for c in sorted(offer.opened)),
        calls=offer.calls,
        books=offer.books,
        state=found.state,
        end_url=Urls.withdraw_grant(str(found.id)),
        hers=not found.by_desk,
    )


@router.get("/bind/{token}")
async def bind(request: Request, token: str, caller: PersonCaller, tx: TxDep) -> Response:
    """Whose invitation it is, masked, and what it opens; after accepting, whether she has said yes."""
    view = _bind(token, await invitations.seen(tx, caller, token))
    if view.state == "waiting":
        view = replace(view, stream_url=claims_pages.stream_url(await confirming.mark(tx, caller)))
    return await show(request, tx, "bind.html", view)


@router.post("/bind/{token}")
async def accept(token: str, caller: PersonCaller, tx: TxDep) -> Response:
    """Accept; where her yes is still to come, the page waits for it."""
    return go(Urls.family if await invitations.accept(tx, caller, token) else Urls.bind(token))
