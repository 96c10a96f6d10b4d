"""Pictures of every page in four modes, into the ignored ``pictures/``, to be looked at before a page is done."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from pwa.samples import samples
from tests.pwa.browser import MODES, preview, window

OUT = Path(__file__).parents[2] / "pictures"


@pytest.mark.pictures
def test_pictures(browser: Browser) -> None:
    """Somebody wants to see all pages: each is drawn in each mode, whole, and none comes out empty."""
    OUT.mkdir(exist_ok=True)
    made = 0
    with preview() as base:
        for mode in MODES:
            for name in samples():
                with window(browser, mode, name) as context:
                    page = context.new_page()
                    page.goto(f"{base}/{name}{mode.query}")
                    picture = page.screenshot(path=OUT / f"{name}.{mode.name}.png", full_page=True)
                    assert len(picture) > 3000, f"{name} in {mode.name} looks empty"
                    made += 1
    assert made == len(samples()) * len(MODES)
