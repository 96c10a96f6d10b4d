"""WeChat Pay for one hospital: cash register, bill, faces, contracts, and mixed payments with the insurance."""

from adapters.wechat_pay.cash import WeChatPay
from adapters.wechat_pay.deduct import DeductSettings, WeChatDeduct
from adapters.wechat_pay.face import FaceSettings, WeChatFace
from adapters.wechat_pay.line import WeChatPaySettings
from adapters.wechat_pay.mixed import MixSettings, WeChatMix

__all__ = [
    "DeductSettings",
    "FaceSettings",
    "MixSettings",
    "WeChatDeduct",
    "WeChatFace",
    "WeChatMix",
    "WeChatPay",
    "WeChatPaySettings",
]
