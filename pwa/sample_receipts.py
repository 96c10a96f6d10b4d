"""Sample pages of the one receipt of a whole visit."""

from dataclasses import replace

from pwa.pay_views import MergedPayment, MergedReceipt, PayPart, Returned
from pwa.sample_morning import DONE, HEAD, HEAD_MASKED, ORDERED, Sample, at

_PAYMENTS = (
    MergedPayment("您女儿", "JSAPI", 3000, at(10, 20), "R20261120-0007AAAA", "4200002345202611201234567890", "/r"),
    MergedPayment("您", "CASH", 2760, at(10, 31), "R20261120-0008BBBB", "HF20261120ABCDEFGHIJKLMN", "/r"),
    MergedPayment("您儿子", "H5", 2000, at(10, 44), "R20261120-0009CCCC", "4200002345202611209876543210", "/r"),
)
PARTS = (
    PayPart("fund", 9640),
    PayPart("account", 1000),
    PayPart("mutual_aid", 500),
    PayPart("other", 300),
    PayPart("hospital", 200),
)
MERGED = MergedReceipt(
    HEAD,
    7760,
    PARTS,
    _PAYMENTS,
    [replace(line, state="settled") for line in DONE],
    at(10, 44),
    "RV20261120-00C0FFEE-3",
    returned=(Returned(2000, at(11, 5), done=True), Returned(1000, at(11, 20), done=False)),
    pdf_url="/r.pdf",
)


def samples() -> dict[str, Sample]:
    """These pages by name."""
    prepaid = replace(ORDERED[0], state="prepaid")
    nobody = [replace(one, transaction="", url=None) for one in _PAYMENTS]
    private = replace(MERGED, visit=HEAD_MASKED, parts=(), lines=(), payments=nobody, returned=())
    return {
        "receipt_visit": Sample("receipt_visit.html", MERGED),
        "receipt_visit-settling": Sample(
            "receipt_visit.html", replace(MERGED, settling=True, lines=[*MERGED.lines, prepaid], returned=())
        ),
        "receipt_visit-waits": Sample("receipt_visit.html", replace(MERGED, waits=True, returned=())),
        "receipt_visit-private": Sample("receipt_visit.html", private),
    }
