"""The letter's rules: how long it must be read, who may sign it, when it carries, and what counts as a signature."""

import hashlib
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle
from people.rules import FULL_AGE, HospitalSettings, age_on

TIMED = ("told", "patient")  # the pen, the proxy's and the doctor's region tell nothing new
REGIONS = ("told", "patient", "sign", "proxy", "doctor")
READING_LIVES = timedelta(hours=24)  # an old reader may put the phone away over lunch; nothing expires in her hands
HANDOVER_LIVES = timedelta(minutes=10)
CODE_LIVES = timedelta(minutes=10)
CODE_TRIES = 5
CODES_A_DAY = 10
CODE_PAUSE = timedelta(seconds=60)
CREDIT_FRESH = timedelta(hours=24)
CREDIT_USABLE = timedelta(days=30)
BEAT_SECONDS = 3
GENESIS = "0" * 64


class ReadingState(StrEnum):
    """A reading ends in a signature or is left."""

    READING = "reading"
    SIGNED = "signed"
    ABANDONED = "abandoned"


class ContractState(StrEnum):
    """A contract carries when signed or sealed; it never comes back once withdrawn."""

    SIGNED = "signed"
    SEALED = "sealed"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"


class SignerRole(StrEnum):
    """In whose name the pen is held."""

    PATIENT = "patient"
    PROXY = "proxy"  # a relative the patient authorised, or at the bedside before a witness
    GUARDIAN = "guardian"


class SignMethod(StrEnum):
    """How it was signed."""

    STROKES = "strokes"
    CODE = "code"  # typed name and SMS code


class SigningChannel(StrEnum):
    """Where it was signed (签名渠道)."""

    TABLET = "TABLET"
    QR_SCAN = "QR_SCAN"
    KIOSK = "KIOSK"
    OFFICIAL_ACCOUNT = "OFFICIAL_ACCOUNT"
    WEB = "WEB"


class ProxyReason(StrEnum):
    """Why somebody else holds the pen."""

    MINOR = "minor"
    UNABLE = "unable"  # cannot write or cannot act
    AUTHORISED = "authorised"  # the patient asked a relative afar
    EMERGENCY = "emergency"


READING = Lifecycle[ReadingState](
    "Reading of the letter",
    {
        (None, ReadingState.READING): "ReadingOpened",
        (ReadingState.READING, ReadingState.SIGNED): "ContractSigned",
        (ReadingState.READING, ReadingState.ABANDONED): "ReadingAbandoned",
    },
)

CONTRACT = Lifecycle[ContractState](
    "Contract",
    {
        (None, ContractState.SIGNED): "ContractSigned",
        (ContractState.SIGNED, ContractState.SEALED): "ContractSealed",
        (ContractState.SIGNED, ContractState.WITHDRAWN): "ContractWithdrawn",
        (ContractState.SEALED, ContractState.WITHDRAWN): "ContractWithdrawn",
        (ContractState.SUSPENDED, ContractState.WITHDRAWN): "ContractWithdrawn",
        (ContractState.SIGNED, ContractState.SUSPENDED): "ContractSuspended",
        (ContractState.SEALED, ContractState.SUSPENDED): "ContractSuspended",
        (ContractState.SUSPENDED, ContractState.SIGNED): "ContractRestored",
        (ContractState.SUSPENDED, ContractState.SEALED): "ContractRestored",
    },
)


class ConsentError(HoufuError):
    """A refusal on the way to a signature; every one of them leaves a link in the evidence."""

    code = "consent"
    kind = Kind.CONFLICT


class TooEarlyError(ConsentError):
    """The reading time is not served by the server's clock; ``seconds`` are left."""

    code = "read_delay"
    kind = Kind.TOO_EARLY

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds=seconds)
        self.seconds = seconds


class AlreadySignedError(ConsentError):
    """A contract stands, or this reading was signed before."""

    code = "already_signed"


class LetterChangedError(ConsentError):
    """The hospital published a new version since this reading began."""

    code = "letter_changed"


class ReadingOverError(ConsentError):
    """The reading expired or was left."""

    code = "reading_expired"


class BadNonceError(ConsentError):
    """The pen was not handed over to this person for this reading."""

    code = "pen_not_yours"
    kind = Kind.FORBIDDEN


class NotEligibleError(ConsentError):
    """The service is not for this person now; ``reason`` is a code of ``Refusal``."""

    code = "not_eligible"
    kind = Kind.CONFLICT

    def __init__(self, refusal: "Refusal", sentence: str) -> None:
        super().__init__(reason=sentence)
        self.refusal = refusal


