"""The few words around a payment that pages, feeds, receipts and WeChat's bill share."""

from words.money import rmb

YOU = "您"
PATIENT = "患者本人"
AT_DESK = "窗口"
AT_KIOSK = "自助机"
ANYBODY = "谁付都行"
NEEDS_WECHAT = "在微信里付，要先用微信登录一次。"
IN_BOOKS = "医院已入账"


def yours(relation: str) -> str:
    """女儿 → 您女儿."""
    return f"您{relation}"


def description(hospital: str) -> str:
    """What WeChat shows the payer: hospital and purpose, nothing about the illness."""
    return f"{hospital} 就诊费"


def refund_reason(whole: bool, late: bool, *, again: bool = False) -> str:
    """What WeChat writes on the money that comes back; ``again``: the insurance is settled anew."""
    if again:
        return "医保整笔重算，先退回，请再付一次"
    if not whole:
        return "项目已取消，退回这一项"
    return "付款晚到，全部退回" if late else "这次不分摊了，全部退回"


def amount(fen: int) -> str:
    """An amount inside a sentence."""
    return rmb(fen)


class Receipt:
    """The printed receipt."""

    title = "就诊缴费收据"
    for_whom = "患者"
    hospital = "医院"
    payer = "谁付的"
    amount = "金额"
    paid_at = "付款时间"
    number = "收据号"
    transaction = "微信支付单号"
    insurance_number = "医保单号"
    way = "付款方式"
    ways = {
        "INSURANCE": "医保",
        "JSAPI": "微信支付",
        "MINIPROG": "微信支付",
        "H5": "微信支付",
        "NATIVE": "微信扫码支付",
        "CODE": "微信付款码",
        "FACE": "微信刷脸付",
        "CASH": "现金",
        "CARD": "银行卡",
    }
    visit_day = "就诊日期"
    last_paid_at = "最后付款"
    each = "每一笔付款"
    cash = "付的现金和手机付款"
    not_done = "付过，还没做"
    items = "付的是这些"
    split = "钱从哪里付"
    whole = "合计"
    sources = {
        "fund": "医保统筹基金",
        "account": "医保个人账户",
        "mutual_aid": "家庭共济",
        "other": "医保其他基金",
        "hospital": "医院承担",
        "others": "其余几份",
        "relative": "家人付",
        "paid": "以前已付",
        "wechat": "微信支付",
        "face": "刷脸付",
        "cash": "现金",
        "card": "银行卡",
        "counter": "窗口付",
    }
    settled = "医院已入账。"
    settling = "钱已付到，医院正在入账。"
    private = "这张收据只写金额和医院。项目由患者本人查看。"
    returned = "后来退回"
    back_done = "已退回原来的账户"
    back_soon = "正在退回原来的账户"
    anew = "后来退了一项，医保整笔退回重算。留下的项目再付一次，另给收据。"
    note = "这是付款凭据，不是发票。要发票请到窗口，或在医院的公众号里开。"

    @staticmethod
    def ordered(by: str | None, at: str) -> str:
        """Who ordered a line, and when; empty where nobody said."""
        return f"开单：{by or '没有写'} {at}".rstrip() if by or at else ""

    @staticmethod
    def executed(by: str | None, at: str, where: str | None) -> str:
        """Who did it, when and where; empty where nobody said."""
        done = " ".join(part for part in (by, at, where) if part)
        return f"执行：{done}" if done else ""


