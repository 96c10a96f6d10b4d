"""How paying with the insurance stands before one reader of the patient's side, and for whom it is no way at all."""

import base64
import io
from collections.abc import Sequence
from urllib.parse import quote

import qrcode
from fastapi import Request
from qrcode.image.pure import PyPNGImage

from api.routes.payments import in_wechat
from api.world import World
from billing.rules import LIVE_ROUND, NothingPayableError, RoundState
from billing.service import paying
from billing.service.paying import ChargeItem, Round
from kernel.db import Tx
from payments.models import InsurancePart
from payments.rules import InsuranceState
from payments.service import attempts, parts
from people.rules import Actor, View
from pwa.answer import origin_of
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
_GOES_BACK = frozenset({S.REFUNDING, S.REFUNDED, S.MANUAL})
_CLASSES = ("A", "B")


async def why_not(world: World, tx: Tx, found: Seen, lines: Sequence[ChargeItem]) -> str | None:
    """Why these lines cannot be settled by the insurance here, as a sentence; "" where it is no question at all."""
    if world.ports.insurance is None:
        return ""
    covered = any(c.fund_fen or c.account_fen or c.insurance_class in _CLASSES for c in lines)
    if not _acts(found.view):  # whether the patient is insured is not told to somebody who only pays
        return Words.patient_only
    status = await encounters.insurance_status_of(tx, found.visit.id)
    if status != "normal":
        return Words.no_insurance if status == "none" else Words.resting
    return None if covered else ""


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
        return _step(found, "elsewhere", qr=_qr(f"{origin_of(request)}{Urls.insurance(str(found.visit.id))}"))
    if not world.settings.insurance_consent_url:
        return _step(found, "mini", payable=True)
    return _step(found, "choose")


def _qr(text: str) -> str:
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=8, border=4)
    code.add_data(text)
    picture = io.BytesIO()
    code.make_image(image_factory=PyPNGImage).save(picture)
    return "data:image/png;base64," + base64.b64encode(picture.getvalue()).decode()


def _step(found: Seen, step: InsureStep, **more: object) -> Insure:
    here = Urls.insurance(str(found.visit.id))
    return Insure(found.head, step, here, stream_url=found.stream("pay"), **more)  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------- under way


async def standing(request: Request, world: World, tx: Tx, caller: Actor, found: Seen, now: Round) -> Insure:
    """A round of the insurance's, as it stands."""
    each = await parts.of_round(tx, now.id)
    state = RoundState(now.state)
    shown = {"settlings": [Settling(_state(p), p.total_fen) for p in each]}
    if state is RoundState.INSURING:
        return await _settling(request, world, tx, caller, found, now, each, shown)
    if state is RoundState.OPEN:
        left = now.cash_fen - now.paid_fen
        split = await split_of(tx, now)
        return _step(found, "cash", split=split, cash_fen=left, may_stop=True, payable=True, **shown)
    if state in (RoundState.PAID, RoundState.SETTLED):
        receipt = await receipt_of(tx, caller, now)
        return _step(found, "done", receipt=receipt, settling=state is RoundState.PAID, **shown)
    back = sum(insurer_fen(p) for p in each if p.state in _GOES_BACK and p.paid_at is not None)
    paid = any(a.round_id == now.id and a.paid_at is not None for a in await attempts.of_visit(tx, found.visit.id))
    if state is RoundState.CLOSING:
        step: InsureStep = "manual" if any(p.state == S.MANUAL for p in each) else "ending"
        return _step(found, step, back_fen=back, cash_back=paid, **shown)
    payable = await paying.due_now(tx, found.visit) > 0
    return _step(found, "over", back_fen=back, cash_back=paid, payable=payable, **shown)


def _state(part: InsurancePart) -> str:
    if part.state == S.CREATED:
        return "waits" if part.auth_sealed is None else "reckoning"
    return _STATES[S(part.state)]


def insurer_fen(part: InsurancePart) -> int:
    """What the insurance bears of a settlement, fen."""
    return (part.fund_fen or 0) + (part.account_fen or 0) + (part.other_fen or 0)


async def _settling(
    request: Request,
    world: World,
    tx: Tx,
    caller: Actor,
    found: Seen,
    now: Round,
    each: Sequence[InsurancePart],
    shown: dict[str, object],
) -> Insure:
    waits = [n for n, p in enumerate(each, 1) if p.state == S.CREATED and p.auth_sealed is None]
    if waits:
        part = each[waits[0] - 1]
        if part.actor != caller.viewer:
            return _step(found, "waits", number=waits[0], may_stop=True, **shown)
        if not is_here(request, world):
            qr = _qr(f"{origin_of(request)}{Urls.insurance(str(found.visit.id))}")
            return _step(found, "elsewhere", qr=qr, may_stop=True, **shown)
        if not world.settings.insurance_consent_url:
            return _step(found, "mini", may_stop=True, **shown)
        return _step(found, "consent", number=waits[0], consent=Urls.consent(str(part.id)), may_stop=True, **shown)
    if any(p.state in (S.CREATED, S.UPLOADED) for p in each):
        return _step(found, "reckoning", may_stop=True, **shown)
    split = await split_of(tx, now)
    cash = sum(p.cash_fen or 0 for p in each)
    if all(p.state == S.PLACED for p in each):
        differs = await differences(tx, now)
        return _step(found, "agree", split=split, differs=differs, cash_fen=cash, may_stop=True, **shown)
    return _step(found, "paying", split=split, cash_fen=cash, may_stop=True, **shown)


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
    }
    total = sum(p.total_fen for p in each)
    own = sum(p.cash_fen or 0 for p in each)
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
