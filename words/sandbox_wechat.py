"""What the made-up WeChat and its cashier say to the person trying the service out."""

WHO_ARE_YOU = "您现在是哪一位？"
WHO_NOTE = "这是演练用的微信，选一位就以这位的微信登录。"
PICK = "以{name}登录"
BAD_REDIRECT = "这个返回地址没有登记，不能登录。请联系医院的管理人员。"
BAD_APP = "没有这个公众号。请联系医院的管理人员。"
NOBODY = "演练里还没有人。请先添加一位。"

CASHIER = "微信支付"
CASHIER_NOTE = "这是演练用的收银台，不会扣真的钱。"
PAYEE = "付给"
PAY = "付款"
LEAVE = "先不付"
WHO_PAYS = "由谁来付"
PAID = "付好了，¥{amount}。"
PAID_NEXT = "请回到医院的页面看结果。"
BACK = "回到医院的页面"
DECLINED = "银行没有同意这次付款，没有扣钱。可以换一种方式再付。"
LINK_DEAD = "这个付款页已经过期，没有扣钱。请回到医院的页面重新打开。"
ALREADY_PAID = "这一笔已经付过了，不用再付。"
CLOSED = "这一笔已经取消，没有扣钱。"
MIXED = "{house}：医保 ¥{insured}，微信 ¥{paid}"

ENTRUST = "自动扣款"
ENTRUST_SAYS = "开通后，看完病由医院从您的微信里扣款，不用再输密码。随时可以关。账户："
ENTRUST_YES = "同意开通"
ENTRUSTED = "开通了。请回到医院的页面。"

ACCOUNT = "公众号"
ACCOUNT_OF = "{name}的微信：公众号"
FOLLOW = "关注公众号"
UNFOLLOW = "不再关注"
SCAN = "扫一扫"
SCAN_SAYS = "二维码里的内容"
SAY = "发送"
SAY_SAYS = "写一句话"
OPEN = "点开"
CODE_DEAD = "该二维码已过期"
ACCOUNT_BROKEN = "该公众号提供的服务出现故障，请稍后再试"
TEMPLATES = {
    "step": {"id": "TM-STEP", "data": {"thing1": "hospital", "thing2": "who", "thing3": "title", "thing4": "place"}},
    "turn": {"id": "TM-TURN", "data": {"thing1": "hospital", "thing2": "who", "thing3": "title", "thing4": "place"}},
    "soon": {"id": "TM-TURN", "data": {"thing1": "hospital", "thing2": "who", "thing3": "title", "thing4": "place"}},
    "called": {"id": "TM-CALL", "data": {"thing1": "hospital", "thing2": "who", "thing3": "title", "thing4": "place"}},
    "result": {"id": "TM-RESULT", "data": {"thing1": "hospital", "thing2": "who", "thing3": "title"}},
    "checked_in": {
        "id": "TM-STEP",
        "data": {"thing1": "hospital", "thing2": "who", "thing3": "title", "thing4": "place"},
    },
    "next": {"id": "TM-STEP", "data": {"thing1": "hospital", "thing2": "who", "thing3": "title", "thing4": "place"}},
    "medicine": {
        "id": "TM-STEP",
        "data": {"thing1": "hospital", "thing2": "who", "thing3": "title", "thing4": "place"},
    },
    "abnormal": {"id": "TM-RESULT", "data": {"thing1": "hospital", "thing2": "who", "thing3": "title"}},
    "critical": {"id": "TM-RESULT", "data": {"thing1": "hospital", "thing2": "who", "thing3": "title"}},
    "bill": {"id": "TM-BILL", "data": {"thing1": "hospital", "thing2": "who", "amount3": "amount", "thing4": "title"}},
    "due": {"id": "TM-DUE", "data": {"thing1": "hospital", "thing2": "who", "amount3": "amount", "time4": "until"}},
    "paid": {"id": "TM-PAID", "data": {"thing1": "hospital", "thing2": "who", "amount3": "amount"}},
    "asked": {"id": "TM-ASKED", "data": {"thing1": "who", "amount2": "amount", "thing3": "title"}},
    "offered": {"id": "TM-ASKED", "data": {"thing1": "who", "amount2": "amount", "thing3": "title"}},
    "answered": {"id": "TM-BOUND", "data": {"thing1": "who", "thing2": "title"}},
    "claimed": {"id": "TM-BOUND", "data": {"thing1": "who", "thing2": "title"}},
    "taking": {"id": "TM-TAKING", "data": {"thing1": "who", "amount2": "amount", "time3": "until", "thing4": "title"}},
    "untaken": {"id": "TM-ASKED", "data": {"thing1": "who", "amount2": "amount", "thing3": "title"}},
    "contract": {"id": "TM-BOUND", "data": {"thing1": "who", "thing2": "title"}},
    "bound": {"id": "TM-BOUND", "data": {"thing1": "who", "thing2": "title"}},
    "phone": {"id": "TM-BOUND", "data": {"thing1": "who", "thing2": "title"}},
    "ended": {"id": "TM-BOUND", "data": {"thing1": "who", "thing2": "title"}},
    "test": {"id": "TM-TEST", "data": {"thing1": "title", "thing2": "body"}},
}
"""Kind of message → its approved template: the setting ``HOUFU_WECHAT_TEMPLATES`` of the demo."""
