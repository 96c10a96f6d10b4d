"""The receipt on paper: one payment or a whole visit, whose money it was, and each line with who ordered and did it.

One set of values for three papers: A5, and rolls of 58 and 80 mm for the counter's thermal printers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pwa.fonts import PACKAGED, need_chinese
from pwa.paper import FAMILIES, HERE, chinese
from pwa.pay_views import MergedReceipt, PayPart, Receipt, Returned
from pwa.press import press
from pwa.rows import Line
from words import money
from words import pay as words


class Paper(StrEnum):
    """What the receipt is printed on."""

    A5 = "a5"
    ROLL_58 = "58"
    ROLL_80 = "80"

    @property
    def roll_mm(self) -> int | None:
        """The width of a roll; None for a sheet."""
        return None if self is Paper.A5 else int(self.value)


@dataclass(frozen=True, slots=True)
class PaperLine:
    """One item: its parts in fen, and its proof trail as sentences (empty where nobody said)."""

    name: str
    quantity: str
    amount_fen: int
    self_fen: int
    proof: Sequence[str]


@dataclass(frozen=True, slots=True)
class PaperReceipt:
    """What stands on the paper, whatever the paper. ``parts`` add up to ``whole_fen``, unless there are no parts."""

    hospital: str
    facts: Sequence[tuple[str, str]]
    amount_fen: int
    whole_fen: int
    parts: Sequence[tuple[str, int]]
    lines: Sequence[PaperLine]
    returned: Sequence[tuple[str, int]]
    number: str
    settling: bool
    payments: Sequence["PaperPayment"] = ()
    anew: bool = False


@dataclass(frozen=True, slots=True)
class PaperPayment:
    """One payment of several: who paid, how, and the numbers by which it is found again."""

    label: str
    amount_fen: int
    says: Sequence[str]


def on_paper(view: Receipt, way: str, transaction: str) -> PaperReceipt:
    """The receipt of a page as it is printed.

    Args:
        way: the channel it was paid by.
        transaction: the provider's number of the payment, by which the payer finds it there.
    """
    w = words.Receipt
    facts = (
        (w.for_whom, view.visit.patient),
        (w.payer, view.payer_label),
        (w.paid_at, chinese(view.paid_at.isoformat())),
        (w.way, w.ways.get(way, way)),
        (w.from_where, view.from_where or ""),
        (w.transaction, transaction),
        *((w.insurance_number, number) for number in view.insurance_numbers),
        (w.number, str(view.number)),
    )
    return PaperReceipt(
        hospital=view.visit.hospital,
        facts=[(label, value) for label, value in facts if value],
        amount_fen=view.amount_fen or view.insured_fen,
        whole_fen=sum(part.amount_fen for part in view.parts),
        parts=_parts(view.parts),
        lines=_lines(view.lines),
        returned=_back(view.returned),
        number=str(view.number),
        settling=view.settling,
        anew=view.anew,
    )


def merged_on_paper(view: MergedReceipt) -> PaperReceipt:
    """The receipt of a whole visit as it is printed: each source, then each payer by whom and how."""
    w = words.Receipt
    facts = (
        (w.for_whom, view.visit.patient),
        (w.visit_day, chinese(view.visit.at.isoformat()).partition(" ")[0]),
        (w.last_paid_at, chinese(view.paid_at.isoformat())),
        (w.number, view.number),
    )
    payments = [
        PaperPayment(
            f"{one.label} · {w.ways.get(one.way, one.way)}",
            one.amount_fen,
            [said for said in (f"{_short(one.at)} {one.number}", one.transaction) if said],
        )
        for one in view.payments
    ]
    parts = (
        [*_parts(view.parts), *((one.label, one.amount_fen) for one in payments)]
        if view.lines and not view.anew
        else []
    )
    return PaperReceipt(
        hospital=view.visit.hospital,
        facts=[(label, value) for label, value in facts if value],
        amount_fen=view.paid_fen,
        whole_fen=sum(fen for _, fen in parts),
        parts=parts,
        lines=_lines(view.lines),
        returned=_back(view.returned),
        number=view.number,
        settling=view.settling,
        payments=payments,
        anew=view.anew,
    )


def _parts(parts: Sequence[PayPart]) -> list[tuple[str, int]]:
    names = words.Receipt.sources
    return [
        (names.get(part.source, part.source) + (f"（{part.who}）" if part.who else ""), part.amount_fen)
        for part in parts
    ]


def _lines(lines: Sequence[Line]) -> list[PaperLine]:
    w, made = words.Receipt, []
    for line in lines:
        ordered = w.ordered(line.ordered_by, _short(line.ordered_at))
        executed = w.executed(line.executed_by, _short(line.executed_at), line.executed_where)
        not_done = w.not_done if line.executed_at is None and line.pile == "ordered" else ""
        proof = [said for said in (ordered, executed, not_done) if said]
        made.append(PaperLine(line.name, line.quantity, line.amount_fen, line.self_fen, proof))
    return made


def _back(returned: Sequence[Returned]) -> list[tuple[str, int]]:
    w = words.Receipt
    return [(f"{w.back_done if x.done else w.back_soon} {_short(x.at)}", -x.amount_fen) for x in returned]


def _short(at: datetime | None) -> str:
    return at.astimezone(money.SHANGHAI).strftime("%m-%d %H:%M") if at else ""


def receipt_html(receipt: PaperReceipt, paper: Paper = Paper.A5) -> str:
    """What is printed."""
    env = Environment(loader=FileSystemLoader(HERE / "templates" / "paper"), autoescape=True, undefined=StrictUndefined)
    env.filters["rmb"] = money.rmb
    packaged = f'@font-face {{ font-family: "Noto Sans SC"; src: url("{PACKAGED.as_uri()}") }}'
    return env.get_template("receipt.html" if paper is Paper.A5 else "receipt_roll.html").render(
        w=words.Receipt,
        v=receipt,
        paper=paper.value,
        font_family=Markup(FAMILIES),  # noqa: S704  our own constant
        font_face=Markup(packaged if PACKAGED.exists() else ""),  # noqa: S704  a path of ours
    )


def receipt_pdf(view: Receipt, way: str, transaction: str, paper: Paper = Paper.A5) -> bytes:
    """The receipt as PDF. Takes a moment of one processor: call it in a thread.

    Args:
        way: the channel it was paid by.
        transaction: the provider's number of the payment, by which the payer finds it there.
        paper: of a roll the page is as long as what stands on it.
    """
    return _pdf(on_paper(view, way, transaction), paper)


def merged_pdf(view: MergedReceipt, paper: Paper = Paper.A5) -> bytes:
    """The receipt of a whole visit as PDF. Takes a moment of one processor: call it in a thread."""
    return _pdf(merged_on_paper(view), paper)


def _pdf(receipt: PaperReceipt, paper: Paper) -> bytes:
    need_chinese()
    html = receipt_html(receipt, paper)
    return press.make(html, f"{receipt.number}/{paper}".encode(), roll_mm=paper.roll_mm)
