"""One hospital day in which everything exists once: a mother, everybody she let in or not, and all a route may name."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from sqlalchemy import select

from api.world import Ports, World
from billing.service import answers, lines, paying, refunds
from billing.service.lines import ChargeFact
from consent.models import Contract
from consent.rules import SigningChannel
from consent.service import contracts, reading
from family_pay.models import PayAsk, PhoneBinding
from family_pay.rules import Offer, Relation
from family_pay.service import invitations, links
from houfu import wiring
from houfu.access import DEPTHS, ELSEWHERE, PERSONS, STAFF
from kernel import settings
from kernel.clock import ManualClock
from kernel.db import Tx
from kernel.ids import derive, new_id
from kernel.outside import Unknown
from notices.ports import Lines, Subscription
from notices.service import wishes
from payments.models import BookDay, BookRun, Difference, PayConsent
from payments.ports import CashChannel, CashState, Prepared, TradeState
from payments.ports.notices import ForgedNotice
from payments.rules import Piece, Till
from payments.service import attempts, insurance, pressing, rounds
from payments.service.pressing import Press
from people.models import PhoneChange
from people.rules import Actor, ActorKind, ChoiceKind, GrantKind, Proof, ProofKind, Role
from people.service import choices, grants, hospitals, patients, sessions, terminals
from people.service.grants import Terms
from people.service.hospitals import Hospital
from people.service.patients import PatientFact
from sandbox.his.catalogue import HOSPITAL_FILE
from visits.models import Booking, HisCall
from visits.rules import ResultState
from visits.service import encounters, orders
from visits.service.encounters import EncounterFact, Visit
from visits.service.orders import OrderFact

BASE = "https://houfu.test"
NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)  # 11:00 in the hospital
DAY = date(2026, 11, 20)
LOGINS = {
    Role.DOCTOR: "d.card", Role.DESK: "k.ecg", Role.COUNTER: "c.cash", Role.GUIDE: "g.guide",
    Role.FINANCE: "f.finance", Role.ADMIN: "a.admin",
}  # fmt: skip
MOTHER = PatientFact("P1", "朱桂芳", "999901195503089023", "19900000001", sex="F")
# What nobody may read in an answer who may not know it: by who may.
HIDDEN, STEP, LINE, RESULT = "盆腔检查", "肝肾功能采血", "肝肾功能收费", "转氨酶略高"
ORDERS = {
    # name → (department, its name, its charge, category, fen)
    "blood": ("BLOOD", STEP, LINE, None, 12_600),
    "ecg": ("ECG", "心电图项目", "心电图收费", None, 2_200),
    "gyn": ("GYNE", HIDDEN, f"{HIDDEN}费", "gynaecology", 5_000),
    "xray": ("XRAY", "胸片项目", "胸片收费", None, 8_000),
}


class Nobody:
    """A line to the outside at whose other end nobody is; whoever gets as far as that was let through."""

    public_key = "B" + 86 * "N"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._silent

    async def _silent(self, *_: Any, **__: Any) -> Any:
        raise Unknown("nobody answers here")

    def accepts(self, endpoint: str) -> bool:
        """Any browser may be rung."""
        return True

    def authorize_url(self, *_: Any, **__: Any) -> str:
        """Where WeChat would ask."""
        return "https://wechat.test/"

    def _forged(self, *_: Any, **__: Any) -> Any:
        raise ForgedNotice("not signed")

    decode_notify = decode_notice = decode_status = greet = open = _forged


class NoHis:
    """No hospital's system answers here."""

    async def of(self, hospital_id: UUID) -> Any:
        """A line at whose end nobody is."""
        return Nobody()


