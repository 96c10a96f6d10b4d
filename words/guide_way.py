"""The way to a place, in sentences: landmarks before metres, never a compass, nothing about turning inside a lift."""

from collections.abc import Sequence

LEFT, RIGHT, BACK = "left", "right", "back"
TURNS = {LEFT: "左转", RIGHT: "右转", BACK: "掉头往回走"}
SIDES = {LEFT: "在左手边", RIGHT: "在右手边", BACK: "在身后", "": "在正前方"}
OUT = {"door": "出门", "lift": "出电梯", "stairs": "出楼梯间", "escalator": "下扶梯"}
GUESSED = "这条路有一段地图上没画清。走到看不明白的地方，问一下身边的工作人员。"
NO_WAY = "地图上找不到这条路。请到导诊台，工作人员带您去。"
NO_STEP_FREE = "地图上没有不走楼梯的路。请到导诊台，工作人员带您去。"
HERE = "您已经在这里了。"
FROM_HERE = "您这里"
YOUR_DOOR = "要去的门"
WITHOUT_STEPS = "换成不走楼梯的路"
WITH_STEPS = "换成最快的路"


def cut(places: int) -> str:
    """Said where a visit has more places than the page of its ways."""
    return f"今天要去的地方多，这里先放前{places}个。做完几项再打开，后面的就有了。"


def leaving(out: str, turn: str, towards: str) -> str:
    """The first words of a walk: out of what, and which way; in the open only a thing in sight can say which way."""
    if out:
        return OUT[out] + (TURNS[turn] if turn else "直走")
    return f"往“{towards}”走" if towards else "往前走"


def stretch(metres: int, passing: str) -> str:
    """Straight on; 0 metres say nothing."""
    said = [f"直走约{metres}米"] if metres else []
    return "，".join([*said, f"经过“{passing}”"] if passing else said)


def bend(turn: str, landmark: str, metres: int) -> str:
    """A turn at the end of a stretch, at something one sees if there is something."""
    if not turn:
        return ""
    if landmark:
        return f"到“{landmark}”{TURNS[turn]}"
    return TURNS[turn] if metres else f"再{TURNS[turn]}"


def then(event: str, turn: str) -> str:
    """A turn right behind a front door or at the end of a ramp, which is landmark enough."""
    return f"{event}后{TURNS[turn]}" if turn else event


def into(name: str) -> str:
    """Through a front door, into a house."""
    return f"进{name}"


def out_of(name: str) -> str:
    """Through a front door, out of a house."""
    return f"出{name}"


def along(name: str) -> str:
    """Over something with a name: a ramp, steps, a bridge."""
    return f"走“{name}”"


def arrival(name: str, side: str, metres: int, passing: str) -> str:
    """The end."""
    there = f"“{name}”{SIDES[side]}"
    ahead = stretch(metres, passing)
    return f"{ahead}，{there}" if ahead else there


def lift(name: str, sign: str) -> str:
    """One ride, said as one step with the sign on the wall of the floor."""
    return f"乘{name or '电梯'}到{sign}"


def escalator(name: str, sign: str, up: bool) -> str:
    """Up or down an escalator."""
    return f"乘{name or ('上行扶梯' if up else '下行扶梯')}到{sign}"


def stairs(name: str, sign: str, up: bool) -> str:
    """Up or down a stair."""
    return f"走{name or '楼梯'}{'上' if up else '下'}到{sign}"


def line(parts: Sequence[str]) -> str:
    """Parts of one step as a sentence."""
    return "，".join(p for p in parts if p) + "。"


def about(seconds: float) -> str:
    """How long, as a range a person can trust; nobody walks to the second."""
    low, high = int(seconds * 0.9 // 60), int(seconds * 1.2 // 60) + 1
    return f"{high}分钟以内" if low == 0 else f"约{low}–{high}分钟"


def heading(start: str, goal: str, seconds: float, lifts: int, escalators: int, stairs: int) -> str:
    """The first line of a route: from, to, how long, and what it takes."""
    takes = [f"坐{lifts}次电梯"] if lifts else []
    takes += [f"坐{escalators}次扶梯"] if escalators else []
    takes += [f"走{stairs}次楼梯"] if stairs else []
    return line([f"从{start}到{goal}，{about(seconds)}", f"要{'，'.join(takes)}" if takes else "不用上下楼"])


START = "从这里走"


def came(floor: str) -> str:
    """The badge where one comes to a floor."""
    return f"从{floor}来"


def onward(floor: str) -> str:
    """The badge where one leaves a floor."""
    return f"去{floor}"


def picture(floor: str, goal: str) -> str:
    """What a screen reader says of a floor's picture; the lines above it say the way."""
    return f"{floor}平面图，去{goal}的路"


def place(floor: str, name: str) -> str:
    """What a screen reader says of a floor's picture on which one place is marked."""
    return f"{floor}平面图，标出了{name}"


def spoken(text: str) -> str:
    """The same for the ear: no quotation marks, a range as a person says it."""
    return text.replace("“", "").replace("”", "").replace("–", "到").replace("B1", "负一楼")
