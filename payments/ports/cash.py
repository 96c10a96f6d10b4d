"""What payments needs from a cash channel: open an order, look, close it, give money back, read its notices.

Amounts are integer fen, times aware UTC. Every method may raise the four errors of ``kernel.outside``: after
``Unknown`` only a query with the same number may follow; a provider's refusal is never proof of an order's state.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from payments.ports.deduct import DeductPay
    from payments.ports.face import FacePay


class CashChannel(StrEnum):
    """Where the page runs that asks for the money."""

    JSAPI = "JSAPI"  # inside WeChat
    MINIPROG = "MINIPROG"
    H5 = "H5"  # another mobile browser
    NATIVE = "NATIVE"  # a QR code on a desk screen


class TradeState(StrEnum):
    """The provider's word for an order."""

    NOTPAY = "NOTPAY"  # also after a declined try
    USERPAYING = "USERPAYING"
    SUCCESS = "SUCCESS"
    REFUND = "REFUND"  # was paid, a refund (perhaps partial) has begun
    CLOSED = "CLOSED"
    REVOKED = "REVOKED"
    PAYERROR = "PAYERROR"


class RefundStatus(StrEnum):
    """The provider's word for a refund; ABNORMAL needs a person."""

    PROCESSING = "PROCESSING"
    SUCCESS = "SUCCESS"
    CLOSED = "CLOSED"
    ABNORMAL = "ABNORMAL"


@dataclass(frozen=True, slots=True)
class CashOrder:
    """One attempt at the provider. The same number with other contents is refused there.

    ``out_trade_no``: 6–32 of ``[A-Za-z0-9_-|*]``. ``payer_openid`` for JSAPI and MINIPROG, ``payer_ip`` for H5.
    ``description`` is shown to the payer: hospital and purpose, no diagnosis.
    """

    out_trade_no: str
    amount_fen: int
    description: str
    channel: CashChannel
    expires_at: datetime
    payer_openid: str | None = None
    payer_ip: str | None = None
    attach: str = ""


CODE_LOOK = timedelta(seconds=5)
CODE_PATIENCE = timedelta(seconds=30)
"""A payer who must type a password: ask this often, this long, then reverse."""


@dataclass(frozen=True, slots=True)
class CodeCharge:
    """A payer's code, read by a scanner, to be charged at once.

    A code is good for one minute and one charge: another code needs another ``out_trade_no``. It is never kept and
    never logged. ``terminal`` and ``store`` are the hospital's own names of the desk and the house.
    """

    out_trade_no: str
    amount_fen: int
    description: str
    auth_code: str = field(repr=False)
    terminal: str
    store: str
    attach: str = ""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the payer's page needs: one of ``client_params`` (bridge), ``h5_url`` (redirect), ``code_url`` (QR)."""

    out_trade_no: str
    prepay_id: str | None = None
    client_params: Mapping[str, str] = field(default_factory=dict)
    h5_url: str | None = None
    code_url: str | None = None


@dataclass(frozen=True, slots=True)
class CashState:
    """An order as the provider reports it, verified; compare amount, merchant, app and payer before believing it."""

    out_trade_no: str
    trade_state: TradeState
    mchid: str
    appid: str
    transaction_id: str | None = None
    amount_fen: int | None = None
    payer_openid: str | None = None
    success_time: datetime | None = None
    trade_type: str | None = None
    attach: str = ""


@dataclass(frozen=True, slots=True)
class RefundOrder:
    """Money back from one paid order; ``total_fen`` is the amount of that order, the same number returns once."""

    out_refund_no: str
    out_trade_no: str
    refund_fen: int
    total_fen: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RefundState:
    """A refund as the provider reports it, verified."""

    out_refund_no: str
    out_trade_no: str
    status: RefundStatus
    refund_fen: int
    total_fen: int
    refund_id: str | None = None
    transaction_id: str | None = None
    success_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class CashNotice:
    """A verified, fresh notice. Dedupe by ``id``: the provider repeats, and so may anybody who recorded it."""

    id: str
    event_type: str
    created_at: datetime
    payment: CashState | None = None
    refund: RefundState | None = None


