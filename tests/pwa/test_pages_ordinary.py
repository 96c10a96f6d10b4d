"""Every page in ordinary type, by day and by night; the other half of the looking stands in another file."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.pwa.browser import DARK, STANDARD
from tests.pwa.looking import wrong_pages

STATIC = Path(__file__).parents[2] / "pwa/static"
NIGHT = re.compile(r"@media[^{]*prefers-color-scheme: ?dark[^{]*\{((?:[^{}]*\{[^{}]*\})*)")

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_every_page_can_be_read_and_used(browser: Browser, base: str) -> None:
    """A woman with a screen reader, somebody at night: each opens every page.

    Nothing is clipped, no target is too small, axe-core has nothing to say, and no page logs a violation of its own
    Content-Security-Policy or a script error. Pages with a dialog are looked at with the dialog open, too.
    """
    assert wrong_pages(browser, base, STANDARD, DARK) == {}


def test_night_is_other_colours() -> None:
    """What makes it allowed to ask axe for colours alone by night: the style sheets set nothing else there."""
    sheets = [file.read_text("utf-8") for file in STATIC.glob("*.css")]
    nights = [block for sheet in sheets for block in NIGHT.findall(sheet)]
    assert nights
    for block in nights:
        named = {
            one.partition(":")[0].strip() for one in block.partition("{")[2].strip("{} \n").split(";") if one.strip()
        }
        assert all(name.startswith("--") or name == "color-scheme" for name in named), named
