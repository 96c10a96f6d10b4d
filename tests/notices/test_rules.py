"""What to do next with an unread notice, decided without a clock, a database or a line."""

from datetime import UTC, datetime, timedelta

import pytest

from notices.rules.delivery import DeliveryState as D
from notices.rules.delivery import Doubt, Send, Spent, Tried, Wait, next_act
from notices.rules.reach import REACH, BadWishError, Channel, Kind, Wish

BORN = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
ALL = frozenset(Channel)
W, P, S = Channel.WECHAT, Channel.WEB_PUSH, Channel.SMS


def after(minutes: float, kind: Kind = Kind.DUE, wish: Wish | None = None, **tried: D) -> object:
    """What is done so many minutes after the fact, with these channels tried once, at the fact's own time."""
    known = {Channel(c): Tried(state, 1, BORN, BORN) for c, state in tried.items()}
    now = BORN + timedelta(minutes=minutes)
    return next_act(REACH[kind], wish or Wish(), ALL, frozenset({W, P}), known, BORN, now)


@pytest.mark.parametrize(
    ("tried", "minutes", "kind", "does"),
    [
        ({}, 0, Kind.DUE, Send(W)),
        ({"wechat": D.SENT}, 1, Kind.DUE, Wait(BORN + timedelta(hours=4))),
        ({"wechat": D.SENT}, 240, Kind.DUE, Send(S)),
        ({"wechat": D.SENT}, 600, Kind.TURN, Spent()),
        ({"wechat": D.FAILED}, 1, Kind.TURN, Send(P)),
        ({"wechat": D.FAILED, "web_push": D.SENT}, 1, Kind.TURN, Spent()),
        ({"wechat": D.FAILED, "web_push": D.FAILED}, 1, Kind.TURN, Spent()),
        # Nobody knows: WeChat's own id is good for ten minutes, and not a moment longer.
        ({"wechat": D.SENDING}, 8, Kind.TURN, Send(W)),
        ({"wechat": D.SENDING}, 10, Kind.TURN, Doubt(W)),
        ({"wechat": D.UNKNOWN}, 8, Kind.TURN, Send(W)),
        ({"wechat": D.UNKNOWN}, 10, Kind.TURN, Spent()),
        ({"wechat": D.UNKNOWN}, 240, Kind.DUE, Send(S)),
        ({"wechat": D.SENT, "sms": D.SENDING}, 300, Kind.DUE, Doubt(S)),
        ({"wechat": D.SENT, "sms": D.UNKNOWN}, 300, Kind.DUE, Spent()),
    ],
)
def test_the_next_thing(tried: dict[str, D], minutes: float, kind: Kind, does: object) -> None:
    """The order of channels, the wait for a text, and what is repeated where nobody knows."""
    assert after(minutes, kind, None, **tried) == does


def test_what_cannot_be_repeated_is_doubted_at_once() -> None:
    """A channel that would show it twice, and a try too many of one that would not."""
    now = BORN + timedelta(minutes=2)
    once = {W: Tried(D.SENDING, 1, BORN, BORN)}
    assert next_act(REACH[Kind.TURN], Wish(), ALL, frozenset(), once, BORN, now) == Doubt(W)
    often = {W: Tried(D.UNKNOWN, 6, BORN, BORN)}
    assert next_act(REACH[Kind.TURN], Wish(), ALL, frozenset({W}), often, BORN, now) == Spent()


def test_a_basic_phone_and_what_is_not_guidance() -> None:
    """Guidance by text at once; the bill by what is left, and never by text."""
    basic = Wish(basic=True)
    assert after(0, Kind.TURN, basic) == Send(S)
    assert after(0, Kind.BILL, basic) == Send(W)
    assert after(0, Kind.BILL, Wish(off_channels=frozenset({W, P}))) == Spent()


@pytest.mark.parametrize(
    ("clock", "until"),
    [("21:29", None), ("21:30", "07:00"), ("23:59", "07:00"), ("06:59", "07:00"), ("07:00", None), ("12:00", None)],
)
def test_quiet_hours_cross_midnight(clock: str, until: str | None) -> None:
    """From half past nine to seven; the end is a moment of the next morning, to the minute."""
    local = datetime(2026, 11, 22, int(clock[:2]), int(clock[3:]), 20, tzinfo=UTC)
    found = Wish().quiet_until(local, local)
    assert (None if found is None else found.strftime("%H:%M")) == until
    assert found is None or local < found < local + timedelta(hours=10)


def test_hours_that_cannot_be() -> None:
    """25:00 is refused; the same hour twice is no quiet at all."""
    with pytest.raises(BadWishError):
        Wish(quiet_from=25 * 60)
    noon = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    assert Wish(quiet_from=720, quiet_to=720).quiet_until(noon, noon) is None
