"""The guide's maps: what a strict reader loses of a real building, and how quickly a way is found on a large campus."""

import json
import math
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brotli
import networkx as nx
from shapely import Point

from benchmarks.figures import Figure, percentile
from guide.maps import build, lint, osm, picture, reading, repair
from guide.maps.drawing import SHAFTS
from guide.maps.network import Edge, Floor, Network, Node, Space, Way
from guide.ports import Profile
from guide.routes.engine import Condition, Engine

HOUSES, FLOORS, ROOMS = 12, 12, 132
"""Rooms lie on both sides of a corridor, each behind a door; a second corridor is joined to it every 24 m."""
PLACES = 60
_PAIRS, _SLOW_PAIRS = 400, 40


def campus() -> Network:
    """A large made-up campus: houses with floors, corridors, lifts, stairs and a yard between them."""
    made = Network("campus")
    halls = []
    for house in range(HOUSES):
        x0, y0 = house % 4 * 40_000, house // 4 * 12_000
        shafts: list[list[int]] = [[], [], []]
        for floor in range(FLOORS):
            level = len(made.floors)
            made.floors.append(Floor(f"{house}/{floor}", f"{house}号楼", f"{floor + 1}楼", float(floor)))
            corridor = _corridor(made, level, x0, y0)
            for k, at in enumerate((2, len(corridor) // 2, -3)):
                shafts[k].append(corridor[at])
            if floor == 0:
                halls.append(corridor[0])
        for k, stops in enumerate(shafts):
            _shaft(made, stops, k == 1)
    for n, a in enumerate(halls):
        for b in halls[n + 1 :]:
            _way(made, a, b)
    rooms = [n for n, s in enumerate(made.spaces) if s.kind == "room"]
    made.places = {f"P{n}": rooms[n * len(rooms) // PLACES] for n in range(PLACES)}
    return made


def _corridor(made: Network, level: int, x0: int, y0: int) -> list[int]:
    corridor: list[int] = []
    for n in range(ROOMS // 2):
        here = len(made.nodes)
        made.nodes.append(Node(x0 + n * 400, y0, level, -1))
        if corridor:
            _way(made, corridor[-1], here)
        corridor.append(here)
        for side in (-1, 1):
            door, room, space = len(made.nodes), len(made.nodes) + 1, len(made.spaces)
            made.nodes += [
                Node(x0 + n * 400, y0 + side * 150, level, -1),
                Node(x0 + n * 400, y0 + side * 500, level, space),
            ]
            made.spaces.append(Space(f"r{space}", level, "room", "", str(space), room, []))
            _way(made, here, door)
            _way(made, door, room)
    behind: list[int] = []
    for at in range(0, len(corridor), 6):
        here = len(made.nodes)
        made.nodes.append(Node(x0 + at * 400, y0 + 900, level, -1))
        _way(made, corridor[at], here)
        if behind:
            _way(made, behind[-1], here)
        behind.append(here)
    return corridor


def _way(made: Network, a: int, b: int) -> None:
    one, other = made.nodes[a], made.nodes[b]
    made.edges.append(Edge(a, b, max(1, round(math.hypot(one.x - other.x, one.y - other.y))), Way.FLAT))


def _shaft(made: Network, stops: list[int], lift: bool) -> None:
    made.links.append(f"{len(made.links)}号")
    for n, a in enumerate(stops):
        for b in stops[n + 1 :] if lift else stops[n + 1 : n + 2]:
            floors = abs(stops.index(b) - n)
            way = Way.LIFT if lift else Way.STEPS
            made.edges.append(Edge(a, b, floors * 400, way, link=len(made.links) - 1))


def routes() -> list[Figure]:
    """Ways on the campus, beside networkx's A* on the same questions in the same minute."""
    made = campus()
    began = time.perf_counter()
    engine = Engine(made)
    folding = time.perf_counter() - began
    began = time.perf_counter()
    engine.warm((Profile.WALK,))
    planting = time.perf_counter() - began
    dice = random.Random(7)
    rooms = [s.node for s in made.spaces]
    pairs = [(dice.choice(rooms), dice.choice(rooms)) for _ in range(_PAIRS)]
    places = [made.spaces[s].node for s in made.places.values()]
    ours = _timed(lambda a, b: engine.route(a, b, Profile.WALK), pairs)
    visits = _timed(lambda a, b: engine.route(a, b, Profile.WALK), [(a, dice.choice(places)) for a, _ in pairs])
    theirs = _timed(_astar(engine), pairs[:_SLOW_PAIRS])
    began = time.perf_counter()
    engine.route(*pairs[0], Profile.WHEELCHAIR, conditions=[Condition(made.links[1]), Condition(made.links[4], 3.0)])
    anew = time.perf_counter() - began
    size = f"{len(made.nodes):,} points, {len(made.edges):,} ways, {len(engine.folded.cores):,} crossings"
    middle, theirs_middle = percentile(ours, 0.5), percentile(theirs, 0.5)
    beside = f"A*: {theirs_middle:.0f} ms at the median, same questions"
    return [
        Figure("route_p99", "a way between any two rooms, p99", percentile(ours, 0.99), "ms", 10.0, note=size),
        Figure("route_p50", "a way between any two rooms, median", middle, "ms"),
        Figure("route_place_p99", "a way to a place of the visit, p99", percentile(visits, 0.99), "ms", 1.0),
        Figure("route_times_astar", "as fast as networkx A*, median", theirs_middle / middle, "×", 50.0, True, beside),
        Figure("route_fold", "folding the campus, once per published map", folding, "s"),
        Figure("route_plant", f"trees to {PLACES} places, one profile", planting, "s"),
        Figure("route_closure", "first way after something is closed", anew, "s", 2.0),
    ]


def _timed(way: Callable[[int, int], object], pairs: list[tuple[int, int]]) -> list[float]:
    """Milliseconds of processor each."""
    found = []
    for a, b in pairs:
        began = time.process_time()
        way(a, b)
        found.append((time.process_time() - began) * 1000)
    return found


def _astar(engine: Engine) -> Callable[[int, int], object]:
    graph: nx.DiGraph = nx.DiGraph()
    scene, made = engine.scene(Profile.WALK), engine.network
    for n, edge in enumerate(made.edges):
        graph.add_edge(edge.a, edge.b, seconds=float(scene.there[n]))
        graph.add_edge(edge.b, edge.a, seconds=float(scene.back[n]))
    speed = 100.0  # centimetres a second

    def ahead(a: int, b: int) -> float:
        one, other = made.nodes[a], made.nodes[b]
        return math.hypot(one.x - other.x, one.y - other.y) / speed

    return lambda a, b: nx.astar_path(graph, a, b, heuristic=ahead, weight="seconds")


def _shafts_with_few_doors(file: Path) -> list[Figure]:
    """The same building with the doors of its lifts and stairs on the two lowest floors above ground alone.

    Many files are drawn like that, and a reader that guesses nothing then loses every other floor; this one is not, so
    those doors are taken out first. Counted as spaces (rooms, corridors, shafts on each of their floors), too.
    """
    try:
        features = json.loads(file.read_text("utf-8"))["features"]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # another format
    found = [_poorer(features, strict=strict) for strict in (True, False)]
    (strict_map, taken), (mended_map, _) = found
    strict, report = lint.look_over(strict_map), lint.look_over(mended_map)
    spaces = len(strict.reached) / len(strict_map.spaces)
    note = f"taken at its word {strict.share:.1%}, of all spaces {spaces:.1%}; {taken} doors taken out"
    what = "the same, lifts and stairs with doors on two floors only"
    return [Figure("map_reached_poorer", what, report.share * 100, "%", 99.5, True, note)]


def _poorer(features: list[dict[str, Any]], *, strict: bool) -> tuple[Network, int]:
    """That building, and how many doors were taken out."""
    drawing = osm.read(features, "poorer")
    shafts = [u for u in drawing.units if u.kind in SHAFTS]
    kept = [
        door
        for door in drawing.doors
        if drawing.levels[door.level].ordinal in (0, 1)
        or not any(u.level == door.level and u.shape.distance(Point(door.x, door.y)) <= repair.TOUCHES for u in shafts)
    ]
    taken, drawing.doors = len(drawing.doors) - len(kept), kept
    repair.mend(drawing, strict)
    return build.build(drawing, strict), taken


def building(file: Path) -> list[Figure]:
    """A real building's file: read strictly, and mended."""
    strict = lint.look_over(reading.read_map(file, strict=True))
    began = time.perf_counter()
    made = reading.read_map(file)
    report = lint.look_over(made)
    took = time.perf_counter() - began
    listed = len(report.guesses) == len(made.guesses)
    drawn_once = _shafts_with_few_doors(file)
    heavy = max(len(brotli.compress(picture.floor(made, n).encode())) for n in range(len(made.floors)))
    note = (
        f"{report.reached_rooms} of {report.rooms}; taken at its word {strict.share:.1%}; {len(made.guesses)} guesses"
    )
    note += "" if listed else ", not all listed"
    return [
        Figure("map_reached", "rooms reachable in a real building", report.share * 100, "%", 99.5, True, note),
        *drawn_once,
        Figure("map_seconds", "importing it, report included", took, "s", 3.0),
        Figure("map_svg", "its heaviest floor as SVG, br", heavy / 1000, "kB", 10.0),
    ]
