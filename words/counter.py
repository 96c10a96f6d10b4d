"""The sentences of the cashier's window, of shifts, refunds and the kiosk."""

from words.money import rmb


class Counter:
    """The cashier's own page."""

    title = "收费窗口"
    find = "扫就诊码，或输入就诊号、身份证号"
    go = "找患者"
    shift = "当班"
    open_ = "开班"
    open_says = "先数一下抽屉里的备用金，再开班。没开班不能收现金、刷卡。"
    float_ = "备用金（元）"
    since = "开班时间"
    float_is = "备用金"
    cash_in = "收现金"
    cash_out = "退现金"
    card_in = "刷卡"
    card_out = "刷卡退回"
    expected = "抽屉里应有"
    close = "交班"
    close_says = "数一下抽屉里的现金，和“应有”一样就直接交班。"
    counted = "数到的现金（元）"
    reason = "不一样的话，为什么"
    closed = "交班好了，谢谢。"
    found = "找到的就诊"
    none_owed = "没有要付的"
    pay = "收款"
    visit = "办手续"
    check_name = "请核对姓名"
    refunds = "退费"
    shifts = "班次"
    not_money = "金额要写成数字，比如 100 或 100.50。请改一下。"
    waiting = "等着办的退费"


class Take:
    """Taking money for one visit."""

    title = "窗口收款"
    whole = "全部"
    share = "第 {n} 份"
    which = "这次收哪一份"
    first = "先付再做的，这次收哪几项"
    first_go = "改好了"
    first_done = "已做完"
    cash = "收现金"
    given = "收到（元）"
    cash_go = "收好了"
    card = "刷卡"
    slip = "银行单子上的编号"
    card_go = "已刷好，记上"
    card_says = "先在银行的机器上刷好，再把单子上的编号填在这里。"
    code = "扫付款码"
    code_says = "光标放在框里，扫患者手机上的付款码。"
    code_field = "付款码"
    code_go = "收款"
    at_scanner = "用别的扫码器"
    scanner_go = "等这台机器"
    waits = "等扫码"
    waits_at = "请在 {place} 扫患者手机上的付款码。"
    waits_look = "等刷脸"
    waits_face = "请患者在 {place} 刷脸。"
    stop = "不等了"
    qr = "让患者扫"
    no_shift = "还没有开班，只能用微信收。要收现金、刷卡请先开班。"
    to_shift = "去开班"
    password = "等患者输密码"
    password_says = "请患者在手机上输密码。30 秒没有输，会自动撤销，没有扣款。"
    change = "找零"
    got = "收到"
    receipt = "打印收据"
    next = "下一位"
    refusals = {
        "AUTH_CODE_INVALID": "付款码过期了。请患者刷新付款码，再扫一次。",
        "NOT_ENOUGH": "患者的余额不够。请换一张卡，或付现金。",
        "TRADE_ERROR": "微信没有收成。请患者换一种方式付。",
        "PAYERROR": "患者没有付。没有扣款。",
        "TOO_LATE": "30 秒没有输密码，已经撤销，没有扣款。可以再扫一次。",
    }
    face_refusals = {
        "AUTH_CODE_INVALID": "刷脸过了时间。请患者再刷一次。",
        "TOO_LATE": "30 秒没有输密码，已经撤销，没有扣款。可以再刷一次脸，或扫付款码。",
    }
    refused = "这次没有收成，没有扣款。请再扫一次，或付现金。"

    @staticmethod
    def refusal(word: str | None, *, face: bool = False) -> str | None:
        """Why nothing came of a shown code, or of a face, and what to do."""
        if word is None:
            return None
        own = Take.face_refusals if face else {}
        return own.get(word) or Take.refusals.get(word, Take.refused)


class Shifts:
    """The list of shifts."""

    title = "班次"
    none = "还没有班次。"
    open_ = "当班中"
    cols = ("收费员", "开班", "交班", "备用金", "收退现金", "刷卡", "应有", "数到", "差额")
    even = "一致"
    reason = "原因"

    @staticmethod
    def off(fen: int) -> str:
        """Counted less expected."""
        return Shifts.even if fen == 0 else f"多 {rmb(fen)}" if fen > 0 else f"少 {rmb(-fen)}"


