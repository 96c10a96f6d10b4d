"""Sample pages of the window, the shifts, refunds and the kiosk, each in its states."""

from dataclasses import replace

from payments.rules.counter import CODE_WAIT
from pwa import counter_views as c
from pwa.insurance_views import Settling, Split
from pwa.rows import Share, Shares
from pwa.sample_morning import DONE, HEAD, HOSPITAL, NOW, Sample, at
from words import errors
from words.counter import Counter, Insured, Take

_SHIFT = c.ShiftCard("3 号窗口", at(8, 0), 20000, 48260, 7760, 12600, 0, 60500)
_CLOSED = replace(_SHIFT, closed_at=at(12, 5), counted_fen=60000, reason="找错了五元")
_EVEN = replace(_SHIFT, closed_at=at(17, 30, -1), counted_fen=60500)
_SHARES = Shares(
    12600,
    5000,
    7600,
    (Share(1, 5000, "paid", "女儿"), Share(2, 4000, "busy", "儿子"), Share(3, 3600, "free", "谁付都行")),
)
_SCANNERS = (("t1", "一楼收费处 1 号窗口"), ("t2", "一楼收费处 2 号窗口"))
_FACE = "一楼收费处 1 号窗口刷脸机"
_UNTIL = NOW + CODE_WAIT
_ASKED = c.RefundCard(
    "r1", "血常规（五分类）", 2000, "这项没有做", at(10, 5), "requested", None, "示例甲", "8426 1093 55", "患者或家人"
)


def _take() -> dict[str, Sample]:
    new = c.DeskPay(HEAD, 7760, None, "new", shift=True, scanners=_SCANNERS, sheet="v1-0-0")
    return {
        "desk_pay": Sample("desk_pay.html", c.DeskPay(HEAD, 7760, "/qr.png", "offered")),
        "desk_pay-new": Sample("desk_pay.html", new),
        "desk_pay-no-shift": Sample("desk_pay.html", replace(new, shift=False, scanners=())),
        "desk_pay-shares": Sample("desk_pay.html", replace(new, amount_fen=3600, shares=_SHARES, share=3)),
        "desk_pay-error": Sample(
            "desk_pay.html", replace(new, error=errors.sentence("too_little_cash", missing="¥7.60"))
        ),
        "desk_pay-refused": Sample("desk_pay.html", replace(new, state="closed", refusal=Take.refusal("TOO_LATE"))),
        "desk_pay-waits": Sample(
            "desk_pay.html",
            replace(new, state="waits", wait=c.DeskWait(_SCANNERS[0][1], _UNTIL, errors.sentence("face_not_here"))),
        ),
        "desk_pay-face": Sample(
            "desk_pay.html", replace(new, state="waits", wait=c.DeskWait(_FACE, _UNTIL, face=True))
        ),
        "desk_pay-face-late": Sample(
            "desk_pay.html", replace(new, state="closed", refusal=Take.refusal("TOO_LATE", face=True))
        ),
        "desk_pay-password": Sample("desk_pay.html", c.DeskPay(HEAD, 7760, None, "password")),
        "desk_pay-unknown": Sample("desk_pay.html", c.DeskPay(HEAD, 7760, None, "unknown")),
        "desk_pay-done": Sample(
            "desk_pay.html", c.DeskPay(HEAD, 7760, None, "settled", change=(10000, 2240), receipt_url="/v")
        ),
        "desk_pay-other": Sample("desk_pay.html", c.DeskPay(HEAD, 7760, None, "other")),
        "desk_pay-insuring": Sample("desk_pay.html", c.DeskPay(HEAD, 0, None, "insuring")),
        "desk_pay-share": Sample("desk_pay.html", c.DeskPay(HEAD, 2760, None, "share_paid")),
    }


