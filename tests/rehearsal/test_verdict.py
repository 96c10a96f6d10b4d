"""The judge of the rehearsal sees every sort of wrong, and a real rehearsal of the real product is right."""

import copy
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from houfu import rehearse
from houfu.cli import app
from kernel.settings import Settings, SettingsError
from sandbox.his import cashbook, catalogue
from sandbox.his.books import Books
from sandbox.his.clinic import Clinic
from sandbox.rehearsal.desk import Movement
from sandbox.rehearsal.drawers import judge_drawers
from sandbox.rehearsal.elder import Elder
from sandbox.rehearsal.family import HOMES, LEAVES, WARD, Families, Relative
from sandbox.rehearsal.house import House
from sandbox.rehearsal.insurer import judge_insurance
from sandbox.rehearsal.judge import Judge, badly_answered, on_its_way
from sandbox.rehearsal.money import judge_money
from sandbox.rehearsal.news import Heard, Truth, leaks
from sandbox.rehearsal.phones import Following, Screen, Sees, Shut
from sandbox.rehearsal.play import Rehearsal, Say
from sandbox.rehearsal.reconcile import judge_books
from sandbox.rehearsal.verdict import Verdict, bill_mismatch
from sandbox.rehearsal.ways import FIRST, WAYS, Ways
from tests.hatchery import Hatchery
from tests.rehearsal.keyed import KEYS, Keyed

Json = dict[str, Any]


def a_day() -> tuple[Books, str]:
    """A visit with a done, an ordered, a cancelled and a reversed line."""
    shelves = catalogue.load()
    books = Books(shelves.code, lambda: datetime(2026, 11, 22, 1, tzinfo=UTC))
    clinic = Clinic(books, shelves)
    patient = next(p for p in shelves.patients.values() if p.status == "normal")
    no = clinic.register(patient, "CARD")
    clinic.confirm(clinic.order(no, "REG"))
    clinic.order(no, "CONS")
    clinic.cancel(clinic.order(no, "CONS2"), "医生取消")
    books.encounters[no].mode = "DEFERRED"  # as Houfu told the hospital
    return books, no


def page_of(books: Books, no: str) -> Json:
    """What Houfu must show of it."""
    bill, charges = books.right_bill(no), books.encounters[no].charges
    piles = {"done": bill.payable, "ordered": bill.planned, "cancelled": bill.gone}
    states = {"done": "billable", "ordered": "planned", "cancelled": "aborted"}
    lines = [
        {"id": c, "pile": pile, "state": states[pile], "name": charges[c]["name"], "amount_fen": fen}
        for pile, part in piles.items()
        for c, fen in part.items()
    ]
    split = [charges[c]["split"] for c in bill.payable]
    sums = {name: sum(one[name] for one in split) for name in ("fund_fen", "account_fen", "self_fen")}
    sums |= {"done_fen": bill.total_fen, "planned_fen": sum(bill.planned.values()), "paid_fen": 0}
    return {
        "visit": {"mode": "DEFERRED"},
        "lines": lines,
        "sums": sums | {"payable_fen": sums["self_fen"]},
        "round": None,
    }


def off(books: Books, no: str, page: Json, settled: frozenset[str] = frozenset()) -> int:
    """By how many fen the judge finds a page wrong."""
    return bill_mismatch(books, [books.right_bill(no)], [page], set(settled))[0]


def test_a_right_bill_is_right() -> None:
    """Line for line and sum for sum: nothing is off."""
    books, no = a_day()
    page = page_of(books, no)
    assert {line["pile"] for line in page["lines"]} == {"done", "ordered", "cancelled"}
    assert off(books, no, page) == 0


def test_every_wrong_bill_is_seen() -> None:
    """A confirm that got lost, a cancel that did, a fen too much, a line doubled or gone, a sum that does not fit."""
    books, no = a_day()
    right = page_of(books, no)
    done = next(n for n, line in enumerate(right["lines"]) if line["pile"] == "done")
    cancelled = next(n for n, line in enumerate(right["lines"]) if line["pile"] == "cancelled")
    wrongs: list[Json] = [copy.deepcopy(right) for _ in range(6)]
    wrongs[0]["lines"][done] |= {"pile": "ordered", "state": "planned"}
    wrongs[1]["lines"][cancelled] |= {"pile": "ordered", "state": "planned"}
    wrongs[2]["lines"][done]["amount_fen"] += 1
    wrongs[3]["lines"].append(dict(right["lines"][done]))
    del wrongs[4]["lines"][done]
    wrongs[5]["sums"]["payable_fen"] += 1
    assert all(off(books, no, page) > 0 for page in wrongs)
    assert off(books, no, wrongs[5]) == 1
    assert off(books, no, right, frozenset(books.right_bill(no).payable)) > 0  # paid there, still owed here


