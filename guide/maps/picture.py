"""Draws one floor as an SVG of a few kilobytes: rooms, corridors, shafts, names, and a route on top if there is one."""

from collections.abc import Collection, Mapping, Sequence
from html import escape as quoted
from typing import NamedTuple

from guide.maps.network import Network, Space

Line = Sequence[tuple[int, int]]
_LOOK = {"walkway": "w", "ramp": "w", "stairs": "s", "lift": "s", "escalator": "s", "toilet": "t"}
_FILL = {"w": "#f2f2ee", "r": "#fff", "s": "#dbe7f5", "t": "#e9e4f2", "u": "#fbe3e0"}
"""Corridors, rooms, shafts, toilets, and what cannot be reached; drawn in this order."""
_SHORT = {"lift": "电梯", "stairs": "楼梯", "escalator": "扶梯"}
_PER_METRE = 10  # units of the picture
_MARGIN, _LEAST = 70, 320  # units around a route, and of the narrowest picture: names stay readable on a phone
_ROUTE, _START = "#b93c0a", "#1d4fd8"
TYPE, LARGE = 13, 18
"""Height of the letters, ordinary and for who asked for large ones; a unit is about a pixel on a phone."""
_THUMB = 24  # half of what a thumb needs around a badge


class Sign(NamedTuple):
    """What stands at an end of the way, and which picture a tap on it turns to (``to``, an id; empty: none)."""

    text: str = ""
    to: str = ""


class Labels(NamedTuple):
    """What is written on a picture.

    Attributes:
        start, end: what stands at the ends of the route.
        title: what a screen reader says; empty: the floor's name.
        letters: height of the letters.
    """

    start: Sign = Sign()
    end: Sign = Sign()
    title: str = ""
    letters: int = TYPE


PLAIN = Labels()


def floor(
    network: Network,
    level: int,
    *,
    unreachable: Collection[int] = (),
    routes: Sequence[Line] = (),
    labels: Labels = PLAIN,
) -> str:
    """One floor as a whole SVG document, north up; only attributes, so that it may also stand in a page.

    Args:
        unreachable: spaces to show in red (for the report).
        routes: lines in centimetres of the map; the picture shows what is around them.
    """
    plan = _Plan(network, level)
    ground = _ground(plan, unreachable, [p for line in routes for p in (line[0], line[-1])], labels.letters)
    return _svg(plan, ground, routes, labels)


def ground(network: Network, level: int, *, letters: int = TYPE) -> str:
    """A floor without any way, to stand once in a page and be used by several pictures (``over``)."""
    return _ground(_Plan(network, level), (), (), letters)


def tapped(network: Network, level: int, places: Mapping[int, str], *, letters: int = TYPE) -> str:
    """A floor as large as it is, on which a tap on a room leads on: ``places`` are the addresses by number of space.

    The rooms are no stations of the keyboard: whoever goes by that, or does not see, has the same as a list beside it.
    """
    plan = _Plan(network, level)
    rooms = [
        f'<a href="{escape(places[n])}" tabindex="-1"><path d="{_path(space.ring, plan.left, plan.top)}"/></a>'
        for n, space in plan.spaces
        if n in places and space.ring
    ]
    touch = f'<g fill-opacity="0">{"".join(rooms)}</g>'
    size = f'width="{plan.width}" height="{plan.height}" aria-hidden="true"'
    return _svg(plan, _ground(plan, (), (), letters) + touch, (), PLAIN).replace('role="img"', size, 1)


def over(
    network: Network,
    level: int,
    used: str,
    routes: Sequence[Line],
    labels: Labels = PLAIN,
) -> str:
    """As ``floor``, on a ``ground`` that stands elsewhere in the page under the id ``used``."""
    return _svg(_Plan(network, level), f'<use href="#{used}"/>', routes, labels)


class _Plan:
    """A floor and where it lies: ``at`` turns centimetres of the map into units of the picture."""

    def __init__(self, network: Network, level: int) -> None:
        self.network, self.level = network, level
        self.spaces = [(n, s) for n, s in enumerate(network.spaces) if s.level == level]
        self.left, self.top, self.width, self.height = _frame(network, level, [s for _, s in self.spaces])

    def at(self, point: tuple[int, int]) -> tuple[int, int]:
        return point[0] // 10 - self.left, self.top - point[1] // 10


def _ground(plan: _Plan, unreachable: Collection[int], taken: Sequence[tuple[int, int]], letters: int) -> str:
    looks: dict[str, list[str]] = {}
    for n, space in plan.spaces:
        if space.ring:
            look = "u" if n in unreachable else _LOOK.get(space.kind, "r")
            looks.setdefault(look, []).append(f'<path d="{_path(space.ring, plan.left, plan.top)}"/>')
    parts = ['<g stroke="#b9b9b4">']
    parts += [f'<g fill="{fill}">{"".join(looks[look])}</g>' for look, fill in _FILL.items() if look in looks]
    parts.append("</g>")
    if not looks:
        parts.append(_sticks(plan.network, plan.level, plan.left, plan.top))
    parts.append(_guesses(plan.network, plan.level, plan.left, plan.top))
    names = _names(plan.spaces, plan.left, plan.top, [plan.at(p) for p in taken], letters)
    return "".join([*parts, f"<g {_type(letters)}>", *names, "</g>"])


