"""The sentences of the patient's and the family's pages."""

from words.money import rmb
from words.pay import AT_DESK


class Common:
    """Words on every page."""

    service = "看完病再付"
    official = "本服务的正式名称：先诊疗后付费（信用就医）"
    elder = "长辈版"
    standard = "标准版"
    back = "返回"
    skip = "跳到正文"
    speak = "读给我听"
    again = "再听一遍"
    close = "关闭"
    call = "打电话"
    more = "详情"
    new = "有新内容"
    nav = "主要页面"
    dock = "现在可以做的"
    tabs = {"home": "首页", "bill": "账单", "guide": "导诊", "pass": "就诊码", "family": "家人"}
    settings = "设置"
    share = "发给家人"
    save = "保存"

    @staticmethod
    def kept(at: str) -> str:
        """The banner of a page kept on the phone."""
        return f"网络不通，下面是 {at} 保存的内容。就诊码照样能用。"

    help = "有事打电话"


class Home:
    """The first page."""

    title = "今天看病"
    whose = "替谁看"
    me = "本人"
    today = "今天的就诊"
    past = "以前的就诊"
    all_past = "看全部"
    none = "今天还没有就诊。挂号后，这里会出现就诊码和账单。"
    offer_title = "看完病一次付清"
    offer = "签一次就行。以后看病中途不用交钱，看完再付。随时可以不用。"
    offer_go = "看一看，去签"
    pass_go = "出示就诊码"
    bill_go = "看账单"
    guide_go = "下一步去哪"
    next = "下一步"
    pay_go = "去付款"
    story_go = "看今天的经过"
    scan = "扫一扫"
    invited = {
        "pay": "请您付一笔医药费",
        "consent": "想替您付一笔，要您同意",
        "ask": "看完了，这笔由您付吗",
        "ready": "看完了，给您备好了，点一下就付",
        "taking": "看完了，要从您的微信扣",
        "untaken": "没有扣成，给您备好了，点一下就付",
        "bind": "想加为您的家人，等您点头",
        "watch": "请您一起看这次就诊",
    }
    state = {"open": "就诊中", "ended": "看完了，等您付款", "settled": "付清了"}
    upfront = "这次先缴费，再做项目"


class Login:
    """Signing in."""

    title = "登录"
    hello = "您好"
    why = "登录后能看到您和家人的账单。"
    wechat = "微信登录"
    or_phone = "或者用手机号"
    phone = "手机号"
    send = "发验证码"
    code = "短信里的 6 位数字"
    enter = "登录"
    again = "没收到，再发一次"
    other = "换一个手机号"
    who = "这个手机号有几位在用。您是哪一位？"
    none_of_them = "都不是"
    enrol = "第一次来，请写上您的姓名和身份证号。"
    name = "姓名"
    id_number = "身份证号"
    enrol_go = "写好了"
    link_wechat = "微信已经认出您。再用手机号核对一次，以后直接进。"

    @staticmethod
    def sent(to: str) -> str:
        """After the code went out."""
        return f"验证码已发到 {to}，5 分钟内有效。"


