"""What tests of the counter do: staff by their number, an open shift, a code on a phone, sound books."""

from typing import Any

from sqlalchemy import select

from houfu.audit import audit
from kernel.ids import new_id
from payments.flows import counter as flows
from payments.rules.counter import DeskWay
from payments.service import shifts
from payments.service.counter import InHand
from people.models import Staff
from people.rules import Actor, ActorKind, Role
from people.service import sessions
from tests.payments.conftest import MOTHER, Bill, House

FLOAT = 20_000


async def staff(house: House, login: str) -> Actor:
    """A member of staff, logged in."""
    async with house.db.begin() as tx:
        row = (await tx.session.scalars(select(Staff).where(Staff.login == login))).one()
        house.tokens[row.id] = (await sessions.begin_staff(tx, row.id)).token
        return Actor(ActorKind.STAFF, row.id, row.hospital_id, Role(row.role), row.department)


async def opened(house: House, actor: Actor, fen: int = FLOAT) -> Any:
    """The cashier's shift begins."""
    async with house.db.begin() as tx:
        return await shifts.begin(tx, actor, fen)


def cash(bill: Bill, given: int | None = None, **over: Any) -> InHand:
    """Cash is put down."""
    return InHand(DeskWay.CASH, over.pop("key", str(new_id())), over.pop("amount", bill.owed), given, **over)


def card(bill: Bill, slip: str, **over: Any) -> InHand:
    """The bank's terminal has printed a slip."""
    return InHand(DeskWay.CARD, str(new_id()), over.pop("amount", bill.owed), reference=slip, **over)


async def takes(house: House, actor: Actor, bill: Bill, held: InHand) -> Any:
    """The cashier takes it. Returns the attempt's id."""
    return await flows.take(house.db, house.pay, actor, bill.visit, held)


async def shown_code(house: House, openid: str = MOTHER) -> str:
    """A phone shows its payment code."""
    return str((await house.control("/control/code", {"openid": openid}))["auth_code"])


async def sound(house: House) -> None:
    """No invariant is broken, and our money at WeChat is what WeChat holds."""
    async with house.db.begin() as tx:
        found = [f for f in await audit(tx) if f.check.name not in house.excused]
        assert [f"{f.check.name} {f.row} {f.figures}" for f in found] == []
    assert (await house.ledger()).get("cash_wechat", 0) == house.taken