@pytest.mark.parametrize(
    "wrong",
    [
        "pushes_lost",
        "pushes_doubled",
        "bill_mismatch_fen",
        "ledger_imbalance_fen",
        "reconcile_difference_fen",
        "insurance_mismatch_fen",
        "drawer_mismatch_fen",
        "payments_doubled",
        "his_mismatch",
        "leaks",
        "families_wrong",
    ],
)
def test_one_wrong_is_enough(wrong: str) -> None:
    """Everything else right: the verdict is no all the same."""
    good = Verdict(visits=1, events_sent=9, pushes_expected=3, pushes_seen=3)
    assert good.ok
    judged = copy.deepcopy(good)
    setattr(judged, wrong, 1)
    assert (judged.ok, json.loads(judged.json())["ok"]) == (False, False)


def test_nothing_played_is_not_right() -> None:
    """No visit, no event or no push at all proves nothing."""
    assert not Verdict().ok
    assert not Verdict(visits=1, events_sent=9).ok


def test_a_screen_that_missed_a_row_differs() -> None:
    """A folded row changes the screen; without it the screen is not the page."""
    bill = {"sums": {"done_fen": 0}, "visit": {"state": "open", "mode": "DEFERRED", "due_at": None, "ended_at": None}}
    page = Screen.of({**bill, "lines": [{"id": "1", "state": "planned"}]}, {"steps": []})
    later = Screen.of({**bill, "lines": [{"id": "1", "state": "billable"}]}, {"steps": []})
    assert page.differences(later) == ["lines/1 {'state': ('planned', 'billable')}"]
    page.fold({"line": {"id": "1", "state": "billable"}, "sums": {"done_fen": 0}})
    assert page.differences(later) == []


def settlement(number: str, transaction: str, total: int) -> Json:
    """What the hospital's system was told of a payment."""
    paid = [{"transaction": transaction, "amount_fen": total}]
    return {"settlement_no": number, "payments": paid, "total_fen": total, "charges": []}


def test_money_is_counted_in_both_books() -> None:
    """Paid once, partly given back: right. Two settlements, none, a refund untold, or one without money: wrong."""
    till: Json = {
        "payments": [{"out_trade_no": "P1", "transaction_id": "T1", "total": 900}],
        "refunds": [{"out_trade_no": "P1", "out_refund_no": "R1", "amount": 300, "status": "SUCCESS"}],
    }
    told = {"P1": settlement("P1", "T1", 900)}
    back = {"R1": {"refund_no": "R1", "settlement_no": "P1", "total_fen": 300, "charges": []}}
    assert judge_money(till, told, back) == ([], [])
    twice = told | {"P2": settlement("P2", "T1", 900)}
    assert [len(part) for part in judge_money(till, twice, back)] == [2, 0]  # T1 twice, and P2 without its own money
    assert [len(part) for part in judge_money(till, {}, {})] == [1, 0]
    assert [len(part) for part in judge_money(till, told, {})] == [1, 0]
    assert [len(part) for part in judge_money(till, told | {"P3": settlement("P3", "T3", 1)}, back)] == [0, 1]
    shared = till | {"payments": [*till["payments"], {"out_trade_no": "P2", "transaction_id": "T2", "total": 100}]}
    both = settlement("P1", "T1", 900)
    both["payments"].append({"transaction": "T2", "amount_fen": 100})
    assert judge_money(shared, {"P1": both | {"total_fen": 1000}}, back) == ([], [])
    assert [len(part) for part in judge_money(shared, {"P1": both}, back)] == [1, 0]  # a share the hospital lost
    assert [len(part) for part in judge_money(shared, told, back)] == [1, 0]  # a share nobody told it of
    returned = till | {"refunds": [till["refunds"][0] | {"amount": 900}]}
    assert judge_money(returned, {}, {}) == ([], [])  # late money that went straight back


def following(books: Books, no: str, sees: Sees = "all") -> Following:
    """A phone on which everything came by a push."""
    truth = Truth(books, catalogue.load().departments)
    screen = Screen({}, {}, {}, {})
    watched = Following("v", sees, screen, "0")
    for n, (_, name, kind, state, flag) in enumerate(truth.steps([no]).elements()):
        step = {"id": f"s{n}", "name": name, "kind": kind, "state": state, "result_flag": flag}
        screen.fold({"step": step})
        watched.raw.append(json.dumps({"data": {"step": step}}))
    return watched


def judge_of(books: Books) -> Judge:
    """A judge without a house: the hospital's books are enough to say what phones must know."""
    truth = Truth(books, catalogue.load().departments)
    nobody: Any = None
    return Judge(Verdict(), nobody, nobody, truth, Heard(books, lambda: 0.0), {}, nobody, ())


