"""An invented morning at an invented hospital: the people, lines and steps that sample pages show; nobody is real."""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from markupsafe import Markup

from pwa import views as v
from words import letter_text

TZ = timezone(timedelta(hours=8))
NOW = datetime(2026, 11, 20, 10, 24, tzinfo=TZ)
HOSPITAL = "示例市第一人民医院"
PHONE = "0513-8550-0000"


@dataclass(frozen=True, slots=True)
class Sample:
    """One page: template, its view, the open tab."""

    template: str
    view: object
    nav: v.Nav | None = None


def at(hour: int, minute: int, days: int = 0) -> datetime:
    """A time of the sample day."""
    return NOW.replace(hour=hour, minute=minute) + timedelta(days=days)


HEAD = v.VisitHead("v1", HOSPITAL, "示例甲", "心血管内科", at(9, 0), "3 楼 302 诊室", "值班医生")
HEAD_MASKED = v.VisitHead("v1", HOSPITAL, "示*甲", None, at(9, 0))
ME, MOTHER = v.Person("p1", "本人", "示例甲"), v.Person("p2", "妈妈", "示例乙")
SUMS = v.Sums(19400, 7760, 9640, 2000, 7760, 24000, 0)


def line_row(n: int, name: str, fen: int, pile: str, state: str, **more: Any) -> dict[str, Any]:
    """The ``line`` of a ``bill.line`` feed row."""
    done = pile == "done"
    row: dict[str, Any] = {
        "id": str(n), "order_id": f"o{n}", "name": name, "department": "检验科", "amount_fen": fen,
        "fund_fen": fen // 2 if done else 0, "account_fen": fen // 10 if done else 0,
        "self_fen": fen - fen // 2 - fen // 10 if done else fen, "pile": pile, "state": state, "quantity": "1",
        "insurance_class": "A", "ordered_by": "心血管内科 值班医生", "ordered_at": at(9, 12).isoformat(),
        "executed_by": "检验科 3 号" if done else None, "executed_at": at(9, 20 + n).isoformat() if done else None,
        "executed_where": "2 楼抽血处" if done else None, "category": None, "can_dispute": done and state == "billable",
        "can_abandon": pile == "ordered", "rank": n,
    }  # fmt: skip
    return {**row, **more}


def step_row(n: int, name: str, place: str, state: str, **more: Any) -> dict[str, Any]:
    """The ``step`` of a ``step`` feed row."""
    row: dict[str, Any] = {
        "id": str(n), "kind": "lab", "name": name, "department": "检验科", "place": place, "state": state,
        "preparation": [], "note": None, "ahead": None, "room": None, "result_flag": None,
        "at": at(9, 10 + n).isoformat(), "rank": n,
    }  # fmt: skip
    return {**row, **more}


