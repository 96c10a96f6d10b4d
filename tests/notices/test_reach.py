"""A fact is told to each person once, by the right channel in the right order, and only while it is true."""

import asyncio
from datetime import date, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from family_pay.rules import Relation
from family_pay.service import bonds, news
from houfu.pushes import House
from kernel.db import Tx
from kernel.outside import Rejected, Throttled, Unknown
from notices import flows
from notices.ports import Tell
from notices.rules.reach import Channel, Topic
from notices.service import append, lock, recording, telling
from notices.service.recording import Outcome
from people.events import WeChatMessageReported
from people.rules import Audience
from people.service import grants, hospitals, patients, sessions
from tests.notices.conftest import Reach
from tests.visits.ward import visit_row
from visits.rules import ResultState
from visits.service import encounters, orders
from visits.service.orders import Order


async def order(reach: Reach, tx: Tx, name: str) -> Order:
    found = await orders.order_by_id(tx, reach.ward.orders[name])
    assert found is not None
    return found


async def queue(reach: Reach, name: str, ahead: int, called: bool = False) -> None:
    """The queue before an order moves."""

    async def move(tx: Tx) -> None:
        await orders.queue_moved(tx, await order(reach, tx, name), ahead=ahead, called=called, room="1 号", at=tx.now)

    await reach.do(move)
    reach.ward.clock.move(timedelta(milliseconds=1))


async def result(reach: Reach, name: str) -> None:
    """The report of a performed order comes."""

    async def come(tx: Tx) -> None:
        one = await order(reach, tx, name)
        await orders.result_ready(tx, one, state=ResultState.FINAL, flag="abnormal", summary="白细胞偏高", at=tx.now)

    await reach.do(come)


async def end_visit(reach: Reach) -> None:
    """The day is over."""

    async def end(tx: Tx) -> None:
        await lock(tx, reach.ward.visit)
        visit = await visit_row(tx, reach.ward)
        await encounters.end(tx, await hospitals.by_id(tx, reach.ward.hospital), visit, tx.now)

    await reach.do(end)


async def test_her_turn_comes_by_wechat_and_once(reach: Reach) -> None:
    """Two before her: five seconds to see it herself, then one message, and it is not said again."""
    await queue(reach, "blood", 2)
    assert await reach.run(seconds=3) == 0
    await reach.run(seconds=3)
    await queue(reach, "blood", 1)
    await reach.run(seconds=30)
    assert reach.outside.kinds == [("wechat", "turn")]
    _, _, to, texts = reach.outside.log[0]
    assert to == "o-mother"
    assert "前面还有 2 位" in " ".join(texts)
    assert reach.outside.links == [f"https://houfu.test/visits/{reach.ward.visit}/guide"]
    # Nobody else hears of it: the daughter pays, the neighbour watches, and neither stands at the door.
    assert await reach.rows("SELECT count(*) FROM notice WHERE kind = 'turn'") == [(1,)]


async def test_what_is_no_longer_true_is_dropped(reach: Reach) -> None:
    """She is called before the message about her turn went out: only the newer one goes, and it is urgent."""
    await queue(reach, "blood", 1)
    await queue(reach, "blood", 0, called=True)
    await reach.run(seconds=10)
    assert reach.outside.kinds == [("wechat", "called")]
    assert sorted(await reach.rows("SELECT kind, state FROM notice WHERE kind IN ('turn', 'called')")) == [
        ("called", "spent"),
        ("turn", "dropped"),
    ]


async def test_charges_within_two_minutes_are_one_message(reach: Reach) -> None:
    """Two departments confirm within two minutes, a third later: two messages, each with its sum, each charge once."""
    await reach.ward.perform("blood")
    await reach.run(seconds=90)
    await reach.ward.perform("ecg")
    await reach.run(seconds=31)
    mine = [texts for _, kind, to, texts in reach.outside.log if kind == "bill" and to == "o-mother"]
    assert len(mine) == 1
    assert "¥148.00" in mine[0]
    reach.outside.clear()
    await reach.ward.perform("gyn")
    await reach.run(minutes=2, seconds=1)
    assert [(to, "¥50.00" in texts) for _, kind, to, texts in reach.outside.log if kind == "bill"] == [
        ("o-mother", True)
    ]


