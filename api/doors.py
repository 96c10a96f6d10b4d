"""Where WeChat leads people: addresses that log them in if need be and then open the page they came for."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from words.wechat import MENU

DOOR = "/go"
"""``/go?to=…`` opens a path of ours; ``/go/pay`` what is to be paid, ``/go/watch`` what one is watching."""


def door(base_url: str, path: str) -> str:
    """The address that opens one path of ours."""
    return f"{base_url}{DOOR}?{urlencode({'to': path})}"


def menu(base_url: str) -> list[dict[str, str]]:
    """The three buttons of an official account, as WeChat takes them."""
    urls = {"home": door(base_url, "/"), "pay": f"{base_url}{DOOR}/pay", "watch": f"{base_url}{DOOR}/watch"}
    return [{"type": "view", "name": name, "url": urls[key]} for key, name in MENU.items()]


def differences(shown: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is to be taken away and added, a line each (``- 旧按钮 https://…``); empty when they are the same."""
    before, after = [_line(b) for b in shown], [_line(b) for b in wanted]
    if before == after:
        return []
    return [f"- {line}" for line in before] + [f"+ {line}" for line in after]


def _line(button: Mapping[str, Any]) -> str:
    inner = [_line(b) for b in button.get("sub_button") or ()]
    if inner:
        return f"{button.get('name', '')} ({'; '.join(inner)})"
    return f"{button.get('name', '')} {button.get('url') or button.get('key') or button.get('type', '')}"
