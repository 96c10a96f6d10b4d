"""Who signs for the hospital is asked once for many posts, and is never older than a second."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from api import signers
from api.signers import KEPT_SECONDS, RENEWED_SECONDS, Signers


class _Books:
    """The hospital's keys, as one transaction after the other reads them."""

    def __init__(self) -> None:
        self.now, self.asked = 100.0, 0
        self.keys: dict[str, Any] = {"k": ("hospital", "secret")}
        self.broken = False
        self.open = asyncio.Event()
        self.open.set()

    async def his_key(self, _tx: object, key_id: str) -> Any:
        self.asked += 1
        await self.open.wait()
        if self.broken:
            raise ConnectionError
        return self.keys.get(key_id)


class _Tx:
    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...


@pytest.fixture
async def books(monkeypatch: pytest.MonkeyPatch) -> _Books:
    made = _Books()
    monkeypatch.setattr(signers, "hospitals", made)
    monkeypatch.setattr(signers, "time", SimpleNamespace(monotonic=lambda: made.now))
    return made


HERS: Any = ("hospital", "secret")
WORLD: Any = SimpleNamespace(db=SimpleNamespace(begin=_Tx))


async def test_posts_of_one_moment_ask_once(books: _Books) -> None:
    """Fifty posts that need the key at once are answered by one transaction; so are the posts of the next moments."""
    known = Signers()
    found = await asyncio.gather(*(known.get(WORLD, "k") for _ in range(50)))
    assert found == [HERS] * 50
    books.now += RENEWED_SECONDS - 0.01
    assert await known.get(WORLD, "k") == HERS
    assert books.asked == 1


async def test_a_key_in_use_is_asked_for_before_its_second_is_over(books: _Books) -> None:
    """Late in its second a post is answered at once while the key is asked for anew, by one; then it is fresh."""
    known = Signers()
    await known.get(WORLD, "k")
    books.now += RENEWED_SECONDS
    books.open.clear()
    for _ in range(20):
        assert await asyncio.wait_for(known.get(WORLD, "k"), 1) == HERS
        await asyncio.sleep(0)
    assert books.asked == 2
    books.open.set()
    await asyncio.sleep(0.01)
    books.now += RENEWED_SECONDS - 0.01
    assert await known.get(WORLD, "k") == HERS
    assert books.asked == 2


async def test_a_key_switched_off_is_refused_a_second_later(books: _Books) -> None:
    """However busy the hospital, and also where asking in between failed."""
    known = Signers()
    await known.get(WORLD, "k")
    del books.keys["k"]
    books.now += RENEWED_SECONDS
    books.broken = True
    assert await known.get(WORLD, "k") == HERS
    await asyncio.sleep(0.01)
    books.broken = False
    books.now += KEPT_SECONDS - RENEWED_SECONDS
    assert await known.get(WORLD, "k") is None
    assert await known.get(WORLD, "k") is None


async def test_where_asking_fails_everybody_who_waits_hears_it(books: _Books) -> None:
    """The database is away: no post is taken, and the next one asks again."""
    known = Signers()
    books.broken = True
    heard = await asyncio.gather(*(known.get(WORLD, "k") for _ in range(3)), return_exceptions=True)
    assert [type(h) for h in heard] == [ConnectionError] * 3
    books.broken = False
    assert await known.get(WORLD, "k") == HERS
    assert books.asked == 2
