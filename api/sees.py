"""What of each kind of feed row a viewer sees: the one table that streams and fresh pages both go by."""

from collections.abc import Callable, Mapping
from typing import Any

from billing.rules import see_bill, see_payment
from family_pay.rules import see_word
from guide.rules import said
from notices.rules import Row
from payments.rules.counter import see_till
from people.rules import View
from visits.rules import see_step, see_visit


def _step(row: Row, view: View) -> Mapping[str, Any] | None:
    shown = see_step(row, view)
    return {"step": said(shown["step"])} if shown else None


See = Callable[[Row, View], Mapping[str, Any] | None]
SEES: Mapping[str, See] = {
    "bill.line": see_bill,
    "payment": see_payment,
    "step": _step,
    "till": see_till,
    "visit": see_visit,
    "word": see_word,
}
"""Kind of a feed row → what of it a view sees; kinds not named here are shown whole or not at all."""


def see(row: Row, view: View) -> Mapping[str, Any] | None:
    """What of a row this view sees, or None."""
    made = SEES.get(row.kind)
    if made is not None:
        return made(row, view)
    return row.payload if view.shows(row.audience, row.category) else None
