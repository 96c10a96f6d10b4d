"""The guide's page: where next, which way, when about."""


class Guide:
    """Where next."""

    title = "导诊"
    now = "现在去"
    none = "现在没有要去的地方。有新的安排，这里会告诉您。"
    all = "今天要做的"
    plan = "先后顺序"
    way = "怎么走"
    map = "地图"
    ready = "要先准备"
    place = "在"
    sheet = "打印指引单"
    family_go = "看谁在陪着，对家人说一句"
    step_free = "这条路没有台阶"
    states = {
        "placed": "还没做",
        "checked_in": "已报到，等叫号",
        "called": "叫到您了",
        "performed": "做完了",
        "cancelled": "不做了",
        "result": "结果出来了",
    }
    flags = {"normal": "结果正常", "abnormal": "有几项不在正常范围，请回诊室给医生看", "critical": "请马上去找医生"}
    empty = "医生还没有开项目。"

    @staticmethod
    def ahead(n: int) -> str:
        """How many wait before."""
        return f"前面 {n} 人" if n else "前面没有人"

    no_queue = "医院没有说前面还有几人，先按检查要求和远近走。"
    medicine = "药怎么吃"
    here = "我不在这里，换个地方出发"
    where = "您现在在哪里"
    where_says = "扫墙上的二维码最准。扫不了，就在下面点您身边的科室。"
    tap = "在地图上点"
    tap_says = "先选楼层，再点您现在站的地方。"
    no_map = "这家医院还没有地图。请到导诊台，工作人员给您指路。"

    @staticmethod
    def map_says(number: int) -> str:
        """Which map a way is from."""
        return f"路线按医院地图第{number}版。"

    @staticmethod
    def start(name: str) -> str:
        """From where the way begins."""
        return f"从“{name}”出发"

    @staticmethod
    def walk(about: str) -> str:
        """How far."""
        return f"走过去{about}"

    @staticmethod
    def turn(begin: str, end: str, *, passed: bool) -> str:
        """About when it is her turn; a span, never a promise."""
        return "应该快到您了，以医院叫号为准" if passed else f"大约 {begin}–{end} 轮到您"

    @staticmethod
    def heard(at: str, *, old: bool) -> str:
        """How old what we know of the queue is."""
        return f"医院 {at} 说的" + ("，后来可能变了" if old else "")
