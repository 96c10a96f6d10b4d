"""The demo hospital's buildings as an IMDF 1.0 archive: four houses, a yard between them, a bridge in the air.

Nobody drew it; it is laid out from the rows below, the same to the byte each time. Rooms lie north and south of a
corridor from west to east. ``NUMBER=NAME`` says who is behind a door (a department of ``hospital/demo.json``), ``*N``
that a room is so many times as wide, ``@`` that one walks through it.
"""

import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sandbox.his.catalogue import HOSPITAL_FILE

Box = tuple[float, float, float, float]
LON, LAT = 119.6, 39.9  # somewhere at the sea
_EAST, _NORTH = 85_400.0, 111_320.0  # metres in a degree there
DEEP, WIDE = 8.0, 4.0  # metres: rooms, corridor
_DAY = "Mo-Su 06:30-18:30"


@dataclass(frozen=True)
class House:
    """One building: where it stands, what is at fixed places on every floor, and its floors from the lowest up.

    Attributes:
        core: what stands in the north row on all floors: name, IMDF category, from x, to x.
        floors: sign, ordinal, rooms in the gaps of the north row (one list a gap), rooms of the south row.
    """

    name: str
    x: float
    y: float
    width: float
    core: Sequence[tuple[str, str, float, float]]
    floors: Sequence[tuple[str, int, Sequence[str], str]]


HOUSES = (
    House(
        "门诊楼", 0, 0, 66,
        (("西楼梯", "stairs", 0, 4), ("1号电梯", "elevator", 30, 33), ("2号电梯", "elevator", 33, 36),
         ("上行扶梯", "escalator", 36, 40), ("下行扶梯", "escalator", 40, 44), ("东楼梯", "stairs", 62, 66)),
        (
            ("B1", -1, ("B101=便民超市*2 B102 B103", "B111 B112"), "B121=餐厅*4 B122 B123 B124"),
            ("1楼", 0, ("=收费处*2 =西药房*2 =中药房 =导诊台", "107=医保办公室 108 109"),
             "121=注射输液室*2 122 @门诊大厅*4 106 105 104 103 102 101=儿科门诊"),
            ("2楼", 1, ("221=骨科门诊 222 223 224 225", "=抽血处*2 205"),
             "211=普外科门诊 212 213 214 215 218=换药室 206 204 203 202 201=全科医学门诊"),
            ("3楼", 2, ("321=消化内科门诊 322 323 324 325", "301=心内科门诊 302 303 304"),
             "311=呼吸内科门诊 312 313 314 315 316=肺功能室 331=心电图室 308 307 306 305"),
            ("4楼", 3, ("421=产科门诊 422 423 424 425 426=胎心监护室", "401=内分泌科门诊 402 403"),
             "411=神经内科门诊 412 413 414 415 431=妇科门诊 432 433 434 405 404"),
            ("5楼", 4, ("521=皮肤科门诊 522 523 524 525", "501=眼科门诊 502 503"),
             "511=耳鼻喉科门诊 512 513 514 515 516 507 506 505 504"),
            ("6楼", 5, ("611=健康教育室 612 613 614 615", "604 605 606"),
             "607 608 609 610 601=心理科门诊 602 603 621 622"),
        ),
    ),
    House(
        "医技楼", 90, 0, 42,
        (("医技楼西楼梯", "stairs", 0, 4), ("3号电梯", "elevator", 18, 21), ("4号电梯", "elevator", 21, 24),
         ("医技楼东楼梯", "stairs", 38, 42)),
        (
            ("1楼", 0, ("101=放射科 102 103", "106 107 108=磁共振室"), "104 105=CT室*2 109 110 111 112"),
            ("2楼", 1, ("=检验科 202 203", "204 205 206"), "207 208 209 210 211 212"),
            ("3楼", 2, ("301=超声科 302 303", "304 305 306=心脏超声室"), "307 308 309 310 311 312"),
            ("4楼", 3, ("401=内镜中心*2 402", "403 404 405"), "406 407 408 409 410"),
        ),
    ),
    House(
        "急诊楼", 0, 60, 42,
        (("急诊楼楼梯", "stairs", 0, 4), ("5号电梯", "elevator", 18, 22)),
        (
            ("1楼", 0, ("=急诊抢救室*2 103", "104 105 106 107"), "=急诊药房 @急诊大厅*2 =急诊科 108 109"),
            ("2楼", 1, ("201=留观室 202", "203 204 205 206"), "207 208 209 210 211"),
        ),
    ),
    House(
        "感染楼", 90, 60, 30, (),
        (("1楼", 0, ("=感染科门诊 2 3 4 5",), "6 7 8 9"),),
    ),
)  # fmt: skip
GROUNDS = ((-6, -14), (150, -14), (150, -3), (90, -3), (90, 48), (150, 48), (150, 60), (-6, 60), (-6, 48), (66, 48),
           (66, -3), (-6, -3))  # fmt: skip
