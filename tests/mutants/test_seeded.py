"""The seeded bugs fit the code as it is: one that cannot be planted any more would prove nothing."""

from pathlib import Path

from tests.mutants.plugin import spoil
from tests.mutants.seeded import BUGS


def test_every_bug_can_be_planted() -> None:
    """Each change finds its place exactly once and is still Python; each test that must catch it is there."""
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 15
    for bug in BUGS:
        assert bug.changes or bug.python or bug.sql, bug.name
        for change in bug.changes:
            _, source = spoil(change)
            compile(source, bug.name, "exec")
        for test in bug.suite:
            file, _, name = test.partition("::")
            assert f"def {name}(" in Path(file).read_text("utf-8") if name else Path(file).exists(), test
