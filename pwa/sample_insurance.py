"""Sample pages of paying with the insurance: every step of the way, and where it is no way at all."""

from collections.abc import Mapping
from dataclasses import replace

from pwa import views as v
from pwa.insurance_views import Differing, Insure, InsureStep, Settling, Split
from pwa.sample_morning import DONE, HEAD, HEAD_MASKED, NOW, PARTS, SUMS, Sample, at, line_row
from words import errors
from words.insurance import Insurance as Words

SPLIT = Split(19400, (("fund", 12820), ("account", 2000), ("mutual_aid", 520), ("other", 300)), 3760)
FREE = Split(19400, (("fund", 15820), ("account", 3580)), 0)
DIFFERS = (Differing("肝肾功能 + 血脂", 9340, 7560, 3260, 5040), Differing("血常规（五分类）", 1300, 1200, 700, 800))
QR = "/qr.png"


def _at(step: InsureStep, *states: str, **more: object) -> Sample:
    fen = (12600, 6800) if len(states) == 2 else (19400,)
    settlings = [Settling(state, total) for state, total in zip(states, fen, strict=False)]
    view = Insure(HEAD, step, "/i", settlings, check="/i", **more)  # type: ignore[arg-type]
    return Sample("insurance.html", view)


def _before() -> dict[str, Sample]:
    consent: dict[str, object] = {"consent": "/c", "may_stop": True}
    return {
        "insurance-elsewhere": _at("elsewhere", qr=QR),
        "insurance-mini": _at("mini", payable=True),
        "insurance-unable": _at("unable", why=Words.resting),
        "insurance-choose": _at("choose"),
        "insurance-silent": _at("choose", error=Words.his_silent),
        "insurance-consent": _at("consent", "waits", number=1, **consent),
        "insurance-consent-two": _at("consent", "placed", "waits", number=2, **consent),
        "insurance-refused": _at("consent", "waits", number=1, error=Words.said["refused"], **consent),
        "insurance-waits": _at("waits", "placed", "waits", number=2, may_stop=True),
        "insurance-counter": _at("counter", "placed", "at_counter", may_stop=True),
        "insurance-reckoning": _at("reckoning", "placed", "reckoning", may_stop=True),
    }


def _agreed() -> dict[str, Sample]:
    shown: dict[str, object] = {"split": SPLIT, "cash_fen": 3760, "may_stop": True}
    press = {**shown, "number": 1, "invoke": {"appId": "wx0", "mixTradeNo": "M1"}}
    return {
        "insurance-agree": _at("agree", "placed", differs=DIFFERS, together=True, **shown),
        "insurance-agree-two": _at("agree", "placed", "placed", **shown),
        "insurance-agree-free": _at("agree", "placed", split=FREE, cash_fen=0, may_stop=True),
        "insurance-agree-other": _at("agree", "placed", may_act=False, **shown),
        "insurance-agree-changed": _at("agree", "placed", error=errors.sentence("insurance_not_shown"), **shown),
        "insurance-paying": _at("paying", "paying", **shown),
        "insurance-press": _at("press", "press", "press", **press),
        "insurance-press-elsewhere": _at("press", "press", **{**press, "invoke": None}),
        "insurance-press-other": _at("press", "press", **{**press, "invoke": None, "may_act": False}),
        "insurance-unknown": _at("paying", "unknown", unknown=True, **{**shown, "number": 1}),
    }


