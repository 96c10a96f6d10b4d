"""The guide sheet on paper: how long somebody waits at the printer."""

import time
from collections.abc import Callable
from dataclasses import replace

import psutil

from benchmarks.figures import Figure, percentile
from guide.service.sheets import GuideSheet, SheetStep, Way
from pwa.pages.sheet import inline
from pwa.press import Press
from pwa.sample_sheet import SHEET, STEPS
from pwa.sheet import Leaf, sheet_html, sheet_rows
from tests.pwa.thermal import read

PASS = "HFP" + "a7Kd" * 24
ROUNDS = 20
PAUSE = 0.2  # seconds between two papers: nobody at a desk prints the next before the first is out


def measure() -> list[Figure]:
    """A5 with six stops and a floor of the demo's map; slips in the printer's letters, with a rare name, drawn."""
    sheet = _sheet()
    codes = {step.order_id: f"https://houfu.example/o/{step.paper_code}" for step in sheet.steps}
    press = Press()
    try:
        return [*_pages(press, sheet, codes), *_slips(press, sheet, codes)]
    finally:
        press.close()


def _sheet() -> GuideSheet:
    """Six stops; the way to the first with its floors as the house draws them."""
    steps = [replace(step, order_id=f"o{n}", way=STEPS[n % 3].way) for n, step in enumerate((*STEPS, *STEPS))]
    way = steps[0].way
    assert way is not None
    steps[0] = replace(steps[0], way=Way(way.lines, way.about, _floors()))
    made: tuple[SheetStep, ...] = tuple(steps)
    return replace(SHEET, steps=made, patient="𠮷**")


def _floors() -> tuple[tuple[str, str], ...]:
    import tempfile
    from pathlib import Path

    from guide.maps import picture, reading
    from sandbox import campus

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "campus.zip"
        file.write_bytes(campus.archive())
        network = reading.read_map(file)
    made, labels = [], picture.Labels(picture.Sign("去2楼"), picture.Sign("抽血处"))
    for level in (1, 2):
        rooms = [network.nodes[s.node] for s in network.spaces if s.level == level and s.kind == "room"]
        one, other = rooms[0], rooms[len(rooms) // 2]
        line = [(one.x, one.y), (other.x, one.y), (other.x, other.y)]
        made.append((picture.called(network, level), picture.floor(network, level, routes=[line], labels=labels)))
    return tuple(made)


def _pages(press: Press, sheet: GuideSheet, codes: dict[str, str]) -> list[Figure]:
    def page() -> bytes:
        pictures = {order: inline(text) for order, text in codes.items()}
        return press.make(sheet_html(sheet, inline(PASS), pictures), b"bench")

    began = time.perf_counter()
    size = len(page())
    cold = time.perf_counter() - began
    p50, worst, used = _timed(press, page)
    note = f"p95 {worst:.0f} ms, processor {used:.0f} ms, {size / 1000:.0f} kB; the first after a pause {cold:.1f} s"
    return [Figure("sheet.a5", "an A5 guide sheet, six stops and a floor", p50, "ms", 300, note=note)]


def _slips(press: Press, sheet: GuideSheet, codes: dict[str, str]) -> list[Figure]:
    rows = sheet_rows(sheet, PASS, codes)
    made = []
    for leaf, drawn, goal, what in (
        (Leaf.ROLL_58, False, 50, "a 58 mm slip, a rare name drawn"),
        (Leaf.ROLL_80, False, 50, "an 80 mm slip, a rare name drawn"),
        (Leaf.ROLL_80, True, None, "an 80 mm slip drawn whole"),
    ):
        roll = leaf.roll_mm or 80

        def slip(roll: int = roll, drawn: bool = drawn) -> bytes:
            return press.slip(rows, roll, drawn=drawn)

        data = slip()
        paper = read(data, {58: 384, 80: 576}[roll])
        p50, worst, used = _timed(press, slip)
        note = f"p95 {worst:.0f} ms, processor {used:.0f} ms, {len(data) / 1000:.1f} kB, {len(paper.lines)} lines"
        made.append(Figure(f"sheet.{leaf}{'.drawn' if drawn else ''}", what, p50, "ms", goal, note=note))
    return made


def _timed(press: Press, make: Callable[[], bytes]) -> tuple[float, float, float]:
    """p50 and p95 of the waiting, and the printing process's own time, in milliseconds, of a process that is warm."""
    assert press.pid is not None
    process = psutil.Process(press.pid)
    before, took = process.cpu_times(), []
    for _ in range(ROUNDS):
        time.sleep(PAUSE)
        began = time.perf_counter()
        make()
        took.append(1000 * (time.perf_counter() - began))
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return percentile(took, 0.5), percentile(took, 0.95), 1000 * used / ROUNDS
