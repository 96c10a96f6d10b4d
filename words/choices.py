"""What a person agrees to by itself, in the very sentences that are kept as evidence."""

VERSION = "2026-2"  # a new one whenever a sentence of SAYS changes
NAMES = {"share": "分享给家人", "credit": "信用上报告知", "location": "位置"}
SAYS = {
    "share": "您请来的家人，能看到您这次看病走到哪一步。看到多少、看不看账单和结果，由您一个个定。谁什么时候看过，您都能查到。关上后，家人马上看不到。",
    "credit": "欠费很久不付时，医院可能按本市规定报给信用平台。报之前一定先告诉您，您可以申诉。关上后不报，看病照常。",
    "location": "在医院里，您扫墙上的码、点地图，就是告诉我们您在哪里，好给您指路、排先后。最多留半小时就删掉。关上后不留，照着文字走也能到。",
}


class Choices:
    """The page with the switches."""

    title = "我同意的事"
    lead = "这几件事各是各的。哪一件都可以随时关上，看病不受影响。"
    on = "开着"
    off = "关着"
    turn_on = "打开"
    turn_off = "关上"
    go = "我同意的事"
    deferred = "看完病再付"
    deferred_says = "签一次，看病中途不用交钱，看完再付。停用后照常看病，改成先缴费。"
    unsigned = "还没有签过。在首页可以签。"
    stop = "停用"
    again = "打开后，这些家人又能看到"
    history = "以前的选择"
    said = {True: "打开了", False: "关上了"}
    agree = "我同意分享给家人"
    share_says = SAYS["share"]
    open_now = "打开“分享给家人”"

    @staticmethod
    def since(when: str, version: str) -> str:
        """Since when it stands, by which text."""
        return f"{when} 起 · {version} 版"
