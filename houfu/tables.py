"""The tables that hold the house together: who reacts to which fact, which jobs and sweeps there are, who sees what.

A package's author adds its lines here. The order of subscribers is the order in which they run, inside the transaction
of the fact.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from api.routes.binding import binding_sender
from api.routes.payments import till_of
from api.world import World
from billing.events import PaidChargeReversed
from billing.rules import NotCarriedError
from billing.service import creditor, reacting, registration
from billing.service import refunds as refund_requests
from consent import flows as consent
from consent.events import ContractRestored, ContractSigned, ContractSuspended, ContractWithdrawn
from consent.service.contracts import SEAL_JOB
from family_pay import flows as family_pay
from family_pay.service import asking, bonds
from family_pay.service import taking as announced
from family_pay.service.phone_bindings import SEND_JOB
from family_pay.service.taking import Auto
from guide.service import ordering, turns
from houfu.audit import CHECKS, audit
from houfu.pushes import House
from intake.flows import sweep_parked
from kernel.db import Subscribers, Tx
from kernel.jobs import Job
from notices import flows as reaching
from notices.service import recording, telling
from payments import flows as payments
from payments.events import AttemptClosed
from payments.flows import mixing, reconciling, taking
from payments.service import codes, refunds, rounds, worklist
from people.events import PhoneChanged, WeChatLeft, WeChatMessageReported
from people.service import access, wechat_account
from visits.events import (
    HisAnswered,
    OrderGone,
    OrderPerformed,
    VisitEnded,
    VisitMarked,
    VisitOpened,
    VisitReopened,
    VisitSettled,
    VisitUnmarked,
)
from visits.flows import booking, deliver_calls
from visits.rules import ModeChange
from visits.service import encounters, moves

HOUSE = House()


async def _mark_today(tx: Tx, event: ContractSigned | ContractRestored) -> None:
    await encounters.mark_open_visits(tx, event.hospital_id, event.patient_id)


async def _unmark_today(tx: Tx, event: ContractWithdrawn | ContractSuspended) -> None:
    await encounters.unmark_open_visits(tx, event.hospital_id, event.patient_id, ModeChange.WITHDRAWN)


async def _message_reported(tx: Tx, event: WeChatMessageReported) -> None:
    await recording.record_wechat_job(tx, event.message_id, event.status)


SUBSCRIBERS: Subscribers = {
    WeChatMessageReported: [_message_reported],
    HisAnswered: [rounds.his_answered, moves.answered],
    PaidChargeReversed: [refunds.line_reversed, refund_requests.overtaken],
    ContractSigned: [_mark_today],
    ContractRestored: [_mark_today],
    ContractWithdrawn: [_unmark_today],
    ContractSuspended: [_unmark_today],
    OrderPerformed: [reacting.order_performed],
    OrderGone: [reacting.order_gone],
    VisitMarked: [reacting.visit_marked],
    VisitUnmarked: [reacting.visit_mode_changed],
    AttemptClosed: [announced.attempt_closed],
    VisitOpened: [bonds.visit_moved],
    VisitEnded: [bonds.visit_moved, reacting.visit_ended, asking.visit_ended],
    VisitReopened: [bonds.visit_moved],
    VisitSettled: [bonds.visit_settled, asking.visit_settled],
    PhoneChanged: [bonds.phone_changed],
    WeChatLeft: [announced.account_left],
}

SILENT: frozenset[str] = frozenset(
    {
        "AttemptPaid",
        "AttemptSettled",
        "MoneyReturned",
        "BookingArrived",
        "BookingCancelled",
        "BookingMade",
        "BookingMissed",
        "BookingMoved",
        "BookingRefused",
        "BookingRequeued",
        "CallsAnswered",
        "ChargeBecameBillable",
        "ClinicCalledOff",
        "ContractSealed",
        "DisputeAnswered",
        "LineDisputed",
        "GrantEnded",
        "GrantMade",
        "OrderCheckedIn",
        "OrderPlaced",
        "RefundAnswered",
        "ReadingAbandoned",
        "ReadingOpened",
        "ResultReady",
        "SessionsEnded",
        "ViewsChanged",
        "WeChatFollowChanged",
    }
)
"""Events nobody reacts to on purpose (``ViewsChanged``, ``SessionsEnded``, ``CallsAnswered`` are rung, not emitted)."""


async def _seal(world: World, contract_id: str) -> None:
    ports = world.ports
    if ports.timestamps is not None and ports.signer is not None and ports.paper is not None:
        await consent.seal(world.db, ports.timestamps, ports.signer, ports.paper, UUID(contract_id))


async def _seal_due(world: World) -> None:
    ports = world.ports
    if ports.timestamps is not None and ports.signer is not None and ports.paper is not None:
        await consent.seal_due(world.db, ports.timestamps, ports.signer, ports.paper)


async def _refresh_credit(world: World) -> None:
    await consent.refresh_credit(world.db, world.ports.credit)


async def _lift_lapsed(world: World) -> None:
    await consent.lift_lapsed(world.db)


async def _look_at_payments(world: World) -> None:
    if world.ports.pay is not None:
        await payments.sweep(world.db, world.ports.pay)


async def _insurance(world: World) -> None:
    center, mix, pay = world.ports.insurance, world.ports.mix, world.ports.pay
    if center is None:
        return
    if mix is not None and pay is not None:
        await mixing.due(world.db, mixing.Lines(center, mix, pay))
        await mixing.report_due(world.db, mix)
    await payments.insurance_due(world.db, center)


async def _release_shares(world: World) -> None:
    await payments.release_idle(world.db)


async def _ask_payers(world: World) -> None:
    auto = _auto(world)
    async with world.db.begin() as tx:
        await asking.tell_due(tx, auto)
    if auto is not None and world.ports.pay is not None:
        await family_pay.take_due(world.db, world.ports.pay, auto)


def _auto(world: World) -> Auto | None:
    """Whether money is taken by contract here, and what has to be known for that."""
    if world.ports.pay is None or world.ports.pay.deduct is None:
        return None
    insured = world.ports.insurance is not None and world.ports.mix is not None
    return Auto(till_of(world)[1], insured)


async def _contracts(world: World) -> None:
    if world.ports.pay is not None and world.ports.pay.deduct is not None:
        await taking.contracts_due(world.db, world.ports.pay)


async def _return_money(world: World) -> None:
    if world.ports.pay is not None:
        await payments.refund_due(world.db, world.ports.pay)


async def _reconcile(world: World) -> None:
    try:
        await reconciling.reconcile_due(world.db, world.ports.pay, world.ports.his, world.ports.insurance_books)
    finally:
        async with world.db.begin() as tx:
            world.metrics.reconcile.set(await worklist.open_fen(tx))


async def _push(world: World) -> None:
    if world.ports.reach is not None:
        await reaching.run_due(world.db, HOUSE, world.ports.reach)


async def _ask_carriers(world: World) -> None:
    if world.ports.reach is not None:
        await reaching.ask_due(world.db, world.ports.reach)


async def _forget_codes(world: World) -> None:
    async with world.db.begin() as tx:
        await codes.forget_old(tx)
        await telling.forget(tx)


async def _forget_looks(world: World) -> None:
    async with world.db.begin() as tx:
        await access.forget_looks(tx)


async def _forget_wechat(world: World) -> None:
    async with world.db.begin() as tx:
        await wechat_account.forget_old(tx)


async def _end_forgotten(world: World) -> None:
    async with world.db.begin() as tx:
        await encounters.end_forgotten(tx)


async def _deliver_calls(world: World) -> None:
    await deliver_calls(world.db, world.ports.his, breath=0.1)


async def _bookings(world: World) -> None:
    async with world.db.begin() as tx:
        late = await registration.due_back(tx)
    for booking_id in late:
        async with world.db.begin() as tx:
            await registration.give_back(tx, booking_id)
    await booking.look_after(world.db, world.ports.his, world.slots)


async def _parked(world: World) -> None:
    await sweep_parked(world.db)


async def _take_over(world: World) -> None:
    async with world.db.begin() as tx:
        due = await creditor.take_over_due(tx)
    for visit_id in due:
        async with world.db.begin() as tx:
            with suppress(NotCarriedError):  # paid, or being paid, meanwhile
                await creditor.take_over(tx, visit_id)


async def _audit(world: World) -> None:
    async with world.db.begin() as tx:
        found = Counter(finding.check.name for finding in await audit(tx))
    for check in CHECKS:
        world.metrics.audit.labels(check.name).set(found[check.name])


async def _advise(world: World) -> None:
    async with world.db.begin() as tx:
        await ordering.sweep(tx)


async def _set_out(world: World) -> None:
    async with world.db.begin() as tx:
        near = await turns.due(tx)
    for order_id in near:
        async with world.db.begin() as tx:
            await turns.tell(tx, order_id)


async def _phone_code(world: World, request_id: str) -> None:
    await family_pay.send_phone_code(world.db, binding_sender(world), UUID(request_id))


JOBS: Mapping[str, Job] = {SEAL_JOB: _seal, SEND_JOB: _phone_code}


@dataclass(frozen=True, slots=True)
class Sweep:
    """Something looked after again and again.

    Attributes:
        seconds: pause between two runs; ``woken`` ones also run when anything was committed.
    """

    name: str
    seconds: float
    run: Callable[[World], Awaitable[object]]
    woken: bool = False


SWEEPS: tuple[Sweep, ...] = (
    Sweep("notices.push", 2, _push),
    Sweep("notices.receipts", 30, _ask_carriers),
    Sweep("payments.look", 2, _look_at_payments),
    Sweep("payments.refunds", 2, _return_money),
    Sweep("payments.insurance", 2, _insurance),
    Sweep("payments.shares", 60, _release_shares),
    Sweep("family_pay.asks", 5, _ask_payers),
    Sweep("payments.contracts", 3, _contracts),
    Sweep("payments.reconcile", 300, _reconcile),
    Sweep("payments.codes", 600, _forget_codes),
    Sweep("people.wechat", 3600, _forget_wechat),
    Sweep("consent.seal", 30, _seal_due),
    Sweep("consent.credit", 600, _refresh_credit),
    Sweep("consent.lapsed", 600, _lift_lapsed),
    Sweep("billing.creditor", 300, _take_over),
    Sweep("visits.forgotten", 60, _end_forgotten),
    Sweep("people.looks", 3600, _forget_looks),
    Sweep("visits.his", 1, _deliver_calls, woken=True),
    Sweep("guide.advice", 10, _advise),
    Sweep("guide.turns", 10, _set_out),
    Sweep("visits.bookings", 2, _bookings),
    Sweep("intake.parked", 5, _parked),
    Sweep("houfu.audit", 300, _audit),
)
