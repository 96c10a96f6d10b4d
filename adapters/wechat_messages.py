"""Messages in WeChat: template messages to those who follow the account, subscription notices to those who asked.

``wechatpy`` carries them on the line of ``adapters.wechat``: one stable token for all processes (repeated calls do not
rotate it, and a new one is taken before the old ends), one retry when WeChat calls it stale, timeouts, and one closed
set of errors. A template message carries ``client_msg_id``, by which WeChat shows it once however often it is sent
within ten minutes; subscription notices know no such thing.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adapters.wechat import WeChat
from notices.ports import SmsKind
from notices.rules.messages import FIELDS
from notices.rules.reach import Kind

_LONGEST = {"thing": 20, "phrase": 5, "character_string": 32, "short_thing": 5, "const": 20}
_KEYWORD = re.compile(r"([a-z_]+?)\d*\Z")


class TemplatesError(ValueError):
    """The setting that names the hospital's templates cannot be used; the text says where."""


@dataclass(frozen=True, slots=True)
class Template:
    """An approved template: WeChat's keyword (``thing1``) → one of our fields. ``subscribe``: only if asked for."""

    id: str
    data: Mapping[str, str]
    subscribe: bool = False


def read_templates(text: str) -> dict[str, Template]:
    """The setting: JSON, kind → ``{"id", "data": {keyword: field}, "subscribe"?}``; empty text is none.

    Raises:
        TemplatesError: not JSON, or a kind, member or field nobody knows.
    """
    found = {}
    for kind, given in read_kinds(text).items():
        data = given.pop("data", {})
        if not isinstance(data, dict) or set(given) - {"id", "subscribe"} or not given.get("id"):
            raise TemplatesError(f"{kind}: wants id and data")
        check_fields(kind, data.values())
        found[kind] = Template(str(given["id"]), data, bool(given.get("subscribe")))
    return found


def read_sms_kinds(text: str) -> dict[str, SmsKind]:
    """The other setting, for text messages: JSON, kind → ``{"id", "params": [field, …]}``.

    Raises:
        TemplatesError: not JSON, or a kind, member or field nobody knows.
    """
    found = {}
    for kind, given in read_kinds(text).items():
        params = given.get("params", [])
        if not isinstance(params, list) or set(given) - {"id", "params"} or not given.get("id"):
            raise TemplatesError(f"{kind}: wants id and params")
        check_fields(kind, params)
        found[kind] = SmsKind(str(given["id"]), tuple(params))
    return found


def read_kinds(text: str) -> dict[str, dict[str, Any]]:
    """JSON with a member for each kind of message.

    Raises:
        TemplatesError: not that.
    """
    try:
        given = json.loads(text or "{}")
    except ValueError as error:
        raise TemplatesError(f"not JSON: {error}") from None
    if not isinstance(given, dict) or not all(isinstance(v, dict) for v in given.values()):
        raise TemplatesError("wants an object of objects")
    unknown = sorted(set(given) - {k.value for k in Kind})
    if unknown:
        raise TemplatesError(f"no such kind of message: {', '.join(unknown)}")
    return given


def check_fields(kind: str, fields: Any) -> None:
    """All are fields a message has.

    Raises:
        TemplatesError: one is not.
    """
    unknown = sorted(set(map(str, fields)) - set(FIELDS))
    if unknown:
        raise TemplatesError(f"{kind}: no such field: {', '.join(unknown)}")


class WeChatPusher:
    """``notices.ports.WeChatMessages`` over the official account's line.

    Args:
        templates: kind of message → the hospital's approved template.
    """

    def __init__(self, line: WeChat, templates: Mapping[str, Template]) -> None:
        self._line, self._templates = line, dict(templates)

    def speaks(self, kind: str) -> bool:
        """See ``WeChatMessages.speaks``."""
        return kind in self._templates

    def repeatable(self, kind: str) -> bool:
        """See ``WeChatMessages.repeatable``."""
        found = self._templates.get(kind)
        return found is not None and not found.subscribe

    async def push(self, openid: str, kind: str, fields: Mapping[str, str], link: str, client_id: str) -> str:
        """See ``WeChatMessages.push``."""
        template = self._templates[kind]
        data = {name: {"value": _fit(name, fields[wanted])} for name, wanted in template.data.items()}

        def ask(client: Any) -> str:
            if template.subscribe:
                answer = client.message.send_subscribe_message(openid, template.id, data, page=link)
                return str(answer.get("msgid") or "")
            asked = {
                "touser": openid,
                "template_id": template.id,
                "url": link,
                "client_msg_id": client_id,
                "data": data,
            }
            # The library's own call has no place for client_msg_id.
            return str(client.post("message/template/send", data=asked)["msgid"])

        return await self._line.account.call(ask)


def _fit(keyword: str, value: str) -> str:
    """WeChat refuses a value that is longer than its keyword's kind allows, and an empty one."""
    found = _KEYWORD.match(keyword)
    longest = _LONGEST.get(found[1] if found else "")
    value = value or "-"
    return value if longest is None or len(value) <= longest else value[: longest - 1] + "…"