def test_a_lost_push_is_seen() -> None:
    """Every step was pushed: right. One row that never came, or came in an older state: exactly one push lost."""
    books, no = a_day()
    right, judge = Truth(books, catalogue.load().departments).steps([no]), judge_of(books)
    watched = following(books, no)
    judge.told("she", [watched.screen], right, "step", exact=True)
    assert (judge.verdict.pushes_expected, judge.verdict.pushes_seen, judge.verdict.pushes_lost) == (3, 3, 0)
    watched.screen.steps["s0"]["state"] = "placed" if watched.screen.steps["s0"]["state"] != "placed" else "cancelled"
    judge.told("she", [watched.screen], right, "step", exact=True)
    assert judge.verdict.pushes_lost == 1
    del watched.screen.steps["s0"]
    judge.told("she", [watched.screen], right, "step", exact=True)
    assert judge.verdict.pushes_lost == 2


def test_an_empty_moment_is_a_doubled_push() -> None:
    """One row of a moment with news carries the others; a moment that says nothing new at all is counted."""
    books, no = a_day()
    watched = following(books, no)
    watched.weigh("09:00", "a", new=False)
    watched.weigh("09:00", "b", new=True)
    watched.weigh("09:00", "c", new=False)
    assert watched.again == {}
    watched.weigh("09:01", "a", new=False)
    assert list(watched.again) == ["09:01"]


def test_what_a_friend_must_not_know() -> None:
    """Steps alone are right; a sum, a report's flag, how it is paid, or a step under a closed category is a leak."""
    books, no = a_day()
    watched = following(books, no, "steps")
    assert leaks(watched, set()) == []
    hidden = next(iter(watched.screen.steps.values()))["name"]
    assert leaks(watched, {hidden}) != []
    for data in ({"sums": {"done_fen": 1}}, {"step": {"self_fen": 0}}, {"visit": {"mode": "UPFRONT"}}):
        watched.raw = [json.dumps({"data": data})]
        assert len(leaks(watched, set())) == 1
    watched.raw = []
    watched.screen.steps["s0"]["result_flag"] = "abnormal"
    assert len(leaks(watched, set())) == 1


def test_three_people_a_patient() -> None:
    """Two relatives on average, in three homes as in six: some come alone; each degree and each way out is there."""
    sizes = [len(home) for home in HOMES]
    assert (sum(sizes), sum(sizes[:3]), min(sizes), len(sizes)) == (12, 6, 0, 6)
    assert {sees for home in HOMES for sees in home} == {"steps", "bill", "total", "results"}
    assert {HOMES[home][place] for home, place in LEAVES} == {"steps", "results"}, "who pays stays to pay"
    assert WARD[0] == "bill", "but for one in every day, whom the guardian of an adult shuts out"
    for visits in range(2, 40):
        families = families_at(lambda _: httpx.Response(404), "0", "1")
        families.seat([str(n) for n in range(visits)])
        others = sum(len(families._homes[str(n)][0]) for n in range(visits)) + len(("guardian", "elder's daughter"))
        assert others >= 2 * visits


