"""What joins several grants into one view never shows more than some single grant opened."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from people.rules import (
    OWNER,
    Action,
    Audience,
    Depth,
    GrantFact,
    GrantKind,
    Subject,
    View,
    alone_until,
    is_id_number,
    may,
    view_from,
)

NOW = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
HERE, ELSEWHERE = UUID(int=1), UUID(int=2)
CATEGORIES = ("gynaecology", "psychiatry", "infection")
grants = st.builds(
    GrantFact,
    kind=st.sampled_from([GrantKind.PAY, GrantKind.WATCH, GrantKind.SIGN]),
    depth=st.sampled_from(list(Depth)),
    opened=st.frozensets(st.sampled_from(CATEGORIES)),
    visit_id=st.sampled_from([None, HERE, ELSEWHERE]),
    until=st.sampled_from([None, NOW - timedelta(seconds=1), NOW, NOW + timedelta(hours=1)]),
)
subjects = st.sampled_from(
    [
        Subject(UUID(int=3), UUID(int=4), HERE, ended, settled)
        for ended, settled in ((False, False), (True, False), (True, True))
    ]
)


def shown(view: View) -> set[tuple[Audience, str | None]]:
    """Every kind of feed row a view shows."""
    return {(a, c) for a in Audience for c in (None, *CATEGORIES) if view.shows(a, c)}


@given(st.lists(grants, max_size=5), subjects)
def test_together_grants_show_exactly_what_each_shows_alone(given_: list[GrantFact], subject: Subject) -> None:
    """A deep grant without a category beside a shallow one with it: the category stays as shallow as it was opened."""
    joined = view_from(given_, subject, NOW)
    alone = [view_from([g], subject, NOW) for g in given_]
    assert shown(joined) == set().union(*(shown(v) for v in alone))
    assert not joined.owner
    assert joined.depth <= Depth.RESULTS
    assert all(joined.knows(c) == any(v.knows(c) for v in alone) for c in CATEGORIES)


@given(st.lists(grants, max_size=5), subjects)
def test_the_order_of_grants_does_not_matter(given_: list[GrantFact], subject: Subject) -> None:
    """Equal views must be equal, or the same rows would be drawn twice."""
    assert view_from(given_, subject, NOW) == view_from(list(reversed(given_)), subject, NOW)
    assert hash(view_from(given_, subject, NOW)) == hash(view_from(given_ * 2, subject, NOW))


@given(st.lists(grants, max_size=5), subjects, st.sampled_from(list(Action)))
def test_no_grant_but_a_guardians_lets_anybody_act_for_the_patient(
    given_: list[GrantFact], subject: Subject, action: Action
) -> None:
    """Relatives look and pay; they never abandon, dispute, leave, share or sign without being asked to."""
    relatives = {Action.SEE_STEPS, Action.SEE_BILL, Action.SEE_RESULTS, Action.SEE_TOTAL, Action.PAY, Action.SEND_WORD}
    if may(action, view_from(given_, subject, NOW)):
        assert action in relatives
    guardian = GrantFact(GrantKind.GUARD, Depth.NOTHING, frozenset(), None, None)
    assert view_from([*given_, guardian], subject, NOW) == OWNER


def test_a_depth_never_meets_another_grants_categories() -> None:
    """Results for one, steps with gynaecology for the other: gynaecology shows its steps and no result."""
    live = Subject(UUID(int=3), UUID(int=4), HERE, ended=False, settled=False)
    results = GrantFact(GrantKind.WATCH, Depth.RESULTS, frozenset(), None, None)
    steps = GrantFact(GrantKind.WATCH, Depth.STEPS, frozenset({"gynaecology"}), HERE, None)
    view = view_from([results, steps], live, NOW)
    assert view.shows(Audience.STEPS, "gynaecology")
    assert not view.shows(Audience.BILL, "gynaecology")
    assert not view.shows(Audience.RESULTS, "gynaecology")
    assert view.shows(Audience.RESULTS, None)
    assert not view.shows(Audience.STEPS, "psychiatry")


def test_birthdays_and_identity_numbers() -> None:
    """A child of 29 February is fourteen on 1 March; one changed character fails the check."""
    assert alone_until(date(2012, 2, 29)) == date(2026, 3, 1)
    assert alone_until(date(2012, 3, 4)) == date(2026, 3, 4)
    assert is_id_number("999901195503089023")
    assert not is_id_number("999901195503089024")
    assert not is_id_number("99990119550308902３")
