"""Reads OpenStreetMap's Simple Indoor Tagging, as GeoJSON or as an ``.osm`` file; doors are points on walls there."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import shapely
import xmltodict
from shapely.errors import ShapelyError

from guide.maps.drawing import SHAFTS, Door, Drawing, Kind, Level, Plane, Shaft, Sign, Unit, coordinates, on_earth
from guide.maps.findings import MapFileError
from guide.maps.hours import parse

Feature = Mapping[str, Any]
FLOORS = 80  # more floors than any hospital; "0-99999" is a slip of the pen
_RANGE = re.compile(r"(-?\d+(?:\.\d+)?)(?:-(-?\d+(?:\.\d+)?))?")
_INDOOR = {"room": Kind.ROOM, "corridor": Kind.WALKWAY, "area": Kind.WALKWAY, "pathway": Kind.WALKWAY}
_SIGNS = {"toilets": "卫生间", "vending_machine": "自动售货机", "cafe": "咖啡", "drinking_water": "饮水处"}


def read(features: Iterable[Feature], name: str) -> Drawing:
    """Make a drawing of the tagged features.

    Raises:
        MapFileError: no room or corridor is among them.
    """
    given = list(features)
    found = [f for f in given if isinstance(f, dict) and isinstance(f.get("properties"), dict)]
    indoor = [f for f in found if _kind(f["properties"]) is not None and _is_area(f)]
    if not indoor:
        raise MapFileError("no_indoor", "Nothing here is tagged indoor=room, corridor or area.")
    plane = Plane(p for f in indoor for p in coordinates(f.get("geometry")))
    reader = _Reader(Drawing(name), plane)
    for feature in indoor:
        reader.area(feature)
    for feature in found:
        reader.point(feature)
    if len(found) < len(given):
        reader.drawing.odd("no_feature", f"{len(given) - len(found)} × something")
    left = Counter(_group(f) for f in found if not _used(f))
    for group, number in sorted(left.items()):
        reader.drawing.odd("ignored", f"{number} × {group}")
    return reader.drawing


def levels_of(text: str) -> list[float]:
    """``0-3``, ``0;1``, ``-1``, ``0.5`` → floors in order; floors between two others (0.5) are landings, left out.

    Raises:
        ValueError: it is written in another way, or names more than ``FLOORS`` floors.
    """
    found: set[float] = set()
    for part in text.replace(",", ";").split(";"):
        match = _RANGE.fullmatch(part.strip())
        if not match:
            raise ValueError(f"{text[:40]!r} is no floor")
        first = float(match[1])
        last = float(match[2]) if match[2] else first
        if not -FLOORS <= first <= last <= FLOORS or last - first > FLOORS:
            raise ValueError(f"{text[:40]!r} names too many floors")
        found.update(first + n for n in range(int(last - first) + 1))
    return sorted(f for f in found if f == int(f))


class _Reader:
    """Fills the drawing; floors come into being when something stands on them."""

    def __init__(self, drawing: Drawing, plane: Plane) -> None:
        self.drawing, self.plane = drawing, plane
        self._levels: dict[float, int] = {}

    def area(self, feature: Feature) -> None:
        """A room, a corridor or a shaft, on each of its floors."""
        tags, key = feature["properties"], str(feature.get("id") or feature["properties"].get("id") or "")[:80]
        kind, name = _kind(tags), _said(tags, "name")
        ref = _said(tags, "ref")
        what = f"{kind} {name or ref or key}"
        levels = self._floors(tags, what)
        if tags.get("indoor") == "pathway" and len(levels) > 1:
            return  # a flight drawn inside its shaft
        if kind is None or not levels:
            return
        try:
            shape = self.plane.polygon(feature.get("geometry"))
        except ValueError as error:
            self.drawing.odd("broken_shape", f"{what} ({error})")
            return
        public = _said(tags, "access") not in ("private", "no")
        hours = self._hours(tags, what)
        stops = []
        for level in levels:
            stops.append(len(self.drawing.units))
            place = self._level(level)
            self.drawing.units.append(Unit(f"{key}@{level:g}", place, kind, shape, name, ref, public, hours))
        if kind in SHAFTS and len(stops) > 1:
            one_way = kind is Kind.ESCALATOR and _said(tags, "conveying") == "forward"
            self.drawing.shafts.append(Shaft(key, kind, name or ref, stops, one_way, hours))

    def point(self, feature: Feature) -> None:
        """A door, or something worth seeing."""
        tags, geometry = feature["properties"], feature.get("geometry")
        if not isinstance(geometry, dict) or geometry.get("type") != "Point":
            return
        outside = "entrance" in tags
        sign = _SIGNS.get(_said(tags, "amenity"), "")
        if not (_is_door(tags) or sign):
            return
        key = str(feature.get("id") or tags.get("id") or "")[:80]
        at = next(iter(coordinates(geometry)), None)
        if at is None or not on_earth(at):
            self.drawing.odd("broken_shape", f"door {key}")
            return
        x, y = self.plane.metres(*at)
        for level in self._floors(tags, f"door {key}"):
            place = self._level(level)
            if _is_door(tags):
                hours = self._hours(tags, f"door {key}")
                self.drawing.doors.append(Door(f"{key}@{level:g}", place, x, y, outside, hours))
            else:
                self.drawing.signs.append(Sign(place, x, y, sign))

    def _floors(self, tags: Mapping[str, Any], what: str) -> list[float]:
        try:
            repeated = _said(tags, "repeat_on")
            return sorted({*levels_of(_said(tags, "level")), *(levels_of(repeated) if repeated else ())})
        except ValueError as error:
            self.drawing.odd("no_level", f"{what} ({error})")
            return []

    def _level(self, ordinal: float) -> int:
        if ordinal not in self._levels:
            self._levels[ordinal] = len(self.drawing.levels)
            self.drawing.levels.append(Level(f"level {ordinal:g}", "", f"{ordinal:g}", ordinal))
        return self._levels[ordinal]

    def _hours(self, tags: Mapping[str, Any], what: str) -> str:
        text = _said(tags, "opening_hours")
        try:
            parse(text)
        except ValueError:
            self.drawing.odd("unknown_hours", f"{what} ({text[:60]})")
            return ""
        return text


def features_of_xml(text: bytes) -> list[Feature]:
    """The points and areas of an ``.osm`` file as GeoJSON features.

    Raises:
        MapFileError: it is no such file.
    """
    try:
        document = xmltodict.parse(text, force_list=("node", "way", "relation", "nd", "tag", "member"))
    except Exception as error:  # the parser's own errors have no common ancestor
        raise MapFileError("not_xml", f"This .osm file is no XML we can read ({str(error)[:80]}).") from None
    root = document.get("osm")
    if not isinstance(root, dict):
        raise MapFileError("not_osm", "The XML is no OpenStreetMap file.")
    nodes: dict[str, tuple[float, float]] = {}
    lines: dict[str, list[tuple[float, float]]] = {}
    return [*_points(root, nodes), *_ways(root, nodes, lines), *_areas(root, lines)]


def _points(root: Mapping[str, Any], nodes: dict[str, tuple[float, float]]) -> Iterable[Feature]:
    """Fills ``nodes``; yields those with tags."""
    for node in _rows(root, "node"):
        try:
            nodes[node["@id"]] = float(node["@lon"]), float(node["@lat"])
        except (KeyError, ValueError, TypeError):
            continue
        if tags := _tags(node):
            yield _feature(f"node/{node['@id']}", tags, "Point", nodes[node["@id"]])


def _ways(
    root: Mapping[str, Any], nodes: Mapping[str, tuple[float, float]], lines: dict[str, list[tuple[float, float]]]
) -> Iterable[Feature]:
    """Fills ``lines``; yields those with tags, closed ones as areas."""
    for way in _rows(root, "way"):
        key = str(way.get("@id", ""))
        line = lines[key] = [nodes[n["@ref"]] for n in _rows(way, "nd") if n.get("@ref") in nodes]
        if (tags := _tags(way)) and len(line) >= 2:
            ring = len(line) >= 4 and line[0] == line[-1]
            yield _feature(f"way/{key}", tags, "Polygon" if ring else "LineString", [line] if ring else line)


def _areas(root: Mapping[str, Any], lines: Mapping[str, list[tuple[float, float]]]) -> Iterable[Feature]:
    for relation in _rows(root, "relation"):
        tags = _tags(relation)
        if tags.get("type") == "multipolygon":
            outer = [lines.get(str(m.get("@ref")), []) for m in _rows(relation, "member") if m.get("@role") != "inner"]
            for ring in _rings([line for line in outer if len(line) >= 2])[:1]:
                yield _feature(f"relation/{relation.get('@id', '')}", tags, "Polygon", [ring])


def _rings(lines: list[list[tuple[float, float]]]) -> list[list[tuple[float, float]]]:
    try:
        shapes = shapely.get_parts(shapely.polygonize([shapely.LineString(line) for line in lines]))
    except (ShapelyError, ValueError):
        return []
    return [list(s.exterior.coords) for s in sorted(shapes, key=lambda s: -s.area)]


def _rows(parent: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = parent.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _tags(one: Mapping[str, Any]) -> dict[str, str]:
    return {str(t.get("@k", "")): str(t.get("@v", "")) for t in _rows(one, "tag")}


def _feature(key: str, tags: Mapping[str, str], kind: str, points: object) -> Feature:
    return {"id": key, "properties": dict(tags), "geometry": {"type": kind, "coordinates": points}}


def _said(tags: Mapping[str, Any], name: str) -> str:
    value = tags.get(name)
    return str(value).strip()[:200] if isinstance(value, str | int | float) else ""


def _kind(tags: Mapping[str, Any]) -> Kind | None:
    indoor = _said(tags, "indoor")
    if indoor not in _INDOOR and not (indoor and _said(tags, "room")):
        return None
    room = _said(tags, "room")
    if _said(tags, "highway") == "elevator" or room == "elevator":
        return Kind.LIFT
    if _said(tags, "conveying") in ("yes", "forward", "backward", "reversible") and _said(tags, "stairs") == "yes":
        return Kind.ESCALATOR
    if _said(tags, "stairs") == "yes" or room == "stairs" or _said(tags, "highway") == "steps":
        return Kind.STAIRS
    if room in ("toilet", "toilets") or _said(tags, "amenity") == "toilets":
        return Kind.TOILET
    return _INDOOR.get(indoor, Kind.ROOM)


def _is_area(feature: Feature) -> bool:
    geometry = feature.get("geometry")
    return isinstance(geometry, dict) and geometry.get("type") in ("Polygon", "MultiPolygon")


def _is_door(tags: Mapping[str, Any]) -> bool:
    return _said(tags, "door") not in ("", "no") or _said(tags, "entrance") not in ("", "no", "emergency")


def _used(feature: Feature) -> bool:
    tags, geometry = feature["properties"], feature.get("geometry")
    point = isinstance(geometry, dict) and geometry.get("type") == "Point"
    if point:
        return _is_door(tags) or _said(tags, "amenity") in _SIGNS or not tags.get("indoor")
    return _kind(tags) is not None and _is_area(feature)


def _group(feature: Feature) -> str:
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else "nothing"
    tags = feature["properties"]
    about = next((f"{k}={_said(tags, k)}" for k in ("indoor", "highway", "building:part") if _said(tags, k)), "other")
    return f"{kind} {about}"
