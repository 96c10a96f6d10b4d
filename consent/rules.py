"""The letter's rules: how long it must be read, who may sign it, when it carries, and what counts as a signature."""

from enum import StrEnum

from kernel.lifecycle import Lifecycle


class ReadingState(StrEnum):
    """A reading ends in a signature or is left."""

    READING = "reading"
    SIGNED = "signed"
    ABANDONED = "abandoned"


class ContractState(StrEnum):
    """A contract carries when signed or sealed; it never comes back once withdrawn."""

    SIGNED = "signed"
    SEALED = "sealed"
    SUSPENDED = "suspended"
    WITHDRAWN = "withdrawn"


READING = Lifecycle[ReadingState](
    "Reading of the letter",
    {
        (None, ReadingState.READING): "ReadingOpened",
        (ReadingState.READING, ReadingState.SIGNED): "ContractSigned",
        (ReadingState.READING, ReadingState.ABANDONED): "ReadingAbandoned",
    },
)

CONTRACT = Lifecycle[ContractState](
    "Contract",
    {
        (None, ContractState.SIGNED): "ContractSigned",
        (ContractState.SIGNED, ContractState.SEALED): "ContractSealed",
        (ContractState.SIGNED, ContractState.WITHDRAWN): "ContractWithdrawn",
        (ContractState.SEALED, ContractState.WITHDRAWN): "ContractWithdrawn",
        (ContractState.SUSPENDED, ContractState.WITHDRAWN): "ContractWithdrawn",
        (ContractState.SIGNED, ContractState.SUSPENDED): "ContractSuspended",
        (ContractState.SEALED, ContractState.SUSPENDED): "ContractSuspended",
        (ContractState.SUSPENDED, ContractState.SIGNED): "ContractRestored",
        (ContractState.SUSPENDED, ContractState.SEALED): "ContractRestored",
    },
)
