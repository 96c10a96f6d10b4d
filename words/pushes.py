"""What leaves the house: the few sentences of pushes and text messages. No illness, no item, no whole name.

A sentence is chosen by which parts are there; a part in braces is filled from typed slots only.
"""

from collections.abc import Mapping

TITLES = {
    "step": "下一步",
    "turn": "快到您了",
    "soon": "该出发了",
    "called": "叫到您了",
    "checked_in": "报到好了",
    "next": "做完了，去下一处",
    "medicine": "可以取药了",
    "result": "有结果了",
    "abnormal": "结果请医生看",
    "critical": "请马上找医生",
    "bill": "账单有变化",
    "due": "看完了，记得付款",
    "paid": "付好了",
    "asked": "家人请您付款",
    "offered": "家人想替您付款",
    "answered": "家人回话了",
    "taking": "要自动付款了",
    "untaken": "没有扣成",
    "contract": "自动付停了",
    "claimed": "家人等您点头",
    "bound": "家人绑定好了",
    "ended": "家人绑定结束了",
    "phone": "换了手机号",
    "test": "试一试",
}
_WHOSE = {
    "step": "{who}的",
    "turn": "{who}：",
    "soon": "{who}：",
    "called": "{who}：",
    "checked_in": "{who}：",
    "next": "{who}：",
    "medicine": "{who}：",
    "result": "{who}的",
    "abnormal": "{who}的",
    "critical": "{who}的",
    "bill": "{who}的",
    "due": "{who}的",
}
_BODIES: Mapping[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    # (which parts must be there, the sentence); the first that can be said whole is said
    "step": (
        (("place", "ready"), "下一步请到{place}。{ready}"),
        (("ready",), "下一步安排好了，共 {count} 项。{ready}"),
        (("place",), "下一步请到{place}。点开看怎么走、怎么准备。"),
        ((), "下一步安排好了，共 {count} 项。点开看怎么走、怎么准备。"),
    ),
    "turn": (
        (("ahead", "place"), "前面还有 {ahead} 位，请到{place}等。"),
        (("ahead",), "前面还有 {ahead} 位，请回去等叫号。"),
        (("place",), "马上到您，请到{place}等。"),
        ((), "快到了，请回去等叫号。"),
    ),
    "soon": (
        (("minutes", "walk", "place"), "{minutes}轮到您，走过去约{walk}分钟，现在请到{place}。"),
        (("minutes", "place"), "{minutes}轮到您，请在{place}等。"),
        (("minutes", "walk"), "{minutes}轮到您，走过去约{walk}分钟，现在请出发。"),
        (("minutes",), "{minutes}轮到您，请等叫号。"),
        ((), "快到您了，请现在出发。"),
    ),
    "called": ((("place",), "轮到您了，请到{place}。"), ((), "轮到您了，请现在进去。")),
    "checked_in": (
        (("ahead", "place"), "报到好了，前面还有 {ahead} 位，请在{place}等叫号。"),
        (("place",), "报到好了，请在{place}等叫号。"),
        ((), "报到好了，请等叫号。"),
    ),
    "next": (
        (("place", "ready"), "这一项做完了。下一步请到{place}。{ready}"),
        (("place",), "这一项做完了。下一步请到{place}，点开看怎么走。"),
        ((), "这一项做完了。点开看下一步去哪里、怎么走。"),
    ),
    "medicine": (
        (("place",), "药配好了，请到{place}取。怎么吃，点开看。"),
        ((), "药配好了，可以去取。怎么吃，点开看。"),
    ),
    "result": (
        (("whole", "place"), "检查结果都出来了，请回{place}找医生。"),
        (("whole",), "检查结果都出来了，请回诊室找医生。"),
        ((), "检查有一项结果出来了，点开看。"),
    ),
    "abnormal": (
        (("place",), "检查有一项结果要请医生看，请到{place}找医生。"),
        ((), "检查有一项结果要请医生看，请联系医生。"),
    ),
    "critical": (
        (("place",), "检查有一项结果要医生马上看，请现在到{place}找医生。"),
        ((), "检查有一项结果要医生马上看，请现在联系医生。"),
    ),
    "bill": ((("amount",), "账单新增 {amount}，现在不用付。点开可以逐项看。"), ((), "账单有变化，点开看。")),
    "due": (
        (("amount", "until"), "就诊费 {amount}，请在{until} 前付。也可以请家人付。"),
        ((), "就诊费还没付，点开看。"),
    ),
    "paid": (
        (("who", "amount"), "{who}付了 {amount}，您不用再付。"),
        (("amount",), "付好了，{amount}。收据在账单里。"),
        ((), "付好了，收据在账单里。"),
    ),
    "asked": ((("amount",), "{who}请您付 {amount}。点开看清楚再付。"), ((), "{who}请您付一笔医药费。点开看清楚再付。")),
    "offered": ((("amount",), "{who}想替您付 {amount}，等您点头。"), ((), "{who}想替您付款，等您点头。")),
    "answered": (((), "{who}回话了，点开看。"),),
    "taking": (
        (("amount", "until"), "{who}看完了。{until} 后从您的微信扣 {amount}。这次不想扣，点开说一声就行。"),
        ((), "{who}看完了，要从您的微信扣一笔。这次不想扣，点开说一声就行。"),
    ),
    "untaken": (
        (("amount",), "{who}的 {amount} 没有扣成，没有扣您的钱。已经给您备好，点开就能付。"),
        ((), "{who}的一笔没有扣成，没有扣您的钱。已经给您备好，点开就能付。"),
    ),
    "contract": (((), "您的微信换过了，自动付已经停掉，没有扣款。还想用，请在微信里再开通一次。"),),
    "claimed": (((), "{who}想加为您的家人。点开看清楚，您点头才算数。"),),
    "bound": (((), "您和{who}绑定好了。不是您同意的，请在“家人”里停掉。"),),
    "ended": (((), "您和{who}的绑定结束了。以前的事不变。"),),
    "phone": (((), "{who}换了手机号，别的手机都已退出。不是本人换的，请打医院电话。"),),
    "test": (((), "收到这一条，说明提醒能用。"),),
}


