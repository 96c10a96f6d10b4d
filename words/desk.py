"""The sentences of the hospital's own screens: the department desk, the counter, the stage."""


class Desk:
    """The department desk."""

    home = "回工作台"
    scan = "扫就诊码，或输入就诊号、单号"
    go = "找"
    list = "今天的项目"
    none = "现在没有要做的项目。扫就诊码可以找到患者。"
    cols = {
        "patient": "患者",
        "number": "单号",
        "name": "项目",
        "state": "状态",
        "at": "时间",
        "amount": "价钱",
        "mode": "付费",
        "act": "操作",
    }
    states = {
        "placed": "未报到",
        "checked_in": "已报到",
        "called": "已叫号",
        "performed": "已执行",
        "cancelled": "已取消",
        "abandoned": "患者放弃",
        "result": "有结果",
    }
    actions = {"check_in": "报到", "confirm": "执行确认", "undo": "撤回"}
    deferred = "看完再付"
    upfront = "先缴费"
    paid = "付过了"
    pending = "等医院系统回话"
    calls = "等医院系统回话的"
    no_calls = "都已送到。"
    tries = "第 {n} 次"
    undo = "撤回"
    keys = "上下键选行，回车办理，Esc 回到扫码框"
    logout = "下班退出"
    staff = "当班"
    everywhere = "全院"
    check_name = "请核对姓名"
    disputes = "患者说没做的"
    no_disputes = "没有等着答复的。"
    upheld = "确实没做，退掉"
    refused = "做过了"
    letters = "等医生签的同意书"
    sheet = "打印指引单"
    visit = "办手续、收款"
    calls_of = {
        "mark": "改成看完再付",
        "unmark": "改回先缴费",
        "post": "记账",
        "abandon": "患者放弃项目",
        "move": "检查改时间",
        "exclude": "改成先缴费",
        "settle": "入账",
        "refund": "退费",
    }

    @staticmethod
    def answer_by(at: str) -> str:
        """Until when the patient was promised an answer."""
        return f"{at} 前答复"

    @staticmethod
    def reported(names: str) -> str:
        """What a scan has done."""
        return f"已报到：{names}"


class DeskVisit:
    """One patient at the desk."""

    title = "为患者办理"
    number = "就诊号"
    mode = "付费"
    owed = "现在要付"
    nothing = "现在没有要付的"
    letter = "看完病再付"
    signed = "已经签过，不用再签"
    sign = "在这台平板上签"
    sign_says = "请患者或家人自己看、自己签，您在旁边核对证件。"
    pay = "收款，出付款码"
    sheet = "打印指引单"
    family = "在窗口加的家人"
    family_says = "念给患者听：现在是谁。患者不要了，当面点“结束”。"
    guardian = "监护人"
    no_guardian = "还没有登记"
    add = "登记监护人"
    add_child = "未满 14 岁，由监护人签名、付款。请核对户口本或出生证。"
    add_adult = "患者自己不能办时才登记。请核对证件和病情证明。"
    cannot = "患者自己不能办，证明已看过"
    phone = "监护人的手机号"
    phone_says = "监护人要用这个手机号登录过。"
    relation = "监护人是患者的"
    relations = (("parent", "父母"), ("spouse", "爱人"), ("son", "儿子"), ("daughter", "女儿"), ("other", "别的家人"))
    go = "登记"
    unknown = "没有人用这个手机号登录过，或者很久没用。请监护人用手机验证码登录一次，再来登记。"
    confirm = "请先勾选“患者自己不能办，证明已看过”。"
    exclude = "改成先缴费"
    exclude_says = "患者和家人只看到要先缴费，看不到原因。"
    exclude_what = "哪些"
    exclude_whole = "整次就诊"
    exclude_why = "原因（只告诉医院系统改成先缴费，不说原因）"
    exclude_reasons = (
        ("OTHER", "医院规定的其他情形"),
        ("THIRD_PARTY_LIABILITY", "有第三方付钱的事故"),
        ("UNLAWFUL_ACT", "打架、吸毒、自伤等"),
        ("ABORTION", "非医学需要的引产、流产"),
        ("DEFAULT_RECORD", "在本院恶意欠费"),
    )


