"""Loads a hospital's file into the database, the same way in the demo and in production."""

from collections.abc import Mapping
from typing import Any

from guide.service import books
from kernel.crypto import load_vault
from kernel.db import Database, connect
from kernel.settings import Settings
from people.service import hospitals


async def key_secrets(settings: Settings, code: str) -> dict[str, str]:
    """The valid keys of a hospital, id → secret, for whoever holds this installation's master keys.

    Raises:
        kernel.errors.NotFoundError: no hospital has this code.
    """
    db = Database(connect(settings.database_url or "", pool_size=2), load_vault(settings.keys))
    try:
        async with db.begin() as tx:
            return await hospitals.keys_of(tx, (await hospitals.by_code(tx, code)).id)
    finally:
        await db.close()


async def load_file(settings: Settings, document: Mapping[str, Any]) -> dict[str, str]:
    """Load it; returns the secrets made on the way, key id → secret.

    Raises:
        people.service.hospitals.HospitalFileError: the first wrong row; nothing was changed.
    """
    db = Database(connect(settings.database_url or "", pool_size=2), load_vault(settings.keys))
    try:
        async with db.begin() as tx:
            await books.keep(tx, await hospitals.load(tx, document), document)
            return dict(hospitals.fresh_secrets(tx))
    finally:
        await db.close()
