"""What payments needs to take money by a contract the payer signed at the provider (委托代扣).

A deduction is accepted first and decided later: by a notice, or by asking under its number. It can be neither closed
nor undone there; money that is not wanted goes back by a refund.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from payments.ports.cash import CashState


class ContractWord(StrEnum):
    """The provider's word for a contract."""

    SIGNED = "signed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ContractAsk:
    """A contract somebody is asked to sign. ``code`` is ours, never used before; ``display`` is shown to the payer."""

    code: str
    serial: int
    display: str


@dataclass(frozen=True, slots=True)
class ContractState:
    """A contract as the provider reports it, verified; compare code, merchant and payer before believing it."""

    code: str
    word: ContractWord
    mchid: str
    plan_id: str
    contract_id: str | None = None
    openid: str | None = field(default=None, repr=False)
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Deduction:
    """Money to be taken by a contract; the same number is the same deduction, however often it is asked for."""

    out_trade_no: str
    amount_fen: int
    description: str
    contract_id: str = field(repr=False)
    attach: str = ""


@dataclass(frozen=True, slots=True)
class ContractNotice:
    """The provider says that a contract was signed, or ended. Nothing in it shows its age: ask before believing."""

    code: str
    contract_id: str
    ended: bool


@dataclass(frozen=True, slots=True)
class DeductionNotice:
    """The provider says how a deduction went; ``paid`` is empty where it came to nothing."""

    out_trade_no: str
    paid: CashState | None


class DeductPay(Protocol):
    """A provider that takes money by contract. Every call may raise the four errors of ``kernel.outside``."""

    @property
    def plan_id(self) -> str:
        """The merchant's plan, which says for what money may be taken."""

    def sign_url(self, asked: ContractAsk) -> str:
        """The provider's page on which the payer signs, inside WeChat; signed by us and good for a short while."""

    async def contract(self, code: str) -> ContractState:
        """Ask how a contract stands.

        Raises:
            Rejected: ``CONTRACT_NOT_EXIST``: nobody has signed it.
        """

    async def end_contract(self, code: str, why: str) -> None:
        """End a contract; ended twice is ended once.

        Raises:
            Rejected: ``CONTRACT_NOT_EXIST``: nobody has signed it.
        """

    async def deduct(self, asked: Deduction) -> None:
        """Ask for the money; accepted is not yet taken. After ``Unknown`` only ``query`` may follow.

        Raises:
            Rejected: ``NOT_ENOUGH``, ``CONTRACT_NOT_EXIST``, ``OVER_RULE``, ``TRADE_ERROR``: nothing is taken.
                ``ORDER_PAID``, ``OUT_TRADE_NO_USED``: query.
        """

    async def query(self, out_trade_no: str) -> CashState:
        """Ask how a deduction stands; ``NOTPAY`` while it is not decided, ``PAYERROR`` when it came to nothing.

        Raises:
            Rejected: ``ORDER_NOT_EXIST``.
        """

    def decode_contract(self, raw: bytes) -> ContractNotice:
        """Verify what the provider says of a contract.

        Raises:
            ForgedNotice: anything but a genuine notice for us.
        """

    def decode_deduction(self, raw: bytes) -> DeductionNotice:
        """Verify what the provider says of a deduction.

        Raises:
            ForgedNotice: anything but a genuine notice for us.
        """
