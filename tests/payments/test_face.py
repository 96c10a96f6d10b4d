"""A face is charged (刷脸付): from the terminal's look to the day's bill; a password, silence, a crash, no line."""

import ssl
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from kernel.ids import new_id
from kernel.outside import Breaker, Guard
from payments import flows
from payments.models import CaptureSeen, CodeWait
from payments.ports import Capture, CaptureKind, FaceCharge
from payments.service import codes
from people.service import terminals
from tests.payments.books import open_books
from tests.payments.conftest import DAUGHTER, MOTHER, Bill, House
from tests.payments.desk import shown_code, sound
from tests.payments.test_captures import KIOSK, SCANNER, Terminal, terminal, waits

_TLS: list[ssl.SSLContext] = []


@pytest.fixture
async def faces(house: House) -> AsyncIterator[House]:
    """The house with WeChat's address for faces open."""
    face: Any = house.pay.face
    face._guard = Guard("wechat_face", deadline=3, breaker=Breaker(failures=1000))
    if not _TLS:
        _TLS.append(face.tls)  # the keys are the session's, and reading them takes longer than a test
    face._tls = _TLS[0]
    async with house.town.faces():
        yield house
        await face.close()  # else the server waits a second for the goodbye of a line nobody reads any more


async def looked(house: House, machine: Terminal, openid: str = MOTHER) -> dict[str, str]:
    """The terminal asks, WeChat's SDK looks: what it is to send."""
    answer = await machine.look()
    assert answer.status_code == 200, answer.text
    told = answer.json()
    wanted = {name: told[name] for name in ("authinfo", "out_trade_no", "total_fee")}
    shown = await house.control("/control/face", {**wanted, "openid": openid})
    return {"value": shown["face_code"], "openid": shown["openid"], "out_trade_no": told["out_trade_no"]}


async def charged(house: House, bill: Bill, **over: Any) -> Any:
    """The cashier asks, the payer looks into the terminal: the attempt that was begun."""
    await waits(house, bill)
    machine = await terminal(house)
    answer = await machine.send(kind="FACE_CODE", **{**await looked(house, machine), **over})
    assert (answer.status_code, answer.json()) == (202, {"state": "taken"})
    return (await house.attempts(bill.visit))[-1]


async def swept(house: House, seconds: int, times: int = 1) -> None:
    """Time passes, and the sweeper looks."""
    for _ in range(times):
        house.clock.move(seconds=seconds)
        await flows.sweep(house.db, house.pay)


async def test_a_face_pays(faces: House) -> None:
    """For the order the terminal was told: taken, told to the HIS as FACE, in WeChat's bill; the books agree."""
    house = faces
    bill = await house.bill()
    await waits(house, bill)
    machine = await terminal(house)
    told = (await machine.look()).json()
    keys = house.town.keys
    assert (told["total_fee"], told["appid"], told["mch_id"]) == (bill.owed, keys.wechat.appid, keys.wechat_pay.mchid)
    assert (told["store_id"], told["expires_in"]) == ("HF01", 3600)
    answer = await machine.send(kind="FACE_CODE", **await looked(house, machine, DAUGHTER))
    assert answer.status_code == 202
    [made] = await house.attempts(bill.visit)
    assert (made.state, made.channel, made.actor) == ("paid", "FACE", house.counter.viewer)
    assert (made.out_trade_no, made.openid_sealed) == (told["out_trade_no"], None)
    [order] = house.town.pay.books.orders.values()
    assert (order.state, order.trade_type, order.payer, order.device) == ("SUCCESS", "FACEPAY", DAUGHTER, SCANNER)
    assert await house.count(CodeWait) == 0
    await house.settle()
    [settled] = house.town.his.books.settlements.values()
    assert [(p["way"], p["amount_fen"]) for p in settled["payments"]] == [("FACE", bill.owed)]
    await sound(house)


async def test_the_day_s_books_agree(faces: House) -> None:
    """A face pays, a line is taken back: the refund is an ordinary one; WeChat's bill, the HIS and we say the same."""
    house = faces
    books = await open_books(house)
    bill = await house.bill()
    await charged(house, bill)
    await house.settle()
    await books.taken_back(bill)
    [refund] = house.town.pay.books.refunds.values()
    assert (refund.status, refund.total) == ("SUCCESS", bill.owed)
    outcome = await books.morning_after()
    assert (outcome.diff_fen, outcome.open, outcome.lacking) == (0, 0, ())
    await house.behave({"on": "rows", "do": "missing"})
    assert (await books.compared()).diff_fen == bill.owed
    assert await books.short() == [("payment", "missing_at_provider", bill.owed, None, "no_row")]


