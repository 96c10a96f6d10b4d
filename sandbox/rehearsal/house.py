"""The house that is rehearsed with: where it and its outside world are reached, and what it offers to pay by."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sandbox.his.catalogue import PatientCard
from sandbox.rehearsal.verdict import Json
from sandbox.rehearsal.ways import BACK, INSURANCE, WAYS, WINDOW


@dataclass(slots=True)
class House:
    """The Houfu that is rehearsed with, and the outside world it was told of.

    Args:
        url: Houfu's address.
        texts: the sandbox's text messages (``/control/messages``).
        till: the sandbox's WeChat Pay; empty: nobody pays.
        payer: whose WeChat pays there.
        wechat: the sandbox's WeChat; empty: nobody logs in through it, so nobody pays inside WeChat.
        insurance: the sandbox's payment centre; empty: nobody asks the insurance.
        cashiers: hospital code, login and PIN of each cashier; nobody: nothing is paid at a window.
        terminals: ``id``, ``kind``, ``place`` and ``secret`` of scanners, kiosks and face terminals.
        hospital: the hospital's id at Houfu; empty: only known once a visit is seen.
        desk: hospital code, login and PIN of a desk that may write guardians down; None: no children come.
        know: makes patients known before the day, as if they had been here earlier; None: nobody is.
        finance: hospital code, login and PIN of the finance department; None: nobody compares the books.
        ledger: asks how many fen the ledger is off; None: it cannot be looked at.
    """

    url: str
    texts: str
    till: str = ""
    payer: str = ""
    wechat: str = ""
    insurance: str = ""
    cashiers: Sequence[Json] = ()
    terminals: Sequence[Json] = ()
    hospital: str = ""
    desk: Json | None = None
    finance: Json | None = None
    know: Callable[[Sequence[PatientCard]], Awaitable[None]] | None = None
    ledger: Callable[[], Awaitable[int]] | None = None

    def offers(self) -> dict[str, str]:
        """Each way to pay it does not offer, with what it lacks for it; what is not in it is offered."""
        kinds = {terminal["kind"] for terminal in self.terminals}
        windows = bool(self.cashiers)
        return {
            **dict.fromkeys(WAYS if not self.till else (), "till"),
            **dict.fromkeys(("jsapi", *INSURANCE) if not self.wechat else (), "wechat"),
            **dict.fromkeys(INSURANCE if not self.insurance else (), "insurance"),
            **dict.fromkeys(("native", "cash", "card", "refund_handed_out") if not windows else (), "cashiers"),
            **dict.fromkeys(("code", "code_password", "code_undone") if not windows else (), "cashiers"),
            **dict.fromkeys(("code", "code_password", "code_undone") if "scanner" not in kinds else (), "scanner"),
            **dict.fromkeys(WINDOW if not self.insurance else (), "insurance"),
            **dict.fromkeys(WINDOW if not windows else (), "cashiers"),
            **dict.fromkeys(WINDOW if "scanner" not in kinds else (), "scanner"),
            **dict.fromkeys(("face",) if not windows else (), "cashiers"),
            **dict.fromkeys(("face",) if "face" not in kinds else (), "face"),
            **dict.fromkeys(("kiosk",) if "kiosk" not in kinds else (), "kiosk"),
            **dict.fromkeys(BACK if self.finance is None else (), "finance"),
        }

    def not_played(self) -> list[str]:
        """What the rehearsal could not try for want of something, in words for the verdict."""
        if not self.till:
            said = ["payments: the key file names no till"]
        else:
            lacks = self.offers()
            said = [
                f"not played: {', '.join(way for way in lacks if lacks[way] == what)}: this house has no {what}"
                " for the rehearsal"
                for what in sorted(set(lacks.values()))
            ]
        if self.desk is None:
            said.append("children, guardians and who has no phone: no desk to log in at, so none came")
        return said