BRIDGE: Box = (66, DEEP, 90, DEEP + WIDE)
SIGNPOSTS = ((67, 47), (89, 47), (67, -4), (89, -4))
SIGHTS = (("门诊楼", 0, "问询处", 24, 5), ("门诊楼", 0, "自助机", 34, 10), ("门诊楼", 1, "饮水处", 48, 10),
          ("门诊楼", 2, "饮水处", 48, 10), ("门诊楼", 3, "饮水处", 48, 10),
          ("医技楼", 2, "自助取片机", 110, 10))  # fmt: skip


@dataclass
class _Sheet:
    """The archive's files being filled."""

    files: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, kind: str, key: str, geometry: Any, **properties: Any) -> str:
        """One feature; its id is made from its key, so that it stays the same."""
        identity = str(uuid5(NAMESPACE_URL, f"houfu.demo/{kind}/{key}"))
        feature = {
            "id": identity,
            "type": "Feature",
            "feature_type": kind,
            "geometry": geometry,
            "properties": properties,
        }
        self.files.setdefault(kind, []).append(feature)
        return identity

    def unit(self, key: str, level: str, box: Box, category: str, name: str, number: str = "") -> str:
        """A space."""
        return self.add("unit", key, _area(_corners(box)), category=category, restriction=None, accessibility=None,
                        name=_said(name), alt_name=_said(number), level_id=level, display_point=None)  # fmt: skip

    def opening(self, level: str, x: float, y: float, along_x: bool, category: str = "pedestrian") -> None:
        """A door 1.6 m wide."""
        dx, dy = (0.8, 0.0) if along_x else (0.0, 0.8)
        line = {"type": "LineString", "coordinates": [_degrees(x - dx, y - dy), _degrees(x + dx, y + dy)]}
        self.add("opening", f"{level}/{x:g}/{y:g}", line, category=category, accessibility=None, access_control=None,
                 door=None, name=None, alt_name=None, level_id=level, display_point=None)  # fmt: skip

    def occupant(self, key: str, name: str, unit: str, x: float, y: float) -> None:
        """Who is there."""
        anchor = self.add("anchor", key, _point(x, y), address_id=None, unit_id=unit)
        self.add("occupant", key, None, name=_said(name), category="healthcarefacility", anchor_id=anchor, hours=None,
                 phone=None, website=None, validity=None, correlation_id=None)  # fmt: skip

    def relation(self, key: str, category: str, units: Sequence[str], directed: bool, hours: str | None) -> None:
        """A lift, a stair or an escalator between floors."""
        ends = [{"id": unit, "feature_type": "unit"} for unit in units]
        self.add("relationship", key, None, category=category, direction="directed" if directed else "undirected",
                 origin=ends[0], intermediary=ends[1:-1] or None, destination=ends[-1], hours=hours)  # fmt: skip


def archive() -> bytes:
    """The IMDF archive, a zip."""
    made, buffer = files(), io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name, document in sorted(made.items()):
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            out.writestr(entry, json.dumps(document, ensure_ascii=False, separators=(",", ":")))
    return buffer.getvalue()


