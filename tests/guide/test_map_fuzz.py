"""Broken maps: whatever happens to a file, it is refused with a reason or becomes a map that says what is odd."""

import copy
import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guide.maps import build, imdf, lint, osm, picture, reading, repair
from guide.maps.findings import MapFileError
from guide.maps.network import Network, of_document, unpack
from guide.ports import Profile
from guide.routes.engine import Engine
from sandbox import campus
from tests.guide.test_map_reading import house

JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(), st.text(max_size=8), st.just([]),
    st.just({}), st.lists(st.floats(), max_size=3),
    st.sampled_from(["0-3", "-1", "stairs", "elevator", "walkway", "nonpublic"]),
)  # fmt: skip
BOUNDED = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
CAMPUS = {
    name.removesuffix(".geojson"): {
        **document,
        "features": document["features"][:: 1 if len(document["features"]) < 60 else 9],
    }
    for name, document in campus.files().items()
    if name.endswith(".geojson")
}


def spots(document: Any) -> list[tuple[Any, Any]]:
    """Every place in a document where something else can be put."""
    found, stack = [], [document]
    while stack:
        one = stack.pop()
        keys: list[Any] = list(one) if isinstance(one, dict) else list(range(len(one))) if isinstance(one, list) else []
        found += [(one, key) for key in keys]
        stack.extend(one[key] for key in keys)
    return found


@st.composite
def damaged(draw: st.DrawFn, document: Any) -> Any:
    """The document with some of its parts replaced by junk or gone."""
    made = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 6))):
        places = spots(made)
        if not places:
            break
        owner, key = places[draw(st.integers(0, len(places) - 1))]
        if draw(st.booleans()):
            owner[key] = draw(JUNK)
        else:
            del owner[key]
    return made


def is_usable(network: Network) -> None:
    """Everything that is done with a map can be done with this one."""
    report = lint.look_over(network)
    for level in range(len(network.floors)):
        picture.floor(network, level, unreachable=report.reached)
    assert unpack(network.packed()).digest() == network.digest()
    if len(network.nodes) > 1:
        engine = Engine(network)
        for profile in (Profile.WALK, Profile.BED):
            engine.route(0, len(network.nodes) - 1, profile)


@BOUNDED
@given(st.data())
def test_damaged_imdf(data: st.DataObject) -> None:
    """Parts of the demo's archive, damaged anywhere."""
    parts = data.draw(damaged(CAMPUS))
    try:
        drawing = imdf.read(parts)
        repair.mend(drawing)
        network = build.build(drawing)
    except MapFileError:
        return
    is_usable(network)
    units = parts.get("unit")
    given_units = units.get("features", []) if isinstance(units, dict) else []
    lost = len(given_units) - len(network.spaces) if isinstance(given_units, list) else 0
    assert lost <= 0 or network.findings, "rooms went missing without a word"


@BOUNDED
@given(st.data())
def test_damaged_osm(data: st.DataObject) -> None:
    """A tagged house, damaged anywhere."""
    features = data.draw(damaged(house()))
    try:
        drawing = osm.read(features, "house")
        repair.mend(drawing)
        network = build.build(drawing)
    except MapFileError:
        return
    is_usable(network)
    drawn = [f for f in features if "'indoor': 'room'" in str(f) or "'indoor': 'corridor'" in str(f)]
    assert len(network.spaces) >= len(drawn) or network.findings, "rooms went missing without a word"


@BOUNDED
@given(st.data())
def test_damaged_bytes(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Bytes of an archive, of a table and of a GeoJSON file flipped or cut off."""
    folder = tmp_path_factory.mktemp("bytes")
    name, content = data.draw(
        st.sampled_from(
            [
                ("a.zip", SMALL_ZIP),
                ("a.geojson", json.dumps({"features": house()}).encode()),
                ("nodes.csv", b"id,x,y,floor\nA,0,0,1\nB,5,0,1\nC,5,0,2\n"),
            ]
        )
    )
    made = bytearray(content)
    for _ in range(data.draw(st.integers(1, 5))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(len(made) // 2, len(made)))
    (folder / name).write_bytes(bytes(made[:cut]))
    (folder / "edges.csv").write_text("from,to\nA,B\nB,C\n")
    try:
        network = reading.read_map(folder / name)
    except MapFileError:
        return
    is_usable(network)


@BOUNDED
@given(st.data())
def test_damaged_published_maps(data: st.DataObject) -> None:
    """A map.json somebody edited by hand holds together or is refused."""
    document = json.loads(json.dumps(SMALL.document()))
    try:
        network = of_document(data.draw(damaged(document)))
    except MapFileError:
        return
    is_usable(network)


def _small() -> Network:
    drawing = osm.read(house(), "house")
    repair.mend(drawing)
    return build.build(drawing)


def _small_zip() -> bytes:
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("house.geojson", json.dumps({"features": house()}))
    return buffer.getvalue()


SMALL, SMALL_ZIP = _small(), _small_zip()


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan, 1e308, 400.0])
def test_numbers_that_are_no_places(number: float) -> None:
    """A room and a door of an OSM file lie nowhere: both are named, the room beside them stays, nothing is warned."""

    def feature(key: str, tags: dict[str, str], geometry: dict[str, Any]) -> dict[str, Any]:
        return {"type": "Feature", "id": key, "properties": tags | {"level": "0"}, "geometry": geometry}

    room = [[13.0, 51.0], [13.0002, 51.0], [13.0002, 51.0002], [13.0, 51.0002], [13.0, 51.0]]
    drawing = osm.read(
        [
            feature("way/1", {"indoor": "room", "name": "A"}, {"type": "Polygon", "coordinates": [room]}),
            feature(
                "way/2", {"indoor": "room"}, {"type": "Polygon", "coordinates": [[*room[:2], [number, 51.0], room[0]]]}
            ),
            feature("node/3", {"door": "yes"}, {"type": "Point", "coordinates": [13.0, number]}),
        ],
        "nowhere",
    )
    assert [u.name for u in drawing.units] == ["A"]
    assert drawing.doors == []
    assert len(drawing.findings) == 2
