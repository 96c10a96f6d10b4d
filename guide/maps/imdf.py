"""Reads IMDF 1.0: one GeoJSON file per kind of thing, in a zip or a folder; real ones are often no more than alike."""

from collections.abc import Iterable, Mapping
from typing import Any

from guide.maps.drawing import Door, Drawing, Kind, Level, Plane, Shaft, Sign, Unit, coordinates
from guide.maps.findings import MapFileError
from guide.maps.hours import parse

Feature = Mapping[str, Any]
PARTS = (
    "venue", "address", "building", "footprint", "level", "unit", "fixture", "section", "geofence", "kiosk", "detail",
    "opening", "amenity", "anchor", "occupant", "relationship",
)  # fmt: skip
_KINDS = {
    "stairs": Kind.STAIRS, "elevator": Kind.LIFT, "escalator": Kind.ESCALATOR, "ramp": Kind.RAMP,
    "movingwalkway": Kind.WALKWAY, "walkway": Kind.WALKWAY, "lobby": Kind.WALKWAY, "foyer": Kind.WALKWAY,
    "vestibule": Kind.WALKWAY, "walkway.island": Kind.WALKWAY, "steps": Kind.STAIRS, "footbridge": Kind.WALKWAY,
    "restroom": Kind.TOILET, "restroom.male": Kind.TOILET, "restroom.female": Kind.TOILET,
    "restroom.unisex": Kind.TOILET, "restroom.wheelchair": Kind.TOILET, "restroom.family": Kind.TOILET,
    "waitingroom": Kind.WALKWAY, "opentobelow": None, "structure": None, "column": None,
}  # fmt: skip
_RELATIONS = {
    "elevator": Kind.LIFT, "escalator": Kind.ESCALATOR, "stairs": Kind.STAIRS, "ramp": Kind.RAMP,
    "movingwalkway": Kind.WALKWAY, "traversal": Kind.WALKWAY, "traversal.path": Kind.WALKWAY,
}  # fmt: skip
_SHUT = frozenset({"outofservice", "badgereader", "fingerprintreader", "guard", "keyaccess", "passwordaccess"})


def read(parts: Mapping[str, Any]) -> Drawing:
    """Make a drawing of the archive's files, name without ending → parsed JSON.

    Raises:
        MapFileError: there is no floor or no room in it.
    """
    broken: list[str] = []
    features = {name: _features(name, parts.get(name), broken) for name in PARTS}
    if not features["level"] or not features["unit"]:
        raise MapFileError("not_imdf", "An IMDF archive needs level.geojson and unit.geojson with features in them.")
    plane = Plane(p for f in features["unit"] for p in coordinates(f.get("geometry")))
    drawing = Drawing(_label(_props(features["venue"][0])) if features["venue"] else "")
    for what in broken:
        drawing.odd("no_feature", what)
    return _Reader(drawing, plane, features).drawing


