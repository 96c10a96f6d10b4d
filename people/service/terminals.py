"""The machines that read codes for a hospital: set up in its file, known by their name, trusted by their secret."""

import hmac
from uuid import UUID

from sqlalchemy import select

from kernel.db import Tx
from people.models import Terminal as Terminal
from people.rules import Actor, ActorKind


async def by_name(tx: Tx, name: str, *, also_gone: bool = False) -> Terminal | None:
    """The terminal of this name; names are unique in the whole house."""
    query = select(Terminal).where(Terminal.name == name)
    found = (await tx.session.scalars(query)).one_or_none()
    return found if found is not None and (found.active or also_gone) else None


async def by_id(tx: Tx, terminal_id: UUID) -> Terminal | None:
    """A terminal in use."""
    found = await tx.get(Terminal, terminal_id)
    return found if found is not None and found.active else None


async def of_hospital(tx: Tx, hospital_id: UUID, *, also_gone: bool = False) -> list[Terminal]:
    """A hospital's terminals by name."""
    query = select(Terminal).where(Terminal.hospital_id == hospital_id).order_by(Terminal.name)
    return [t for t in await tx.session.scalars(query) if t.active or also_gone]


def actor_of(terminal: Terminal) -> Actor:
    """A kiosk as a caller: it may take money for whoever stands before it, and sees nothing else."""
    return Actor(ActorKind.TERMINAL, terminal.id, terminal.hospital_id)


def seal(tx: Tx, name: str, secret: str) -> bytes:
    """A secret as it is kept."""
    return tx.vault.seal(secret, "terminal", name)


def secret_of(tx: Tx, terminal: Terminal) -> str:
    """What the terminal signs with; never logged, never shown."""
    return tx.vault.open(terminal.secret_sealed, "terminal", terminal.name)


def knows(tx: Tx, terminal: Terminal, secret: str) -> bool:
    """Whether somebody who says so knows the terminal's secret; compared in constant time."""
    return hmac.compare_digest(secret_of(tx, terminal).encode(), secret.encode())
