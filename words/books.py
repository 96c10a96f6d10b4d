"""The sentences of the books: what differs, why probably, and what to do next."""

from words.money import rmb


class Books:
    """Days and worklist of the finance department."""

    title = "对账"
    intro = "每天上午 10 点以后，自动把前一天的微信账单、医保对账单、本院账本和医院系统的入账逐笔对一遍。"
    none = "还没有对过账。有了第一笔收款，第二天上午会自动对。"
    day = "日期"
    choose = "对哪一天"
    run = "现在对一次"
    days = "对过的日子"
    cols = {
        "day": "日期",
        "result": "结果",
        "provider": "微信",
        "here": "本院账本",
        "his": "医院系统",
        "insurance": "医保",
        "open": "要看",
    }
    sides = {
        "provider": "微信账单",
        "here": "收款记录",
        "ledger": "账本分录",
        "his": "医院系统入账",
        "insurance": "医保对账单",
        "insured_here": "医保结算记录",
    }
    side = "哪一边"
    paid = "收进"
    back = "退回"
    net = "净额"
    count = "笔数"
    differ = "差额"
    totals = "各边合计"
    worklist = "要看的差异"
    no_lines = "没有差异。"
    closed = "已经说明的"
    by_itself = "再对时已经一致，自动关掉。"
    here_says = "本院"
    there_says = "对方"
    nothing = "没有"
    cause = "可能的原因"
    next = "接下来"
    reason = "查清了，是怎么回事"
    reason_placeholder = "例如：微信账单少一笔，已找微信补单"
    close = "说明并关掉"
    numbers = "单号"
    visit = "看这次就诊"
    export = "导出"
    xlsx = "Excel 表格"
    worklist_csv = "差异（CSV）"
    rows_csv = "逐笔（CSV）"
    ledger = "账本这一天各科目"
    no_ledger = "这一天账本没有分录。"
    account = "科目"
    debit = "借方"
    credit = "贷方"
    waiting_says = "{n} 笔退款跨了零点，等第二天的账单再对。"
    results = {
        "right": "对上了",
        "explained": "都说明了",
        "open": "有差异",
        "partly": "还没对全",
    }
    states = {
        "waits": "还没有出来，出来以后自动再对",
        "trouble": "这次没有拿到，会自动再取",
        "kept": "这次没有拿到新的，先按上次拿到的对，会自动再取",
        "absent": "没有接通，只对其余几边",
    }
    kinds = {
        ("payment", "missing_at_provider"): "微信账单里没有这笔收款",
        ("payment", "missing_here"): "微信收了钱，本院没有记",
        ("payment", "amount_differs"): "收款金额和微信不一样",
        ("payment", "ledger_differs"): "账本分录和收款不一样",
        ("settlement", "missing_at_his"): "医院系统没有入账",
        ("settlement", "extra_at_his"): "医院系统多入了一笔",
        ("settlement", "his_differs"): "医院系统入账金额不一样",
        ("refund", "missing_at_provider"): "微信账单里没有这笔退款",
        ("refund", "missing_here"): "微信退了钱，本院没有记",
        ("refund", "amount_differs"): "退款金额和微信不一样",
        ("refund", "ledger_differs"): "账本分录和退款不一样",
        ("refund", "missing_at_his"): "医院系统没有记退费",
        ("refund", "extra_at_his"): "医院系统多退了一笔",
        ("refund", "his_differs"): "医院系统退费金额不一样",
        ("insurance", "missing_at_provider"): "医保对账单里没有这笔结算",
        ("insurance", "missing_here"): "医保结算了，本院没有记",
        ("insurance", "amount_differs"): "医保支付金额不一样",
        ("insurance", "split_differs"): "医保各部分的金额不一样",
        ("insurance", "missing_at_his"): "医院系统没有记这笔医保",
        ("insurance", "extra_at_his"): "医院系统多记了一笔医保",
        ("insurance", "his_differs"): "医院系统记的医保金额不一样",
        ("insurance", "his_split_differs"): "医院系统记的医保各部分不一样",
        ("insurance_back", "missing_at_provider"): "医保对账单里没有这笔退回",
        ("insurance_back", "missing_here"): "医保退回了一笔，本院没有记",
        ("insurance_back", "amount_differs"): "退回医保的金额不一样",
        ("insurance_back", "split_differs"): "退回医保的各部分不一样",
        ("insurance_back", "missing_at_his"): "医院系统没有记医保退回",
        ("insurance_back", "extra_at_his"): "医院系统多记了一笔医保退回",
        ("insurance_back", "his_differs"): "医院系统记的医保退回金额不一样",
        ("insurance_back", "his_split_differs"): "医院系统记的医保退回各部分不一样",
    }
    causes = {
        "no_row": (
            "微信商户平台上没有这一笔，或账单漏了。",
            "请在微信商户平台按单号查。查到了再对一次；查不到请找微信支付客服，先不要再收、不要再退。",
        ),
        "no_number": (
            "不是本系统开出去的单号，可能是别处用同一个商户号收退的。",
            "请按对方单号查是谁办的。是本院的钱，请补记；不是，请写明来源。",
        ),
        "closed_here": (
            "这次付款本院已经关掉，钱晚到了一步。",
            "系统会自己查到并原路退回。一小时后再对一次；还在的话，请在微信商户平台手动退。",
        ),
        "other_payment": ("同一个单号在两边对应的不是同一笔钱。", "请核对两边的微信单号，找信息科一起查。"),
        "not_known_yet": (
            "微信的通知没有到，本院还不知道钱已经付了。",
            "系统会自己去问微信。10 分钟后再对一次；还在的话，请找信息科。",
        ),
        "amounts": ("两边的金额不一样，可能有一边被改过。", "请调出两边的原始单据核对，按实际收退的钱更正。"),
        "ledger": (
            "账本分录和收退记录不一致，数据可能被改过。",
            "请马上找信息科做一次账目检查，查清以前不要手工改账。",
        ),
        "said_done": (
            "医院系统当时回话说已入账，清单里却没有。",
            "请在医院系统里按单号查。没有的话，请信息科补入账，不要让患者再付。",
        ),
        "on_its_way": (
            "钱已收到，医院系统还没有回话。",
            "会自动再送，请不要再收。第二天还在的话，请到“要人看的”里看。",
        ),
        "refused": ("医院系统没有收这一笔。", "请到“要人看的”里看原因，改好再送。"),
        "insurance_no_row": (
            "医保中心当时说付了，对账单里却没有。",
            "请打电话问医保中心，报对方单号。查清以前不要重复结算，也不要让患者再付。",
        ),
        "insurance_no_number": (
            "不是本系统送去结算的单号，可能是窗口或别的系统送的。",
            "请按对方单号查是谁送的。是本院的，请写明；不是，请找医保中心。",
        ),
        "insurance_not_known_yet": (
            "医保那边已经办好，本院还没有问到结果。",
            "系统会自己去问。10 分钟后再对一次；还在的话，请找信息科。",
        ),
        "insurance_closed": (
            "本院这边这笔已经作废，医保那边却算数。",
            "请打电话请医保中心撤掉这一笔，查清以前不要让患者再付。",
        ),
        "insurance_amounts": (
            "医保对账单上的金额和当时算给患者看的不一样。",
            "请打电话和医保中心核对这一笔，按医保的凭证更正。",
        ),
        "split": (
            "总数一样，{part}不一样。",
            "请调出这一笔的医保结算单核对，哪边错了改哪边。",
        ),
        "his_insurance": (
            "医院系统记的医保和医保中心结算的不一样。",
            "请在医院系统里按医保单号查，信息科改好再对一次。",
        ),
        "never_told": (
            "本院没有让医院系统记这一笔，它自己记了。",
            "请在医院系统里查是谁记的，记错了请冲掉。",
        ),
    }
    accounts = {
        "patient": "应收患者",
        "pooled_fund": "应收医保统筹基金",
        "personal_account": "应收医保个人账户",
        "mutual_aid": "应收家庭共济",
        "insurance_other": "应收医保其他基金",
        "revenue": "医疗收入",
        "cash_wechat": "微信收款",
        "elsewhere": "医院窗口收款",
        "hospital_part": "医院承担",
        "creditor": "应收，由银行或保险垫付",
        "subsidy": "应收财政补助",
        "cash_counter": "窗口现金",
        "bank_card": "银行卡",
        "paid_by_hand": "财务手工退款",
        "suspense": "待退款",
        "prepaid": "预收（付过，还没做）",
    }

    parts = {"fund_fen": "统筹基金", "account_fen": "个人账户", "other_fen": "其他基金", "cash_fen": "自付"}

    @staticmethod
    def why(cause: str) -> tuple[str, str]:
        """The probable cause of a difference, and what to do next."""
        name, _, of = cause.partition(":")
        why, todo = Books.causes.get(name) or Books.causes["amounts"]
        return why.replace("{part}", Books.parts.get(of, "各部分")), todo

    @staticmethod
    def what(about: str, kind: str) -> str:
        """A difference in a few words."""
        return Books.kinds.get((about, kind), kind)

    @staticmethod
    def fen(fen: int | None) -> str:
        """An amount of one side, or that it says nothing."""
        return Books.nothing if fen is None else rmb(fen)

    @staticmethod
    def waiting(n: int) -> str:
        """Refunds that wait for the next day's bill."""
        return Books.waiting_says.replace("{n}", str(n))

    @staticmethod
    def differs(fen: int, n: int) -> str:
        """What is open."""
        return f"差 {rmb(fen)}，{n} 条要看"