async def test_a_password_comes_in_time(faces: House) -> None:
    """The payer types; the third look, on the line for faces, finds the money."""
    house = faces
    await house.behave({"on": "pay", "do": "userpaying", "seconds": 12})
    made = await charged(house, await house.bill())
    assert made.state == "offered"
    await swept(house, 5, 3)
    assert (await house.attempt(made.id)).state == "paid"
    await sound(house)


async def test_a_password_that_never_comes(faces: House) -> None:
    """Undone after thirty seconds with the merchant's certificate; the lines are payable again, a code then pays."""
    house = faces
    await house.behave({"on": "pay", "do": "userpaying"})
    bill = await house.bill()
    made = await charged(house, bill)
    await swept(house, 5, 5)
    assert (await house.attempt(made.id)).state == "offered"
    await swept(house, 6)
    ended = await house.attempt(made.id)
    assert (ended.state, ended.refusal) == ("closed", "TOO_LATE")
    assert [o.state for o in house.town.pay.books.orders.values()] == ["REVOKED"]
    assert await house.owed(bill.visit) == bill.owed
    await waits(house, bill)
    assert (await (await terminal(house)).send(await shown_code(house))).status_code == 202
    assert house.payments == 1
    await sound(house)


async def test_undoing_needs_more_than_one_try(faces: House) -> None:
    """WeChat wants to be asked again, then is silent: nothing is released before it has said so."""
    house = faces
    await house.behave(
        {"on": "pay", "do": "userpaying"},
        {"on": "face_reverse", "do": "recall"},
        {"on": "face_reverse", "do": "error_before"},
    )
    bill = await house.bill()
    made = await charged(house, bill)
    await swept(house, 31)
    for _ in range(2):
        assert (await house.attempt(made.id)).state == "closing"
        assert await house.owed(bill.visit) == 0
        await swept(house, 6)
    assert (await house.attempt(made.id)).state == "closed"
    await sound(house)


@pytest.mark.parametrize("do", ["error_after", "unsigned", "bad_signature"])
async def test_silence_after_the_money_was_taken(faces: House, do: str) -> None:
    """Not known, so asked under its number: one payment, nobody charged twice."""
    house = faces
    await house.behave({"on": "face", "do": do})
    bill = await house.bill()
    made = await charged(house, bill)
    assert made.state == "unknown"
    assert await house.owed(bill.visit) == 0
    await swept(house, 6)
    assert (await house.attempt(made.id)).state == "paid"
    assert house.payments == 1
    await sound(house)


async def test_declined(faces: House) -> None:
    """The bank says no: undone, said why, nothing taken, payable again."""
    house = faces
    await house.behave({"on": "pay", "do": "decline"})
    bill = await house.bill()
    made = await charged(house, bill)
    assert (made.state, made.refusal) == ("closed", "NOT_ENOUGH")
    assert await house.owed(bill.visit) == bill.owed
    await sound(house)


async def begun(house: House, bill: Bill) -> tuple[Any, dict[str, str]]:
    """The capture arrived and was written down; then the process died."""
    await waits(house, bill)
    face = await looked(house, await terminal(house))
    async with house.db.begin() as tx:
        known = await terminals.by_name(tx, SCANNER)
        assert known is not None
        capture = Capture(
            CaptureKind.FACE_CODE, face["value"], SCANNER, "", tx.now, face["openid"], face["out_trade_no"]
        )
        made = await codes.captured(tx, known, capture, house.till, faces=True)
        assert isinstance(made, tuple)
        return made[0], face


