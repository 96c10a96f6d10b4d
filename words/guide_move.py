"""An examination that is booked and stands in the way of the day: asking the hospital for another time."""


class Move:
    """The card on the guide's page."""

    title = "预约的检查"
    button = "帮我问问能不能改时间"
    says = {
        "ask": "{name}约的是{window}。等到那时候，今天要多花不少时间。",
        "missed": "{name}约的是{window}，赶不上了。",
        "asked": "{name}：已经问医院了，等答复。答复以前，原来约的{window}还算数。",
        "agreed": "{name}：医院答应改了，新的时间一到就告诉您。在那以前，原来约的{window}还算数。",
        "refused": "{name}：医院说改不了，还是{window}。赶不上的话，请到导诊台。",
        "": "{name}约的是{window}。",
    }


def move(state: str | None, name: str, begins: str, until: str, *, missed: bool = False) -> str:
    """How it stands with one appointment; ``missed``: nobody can be there in time."""
    said = "missed" if state == "ask" and missed else state or ""
    return Move.says[said].format(name=name, window=f"{begins}–{until}")
