"""Is the instance open yet, does its outside world answer, and does a key file fit it?"""

import asyncio

import httpx

from kernel.clock import china_day, wall_clock
from sandbox.his.server import His
from sandbox.his.wire import Key, signed_headers
from sandbox.rehearsal.house import House

_PAUSES = (0, 1, 4, 10)  # seconds: a house that found nobody here lately does not ask again at once


async def is_open(base_url: str) -> bool:
    """Whether the instance says that it can take work."""
    return await answers(f"{base_url}/readyz")


async def answers(url: str) -> bool:
    """Whether this address answers 200."""
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        try:
            return (await client.get(url)).status_code == 200
        except (httpx.HTTPError, httpx.InvalidURL):
            return False


async def misfit(house: House, inbound: Key, his: His) -> str:
    """What of a key file does not fit that house, found before anybody comes; empty: all that can be asked fits.

    Args:
        inbound: the key events are to be signed with; ``his``: is being served, where the house is to call it.

    Raises:
        httpx.HTTPError: it stopped answering.
    """
    async with httpx.AsyncClient(base_url=house.url, trust_env=False, timeout=60) as client:
        nothing = b"[]"  # no event is told: an answer about its form says that the signature held
        headers = signed_headers(inbound, nothing, wall_clock())
        if (await client.post("/api/his/events", content=nothing, headers=headers)).status_code == 401:
            return (
                f"inbound: events signed with {inbound.id} are refused there: it has another secret or no such key, or"
                " the two clocks are more than five minutes apart"
            )
        token = ""
        people = [("desk", house.desk), *(("cashiers", one) for one in house.cashiers), ("finance", house.finance)]
        for name, login in people:
            answer = await client.post("/api/session/staff", json=login) if login else None
            if login and answer is not None:
                if answer.status_code != 200:
                    return f"{name}: {login['login']} of {login['hospital']} cannot log in there ({answer.status_code})"
                token = answer.json()["token"]
        return await _called(client, token, his) if house.finance else ""


async def _called(client: httpx.AsyncClient, token: str, his: His) -> str:
    """Finance compares today's books, for which the house has to ask the hospital's system: us."""
    door, headers = f"/api/desk/books/{china_day(wall_clock())}", {"Authorization": f"Bearer {token}"}
    for pause in _PAUSES:
        await asyncio.sleep(pause)
        (await client.post(door, headers=headers)).raise_for_status()
        book = (await client.get(door, headers=headers)).raise_for_status().json()
        if his.strangers:
            return "outbound: it signs what it asks the hospital's system with another key or secret"
        if book["sides"].get("his") == "there":
            return ""
    return "his_port: it asks the hospital's system at another address; nothing came here"
