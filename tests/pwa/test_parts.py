"""A part of a page that asks for itself misses nothing, shows nothing old, and fetches nobody back."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import APIResponse, Browser, Route

from pwa.samples import NOW, step_row
from tests.pwa.grown import hospital, open_page, same, truth


@pytest.mark.browser
def test_what_comes_while_the_page_asks_is_seen(browser: Browser) -> None:
    """The guide asks for its next step, the answer takes a while, and more happens meanwhile: none of it is lost."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = open_page(browser, address, visit)
        with context:
            visit.takes = [0.5]
            for n, ahead in enumerate((5, 3, 1)):
                at = NOW.replace(minute=n).isoformat()
                visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=at, ahead=ahead))
                truth(page, f"document.querySelector('#list-steps').textContent.includes('{ahead}')")
                page.wait_for_timeout(150)
            same(browser, page, address)


@pytest.mark.browser
def test_what_comes_the_moment_a_part_is_replaced_is_seen(browser: Browser) -> None:
    """The new part listens from the moment it stands there: what is told in that very moment, it asks for."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = open_page(browser, address, visit)
        with context:
            page.evaluate(
                "() => { const old = document.querySelector('#now'); new MutationObserver((_, me) => {"
                " if (old.isConnected) return; me.disconnect(); htmx.trigger(document.body, 'placed-steps'); })"
                ".observe(old.parentNode, {childList: true}); }"
            )
            asked: list[str] = []
            page.on("request", lambda request: asked.append(request.url))
            visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=3))
            truth(page, "document.querySelector('#now').textContent.includes('前面 3 人')")
            page.wait_for_timeout(200)
            assert asked.count(address) == 2


@pytest.mark.browser
def test_a_part_that_got_no_answer_asks_again(browser: Browser) -> None:
    """The row came, and the line broke before the guide was told what it means; then the hospital's house was full."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = open_page(browser, address, visit)
        troubles: list[Callable[[Route], None]] = [lambda r: r.abort(), lambda r: r.fulfill(status=503, body="满了")]
        asked: list[str] = []

        def meet(route: Route) -> None:
            asked.append(route.request.url)
            if troubles:
                troubles.pop(0)(route)
            else:
                route.continue_()

        with context:
            page.route(address, meet)
            page.evaluate("Math.random = () => 0")
            visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=3))
            truth(page, "document.querySelector('#now').textContent.includes('前面 3 人')")
            same(browser, page, address)
            assert len(asked) == 3


@pytest.mark.browser
def test_an_earlier_question_replaces_no_later_answer(browser: Browser) -> None:
    """Two questions about the same part are out at once, and the first is answered last, with what was true before."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = open_page(browser, address, visit)
        held: list[tuple[Route, APIResponse]] = []
        ask = """([at, source]) => {
          htmx.ajax('GET', at, { source, target: '#now', select: '#now', swap: 'outerHTML' });
        }"""
        with context:
            page.route(re.compile("earlier"), lambda route: held.append((route, route.fetch())))
            page.evaluate(ask, [f"{address}?earlier", "body"])
            for _ in range(200):
                if held:
                    break
                page.wait_for_timeout(20)
            visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=2))
            page.evaluate(ask, [f"{address}?later", "html"])
            truth(page, "document.querySelector('#now').textContent.includes('前面 2 人')")
            ((route, answer),) = held
            with page.expect_event("requestfinished", lambda request: request.url.endswith("?earlier")):
                route.fulfill(response=answer)
            page.wait_for_timeout(100)
            same(browser, page, address)


@pytest.mark.browser
def test_the_answer_to_an_act_is_shown_whatever_was_asked_meanwhile(browser: Browser) -> None:
    """Somebody presses, the page asks for the same part, and is told first what was true before the press."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = open_page(browser, address, visit)
        held: list[Route] = []
        ask = """([method, at, source]) => {
          htmx.ajax(method, at, { source, target: '#now', select: '#now', swap: 'outerHTML' });
        }"""
        with context:
            page.route(re.compile("press"), lambda route: held.append(route))
            page.evaluate(ask, ["POST", f"{address}?press", "body"])
            for _ in range(200):
                if held:
                    break
                page.wait_for_timeout(20)
            page.evaluate("document.querySelector('#now').dataset.old = ''")
            page.evaluate(ask, ["GET", f"{address}?before", "html"])
            truth(page, "!('old' in document.querySelector('#now').dataset)")
            (route,) = held
            route.fulfill(body=page.content().replace("前面 9 人", "前面 4 人"), content_type="text/html")
            truth(page, "document.querySelector('#now').textContent.includes('前面 4 人')")


@pytest.mark.browser
def test_whoever_has_left_is_not_fetched_back(browser: Browser) -> None:
    """She taps on; before the next page comes, the old one is told to go somewhere else: she gets where she tapped."""
    with hospital() as (base, visit):
        visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=9))
        address = f"{base}/visits/v1/guide"
        context, page = open_page(browser, address, visit)
        held: dict[str, Route] = {}

        def wait_for(name: str) -> Route:
            for _ in range(200):
                if name in held:
                    break
                page.wait_for_timeout(20)
            return held[name]

        with context:
            both = re.compile("/visits/v1/(guide|bill)$")
            page.route(both, lambda route: held.update({route.request.url.rpartition("/")[2]: route}))
            visit.push("step", step=step_row(1, "抽血", "2 楼抽血处", "placed", at=NOW.isoformat(), ahead=3))
            wait_for("guide")
            page.evaluate(f"setTimeout(() => {{ location.href = '{base}/visits/v1/bill'; }})")
            wait_for("bill")
            held["guide"].fulfill(headers={"HX-Redirect": "/visits/v1/story"})
            page.wait_for_timeout(200)
            held["bill"].continue_()
            page.wait_for_url(re.compile("/(bill|story)$"))
            assert page.url.endswith("/bill")
