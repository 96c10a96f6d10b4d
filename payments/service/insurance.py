"""The insurance settles first: one settlement per encounter, shown before anything is taken, whole or taken back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from billing.rules import Parts, RoundState
from billing.service import lines as billing
from billing.service import paying
from billing.service.paying import ChargeItem, Round
from kernel.db import Tx
from kernel.errors import ForbiddenError, NotFoundError
from kernel.ids import new_id, short_code
from payments import rules
from payments.models import InsurancePart as InsurancePart
from payments.models import MixedOrder
from payments.ports import (
    Authorized,
    Conclusion,
    Credential,
    Diagnosis,
    FeeLine,
    FeeUpload,
    InsuranceOrder,
    InsuranceRefund,
    InsuranceRefunded,
    InsuranceRefundStatus,
    Insured,
    RefundKind,
    Split,
)
from payments.ports import InsuranceState as Said
from payments.rules import INSURANCE, NO_MONEY, InsuranceState
from payments.rules.mixing import DISAGREE_ALARM, MixedState
from payments.service import anew, labels, parts, rounds
from payments.service.moves import tell_round, tell_settlements
from payments.service.parts import move
from payments.service.weighing import Verdict, weigh
from people.rules import Actor, ActorKind
from people.service import access
from visits.service import reading
from visits.service.encounters import Encounter
from visits.service.reading import subject_of

S = InsuranceState
_at = datetime.fromisoformat
Facts = Mapping[str, Any]


async def wanted(tx: Tx, actor: Actor, visit_id: UUID) -> list[str]:
    """The HIS's numbers of the encounters whose payable lines the insurance would be asked to settle.

    Raises:
        NotFoundError, ForbiddenError: the insurance is the patient's side's to use, or the counter's for her.
        rules.NotInsuredError: nothing payable, or something is being paid already.
    """
    visit = await paying.locked_visit(tx, visit_id)
    await access.require(tx, actor, rounds.insures(actor), subject_of(visit))
    if await paying.live_round(tx, visit_id) is not None:
        raise rules.NotInsuredError
    found = await _by_encounter(tx, visit_id, await paying.payable(tx, visit))
    if not found:
        raise rules.NotInsuredError
    return [encounter.number for encounter in found]


async def _by_encounter(tx: Tx, visit_id: UUID, lines: Sequence[ChargeItem]) -> dict[Encounter, list[ChargeItem]]:
    """Lines by their order's encounter; one without an order belongs to the visit's first."""
    every = {e.id: e for e in await reading.encounters_of(tx, visit_id)}
    first = next(iter(every.values()))
    made: dict[Encounter, list[ChargeItem]] = {}
    for line in lines:
        encounter = await billing.encounter_of(tx, line)
        made.setdefault(every.get(encounter, first) if encounter else first, []).append(line)
    return made


async def begin(
    tx: Tx, actor: Actor, visit_id: UUID, facts: Mapping[str, Facts], *, account_used: bool | None
) -> list[UUID]:
    """Open a round the insurance settles first: one settlement per encounter, each waiting for a consent.

    Args:
        facts: encounter number → what the HIS says the insurance has to be told.
        account_used: whether the patient wants personal accounts used; None leaves it to the insurer.

    Raises:
        rules.NotInsuredError: what is payable has changed since the HIS was asked.
    """
    if set(await wanted(tx, actor, visit_id)) != set(facts):
        raise rules.NotInsuredError
    visit = await paying.locked_visit(tx, visit_id)
    now = await paying.open_round(tx, visit_id, actor.viewer, insured=True)
    made = []
    for encounter, lines in (await _by_encounter(tx, visit_id, await paying.covered_by(tx, now))).items():
        INSURANCE.move(None, S.CREATED)
        identity = new_id()
        part = InsurancePart(
            id=identity,
            round_id=now.id,
            visit_id=visit_id,
            hospital_id=visit.hospital_id,
            encounter=encounter.number,
            order_number=f"HF{short_code(16)}",
            charge_ids=[str(line.id) for line in lines],
            total_fen=sum(line.amount_fen for line in lines),
            state=S.CREATED,
            account_used=account_used,
            actor=actor.viewer,
            facts_sealed=tx.vault.seal(json.dumps(dict(facts[encounter.number])), "insurance.facts", identity.hex),
            created_at=tx.now,
            looks=0,
        )
        made.append(tx.add(part).id)
    await tx.session.flush()
    await tell_round(tx, now, "insuring", await labels.relation_of(tx, actor, visit.patient_id, visit_id))
    return made


async def authorized(tx: Tx, actor: Actor, part_id: UUID, given: Authorized) -> None:
    """The patient's consent for one settlement, kept sealed; it is good for minutes and for this order only."""
    part, now = await locked(tx, part_id)
    if not parts.theirs(part, now, actor):
        raise NotFoundError
    if part.state != S.CREATED or part.auth_sealed is not None or now.state != RoundState.INSURING:
        return
    part.auth_sealed = tx.vault.seal(json.dumps(asdict(given)), "insurance.auth", part.id.hex)
    part.auth_until, part.auth_by, part.trouble = tx.now + rules.AUTHORIZATION_LIFE, actor.viewer, None
    part.next_look_at = tx.now
    await _tell(tx, now, "insuring")