def families_at(answer: Callable[[httpx.Request], httpx.Response], elder: str, ward: str) -> Families:
    """Families at a house that answers like this."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://house")
    nobody: Any = None
    return Families(client, "", random.Random(1), nobody, elder=elder, ward=ward)


def owed_by(**over: Any) -> Json:
    """Who owes a visit."""
    return {"guardian": False, "minor": False, "name": "朱**"} | over


STOOD_FOR = owed_by(guardian=True, name="亲**")


@pytest.mark.parametrize(
    ("wrong", "over"),
    [
        (0, {}),
        (1, {"ward": owed_by()}),  # she owes what her guardian owes
        (1, {"ward": STOOD_FOR | {"name": "王*"}}),  # somebody else's guardian does
        (1, {"ward": STOOD_FOR | {"minor": True}}),
        (1, {"elder": owed_by(guardian=True)}),  # her daughter owes it
        (1, {"pass": 403}),
        (1, {"counter": "/desk/counter"}),  # the pass is nobody's at the counter
        (3, {"payments": 201, "pay-links": 409, "shares": 204}),  # shut out, and something began
        (1, {"gone": None}),
        (1, {"booked": False}),
        (1, {"signed": False}),
        (1, {"played": False}),
    ],
)
async def test_a_family_that_fails_is_counted(wrong: int, over: Json) -> None:
    """An elder without a phone, an adult with a guardian, a payer who is shut out: each thing that fails is one."""
    told: Json = {"ward": STOOD_FOR, "elder": owed_by(), "pass": 200, "counter": "/desk/pay/visit-e"}
    told |= {
        "payments": 404,
        "pay-links": 404,
        "shares": 404,
        "gone": 1,
        "booked": True,
        "signed": True,
        "played": True,
    }
    told |= over

    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.path.rpartition("/")[2]
        if last == "find":
            return httpx.Response(303, headers={"location": told["counter"]})
        if last.startswith("visit-"):
            return httpx.Response(200, json={"debtor": told["ward" if last == "visit-w" else "elder"]})
        return httpx.Response(told.get(last, 200), json={"kept": "code", "id": "P"})

    families = families_at(answer, "E", "W")
    phones = {number: families.phone(families.card(number)) for number in ("E", "W")}
    guests: Any = {number: SimpleNamespace(patient=SimpleNamespace(no=number)) for number in phones}
    for number, phone in phones.items():
        phone.patient, phone.signed = "somebody", told["signed"]
        phone.following = {f"visit-{number.lower()}": following(*a_day())}
    phones["E"].sees = "bill"
    families.carried = Elder(guests["E"], phones["E"], {}, books=told["booked"])
    await families.carried.show_pass(families.client)
    payer = Relative(guests["W"], families.phone(families.card("P")), "bill", leaves=True)
    families.relatives = [payer]
    if told["gone"]:
        payer.gone = datetime.now(UTC)
        await families._press(payer, phones["W"].following["visit-w"])
    judge = Judge.__new__(Judge)
    judge.verdict, judge.families = Verdict(), families
    judge.phones = phones if told["played"] else {"E": phones["E"]}
    await judge.stood_for(set())
    assert judge.verdict.families_wrong == wrong, judge.verdict.notes
    await families.client.aclose()


async def test_an_elder_whose_coming_was_lost_is_signed_for_in_the_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hospital said of her came late: her daughter signs and books then; who can do it alone does not."""
    done: list[str] = []

    class Late:
        def __init__(self, no: str) -> None:
            self.no, self.hospital, self.patient = no, "H", no

        async def look(self, patient: str) -> None:
            done.append(f"{self.no} looks")

        async def sign(self, hospital: str, patient: str) -> None:
            done.append(f"{self.no} is signed for")

    async def nothing(*_: object) -> None:
        return

    async def books(*_: object, **__: object) -> None:
        done.append("E is booked for")

    async def opens(self: Any, guest: Any) -> Any:
        self.phones[guest.patient.no] = Late(guest.patient.no)
        return self.phones[guest.patient.no]

    for name in ("_make_up", "_part_ways", "_show_pass"):
        monkeypatch.setattr(Rehearsal, name, nothing)
    monkeypatch.setattr(Rehearsal, "_phone", opens)
    guests: list[Any] = [SimpleNamespace(patient=SimpleNamespace(no=number)) for number in ("A", "E")]
    carried = SimpleNamespace(guest=guests[1], books=False, book=books)
    played: Any = Rehearsal.__new__(Rehearsal)
    played.day, played.families = (
        SimpleNamespace(guests=guests),
        SimpleNamespace(elder="E", carried=carried, look=nothing),
    )
    played.phones, played.during, played.met, played.his = {}, {"A", "E"}, set(), None
    await played._everybody_watches()
    assert [what for what in done if "looks" not in what] == ["E is signed for", "E is booked for"]


def test_a_payer_of_the_bill_reads_no_report() -> None:
    """Whoever sees the bill sees that a step is done, and not what came of it."""
    books, no = a_day()
    watched = following(books, no, "bill")
    for row in watched.screen.steps.values():
        row["result_flag"] = None
    assert leaks(watched, set()) == []
    watched.screen.steps["s0"]["result_flag"] = "normal"
    assert len(leaks(watched, set())) == 1


@pytest.mark.parametrize(
    ("opens", "late", "goes_on", "wrong"),
    [(False, False, False, 0), (True, False, False, 1), (False, True, False, 1), (False, False, True, 1)],
)
async def test_whoever_was_shut_out_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, opens: bool, late: bool, goes_on: bool, wrong: int
) -> None:
    """The patient shuts a friend out while she is seen: page and stream are gone, and no later row comes by it."""
    monkeypatch.setattr("sandbox.rehearsal.judge._SHUTS", 0.1)
    books, no = a_day()
    watched, since = following(books, no, "steps"), datetime(2026, 3, 4, 2, 0, tzinfo=UTC)
    watched.raw = [json.dumps({"at": (since + timedelta(seconds=9 if late else -9)).isoformat(), "data": {}})]

    async def page(visit: str, sees: str) -> None:
        if not opens:
            raise Shut

    watched.shut = not goes_on
    phone: Any = SimpleNamespace(following={"v": watched}, page=page)
    guest: Any = SimpleNamespace(patient=SimpleNamespace(no="P1"))
    relative = Relative(guest, phone, "steps", gone=since)
    judge = Judge.__new__(Judge)
    judge.verdict = Verdict()
    await judge._shut_out(relative, since)
    assert judge.verdict.leaks == wrong


