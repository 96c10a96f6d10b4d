"""Sentences, amounts and times, as a person reads them."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pwa.preview import draw
from pwa.samples import samples
from words import errors, money

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 20, 16, 30, tzinfo=UTC)  # half past midnight of the 21st in Shanghai


def test_times_are_said_as_a_person_says_them() -> None:
    """Just after midnight in Shanghai, still yesterday in UTC: today, tomorrow and yesterday are Shanghai's."""
    assert money.when(datetime(2026, 11, 21, 8, 20, tzinfo=UTC), NOW) == "今天 16:20"
    assert money.when(datetime(2026, 11, 22, 1, 0, tzinfo=UTC), NOW) == "明天 09:00"
    assert money.when(datetime(2026, 11, 20, 1, 0, tzinfo=UTC), NOW) == "昨天 09:00"
    assert money.day(datetime(2026, 11, 18, 1, 0, tzinfo=UTC), NOW) == "11月18日"
    assert money.day(datetime(2025, 12, 25, 1, 0, tzinfo=UTC), NOW) == "2025年12月25日"


def test_amounts_and_names() -> None:
    """Always the sign and two decimals; a masked name keeps the family name."""
    assert [money.rmb(f) for f in (7760, 0, -5, 123456700)] == ["¥77.60", "¥0.00", "-¥0.05", "¥1,234,567.00"]
    assert [money.masked(n) for n in ("示例甲", "甲", "示例")] == ["示**", "*", "示*"]


def test_every_error_has_a_sentence() -> None:
    """A known code fills its values; an unknown one says what its kind says; a missing value leaves a gap, no crash."""
    assert errors.sentence("read_delay", seconds=8) == "请再看 8 秒。这一页说的是要在什么时候付钱。"
    assert errors.sentence("never_heard_of", "too_many") == errors.KINDS["too_many"]
    assert errors.sentence("never_heard_of", "nor_this") == errors.KINDS["invalid"]
    assert errors.sentence("read_delay") == "请再看  秒。这一页说的是要在什么时候付钱。"


def test_voice() -> None:
    """No exclamation marks, no 用户, no 您们 and no jargon anywhere a person reads."""
    for file in (ROOT / "words").glob("*.py"):
        text = file.read_text("utf-8")
        for never in ("！", "用户", "代付人", "请重试", "操作失败", "系统繁忙", "你"):
            assert never not in text, f"{file.name}: {never}"


@pytest.mark.parametrize("name", samples())
def test_templates_hold_no_sentence(name: str) -> None:
    """Every Chinese word a page shows comes from words or data: the templates hold none of their own."""
    for file in (ROOT / "pwa/templates").rglob("*.html"):
        bare = re.sub(r"\{#.*?#\}", "", file.read_text("utf-8"), flags=re.S)
        assert re.findall("[\u4e00-\u9fff]+", bare) == [], file.name
    html = draw(name)[0].decode()
    assert "Undefined" not in html
    assert "None" not in html
