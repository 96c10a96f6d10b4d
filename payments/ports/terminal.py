"""What a terminal at a desk or a kiosk hands us: a code or a face it has read, signed, good for a minute and one use.

We take no pictures and compare no faces: certified machines do, and give us what they were given. A value is used for
one charge and never kept, logged or shown. The wire is ``docs/terminals.md``; the signature is the HIS's with the
terminal's name in it.
"""

import hashlib
import hmac
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from kernel.errors import HoufuError, Kind

SIGNATURE_LIFE = timedelta(minutes=5)
CAPTURE_LIFE = timedelta(minutes=1)
CAPTURE_MOST = 4096
"""Bytes of a body; nothing a terminal reads is longer."""


class CaptureKind(StrEnum):
    """What was read."""

    PAY_CODE = "PAY_CODE"  # the payment code on a phone (付款码)
    FACE_CODE = "FACE_CODE"  # what WeChat's face terminal gave instead of a face (刷脸付)
    EC_QRCODE = "EC_QRCODE"  # the insurance e-certificate's code (医保电子凭证)
    EC_FACE = "EC_FACE"  # what a certified insurance terminal gave for a face (医保刷脸)


CERTIFICATES = frozenset({CaptureKind.EC_QRCODE, CaptureKind.EC_FACE})
"""What opens a patient's insurance; whether it was a code or a face makes no difference to what may be done with it."""


@dataclass(frozen=True, slots=True)
class Capture:
    """One thing read, by whom and when by the terminal's own clock; ``value`` goes nowhere but into one charge.

    ``openid`` and ``out_trade_no`` come with a FACE_CODE: whose face it was, and the order it was looked at for.
    """

    kind: CaptureKind
    value: str = field(repr=False)
    terminal_id: str
    operator: str
    captured_at: datetime
    openid: str = field(default="", repr=False)
    out_trade_no: str = ""


class ForgedCaptureError(HoufuError):
    """No terminal of ours signed this, or not now; answer 401 and change nothing."""

    code = "forged_capture"
    kind = Kind.UNAUTHENTICATED


