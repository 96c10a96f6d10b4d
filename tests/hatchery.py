"""Processes of the house that start at once: forked off one that has loaded the house, otherwise like any other.

Loading takes three seconds of a processor, and what a test of signals, kills and exit codes wants to see comes after
it. All who run tests together share one hatchery. That the commands also start from nothing is shown by
``tests/houfu/test_cli.py`` and ``test_documents.py``.
"""

import fcntl
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / ".cache" / "test-hatchery.lock"

LOADED = (
    *(f"houfu.{name}" for name in ("cli", "app", "books", "demo", "doctor", "hospitals", "server", "worker")),
    *(f"adapters.{name}" for name in ("wechat_messages", "wechat_pay")),
)
"""What the commands load when they need it."""
MESSAGE = 200_000
"""Bytes: arguments and environment of one process."""


class Process:
    """A process that was started: what tests need of ``subprocess.Popen``; its parent is the hatchery."""

    def __init__(self, pid: int, ended: int) -> None:
        self.pid, self._ended = pid, ended
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, once it has one; negative: the signal that killed it."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            subprocess.TimeoutExpired: it lives on.
        """
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            self.returncode = int(os.read(self._ended, 16))
            os.close(self._ended)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """kill -9."""
        self.send_signal(signal.SIGKILL)


class Hatchery:
    """Starts processes; ends with the last ``close`` of its run, and by itself when the tests are killed.

    Args:
        run: the name of the run of tests whose hatchery it is.
    """

    def __init__(self, run: str) -> None:
        place = str(Path(tempfile.gettempdir()) / f"houfu-hatchery-{run}")
        self._line = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with _alone():
            try:
                self._line.connect(place)
            except (FileNotFoundError, ConnectionRefusedError):
                _found(place)
                self._line.connect(place)

    def start(self, arguments: list[str], environment: Mapping[str, str], output: Path, errors: Path) -> Process:
        """``houfu ARGUMENTS`` in a session of its own with exactly this environment; what it says is added to files."""
        ended, end = os.pipe()
        with output.open("ab") as out, errors.open("ab") as err:
            order = json.dumps({"arguments": arguments, "environment": dict(environment)}).encode()
            socket.send_fds(self._line, [order], [out.fileno(), err.fileno(), end])
        os.close(end)
        return Process(int(self._line.recv(16)), ended)

    def close(self) -> None:
        """No more processes from here; those there are live on."""
        self._line.close()


@contextmanager
def _alone() -> Iterator[None]:
    """Nobody else comes to a hatchery, or ends one, during the block."""
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _found(place: str) -> None:
    """Begin a hatchery there; who connects before it has loaded waits at its door."""
    with suppress(FileNotFoundError):
        os.unlink(place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as door:
        door.bind(place)
        door.listen()
        subprocess.run(
            [sys.executable, "-m", "tests.hatchery", str(door.fileno())],
            cwd=ROOT, pass_fds=[door.fileno()], env=os.environ | {"COLUMNS": "200"},
            start_new_session=True, check=True,
        )  # fmt: skip


def _main(door: socket.socket) -> None:
    """Load the house, then fork whenever it is asked for, until nobody can ask any more."""
    for name in LOADED:
        importlib.import_module(name)
    importlib.import_module("houfu.app").routers()
    gc.collect()
    gc.freeze()
    bell, ring = os.pipe()
    os.set_blocking(ring, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ring)
    children: dict[int, int] = {}
    lines: list[socket.socket] = []
    from houfu.cli import main

    while True:
        heard: list[Any] = [bell, door, *lines]
        for ready in select.select(heard, [], [])[0]:
            if ready == bell:
                os.read(bell, 1)
                _bury(children)
            elif ready == door:
                lines.append(door.accept()[0])
            else:
                order, given, _, _ = socket.recv_fds(ready, MESSAGE, 3)
                if order and _forked(ready, given, children):
                    for one in (bell, ring, *children.values()):
                        os.close(one)
                    for held in (door, *lines):
                        held.close()
                    _become(**json.loads(order), given=given)
                    return main()
                if not order and _gone(ready, lines, door):
                    return None


def _forked(line: socket.socket, given: list[int], children: dict[int, int]) -> bool:
    """Make a process and tell who asked for it; whether this is that process."""
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        return True
    children[pid] = given.pop()
    for one in given:
        os.close(one)
    line.send(str(pid).encode())
    return False


def _gone(line: socket.socket, lines: list[socket.socket], door: socket.socket) -> bool:
    """One will ask no more; whether nobody will."""
    lines.remove(line)
    line.close()
    return not lines and _ended(door)


def _ended(door: socket.socket) -> bool:
    """Close the door for good, unless somebody stands before it."""
    with _alone():
        if select.select([door], [], [], 0)[0]:
            return False
        os.unlink(door.getsockname())
        door.close()
        return True


def _bury(children: dict[int, int]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        end = children.pop(pid)
        with suppress(BrokenPipeError):
            os.write(end, str(os.waitstatus_to_exitcode(status)).encode())
        os.close(end)


def _become(arguments: list[str], environment: dict[str, str], given: list[int]) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    out, err, _ = given
    os.dup2(out, 1)
    os.dup2(err, 2)
    for one in given:
        os.close(one)
    sys.argv = ["houfu", *arguments]


if __name__ == "__main__":
    if os.fork():
        os._exit(0)  # it belongs to nobody of those who use it: any of them may be the first to end
    _main(socket.socket(fileno=int(sys.argv[1])))
