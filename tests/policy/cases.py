"""From a route to the request that is sent to it."""

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from kernel.ids import new_id
from tests.policy.requests import REQUESTS
from tests.policy.setting import Setting

_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")


@dataclass(frozen=True, slots=True)
class Sent:
    """One request."""

    line: tuple[str, str]
    rest: dict[str, Any] = field(default_factory=dict)


def absent(value: Any) -> Any:
    """Something of the same form that is not there."""
    if isinstance(value, UUID):
        return new_id()
    return f"{value[:-4]}0000" if isinstance(value, str) and len(value) > 8 else value


def parameters(route: str) -> list[str]:
    """What the path of a route is filled with."""
    return _PARAMETER.findall(route)


def sent(setting: Setting, route: str, ids: dict[str, Any] | None = None, *, nothing: bool = False) -> Sent:
    """What is sent to a route.

    Args:
        ids: instead of those of the setting.
        nothing: every id is of something that is not there.
    """
    method, _, path = route.partition(" ")
    more = REQUESTS.get(route, {})
    known = {**setting.ids}
    if "on" in more:
        known["visit_id"] = known[more["on"]]
    known |= {name: known[value] for name, value in more.get("ids", {}).items()} | (ids or {})
    if nothing:
        known = {name: absent(value) for name, value in known.items()}

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [filled(v) for v in value]
        if isinstance(value, str) and value.startswith("$"):
            value = known[value[1:]]
            return value if isinstance(value, int) else str(value)
        return value

    where = _PARAMETER.sub(lambda found: str(known[found[1]]), path)
    if "q" in more:
        where += "?" + urlencode(filled(more["q"]))
    headers = [(k.lower().encode(), v.encode()) for k, v in more.get("headers", {}).items()]
    return Sent(
        (method, where), {"json_": filled(more.get("json")), "form": filled(more.get("form")), "headers": headers}
    )
