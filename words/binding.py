"""Binding a relative where the patient has no page of ours, and another telephone number: what the pages say."""

DOCUMENTS = {
    "id_card": "身份证",
    "household": "户口本",
    "birth": "出生证",
    "disability": "残疾人证",
    "medical": "病情证明",
    "court": "法院判决书",
    "committee": "居委会或民政的证明",
}
PROOFS = {
    "invitation": "二维码或链接",
    "spoken": "口令",
    "phone": "手机验证码",
    "desk": "医院窗口",
    "his": "医院登记",
}


class Binding:
    """By the patient's name, number and phone; and by the desk."""

    phone_title = "用家人的手机号加"
    phone_says = (
        "家人没有智能手机也行。写对方的姓名、身份证号、手机号，验证码会发到对方手机上。",
        "这样加上以后，只能替对方付钱。想看到更多，请对方在自己手机上打开，或陪对方到窗口办。",
    )
    name = "对方的姓名"
    id_number = "对方的身份证号"
    phone = "对方的手机号"
    relation = "您是对方的"
    send = "发验证码到对方手机"
    code_title = "填验证码"
    code_says = (
        "如果三项都写对了，对方手机上会收到一条短信。请对方把 6 位数字念给您，10 分钟内有效。",
        "一直没收到，就是有一项不对，或者对方的号码在医院没有登记。可以陪对方到窗口办。",
    )
    code = "对方短信里的 6 位数字"
    next = "下一步"
    yes_title = "是这位家人吗"
    yes = "是，加上"
    no = "不是"

    desk_title = "帮患者加家人"
    desk_says = ("患者在您旁边、自己没有手机时用。请看患者的证件，问清楚让谁做什么。", "谁办的会记下来。")
    pays = "让家人付钱"
    books = "让家人挂号、带就诊码"
    signs = "让家人替签“看完病再付”"
    depth = "让家人看"
    depths = (("", "不看"), ("steps", "走到哪一步"), ("bill", "步骤和账单"), ("results", "步骤、账单和结果"))
    share = "已念给患者听，患者同意分享给家人"
    make = "做好，打印"
    slip = "请家人用微信扫"
    slip_says = "扫完在家人手机上点同意。也可以把下面的口令念给家人，10 分钟内有效。"
    slip_who = "家人填口令时，还要填患者的手机号；没有手机，填身份证号。"
    slip_safe = "这张纸只给家人。扫过一次就不能再用。"

    end_guardian = "结束"
    end_title = "结束登记"
    until = "证明有效到哪一天（没写就空着）"
    document = "看过的证件"

    insurer = "医保亲情账户"
    insurer_ask = "问一下医保"
    insurer_says = {True: "医保说：在同一个亲情账户里", False: "医保说：不在亲情账户里", None: "医保没有说，等一下再问"}

    @staticmethod
    def yes_says(patient: str, relation: str) -> tuple[str, ...]:
        """Before it takes effect."""
        return (f"您要加的是{patient}，您是对方的{relation}。", "加上以后，您能替对方付医药费，看不到病情。")

    @staticmethod
    def end_says(who: str) -> str:
        """Before the desk ends what a desk wrote down."""
        return f"结束后，{who}马上不能再替患者签名、付款，也看不到就诊。以前的不变。"


class Claims:
    """Somebody has accepted an invitation, and waits for the patient's yes."""

    title = "等您点头"
    none = "没有人在等您点头。"
    opens = "加上以后，对方能做这些："
    yes = "是，加上"
    no = "不认识，不加"
    safe = "不认识就不要加。不加，对方什么也看不到。"
    bound_title = "加好了"
    bound = "对方点头了，已经加好。"
    over_title = "没有加上"
    over = "这个邀请已经结束，没有加上。要加，请对方再邀请一次。"
    waiting_title = "等对方点头"
    never_mind = "不加了"
    to_family = "去“家人”看看"
    waits = "还等对方点头"

    @staticmethod
    def who(name: str, relation: str) -> str:
        """Who has accepted."""
        return f"{name}想加为您的家人，称呼是“{relation}”。"

    @staticmethod
    def for_whom(patient: str) -> str:
        """Where the reader answers for somebody else."""
        return f"加为{patient}的家人。"

    @staticmethod
    def tail(digits: str) -> str:
        """By which she knows them."""
        return f"手机尾号 {digits}。"

    @staticmethod
    def waiting(patient: str) -> str:
        """To the relative, after accepting."""
        return f"已经告诉{patient}。对方在自己手机上点头，就加好了，这一页会自己变。"

    @staticmethod
    def shown(patient: str) -> str:
        """What the patient will see of the relative, said before they accept."""
        return f"您点同意后，{patient}会看到您的姓和手机尾号，点头了才算数。"


class Phones:
    """Another number, a lost phone."""

    title = "换手机号"
    go = "换手机号"
    says = ("新旧两个手机号都要收验证码。", "旧手机号收不到短信了，请带身份证到窗口办。")
    new = "新手机号"
    send = "发验证码"
    code_says = ("两个手机各收到一条短信。填好以后，别的手机都会退出，家人会收到提醒。",)
    old_code = "旧手机收到的 6 位数字"
    new_code = "新手机收到的 6 位数字"
    id_number = "您的身份证号"
    change = "就换这个号"
    lost_title = "手机丢了"
    lost_go = "手机丢了，让别的手机退出"
    lost_says = (
        "按下以后，别的手机马上退出，上面的微信也进不来。这台手机照常用。",
        "丢的手机里还有手机卡，请先打电话给运营商停卡。",
    )
    lost = "让别的手机退出"

    desk_title = "换手机号"
    desk_go = "患者换了手机号"
    desk_says = ("请看患者本人和证件。验证码发到新手机上，请患者念给您。", "还要另一位同事看过证件再确认，才会换。")
    document = "看过的证件"
    desk_code = "新手机收到的 6 位数字"
    ask = "交给同事确认"
    waiting = "等着确认的换号"
    none = "没有等着确认的。"
    confirm_says = "请您自己再看一遍患者和证件，再确认。一天内没人确认就作废。"
    confirm = "看过了，确认"
    refuse = "不换"
    asked_by = "经手"
    done = "换好了。患者原来的手机都已退出。"
