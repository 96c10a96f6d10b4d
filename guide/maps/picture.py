"""Draws one floor as an SVG of a few kilobytes: rooms, corridors, shafts, names, and a route on top if there is one."""

from collections.abc import Collection, Sequence
from html import escape as quoted

from guide.maps.network import Network, Space

Line = Sequence[tuple[int, int]]
_LOOK = {"walkway": "w", "ramp": "w", "stairs": "s", "lift": "s", "escalator": "s", "toilet": "t"}
_STYLE = (
    ".r{fill:#fff}.w{fill:#f2f2ee}.s{fill:#dbe7f5}.t{fill:#e9e4f2}.u{fill:#fbe3e0}"
    "path{stroke:#b9b9b4;stroke-width:.8}text{font:12px sans-serif;text-anchor:middle;fill:#333}"
    ".g{stroke:#c60;stroke-dasharray:2 2;fill:none}.way{fill:none;stroke:#018942;stroke-width:5;stroke-linejoin:round;"
    "stroke-linecap:round}"
)
_PER_METRE = 10  # units of the picture


def floor(network: Network, level: int, *, unreachable: Collection[int] = (), route: Line = (), title: str = "") -> str:
    """One floor as a whole SVG document, north up.

    Args:
        unreachable: spaces to show in red (for the report).
        route: a line in centimetres of the map.
        title: what a screen reader says; default the floor's name.
    """
    spaces = [(n, s) for n, s in enumerate(network.spaces) if s.level == level]
    points = [n for n in network.nodes if n.level == level]
    xs = [v for _, s in spaces for v in s.ring[::2]] or [n.x for n in points] or [0]
    ys = [v for _, s in spaces for v in s.ring[1::2]] or [n.y for n in points] or [0]
    left, top = min(xs) // 10 - 10, max(ys) // 10 + 10
    width, height = max(xs) // 10 + 10 - left, top - min(ys) // 10 + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title or called(network, level))}</title><style>{_STYLE}</style>",
    ]
    order = {"walkway": 0, "ramp": 0}
    for n, space in sorted(spaces, key=lambda item: (order.get(item[1].kind, 1), item[0])):
        look = "u" if n in unreachable else _LOOK.get(space.kind, "r")
        if space.ring:
            parts.append(f'<path class="{look}" d="{_path(space.ring, left, top)}"/>')
    if not any(s.ring for _, s in spaces):
        parts.append(_sticks(network, level, left, top))
    parts.append(_guesses(network, level, left, top))
    parts += _names(spaces, left, top)
    if route:
        line = "L".join(f"{x // 10 - left} {top - y // 10}" for x, y in route)
        parts.append(f'<path class="way" pathLength="1" d="M{line}"/>')
    return "".join(parts) + "</svg>"


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
    return f'<path d="{"".join(lines)}"/>'


def _guesses(network: Network, level: int, left: int, top: int) -> str:
    """A dashed ring where something was assumed."""
    doors = {
        n
        for e in network.edges
        if e.guess >= 0
        for n in (e.a, e.b)
        if network.nodes[n].space < 0 and network.nodes[n].level == level
    }
    return "".join(
        f'<circle class="g" cx="{network.nodes[n].x // 10 - left}" cy="{top - network.nodes[n].y // 10}" r="8"/>'
        for n in sorted(doors)
    )


def _names(spaces: Sequence[tuple[int, Space]], left: int, top: int) -> list[str]:
    """Names that fit into their rooms, the largest rooms first, none over another."""
    boxes: list[tuple[float, float, float, float]] = []
    made = []
    for _, space in sorted(spaces, key=lambda item: -_area(item[1].ring)):
        text = space.name or space.ref
        if not text or not space.ring:
            continue
        xs, ys = space.ring[::2], space.ring[1::2]
        x, y = (min(xs) + max(xs)) // 20 - left, top - (min(ys) + max(ys)) // 20
        half = sum(6 if ord(c) > 0x2E7F else 3.3 for c in text)
        box = (x - half, y - 7, x + half, y + 7)
        fits = half * 2 <= (max(xs) - min(xs)) / 10 + 4 or space.kind == "walkway"
        clear = all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in boxes)
        if fits and clear:
            boxes.append(box)
            made.append(f'<text x="{x}" y="{y + 4}">{escape(text)}</text>')
    return made


def _area(ring: Sequence[int]) -> float:
    points = list(zip(ring[::2], ring[1::2], strict=False))
    return abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, points[1:] + points[:1], strict=True))) / 2


def escape(text: str) -> str:
    """A name as XML can hold it."""
    return quoted("".join(c for c in text if c.isprintable()))
