"""What the pay sheet, a payment on its way and the receipt show; filled by ``pwa.pages.pay``, like ``pwa.views``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pwa.home_views import Person
from pwa.rows import Line, Shares, VisitHead


@dataclass(frozen=True, slots=True)
class PayPart:
    """One source (a key of ``words.pay.Pay.sources``) and its fen; ``who`` paid it where several did."""

    source: str
    amount_fen: int
    who: str | None = None


@dataclass(frozen=True, slots=True)
class PayChoice:
    """One way to pay: ``insurance`` (it settles first), ``wechat``, ``family``, ``counter``; ``why_not`` if closed."""

    code: str
    chosen: bool = False
    why_not: str | None = None


@dataclass(frozen=True, slots=True)
class LimitsForm:
    """What a payer lets herself pay for ``whom``: as typed in yuan, by span; ``left`` is what they leave now.

    ``contract``: how her deduction contract stands; None where the hospital has none. ``in_wechat``: it can be signed.
    """

    patient_id: str
    whom: str
    yuan: Mapping[str, str]
    after_visit: str = "nothing"
    ready_yuan: str = ""
    left: str | None = None
    saved: bool = False
    error: str | None = None
    contract: str | None = None
    in_wechat: bool = True


@dataclass(frozen=True, slots=True)
class LinkRow:
    """A pay link as its giver sees it; ``state`` is a key of ``words.pay.Link.states``."""

    id: str
    amount_fen: int
    made_at: datetime
    state: str
    paid_at: datetime | None = None
    from_where: str | None = None
    open: bool = False


@dataclass(frozen=True, slots=True)
class LinkSheet:
    """Making a pay link; ``url`` and ``qr`` (a data address) are there once, when it was just made."""

    visit: VisitHead
    amount_fen: int
    share: int | None
    links: Sequence[LinkRow]
    url: str | None = None
    qr: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LinkPage:
    """What a stranger sees of a pay link. ``state``: ``family_pay.rules.PayLinkState``, or how their payment stands.

    ``token`` is in the addresses already; ``need_browser``: this WeChat cannot pay it here.
    """

    token: str
    hospital: str
    patient: str
    amount_fen: int
    state: str
    until: datetime | None = None
    invoke: Mapping[str, str] | None = None
    h5_url: str | None = None
    check_url: str | None = None
    cancel_url: str | None = None
    paid_at: datetime | None = None
    number: str | None = None
    once: str | None = None
    need_browser: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True)
class PaySheet:
    """What will be taken from where, before anything is taken.

    ``shares`` of a shared bill; ``share`` is the one to be paid now (None: all that is left), ``own`` those meant for
    the reader. ``share_url`` leads to cutting it. ``first`` are the chosen lines that are paid before they are done,
    ``items`` their names and fen.
    the reader. ``share_url`` leads to cutting it. ``open_in_wechat``: the insurance is a way, but not in this browser;
    ``no_insurance``: why it is none. ``estimated``: what the insurance bears is the hospital's estimate.
    ``patient_id`` goes with the press, so that nobody else is paid for than was named; ``whom`` is what the reader
    calls them, ``people`` all whom the reader may turn to. ``left`` says what the reader's own limits leave, ``over``
    that this is more. ``decline_url``: the reader was asked whether to pay, and may say no. ``ask_first``: the patient
    wants to be asked before the reader pays, and how that stands; ``ask_url``: ask.
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
    no_insurance: str | None = None
    estimated: bool = False
    error: str | None = None
    first: Sequence[str] = ()
    items: Sequence[tuple[str, int]] = ()
    patient_id: str = ""
    whom: str | None = None
    people: Sequence[Person] = ()
    left: str | None = None
    over: bool = False
    limits_url: str | None = None
    link_url: str | None = None
    decline_url: str | None = None
    ask_first: str | None = None
    ask_url: str | None = None


@dataclass(frozen=True, slots=True)
class FirstSheet:
    """What is paid before it is done, to be chosen from; ``picked`` are the ids chosen already (none: all)."""

    visit: VisitHead
    lines: Sequence[Line]
    picked: Sequence[str]
    action: str


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
    first: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Paying:
    """A payment on its way. ``invoke`` are WeChat's bridge parameters, ``h5_url`` the way outside WeChat.

    While ``unknown`` or ``paid`` the page asks ``check_url`` every three seconds; once settled, answer such a request
    (it carries ``HX-Request``) with the header ``HX-Redirect: <receipt>``, a plain one with a redirect. ``once`` is the
    pay sheet's key, ``pay:{attempt}:{amount}``, forgotten when the payment is over. ``shares``: who else has paid and
    who has not, while the others' are waited for.
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
    shares: Shares | None = None


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
    Where the insurance paid all of it ``amount_fen`` is 0 and ``insured_fen`` what it paid. ``insurance_numbers`` are
    the payment centre's.
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
    insured_fen: int = 0
    insurance_numbers: Sequence[str] = ()
    anew: bool = False
    whole_url: str | None = None
    from_where: str | None = None


@dataclass(frozen=True, slots=True)
class PaidRow:
    """One payment of the reader's, for ``whom``; ``url`` its receipt, where it stands. ``back_fen`` has gone back."""

    whom: str
    hospital: str
    amount_fen: int
    at: datetime
    url: str | None = None
    back_fen: int = 0


@dataclass(frozen=True, slots=True)
class PaidList:
    """All that the reader has paid, for whomever, newest first."""

    rows: Sequence[PaidRow]


@dataclass(frozen=True, slots=True)
class MergedPayment:
    """One payment of a merged receipt; ``transaction`` and ``url`` where the reader may know them."""

    label: str
    way: str
    amount_fen: int
    at: datetime
    number: str
    transaction: str = ""
    url: str | None = None


@dataclass(frozen=True, slots=True)
class MergedReceipt:
    """All that was paid of a visit. ``parts`` is what nobody paid in cash, ``paid_fen`` the cash of all ``payments``.

    ``settling`` while the hospital has not booked all of it, ``waits`` while a shared bill is paid in part.
    """

    visit: VisitHead
    paid_fen: int
    parts: Sequence[PayPart]
    payments: Sequence[MergedPayment]
    lines: Sequence[Line]
    paid_at: datetime
    number: str
    settling: bool = False
    waits: bool = False
    returned: Sequence[Returned] = ()
    pdf_url: str | None = None
    anew: bool = False
