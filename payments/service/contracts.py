"""A payer's deduction contract: asked for here, signed at the provider, and ended by whoever says so first."""

import secrets
from uuid import UUID

from sqlalchemy import select

from kernel.db import Tx
from kernel.errors import NotFoundError
from kernel.ids import new_id, short_code
from payments.models import Deduction
from payments.models import DeductionContract as DeductionContract
from payments.ports import ContractAsk, ContractWord
from payments.ports import ContractState as Said
from payments.rules import Till
from payments.rules.taking import (
    CONTRACT,
    LIVE_CONTRACT,
    SIGNING_LIFE,
    ContractState,
    NoContractError,
    next_contract_look,
)
from people.rules import Actor, ActorKind
from people.service import sessions

S = ContractState


async def live(tx: Tx, person_id: UUID, till: Till, *, lock: bool = False) -> DeductionContract | None:
    """The payer's contract with this till, signed or on its way there or back; None: there is none."""
    query = select(DeductionContract).where(
        DeductionContract.person_id == person_id,
        DeductionContract.mchid == till.mchid,
        DeductionContract.state.in_(LIVE_CONTRACT),
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return (await tx.session.scalars(query)).first()


async def standing(tx: Tx, person_id: UUID, till: Till, *, lock: bool = False) -> DeductionContract:
    """The contract by which money may be taken now.

    Args:
        lock: it stands until the commit: whoever ends it waits.

    Raises:
        rules.taking.NoContractError: there is none, or it is another WeChat account's than she comes by now.
    """
    found = await live(tx, person_id, till, lock=lock)
    if found is None or found.state != S.SIGNED or found.appid != till.appid:
        raise NoContractError
    if found.until is not None and found.until <= tx.now:
        raise NoContractError
    if await _another_account(tx, found):
        raise NoContractError
    return found


async def _another_account(tx: Tx, row: DeductionContract) -> bool:
    """Whether the WeChat account that signed, or is to, is not the payer's any more."""
    return await sessions.openid_of(tx, row.person_id, row.appid) != openid_of(tx, row)


async def stop_of_another_account(tx: Tx, person_id: UUID) -> bool:
    """A contract is the WeChat account's that signed it: where the payer comes by another one, or none, it ends.

    Returns: whether she had signed it; the new account signs one of its own.
    """
    query = select(DeductionContract).where(
        DeductionContract.person_id == person_id, DeductionContract.state.in_((S.ASKED, S.SIGNED))
    )
    signed = False
    for row in await tx.session.scalars(query.with_for_update().execution_options(populate_existing=True)):
        if await _another_account(tx, row):
            signed = signed or row.state == S.SIGNED
            stop(tx, row)
    return signed


async def stands(tx: Tx, person_id: UUID, till: Till) -> bool:
    """Whether money may be taken by a contract of this payer."""
    try:
        await standing(tx, person_id, till)
    except NoContractError:
        return False
    return True


async def ask(tx: Tx, actor: Actor, till: Till, plan_id: str, openid: str) -> DeductionContract:
    """A contract to be signed at the provider; one that is under way or stands is the same one.

    Returns: in state ``ending`` an older one, which she was sent to as somebody else: it has to be over first.

    Raises:
        NotFoundError: no person.
    """
    if actor.kind is not ActorKind.PERSON:
        raise NotFoundError
    known = await live(tx, actor.id, till, lock=True)
    if known is not None and (known.state == S.ENDING or openid_of(tx, known) == openid):
        return known
    if known is not None:  # somebody else signed it, or was sent there to; should it be signed even so, it is ended
        stop(tx, known)
        return known
    CONTRACT.move(None, S.ASKED)
    identity = new_id()
    made = tx.add(
        DeductionContract(
            id=identity,
            person_id=actor.id,
            mchid=till.mchid,
            appid=till.appid,
            plan_id=plan_id,
            code=f"HFC{short_code(26)}",
            serial=secrets.randbelow(10**9),
            openid_sealed=tx.vault.seal(openid, "deduction_contract", identity.hex),
            state=S.ASKED,
            asked_at=tx.now,
            next_look_at=next_contract_look(0, tx.now),
            looks=0,
        )
    )
    await tx.session.flush()
    return made


def asked(row: DeductionContract, display: str) -> ContractAsk:
    """What the provider's page is told; ``display`` is shown to the payer there."""
    return ContractAsk(row.code, row.serial, display)


def openid_of(tx: Tx, row: DeductionContract) -> str:
    """As whom she signs."""
    return tx.vault.open(row.openid_sealed, "deduction_contract", row.id.hex)


async def by_id(tx: Tx, contract_id: UUID, *, lock: bool = False) -> DeductionContract:
    """One contract.

    Raises:
        NotFoundError: there is none.
    """
    found = await tx.get(DeductionContract, contract_id, lock=lock)
    if found is None:
        raise NotFoundError
    return found


async def said(tx: Tx, contract_id: UUID, told: Said) -> None:
    """What the provider says when it is asked. Signed as somebody else is nothing of ours, and is ended there."""
    row = await by_id(tx, contract_id, lock=True)
    if row.state == S.ENDED or told.code != row.code:
        return
    mine = (told.mchid, told.plan_id, told.openid) == (row.mchid, row.plan_id, openid_of(tx, row))
    if told.word is ContractWord.ENDED:
        _end(tx, row, "payer" if row.stopped_at is not None else "provider")
    elif not mine or not told.contract_id:
        stop(tx, row)
    elif row.state == S.ASKED:
        _move(tx, row, S.SIGNED)
        row.contract_id, row.signed_at, row.until = told.contract_id, tx.now, told.until
        row.next_look_at = None


async def unsigned(tx: Tx, contract_id: UUID) -> None:
    """The provider knows no such contract: nobody signed, and after an hour nobody will."""
    row = await by_id(tx, contract_id, lock=True)
    if row.state == S.ENDING or (row.state == S.ASKED and tx.now - row.asked_at >= SIGNING_LIFE):
        _end(tx, row, "payer" if row.stopped_at is not None else "provider")


async def noticed(tx: Tx, code: str, *, ended: bool) -> bool:
    """The provider speaks of a contract by itself: it is asked at once; that one has ended is believed at once.

    Returns: whether it is one of ours.
    """
    row = (await tx.session.scalars(select(DeductionContract).where(DeductionContract.code == code))).first()
    if row is None:
        return False
    row = await by_id(tx, row.id, lock=True)
    if ended and row.state in LIVE_CONTRACT:
        _end(tx, row, "payer" if row.stopped_at is not None else "provider")
    elif row.state in LIVE_CONTRACT:
        row.looks, row.next_look_at = 0, tx.now
    return True


async def stop_own(tx: Tx, actor: Actor, till: Till) -> UUID | None:
    """The payer wants nothing taken any more: from the commit on nothing is begun. Returns what is to end there."""
    row = await live(tx, actor.id, till, lock=True)
    if row is None:
        return None
    stop(tx, row)
    return row.id


def stop(tx: Tx, row: DeductionContract) -> None:
    """Nothing is taken by it any more; the provider is to be told."""
    if row.state in (S.ASKED, S.SIGNED):
        _move(tx, row, S.ENDING)
    row.stopped_at = row.stopped_at or tx.now
    row.looks, row.next_look_at = 0, tx.now


async def ended_there(tx: Tx, contract_id: UUID) -> None:
    """The provider has ended it, as we asked."""
    row = await by_id(tx, contract_id, lock=True)
    if row.state == S.ENDING:
        _end(tx, row, "payer")


async def claim_due(tx: Tx, limit: int = 20) -> list[UUID]:
    """Contracts the provider is to be asked about, or told of, now."""
    query = select(DeductionContract).where(DeductionContract.next_look_at <= tx.now).limit(limit)
    found = (await tx.session.scalars(query.with_for_update(skip_locked=True))).all()
    for row in found:
        row.looks += 1
        row.next_look_at = next_contract_look(row.looks, tx.now)
    return [row.id for row in found]


def _end(tx: Tx, row: DeductionContract, by: str) -> None:
    _move(tx, row, S.ENDED)
    row.ended_at, row.ended_by, row.next_look_at = tx.now, by, None
    row.stopped_at = row.stopped_at or tx.now


def _move(tx: Tx, row: DeductionContract, after: ContractState) -> None:
    CONTRACT.move(S(row.state), after)
    row.state = after
    row.looks, row.next_look_at = 0, tx.now


async def of_attempt(tx: Tx, attempt_id: UUID) -> str:
    """The provider's number of the contract an attempt takes money by.

    Raises:
        NotFoundError: nobody announced it.
    """
    row = await _behind(tx, attempt_id)
    if row.contract_id is None:
        raise NotFoundError
    return row.contract_id


async def doubted(tx: Tx, attempt_id: UUID) -> None:
    """The provider says that it knows no such contract: it is asked, before anything else is taken by it."""
    row = await _behind(tx, attempt_id)
    row.looks, row.next_look_at = 0, tx.now


async def _behind(tx: Tx, attempt_id: UUID) -> DeductionContract:
    why = await tx.get(Deduction, attempt_id)
    if why is None:
        raise NotFoundError
    return await by_id(tx, why.contract_id, lock=True)