async def test_the_last_charge_of_the_two_minutes_is_in_the_message(reach: Reach) -> None:
    """It would still wait for others to be looked at with, but the message is leaving: one message, both charges."""
    await reach.ward.perform("blood")
    await reach.run(seconds=115)
    await reach.ward.perform("ecg")
    await reach.run(seconds=5)
    assert ["¥148.00" in texts for _, kind, to, texts in reach.outside.log if (kind, to) == ("bill", "o-mother")] == [
        True
    ]
    await reach.run(minutes=5)
    assert len([1 for _, kind, to, _ in reach.outside.log if (kind, to) == ("bill", "o-mother")]) == 1


async def test_a_mornings_charges_are_looked_at_together(reach: Reach) -> None:
    """Two charges wait for each other; whom to tell is asked once. Seen meanwhile, nobody is told of them."""
    await reach.ward.perform("blood")
    await reach.ward.perform("ecg")
    assert await reach.do(lambda tx: telling.expand(tx, reach.truth)) == 1  # where next, which waits for nothing
    await reach.do(lambda tx: telling.seen(tx, reach.person("mother"), reach.ward.visit))
    reach.ward.clock.move(timedelta(seconds=91))
    assert await reach.do(lambda tx: telling.expand(tx, reach.truth)) == 1
    assert await reach.rows("SELECT count(*) FROM push_fact") == [(0,)]
    await reach.run(minutes=1)
    assert [to for _, kind, to, _ in reach.outside.log if kind == "bill"] == ["o-daughter"]


async def test_a_charge_that_comes_back_is_not_told_again(reach: Reach) -> None:
    """Disputed, and the hospital was right: the line is owed again, and she has been told of it before."""
    await reach.ward.perform("blood")
    await reach.ward.perform("ecg")
    await reach.run(minutes=2, seconds=1)
    again = {"line": {"id": str(reach.ward.charges["ecg"]), "state": "billable", "pay_first": False}, "sums": {}}
    await reach.do(lambda tx: append(tx, reach.ward.visit, "bill.line", again, audience=Audience.BILL))
    await reach.run(minutes=3)
    assert sorted(to for _, kind, to, _ in reach.outside.log if kind == "bill") == ["o-daughter", "o-mother"]


async def test_a_hidden_charge_neither_opens_nor_shuts_the_two_minutes(reach: Reach) -> None:
    """Non-interference: the daughter's message about the ECG comes at the very moment and in the very words it would
    come if her mother had not been in the department that is closed to her."""
    await reach.ward.perform("gyn")
    reach.ward.clock.move(timedelta(seconds=100))
    await reach.ward.perform("ecg")
    await reach.run(seconds=119)
    assert [to for _, kind, to, _ in reach.outside.log if kind == "bill"] == ["o-mother"]
    await reach.run(seconds=1)
    hers = [texts for _, kind, to, texts in reach.outside.log if kind == "bill" and to == "o-daughter"]
    assert len(hers) == 1
    assert "¥22.00" in hers[0]
    assert not any("72.00" in text or "50.00" in text for text in hers[0])


async def test_seen_in_the_house_it_is_sent_nowhere(reach: Reach) -> None:
    """A page of the visit seen, or its stream open on the phone, is reading; no channel is tried."""
    await queue(reach, "blood", 2)
    await flows.run_due(reach.ward.world.db, reach.truth, reach.lines)
    await reach.do(lambda tx: telling.seen(tx, reach.person("mother"), reach.ward.visit))
    await reach.run(seconds=10)
    watching = [(reach.person("mother"), reach.ward.visit)]
    await queue(reach, "blood", 0, called=True)
    await reach.do(lambda tx: telling.present(tx, watching))
    await reach.run(seconds=5)
    assert reach.outside.log == []
    assert await reach.rows("SELECT state FROM notice WHERE kind IN ('turn', 'called')") == [("read",)] * 2
    await queue(reach, "ecg", 1)  # and the phone has just gone into the pocket
    await reach.run(seconds=6)
    assert reach.outside.kinds == [("wechat", "turn")]


async def test_the_next_channel_when_one_says_no(reach: Reach) -> None:
    """She does not follow the account: Web Push; that browser is gone: it is dropped, and no SMS for a bill."""
    await reach.ring("mother")
    await reach.ring("mother", "gone")
    reach.outside.broken["wechat"] = Rejected("43004")
    await queue(reach, "blood", 1)
    await reach.run(seconds=6)
    assert [c for c, _ in reach.outside.kinds] == ["web_push"]
    assert "gone" not in str(reach.outside.log)
    assert await reach.rows("SELECT count(*) FROM push_subscription") == [(1,)]
    assert sorted(await reach.rows("SELECT channel, state, trouble FROM delivery")) == [
        ("web_push", "sent", None),
        ("wechat", "failed", "43004"),
    ]


