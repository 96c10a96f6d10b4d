"""Sample pages of a bill several people pay."""

from dataclasses import replace

from pwa import views as v
from pwa.pay_views import SharePerson, ShareSheet
from pwa.rows import InsurancePart, Share
from pwa.sample_morning import DONE, HEAD, HEAD_MASKED, PARTS, SUMS, Sample, at
from words import errors
from words.pay import Share as ShareWords

SHARE_PAID = v.PaymentNote("share_paid", 3000, "您女儿", at(10, 20))
SHARES = v.Shares(
    7760,
    3000,
    2760,
    (
        Share(1, 3000, "paid", "您女儿"),
        Share(2, 2000, "busy", "您儿子"),
        Share(3, 2760, "free", "谁付都行"),
    ),
)
HERS_PAID = replace(
    SHARES,
    shares=(replace(SHARES.shares[0], label="您"), replace(SHARES.shares[1], label="儿子"), SHARES.shares[2]),
)
ANEW = v.Receipt(
    HEAD,
    7760,
    (v.PayPart("wechat", 7760),),
    DONE[:1],
    at(10, 23),
    "您",
    "R20261120-0007",
    returned=(v.Returned(2000, at(11, 30), True), v.Returned(5760, at(11, 30), False)),
    anew=True,
)
PAYERS = (
    SharePerson("p1", "我自己"),
    SharePerson("p2", "您女儿 示*丙", "30.00"),
    SharePerson("p3", "您儿子 示*丁"),
)
PAID = v.Receipt(
    HEAD_MASKED, 3000, (v.PayPart("wechat", 3000),), (), at(10, 23), "您", "R20261120-0007", settling=True, waits=True
)


def _paying() -> dict[str, Sample]:
    return {
        "pay-shared": Sample(
            "pay.html",
            v.PaySheet(
                HEAD,
                19400,
                (*PARTS, v.PayPart("others", 5000)),
                2760,
                (v.PayChoice("wechat", True), v.PayChoice("family")),
                "a1",
                4,
                shares=SHARES,
                share=3,
                share_url="/s",
            ),
        ),
        "pay-own": Sample(
            "pay.html",
            v.PaySheet(
                HEAD_MASKED,
                3000,
                (),
                3000,
                (v.PayChoice("wechat", True),),
                "a1",
                0,
                for_other=True,
                shares=v.Shares(7760, 0, 7760, (Share(1, 3000, "free", "女儿"), Share(2, 4760, "free", "谁付都行"))),
                share=1,
                share_url="/s",
            ),
        ),
        "share": Sample("share.html", ShareSheet(HEAD, 7760, PAYERS)),
        "share-again": Sample(
            "share.html",
            ShareSheet(HEAD, 4760, PAYERS, "/stop", errors.sentence("wrong_shares", left="¥47.60")),
        ),
        "share-stop": Sample(
            "ask.html",
            v.Ask(
                ShareWords.stop,
                ShareWords.stop_says([("您女儿", 3000)]),
                "/x",
                ShareWords.stop_button,
                "/y",
                danger=True,
            ),
        ),
        "paying-share": Sample("paying.html", v.Paying("a1", HEAD_MASKED, "share_paid", 3000, "/c", shares=HERS_PAID)),
        "paying-back": Sample("paying.html", v.Paying("a1", HEAD, "given_back", 3000, "/c")),
        "receipt-share": Sample("receipt.html", PAID),
        "error-closing": Sample(
            "error.html",
            v.ErrorPage(
                "round_closing", errors.title("conflict", "round_closing"), errors.sentence("round_closing"), 409
            ),
        ),
    }


INSURED = v.Shares(
    0,
    0,
    0,
    (),
    (
        InsurancePart("paid", 12600, 8820, 2520, 520, 0, 1260),
        InsurancePart("placed", 6800, 4000, 0, 0, 300, 2500),
    ),
)


def _insured() -> dict[str, Sample]:
    bill = v.Bill(HEAD, v.VisitState("open", "DEFERRED"), replace(SUMS, payable_fen=0), DONE, (), (), None)
    said = v.PaymentNote("insuring", 0, "您", at(10, 20))
    waits = v.Shares(0, 0, 0, (), (InsurancePart("created", 19400),))
    failed = v.Shares(0, 0, 0, (), (InsurancePart("manual", 19400, 9640, 2000, 0, 0, 7760),))
    paid = v.PaymentNote("insured", 1260, "您", at(10, 21))
    cash = v.Shares(1260, 0, 1260, (Share(1, 1260, "free", "谁付都行"),), INSURED.parts[:1])
    return {
        "bill-insuring": Sample("bill.html", replace(bill, payment=said, shares=INSURED), v.Nav("bill", "v1")),
        "bill-consent": Sample("bill.html", replace(bill, payment=said, shares=waits), v.Nav("bill", "v1")),
        "bill-manual": Sample("bill.html", replace(bill, payment=said, shares=failed), v.Nav("bill", "v1")),
        "receipt-anew": Sample("receipt.html", ANEW),
        "bill-insurance-back": Sample(
            "bill.html",
            replace(
                bill,
                sums=replace(SUMS, payable_fen=0),
                payment=v.PaymentNote("insurance_checking", 7760, "您", at(11, 20)),
                shares=v.Shares(7760, 7760, 0, (), failed.parts),
            ),
            v.Nav("bill", "v1"),
        ),
        "bill-owed-again": Sample(
            "bill.html",
            replace(bill, sums=SUMS, payment=v.PaymentNote("insurance_returned", SUMS.payable_fen, "您", at(11, 30))),
            v.Nav("bill", "v1"),
        ),
        "bill-insured": Sample(
            "bill.html",
            replace(bill, sums=replace(SUMS, payable_fen=1260), payment=paid, shares=cash),
            v.Nav("bill", "v1"),
        ),
    }


def shared() -> dict[str, Sample]:
    """A shared bill, cutting it, paying one's own share, giving it up."""
    return (
        _paying()
        | _insured()
        | {
            "bill-shared": Sample(
                "bill.html",
                v.Bill(
                    HEAD,
                    v.VisitState("open", "DEFERRED"),
                    replace(SUMS, payable_fen=2760, paid_fen=3000),
                    DONE,
                    (),
                    (),
                    None,
                    SHARE_PAID,
                    shares=SHARES,
                ),
                v.Nav("bill", "v1"),
            ),
        }
    )
