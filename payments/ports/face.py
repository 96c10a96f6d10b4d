"""What payments needs to charge a face (刷脸付): WeChat's terminal gives a code for it, charged as a shown code is.

No picture and no face passes here. The terminal is told the order first, because the code it gets is good for that
number and that amount only.
"""

from dataclasses import dataclass, field
from typing import Protocol

from payments.ports.cash import CashState


@dataclass(frozen=True, slots=True)
class FaceCharge:
    """What ``getWxpayfaceCode`` gave a terminal, to be charged at once; never kept and never logged.

    ``payer_openid`` comes with the code. ``terminal_ip`` is the terminal's own address.
    """

    out_trade_no: str
    amount_fen: int
    description: str
    face_code: str = field(repr=False)
    payer_openid: str = field(repr=False)
    terminal: str
    terminal_ip: str
    attach: str = ""


@dataclass(frozen=True, slots=True)
class FaceTerminal:
    """A terminal that wants to look at a face: what its SDK made (``getWxpayfaceRawdata``), and where it stands."""

    terminal: str
    store: str
    store_name: str
    rawdata: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class FacePermit:
    """What lets the terminal's SDK look, for so many seconds, for this merchant."""

    authinfo: str = field(repr=False)
    seconds: int
    mchid: str
    appid: str


class FacePay(Protocol):
    """WeChat's face payment. Every call may raise the four errors of ``kernel.outside``."""

    async def authorize_terminal(self, asked: FaceTerminal) -> FacePermit:
        """Exchange what a terminal's SDK made for its permission to look at a face."""

    async def charge_face(self, charge: FaceCharge) -> CashState:
        """Take the money: SUCCESS, or USERPAYING, then as ``CashPay.charge_code`` says, with the same refusals."""

    async def query(self, out_trade_no: str) -> CashState:
        """Ask for the charge's state.

        Raises:
            Rejected: ``ORDER_NOT_EXIST``.
        """

    async def reverse(self, out_trade_no: str) -> None:
        """Undo a charge: unpaid is closed for good, paid goes back whole; twice is once.

        Raises:
            Rejected: ``ORDER_NOT_EXIST``: nothing was ever taken. ``INVALID_REQUEST``: refunds have begun.
        """
