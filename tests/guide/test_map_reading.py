"""Maps are read as they are: what is whole stays, what is missing is guessed and listed, the rest is refused."""

import json
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import brotli
import pytest

from guide.maps import lint, picture, reading
from guide.maps.findings import MapFileError
from guide.maps.hours import is_open, parse
from guide.maps.network import Network, Way, unpack
from guide.maps.osm import levels_of
from sandbox import campus
from sandbox.his.catalogue import HOSPITAL_FILE

METRE = 1 / 111_320


def box(x: float, y: float, wide: float, high: float) -> list[list[list[float]]]:
    """A rectangle at the equator, in metres."""
    corners = [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y)]
    return [[[a * METRE, b * METRE] for a, b in corners]]


def area(ring: Any, **tags: str) -> dict[str, Any]:
    """A tagged area of OpenStreetMap."""
    return {"type": "Feature", "id": f"way/{ring[0][0]}{tags.get('level')}", "properties": tags,
            "geometry": {"type": "Polygon", "coordinates": ring}}  # fmt: skip


def door(x: float, y: float, level: str, **tags: str) -> dict[str, Any]:
    """A door of OpenStreetMap."""
    geometry = {"type": "Point", "coordinates": [x * METRE, y * METRE]}
    properties = {"door": "yes", "level": level, **tags}
    return {"type": "Feature", "id": f"node/{x}/{y}/{level}", "properties": properties, "geometry": geometry}


def house() -> list[dict[str, Any]]:
    """Two floors: a corridor, two rooms at it, one lift shaft for both floors."""
    made = []
    for level in ("0", "1"):
        made += [
            area(box(0, 0, 20, 3), indoor="corridor", level=level),
            area(box(0, 3, 6, 5), indoor="room", level=level, ref=f"{level}01"),
            area(box(6, 3, 6, 5), indoor="room", level=level, ref=f"{level}02"),
            door(3, 3, level),
            door(9, 3, level),
        ]
    return [
        *made,
        area(box(14, 3, 2, 2), indoor="room", highway="elevator", level="0-1", name="电梯"),
        door(15, 3, "0"),
    ]


def written(folder: Path, features: Sequence[dict[str, Any]], name: str = "house.geojson") -> Path:
    """A GeoJSON file of these."""
    file = folder / name
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    return file


def whys(network: Network) -> dict[str, int]:
    """Guesses by reason."""
    return dict(Counter(g.why for g in network.guesses))


def codes(network: Network) -> dict[str, int]:
    """Findings by code."""
    return dict(Counter(f.code for f in network.findings))


def test_the_demo_hospital_is_whole(read_once: Network) -> None:
    """Its own map needs no guess: every room reachable, without steps too; every department has a room in its house."""
    report = lint.look_over(read_once)
    assert report.clean
    assert report.reached_rooms == report.step_free_rooms == report.rooms >= 150
    buildings = {f.building for f in read_once.floors} - {""}
    assert len(buildings) >= 3
    assert len({f.ordinal for f in read_once.floors}) >= 6
    kinds = {s.kind for s in read_once.spaces}
    assert {"lift", "stairs", "escalator", "ramp"} <= kinds
    assert "空中连廊" in {s.name for s in read_once.spaces}
    for department in json.loads(HOSPITAL_FILE.read_text("utf-8"))["departments"]:
        space = read_once.spaces[read_once.occupants[department["name"]]]
        floor = read_once.floors[space.level]
        assert (floor.building, floor.sign) == (department["building"], f"{department['floor']}楼"), department
        number = department["room"].partition("–")[0]
        assert space.ref in ("", number), department


def test_the_demo_archive_is_imdf() -> None:
    """As IMDF 1.0 asks: its files, ids that are unique and lead somewhere; and the same bytes each time."""
    files = campus.files()
    assert files["manifest.json"]["version"] == "1.0.0"
    features = [f for name, d in files.items() if name.endswith(".geojson") for f in d["features"]]
    ids = {f["id"]: f["feature_type"] for f in features}
    assert len(ids) == len(features)
    for feature in features:
        props = feature["properties"]
        for name, kind in (
            ("level_id", "level"),
            ("unit_id", "unit"),
            ("anchor_id", "anchor"),
            ("address_id", "address"),
        ):
            if props.get(name) is not None:
                assert ids[props[name]] == kind
        for end in (props.get("origin"), props.get("destination"), *(props.get("intermediary") or ())):
            assert end is None or ids[end["id"]] == end["feature_type"] == "unit"
    assert campus.archive() == campus.archive()


def test_a_map_is_the_same_after_packing(read_once: Network) -> None:
    """What comes out of the database is what went in, and has the same digest."""
    again = unpack(read_once.packed())
    assert (again.digest(), again) == (read_once.digest(), read_once)


def test_every_floor_is_a_small_picture(read_once: Network) -> None:
    """Valid XML of at most 10 kB, with the floor's name for those who hear it."""
    import xml.dom.minidom

    for level, floor in enumerate(read_once.floors):
        svg = picture.floor(read_once, level)
        xml.dom.minidom.parseString(svg)  # noqa: S318 - our own
        assert len(brotli.compress(svg.encode())) <= 10_000
        assert f"<title>{floor.building}{floor.sign}</title>" in svg


