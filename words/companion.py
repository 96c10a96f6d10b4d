"""What a companion reads: where she is, what is next, what she has opened."""


class Companion:
    """Watching from afar."""

    title = "一起看病"
    next = "接下来"
    nothing_next = "现在没有要去的地方。"
    no_turn = "医院还没有说前面有几个人。"
    you = "您"
    talk = "对本人说一句"
    talk_family = "对家人说一句"
    talk_says = "点一下就发过去，对方马上看到。"
    talk_elder = "点一下就发。对方的话会读给您听。"
    watching = "现在能看到的家人"
    nobody = "现在没有家人在看。"
    change = "改谁能看、看多少"

    @staticmethod
    def since(at: str) -> str:
        """Since when she is there."""
        return f"{at} 到的医院"

    @staticmethod
    def progress(done: int, of: int) -> str:
        """How far she is."""
        return f"{of} 项里做完了 {done} 项"

    @staticmethod
    def waiting(at: str) -> str:
        """Since when she waits at this door."""
        return f"{at} 报到，在等"

    @staticmethod
    def turn(begin: str, end: str, *, passed: bool) -> str:
        """About when; never a promise."""
        return "应该快到了，以医院叫号为准。" if passed else f"大约 {begin}–{end} 轮到。"

    @staticmethod
    def heard(at: str, *, old: bool) -> str:
        """How old what we know is."""
        return f"这是医院 {at} 说的" + ("，后来可能有变化。" if old else "。")

    story = "今天的经过"
    none = "还没有开始。到了医院，这里会告诉您。"
    closed = "这次没有开放账单。"
    not_shared = "这次看完了，不再给您看。下次看病时，这里会自己打开。"
    home = "回首页"
    sum = "做完的一共"
    pay = "替家人付"
    call = "打电话"
    logged = "您看过什么，对方都能看到。"
    events = {
        "placed": "医生开了{name}",
        "checked_in": "到了，等叫号：{name}",
        "called": "正在做：{name}",
        "performed": "做完了：{name}",
        "cancelled": "不做了：{name}",
        "result": "结果出来了：{name}",
    }
    charged = "{name}已做完，记入账单"
    uncharged = "{name}不收钱了"
    payments = {
        "offered": "{who}正在付款",
        "unknown": "还在等付款结果",
        "paid": "钱已付到，医院正在入账",
        "settled": "{who}付好了",
        "closed": "刚才那笔没有付成，没有扣款",
        "refunding": "有一笔付晚了一步，正在退回",
        "refunded": "退款已退回",
        "share_paid": "{who}付好了一份",
        "shared": "{who}把账单分成了几份",
        "insurance_returning": "退了一项，医保正在整笔退回",
        "insurance_returned": "医保退回了，留下的项目要再付一次",
        "insurance_checking": "医院正在和医保核对退款",
        "sent_back": "付过的钱退回去了",
        "given_up": "不分摊了，付过的退回原来的账户",
        "insuring": "医保正在结算",
        "reckoned": "医保算好了",
        "insured": "医保付好了",
        "insurance_ending": "医保先不用了，正在取消",
        "insurance_over": "这次没有用成医保",
        "returning": "这次没有付成整单，正在退回",
        "returned": "这次没有付成整单，已退回",
    }
    visits = {"open": "到了医院，开始看病", "ended": "看完了", "settled": "账都付清了"}
