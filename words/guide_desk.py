"""What a nurse says about where somebody goes first, and the page on which she says it."""

REASONS = {
    "quiet": "那边现在人少",
    "agreed": "那边已经说好了",
    "ready": "已经准备好了",
    "not_ready": "还没准备好",
    "busy": "那边现在忙不过来",
    "doctor": "医生这样要求",
    "unwell": "照顾您的身体",
}
"""Why, as the patient reads it; a nurse chooses one and writes nothing of her own."""


def why(reason: str | None) -> str:
    """The reason in words; empty where none was given."""
    return REASONS.get(reason or "", "")


def first(reason: str | None) -> str:
    """Said of what a nurse put first."""
    because = why(reason)
    return f"护士安排的，{because}" if because else "护士安排的"


def later(until: str, other: str, reason: str | None) -> str:
    """Said of what a nurse wants done later: not before a time, or after something else."""
    when = f"{other}做完再去" if other else f"{until}以后再去" if until else "晚一点再去"
    because = why(reason)
    return f"护士说{when}，{because}" if because else f"护士说{when}"


class DeskPlan:
    """The page of whoever guides: her plan, and what is put first or later."""

    title = "先后顺序"
    go = "看先后顺序，安排先做哪一项"
    says = "您排的先后，病人手机上写明是护士安排的。已经报到的不会动。"
    none = "现在没有还要做的检查。"
    reported = "已经报到，不动"
    pinned = "您排在最前"
    first = "先做这一项"
    later = "晚点再做"
    until = "不早于"
    after = "等这一项做完："
    reason = "原因"
    choose = "请选一个原因"
    reasons = tuple(REASONS.items())
    when = "晚到什么时候"
    looked = "问过了，可以做"
    ask = "要先问过病人"
    clear = "不再由护士安排，交回系统"
    walking = "病人怎么走"
    walking_save = "记下"
    profiles = {
        "walk": "走路",
        "slow": "走得慢",
        "wheelchair": "坐轮椅",
        "stroller": "推婴儿车",
        "bed": "躺平车",
    }

    @staticmethod
    def by(who: str, at: str) -> str:
        """Who has said something, and when."""
        return f"{who} {at} 安排的" if who else f"{at} 安排的"
