"""The bad weather between a hospital and us: what a tired interface engine does to a clean stream of events.

Seeded, so that a rehearsal can be repeated. It changes how and when items are said, never what is true: the books stay
the oracle. Lost items are made up for by ``make_up``, which says each touched visit once as a snapshot.
"""

import random
from dataclasses import dataclass

from sandbox.his.books import Books
from sandbox.his.wire import Json

SPOILT = "bad-"  # begins the id of every item that is wrong on purpose


@dataclass(frozen=True, slots=True)
class Weather:
    """How often each thing happens to an item, 0 to 1.

    Args:
        duplicate: said twice in the same batch, same id.
        renamed: said again later as a new item (new id, same sequence, time and data).
        again: said again later, same id, though it was answered.
        delayed: passed over this time; the next batch may have it, so later events overtake it.
        shuffled: whole batches whose items are put in any order.
        lost: never said. Exclusions and snapshots are never lost: a snapshot could not make up for the one,
            and is the remedy in the other.
    """

    duplicate: float = 0.0
    renamed: float = 0.0
    again: float = 0.0
    delayed: float = 0.0
    shuffled: float = 0.0
    lost: float = 0.0


CALM = Weather()
ROUGH = Weather(duplicate=0.05, renamed=0.03, again=0.05, delayed=0.15, shuffled=0.3, lost=0.0)
STORM = Weather(duplicate=0.10, renamed=0.05, again=0.10, delayed=0.25, shuffled=0.6, lost=0.08)


class Noise:
    """Chooses what is really said of what the books want said."""

    def __init__(self, seed: int, weather: Weather = ROUGH) -> None:
        self.weather = weather
        self._random = random.Random(seed)
        self._touched: dict[str, None] = {}
        self._repeated: set[str] = set()

    def _hits(self, chance: float) -> bool:
        return chance > 0 and self._random.random() < chance

    def batch(self, books: Books, limit: int) -> list[Json]:
        """The next batch to say, at most ``limit`` items; empty only when nothing waits."""
        waiting = books.pending(limit)
        lost = [i["id"] for i in waiting if _may_be_lost(i) and self._hits(self.weather.lost)]
        if lost:
            self._touched.update(dict.fromkeys(books.outbox[i]["subject"] for i in lost))
            books.lose(lost)
        kept = [i for i in waiting if i["id"] in books.outbox]
        said = [i for i in kept if not self._hits(self.weather.delayed)] or kept
        said += [i for i in said if self._hits(self.weather.duplicate)]
        if self._hits(self.weather.shuffled):
            self._random.shuffle(said)
        return said[:limit] if said or not books.outbox else self.batch(books, limit)

    def after(self, books: Books, said: list[Json]) -> None:
        """Once Houfu has answered a batch: queue some of it to be said again."""
        for item in {i["id"]: i for i in said}.values():
            if item["id"].startswith(("again-", SPOILT)):
                continue
            if self._hits(self.weather.renamed):
                books.noise(item | {"id": books.number("again-")})
            if self._hits(self.weather.again) and item["id"] not in books.outbox:
                self._repeat(books, item)

    def _repeat(self, books: Books, item: Json) -> None:
        """Say it once more under its own id, and only once more."""
        if item["id"] not in self._repeated:
            self._repeated.add(item["id"])
            books.noise(item)

    def make_up(self, books: Books) -> list[str]:
        """Queue one snapshot for every visit that lost something; returns their encounter numbers."""
        touched, self._touched = list(self._touched), {}
        for encounter in touched:
            books.record("visit.snapshot", encounter, books.snapshot(encounter))
        return touched


def _may_be_lost(item: Json) -> bool:
    return item["type"] not in ("visit.excluded", "visit.snapshot", "booking.changed")
