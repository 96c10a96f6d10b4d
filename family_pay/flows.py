"""Codes, whose tries are committed before we answer; the insurer asked; paying by a link, and taking one back."""

from dataclasses import replace
from typing import Protocol
from uuid import UUID

from family_pay.rules import PHONE_CODE_LIVES, TooManyGuessesError, WrongInviteCodeError
from family_pay.service import insurer, links, phone_bindings, taking
from family_pay.service.invitations import try_code
from family_pay.service.taking import Auto
from kernel.db import Database, Tx
from kernel.errors import HoufuError
from kernel.outside import OutsideError
from payments import flows as payments
from payments.flows import taking as contract_flows
from payments.flows.booking import each
from payments.ports import CashPay
from payments.rules import Till
from payments.service.attempts import Attempt
from payments.service.pressing import Press
from people.rules import Actor


async def open_by_code(db: Database, actor: Actor, handle: str, code: str) -> str:
    """Find an invitation by its spoken code.

    Args:
        handle: the inviter's phone, or the identity number of somebody without one.
        code: as read out; blanks and small letters do not matter.

    Returns: the token of the invitation's link, with which it is seen and accepted.

    Raises:
        WrongInviteCodeError: no live invitation of that patient has this code; the try was counted.
        TooManyGuessesError: twenty tries today.
    """
    async with db.begin() as tx:
        allowed, token = await try_code(tx, actor, handle, code)
    if not allowed:
        raise TooManyGuessesError
    if token is None:
        raise WrongInviteCodeError
    return token


class BindingCodeSender(Protocol):
    """Brings a code to a patient's phone and says who asks for it. Raises ``kernel.outside`` errors."""

    async def __call__(self, phone: str, who: str, digits: str, minutes: int) -> None:
        """Send who asks (masked), the digits, and for how many minutes they are good."""


async def send_phone_code(db: Database, send: BindingCodeSender, request_id: UUID) -> None:
    """Send the code of a request, at most once; whoever got none asks again.

    Raises:
        Rejected, Throttled, Unknown: the gateway.
    """
    async with db.begin() as tx:
        found = await phone_bindings.to_send(tx, request_id)
    if found is not None:
        await send(found.phone, found.who, found.digits, int(PHONE_CODE_LIVES.total_seconds() // 60))


async def prove_by_phone(db: Database, actor: Actor, request_id: UUID, code: str) -> tuple[str, str]:
    """Bring the code that came to the patient's phone.

    Returns: the patient's masked name, and what the relative said to be to her; nothing is bound yet.

    Raises:
        WrongAskCodeError: not right, or there is no such patient.
        AskExpiredError: too old, tried too often, used, or somebody else's.
    """
    async with db.begin() as tx:
        tried = await phone_bindings.try_code(tx, actor, request_id, code)
    phone_bindings.outcome(tried)
    async with db.begin() as tx:
        return await phone_bindings.shown(tx, actor, request_id)


class AskInsurer(Protocol):
    """Asks the insurer about two people, each (name, identity number). Raises ``kernel.outside`` errors."""

    async def __call__(self, payer: tuple[str, str], patient: tuple[str, str]) -> bool:
        """Whether the payer may pay for the patient by the insurer's family account."""


async def ask_insurer(db: Database, ask: AskInsurer, actor: Actor, patient_id: UUID) -> bool | None:
    """Ask the insurer whether the caller and a patient are in one family account; ``None``: it does not say.

    Raises:
        NotFoundError: the caller is not bound to this patient.
        AskedJustNowError: a minute ago.
    """
    async with db.begin() as tx:
        pair = await insurer.claim(tx, actor, patient_id)
    if pair is None:
        return None
    try:
        related = await ask(pair.payer, pair.patient)
    except OutsideError:
        return None
    async with db.begin() as tx:
        await insurer.record(tx, actor, patient_id, related)
    return related


async def pay_by_link(db: Database, pay: CashPay, secret: str, wish: Press, till: Till) -> UUID:
    """The pay button of a link's page. Returns the attempt's id.

    Raises:
        HoufuError: as ``family_pay.service.links.begin`` does.
    """
    async with db.begin() as tx:
        link = await links.find(tx, secret)
    wish = replace(wish, share=link.share)
    return await payments.pressed(db, pay, links.actor_of(link), lambda tx: links.begin(tx, secret, wish, till))


async def withdraw_link(db: Database, pay: CashPay | None, actor: Actor, link_id: UUID) -> None:
    """Take a link back, and stop what is being paid by it; paid meanwhile is paid.

    Raises:
        NotFoundError: absent, or somebody else's.
    """
    async with db.begin() as tx:
        under_way = await links.withdraw(tx, actor, link_id)
    if pay is not None:
        await each(under_way, lambda one: payments.close(db, pay, one))


async def take_due(db: Database, pay: CashPay, auto: Auto) -> int:
    """Take what was announced and whose time has come, each by itself. Returns how many were begun."""
    async with db.begin() as tx:
        found = await taking.due(tx)
    return sum([await _take(db, pay, auto, visit_id, person_id) for visit_id, person_id in found])


async def _take(db: Database, pay: CashPay, auto: Auto, visit_id: UUID, person_id: UUID) -> bool:
    async def begin(tx: Tx) -> Attempt | None:
        return await taking.claim(tx, visit_id, person_id, auto)

    try:
        return await contract_flows.take(db, pay, begin) is not None
    except HoufuError as no:
        async with db.begin() as tx:
            await taking.give_up(tx, visit_id, person_id, no.code)
        return False


async def stop_links(db: Database, pay: CashPay, actor: Actor, visit_id: UUID) -> None:
    """Close what is being paid by links of a visit, so that the family can pay; paid meanwhile is paid.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
    """
    async with db.begin() as tx:
        under_way = await links.under_way(tx, actor, visit_id)
    await each(under_way, lambda one: payments.close(db, pay, one))
