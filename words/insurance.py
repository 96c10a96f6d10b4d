"""Paying with the insurance: choosing it, consenting, what it reckons, agreeing, and what became of it."""

from words.money import rmb


class Insurance:
    """The one page on which a visit is paid with the insurance, whatever step it is at."""

    title = "用医保付"
    back_to_bill = "回账单"

    # Who may use it, and where.
    only_wechat = "医保只能在微信里用"
    only_wechat_says = "手机上请点“打开微信”，在医院公众号的账单里付。在电脑上，用微信扫这个码。"
    qr = "在微信里打开这张账单的码"
    open_wechat = "打开微信"
    without = "直接付"
    mini = "请在医院的小程序里授权"
    mini_says = "这里打不开医保的授权页。请打开医院的小程序，从账单里接着办。"
    unable = "这次不能用医保"
    no_insurance = "医院这次就诊没有登记医保。可以直接付，有疑问请到窗口问一下。"
    resting = "参保状态不正常，这次不能用医保。可以直接付，有疑问请到窗口问一下。"
    patient_only = "医保要由患者本人那边用。想先用医保，请让患者在自己的微信里付。"
    from_his = "医院说这次就诊不能在手机上用医保。可以直接付，或到窗口用医保结算。"
    his_silent = "现在连不上医院，没有扣款。请过一会儿再试。"

    mini_only = "用医保请在医院的小程序里付。"
    payer = "医保"

    # Choosing.
    choose = "医保个人账户怎么用"
    choose_says = "先请医保算一次，算好给您看，您同意了才会扣。"
    account = {
        "": ("由医保按规定来", "一般先用自己的，再用家人共济的。"),
        "yes": ("用个人账户", "自己的余额，也包括家人共济给您的。"),
        "no": ("不用个人账户", "只用医保基金，剩下的自己付。"),
    }
    start = "下一步，去授权"

    # Consenting.
    consent_title = "请您授权"
    consent_says = "会打开医保的页面。点同意后自己回到这里。授权不扣款。"
    consent_several = "这次看了 {of} 个科，每个科医保单独算，要各授权一次。"
    consent_go = "去医保授权"
    consent_other = "等着授权"
    consent_other_says = "开始用医保的那台手机上，还有一次授权没有点。"
    counter = "窗口正在用医保"
    counter_says = "收费窗口正在帮着用医保付，扣多少会先给患者看。请先别在手机上付。"
    said = {
        "refused": "您没有同意授权，没有扣款。可以再授权一次，也可以先不用医保付。",
        "bad": "这次授权没有成功，没有扣款。请再授权一次。",
        "silent": "医保没有回话，不知道授权成没成，没有扣款。请再授权一次。",
        "foreign": "这次授权对不上，没有用它。请在这里再授权一次。",
    }
    stop = "先不用医保付了"

    # Reckoning.
    reckoning = "医保正在算"
    reckoning_says = "一般几秒钟。算好了这里会自己变，现在不扣款。"
    states = {
        "waits": "等您授权",
        "at_counter": "在窗口办",
        "reckoning": "医保正在算",
        "placed": "算好了",
        "paying": "等着医保付",
        "press": "等您输密码",
        "unknown": "还不知道付没付",
        "paid": "医保付好了",
        "failed": "没算成",
        "revoking": "正在取消",
        "revoked": "取消了，没有扣",
        "refunding": "正在退回医保",
        "refunded": "已退回医保",
        "manual": "医院正在和医保核对",
    }

    # Agreeing.
    agree_title = "医保算好了，请看清楚"
    agree_says = "点同意之前，什么都不会扣。"
    total = "一共"
    sources = {
        "fund": "医保统筹基金",
        "account": "医保个人账户",
        "mutual_aid": "家人共济",
        "other": "医保其他基金",
        "hospital": "医院承担",
    }
    own = "还要自己付"
    own_short = "自己付"
    differs = "和就诊时的估算不一样"
    differs_says = "就诊时是医院估算的，现在是医保算的，以医保为准。"
    was = "估算"
    insurer = "医保付"
    agree_note = "同意后先付医保的部分，自己付的下一步再付。"
    agree_alone = "同意后，在微信里输密码就付好了。"
    agree_other = "等开始用医保的那位点同意。"
    disagree = "不同意，先不用医保付"

    # Paying.
    paying = "医保正在付"
    paying_says = "付好了这里会自己变。请先别用别的办法付。"
    press_title = "请在微信里输密码"
    press_says = "输完密码医保才付。输好后自己回到这里。"
    press_go = "打开微信，输密码"
    press_other = "等着输密码"
    press_again = "没有输成，再打开一次"
    press_elsewhere = "请在微信里打开这一页，再输密码。"
    unknown = "还不知道医保付没付"
    unknown_says = "正在问医保。请别再付，1 分钟内告诉您。"
    cash_title = "医保付好了"
    cash_none = "不用再付。"
    pay_cash = "去付剩下的"
    done = "都付好了"
    done_says = "不用再付。"
    settling = "钱已付到。医院正在入账，不用重复付。"
    receipt = "看收据"

    # Going back.
    ending = "正在取消"
    ending_says = "先别付。全部退回以后，这里会告诉您，就可以重新付了。"
    ending_back = "医保付过的 {amount} 正在退回医保。您什么都不用做。"
    manual = "医院正在和医保核对"
    manual_says = "有一笔还不知道退没退成，医院的人会去问。请先别付，有结果会告诉您。有疑问请到窗口。"
    over = "这次没有用成医保"
    over_nothing = "医保没有扣钱。"
    over_back = "医保付过的 {amount} 已退回医保。"
    over_cash = "自己付过的也会退回原来的账户。"
    over_next = "可以直接付，也可以再用一次医保，或到窗口结算。"
    again = "再用一次医保"
    anew = "退了一项，医保整笔退回再算"

    stop_title = "先不用医保付了"
    stop_button = "不用了，全部取消"
    stop_nothing = "现在还没有扣钱。取消后，全部项目重新合在一起付。"
    stop_cancels = "正在付的会取消。要是医保已经付了，会退回医保。"
    stop_afterwards = "全部退回以后，可以直接付，也可以再用一次医保。"

    @staticmethod
    def nth(number: int, of: int) -> str:
        """Which of the settlements."""
        return "这次就诊" if of == 1 else f"第 {number} 个，共 {of} 个"

    @staticmethod
    def agree(cash_fen: int, together: bool) -> str:
        """The one green button."""
        return f"同意，一起付 {rmb(cash_fen)}" if together else "同意，用医保付"

    @staticmethod
    def agree_together(cash_fen: int) -> str:
        """One password pays both."""
        return f"同意后，在微信里输一次密码：医保的部分和自己付的 {rmb(cash_fen)} 一起付。"

    @staticmethod
    def cash(fen: int) -> str:
        """What remains."""
        return f"还要自己付 {rmb(fen)}。"

    @staticmethod
    def stop_back(fen: int) -> str:
        """What the insurance has paid goes back to it."""
        return f"医保付的 {rmb(fen)} 会退回医保。"

    @staticmethod
    def stop_cash(who: str, fen: int) -> str:
        """What somebody paid in cash goes back to them."""
        return f"{who}付的 {rmb(fen)} 会退回原来的账户。"

    @staticmethod
    def receipt_title(fen: int) -> str:
        """The sentence of success where nothing remained in cash."""
        return f"医保付好了，{rmb(fen)}"
