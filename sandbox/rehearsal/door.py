"""Is the instance open yet?"""

import httpx


async def is_open(base_url: str) -> bool:
    """Whether the instance says that it can take work."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            return (await client.get(f"{base_url}/readyz")).status_code == 200
        except httpx.HTTPError:
            return False
