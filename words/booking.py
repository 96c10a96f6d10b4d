"""Booking a half hour, as a nurse at the desk would say it."""

from datetime import date

from words.money import rmb

WEEKDAYS = "一二三四五六日"


class Booking:
    """The pages of booking."""

    title = "预约挂号"
    mine = "我的预约"
    whose = "替谁约"
    which = "挂哪个科"
    which_none = "这家医院还没有开放预约。请到挂号窗口。"
    days = "哪一天"
    later_days = "再往后几天"
    times = "选一个时间"
    none = "这一天没有号了。请换一天看看。"
    down = "医院现在说不出哪些时间有空。不是约满了，请过一会儿再看，或打电话问。"
    again = "再看一次"
    other_days = "看别的时间"
    confirm = "看一下，对不对"
    who = "替谁"
    hospital = "医院"
    department = "科室"
    doctor = "医生"
    time = "时间"
    number = "第几号"
    fee = "挂号费"
    by = "谁约的"
    go = "约这个号"
    other = "换个时间"
    changed = "挂号费刚才有变化。请看一下新的，再约一次。"
    nobody = "您还不能替人约号。未满 14 岁请监护人来约。"
    pay_go = "去付挂号费"
    pay_coming = "医院正在开挂号费，过几秒可以付。"
    paying = "正在付挂号费。"
    paid = "挂号费付好了。"
    cancel = "不去了，取消"
    cancel_title = "取消预约"
    cancel_says = "取消以后，这个号给别人。要再看，重新约一个。"
    cancel_paid = "付过的挂号费退回原来的账户。"
    cancel_go = "取消这个号"
    keep = "留着"
    nearest = "离得最近、还有空的"
    free_soon = "看看别的时间"
    list_none = "还没有预约。"
    coming = "要去的"
    past = "以前的"
    visit_go = "看这次就诊"
    bill_go = "看挂号费和退款"
    bring = "请带身份证或医保卡，提前 15 分钟到。"

    tags = {
        "asked": "还没有回话",
        "booked": "约好了",
        "refused": "没约上",
        "cancelling": "正在取消",
        "cancelled": "取消了",
        "called_off": "医生停诊",
        "missed": "过号了",
        "requeuing": "正在重新排",
        "arrived": "已到医院",
    }
    titles = {
        "asked": "还不知道约上没有",
        "booked": "约好了",
        "refused": "没有约上",
        "cancelling": "正在取消",
        "cancelled": "已经取消",
        "called_off": "医生这天不看诊了",
        "missed": "过号了",
        "requeuing": "正在重新排队",
        "arrived": "已到医院",
    }
    says = {
        "asked": "医院还没有回话。请别再约，约上没有，这里会告诉您。",
        "booked": "",
        "refused": "医院没有约上这个号。请换个时间，或打电话问。",
        "cancelling": "已经告诉医院，还没有回话。取消好了，这里会告诉您。",
        "cancelled": "这个号已经给别人了。要看病，可以重新约。",
        "called_off": "这天停诊，这个号不算数，不收挂号费。付过的退回原来的账户。请换个时间。",
        "requeuing": "已经告诉医院，排上了这里会告诉您。",
        "arrived": "已经报到，请听叫号。",
    }
    refused = {
        "taken": "这个号刚刚被别人约走了。下面这些还有空。",
        "passed": "这个时间已经过了。请换一个。",
        "stopped": "医生这天停诊了。下面这些还有空。",
        "no_such_slot": "医院改了出诊时间。请换一个。",
        "fee_differs": "挂号费有变化。请重新看一下，再约。",
        "already_booked": "医院那边，这半天已经有一个同一位医生的号了。不用再约。",
        "unreachable": "医院现在连不上，没有约上。请过一会儿再试，或打电话约。",
    }
    cancelled = {
        "unpaid": "挂号费没有按时付，号已经放回去。要看病，请重新约。",
        "stale": "到了时间医院还没有回话，已经替您取消。要看病，请到挂号窗口。",
    }
    moved = "医院改了时间，请看清楚。"
    kept = "医院说已经取消不了，号还在。不去请打电话告诉医院。"

    @staticmethod
    def fee_says(pay: str, fen: int, free_days: int) -> str:
        """What it costs and when, before she books."""
        match pay:
            case "free":
                return Booking.free_says(free_days)
            case "upfront":
                return f"{rmb(fen)}，约好后先付"
            case _:
                return f"{rmb(fen)}，记在账上，看完一起付"

    @staticmethod
    def free_says(days: int) -> str:
        """Why there is no fee."""
        number = "一二三四五六七八九十"[days - 1] if 1 <= days <= 10 else str(days)
        return f"{number}天内复诊，免挂号费"

    @staticmethod
    def pay_first(minutes: int) -> str:
        """How long the place is held for the money."""
        return f"约好后请在 {minutes} 分钟内付，过时号会放回去。"

    @staticmethod
    def pay_until(when: str) -> str:
        """Until when the fee is to be paid."""
        return f"请在{when}前付，过时号会放回去。"

    @staticmethod
    def cancel_until(when: str) -> str:
        """Until when one can cancel here."""
        return f"不去的话，{when}前可以在这里取消。"

    @staticmethod
    def left(places: int) -> str:
        """Places of a half hour."""
        return f"余 {places}"

    @staticmethod
    def nth(number: str) -> str:
        """Her place in the queue of that half hour."""
        return f"第 {number} 号"

    @staticmethod
    def by_relative(name: str) -> str:
        """Who booked for her."""
        return f"{name} 替您约的"

    @staticmethod
    def missed(rule: str, behind: int) -> list[str]:
        """What to do when her call was missed, by the hospital's rule: one thing a line."""
        then = f"重新排在后面第 {behind} 位左右。" if behind else "马上接着排。"
        match rule:
            case "kiosk":
                return ["今天还能看。", "请到大厅自助机，扫就诊码或刷身份证，点“重新报到”。", then]
            case "book_again":
                return ["这个号作废了，挂号费按医院规定办。", "还要看，请重新约一个，或到挂号窗口。"]
            case _:
                return ["今天还能看，不用重新挂号。", "请到导诊台说一声“过号了”，护士替您重新报到。", then]

    missed_over = "这个号的日子已经过了。还要看，请重新约一个。"


class DeskBookings:
    """The desk's list of today's bookings."""

    title = "今天的预约"
    none = "今天没有预约。"
    missed = "过号的"
    others = "按时间"
    requeue = "重新排队"
    waiting = "等医院系统回话"


def day_label(day: date, today: date) -> str:
    """今天, 明天, else 周三; the date stands beside it."""
    near = {0: "今天", 1: "明天"}.get((day - today).days)
    return near or f"周{WEEKDAYS[day.weekday()]}"


def day_short(day: date) -> str:
    """11月25日."""
    return f"{day.month}月{day.day}日"
