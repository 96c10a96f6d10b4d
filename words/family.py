"""How families speak of each other, and the few sentences of binding that pages and messages share."""

from datetime import date

RELATIONS = {
    "daughter": "女儿",
    "son": "儿子",
    "spouse": "爱人",
    "parent": "父母",
    "sibling": "兄弟姐妹",
    "grandchild": "孙辈",
    "friend": "朋友",
    "other": "家人",
}
CATEGORIES = {"gynaecology": "妇科", "psychiatry": "心理科", "infection": "传染病"}
PAGES = {
    "bill": "看了账单",
    "story": "看了走到哪一步",
    "guide": "看了检查进度",
    "pass": "看了就诊码",
    "sheet": "看了或打印了指引单",
    "printed": "给您打印了指引单",
    "pay": "看了要付的钱",
    "results": "看了结果",
    "receipt": "看了收据",
    "home": "看了首页上的就诊",
    "list": "看了就诊列表",
    "live": "一直跟着看",
}
ME = "本人"
DESK_RELATION = "家人是患者的"
SOMEBODY = "家人"
STAFF = "医院的"
UNPROVEN = "您的资料还没有和医院核对上。可以先替家人付款、看家人就诊。看自己的就诊，请带证件到窗口核对一次。"


def relation(code: str) -> str:
    """What the relative is to the patient; the hospital's own people have a word, too."""
    return STAFF if code == "staff" else RELATIONS.get(code, SOMEBODY)


def label(code: str, sex: str | None) -> str:
    """What the relative calls the patient, from what the relative is to her and the patient's sex."""
    if code in ("daughter", "son"):
        return {"F": "妈妈", "M": "爸爸"}.get(sex or "", "父母")
    if code == "parent":
        return {"F": "女儿", "M": "儿子"}.get(sex or "", "孩子")
    if code == "grandchild":
        return "老人"
    return {"spouse": "爱人", "sibling": "兄弟姐妹", "friend": "朋友"}.get(code, SOMEBODY)


def proven(how: str, day: date) -> str:
    """How and on which day a bond was proven."""
    return f"{day:%Y年%-m月%-d日}，{how}" if how else ""


def lasts(last: date) -> str:
    """The last day of something."""
    return f"到{last:%Y年%-m月%-d日}"


def looked(page: str) -> str:
    """What somebody looked at."""
    return PAGES.get(page, "看了就诊")