def _insured() -> dict[str, Sample]:
    """The insurance at the window, step by step."""
    two = (Settling("placed", 12600), Settling("waits", 6800))
    split = Split(19400, (("fund", 12820), ("account", 2000), ("mutual_aid", 520), ("hospital", 300)), 3760)
    waits = c.DeskWait(_SCANNERS[0][1], _UNTIL)
    new = c.DeskPay(HEAD, 7760, None, "new", shift=True, scanners=_SCANNERS, sheet="v1-0-0")

    def at_(step: c.InsuredStep, *settlings: Settling, **more: object) -> Sample:
        here = c.DeskInsured(step, settlings or (Settling("waits", 19400),), **more)  # type: ignore[arg-type]
        return Sample("desk_pay.html", c.DeskPay(HEAD, 0, None, "insured", scanners=_SCANNERS, insured=here))

    over = c.DeskInsured("over", (Settling("failed", 19400),), why=Insured.why_not("PAY_AUTH_NO_EXPIRED"))
    cash = c.DeskInsured("cash", (Settling("paid", 19400),), split=split)
    done = c.DeskPay(HEAD, 3760, None, "settled", change=(10000, 6240), receipt_url="/v", slip_url="/r")
    return {
        "desk_pay-insurable": Sample("desk_pay.html", replace(new, insurable=True)),
        "desk_pay-not-insurable": Sample("desk_pay.html", replace(new, not_insurable=Insured.status["other"])),
        "desk_pay-his-silent": Sample("desk_pay.html", replace(new, insurable=True, error=Insured.his_silent)),
        "desk_pay-capture": at_("capture", number=1),
        "desk_pay-capture-two": at_("capture", *two, number=2, wait=waits),
        "desk_pay-capture-foreign": at_(
            "capture", number=1, wait=replace(waits, said=Insured.saids["certificate_foreign"])
        ),
        "desk_pay-capture-refused": at_("capture", *two, number=2, why=Insured.once_more("PAY_AUTH_NO_EXPIRED")),
        "desk_pay-reckoning": at_("reckoning", Settling("reckoning", 12600), Settling("placed", 6800)),
        "desk_pay-reckoning-silent": at_("reckoning", Settling("reckoning", 19400), unknown=True),
        "desk_pay-agree": at_("agree", Settling("placed", 12600), Settling("placed", 6800), split=split),
        "desk_pay-insurance-paying": at_("paying", Settling("paying", 19400), split=split),
        "desk_pay-insurance-unknown": at_("paying", Settling("paying", 19400), split=split, unknown=True),
        "desk_pay-insurance-cash": Sample("desk_pay.html", replace(new, amount_fen=3760, insured=cash)),
        "desk_pay-insurance-done": Sample("desk_pay.html", replace(done, insured=replace(cash, step="done"))),
        "desk_pay-insurance-ending": at_(
            "ending", Settling("revoking", 12600), Settling("refunding", 6800), back_fen=5200
        ),
        "desk_pay-insurance-manual": at_(
            "manual", Settling("manual", 12600), Settling("refunded", 6800), back_fen=5200
        ),
        "desk_pay-insurance-over": Sample("desk_pay.html", replace(new, insured=over, insurable=True)),
        "desk_pay-insurance-over-back": Sample(
            "desk_pay.html", replace(new, insured=replace(over, why=None, back_fen=15640), insurable=True)
        ),
    }


def _counter() -> dict[str, Sample]:
    found = (
        c.FoundVisit("示例甲", "8426 1093 55", at(9, 0), 7760, "/v", "/p"),
        c.FoundVisit("示例甲", "8426 1011 20", at(9, 0, -9), 0, "/v", None),
    )
    page = c.Counter(HOSPITAL, "3 号窗口", _SHIFT, waiting=2)
    return {
        "desk_counter": Sample("desk_counter.html", page),
        "desk_counter-found": Sample("desk_counter.html", replace(page, found=found)),
        "desk_counter-closed": Sample("desk_counter.html", replace(page, shift=None, done=Counter.closed, waiting=0)),
        "desk_counter-count": Sample(
            "desk_counter.html",
            replace(page, error=errors.sentence("count_reason", difference="-¥5.00"), count="600.00"),
        ),
        "desk_shifts": Sample("desk_shifts.html", c.ShiftList(HOSPITAL, (_SHIFT, _CLOSED, _EVEN))),
        "desk_shifts-none": Sample("desk_shifts.html", c.ShiftList(HOSPITAL, ())),
    }