def _svg(plan: _Plan, ground: str, routes: Sequence[Line], labels: Labels) -> str:
    name = called(plan.network, plan.level)
    whole = (0, 0, plan.width, plan.height)
    lines = [[plan.at(p) for p in line] for line in routes]
    box = _around(lines, plan.width, plan.height) if lines else whole
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{" ".join(map(str, box))}" role="img">',
        f"<title>{escape(labels.title or name)}</title>{ground}",
    ]
    for line in lines:
        d = f'd="M{"L".join(f"{x} {y}" for x, y in line)}" pathLength="1" fill="none" stroke-linecap="round"'
        parts.append(f'<path {d} stroke="{_ROUTE}" stroke-width="5" stroke-linejoin="round"/>')
        # Who walks: a dot the style sheet moves along, once; without it nobody is seen.
        parts.append(f'<path class="dot" {d} stroke="{_START}" stroke-width="13" visibility="hidden"/>')
    if lines:
        for (x, y), colour in ((lines[0][0], _START), (lines[-1][-1], _ROUTE)):
            parts.append(f'<circle cx="{x}" cy="{y}" r="8" fill="{colour}" stroke="#fff"/>')
        badges = _Badges(box, labels.letters)
        badges.keep_free(lines[0][0])
        badges.keep_free(lines[-1][-1])
        drawn = [badges.at(lines[-1][-1], labels.end, _ROUTE), badges.at(lines[0][0], labels.start, _START)]
        drawn.append(badges.corner(name))
        parts.append(f"<g {_type(labels.letters)}>{''.join(drawn)}</g>")
    return "".join(parts) + "</svg>"


def _type(letters: int) -> str:
    return f'font-size="{letters}" font-family="sans-serif" text-anchor="middle" fill="#222"'


class _Badges:
    """Plates with words, none over another as far as there is room."""

    def __init__(self, box: tuple[int, int, int, int], letters: int) -> None:
        self._box, self._letters = box, letters
        self._high = 2 * round(letters * 0.85)
        self._taken: list[tuple[int, int, int, int]] = []

    def corner(self, text: str) -> str:
        """The floor's name in a corner, the upper left one if it is free."""
        left, top, across, down = self._box
        half, up = self._half(text), self._high // 2
        sides, heights = (left + half, left + across - half), (top + up, top + down - up)
        x, y = self._put([(x, y) for y in heights for x in sides], half)
        return self._plate(x, y, half, "#333", 0) + self._words(x, y, text)

    def at(self, point: tuple[int, int], sign: Sign, colour: str) -> str:
        """Beside a point: above it, else below, else wherever it covers least."""
        if not sign.text:
            return ""
        left, top, across, down = self._box
        half, up = self._half(sign.text), self._high // 2
        away, aside = up + 13, 13 + half
        steps = [(0, -away), (0, away), (aside, 0), (-aside, 0), (aside, away), (-aside, away), (aside, -away),
                 (-aside, -away)]  # fmt: skip
        places = [
            (_within(point[0] + x, left + half, left + across - half), _within(point[1] + y, top + up, top + down - up))
            for x, y in steps
        ]
        x, y = self._put(places, half)
        drawn = self._plate(x, y, half, colour, up) + self._words(x, y, sign.text)
        if not sign.to:
            return drawn
        wide, high = max(half, _THUMB), max(up, _THUMB)
        touch = f'<path d="M{x - wide} {y - high}h{2 * wide}v{2 * high}h{-2 * wide}z" fill-opacity="0"/>'
        return f'<g data-to="{sign.to}">{drawn}{touch}</g>'

    def keep_free(self, point: tuple[int, int]) -> None:
        """An end of the way stays in sight."""
        x, y = point
        self._taken.append((x - 9, y - 9, x + 9, y + 9))

    def _put(self, places: list[tuple[int, int]], half: int) -> tuple[int, int]:
        """The first of the places where a plate covers least."""
        up = self._high // 2
        x, y = min(places, key=lambda p: (self._covers(p, half, up), places.index(p)))
        self._taken.append((x - half, y - up, x + half, y + up))
        return x, y

    def _covers(self, at: tuple[int, int], half: int, up: int) -> int:
        """How much a plate there would lie on others."""
        one = (at[0] - half, at[1] - up, at[0] + half, at[1] + up)
        return sum(_common(one, other) for other in self._taken)

    def _half(self, text: str) -> int:
        return round(_half(text, self._letters)) + 8

    def _plate(self, x: int, y: int, half: int, colour: str, round_: int) -> str:
        curve = f' rx="{round_}"' if round_ else ""
        y -= self._high // 2
        return f'<rect x="{x - half}" y="{y}" width="{2 * half}" height="{self._high}"{curve} fill="{colour}"/>'

    def _words(self, x: int, y: int, text: str) -> str:
        return f'<text x="{x}" y="{y + round(self._letters * 0.36)}" fill="#fff">{escape(text)}</text>'


