"""The few words around a payment that pages, feeds, receipts and WeChat's bill share."""

from datetime import datetime

from words.money import rmb, when

YOU = "您"
PATIENT = "患者本人"
AT_DESK = "窗口"
AT_KIOSK = "自助机"
ANYBODY = "谁付都行"
BY_LINK = "收到链接的人"
SOMEONE = "有人"
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
    from_where = "在哪里付的"
    ways = {
        "INSURANCE": "医保",
        "JSAPI": "微信支付",
        "MINIPROG": "微信支付",
        "H5": "微信支付",
        "NATIVE": "微信扫码支付",
        "PAP": "微信自动付",
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
        "share_paid": "其余的付完，医院一起入账，收据就出来。您不用再付。",
        "given_back": "这次没有付成整单，钱退到原来的账户。您什么都不用做。",
    }
    share_waits = "您这一份付好了。其余的付完后，医院一起入账。"
    shares = "分着付"
    share_states = {"free": "还没付", "busy": "正在付", "paid": "付好了"}
    share_take = "付这一份"
    share_mine = "这次付"
    share_rest = "剩下的都由您付"
    share = "一起分摊"
    link = "发链接，请别人付"
    mine = "我付过的"
    mine_none = "还没有付过。付过的都会在这里，替谁付的、收据也在。"
    decline = "这次我不付"
    declined = "好的，已经告诉对方。"
    to = "换一个人"
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
    from_where = "在哪里付的"
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
    def go(fen: int, whom: str | None = None) -> str:
        """The one green button; ``whom`` as the payer calls them, so that nobody else is paid for by a slip."""
        return f"替{whom}付 {rmb(fen)}" if whom else f"付 {rmb(fen)}"

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


class AskFirst:
    """A patient wants to be asked before a relative pays."""

    title = "让对方付吗"
    somebody = "对方"
    ask = "先问一声"
    look = "您看呢"
    answer = "就这样"
    choices = (("yes", "同意，让对方付"), ("no", "这次不用，我自己来"))
    after = "同意以后，对方才能付。改主意了，也可以再改。"

    @staticmethod
    def says(standing: str, whom: str) -> str:
        """What the payer has to wait for; ``whom`` as the payer calls the patient."""
        return {
            "must": f"{whom}想每次先知道。先问一声，同意了再付。",
            "waiting": f"已经问了。等{whom}同意，同意了会告诉您。",
            "refused": f"{whom}说这次不用您付。有变化可以再问一声。",
        }[standing]

    @staticmethod
    def wishes(who: str, fen: int, hospital: str) -> str:
        """What the patient is asked."""
        return f"{who} 想替您付 {rmb(fen)}，{hospital}。"


class Limits:
    """What a payer lets herself pay for one patient, and what happens after a visit."""

    title = "我给自己定的上限"
    says = "只管您替这位家人付的钱。超过了会停下来告诉您，不会扣款。不填就是不限。"
    per = {"payment": "一次最多（元）", "day": "一天最多（元）", "month": "一个月最多（元）"}
    spans = {"payment": "一次", "day": "一天", "month": "一个月"}
    back = "退回来的钱，到账后又能付。"
    after = "看完病以后"
    choices = {
        "nothing": "不用管我，我自己来看",
        "ask": "先问我要不要付",
        "ready": "不超过这个数，给我备好，点一下就付",
        "auto": "不超过这个数，看完病自动付",
    }
    ready = "最多备好、最多自动付（元）"
    ready_says = "超过的先问您。备好的要您在微信里确认，不会自己扣钱。"
    auto_says = "自动付要先在微信里开通。每次扣之前两个小时告诉您扣多少，说一声“这次不扣”就不扣。"
    auto = "自动付"
    contract = {
        "none": "还没有开通，选了自动付也只是备好，等您点。",
        "asked": "还没有开通好。在微信里点同意以后，过一会儿这里就变。",
        "signed": "已经开通。",
        "ending": "正在关，已经不会再扣了。",
    }
    open_contract = "去微信开通自动付"
    only_wechat = "请在微信里打开这一页来开通。"
    stop_contract = "关掉自动付"
    save = "存好"
    saved = "存好了。"
    none = "没有定上限"
    change = "改上限"
    go = "上限和提醒"
    wrong = "金额要写成数字，比如 100 或 100.50，要大于 0。选了“备好”要写最多多少。请改一下。"

    @staticmethod
    def left(span: str, limit_fen: int, left_fen: int, under_way_fen: int) -> str:
        """Which limit stands in the way, and what is left of it."""
        spent = f"正在付的 {rmb(under_way_fen)} 也算在内，" if under_way_fen else ""
        now = f"现在还能付 {rmb(left_fen)}" if left_fen else "现在不能再付"
        return f"您给自己定了{Limits.spans[span]}最多付 {rmb(limit_fen)}，{spent}{now}。"

    @staticmethod
    def now(left_fen: int) -> str:
        """What is left now."""
        return f"现在还能付 {rmb(left_fen)}"