DONE = [
    v.Line.of(line_row(4, "心电图", 3000, "done", "billable", department="功能科")),
    v.Line.of(line_row(3, "肝肾功能 + 血脂", 12600, "done", "disputed")),
    v.Line.of(line_row(2, "血常规（五分类）", 2000, "done", "billable", insurance_class="B")),
    v.Line.of(line_row(1, "普通门诊诊查费", 1800, "done", "settled", department="心血管内科")),
]
ORDERED = [v.Line.of(line_row(6, "心脏彩超", 24000, "ordered", "planned", department="超声科"))]
CANCELLED = [v.Line.of(line_row(5, "尿常规", 800, "cancelled", "aborted"))]
STEPS = [
    v.Step.of(step_row(1, "看医生", "3 楼 302 诊室", "performed")),
    v.Step.of(
        step_row(
            2,
            "抽血",
            "2 楼抽血处",
            "checked_in",
            ahead=3,
            preparation=["不能吃早饭，可以喝几口白水。", "袖子挽到手肘以上。"],
        )
    ),
    v.Step.of(step_row(3, "心脏彩超", "2 楼超声科", "placed", room="5 号", ahead=6)),
    v.Step.of(step_row(4, "心电图", "1 楼功能科", "result", result_flag="abnormal")),
    v.Step.of(step_row(5, "尿常规", "2 楼检验窗口", "cancelled")),
]
CARDS = [
    v.VisitCard(
        "v0", HOSPITAL, "骨科", at(14, 5, -12), "ended", "DEFERRED", 7760, due_at=at(16, 20, -11), overdue=True
    ),
    v.VisitCard("v9", HOSPITAL, "眼科", at(9, 40, -40), "settled", "DEFERRED", 0, 12350),
    v.VisitCard("v8", HOSPITAL, "呼吸内科", at(9, 40, -330), "settled", "UPFRONT", 0, 8600, receipt_url="/r"),
]
TOLD = Markup(
    "<p>签了以后，挂号、检查、取药<b>中途不用交钱</b>，看完病一次付清。</p>"
    "<ol><li>当天看完病后 <b>24 小时内</b>付清。</li>"
    "<li>到时候没付，会发短信；7 天后会打电话问。</li><li>超过 <b>30 天</b>没付，“看完病再付”先停用，付清后恢复。</li>"
    "<li>每一项，科室做完才记到账单上。</li><li>可以<b>随时不用</b>，以后想用再签。</li></ol>"
    "<p>这些情况不能用：打架、吸毒等违法行为产生的费用；非医学需要的人流、引产；车祸等应由别人负担的费用；有恶意欠费记录。</p>"
)
REGIONS = [
    v.Region("told", "一、告诉您的事", TOLD),
    v.Region(
        "patient",
        "二、患者信息",
        Markup("<p>姓名：示例甲</p><p>证件号：3206**********0023</p><p>手机：138****6027</p>"),
    ),
    v.Region("sign", "三、签名", Markup("<p>读完后手写签名，也可以用姓名和短信验证码签。</p>")),
    v.Region("proxy", "四、家属代签", Markup("<p>患者不方便时，可由患者同意的家人代签。</p>")),
    v.Region("doctor", "五、医生签名", Markup("<p>由接诊医生在诊间签。</p>")),
]
CATEGORIES = (("gynaecology", "妇科"), ("infection", "传染病"), ("psychiatry", "心理科"))
_OPEN = tuple((code, name, code == "infection") for code, name in CATEGORIES)
GRANTS = [
    v.GrantCard("g1", "示例丙", "女儿", True, True, "bill", 50000, calls=True, categories=_OPEN),
    v.GrantCard("g2", "示例丁", "儿子", False, True, "steps", until=at(23, 59), categories=_OPEN, scope=True),
    v.GrantCard("g3", "示例戊", "丈夫", True, False, state="offered"),
]
RELATIONS = (("daughter", "女儿"), ("son", "儿子"), ("spouse", "爱人"), ("other", "别的家人"))
REASONS = tuple(letter_text.REASONS.items())
PARTS = (v.PayPart("fund", 9640), v.PayPart("account", 2000))
WAYS = (
    v.PayChoice("wechat", True),
    v.PayChoice("family", why_not="还没有绑定家人。"),
    v.PayChoice("counter"),
)
ORDERS = [
    v.DeskOrder("1", "示例甲", "肝肾功能 + 血脂", "L20261120-0042", "checked_in", at(9, 21), "confirm", 12600, True),
    v.DeskOrder("2", "示例乙", "血常规（五分类）", "L20261120-0043", "placed", at(9, 25), "check_in", 2000, True),
    v.DeskOrder("3", "示例丙", "尿常规", "L20261120-0044", "placed", at(9, 30), "check_in", 800, False),
    v.DeskOrder("4", "示例丁", "血糖", "L20261120-0045", "performed", at(9, 33), "undo", 600, True, True),
]
CALLS = [v.HisCall("h1", "血糖 执行记账", at(10, 20), 3)]
