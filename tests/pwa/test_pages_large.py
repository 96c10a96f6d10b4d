"""Every page in large type, on a small screen too; the other half of the looking stands in another file."""

import re

import pytest
from playwright.sync_api import Browser

from pwa.preview import draw
from pwa.samples import samples
from tests.pwa.browser import ELDER, SMALL
from tests.pwa.looking import wrong_pages

ONCE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a form's own key
pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_every_page_can_be_read_and_used(browser: Browser, base: str) -> None:
    """An old man, and one with a small phone and the largest type: each opens every page.

    Nothing is clipped, no target is too small, axe-core has nothing to say, and no page logs a violation of its own
    Content-Security-Policy or a script error. Pages with a dialog are looked at with the dialog open, too.
    """
    assert wrong_pages(browser, base, ELDER, SMALL) == {}


def test_size_is_a_class() -> None:
    """What makes it allowed to turn an open page: but for the choice of size itself, only the root's class differs."""
    for name in samples():
        elder, large = (ONCE.sub("", draw(name, elder=True, scale=scale)[0].decode()) for scale in (100, 180))
        assert large == elder.replace('class="s140 elder"', 'class="s180 elder"') or name.startswith("settings"), name