class Taking:
    """Before money is taken by the payer's contract."""

    title = "要自动付款了"
    not_now = "这次不扣"
    keep = "就这样扣"
    sign_keep = "先不开通"
    sign_title = "开通自动付"
    sign_says = (
        "下一页是微信的，点同意就开通了。",
        "开通以后，看完病剩下要付的钱，会在您定的数以内从您的微信扣。扣之前两个小时告诉您，随时可以关。",
    )
    sign_go = "去微信开通"

    @staticmethod
    def says(patient: str, hospital: str, fen: int, at: datetime, now: datetime) -> tuple[str, ...]:
        """What, from when, and what to do."""
        return (
            f"{patient}在{hospital}看完了，还剩 {rmb(fen)} 要付。",
            f"{when(at, now)} 后从您的微信扣，付给医院。扣好了给您和{patient}都有收据。",
            "这次不想扣，点下面。不扣的话给您备好，您想付的时候再点。",
        )


class Link:
    """A pay link: made by the family, opened by whoever it is sent to."""

    title = "付款链接"
    make_title = "请别人帮忙付"
    makes = "做一个链接，发给要帮忙的人。对方不用登录，只看到医院、金额和打码的姓名，看不到看了什么病。"
    keep = "24 小时内有效，只能付一次。谁拿到都能付，您也可以随时收回。"
    amount = "要付"
    make = "做好链接"
    made = "链接做好了"
    made_says = "把链接发给对方，或请对方扫码。链接只在这里显示一次，丢了就再做一个。"
    url = "链接"
    again = "做过的链接"
    states = {
        "open": "等对方付",
        "paying": "有人正在付",
        "busy": "别人正在付",
        "paid": "付好了",
        "changed": "金额变了，不能用了",
        "settled": "不用付了",
        "gone": "不能用了",
    }
    take_back = "收回"
    back_title = "收回这个链接"
    back_says = "收回后，这个链接马上不能用。有人正在用它付的，也会停下来；已经付成的不变。"
    instead_title = "有人正用链接付"
    instead_says = "对方还没付成。您可以等一等，也可以停下那一笔，由您来付。"
    instead = "停下，由我来付"
    # what whoever opens it reads
    for_whom = "替谁付"
    says = {
        "open": "付的是就诊费。付完有收据，不用登录。",
        "paying": "有人正在付这一笔。请稍等一会儿再看，先别付。",
        "busy": "家里有人正在付。请稍等一会儿再看，先别付。",
        "paid": "付好了，谢谢您。对方已经知道了。",
        "changed": "这次要付的金额变了，这个链接不能用了。您这边没有扣款。请对方再发一个。",
        "settled": "已经付好了，不用再付。您这边没有扣款。",
    }
    until = "有效到"
    private = "看了什么病、做了什么项目，这里都不显示。"
    need_browser = "请点右上角，在浏览器里打开这个链接再付。"
    look_again = "再看一下"


FROM_WHERE = {
    "JSAPI": "微信里",
    "MINIPROG": "小程序里",
    "H5": "手机浏览器",
    "NATIVE": "窗口扫码",
    "PAP": "自动付",
    "CODE": "出示付款码",
    "FACE": "刷脸",
    "CASH": "窗口现金",
    "CARD": "窗口银行卡",
}
BY_LINK_FROM = "收到的链接"


def from_where(channel: str, *, link: bool) -> str:
    """Where a payment was made."""
    place = FROM_WHERE.get(channel, channel)
    return f"{BY_LINK_FROM}，{place}" if link else place
