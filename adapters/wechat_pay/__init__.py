"""WeChat Pay for one hospital: its cash register, its bill, faces, and mixed payments with the medical insurance."""

from adapters.wechat_pay.cash import WeChatPay
from adapters.wechat_pay.face import FaceSettings, WeChatFace
from adapters.wechat_pay.line import WeChatPaySettings
from adapters.wechat_pay.mixed import MixSettings, WeChatMix

__all__ = ["FaceSettings", "MixSettings", "WeChatFace", "WeChatMix", "WeChatPay", "WeChatPaySettings"]