def test_money_that_is_agreed_to_go_back_has_to_arrive() -> None:
    """Asked for, refused, or back: right. Agreed to, and the line is still shown as paid: not over yet."""
    states = (("requested", "settled"), ("refused", "settled"), ("approved", "refunded"), (None, "settled"))
    lines = [{"refund": refund, "state": state, "name": "x"} for refund, state in states]
    waits = {"refund": "approved", "state": "settled", "name": "y"}
    assert on_its_way([[{"lines": lines}]]) == []
    assert on_its_way([[{"lines": lines}], [{"lines": []}, {"lines": [waits]}]]) == [waits]


def test_spoilt_items_must_be_refused() -> None:
    """What was spoilt on purpose counts when it is taken, or refused without a reason; anything else when refused."""
    refused = {"id": "bad-sum-1", "status": "rejected", "reason": "split", "example": {}}
    good: list[Json] = [refused | {"example": {"type": "charge.created"}}, {"id": "e-1", "status": "duplicate"}]
    bad: list[Json] = [refused, {"id": "bad-sum-1", "status": "accepted"}, {"id": "e-1", "status": "rejected"}]
    assert [badly_answered(one) for one in good] == [None, None]
    assert all(badly_answered(one) for one in bad)


RIGHT = dict.fromkeys(Verdict().wrong, 0)
MONEY = (
    "payments_doubled",
    "his_mismatch",
    "insurance_mismatch_fen",
    "drawer_mismatch_fen",
    "reconcile_difference_fen",
)


@dataclass
class Sabotage:
    """What is done to the outside world of a house once all is judged, and what the judge says of it then."""

    found: dict[str, tuple[int, dict[str, int]]] = field(default_factory=dict)  # name: (fen, what the verdict finds)

    async def of(self, rehearsal: Rehearsal) -> None:
        """Everything that can be done to this house, one after the other, each undone before the next."""
        settlements, spending = rehearsal.his.books.settlements, rehearsal.spending
        assert spending is not None
        assert spending.insurer is not None
        back = {refund["settlement_no"] for refund in rehearsal.his.books.refunds.values()}
        whole_ones = {number: data for number, data in settlements.items() if number not in back}
        for way, name in (("CASH", "cash that never reached the HIS"), ("CARD", "a card that never reached the HIS")):
            number = next((n for n, d in whole_ones.items() if any(p["way"] == way for p in d["payments"])), None)
            if number is not None:
                whole = settlements[number]
                rest = [p for p in whole["payments"] if p["way"] != way]
                fen = sum(p["amount_fen"] for p in whole["payments"] if p["way"] == way)
                settlements[number] = whole | {"payments": rest, "total_fen": whole["total_fen"] - fen}
                await self._judged(name, fen, rehearsal)
                settlements[number] = whole
        # Whether all of the insurance's money has gone back by now is a matter of who asked for a refund.
        held = {o["payOrdId"] for o in (await spending.insurer.books())["orders"] if o["insurance"] == "paid"}
        for number, whole in settlements.items():
            if whole["insurance"] and whole["insurance"][-1]["number"] in held:
                await self._insurer(rehearsal, number, whole)
                return

    async def _insurer(self, rehearsal: Rehearsal, number: str, whole: Json) -> None:
        settlements, spending = rehearsal.his.books.settlements, rehearsal.spending
        assert spending is not None
        less, gone = whole["insurance"][:-1], whole["insurance"][-1]
        fen = gone["fund_fen"] + gone["account_fen"] + gone["other_fen"]
        settlements[number] = whole | {"insurance": less}
        await self._judged("the insurer holds one settlement more", fen, rehearsal)
        settlements[number] = whole
        await self._judged("everything is as it was", 0, rehearsal)
        order = {"payOrdId": gone["number"], "do": "reverse"}
        center = f"{rehearsal.house.insurance}/control/order"
        (await spending.purse.outside.post(center, json=order)).raise_for_status()
        await self._judged("the insurer holds one settlement less", fen, rehearsal)

    async def _judged(self, name: str, fen: int, rehearsal: Rehearsal) -> None:
        verdict = Verdict()
        assert rehearsal.spending is not None
        await rehearsal.judge.money(rehearsal.spending, verdict)
        self.found[name] = (fen, {key: int(getattr(verdict, key) or 0) for key in MONEY})

    async def drawer(self, rehearsal: Rehearsal) -> None:
        """A shift more, after which 5 yuan are missing."""
        assert rehearsal.spending is not None
        hall = rehearsal.spending.hall
        for cashier in hall.cashiers:
            await cashier.open()
            cashier.drawer = cashier.float_fen
        hall.cashiers[-1].drawer -= 500
        self.found["a drawer lacks money"] = (500, {"drawer_mismatch_fen": await hall.close()})

    async def list_of(self, rehearsal: Rehearsal) -> None:
        """The hospital's list leaves its largest settlement out, and the books are compared once more."""
        whole, lost = cashbook.listed, set[int]()

        def short(books: Books, day: date) -> list[Json]:
            lines = sorted(whole(books, day), key=lambda line: line["kind"] == "settle" and line["total_fen"])
            lost.add(lines.pop()["total_fen"] if lines else 0)
            return lines

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cashbook, "listed", short)
            verdict = await rehearsal.compare_books(Verdict(), tries=1)
        assert "missing_at_his" in " ".join(verdict.notes)
        self.found["a list that is short"] = (
            max(lost),
            {"reconcile_difference_fen": verdict.reconcile_difference_fen or 0},
        )