def files() -> dict[str, Any]:
    """File name → JSON of the archive."""
    sheet, hospital = _Sheet(), json.loads(HOSPITAL_FILE.read_text("utf-8"))["hospital"]
    address = sheet.add("address", "1", None, address=hospital["address"], unit=None, locality=hospital["city"],
                        province="CN-XX", country="CN", postal_code=None, postal_code_ext=None)  # fmt: skip
    sheet.add("venue", "1", _area(GROUNDS), category="healthcarefacility", restriction=None,
              name=_said(hospital["name"]), alt_name=_said(hospital["short_name"]), hours=None, phone=None,
              website=None, display_point=_point(30, -8), address_id=address)  # fmt: skip
    levels = {house.name: _house(sheet, house, address) for house in HOUSES}
    _grounds(sheet, levels, address)
    for house, ordinal, name, x, y in SIGHTS:
        _sight(sheet, levels[house][ordinal], name, x, y)
    made: dict[str, Any] = {
        f"{kind}.geojson": {"type": "FeatureCollection", "name": kind, "features": found}
        for kind, found in sheet.files.items()
    }
    made["manifest.json"] = {"version": "1.0.0", "created": "2026-01-01T00:00:00Z", "language": "zh-Hans",
                             "generated_by": "houfu demo", "extensions": None}  # fmt: skip
    return made


def _house(sheet: _Sheet, house: House, address: str) -> dict[int, str]:
    """All floors of one building; returns ordinal → level."""
    outline = _area(_corners((house.x, house.y, house.x + house.width, house.y + 2 * DEEP + WIDE)))
    building = sheet.add("building", house.name, None, category="unspecified", restriction=None, name=_said(house.name),
                         alt_name=None, display_point=None, address_id=address)  # fmt: skip
    sheet.add("footprint", house.name, outline, category="ground", name=None, building_ids=[building])
    levels: dict[int, str] = {}
    shafts: dict[str, list[str]] = {}
    for sign, ordinal, north, south in house.floors:
        level = sheet.add("level", f"{house.name}/{sign}", outline, category="unspecified", restriction=None,
                          outdoor=False, ordinal=ordinal, name=_said(f"{house.name}{sign}"), short_name=_said(sign),
                          display_point=None, address_id=address, building_ids=[building])  # fmt: skip
        levels[ordinal] = level
        _floor(sheet, house, level, f"{house.name}/{sign}", (north, south), shafts)
    for name, category, *_ in house.core:
        _between_floors(sheet, house.name, name, category, shafts[name])
    return levels


def _floor(
    sheet: _Sheet, house: House, level: str, key: str, rows: tuple[Sequence[str], str], shafts: dict[str, list[str]]
) -> None:
    low, high = house.y + DEEP, house.y + DEEP + WIDE
    sheet.unit(f"{key}/corridor", level, (house.x, low, house.x + house.width, high), "walkway", "")
    free: float = 0.0
    gaps: list[tuple[float, float]] = []
    for name, category, left, right in house.core:
        box = (house.x + left, high, house.x + right, high + DEEP)
        shafts.setdefault(name, []).append(sheet.unit(f"{key}/{name}", level, box, category, name))
        sheet.opening(level, house.x + (left + right) / 2, high, True)
        gaps += [(free, left)] if left > free else []
        free = right
    gaps += [(free, house.width)] if house.width > free else []
    for (left, right), row in zip(gaps, rows[0], strict=False):
        for number, name, a, b, kind in _laid(row, house.x + left, house.x + right):
            _room(sheet, level, key, (number, name, kind), (a, high, b, high + DEEP), high)
    toilet = (house.x, house.y, house.x + 4, low)
    sheet.unit(f"{key}/wc", level, toilet, "restroom", "卫生间")
    sheet.opening(level, house.x + 2, low, True)
    for number, name, a, b, kind in _laid(rows[1], house.x + 4, house.x + house.width):
        _room(sheet, level, key, (number, name, kind), (a, house.y, b, low), low)


def _room(sheet: _Sheet, level: str, key: str, what: tuple[str, str, str], box: Box, wall: float) -> None:
    number, name, kind = what
    middle = round((box[0] + box[2]) / 2, 2)
    said = name if kind == "lobby" or not number else f"{number}室"
    unit = sheet.unit(f"{key}/{number or name}", level, box, kind, said, number)
    sheet.opening(level, middle, wall, True)
    if name and kind != "lobby":
        sheet.occupant(f"{key}/{name}", name, unit, middle, (box[1] + box[3]) / 2)


