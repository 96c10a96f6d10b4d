"""Is the instance open yet, and does its outside world answer?"""

import httpx


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
