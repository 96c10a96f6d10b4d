"""Sample pages in their less usual states: each step of signing in, refusals, nothing there yet, papers, the desk."""

from dataclasses import replace

from pwa import views as v
from pwa.reminder_views import CallerCheck, Reminders
from pwa.sample_morning import (
    CALLS,
    DONE,
    GRANTS,
    HEAD,
    HEAD_MASKED,
    HOSPITAL,
    ME,
    MOTHER,
    ORDERS,
    PARTS,
    REGIONS,
    STEPS,
    SUMS,
    Sample,
    at,
)
from pwa.sample_shares import shared
from words import errors
from words import family as family_words
from words.desk import Troubles
from words.patient import Family as FamilyWords

QR = "/qr.png"
CATEGORIES = (("gynaecology", "妇科"), ("psychiatry", "心理科"), ("infection", "传染病"))
REFUSALS = {
    "error-gone": ("not_found", "not_found", 404),
    "error-not-eligible": ("not_eligible", "conflict", 409),
    "error-progress": ("attempt_in_progress", "conflict", 409),
    "error-too-many": ("too_many", "too_many", 429),
    "error-down": ("unavailable", "unavailable", 503),
    "error-slip": ("internal", "unavailable", 500),
}
OWED = v.Sums(0, 7760, 0, 0, 0, 0, 0)
NAMED = {"reason": "参保状态不正常", "who": "您女儿"}


def _signing_in() -> dict[str, Sample]:
    two = (("p1", "示*甲"), ("p2", "示*乙"))
    return {
        "login-plain": Sample("login.html", v.Login()),
        "login-sent": Sample("login.html", v.Login("13800006027", "138****6027")),
        "login-link": Sample("login.html", v.Login(ticket="t")),
        "login-who": Sample("login.html", v.Login(ticket="t", people=two)),
        "login-enrol": Sample("login.html", v.Login(ticket="t", enrol=True)),
        "login-enrol-wrong": Sample(
            "login.html", v.Login(ticket="t", enrol=True, error=errors.sentence("bad_id_number"))
        ),
        "login-late": Sample("login.html", v.Login(error=errors.sentence("login_expired"))),
        "desk_login-wrong": Sample("desk_login.html", v.DeskLogin(HOSPITAL, "d001", errors.sentence("wrong_pin"))),
    }


def _refusals() -> dict[str, Sample]:
    back = "/visits/v1/bill"
    return {
        name: Sample(
            "error.html",
            v.ErrorPage(code, errors.title(kind, code), errors.sentence(code, kind, **NAMED), status, back),
        )
        for name, (code, kind, status) in REFUSALS.items()
    }


def _visits() -> dict[str, Sample]:
    nav = v.Nav("bill", "v1")
    owed = v.VisitCard("v1", HOSPITAL, "心血管内科", at(9, 0), "ended", "DEFERRED", 7760, due_at=at(16, 20, 1))
    paid = v.VisitCard("v1", HOSPITAL, "心血管内科", at(9, 0), "settled", "DEFERRED", 0, 7760)
    upfront = v.VisitCard("v1", HOSPITAL, "心血管内科", at(9, 0), "open", "UPFRONT", 0)
    watched = v.VisitCard("v2", HOSPITAL, "心血管内科", at(9, 0), "open", "DEFERRED", 7760, watched=True)
    why_not = errors.sentence("not_eligible", **NAMED)
    settled = v.VisitState("settled", "DEFERRED")
    all_paid = replace(SUMS, payable_fen=0, paid_fen=7760, planned_fen=0)
    note = v.PaymentNote("settled", 7760, "您女儿", at(10, 20))
    unnamed = replace(HEAD, department=None, room=None, doctor=None)
    return {
        "home-owed": Sample("home.html", v.Home(ME, (ME,), (owed,), (), HOSPITAL), v.Nav("home", "v1")),
        "home-paid": Sample("home.html", v.Home(ME, (ME,), (paid,), (), HOSPITAL), v.Nav("home", "v1")),
        "home-not-eligible": Sample(
            "home.html", v.Home(ME, (ME,), (upfront,), (), HOSPITAL, why_not=why_not), v.Nav("home", "v1")
        ),
        "home-watched": Sample("home.html", v.Home(MOTHER, (ME, MOTHER), (watched,), (), HOSPITAL), v.Nav("home")),
        "visits-empty": Sample("visits.html", v.Visits(ME, ()), v.Nav("bill")),
        "bill-upfront": Sample(
            "bill.html",
            v.Bill(HEAD, v.VisitState("open", "UPFRONT"), replace(SUMS, payable_fen=0), DONE[:1], (), (), None),
            nav,
        ),
        "bill-paid": Sample("bill.html", v.Bill(HEAD, settled, all_paid, DONE, (), (), None, note), nav),
        "bill-daughter": Sample(
            "bill.html",
            v.Bill(
                HEAD_MASKED,
                v.VisitState("ended", "DEFERRED", at(16, 20, 1), at(16, 20)),
                SUMS,
                DONE,
                (),
                (),
                None,
                can_ask_family=False,
                can_act=False,
            ),
        ),
        "guide-called": Sample(
            "guide.html",
            v.Guide(HEAD, replace(STEPS[1], state="called", room="4 号窗口", ahead=None), STEPS, None, sheet_url="/s"),
            v.Nav("guide", "v1"),
        ),
        "pass-upfront": Sample("pass.html", v.Pass(unnamed, "8426 1093 55", QR, QR), v.Nav("pass", "v1")),
        "pass-over": Sample("pass.html", v.Pass(HEAD, "8426 1093 55", QR, over=True), v.Nav("pass", "v1")),
    }


