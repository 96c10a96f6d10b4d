"""Sample pages of what is paid before it is done."""

from dataclasses import replace

from pwa import counter_views as c
from pwa import views as v
from pwa.pay_views import FirstSheet
from pwa.sample_morning import DONE, HEAD, HOSPITAL, ME, ORDERED, SUMS, Sample, at
from words import errors

_FIRST = [replace(row, pay_first=True) for row in ORDERED]
_PAID = replace(_FIRST[0], id="c91", state="prepaid", pay_first=False, can_abandon=True)
_BUSY = replace(_FIRST[0], id="c92", state="prepaying", pay_first=False)
_BACK = replace(_FIRST[0], id="c93", pile="cancelled", state="aborted", pay_first=False, going_back=True)
_LET_IN = replace(DONE[0], id="c94", pay_first=True)


def samples() -> dict[str, Sample]:
    """These pages by name."""
    upfront = v.VisitState("open", "UPFRONT")
    sums = v.Sums(0, 0, 0, 0, 0, 72000, 0, 24000, 24000)
    bill = v.Bill(HEAD, upfront, sums, (), (*_FIRST, _PAID, _BUSY), (_BACK,), None, can_leave=True)
    beside = replace(SUMS, planned_fen=72000, first_fen=25200, prepaid_fen=24000)
    pay = v.PaySheet(
        HEAD, 24000, (), 24000, (v.PayChoice("wechat", chosen=True), v.PayChoice("family")),
        "a1", 1, share_url="/s", first=("c1",), items=[(row.name, row.self_fen) for row in _FIRST],
    )  # fmt: skip
    desk = c.DeskPay(
        HEAD, 16000, None, "new", shift=True, sheet="v1-0-0", first=(*_FIRST, _LET_IN), lines=[_FIRST[0].id]
    )
    card = v.VisitCard("v1", HOSPITAL, "心血管内科", at(9, 0), "open", "UPFRONT", 0, first_fen=24000)
    return {
        "home-first": Sample("home.html", v.Home(ME, (ME,), (card,), (), HOSPITAL), v.Nav("home", "v1")),
        "bill-first": Sample("bill.html", bill, v.Nav("bill", "v1")),
        "bill-first-beside": Sample(
            "bill.html",
            replace(bill, status=v.VisitState("open", "DEFERRED"), sums=beside, done=(*DONE, _LET_IN)),
            v.Nav("bill", "v1"),
        ),
        "first": Sample("first.html", FirstSheet(HEAD, (*_FIRST, _LET_IN), [_FIRST[0].id], "/p")),
        "pay-first": Sample("pay.html", pay),
        "desk_pay-first": Sample("desk_pay.html", desk),
        "kiosk-first": Sample(
            "kiosk.html", c.Kiosk("owed", HOSPITAL, "示*甲", 16000, 2, 90, None, "k-00000001", first=True)
        ),
        "error-other-round": Sample(
            "error.html",
            v.ErrorPage(
                "other_round",
                errors.title("conflict", "other_round"),
                errors.sentence("other_round", "conflict"),
                409,
                "/b",
            ),
        ),
    }