class Troubles:
    """What a person has to look at: refused by the hospital's system, or money that hangs."""

    title = "要人看的"
    none = "都办好了，没有要看的。"
    refused = "医院系统没有收"
    payments = "钱没有走完"
    again = "再送一次"
    number = "就诊号"
    waits = "医院系统还没有回话，会自动再送。超过 10 分钟请找信息科。"
    refund = "退款没有退成。请在微信商户平台看原因，再和患者联系。"
    insurance = "医保没有走完"
    insurance_who = "医保"
    insurance_todos = {
        "refund:EXP": "医保中心也不知道有没有退成。请打电话问医保中心；它定下来以后，这里会自动接着办。",
        "refund": "医保中心没有退。请打电话问清原因，办好以后点“再退一次”。现金还没有退，患者先不用再付。",
        "insurance:gone_after_paid": (
            "都付清以后，医保自己把钱收回去了。请打电话问医保中心。不能恢复的，点“整笔重算”："
            "付过的现金原路退回，项目请患者再付一次。"
        ),
    }
    insurance_ask = "医保中心说的和给患者看的不一样，没有记账。请打电话问医保中心，再找信息科。"
    insurance_again = "再退一次"
    insurance_anew = "整笔重算"
    todos = {
        "already_settled": "医院系统里这几项已经收过。请查两边的单子，收重的退给患者。",
        "reversed": "医院系统里这一项已经退掉。请核对后再送。",
        "amount_differs": "两边金额不一样。请核对医院系统里的价钱，改好再送。",
        "total_differs": "两边合计不一样。请信息科核对，再送一次。",
        "not_performed": "医院系统里还没有执行确认。请科室补上，再送一次。",
        "no_such_charge": "医院系统里找不到这一项。请信息科查一查，再送一次。",
        "no_such_encounter": "医院系统里找不到这次就诊。请信息科查一查，再送一次。",
        "no_such_order": "医院系统里找不到这张单子。请信息科查一查，再送一次。",
        "no_such_settlement": "医院系统里找不到原来的收款。请信息科查一查，再送一次。",
    }
    ask_it = "请信息科看一下医院系统，改好再送。"

    @staticmethod
    def todo(reason: str) -> str:
        """What to do about a refusal."""
        return Troubles.todos.get(reason, Troubles.ask_it)

    @staticmethod
    def insurance_todo(returning: bool, trouble: str) -> str:
        """What to do about a settlement of the insurance; ``returning``: its money was asked back."""
        known = Troubles.insurance_todos
        return known.get(trouble) or (known["refund"] if returning else Troubles.insurance_ask)

    @staticmethod
    def payment(state: str, trouble: str) -> str:
        """What to do about a payment that hangs."""
        if trouble.startswith("his:"):
            return "钱已收到，医院系统没有入账。" + Troubles.todo(trouble.removeprefix("his:"))
        if state == "paid":
            return "钱已收到，医院系统还没有入账。会自动再送，请不要再收。"
        if state in ("failed", "closed"):
            return "微信没有收这笔单子，没有扣款。请患者再付一次，还不行就到窗口付。"
        return "微信说的和账单对不上，没有记账。请财务在微信商户平台核对。"


class DeskLogin:
    """Staff sign in."""

    title = "工作台登录"
    name = "工号"
    password = "密码"
    enter = "登录"


class DeskPay:
    """The counter's QR."""

    title = "窗口收款"
    scan = "请患者用微信扫"
    states = {
        "offered": "等患者付款",
        "unknown": "还不知道有没有付成，先不要收现金",
        "paid": "钱已付到，正在入账",
        "settled": "付好了",
        "closed": "这次没有付成",
        "new": "还没有付",
        "other": "家人或患者正在手机上付",
        "insuring": "患者正在手机上用医保结算，先不要收钱",
        "insured": "正在用医保，先不要收钱",
        "share_paid": "这一份付好了",
        "waits": "等扫码",
        "password": "等患者输密码",
    }
    alt = "付款二维码"
    no_qr = "付款码没有生成。请再试一次，或改收现金。"
    start = "生成付款码"
    again = "重新生成"
    nothing = "现在没有要付的。"


class Stage:
    """The demo."""

    title = "一次就诊，四个人同时看"
    play = "播放"
    pause = "暂停"
    next = "下一步"
    letter = "从签名看起"
    speed = "快慢"
    times = "{n} 倍"
    at = "第 {n} 步，共 {m} 步"
    go = "去看"
    alone = "单独打开"
    frames = {"mother": "妈妈的手机", "daughter": "女儿的手机", "companion": "陪着看的邻居", "desk": "医院导诊台"}


class Offline:
    """Nothing kept."""

    title = "网络不通"
    says = "这一页没有保存过。有网络时会自己恢复。"
    pass_says = "就诊码保存过，照样能用。"
    to_pass = "打开就诊码"
    again = "再试一次"