class Pay:
    """The pay sheet and what follows."""

    to_chat = "回到微信"
    title = "付款"
    check = "付之前，先看清楚"
    for_whom = "替谁付"
    hospital = "医院"
    items = "项目"
    total = "做完的项目一共"
    sources = {
        "fund": "医保基金付",
        "account": "医保个人账户付",
        "mutual_aid": "家人共济付",
        "other": "医保其他基金付",
        "hospital": "医院承担",
        "cash": "现金付",
        "card": "银行卡付",
        "relative": "家人付",
        "others": "其余几份",
        "paid": "以前已付",
        "wechat": "微信付",
        "counter": "窗口付",
    }
    yours = "您付"
    how = "怎么付"
    ways = {
        "insurance": "用医保付",
        "wechat": "微信支付",
        "family": "请家人付",
        "counter": "到窗口付",
    }
    with_ = {"wechat": "用微信付。"}
    hints = {
        "insurance": "先请医保算，算好给您看，您同意了才扣。",
        "wechat": "按医院的估算，只付自己的部分。",
    }
    insurance_in_wechat = "医保只能在微信里用。不去也行，可以在这里或窗口直接付。"
    to_wechat = "去微信里用医保"
    estimate = "医院估算"
    insurance_no = "医保单号"
    see_items = "看每一项"
    no_more = "确认后才会扣款。只扣这一次。"
    waiting = {
        "offered": "等您付款",
        "unknown": "还不知道有没有付成",
        "paid": "钱已付到",
        "closed": "这次没有付成",
        "already": "已经付好了",
        "late": "付晚了一步",
        "share_paid": "您这一份付好了",
        "given_back": "您付的正在退回",
    }
    waiting_says = {
        "offered": "请在微信里付。付好后这里会自己变。",
        "unknown": "请别再付，1 分钟内告诉您。",
        "paid": "医院正在入账，稍等一下，不用重复付。",
        "closed": "没有扣款。想付可以再来一次。",
        "already": "不用再付。您这边没有扣款。",
        "late": "这笔钱正在退回您原来的账户。您什么都不用做。",
        "share_paid": "等家人付完其余的，医院一起入账。您不用再付。",
        "given_back": "这次没有付成整单，钱退到原来的账户。您什么都不用做。",
    }
    share_waits = "您这一份付好了。其余的付完后，医院一起入账。"
    shares = "分着付"
    share_states = {"free": "还没付", "busy": "正在付", "paid": "付好了"}
    share_take = "付这一份"
    share_mine = "这次付"
    share_rest = "剩下的都由您付"
    share = "一起分摊"
    open_wechat = "打开微信付款"
    i_paid = "我付过了，看结果"
    try_again = "回账单"
    cancel = "这次不付了"
    receipt = "收据"
    receipt_says = "收据存在“我的账单”。"
    settling = "钱已付到。医院正在入账，不用重复付。"
    receipt_no = "收据号"
    paid_at = "付款时间"
    payer = "谁付的"
    pdf = "下载收据"
    merged = "全部收据"
    merged_says = "这次就诊付过的都在这里。"
    merged_waits = "还有几份没付完，付完的都在这里。"
    each = "每一笔"
    one = "看这一笔"
    whole = "合计"
    returned = "后来退回的"
    anew = "后来退了一项，医保要整笔退回重算。留下的项目请再付一次，另给收据。"
    back_done = "已退回"
    back_soon = "正在退回"
    back_says = "退到付款时用的账户，您什么都不用做。"
    items_of = "付的是这些"

    @staticmethod
    def go(fen: int) -> str:
        """The one green button."""
        return f"付 {rmb(fen)}"

    next = "下一步"

    @staticmethod
    def paid(fen: int) -> str:
        """The sentence of success."""
        return f"付好了，{rmb(fen)}"

    @staticmethod
    def other_paid(who: str) -> str:
        """Somebody else was quicker."""
        return f"{who}已经付好了"

    @staticmethod
    def count(n: int) -> str:
        """How many lines."""
        return f"{n} 项"


class Share:
    """Cutting a bill into shares."""

    title = "一起分摊"
    says = "写上每人付多少，不写就不算。剩下的谁付都行。"
    left = "要分的一共"
    unit = "元"
    myself = "我自己"
    patient = "患者本人"
    part = "先付一部分"
    go = "就这样分"
    stop = "不分摊了"
    stop_button = "不分了，退回"
    not_money = "金额要写成数字，比如 100 或 100.50。请改一下。"

    @staticmethod
    def stop_says(paid: list[tuple[str, int]]) -> tuple[str, ...]:
        """What giving it up means: who gets what back."""
        back = tuple(f"{who}付的 {rmb(fen)} 会退回原来的账户。" for who, fen in paid)
        return (*back, "全部项目会重新合在一起付。") if back else ("还没有人付，不用退钱。全部项目重新合在一起付。",)
