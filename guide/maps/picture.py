"""Draws one floor as an SVG of a few kilobytes: rooms, corridors, shafts, names, and a route on top if there is one."""

from collections.abc import Collection, Sequence
from html import escape as quoted

from guide.maps.network import Network, Space

Line = Sequence[tuple[int, int]]
_LOOK = {"walkway": "w", "ramp": "w", "stairs": "s", "lift": "s", "escalator": "s", "toilet": "t"}
_FILL = {"w": "#f2f2ee", "r": "#fff", "s": "#dbe7f5", "t": "#e9e4f2", "u": "#fbe3e0"}
"""Corridors, rooms, shafts, toilets, and what cannot be reached; drawn in this order."""
_SHORT = {"lift": "电梯", "stairs": "楼梯", "escalator": "扶梯"}
_PER_METRE = 10  # units of the picture
_MARGIN, _LEAST = 70, 320  # units around a route, and of the narrowest picture: names stay readable on a phone
_ROUTE, _START = "#b93c0a", "#1d4fd8"


def floor(
    network: Network,
    level: int,
    *,
    unreachable: Collection[int] = (),
    routes: Sequence[Line] = (),
    badge: str = "",
    title: str = "",
) -> str:
    """One floor as a whole SVG document, north up; only attributes, so that it may also stand in a page.

    Args:
        unreachable: spaces to show in red (for the report).
        routes: lines in centimetres of the map; the picture shows what is around them.
        badge: what stands at the end of the route: the place, or the floor one goes on to.
        title: what a screen reader says; default the floor's name.
    """
    spaces = [(n, s) for n, s in enumerate(network.spaces) if s.level == level]
    left, top, width, height = _frame(network, level, [s for _, s in spaces])
    box = _around(routes, left, top, width, height) if routes else (0, 0, width, height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{" ".join(map(str, box))}" role="img">',
        f"<title>{escape(title or called(network, level))}</title>",
    ]
    looks: dict[str, list[str]] = {}
    for n, space in spaces:
        if space.ring:
            look = "u" if n in unreachable else _LOOK.get(space.kind, "r")
            looks.setdefault(look, []).append(f'<path d="{_path(space.ring, left, top)}"/>')
    parts.append('<g stroke="#b9b9b4">')
    parts += [f'<g fill="{fill}">{"".join(looks[look])}</g>' for look, fill in _FILL.items() if look in looks]
    parts.append("</g>")
    if not looks:
        parts.append(_sticks(network, level, left, top))
    parts.append(_guesses(network, level, left, top))
    for line in routes:
        points = [f"{x // 10 - left} {top - y // 10}" for x, y in line]
        parts.append(
            f'<path d="M{"L".join(points)}" pathLength="1" fill="none" stroke="{_ROUTE}" stroke-width="5" '
            'stroke-linejoin="round" stroke-linecap="round"/>'
        )
    for line, at, colour in ((routes[0], 0, _START), (routes[-1], -1, _ROUTE)) if routes else ():
        x, y = line[at]
        parts.append(f'<circle cx="{x // 10 - left}" cy="{top - y // 10}" r="8" fill="{colour}" stroke="#fff"/>')
    parts.append('<g font-size="13" font-family="sans-serif" text-anchor="middle" fill="#222">')
    ends = [(x // 10 - left, top - y // 10) for line in routes for x, y in (line[0], line[-1])]
    parts += _names(spaces, left, top, ends)
    if routes and badge:
        x, y = routes[-1][-1]
        parts.append(_badge(badge, x // 10 - left, top - y // 10, box))
    if routes:
        parts.append(_corner(called(network, level), box))
    return "".join(parts) + "</g></svg>"


def _corner(text: str, box: tuple[int, int, int, int]) -> str:
    """The floor's name in the corner."""
    half = round(_half(text)) + 8
    plate = f'<rect x="{box[0]}" y="{box[1]}" width="{2 * half}" height="22" fill="#333"/>'
    return f'{plate}<text x="{box[0] + half}" y="{box[1] + 16}" fill="#fff">{escape(text)}</text>'


def _badge(text: str, x: int, y: int, box: tuple[int, int, int, int]) -> str:
    half = round(_half(text)) + 8
    x = min(max(x, box[0] + half), box[0] + box[2] - half)
    y = y - 24 if y - 36 > box[1] else y + 24
    plate = f'<rect x="{x - half}" y="{y - 11}" width="{2 * half}" height="22" rx="11" fill="{_ROUTE}"/>'
    return f'{plate}<text x="{x}" y="{y + 5}" fill="#fff">{escape(text)}</text>'


def _frame(network: Network, level: int, spaces: Sequence[Space]) -> tuple[int, int, int, int]:
    """Left and top in units of the picture, width and height."""
    points = [n for n in network.nodes if n.level == level]
    xs = [v for s in spaces for v in s.ring[::2]] or [n.x for n in points] or [0]
    ys = [v for s in spaces for v in s.ring[1::2]] or [n.y for n in points] or [0]
    left, top = min(xs) // 10 - 10, max(ys) // 10 + 10
    return left, top, max(xs) // 10 + 10 - left, top - min(ys) // 10 + 10


def _around(routes: Sequence[Line], left: int, top: int, width: int, height: int) -> tuple[int, int, int, int]:
    """What of the floor is shown for a route: it, and what one sees beside it."""
    xs = [x // 10 - left for line in routes for x, _ in line]
    ys = [top - y // 10 for line in routes for _, y in line]
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


def _names(spaces: Sequence[tuple[int, Space]], left: int, top: int, taken: Sequence[tuple[int, int]]) -> list[str]:
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
        text = text if 2 * _half(text) <= wide else _SHORT.get(space.kind, text)
        half = _half(text)
        box = (x - half, y - 7, x + half, y + 7)
        fits = half * 2 <= wide or space.kind == "walkway"
        clear = all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes)
        if fits and clear:
            boxes.append(box)
            made.append(f'<text x="{x}" y="{y + 4}">{escape(text)}</text>')
    return made


def _half(text: str) -> float:
    """Half the width of a name."""
    return sum(6.5 if ord(c) > 0x2E7F else 3.6 for c in text)


def _area(ring: Sequence[int]) -> float:
    points = list(zip(ring[::2], ring[1::2], strict=False))
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1], strict=True))) / 2


def escape(text: str) -> str:
    """A name as XML can hold it."""
    return quoted("".join(c for c in text if c.isprintable()))
