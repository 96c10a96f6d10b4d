"""``houfu reconcile`` in a process of its own, against the town: exit codes an operator's script can rely on."""

import asyncio
import os
import sys
from datetime import date

import pytest

from houfu.books import Told, exit_code
from kernel.clock import china_day
from payments.rules.reconciling import Side, SideState
from payments.service.reconciling import Outcome
from tests.adapters.conftest import world_keys  # noqa: F401  a fixture
from tests.conftest import ROOT
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


async def command(books: Books, *arguments: str) -> tuple[int, str]:
    """Run it with the house's own settings; the clock of another process cannot be moved."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOUFU_")}
    for name, value in books.house.world.settings.model_dump().items():
        plain = value.get_secret_value() if hasattr(value, "get_secret_value") else value
        plain = " ".join(plain) if isinstance(plain, tuple) else plain
        if plain not in (None, "", False) and name in books.house.world.settings.model_fields_set:
            kept[f"HOUFU_{name.upper()}"] = str(plain)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "houfu.cli", "reconcile", *arguments),
        cwd=ROOT,
        env=kept | {"COLUMNS": "200"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


async def test_a_day_from_the_command_line(house: House) -> None:  # noqa: F811
    """Today so far: exit 2, because WeChat's bill waits; with a wrong list exit 1 and the line; tomorrow is refused."""
    books = await open_books(house)
    house.clock.shift *= 0  # the other process lives on real time
    bill, _ = await books.paid()
    today = china_day(house.clock())
    code, said = await command(books, "--day", str(today))
    assert (code, "the provider side is waits" in said) == (2, True), said
    books.his_is("row_missing", today)
    await house.behave({"on": "day", "do": "over", "times": None})
    code, said = await command(books, "--day", str(today))
    assert code == 1, said
    assert "✗ settlement missing_at_his" in said
    assert "the settlement list of HF01" in said, "progress"
    code, said = await command(books, "--day", str(today))
    assert (code, "✓ the books agree" in said) == (0, True), said
    code, said = await command(books, "--day", "2999-01-01")
    assert code == 2
    assert "day_not_over" in said
    assert bill.owed