async def test_a_receipt_that_says_no_leads_to_the_next_channel(reach: Reach) -> None:
    """WeChat took it and the person had blocked us: TEMPLATESENDJOBFINISH says so, and the browser is rung."""
    await reach.ring("mother")
    await queue(reach, "blood", 1)
    await reach.run(seconds=6)
    (number,) = (await reach.rows("SELECT number FROM delivery"))[0]
    await reach.do(lambda tx: tx.emit(WeChatMessageReported("wx", number, "failed:user block")))
    await reach.run(seconds=2)
    assert [c for c, _ in reach.outside.kinds] == ["wechat", "web_push"]
    # Said again, or said otherwise later, it changes nothing.
    assert await reach.do(lambda tx: recording.record_wechat_job(tx, number, "success"))
    assert await reach.rows("SELECT state FROM delivery WHERE channel = 'wechat'") == [("failed",)]


async def test_a_receipt_may_overtake_our_own_record(reach: Reach) -> None:
    """WeChat's receipt arrives before we have written down the message's number: it is kept, and used then."""
    await queue(reach, "blood", 1)
    reach.ward.clock.move(timedelta(seconds=6))
    db = reach.ward.world.db
    await reach.do(lambda tx: telling.expand(tx, reach.truth))
    (call,) = await reach.do(lambda tx: telling.claim(tx, reach.truth, reach.lines))
    assert not await reach.do(lambda tx: recording.record_wechat_job(tx, f"wechat-{call.client_id}", "success"))
    await flows.deliver(db, reach.lines, call)
    assert await reach.rows("SELECT state FROM delivery") == [("delivered",)]
    assert await reach.rows("SELECT count(*) FROM early_receipt") == [(0,)]


async def test_sms_only_if_unread_for_a_while(reach: Reach) -> None:
    """The bill is due tomorrow: WeChat ten minutes after the end, SMS four hours later unless she has looked."""
    await reach.ward.perform("ecg")
    await end_visit(reach)
    await reach.run(minutes=11)
    await reach.run(hours=3)
    assert [(c, to) for c, kind, to, _ in reach.outside.log if kind == "due"] == [
        ("wechat", "o-daughter"),
        ("wechat", "o-mother"),
    ] or sorted(to for c, kind, to, _ in reach.outside.log if kind == "due") == ["o-daughter", "o-mother"]
    await reach.do(lambda tx: telling.seen(tx, reach.person("daughter"), reach.ward.visit))
    await reach.run(hours=1)
    due = [(c, to, texts) for c, kind, to, texts in reach.outside.log if kind == "due" and c == "sms"]
    assert [(to, texts[2], texts[3]) for _, to, texts in due] == [("19900000001", "¥11.00", "明天 11:00")]


async def test_a_bill_that_was_paid_is_not_asked_for(reach: Reach) -> None:
    """Nothing is owed when the ten minutes are over: nobody is told to pay."""
    await end_visit(reach)
    await reach.run(hours=5)
    assert "due" not in [kind for _, kind in reach.outside.kinds]


async def test_quiet_hours_hold_back_what_can_wait(reach: Reach) -> None:
    """21:40: a result waits for seven in the morning, her turn does not."""
    await reach.ward.perform("blood")
    await reach.run(hours=10, minutes=40)
    reach.outside.clear()
    await result(reach, "blood")
    await queue(reach, "ecg", 1)
    await reach.run(minutes=1)
    assert reach.outside.kinds == [("wechat", "turn")]
    await reach.run(hours=9, minutes=18)
    assert reach.outside.kinds == [("wechat", "turn")]
    await reach.run(minutes=2)
    assert reach.outside.kinds == [("wechat", "turn"), ("wechat", "abnormal")]


