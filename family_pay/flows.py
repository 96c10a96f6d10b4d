"""Typing in a spoken code: the try is committed before we say whether it was right."""

from family_pay.rules import TooManyGuessesError, WrongInviteCodeError
from family_pay.service.invitations import try_code
from kernel.db import Database
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
