"""WeChat Pay for one hospital: its cash register, its bill, and mixed payments with the medical insurance."""

from adapters.wechat_pay.cash import WeChatPay
from adapters.wechat_pay.face import NoFacePay
from adapters.wechat_pay.line import WeChatPaySettings
from adapters.wechat_pay.mixed import MixSettings, WeChatMix

__all__ = ["MixSettings", "NoFacePay", "WeChatMix", "WeChatPay", "WeChatPaySettings"]
