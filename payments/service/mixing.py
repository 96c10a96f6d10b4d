"""One press inside WeChat lets the insurance pay a settlement, and the cash with it where that is all of the bill."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from billing.rules import RoundState
from billing.service import paying
from billing.service.paying import Round
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id, short_code
from payments.models import Attempt, InsurancePart, MixedOrder
from payments.ports import CashChannel, MixKind
from payments.rules import InsuranceState, Till
from payments.rules.mixing import MIXED, InsuranceInWeChatError, MixedState, Waits, waits_for
from payments.service import insurance, parts, pressing, shares
from payments.service.pressing import Press
from people.rules import Action, Actor
from people.service import access
from visits.service.encounters import Visit
from visits.service.reading import subject_of

M = MixedState
_INSIDE = (CashChannel.JSAPI, CashChannel.MINIPROG)


@dataclass(frozen=True, slots=True)
class Payer:
    """The agreeing payer: where their page runs (JSAPI, MINIPROG), as whom WeChat knows them there, whose till it is.

    ``ip`` is their address, for the cash order.
    """

    channel: CashChannel
    openid: str | None
    till: Till
    ip: str | None = None


@dataclass(frozen=True, slots=True)
class Invoke:
    """What the payer's page hands to WeChat: JSAPI to ``WeixinJSBridge.invoke("requestMedicalInsurancePay", params)``,
    MINIPROG to ``wx.requestMedicalInsurancePay(params)``. WeChat's "ok" is no proof of payment."""

    channel: CashChannel
    params: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one settlement stands for the payer's page.

    Args:
        waits_for: what comes next; ``invoke`` is there only for ``PASSWORD``, and only for who agreed.
        pay_fen: what the press takes in cash together with the insurance's part; 0: the insurance alone, the cash of
            the round is paid afterwards as ever.
    """

    part_id: UUID
    state: InsuranceState
    waits_for: Waits
    total_fen: int
    fund_fen: int | None
    account_fen: int | None
    mutual_aid_fen: int | None
    other_fen: int | None
    hospital_part_fen: int | None
    cash_fen: int | None
    pay_fen: int
    invoke: Invoke | None


async def presses(tx: Tx, actor: Actor, round_: Round) -> list[Standing]:
    """How each settlement of a round stands, in order; with what the caller's page hands to WeChat, where it waits so.

    The caller must be allowed to see the split (``Action.ASK_FAMILY``); that is the route's to ask.
    """
    found = []
    for part in await parts.of_round(tx, round_.id):
        mixed = await parts.mixed_of(tx, part.id)
        waits = waits_for(
            InsuranceState(part.state), M(mixed.state) if mixed else None, consented=part.auth_sealed is not None
        )
        both = mixed is not None and mixed.kind == MixKind.BOTH
        found.append(
            Standing(
                part.id,
                InsuranceState(part.state),
                waits,
                part.total_fen,
                part.fund_fen,
                part.account_fen,
                part.mutual_aid_fen,
                part.other_fen,
                part.hospital_part_fen,
                None if part.cash_fen is None else parts.asks(part),
                parts.asks(part) if both else 0,
                _invoke(tx, actor, mixed) if mixed is not None and waits is Waits.PASSWORD else None,
            )
        )
    return found


def _invoke(tx: Tx, actor: Actor, mixed: MixedOrder) -> Invoke | None:
    if mixed.actor != actor.viewer or mixed.params_sealed is None:
        return None
    params = json.loads(tx.vault.open(mixed.params_sealed, "mixed.params", mixed.id.hex))
    return Invoke(CashChannel(mixed.channel), params)


async def of_visit(tx: Tx, actor: Actor, visit_id: UUID) -> tuple[Round, list[Standing]]:
    """The visit's latest round that the insurance settles first, and how each settlement stands.

    Raises:
        NotFoundError, ForbiddenError: not the caller's to see, or there is none.
    """
    visit = await paying.locked_visit(tx, visit_id)
    await access.require(tx, actor, Action.ASK_FAMILY, subject_of(visit))
    now = next((r for r in reversed(await paying.rounds_of(tx, visit_id)) if r.insured), None)
    if now is None:
        raise NotFoundError
    return now, await presses(tx, actor, now)


# ------------------------------------------------------------------------------------------------------ the agreement


async def lapsed(tx: Tx, actor: Actor, visit_id: UUID) -> list[UUID]:
    """Whether a consent is too old to be used: then everything is taken back. Returns the settlements to go on with.

    Raises:
        NotFoundError, ForbiddenError: not the caller's.
    """
    visit = await paying.locked_visit(tx, visit_id)
    await access.require(tx, actor, Action.ASK_FAMILY, subject_of(visit))
    now = await paying.live_round(tx, visit_id)
    each = await parts.of_round(tx, now.id) if now is not None and now.state == RoundState.INSURING else []
    waiting = [p for p in each if p.state == InsuranceState.PLACED]
    if now is None or parts.at_counter(now) or not any(p.auth_until is None or p.auth_until <= tx.now for p in waiting):
        return []
    await insurance.back(tx, now)
    return [p.id for p in each]


async def agree(
    tx: Tx, actor: Actor, visit_id: UUID, seen_cash_fen: int, payer: Payer, *, with_cash: bool
) -> list[UUID]:
    """The payer has seen what is taken from where, and agrees: each settlement gets its mixed order, to be opened next.

    Args:
        with_cash: whether the press may take the cash, too; it does where the bill is one settlement, whose cash the
            payer may pay alone.

    Returns:
        The mixed orders; pressed twice they are the same.

    Raises:
        payments.rules.NotShownError, ForbiddenError: as ``insurance.confirm`` does.
        InsuranceInWeChatError: WeChat does not know the payer where their page runs.
    """
    if payer.channel not in _INSIDE or not payer.openid:
        raise InsuranceInWeChatError
    agreed = await insurance.confirm(tx, actor, visit_id, seen_cash_fen)
    made = []
    for part_id in agreed:
        known = await parts.mixed_of(tx, part_id)
        if known is not None:
            made.append(known.id)
    if made:
        return made
    visit = await paying.locked_visit(tx, visit_id)
    now = await paying.live_round(tx, visit_id)
    each = await parts.of_round(tx, now.id) if now is not None else []
    if now is None or any(p.actor != actor.viewer for p in each):
        raise ForbiddenError  # the consent is hers who gave it: WeChat lets nobody else use it
    both = with_cash and await together(tx, actor, visit, now, each)
    return [(await _begun(tx, actor, visit, now, part, payer, both=both)).id for part in each]


async def together(tx: Tx, actor: Actor, visit: Visit, now: Round, each: Sequence[InsurancePart]) -> bool:
    """Whether one press may pay all of the bill: one settlement, nothing cut, no more than the caller may pay."""
    if len(each) != 1 or now.shared or not parts.asks(each[0]) or each[0].cash_fen == each[0].total_fen:
        return False
    terms = await access.pay_terms(tx, actor, subject_of(visit))
    return terms is not None and (terms.cap_fen is None or parts.asks(each[0]) <= terms.cap_fen)


async def _begun(
    tx: Tx, actor: Actor, visit: Visit, now: Round, part: InsurancePart, payer: Payer, *, both: bool
) -> MixedOrder:
    mixed_id, attempt = new_id(), None
    if both:
        attempt = await _cash(tx, actor, visit, now, part, payer, mixed_id)
    MIXED.move(None, M.CREATED)
    mixed = MixedOrder(
        id=mixed_id,
        out_trade_no=attempt.out_trade_no if attempt else f"HFM{short_code(22)}",
        part_id=part.id,
        round_id=now.id,
        visit_id=visit.id,
        attempt_id=attempt.id if attempt else None,
        kind=MixKind.BOTH if attempt else MixKind.INSURANCE_ONLY,
        channel=payer.channel,
        actor=actor.viewer,
        openid_sealed=tx.vault.seal(payer.openid or "", "mixed", mixed_id.hex),
        state=M.CREATED,
        created_at=tx.now,
        next_look_at=tx.now + timedelta(seconds=5),
        looks=0,
        reports=0,
    )
    tx.add(mixed)
    await tx.session.flush()
    return mixed


async def _cash(
    tx: Tx, actor: Actor, visit: Visit, now: Round, part: InsurancePart, payer: Payer, mixed_id: UUID
) -> Attempt:
    """The cash order of one press: an ordinary attempt at the one share of the round, whose cash is known by now."""
    now.cash_fen = parts.asks(part)
    share = await shares.whole(tx, actor.viewer, now)
    await tx.session.flush()
    press = Press(payer.channel, f"mix:{mixed_id.hex}", share.amount_fen, payer.ip, payer.openid)
    return await pressing.beside(tx, actor, visit, now, share, press, payer.till)