class BadCaptureError(HoufuError):
    """A genuine terminal sent something that cannot be used; ``why`` is a word of ``docs/terminals.md``."""

    code = "bad_capture"

    def __init__(self, why: str) -> None:
        super().__init__(why=why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a certified terminal's library gave for an e-certificate or a face: an authorization, and whose it is.

    ``auth_no`` is good for minutes and one order at the centre. ``id_number`` is upper case.
    """

    auth_no: str = field(repr=False)
    id_number: str = field(repr=False)
    ec_token: str | None = field(default=None, repr=False)


_AUTH_NO = re.compile(r"[A-Za-z0-9_-]{8,64}")
_ID_NUMBER = re.compile(r"[A-Za-z0-9()-]{5,32}")
_EC_TOKEN = re.compile(r"[!-~]{0,512}")
_CERTIFICATE = {"authno", "idno", "ectoken"}
_TERMINAL = re.compile(r"[A-Za-z0-9_-]{1,32}")
_OPERATOR = re.compile(r"[A-Za-z0-9._-]{0,40}")  # as a login in the hospital's file
_VALUES = {
    CaptureKind.PAY_CODE: re.compile(r"1[0-5][0-9]{16}"),
    CaptureKind.FACE_CODE: re.compile(r"[!-~]{1,128}"),
    CaptureKind.EC_QRCODE: re.compile(r"[!-~]{1,1024}"),
    CaptureKind.EC_FACE: re.compile(r"[!-~]{1,1024}"),
}
_FIELDS = {"kind", "value", "terminal_id", "operator", "captured_at"}
_OF_A_FACE = {
    "openid": re.compile(r"[A-Za-z0-9_-]{1,128}"),
    "out_trade_no": re.compile(r"[A-Za-z0-9_*|-]{6,32}"),
}
_RAWDATA = re.compile(r"[!-~]{1,3500}")


def sign_capture(secret: str, terminal_id: str, timestamp: int, raw: bytes) -> str:
    """Lower-case hex HMAC-SHA256 over ``timestamp.terminal_id.raw body``."""
    text = f"{timestamp}.{terminal_id}.".encode() + raw
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def check_capture(secret: str, terminal_id: str, timestamp: str, signature: str, raw: bytes, now: datetime) -> None:
    """Whether this terminal signed these bytes just now.

    Args:
        secret: the terminal's; for an unknown terminal pass any, so that it answers alike and takes as long.

    Raises:
        ForgedCaptureError: it did not, or its clock is more than five minutes off, or the form is not right.
    """
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or not _TERMINAL.fullmatch(terminal_id) or len(raw) > CAPTURE_MOST:
        raise ForgedCaptureError
    wanted = sign_capture(secret, terminal_id, int(timestamp), raw)
    if not hmac.compare_digest(wanted.encode(), signature.encode()):
        raise ForgedCaptureError
    if abs(now.timestamp() - int(timestamp)) > SIGNATURE_LIFE.total_seconds():
        raise ForgedCaptureError


def check_value(kind: CaptureKind, value: str) -> None:
    """Whether this can have been read.

    Raises:
        BadCaptureError: ``value``.
    """
    if not _VALUES[kind].fullmatch(value):
        raise BadCaptureError("value")


def read_capture(terminal_id: str, timestamp: str, raw: bytes) -> Capture:
    """Read a body whose signature holds.

    The age of what was read is judged by the terminal's own clock (``timestamp`` against ``captured_at``), so a clock
    that is off does not spoil it; how far off it may be, ``check_capture`` has said.

    Raises:
        BadCaptureError: ``unreadable``, ``kind``, ``value``, ``terminal_id``, ``operator``, ``captured_at``, ``old``,
            of a face ``openid``, ``out_trade_no``.
    """
    told = _object(raw)
    face = set(_OF_A_FACE) if told.get("kind") == CaptureKind.FACE_CODE else set()
    if set(told) != _FIELDS | face:
        raise BadCaptureError("unreadable")
    if told["kind"] not in CaptureKind.__members__:
        raise BadCaptureError("kind")
    kind = CaptureKind(told["kind"])
    check_value(kind, told["value"])
    for name in face:
        if not _OF_A_FACE[name].fullmatch(told[name]):
            raise BadCaptureError(name)
    if told["terminal_id"] != terminal_id:
        raise BadCaptureError("terminal_id")
    if not _OPERATOR.fullmatch(told["operator"]):
        raise BadCaptureError("operator")
    try:
        at = datetime.fromisoformat(told["captured_at"])
    except ValueError:
        raise BadCaptureError("captured_at") from None
    if at.tzinfo is None:
        raise BadCaptureError("captured_at")
    age = int(timestamp) - at.timestamp()
    if not -1 <= age <= CAPTURE_LIFE.total_seconds():  # the timestamp has whole seconds
        raise BadCaptureError("old")
    more = {name: told[name] for name in face}
    return Capture(kind, told["value"], terminal_id, told["operator"], at.astimezone(UTC), **more)


def read_look(terminal_id: str, raw: bytes) -> str:
    """Read a body in which a terminal asks to look at a face, whose signature holds: what its SDK made.

    Raises:
        BadCaptureError: ``unreadable``, ``terminal_id``, ``rawdata``.
    """
    told = _object(raw)
    if set(told) != {"terminal_id", "rawdata"}:
        raise BadCaptureError("unreadable")
    if told["terminal_id"] != terminal_id:
        raise BadCaptureError("terminal_id")
    if not _RAWDATA.fullmatch(told["rawdata"]):
        raise BadCaptureError("rawdata")
    return told["rawdata"]


def read_certificate(value: str) -> Certificate:
    """Read what a certified terminal handed over: a JSON object of ``authno``, ``idno`` and, where given, ``ectoken``.

    Raises:
        BadCaptureError: ``value``; a plain scanner reads the code, but cannot know whose it is.
    """
    try:
        told: Any = json.loads(value)
    except (ValueError, RecursionError):
        raise BadCaptureError("value") from None
    if (
        not isinstance(told, dict)
        or not set(told) <= _CERTIFICATE
        or not all(isinstance(v, str) for v in told.values())
    ):
        raise BadCaptureError("value")
    auth_no, id_number, token = told.get("authno", ""), told.get("idno", ""), told.get("ectoken", "")
    if not (_AUTH_NO.fullmatch(auth_no) and _ID_NUMBER.fullmatch(id_number) and _EC_TOKEN.fullmatch(token)):
        raise BadCaptureError("value")
    return Certificate(auth_no, id_number.upper(), token or None)


def _object(raw: bytes) -> dict[str, str]:
    try:
        told: Any = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadCaptureError("unreadable") from None
    if not isinstance(told, dict) or not all(isinstance(v, str) for v in told.values()):
        raise BadCaptureError("unreadable")
    return told
