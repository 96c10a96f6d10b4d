"""Signing without drawing: a code by SMS to the signer's own phone, few tries, short-lived, kept as a keyed digest."""

import hmac
from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from consent.models import Reading, SignCode
from consent.rules import CODE_LIVES, CODE_PAUSE, CODE_TRIES, CODES_A_DAY, CodeError, TooManyCodesError
from kernel.db import Tx
from kernel.ids import digits, new_id
from people.rules import mask_phone
from people.service import patients


async def issue(tx: Tx, reading: Reading, signer_id: UUID) -> tuple[str, str]:
    """Make a code. Returns (whole phone number, code), for the text message only.

    Raises:
        TooManyCodesError: one a minute, ten a day for one person.
        CodeError: no phone number is known.
    """
    person = await patients.by_id(tx, signer_id)
    phone = patients.phone_of(tx, person)
    if phone is None:
        raise CodeError
    since = tx.now - timedelta(days=1)
    query = select(SignCode.sent_at).where(SignCode.person_id == signer_id, SignCode.sent_at > since)
    sent = list(await tx.session.scalars(query))
    if len(sent) >= CODES_A_DAY or (sent and tx.now - max(sent) < CODE_PAUSE):
        raise TooManyCodesError
    code = digits(6)
    tx.add(
        SignCode(
            id=new_id(),
            reading_id=reading.id,
            person_id=signer_id,
            code_digest=_digest(tx, reading.id, signer_id, code),
            sent_at=tx.now,
            expires_at=tx.now + CODE_LIVES,
            tries=0,
        )
    )
    return phone, code


async def sent_to(tx: Tx, reading_id: UUID, signer_id: UUID) -> str | None:
    """The masked phone to which a code that still lives was sent."""
    live = await _live(tx, reading_id, signer_id)
    if live is None:
        return None
    phone = patients.phone_of(tx, await patients.by_id(tx, signer_id))
    return mask_phone(phone) if phone else None


async def spend(tx: Tx, reading_id: UUID, signer_id: UUID, code: str) -> SignCode:
    """Use the newest code.

    Raises:
        CodeError: wrong, spent, too old, or tried too often (the try is counted by ``count_try``).
    """
    live = await _live(tx, reading_id, signer_id)
    if live is None or not hmac.compare_digest(live.code_digest, _digest(tx, reading_id, signer_id, code)):
        raise CodeError
    live.used_at = tx.now
    return live


async def count_try(tx: Tx, reading_id: UUID, signer_id: UUID) -> None:
    """A wrong code was given; after five the code is dead."""
    live = await _live(tx, reading_id, signer_id)
    if live is not None:
        live.tries += 1


async def _live(tx: Tx, reading_id: UUID, signer_id: UUID) -> SignCode | None:
    query = (
        select(SignCode)
        .where(SignCode.reading_id == reading_id, SignCode.person_id == signer_id)
        .order_by(SignCode.sent_at.desc())
        .limit(1)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    newest: SignCode | None = await tx.session.scalar(query)
    if newest is None or newest.used_at is not None or newest.expires_at <= tx.now or newest.tries >= CODE_TRIES:
        return None
    return newest


def _digest(tx: Tx, reading_id: UUID, signer_id: UUID, code: str) -> bytes:
    return tx.vault.index("sign-code", f"{reading_id}/{signer_id}/{code}")