async def locked(tx: Tx, part_id: UUID) -> tuple[InsurancePart, Round]:
    """A settlement and its round with the visit's turn taken.

    Raises:
        NotFoundError: there is none.
    """
    found = await tx.get(InsurancePart, part_id)
    if found is None:
        raise NotFoundError
    await paying.locked_visit(tx, found.visit_id)
    now = await paying.round_by_id(tx, found.round_id, lock=True)
    part = await tx.get(InsurancePart, part_id, lock=True)
    if part is None:
        raise NotFoundError
    return part, now


# ------------------------------------------------------------------------------------------- what the centre is told


@dataclass(frozen=True, slots=True)
class Asked:
    """A settlement as the centre is asked about it; always the same words, so that asking again finds the same."""

    state: InsuranceState
    fees: FeeUpload
    credential: Credential | None
    order: InsuranceOrder | None
    refund: InsuranceRefund | None


async def asked(tx: Tx, part_id: UUID) -> Asked:
    """What to ask next about a settlement."""
    part = await tx.get(InsurancePart, part_id)
    if part is None:
        raise NotFoundError
    auth = auth_of(tx, part)
    fees = await _fees(tx, part, auth)
    credential = order = refund = None
    if part.credential_sealed is not None:
        credential = Credential(**json.loads(tx.vault.open(part.credential_sealed, "insurance.order", part.id.hex)))
        order = InsuranceOrder(
            credential,
            auth.pay_auth_no,
            f"S{part.order_number}",
            fees.batch,
            fees.registration,
            account_used=part.account_used,
        )
    if part.state in (S.REFUNDING, S.MANUAL) and credential is not None and part.refund_at is not None:
        refund = _refund(part, credential, auth)
    return Asked(S(part.state), fees, credential, order, refund)


def auth_of(tx: Tx, part: InsurancePart) -> Authorized:
    """The consent that was given for a settlement; without any number as long as none was."""
    if part.auth_sealed is None:
        return Authorized("", family=False)
    return Authorized(**json.loads(tx.vault.open(part.auth_sealed, "insurance.auth", part.id.hex)))


def _refund(part: InsurancePart, credential: Credential, auth: Authorized) -> InsuranceRefund:
    fund, account, other = part.fund_fen or 0, part.account_fen or 0, part.other_fen or 0
    return InsuranceRefund(
        pay_order_id=credential.pay_order_id,
        refund_number=parts.refund_number(part),
        at=part.refund_at or part.created_at,
        kind=RefundKind.INSURANCE,
        total_fen=fund + account + other,
        fund_fen=fund,
        personal_account_fen=account,
        other_fen=other,
        cash_fen=0,
        pay_auth_no=auth.pay_auth_no,
    )