def test_a_lift_drawn_once_opens_on_every_floor(tmp_path: Path) -> None:
    """OSM draws the shaft once, its door on one floor: strictly half is lost; mended nothing, and one guess says so."""
    file = written(tmp_path, house())
    strict = reading.read_map(file, strict=True)
    assert (lint.look_over(strict).reached_rooms, strict.guesses) == (2, [])
    mended = reading.read_map(file)
    assert lint.look_over(mended).reached_rooms == 4
    assert whys(mended) == {"shaft_door": 1}
    assert "1 电梯" in mended.guesses[0].what


@pytest.mark.parametrize(
    ("change", "guessed"),
    [
        ("no door", {"room_door": 1}),
        ("second row", {"through_room": 1}),
        ("thick wall", {"far_wall": 1}),
        ("beside its wall", {"off_wall": 1}),
        ("corridor in two", {"open_join": 1}),
        ("ground nobody drew", {"undrawn": 1}),
    ],
)
def test_each_gap_is_mended_and_named(tmp_path: Path, change: str, guessed: dict[str, int]) -> None:
    """One thing missing from a floor of one house makes one guess of that kind, and every room can be reached."""
    features = [f for f in house() if f["properties"].get("level") == "0" and "elevator" not in str(f)][:5]
    corridor, first, second, one, other = features
    if change == "no door":
        features.remove(other)
    elif change == "second row":
        features = [corridor, first, one, area(box(0, 8, 6, 5), indoor="room", level="0", ref="003")]
    elif change == "thick wall":
        features = [corridor, area(box(0, 3.9, 6, 5), indoor="room", level="0", ref="001"), one]
    elif change == "ground nobody drew":
        features = [corridor, first, one, area(box(8, 8, 6, 5), indoor="room", level="0", ref="009")]
    elif change == "beside its wall":
        features = [corridor, first, second, other, door(3, 3.6, "0")]
        features[-1]["geometry"]["coordinates"][1] = -0.6 * METRE
        features = [corridor, area(box(0, -5, 6, 4), indoor="room", level="0", ref="001"), features[-1]]
    else:
        halves = [area(box(x, 0, 10, 3), indoor="corridor", level="0") for x in (0, 10)]
        far = area(box(12, 3, 6, 5), indoor="room", level="0", ref="009")
        features = [*halves, first, one, far, door(15, 3, "0")]
    network = reading.read_map(written(tmp_path, features))
    assert lint.look_over(network).share == 1.0
    assert whys(network) == guessed
    edges = [e for e in network.edges if e.guess >= 0]
    assert edges, "no way carries the guess"


def test_nobody_is_led_far_or_through_others(tmp_path: Path) -> None:
    """A room that stands alone is joined over twelve metres at most, and not past a room that stands between."""
    between = area(box(7, 3.1, 9, 2), indoor="room", level="0", ref="003")
    for alone, others in ((box(8, 16, 6, 5), ()), (box(8, 8, 6, 5), (between, door(8, 3, "0")))):
        features = [house()[0], *others, area(alone, indoor="room", level="0", ref="009")]
        network = reading.read_map(written(tmp_path, features))
        assert "undrawn" not in whys(network)
        assert any("009 cannot be reached" in f for f in lint.look_over(network).findings)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    """A room without floor, one drawn as a line, a door in the wilderness: left out, and in the report."""
    line = area([[[0, 0], [METRE, 0], [0, 0], [METRE, 0], [0, 0]]], indoor="room", level="0", ref="line")
    features = [*house(), area(box(0, 9, 3, 3), indoor="room", ref="nowhere"), line, door(500, 500, "0")]
    features.append(door(3, 3, "0", opening_hours="sunrise-sunset"))
    network = reading.read_map(written(tmp_path, features))
    assert codes(network) == {"no_level": 1, "broken_shape": 1, "door_nowhere": 1, "unknown_hours": 1}


def test_the_same_house_as_osm_xml(tmp_path: Path) -> None:
    """An .osm file makes the same rooms and ways as its GeoJSON."""
    nodes, ways, number = [], [], 0
    for feature in house():
        tags = "".join(f'<tag k="{k}" v="{v}"/>' for k, v in feature["properties"].items())
        geometry = feature["geometry"]
        points = [geometry["coordinates"]] if geometry["type"] == "Point" else geometry["coordinates"][0][:-1]
        refs = []
        for lon, lat in points:
            number += 1
            refs.append(number)
            nodes.append(
                f'<node id="{number}" lon="{lon:.12f}" lat="{lat:.12f}">{tags if len(points) == 1 else ""}</node>'
            )
        if len(points) > 1:
            inside = "".join(f'<nd ref="{r}"/>' for r in [*refs, refs[0]])
            ways.append(f'<way id="{number}">{inside}{tags}</way>')
    file = tmp_path / "house.osm"
    file.write_text(f'<osm version="0.6">{"".join(nodes)}{"".join(ways)}</osm>', "utf-8")
    one, other = reading.read_map(file), reading.read_map(written(tmp_path, house()))
    assert [(s.kind, s.ref, s.ring) for s in one.spaces] == [(s.kind, s.ref, s.ring) for s in other.spaces]
    assert one.edges == other.edges


