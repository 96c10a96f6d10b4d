"""The same hospital and door as in tests of intake."""

from tests.intake.conftest import hall

__all__ = ["hall"]