class Bill:
    """The live bill."""

    title = "账单"
    total = "现在要付"
    total_later = "到现在一共"
    own_later = "到现在要自己付"
    only_total = "做了哪些项目没有开放给您看。要付多少，以这里为准。"
    paid_all = "都付清了"
    fund = "医保基金"
    account = "医保个人账户"
    own = "自己付"
    paid = "已付"
    live = "随时更新"
    not_insured = "这次没有用医保"
    piles = {"done": "做完的", "ordered": "还没做的", "cancelled": "取消的"}
    pile_says = {
        "done": "科室做完才计入，看完病一起付。",
        "ordered": "还没做，不收钱。不想做可以取消。",
        "cancelled": "不做了，不收钱。",
    }
    empty = {
        "done": "还没有做完的项目，现在不用付钱。",
        "ordered": "没有等着做的项目。",
        "cancelled": "没有取消的项目。",
    }
    tags = {
        "planned": "还没做",
        "billable": "已做完",
        "covered": "正在付",
        "settled": "已付",
        "disputed": "在核对，先不收",
        "prepaying": "正在付",
        "prepaid": "付过，还没做",
        "aborted": "不做了",
        "reversed": "已退回",
        "refunded": "已退款",
        "settled_elsewhere": "窗口已付",
    }
    refund_tags = {"requested": "已提退费", "approved": "正在退", "overtaken": "正在退"}
    proof = {
        "department": "科室",
        "ordered_by": "谁开的",
        "ordered_at": "什么时候开",
        "executed_by": "谁做的",
        "executed_at": "什么时候做",
        "where": "在哪里做",
        "price": "价钱",
        "fund": "医保基金付",
        "account": "个人账户付",
        "own": "自己付",
        "class": "医保类别",
        "estimate": "医院估算",
        "differs": "和估算不同",
    }
    estimates = "医保的钱，没结算的是医院估算的，以结算为准。"
    insurance_go = "看医保结算"

    @staticmethod
    def was(fund_fen: int, account_fen: int, self_fen: int) -> str:
        """What the hospital had estimated of a line."""
        said = [("医保基金", fund_fen), ("个人账户", account_fen), ("自己付", self_fen)]
        return "原来估算" + "，".join(f"{who} {rmb(fen)}" for who, fen in said if fen) + "。"

    classes = {"A": "甲类，全部按医保算", "B": "乙类，自己先付一部分", "C": "丙类，医保不付"}
    not_done = "还没做"
    dispute = "这项我没做"
    abandon = "不想做了"
    leave = "现在就走"
    pay = "去付款"
    family = "请家人付"
    nothing_yet = "现在没有要付的"
    payment_go = "看付款情况"
    again = "以前付的，收据在“我的账单”。"

    @staticmethod
    def due(at: str) -> str:
        """Until when to pay."""
        return f"请在{at} 前付。"

    due_open = "看完病再付，中途不用交钱。"
    upfront = "这次先付再做。可以在手机上付，也可以到窗口、自助机付。"

    @staticmethod
    def planned(fen: int) -> str:
        """What may still come."""
        return f"还没做的 {rmb(fen)}，现在不收。"

    @staticmethod
    def payment(state: str, fen: int, who: str) -> str:
        """What became of the latest payment."""
        return {
            "offered": f"{who}正在付 {rmb(fen)}。" + ("" if who == "您" else "您不用再付。"),
            "unknown": f"还不知道 {rmb(fen)} 有没有付成。请别再付，1 分钟内告诉您。",
            "paid": "钱已付到。医院正在入账，稍等一下，不用重复付。",
            "settled": f"{who}付好了，{rmb(fen)}。",
            "closed": "刚才那笔没有付成，没有扣款。",
            "refunding": f"{rmb(fen)} 付晚了一步，正在退回原来的账户。您什么都不用做。",
            "refunded": f"{rmb(fen)} 已退回原来的账户。",
            "share_paid": f"{who}付好了一份，{rmb(fen)}。",
            "shared": f"{who}把 {rmb(fen)} 分成了几份，各付各的。",
            "insuring": f"{AT_DESK}正在用医保结算，先不要付。" if who == AT_DESK else "医保正在结算，先不要付。",
            "reckoned": "医保算好了，"
            + ("请在窗口看过再决定" if who == AT_DESK else "等患者这边点同意")
            + "。先不要付。",
            "insured": f"医保付好了，还要付 {rmb(fen)}。" if fen else "医保付好了，不用再付。",
            "insurance_ending": "医保先不用了，正在取消。先不要付。",
            "insurance_over": "这次没有用成医保。现在可以重新付。",
            "insurance_returning": "退了一项。医保要整笔退回再算：先退医保，再退付过的钱。您什么都不用做。",
            "insurance_returned": (
                f"医保整笔退回了，付过的钱原路退回。留下的项目 {rmb(fen)}，请再付一次。"
                if fen
                else "医保整笔退回了，付过的钱原路退回。"
            ),
            "insurance_checking": "医保还没有退成，医院正在和医保核对。您什么都不用做，办好了告诉您。",
            "sent_back": f"{rmb(fen)} 已退回原来的账户。",
            "given_up": "这次不分摊了。付过的会退回原来的账户。",
            "returning": f"这次没有付成整单，{rmb(fen)} 正在退回原来的账户。",
            "returned": f"这次没有付成整单，{rmb(fen)} 已退回原来的账户。",
        }[state]

    insurance = "医保结算"
    insurance_other = "医保其他"
    hospital = "医院承担"
    mutual_aid = "家人共济"
    insurance_states = {
        "created": "等您授权",
        "uploaded": "正在算",
        "placed": "算好了，等您同意",
        "paying": "医保正在付",
        "paid": "医保付好了",
        "revoking": "正在取消",
        "revoked": "取消了",
        "refunding": "正在退回医保",
        "refunded": "已退回医保",
        "failed": "医保没有付成",
        "manual": "医院正在和医保核对",
    }

    @staticmethod
    def insurance_part(number: int, of: int) -> str:
        """Which of the settlements."""
        return "这次就诊" if of == 1 else f"第 {number} 笔"

    shares = "一起付"
    share_states = {"free": "还没付", "busy": "正在付", "paid": "付好了"}
    share_left = "还差"