class _Reader:
    """One archive being read; what other files refer to is kept by its id."""

    def __init__(self, drawing: Drawing, plane: Plane, features: Mapping[str, list[Feature]]) -> None:
        self.drawing, self.plane = drawing, plane
        self.levels: dict[str, int] = {}
        self.units: dict[str, int] = {}
        self._levels(features["level"], {_id(f): _label(_props(f)) for f in features["building"]})
        self._units(features["unit"])
        self._openings(features["opening"])
        anchors = {_id(f): self.units.get(_text(_props(f).get("unit_id")), -1) for f in features["anchor"]}
        self._occupants(features["occupant"], anchors)
        self._amenities(features["amenity"])
        self._relations(features["relationship"])

    def _levels(self, found: list[Feature], buildings: Mapping[str, str]) -> None:
        for feature in found:
            props = _props(feature)
            inside = props.get("building_ids")
            names = [buildings.get(_text(b), "") for b in inside] if isinstance(inside, list) else []
            ordinal = _number(props.get("ordinal"))
            short = _label({"name": props.get("short_name")}) or _label(props)
            self.levels[_id(feature)] = len(self.drawing.levels)
            self.drawing.levels.append(
                Level(_id(feature), next(filter(None, names), ""), short or f"{ordinal:g}", ordinal)
            )

    def _units(self, found: list[Feature]) -> None:
        for feature in found:
            props = _props(feature)
            name, level = _label(props), self.levels.get(_text(props.get("level_id")))
            category = _text(props.get("category"))
            if level is None:
                self.drawing.odd("no_level", f"unit {name or _id(feature)}")
                continue
            kind = _KINDS.get(category, Kind.ROOM)
            if kind is None:
                continue
            try:
                shape = self.plane.polygon(feature.get("geometry"))
            except ValueError as error:
                self.drawing.odd("broken_shape", f"unit {name or _id(feature)} ({error})")
                continue
            public = not props.get("restriction") and not _shut(props) and category != "nonpublic"
            ref = _label({"name": props.get("alt_name")})
            self.units[_id(feature)] = len(self.drawing.units)
            self.drawing.units.append(
                Unit(_id(feature), level, kind, shape, name, ref, public, self._hours(props, f"unit {name}"))
            )

    def _openings(self, found: list[Feature]) -> None:
        for feature in found:
            props, key = _props(feature), _id(feature)
            level, category = self.levels.get(_text(props.get("level_id"))), _text(props.get("category"))
            if level is None:
                self.drawing.odd("no_level", f"opening {key}")
            elif category.startswith("emergencyexit") or _shut(props):
                self.drawing.odd("closed", f"opening {key} ({category})")
            else:
                try:
                    middle = self.plane.shape(feature.get("geometry")).interpolate(0.5, normalized=True)
                    x, y = round(middle.x, 2), round(middle.y, 2)
                except (ValueError, TypeError, AttributeError) as error:
                    self.drawing.odd("broken_shape", f"opening {key} ({str(error)[:60]})")
                    continue
                outside = category == "pedestrian.principal"
                self.drawing.doors.append(Door(key, level, x, y, outside, self._hours(props, f"opening {key}")))

    def _occupants(self, found: list[Feature], anchors: Mapping[str, int]) -> None:
        for feature in found:
            props = _props(feature)
            unit, name = anchors.get(_text(props.get("anchor_id")), -1), _label(props)
            if unit < 0 or not name:
                self.drawing.odd("no_level", f"occupant {name or _id(feature)}")
                continue
            self.drawing.occupants.setdefault(name, unit)
            self.drawing.units[unit].name = self.drawing.units[unit].name or name

    def _amenities(self, found: list[Feature]) -> None:
        for feature in found:
            props = _props(feature)
            inside = props.get("unit_ids")
            units = [self.units[_text(u)] for u in inside if _text(u) in self.units] if isinstance(inside, list) else []
            if not units or not (name := _label(props)):
                continue
            try:
                at = self.plane.shape(feature.get("geometry")).centroid
            except ValueError as error:
                self.drawing.odd("broken_shape", f"amenity {name} ({error})")
                continue
            self.drawing.signs.append(Sign(self.drawing.units[units[0]].level, round(at.x, 2), round(at.y, 2), name))

    def _relations(self, found: list[Feature]) -> None:
        for feature in found:
            props, key = _props(feature), _id(feature)
            kind = _RELATIONS.get(_text(props.get("category")))
            between = props.get("intermediary")
            ends = [props.get("origin"), *(between if isinstance(between, list) else []), props.get("destination")]
            stops = [self.units.get(_text(end.get("id")), -1) for end in ends if isinstance(end, dict)]
            if kind is None or len(stops) < 2 or -1 in stops or len(set(stops)) < len(stops):
                self.drawing.odd("bad_link", f"relationship {key}")
                continue
            one_way = _text(props.get("direction")) == "directed"
            hours = self._hours(props, f"relationship {key}")
            name = _label(props) or self.drawing.units[stops[0]].name
            self.drawing.shafts.append(Shaft(key, kind, name, stops, one_way, hours))

    def _hours(self, props: Mapping[str, Any], what: str) -> str:
        text = _text(props.get("hours"))
        try:
            parse(text)
        except ValueError:
            self.drawing.odd("unknown_hours", f"{what} ({text[:60]})")
            return ""
        return text


def _features(name: str, document: Any, broken: list[str]) -> list[Feature]:
    """Those that can be looked at; what cannot is named in ``broken``."""
    if document is None:
        return []
    found = document.get("features") if isinstance(document, dict) else None
    if not isinstance(found, list):
        broken.append(f"the whole file {name}")
        return []
    made: list[Feature] = [f for f in found if isinstance(f, dict) and isinstance(f.get("properties"), dict)]
    if len(made) < len(found):
        broken.append(f"{len(found) - len(made)} × something in {name}")
    return made


def _props(feature: Feature) -> Mapping[str, Any]:
    props = feature.get("properties")
    return props if isinstance(props, dict) else {}


def _id(feature: Feature) -> str:
    return _text(feature.get("id"))


def _text(value: object) -> str:
    return str(value)[:200] if isinstance(value, str | int) else ""


def _number(value: object) -> float:
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1_000
    return float(value) if known else 0.0  # type: ignore[arg-type]


def _label(props: Mapping[str, Any]) -> str:
    """A name in several languages: Chinese if there, else the first."""
    found = props.get("name")
    if isinstance(found, str):
        return found.strip()[:100]
    if not isinstance(found, dict):
        return ""
    texts: Iterable[object] = (found.get("zh-Hans"), found.get("zh-CN"), found.get("zh"), *found.values())
    return next((t.strip()[:100] for t in texts if isinstance(t, str) and t.strip()), "")


def _shut(props: Mapping[str, Any]) -> bool:
    control = props.get("access_control")
    return isinstance(control, list) and any(_text(c) in _SHUT for c in control)