def _refunds() -> dict[str, Sample]:
    lines = [replace(row, state="settled", can_refund=True) for row in DONE]
    asked = [
        replace(_ASKED, state="going"),
        replace(_ASKED, id="r2", state="back"),
        replace(_ASKED, id="r3", state="refused", answer="化验室有记录，已经做过"),
    ]
    cash = c.BackCard("b1", "示例乙", "8426 1093 71", 2000, at(9, 30), "CASH")
    card = replace(cash, id="b2", way="CARD", amount_fen=12600)
    work = c.DeskRefunds(
        HOSPITAL,
        (replace(_ASKED, insured=True), replace(_ASKED, id="r4", own=True, who="窗口")),
        (cash, card),
        (replace(cash, id="b3", way="JSAPI"), replace(cash, id="b4", way="JSAPI", twice=True)),
        answers=True,
        hands=False,
        pays=True,
        shift=False,
        insurance=(replace(cash, id="b5"), replace(cash, id="b6", way="JSAPI", amount_fen=7760)),
    )
    return {
        "refunds": Sample("refunds.html", c.Refunds(HEAD, lines, [_ASKED])),
        "refunds-insured": Sample("refunds.html", c.Refunds(HEAD, lines, (), insured=True)),
        "refunds-answered": Sample("refunds.html", c.Refunds(HEAD, (), asked)),
        "refunds-none": Sample("refunds.html", c.Refunds(HEAD, (), ())),
        "refunds-error": Sample("refunds.html", c.Refunds(HEAD, lines, (), errors.sentence("line_not_refundable"))),
        "desk_refunds": Sample("desk_refunds.html", work),
        "desk_refunds-cashier": Sample(
            "desk_refunds.html", replace(work, answers=False, hands=True, pays=False, shift=True)
        ),
        "desk_refunds-no-shift": Sample(
            "desk_refunds.html", replace(work, answers=False, hands=True, pays=False, abnormal=())
        ),
        "desk_refunds-none": Sample(
            "desk_refunds.html", c.DeskRefunds(HOSPITAL, (), (), (), answers=True, hands=False, pays=True, shift=False)
        ),
    }


def _kiosk() -> dict[str, Sample]:
    turn = c.Kiosk("owed", HOSPITAL, "示*甲", 7760, 3, 90, None, "k-00000001")
    made = {"kiosk": turn}
    for state in ("waits", "password", "unknown", "paid"):
        made[f"kiosk-{state}"] = replace(turn, state=state)
    for state in ("nothing", "busy"):
        made[f"kiosk-{state}"] = replace(turn, state=state, amount_fen=0)
    made["kiosk-start"] = c.Kiosk("start", HOSPITAL)
    made["kiosk-wrong"] = c.Kiosk("start", HOSPITAL, error=errors.sentence("nobody_found"))
    made["kiosk-refused"] = replace(turn, error=Take.refusal("NOT_ENOUGH"))
    made["kiosk-face-late"] = replace(turn, error=Take.refusal("TOO_LATE", face=True))
    made["kiosk-face"] = replace(turn, state="waits", error=errors.sentence("face_not_here"))
    made["kiosk-setup"] = c.Kiosk("setup")
    return {name: Sample("kiosk.html", view) for name, view in made.items()}


def samples() -> dict[str, Sample]:
    """These pages by name."""
    return {**_take(), **_insured(), **_counter(), **_refunds(), **_kiosk()}
