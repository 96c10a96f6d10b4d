"""Typing in a spoken code, whose try is committed before we answer; paying by a link, and taking one back."""

from dataclasses import replace
from uuid import UUID

from family_pay.rules import TooManyGuessesError, WrongInviteCodeError
from family_pay.service import links
from family_pay.service.invitations import try_code
from kernel.db import Database
from payments import flows as payments
from payments.flows.booking import each
from payments.ports import CashPay
from payments.rules import Till
from payments.service.attempts import Press
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


async def stop_links(db: Database, pay: CashPay, actor: Actor, visit_id: UUID) -> None:
    """Close what is being paid by links of a visit, so that the family can pay; paid meanwhile is paid.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to pay.
    """
    async with db.begin() as tx:
        under_way = await links.under_way(tx, actor, visit_id)
    await each(under_way, lambda one: payments.close(db, pay, one))
