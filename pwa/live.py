"""From a row of the feed to the message on an open page: the one place that says what a view may do on which page."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from notices.rules import Row
from people.rules import Depth, View
from pwa.fragments import render_row
from pwa.rows import Show, Surface

KINDS = frozenset({"bill.line", "step", "visit", "payment", "word", "soon", "till"})
PAYING = frozenset({"payment", "till"})


def show_of(view: View, visit_id: UUID | str, now: datetime, surface: str) -> Show:
    """How a viewer's page is drawn; pages drawn afresh and pushed rows both ask here."""
    return Show(
        str(visit_id),
        now,
        cast("Surface", surface),
        may_act=view.owner,
        may_pay=view.pays,
        may_ask=view.owner,
        money=view.depth >= Depth.BILL or view.pays,
        whole=view.depth >= Depth.BILL,
    )


def draw_row(row: Row, payload: Mapping[str, Any], view: View, surface: str) -> str | None:
    """The HTML of one message; None when it changes nothing on this page.

    Args:
        payload: what of the row this view sees.
    """
    if surface == "desk" or row.kind not in KINDS or (surface == "pay" and row.kind not in PAYING):
        return None
    shown = {"kind": row.kind, "data": payload, "at": row.at}
    return render_row(shown, show_of(view, row.subject, row.at, surface)) or None
