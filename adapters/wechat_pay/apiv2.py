"""What APIv2 of WeChat Pay speaks: flat XML, and a signature made with a key both sides know."""

import hashlib
import hmac
from collections.abc import Mapping
from xml.parsers import expat
from xml.sax.saxutils import escape

MOST = 64 * 1024
"""Bytes of an answer; nothing WeChat says here is longer."""


def write(fields: Mapping[str, str]) -> bytes:
    """One level of elements under ``xml``, in the order given."""
    inside = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items())
    return f"<xml>{inside}</xml>".encode()


def read(raw: bytes) -> dict[str, str]:
    """Read one level of elements under ``xml``; empty ones are left out.

    No document type, so no entity of anybody's own: nothing is expanded and nothing is fetched.

    Raises:
        ValueError: too long, no XML, a declaration, another shape, or a name that stands twice.
    """
    if len(raw) > MOST:
        raise ValueError("too long")
    found: dict[str, str] = {}
    path: list[str] = []
    text: list[str] = []

    def begin(name: str, _: dict[str, str]) -> None:
        path.append(name)
        text.clear()
        if len(path) > 2 or path[0] != "xml":
            raise ValueError("another shape")

    def end(name: str) -> None:
        path.pop()
        if not path:
            return
        if name in found:
            raise ValueError("a name stands twice")
        found[name] = "".join(text)

    def refuse(*_: object) -> None:
        raise ValueError("a declaration")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = text.append
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    try:
        parser.Parse(raw, True)
    except expat.ExpatError:
        raise ValueError("no XML") from None
    return {name: value for name, value in found.items() if value}


def sign(fields: Mapping[str, str], key: str, *, md5: bool = False) -> str:
    """The signature over all fields that say something, sorted by name: HMAC-SHA256 (or MD5), upper-case hex."""
    told = "&".join(f"{name}={fields[name]}" for name in sorted(fields) if name != "sign" and fields[name])
    text = f"{told}&key={key}".encode()
    if md5:  # what old merchants' accounts are set to
        return hashlib.md5(text, usedforsecurity=False).hexdigest().upper()
    return hmac.new(key.encode(), text, hashlib.sha256).hexdigest().upper()


def holds(fields: Mapping[str, str], key: str, *, md5: bool = False) -> bool:
    """Whether an answer was signed with our key."""
    return hmac.compare_digest(sign(fields, key, md5=md5).encode(), fields.get("sign", "").encode())
