"""The one picture of a comparison: for each way what it gains, how sure that is, and beside it who loses."""

from collections.abc import Mapping, Sequence
from html import escape

from guide.sim.compare import BASE, SAYS, Change, DayFigures, changes

_ROW, _LEFT, _BAR, _SIDE = 46, 280, 420, 210
_SHOWN = (("exam", "#018942", "examinations"), ("total", "#2f6fab", "whole visit"), ("exam_p95", "#8a8a8a", "p95"))


def svg(days: Mapping[str, Sequence[DayFigures]], title: str) -> str:
    """An SVG that stands alone, light or dark."""
    keys = [key for key in days if key != BASE.key]
    height = 90 + _ROW * len(keys)
    width = _LEFT + _BAR + _SIDE
    rows = "".join(_row(days, key, 64 + n * _ROW) for n, key in enumerate(keys))
    key = "".join(
        f'<rect x="{_LEFT + n * 130}" y="{height - 16}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{_LEFT + 14 + n * 130}" y="{height - 7}">{name}</text>'
        for n, (_, colour, name) in enumerate(_SHOWN)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" fill="#222"><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="12" y="22" font-size="15">{escape(title)}</text>'
        f'<text x="12" y="44" fill="#666">change against the order of the sheet, per cent, with 95 % interval</text>'
        f'<text x="{_LEFT + _BAR + 12}" y="44" fill="#666">over 10 min earlier / later</text>'
        f"{_axis(height)}{rows}{key}</svg>\n"
    )


def _x(percent: float) -> float:
    """-40 … +20 per cent across the middle."""
    return _LEFT + _BAR * (min(max(percent, -40.0), 20.0) + 40) / 60


def _axis(height: int) -> str:
    return "".join(
        f'<path d="M{_x(p):.1f} 52V{height - 24}" stroke="{"#999" if p == 0 else "#e4e4e4"}"/>'
        f'<text x="{_x(p):.1f}" y="58" font-size="9" fill="#999" text-anchor="middle">{p:+d}</text>'
        for p in range(-40, 21, 10)
    )


def _row(days: Mapping[str, Sequence[DayFigures]], key: str, y: int) -> str:
    moved = changes(days, key)
    bars = "".join(_bar(moved[name], y + 3 + 12 * n, colour) for n, (name, colour, _) in enumerate(_SHOWN))
    worse = 100 * sum(d.worse for d in days[key]) / len(days[key])
    better = 100 * sum(d.better for d in days[key]) / len(days[key])
    side = _LEFT + _BAR + 12
    return (
        f'<text x="12" y="{y + 22}">{escape(SAYS[key])}</text>{bars}'
        f'<rect x="{side}" y="{y + 6}" width="{better * 1.6:.1f}" height="10" fill="#018942"/>'
        f'<text x="{side + better * 1.6 + 4:.1f}" y="{y + 15}">{better:.0f} %</text>'
        f'<rect x="{side}" y="{y + 22}" width="{worse * 1.6:.1f}" height="10" fill="#b3261e"/>'
        f'<text x="{side + worse * 1.6 + 4:.1f}" y="{y + 31}">{worse:.0f} %</text>'
    )


def _bar(one: Change, y: float, colour: str) -> str:
    left, right = sorted((_x(0), _x(one.mean)))
    whisker = ""
    if one.half < float("inf"):
        a, b = _x(one.mean - one.half), _x(one.mean + one.half)
        whisker = f'<path d="M{a:.1f} {y + 4.5:.1f}H{b:.1f}" stroke="#222"/>'
    return f'<rect x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="9" fill="{colour}"/>{whisker}'
