"""WeChat Pay on loopback: the APIv3 wire format for real, its own books, and misbehaviour on command.

``build(World(...))`` is the ASGI app; ``build_apiv2`` the one for faces and contracts, of the same books. Verified as
the real one does: the Authorization scheme over raw bytes, five minutes of freshness, nonce replay, re-entry with
changed parameters, every state transition, two hours of prepay (five minutes of H5), ``paySign`` and the ordered openid
before anybody pays, refund sums and the one-year rule.

Magic amounts in fen, for hands on the demo: 66601 the bank declines; 66602 the order is made, the answer is 500;
66603 the order is made, silence; 66604 notices never arrive; 66605 notices come twice; 66606 (refunded amount) the
refund ends ABNORMAL; 66607 (refunded amount) the refund stays PROCESSING; 66608 (shown code, face) the phone asks for
the password. With the insurance (total): 66611 it does not pay, the cash is taken; 66612 it pays, the cash fails; 66613
it hangs; 66614 its notices never arrive. Commands: ``control``, ``mixed_app``; rules: ``behave``.
"""

from sandbox.wechat_pay.apiv2 import build as build_apiv2
from sandbox.wechat_pay.app import build
from sandbox.wechat_pay.mixed import MedIns, MixDesk
from sandbox.wechat_pay.wire import Merchant, Refusal
from sandbox.wechat_pay.world import Payer, World

__all__ = ["MedIns", "Merchant", "MixDesk", "Payer", "Refusal", "World", "build", "build_apiv2"]
