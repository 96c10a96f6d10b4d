"""A page grown by pushes is the page drawn afresh: in order, replayed, after a reconnect, in a real browser."""

import json
import time

import pytest
from playwright.sync_api import Browser

from pwa.fragments import render_row
from pwa.samples import NOW, line_row, step_row
from pwa.views import Show
from tests.pwa.grown import QUIET, SEEN, Hospital, hospital, open_page, same, sums, truth


def _morning(visit: Hospital) -> None:
    """Ordered, ordered, one done, one given up, one disputed, paid."""
    visit.push("bill.line", line=line_row(1, "血常规", 2000, "ordered", "planned", rank=1), sums=sums(0, 2000))
    visit.push("bill.line", line=line_row(2, "心电图", 3000, "ordered", "planned", rank=2), sums=sums(0, 5000))
    visit.push("bill.line", line=line_row(3, "尿常规", 800, "ordered", "planned", rank=3), sums=sums(0, 5800))
    visit.push("bill.line", line=line_row(2, "心电图", 3000, "done", "billable", rank=4), sums=sums(3000, 2800))
    visit.push("bill.line", line=line_row(1, "血常规", 2000, "done", "billable", rank=5), sums=sums(5000, 800))
    visit.push("bill.line", line=line_row(3, "尿常规", 800, "cancelled", "aborted", rank=6), sums=sums(5000, 0))
    # A change inside its pile keeps the rank, and so the place: below 血常规.
    visit.push("bill.line", line=line_row(2, "心电图", 3000, "done", "disputed", rank=4), sums=sums(2000, 0))
    visit.push(
        "visit", visit={"state": "ended", "mode": "DEFERRED", "due_at": NOW.isoformat(), "ended_at": NOW.isoformat()}
    )


@pytest.mark.browser
def test_bill_grown_by_pushes_equals_a_fresh_one(browser: Browser) -> None:
    """The bill lies open while the morning happens: piles, order, sums, bar and due time are those of a fresh GET."""
    with hospital() as (base, visit):
        address = f"{base}/visits/v1/bill"
        context, page = open_page(browser, address, visit)
        with context:
            visit.push("bill.line", line=line_row(1, "血常规", 2000, "ordered", "planned", rank=1), sums=sums(0, 2000))
            truth(page, "document.querySelector('#more').textContent.includes('现在就走')")
            same(browser, page, address)
            _morning(visit)
            truth(page, "document.querySelector('#visit').textContent.includes('请在')")
            assert page.eval_on_selector_all("#list-done > li", "x => x.map(e => e.id)") == ["c1", "c2"]
            assert page.eval_on_selector_all("#list-cancelled > li", "x => x.map(e => e.id)") == ["c3"]
            assert page.locator("#list-ordered > li").count() == 0
            assert page.locator("#paybar").inner_text().split("去付款")[1].strip() == "¥10.00"
            same(browser, page, address)
            visit.push(
                "payment",
                payment={"state": "settled", "amount_fen": 1000, "payer_label": "您女儿", "at": NOW.isoformat()},
                sums=sums(2000, 0, 1000),
            )
            truth(page, "document.querySelector('#payment').textContent.includes('付好了')")
            same(browser, page, address)
            assert page.locator("#more").inner_text() == "收据"


@pytest.mark.browser
def test_replay_after_a_cut_changes_and_says_nothing_twice(browser: Browser) -> None:
    """The line drops and the server says its last five rows again: same page, each fact heard once in all."""
    with hospital() as (base, visit):
        address = f"{base}/visits/v1/bill"
        context, page = open_page(browser, address, visit)
        with context:
            _morning(visit)
            truth(page, "document.querySelector('#visit').textContent.includes('请在')")
            truth(page, QUIET)
            before, heard = page.evaluate(SEEN), len(page.evaluate("heard"))
            assert heard >= 1
            with visit.bell:
                visit.replay, visit.cut = 1, visit.cut + 1
                visit.bell.notify_all()
            until = time.monotonic() + 15
            while visit.connections < 2 and time.monotonic() < until:
                page.wait_for_timeout(50)
            assert visit.connections == 2
            page.wait_for_timeout(400)
            truth(page, QUIET)
            assert page.evaluate(SEEN) == before
            assert len(page.evaluate("heard")) == heard, "a replayed fact was announced again"
            with visit.bell:
                visit.replay, visit.cut = 5, visit.cut + 1
                visit.bell.notify_all()
            while visit.connections < 3 and time.monotonic() < until + 15:
                page.wait_for_timeout(50)
            visit.push("bill.line", line=line_row(9, "血糖", 600, "done", "billable", rank=9), sums=sums(2600, 0))
            truth(page, "document.querySelector('#c9')")
            assert (
                page.evaluate(
                    "[...document.querySelectorAll('[id]')].map(e => e.id).filter((x, i, all) => all.indexOf(x) !== i)"
                )
                == []
            )
            same(browser, page, address)