async def _fees(tx: Tx, part: InsurancePart, auth: Authorized) -> FeeUpload:
    facts = json.loads(tx.vault.open(part.facts_sealed, "insurance.facts", part.id.hex))
    encounter = next(e for e in await reading.encounters_of(tx, part.visit_id) if e.number == part.encounter)
    insured = facts["insured"]
    lines = []
    for number in sorted(part.charge_ids):
        line = await paying.line_of(tx, UUID(number))
        code = facts["codes"].get(line.item_code, line.item_code)
        lines.append(
            FeeLine(
                line.number,
                line.executed_at or line.created_at,
                code,
                line.item_code,
                Decimal(line.quantity),
                line.unit_price_fen,
                line.amount_fen,
                encounter.department,
                facts["doctor"],
            )
        )
    return FeeUpload(
        order_number=part.order_number,
        insured=Insured(
            insured["name"],
            insured["id_type"],
            insured["id_number"],
            insured["person_no"],
            insured["scheme"],
            insured["region"],
        ),
        visit_number=part.encounter,
        begun_at=encounter.started_at,
        department=encounter.department,
        department_name=facts["department_name"],
        total_fen=part.total_fen,
        lines=tuple(lines),
        diagnoses=tuple(
            Diagnosis(d["code"], d["name"], d["department"], d["doctor"], d["doctor_name"], _at(d["at"]))
            for d in facts["diagnoses"]
        ),
        batch=f"B{part.order_number}"[:20],
        pay_auth_no=auth.pay_auth_no,
        registration=facts["registration"],
        account_used=part.account_used,
    )


# ------------------------------------------------------------------------------------------------ what the centre says


async def uploaded(tx: Tx, part_id: UUID, credential: Credential) -> None:
    """The bill is handed in; its order number and secret are kept sealed."""
    part, now = await locked(tx, part_id)
    if part.state != S.CREATED:
        return
    part.credential_sealed = tx.vault.seal(json.dumps(asdict(credential)), "insurance.order", part.id.hex)
    part.pay_order_id = credential.pay_order_id
    move(tx, part, S.UPLOADED)
    if now.state == RoundState.CLOSING:
        move(tx, part, S.REVOKING)


async def placed(tx: Tx, part_id: UUID, split: Split) -> None:
    """The insurance has reckoned: its split is shown, nothing is taken."""
    part, now = await locked(tx, part_id)
    if part.state != S.UPLOADED:
        return
    # What the hospital bears lessens the cash, so it cannot be more.
    if split.total_fen != part.total_fen or split.hospital_part_fen > split.cash_fen:
        part.trouble = "mismatch:total" if split.total_fen != part.total_fen else "mismatch:hospital_part"
        return
    parts.keep(part, split)
    part.reckoned_at = tx.now
    move(tx, part, S.PLACED)
    part.next_look_at = None  # now the payer decides
    each = await parts.of_round(tx, now.id)
    await _tell(tx, now, "reckoned" if all(p.state == S.PLACED for p in each) else "insuring")


async def confirm(tx: Tx, actor: Actor, visit_id: UUID, seen_cash_fen: int) -> list[UUID]:
    """The payer has seen what is taken from where, and agrees.

    Args:
        seen_cash_fen: what remains in cash, as it was shown.

    Raises:
        rules.NotShownError: not every settlement is reckoned, or another split was shown.
    """
    visit = await paying.locked_visit(tx, visit_id)
    await access.require(tx, actor, rounds.insures(actor), subject_of(visit))
    now = await paying.live_round(tx, visit_id)
    each = await parts.of_round(tx, now.id) if now is not None and now.state == RoundState.INSURING else []
    if now is not None and parts.at_counter(now) != (actor.kind is ActorKind.STAFF):
        raise ForbiddenError  # agreed to where it was begun: there the insurance asks the patient herself
    if any(p.state in (S.PAYING, S.PAID) for p in each):
        return [p.id for p in each]  # pressed twice
    if (
        now is None
        or not each
        or any(p.state != S.PLACED for p in each)
        or sum(parts.asks(p) for p in each) != seen_cash_fen
    ):
        raise rules.NotShownError
    for part in each:
        move(tx, part, S.PAYING)
        part.confirmed_at, part.confirmed_by = tx.now, actor.viewer
    await tx.session.flush()
    await _tell(tx, now, "insuring")
    return [p.id for p in each]