class GuardianNeededError(ConsentError):
    """The patient is too young to sign alone."""

    code = "guardian_needed"
    kind = Kind.FORBIDDEN


class NotSignedError(ConsentError):
    """There is no standing contract."""

    code = "not_signed"


class StrokesError(ConsentError):
    """What was drawn is no signature: ``strokes_missing`` when it is empty."""

    kind = Kind.INVALID

    def __init__(self, why: str, *, missing: bool = False) -> None:
        super().__init__()
        self.why = why
        self.code = "strokes_missing" if missing else "strokes_invalid"  # type: ignore[misc]  # one class, two sentences


class CodeError(ConsentError):
    """The SMS code is wrong, spent or too old."""

    code = "wrong_code"
    kind = Kind.INVALID


class NameMismatchError(ConsentError):
    """The name typed is not the signer's."""

    code = "name_mismatch"
    kind = Kind.INVALID


class TooManyCodesError(ConsentError):
    """Codes are asked for too fast, or too many today."""

    code = "too_many_codes"
    kind = Kind.TOO_MANY


class FieldMissingError(ConsentError):
    """Relation, reason or name is missing where it must be recorded."""

    code = "signer_not_said"
    kind = Kind.INVALID


# ------------------------------------------------------------------------------------------------------ eligibility


class Refusal(StrEnum):
    """Why the service is not for somebody now; its sentence stands in ``words.letter_text``."""

    INSURANCE = "insurance"
    CREDIT = "credit"
    CREDIT_UNKNOWN = "credit_unknown"
    SUSPENDED = "suspended"
    DEFAULT_RECORD = "default_record"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a person when eligibility is decided.

    Args:
        insurance_status: as the HIS sent it with today's encounter; ``None`` before any visit (checked again then).
        serious: the credit platform's word; ``None`` when it was never asked.
        asked_at: when it said so.
        credit_asked_here: whether this city has a platform at all.
        suspended: a pause stands.
        default_record: a record of wilful default here (exclusion d).
    """

    insurance_status: str | None = None
    serious: bool | None = None
    asked_at: datetime | None = None
    credit_asked_here: bool = True
    suspended: bool = False
    default_record: bool = False


def refusal_of(facts: Facts, settings: HospitalSettings, now: datetime) -> Refusal | None:
    """The first reason against, or ``None``. A zero-threshold city asks neither insurance nor credit."""
    if facts.default_record:
        return Refusal.DEFAULT_RECORD
    if facts.suspended:
        return Refusal.SUSPENDED
    if settings.zero_threshold:
        return None
    if facts.insurance_status not in (None, "normal"):
        return Refusal.INSURANCE
    if facts.serious:
        return Refusal.CREDIT
    known = facts.asked_at is not None and now - facts.asked_at <= CREDIT_USABLE
    return Refusal.CREDIT_UNKNOWN if facts.credit_asked_here and not known else None


def may_sign_alone(birth: date | None, day: date, settings: HospitalSettings) -> bool:
    """From the hospital's minimum age a person signs alone; whose birth date is unknown counts as old enough."""
    return birth is None or age_on(birth, day) >= settings.minimum_age


def full_age_on(birth: date) -> date:
    """The day a minor comes of age: until then a guardian's signature carries (29 February → 1 March)."""
    try:
        return birth.replace(year=birth.year + FULL_AGE)
    except ValueError:
        return date(birth.year + FULL_AGE, 3, 1)


# ------------------------------------------------------------------------------------------------------- read delay


def characters(text: str) -> int:
    """Characters a person reads: everything but white space."""
    return sum(1 for c in text if not c.isspace())


def needed_seconds(texts: Mapping[str, str], rate: int, minimum: int) -> dict[str, int]:
    """Seconds per timed region, in order; together never under ``minimum`` (the first region takes what is missing).

    Args:
        texts: region → what it says.
        rate: characters a second.
    """
    each = {code: math.ceil(characters(texts.get(code, "")) / rate) for code in TIMED}
    each[TIMED[0]] += max(0, minimum - sum(each.values()))
    return each


def seconds_left(opened_at: datetime, needed: int, now: datetime) -> int:
    """Whole seconds until the pen may be handed over, rounded up; 0 when it may."""
    return max(0, math.ceil(needed - (now - opened_at).total_seconds()))


# --------------------------------------------------------------------------------------------------------- strokes


