"""The HIS's own list of what it booked in a day, asked by our client over real loopback HTTP."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from adapters.his import HisAccess, HisClient
from kernel.clock import wall_clock
from kernel.outside import Rejected, Unknown
from sandbox.his import cashbook
from sandbox.his.books import Books
from sandbox.his.server import His, create_app
from sandbox.his.wire import Key
from visits.ports import HisCommand, HisSettlement

OUT = Key("out-1", "outbound-secret")
DAY = date(2026, 11, 22)
BEFORE_MIDNIGHT = datetime(2026, 11, 22, 15, 59, 30, tzinfo=UTC)  # 23:59:30 in China


class Clock:
    """The hospital's clock."""

    at = BEFORE_MIDNIGHT

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def his(clock: Clock) -> AsyncIterator[His]:
    made = His("http://127.0.0.1:9", Key("in-1", "inbound-secret"), [OUT], now=clock, signing_now=wall_clock)
    # Her personal account is empty, so that every line leaves something to pay.
    made.books.account_used["P0000001"] = made.catalogue.patients["P0000001"].account_fen
    yield made
    await made.close()


@pytest.fixture
async def client(his: His, serving: Any) -> AsyncIterator[HisClient]:
    async with (
        serving(create_app(his, send=False)) as url,
        HisClient(HisAccess(url, OUT.id, OUT.secret), wall_clock, answer_seconds=2) as made,
    ):
        yield made


async def settle(his: His, client: HisClient, number: str) -> tuple[str, int]:
    """A urine test is done and its payment told to the HIS; returns the charge and its amount."""
    no = his.clinic.register(his.catalogue.by_key["mother"], "CARD")
    order = his.clinic.order(no, "URINE")
    his.clinic.confirm(order)
    enc = his.books.encounters[no]
    (charge,) = his.books.charges_of(enc, order)
    fen = enc.charges[charge]["split"]["self_fen"]
    data = {"charges": [{"charge_no": charge, "self_fen": fen}], "total_fen": fen}
    paid = {"way": "JSAPI", "transaction": f"42{number}", "amount_fen": fen, "paid_at": "2026-11-22T10:00:00Z"}
    told = {"settlement_no": number, "payments": [paid], "insurance": []}
    (answer,) = await client.send([HisCommand(f"settle:{number}", "settle", [no], his.now(), data | told)])
    assert answer is not None
    assert answer.outcome == "done"
    return charge, fen


async def give_back(his: His, client: HisClient, number: str, charge: str, fen: int) -> None:
    """The payment goes back, and the HIS is told."""
    no = his.books.encounter(charge).no
    data = {"refund_no": f"R{number}", "settlement_no": number, "total_fen": fen}
    lines = [{"charge_no": charge, "self_fen": fen}]
    one = HisCommand(f"refund:R{number}", "refund", [no], his.now(), data | {"charges": lines})
    (answer,) = await client.send([one])
    assert answer is not None
    assert answer.outcome == "done"


async def test_a_day_is_what_was_booked_between_two_midnights_in_china(
    his: His, client: HisClient, clock: Clock
) -> None:
    """Booked at 23:59:30 and taken back at 00:00:10: one line a day, each whole, and nothing the day after."""
    charge, fen = await settle(his, client, "HF1")
    clock.at += timedelta(seconds=40)
    await give_back(his, client, "HF1", charge, fen)
    (first,) = await client.settlements(DAY)
    expected = HisSettlement("settle", "HF1", "HF1", ("42HF1",), fen, {charge: fen}, BEFORE_MIDNIGHT, {})
    assert first == expected
    (second,) = await client.settlements(DAY + timedelta(days=1))
    assert (second.kind, second.number, second.settlement_no, second.total_fen) == ("refund", "RHF1", "HF1", fen)
    assert second.booked_at == clock.at
    assert await client.settlements(DAY + timedelta(days=2)) == []