@dataclass(frozen=True, slots=True)
class BillRow:
    """One line of the provider's daily bill.

    ``trade_state`` SUCCESS: money in, ``amount_fen``. REFUND: back, ``refund_fen`` under ``out_refund_no``; whether it
    arrived is not said, ``refund_status`` is from the moment it was asked for. REVOKED: a shown code's payment
    reversed, ``refund_fen`` without a number of ours. Of a mixed payment only the cash stands here, under its
    ``out_trade_no``.
    """

    out_trade_no: str
    transaction_id: str
    trade_state: str
    amount_fen: int
    at: datetime
    payer_openid: str
    out_refund_no: str | None = None
    refund_fen: int = 0
    trade_type: str = ""
    refund_status: str | None = None


@dataclass(frozen=True, slots=True)
class TradeBill:
    """The provider's books of one day (Beijing time), already checked against their digest and totals."""

    day: date
    rows: tuple[BillRow, ...]
    amount_fen: int
    refund_fen: int


class CashPay(Protocol):
    """A cash channel such as WeChat Pay, and its lines of their own for the same till.

    ``face`` charges faces, ``deduct`` takes money by a contract the payer signed; None where that is not done.
    """

    @property
    def face(self) -> "FacePay | None":
        """The line a face's payment is charged, asked about and undone on."""

    @property
    def deduct(self) -> "DeductPay | None":
        """The line money is taken on by contract, and asked about."""

    async def create(self, order: CashOrder) -> Prepared:
        """Open the order, or find the identical one again.

        Raises:
            Rejected: definite no. ``ORDER_PAID``, ``ORDER_CLOSED``, ``OUT_TRADE_NO_USED`` mean: query.
        """

    async def query(self, out_trade_no: str) -> CashState:
        """Ask for the order's state.

        Raises:
            Rejected: ``ORDER_NOT_EXIST``.
        """

    async def close(self, out_trade_no: str) -> None:
        """Make sure it can no longer be paid; closing twice is the same as once.

        Raises:
            Rejected: ``ORDER_PAID`` (query, then book the money), ``ORDER_NOT_EXIST``.
        """

    async def charge_code(self, charge: CodeCharge) -> CashState:
        """Take the money from the phone that showed this code: SUCCESS, or USERPAYING while they type a password.

        USERPAYING: ``query`` every CODE_LOOK for CODE_PATIENCE, then ``reverse``. No notice will come. After Unknown,
        and after any refusal but ORDER_PAID, ``query`` and ``reverse`` too; an identical repetition is harmless.

        Raises:
            Rejected: ``AUTH_CODE_INVALID`` (scan anew), ``NOT_ENOUGH``, ``TRADE_ERROR``, ``ORDER_PAID``,
                ``ORDER_REVERSED``; ``PARAM_ERROR`` is our own no.
        """

    async def reverse(self, out_trade_no: str) -> None:
        """Undo a charge by code: unpaid is closed for good, paid goes back whole; twice is once. Then ``query``.

        ``close`` is refused for these (``CLOSE_NOT_FOR_CODES``).

        Raises:
            Rejected: ``ORDER_NOT_EXIST``: nothing was ever taken. ``INVALID_REQUEST``: refunds have begun.
        """

    async def refund(self, order: RefundOrder) -> RefundState:
        """Ask for money back; accepted is not yet returned (``PROCESSING``)."""

    async def query_refund(self, out_refund_no: str) -> RefundState:
        """Ask for a refund's state.

        Raises:
            Rejected: ``REFUND_NOT_EXIST``.
        """

    async def trade_bill(self, day: date) -> TradeBill:
        """Fetch the provider's books of a past day.

        Raises:
            Rejected: ``NO_STATEMENT_EXIST`` (no trade that day), ``STATEMENT_CREATING`` (before ten in the morning).
        """

    def decode_notify(self, headers: Mapping[str, str], raw: bytes, now: datetime) -> CashNotice:
        """Verify and decrypt a notice from the raw request (header names in lower case).

        Raises:
            ForgedNotice: anything but a genuine notice for us, not older than five minutes.
        """
