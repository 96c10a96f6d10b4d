"""Scripted visits: valid on the wire, told in plain Chinese, and obedient to what was abandoned meanwhile."""

import asyncio

import pytest

from sandbox.his import commands, wire
from sandbox.his.clinic import Clinic
from sandbox.his.player import Player, Run
from sandbox.his.scripts import SCRIPTS
from tests.sandbox.houfu_stub import payable
from words import his_scenes


def finish(player: Player, run: Run) -> None:
    while not run.finished:
        if player.step(run)["waits"]:
            mark(player, run)


def mark(player: Player, run: Run) -> None:
    """Houfu told the hospital that this visit is paid afterwards."""
    assert run.encounter is not None
    player.actor.clinic.books.encounters[run.encounter].mode = "DEFERRED"


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_a_script_says_only_valid_events(clinic: Clinic, name: str) -> None:
    """Every item follows the contract, sequences grow by one, and what was said adds up to the right bill."""
    player = Player(clinic)
    run = player.start(name)
    finish(player, run)
    items = list(clinic.books.outbox.values())
    for item in items:
        wire.check(item)
    assert [i["sequence"] for i in items] == list(range(1, len(items) + 1))
    assert items[-1]["type"] == "encounter.finished"
    assert run.encounter is not None
    assert payable(items) == clinic.books.right_bill(run.encounter).payable
    assert run.skipped == []


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_every_step_has_a_caption(name: str) -> None:
    """Captions and steps match one to one; no exclamation mark, no Latin words but CT."""
    captions = his_scenes.CAPTIONS[name]
    assert list(captions) == [s.key for s in SCRIPTS[name].steps]
    assert not [c for c in captions.values() if "！" in c or any(ch.islower() and ch.isascii() for ch in c)]
    assert name in his_scenes.TITLES


def test_the_holter_is_ordered_and_never_owed(clinic: Clinic) -> None:
    """The 71-year-old's 24-hour ECG (¥160.00) is planned to the end; the rest is owed."""
    player = Player(clinic)
    run = player.start("cardiology")
    finish(player, run)
    assert run.encounter is not None
    bill = clinic.books.right_bill(run.encounter)
    assert list(bill.planned.values()) == [16000]
    assert bill.total_fen == 100 + 2800 + 740 + 4800 + 3600 + 600 + 2200 + 18600 + 3200 + 1280 + 3120 + 2745 + 2230


def test_a_step_waits_until_the_hospital_was_told(clinic: Clinic) -> None:
    """She has not signed: pressed three times nothing happens, which is said once; marked, the visit goes on."""
    player, heard = Player(clinic), list[str]()
    player.watchers.append(lambda _, caption: heard.append(caption))
    run = player.start("letter")
    player.step(run)
    before = len(clinic.books.outbox)
    assert [player.step(run)["waits"] for _ in range(3)] == [True, True, True]
    assert (run.position, len(clinic.books.outbox)) == (1, before)
    mark(player, run)
    assert [player.step(run)["key"] for _ in range(2)] == ["signed", "see"]
    assert heard == [his_scenes.CAPTIONS["letter"]["register"], his_scenes.WAITS] + [
        his_scenes.CAPTIONS["letter"][key] for key in ("signed", "see")
    ]
    assert run.skipped == []


def test_an_abandoned_order_is_passed_over(clinic: Clinic) -> None:
    """The echo is abandoned after it was ordered: its steps are skipped, its charges gone, the rest goes on."""
    player = Player(clinic)
    run = player.start("cardiology")
    while "echo" not in run.orders:
        player.step(run)
    assert run.encounter is not None
    body = {"key": "a", "kind": "abandon", "encounters": [run.encounter], "at": "2026-11-22T01:31:05Z"}
    commands.take(clinic.books, body | {"data": {"order_no": run.orders["echo"]}})
    captions = []
    while not run.finished:
        captions.append(player.step(run)["caption"])
    assert run.skipped == ["echo_queue", "echo_call", "echo", "echo_result"]
    assert captions.count(his_scenes.SKIPPED) == 4
    assert list(clinic.books.right_bill(run.encounter).gone.values()) == [18600, 3200]


def test_a_desk_may_confirm_first(clinic: Clinic) -> None:
    """The desk presses 已做完 before the script gets there: one execution, not two."""
    player = Player(clinic)
    run = player.start("child")
    while "blood" not in run.orders:
        player.step(run)
    clinic.confirm(run.orders["blood"], by="k.blood")
    finish(player, run)
    assert run.encounter is not None
    done = [e for e in clinic.books.encounters[run.encounter].executions if e["order_no"] == run.orders["blood"]]
    assert [e["by"] for e in done] == ["k.blood"]
    assert run.skipped == ["blood"]


def test_the_unknown_patient_gets_a_name_later(clinic: Clinic) -> None:
    """Emergency: treated without number or name; the family comes, and the start is said again with who it is."""
    player = Player(clinic)
    run = player.start("emergency")
    finish(player, run)
    starts = [i for i in clinic.books.outbox.values() if i["type"] == "encounter.started"]
    assert [s["data"]["patient"].get("id_number") for s in starts] == [None, "999901195806309177"]
    assert {s["data"]["patient"]["no"] for s in starts} == {"P0000005"}
    first_done = next(i for i in clinic.books.outbox.values() if i["type"] == "execution.confirmed")
    assert first_done["sequence"] < starts[1]["sequence"]


def test_the_pay_first_patient_owes_nothing(clinic: Clinic) -> None:
    """Insurance suspended: everything is paid at the window before it is done."""
    player = Player(clinic)
    run = player.start("pay_first")
    finish(player, run)
    assert run.encounter is not None
    bill = clinic.books.right_bill(run.encounter)
    assert (bill.payable, bill.planned) == ({}, {})
    assert sum(bill.at_window.values()) == sum(
        c["split"]["self_fen"] for c in clinic.books.encounters[run.encounter].charges.values()
    )


async def test_a_visit_plays_by_itself(clinic: Clinic) -> None:
    """At full speed the child's visit ends alone; another is paused in the middle and stays there."""
    player = Player(clinic)
    run, other = player.start("child"), player.start("antenatal")
    player.play(run, 1_000_000)
    player.play(other, 10)
    async with asyncio.timeout(5):
        while not run.finished:
            await asyncio.sleep(0.005)
    player.pause(other)
    position = other.position
    await asyncio.sleep(0.02)
    assert other.position == position == 1
    await player.close()
    assert player.show(run)["finished"]
