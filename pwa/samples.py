"""Believable pages of an invented morning at an invented hospital, to look at and to test with; nobody here is real."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from pwa import (
    sample_binding,
    sample_booking,
    sample_counter,
    sample_first,
    sample_guide,
    sample_insurance,
    sample_links,
    sample_receipts,
    sample_sheet,
    sample_ways,
)
from pwa import views as v
from pwa.reminder_views import CallerCheck, Reminders
from pwa.sample_books import books
from pwa.sample_morning import (
    CALLS,
    CANCELLED,
    CARDS,
    CATEGORIES,
    DONE,
    GRANTS,
    HEAD,
    HEAD_MASKED,
    HOSPITAL,
    ME,
    MOTHER,
    NOW,
    ORDERED,
    ORDERS,
    PARTS,
    PHONE,
    REASONS,
    REGIONS,
    RELATIONS,
    STEPS,
    SUMS,
    WAYS,
    Sample,
    at,
    line_row,
    step_row,
)
from pwa.sample_states import states
from pwa.sample_ways import floors
from words import choices, errors, messages
from words.binding import DOCUMENTS
from words.guide_way import WITH_STEPS
from words.pages import Pages

__all__ = ["HEAD", "NOW", "PHONE", "Sample", "line_row", "samples", "step_row"]


def _patient() -> dict[str, Sample]:
    today = v.VisitCard("v1", HOSPITAL, "心血管内科", at(9, 0), "open", "DEFERRED", 0, next_step="2 楼抽血处，抽血")
    nav = v.Nav("bill", "v1")
    open_ = v.VisitState("open", "DEFERRED")
    bill = v.Bill(
        HEAD,
        v.VisitState("ended", "DEFERRED", at(16, 20, 1), at(16, 20)),
        SUMS,
        DONE,
        ORDERED,
        CANCELLED,
        None,
        can_leave=True,
    )
    unknown = v.PaymentNote("unknown", 7760, "您女儿", at(10, 20))
    zero = v.Sums(0, 0, 0, 0, 0, 0, 0)
    return {
        "home": Sample("home.html", v.Home(ME, (ME, MOTHER), (today,), CARDS, HOSPITAL), v.Nav("home", "v1")),
        "home-empty": Sample(
            "home.html",
            v.Home(
                ME, (ME,), (), (), HOSPITAL, "h1", invitations=(v.Invitation("pay", "/a", "您妈妈", 7760, HOSPITAL),)
            ),
            v.Nav("home"),
        ),
        "login": Sample("login.html", v.Login(wechat_url="/wechat")),
        "login-code": Sample("login.html", v.Login("13800006027", "138****6027", errors.sentence("wrong_code"))),
        "bill": Sample("bill.html", bill, nav),
        "bill-empty": Sample("bill.html", v.Bill(HEAD, open_, zero, (), (), (), None, insured=False), nav),
        "bill-unknown": Sample(
            "bill.html",
            v.Bill(HEAD, open_, replace(SUMS, payable_fen=0, planned_fen=0), DONE, (), (), None, unknown),
            nav,
        ),
        "dispute": Sample(
            "ask.html",
            v.Ask(
                Pages.ask.dispute_title,
                ("肝肾功能 + 血脂，¥126.00。", *Pages.ask.dispute),
                "/x",
                Pages.ask.dispute_button,
                "/y",
                Pages.ask.dispute_reasons,
                Pages.ask.dispute_why,
                Pages.ask.note,
                once="dispute:3",
            ),
        ),
        "leave": Sample(
            "ask.html",
            v.Ask(
                Pages.ask.leave_title,
                Pages.ask.leave(19400, 24000),
                "/x",
                Pages.ask.leave_button,
                "/y",
                once="leave:v1",
            ),
        ),
    }


def _on_the_way() -> dict[str, Sample]:
    return {
        "guide": Sample(
            "guide.html",
            v.Guide(
                HEAD,
                STEPS[1],
                STEPS,
                None,
                ("出电梯，直走 20 米。", "到十字路口右转，走 40 米。", "左手边就是抽血处。"),
                "约2–3分钟",
                "大约 10:40–11:00 轮到您",
                "医院 10:05 说的，后来可能变了",
                floors("way"),
                "出电梯，直走20米。到十字路口右转，走40米。左手边就是抽血处。",
                (WITH_STEPS, "?"),
                "/ways",
                True,
                True,
                "/sheet",
                where_url="/where",
                plan=(
                    "先抽血：空腹，结果要45分钟。",
                    "再腹部彩超：空腹，离得近。",
                    "最后泌尿系彩超：要憋尿，约10:05以后能做。",
                ),
                plan_note="排队的人数是20分钟前的，时间只能估个大概。",
            ),
            v.Nav("guide", "v1"),
        ),
        "guide-empty": Sample("guide.html", v.Guide(HEAD, None, (), None), v.Nav("guide", "v1")),
        "pass": Sample(
            "pass.html", v.Pass(HEAD, "8426 1093 55", "/qr.png", "/qr.png", deferred=True, ahead=2), v.Nav("pass", "v1")
        ),
        "pass-kept": Sample("pass.html", v.Pass(HEAD, "8426 1093 55", "/qr.png"), v.Nav("pass", "v1")),
        "pay": Sample(
            "pay.html",
            v.PaySheet(HEAD_MASKED, 19400, PARTS, 7760, WAYS, "a1", 4, open_in_wechat="weixin://dl/business"),
        ),
        "paying": Sample(
            "paying.html", v.Paying("a1", HEAD, "offered", 7760, "/c", invoke={"appId": "wx0"}, h5_url="/h5")
        ),
        "paying-unknown": Sample("paying.html", v.Paying("a1", HEAD, "unknown", 7760, "/c")),
        "paying-already": Sample("paying.html", v.Paying("a1", HEAD, "already", 7760, "/c", payer_label="您女儿")),
        "receipt": Sample(
            "receipt.html",
            v.Receipt(
                HEAD, 7760, (*PARTS, v.PayPart("wechat", 7760)), DONE, NOW, "您女儿", "R20261120-0007", pdf_url="/r"
            ),
        ),
        "visits": Sample("visits.html", v.Visits(ME, CARDS, "/older")),
        "settings": Sample(
            "settings.html", v.Settings("138****6027", (("h1", HOSPITAL, at(9, 0, -20)),), (ME, MOTHER), REMINDERS)
        ),
        "caller": Sample("caller.html", CallerCheck(((HOSPITAL, "4821", at(10, 40)),))),
    }


REMINDERS = Reminders(
    frozenset({"visit", "family"}), frozenset({"wechat", "sms"}), ("wechat", "web_push", "sms"), push_key="BPx"
)


def _family() -> dict[str, Sample]:
    return {
        "family": Sample(
            "family.html",
            v.Family(
                ME,
                GRANTS,
                (GRANTS[1],),
                (
                    v.Look("女儿 示**", "看了检查进度", at(9, 32), at(10, 17), 4),
                    v.Look("女儿 示**", "看了账单", at(10, 2)),
                ),
            ),
            v.Nav("family", "v1"),
        ),
        "family-empty": Sample("family.html", v.Family(ME, (), (), ()), v.Nav("family", "v1")),
        "family-shut": Sample("family.html", v.Family(ME, GRANTS[:1], (), (), shares=False), v.Nav("family")),
        "choices": Sample(
            "choices.html",
            v.Choices(
                ME,
                (
                    v.ChoiceRow("share", choices.NAMES["share"], choices.SAYS["share"], False, at(9, 32), "2026-2"),
                    v.ChoiceRow("credit", choices.NAMES["credit"], choices.SAYS["credit"], True, at(9, 2), "2026-2"),
                    v.ChoiceRow("location", choices.NAMES["location"], choices.SAYS["location"], None),
                ),
                (("h1", HOSPITAL, at(9, 0, -20)),),
                ("女儿 示**", "儿子 示**"),
                ((at(9, 32), "分享给家人", False), (at(9, 0), "分享给家人", True)),
            ),
        ),
        "invite": Sample(
            "invite.html",
            v.Invite(ME, relations=RELATIONS, categories=CATEGORIES, visit_id="v1", agrees=False),
        ),
        "invite-qr": Sample("invite.html", v.Invite(ME, "http://127.0.0.1/bind/k3v9", "/qr.png", at(10, 24, 1))),
        "bind": Sample("bind.html", v.Bind("k3v9", "示例甲", "女儿", True, True, "bill", 50000, None, True)),
        **sample_binding.claims(),
        **_companion(),
    }


def _companion() -> dict[str, Sample]:
    entries = [
        v.StoryEntry("s2-checked_in", 5, at(10, 18), "到了，等叫号：抽血", "2 楼抽血处"),
        v.StoryEntry("c4-billable", 4, at(9, 40), "心电图已做完，记入账单", None, 3000),
        v.StoryEntry("s4-result", 3, at(9, 38), "结果出来了：心电图"),
        v.StoryEntry("s1-performed", 2, at(9, 12), "做完了：看医生"),
        v.StoryEntry("v-open", 1, at(9, 0), "到了医院，开始看病"),
    ]
    said = (
        v.Word("w2", 7, at(10, 19), "女儿", messages.TO_PATIENT["here"]),
        v.Word("w1", 6, at(10, 16), "您", messages.TO_FAMILY["waiting"]),
    )
    return {
        "companion": Sample(
            "companion.html",
            v.Companion(
                HEAD,
                "妈妈",
                "到了，等叫号：抽血 · 前面 3 人",
                entries,
                None,
                True,
                SUMS,
                True,
                "13800000000",
                next=STEPS[1],
                turn=Pages.companion.turn("10:25", "10:45", passed=False),
                heard=Pages.companion.heard("10:20", old=False),
                done=(2, 5),
                map=floors("f")[-1][1],
                talk=v.Talk("/x", said, tuple(messages.TO_PATIENT.items()), Pages.companion.talk),
            ),
        ),
        "companion-own": Sample(
            "companion.html",
            v.Companion(
                HEAD,
                "本人",
                "到了，等叫号：抽血 · 前面 3 人",
                entries,
                None,
                sums=SUMS,
                next=STEPS[1],
                done=(2, 5),
                talk=v.Talk("/x", said, tuple(messages.TO_FAMILY.items()), Pages.companion.talk_family, "慢一点。"),
                watchers=(v.Watcher("女儿 示**", Pages.family.depth["bill"]),),
            ),
        ),
        "companion-closed": Sample("companion.html", v.Companion(HEAD, "妈妈", "", (), None, False)),
    }


def _letter() -> dict[str, Sample]:
    return {
        "letter": Sample(
            "letter.html", v.Letter("r1", HOSPITAL, "先诊疗后付费信用承诺书", "2026 年 1 版", REGIONS, 8, 20)
        ),
        "letter-single": Sample(
            "letter.html",
            v.Letter(
                "r1",
                HOSPITAL,
                "先诊疗后付费信用承诺书",
                "2026 年 1 版",
                REGIONS,
                8,
                20,
                0,
                errors.sentence("read_delay", seconds=8),
            ),
        ),
        "sign": Sample("sign.html", v.Sign("r1", HOSPITAL, "示例甲", "138****6027")),
        "sign-code": Sample(
            "sign.html", v.Sign("r1", HOSPITAL, "示例甲", "138****6027", True, RELATIONS, "138****6027")
        ),
        "signed": Sample("signed.html", v.Signed(HOSPITAL, "v1", "/p", 24, True)),
        "sign-guardian": Sample(
            "sign.html",
            v.Sign("r1", HOSPITAL, "示例庚", "138****6027", nonce="n", reasons=REASONS, signs_for="示例庚"),
        ),
        "elsewhere": Sample("elsewhere.html", v.Elsewhere(HOSPITAL, "示**", "/qr.png", back="/letter")),
        "elsewhere-on": Sample("elsewhere.html", v.Elsewhere("", "", token="k3v9")),  # noqa: S106 - a sample
        "withdraw": Sample("withdraw.html", v.Withdraw("h1", HOSPITAL, "示例甲")),
        "desk-letters": Sample("desk_letters.html", v.DeskLetters(HOSPITAL, (("c1", "示例甲", at(9, 21)),))),
    }


def _system() -> dict[str, Sample]:
    frames = [v.Frame(t, "/frame") for t in ("妈妈的手机", "女儿的手机", "陪着看的人", "抽血处工作台")]
    return {
        "desk": Sample("desk.html", v.Desk(HOSPITAL, "检验科", "3 号", ORDERS, CALLS, undo=("4", "血糖已执行。"))),
        "desk-empty": Sample(
            "desk.html", v.Desk(HOSPITAL, "检验科", "3 号", (), (), error=errors.sentence("pass_expired"))
        ),
        "desk_visit": Sample(
            "desk_visit.html",
            v.DeskVisit(
                HEAD,
                "8426109355",
                False,
                7760,
                False,
                "/s",
                "/p",
                "/l",
                (),
                True,
                True,
                Pages.desk_visit.relations,
                documents=tuple(DOCUMENTS.items()),
                invite_url="/i",
                phone_url="/h",
            ),
        ),
        "desk_login": Sample("desk_login.html", v.DeskLogin(HOSPITAL)),
        "offline": Sample("offline.html", v.Offline("/visits/v1/pass")),
        "error": Sample(
            "error.html",
            v.ErrorPage("already_paid", errors.title("conflict", "already_paid"), errors.sentence("already_paid"), 409),
        ),
        "stage": Sample(
            "stage.html", v.Stage(frames, "抽血做完了，女儿的手机上马上看到。", 7, 18, False, 1, "/demo/do")
        ),
    }


@cache
def samples() -> Mapping[str, Sample]:
    """Every page by name; made once, for they hold pictures of codes, which take longer than drawing all pages."""
    return {
        **_patient(),
        **_on_the_way(),
        **_family(),
        **_letter(),
        **_system(),
        **states(),
        **books(),
        **sample_binding.samples(),
        **sample_counter.samples(),
        **sample_booking.samples(),
        **sample_first.samples(),
        **sample_receipts.samples(),
        **sample_ways.samples(),
        **sample_insurance.samples(),
        **sample_links.samples(),
        **sample_sheet.samples(),
        **sample_guide.samples(),
    }
