"""How paying with the insurance stands before one reader of the patient's side, and for whom it is no way at all."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from fastapi import Request

from api.routes.payments import in_wechat
from api.world import World
from billing.rules import LIVE_ROUND, NothingPayableError, RoundState
from billing.service import paying
from billing.service.paying import ChargeItem, Round
from kernel.db import Tx
from payments.ports import CashChannel
from payments.rules import InsuranceState
from payments.rules.mixing import Waits
from payments.service import attempts, mixing, parts
from payments.service.insurance import InsurancePart
from payments.service.mixing import Standing
from people.rules import Actor, View
from pwa.answer import origin_of, qr_data
from pwa.insurance_views import Differing, Insure, InsureStep, Settling, Split
from pwa.urls import Urls
from pwa.visit_pages import Seen
from visits.service import encounters
from words.insurance import Insurance as Words

S = InsuranceState
_STATES = {
    S.UPLOADED: "reckoning", S.PLACED: "placed", S.PAYING: "paying", S.PAID: "paid", S.REVOKING: "revoking",
    S.REVOKED: "revoked", S.REFUNDING: "refunding", S.REFUNDED: "refunded", S.FAILED: "failed", S.MANUAL: "manual",
}  # fmt: skip
_WAITS = {
    Waits.CONSENT: "waits", Waits.RECKONING: "reckoning", Waits.OPENING: "paying", Waits.PASSWORD: "press",
    Waits.RESULT: "paying",
}  # fmt: skip
UNSURE = timedelta(minutes=1)
"""So long after the agreement it is still being paid; after that nobody knows, and nobody is to pay again."""
GOES_BACK = frozenset({S.REFUNDING, S.REFUNDED, S.MANUAL})
_CLASSES = ("A", "B")


async def why_not(world: World, tx: Tx, found: Seen, lines: Sequence[ChargeItem]) -> str | None:
    """Why these lines cannot be settled by the insurance here, as a sentence; "" where it is no question at all."""
    if world.ports.insurance is None or world.ports.mix is None or world.ports.pay is None:
        return ""
    if not _acts(found.view):  # whether the patient is insured is not told to somebody who only pays
        return Words.patient_only
    status = await encounters.insurance_status_of(tx, found.visit.id)
    if status != "normal":
        return Words.no_insurance if status == "none" else Words.resting
    return None if covered(lines) else ""


def covered(lines: Sequence[ChargeItem]) -> bool:
    """Whether the insurance may bear anything of these lines."""
    return any(c.fund_fen or c.account_fen or c.insurance_class in _CLASSES for c in lines)


def _acts(view: View) -> bool:
    return view.owner


def consent_url(world: World, state: str, back: str) -> str | None:
    """The insurance's page of consent; None where only its mini-program has one."""
    template = world.settings.insurance_consent_url
    for name, value in (("{org}", world.settings.insurance_org_code), ("{state}", state), ("{back}", back)):
        template = template.replace(name, quote(value, safe=""))
    return template or None


def is_here(request: Request, world: World) -> bool:
    """Whether this browser is one the insurance can be used in."""
    return in_wechat(request, world)


# ------------------------------------------------------------------------------------------------------- before it


async def before(request: Request, world: World, tx: Tx, found: Seen) -> Insure:
    """Nothing is begun: may it be, and how are accounts to be used?

    Raises:
        NothingPayableError: nothing is done yet, or all is paid.
    """
    lines = await paying.payable(tx, found.visit)
    if not lines:
        raise NothingPayableError
    why = await why_not(world, tx, found, lines)
    if why is not None:
        return _step(found, "unable", why=why or Words.from_his, payable=True)
    if not is_here(request, world):
        return _step(found, "elsewhere", qr=_here_qr(request, found))
    if not world.settings.insurance_consent_url:
        return _step(found, "mini", payable=True)
    return _step(found, "choose")


def _here_qr(request: Request, found: Seen) -> str:
    """The way from another screen into WeChat."""
    return qr_data(f"{origin_of(request)}{Urls.insurance(str(found.visit.id))}")


def _step(found: Seen, step: InsureStep, **more: object) -> Insure:
    here = Urls.insurance(str(found.visit.id))
    more.setdefault("check", here)
    return Insure(found.head, step, here, stream_url=found.stream("pay"), **more)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------- under way