def test_tables_of_points_and_ways(tmp_path: Path) -> None:
    """A surveyor's two tables: a chain of lift landings is one lift, a broken row is named, numbers may be pixels."""
    (tmp_path / "nodes.csv").write_text(
        "nodeID,xcoord,ycoord,floor,building,nodeType,longName\n"
        "A,0,0,1,楼,HALL,走廊\nR,100,0,1,楼,EXAM,抽血处\nE1,0,50,1,楼,ELEV,1号电梯\nE2,0,50,2,楼,ELEV,1号电梯\n"
        "E3,0,50,3,楼,ELEV,1号电梯\nT,100,50,3,楼,EXAM,CT室\nX,x,0,1,楼,HALL,\n", "utf-8",
    )  # fmt: skip
    (tmp_path / "edges.csv").write_text(
        "edgeID,startNode,endNode\n1,A,R\n2,A,E1\n3,E1,E2\n4,E2,E3\n5,E3,T\n6,T,nowhere\n", "utf-8"
    )
    network = reading.read_map(tmp_path / "nodes.csv", metres_per_unit=0.1)
    assert codes(network) == {"bad_row": 2}
    lifts = [(e.a, e.b) for e in network.edges if e.way is Way.LIFT]
    assert lifts == [(2, 3), (2, 4), (3, 4)]
    assert network.edges[0].cm == 1000
    report = lint.look_over(network)
    assert report.reached_rooms == report.rooms == 2
    assert network.occupants.keys() == {"抽血处", "1号电梯", "CT室"}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.geojson", b"{", "not_json"),
        ("a.geojson", b"[]", "unknown"),
        ("a.geojson", b"\xff\xfe\x00\x81", "not_text"),
        ("a.geojson", b"[" * 200_000, "too_deep"),
        ("a.geojson", b'{"features": [{"properties": {"indoor": "room", "level": "0"}}]}', "no_indoor"),
        ("a.osm", b"<osm>", "not_xml"),
        ("a.osm", b"<html/>", "not_osm"),
        ("a.osm", b'<!DOCTYPE x [<!ENTITY a "b">]><osm>&a;</osm>', "not_xml"),
        ("a.zip", b"PK\x03\x04broken", "unknown"),
        ("nodes.csv", b"id,x,y,floor\nA,0,0,1\n", "no_edges"),
        ("a.txt", b"hello", "unknown"),
    ],
)
def test_no_map_is_refused_with_a_reason(tmp_path: Path, name: str, content: bytes, why: str) -> None:
    """Nothing that is no map gets through, and nothing crashes."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MapFileError) as refused:
        reading.read_map(tmp_path / name)
    assert refused.value.why == why, str(refused.value)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that says it holds more than any map is refused by its table of contents."""
    monkeypatch.setattr(reading, "MOST", 1_000_000)
    file = tmp_path / "bomb.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        for n in range(3):
            out.writestr(f"unit{n}.geojson", b"0" * 400_000)
    with pytest.raises(MapFileError) as refused:
        reading.read_map(file)
    assert refused.value.why == "too_large"


def test_floors_as_osm_writes_them() -> None:
    """Ranges, lists, cellars, landings between floors; what is none is refused."""
    assert levels_of("0-3") == [0, 1, 2, 3]
    assert levels_of("-1-1") == [-1, 0, 1]
    assert levels_of("0;2") == [0, 2]
    assert levels_of("0.5") == []
    for wrong in ("", "x", "3-0", "0-99999", "1-2-3"):
        with pytest.raises(ValueError, match="floor"):
            levels_of(wrong)


def test_opening_hours() -> None:
    """Weekdays, breaks, a later rule for some days, past midnight, and what nobody understands."""
    from datetime import datetime

    week = parse("Mo-Fr 08:00-12:00,13:30-17:00; Sa 09:00-12:00; We 10:00-11:00")
    monday, wednesday, sunday = (datetime(2026, 3, d) for d in (2, 4, 8))  # noqa: DTZ001 - a wall clock's time
    assert [is_open(week, monday.replace(hour=h)) for h in (7, 8, 12, 14, 17)] == [False, True, False, True, False]
    assert [is_open(week, wednesday.replace(hour=h)) for h in (9, 10)] == [False, True]
    assert not is_open(week, sunday.replace(hour=10))
    night = parse("Mo 22:00-06:00")
    assert is_open(night, datetime(2026, 3, 3, 5))  # noqa: DTZ001
    assert not is_open(night, datetime(2026, 3, 3, 6))  # noqa: DTZ001
    assert parse("24/7") is None
    with pytest.raises(ValueError, match="no day"):
        parse("Xx 08:00-09:00")