READY = {
    "fasting": "先别吃东西，点开看几时能吃。",
    "full_bladder": "现在开始喝水憋尿，有尿意了再去。",
}
"""What may be said of a preparation where others may read it, the most pressing first."""


def about(minutes: int) -> str:
    """In about how long, in steps of five minutes."""
    return f"约{max(5, 5 * round(minutes / 5))}分钟后" if minutes > 2 else "马上"


def say(kind: str, parts: Mapping[str, str]) -> str:
    """The sentence of a kind that these parts can fill."""
    found = next(text for needs, text in _BODIES[kind] if all(parts.get(n) for n in needs))
    whose = _WHOSE.get(kind, "").format(who=parts["who"]) if parts["who"] else ""
    return whose + found.format(**parts)


class Settings:
    """The part of the settings page about reminders."""

    title = "消息提醒"
    says = "页面开着时，直接在页面上告诉您。没看到的，再按下面的方式发。"
    topics = {"visit": "看病的每一步、快到您了、有结果了", "bill": "账单和付款", "family": "家人的事"}
    channels = {"wechat": "微信消息", "web_push": "这台手机的通知", "sms": "短信（过一阵还没看时才发）"}
    basic = "用的是老人机：下一步、叫号、出结果直接发短信"
    quiet = "这段时间不打扰"
    quiet_says = "叫到您了、家人等您答复，这两种照样会响。"
    save = "保存提醒设置"
    how = "怎么告诉我"
    quiet_from = "从"
    quiet_to = "到"
    saved = "记下了。"
    here = "在这台手机上开通知"
    here_on = "这台手机的通知已经开了。"
    here_no = "没有开成。要开，请在手机的设置里允许本页面发通知。"
    here_says = "开了以后，不打开页面也会提醒。"
    test = "发一条试试"
    tested = "已经发出，一会儿就到。"
    caller = "是不是医院打来的"


class Caller:
    """Is it really the hospital: the person's page and the desk's field."""

    title = "是不是医院打来的"
    call = "接到电话"
    call_says = "请对方先说出核对码。和下面的一样，才是医院。不要先念给对方听。"
    none = "您还没有在医院看过病，医院不会给您打电话。"
    until = "{until} 前有效"
    sms = "收到短信"
    sms_says = "短信里有一个查询码，填在这里。"
    field = "查询码"
    check = "查一查"
    right = "是{hospital}发的，{when} 发出。可以放心。"
    right_plain = "是我们发的，{when} 发出。可以放心。"
    wrong = "这不是我们发的。请不要点里面的链接，不要转账，不要回电话。"
    doubt = "拿不准时，挂掉电话，自己打医院的电话问。"
    desk = "打电话前的核对码"
    desk_says = "先把这个码说给对方听，对方在“设置”里能看到同一个。看一次记一次。"
    desk_show = "显示核对码"
