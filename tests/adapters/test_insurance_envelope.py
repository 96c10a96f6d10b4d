"""The sealed letter: golden ones made with OpenSSL, both of our versions against each other, and forgeries."""

import base64
import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import gmalg
import pytest

from adapters.insurance import envelope
from adapters.insurance.curve import quick_curve
from adapters.insurance.envelope import (
    Access,
    BadEnvelope,
    Envelope,
    NestedOrder,
    Province,
    Wrapping,
    data_key,
    sign_text,
    sm4,
    sm4_open,
)
from sandbox.insurance import gm
from sandbox.insurance.wire import App, Dialect, Wire

GOLDEN = json.loads((Path(__file__).parent / "golden" / "insurance.json").read_text("utf-8"))
LETTERS = [pytest.param(one, id=one["province"]["name"]) for one in GOLDEN["letters"]]
ACCESS = Access(GOLDEN["app_id"], GOLDEN["app_secret"], GOLDEN["private_key"], GOLDEN["public_key"])


def province(said: dict[str, Any]) -> Province:
    return Province(
        said["name"],
        NestedOrder(said["nested_order"]),
        said["user_id"],
        Wrapping(said.get("wrapping", "plain")),
        upper_hex=said["upper_hex"],
    )


def raw(letter: dict[str, Any], **over: Any) -> bytes:
    return json.dumps({**letter, **over}).encode()


@pytest.mark.parametrize("golden", LETTERS)
def test_a_golden_letter_opens(golden: dict[str, Any]) -> None:
    """Text, key, cipher and signature as OpenSSL and the samples have them; amounts keep their zeros."""
    read = json.loads(golden["inner"], parse_float=Decimal)
    letter = golden["letter"]
    order = NestedOrder(golden["province"]["nested_order"])
    assert sign_text({**letter, "data": read}, GOLDEN["app_secret"], order) == golden["sign_text"]
    key = data_key(GOLDEN["app_id"], GOLDEN["app_secret"])
    assert key == GOLDEN["data_key"].encode()
    assert sm4(key, golden["inner"].encode()).hex() == letter["encData"].lower()
    assert sm4_open(key, bytes.fromhex(letter["encData"])).decode() == golden["inner"]
    opened = Envelope(ACCESS, province(golden["province"])).open(raw(letter))
    assert opened.data == read
    assert opened.head["message"] == "成功"
    assert "extra" not in opened.head


@pytest.mark.parametrize("golden", LETTERS)
def test_the_sandbox_reads_it_alike(golden: dict[str, Any]) -> None:
    """The other version makes the same text and takes the same signature."""
    said = golden["province"]
    dialect = Dialect(case_blind=said["nested_order"] == "case_insensitive", user_id=said["user_id"])
    app = App(GOLDEN["app_id"], GOLDEN["app_secret"], GOLDEN["public_key"], "H1")
    wire = Wire(app, int(GOLDEN["private_key"], 16), dialect)
    read = json.loads(golden["inner"], parse_float=Decimal)
    assert wire.text({**golden["letter"], "data": read}) == golden["sign_text"]
    assert wire.open(golden["letter"]) == read


def test_the_published_digests() -> None:
    """SM3 of "abc" and SM4's example block, from the standards GB/T 32905 and GB/T 32907."""
    assert gm.sm3(b"abc").hex() == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    key = bytes.fromhex("0123456789abcdeffedcba9876543210")
    assert sm4(key, key).hex()[:32] == "681edf34d206965e86b3e94f536e4246"
    assert gm.sm4_encrypt(key, key) == sm4(key, key)


def test_the_quick_curve_is_the_library_s() -> None:
    """Our multiplication gives the library's points, at the edges too."""
    slow, quick = gmalg.SM2()._core.ecdlp, quick_curve()
    for factor in (1, 2, 15, 16, 31, 33, slow.fpn.p - 1, int("9" * 77), 1 << 255):
        assert quick.kG(factor) == slow.kG(factor)
    assert quick.kG(slow.fpn.p) == slow.ec.INF
    other = slow.kG(7)
    assert quick.ec.mul(5, other) == slow.kG(35)