async def said(tx: Tx, part_id: UUID, told: Said) -> None:
    """The centre's verified word, asked for by us: paid, never paid, or given back; anything else says nothing.

    Where a mixed order is to let the insurance pay, WeChat's word is needed as well (``weighing``).
    """
    part, now = await locked(tx, part_id)
    proves = told.status.concludes
    mixed = await parts.mixed_of(tx, part.id) if part.state == S.PAYING else None
    if mixed is not None:
        verdict = weigh(MixedState(mixed.state), told.status)
        if not _decided(tx, part, mixed, verdict):
            return
        if verdict is Verdict.TAKE_BACK:
            await back(tx, now)
            return
    if proves is Conclusion.PAID and part.state in (S.PAYING, S.REVOKING):
        if part.state == S.REVOKING and told.split is not None and told.split.total_fen == part.total_fen:
            parts.keep(part, told.split)  # what it really paid goes back, whatever was shown, if anything was
        if part.fund_fen is None or not parts.same(part, told.split):
            part.trouble = "mismatch:split"
            return
        await _paid(tx, part, now, told.traced_at)
    elif proves in (Conclusion.NEVER_PAID, Conclusion.GIVEN_BACK):
        await _gone(tx, part, now)


def _decided(tx: Tx, part: InsurancePart, mixed: MixedOrder, verdict: Verdict) -> bool:
    if verdict is not Verdict.CONTRADICTED:
        mixed.disagrees_since = None
        return verdict is not Verdict.WAIT
    mixed.disagrees_since = mixed.disagrees_since or tx.now
    mixed.next_look_at = tx.now if mixed.next_look_at else None
    if tx.now - mixed.disagrees_since >= DISAGREE_ALARM:
        part.trouble = "mix:disagrees"
    return False


async def _paid(tx: Tx, part: InsurancePart, now: Round, at: datetime | None) -> None:
    part.paid_at = at or tx.now  # the insurer's day counts
    if part.state == S.REVOKING or now.state != RoundState.INSURING:
        if part.state == S.PAYING:
            move(tx, part, S.REVOKING)
        part.refund_at = tx.now
        move(tx, part, S.REFUNDING)
        await tell_settlements(tx, now)
        return
    move(tx, part, S.PAID)
    each = await parts.of_round(tx, now.id)
    if any(p.state != S.PAID for p in each):
        await _tell(tx, now, "insuring")
        return
    for one in each:
        borne = (one.fund_fen or 0, one.account_fen or 0, one.other_fen or 0)
        final = Parts(*borne, parts.asks(one), one.hospital_part_fen or 0)
        await paying.insured(tx, now, [UUID(c) for c in one.charge_ids], final, one.mutual_aid_fen or 0)
    now.cash_fen = sum(parts.asks(p) for p in each)
    await rounds.insured(tx, now)


async def _gone(tx: Tx, part: InsurancePart, now: Round) -> None:
    """It holds its money: a settlement that failed takes the others, and the cash, back with it."""
    if part.state in NO_MONEY:
        return
    if part.state == S.REVOKING:
        move(tx, part, S.REVOKED)
    elif part.state in (S.REFUNDING, S.MANUAL):
        await refunded(tx, part.id, InsuranceRefunded("", InsuranceRefundStatus.SUCCESS))
        return
    elif part.state == S.PAID:
        move(tx, part, S.REFUNDED)
        await parts.owes_report(tx, part)
    else:
        move(tx, part, S.FAILED)
    await back(tx, now)