MAX_STROKES, MAX_POINTS, MIN_POINTS, MIN_LENGTH = 120, 8000, 6, 400
MAX_SIGNING_MS = 10 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Strokes:
    """A signature by finger. Points are ``(x, y, t, pressure)``: tenths of a pixel, milliseconds, thousandths."""

    width: int
    height: int
    lines: tuple[tuple[tuple[int, int, int, int], ...], ...]

    def plain(self) -> dict[str, Any]:
        """As the evidence keeps it: whole numbers only, so that every machine writes the same bytes."""
        return {
            "unit": "x and y in tenths of a pixel, t in milliseconds, pressure in thousandths",
            "width": self.width,
            "height": self.height,
            "strokes": [[list(p) for p in line] for line in self.lines],
        }


def read_strokes(raw: object, width: object, height: object) -> Strokes:
    """Check what a phone drew.

    Args:
        raw: ``[[[x, y, t, pressure], …], …]``: pixels, milliseconds since the first point, 0…1.
        width: of the pad, pixels.
        height: of the pad, pixels.

    Raises:
        StrokesError: nothing drawn, too much, out of the pad, time running backwards, or only a dot.
    """
    if not isinstance(raw, list) or not raw:
        raise StrokesError("empty", missing=True)
    w, h = _whole(width, 100, 5000), _whole(height, 60, 5000)
    if len(raw) > MAX_STROKES:
        raise StrokesError("too many strokes")
    lines, last, count = [], -1, 0
    for stroke in raw:
        if not isinstance(stroke, list) or not stroke:
            raise StrokesError("a stroke without points")
        count += len(stroke)
        if count > MAX_POINTS:
            raise StrokesError("too many points")
        line = []
        for point in stroke:
            x, y, t, pressure = _point(point, w, h)
            if t < last:
                raise StrokesError("time runs backwards")
            last = t
            line.append((x, y, t, pressure))
        lines.append(tuple(line))
    if count < MIN_POINTS or _length(lines) < MIN_LENGTH:
        raise StrokesError("only a dot", missing=True)
    return Strokes(w, h, tuple(lines))


def _whole(value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise StrokesError("pad size")
    return round(value)


def _point(point: object, width: int, height: int) -> tuple[int, int, int, int]:
    if not isinstance(point, list) or len(point) != 4:
        raise StrokesError("a point is x, y, t, pressure")
    if any(isinstance(n, bool) or not isinstance(n, int | float) or not math.isfinite(n) for n in point):
        raise StrokesError("a point is four numbers")
    x, y, t, pressure = point
    # A finger that slides over the edge still tells of itself; a fifth of the pad is as far as it gets.
    if not (-width / 5 <= x <= width * 1.2 and -height / 5 <= y <= height * 1.2):
        raise StrokesError("out of the pad")
    if not 0 <= t <= MAX_SIGNING_MS or not 0 <= pressure <= 1:
        raise StrokesError("time or pressure out of range")
    return round(x * 10), round(y * 10), round(t), round(pressure * 1000)


def _length(lines: Sequence[Sequence[tuple[int, int, int, int]]]) -> float:
    return sum(math.hypot(b[0] - a[0], b[1] - a[1]) for line in lines for a, b in itertools.pairwise(line))


# -------------------------------------------------------------------------------------------------------- evidence


def canonical(value: object) -> bytes:
    """The one way to write JSON that is hashed: keys sorted, no spaces, UTF-8, no floats.

    Raises:
        TypeError: something that is not a JSON value of whole numbers and texts.
    """
    _no_floats(value)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _no_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError("floats are written differently by different machines")
    if isinstance(value, Mapping):
        for inner in value.values():
            _no_floats(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _no_floats(inner)


def iso(moment: datetime) -> str:
    """A moment as the evidence writes it: ISO 8601, UTC, whatever zone the database answered in."""
    return moment.astimezone(UTC).isoformat()


def sha256(value: object) -> str:
    """Hex SHA-256 of bytes, or of the canonical form of a JSON value."""
    return hashlib.sha256(value if isinstance(value, bytes) else canonical(value)).hexdigest()


def letter_sha256(title: str, label: str, regions: Sequence[Mapping[str, str]]) -> str:
    """The hash by which a version is named: title, label and all five regions."""
    return sha256({"title": title, "label": label, "regions": [dict(r) for r in regions]})


def link_sha256(hospital: str, seq: int, at: str, kind: str, body_sha256: str, previous: str) -> str:
    """The digest of one link of a hospital's chain.

    Args:
        hospital: its id as text.
        at: ISO 8601, UTC.
    """
    return sha256(
        {"hospital": hospital, "seq": seq, "at": at, "kind": kind, "body_sha256": body_sha256, "previous": previous}
    )