@pytest.mark.parametrize("taken", [True, False], ids=["taken", "not sent"])
async def test_a_crash(faces: House, taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has the code any more: looked up on the line for faces, and booked, or undone when its time is over."""
    house = faces
    bill = await house.bill()
    made, face = await begun(house, bill)
    assert house.pay.face is not None
    if taken:
        value, openid = face["value"], face["openid"]
        await house.pay.face.charge_face(
            FaceCharge(
                made.out_trade_no, made.amount_fen, made.description, value, openid, SCANNER, "127.0.0.1", made.attach
            )
        )

    async def wrong(*_: Any) -> None:
        raise AssertionError("a face's payment is not asked for on the line for codes")

    for name in ("query", "reverse", "close"):
        monkeypatch.setattr(type(house.pay), name, wrong)
    await swept(house, 6)
    assert (await house.attempt(made.id)).state == ("paid" if taken else "created")
    await swept(house, 30)
    assert (await house.attempt(made.id)).state == ("paid" if taken else "closed")
    assert house.payments == int(taken)
    assert await house.owed(bill.visit) == (0 if taken else bill.owed)
    await sound(house)


async def test_a_kiosk_s_face(faces: House) -> None:
    """The kiosk waits for itself; whoever stands there looks in."""
    house = faces
    bill = await house.bill()
    machine = await terminal(house, KIOSK)
    async with house.db.begin() as tx:
        known = await terminals.by_name(tx, KIOSK)
        assert known is not None
        actor, wanted = terminals.actor_of(known), codes.Wanted(bill.visit, str(new_id()), bill.owed)
        await codes.await_code(tx, actor, known.id, wanted)
    answer = await machine.send(kind="FACE_CODE", operator="", **await looked(house, machine))
    assert answer.status_code == 202
    [made] = await house.attempts(bill.visit)
    assert (made.state, made.channel, made.relation) == ("paid", "FACE", "kiosk")
    await sound(house)


@pytest.mark.parametrize(
    ("over", "status", "code"),
    [
        ({"out_trade_no": "HF20261122OTHER"}, 409, "capture_not_awaited"),
        ({"operator": "c.cash2"}, 409, "capture_not_awaited"),
        ({"secret": "guessed-secret"}, 401, "forged_capture"),
        ({"openid": "o P"}, 422, "bad_capture"),
    ],
)
async def test_what_is_not_taken(faces: House, over: dict[str, Any], status: int, code: str) -> None:
    """Looked at for another order, of another operator, forged, no openid: no money, no attempt."""
    house = faces
    bill = await house.bill()
    await waits(house, bill)
    machine = await terminal(house)
    answer = await machine.send(kind="FACE_CODE", **{**await looked(house, machine), **over})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert house.town.pay.books.orders == {}
    assert await house.attempts(bill.visit) == []


async def test_read_twice(faces: House) -> None:
    """The same face's code again: refused, one charge."""
    house = faces
    bill = await house.bill()
    await waits(house, bill)
    machine = await terminal(house)
    face = await looked(house, machine)
    assert (await machine.send(kind="FACE_CODE", **face)).status_code == 202
    again = await machine.send(kind="FACE_CODE", **face)
    assert (again.status_code, again.json()["code"]) == (409, "code_used")
    assert (house.payments, await house.count(CaptureSeen)) == (1, 1)


async def test_whose_face_it_says_is_checked_there(faces: House) -> None:
    """A code with somebody else's openid: WeChat refuses it, nothing is taken, the lines are payable again."""
    house = faces
    bill = await house.bill()
    made = await charged(house, bill, openid=DAUGHTER)
    assert (made.state, made.refusal) == ("closed", "INVALID_REQUEST")
    assert (house.payments, await house.owed(bill.visit)) == (0, bill.owed)


async def test_nobody_is_looked_at_for_nothing(faces: House) -> None:
    """Nobody waits, too late, forged, or WeChat is silent: the terminal gets no permission."""
    house = faces
    bill = await house.bill()
    machine = await terminal(house)
    assert (await machine.look()).json()["code"] == "capture_not_awaited"
    await waits(house, bill)
    assert (await machine.look(secret="guessed-secret")).status_code == 401
    assert (await machine.look("raw data")).status_code == 422
    await house.behave({"on": "face_terminal", "do": "error_before"})
    assert (await machine.look()).status_code == 503
    assert (await machine.look()).status_code == 200
    house.clock.shift += timedelta(minutes=3)
    assert (await machine.look()).json()["code"] == "capture_not_awaited"


async def test_a_hospital_without_faces(house: House) -> None:
    """Said to the terminal before anybody is looked at, and to the desk; a code sent all the same takes nothing."""
    house.faceless()
    bill = await house.bill()
    await waits(house, bill)
    machine = await terminal(house)
    asked = await machine.look()
    assert (asked.status_code, asked.json()["code"]) == (409, "face_not_here")
    sent = await machine.send("face-1", kind="FACE_CODE")
    assert (sent.status_code, sent.json()["code"]) == (409, "face_not_here")
    async with house.db.begin() as tx:
        wait = await codes.waits_of(tx, house.counter, bill.visit)
    assert wait is not None
    assert wait.said == "face_not_here"
    assert house.town.pay.books.orders == {}


async def test_the_face_s_code_is_kept_nowhere(faces: House) -> None:
    """Not in a table, not in an answer: neither the code nor whose it was."""
    house = faces
    bill = await house.bill()
    await waits(house, bill)
    machine = await terminal(house)
    face = await looked(house, machine, DAUGHTER)
    answer = await machine.send(kind="FACE_CODE", **face)
    assert face["value"] not in answer.text
    async with house.db.begin() as tx:
        names = await tx.session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        for name in names.all():
            where = text(f'SELECT count(*) FROM "{name}" AS t WHERE t::text LIKE :value')
            assert await tx.session.scalar(where, {"value": f"%{face['value']}%"}) == 0, name
