"""Make a small style sheet out of a big one: keep the WeUI rules our pages use, in a size that grows with the reader.

WeUI's sizes are px and its ``care`` mode changes colours only, so px become rem here: one ``html{font-size}`` then
scales every box (长辈版 140 %). Class names must be written whole in templates; a name built from parts is pruned.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_CLASS = re.compile(r"\.(-?[_a-zA-Z][\w-]*)")
_WEUI = re.compile(r"\bweui-[\w-]+")
_VAR = re.compile(r"var\((--weui-[\w-]+)")
_PX = re.compile(r"(?<![\w.#-])(-?\d*\.?\d+)px")
_DEAD = re.compile(r"\[wah-hotarea|navigator|\.wx-root|data-weui-mode|page\b|-moz-|-ms-|::-webkit-input")


@dataclass(frozen=True, slots=True)
class Rule:
    """One style rule or at-rule: what stands before the brace, and what stands inside."""

    head: str
    body: str


def rules_of(text: str) -> Iterator[Rule]:
    """Cut a style sheet into its top-level rules; comments are dropped, at-statements without a block are skipped."""
    text = _COMMENT.sub("", text)
    at = 0
    while (brace := text.find("{", at)) >= 0:
        head = text[at:brace].rsplit(";", 1)[-1].strip()
        depth, end = 1, brace + 1
        while depth:
            depth += {"{": 1, "}": -1}.get(text[end], 0)
            end += 1
        yield Rule(head, text[brace + 1 : end - 1].strip())
        at = end


def to_rem(body: str) -> str:
    """Write px as rem of a 16 px root; hairlines (1 px and less) stay px."""

    def one(found: re.Match[str]) -> str:
        value = float(found[1])
        return found[0] if abs(value) <= 1 else f"{value / 16:.4f}".rstrip("0").rstrip(".") + "rem"

    return _PX.sub(one, body)


def squeeze(text: str) -> str:
    """Drop comments and needless white space."""
    text = _COMMENT.sub("", text)
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r" ?([{};,>]) ?", r"\1", text)
    text = re.sub(r"(?<=[\w-]): ", ":", text)
    return text.replace(";}", "}").strip()


def _selectors(head: str, used: set[str]) -> str:
    kept = []
    for selector in head.split(","):
        classes = set(_CLASS.findall(selector))
        if classes and classes <= used and not _DEAD.search(selector):
            kept.append(selector.strip())
    return ",".join(kept)


def _declarations(body: str) -> str:
    """Keep the last value of each property: WeUI writes a literal fallback before every variable."""
    last: dict[str, str] = {}
    for part in re.split(r";(?![^(]*\))", body):
        name, _, value = part.partition(":")
        if value and not name.strip().startswith(("-webkit-tap", "-webkit-transform", "-webkit-transition")):
            last.pop(name.strip(), None)
            last[name.strip()] = value.strip()
    return ";".join(f"{k}:{v}" for k, v in last.items())


def prune(weui: str, used: set[str]) -> str:
    """Keep the WeUI rules every class of which is used; drop the theme blocks (tokens.css sets the few tokens left)."""
    out = []
    for rule in rules_of(weui):
        if rule.head.startswith("@media") and "prefers" not in rule.head:
            inner = prune(rule.body, used)
            if inner:
                out.append(f"{rule.head}{{{inner}}}")
        elif rule.head.startswith("@"):
            continue
        elif head := _selectors(rule.head, used):
            out.append(f"{head}{{{to_rem(_declarations(rule.body))}}}")
    return "".join(out)


def _variables(weui: str, names: set[str], own: str) -> str:
    """Values for the WeUI variables still in use that tokens.css does not set: from WeUI's own light block."""
    found: dict[str, str] = {}
    for rule in rules_of(weui):
        if rule.head in {".wx-root,body", "body,.wx-root", "body,.wx-root,page"}:
            for part in rule.body.split(";"):
                name, _, value = part.strip().partition(":")
                if name in names and f"{name}:" not in own:
                    found.setdefault(name, value.strip())
    return ":root{" + ";".join(f"{k}:{v}" for k, v in sorted(found.items())) + "}" if found else ""


def build_css(weui: str, own: Sequence[str], templates: Sequence[str]) -> dict[str, str]:
    """Join pruned WeUI and our own sheets into ``app.css`` (people's phones) and ``desk.css`` (``/*! desk */`` sheets).

    Args:
        weui: WeUI's unminified sheet.
        own: our sheets; one that begins with ``/*! desk */`` goes into ``desk.css`` only.
        templates: page sources; only ``weui-*`` classes written in them survive.
    """
    used = set(_WEUI.findall("\n".join(templates)))
    pruned = prune(weui, used)
    for_phones = squeeze("\n".join(sheet for sheet in own if not sheet.startswith("/*! desk */")))
    for_desks = squeeze("\n".join(sheet for sheet in own if sheet.startswith("/*! desk */")))
    variables = _variables(weui, set(_VAR.findall(pruned)), for_phones)
    return {"app.css": squeeze(variables + pruned) + for_phones, "desk.css": for_desks}
