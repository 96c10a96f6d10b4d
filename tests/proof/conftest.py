"""An office for tests that go back in time; what happens in it is never committed, so it is furnished once."""

from collections.abc import Iterator

import pytest

from houfu.embedded import EmbeddedPostgres
from tests.conftest import fresh_database
from tests.proof.stand import Stand, a_stand


@pytest.fixture(scope="module")  # nothing is random while an office is open: other tests must not meet that
def stand(
    postgres: EmbeddedPostgres, template_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stand]:
    """Where offices are opened."""

    with a_stand(lambda: fresh_database(postgres, template_database), tmp_path_factory.mktemp("proof")) as made:
        yield made