@dataclass
class Setting:
    """Everything that is there; ``ids`` are what the routes' parameters are called, ``on`` others by name."""

    world: World
    clock: ManualClock
    hospital: UUID
    elsewhere: UUID
    actors: dict[str, Actor] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    ids: dict[str, Any] = field(default_factory=dict)
    days: int = 0

    async def visit(self, tx: Tx, name: str, *wanted: str, whose: str = "patient", done: bool = True) -> Visit:
        """A post-pay visit with these orders, the first ones done; one day earlier than the last."""
        at, hospital = tx.now - timedelta(days=self.days), await hospitals.by_id(tx, self.hospital)
        self.days += whose == "patient"
        number = f"E-{name}"
        fact = EncounterFact(number, self.actors[whose].id, "AMB", "CARD", "周明远", "normal", "employee", at, 1)
        visit = await encounters.start(tx, hospital, fact)
        visit.mode = "DEFERRED"
        self.ids[name] = visit.id
        for n, what in enumerate(wanted or ("blood",), 1):
            await self._order(tx, hospital, visit, number, name, what, n, done=done and what != "ecg")
        return visit

    async def _order(
        self, tx: Tx, hospital: Hospital, visit: Visit, encounter: str, name: str, what: str, n: int, *, done: bool
    ) -> None:
        department, title, charged, category, fen = ORDERS[what]
        number, inside = f"{name}-{n}", encounters.encounter_id(hospital.id, encounter)
        told = (None, (), None, category, "周明远", tx.now, n)
        order = await orders.place(
            tx, hospital, visit, OrderFact(f"O-{number}", inside, "lab", title, department, *told)
        )
        own = fen - fen // 2
        charge = ChargeFact(f"C-{number}", order.id, "X", charged, "1", fen, fen, fen // 2, 0, own, "A", tx.now)
        await lines.record(tx, hospital, visit, charge)
        if done:
            await orders.perform(tx, order, by="某护士", where="4号窗口", at=tx.now, covers_all=True)
        self.ids[f"{name}.{what}"] = order.id
        self.ids[f"{name}.{what}.line"] = lines.charge_id(hospital.id, f"C-{number}")


@asynccontextmanager
async def everything(database_url: str, folder: Path) -> AsyncIterator[Setting]:
    """The assembled house with nobody at the other ends of its lines."""
    clock, silent = ManualClock(NOON), Nobody()
    chosen = settings.load({}, database_url=database_url, key_file=folder / "keys", public_url=BASE)
    chosen = chosen.model_copy(
        update={
            "wechat_appid": "wx1",
            "wechat_mini_appid": "wx2",
            "wechat_pay_mchid": "1900",
            "sms_template_code": "1",
            "sms_template_bind": "2",
        }
    )
    reach = Lines(BASE, web_push=cast("Any", silent))
    lines_: Any = dict.fromkeys(
        ("wechat", "wechat_account", "wechat_desk", "pay", "mix", "insurance", "family_accounts", "sms", "paper"),
        silent,
    )
    world = wiring.build(chosen, clock=clock, ports=Ports(his=NoHis(), reach=reach, **lines_))
    known = dict[str, Actor | None]()

    async def who(tx: Tx, token: str) -> Actor | None:
        """As ever, but looked up once: a session that is ended here is not ended for long."""
        if token not in known:
            known[token] = await sessions.caller_of(tx, token)
        return known[token]

    world = replace(world, who=who)
    world.hub.connect(world.db)
    made = Setting(world, clock, UUID(int=0), UUID(int=0))
    try:
        for step in (_hospitals, _people, _grants, _visits, _paid, _rest):
            async with world.db.begin() as tx:
                await step(tx, made)
        yield made
    finally:
        await world.db.close()


async def _hospitals(tx: Tx, made: Setting) -> None:
    document = json.loads(HOSPITAL_FILE.read_text("utf-8"))
    document["staff"] = [s for s in document["staff"] if s["login"] in LOGINS.values()]
    document["slots"] = []
    made.hospital = (await hospitals.load(tx, document)).id
    text = json.dumps(document).replace(document["hospital"]["code"], "HF02").replace("HF01", "HF02")
    for key in [k["id"] for k in document["his"]["inbound_keys"]] + [document["his"]["outbound_key"]["id"]]:
        text = text.replace(key, f"{key}-2")
    made.elsewhere = (await hospitals.load(tx, json.loads(text))).id


async def _people(tx: Tx, made: Setting) -> None:
    for n, name in enumerate(PERSONS):
        fact = MOTHER if name == "patient" else PatientFact(f"P{n + 1}", f"示{name}", None, f"1990000001{n}")
        person = await patients.known(tx, made.hospital, fact)
        await tx.session.flush()
        made.actors[name] = Actor(ActorKind.PERSON, person.id)
        made.tokens[name] = (await sessions.begin(tx, person)).token
        await sessions.link_wechat(tx, person, f"o{n}", "wx1")
    for there, names in ((made.hospital, STAFF), (made.elsewhere, ELSEWHERE)):
        for name, role in zip(names, LOGINS, strict=True):
            entered = await sessions.begin_staff(tx, derive(there, "staff", LOGINS[role]))
            made.tokens[name] = entered.token
            made.actors[name] = entered.actor
    kiosk = next(t for t in await terminals.of_hospital(tx, made.hospital) if t.kind == "kiosk")
    made.tokens["kiosk"] = (await sessions.begin_kiosk(tx, kiosk)).token
    made.actors["kiosk"] = terminals.actor_of(kiosk)
    ended = (await sessions.begin(tx, await patients.by_id(tx, made.actors["patient"].id))).token
    await sessions.end(tx, ended)
    made.tokens["expired"] = ended
    made.ids |= {"hospital_id": made.hospital, "elsewhere": made.elsewhere, "patient_id": made.actors["patient"].id}


async def _grants(tx: Tx, made: Setting) -> None:
    mother = made.actors["patient"].id
    await choices.choose(tx, made.actors["patient"], mother, ChoiceKind.SHARE, given=True)
    kinds = {
        "guardian": [Terms(GrantKind.GUARD)],
        "payer": [Terms(GrantKind.PAY)],
        "signer": [Terms(GrantKind.SIGN)],
        "carrier": [Terms(GrantKind.WATCH, DEPTHS["steps"]), Terms(GrantKind.BOOK)],
        **{name: [Terms(GrantKind.WATCH, depth)] for name, depth in DEPTHS.items()},
        "former": [Terms(GrantKind.PAY), Terms(GrantKind.WATCH, DEPTHS["results"]), Terms(GrantKind.SIGN)],
    }
    for name, terms in kinds.items():
        bond = new_id()
        given = await grants.make(
            tx, mother, made.actors[name].id, terms, bond=bond, relation="daughter", proof=Proof(ProofKind.INVITATION)
        )
        made.ids[f"bond.{name}"], made.ids[f"grant.{name}"] = bond, given[0].id
        if name == "former":
            await grants.end_all(tx, given)


async def _visits(tx: Tx, made: Setting) -> None:
    for name, wanted in (
        ("visit", ("blood", "ecg", "gyn", "xray")), ("paid", ("blood", "xray")), ("busy", ()), ("linked", ()),
        ("insured", ()), ("shared", ()), ("counter", ()), ("over", ()), ("cut", ()), ("covered", ()),
    ):  # fmt: skip
        await made.visit(tx, name, *wanted)
    await made.visit(tx, "theirs", "blood", "ecg", whose="other")
    order = await orders.order_by_id(tx, made.ids["visit.blood"])
    placed = await orders.order_by_id(tx, made.ids["visit.ecg"])
    assert order is not None
    assert placed is not None
    await orders.result_ready(tx, order, state=ResultState.FINAL, flag="abnormal", summary=RESULT, at=tx.now)
    said = await answers.dispute(tx, made.actors["patient"], made.ids["visit.xray.line"], "没做过这项")
    made.ids |= {
        "visit_id": made.ids["visit"],
        "order_id": made.ids["visit.ecg"],
        "line_id": made.ids["visit.blood.line"],
        "dispute_id": said.id,
        "code": placed.paper_code,
        "number": (await paying.locked_visit(tx, made.ids["visit"])).number,
    }


TILL = Till("1900", "wx1")


async def _begun(tx: Tx, made: Setting, visit: str, who: str | Actor, channel: CashChannel, share: Any = None) -> UUID:
    amount = await _owed(tx, made, visit)
    press = Press(channel, str(new_id()), amount, "10.0.0.8", "o1" if channel is CashChannel.JSAPI else None)
    actor = made.actors[who] if isinstance(who, str) else who
    attempt = await pressing.begin(tx, actor, made.ids[visit], press, TILL)
    ready = Prepared(attempt.out_trade_no, "p", {"package": "p"}, None, "weixin://wxpay/1")
    assert await attempts.offered(tx, attempt.id, ready)
    return attempt.id


async def _owed(tx: Tx, made: Setting, visit: str) -> int:
    return await paying.due_now(tx, await paying.locked_visit(tx, made.ids[visit]))


async def _pays(tx: Tx, attempt_id: UUID) -> None:
    attempt = await attempts.by_id(tx, attempt_id)
    state = CashState(
        attempt.out_trade_no, TradeState.SUCCESS, attempt.mchid, attempt.appid, f"T{attempt.id.hex[:20]}",
        attempt.amount_fen, "o1",
    )  # fmt: skip
    await attempts.paid(tx, state)


async def _paid(tx: Tx, made: Setting) -> None:
    """Rounds in each state a route asks for."""
    ids, actors = made.ids, made.actors
    for visit in ("paid", "over"):
        ids[f"{visit}.payment"] = await _begun(tx, made, visit, "payer", CashChannel.JSAPI)
        await _pays(tx, ids[f"{visit}.payment"])
        ids[f"{visit}.round"] = (await attempts.by_id(tx, ids[f"{visit}.payment"])).round_id
    over = await paying.locked_visit(tx, ids["over"])
    over.state, over.ended_at, over.settled_at = "settled", tx.now, tx.now
    asked = await refunds.ask(tx, actors["patient"], ids["paid"], [ids["paid.xray.line"]], "多收了")
    ids["payment_id"] = await _begun(tx, made, "busy", "payer", CashChannel.JSAPI)
    ids["counter.payment"] = await _begun(tx, made, "counter", "counter", CashChannel.NATIVE)
    ids["identity"] = asked.id
    facts = {"E-insured": {"insured": {"name": "朱桂芳"}}}
    [ids["settlement_id"]] = await insurance.begin(tx, actors["patient"], ids["insured"], facts, account_used=None)
    facts = {"E-covered": {"insured": {"name": "朱桂芳"}}}
    [covered] = await insurance.begin(tx, actors["patient"], ids["covered"], facts, account_used=None)
    part, whole = await insurance.locked(tx, covered)
    part.state, part.fund_fen, part.account_fen, part.other_fen, part.cash_fen = "paid", part.total_fen, 0, 0, 0
    part.mutual_aid_fen = part.hospital_part_fen = whole.cash_fen = 0
    whole.state, whole.paid_at = "settled", tx.now
    ids["round_id"] = whole.id
    owed = await _owed(tx, made, "shared")
    await rounds.cut(tx, actors["patient"], ids["shared"], [Piece(owed - 1000, None)], owed)


async def _rest(tx: Tx, made: Setting) -> None:
    """Links, invitations, letters, books, and what else has an id of its own."""
    ids, actors = made.ids, made.actors
    for visit in ("visit", "cut", "linked", "shared"):
        ids[f"{visit}.owed"] = await _owed(tx, made, visit)
    ids["owed"] = ids["visit.owed"]
    link = await links.make(tx, actors["payer"], ids["visit"], await _owed(tx, made, "visit"))
    used = await links.make(tx, actors["payer"], ids["linked"], await _owed(tx, made, "linked"))
    await tx.session.flush()
    press = Press(CashChannel.H5, str(new_id()), used.amount_fen, "10.0.0.8")
    ids["linked.payment"] = (await links.begin(tx, used.token, press, TILL)).id
    invited = await invitations.invite(
        tx, actors["patient"], actors["patient"].id, Offer(Relation.SON, depth=DEPTHS["bill"])
    )
    claimed = await invitations.invite(
        tx, actors["patient"], actors["patient"].id, Offer(Relation.FRIEND, depth=DEPTHS["steps"])
    )
    await tx.session.flush()
    await invitations.accept(tx, actors["other"], claimed.token)
    ids |= {
        "claimed": claimed.id,
        "link_id": link.id, "link": link.token, "linked.token": used.token, "invitation": invited.id,
        "invitation_id": invited.id, "invited": invited.token, "bond": ids["bond.payer"],
        "person_id": actors["payer"].id,
    }  # fmt: skip
    tx.add(PayConsent(visit_id=ids["visit"], person_id=ids["person_id"], patient_id=ids["patient_id"], amount_fen=100,
                      asked_at=tx.now))  # fmt: skip
    tx.add(PayAsk(visit_id=ids["visit"], person_id=ids["person_id"], asked_at=tx.now, told_at=tx.now,
                  take_at=tx.now + timedelta(hours=2), take_fen=100))  # fmt: skip
    await wishes.subscribe(
        tx, actors["patient"].id, made.tokens["patient"], Subscription("https://push.test/1", "p", "a")
    )
    await _letters(tx, made)
    ids["booking_id"], ids["missed"] = _booked(tx, made, "booked", 24), _booked(tx, made, "missed", -1)
    asked = PhoneBinding(
        id=new_id(), asked_by=actors["other"].id, patient_id=ids["patient_id"], relation="friend", code_digest=b"x",
        tries=0, state="asked", asked_at=tx.now, expires_at=tx.now + timedelta(minutes=9),
    )  # fmt: skip
    change, shown = new_id(), PhoneBinding(
        id=new_id(), asked_by=actors["other"].id, patient_id=ids["patient_id"], relation="friend", code_digest=b"x",
        tries=0, state="proven", asked_at=tx.now, expires_at=tx.now + timedelta(minutes=9),
    )  # fmt: skip
    tx.add(asked)
    tx.add(shown)
    sealed = tx.vault.seal("19900000099", "phone_change", change)
    tx.add(
        PhoneChange(
            id=change, person_id=ids["patient_id"], hospital_id=made.hospital, phone_sealed=sealed, document="id_card",
            asked_by=actors["guide"].id, state="asked", asked_at=tx.now,
        )
    )  # fmt: skip
    ids |= {"request_id": asked.id, "shown": shown.id, "change_id": change, "grant_id": ids["grant.guardian"]}
    ids["hospital_code"] = (await hospitals.by_id(tx, made.hospital)).code
    call = (await tx.session.scalars(select(HisCall).where(HisCall.hospital_id == made.hospital).limit(1))).one()
    call.state, call.trouble, ids["trouble"] = "refused", "no", call.key
    run = tx.add(BookRun(day=DAY, sides={}, ran_at=tx.now, tries=1))
    await tx.session.flush()
    for hospital in (made.hospital, made.elsewhere):
        tx.add(BookDay(hospital_id=hospital, day=run.day, totals={}, diff_fen=0, waiting=0, compared_at=tx.now))
    difference = Difference(
        id=new_id(), hospital_id=made.hospital, day=DAY, about="payment", kind="missing_at_his", number="N1",
        payment="", reference="", visit_id=ids["paid"], amount_fen=100, here_fen=100, there_fen=None,
        cause="on_its_way", state="open", found_at=tx.now, seen_at=tx.now,
    )  # fmt: skip
    tx.add(difference)
    ids |= {
        "difference_id": difference.id,
        "day": DAY,
        "secret": "x",
        "name": "absent.js",
        "what": "answer",
        "way": "cash",
        "department": "CARD",
    }


def _booked(tx: Tx, made: Setting, state: str, hours: int) -> UUID:
    begins, mother = tx.now + timedelta(hours=hours), made.ids["patient_id"]
    row = Booking(
        id=new_id(), hospital_id=made.hospital, patient_id=mother, booked_by=mother, department="ECG", doctor="示医生",
        slot=f"s{hours}", begins=begins, until=begins + timedelta(minutes=30), half_day=f"{begins.date()}", fee_fen=100,
        pay="account", state=state, asked_at=tx.now, decided_at=tx.now, said=1, tries=1, sequence=1, number="3",
    )  # fmt: skip
    tx.add(row)
    return row.id


async def _letters(tx: Tx, made: Setting) -> None:
    ids, actors = made.ids, made.actors
    device = reading.Device(SigningChannel.WEB, "a phone")
    asked: Any = {"insurance_status": "normal", "credit_asked_here": False}
    signed = await reading.open_reading(tx, actors["patient"], made.hospital, ids["patient_id"], device, **asked)
    contract = Contract(
        id=new_id(), hospital_id=made.hospital, patient_id=ids["patient_id"], letter_id=signed.letter_id,
        reading_id=signed.id, signer_id=ids["patient_id"], role="patient", method="strokes", channel=signed.channel,
        state="signed", signed_at=tx.now, countersign=True, seal_tries=0,
    )  # fmt: skip
    signed.state, signed.closed_at = "signed", tx.now
    tx.add(contract)
    await tx.session.flush()
    await contracts.sealed(tx, contract.id, b"{}", "0", b"%PDF", "0")
    read = await reading.open_reading(tx, actors["patient"], made.elsewhere, ids["patient_id"], device, **asked)
    ids |= {"contract_id": contract.id, "reading_id": read.id}
    ids["handed"] = await reading.hand_over(tx, actors["patient"], read.id)