@dataclass(frozen=True, slots=True)
class Came:
    """How the reader came: what WeChat's bridge said (``ok``, ``fail``, ``cancel``) of settlement ``press``.

    ``goes``: straight from the green button, so that WeChat's password sheet may open by itself.
    """

    said: str = ""
    press: int = 0
    goes: bool = False


PLAINLY = Came()


async def standing(
    request: Request, world: World, tx: Tx, caller: Actor, found: Seen, now: Round, came: Came = PLAINLY
) -> Insure:
    """A round of the insurance's, as it stands."""
    each = await mixing.presses(tx, caller, now)
    state = RoundState(now.state)
    shown: dict[str, object] = {"settlings": [settling_of(one) for one in each]}
    if state is RoundState.INSURING:
        return await _settling(_Reader(request, world, caller, found, came), tx, now, each)
    if state is RoundState.OPEN:
        left = now.cash_fen - now.paid_fen
        split = await split_of(tx, now)
        return _step(found, "cash", split=split, cash_fen=left, may_stop=True, payable=True, **shown)
    every = await parts.of_round(tx, now.id)
    anew = state in (RoundState.PAID, RoundState.SETTLED)
    if anew and not any(p.refund_at is not None for p in every):
        receipt = await receipt_of(tx, caller, now)
        split = await split_of(tx, now)
        return _step(found, "done", split=split, receipt=receipt, settling=state is RoundState.PAID, **shown)
    back = sum(insurer_fen(p) for p in every if p.state in GOES_BACK and p.paid_at is not None)
    paid = any(a.round_id == now.id and a.paid_at is not None for a in await attempts.of_visit(tx, found.visit.id))
    shown |= {"back_fen": back, "cash_back": paid, "anew": anew}
    if state is RoundState.CLOSING or any(p.state in (S.REFUNDING, S.MANUAL) for p in every):
        step: InsureStep = "manual" if any(p.state == S.MANUAL for p in every) else "ending"
        return _step(found, step, **shown)
    return _step(found, "over", payable=await paying.due_now(tx, found.visit) > 0, **shown)


def settling_of(one: Standing) -> Settling:
    """One settlement, as it is told."""
    return Settling(_state(one), one.total_fen)


def _state(one: Standing) -> str:
    return _WAITS.get(one.waits_for) or _STATES.get(one.state, "paying")


def insurer_fen(part: InsurancePart) -> int:
    """What the insurance bears of a settlement, fen."""
    return (part.fund_fen or 0) + (part.account_fen or 0) + (part.other_fen or 0)


@dataclass(frozen=True, slots=True)
class _Reader:
    request: Request
    world: World
    caller: Actor
    found: Seen
    came: Came


async def _settling(who: _Reader, tx: Tx, now: Round, each: Sequence[Standing]) -> Insure:
    """The insurance is settling: what the slowest of the settlements waits for."""
    found = who.found
    shown: dict[str, object] = {"settlings": [settling_of(one) for one in each], "may_stop": True}
    waits = [one.waits_for for one in each]
    if parts.at_counter(now):
        theirs = [Settling("at_counter" if s.waits_for is Waits.CONSENT else _state(s), s.total_fen) for s in each]
        return _step(found, "counter", **shown | {"settlings": theirs})
    every = await parts.of_round(tx, now.id)
    shown["may_act"] = mine = all(p.actor == who.caller.viewer for p in every)
    if Waits.CONSENT in waits:
        number = waits.index(Waits.CONSENT) + 1
        if mine and every[number - 1].trouble:
            shown["error"] = Words.said["bad"]
        return _consenting(who, number, each, shown, mine=mine)
    if Waits.RECKONING in waits:
        return _step(found, "reckoning", **shown)
    shown |= {"split": await split_of(tx, now), "cash_fen": sum(one.cash_fen or 0 for one in each)}
    if Waits.AGREEMENT in waits:
        both = await mixing.together(tx, who.caller, found.visit, now, every)
        return _step(found, "agree", differs=await differences(tx, now), together=both, **shown)
    return _pressing(who, tx, each, every, shown)


