"""Every page in large type, on a small screen too; the other half of the looking stands in another file."""

import pytest
from playwright.sync_api import Browser

from tests.pwa.browser import MODES, Mode
from tests.pwa.looking import wrong_pages

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("mode", [m for m in MODES if "elder" in m.query], ids=lambda m: m.name)
def test_every_page_can_be_read_and_used(browser: Browser, base: str, mode: Mode) -> None:
    """An old man, and one with a small phone and the largest type: each opens every page.

    Nothing is clipped, no target is too small, axe-core has nothing to say, and no page logs a violation of its own
    Content-Security-Policy or a script error. Pages with a dialog are looked at with the dialog open, too.
    """
    assert wrong_pages(browser, base, mode) == {}
