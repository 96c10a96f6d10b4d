"""What payments needs to charge a face (刷脸付): WeChat's terminal gives a code for it, charged as a shown code is.

No line to WeChat implements this yet (docs/adr/0015): where there is none, every method raises
``NotConfigured("wechat_pay.face")``.
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
    payer_openid: str
    terminal: str
    terminal_ip: str
    attach: str = ""


class FacePay(Protocol):
    """WeChat's face payment. Every call may raise the four errors of ``kernel.outside``."""

    async def authorize_terminal(self, terminal: str, rawdata: str) -> str:
        """Exchange what a terminal's SDK made (``getWxpayfaceRawdata``) for its permission to look at a face."""

    async def charge_face(self, charge: FaceCharge) -> CashState:
        """Take the money: SUCCESS, or USERPAYING, then as ``CashPay.charge_code`` says."""

    async def query(self, out_trade_no: str) -> CashState:
        """Ask for the charge's state."""

    async def reverse(self, out_trade_no: str) -> None:
        """Undo a charge: unpaid is closed for good, paid goes back whole; twice is once."""