@dataclass
class Played:
    """One real rehearsal, and everything that was done in its house afterwards."""

    exit_code: int
    output: str
    verdict: Json
    sabotage: Sabotage
    keyed: Keyed


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory, hatchery: Hatchery) -> Played:
    """Three patients in a storm; then the house is sabotaged, and rehearsed with from outside."""
    folder, sabotage, houses = tmp_path_factory.mktemp("played"), Sabotage(), list[Keyed]()
    private, report = rehearse.private, folder / "verdict.json"

    def with_more(own: Settings, visits: int, seed: int, say: Say) -> Any:
        async def afterwards(rehearsal: Rehearsal) -> None:
            await sabotage.list_of(rehearsal)
            await sabotage.drawer(rehearsal)
            await sabotage.of(rehearsal)
            houses.append(Keyed(own, hatchery, folder))
            await houses[0].play(rehearsal)

        return private(own, visits, seed, say, afterwards)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rehearse, "private", with_more)
        ended = CliRunner().invoke(app, ["rehearse", "--visits", "3", "--seed", "14", "--json", str(report)])
    verdict = json.loads(report.read_text("utf-8"))
    return Played(ended.exit_code, ended.output, verdict, sabotage, houses[0])


@pytest.mark.slow
def test_a_real_rehearsal_and_its_sabotage(played: Played) -> None:
    """Three patients in a storm: a child, an adult with a guardian, an elder without a phone, against the real product.

    Exit 0, and every figure is what it must be.

    Then, in the same house: cash and a card that the HIS never heard of, one insurance settlement more and one less, a
    drawer that lacks money, a hospital's list that lacks a line. Each is seen, by its fen, where it belongs.
    """
    verdict, sabotage = played.verdict, played.sabotage
    assert verdict["notes"] == []
    assert (played.exit_code, verdict["ok"], verdict["visits"]) == (0, True, 3), played.output
    assert verdict["pushes_seen"] == verdict["pushes_expected"] > 0
    assert {name: verdict[name] for name in RIGHT} == RIGHT
    assert (verdict["unjudged"], verdict["children"], verdict["wards"], verdict["elders"]) == ([], 1, 1, 1)
    assert (verdict["relatives"], verdict["people_per_patient"] >= 3) == (5, True)
    assert verdict["withdrawn"] > 0
    assert set(verdict["ways"]) == set(WAYS)
    assert verdict["ways"]["cash"] > 0
    for name, (fen, seen) in sabotage.found.items():
        where = {key: fen for key, names in _WHERE.items() if name in names}
        assert seen == {key: where.get(key, 0) for key in seen}, name
        assert (fen > 0) is bool(where), name
    assert {name for names in _WHERE.values() for name in names} - sabotage.found.keys() <= _NOT_ALWAYS


@pytest.mark.slow
def test_a_house_that_is_open_is_rehearsed_with_by_a_key_file(played: Played) -> None:
    """A hospital is prepared beside the one that is there, and two visits are played from outside: exit 0, and why.

    From outside the ledger cannot be looked at, and the verdict says so. With a secret that is not the hospital's
    nothing is played: exit 2, and a sentence that names what does not fit and what to do.
    """
    keyed = played.keyed
    assert keyed.ended["prepare"][0] == 0, keyed.ended["prepare"][1]
    assert keyed.ended["mode"][0] == 0o600
    assert keyed.ended["played"][0] == 0, keyed.ended["played"][1]
    verdict = keyed.verdict
    assert verdict.keys() >= KEYS
    assert (verdict["ok"], verdict["visits"], verdict["notes"]) == (True, 2, [])
    assert (verdict["wards"], verdict["elders"]) == (1, 1)
    assert verdict["people"] >= 4  # a guardian and somebody of the elder's; how many more is chance
    assert verdict["pushes_seen"] == verdict["pushes_expected"] > 1
    assert {name: verdict[name] for name in RIGHT} == RIGHT | {"ledger_imbalance_fen": None}
    assert verdict["unjudged"] == ["the ledger: it is inside that Houfu"]
    for name, why in _MISFITS.items():
        code, said = keyed.ended[f"wrong {name}"]
        assert code == 2
        assert f"{name}: {why}" in said
        assert "Write it anew with that Houfu's settings: houfu rehearse --prepare FILE." in said
    assert not (keyed.folder / "none.json").exists()


