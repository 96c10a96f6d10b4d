"""What the hospital's system refused, said once more: only what still stands, since money may have gone back."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from billing.service import paying
from kernel.db import Tx
from payments.rules import InsuranceState
from payments.service import parts
from visits.events import HisAnswered
from visits.service import calls
from visits.service.calls import AGAIN, HisCall

_ROUND = "settle:"


async def say(tx: Tx, hospital_id: UUID, key: str) -> None:
    """A person has looked into it: say it once more, now. What no longer stands is left out, and nothing is not said.

    Raises:
        NotFoundError: no such call in this hospital.
    """
    call = await calls.refused_call(tx, hospital_id, key)
    if call is None:
        return
    data: Mapping[str, Any] | None = call.data
    if call.kind == "settle":
        data = await _what_stands(tx, call)
    elif call.kind == "refund" and not await paying.pays_back(tx, call.data):
        data = None
    if data is not None:
        await calls.say_again(tx, call, data)
        return
    calls.drop(call)
    if call.kind == "settle":
        await tx.emit(HisAnswered(call.key, "settle", call.visit_id, "done", "nothing to book"))


async def _what_stands(tx: Tx, call: HisCall) -> Mapping[str, Any] | None:
    """A settlement without the lines whose money goes, or went, back, and without what the insurance takes back.

    A settlement of the insurance goes back whole: what is on that way takes all of its lines along.
    """
    number, going = call.data["settlement_no"], set()
    standing = await paying.standing(tx, call.visit_id, number)
    if call.key.startswith(_ROUND):
        now = await paying.round_by_id(tx, UUID(call.key.removeprefix(_ROUND).partition(AGAIN)[0]))
        back = [p for p in await parts.of_round(tx, now.id) if p.state != InsuranceState.PAID]
        going = {p.pay_order_id for p in back}
        gone = {charge for p in back for charge in p.charge_ids}
        standing -= {c.number for c in await paying.covered_by(tx, now) if str(c.id) in gone}
    lines = [line for line in call.data["charges"] if line["charge_no"] in standing]
    if not lines:
        return None
    return {
        **call.data,
        "charges": lines,
        "total_fen": sum(line["self_fen"] for line in lines),
        "insurance": [one for one in call.data["insurance"] if one["number"] not in going],
    }


async def crossed(tx: Tx, event: HisAnswered) -> None:
    """A refund crossed the refusal of what it takes back: there is nothing to give back, so nobody has to look."""
    call = await tx.get(HisCall, event.key, lock=True)
    if call is not None and call.state == "refused" and not await paying.pays_back(tx, call.data):
        calls.drop(call)
