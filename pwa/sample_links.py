"""Sample pages of pay links, of a payer's own limits, and of a pay sheet with several people to choose from."""

from dataclasses import replace

from pwa import views as v
from pwa.pay_views import LimitsForm, LinkPage, LinkRow, LinkSheet, PaidList, PaidRow
from pwa.sample_morning import CARDS, GRANTS, HEAD, HEAD_MASKED, HOSPITAL, ME, MOTHER, Sample, at
from words.pay import AskFirst, Taking
from words.pay import Limits as Words

_PEOPLE = (
    v.Person("p0", "本人", "示例乙"),
    v.Person("p1", "妈妈", "示**"),
    v.Person("p2", "爸爸", "示*"),
    v.Person("p3", "孩子", "示**"),
)
_OTHERS = (v.Person("p8", "爸爸", "示*"), v.Person("p9", "孩子", "示**"))
_SHEET = v.PaySheet(
    HEAD_MASKED,
    7760,
    (),
    7760,
    (v.PayChoice("wechat", True),),
    "a1",
    0,
    for_other=True,
    patient_id="p1",
    whom="妈妈",
    people=_PEOPLE,
    share_url="/s",
    link_url="/l",
    limits_url="/m",
)
_LINK = LinkPage("k3v9", HOSPITAL, "示**", 7760, "open", at(10, 24, 1))
_GOING = replace(_LINK, state="waiting", h5_url="/h5", check_url="/c", cancel_url="/x")
_LIMITS = LimitsForm(
    "p1", "妈妈 示**", {"payment": "300", "day": "500", "month": ""}, "ready", "100", left=Words.now(12220)
)


_TAKING = Taking.says("示**", HOSPITAL, 7760, at(12, 20), at(10, 20))


def samples() -> dict[str, Sample]:
    """These pages by name."""
    return {**_family(), **_links()}


def _family() -> dict[str, Sample]:
    home = v.Home(
        ME,
        (ME, MOTHER, *_OTHERS),
        (),
        CARDS,
        HOSPITAL,
        invitations=(
            v.Invitation("consent", "/c", "您女儿 示** ", 7760, HOSPITAL),
            v.Invitation("ready", "/a", "妈妈 示** ", 7760, HOSPITAL),
            v.Invitation("ask", "/b", "爸爸 示* ", 41760, HOSPITAL),
            v.Invitation("taking", "/t", "妈妈 示** ", 7760, HOSPITAL),
            v.Invitation("bind", "/c", "儿子 示* "),
        ),
    )
    held = replace(GRANTS[0], who="示**", relation="妈妈", limits_url="/m")
    return {
        "family-payer": Sample("family.html", v.Family(ME, (), (held,), ()), v.Nav("family")),
        "receipt-link": Sample(
            "receipt.html",
            v.Receipt(
                HEAD,
                7760,
                (v.PayPart("wechat", 7760),),
                (),
                at(10, 23),
                "收到链接的人",
                "R20261120-0007",
                from_where="收到的链接，手机浏览器",
            ),
        ),
        "payments": Sample(
            "payments.html",
            PaidList(
                (
                    PaidRow("妈妈 示**", HOSPITAL, 7760, at(10, 23), "/r"),
                    PaidRow("爸爸 示*", HOSPITAL, 41760, at(9, 0, -20), "/r", 2000),
                    PaidRow("家人 示**", HOSPITAL, 3000, at(9, 0, -30), None, 3000),
                )
            ),
        ),
        "payments-none": Sample("payments.html", PaidList(())),
        "home-asked": Sample("home.html", home, v.Nav("home")),
        "visits-several": Sample("visits.html", v.Visits(MOTHER, CARDS, people=(ME, MOTHER, *_OTHERS))),
        "pay-asked": Sample("pay.html", replace(_SHEET, left=Words.now(12220), decline_url="/no")),
        "pay-over": Sample("pay.html", replace(_SHEET, over=True, left=Words.left("day", 50000, 4000, 3000))),
        "pay-ask-first": Sample(
            "pay.html", replace(_SHEET, ask_first=AskFirst.says("must", "妈妈"), ask_url="/ask", link_url=None)
        ),
        "pay-ask-waiting": Sample("pay.html", replace(_SHEET, ask_first=AskFirst.says("waiting", "妈妈"))),
        "pay-answer": Sample(
            "ask.html",
            v.Ask(
                AskFirst.title,
                (AskFirst.wishes("您女儿 示**", 7760, HOSPITAL), AskFirst.after),
                "/x",
                AskFirst.answer,
                "/",
                AskFirst.choices,
                AskFirst.look,
            ),
        ),
    }


def _links() -> dict[str, Sample]:
    rows = (
        LinkRow("l1", 7760, at(10, 2), "open", open=True),
        LinkRow("l2", 3000, at(9, 50), "paid", at(9, 58), "微信里"),
        LinkRow("l3", 7760, at(9, 30), "gone"),
    )
    return {
        "limits": Sample("limits.html", _LIMITS),
        "limits-wrong": Sample("limits.html", replace(_LIMITS, left=None, error=Words.wrong)),
        "limits-saved": Sample("limits.html", replace(_LIMITS, saved=True)),
        "limits-auto": Sample("limits.html", replace(_LIMITS, after_visit="auto", contract="signed")),
        "limits-unsigned": Sample("limits.html", replace(_LIMITS, contract="none")),
        "ask-taking": Sample("ask.html", v.Ask(Taking.title, _TAKING, "/x", Taking.not_now, "/", keep=Taking.keep)),
        "ask-contract": Sample(
            "ask.html",
            v.Ask(Taking.sign_title, Taking.sign_says, "/x", Taking.sign_go, "/", leaves=True, keep=Taking.sign_keep),
        ),
        "links": Sample("links.html", LinkSheet(HEAD, 7760, None, rows)),
        "links-none": Sample("links.html", LinkSheet(HEAD, 0, None, rows[1:])),
        "links-made": Sample(
            "links.html", LinkSheet(HEAD, 7760, None, (), "http://127.0.0.1/l/k3v9", "/qr.png", at(10, 24, 1))
        ),
        "pay-link": Sample("pay_link.html", _LINK),
        "pay-link-browser": Sample("pay_link.html", replace(_LINK, need_browser=True)),
        "pay-link-waiting": Sample("pay_link.html", _GOING),
        "pay-link-unknown": Sample("pay_link.html", replace(_GOING, state="unknown", h5_url=None, hospital="")),
        "pay-link-closed": Sample("pay_link.html", replace(_GOING, state="closed", h5_url=None, hospital="")),
        "pay-link-paid": Sample(
            "pay_link.html", replace(_LINK, state="paid", paid_at=at(10, 20), number="R20261120-0007")
        ),
        "pay-link-busy": Sample("pay_link.html", replace(_LINK, state="busy")),
        "pay-link-changed": Sample("pay_link.html", replace(_LINK, state="changed")),
        "pay-link-settled": Sample("pay_link.html", replace(_LINK, state="settled")),
    }