async def test_a_person_chooses_what_and_where(reach: Reach) -> None:
    """No news of the bill, nothing in WeChat: her turn and where next come to the browser, the charge nowhere."""
    await reach.ring("mother")
    await reach.wish("mother", off_topics=frozenset({Topic.BILL}), off_channels=frozenset({Channel.WECHAT}))
    await queue(reach, "blood", 1)
    await reach.ward.perform("ecg")
    await reach.run(minutes=3)
    assert [(c, kind) for c, kind, to, _ in reach.outside.log if "mother" in to] == [
        ("web_push", "滨海市第一人民医院 快到您了"),
        ("web_push", "滨海市第一人民医院 做完了，去下一处"),
    ]
    # A login that has ended rings no more.
    await reach.do(lambda tx: sessions.end(tx, reach.ward.tokens["mother"]))
    await queue(reach, "gyn", 1)
    await reach.run(minutes=1)
    assert len([1 for _, _, to, _ in reach.outside.log if "mother" in to]) == 2


async def test_a_basic_phone_is_guided_by_text(reach: Reach) -> None:
    """She has no smartphone: her turn comes by SMS at once, with digits she can have checked; the bill does not."""
    await reach.wish("mother", basic=True)
    await queue(reach, "blood", 1)
    await reach.ward.perform("ecg")
    await reach.run(minutes=3)
    hers = [(c, kind) for c, kind, to, _ in reach.outside.log if to in ("19900000001", "o-mother")]
    assert hers == [("sms", "turn"), ("sms", "next"), ("wechat", "bill")]
    code = next(texts[-1] for c, _, _, texts in reach.outside.log if c == "sms")
    assert len(code) == 4
    assert code.isdigit()


async def test_a_closed_result_rings_nobody(reach: Reach) -> None:
    """A gynaecological result: the mother hears of it; the neighbour, the daughter and every count of theirs do not."""
    await reach.ward.perform("gyn")
    await reach.run(minutes=3)
    reach.outside.clear()
    await result(reach, "gyn")
    await reach.run(minutes=1)
    assert [(kind, to) for _, kind, to, _ in reach.outside.log] == [("abnormal", "o-mother")]
    assert await reach.rows("SELECT count(*) FROM notice WHERE kind = 'abnormal'") == [(1,)]


async def test_a_grant_withdrawn_before_it_leaves_leaves_nothing(reach: Reach) -> None:
    """The mother withdraws between the fact and the message: the daughter's is dropped, not sent."""
    await reach.ward.perform("ecg")
    await flows.run_due(reach.ward.world.db, reach.truth, reach.lines)

    async def withdraw(tx: Tx) -> None:
        await grants.end_all(tx, await grants.of_relative(tx, reach.person("daughter")))

    await reach.do(withdraw)
    await reach.run(minutes=3)
    assert [to for _, kind, to, _ in reach.outside.log if kind == "bill"] == ["o-mother"]


async def test_killed_between_call_and_record_wechat_shows_it_once(reach: Reach) -> None:
    """Taken by WeChat, then kill -9: a minute later the same id goes again, which WeChat shows once; and it is sent."""
    await queue(reach, "blood", 1)
    reach.ward.clock.move(timedelta(seconds=6))
    await reach.do(lambda tx: telling.expand(tx, reach.truth))
    (call,) = await reach.do(lambda tx: telling.claim(tx, reach.truth, reach.lines))
    await flows._try(reach.lines, call)  # and then nothing more of this process
    assert await reach.run(seconds=50) == 0
    await reach.run(seconds=11)
    assert reach.outside.kinds == [("wechat", "turn")]
    assert await reach.rows("SELECT state, tries FROM delivery") == [("sent", 2)]


async def test_killed_between_call_and_record_a_text_is_never_sent_twice(reach: Reach) -> None:
    """The gateway took it, then kill -9: we ask the gateway by our own id, and learn that it arrived."""
    await reach.wish("mother", basic=True)
    await queue(reach, "blood", 1)
    reach.ward.clock.move(timedelta(seconds=6))
    await reach.do(lambda tx: telling.expand(tx, reach.truth))
    (call,) = await reach.do(lambda tx: telling.claim(tx, reach.truth, reach.lines))
    await flows._try(reach.lines, call)
    await reach.run(minutes=2)
    assert await reach.rows("SELECT state FROM delivery") == [("unknown",)]
    await flows.ask_due(reach.ward.world.db, reach.lines)
    await reach.run(hours=1)
    assert reach.outside.kinds == [("sms", "turn")]
    assert await reach.rows("SELECT state FROM delivery") == [("delivered",)]


