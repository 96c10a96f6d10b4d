"""Logging in, step by step: what was counted is committed before we say no, and outsiders are asked in between."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from kernel.db import Database
from kernel.ids import token
from kernel.outside import Rejected
from people.ports import CodeSender, WeChatAccount, WeChatIdentity
from people.rules import Actor, Document, mask_name
from people.service import codes, phones, pins, sessions, wechat_account
from people.service.codes import CodeExpiredError, Purpose
from people.service.patients import by_id, name_of
from people.service.phones import PhoneChange
from people.service.sessions import LoggedIn, LoginExpiredError, Ticket, WrongPinError

STATE_LIVES = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class MustChoose:
    """Several people share this phone: who is it? (id, masked name)."""

    ticket: str = field(repr=False)
    people: tuple[tuple[UUID, str], ...]


@dataclass(frozen=True, slots=True)
class MustEnrol:
    """Nobody we know has this phone: name and identity number come next."""

    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MustProvePhone:
    """WeChat says who it is, but we have not met: phone and code come once."""

    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class WeChatStart:
    """Where to send the browser, and the cookie that must come back with it."""

    url: str
    cookie: str = field(repr=False)


async def send_code(db: Database, send: CodeSender, phone: str, purpose: Purpose = Purpose.LOGIN) -> None:
    """Make a code, commit it, and have it sent; answers alike whoever the phone belongs to.

    Raises:
        BadPhoneError, TooManyCodesError: nothing was sent.
        Rejected: the gateway refuses this number; it does not count.
        Unknown: it may have gone out, and stays good.
    """
    async with db.begin() as tx:
        fresh = await codes.make(tx, phone, purpose)
    try:
        await send(phone, fresh.digits, int(codes.LIVES.total_seconds() // 60))
    except Rejected:
        async with db.begin() as tx:
            await codes.void(tx, fresh.id)
        raise


async def log_in(
    db: Database, phone: str, code: str, wechat_ticket: str | None = None
) -> LoggedIn | MustChoose | MustEnrol:
    """Prove a phone by its code, and be let in if one known person has it.

    Args:
        wechat_ticket: of ``MustProvePhone``: the WeChat identity is linked when the login is complete.

    Raises:
        WrongCodeError, CodeExpiredError: the try was counted.
        LoginExpiredError: the WeChat ticket is too old.
    """
    async with db.begin() as tx:
        came = sessions.open_ticket(tx.vault, wechat_ticket, tx.now) if wechat_ticket else Ticket()
        tried = await codes.check(tx, phone, code, Purpose.LOGIN)
    code_id = tried.or_raise()
    ticket = Ticket(phone, code_id, came.appid, came.openid)
    async with db.begin() as tx:
        found = await sessions.with_phone(tx, phone)
        if len(found) == 1:
            return await sessions.enter(tx, ticket, found[0])
        sealed = sessions.seal_ticket(tx.vault, ticket, tx.now + sessions.TICKET_LIVES)
        if not found:
            return MustEnrol(sealed)
        return MustChoose(sealed, tuple((p.id, mask_name(name_of(tx, p))) for p in found))


async def choose(db: Database, sealed: str, person_id: UUID) -> LoggedIn:
    """Say which of the people with this phone one is.

    Raises:
        LoginExpiredError: forged, too old or used ticket, or somebody who does not have this phone.
    """
    async with db.begin() as tx:
        ticket = sessions.open_ticket(tx.vault, sealed, tx.now)
        found = await sessions.with_phone(tx, ticket.phone or "")
        chosen = next((p for p in found if p.id == person_id), None)
        if chosen is None:
            raise LoginExpiredError
        return await sessions.enter(tx, ticket, chosen)


async def enrol(db: Database, sealed: str, name: str, id_number: str) -> LoggedIn:
    """Say for the first time who one is; see ``sessions.enrol``.

    Raises:
        BadIdNumberError, TooYoungError: the same ticket may be tried again.
        LoginExpiredError: forged, too old or used ticket.
    """
    async with db.begin() as tx:
        ticket = sessions.open_ticket(tx.vault, sealed, tx.now)
        person = await sessions.enrol(tx, ticket, name, id_number)
        await tx.session.flush()
        return await sessions.enter(tx, ticket, person)


async def begin_wechat(db: Database, wechat: WeChatIdentity, redirect_uri: str, go_on: str) -> WeChatStart:
    """Start WeChat's login. The state is in the address and, sealed, in a cookie: only this browser can come back."""
    state = token()
    async with db.begin() as tx:
        cookie = sessions.seal_json(tx.vault, {"state": state, "next": go_on}, tx.now + STATE_LIVES, "wechat-state")
    return WeChatStart(wechat.authorize_url(redirect_uri, state), cookie)


async def finish_wechat(
    db: Database, wechat: WeChatIdentity, appid: str, cookie: str, state: str, code: str
) -> tuple[LoggedIn | MustProvePhone, str]:
    """Come back from WeChat: claim the state, ask WeChat who it is, and let them in if we have met.

    Returns: the outcome, and where the person wanted to go.

    Raises:
        LoginExpiredError: another browser's or an old state, or one that came back before.
        Rejected, Unknown: WeChat does not know the code, or did not answer; begin again.
    """
    openid, go_on = await come_back(db, wechat, cookie, state, code)
    async with db.begin() as tx:
        person = await sessions.by_wechat(tx, openid, appid)
        if person is not None:
            return await sessions.begin(tx, person), go_on
        ticket = Ticket(appid=appid, openid=openid)
        return MustProvePhone(sessions.seal_ticket(tx.vault, ticket, tx.now + sessions.TICKET_LIVES)), go_on


