"""What the first page and the list of visits show, of whom and whom else one may turn to; like ``pwa.views``."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody the viewer may act for; ``label`` as the viewer calls them (本人, 妈妈)."""

    id: str
    label: str
    name: str


@dataclass(frozen=True, slots=True)
class VisitCard:
    """One visit in a list; ``watched``: the reader looks on, or pays, but does not act for the patient."""

    id: str
    hospital: str
    department: str
    at: datetime
    state: str
    mode: str
    payable_fen: int
    paid_fen: int = 0
    due_at: datetime | None = None
    overdue: bool = False
    next_step: str | None = None
    watched: bool = False
    receipt_url: str | None = None
    first_fen: int = 0


@dataclass(frozen=True, slots=True)
class Invitation:
    """Something that is asked of one: be bound (``bind``), watch a visit (``watch``), pay a bill (``pay``).

    ``consent``: a relative wishes to pay, and the reader wanted to be asked. ``ask`` and ``ready``: a visit has ended,
    as the payer wished to hear; ``ready`` is within what one tap may pay, ``taking`` will be taken by itself, and
    ``untaken`` was not.
    """

    kind: Literal["pay", "ask", "ready", "taking", "untaken", "consent", "bind", "watch"]
    href: str
    who: str
    amount_fen: int | None = None
    hospital: str | None = None


@dataclass(frozen=True, slots=True)
class Home:
    """``sign_offer`` holds the hospital's id when signing is offered; ``why_not`` a whole sentence when it is not."""

    person: Person
    people: Sequence[Person]
    today: Sequence[VisitCard]
    past: Sequence[VisitCard]
    hospital: str | None = None
    sign_offer: str | None = None
    why_not: str | None = None
    invitations: Sequence[Invitation] = ()
    stream_url: str | None = None


@dataclass(frozen=True, slots=True)
class Visits:
    """Past visits of one person."""

    person: Person
    visits: Sequence[VisitCard]
    older_url: str | None = None
    people: Sequence[Person] = ()
