"""Ports for programs that a test starts: not among those the system gives away, so nobody takes them meanwhile."""

import contextlib
import secrets
import socket

FIRST, LAST = 12_000, 30_000  # Linux hands out ports from 32,768 on, macOS and others from 49,152


def free_port(*beside: int) -> int:
    """A port of loopback nobody listens on, and so are those at these distances from it."""
    while True:
        port = FIRST + secrets.randbelow(LAST - FIRST)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for wanted in (port, *(port + distance for distance in beside)):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", wanted))
            return port