def _within(value: int, least: int, most: int) -> int:
    return min(max(value, least), most)


def _common(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> int:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0


def _frame(network: Network, level: int, spaces: Sequence[Space]) -> tuple[int, int, int, int]:
    """Left and top in units of the picture, width and height."""
    points = [n for n in network.nodes if n.level == level]
    xs = [v for s in spaces for v in s.ring[::2]] or [n.x for n in points] or [0]
    ys = [v for s in spaces for v in s.ring[1::2]] or [n.y for n in points] or [0]
    left, top = min(xs) // 10 - 10, max(ys) // 10 + 10
    return left, top, max(xs) // 10 + 10 - left, top - min(ys) // 10 + 10


def _around(lines: Sequence[Line], width: int, height: int) -> tuple[int, int, int, int]:
    """What of the floor is shown for a route: it, and what one sees beside it."""
    xs = [x for line in lines for x, _ in line]
    ys = [y for line in lines for _, y in line]
    wide = max(max(xs) - min(xs) + 2 * _MARGIN, _LEAST)
    high = max(max(ys) - min(ys) + 2 * _MARGIN, _LEAST // 2)
    x = min(max((min(xs) + max(xs) - wide) // 2, 0), max(width - wide, 0))
    y = min(max((min(ys) + max(ys) - high) // 2, 0), max(height - high, 0))
    return x, y, min(wide, width), min(high, height)


def called(network: Network, level: int) -> str:
    """A floor as people say it: building and what is written on its wall."""
    one = network.floors[level]
    return f"{one.building}{one.sign}"


def _path(ring: Sequence[int], left: int, top: int) -> str:
    points = [(ring[i] // 10 - left, top - ring[i + 1] // 10) for i in range(0, len(ring) - 1, 2)]
    made, (x, y) = [f"M{points[0][0]} {points[0][1]}"], points[0]
    for nx, ny in points[1:]:
        if nx == x and ny != y:
            made.append(f"v{ny - y}")
        elif ny == y and nx != x:
            made.append(f"h{nx - x}")
        elif (nx, ny) != (x, y):
            made.append(f"l{nx - x} {ny - y}")
        x, y = nx, ny
    return "".join(made) + "z"


def _sticks(network: Network, level: int, left: int, top: int) -> str:
    """A map without rooms (from tables): its ways as lines."""
    nodes = network.nodes

    def at(n: int) -> str:
        return f"{nodes[n].x // 10 - left} {top - nodes[n].y // 10}"

    lines = (f"M{at(e.a)}L{at(e.b)}" for e in network.edges if nodes[e.a].level == level == nodes[e.b].level)
    return f'<path d="{"".join(lines)}" stroke="#777" fill="none"/>'


def _guesses(network: Network, level: int, left: int, top: int) -> str:
    """A dashed ring where something was assumed."""
    doors = {
        n
        for e in network.edges
        if e.guess >= 0
        for n in (e.a, e.b)
        if network.nodes[n].space < 0 and network.nodes[n].level == level
    }
    rings = (
        f'<circle cx="{network.nodes[n].x // 10 - left}" cy="{top - network.nodes[n].y // 10}" r="8"/>'
        for n in sorted(doors)
    )
    return f'<g fill="none" stroke="#c60" stroke-dasharray="2 2">{"".join(rings)}</g>' if doors else ""


def _names(
    spaces: Sequence[tuple[int, Space]], left: int, top: int, taken: Sequence[tuple[int, int]], letters: int
) -> list[str]:
    """Names that fit into their rooms, the largest rooms first, none over another or over the ends of a route."""
    boxes: list[tuple[float, float, float, float]] = [(x - 8, y - 8, x + 8, y + 8) for x, y in taken]
    made = []
    for _, space in sorted(spaces, key=lambda item: -_area(item[1].ring)):
        text = space.name or space.ref
        if not text or not space.ring:
            continue
        xs, ys = space.ring[::2], space.ring[1::2]
        x, y = (min(xs) + max(xs)) // 20 - left, top - (min(ys) + max(ys)) // 20
        wide = (max(xs) - min(xs)) / 10 + 4
        text = text if 2 * _half(text, letters) <= wide else _SHORT.get(space.kind, text)
        half, up = _half(text, letters), letters * 0.55
        box = (x - half, y - up, x + half, y + up)
        fits = half * 2 <= wide or space.kind == "walkway"
        clear = all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes)
        if fits and clear:
            boxes.append(box)
            made.append(f'<text x="{x}" y="{y + letters // 3}">{escape(text)}</text>')
    return made


def _half(text: str, letters: int) -> float:
    """Half the width of a name."""
    return sum(0.5 if ord(c) > 0x2E7F else 0.28 for c in text) * letters


def _area(ring: Sequence[int]) -> float:
    points = list(zip(ring[::2], ring[1::2], strict=False))
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1], strict=True))) / 2


def escape(text: str) -> str:
    """A name as XML can hold it."""
    return quoted("".join(c for c in text if c.isprintable()))
