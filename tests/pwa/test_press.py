"""Papers are made in a process of their own: killed, it comes again; idle, it goes; its memory is not ours."""

import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from kernel.outside import Unknown
from pwa import press as module
from pwa.press import Press

PAGE = "<meta charset=utf-8><p>检查费：¥12.60</p>"


@pytest.fixture
def press() -> Iterator[Press]:
    """A press of this test alone."""
    made = Press()
    yield made
    made.close()


def _pid(press: Press) -> int:
    assert press._process is not None
    return press._process.pid


def test_one_process_prints_one_after_the_other_and_may_be_killed(press: Press) -> None:
    """Two papers by one process; it is killed from outside; the third comes from a new one."""
    plain = press.make(PAGE, b"id")
    pid = _pid(press)
    assert plain.startswith(b"%PDF-")
    assert len(press.make(PAGE, b"id", ("evidence.json", b"{}"))) > len(plain)  # what is inside, the letter tests ask
    assert _pid(press) == pid
    os.kill(pid, signal.SIGKILL)
    assert press.make(PAGE, b"id").startswith(b"%PDF-")
    assert _pid(press) != pid
    press.close()
    assert not psutil.pid_exists(pid)


def test_what_cannot_be_printed_is_said_and_holds_up_nothing(press: Press) -> None:
    """Half a character cannot be written to a file: the reason comes back, and the next paper is made."""
    with pytest.raises(Unknown, match="paper: Unicode"):
        press.make(PAGE + "\ud800", b"id")
    assert press.make(PAGE, b"id").startswith(b"%PDF-")


def test_it_goes_home_when_nobody_asks(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its idle time the process has ended by itself, and its memory with it; the next paper starts another."""
    monkeypatch.setenv("HOUFU_PRESS_IDLE_SECONDS", "0.2")
    press.make(PAGE, b"id")
    process = psutil.Process(_pid(press))
    assert psutil.wait_procs([process], timeout=10)[0] == [process]
    assert press.make(PAGE, b"id").startswith(b"%PDF-")
    assert module.IDLE_SECONDS == 60