class Ask:
    """Questions before something is done."""

    dispute_title = "这项我没做"
    dispute = ("告诉医院后，这一项先不收。", "医院核对完给您答复，其余照常。")
    dispute_button = "告诉医院"
    dispute_why = "是哪一种"
    dispute_reasons = (
        ("not_done", "这项根本没做"),
        ("not_all", "只做了一部分"),
        ("twice", "同一项收了两次"),
        ("price", "价钱不对"),
    )
    abandon_paid = "这一项付过了，钱会退回原来的账户。"
    abandon_title = "不想做了"
    abandon = ("取消后不收钱。", "想再做，要请医生重新开。", "这项检查可能关系到诊断，不确定就先问医生。")
    abandon_button = "取消这一项"
    leave_title = "现在就走"
    leave_button = "就这样，去付款"
    leave_free = "就这样"
    note = "想说的话（可以不填）"
    keep = "先不了，返回"

    @staticmethod
    def leave(done_fen: int, planned_fen: int, prepaid_fen: int = 0) -> tuple[str, ...]:
        """What leaving now means."""
        back = (f"付过、还没做的 {rmb(prepaid_fen)} 会退回原来的账户。",) if prepaid_fen else ()
        return (
            f"做完的要付 {rmb(done_fen)}。",
            f"没做的 {rmb(planned_fen)} 全部取消，不收钱。",
            *back,
            "取消的项目想再做，要请医生重新开。",
        )


class Pass:
    """The visit pass."""

    title = "就诊码"
    live = "看病中途不用交钱"
    upfront = "先缴费，再做项目"
    fresh = "几秒换一次，当面出示"
    kept = "这是保存的码，今天有效。窗口会核对姓名。"
    over = "这是以前的就诊码，今天不能用。今天挂号后会有新的码。"
    hint = "到诊室、检查、取药时出示。没有网络时，这里会换成保存的码。"
    save = "存一张到相册"
    save_how = "长按图片，存到相册。今天有效，没有网络也能用。窗口会核对姓名。"
    number = "就诊号"
    name = "姓名"
    where = "科室"
    doctor = "医生"
    queue = "排队"
    alt = "就诊码图片"
    alt_kept = "可以保存的就诊码图片"


