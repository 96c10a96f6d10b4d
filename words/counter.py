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


class Insured:
    """The insurance at the window, for a patient without a phone."""

    title = "用医保"
    says = "没带手机也行：患者在医保的机器上刷脸，或扫医保码。先请医保算，患者看过、同意了才扣。"
    ask = "问一下患者：个人账户怎么用"
    start = "请医保算"
    status = {
        "none": "医院没有登记这次就诊的医保，不能用医保收。",
        "other": "参保状态不正常，这次不能用医保收。",
    }
    from_his = "医院系统说这次就诊不能用医保。没有扣款，可以直接收钱。"
    his_silent = "现在连不上医院系统，没有扣款。请过一会儿再试，或直接收钱。"

    capture = "请患者刷脸，或扫医保码"
    capture_several = "这次看了 {of} 个科，医保每个科单独算，要各刷一次。"
    where = "用哪台医保的机器"
    go = "等这台机器"
    waits_at = "请患者在 {place} 刷脸，或扫医保码。刷这一下不扣款。"
    again = "换一台，或再等一次"
    saids = {
        "bad_capture": "没有读到医保凭证。请用医保的机器，请患者再刷一次。",
        "certificate_foreign": "读到的不是这位患者的医保，没有用它，没有扣款。请核对姓名，请患者本人再刷一次。",
        "capture_not_here": "刚才读的不是医保码，没有扣款。请患者刷脸，或打开医保码。",
        "face_not_here": "刚才读的是微信的脸，没有扣款。请在医保的机器上刷。",
        "capture_not_awaited": "这个科不用再刷了，刚才那一下没有用。",
    }

    reckoning = "医保正在算"
    reckoning_says = "一般几秒钟。算好了这里会自己变，现在不扣款，也先不要收钱。"
    silent = "医保还没有回话"
    silent_says = "没有扣款。正在接着问，可以再等一等，也可以先不用医保。"

    agree = "请把屏幕转给患者看"
    agree_says = "医保算好了。患者同意之前，什么都不会扣。"
    agree_go = "患者同意，用医保付"
    agree_no = "患者不同意，先不用医保"

    paying = "请患者在医保的机器上点确认"
    paying_says = "医保付好了这里会自己变。先不要收钱。"
    unknown = "还不知道医保付没付"
    unknown_says = "先不要收钱，也不要重办。请点“问一下医保”。患者没有确认、不想用了，可以取消。"
    ask_now = "问一下医保"
    states = {"waits": "等患者刷", "press": "等患者确认"}

    cash = "医保付好了"
    done = "医保付好了，都付清了"
    cash_stop = "患者不付了，全部退回"
    stop = "先不用医保了"

    ending = "正在取消医保"
    ending_back = "医保付过的 {amount} 正在退回医保。"
    ending_says = "先不要收钱。医保那边办好以后，这里会自己变。"
    manual = "有一笔还不知道退没退成"
    manual_says = "先不要收钱。请财务打电话问医保，有结果这里会变。"
    over = "这次没有用成医保"
    over_next = "现在可以直接收钱，也可以再用一次医保。"
    whys = {
        "PAY_AUTH_NO_EXPIRED": "医保说刚才读的凭证过期了。",
        "PAY_AUTH_NO_USED": "医保说刚才读的凭证用过了。",
        "PAY_AUTH_NO_INVALID": "医保说刚才读的凭证无效。",
        "PERSON_MISMATCH": "医保说刚才读的不是这位患者的凭证，请核对姓名。",
    }
    why = "医保说这次不能结算。"
    unread = "医保没有认刚才读的凭证。"
    read_again = "没有扣款。请患者再刷一次，也可以先不用医保。"

    @staticmethod
    def take(fen: int) -> str:
        """What the cashier takes now."""
        return f"还要收 {rmb(fen)}，在下面收。"

    @staticmethod
    def why_not(reason: str | None) -> str | None:
        """Why the insurance would not; None where it was not the insurance that ended it."""
        return None if reason is None else Insured.whys.get(reason, Insured.why)

    @staticmethod
    def once_more(reason: str | None) -> str | None:
        """That the insurance would not have what was read, and what now; None where it said nothing against it."""
        return None if reason is None else Insured.whys.get(reason, Insured.unread) + Insured.read_again


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
