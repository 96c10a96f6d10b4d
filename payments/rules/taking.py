"""Money taken after a visit without a press: by the payer's own contract, announced before, never twice."""

from datetime import datetime, timedelta
from enum import StrEnum

from kernel.errors import HoufuError, Kind
from kernel.lifecycle import Lifecycle

NOTICE = timedelta(hours=2)  # from being told what will be taken until it may be: time to say "not this time"
INSURANCE_FIRST = timedelta(hours=2)  # how long a visit's end waits for the insurance before the payer is asked instead
SIGNING_LIFE = timedelta(hours=1)  # a contract nobody signed by then was never made
NEVER_ARRIVED = timedelta(minutes=1)  # WeChat knows no such deduction after that: it never got there
_LOOKS = (3, 10, 30, 60, 300)


class AutoWay(StrEnum):
    """How money comes that nobody pressed for."""

    CONTRACT = "PAP"  # by a contract signed in WeChat (委托代扣)


class ContractState(StrEnum):
    """Where a payer's contract stands; an ended one never comes back, a new one is signed."""

    ASKED = "asked"  # she was sent to WeChat's page
    SIGNED = "signed"
    ENDING = "ending"  # nothing is taken by it any more; WeChat is being told
    ENDED = "ended"


C = ContractState
CONTRACT = Lifecycle[ContractState](
    "Deduction contract",
    {
        (None, C.ASKED): "DeductionContractAsked",
        (C.ASKED, C.SIGNED): "DeductionContractSigned",
        (C.ASKED, C.ENDED): "DeductionContractEnded",
        (C.ASKED, C.ENDING): "DeductionContractEnding",
        (C.SIGNED, C.ENDING): "DeductionContractEnding",
        (C.SIGNED, C.ENDED): "DeductionContractEnded",  # by the payer, in WeChat
        (C.ENDING, C.ENDED): "DeductionContractEnded",
    },
)
LIVE_CONTRACT = frozenset({C.ASKED, C.SIGNED, C.ENDING})
"""At most one of a payer and a till; a unique index keeps it so."""


def next_contract_look(looks: int, now: datetime) -> datetime:
    """When to ask about a contract next: soon at first, every five minutes in the end."""
    return now + timedelta(seconds=_LOOKS[min(looks, len(_LOOKS) - 1)])


class NoContractsError(HoufuError):
    """This hospital takes no money by contract."""

    code = "no_contracts"
    kind = Kind.CONFLICT


class NoContractError(HoufuError):
    """The payer has no contract that stands: nothing may be taken."""

    code = "no_contract"
    kind = Kind.CONFLICT


class TakingError(HoufuError):
    """Too late to say no: the money is being taken now."""

    code = "taking_now"
    kind = Kind.CONFLICT
