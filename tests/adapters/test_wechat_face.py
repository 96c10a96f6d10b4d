"""Charging a face by APIv2: at once, after a password, in silence, undone with the merchant's certificate; faults."""

import logging
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.wechat_pay import FaceSettings, WeChatFace, apiv2
from kernel.outside import Breaker, Guard, NotConfigured, Rejected, Throttled, Unknown
from payments.ports import FaceCharge, FacePay, FaceTerminal, RefundOrder, RefundStatus, TradeState
from sandbox import tls, town, wechat_pay
from sandbox.keys import SandboxKeys, fresh
from tests.adapters.pay_stand import DAUGHTER, MOTHER, Stand

PLACE = FaceTerminal("W03-face", "HF01", "后付演示医院", "rawdata-of-the-sdk==")


@dataclass
class Office:
    """WeChat's APIv2 behind TLS; which books answer is decided by whoever borrows it."""

    app: Any
    url: str
    tls: ssl.SSLContext

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def settings(keys: SandboxKeys, url: str, **over: Any) -> FaceSettings:
    """Our half."""
    mine: dict[str, Any] = {**keys.client_wechat_face(url), "private_key": keys.wechat_pay.private_key}
    return replace(FaceSettings(keys.wechat_pay.mchid, keys.wechat.appid, **mine), **over)


