"""Reading time, strokes and canonical text, for every input there is."""

import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.rules import (
    CONTRACT,
    ContractState,
    Facts,
    Refusal,
    StrokesError,
    canonical,
    characters,
    needed_seconds,
    read_strokes,
    refusal_of,
    seconds_left,
)
from kernel.errors import IllegalTransitionError
from people.rules import HospitalSettings
from tests.consent.conftest import DRAWN, NOW

TEXTS = st.fixed_dictionaries({"told": st.text(max_size=400), "patient": st.text(max_size=80)})


@given(TEXTS, st.integers(1, 20), st.integers(0, 60))
def test_reading_time(texts: dict[str, str], rate: int, minimum: int) -> None:
    """Each region gets at least its characters at the rate, together never under the minimum nor much over the need."""
    needed = needed_seconds(texts, rate, minimum)
    assert list(needed) == ["told", "patient"]
    assert all(needed[code] * rate >= characters(texts[code]) for code in needed)
    total = sum(needed.values())
    exact = sum(math.ceil(characters(t) / rate) for t in texts.values())
    assert total == max(minimum, exact)


@given(st.integers(0, 500), st.integers(0, 600_000))
def test_the_clock_only_counts_down(needed: int, passed_ms: int) -> None:
    """Rounded up: the pen never comes a millisecond early, and never later than the second it is due."""
    from datetime import timedelta

    left = seconds_left(NOW, needed, NOW + timedelta(milliseconds=passed_ms))
    assert (left == 0) == (passed_ms >= needed * 1000)
    assert left <= needed
    assert left * 1000 >= needed * 1000 - passed_ms


@pytest.mark.parametrize(
    "raw",
    [
        None,
        [],
        {},
        [[]],
        [[[1, 1, 0, 0.5]]],
        [[[10, 10, 0, 0.5]] * 20],
        [[[10, 10, 5, 0.5], [50, 50, 4, 0.5]] * 5],
        [[[10, 10, 0, 0.5], [5000, 50, 4, 0.5]] * 5],
        [[[10, 10, 0, 1.5], [50, 50, 4, 0.5]] * 5],
        [[[float("nan"), 10, 0, 0.5]] * 10],
        [[["a", 10, 0, 0.5]] * 10],
        [[[True, 10, 0, 0.5]] * 10],
        [[[10, 10, 0]] * 10],
        [DRAWN[0]] * 200,
        [[[i % 300, 50, i, 0.5] for i in range(9000)]],
        [[[10, 10, 0, 0.5], [90, 90, 700_000, 0.5]] * 5],
    ],
)
def test_what_is_no_signature(raw: object) -> None:
    """Empty, a dot, out of the pad, time running backwards, too much, not numbers."""
    with pytest.raises(StrokesError):
        read_strokes(raw, 320, 160)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=30))
def test_no_strokes_crash_the_house(raw: object) -> None:
    """Whatever JSON a phone sends is taken or refused, never a crash."""
    with suppress(StrokesError):
        assert read_strokes(raw, 320, 160).lines


def test_strokes_are_kept_as_whole_numbers() -> None:
    """Tenths of a pixel, milliseconds, thousandths: the same bytes on every machine."""
    strokes = read_strokes(DRAWN, 320, 160)
    assert strokes.lines[0] == ((200, 405, 0, 200), (603, 440, 40, 500), (1100, 900, 90, 600))
    assert canonical(strokes.plain()) == canonical(read_strokes(DRAWN, 320, 160).plain())
    with pytest.raises(TypeError):
        canonical({"x": 0.5})


def test_the_first_reason_is_said() -> None:
    """A wilful default weighs most; a zero-threshold city asks neither insurance nor credit, but a pause counts."""
    open_city, strict = HospitalSettings(zero_threshold=True), HospitalSettings()
    all_bad = Facts("none", True, NOW, suspended=True, default_record=True)
    assert refusal_of(all_bad, strict, NOW) is Refusal.DEFAULT_RECORD
    assert refusal_of(Facts("none", True, NOW), open_city, NOW) is None
    assert refusal_of(Facts("normal", suspended=True), open_city, NOW) is Refusal.SUSPENDED
    assert refusal_of(Facts("normal", False, NOW), strict, NOW) is None


@pytest.mark.parametrize("before", [None, *ContractState])
@pytest.mark.parametrize("after", list(ContractState))
def test_no_other_edges(before: ContractState | None, after: ContractState) -> None:
    """A withdrawn contract never comes back; every edge that is not in the table raises."""
    if before is ContractState.WITHDRAWN:
        assert not CONTRACT.allows(before, after)
    if not CONTRACT.allows(before, after):
        with pytest.raises(IllegalTransitionError):
            CONTRACT.move(before, after)
