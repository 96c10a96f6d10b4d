"""The printed letter: one template with the page's words, as PDF with its evidence inside and its fonts embedded."""

import base64
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from consent.rules.bundle import as_read
from kernel.clock import CHINA
from pwa import fonts
from pwa.fonts import PACKAGED, need_chinese
from pwa.press import press
from words import letter_text

ATTACHMENT = "evidence.json"
HERE = Path(__file__).parent
FAMILIES = ", ".join([*(f'"{name}"' for name in fonts.FAMILIES), "sans-serif"])


def chinese(moment: str) -> str:
    """``2026-11-20T03:12:05+00:00`` → ``2026年11月20日 11:12:05``."""
    at = datetime.fromisoformat(moment).astimezone(CHINA)
    return f"{at.year}年{at.month}月{at.day}日 {at:%H:%M:%S}"


class Paper:
    """``consent.ports.PaperRenderer`` with WeasyPrint; see ``pwa.press``."""

    @cached_property
    def _env(self) -> Environment:
        return Environment(
            loader=FileSystemLoader(HERE / "templates" / "paper"), autoescape=True, undefined=StrictUndefined
        )

    def letter(self, bundle: Mapping[str, Any], attachment: bytes) -> bytes:
        """The letter as PDF/A-3-like file with ``evidence.json`` attached. See ``consent.ports.PaperRenderer``."""
        need_chinese()
        return press.make(self.letter_html(bundle), bytes.fromhex(bundle["root"]), (ATTACHMENT, attachment))

    def letter_html(self, bundle: Mapping[str, Any]) -> str:
        """What is printed."""
        parts = bundle["parts"]
        reading, place, signature = parts["reading"], parts["place"], parts["signature"]
        spent = datetime.fromisoformat(place["signed_at"]) - datetime.fromisoformat(reading["opened_at"])
        doctor = bundle["doctor"]
        drawn = ""
        if signature["method"] == "strokes":
            drawn = "data:image/svg+xml;base64," + base64.b64encode(signature["svg"].encode()).decode()
        packaged = f'@font-face {{ font-family: "Noto Sans SC"; src: url("{PACKAGED.as_uri()}") }}'
        return self._env.get_template("letter.html").render(
            w=letter_text.Paper,
            roles=letter_text.ROLES,
            methods=letter_text.METHODS,
            channels=letter_text.CHANNELS,
            relations=letter_text.RELATIONS,
            reasons=letter_text.REASONS,
            font_family=Markup(FAMILIES),  # noqa: S704  our own constant
            font_face=Markup(packaged if PACKAGED.exists() else ""),  # noqa: S704  a path of ours
            letter=parts["letter"],
            regions=as_read(parts),
            signer=parts["signer"],
            signature=signature,
            place=place,
            chain=bundle["chain"],
            drawn=drawn,
            at=chinese(place["signed_at"]),
            spent=int(spent.total_seconds()),
            needed=sum(reading["needed"].values()),
            doctor=None if doctor is None else doctor["body"],
            doctor_at="" if doctor is None else chinese(doctor["body"]["at"]),
        )