@pytest.fixture(scope="module")
async def office(world_keys: SandboxKeys) -> AsyncIterator[Office]:
    """One listener for all tests of this file."""
    listening = socket.socket(proto=socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    url = f"https://127.0.0.1:{listening.getsockname()[1]}"
    mine = world_keys.wechat_face
    made = Office(None, url, WeChatFace(settings(world_keys, url)).tls)
    secure = tls.context(mine.server_cert, mine.server_key, mine.ca_cert)
    async with town.serving(made, listening, secure):
        yield made


@dataclass
class Desk:
    """A terminal, our client and WeChat's books."""

    stand: Stand
    face: WeChatFace
    office: Office

    async def charge(self, amount: int = 7760, openid: str = MOTHER, **over: Any) -> FaceCharge:
        """Somebody looks into the terminal."""
        self.stand.number += 1
        number = over.pop("out_trade_no", f"FC{self.stand.number:06d}")
        permit = await self.face.authorize_terminal(PLACE)
        asked = {"authinfo": permit.authinfo, "openid": openid, "out_trade_no": number, "total_fee": amount}
        shown = await self.stand.post("/control/face", asked)
        made = FaceCharge(
            number, amount, "后付演示医院 就诊费", shown["face_code"], openid, "W03-face", "10.0.0.3", "attempt"
        )
        return replace(made, **over)

    @property
    def sums(self) -> dict[str, int]:
        """The platform's own."""
        found: dict[str, int] = self.stand.world.books.dump()["sums"]
        return found

    def plan(self, *rules: dict[str, Any]) -> None:
        """How WeChat misbehaves."""
        self.stand.world.behaviour.plan(rules)


@pytest.fixture
async def desk(stand: Stand, office: Office, world_keys: SandboxKeys) -> AsyncIterator[Desk]:
    """The line."""
    office.app = wechat_pay.build_apiv2(stand.world)
    patient = Guard("wechat_face", deadline=5, breaker=Breaker(failures=1000))
    face = WeChatFace(settings(world_keys, office.url), patient, timeout=(2, 1))
    face._tls = office.tls
    yield Desk(stand, face, office)
    await face.close()


async def test_a_face_is_charged_at_once(desk: Desk) -> None:
    """The answer is the payment; asking says the same, by APIv2 and by APIv3; it is in the same books."""
    asked = await desk.charge()
    face: FacePay = desk.face
    state = await face.charge_face(asked)
    assert (state.trade_state, state.amount_fen, state.payer_openid) == (TradeState.SUCCESS, 7760, MOTHER)
    assert (state.trade_type, state.attach) == ("FACEPAY", "attempt")
    assert await face.query(asked.out_trade_no) == state
    assert await desk.stand.pay.query(asked.out_trade_no) == state
    with pytest.raises(Rejected, match="ORDER_PAID"):
        await face.charge_face(asked)
    assert desk.sums == {"paid": 7760, "refunded": 0}


async def test_a_face_s_code_is_good_once_for_one_order(desk: Desk, clock: Any) -> None:
    """Used, made up, another amount, another number, another person, too old: no order is left behind."""
    used = await desk.charge()
    await desk.face.charge_face(used)
    mine = await desk.charge(500)
    for bad, why in (
        (replace(used, out_trade_no="FC900001"), "AUTH_CODE_INVALID"),
        (replace(mine, face_code="0" * 36), "AUTH_CODE_INVALID"),
        (replace(mine, amount_fen=501), "PARAM_ERROR"),
        (replace(mine, out_trade_no="FC900002"), "PARAM_ERROR"),
        (replace(mine, payer_openid=DAUGHTER), "INVALID_REQUEST"),
    ):
        with pytest.raises(Rejected, match=why):
            await desk.face.charge_face(bad)
    clock.move(seconds=61)
    with pytest.raises(Rejected, match="AUTH_CODE_INVALID"):
        await desk.face.charge_face(mine)
    assert len(desk.stand.world.books.orders) == 1


async def test_the_payer_types_a_password(desk: Desk, clock: Any) -> None:
    """USERPAYING, the same again under the same number, then the money."""
    desk.plan({"on": "pay", "do": "userpaying", "seconds": 12})
    asked = await desk.charge()
    first = await desk.face.charge_face(asked)
    assert (first.trade_state, first.out_trade_no, first.amount_fen) == ("USERPAYING", asked.out_trade_no, None)
    assert (await desk.face.charge_face(asked)).trade_state is TradeState.USERPAYING
    assert (await desk.face.query(asked.out_trade_no)).trade_state is TradeState.USERPAYING
    other = await desk.charge(out_trade_no=asked.out_trade_no)
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await desk.face.charge_face(other)
    clock.move(seconds=12)
    assert (await desk.face.query(asked.out_trade_no)).trade_state is TradeState.SUCCESS


async def test_a_payer_who_never_types_is_undone(desk: Desk) -> None:
    """Undone by APIv2 and only there: neither closed nor reversed as a shown code; it can no longer be paid."""
    asked = await desk.charge(66608)
    await desk.face.charge_face(asked)
    with pytest.raises(Rejected, match="CLOSE_NOT_FOR_CODES"):
        await desk.stand.pay.close(asked.out_trade_no)
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await desk.stand.pay.reverse(asked.out_trade_no)
    await desk.face.reverse(asked.out_trade_no)
    assert (await desk.face.query(asked.out_trade_no)).trade_state is TradeState.REVOKED
    with pytest.raises(Rejected, match="ORDER_REVERSED"):
        await desk.face.charge_face(asked)
    assert desk.sums == {"paid": 0, "refunded": 0}


async def test_the_bank_declines(desk: Desk) -> None:
    """A definite no with its reason."""
    desk.plan({"on": "pay", "do": "decline"})
    asked = await desk.charge()
    with pytest.raises(Rejected, match="NOT_ENOUGH"):
        await desk.face.charge_face(asked)
    assert (await desk.face.query(asked.out_trade_no)).trade_state is TradeState.PAYERROR


@pytest.mark.parametrize("do", ["hang_after", "error_after", "bad_signature", "unsigned"])
async def test_the_money_is_taken_in_silence(desk: Desk, do: str) -> None:
    """Taken, not said or not proven: unknown; the query finds it under its number."""
    desk.plan({"on": "face", "do": do, "seconds": 2})
    asked = await desk.charge()
    with pytest.raises(Unknown):
        await desk.face.charge_face(asked)
    assert (await desk.face.query(asked.out_trade_no)).trade_state is TradeState.SUCCESS
    assert desk.sums["paid"] == 7760


@pytest.mark.parametrize("do", ["error_before", "fail"])
async def test_it_never_arrived(desk: Desk, do: str) -> None:
    """Unknown, unsigned FAIL too, but there is no order: neither to ask nor to undo; the same code still pays."""
    desk.plan({"on": "face", "do": do})
    asked = await desk.charge()
    with pytest.raises(Unknown):
        await desk.face.charge_face(asked)
    for call in (desk.face.query(asked.out_trade_no), desk.face.reverse(asked.out_trade_no)):
        with pytest.raises(Rejected, match="ORDER_NOT_EXIST"):
            await call
    assert (await desk.face.charge_face(asked)).trade_state is TradeState.SUCCESS


async def test_too_much_is_turned_away(desk: Desk) -> None:
    """Nothing happened, and the same is right a little later."""
    desk.plan({"on": "face", "do": "throttle"})
    asked = await desk.charge()
    with pytest.raises(Throttled):
        await desk.face.charge_face(asked)
    assert desk.stand.world.books.orders == {}


async def test_undoing_what_was_paid_gives_it_back(desk: Desk) -> None:
    """To be asked again, an answer lost, then done: the money is back, once, and cannot be refunded besides."""
    asked = await desk.charge()
    await desk.face.charge_face(asked)
    desk.plan({"on": "face_reverse", "do": "recall"}, {"on": "face_reverse", "do": "error_after"})
    for _ in range(2):
        with pytest.raises(Unknown):
            await desk.face.reverse(asked.out_trade_no)
    await desk.face.reverse(asked.out_trade_no)
    assert desk.sums == {"paid": 7760, "refunded": 7760}
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await desk.stand.pay.refund(RefundOrder("RF000001", asked.out_trade_no, 1, 7760))


async def test_nothing_is_undone_without_the_merchant_s_certificate(desk: Desk, world_keys: SandboxKeys) -> None:
    """None shown, another merchant's: not undone, the money stays; the other calls need none."""
    asked = await desk.charge()
    await desk.face.charge_face(asked)
    bare = WeChatFace(settings(world_keys, desk.office.url))
    bare._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare._tls.load_verify_locations(cadata=world_keys.wechat_face.ca_cert)
    with pytest.raises(Unknown, match="HTTP 400"):
        await bare.reverse(asked.out_trade_no)
    assert (await bare.query(asked.out_trade_no)).trade_state is TradeState.SUCCESS
    await bare.close()
    [mine] = desk.stand.world.merchants.values()
    other = replace(mine, mchid="1900000001", public_key=fresh().wechat_pay.merchant_public_key)
    desk.stand.world.merchants[other.mchid] = other
    foreign = WeChatFace(settings(world_keys, desk.office.url, mchid=other.mchid))
    foreign._tls = desk.office.tls
    with pytest.raises(Unknown, match="return_code FAIL: 证书"):
        await foreign.reverse(asked.out_trade_no)
    await foreign.close()
    assert desk.sums == {"paid": 7760, "refunded": 0}


async def test_another_wechat_is_not_spoken_to(desk: Desk, world_keys: SandboxKeys) -> None:
    """An address whose certificate our CA did not sign: nothing is said to it."""
    asked = await desk.charge()
    wrong = WeChatFace(settings(world_keys, desk.office.url, ca_cert=fresh().wechat_face.ca_cert))
    with pytest.raises(Unknown, match="ConnectError"):
        await wrong.charge_face(asked)
    await wrong.close()
    assert desk.stand.world.books.orders == {}


@pytest.mark.parametrize(
    "over", [{"apiv2_key": "0" * 32}, {"mchid": "1900000000"}, {"appid": "wx0000000000000000"}], ids=str
)
async def test_who_is_not_the_merchant_takes_nothing(desk: Desk, world_keys: SandboxKeys, over: Any) -> None:
    """A wrong key, number or app: not believed there, and no proof of anything here."""
    asked = await desk.charge()
    wrong = WeChatFace(settings(world_keys, desk.office.url, **over))
    wrong._tls = desk.office.tls
    with pytest.raises(Unknown, match="return_code FAIL"):
        await wrong.charge_face(asked)
    await wrong.close()
    assert desk.stand.world.books.orders == {}


async def test_an_old_account_signs_with_md5(desk: Desk, world_keys: SandboxKeys) -> None:
    """The setting changes both ways of the line."""
    old = WeChatFace(settings(world_keys, desk.office.url, md5=True))
    old._tls = desk.office.tls
    assert (await old.charge_face(await desk.charge())).trade_state is TradeState.SUCCESS
    await old.close()


def test_the_signature_is_wechat_s() -> None:
    """The example of WeChat's own documentation."""
    fields = {
        "appid": "wxd930ea5d5a258f4f",
        "mch_id": "10000100",
        "device_info": "1000",
        "body": "test",
        "nonce_str": "ibuaiVcKdpRxkhJA",
        "empty": "",
    }
    key = "192006250b4c09247ec02edce69f6a2d"
    assert apiv2.sign(fields, key) == "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6"
    assert apiv2.sign(fields, key, md5=True) == "9A0A8659F005D6984697E2CA0A9CF3B7"
    assert not apiv2.holds(fields, key)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"no xml",
        b"<xml><a>1</a>",
        b"<html><a>1</a></html>",
        b"<xml><a><b>1</b></a></xml>",
        b"<xml><a>1</a><a>2</a></xml>",
        b'<!DOCTYPE xml [<!ENTITY e "x">]><xml><a>&e;</a></xml>',
        b'<!DOCTYPE xml SYSTEM "file:///etc/passwd"><xml><a>1</a></xml>',
        b"<xml><a>&lol;</a></xml>",
        b"<xml><a>" + b"x" * apiv2.MOST + b"</a></xml>",
    ],
)
def test_what_is_no_answer_is_not_read(raw: bytes) -> None:
    """Other shapes, names twice, declarations and entities, endless ones."""
    with pytest.raises(ValueError, match=r"too long|no XML|a declaration|another shape|stands twice"):
        apiv2.read(raw)


