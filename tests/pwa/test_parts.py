"""A part of a page that asks for itself misses nothing, shows nothing old, and fetches nobody back."""

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route

from pwa.samples import NOW, step_row
from tests.pwa.grown import Hospital, hospital, open_page, same, truth

pytestmark = pytest.mark.browser
ASK = """([method, at, source]) => {
  htmx.ajax(method, at, { source, target: '#now', select: '#now', swap: 'outerHTML' });
}"""


@dataclass
class Guide:
    """Her guide lies open; ``#now`` asks for itself when a step is news."""

    visit: Hospital
    address: str
    page: Page

    def ahead(self, people: int, minute: int = 0) -> None:
        """The hospital says how many are before her."""
        at = NOW.replace(minute=minute).isoformat()
        self.visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=at, ahead=people))

    def shows(self, people: int) -> None:
        """Until the part says so."""
        truth(self.page, f"document.querySelector('#now').textContent.includes('前面 {people} 人')")

    def until(self, held: Collection[object], count: int = 1) -> None:
        """Until so many questions have reached the network."""
        for _ in range(200):
            if len(held) >= count:
                return
            self.page.wait_for_timeout(20)
        raise AssertionError(f"{len(held)} of {count}")


@contextmanager
def guide(browser: Browser) -> Iterator[Guide]:
    """A guide with nine before her."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = open_page(browser, address, visit)
        with context:
            yield Guide(visit, address, page)


def test_what_comes_while_the_page_asks_is_seen(browser: Browser) -> None:
    """The guide asks for its next step, the answer takes a while, and more happens meanwhile: none of it is lost."""
    with guide(browser) as open_:
        open_.visit.takes = [0.5]
        for minute, people in enumerate((5, 3, 1)):
            open_.ahead(people, minute)
            truth(open_.page, f"document.querySelector('#list-steps').textContent.includes('{people}')")
            open_.page.wait_for_timeout(150)
        same(browser, open_.page, open_.address)


def test_what_comes_the_moment_a_part_is_replaced_is_seen(browser: Browser) -> None:
    """The new part listens from the moment it stands there: what is told in that very moment, it asks for."""
    with guide(browser) as open_:
        open_.page.evaluate(
            "() => { const old = document.querySelector('#now'); new MutationObserver((_, me) => {"
            " if (old.isConnected) return; me.disconnect(); htmx.trigger(document.body, 'placed-steps'); })"
            ".observe(old.parentNode, {childList: true}); }"
        )
        asked: list[str] = []
        open_.page.on("request", lambda request: asked.append(request.url))
        open_.ahead(3)
        open_.shows(3)
        open_.page.wait_for_timeout(200)
        assert asked.count(open_.address) == 2


def test_a_part_that_got_no_answer_asks_again(browser: Browser) -> None:
    """The row came, and the line broke before the guide was told what it means; then the hospital's house was full."""
    troubles: list[Callable[[Route], None]] = [lambda r: r.abort(), lambda r: r.fulfill(status=503, body="满了")]
    asked: list[str] = []

    def meet(route: Route) -> None:
        asked.append(route.request.url)
        if troubles:
            troubles.pop(0)(route)
        else:
            route.continue_()

    with guide(browser) as open_:
        open_.page.route(open_.address, meet)
        open_.page.evaluate("Math.random = () => 0")
        open_.ahead(3)
        open_.shows(3)
        same(browser, open_.page, open_.address)
        assert len(asked) == 3


def test_an_earlier_question_replaces_no_later_answer(browser: Browser) -> None:
    """Two questions about the same part are out at once, and the first is answered last, with what was true before."""
    held: list[tuple[Route, APIResponse]] = []
    with guide(browser) as open_:
        page = open_.page
        page.route(re.compile("earlier"), lambda route: held.append((route, route.fetch())))
        page.evaluate(ASK, ["GET", f"{open_.address}?earlier", "body"])
        open_.until(held)
        open_.ahead(2)
        page.evaluate(ASK, ["GET", f"{open_.address}?later", "html"])
        open_.shows(2)
        ((route, answer),) = held
        with page.expect_event("requestfinished", lambda request: request.url.endswith("?earlier")):
            route.fulfill(response=answer)
        page.wait_for_timeout(100)
        same(browser, page, open_.address)


def test_the_answer_to_an_act_is_shown_whatever_was_asked_meanwhile(browser: Browser) -> None:
    """Somebody presses, the page asks for the same part, and is told first what was true before the press."""
    held: list[Route] = []
    with guide(browser) as open_:
        page = open_.page
        page.route(re.compile("press"), lambda route: held.append(route))
        page.evaluate(ASK, ["POST", f"{open_.address}?press", "body"])
        open_.until(held)
        page.evaluate("document.querySelector('#now').dataset.old = ''")
        page.evaluate(ASK, ["GET", f"{open_.address}?before", "html"])
        truth(page, "!('old' in document.querySelector('#now').dataset)")
        held[0].fulfill(body=page.content().replace("前面 9 人", "前面 4 人"), content_type="text/html")
        open_.shows(4)


def test_whoever_has_left_is_not_fetched_back(browser: Browser) -> None:
    """She taps on; before the next page comes, the old one is told to go somewhere else: she gets where she tapped."""
    held: list[Route] = []
    with guide(browser) as open_:
        page, bill = open_.page, open_.address.replace("guide", "bill")
        page.route(re.compile("/visits/v1/(guide|bill)$"), lambda route: held.append(route))
        open_.ahead(3)
        open_.until(held)
        page.evaluate(f"setTimeout(() => {{ location.href = '{bill}'; }})")
        open_.until(held, 2)
        old, new = held
        old.fulfill(headers={"HX-Redirect": "/visits/v1/story"})
        page.wait_for_timeout(200)
        new.continue_()
        page.wait_for_url(re.compile("/(bill|story)$"))
        assert page.url == bill


def test_whoever_stayed_after_all_is_led_on(browser: Browser) -> None:
    """She tapped on what opens no page (a number, a file) just before she was led on: it is asked for again."""
    asked: list[str] = []

    def lead(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(headers={"HX-Redirect": "/visits/v1/story"})

    with guide(browser) as open_:
        page = open_.page
        page.route(open_.address, lead)
        page.evaluate("Math.random = () => 0.02")
        page.clock.install()
        page.evaluate("dispatchEvent(new Event('beforeunload'))")
        open_.ahead(3)
        open_.until(asked, 2)
        assert page.url == open_.address
        page.clock.fast_forward(8000)
        page.wait_for_url("**/story")
