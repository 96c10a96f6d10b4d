"""How the house says no: one family of errors, each with a stable code and a kind.

A class stands beside the service that raises it. ``code`` names its sentence in ``words.errors``; ``kind`` decides
the HTTP status in ``api.problems`` (RFC 9457). ``params`` fill the sentence and never hold personal data.
"""

from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """What sort of no it is, independent of HTTP."""

    INVALID = "invalid"  # the request is malformed or breaks a rule of form
    UNAUTHENTICATED = "unauthenticated"  # we do not know who asks
    FORBIDDEN = "forbidden"  # we know who asks, and this is not theirs to do
    NOT_FOUND = "not_found"  # absent, or foreign: the two are answered alike
    CONFLICT = "conflict"  # true a moment ago, or done by someone else
    TOO_EARLY = "too_early"  # the same request is right later
    TOO_MANY = "too_many"  # limits against guessing and flooding
    UNAVAILABLE = "unavailable"  # something we depend on is down


class HoufuError(Exception):
    """A refusal a person or a machine can act on.

    Args:
        params: values that fill the sentence for the person (no names, no numbers that identify).
    """

    code: ClassVar[str] = "error"
    kind: ClassVar[Kind] = Kind.INVALID

    def __init__(self, **params: object) -> None:
        super().__init__(self.code)
        self.params = params


class NotFoundError(HoufuError):
    """The thing does not exist, or is not the caller's to know of."""

    code = "not_found"
    kind = Kind.NOT_FOUND


class ForbiddenError(HoufuError):
    """The caller is known and may not do this."""

    code = "forbidden"
    kind = Kind.FORBIDDEN


class UnauthenticatedError(HoufuError):
    """Nobody is logged in, or the session has ended."""

    code = "unauthenticated"
    kind = Kind.UNAUTHENTICATED


class IllegalTransitionError(HoufuError):
    """The lifecycle table has no such edge."""

    code = "illegal_transition"
    kind = Kind.CONFLICT