def test_what_is_written_is_read() -> None:
    """Signs of XML itself and Chinese; CDATA; empty ones say nothing."""
    assert apiv2.read(apiv2.write({"a": "<&>后付", "b": ""})) == {"a": "<&>后付"}
    assert apiv2.read(b"<xml>\n<a><![CDATA[<1&2>]]></a>\n</xml>") == {"a": "<1&2>"}


@pytest.mark.parametrize(
    ("over", "raises"),
    [
        ({"err_code": "SOMETHING_NEW", "result_code": "FAIL"}, Unknown),
        ({"mch_id": "1900000000"}, Unknown),
        ({"out_trade_no": "FC999999"}, Unknown),
        ({"total_fee": "77.60"}, Unknown),
        ({"trade_state": "ACCEPT"}, Unknown),
        ({"time_end": "yesterday"}, Unknown),
    ],
)
async def test_a_strange_answer_proves_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, over: dict[str, str], raises: type[Exception]
) -> None:
    """Well signed, but another's, another order's, or in words nobody knows: no yes and no no."""
    asked = await desk.charge()
    await desk.face.charge_face(asked)
    read = apiv2.read

    def other(raw: bytes) -> dict[str, str]:
        told = {**read(raw), **over}
        return {**told, "sign": apiv2.sign(told, desk.face.settings.apiv2_key)}

    monkeypatch.setattr(apiv2, "read", other)
    with pytest.raises(raises):
        await desk.face.query(asked.out_trade_no)


