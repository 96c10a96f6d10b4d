"""The sentences around the letter: reading it, signing it, having signed it. The letter's own text is data."""


class Letter:
    """Reading."""

    title = "看完病再付"
    ready = "读完了，可以签名。"
    scroll = "请往下看到最后一行。"
    wait = "请再看 {n} 秒。"
    end = "到最后一行了"
    agree = "读懂了，去签名"
    next = "读完这段，下一段"
    no = "先不签"
    progress = "读到哪里了"
    region = "第 {n} 段，共 {m} 段"


class Sign:
    """Signing."""

    title = "签名"
    who = "谁来签"
    me = "本人签"
    proxy = "家人代签"
    proxy_name = "代签人的姓名"
    relation = "和患者的关系"
    choose = "请选择"
    open = "手写签名"
    pad = "请在白框里写名字"
    pad_label = "签名框。也可以用姓名和短信验证码签。"
    strokes = "已写 {n} 笔"
    empty = "还没有写名字。"
    again = "重写"
    done = "签好了"
    other = "不方便手写，用姓名和短信签"
    name = "姓名"
    send = "发验证码"
    code = "短信里的 6 位数字"
    sign_code = "用验证码签"
    patient = "患者"
    hospital = "医院"
    reason = "为什么代签"
    says = "签一次就行，以后这家医院都能用。随时可以不用。"

    @staticmethod
    def sent(to: str) -> str:
        """After the code went out."""
        return f"验证码已发到 {to}。"

    @staticmethod
    def for_(patient: str) -> str:
        """Somebody signs for another."""
        return f"您替{patient}签，写您自己的名字。"


class Elsewhere:
    """Going on with the letter on another device."""

    title = "换个设备签"
    ask = "在这里接着看"
    says = "用另一部手机，或让护士用平板，扫这个码。10 分钟内有效，只能用一次。"
    qr = "换设备用的二维码"
    here = "接着看，看完再签。看过的时间都算。"
    go = "在这台设备上接着看"
    back = "还是在这里看"
    moved = "已经在另一台设备上接着看了。那边签好，这里会自己告诉您。"
    again = "再出一个码"
    link = "换个设备看和签"


class Withdraw:
    """Ending the service."""

    title = "停用看完病再付"
    says = "停了以后，看病改为先缴费。已经记账的，看完病照样付。以后想用，可以再签。"
    go = "停用"
    keep = "先不停"


class DeskLetters:
    """Letters a doctor has still to sign."""

    title = "待签的同意书"
    none = "没有要签的。"
    go = "医生签名"


class Signed:
    """After signing."""

    title = "签好了"
    says = "从现在起，看病中途不用交钱，看完一次付清。"
    countersign = "接诊医生也会签一个名。"
    to_pass = "看就诊码"
    home = "回首页"
    desk = "回工作台"
    pdf = "下载签好的同意书"
    stop = "不想用了，可以在设置里停。"

    @staticmethod
    def due(hours: int) -> str:
        """When to pay."""
        return f"当天看完病后 {hours} 小时内付清就行。"
