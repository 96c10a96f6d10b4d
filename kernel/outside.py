"""What can happen when we ask somebody outside: a yes, a definite no, "come later", "not set up", or we do not know.

The four errors are the whole set an adapter may raise for a call that left the house. ``Guard`` is the wall around one
outside system: a bulkhead (so a slow one cannot take every worker), one overall deadline, and a breaker.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from kernel.errors import HoufuError, Kind

T = TypeVar("T")


class OutsideError(HoufuError):
    """Base of everything a call to an outside system may raise."""

    code = "outside"
    kind = Kind.UNAVAILABLE


class Rejected(OutsideError):
    """A definite no to this request: it had no effect, and repeating it unchanged is pointless.

    Args:
        reason: the provider's own code, spelled as our adapter normalises it (``ORDER_PAID``, ``40029`` …).
        message: the provider's words, for logs and staff; never shown to patients.
    """

    code = "outside.rejected"
    kind = Kind.CONFLICT

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(reason=reason)
        self.reason = reason
        self.message = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}" if self.message else self.reason


class Unknown(OutsideError):
    """It may or may not have happened (timeout, 5xx, unsigned or unverifiable answer): only a query may follow."""

    code = "outside.unknown"

    def __init__(self, why: str = "") -> None:
        super().__init__()
        self.why = why

    def __str__(self) -> str:
        return self.why or self.code


class Throttled(OutsideError):
    """It did not happen, and the same request is right a little later (rate limit, bulkhead full, breaker open)."""

    code = "outside.throttled"
    kind = Kind.TOO_MANY

    def __init__(self, why: str = "") -> None:
        super().__init__()
        self.why = why

    def __str__(self) -> str:
        return self.why or self.code


class NotConfigured(OutsideError):
    """This hospital has no key, address or permission for what was asked; nothing was sent.

    Args:
        what: the name of the missing setting.
    """

    code = "outside.not_configured"

    def __init__(self, what: str) -> None:
        super().__init__(what=what)
        self.what = what

    def __str__(self) -> str:
        return f"not configured: {self.what}"


class Breaker:
    """Stop asking a system that has not answered for a while, and let one call through now and then to see.

    Args:
        failures: consecutive unknown outcomes that open it.
        rest: seconds it stays open before one probe may pass.
        monotonic: seconds, for tests.
    """

    def __init__(self, failures: int = 5, rest: float = 10.0, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._rest, self._now = failures, rest, monotonic
        self._count = 0
        self._opened: float | None = None
        self._probing = False

    @property
    def is_open(self) -> bool:
        """Whether the next ordinary call would be turned away."""
        return self._opened is not None and (self._probing or self._now() - self._opened < self._rest)

    def enter(self) -> None:
        """Ask to pass.

        Raises:
            Throttled: open, and it is not yet time for a probe.
        """
        if self.is_open:
            raise Throttled("breaker open")
        self._probing = self._opened is not None

    def succeeded(self) -> None:
        """The system answered, whatever it said."""
        self._count, self._opened, self._probing = 0, None, False

    def failed(self) -> None:
        """The system did not answer, or not in a way one can rely on."""
        self._count += 1
        if self._probing or self._count >= self._limit:
            self._opened = self._now()
        self._probing = False

    def left(self) -> None:
        """The caller went away before any outcome: free the probe's place, learn nothing."""
        self._probing = False


class Guard:
    """Bulkhead, deadline and breaker around the calls to one outside system.

    Args:
        name: used in messages only.
        places: calls at the same time.
        deadline: seconds for one call, from the moment it has a place.
        wait: seconds a call may queue for a place before it is turned away (nothing sent).
    """

    def __init__(
        self, name: str, places: int = 8, deadline: float = 8.0, wait: float = 2.0, breaker: Breaker | None = None
    ) -> None:
        self.name, self._deadline, self._wait = name, deadline, wait
        self._places = asyncio.Semaphore(places)
        self.breaker = breaker or Breaker()

    async def call(self, do: Callable[[], Awaitable[T]]) -> T:
        """Run one call.

        Raises:
            Throttled: no place, or the breaker is open; nothing was sent.
            Unknown: the deadline passed.
        """
        self.breaker.enter()
        try:
            # Not wait_for: on Python 3.11 it may swallow the caller's cancellation.
            async with asyncio.timeout(self._wait):
                await self._places.acquire()
        except TimeoutError:
            self.breaker.left()
            raise Throttled(f"{self.name}: no free place") from None
        except BaseException:
            self.breaker.left()
            raise
        try:
            return await self._watched(do)
        finally:
            self._places.release()

    async def _watched(self, do: Callable[[], Awaitable[T]]) -> T:
        try:
            async with asyncio.timeout(self._deadline):
                answer = await do()
        except TimeoutError:
            self.breaker.failed()
            raise Unknown(f"{self.name}: no answer within {self._deadline:g} s") from None
        except Unknown:
            self.breaker.failed()
            raise
        except OutsideError:
            self.breaker.succeeded()
            raise
        except BaseException:
            self.breaker.left()
            raise
        self.breaker.succeeded()
        return answer
