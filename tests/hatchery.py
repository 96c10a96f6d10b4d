"""Processes of the house that start at once: forked off one that has loaded the house, otherwise like any other.

Loading takes two seconds of a processor, and what a test of signals, kills and exit codes wants to see comes after it.
That the commands also start from nothing is shown by ``tests/houfu/test_cli.py`` and ``test_documents.py``.
"""

import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

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
    """Starts processes; ends with ``close``, and by itself when the tests are killed."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._mother = subprocess.Popen(
                [sys.executable, "-m", "tests.hatchery", str(theirs.fileno())],
                cwd=ROOT, pass_fds=[theirs.fileno()], env=os.environ | {"COLUMNS": "200"},
                start_new_session=True,
            )  # fmt: skip

    def start(self, arguments: list[str], environment: Mapping[str, str], output: Path, errors: Path) -> Process:
        """``houfu ARGUMENTS`` in a session of its own with exactly this environment; what it says is added to files."""
        ended, end = os.pipe()
        with output.open("ab") as out, errors.open("ab") as err:
            order = json.dumps({"arguments": arguments, "environment": dict(environment)}).encode()
            socket.send_fds(self._line, [order], [out.fileno(), err.fileno(), end])
        os.close(end)
        return Process(int(self._line.recv(16)), ended)

    def close(self) -> None:
        """No more processes; those there are live on."""
        self._line.close()
        self._mother.wait(60)


def _main(line: socket.socket) -> None:
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
    heard: list[socket.socket | int] = [line, bell]
    from houfu.cli import main

    while True:
        for ready in select.select(heard, [], [])[0]:
            if ready == bell:
                os.read(bell, 1)
                _bury(children)
                continue
            order, given, _, _ = socket.recv_fds(line, MESSAGE, 3)
            if not order:
                return None
            pid = os.fork()
            if pid == 0:
                signal.set_wakeup_fd(-1)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                for one in (bell, ring, *children.values()):
                    os.close(one)
                line.close()
                _become(**json.loads(order), given=given)
                return main()
            children[pid] = given.pop()
            for one in given:
                os.close(one)
            line.send(str(pid).encode())


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
    _main(socket.socket(fileno=int(sys.argv[1])))
