"""The few words around a payment that pages, feeds, receipts and WeChat's bill share."""

from words.money import rmb

YOU = "您"
PATIENT = "患者本人"
AT_DESK = "窗口"
NEEDS_WECHAT = "在微信里付，要先用微信登录一次。"
IN_BOOKS = "医院已入账"


def yours(relation: str) -> str:
    """女儿 → 您女儿."""
    return f"您{relation}"


def description(hospital: str) -> str:
    """What WeChat shows the payer: hospital and purpose, nothing about the illness."""
    return f"{hospital} 就诊费"


def refund_reason(late: bool) -> str:
    """What WeChat writes on the money that comes back."""
    return "付款晚到，全部退回" if late else "项目已取消，退回这一项"


def amount(fen: int) -> str:
    """An amount inside a sentence."""
    return rmb(fen)


class Receipt:
    """The printed receipt."""

    title = "就诊缴费收据"
    for_whom = "患者"
    hospital = "医院"
    payer = "谁付的"
    amount = "金额"
    paid_at = "付款时间"
    number = "收据号"
    transaction = "微信支付单号"
    way = "付款方式"
    ways = {"JSAPI": "微信支付", "MINIPROG": "微信支付", "H5": "微信支付", "NATIVE": "微信扫码支付"}
    items = "付的是这些"
    settled = "医院已入账。"
    settling = "钱已付到，医院正在入账。"
    private = "这张收据只写金额和医院。项目由患者本人查看。"
    note = "这是付款凭据，不是发票。要发票请到窗口，或在医院的公众号里开。"
