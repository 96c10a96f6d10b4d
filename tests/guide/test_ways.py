"""Ways are the quickest there are, for whoever asks: compared with networkx on maps nobody would draw."""

import math
import random
from datetime import datetime

import networkx as nx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guide.maps.findings import Guess
from guide.maps.network import STEPPED, Edge, Floor, Network, Node, Space, Way
from guide.ports import Profile
from guide.routes.engine import Condition, Engine
from guide.routes.profiles import STEP_FREE

BOUNDED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
EVENING = datetime(2026, 3, 4, 21, 0)  # noqa: DTZ001 - a wall clock's time


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Few points, many kinds of ways: chains, rings, dead ends, doubles, islands, one-way."""
    count = draw(st.integers(2, 12))
    made = Network("x", [Floor("0", "", "1楼", 0.0), Floor("1", "", "2楼", 1.0)], links=["电梯"], hours=["08:00-17:00"])
    for n in range(count):
        made.nodes.append(Node(draw(st.integers(0, 9000)), draw(st.integers(0, 9000)), draw(st.integers(0, 1)), n))
        made.spaces.append(Space(f"s{n}", made.nodes[-1].level, "room", f"n{n}", "", n, []))
    for _ in range(draw(st.integers(1, 18))):
        a, b = draw(st.integers(0, count - 1)), draw(st.integers(0, count - 1))
        way = draw(st.sampled_from(Way))
        made.edges.append(
            Edge(a, b, draw(st.integers(1, 3000)), way, draw(st.booleans()), -1, draw(st.sampled_from([-1, 0])),
                 draw(st.sampled_from([-1, 0])))
        )  # fmt: skip
    made.places = {f"P{n}": n for n in range(draw(st.integers(0, count)))}
    return made


def plain(engine: Engine, scene: object) -> "nx.DiGraph[int]":
    """The same for networkx, without any folding."""
    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(len(engine.network.nodes)))
    for n, edge in enumerate(engine.network.edges):
        for a, b, seconds in ((edge.a, edge.b, scene.there[n]), (edge.b, edge.a, scene.back[n])):  # type: ignore[attr-defined]
            if seconds < math.inf and seconds < graph.get_edge_data(a, b, {"s": math.inf})["s"]:
                graph.add_edge(a, b, s=seconds)
    return graph


@BOUNDED
@given(networks(), st.sampled_from(Profile), st.booleans(), st.booleans())
def test_no_way_is_quicker(network: Network, profile: Profile, late: bool, closed: bool) -> None:
    """Between any two points: as long as Dijkstra's on the unfolded map, and the steps lead there and add up."""
    engine = Engine(network)
    if not late:
        engine.warm([profile])
    conditions = [Condition("n0"), Condition("电梯", 2.0)] if closed else []
    scene = engine.scene(profile, EVENING if late else None, conditions)
    graph = plain(engine, scene)
    for start in graph:
        wanted = nx.single_source_dijkstra_path_length(graph, start, weight="s")
        for end in graph:
            path = scene.route(start, end)
            assert (path.seconds if path else math.inf) == pytest.approx(wanted.get(end, math.inf), abs=1e-6)
            if path is None:
                continue
            assert (path.nodes[0], path.nodes[-1]) == (start, end)
            assert len(path.nodes) == len(path.steps) + 1
            total = 0.0
            for (number, forward), a, b in zip(path.steps, path.nodes, path.nodes[1:], strict=False):
                edge = network.edges[number]
                assert (a, b) == ((edge.a, edge.b) if forward else (edge.b, edge.a))
                assert forward or not edge.one_way
                assert not (late and edge.hours == 0)
                total += (scene.there if forward else scene.back)[number]
            assert total == pytest.approx(path.seconds, abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_no_way_is_quicker_through_gates(seed: int) -> None:
    """Three floors of crossings, some one-way, joined by stairs and lifts: no search, and yet nothing is quicker."""
    dice = random.Random(seed)
    made = Network("x", [Floor(str(n), "", f"{n + 1}楼", float(n)) for n in range(3)])
    for level in range(3):
        for n in range(16):
            made.nodes.append(Node(n % 4 * 500, n // 4 * 500, level, len(made.nodes)))
            made.spaces.append(Space(f"s{len(made.spaces)}", level, "room", "", "", len(made.spaces), []))
    for a in range(48):
        for b in (a + 1, a + 4):
            if b // 16 == a // 16 and (b == a + 4 or b % 4):
                made.edges.append(Edge(a, b, dice.randint(1, 3000), Way.FLAT, dice.random() < 0.2))
    for way, at in ((Way.LIFT, 0), (Way.STEPS, 5), (Way.STEPS, 15), (Way.ESCALATOR, 10)):
        for a, b in ((at, at + 16), (at + 16, at + 32)):
            made.edges.append(Edge(a, b, 400, way, way is Way.ESCALATOR))
    made.places = {"P": 3}
    engine = Engine(made)
    engine.warm([Profile.WALK])
    scene = engine.scene(Profile.WALK)
    scene._tree = None  # type: ignore[assignment,method-assign]
    for start, lengths in nx.all_pairs_dijkstra_path_length(plain(engine, scene), weight="s"):
        for end in (n for n in lengths if n // 16 != start // 16):
            path = scene.route(start, end)
            assert path is not None
            total = sum((scene.there if forward else scene.back)[n] for n, forward in path.steps)
            assert path.seconds == pytest.approx(lengths[end], abs=1e-6) == pytest.approx(total, abs=1e-6)
            assert (path.nodes[0], path.nodes[-1]) == (start, end)


@BOUNDED
@given(networks(), st.sampled_from(sorted(STEP_FREE)))
def test_without_steps_means_without_steps(network: Network, profile: Profile) -> None:
    """No way for a wheelchair, a stroller or a bed ever uses a stair or an escalator, on any map."""
    engine = Engine(network)
    for start in range(len(network.nodes)):
        for end in range(len(network.nodes)):
            path = engine.route(start, end, profile)
            assert path is None or not any(network.edges[n].way in STEPPED for n, _ in path.steps)


def test_the_demo_without_steps(network: Network) -> None:
    """From every department to every other by bed, at night too: there is a way, and no step on it."""
    engine = Engine(network)
    nodes = [network.spaces[n].node for n in network.occupants.values()]
    for start in nodes:
        for end in nodes:
            for at in (None, EVENING):
                path = engine.route(start, end, Profile.BED, at)
                assert path is not None
                assert not any(network.edges[n].way in STEPPED for n, _ in path.steps)


def test_escalators_go_one_way_and_rest_at_night(network: Network) -> None:
    """Down by the one that goes down; in the evening nobody is led to either."""
    engine = Engine(network)
    heart, blood = (network.spaces[network.occupants[n]].node for n in ("心内科门诊", "抽血处"))

    def used(path: object) -> set[str]:
        return {network.links[e.link] for n, _ in path.steps if (e := network.edges[n]).link >= 0}  # type: ignore[attr-defined]

    assert used(engine.route(heart, blood, Profile.SLOW)) == {"下行扶梯"}
    assert used(engine.route(blood, heart, Profile.SLOW)) == {"上行扶梯"}
    assert used(engine.route(blood, heart, Profile.SLOW, EVENING)).isdisjoint({"上行扶梯", "下行扶梯"})


def test_what_is_closed_is_not_used(network: Network) -> None:
    """Lift and bridge closed: another lift, over the yard; crowded ones only where they are still quicker."""
    engine = Engine(network)
    heart, echo = (network.spaces[network.occupants[n]].node for n in ("心内科门诊", "心脏超声室"))
    bridge = {n for n, s in enumerate(network.spaces) if s.name == "空中连廊"}

    def crosses(*conditions: Condition) -> bool:
        path = engine.route(heart, echo, Profile.WHEELCHAIR, None, conditions)
        assert path is not None
        return any(network.edges[n].space in bridge for n, _ in path.steps)

    assert crosses()
    assert crosses(Condition("空中连廊", 1.5))
    assert not crosses(Condition("空中连廊"))
    assert not crosses(Condition("空中连廊", 50.0))
    lifts = [Condition(f"{n}号电梯") for n in (1, 2)]
    assert engine.route(heart, echo, Profile.WHEELCHAIR, None, [Condition("空中连廊"), *lifts]) is None


def test_a_guess_costs_and_is_said(network: Network) -> None:
    """A guessed short cut is taken only if it saves a lot, and the way says so."""
    engine = Engine(network)
    heart, blood = (network.spaces[network.occupants[n]].node for n in ("心内科门诊", "抽血处"))
    known = engine.route(heart, blood, Profile.WALK)
    assert known is not None
    assert not known.guessed
    network.guesses.append(Guess("across", "x"))
    network.edges.append(Edge(heart, blood, 4000, Way.FLAT, False, 0))
    dearer = Engine(network).route(heart, blood, Profile.WALK)
    assert dearer is not None
    assert not dearer.guessed
    network.edges[-1] = Edge(heart, blood, 400, Way.FLAT, False, 0)
    shorter = Engine(network).route(heart, blood, Profile.WALK)
    assert shorter is not None
    assert shorter.guessed


def test_a_tap_finds_the_nearest_point(network: Network) -> None:
    """A finger on a floor means the point of the map nearest to it, on that floor."""
    engine = Engine(network)
    for node in (0, 77, 300):
        one = network.nodes[node]
        found = engine.nearest(one.level, one.x + 3, one.y)
        assert found is not None
        assert (network.nodes[found].level, network.nodes[found].x, network.nodes[found].y) == (one.level, one.x, one.y)
    assert engine.nearest(99, 0, 0) is None