class Export:
    """Heads and sheets of the exported books."""

    totals = "合计"
    worklist = "差异"
    rows = "逐笔"
    provider = "微信账单"
    his = "医院入账"
    insurance = "医保对账单"
    ledger = "账本科目"
    file = "对账"
    worklist_head = (
        "日期", "状态", "内容", "是什么", "差额（元）", "本院（元）", "对方（元）", "本院单号", "原付款单号", "对方单号",
        "患者", "就诊号", "可能的原因", "接下来", "发现时间", "关掉时间", "谁关的", "说明",
    )  # fmt: skip
    rows_head = (
        "时间", "内容", "本院单号", "原付款单号", "微信单号", "患者", "就诊号", "付款方式", "状态", "本院（元）",
        "账本（元）", "微信或医保（元）", "应入账（元）", "医院系统（元）",
    )  # fmt: skip
    side_head = ("时间", "内容", "本院单号", "原付款单号", "对方单号", "金额（元）", "状态")
    totals_head = ("哪一边", "收进（元）", "退回（元）", "净额（元）", "笔数")
    ledger_head = ("科目", "借方（元）", "贷方（元）", "净额（元）")
    about = {
        "payment": "收款",
        "settlement": "医院入账",
        "refund": "退款",
        "insurance": "医保结算",
        "insurance_back": "医保退回",
    }
    states = {"open": "要看", "closed": "已说明"}
    itself = "自动"
