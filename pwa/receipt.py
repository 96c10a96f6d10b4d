"""The receipt on paper: the words of the page, as PDF with its fonts inside."""

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pwa.fonts import PACKAGED, need_chinese
from pwa.paper import FAMILIES, HERE, chinese
from pwa.press import press
from pwa.views import Receipt
from words import money
from words import pay as words


def receipt_html(view: Receipt, way: str, transaction: str) -> str:
    """What is printed."""
    env = Environment(loader=FileSystemLoader(HERE / "templates" / "paper"), autoescape=True, undefined=StrictUndefined)
    env.filters["rmb"] = money.rmb
    env.filters["paper_time"] = lambda moment: chinese(moment.isoformat())
    packaged = f'@font-face {{ font-family: "Noto Sans SC"; src: url("{PACKAGED.as_uri()}") }}'
    return env.get_template("receipt.html").render(
        w=words.Receipt,
        v=view,
        way=words.Receipt.ways.get(way, way),
        transaction=transaction,
        paid_at=chinese(view.paid_at.isoformat()),
        font_family=Markup(FAMILIES),  # noqa: S704  our own constant
        font_face=Markup(packaged if PACKAGED.exists() else ""),  # noqa: S704  a path of ours
    )


def receipt_pdf(view: Receipt, way: str, transaction: str) -> bytes:
    """The receipt as PDF. Takes a moment of one processor: call it in a thread.

    Args:
        way: the channel it was paid by.
        transaction: WeChat's number of the payment, by which the payer finds it there.
    """
    need_chinese()
    return press.make(receipt_html(view, way, transaction), str(view.number).encode())
