"""A payer's own limits as arithmetic: whatever is begun, paid, closed and returned when, no limit is ever passed."""

from dataclasses import dataclass
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.rules.limits import MOST_FEN, AfterVisit, Limits, Out, Room, Span, WrongLimitsError, room

TODAY = date(2026, 11, 30)


def test_what_is_left_is_the_tightest() -> None:
    """Of three limits the one that leaves least decides; money that has arrived back has given its room back."""
    limits = Limits(5_000, 8_000, 20_000)
    assert room(limits, [], TODAY) == Room(5_000, Span.PAYMENT, 5_000, 0)
    assert room(limits, [Out(4_000, TODAY)], TODAY) == Room(4_000, Span.DAY, 8_000, 0)
    assert room(limits, [Out(4_000, TODAY, 3_999)], TODAY) == Room(5_000, Span.PAYMENT, 5_000, 0)
    assert room(limits, [Out(4_000, TODAY), Out(4_001, None)], TODAY) == Room(0, Span.DAY, 8_000, 4_001)
    assert room(limits, [Out(18_000, date(2026, 11, 1))], TODAY) == Room(2_000, Span.MONTH, 20_000, 0)
    assert room(limits, [Out(18_000, date(2026, 10, 31))], TODAY) == Room(5_000, Span.PAYMENT, 5_000, 0)
    assert room(limits, [Out(18_000, date(2025, 11, 30))], TODAY) == Room(5_000, Span.PAYMENT, 5_000, 0)
    assert room(Limits(), [Out(1, TODAY)], TODAY) == Room(None, None, None, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        Limits(0),
        Limits(per_day_fen=-1),
        Limits(per_month_fen=MOST_FEN + 1),
        Limits(after_visit=AfterVisit.READY),
        Limits(after_visit=AfterVisit.ASK, ready_fen=100),
        Limits(ready_fen=100),
        Limits(after_visit=AfterVisit.READY, ready_fen=0),
    ],
)
def test_limits_that_are_none(wrong: Limits) -> None:
    """Nothing, less than nothing, too much, or an amount laid ready that belongs to no choice: refused."""
    with pytest.raises(WrongLimitsError):
        wrong.checked()


@dataclass
class _Try:
    amount: int
    paid_on: date | None = None
    back: int = 0
    closed: bool = False


amounts = st.integers(1, 300)
caps = st.none() | st.integers(1, 500)
steps = st.lists(
    st.tuples(st.sampled_from(["begin", "begin", "pay", "close", "return", "midnight", "weeks"]), st.integers(0, 400)),
    max_size=40,
)


@settings(max_examples=100, deadline=None)
@given(caps, caps, caps, steps)
def test_no_limit_is_ever_passed(
    once: int | None, day: int | None, month: int | None, done: list[tuple[str, int]]
) -> None:
    """Begun before midnight and paid after it, in the next month, closed, returned: every day and month holds."""
    limits, today = Limits(once, day, month), TODAY
    tries: list[_Try] = []
    for what, n in done:
        live = [t for t in tries if t.paid_on is None and not t.closed]
        paid = [t for t in tries if t.paid_on is not None]
        if what == "begin":
            left = room(limits, [Out(t.amount, t.paid_on, t.back) for t in tries if not t.closed], today)
            amount = 1 + n % 300
            if left.fen is None or amount <= left.fen:
                tries.append(_Try(amount))
            else:
                assert left.span is not None
        elif what == "pay" and live:
            live[n % len(live)].paid_on = today
        elif what == "close" and live:
            live[n % len(live)].closed = True
        elif what == "return" and paid:
            one = paid[n % len(paid)]
            one.back += n % (one.amount - one.back + 1)
        elif what in ("midnight", "weeks"):
            today += timedelta(days=1 if what == "midnight" else 1 + n % 40)
        for one in tries:
            assert once is None or one.amount <= once
        for at in {t.paid_on for t in tries if t.paid_on}:
            assert day is None or sum(t.amount - t.back for t in tries if t.paid_on == at) <= day
            in_month = [t for t in tries if t.paid_on and (t.paid_on.year, t.paid_on.month) == (at.year, at.month)]
            assert month is None or sum(t.amount - t.back for t in in_month) <= month
