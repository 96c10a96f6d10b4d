"""What is written down, by us and by libraries: the line itself, and nothing of a person."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from houfu import logs
from kernel.settings import Settings


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """Leave logging as other tests expect it."""
    root = logging.getLogger()
    before, drawn = (root.handlers, root.level), structlog.get_config()
    yield
    root.handlers, root.level = before
    structlog.configure(**drawn)


@pytest.mark.usefixtures("as_it_was")
@pytest.mark.parametrize("kind", ["json", "text"])
def test_a_failure_told_by_the_standard_library_is_written(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The handler draws it with its trace, and leaves out what is not on the list; it never fails itself."""
    logs.set_up(Settings(log_format=kind))
    try:
        raise ValueError("a plain reason")
    except ValueError:
        logging.getLogger("intake").exception("a statement failed", extra={"name_of_patient": "王桂芳"})
    said = capsys.readouterr().err
    assert "a statement failed" in said
    assert "a plain reason" in said
    assert "Logging error" not in said
    assert "王桂芳" not in said
