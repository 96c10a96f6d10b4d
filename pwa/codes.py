"""What a QR code for somebody else's phone says: the page's own address, or a code of the hospital's account."""

import asyncio

from api.world import World
from kernel.outside import OutsideError
from people import flows
from people.service.wechat_account import Purpose

PATIENCE = 2.0  # seconds; then the plain address, which works as well


async def code_text(world: World, path: str, purpose: Purpose) -> str:
    """The text to draw. Through the account, who scans it follows the hospital too and can be written to later."""
    direct = world.settings.base_url + path
    account = world.ports.wechat_account
    if not world.settings.wechat_scan_follows or account is None or world.ports.wechat_desk is None:
        return direct
    try:
        async with asyncio.timeout(PATIENCE):
            return await flows.code_to(world.db, account, path, purpose)
    except (OutsideError, TimeoutError):
        return direct