@pytest.mark.browser
def test_an_open_proof_stays_open_and_keeps_the_focus(browser: Browser) -> None:
    """Grandmother is reading who took her blood when the line changes: it stays open under her finger."""
    with hospital() as (base, visit):
        visit.push("bill.line", line=line_row(1, "血常规", 2000, "done", "billable", rank=1), sums=sums(2000, 0))
        context, page = open_page(browser, f"{base}/visits/v1/bill", visit)
        with context:
            page.locator("#c1 summary").click()
            assert page.locator("#c1 .proof").is_visible()
            visit.push("bill.line", line=line_row(1, "血常规", 2000, "done", "disputed", rank=1), sums=sums(0, 0))
            truth(page, "document.querySelector('#c1').textContent.includes('在核对')")
            assert page.locator("#c1 .proof").is_visible()
            assert page.evaluate("document.activeElement.closest('li')?.id") == "c1"


@pytest.mark.browser
def test_guide_and_story_grown_by_pushes_equal_fresh_ones(browser: Browser) -> None:
    """The patient's guide and the daughter's story lie open while blood is drawn: both end as fresh GETs."""
    with hospital() as (base, visit):
        opened = []
        for surface in ("guide", "story"):
            visit.connections = 0
            opened.append((surface, *open_page(browser, f"{base}/visits/v1/{surface}", visit)))
        for n, (step, name, state) in enumerate(
            [
                (1, "抽血", "placed"),
                (2, "心电图", "placed"),
                (1, "抽血", "checked_in"),
                (1, "抽血", "called"),
                (1, "抽血", "performed"),
            ]
        ):
            at = NOW.replace(minute=n).isoformat()
            visit.push("step", step=step_row(step, name, "2 楼抽血处", state, at=at, ahead=2))
        visit.push(
            "bill.line",
            line=line_row(1, "抽血", 2000, "done", "billable", rank=1, executed_at=NOW.replace(minute=9).isoformat()),
            sums=sums(2000, 0),
        )
        for surface, context, page in opened:
            with context:
                last = {
                    "guide": "document.querySelector('#now').textContent.includes('心电图')",
                    "story": "document.querySelector('#t-c1-billable')",
                }
                truth(page, last[surface])
                same(browser, page, f"{base}/visits/v1/{surface}")
                if surface == "story":
                    assert page.locator("#list-story > li").first.get_attribute("id") == "t-c1-billable"
                    assert page.locator("#status").inner_text() == "做完了：抽血"
                    assert "诊" not in json.dumps(page.locator("#list-story").inner_text(), ensure_ascii=False)


def test_message_is_one_line_and_names_its_targets() -> None:
    """An SSE message must be one line; a companion without the bill gets no amount from any row."""
    row = {
        "kind": "bill.line",
        "data": {"line": line_row(1, "血常规", 2000, "done", "billable"), "sums": sums(2000, 0)},
    }
    html = render_row(row, Show("v1", NOW, "bill", may_act=True, may_pay=True))
    assert "\n" not in html
    assert [t for t in ("incoming", "sums", "paybar", "note") if f'hx-target="#{t}"' in html] == [
        "incoming",
        "sums",
        "paybar",
        "note",
    ]
    assert render_row(row, Show("v1", NOW, "story", money=False)) == ""
    assert "20.00" not in render_row(row, Show("v1", NOW, "guide", money=False))
    assert render_row(row, Show("v1", NOW, "bill", may_act=False)).count("/dispute") == 0