def _laid(row: str, left: float, right: float) -> Iterator[tuple[str, str, float, float, str]]:
    """The rooms of a row between two walls: number, name, from, to, category."""
    parts = [part.partition("*") for part in row.split()]
    width = (right - left) / sum(int(times or 1) for _, _, times in parts)
    for text, _, times in parts:
        end = left + width * int(times or 1)
        number, _, name = text.lstrip("@").partition("=")
        if text.startswith("@"):
            number, name = "", number
        yield number, name, round(left, 2), round(end, 2), "lobby" if text.startswith("@") else "room"
        left = end


def _between_floors(sheet: _Sheet, house: str, name: str, category: str, units: Sequence[str]) -> None:
    if category == "escalator":
        stops = units if name.startswith("上") else units[::-1]
        for n, pair in enumerate(pairwise(stops)):
            sheet.relation(f"{house}/{name}/{n}", category, pair, True, _DAY)
    elif len(units) > 1:
        sheet.relation(f"{house}/{name}", category, units, False, None)


def _grounds(sheet: _Sheet, levels: Mapping[str, Mapping[int, str]], address: str) -> None:
    """The yard with steps and a ramp up to the front door, the doors of the other houses, and the bridge."""
    yard = sheet.add("level", "yard", _area(GROUNDS), category="unspecified", restriction=None, outdoor=True, ordinal=0,
                     name=_said("院内"), short_name=_said("院内"), display_point=None, address_id=address,
                     building_ids=None)  # fmt: skip
    sheet.add("unit", "yard", _area(GROUNDS), category="walkway", restriction=None, accessibility=None,
              name=_said("院内道路"), alt_name=None, level_id=yard, display_point=None)  # fmt: skip
    for name, category, left, right in (("门前台阶", "stairs", 22, 26), ("无障碍坡道", "ramp", 30, 34)):
        sheet.unit(f"yard/{name}", yard, (left, -3, right, 0), category, name)
        sheet.opening(yard, (left + right) / 2, 0, True, "pedestrian.principal")
        sheet.opening(yard, (left + right) / 2, -3, True)
    for x, y, along in ((66, 10, False), (90, 10, False), (14, 60, True), (105, 60, True)):
        sheet.opening(yard, x, y, along, "pedestrian.principal")
    for x, y in SIGNPOSTS:
        _sight(sheet, yard, "院内指示牌", x, y)
    third = levels["门诊楼"][2]
    sheet.unit("bridge", third, BRIDGE, "walkway", "空中连廊")
    for end in (BRIDGE[0], BRIDGE[2]):
        sheet.opening(third, end, 10, False)


def _sight(sheet: _Sheet, level: str, name: str, x: float, y: float) -> None:
    inside = next(
        f["id"] for f in sheet.files["unit"]
        if f["properties"]["level_id"] == level and _holds(f["geometry"]["coordinates"][0], _degrees(x, y))
    )  # fmt: skip
    sheet.add("amenity", f"{level}/{name}/{x:g}/{y:g}", _point(x, y), category="information", accessibility=None,
              name=_said(name), alt_name=None, hours=None, phone=None, website=None, unit_ids=[inside], address_id=None,
              correlation_id=None)  # fmt: skip


def _holds(ring: Sequence[Sequence[float]], point: Sequence[float]) -> bool:
    xs, ys = [p[0] for p in ring], [p[1] for p in ring]
    return min(xs) <= point[0] <= max(xs) and min(ys) <= point[1] <= max(ys)


def _said(name: str) -> dict[str, str] | None:
    return {"zh-Hans": name} if name else None


def _degrees(x: float, y: float) -> list[float]:
    return [round(LON + x / _EAST, 8), round(LAT + y / _NORTH, 8)]


def _point(x: float, y: float) -> dict[str, Any]:
    return {"type": "Point", "coordinates": _degrees(x, y)}


def _corners(box: Box) -> Sequence[tuple[float, float]]:
    left, low, right, high = box
    return ((left, low), (right, low), (right, high), (left, high))


def _area(points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    ring = [_degrees(*p) for p in (*points, points[0])]
    return {"type": "Polygon", "coordinates": [ring]}
