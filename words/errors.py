"""Every refusal in a sentence: what happened, what it means, what to do. Code → sentence, kind as the fallback."""

from collections import defaultdict

KINDS = {
    "invalid": "有一处没填对。请看一下再试。",
    "unauthenticated": "请先登录，登录后接着办。",
    "forbidden": "这件事您这边办不了。请本人来办，或到窗口问一下。",
    "not_found": "没有找到。可能已经取消，请回首页看看。",
    "conflict": "刚才有变化。请回上一页看最新的，再办一次。",
    "too_early": "还早一点。请稍等再试。",
    "too_many": "试得太快了。请过几分钟再试。",
    "unavailable": "现在连不上医院。没有扣款，请过一会儿再试。",
}
TITLES = {
    "invalid": "请改一下",
    "unauthenticated": "请先登录",
    "forbidden": "这里办不了",
    "not_found": "没有找到",
    "conflict": "刚才有变化",
    "too_early": "再等一下",
    "too_many": "请歇一会儿",
    "unavailable": "暂时连不上",
}
# Where the kind's few words would say something else than what happened.
CODE_TITLES = {
    "not_eligible": "这次先缴费",
    "already_paid": "已经付好了",
    "attempt_in_progress": "家人正在付",
    "nothing_payable": "现在没有要付的",
    "already_signed": "已经签过了",
    "suspended": "先停用了",
    "internal": "我们这边出了错",
    "over_cap": "超过了上限",
    "round_closing": "正在退回",
    "insuring": "医保正在结算",
    "consent_foreign": "授权对不上",
    "wrong_shares": "金额没分对",
    "nothing_shared": "没有要退的",
    "other_round": "请等一下",
}
CODES = {
    "error": KINDS["invalid"],
    "unauthenticated": KINDS["unauthenticated"],
    "forbidden": KINDS["forbidden"],
    "not_found": KINDS["not_found"],
    "illegal_transition": KINDS["conflict"],
    "internal": "我们这边出了错，已经记下。没有扣款，请过一会儿再试。",
    "csrf": "这一页放得太久了。请回上一页刷新，再办一次。",
    "payload_too_large": "送来的内容太大了，没有收下。",
    "validation": KINDS["invalid"],
    "sharing_off": "还没有打开“分享给家人”。打开后，家人才能看到。",
    "words_too_fast": "刚发过一句。请等几秒再发。",
    "words_many": "今天发得够多了。要紧的事请打电话。",
    "words_over": "这次看完了，不能再发。要紧的事请打电话。",
    # signing in
    "wrong_code": "验证码不对。请看一下短信，再填一次。",
    "code_expired": "验证码过期了。请再发一次。",
    "too_many_codes": "发得太多了。请过一小时再试，或到窗口办。",
    "login_expired": "刚才放得太久了。请再来一次。",
    "no_old_phone": "现在的手机号不能这样换。请看一下新号码，或带身份证到窗口办。",
    "wrong_id_number": "身份证号不对。请看一下再填，或带身份证到窗口办。",
    "own_change": "自己经手的要另一位同事确认。",
    "change_waits": "这位患者已有一个换号等着确认。请先在“等着确认的换号”里办完。",
    "no_papers": "成人要写明看过的证件，有效期不能已经过了。",
    "too_many_asks": "今天试得够多了。请明天再试，或陪家人到窗口办。",
    "ask_expired": "这次的验证码不能用了。请重新填一次。",
    "wrong_ask_code": "验证码不对。请对方看一下短信，再念一次。",
    "asked_just_now": "刚问过。请过一分钟再问。",
    "bad_id_number": "姓名或身份证号没填对。请看一下再填。",
    "too_young": "未满 14 岁请监护人用自己的手机号登录，再替孩子看。",
    "wrong_pin": "工号或密码不对。请看一下再填。",
    "too_many_tries": "试得太多了。请歇一会儿再试，或到窗口办。",
    "bad_phone": "手机号要 11 位数字。请看一下再填。",
    "patient_not_proven": "姓名和证件号对不上。请看一下再填，或到窗口办。",
    # consent
    "read_delay": "请再看 {seconds} 秒。这一页说的是要在什么时候付钱。",
    "reading_expired": "这份同意书放得太久了。请从头再看一遍。",
    "letter_changed": "同意书有了新的内容。请再看一遍。",
    "strokes_missing": "还没有写名字。请在白框里写。",
    "not_eligible": "这次不能用“看完病再付”，因为{reason}。照常就诊，缴费后检查即可。有疑问请到 1 号窗口。",
    "guardian_needed": "未满 14 岁要请监护人来签。",
    "strokes_invalid": "这次的笔画没有收全。请点“重写”，再写一次。",
    "name_mismatch": "写的名字和登记的不一样。请按证件上的写。",
    "signer_not_said": "还没有写清谁签、是什么关系、为什么代签。请补上。",
    "pen_not_yours": "这一页不是刚打开的那一页。请从同意书再进来一次。",
    "already_signed": "已经签过了，不用再签。",
    "not_signed": "还没有签过“看完病再付”。",
    "suspended": "“看完病再付”先停了，因为有一笔没付清。付清就能恢复。",
    # billing
    "not_payable": "现在没有要付的。做完的项目才收钱。",
    "line_not_disputable": "这一项不能再提。有疑问请到窗口。",
    "order_not_open": "这一项已经做完或取消了。没做的话请点“这项我没做”。",
    "line_already_disputed": "已经收到过了。这一项先不收，等医院答复。",
    "order_already_performed": "这一项已经做完，不能取消了。没做的话请点“这项我没做”。",
    # payments
    "already_paid": "{who}已经付好了，不用再付。您这边没有扣款。",
    "attempt_in_progress": "{who}正在付这一笔，您这边没有扣款。请稍等，不用再付。",
    "round_closing": "这次的分摊正在取消，付过的会退回。请等一分钟，再回账单看。",
    "wrong_shares": "几份加起来不能超过 {left}，每份至少 0.01 元，最多 8 份。请改一下。",
    "insuring": "医保正在结算，算好以后才知道还要付多少。现在先别付，回账单等一等。",
    "consent_foreign": "这次授权对不上，没有用它，也没有扣款。请回账单，从“用医保付”再来一次。",
    "insurance_not_shown": "医保还在算，或者金额变了。请看最新的再点同意。",
    "refund_not_decided": "医保中心还没有说不退。请等它答复，先不要再退一次。",
    "not_insured": "这次不能用医保付。可以用微信付，或到窗口问一下。",
    "share_gone": "这一份已经重新分过。请回上一页看最新的。",
    "nothing_shared": "没有没付完的分摊。请回账单看看。",
    "debt_not_carried": "这笔欠费现在不能转出。请核对金额和到期时间。",
    "other_round": "另外几项正在一起付。等那边付完，再付这一项；急着做可以到窗口付。",
    "amount_changed": "金额变了，现在是 {amount}。请看清楚再付。",
    "payment_unknown": "还不知道有没有付成。请别再付，1 分钟内告诉您。",
    "payment_closed": "这次没有付成，没有扣款。想付可以再来一次。",
    "over_cap": "超过了一次最多付的金额。请本人付，或请对方改一下。",
    "insurance_only_in_wechat": "用医保要在微信里付。请用微信打开这一页，或者不用医保直接付，也可以到窗口付。",
    "insurance_not_here": "这里还不能在手机上用医保付。可以不用医保直接付，或到窗口用医保付。",
    "insurance_consent_over": "医保授权过了时间，没有扣款。请再授权一次。",
    "nothing_payable": "现在没有要付的。做完的项目才收钱。",
    "pay_needs_wechat_login": "在微信里付，要先用微信登录一次。请退出，再点“微信登录”。",
    "pay_mismatch": "付款和账单对不上，没有记账。请到窗口问一下。",
    "over_refund": "退的钱不能比付的多。请看一下再办。",
    "bad_capture": "没有读清楚。请刷新付款码，再扫一次。",
    "forged_capture": "这台设备还没有登记好。请叫信息科看一下。",
    "nobody_found": "没有找到。请看一下号码，或请患者出示就诊码。",
    "line_not_refundable": "这一项现在不能退，可能已经在退。请回账单看看。",
    "refund_reason": "请写一下为什么。",
    "own_request": "自己提的退费要别人来批。请财务科的同事看一下。",
    "request_answered": "这个申请已经有人处理了。请刷新看看。",
    "not_money": "金额要写成数字，比如 100 或 100.50。请改一下。",
    "no_shift": "还没有开班，不能收钱、退钱。请先开班。",
    "shift_open": "您的班已经开着，不用再开。",
    "count_reason": "点的钱和账上差 {difference}。请再点一遍，还是不对就写明原因。",
    "too_little_cash": "还差 {missing}。请收够再点。",
    "card_reference": "请填单子上的编号，4 到 40 位字母或数字。",
    "card_used": "这张单子的编号已经用过。请看一下是不是刚才那一笔。",
    "code_used": "这个付款码用过了，没有再收。请患者刷新付款码，再扫一次。",
    "capture_not_awaited": "这里现在没有等着收的钱，没有扣款。请先点“扫付款码”，再请患者刷新付款码。",
    "face_not_here": "这里还不能刷脸付，没有扣款。请打开微信的付款码来扫，或付现金、刷卡。",
    "capture_not_here": "这种码在这里用不了，没有扣款。请打开微信的付款码来扫。",
    "certificate_foreign": "读到的不是这位患者的医保，没有用它，没有扣款。请患者本人再刷一次。",
    "terminal_busy": "另一个窗口正在用这个扫码器。请换一个，或稍等。",
    "not_cash_back": "这一笔现在不能在窗口退。请刷新看看。",
    "not_abnormal": "这一笔微信还在退，不用再付。请刷新看看。",
    "idempotency_conflict": "这次的内容和刚才不一样。请回上一页再办。",
    "day_not_over": "这一天还没到。请选今天或以前的日子。",
    "no_reason": "还没有写原因。请写清楚是怎么回事，以后才查得到。",
    # family
    "invite_expired": "这个邀请过期了。请家人再发一次。",
    "invite_used": "这个邀请已经用过了。请家人再发一次。",
    "empty_offer": "还没有选让家人做什么。请选一样，再做二维码。",
    "too_many_invites": "还有 10 个邀请没人回。请先等一等，或停掉几个。",
    "wrong_invite_code": "口令不对，或者过了 10 分钟。请对方再念一遍，或重新做一个。",
    "guardian_refused": "满 14 岁、能自己办的，由本人来办。",
    "own_invite": "这是您自己的邀请，请发给家人。",
    "not_shared": "这次没有开放给您看。",
    # desk and HIS
    "pass_expired": "就诊码过期了。请患者打开手机刷新。",
    "pass_forged": "这个码不是本院的就诊码。",
    "pass_future": "这个码的时间不对。请患者打开手机刷新。",
    "pass_foreign": "这是别的医院的就诊码。请患者打开本院的就诊码。",
    "pass_used": "已经报到过了，不用再扫。",
    "nothing_here": "这位患者现在没有要在本科室做的项目。请看导诊页下一步去哪。",
    "wrong_department": "这个项目不在本科室做。",
    "his_unavailable": "医院系统没有回话。已经记下，会自动再送。",
    "signature_invalid": "签名不对，没有收下。",
    "replayed": "这条已经收过，没有重复处理。",
}


class _Blank(defaultdict[str, object]):
    """A missing value leaves a gap, never an exception in front of a person."""

    def __missing__(self, key: str) -> object:
        return ""


def sentence(code: str, kind: str = "invalid", **params: object) -> str:
    """The sentence of an error code, filled with ``params``; an unknown code falls back to its kind."""
    text = CODES.get(code) or KINDS.get(kind) or KINDS["invalid"]
    return text.format_map(_Blank(None, params))


def title(kind: str, code: str = "") -> str:
    """The few words above the sentence."""
    return CODE_TITLES.get(code) or TITLES.get(kind, TITLES["invalid"])
