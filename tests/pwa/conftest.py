"""The preview server: every page with made-up contents."""

from collections.abc import Iterator

import pytest

from tests.pwa.browser import preview


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """Its address."""
    with preview() as address:
        yield address