class Family:
    """Who may see and pay what."""

    title = "家人"
    who = "谁能看、谁能付"
    none = "还没有加家人。加了以后，家人可以替您付款，也可以看您走到哪一步。"
    acting = "我帮着看的"
    add = "加一位家人"
    looks = "谁看过"
    no_looks = "还没有人看过。"
    pays = "能付款"
    watches = "能看就诊"
    depth = {"steps": "只看走到哪一步", "bill": "看步骤和账单", "results": "看步骤、账单和结果"}
    short = {"steps": "步骤", "bill": "步骤和账单", "results": "再加结果"}
    opened_label = "这些平时不给看，点一下打开或关上"
    is_open = "开"
    is_shut = "关"
    phone = "电话"
    phone_label = "打电话"
    calls = "能看到电话号码，一点就打"
    phone_choice = "让对方看到我的电话，一点就能打"
    bind_calls = "看到对方的电话，一点就能打。"
    shut = "您关上了“分享给家人”，现在没有家人能看到。能付款的还能付。"
    looks_kept = "谁看过，保存三年。到期自动删掉。"
    ask_first = "每次先问我"
    end = "停止"
    leave = "不帮了"
    take_back = "收回"
    ended = "已停止"
    until_end = "这次看完病就停"
    waiting = "等对方同意"
    relation = "是您的"
    call = "怎么称呼"
    what = "让对方做什么"
    pay_choice = "替我付款"
    cap = "一次最多付多少（元）"
    depth_label = "看到多少"
    no_watch = "不让看"
    make = "做好二维码"
    scan = "请家人用微信扫"
    scan_says = "对方扫完点同意，这里马上出现是谁，您点一下就加好。也可以把链接发过去。"
    hidden = "妇科、心理、传染病的项目不会给家人看，除非您另外打开。"
    link = "链接"

    scope_label = "多久"
    scope_visit = "只这一次就诊，看完病就停"
    scope_standing = "以后每次都可以，直到我停止"
    open_label = "另外打开（不选就不给看）"
    sign_choice = "替我签“看完病再付”"
    signs = "能替签"
    book_choice = "替我挂号，带我的就诊码"
    books = "能挂号、带就诊码"
    bind_book = "替对方挂号，带对方的就诊码去看病。"
    proven = "加于"
    guards = "监护人"
    code = "对方扫不了，就念这 6 位给对方"
    code_says = "10 分钟内有效，只能用一次。对方在“家人”里点“家人念给我一个口令”。"
    have_code = "家人念给我一个口令"
    code_title = "填口令"
    code_who = "对方的手机号（没有手机的填身份证号）"
    code_field = "6 位口令"
    code_go = "下一步"
    end_title = "停止"
    leave_title = "不帮了"
    back_title = "收回邀请"
    back_says = "收回后，这个二维码和口令马上不能用。"
    bind_sign = "替对方签“看完病再付”。"
    bind_open = "打开的项目："

    @staticmethod
    def times(n: int) -> str:
        """How often in one sitting."""
        return f"{n} 次"

    @staticmethod
    def end_says(who: str) -> str:
        """Before a bond ends."""
        return f"停止后，{who}马上看不到您的就诊，也不能替您付款。已经付过的不变。"

    @staticmethod
    def leave_says(who: str) -> str:
        """Before a relative leaves by themselves."""
        return f"停止后，您看不到{who}的就诊，也不能替对方付款。"

    @staticmethod
    def cap_says(fen: int) -> str:
        """The cap of one payment."""
        return f"一次最多 {rmb(fen)}"

    @staticmethod
    def until(at: str) -> str:
        """When it ends by itself."""
        return f"到{at}"

    bind_title = "成为家人"
    bind_yes = "我同意"
    bind_no = "不是我，返回"
    bind_back = "回首页"
    bind_says = "同意后您能做这些："
    bind_pay = "替对方付医药费。每次付之前都会先给您看金额。"
    bind_see = "对方随时可以停止，您看过什么对方都知道。"
    your_name = "您的姓名"

    @staticmethod
    def bind_who(patient: str, relation: str) -> str:
        """Who asks."""
        return f"{patient}请您做家人，称呼是“{relation}”。"


class Visits:
    """Past visits."""

    title = "我的账单"
    none = "还没有以前的就诊。"
    paid = "已付"
    owed = "还要付"
    older = "更早的"


class Settings:
    """What the person can change."""

    title = "设置"
    size = "字的大小"
    sizes = {"100": "标准", "120": "大", "140": "长辈版", "180": "最大"}
    theme = "颜色"
    themes = {"auto": "跟手机一样", "light": "总是浅色"}
    save = "就用这个"
    phone = "手机号"
    contracts = "“看完病再付”"
    no_contracts = "还没有签过。"
    since = "签于"
    withdraw = "停用"
    logout = "退出登录"
    logout_says = "退出后，这台手机上保存的内容会清掉。"
    people = "我能替谁看病"
    push = "消息提醒"
