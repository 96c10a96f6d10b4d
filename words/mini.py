"""The sentences of the mini-program, picked from those of the pages; ``{at}`` and the like are filled on the phone."""

from typing import Any

from words import errors
from words.patient import Bill, Common, Home, Login, Pass
from words.pay import Pay

OFFLINE = "网络不通。连上后会自己更新，就诊码照样能用。"
AWAY = "正在连上医院"
TO_PAY = "去付款"
TO_BILL = "看账单"
PAY_NOW = "用微信付"
ORDERED = "还没做，不收钱。"  # nothing can be cancelled in the program


def tree() -> dict[str, Any]:
    """All of them, as the program reads them."""
    return {
        "elder": Common.elder,
        "standard": Common.standard,
        "call": Common.call,
        "none": Home.none,
        "offline": OFFLINE,
        "unavailable": errors.KINDS["unavailable"],
        "day": {"0": "今天", "1": "明天", "-1": "昨天", "date": "{month}月{day}日", "far": "{year}年{month}月{day}日"},
        "login": {
            "link": Login.link_wechat,
            "phone": Login.phone,
            "send": Login.send,
            "again": Login.again,
            "sent": Login.sent("{to}"),
            "code": Login.code,
            "enter": Login.enter,
            "who": Login.who,
            "enrol": Login.enrol,
            "name": Login.name,
            "number": Login.id_number,
            "enrolGo": Login.enrol_go,
        },
        "bill": {
            "total": Bill.total,
            "later": Bill.own_later,
            "paidAll": Bill.paid_all,
            "paid": Bill.paid,
            "due": Bill.due("{at}"),
            "live": Bill.live,
            "away": AWAY,
            "pay": TO_PAY,
            "piles": Bill.piles,
            "says": {**Bill.pile_says, "ordered": ORDERED},
            "tags": Bill.tags,
        },
        "pass": {
            "title": Pass.title,
            "alt": Pass.alt,
            "fresh": Pass.fresh,
            "kept": Pass.kept,
            "number": Pass.number,
        },
        "pay": {
            "check": Pay.check,
            "forWhom": Pay.for_whom,
            "hospital": Pay.hospital,
            "once": Pay.no_more,
            "go": PAY_NOW,
            "back": TO_BILL,
            "title": {**Pay.waiting, "settled": Pay.waiting["already"]},
            "says": {**Pay.waiting_says, "settled": Pay.receipt_says},
        },
    }
