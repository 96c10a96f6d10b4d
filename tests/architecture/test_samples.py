"""What a person can meet is looked at: every page has a sample, so that axe and the look test see it in every mode."""

from pwa.samples import samples
from tests.architecture.source import ROOT

TEMPLATES = ROOT / "pwa" / "templates"


def test_every_page_has_a_sample() -> None:
    """Somebody adds a page and no sample of it: nobody would look at it in 长辈版, in the dark, on a small phone."""
    pages = {
        path.name for path in TEMPLATES.glob("*.html") if not path.name.startswith("_") and path.name != "base.html"
    }
    assert pages, "the guard does not find the pages any more"
    assert pages - {sample.template for sample in samples().values()} == set()


def test_every_sample_is_drawn_from_a_page_that_exists() -> None:
    """A page is taken away: its samples go with it."""
    assert [name for name, sample in samples().items() if not (TEMPLATES / sample.template).is_file()] == []
