"""The pictures of a way on the phone, and the page of all ways between the places of a visit."""


class Ways:
    """Beside and under a picture; the page."""

    title = "几处之间怎么走"
    kept = "没有网的时候，这一页也打得开。"
    none = "现在没有要去的地方，不用走路。"
    say = "把路念给我听"
    floors = "每层的地图"
    closer = "放大"
    farther = "缩小"
    fit = "看整条路"

    @staticmethod
    def start(place: str) -> str:
        """A heading: the ways from here."""
        return f"从{place}出来"

    @staticmethod
    def to(place: str) -> str:
        """One of them."""
        return f"去{place}"
