"""The doctor looks at what WeChat has to reach: the account's messages and the mini-program."""

import pytest

from houfu import doctor
from kernel.settings import load

KEY = "k" * 42 + "A"
ACCOUNT = {"wechat_appid": "wx1", "wechat_secret": "s", "public_url": "https://pay.example"}
DESK = {**ACCOUNT, "wechat_callback_token": "t", "wechat_callback_aes_key": KEY}
MINI = {**ACCOUNT, "wechat_mini_appid": "wx2", "wechat_mini_secret": "s"}


def said(what: str, **given: str) -> tuple[str, str]:
    """Verdict, and what to mend or what was found."""
    found = next(f for f in doctor._lines(load({}, **given)) if f.what == what)
    return found.verdict, found.mend if found.found.startswith(("not ", "wechat")) or found.mend else found.found


@pytest.mark.parametrize(
    ("change", "verdict", "mend"),
    [
        ({}, "ok", "configured"),
        ({"wechat_callback_token": "", "wechat_callback_aes_key": ""}, "note", "HOUFU_WECHAT_CALLBACK_TOKEN"),
        ({"wechat_callback_aes_key": ""}, "bad", "set HOUFU_WECHAT_CALLBACK_AES_KEY"),
        ({"wechat_callback_token": ""}, "bad", "set HOUFU_WECHAT_CALLBACK_TOKEN"),
        ({"wechat_appid": ""}, "bad", "set HOUFU_WECHAT_APPID"),
        ({"public_url": "http://pay.example"}, "bad", "check its settings"),
        ({"public_url": "https://pay.example:8443"}, "bad", "check its settings"),
        ({"wechat_js": "http://res.wx.qq.com/x.js"}, "bad", "check its settings"),
    ],
)
def test_the_account_s_messages(change: dict[str, str], verdict: str, mend: str) -> None:
    """Whole, not wanted, half a setting, an address WeChat does not come to, a script no page would load."""
    found = said("WeChat's messages", **{n: v for n, v in (DESK | change).items() if v})
    assert found[0] == verdict
    assert mend in found[1]


@pytest.mark.parametrize(
    ("change", "verdict", "mend"),
    [
        ({}, "ok", "configured"),
        ({"wechat_mini_appid": ""}, "note", "HOUFU_WECHAT_MINI_APPID"),
        ({"wechat_mini_secret": ""}, "bad", "set HOUFU_WECHAT_MINI_SECRET"),
        ({"wechat_appid": ""}, "bad", "set HOUFU_WECHAT_APPID"),
    ],
)
def test_the_mini_program(change: dict[str, str], verdict: str, mend: str) -> None:
    """Its secret is needed, and the account beside it."""
    found = said("WeChat mini-program", **{n: v for n, v in (MINI | change).items() if v})
    assert found[0] == verdict
    assert mend in found[1]
