"""Why a stop stands where it stands in the order of a day, in the words of a nurse."""

from collections.abc import Sequence

# The nurse asks, and only then does anybody go there.
ASK = {
    "metformin": "您在吃二甲双胍吗？做这项检查前请先问护士。",
    "anticoagulant": "您在吃抗凝药（如华法林）吗？做这项检查前请先问护士。",
    "pacemaker": "您装了心脏起搏器吗？做这项检查前请先问护士。",
    "metal_implant": "您身体里有金属（如支架、钢板）吗？做这项检查前请先问护士。",
    "pregnancy": "您可能怀孕了吗？做这项检查前请先问护士。",
    "contrast_allergy": "您对造影剂过敏吗？做这项检查前请先问护士。",
}
UNKNOWN_LOAD = "现在不知道各处排队的人数，先按检查要求和远近排。"
OLD_LOAD = "排队的人数是{minutes}分钟前的，时间只能估个大概。"
NOT_TODAY = "今天排不上，请问护士改到哪天。"
MISSES_APPOINTMENT = "赶不上预约的时间了，要改约。"
PIN_NOT_KEPT = "护士排的先后今天做不到，请问护士。"

NO_WAY = "地图上没有去那里的路，去之前请问导诊台。"
NO_WAY_STEP_FREE = "地图上没有不走楼梯的路，去之前请问导诊台。"
GUESSED_WALK = "有的地方地图上还没有，走路的时间是估的。"

_SAID = {
    "here": "您已经报到，先做完这一项",
    "pinned": "护士安排的",
    "slot": "预约的是{minutes}到{until}",
    "fasting": "空腹",
    "report": "结果要{minutes}",
    "bladder": "要憋尿",
    "bladder_lag": "要憋尿，约{minutes}以后能做",
    "after": "要在{other}做完以后",
    "after_lag": "要在{other}做完{minutes}以后",
    "after_result": "要等{other}的结果",
    "after_result_lag": "要等{other}的结果出来{minutes}以后",
    "quiet": "现在人少",
    "near": "离得近",
}


def span(minutes: float) -> str:
    """So long, as one says it: nobody thinks of tomorrow in minutes."""
    hours = minutes / 60
    return (
        f"{round(minutes)}分钟"
        if minutes < 100
        else f"约{round(hours)}小时"
        if hours < 20
        else f"约{round(hours / 24)}天"
    )


def reason(code: str, *, minutes: str = "", until: str = "", other: str = "") -> str:
    """One reason, without a full stop; ``minutes`` as ``span`` says it, or a time of day."""
    with_minutes = f"{code}_lag"
    code = with_minutes if minutes and with_minutes in _SAID else code
    return _SAID[code].format(minutes=minutes, until=until, other=other)


def left(name: str, said: Sequence[str]) -> str:
    """A stop that has no place in the order today, and what was said of it."""
    return f"{name}：{'，'.join(said)}。"


def because(name: str, place: int, of: int, said: Sequence[str]) -> str:
    """The stop in its place of so many, with its reasons: 先抽血：空腹，结果要45分钟。"""
    head = f"先{name}" if place == 0 else f"最后{name}" if place == of - 1 and of > 2 else f"再{name}"
    return f"{head}：{'，'.join(said)}。" if said else f"{head}。"
