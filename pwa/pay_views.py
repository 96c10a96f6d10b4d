"""What the pay sheet, a payment on its way and the receipt show; filled by ``pwa.pages.pay``, like ``pwa.views``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pwa.rows import Line, Shares, VisitHead


@dataclass(frozen=True, slots=True)
class PayPart:
    """One source before the payer's own money: ``fund``, ``account``, ``mutual_aid``, ``relative``, ``paid``."""

    source: str
    amount_fen: int
    who: str | None = None


@dataclass(frozen=True, slots=True)
class PayChoice:
    """One way to pay in cash: ``wechat``, ``wechat_insurance``, ``family``, ``counter``; ``why_not`` when closed."""

    code: str
    chosen: bool = False
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class PaySheet:
    """What will be taken from where, before anything is taken.

    ``shares`` of a shared bill; ``share`` is the one to be paid now (None: all that is left), ``own`` those meant for
    the reader. ``share_url`` leads to cutting it.
    """

    visit: VisitHead
    total_fen: int
    parts: Sequence[PayPart]
    cash_fen: int
    ways: Sequence[PayChoice]
    attempt: str
    lines: int
    for_other: bool = False
    shares: Shares | None = None
    share: int | None = None
    own: Sequence[int] = ()
    share_url: str | None = None
    open_in_wechat: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SharePerson:
    """Somebody a share can be meant for; ``yuan`` is what was written, or stands now."""

    id: str
    label: str
    yuan: str = ""


@dataclass(frozen=True, slots=True)
class ShareSheet:
    """What is left, and how much of it each is to pay. ``stop_url``: it is shared already, and can be undone."""

    visit: VisitHead
    left_fen: int
    people: Sequence[SharePerson]
    stop_url: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Paying:
    """A payment on its way. ``invoke`` are WeChat's bridge parameters, ``h5_url`` the way outside WeChat.

    While ``unknown`` or ``paid`` the page asks ``check_url`` every three seconds; once settled, answer such a request
    (it carries ``HX-Request``) with the header ``HX-Redirect: <receipt>``, a plain one with a redirect. ``once`` is the
    pay sheet's key, ``pay:{attempt}:{amount}``, forgotten when the payment is over.
    """

    payment_id: str
    visit: VisitHead
    state: Literal["offered", "unknown", "paid", "closed", "already", "late", "share_paid", "given_back"]
    amount_fen: int
    check_url: str
    stream_url: str | None = None
    invoke: Mapping[str, str] | None = None
    h5_url: str | None = None
    payer_label: str | None = None
    back: str = "/"
    once: str | None = None
    cancel_url: str | None = None


@dataclass(frozen=True, slots=True)
class Returned:
    """Money of a payment that went back, or (not ``done``) is on its way; ``at`` is when it arrived, or was sent."""

    amount_fen: int
    at: datetime
    done: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """Paid. ``settling`` while the hospital has not booked it yet, ``waits`` while others' shares are missing.

    ``once`` is the key the pay sheet used. ``anew``: a line was taken back, so the insurance settles the others anew.
    """

    visit: VisitHead
    amount_fen: int
    parts: Sequence[PayPart]
    lines: Sequence[Line]
    paid_at: datetime
    payer_label: str
    number: str | None = None
    settling: bool = False
    waits: bool = False
    pdf_url: str | None = None
    once: str | None = None
    returned: Sequence[Returned] = ()
    anew: bool = False
