"""The way in words: every floor by its sign, every lift by its name, no compass, and no turn inside a lift."""

import itertools
import statistics

import pytest

from guide.maps.network import Network
from guide.ports import Profile
from guide.routes import say
from guide.routes.engine import Condition, Engine
from words import guide_way as w
from words.guide_order import span

COMPASS = ("东侧", "西侧", "南侧", "北侧", "向东", "向西", "向南", "向北", "往东", "往西", "往南", "往北")
TURNS = ("左", "右", "直走", "掉头")


@pytest.fixture(scope="module")
def engine(read_once: Network) -> Engine:
    """Ways on the demo's map."""
    return Engine(read_once)


def steps(engine: Engine, start: str, goal: str, profile: Profile = Profile.WALK, *closed: str) -> list[say.Step]:
    """The steps between two departments."""
    network = engine.network
    begin, end = (network.spaces[network.occupants[n]].node for n in (start, goal))
    path = engine.route(begin, end, profile, None, [Condition(c) for c in closed])
    assert path is not None
    return say.steps_of(network, path, goal)


@pytest.mark.parametrize(
    ("start", "goal", "profile", "said"),
    [
        ("导诊台", "西药房", Profile.WALK, ["出门右转，直走约10米，“西药房”在右手边。"]),
        (
            "心内科门诊", "抽血处", Profile.WHEELCHAIR,
            ["出门右转，直走约10米，“2号电梯”在右手边。", "乘2号电梯到2楼。",
             "出电梯左转，直走约15米，“抽血处”在左手边。"],
        ),
        (
            "心内科门诊", "超声科", Profile.WALK,
            ["出门左转，直走约20米，走“空中连廊”。", "直走约25米，进医技楼。", "直走约5米，“超声科”在左手边。"],
        ),
        ("心内科门诊", "抽血处", Profile.SLOW,
         ["出门右转，“下行扶梯”在右手边。", "乘下行扶梯到2楼。", "下扶梯左转，直走约10米，“抽血处”在左手边。"]),
    ],
)  # fmt: skip
def test_the_way_as_it_is_said(engine: Engine, start: str, goal: str, profile: Profile, said: list[str]) -> None:
    """Word for word."""
    assert [s.text for s in steps(engine, start, goal, profile)] == said


def test_every_way_of_the_demo(engine: Engine) -> None:
    """All pairs of departments, each profile in turn: floors change in steps of their own, few enough to remember."""
    lengths, turns, landmarks = [], 0, 0
    names = sorted(engine.network.occupants)
    signs = {f.sign for f in engine.network.floors}
    pairs = list(itertools.permutations(names, 2))
    for n, (start, goal) in enumerate(pairs):
        profile = tuple(Profile)[n % len(Profile)]
        found = steps(engine, start, goal, profile)
        lengths.append(len(found))
        assert found[-1].kind == "arrive"
        assert f"“{goal}”" in found[-1].text
        for step in found:
            assert not any(word in step.text.replace("东楼梯", "").replace("西楼梯", "") for word in COMPASS)
            assert step.sign in signs
            assert "“" not in step.spoken
            if step.kind in ("lift", "stairs", "escalator"):
                assert step.text.endswith(f"到{step.sign}。")
                assert not any(word in step.text for word in TURNS)
                assert step.line == ()
            else:
                assert "乘" not in step.text
                assert step.line
            bends = (
                step.text.count("左转")
                + step.text.count("右转")
                - step.text.count("出门左")
                - step.text.count("出门右")
            )
            turns += bends > 0
            landmarks += bends > 0 and any(sight in step.text for sight in ("“", "进", "出"))
    lengths.sort()
    assert statistics.mean(lengths) <= 7
    assert lengths[int(len(lengths) * 0.95)] <= 11
    assert landmarks / turns >= 0.85


def test_where_one_is_already(engine: Engine) -> None:
    """From a place to itself there is nothing to walk."""
    assert [s.text for s in steps(engine, "CT室", "CT室")] == [w.HERE]


def test_from_the_open_a_thing_in_sight_gives_the_direction(engine: Engine) -> None:
    """A code on a pillar in the hall: nobody knows which way she faces, so the first words name what to walk to."""
    network = engine.network
    hall = next(s.node for s in network.spaces if s.name == "门诊大厅")
    path = engine.route(hall, network.spaces[network.occupants["CT室"]].node, Profile.WALK)
    assert path is not None
    first = say.steps_of(network, path, "CT室")[0].text
    assert first.startswith("往“")


def test_how_long_it_takes() -> None:
    """A range that does not pretend to seconds."""
    assert [w.about(s) for s in (20, 70, 130, 300)] == ["1分钟以内", "约1–2分钟", "约1–3分钟", "约4–7分钟"]
    assert w.heading("导诊台", "CT室", 130, 1, 0, 0) == "从导诊台到CT室，约1–3分钟，要坐1次电梯。"
    assert w.spoken("到“CT室”，约1–3分钟，乘电梯到B1。") == "到CT室，约1到3分钟，乘电梯到负一楼。"


def test_how_long_something_takes_is_said_as_people_say_it() -> None:
    """Minutes for an hour and a half; then hours; a result of tomorrow is no number of minutes."""
    assert [span(m) for m in (45, 99, 100, 300, 1500, 2880)] == [
        "45分钟",
        "99分钟",
        "约2小时",
        "约5小时",
        "约1天",
        "约2天",
    ]
