"""What a screen reader says once when something new arrives, and the push strip says with it."""

from words import pushes
from words.money import rmb


def line(name: str, fen: int, pile: str, state: str) -> str:
    """A line of the bill changed."""
    if pile == "ordered" and state in ("prepaying", "prepaid"):
        return f"{name}正在付。" if state == "prepaying" else f"{name}付好了，{rmb(fen)}，还没做。"
    if pile == "ordered":
        return f"医生开了{name}，{rmb(fen)}。还没做，不收钱。"
    if pile == "cancelled":
        return f"{name}不做了，不收钱。"
    return {
        "disputed": f"已收到。{name}这一项先不收，核对后给您答复。",
        "covered": f"{name}正在付。",
        "settled": f"{name}付好了，{rmb(fen)}。",
        "settled_elsewhere": f"{name}已在窗口付好，{rmb(fen)}。",
        "refunded": f"{name}已退款，{rmb(fen)}。",
    }.get(state, f"{name}已做完，{rmb(fen)} 记入账单，现在不用付。")


def step(name: str, place: str, state: str) -> str:
    """A step changed."""
    return {
        "placed": f"新安排：{name}，在{place}。",
        "checked_in": f"{name}已报到，请等叫号。",
        "called": f"叫到您了：{name}，请去{place}。",
        "performed": f"{name}做完了。",
        "cancelled": f"{name}不做了。",
        "result": f"{name}的结果出来了。",
    }[state]


def visit(state: str, due: str | None) -> str:
    """The visit changed."""
    if state == "ended":
        return f"看完了。请在{due} 前付。" if due else "看完了。"
    return {"settled": "都付清了。"}.get(state, "有新的就诊安排。")


def soon(name: str, place: str, minutes: int, *, mine: bool) -> str:
    """A turn is near; ``mine``: it is read by who is to go there."""
    said = f"{name}{pushes.about(minutes)}轮到"
    return f"{said}，请去{place}。" if mine else f"{said}。"