def _consenting(who: _Reader, number: int, each: Sequence[Standing], shown: dict[str, object], *, mine: bool) -> Insure:
    found = who.found
    if not mine:
        return _step(found, "waits", number=number, **shown)
    if not is_here(who.request, who.world):
        return _step(found, "elsewhere", qr=_here_qr(who.request, found), **shown)
    if not who.world.settings.insurance_consent_url:
        return _step(found, "mini", **shown)
    return _step(found, "consent", number=number, consent=Urls.consent(str(each[number - 1].part_id)), **shown)


def _pressing(
    who: _Reader, tx: Tx, each: Sequence[Standing], every: Sequence[InsurancePart], shown: dict[str, object]
) -> Insure:
    """Agreed: the first settlement that waits for its password, else whatever the insurance is doing."""
    here, came = Urls.insurance(str(who.found.visit.id)), who.came
    number = next((n for n, one in enumerate(each, 1) if one.waits_for is Waits.PASSWORD), 0)
    if not number:
        since = max((p.confirmed_at for p in every if p.confirmed_at), default=tx.now)
        opening = any(one.waits_for is Waits.OPENING for one in each)
        more = {"check": f"{here}?go=1"} if opening and came.goes else {}
        return _step(who.found, "paying", unknown=tx.now - since > UNSURE and not opening, **shown, **more)
    check = f"{here}?p={number}"
    if came.said == "ok" and came.press == number:  # the phone says it is paid, WeChat does not yet
        settlings = [settling_of(one) for one in each]
        settlings[number - 1] = Settling("unknown", each[number - 1].total_fen)
        shown |= {"settlings": settlings}
        return _step(who.found, "paying", number=number, unknown=True, check=f"{check}&r=ok", **shown)
    invoke = each[number - 1].invoke
    inside = invoke is not None and invoke.channel is CashChannel.JSAPI and is_here(who.request, who.world)
    return _step(
        who.found,
        "press",
        number=number,
        invoke=invoke.params if invoke is not None and inside else None,
        check=check,
        auto=came.goes or came.said == "ok",
        **shown,
    )


async def split_of(tx: Tx, now: Round) -> Split:
    """Who bears what of a reckoned round; the parts and one's own add up to the total."""
    each = await parts.of_round(tx, now.id)
    account = sum(p.account_fen or 0 for p in each)
    aid = sum(p.mutual_aid_fen or 0 for p in each)
    sources = {
        "fund": sum(p.fund_fen or 0 for p in each),
        "account": account - aid,
        "mutual_aid": aid,
        "other": sum(p.other_fen or 0 for p in each),
        "hospital": sum(p.hospital_part_fen or 0 for p in each),
    }
    total = sum(p.total_fen for p in each)
    own = sum(parts.asks(p) for p in each)
    return Split(total, [(source, fen) for source, fen in sources.items() if fen], own)


async def differences(tx: Tx, now: Round) -> list[Differing]:
    """The lines that are reckoned otherwise than they were estimated."""
    made = []
    for line, was, is_ in await parts.line_by_line(tx, now):
        insurer, insurer_was = sum(is_) - is_.self_fen, sum(was) - was.self_fen
        if is_ != was:
            made.append(Differing(line.name, insurer, insurer_was, is_.self_fen, was.self_fen))
    return made


async def receipt_of(tx: Tx, caller: Actor, now: Round) -> str:
    """Where the receipt of a paid round is: of one's own payment, else of anybody's, else of the insurance's alone."""
    paid = [a for a in await attempts.of_visit(tx, now.visit_id) if a.round_id == now.id and a.paid_at is not None]
    mine = next((a for a in paid if a.actor == caller.viewer), paid[-1] if paid else None)
    return Urls.receipt(str(mine.id)) if mine is not None else Urls.round_receipt(str(now.visit_id), str(now.id))


def is_live(now: Round) -> bool:
    """Whether a round is under way."""
    return now.state in LIVE_ROUND


def estimated_of(lines: Sequence[ChargeItem]) -> dict[str, int]:
    """What of these lines nobody pays in cash, as they say themselves."""
    fund = sum(c.fund_fen + c.other_fen for c in lines)
    account, hospital = sum(c.account_fen for c in lines), sum(c.hospital_fen for c in lines)
    return {"fund": fund, "account": account, "hospital": hospital}