async def test_a_text_nobody_can_find_stays_unknown(reach: Reach) -> None:
    """Killed before the call: the gateway knows nothing of it, ever. It is not sent again: better once too few."""
    await reach.wish("mother", basic=True)
    await queue(reach, "blood", 1)
    reach.ward.clock.move(timedelta(seconds=6))
    await reach.do(lambda tx: telling.expand(tx, reach.truth))
    await reach.do(lambda tx: telling.claim(tx, reach.truth, reach.lines))
    for _ in range(6):
        await reach.run(hours=2)
        await flows.ask_due(reach.ward.world.db, reach.lines)
    assert reach.outside.log == []
    assert await reach.rows("SELECT state, ask_at FROM delivery") in ([("unknown", None)], [("sending", None)])


async def test_unknown_at_wechat_beyond_ten_minutes_is_not_repeated(reach: Reach) -> None:
    """WeChat answers nothing for long: within nine minutes the same id is tried again, afterwards no more."""
    reach.outside.broken["wechat"] = Unknown("timeout")
    await result_of_blood(reach)
    for _ in range(12):
        await reach.run(minutes=1)
    tries = (await reach.rows("SELECT tries, state FROM delivery"))[0]
    assert tries[1] == "unknown"
    assert 2 <= tries[0] <= 6
    del reach.outside.broken["wechat"]
    await reach.run(minutes=30)
    assert (await reach.rows("SELECT tries FROM delivery"))[0] == (tries[0],)
    assert reach.outside.log == []


async def result_of_blood(reach: Reach) -> None:
    """A result, after what came before it has been told."""
    await reach.wish("mother", off_topics=frozenset({Topic.BILL}))
    await reach.wish("daughter", off_topics=frozenset({Topic.BILL}))
    await reach.ward.perform("blood")
    await result(reach, "blood")


async def test_a_subscription_notice_is_never_repeated(reach: Reach) -> None:
    """A kind that WeChat would show twice (no client_msg_id): unknown stays unknown, the next channel is not tried."""
    reach.outside.once = False
    reach.outside.broken["wechat"], reach.outside.taken_all_the_same = Unknown("timeout"), True
    await queue(reach, "blood", 1)
    for _ in range(4):
        await reach.run(minutes=2)
    assert reach.outside.kinds == [("wechat", "turn")]
    assert await reach.rows("SELECT state, tries FROM delivery") == [("unknown", 1)]


async def test_put_off_and_tried_again(reach: Reach) -> None:
    """The daily limit of WeChat: it certainly did not go, so it is tried again after a pause."""
    reach.outside.broken["wechat"] = Throttled("45009")
    await queue(reach, "blood", 1)
    await reach.run(seconds=6)
    assert await reach.rows("SELECT state, tries FROM delivery") == [("queued", 1)]
    del reach.outside.broken["wechat"]
    assert await reach.run(seconds=5) == 0
    await reach.run(seconds=6)
    assert reach.outside.kinds == [("wechat", "turn")]


async def test_many_hands_send_it_once(reach: Reach) -> None:
    """Six workers sweep at the same moment: every message goes once, every person has one notice of each fact."""
    await queue(reach, "blood", 1)
    await reach.ward.perform("ecg")
    reach.ward.clock.move(timedelta(minutes=3))
    db = reach.ward.world.db
    for _ in range(3):
        await asyncio.gather(*(flows.run_due(db, House(), reach.lines) for _ in range(6)))
    assert sorted((kind, to) for _, kind, to, _ in reach.outside.log) == [
        ("bill", "o-daughter"),
        ("bill", "o-mother"),
        ("next", "o-mother"),
        ("turn", "o-mother"),
    ]


async def test_a_slow_answer_after_somebody_else_took_over(reach: Reach) -> None:
    """Our call outlives its lease and somebody repeats it: whichever record comes second changes nothing."""
    await queue(reach, "blood", 1)
    reach.ward.clock.move(timedelta(seconds=6))
    await reach.do(lambda tx: telling.expand(tx, reach.truth))
    (call,) = await reach.do(lambda tx: telling.claim(tx, reach.truth, reach.lines))
    await reach.run(seconds=61)
    late = Outcome(recording.D.FAILED, trouble="late")
    await reach.do(lambda tx: recording.record(tx, call.notice_id, Channel.WECHAT, late))
    assert await reach.rows("SELECT state, trouble FROM delivery") == [("sent", None)]


