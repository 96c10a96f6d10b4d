"""The one thing every provider's notice may turn out to be: not from them."""

from kernel.errors import HoufuError, Kind


class ForgedNotice(HoufuError):
    """A notice whose signature, age, merchant or contents do not hold; answer 4xx and change nothing."""

    code = "forged_notice"
    kind = Kind.UNAUTHENTICATED

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why

    def __str__(self) -> str:
        return f"forged notice: {self.why}"
