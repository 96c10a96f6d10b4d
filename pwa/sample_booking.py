"""Sample pages of booking: choosing, looking once more, and every way it can go."""

from dataclasses import replace
from datetime import timedelta

from pwa import booking_views as b
from pwa.sample_morning import HOSPITAL, ME, MOTHER, NOW, Sample, at
from pwa.views import Nav
from words.booking import Booking as Words
from words.booking import day_label, day_short

_ROOMS = (("心内科门诊", "门诊楼 3 楼 301 诊室"), ("呼吸内科门诊", "门诊楼 3 楼 305 诊室"), ("眼科门诊", "门诊楼 4 楼"))
_TOMORROW = timedelta(days=1)
_CARD = b.BookingCard("b1", "示*乙", "心内科门诊", "周明远", at(14, 0) + _TOMORROW, "booked")


def _times() -> b.BookTimes:
    today = NOW.date()
    days = [
        b.BookDay("/d", day_label(day, today), day_short(day), current=n == 1)
        for n in range(8)
        for day in [today + timedelta(days=n)]
    ]
    half_hours = [at(8 + n // 2, 30 * (n % 2)) for n in range(7)]
    doctors = [
        b.BookDoctor(name, [b.BookTime("/t", t, 1 + n) for n, t in enumerate(half_hours)])
        for name in ("周明远", "何静")
    ]
    return b.BookTimes(MOTHER, HOSPITAL, "心内科门诊", days, doctors, "/again")


def samples() -> dict[str, Sample]:
    """These pages by name."""
    times = _times()
    confirm = b.BookConfirm(
        MOTHER, (("/me", ME), ("/m", MOTHER)), HOSPITAL, "心内科门诊", "周明远", _CARD.begins,
        _CARD.begins + timedelta(minutes=30), Words.fee_says("account", 100, 3), 100, "account", (("slot", "s1"),),
        "/times", cancel_until=_CARD.begins - timedelta(hours=2),
    )  # fmt: skip
    booked = b.BookingPage(
        _CARD, HOSPITAL, _CARD.begins + timedelta(minutes=30), Words.fee_says("account", 100, 3), Words.nth("3"),
        Words.by_relative("示**"), (Words.bring,), waits=False, cancel_url="/c",
        cancel_until=_CARD.begins - timedelta(hours=2),
    )  # fmt: skip
    rows = [("/t", _CARD.begins + timedelta(minutes=30 * n), "周明远") for n in (1, 2, 3)]
    fee = Words.fee_says("upfront", 100, 3)

    def page(state: str, *says: str, **other: object) -> Sample:
        plain = replace(booked, cancel_url=None, cancel_until=None, by=None, number=None)
        return Sample("booking.html", replace(plain, card=replace(_CARD, state=state), says=says, **other))  # type: ignore[arg-type]

    cards = [replace(_CARD, id=s, state=s) for s in ("booked", "asked", "missed")]
    past = [
        replace(_CARD, id=s, state=s, begins=at(9, 0) - 3 * _TOMORROW) for s in ("arrived", "cancelled", "called_off")
    ]
    hospital = b.BookHospital(HOSPITAL, [("/d", name, place) for name, place in _ROOMS])
    desk = [
        b.DeskBooking(replace(_CARD, who="示例乙", state=s, begins=at(9, 30)), "3", s == "missed")
        for s in ("missed", "requeuing", "booked", "arrived")
    ]
    return {
        "book": Sample("book.html", b.Book(MOTHER, (ME, MOTHER), (hospital,)), Nav("home")),
        "book-none": Sample("book.html", b.Book(ME, (ME,), (b.BookHospital(HOSPITAL, ()),)), Nav("home")),
        "book_times": Sample("book_times.html", times),
        "book_times-full": Sample("book_times.html", replace(times, doctors=())),
        "book_times-down": Sample("book_times.html", replace(times, doctors=(), down=True)),
        "book_confirm": Sample("book_confirm.html", confirm),
        "book_confirm-upfront": Sample(
            "book_confirm.html", replace(confirm, fee=fee, pay="upfront", pay_minutes=30, changed=True)
        ),
        "book_confirm-free": Sample(
            "book_confirm.html", replace(confirm, people=(("/me", ME),), fee=Words.fee_says("free", 0, 3), fee_fen=0)
        ),
        "booking": Sample("booking.html", booked),
        "booking-owed": Sample(
            "booking.html",
            replace(booked, fee=fee, pay_url="/p", pay_by=NOW + timedelta(minutes=30), fee_state="owed"),
        ),
        "booking-coming": page("booked", Words.bring, fee=fee, fee_state="coming", waits=True),
        "booking-paid": page("booked", Words.kept, fee=fee, fee_state="paid"),
        "booking-asked": page("asked", Words.says["asked"], waits=True, cancel_url="/c"),
        "booking-taken": page("refused", Words.refused["taken"], nearest=rows, nearest_url="/n"),
        "booking-cancelling": page("cancelling", Words.says["cancelling"], waits=True),
        "booking-unpaid": page("cancelled", Words.cancelled["unpaid"], nearest=rows, nearest_url="/n", visit_url="/v"),
        "booking-off": page("called_off", Words.says["called_off"], nearest_url="/n"),
        "booking-missed": page("missed", todo=Words.missed("report", 3), nearest_url="/n"),
        "booking-missed-kiosk": page("missed", todo=Words.missed("kiosk", 0)),
        "booking-missed-again": page("missed", todo=Words.missed("book_again", 3), nearest_url="/n"),
        "booking-requeuing": page("requeuing", Words.says["requeuing"], waits=True),
        "booking-arrived": page("arrived", Words.says["arrived"], visit_url="/v"),
        "booking_cancel": Sample("booking_cancel.html", b.BookingCancel(_CARD, HOSPITAL, paid=True)),
        "bookings": Sample("bookings.html", b.Bookings(cards, past), Nav("home")),
        "bookings-none": Sample("bookings.html", b.Bookings((), ()), Nav("home")),
        "desk_bookings": Sample("desk_bookings.html", b.DeskBookings(desk[:2], desk[2:], "这位不在今天过号的名单里。")),
        "desk_bookings-none": Sample("desk_bookings.html", b.DeskBookings((), ())),
    }