@pytest.mark.parametrize("bad", [{"amount_fen": 0}, {"amount_fen": True}, {"out_trade_no": "x"}, {"terminal_ip": ""}])
async def test_a_malformed_charge_is_refused(desk: Desk, bad: dict[str, Any]) -> None:
    """Our own no; nothing was sent."""
    asked = replace(await desk.charge(), **bad)
    with pytest.raises(Rejected, match="PARAM_ERROR"):
        await desk.face.charge_face(asked)
    assert desk.stand.world.books.orders == {}


async def test_nobody_keeps_a_face(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    """Neither our logs at their most talkative, nor a repr, nor the platform's books show code or key."""
    caplog.set_level(logging.DEBUG)
    asked = await desk.charge()
    await desk.face.charge_face(asked)
    told = " ".join(r.getMessage() for r in caplog.records) + repr(asked) + repr(desk.face.settings)
    told += str(desk.stand.world.books.dump())
    assert asked.face_code not in told
    assert desk.face.settings.apiv2_key not in told
    assert "PRIVATE KEY" not in told


async def test_a_face_is_refunded_and_billed_like_any_other(desk: Desk, clock: Any) -> None:
    """An ordinary refund by its number; the day's bill has payment, refund and undoing."""
    kept, undone = await desk.charge(), await desk.charge(500)
    for each in (kept, undone):
        await desk.face.charge_face(each)
    await desk.face.reverse(undone.out_trade_no)
    told = await desk.stand.pay.refund(RefundOrder("RF000001", kept.out_trade_no, 760, 7760))
    assert told.status is RefundStatus.PROCESSING
    with pytest.raises(Rejected, match="INVALID_REQUEST"):
        await desk.face.reverse(kept.out_trade_no)
    day = (clock() + timedelta(hours=8)).date()
    morning = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1, hours=3)
    clock.shift += morning - clock()
    bill = await desk.stand.pay.trade_bill(day)
    rows = {(r.out_trade_no, r.trade_type, r.trade_state, r.amount_fen, r.refund_fen) for r in bill.rows}
    assert rows == {
        (kept.out_trade_no, "FACEPAY", "SUCCESS", 7760, 0),
        (kept.out_trade_no, "FACEPAY", "REFUND", 0, 760),
        (undone.out_trade_no, "FACEPAY", "SUCCESS", 500, 0),
        (undone.out_trade_no, "FACEPAY", "REVOKED", 0, 500),
    }


def test_half_a_face_is_said_at_the_start(world_keys: SandboxKeys) -> None:
    """An empty setting by its name; a key that is not the certificate's when the handshake is made."""
    mine = settings(world_keys, "https://127.0.0.1:1")
    for name in ("apiv2_key", "cert", "private_key", "mchid"):
        with pytest.raises(NotConfigured, match=f"wechat_face.{name}"):
            WeChatFace(replace(mine, **{name: ""}))  # type: ignore[arg-type]
    with pytest.raises(NotConfigured, match=r"wechat_face\.private_key"):
        _ = WeChatFace(replace(mine, private_key=fresh().wechat_pay.private_key)).tls
    with pytest.raises(NotConfigured, match=r"wechat_face\.cert"):
        _ = WeChatFace(replace(mine, cert="-----BEGIN CERTIFICATE-----")).tls
