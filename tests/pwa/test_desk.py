"""The desk's list while it changes: what somebody is pressing, and where the arrows are, outlast it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from playwright.sync_api import Browser, Page, Route

from pwa.render import Prefs, renderer
from pwa.sample_morning import ORDERS
from pwa.samples import NOW
from pwa.views import Desk, DeskOrder

pytestmark = pytest.mark.browser
WHO = "示例乙 血常规（五分类）"


@dataclass
class Counter:
    """A desk with its page open: what its list is now, and where was pressed."""

    page: Page
    orders: list[DeskOrder] = field(default_factory=lambda: list(ORDERS))
    pressed: list[str] = field(default_factory=list)

    def answer(self, route: Route) -> None:
        """The page as it is now; a press is noted, and leads nowhere."""
        if route.request.method == "POST":
            self.pressed.append(route.request.url.rpartition("/")[2])
            route.fulfill(status=204)
        elif route.request.url.endswith("/stream"):
            pass  # a line on which nothing is said
        else:
            view = Desk("示例医院", "检验科", "3 号", self.orders, (), stream_url="/desk/stream")
            route.fulfill(body=renderer().page("desk.html", view, Prefs(now=NOW, csrf="t", worker=False)))

    def change(self, *orders: DeskOrder) -> None:
        """The list becomes another one, and the page is told."""
        self.orders = list(orders)
        self.page.evaluate("document.querySelector('#list').dataset.before = ''; htmx.trigger('#stream', 'refresh')")
        self.page.wait_for_function("!('before' in document.querySelector('#list').dataset)")
        assert self.page.locator("tbody tr").count() == len(orders)


@pytest.fixture
def counter(browser: Browser, base: str) -> Iterator[Counter]:
    with browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block") as context:
        desk = Counter(context.new_page())
        desk.page.route(re.compile(r"\d/desk(/|$)"), desk.answer)
        desk.page.goto(f"{base}/desk")
        yield desk


def test_a_press_counts_though_the_list_changes_while_it_lasts(counter: Counter) -> None:
    """Finger down on the second row's key; others come and go, above it too; finger up."""
    newcomer = replace(ORDERS[2], id="9", patient="示例戊")
    counter.page.get_by_role("button", name=WHO).hover()
    counter.page.mouse.down()
    counter.change(ORDERS[0], ORDERS[1], newcomer)
    counter.page.mouse.up()
    counter.page.wait_for_timeout(100)
    assert counter.pressed == ["2"]


@pytest.mark.parametrize("now", ["done elsewhere", "gone"])
def test_a_press_is_never_for_something_else(counter: Counter, now: str) -> None:
    """While the finger is down another desk checks her in, or she is called off: another act, or row, comes there."""
    counter.page.get_by_role("button", name=WHO).hover()
    counter.page.mouse.down()
    there = [replace(ORDERS[1], state="checked_in", action="confirm")] if now == "done elsewhere" else []
    counter.change(ORDERS[0], *there, *ORDERS[2:])
    counter.page.mouse.up()
    counter.page.wait_for_timeout(100)
    assert counter.pressed == []


def test_the_arrows_stay_where_they_are(counter: Counter) -> None:
    """Walked down to the second row; the list changes; the next arrow goes on from there."""
    names = [f"{one.patient} {one.name}" for one in ORDERS]
    for _ in range(2):
        counter.page.keyboard.press("ArrowDown")
    counter.change(*ORDERS[:3])
    focused = "() => document.activeElement.innerText"
    assert names[1] in counter.page.evaluate(focused)
    counter.page.keyboard.press("ArrowDown")
    assert names[2] in counter.page.evaluate(focused)
