"""The official account's menu, brought to what this house wants it to be."""

from api.doors import differences, menu
from kernel.outside import NotConfigured
from kernel.settings import Settings
from people.ports import WeChatAccount


async def bring_menu(account: WeChatAccount, base_url: str, *, change: bool = True) -> list[str]:
    """Compare the account's menu with ours and, if asked to, set it; setting it twice changes nothing.

    Returns: what differs, a line each; empty when nothing does.

    Raises:
        Rejected, Throttled, Unknown: WeChat said no, or nothing.
    """
    wanted = menu(base_url)
    lines = differences(await account.menu(), wanted)
    if lines and change:
        await account.set_menu(wanted)
    return lines


async def menu_of(settings: Settings, *, change: bool) -> list[str]:
    """``bring_menu`` for the account of the settings.

    Raises:
        NotConfigured: there is no account, or phones could not reach its links.
    """
    from houfu.lines import _wechat

    account = _wechat(settings)
    if account is None:
        raise NotConfigured("wechat_appid")
    if not settings.base_url.startswith("https://") and settings.wechat_api_base_url.startswith("https://"):
        raise NotConfigured("public_url")
    try:
        return await bring_menu(account, settings.base_url, change=change)
    finally:
        await account.close()