def _asked() -> dict[str, Sample]:
    ask = v.Ask(
        "不想做了",
        ("心脏彩超", "取消后不收钱。"),
        "/x",
        "取消这一项",
        "/y",
        error=errors.sentence("order_already_performed"),
    )
    end = v.Ask(FamilyWords.end_title, (FamilyWords.end_says("示*丙"),), "/x", FamilyWords.end, "/family", danger=True)
    return {"abandon-late": Sample("ask.html", ask), "grant-end": Sample("ask.html", end)}


def _money() -> dict[str, Sample]:
    booking = v.Receipt(HEAD, 7760, (*PARTS, v.PayPart("wechat", 7760)), DONE, at(10, 23), "您", settling=True)
    private = v.Receipt(HEAD_MASKED, 7760, (v.PayPart("wechat", 7760),), (), at(10, 23), "您", "R20261120-0007")
    returned = (v.Returned(1260, at(10, 40), True), v.Returned(800, at(10, 45), False))
    return {
        "pay-private": Sample(
            "pay.html", v.PaySheet(HEAD_MASKED, 7760, (), 7760, (v.PayChoice("wechat", True),), "a1", 0, for_other=True)
        ),
        "pay-changed": Sample(
            "pay.html",
            v.PaySheet(
                HEAD,
                19400,
                PARTS,
                7760,
                (v.PayChoice("wechat", True), v.PayChoice("family")),
                "a1",
                4,
                error=errors.sentence("amount_changed", amount="¥77.60"),
            ),
        ),
        "paying-h5": Sample("paying.html", v.Paying("a1", HEAD, "offered", 7760, "/c", h5_url="/h", cancel_url="/x")),
        "paying-paid": Sample("paying.html", v.Paying("a1", HEAD, "paid", 7760, "/c")),
        "paying-closed": Sample("paying.html", v.Paying("a1", HEAD, "closed", 7760, "/c")),
        "paying-late": Sample("paying.html", v.Paying("a1", HEAD, "late", 7760, "/c")),
        "receipt-settling": Sample("receipt.html", booking),
        "receipt-returned": Sample("receipt.html", replace(private, returned=returned)),
        "receipt-private": Sample("receipt.html", private),
    }


def _family() -> dict[str, Sample]:
    opened = replace(GRANTS[0], opened=("妇科",), signs=True, until=at(23, 59))
    guard = v.GrantCard("g4", "示*庚", "孩子", True, True, "results", guards=True)
    return {
        "family-guardian": Sample("family.html", v.Family(ME, (opened,), (guard,), ()), v.Nav("family", "v1")),
        "invite-visit": Sample(
            "invite.html",
            v.Invite(
                ME,
                relations=tuple(family_words.RELATIONS.items()),
                error=errors.sentence("empty_offer"),
                categories=CATEGORIES,
                visit_id="v1",
            ),
        ),
        "invite-code": Sample(
            "invite.html", v.Invite(ME, "http://127.0.0.1/bind/k3v9Qm2xT7", QR, at(10, 24, 1), code="482106")
        ),
        "bind-open": Sample(
            "bind.html",
            v.Bind("k3v9", "示*甲", "爱人", True, True, "results", 50000, at(23, 59), signs=True, opened=("妇科",)),
        ),
        "bind_code": Sample("bind_code.html", v.InviteCode()),
        "bind_code-wrong": Sample("bind_code.html", v.InviteCode("13800006027", errors.sentence("wrong_invite_code"))),
        "companion-start": Sample(
            "companion.html", v.Companion(HEAD_MASKED, "妈妈", "到了医院，开始看病", (), None, True)
        ),
        "settings-said": Sample(
            "settings.html",
            v.Settings(
                "138****6027",
                (),
                (ME,),
                Reminders(frozenset(), frozenset(), ("sms",), basic=True, push_key="B", here=True, said="记下了。"),
            ),
        ),
        "caller-ours": Sample("caller.html", CallerCheck((), ours=True, hospital=HOSPITAL, sent_at=at(10, 40, -1))),
        "caller-wrong": Sample("caller.html", CallerCheck(((HOSPITAL, "4821", at(10, 40)),), ours=False)),
        "settings-empty": Sample("settings.html", v.Settings("138****6027", (), (ME,))),
    }