class Refunds:
    """Asking for money back, on the phone and at the desk."""

    title = "退费咨询"
    says = "勾上要退的项目，写一下为什么。医院看过会答复，同意的话原路退回。"
    insured = "用了医保的，退一项要整笔退回重算：先退医保，再退您付的钱，留下的项目请再付一次。"
    pick = "哪几项"
    nothing = "没有能退的项目。付好的项目才能退。"
    reasons = (
        ("not_done", "这项没有做"),
        ("twice", "同一项收了两次"),
        ("mistake", "项目或价钱不对"),
        ("other", "别的原因"),
    )
    why = "为什么"
    note = "想多说一句（可以不写）"
    go = "提交"
    mine = "提过的"
    states = {
        "requested": "等医院答复",
        "refused": "没有同意",
        "going": "同意了，钱正在退",
        "back": "已退回",
    }
    answer = "医院说"
    desk = "要办的退费"
    to_answer = "等着批的"
    none_to_answer = "没有等着批的。"
    agree = "同意退"
    insured_desk = "这几项在一笔医保结算里。同意以后整笔退回：先退医保，再退钱；留下的项目要请患者再付一次。"
    refuse = "不退"
    refuse_why = "不退的原因（患者会看到）"
    asked_by = "谁提的"
    by_desk = "窗口"
    by_patient = "患者或家人"
    own = "自己提的要别人批"
    only_finance = "由财务科批。"
    to_hand = "要在窗口退的"
    none_to_hand = "没有要在窗口退的。"
    hand_cash = "现金已退给患者"
    hand_card = "已在银行机器上退"
    slip = "退款单子上的编号"
    ways = {"CASH": "现金", "CARD": "银行卡"}
    after_insurance = "等医保先退的"
    after_insurance_says = "医保退好以后自动接着退，现在不要退现金。"
    abnormal = "微信退不成的"
    none_abnormal = "没有退不成的。"
    abnormal_says = "微信退不回去，比如对方的卡已经销了。请财务用别的办法付给患者，再填付款的编号。"
    by_hand = "财务已付，记上"
    by_hand_no = "付款的编号"
    twice = "微信后来又退成了，这笔钱退了两次。请和患者联系收回一次。"
    number = "就诊号"
    no_shift = "还没有开班，不能退现金。请先开班。"


class Kiosk:
    """The kiosk in the hall."""

    title = "自助缴费"
    setup = "这台机器还没有登记"
    setup_says = "请信息科填机器的名字和密钥。只要填一次。"
    name = "机器名"
    secret = "密钥"
    setup_go = "登记"
    wrong = "名字或密钥不对。请看一下再填。"
    start = "请扫就诊码"
    start_says = "纸上的、手机上的都行。没有就诊码，可以用身份证号。"
    field = "就诊码、就诊号或身份证号"
    go = "下一步"
    owed = "现在要付"
    first = "先付再做"
    hello = "{name}，您好"
    count = "一共 {n} 项"
    see = "项目请看手机，或到窗口打印。"
    how = "怎么付"
    code = "用手机付款码付"
    code_says = "打开微信，点“＋”，点“收付款”，把码对着扫码口。"
    pay = "用付款码付"
    counter = "付现金、刷卡请到窗口。"
    nothing = "现在没有要付的。"
    nothing_says = "做完的项目才收钱。您可以放心去做检查。"
    busy = "正在手机上付，这里先不要付。请稍等。"
    waits = "请把付款码对着扫码口"
    waits_says = "手机请靠近一点。码每分钟会换一次。"
    password = "请在手机上输密码"
    password_says = "30 秒没有输，会自动撤销，没有扣款。"
    unknown = "还不知道有没有付成。请别再付，1 分钟内告诉您。"
    paid = "付好了"
    paid_says = "收据存在公众号的“我的账单”里，也可以到窗口打印。"
    done = "办完了"
    quit = "退出"
    again = "再试一次"
    rest = "一分半钟不动，会自己退出，什么都不留下。"
    forget = "离开时请点“退出”。"