_MISFITS = {
    "inbound": "events signed with REHEARSAL-in-1 are refused there",
    "outbound": "it signs what it asks the hospital's system with another key or secret",
}
_WHERE = {
    "drawer_mismatch_fen": (
        "cash that never reached the HIS",
        "a card that never reached the HIS",
        "a drawer lacks money",
    ),
    "insurance_mismatch_fen": ("the insurer holds one settlement more", "the insurer holds one settlement less"),
    "reconcile_difference_fen": ("a list that is short",),
}
_NOT_ALWAYS = {*_WHERE["drawer_mismatch_fen"][:2], *_WHERE["insurance_mismatch_fen"]}  # who asked for money back?


@pytest.mark.parametrize("ok", [True, False])
def test_the_verdict_is_the_exit_code(ok: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Right: 0. One wrong figure: 1."""
    verdict = Verdict(visits=1, events_sent=9, pushes_expected=3, pushes_seen=3, drawer_mismatch_fen=0 if ok else 1)
    monkeypatch.setattr(rehearse, "rehearse", lambda *_: verdict)
    assert CliRunner().invoke(app, ["rehearse"]).exit_code == (0 if ok else 1)


@pytest.mark.parametrize("half", [["--url", "http://127.0.0.1:9"], ["--keys", __file__]])
def test_half_of_what_is_needed_plays_nothing(half: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """An address without a key file, or the other way round: nothing is played, above all no private day instead."""
    opened: list[str] = []
    monkeypatch.setattr(rehearse, "private_house", lambda: opened.append("private"))
    monkeypatch.setattr(rehearse, "_elsewhere", lambda *_: opened.append("elsewhere"))
    ended = CliRunner().invoke(app, ["rehearse", *half])
    assert (type(ended.exception), opened) == (SettingsError, [])
    assert "--url and --keys go together" in str(ended.exception)


def test_every_way_is_gone_when_enough_come() -> None:
    """The way tried least is next; with twenty patients one that nobody went is wrong, with nineteen it is not."""
    ways = Ways({"cash", "card", "h5"}, random.Random(1))
    dealt = [ways.deal(("h5", "card", "cash", "jsapi")) for _ in range(2)]
    assert dealt[0] == "cash"
    assert ways.deal(("jsapi",)) is None
    ways.done("cash")
    assert ways.untried(("cash", "card", "h5", "jsapi")) in (["card"], ["h5"])
    assert ways.counts == {"h5": 0, "cash": 1, "card": 0}
    for visits, right in ((19, True), (20, False)):
        verdict = Verdict(visits=visits, events_sent=9, pushes_expected=3, pushes_seen=3, ways=ways.counts)
        assert verdict.ok is right
    assert verdict.unplayed == ["h5", "card"]


def insurance_of(number: str, fund: int, account: int) -> Json:
    """One settlement of the insurance as the hospital is told of it."""
    return {"number": number, "fund_fen": fund, "account_fen": account, "other_fen": 0, "cash_fen": 100}


def test_the_insurer_s_books_are_counted() -> None:
    """Paid and told: right. Paid and untold, told and given back, other parts, told twice, or set aside: wrong."""
    paid = {"payOrdId": "O1", "fund": 700, "account": 200, "other": 0, "insurance": "paid"}
    told = {"S1": {"insurance": [insurance_of("O1", 700, 200)]}}
    cases: list[tuple[list[Json], dict[str, Json], list[Json], int]] = [
        ([paid], told, [], 0),
        ([paid], {}, [], 900),
        ([paid | {"insurance": "back"}], told, [], 900),
        ([paid | {"insurance": "back"}], told, [{"insurance": [insurance_of("O1", 700, 200)]}], 0),
        ([paid], {"S1": {"insurance": [insurance_of("O1", 650, 250)]}}, [], 100),
        ([paid], {"S1": told["S1"], "S2": told["S1"]}, [], 900),
        ([paid | {"insurance": "aside"}], {}, [], 200),
        ([], told, [], 900),
    ]
    for orders, settlements, back, fen in cases:
        assert judge_insurance({"orders": orders, "refunds": []}, settlements, back)[0] == fen, (orders, settlements)


def test_the_drawers_are_counted() -> None:
    """Cash, a card and a phone pay one bill, a line goes back: right. Anything untold, unknown or short: wrong."""
    payments = [
        {"way": "H5", "transaction": "T1", "amount_fen": 300},
        {"way": "CASH", "transaction": "HF1", "amount_fen": 500},
        {"way": "CARD", "transaction": "HF01-A7", "amount_fen": 200},
    ]
    told = {"S1": {"settlement_no": "S1", "payments": payments, "total_fen": 1000, "charges": []}}
    till: Json = {"payments": [{"out_trade_no": "P1", "transaction_id": "T1", "total": 300}], "refunds": []}
    took = [Movement("she", "CASH", 500), Movement("she", "CARD", 200, "A7")]
    back = [{"refund_no": "R1", "settlement_no": "S1", "total_fen": 150}]
    cases: list[tuple[dict[str, Json], list[Json], list[Movement], int]] = [
        (told, [], took, 0),
        (told, back, [*took, Movement("she", "CASH", -150)], 0),
        (told, back, took, 150),  # told, and not handed out
        ({}, [], took, 700),  # never told
        ({}, [], [*took, Movement("she", "CASH", -500), Movement("she", "CARD", -200)], 0),  # all of it given up
        (told, [], took[1:], 1000),  # never taken: 500 named by nobody, 500 short
        (told, [], [took[0], Movement("she", "CARD", 200, "A8")], 200),  # another slip
        (told, [], [Movement("he", "CASH", 500), took[1]], 1500),  # booked on another's bill
    ]
    for settlements, refunds, moved, fen in cases:
        assert judge_drawers(till, settlements, refunds, moved, lambda _: "she")[0] == fen, (settlements, moved)


def a_book(**over: Any) -> Json:
    """What Houfu's door says of a right day."""
    right = {"day": "2026-11-22", "sides": {"provider": "there", "his": "there"}, "lines": []}
    return right | {"totals": {"provider": {"paid": 900, "back": 0, "count": 1}}} | over


def test_books_must_agree_and_must_have_been_compared() -> None:
    """Nothing open: right. An open line, a side that was not there, or fewer lines than payments: wrong."""
    line = {"number": "P1", "payment": "P1", "reference": "T1,T2", "state": "open", "amount_fen": 900}
    cases: list[tuple[Json, set[str], tuple[int, int]]] = [
        (a_book(), set(), (0, 0)),
        (a_book(lines=[line]), set(), (900, 0)),
        (a_book(lines=[line]), {"P1"}, (0, 0)),
        (a_book(lines=[line]), {"T2"}, (0, 0)),
        (a_book(lines=[line | {"state": "closed"}]), set(), (0, 0)),
        (a_book(sides={"provider": "waits", "his": "there"}), set(), (0, 1)),
        (a_book(totals={}), set(), (0, 1)),
    ]
    for book, others, expected in cases:
        verdict = Verdict()
        judge_books([book], others, 1, verdict)
        assert (verdict.reconcile_difference_fen, verdict.his_mismatch) == expected, book


def test_the_rehearsal_s_hospital_is_nobody_else_s() -> None:
    """Beside the demo in one house: its terminals have names of their own, and secrets nobody knows."""
    demo, own = json.loads(catalogue.HOSPITAL_FILE.read_text("utf-8")), rehearse.own_hospital(8399)
    for part in ("staff", "departments", "price_list"):
        assert own[part] == demo[part]
    names = [{t["id"] for t in file["terminals"]} for file in (demo, own)]
    assert names[0].isdisjoint(names[1])
    assert len(names[0]) == len(names[1]) > 0
    assert len({t["secret"] for t in own["terminals"]} - {"generate"}) == len(own["terminals"])


def test_what_a_house_lacks_is_not_played() -> None:
    """Nothing but a till: phones in a browser and shares. Each thing more opens its ways; with all: every way."""
    with_terminals = [{"kind": kind, "id": kind, "secret": "s"} for kind in ("scanner", "kiosk", "face")]
    bare = House("http://h", "http://t", till="http://p")
    assert set(WAYS) - bare.offers().keys() == {"h5", "shared", *FIRST}
    assert bare.offers()["jsapi"] == "wechat"
    assert House("http://h", "http://t").offers().keys() == set(WAYS)
    window = replace(bare, cashiers=[{}])
    assert set(WAYS) - window.offers().keys() == {"h5", "shared", *FIRST, "native", "cash", "card"}
    assert "kiosk" not in replace(bare, terminals=with_terminals).offers()
    whole = replace(window, terminals=with_terminals, wechat="http://w", insurance="http://i", finance={})
    assert whole.offers() == {}


def test_usage(tmp_path: Path) -> None:
    """An address without its keys is a mistake of whoever types, not a verdict."""
    from kernel.settings import SettingsError

    ended = CliRunner().invoke(app, ["rehearse", "--url", "http://127.0.0.1:9"])
    assert isinstance(ended.exception, SettingsError)  # ``main`` makes exit code 2 of it
    assert CliRunner().invoke(app, ["rehearse", "--visits", "0"]).exit_code == 2