async def test_what_the_insurance_bears(his: His, client: HisClient) -> None:
    """By the insurance's number, its four parts; a list that is silent about it is not one that says none."""
    await settle(his, client, "HF1")
    parts = {"fund_fen": 3, "account_fen": 2, "mutual_aid_fen": 1, "other_fen": 0, "cash_fen": 5}
    his.books.settlements["HF1"]["insurance"] = [{"encounter": "E", "number": "ORD1"} | parts]
    (one,) = await client.settlements(DAY)
    assert one.insurance == {"ORD1": (3, 2, 0, 5)}
    his.behaviour.be("row_uninsured")
    (one,) = await client.settlements(DAY)
    assert one.insurance is None


async def test_a_long_list_comes_in_pages(his: His, client: HisClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Five bookings, two a page: all five come, once each, in the order booked."""
    whole = cashbook.page
    monkeypatch.setattr(cashbook, "page", lambda lines, after: whole(lines, after, 2))
    for n in range(5):
        await settle(his, client, f"HF{n}")
    assert [s.number for s in await client.settlements(DAY)] == [f"HF{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("fault", "numbers", "off"),
    [
        ("row_missing", ["HF2"], 0),
        ("row_extra", ["HF1", "HF2", "HF0000EXTRA"], 1234),
        ("row_differing", ["HF1", "HF2"], 1),
    ],
)
async def test_the_list_can_be_wrong(his: His, client: HisClient, fault: str, numbers: list[str], off: int) -> None:
    """One line is missing, one too many, or one fen more; the books themselves are as they were."""
    total = 0
    for n in ("HF1", "HF2"):
        _, fen = await settle(his, client, n)
        total += fen
    his.behaviour.be(fault, kinds=(str(DAY),))
    assert await client.settlements(DAY + timedelta(days=1)) == [], "the fault waits for its day"
    wrong = await client.settlements(DAY)
    assert [s.number for s in wrong] == numbers
    if off:
        assert sum(s.total_fen for s in wrong) == total + off
    assert [s.number for s in await client.settlements(DAY)] == ["HF1", "HF2"]


async def test_a_system_without_the_list_says_so(his: His, client: HisClient) -> None:
    """404 is a definite no; a fault on the way is not."""
    his.behaviour.be("no_list")
    with pytest.raises(Rejected) as caught:
        await client.settlements(DAY)
    assert caught.value.reason == "no_settlement_list"
    his.behaviour.be("down")
    with pytest.raises(Unknown):
        await client.settlements(DAY)


@pytest.mark.parametrize(
    "over",
    [
        {"kind": "gift"},
        {"total_fen": 1.5},
        {"total_fen": -1},
        {"booked_at": "2026-11-22T10:00:00"},
        {"booked_at": "2026-11-22T17:00:00Z"},
        {"next": "1"},
    ],
)
async def test_a_list_outside_the_contract_is_not_believed(serving: Any, over: dict[str, Any]) -> None:
    """Another kind, a broken amount, a time without a zone, another day, a list without an end."""
    line = {"kind": "settle", "number": "a", "settlement_no": "a", "total_fen": 1, "booked_at": "2026-11-22T10:00:00Z"}
    said = {"items": [line | over]} | ({"next": "1"} if "next" in over else {})

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(said).encode()})

    async with serving(app) as url, HisClient(HisAccess(url, OUT.id, OUT.secret), wall_clock) as client:
        with pytest.raises(Unknown):
            await client.settlements(DAY)


async def test_the_books_survive_a_restart(his: His, client: HisClient, clock: Clock, tmp_path: Any) -> None:
    """When something was booked is in the journal, too."""
    journal = tmp_path / "his.jsonl"
    his.books._journal = journal.open("w", encoding="utf-8")
    await settle(his, client, "HF1")
    lines = cashbook.listed(his.books, DAY)
    again = Books(his.books.hospital, clock, journal)
    assert cashbook.listed(again, DAY) == lines != []
    again.close()