def _letters() -> dict[str, Sample]:
    title = "先诊疗后付费信用承诺书"
    return {
        "letter-read": Sample("letter.html", v.Letter("r1", HOSPITAL, title, "2026 年第 1 版", REGIONS, 0, 20)),
        "sign-wrong": Sample(
            "sign.html",
            v.Sign("r1", HOSPITAL, "示例甲", "138****6027", sent_to="138****6027", error=errors.sentence("wrong_code")),
        ),
        "signed-before": Sample("signed.html", v.Signed(HOSPITAL, None, None, 24)),
        "bill-payer": Sample(
            "bill.html",
            v.Bill(HEAD_MASKED, v.VisitState("ended", "DEFERRED"), OWED, (), (), (), None, can_pay=True, whole=False),
        ),
        "signed-desk": Sample("signed.html", v.Signed(HOSPITAL, None, None, 24, desk_url="/desk")),
        "elsewhere-moved": Sample("elsewhere.html", v.Elsewhere(HOSPITAL, "示**", again="?again=1")),
        "desk_letters-empty": Sample("desk_letters.html", v.DeskLetters(HOSPITAL, ())),
    }


def _insurance() -> list[v.StuckInsurance]:
    says = Troubles.insurance_todo
    fen, number = 11640, "ORD1C2D3E4F5A6B"
    return [
        v.StuckInsurance("insurance:1", "示例甲", fen, at(9, 50), number, says(True, "refund:EXP"), "refund:EXP"),
        v.StuckInsurance(
            "insurance:2",
            "示例乙",
            fen,
            at(9, 40),
            number,
            says(True, "NOT_PAID"),
            "NOT_PAID",
            Troubles.insurance_again,
        ),
        v.StuckInsurance(
            "insurance:3",
            "示例丁",
            fen,
            at(9, 30),
            number,
            says(False, "insurance:gone_after_paid"),
            "",
            Troubles.insurance_anew,
        ),
    ]


def _desk() -> dict[str, Sample]:
    disputes = [
        v.DeskDispute("x1", "示例甲", "肝肾功能 + 血脂", "这项根本没做", 12600, at(17, 0)),
        v.DeskDispute("x2", "示例乙", "血常规（五分类）", "同一项收了两次：昨天也收过一次", 2000, at(9, 0, 1)),
    ]
    todo = Troubles.todo("already_settled")
    refused = [v.TroubledCall("k1", "入账", "示例甲", "8426109355", at(9, 50), 1, True, todo, "already_settled")]
    pending = [v.TroubledCall("k2", "记账", "示例丁", "8426109371", at(10, 20), 3, False, Troubles.waits, "timeout")]
    stuck = [
        v.StuckPayment(
            "示例甲", 7760, "女儿", at(9, 49), "4200001234567890", Troubles.payment("paid", "his:already_settled")
        ),
        v.StuckPayment("示例乙", -2000, "本人", at(9, 30), "HFR0c1d2e3f", Troubles.refund),
    ]
    with_sheet = [replace(o, sheet_url="/s", action="check_in" if o.state == "placed" else None) for o in ORDERS]
    return {
        "desk-disputes": Sample(
            "desk.html", v.Desk(HOSPITAL, "检验科", "3 号", ORDERS, CALLS, disputes=disputes, letters=True, mends=True)
        ),
        "desk-found": Sample(
            "desk.html",
            v.Desk(
                HOSPITAL,
                "全院",
                "导诊 1 号",
                with_sheet,
                (),
                found="示例甲（请核对姓名）",
                done="已报到：肝肾功能 + 血脂",
                code="8426109355",
            ),
        ),
        "desk_troubles": Sample("desk_troubles.html", v.DeskTroubles(HOSPITAL, refused, stuck, pending)),
        "desk_troubles-insurance": Sample("desk_troubles.html", v.DeskTroubles(HOSPITAL, (), (), (), _insurance())),
        "desk_troubles-none": Sample("desk_troubles.html", v.DeskTroubles(HOSPITAL, (), (), ())),
        "to_stage": Sample("to_stage.html", v.ToStage("#stay")),
    }


def states() -> dict[str, Sample]:
    """These pages by name; a name begins with its template's where the window's size depends on it."""
    made: dict[str, Sample] = {}
    for part in (_signing_in, _refusals, _visits, _asked, _money, shared, _family, _letters, _desk):
        made |= part()
    return made
