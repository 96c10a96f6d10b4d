"""Pages that ask for a few things in a row, and the desk's slips: plain values, as in ``pwa.views``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Field:
    """One thing to fill in. ``options`` of a ``pick`` are (value, text); a ``tick`` is on when ``value`` is ``1``."""

    name: str
    label: str
    kind: Literal["text", "phone", "code", "id_number", "date", "pick", "tick"] = "text"
    value: str = ""
    options: Sequence[tuple[str, str]] = ()
    required: bool = True


@dataclass(frozen=True, slots=True)
class Form:
    """One question page with several fields."""

    title: str
    lines: Sequence[str]
    fields: Sequence[Field]
    action: str
    button: str
    back: str
    hidden: Mapping[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DeskInvite:
    """The slip an elder's relative scans: ``qr`` is a picture inline, ``code`` to be read out."""

    patient: str
    offers: Sequence[str]
    qr: str
    code: str
    code_until: datetime
    until: datetime
    back: str


@dataclass(frozen=True, slots=True)
class PhoneRow:
    """One change of number that waits; ``mine``: the reader wrote it down and may only take it back."""

    id: str
    patient: str
    phone: str
    document: str
    asked_by: str
    asked_at: datetime
    mine: bool


@dataclass(frozen=True, slots=True)
class DeskPhones:
    """What waits for a second member of staff."""

    hospital: str
    waiting: Sequence[PhoneRow]
    error: str | None = None
    done: str | None = None
