"""``houfu reconcile`` in a process of its own, against the town: exit codes an operator's script can rely on."""

import asyncio
from datetime import date
from functools import partial
from pathlib import Path

import pytest

from houfu.books import Told, exit_code
from houfu.rehearse import environment_of
from kernel.clock import china_day
from payments.rules.reconciling import Side, SideState
from payments.service.reconciling import Outcome
from tests.adapters.conftest import world_keys  # noqa: F401  a fixture
from tests.hatchery import Hatchery
from tests.payments.books import Books, open_books
from tests.payments.conftest import House, clock, house, yesterday  # noqa: F401  fixtures

DAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("opened", "states", "code"),
    [
        (0, (), 0),
        (0, (SideState.ABSENT,), 0),
        (0, (SideState.WAITS,), 2),
        (0, (SideState.TROUBLE, SideState.ABSENT), 2),
        (1, (), 1),
        (1, (SideState.TROUBLE,), 1),
    ],
)
def test_exit_codes(opened: int, states: tuple[SideState, ...], code: int) -> None:
    """0: right, or whole as far as this house is connected; 1: something is open; 2: a side could not be had."""
    lacking = tuple(("HF01", Side.HIS, state, "") for state in states)
    assert exit_code(Told(Outcome(DAY, 0, opened, opened, lacking), ())) == code


async def command(hatchery: Hatchery, log: Path, books: Books, *arguments: str) -> tuple[int, str]:
    """Run it with the house's own settings; the clock of another process cannot be moved."""
    environment = environment_of(books.house.world.settings) | {"COLUMNS": "200"}
    log.unlink(missing_ok=True)
    process = hatchery.start(["reconcile", *arguments], environment, log, log)
    return await asyncio.to_thread(process.wait, 120), log.read_text("utf-8")


async def test_a_day_from_the_command_line(house: House, hatchery: Hatchery, tmp_path: Path) -> None:  # noqa: F811
    """Today so far: exit 2, because WeChat's bill waits; with a wrong list exit 1 and the line; tomorrow is refused."""
    books = await open_books(house)
    run = partial(command, hatchery, tmp_path / "said", books)
    house.clock.shift *= 0  # the other process lives on real time
    bill, _ = await books.paid()
    today = china_day(house.clock())
    code, said = await run("--day", str(today))
    assert (code, "the provider side is waits" in said) == (2, True), said
    books.his_is("row_missing", today)
    await house.behave({"on": "day", "do": "over", "times": None})
    code, said = await run("--day", str(today))
    assert code == 1, said
    assert "✗ settlement missing_at_his" in said
    assert "the settlement list of HF01" in said, "progress"
    code, said = await run("--day", str(today))
    assert (code, "✓ the books agree" in said) == (0, True), said
    code, said = await run("--day", "2999-01-01")
    assert code == 2
    assert "day_not_over" in said
    assert bill.owed