async def test_one_that_cannot_be_told_keeps_nobody_waiting(reach: Reach, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip of ours makes one fact and one notice raise: the others are told, these are tried again, later told."""
    still, readers = House.still, House.readers
    poison = str(reach.ward.orders["blood"])

    def broken(method: Any) -> Any:
        async def call(self: House, tx: Tx, tell: Tell, *rest: Any) -> Any:
            if poison in tell.refs:
                await tx.session.execute(text("SELECT 1/0"))
            return await method(self, tx, tell, *rest)

        return call

    monkeypatch.setattr(House, "readers", broken(readers))
    await queue(reach, "blood", 1)
    await queue(reach, "ecg", 1)
    with capture_logs() as logged:
        await reach.run(seconds=6)
        assert len(reach.outside.log) == 1
        monkeypatch.setattr(House, "readers", readers)
        monkeypatch.setattr(House, "still", broken(still))
        await reach.run(seconds=6)
        assert len(reach.outside.log) == 1
    assert {entry["event"] for entry in logged} == {"push_fact", "notice"}
    monkeypatch.setattr(House, "still", still)
    await reach.run(minutes=5)
    assert reach.outside.kinds == [("wechat", "turn")] * 2


async def test_the_test_message(reach: Reach) -> None:
    """She presses the button on the settings page: it comes at once, at night too, whatever she switched off."""
    await reach.wish("mother", off_topics=frozenset(Topic), quiet_from=0, quiet_to=1439)
    await reach.do(lambda tx: telling.try_out(tx, reach.person("mother")))
    await reach.run()
    assert reach.outside.kinds == [("wechat", "test")]


async def test_a_childs_news_goes_to_the_guardian(reach: Reach) -> None:
    """Seven years old: nothing goes to the child's own number, which is the mother's; the guardian is told of whom."""

    async def born(tx: Tx, day: date) -> None:
        (await patients.by_id(tx, reach.person("mother"))).birth_date = day

    await reach.do(partial(born, day=date(2019, 5, 1)))
    clerk, child, guardian = reach.ward.actors["c.cash"], reach.person("mother"), reach.person("stranger")
    await reach.do(lambda tx: bonds.set_guardian(tx, clerk, child, guardian, Relation.PARENT))
    await reach.wish("stranger", basic=True)
    await queue(reach, "blood", 1)
    await reach.run(seconds=6)
    await reach.do(partial(born, day=date(1955, 3, 8)))
    assert [(c, to, texts[1]) for c, kind, to, texts in reach.outside.log if kind == "turn"] == [
        ("sms", "19900000009", "朱**")
    ]


async def test_a_request_to_pay(reach: Reach) -> None:
    """The daughter is asked to pay: at once, at night too, by SMS after half an hour; paid meanwhile, it is dropped."""
    await reach.wish("daughter", quiet_from=0, quiet_to=1439)
    ask = {"what": "to_pay", "visit": str(reach.ward.visit), "amount_fen": 1100, "relation": "daughter", "who": "朱**"}
    await reach.do(lambda tx: news.tell(tx, {reach.person("daughter"): {"family": ask}}))
    await reach.run(seconds=11)
    assert reach.outside.log == []  # nothing is owed
    await reach.ward.perform("ecg")
    await reach.do(lambda tx: news.tell(tx, {reach.person("daughter"): {"family": ask}}))
    await reach.run(seconds=11)
    await reach.run(minutes=30)
    told = [
        (c, to, "朱**请您付 ¥11.00。点开看清楚再付。" in texts)
        for c, kind, to, texts in reach.outside.log
        if kind == "asked"
    ]
    assert told == [("wechat", "o-daughter", True), ("sms", "19900000002", False)]
    assert reach.outside.links[0] == f"https://houfu.test/visits/{reach.ward.visit}/bill"


@pytest.mark.parametrize("who", ["mother", "daughter"])
async def test_binding_and_its_end(reach: Reach, who: str) -> None:
    """The end of a binding is told to both, with masked names; the binding itself, ended within a minute, to nobody."""
    others = {"mother": "陈*", "daughter": "朱**"}

    async def end(tx: Tx) -> UUID:
        (first, *_) = await grants.of_relative(tx, reach.person("daughter"))
        await bonds.withdraw(tx, reach.ward.actors["mother"], first.bond)
        return first.bond

    await reach.do(end)
    await reach.run(minutes=2)
    hers = [texts for _, kind, to, texts in reach.outside.log if kind == "ended" and to == f"o-{who}"]
    assert len(hers) == 1
    assert others[who] in hers[0]
