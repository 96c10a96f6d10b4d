"""What people and departments do to a bill besides paying: told to the hospital's books, and to the house."""

import json
from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from billing.service import paying
from billing.service.lines import exclude_line, lines_of
from payments import flows
from payments.service import certificates
from sandbox.his.clinic import NotPossibleError
from tests.proof.office import MOTHER, Office
from visits.service import orders


async def read_at_terminal(o: Office, part: UUID) -> None:
    """A certified terminal reads the mother: her consent to one settlement, which is handed in and reckoned."""
    books = o.town.insurance.books
    number = next(person.id_number for person in books.people.values() if person.openid == MOTHER)
    auth, token = books.certificate(number)
    value = json.dumps({"authno": auth.number, "idno": number, "ectoken": token})
    async with o.db.begin() as tx:
        await certificates.given(tx, o.counter, part, value)
    await flows.go_on(o.db, o.center, part)
    await flows.go_on(o.db, o.center, part)


async def wants_first(o: Office) -> None:
    """The hospital excludes every line from being paid afterwards."""
    books = o.town.his.books
    async with o.db.begin() as tx:
        visit = await paying.locked_visit(tx, o.visit)
        for line in await lines_of(tx, o.visit):
            o.town.his.clinic.exclude(books.encounter_of[line.number], "OTHER", line.number)
            await exclude_line(tx, visit, line)


async def first(o: Office) -> tuple[int, frozenset[UUID]]:
    """What of the bill can be paid before it is done: how much, and which lines."""
    async with o.db.begin() as tx:
        lines = await paying.payable_first(tx, await paying.locked_visit(tx, o.visit))
        return sum(line.self_fen for line in lines), frozenset(line.id for line in lines)


async def does(o: Office) -> None:
    """The departments do what is ordered, unless the doctor took it back."""
    for order in await _ordered(o):
        with suppress(NotPossibleError):
            o.town.his.clinic.confirm(order.number)
            async with o.db.begin() as tx:
                held = await orders.order_by_id(tx, order.id)
                assert held is not None
                await orders.perform(tx, held, by=None, where="LAB", at=tx.now, covers_all=True)


async def cancels(o: Office) -> None:
    """The doctor takes back what is not done."""
    for order in await _ordered(o):
        with suppress(NotPossibleError):
            o.town.his.clinic.cancel(order.number, "OTHER")
            async with o.db.begin() as tx:
                held = await orders.order_by_id(tx, order.id)
                assert held is not None
                await orders.cancel(tx, held, tx.now)


async def _ordered(o: Office) -> Sequence[orders.Order]:
    async with o.db.begin() as tx:
        return await orders.orders_of(tx, o.visit)