def _after() -> dict[str, Sample]:
    cash: dict[str, object] = {"split": SPLIT, "cash_fen": 3760, "may_stop": True, "payable": True}
    back: dict[str, object] = {"back_fen": 9640, "cash_back": True}
    return {
        "insurance-cash": _at("cash", "paid", "paid", **cash),
        "insurance-done": _at("done", "paid", split=FREE, receipt="/r"),
        "insurance-settling": _at("done", "paid", split=SPLIT, receipt="/r", settling=True),
        "insurance-ending": _at("ending", "revoking", "refunding", **back),
        "insurance-manual": _at("manual", "refunded", "manual", **back),
        "insurance-over": _at("over", "revoked", payable=True),
        "insurance-over-back": _at("over", "failed", "refunded", payable=True, **back),
        "insurance-anew": _at("ending", "paid", "refunding", anew=True, **back),
        "insurance-anew-over": _at("over", "paid", "refunded", payable=True, anew=True, **back),
        "insurance-stop": Sample(
            "ask.html",
            v.Ask(
                Words.stop_title,
                (Words.stop_back(9640), Words.stop_cash("您女儿", 3000), Words.stop_afterwards),
                "/x",
                Words.stop_button,
                "/y",
                danger=True,
            ),
        ),
        "error-insuring": Sample(
            "error.html",
            v.ErrorPage("insuring", errors.title("conflict", "insuring"), errors.sentence("insuring"), 409),
        ),
    }


def _sheets() -> dict[str, Sample]:
    """The pay sheet where the insurance is concerned."""
    wechat, family = v.PayChoice("wechat"), v.PayChoice("family")
    sheet = v.PaySheet(HEAD, 19400, PARTS, 7760, (v.PayChoice("insurance", True), wechat, family), "a1", 4)
    parts = [v.PayPart(source, fen) for source, fen in SPLIT.parts]
    return {
        "pay-insured": Sample("pay.html", replace(sheet, estimated=True, share_url="/s")),
        "pay-outside": Sample(
            "pay.html",
            replace(sheet, ways=(replace(wechat, chosen=True), family), open_in_wechat="/i", estimated=True),
        ),
        "pay-not-insured": Sample(
            "pay.html",
            replace(sheet, parts=(), ways=(replace(wechat, chosen=True), family), no_insurance=Words.resting),
        ),
        "pay-relative": Sample(
            "pay.html",
            v.PaySheet(
                HEAD_MASKED,
                7760,
                (),
                7760,
                (replace(wechat, chosen=True),),
                "a1",
                0,
                for_other=True,
                no_insurance=Words.patient_only,
            ),
        ),
        "pay-rest": Sample(
            "pay.html", replace(sheet, parts=parts, cash_fen=3760, ways=(replace(wechat, chosen=True), family))
        ),
    }


def _around() -> dict[str, Sample]:
    """The bill and the receipt where the insurance is concerned."""
    parts = [v.PayPart(source, fen) for source, fen in SPLIT.parts]
    was = {"fund_fen": 6300, "account_fen": 1260, "self_fen": 5040}
    final = v.Line.of(
        line_row(
            3, "肝肾功能 + 血脂", 12600, "done", "covered", fund_fen=7560, account_fen=1780, self_fen=3260, estimate=was
        )
    )
    said = v.PaymentNote("reckoned", 0, "您", at(10, 20))
    bill = v.Bill(HEAD, v.VisitState("open", "DEFERRED"), replace(SUMS, payable_fen=0), DONE, (), (), None)
    return {
        "bill-reckoned": Sample("bill.html", replace(bill, payment=said), v.Nav("bill", "v1")),
        "bill-final": Sample("bill.html", replace(bill, done=[final, *DONE[:1]]), v.Nav("bill", "v1")),
        "receipt-insured": Sample(
            "receipt.html",
            v.Receipt(
                HEAD,
                3000,
                (*parts, v.PayPart("wechat", 3000, "您女儿"), v.PayPart("wechat", 760, "您")),
                DONE,
                NOW,
                "您女儿",
                "R20261120-0007",
                pdf_url="/r",
                insurance_numbers=("ORD5B1F00C2D4E6",),
            ),
        ),
        "receipt-insurance-only": Sample(
            "receipt.html",
            v.Receipt(
                HEAD,
                0,
                [v.PayPart(source, fen) for source, fen in FREE.parts],
                DONE,
                NOW,
                Words.payer,
                "R20261120-0008",
                pdf_url="/r",
                insured_fen=19400,
                insurance_numbers=("ORD5B1F00C2D4E6", "ORD5B1F00C2D4E7"),
            ),
        ),
    }


def samples() -> Mapping[str, Sample]:
    """All of them by name."""
    return {**_before(), **_agreed(), **_after(), **_sheets(), **_around()}
