"""The other half of the looking at every page."""

import pytest
from playwright.sync_api import Browser

from tests.pwa.looking import wrong_pages

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_every_page_can_be_read_and_used(browser: Browser, base: str) -> None:
    """A woman with a screen reader, somebody at night, an old man, and one with a small phone and the largest type.

    Nothing is clipped, no target is too small, axe-core has nothing to say, and no page logs a violation of its own
    Content-Security-Policy or a script error. Pages with a dialog are looked at with the dialog open, too.
    """
    assert wrong_pages(browser, base, 1, 2) == {}
