"""Who signs for a hospital: its inbound keys, a second old at most, asked for by one transaction at a time."""

import asyncio
import time
from dataclasses import dataclass

from api.world import World
from people.service import hospitals
from people.service.hospitals import Snapshot

KEPT_SECONDS = 1.0  # a busy HIS posts hundreds of times a second; a key switched off is refused a second later
RENEWED_SECONDS = 0.7  # asked for anew by then where somebody still uses it, so that nobody has to wait

Signer = tuple[Snapshot, str]  # the hospital with its departments, and the secret


@dataclass(frozen=True, slots=True)
class _Known:
    asked_at: float
    signer: Signer


class Signers:
    """The keys in use.

    When the second is over, hundreds of posts need the key in the same moment: one of them asks, not all.
    """

    def __init__(self) -> None:
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[Signer | None]] = {}

    async def get(self, world: World, key_id: str) -> Signer | None:
        """The signer with this key; None if the key is not valid."""
        known = self._known.get(key_id)
        age = time.monotonic() - known.asked_at if known else KEPT_SECONDS
        if known is not None and age < RENEWED_SECONDS:
            return known.signer
        asking = self._asking.get(key_id)
        if asking is None:
            asking = self._asking[key_id] = asyncio.create_task(self._ask(world, key_id))
            asking.add_done_callback(lambda done: self._asked(key_id, done))
        if known is not None and age < KEPT_SECONDS:
            return known.signer
        return await asyncio.shield(asking)

    def _asked(self, key_id: str, done: "asyncio.Task[Signer | None]") -> None:
        del self._asking[key_id]
        if not done.cancelled():
            done.exception()  # who waits hears of it; where nobody does, the next one asks again

    async def _ask(self, world: World, key_id: str) -> Signer | None:
        asked_at = time.monotonic()
        async with world.db.begin() as tx:
            found = await hospitals.his_key(tx, key_id)
        if found is None:
            self._known.pop(key_id, None)
        else:
            self._known[key_id] = _Known(asked_at, found)
        return found