def test_forgeries_are_refused() -> None:
    """Changed contents, head, signature, another's letter, another user id or key order, no signature: all refused."""
    one = GOLDEN["letters"][0]
    letter, mine = one["letter"], Envelope(ACCESS, province(one["province"]))
    key = GOLDEN["data_key"].encode()
    other = sm4(key, one["inner"].replace("77.60", "77.61").encode()).hex()
    broken = base64.b64encode(bytes(64)).decode()
    for over in (
        {"encData": other},
        {"encData": "00" * 16},
        {"encData": "zz"},
        {"code": "1"},
        {"timestamp": "1795320000001"},
        {"signData": broken},
        {"signData": letter["signData"][:-4]},
        {"signData": None},
        {"signData": 7},
        {"appId": "A" * 32},
    ):
        with pytest.raises(BadEnvelope):
            mine.open(raw(letter, **over))
    for text in (b"", b"[]", b"{", b'{"appId": NaN}'):
        with pytest.raises(BadEnvelope):
            mine.open(text)
    for wrong in (replace(mine_province(one), user_id="nobody"), Province("x", NestedOrder.CASE_INSENSITIVE)):
        with pytest.raises(BadEnvelope, match="signature"):
            Envelope(ACCESS, wrong).open(raw(letter))


def mine_province(one: dict[str, Any]) -> Province:
    return province(one["province"])


@pytest.mark.parametrize("golden", LETTERS)
def test_what_we_seal_the_centre_opens(golden: dict[str, Any]) -> None:
    """Every province's manner, read by the version that shares no line with ours; hex as the province writes it."""
    said = golden["province"]
    dialect = Dialect(case_blind=said["nested_order"] == "case_insensitive", user_id=said["user_id"])
    wire = Wire(App(GOLDEN["app_id"], GOLDEN["app_secret"], GOLDEN["public_key"], "H1"), 1, dialect)
    data = {"feeType": "01", "feedetailList": [{"cnt": "1"}], "Z": "", "userName": "示例父", "flag": True}
    sealed = Envelope(ACCESS, province(said)).seal(data, 1795320000000)
    assert sealed["encData"] == (sealed["encData"].upper() if said["upper_hex"] else sealed["encData"].lower())
    assert wire.open(sealed) == data
    assert sealed["timestamp"] == "1795320000000"


def test_keys_come_in_several_forms_and_stay_out_of_sight() -> None:
    """Hexadecimal or base64, with Java's leading zero; a wrong one is refused; nothing secret is in a repr."""
    secret = bytes.fromhex(GOLDEN["private_key"])
    forms = (base64.b64encode(secret).decode(), base64.b64encode(b"\0" + secret).decode(), "00" + GOLDEN["private_key"])
    for form in forms:
        Envelope(replace(ACCESS, private_key=form), Province("x"))
    for wrong in (
        replace(ACCESS, private_key="abcd"),
        replace(ACCESS, app_id="short"),
        replace(ACCESS, public_key="04"),
    ):
        with pytest.raises(ValueError, match=r"key|app id"):
            Envelope(wrong, Province("x"))
    assert GOLDEN["private_key"] not in repr(ACCESS)
    assert GOLDEN["app_secret"] not in repr(ACCESS)


def test_a_float_is_never_signed() -> None:
    """12.30 would be signed as 12.3: whoever brings one has parsed wrongly."""
    with pytest.raises(TypeError, match="float"):
        sign_text({"data": {"amount": 12.3}}, "s", NestedOrder.ORDINAL)


def test_short_numbers_keep_their_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library drops leading zeros of r and s; on the wire both have 32 bytes."""

    class Short:
        def sign(self, _: bytes) -> tuple[bytes, bytes]:
            return b"\x01", b"\x02\x03"

    monkeypatch.setattr(envelope, "_sm2", lambda *_: Short())
    signature = base64.b64decode(Envelope(ACCESS, Province("x")).seal({}, 0)["signData"])
    assert signature == bytes(31) + b"\x01" + bytes(30) + b"\x02\x03"
