"""A feed row as it travels: from the transaction that wrote it to the phones that may see it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from people.rules import Audience


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a feed. ``seq`` grows by one within ``subject``; ``payload`` is JSON values."""

    subject: UUID
    seq: int
    at: datetime
    kind: str
    audience: Audience
    category: str | None
    payload: Mapping[str, Any]
