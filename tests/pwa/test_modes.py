"""What makes it allowed to look at one open page in several modes: night is other colours, size is a class."""

import re
from pathlib import Path

import pytest

from pwa.preview import draw
from pwa.samples import samples

STATIC = Path(__file__).parents[2] / "pwa/static"
NIGHT = re.compile(r"@media[^{]*prefers-color-scheme: ?dark[^{]*\{((?:[^{}]*\{[^{}]*\})*)")
ONCE = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")  # a form's own key


@pytest.mark.slow
def test_size_is_a_class() -> None:
    """But for the choice of size itself, only the root's class differs between two sizes."""
    for name in samples():
        elder, large = (ONCE.sub("", draw(name, elder=True, scale=scale)[0].decode()) for scale in (100, 180))
        assert large == elder.replace('class="s140 elder"', 'class="s180 elder"') or name.startswith("settings"), name


def test_night_is_other_colours() -> None:
    """The style sheets set nothing else for the night."""
    sheets = [file.read_text("utf-8") for file in STATIC.glob("*.css")]
    nights = [block for sheet in sheets for block in NIGHT.findall(sheet)]
    assert nights
    for block in nights:
        named = {
            one.partition(":")[0].strip() for one in block.partition("{")[2].strip("{} \n").split(";") if one.strip()
        }
        assert all(name.startswith("--") or name == "color-scheme" for name in named), named
