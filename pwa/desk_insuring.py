"""How the insurance that a cashier uses for the patient stands, whichever desk asks; and whether it can be used."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from billing.rules import RoundState
from billing.service import paying
from billing.service.paying import Round
from kernel.db import Tx
from payments.rules import AUTHORIZATION_LIFE, InsuranceState
from payments.rules.mixing import Waits
from payments.service import codes, consents, mixing, parts
from payments.service.mixing import Standing
from people.rules import Actor
from people.service import terminals
from pwa.counter_views import DeskInsured, DeskWait, InsuredStep
from pwa.insurance_views import Settling
from pwa.insuring import GOES_BACK, UNSURE, covered, insurer_fen, settling_of, split_of
from pwa.visit_pages import Seen
from visits.service import encounters
from words import errors
from words.counter import Insured as Words

S = InsuranceState


async def can_be(tx: Tx, found: Seen, *, line: bool) -> tuple[bool, str | None]:
    """Whether the insurance can be used for what is owed, and if not, why, where that is a question at all.

    Args:
        line: whether the house has a line to the payment centre.
    """
    lines = await paying.payable(tx, found.visit)
    if not line or not covered(lines) or await paying.live_round(tx, found.visit.id) is not None:
        return False, None
    status = await encounters.insurance_status_of(tx, found.visit.id)
    return status == "normal", None if status == "normal" else Words.status.get(status, Words.status["other"])


async def standing(tx: Tx, caller: Actor, found: Seen) -> DeskInsured | None:
    """The visit's latest round, if a cashier lets the insurance settle it first; None where it is the patient's own."""
    now = await consents.latest_round(tx, found.visit.id)
    if now is None or not parts.at_counter(now):
        return None
    each = await mixing.presses(tx, caller, now)
    state = RoundState(now.state)
    if state is RoundState.INSURING:
        return await _settling(tx, found, now, each)
    settlings = _settlings(each)
    every = await parts.of_round(tx, now.id)
    if state is RoundState.OPEN:
        return DeskInsured("cash", settlings, split=await split_of(tx, now))
    if state in (RoundState.PAID, RoundState.SETTLED):
        anew = any(p.refund_at is not None for p in every)  # taken back later: the refund's own page says so
        return None if anew else DeskInsured("done", settlings, split=await split_of(tx, now))
    back = sum(insurer_fen(p) for p in every if p.state in GOES_BACK and p.paid_at is not None)
    step: InsuredStep = "over"
    if state is RoundState.CLOSING:
        step = "manual" if any(p.state == S.MANUAL for p in every) else "ending"
    why = next((p.trouble for p in every if p.state == S.FAILED and p.trouble), None)
    return DeskInsured(step, settlings, back_fen=back, why=Words.why_not(why))


def _settlings(each: list[Standing]) -> list[Settling]:
    return [settling_of(one) for one in each]


async def _settling(tx: Tx, found: Seen, now: Round, each: list[Standing]) -> DeskInsured:
    """What the slowest settlement waits for."""
    waits, settlings = [one.waits_for for one in each], _settlings(each)
    every = await parts.of_round(tx, now.id)
    if Waits.CONSENT in waits:
        number = waits.index(Waits.CONSENT) + 1
        wait = await codes.certificate_wait(tx, each[number - 1].part_id)
        place = ""
        if wait is not None:
            terminal = await terminals.by_id(tx, wait.terminal_id)
            place = terminal.place if terminal is not None else ""
        said = _said(wait.said) if wait is not None else None
        why = Words.once_more(every[number - 1].trouble) if said is None else None
        awaited = DeskWait(place, wait.until, said) if wait is not None else None
        return DeskInsured("capture", settlings, number, wait=awaited, why=why)
    if Waits.RECKONING in waits:
        until = [p.auth_until for p in every if p.auth_until and p.state in (S.CREATED, S.UPLOADED)]
        unsure = min((one - AUTHORIZATION_LIFE + UNSURE for one in until), default=None)
        return DeskInsured("reckoning", settlings, **_unsure(tx, unsure))
    split = await split_of(tx, now)
    if Waits.AGREEMENT in waits:
        return DeskInsured("agree", settlings, split=split)
    since = max((p.confirmed_at for p in every if p.confirmed_at), default=tx.now)
    return DeskInsured("paying", settlings, split=split, **_unsure(tx, since + UNSURE))


def _unsure(tx: Tx, at: datetime | None) -> Mapping[str, Any]:
    over = at is not None and tx.now > at
    return {"unknown": over, "unsure_at": None if over else at}


def _said(code: str | None) -> str | None:
    return None if code is None else Words.saids.get(code) or errors.sentence(code, "conflict")
