"""Draws every lifecycle from its table: ``docs/states.md`` is made by ``houfu docs`` and never by hand."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from houfu.migrate import DOMAIN
from kernel.lifecycle import Lifecycle

HEAD = """# States

Made from the transition tables by `houfu docs`. A move that is not drawn is refused; edges bear the names of facts.
"""


def lifecycles() -> list[tuple[str, Lifecycle[Any]]]:
    """(package, table) of every lifecycle in a package's rules."""
    found: list[tuple[str, Lifecycle[Any]]] = []
    for package in DOMAIN:
        for module in _rules(package):
            for value in vars(module).values():
                if isinstance(value, Lifecycle) and all(value is not seen for _, seen in found):
                    found.append((package, value))
    return found


def _rules(package: str) -> Iterator[ModuleType]:
    if find_spec(f"{package}.rules") is None:
        return
    rules = import_module(f"{package}.rules")
    yield rules
    for inner in pkgutil.iter_modules(getattr(rules, "__path__", []), f"{rules.__name__}."):
        yield import_module(inner.name)


def text() -> str:
    """The page."""
    parts = [HEAD]
    for package, table in lifecycles():
        lines = [f"## {table.name}", "", f"`{package}`", "", "```mermaid", "stateDiagram-v2"]
        for (before, after), fact in table.edges.items():
            start = "[*]" if before is None else _name(str(before))
            lines.append(f"    {start} --> {_name(str(after))}: {fact}")
        parts.append("\n".join([*lines, "```", ""]))
    return "\n".join(parts)


def _name(state: str) -> str:
    return state.replace("-", "_").replace(" ", "_")