async def still(tx: Tx, part_id: UUID, asked: Asked) -> bool:
    """Whether an answer is about the settlement as it stands, not about a consent that was refused since."""
    part, _ = await locked(tx, part_id)
    return part.order_number == asked.fees.order_number


async def refused(tx: Tx, part_id: UUID, reason: str) -> None:
    """A definite no: of a consent, another one is waited for; of the bill, before anything was paid, it is the end.

    To giving money back a person has to find out why.
    """
    part, now = await locked(tx, part_id)
    if part.state in (S.CREATED, S.UPLOADED):
        part.trouble = reason[:80]
        if reason in rules.CONSENT_REFUSED and now.state == RoundState.INSURING:
            await _consents_anew(tx, part, now)
        else:
            await _gone(tx, part, now)
    elif part.state == S.REFUNDING:
        await _needs_a_person(tx, part, now, reason)


async def _consents_anew(tx: Tx, part: InsurancePart, now: Round) -> None:
    """The centre will have none of this consent: the other settlements stand as they are, and this one waits anew.

    Its bill is handed in as another order: what the centre may have kept of this one nobody can pay, for it was never
    reckoned.
    """
    if part.state == S.UPLOADED:
        move(tx, part, S.CREATED)
    part.order_number = f"HF{short_code(16)}"
    part.auth_sealed = part.auth_until = part.auth_by = part.credential_sealed = part.pay_order_id = None
    part.next_look_at = None
    await tx.session.flush()
    await _tell(tx, now, "insuring")


async def revoked(tx: Tx, part_id: UUID) -> None:
    """Taken back before it was paid."""
    part, now = await locked(tx, part_id)
    if part.state == S.REVOKING:
        move(tx, part, S.REVOKED)
        await back(tx, now)


async def refunded(tx: Tx, part_id: UUID, told: InsuranceRefunded) -> None:
    """What became of giving the insurance its money back; an undecided refund needs a person, and is asked about."""
    part, now = await locked(tx, part_id)
    if part.state not in (S.REFUNDING, S.MANUAL):
        return
    if told.status is InsuranceRefundStatus.SUCCESS:
        move(tx, part, S.REFUNDED)
        part.trouble, part.refunded_at = None, told.at or tx.now
        await parts.owes_report(tx, part)
        if now.state in (RoundState.PAID, RoundState.SETTLED):
            await anew.insurance_is_back(tx, part, now)
        else:
            await back(tx, now)
    elif part.state == S.REFUNDING:
        await _needs_a_person(tx, part, now, f"refund:{told.status.value}")


async def _needs_a_person(tx: Tx, part: InsurancePart, now: Round, why: str) -> None:
    move(tx, part, S.MANUAL)
    part.trouble = why[:80]
    await tx.session.flush()
    await _tell(tx, now, "insurance_checking")


async def back(tx: Tx, now: Round) -> None:
    """One settlement came to nothing, or its round is given up: so does everything else of it, whole.

    A round that is paid already is the hospital's: if the insurer takes its payment back by itself, a person decides.
    """
    if now.state in (RoundState.PAID, RoundState.SETTLED):
        for part in await parts.of_round(tx, now.id):
            part.trouble = part.trouble or "insurance:gone_after_paid"
        return
    begins = now.state in (RoundState.INSURING, RoundState.OPEN)
    if begins:
        paying.move_round(now, RoundState.CLOSING)
    await parts.take_back(tx, now)
    if begins:
        await _tell(tx, now, "insurance_ending")
    await rounds.go_back(tx, now)
    if not begins and now.state == RoundState.CLOSING:
        await tell_settlements(tx, now)  # one more is back, and others are still to come


async def _tell(tx: Tx, now: Round, state: str) -> None:
    await tell_round(tx, now, state, labels.DESK if parts.at_counter(now) else labels.SELF)
