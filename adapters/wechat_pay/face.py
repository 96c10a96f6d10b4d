"""WeChat's face payment, which this house cannot charge yet (docs/adr/0015): it says so before anything is sent."""

from typing import NoReturn

from kernel.outside import NotConfigured
from payments.ports import CashState, FaceCharge


class NoFacePay:
    """``payments.ports.FacePay`` of a hospital without it."""

    async def authorize_terminal(self, terminal: str, rawdata: str) -> str:
        """Not here."""
        self._missing()

    async def charge_face(self, charge: FaceCharge) -> CashState:
        """Not here; nothing was sent."""
        self._missing()

    async def query(self, out_trade_no: str) -> CashState:
        """Not here."""
        self._missing()

    async def reverse(self, out_trade_no: str) -> None:
        """Not here."""
        self._missing()

    def _missing(self) -> NoReturn:
        raise NotConfigured("wechat_pay.face")
