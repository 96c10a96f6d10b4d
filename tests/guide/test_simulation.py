"""The played day: the same seed is the same day, and the figures are what they say."""

import json
from pathlib import Path

import pytest

from guide.sim import compare, picture
from guide.sim.choose import chooser
from guide.sim.compare import BASE, WAYS, Change, change
from guide.sim.day import Day
from guide.sim.hospital import EXAM, hospital, people
from houfu import simulate
from kernel.settings import SettingsError

FEW = 100


def test_a_day_is_played_the_same_twice_and_breaks_no_rule() -> None:
    """Two runs of one seed are equal to the last figure, under every way; pairs are of the same people."""
    house = hospital(0.8, FEW)
    first, again = (list(compare.play(house, [7], FEW)) for _ in range(2))
    assert first == again
    assert [key for _, key, _ in first] == [way.key for way in WAYS]
    base = first[0][2]
    assert (base.worse, base.better) == (0, 0)
    assert all(day.unfinished <= FEW / 10 for _, _, day in first)


def test_nobody_is_examined_before_they_may_be() -> None:
    """Contrast never before the blood's result, no bladder before it is full, whoever sends them."""
    house, crowd = hospital(0.8, FEW), people(3, FEW)
    for way in WAYS:
        day = Day(house, crowd, way, chooser(way))
        day.run()
        for walker in day.walkers:
            for code, done in walker.done.items():
                begun = done - walker.who.takes[code] * max(d.stretch for d in house.sites(code))
                assert begun >= walker.allowed_at(code) - 1e-6, (way.key, code)
                assert EXAM[code].after not in walker.who.exams or EXAM[code].after in walker.done


def test_the_first_minutes_give_no_number() -> None:
    """Straight from the doctor one is called by when one came, an hour later by twenty minutes after the order."""
    house, crowd = hospital(0.8, FEW), people(3, FEW)
    for key, soon, late in (("numbers", 515, 520), ("numbers-bare", 500, 500)):
        day = Day(house, crowd, next(w for w in WAYS if w.key == key), chooser(BASE))
        day.walkers[0].ordered = 500
        assert (day.number_of(day.walkers[0], 515), day.number_of(day.walkers[0], 560)) == (soon, late)


def test_an_interval_is_of_the_pairs() -> None:
    """Days that all changed alike are sure; two that differ are not; one day says nothing of how sure."""
    assert change([50, 100], [100, 200]) == Change(-50.0, 0.0)
    assert change([90, 220], [100, 200]).half == pytest.approx(127.1, abs=0.1)
    assert change([90], [100]).half == float("inf")


def test_the_study_is_told_and_drawn(tmp_path: Path) -> None:
    """One small study: tables, a picture with gains and losers, figures as JSON, and which room would help most."""
    made = simulate.study([11, 12], 0.8, FEW, simulate.ways_of("advice,numbers"), server=False)
    simulate.save(made, tmp_path / "a.svg", tmp_path / "a.json")
    drawn = (tmp_path / "a.svg").read_text("utf-8")
    assert drawn.count("ours") == 2
    assert drawn == picture.svg(made.days, f"2 days, {FEW} patients a day, load 0.8")
    kept = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert list(kept["days"]) == [BASE.key, "advice", "numbers"]
    assert len(kept["days"]["advice"]) == 2
    more = dict(compare.one_more(hospital(0.8, FEW), [11], FEW))
    assert "blood@0" in more


@pytest.mark.parametrize("text", ["", "5-2", "1-x", "1-200", "3,3"])
def test_seeds_that_are_none_are_refused(text: str) -> None:
    """Nothing is played."""
    with pytest.raises(SettingsError):
        simulate.seeds_of(text)
    assert simulate.seeds_of("101,103-104") == [101, 103, 104]
    with pytest.raises(SettingsError):
        simulate.ways_of("advice,teleport")
