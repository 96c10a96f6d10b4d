"""What registering costs, on every day around a visit; what is offered instead; and that no place is held twice."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from people.rules import HospitalSettings
from sandbox.his.server import His
from sandbox.his.wire import Key
from visits.rules.booking import Fee, Pay, Slot, bookable, fee_of, half_day, nearest, pay_by

DAY = date(2026, 11, 23)
NOW = datetime(2026, 11, 23, 1, 0, tzinfo=UTC)


@given(st.integers(0, 10), st.integers(-5, 15), st.integers(0, 5000), st.booleans())
def test_the_fee_on_every_day_around_the_last_visit(free_days: int, days: int, price: int, upfront: bool) -> None:
    """Free exactly from the visit's day to the last free day after it; otherwise the price, before or on account."""
    rules = HospitalSettings(registration_free_days=free_days, registration_upfront=upfront)
    fee = fee_of(rules, price, DAY, DAY + timedelta(days=days))
    free = price == 0 or (free_days > 0 and 0 <= days <= free_days)
    assert fee == (Fee(0, Pay.FREE) if free else Fee(price, Pay.UPFRONT if upfront else Pay.ACCOUNT))
    assert fee_of(rules, 100, None, DAY).fen == 100


def test_the_edges_are_days_in_china() -> None:
    """Three days after the day of the visit, not seventy-two hours: 23:59 and 00:01 in China are two days."""
    rules = HospitalSettings()
    assert [fee_of(rules, 100, DAY, DAY + timedelta(days=n)).fen for n in range(-1, 5)] == [100, 0, 0, 0, 0, 100]
    assert half_day(datetime(2026, 11, 23, 3, 59, tzinfo=UTC)) == "2026-11-23/am"
    assert half_day(datetime(2026, 11, 23, 4, 0, tzinfo=UTC)) == "2026-11-23/pm"
    assert half_day(datetime(2026, 11, 23, 16, 30, tzinfo=UTC)) == "2026-11-24/am"


def test_the_time_to_pay_ends_before_she_is_due() -> None:
    """Half an hour, but never beyond the beginning."""
    rules = HospitalSettings()
    assert pay_by(rules, NOW, NOW + timedelta(hours=2)) == NOW + timedelta(minutes=30)
    assert pay_by(rules, NOW, NOW + timedelta(minutes=10)) == NOW + timedelta(minutes=10)


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(-3, 20), st.integers(0, 2)), max_size=12))
def test_what_is_offered_instead(found: list[tuple[str, int, int]]) -> None:
    """At most three, all free and to come; the same doctor's before another's, each nearer than those left out."""
    slots = [
        Slot(f"{n}", "CARD", doctor, NOW + timedelta(minutes=30 * half), NOW, free, 100)
        for n, (doctor, half, free) in enumerate(found)
    ]
    begins = NOW + timedelta(hours=3)
    offered = nearest(slots, "a", begins, NOW)
    assert len(offered) == min(3, len(bookable(slots, NOW)))
    assert all(s.free > 0 and s.begins > NOW for s in offered)
    keys = [(s.doctor != "a", abs(s.begins - begins)) for s in offered]
    assert keys == sorted(keys)
    left = [(s.doctor != "a", abs(s.begins - begins)) for s in bookable(slots, NOW) if s not in offered]
    assert not left or not keys or keys[-1] <= min(left)


Moves = st.lists(st.tuples(st.sampled_from(["book", "cancel", "miss", "off"]), st.integers(0, 19)), max_size=60)


@settings(max_examples=40)
@given(Moves)
def test_the_hospital_never_holds_a_place_twice(moves: list[tuple[str, int]]) -> None:
    """Whatever twenty people book, cancel and repeat: never more than six in a half hour, and each place somebody's."""
    his = His("http://127.0.0.1:9", Key("in-1", "inbound-secret"), [], now=lambda: NOW)
    desk, books = his.appointments, his.books
    slots = ["d.card-202611231400", "d.card-202611231430"]

    def say(kind: str, who: int, times: int, **data: object) -> None:
        booking = f"{who:032x}"
        command = {"key": f"{kind}:{booking}:{times}", "kind": kind, "encounters": [], "at": NOW.isoformat()}
        desk.take(command | {"data": {"booking": booking, **data}})

    for kind, who in moves:
        known = books.appointments.get(f"{who:032x}")
        if kind == "book":
            patient = {"name": f"某{who}", "id_number": f"9999011955030890{who:02d}"}
            say("book", who, 1, slot=slots[who % 2], patient=patient, fee_fen=100, pay="account")
        elif kind == "cancel":
            say("cancel_booking", who, 2)
        elif kind == "miss" and known is not None and known["state"] == "booked":
            desk.miss(f"{who:032x}")
        elif kind == "off" and who == 0:
            desk.call_off("d.card", "2026-11-23")
        holding = [a["slot"] for a in books.appointments.values() if a["state"] in ("booked", "missed", "arrived")]
        assert {slot: books.booked.get(slot, 0) for slot in slots} == {slot: holding.count(slot) for slot in slots}
        assert max(books.booked.values(), default=0) <= 6
