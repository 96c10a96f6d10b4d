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
    calls_of = {
        "mark": "改成看完再付",
        "unmark": "改回先缴费",
        "post": "记账",
        "abandon": "患者放弃项目",
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
    speed = "快慢"
    times = "{n} 倍"
    at = "第 {n} 步，共 {m} 步"
    go = "去看"
    frames = {"mother": "妈妈的手机", "daughter": "女儿的手机", "companion": "陪着看的邻居", "desk": "医院导诊台"}


class Offline:
    """Nothing kept."""

    title = "网络不通"
    says = "这一页没有保存过。有网络时会自己恢复。"
    pass_says = "就诊码保存过，照样能用。"
    to_pass = "打开就诊码"
    again = "再试一次"
