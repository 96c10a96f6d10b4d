"""A person at the hospital is one tap away from every page of a patient's or relative's."""

import re

from kernel.clock import wall_clock
from pwa.preview import draw
from pwa.render import Prefs, renderer
from pwa.samples import PHONE, samples

# The staff's own screens, a screen without a telephone, and the stage.
ELSEWHERE = ("desk", "kiosk", "stage", "to_stage")


def numbers(page: bytes) -> set[str]:
    """The telephone numbers a page dials at a tap."""
    return set(re.findall(r'href="tel:([^"]+)"', page.decode()))


def test_every_page_calls_a_person() -> None:
    """All samples, refusals, offline and waiting too: at the foot, and in 长辈版 above, always at the same place."""
    silent = []
    for name, sample in samples().items():
        if sample.template.removesuffix(".html").startswith(ELSEWHERE) and sample.template != "desk_invite.html":
            continue
        above, _, below = draw(name, elder=True)[0].partition(b'<p id="say"')
        if PHONE not in numbers(above) or PHONE not in numbers(below.partition(b'<footer class="foot">')[2]):
            silent.append(name)
    assert silent == []


def test_of_several_hospitals_all_are_named() -> None:
    """Which one is meant is not known: each by name, one tap each."""
    both = (("甲医院", "0513-1"), ("乙医院", "0513-2"))
    sample = samples()["error"]
    page = renderer().page(sample.template, sample.view, Prefs(now=wall_clock(), help_lines=both))
    assert numbers(page) == {"0513-1", "0513-2"}
    assert "甲医院" in page.decode()
