"""The guide sheet on paper and on the page it is printed from: for whoever has no phone, or no patience for one."""

from words.guide_page import Guide


class Sheet:
    """One day: what is still to do, in order, with the way."""

    title = "就诊指引单"
    says = "没有手机也能用。从上往下走，到了科室，出示那一项旁边的码。"
    keep = "这张单子今天有效。窗口会核对姓名。"
    steps = "今天还要做的"
    order_alt = "报到码"
    pass_alt = "就诊码"
    pass_says = "就诊码，报到、缴费都能用"
    none = "现在没有要做的项目。"
    ready = Guide.ready
    number = "就诊号"
    order = "单号"
    way = "怎么走"
    map_title = "路线图"
    states = {name: Guide.states[name] for name in ("called", "checked_in")}
    hides = "有的项目只写了种类，没写名称。想写全，请告诉窗口。"
    boxed = "方框里的字这台打印机没有，请核对就诊号。"
    print = "打印"
    a5 = "打印 A5"
    a4 = "打印 A4，带路线图"
    roll_80 = "80 毫米小票"
    roll_58 = "58 毫米小票"
    rolls_say = "小票是给热敏打印机的文件，打印机插件会直接打印。"
    full = "项目名称都写上"
    discreet = "敏感的项目只写种类"
    discreet_says = "纸会被别人看到。敏感的项目默认只写种类和房间。"
    file = "guide"
    map_says = Guide.map_says

    @staticmethod
    def how_long(about: str) -> str:
        """The head over a way: 怎么走，约2–3分钟."""
        return f"怎么走，{about}" if about else "怎么走"

    @staticmethod
    def back(name: str) -> str:
        """What comes last."""
        return f"都做完以后，回到{name}看结果"

    @staticmethod
    def fresh(at: str) -> str:
        """How old this paper is, and what is newer."""
        return f"{at} 打印。排队和先后会变，以叫号屏和手机上的为准。"

    @staticmethod
    def ask(phone: str) -> str:
        """Whom to ask."""
        return f"找不到路或看不明白，问身边的工作人员，或打电话 {phone}。"