async def come_back(db: Database, wechat: WeChatIdentity, cookie: str, state: str, code: str) -> tuple[str, str]:
    """Who came back from WeChat (openid), and where they wanted to go; nobody is logged in.

    Raises:
        LoginExpiredError, Rejected, Unknown: as ``finish_wechat`` does.
    """
    async with db.begin() as tx:
        kept = sessions.open_json(tx.vault, cookie, tx.now, "wechat-state")
        if kept["state"] != state or not await sessions.claim_state(tx, state):
            raise LoginExpiredError
    return (await wechat.exchange(code)).openid, str(kept["next"])


async def mini_log_in(db: Database, wechat: WeChatIdentity, appid: str, js_code: str) -> LoggedIn | MustProvePhone:
    """Log in from the mini-program; its code comes from the program itself, so no state is needed.

    Raises:
        Rejected, Unknown: WeChat does not know the code, or did not answer.
    """
    subject = await wechat.mini_session(js_code)
    async with db.begin() as tx:
        person = await sessions.by_wechat(tx, subject.openid, appid)
        if person is not None:
            return await sessions.begin(tx, person)
        ticket = Ticket(appid=appid, openid=subject.openid)
        return MustProvePhone(sessions.seal_ticket(tx.vault, ticket, tx.now + sessions.TICKET_LIVES))


async def staff_log_in(db: Database, hospital_code: str | None, login: str, pin: str) -> LoggedIn:
    """Let a member of staff in. The try is counted first, the slow comparison runs outside any transaction.

    Args:
        hospital_code: may be left out where the login is unique.

    Raises:
        WrongPinError: also when there is nobody by that login, after the same time.
        TooManyTriesError: five wrong ones; rest for a quarter of an hour.
    """
    async with db.begin() as tx:
        found = await sessions.claim_pin_try(tx, hospital_code, login)
    staff_id, kept = found or (None, pins.NO_PIN)
    right = await asyncio.to_thread(pins.is_pin, pin, kept)
    if staff_id is None or not right:
        raise WrongPinError
    async with db.begin() as tx:
        return await sessions.begin_staff(tx, staff_id)


async def code_to(db: Database, account: WeChatAccount, path: str, purpose: wechat_account.Purpose) -> str:
    """The text of a QR code of the official account that leads whoever scans it to one path of ours.

    Raises:
        Throttled, Unknown, Rejected: WeChat made none; show the path's own address instead.
    """
    async with db.begin() as tx:
        known = await wechat_account.shown_code(tx, path)
        scene = "" if known else await wechat_account.new_scene(tx, path, purpose)
    if known:
        return known
    url = await account.scene_qr(scene, int(wechat_account.SCENE_LIVES.total_seconds()))
    async with db.begin() as tx:
        await wechat_account.code_made(tx, scene, url)
    return url


async def ask_phone_change(db: Database, send: CodeSender, actor: Actor, new: str) -> None:
    """Somebody logged in wants another number: a code goes to the old phone and one to the new.

    Raises:
        BadPhoneError, NoOldPhoneError, TooManyCodesError: nothing was sent, or only to the old phone.
        Rejected, Unknown: the gateway.
    """
    async with db.begin() as tx:
        old = await phones.old_phone(tx, actor.id, new)
    await send_code(db, send, old, Purpose.OLD_PHONE)
    await send_code(db, send, new, Purpose.NEW_PHONE)


async def change_phone(db: Database, actor: Actor, new: str, old_code: str, new_code: str, id_number: str) -> LoggedIn:
    """Both codes and the identity number: the new number counts, every other session ends, this phone goes on.

    Raises:
        WrongCodeError, CodeExpiredError: the tries were counted.
        WrongIdNumberError: the codes stay good for the tries they have left.
        NoOldPhoneError: the number was changed meanwhile.
    """
    async with db.begin() as tx:
        old = await phones.old_phone(tx, actor.id, new)
        tried = [
            await codes.check(tx, old, old_code, Purpose.OLD_PHONE, spend=False),
            await codes.check(tx, new, new_code, Purpose.NEW_PHONE, spend=False),
        ]
    proofs = [one.or_raise() for one in tried]
    async with db.begin() as tx:
        for code_id in proofs:
            if not await codes.use(tx, code_id):
                raise CodeExpiredError
        person = await phones.change_own(tx, actor.id, old, new, id_number)
        return await sessions.begin(tx, person)


async def forget_other_devices(db: Database, actor: Actor) -> LoggedIn:
    """A phone was lost: every session and every WeChat account is out, and this browser alone goes on."""
    async with db.begin() as tx:
        person = await by_id(tx, actor.id)
        await sessions.forget_devices(tx, person.id)
        return await sessions.begin(tx, person)


async def ask_desk_change(
    db: Database, staff: Actor, person_id: UUID, phone: str, code: str, document: Document
) -> PhoneChange:
    """At the desk, with the person there: the code that came to the new phone, and the paper that was seen.

    Raises:
        WrongCodeError, CodeExpiredError: the try was counted.
        ForbiddenError, NotFoundError, ChangeWaitsError: see ``phones.ask_at_desk``.
    """
    async with db.begin() as tx:
        tried = await codes.check(tx, phone, code, Purpose.NEW_PHONE)
    tried.or_raise()
    async with db.begin() as tx:
        return await phones.ask_at_desk(tx, staff, person_id, phone, document)
