"""Draw a page: the template, the words, the reader's wishes (长辈版, size, colour), and the headers that guard it.

One ``Renderer`` per process. ``page`` gives the bytes of a whole page, ``headers`` the security headers that belong to
it. Content-Security-Policy and Trusted Types after the measured policy of the house: no inline script, no inline
style but one sheet named by its hash on a reader's first visit (it halves the time to the first picture).
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from pwa.urls import Urls
from words import money
from words.pages import Pages

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Prefs:
    """What the reader wants and what the answer needs to know of them.

    Args:
        now: the moment the page is drawn; also shown on a kept copy.
        elder: 长辈版.
        scale: size of type in percent: 100, 120, 140, 180.
        theme: ``auto`` follows the phone, ``light`` does not.
        csrf: token for the forms, bound to the session sent with this answer.
        first_visit: no cookie yet, so the style sheet travels inside the page.
        path: where the reader is, to come back to.
        help_phone: the hospital's number, shown in the same place on every page.
        help_lines: (hospital, number) of all, where it is not known which of several the reader means.
        worker: whether the page may start the service worker.
        script: one extra script of our own origin (the stage's bridge), never a foreign one.
        jssdk: WeChat's own script, where WeChat shows the page and the hospital has it loaded.
        frame_ancestors: who may frame the page (the stage); nobody by default.
    """

    now: datetime
    elder: bool = False
    scale: Literal[100, 120, 140, 180] = 100
    theme: Literal["auto", "light"] = "auto"
    csrf: str = ""
    first_visit: bool = False
    path: str = "/"
    help_phone: str | None = None
    help_lines: tuple[tuple[str, str], ...] = ()
    worker: bool = True
    script: str | None = None
    jssdk: str | None = None
    frame_ancestors: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """The scale in force: 长辈版 is never smaller than 140 %."""
        return max(self.scale, 140) if self.elder else self.scale


class AssetsMissingError(Exception):
    """``python -m pwa.build`` has not run."""


class Assets:
    """What the build left in ``pwa/static``: logical name -> hashed URL and SRI."""

    def __init__(self, folder: Path = HERE / "static") -> None:
        """Read ``assets.json``.

        Raises:
            AssetsMissingError: the assets were never built.
        """
        listing = folder / "assets.json"
        if not listing.exists():
            raise AssetsMissingError("run `python -m pwa.build` first")
        self.folder = folder
        self.all: dict[str, dict[str, Any]] = json.loads(listing.read_text("utf-8"))
        self.css = (folder / str(self.all["app.css"]["file"])).read_text("utf-8")
        self.css_hash = "sha256-" + base64.b64encode(hashlib.sha256(self.css.encode()).digest()).decode()

    def url(self, name: str) -> str:
        """``app.css`` -> ``/static/app.0f3c….css``."""
        return f"/static/{self.all[name]['file']}"

    def sri(self, name: str) -> str:
        """The integrity attribute of an asset."""
        return str(self.all[name]["sri"])


def csp(
    style_hash: str | None,
    frame_ancestors: Iterable[str] = (),
    frame_src: Iterable[str] = (),
    jssdk: str | None = None,
) -> str:
    """The Content-Security-Policy header. ``weixin:`` frames are WeChat's bridge; the stage adds its own frames.

    Args:
        jssdk: address of WeChat's script; only that very file may run beside ours.
    """
    style = "'self'" + (f" '{style_hash}'" if style_hash else "")
    parts = {
        "default-src": "'none'",
        "script-src": f"'self' {jssdk}" if jssdk and not jssdk.startswith("/") else "'self'",
        "style-src": style,
        "img-src": "'self' data: blob:",
        "connect-src": "'self'",
        "manifest-src": "'self'",
        "worker-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-src": " ".join(["weixin:", "wx:", *frame_src]),
        "frame-ancestors": " ".join(frame_ancestors) or "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "app",
    }
    return "; ".join(f"{k} {v}" for k, v in parts.items())


class _Compiled(FileSystemBytecodeCache):
    """Templates are compiled once and kept where Python keeps what it compiles, each with the digest of its source."""

    def __init__(self) -> None:
        folder = Path(cache_from_source(str(HERE / "templates" / "any.py"))).parent
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
        super().__init__(str(folder))

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep it; where nothing may be written, the next process compiles again."""
        with suppress(OSError):
            super().dump_bytecode(bucket)


class Renderer:
    """Draws pages and fragments from ``pwa/templates``."""

    def __init__(self, assets: Assets | None = None) -> None:
        """Load the templates and the built assets."""
        self.assets = assets or Assets()
        self.env = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,  # a running house's templates do not change; looking costs more than drawing a line
            bytecode_cache=_Compiled(),
        )
        self.env.filters.update(
            rmb=money.rmb,
            yuan=lambda fen: money.rmb(fen)[1:],
            masked=money.masked,
            clock=money.clock,
            when=money.when,
            day=money.day,
        )
        self.env.globals.update(
            w=Pages, u=Urls, asset=self.assets.url, sri=self.assets.sri, fresh_key=lambda: str(uuid4())
        )

    def warm(self) -> None:
        """Compile every template of the screen now, so that no phone waits for another's first look."""
        for name in self.env.list_templates(extensions=["html"]):
            if not name.startswith("paper/"):
                _ = self.env.get_template(name)

    def page(self, template: str, view: object, prefs: Prefs, nav: object | None = None) -> bytes:
        """A whole page as UTF-8.

        Args:
            template: name without folder, such as ``bill.html``.
            view: the page's dataclass of ``pwa.views``, reached as ``v`` in the template.
            prefs: the reader's wishes.
            nav: ``pwa.views.Nav`` when the bottom bar is shown; task flows show none.
        """
        css = Markup(self.assets.css) if prefs.first_visit else None  # noqa: S704  our own built sheet
        text = self.env.get_template(template).render(v=view, prefs=prefs, now=prefs.now, nav=nav, inline_css=css)
        return text.encode()

    def part(self, name: str, **context: object) -> str:
        """One fragment (``_live/….html``) as text."""
        return self.env.get_template(name).render(**context)

    def headers(self, prefs: Prefs, frame_src: Iterable[str] = ()) -> dict[str, str]:
        """The headers every page carries. Pages are private and never kept by a shared cache."""
        style = self.assets.css_hash if prefs.first_visit else None
        return {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": csp(style, prefs.frame_ancestors, frame_src, prefs.jssdk),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
            "Cache-Control": "private, no-cache",
            "X-Robots-Tag": "noindex",
            "Vary": "Cookie, Accept-Encoding",
        }


@cache
def renderer() -> Renderer:
    """The process's renderer."""
    return Renderer()


def page(template: str, view: object, prefs: Prefs, nav: object | None = None) -> bytes:
    """A whole page from the process's renderer; see ``Renderer.page``."""
    return renderer().page(template, view, prefs, nav)
