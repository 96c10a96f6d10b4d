"""Plays a made-up hospital day against a running Houfu and judges what is left of it.

Everything goes over the wire: events and commands signed as ``docs/his.md`` says, phones by Houfu's own JSON and
streams, money through the sandbox's WeChat Pay. The weather is bad until the day is over; then the air clears, and what
both sides hold must agree to the fen.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import httpx

from kernel.clock import CHINA, wall_clock
from sandbox.his.catalogue import PatientCard
from sandbox.his.generate import Clock, Day, Guest, id_number
from sandbox.his.noise import STORM, Noise
from sandbox.his.server import His
from sandbox.his.wire import Key
from sandbox.rehearsal.phones import Phone, Screen
from sandbox.rehearsal.verdict import Json, Verdict, bill_mismatch, percentiles

Say = Callable[[str, float], None]
"""What is going on, and how much of it is done (0–1)."""
_ADULT_DAYS = 19 * 366
_FAULTS = ("down", "late", "500_after", "garbage", "other_key", "slow", "refuse_abandon")
_SLIPS = ("repeat", "bad_signature", "stale", "old_events", "bad_items")


@dataclass(slots=True)
class House:
    """The Houfu that is rehearsed with, and the outside world it was told of.

    Args:
        url: Houfu's address.
        texts: the sandbox's text messages (``/control/messages``).
        till: the sandbox's WeChat Pay; empty: nobody pays.
        payer: whose WeChat pays there.
        hospital: the hospital's id at Houfu; empty: only known once a visit is seen.
        know: makes patients known before the day, as if they had been here earlier; None: nobody is.
        ledger: asks how many fen the ledger is off; None: it cannot be looked at.
    """

    url: str
    texts: str
    till: str = ""
    payer: str = ""
    hospital: str = ""
    know: Callable[[Sequence[PatientCard]], Awaitable[None]] | None = None
    ledger: Callable[[], Awaitable[int]] | None = None


def his_for(houfu_url: str, inbound: Key, outbound: Key, seed: int) -> His:
    """The hospital's system of a rehearsal: its day is simulated, its signatures are of now, its weather is bad."""
    now = wall_clock()
    morning = now.astimezone(CHINA).replace(hour=0, minute=5, second=0, microsecond=0)
    begin = max(morning, now.astimezone(CHINA) - timedelta(hours=6))
    noise = Noise(seed, STORM)
    his = His(houfu_url, inbound, [outbound], now=Clock(begin), signing_now=wall_clock, noise=noise)
    his.sender.size = 25  # an interface engine that sends when something happens, not by the hour
    return his


class Rehearsal:
    """One rehearsal; ``his`` is being served and sends (``sandbox.his.server.create_app``)."""

    def __init__(self, house: House, his: His, visits: int, seed: int, say: Say) -> None:
        self.house, self.his, self.say = house, his, say
        self.rng = random.Random(seed)
        clock = his.now
        if not isinstance(clock, Clock):
            raise TypeError("the hospital of a rehearsal lives on a simulated clock")
        self.clock = clock
        begin = clock.at.astimezone(CHINA)
        hours = min(4.0, max(0.2, 20 - begin.hour - begin.minute / 60))  # nobody arrives so late that midnight comes
        self.day = Day(his.clinic, clock, seed, visits, hours=hours)
        self._grow_up()
        self.verdict = Verdict(visits=visits)
        self.phones: dict[str, Phone] = {}
        self.before: set[str] = set()  # guests who sign before they come
        self.during: set[str] = set()
        self.over = False  # the day
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        self.client = httpx.AsyncClient(base_url=house.url, trust_env=False, limits=limits, timeout=30)

    # -- the day

    async def run(self) -> Verdict:
        """The whole of it."""
        async with self.client:
            try:
                await self._invite()
                await self._live()
                await self._clear_the_air()
                await self._pay()
                await self._judge()
            finally:
                await asyncio.gather(*(phone.hang_up() for phone in self.phones.values()))
        return self.verdict

    def _grow_up(self) -> None:
        """A child has no phone of its own; here every patient follows the day alone, so the children are grown."""
        for n, guest in enumerate(self.day.guests):
            born = date.fromisoformat(guest.patient.birth_date or "")
            if (self.clock.at.date() - born).days < _ADULT_DAYS:
                born = born.replace(year=born.year - 30, day=min(born.day, 28))
                number = id_number(born, n, guest.patient.sex == "M")
                guest.patient = replace(guest.patient, birth_date=born.isoformat(), id_number=number)
                self.his.catalogue.patients[guest.patient.no] = guest.patient

    async def _invite(self) -> None:
        for guest in self.day.guests:
            if guest.deferred:
                chosen = self.rng.random()
                if chosen < 0.5 and self.house.know is not None and self.house.hospital:
                    self.before.add(guest.patient.no)
                elif chosen < 0.8:
                    self.during.add(guest.patient.no)
            guest.deferred = guest.patient.no in self.before | self.during
        if self.house.know is None:
            return
        await self.house.know([g.patient for g in self.day.guests if g.patient.no in self.before])
        early = [g for g in self.day.guests if g.patient.no in self.before]
        for done, batch in enumerate(_chunks(early, 10)):
            self.say("patients sign ahead", done * 10 / max(1, len(early)))
            await asyncio.gather(*(self._sign_ahead(guest) for guest in batch))

    async def _sign_ahead(self, guest: Guest) -> None:
        phone = await self._phone(guest)
        if not await phone.sign(self.house.hospital):
            self.before.discard(guest.patient.no)

    async def _phone(self, guest: Guest) -> Phone:
        phone = Phone(self.client, self.house.texts, guest, random.Random(self.rng.getrandbits(64)))
        await phone.log_in()
        self.phones[guest.patient.no] = phone
        return phone

    async def _live(self) -> None:
        guests = asyncio.create_task(self._watch())
        trouble = asyncio.create_task(self._trouble())
        total, acts = len(self.day.guests), 0
        try:
            while self.day.advance() is not None:
                acts += 1
                if acts % 5 == 0:
                    await asyncio.sleep(0.01)
                while len(self.his.books.outbox) > 60:
                    await asyncio.sleep(0.05)
                _alive(guests, trouble)
                come = sum(1 for g in self.day.guests if g.encounters)
                self.say(f"{come} of {total} patients came, {len(self.his.books.answers)} events", come / total)
        finally:
            trouble.cancel()
            await asyncio.gather(trouble, return_exceptions=True)
        self.his.behaviour.good()
        await self._until(lambda: not self.his.books.outbox, 120)
        self.over = True
        await guests
        await self._everybody_watches()

    async def _trouble(self) -> None:
        heard = -1
        while True:
            await asyncio.sleep(self.rng.uniform(0.1, 0.8))
            fault = self.rng.choice(_FAULTS + _SLIPS)
            if fault in _SLIPS:
                # Not before something got through since the last slip: or a slow house would never hear anything.
                if heard == len(self.his.books.answers):
                    continue
                heard = len(self.his.books.answers)
            self.his.behaviour.be(fault, times=self.rng.choice((1, 1, 2)), seconds=5.3)

    async def _watch(self) -> None:
        """Phones are opened as their owners arrive, sign in the waiting room, and give things up now and then."""
        while not self.over:
            arrived = [g for g in self.day.guests if g.encounters]
            strangers = [g for g in arrived if g.patient.no not in self.phones]
            for batch in _chunks(strangers, 8):
                await asyncio.gather(*(self._arrive(guest) for guest in batch))
            for batch in _chunks([p for p in self.phones.values() if p.guest.encounters], 16):
                await asyncio.gather(*(self._glance(phone) for phone in batch))
            await asyncio.sleep(0.3)

    async def _arrive(self, guest: Guest) -> None:
        if not self._is_known(guest):
            return  # the hospital's first word about this patient is still on its way, or lost
        phone = await self._phone(guest)
        await phone.look()
        if guest.patient.no in self.during and phone.hospital:
            await phone.sign(phone.hospital)

    def _is_known(self, guest: Guest) -> bool:
        told = [a["id"] for a in self.his.books.answers.values() if a["status"] == "accepted"]
        return bool(told) and any(self._told(no, guest) for no in guest.encounters)

    def _told(self, encounter: str, guest: Guest) -> bool:
        # An unknown emergency patient has no phone yet; nobody can log in before the name is known here too.
        started = self.his.books.encounters[encounter].started["patient"]
        waits = any(
            item["subject"] == encounter and item["type"] in ("encounter.started", "visit.snapshot")
            for item in (*self.his.books.outbox.values(), *self.his.books.lost.values())
        )
        return "phone" in started and not waits

    async def _glance(self, phone: Phone) -> None:
        if not phone.following:
            await phone.look()
        if self.rng.random() < 0.05 and await phone.give_up_something():
            self.verdict.abandoned += 1

    async def _everybody_watches(self) -> None:
        await self._make_up()
        for batch in _chunks([g for g in self.day.guests if g.patient.no not in self.phones], 8):
            await asyncio.gather(*(self._late(guest) for guest in batch))
        for batch in _chunks(list(self.phones.values()), 16):
            await asyncio.gather(*(phone.look() for phone in batch))

    async def _late(self, guest: Guest) -> None:
        await (await self._phone(guest)).look()

    # -- the end of the day

    async def _make_up(self) -> None:
        noise = self.his.sender.noise
        if noise is None:
            return
        noise.weather = replace(STORM, lost=0.0)
        for _ in range(20):
            await self._until(lambda: not self.his.books.outbox, 120)
            if not noise.make_up(self.his.books):
                return

    async def _clear_the_air(self) -> None:
        self.say("the air clears", 0.0)
        await self._make_up()
        await self._settles()

    async def _settles(self, seconds: float = 120) -> None:
        """Wait until both sides agree, or give up; the judgement then says what does not."""
        end, wrong = time.monotonic() + seconds, list[str]()
        while time.monotonic() < end:
            await asyncio.sleep(0.5)
            if self.his.books.outbox:
                continue
            bills = await self._bills()
            wrong = [why for off, why in self._mismatches(bills) if off] + self._his_wrong(bills)
            if not wrong:
                return
            self.say("both sides compare", 1 - (end - time.monotonic()) / seconds)
        for text in wrong[:5]:
            self.verdict.note(f"still after {seconds:.0f} s: {text}")

    async def _bills(self) -> dict[str, list[Json]]:
        found: dict[str, list[Json]] = {}
        for batch in _chunks(list(self.phones.items()), 16):
            shown = await asyncio.gather(
                *(asyncio.gather(*(p.get(f"/api/visits/{v}") for v in p.following)) for _, p in batch)
            )
            found.update((no, list(bills)) for (no, _), bills in zip(batch, shown, strict=True))
        return found

    def _mismatches(self, bills: dict[str, list[Json]]) -> list[tuple[int, str]]:
        right, settled = self.day.bills(), set(self.his.books.settled)
        found = []
        for guest in self.day.guests:
            mine = [right[no] for no in guest.encounters]
            off, why = bill_mismatch(self.his.books, mine, bills.get(guest.patient.no, []), settled)
            found.append((off, f"{guest.patient.no} {guest.encounters}: {why}"))
        return found

    def _his_wrong(self, bills: dict[str, list[Json]]) -> list[str]:
        """What the hospital's system holds of our decisions, against what it should."""
        books = self.his.books
        wrong = [f"complaint: {text}" for text in books.complaints]
        wrong += [
            f"rejected: {answer}"
            for answer in books.answers.values()
            if answer["status"] == "rejected" and not answer["id"].startswith("bad-")
        ]
        for guest in self.day.guests:
            shown = bills.get(guest.patient.no, [])
            modes = {bill["visit"]["mode"] for bill in shown}
            for no in guest.encounters:
                enc, bill = books.encounters[no], books.right_bill(no)
                if modes != {enc.mode}:
                    wrong.append(f"{no}: is {enc.mode} there and {modes} here")
                if enc.mode == "DEFERRED":
                    missing = [c for c in (*bill.payable, *bill.planned) if c not in enc.posted]
                    wrong += [f"{c} of {no} was never charged to account" for c in missing]
                if enc.excluded_all and enc.mode == "DEFERRED":
                    wrong.append(f"{no}: is excluded and still post-pay")
            ahead = guest.patient.no in self.before
            if (
                ahead
                and modes != {"DEFERRED"}
                and not any(books.encounters[no].excluded_all for no in guest.encounters)
            ):
                wrong.append(f"{guest.patient.no}: signed ahead and is {modes}")
        return wrong

    # -- money

    async def _pay(self) -> None:
        if not self.house.till:
            return
        async with httpx.AsyncClient(trust_env=False, timeout=30) as outside:
            rules: list[Json] = [
                {"on": "notify", "do": do, "times": None, "probability": 0.2, "seed": n}
                for n, do in enumerate(("drop", "duplicate", "tamper"))
            ]
            rules += [{"on": "create", "do": "error_after", "times": None, "probability": 0.05, "seed": 9}]
            await outside.post(f"{self.house.till}/control/behave", json=rules)
            phones = [p for p in self.phones.values() if p.following]
            for done, batch in enumerate(_chunks(phones, 8)):
                self.say("families pay", done * 8 / max(1, len(phones)))
                await asyncio.gather(*(self._settle_up(phone, outside) for phone in batch))
            await self._settles()
            await self._count_money(outside)

    async def _settle_up(self, phone: Phone, outside: httpx.AsyncClient) -> None:
        for visit in phone.following:
            for attempt in range(4):
                owed = (await phone.get(f"/api/visits/{visit}"))["sums"]["payable_fen"]
                if owed == 0:
                    break
                body, path = {"amount_fen": owed, "channel": "H5"}, f"/api/visits/{visit}/payments"
                keys = [f"{visit[:30]}-{attempt}-{n}" for n in (1, 1, 2)]  # the same press twice, and another page's
                pressed = await asyncio.gather(*(phone.post(path, body, **{"Idempotency-Key": key}) for key in keys))
                made = {a.json()["id"]: a.json() for a in pressed if a.status_code == 201}
                await asyncio.gather(*(self._cashier(phone, outside, payment) for payment in made.values()))
            else:
                self.verdict.his_mismatch += 1
                self.verdict.note(f"{visit} could not be paid")

    async def _cashier(self, phone: Phone, outside: httpx.AsyncClient, payment: Json) -> None:
        """Press twice where WeChat's cashier asks for the money, and wait for the end of it."""
        pressed = False
        for _ in range(300):
            if payment["state"] in ("settled", "closed", "refunded"):
                self.verdict.payments += payment["state"] == "settled"
                return
            if payment["h5_url"] is not None and not pressed:
                pressed = True
                paid = {"openid": self.house.payer}
                await asyncio.gather(*(outside.post(payment["h5_url"], data=paid) for _ in range(2)))
            await asyncio.sleep(0.2)
            payment = await phone.get(f"/api/payments/{payment['id']}")
        self.verdict.note(f"never settled: {payment}")

    async def _count_money(self, outside: httpx.AsyncClient) -> None:
        """Every payment the till took belongs to exactly one settlement of the hospital, over the same amount."""
        till: Json = (await outside.get(f"{self.house.till}/control/books")).json()
        returned = Counter(r["out_trade_no"] for r in till["refunds"] if r["status"] == "SUCCESS")
        taken = {p["transaction_id"]: p for p in till["payments"] if p["out_trade_no"] not in returned}
        settled = Counter(s["transaction"] for s in self.his.books.settlements.values())
        for transaction, payment in taken.items():
            if settled[transaction] != 1:
                self.verdict.payments_doubled += 1
                self.verdict.note(f"{payment} has {settled[transaction]} settlements")
        for settlement in self.his.books.settlements.values():
            paid = taken.get(settlement["transaction"])
            if paid is None or paid["total"] != settlement["total_fen"]:
                self.verdict.his_mismatch += 1
                self.verdict.note(f"{settlement} is not what the till took: {paid}")

    # -- the judgement

    async def _judge(self) -> None:
        verdict, books = self.verdict, self.his.books
        bills = await self._bills()
        verdict.events_sent = len(books.answers)
        verdict.signed = sum(1 for p in self.phones.values() if p.signed)
        for off, why in self._mismatches(bills):
            verdict.bill_mismatch_fen += off
            if off:
                verdict.note(why)
        wrong = self._his_wrong(bills)
        verdict.his_mismatch += len(wrong)
        for text in wrong:
            verdict.note(text)
        phones = list(self.phones.values())
        for done, batch in enumerate(_chunks(phones, 16)):
            self.say("every push is counted", done * 16 / max(1, len(phones)))
            await asyncio.gather(*(self._count_pushes(phone) for phone in batch))
        delays = [delay for phone in phones for delay in phone.delays]
        verdict.push_p50_ms, verdict.push_p99_ms = percentiles(delays)
        verdict.ledger_imbalance_fen = None if self.house.ledger is None else await self.house.ledger()

    async def _count_pushes(self, phone: Phone) -> None:
        for watched in phone.following.values():
            expected = await phone.replay(watched)
            await self._until(lambda w=watched, e=expected: set(e) <= set(w.ids), 5)  # type: ignore[misc]
            seen = Counter(watched.ids)
            self.verdict.pushes_expected += len(expected)
            self.verdict.pushes_seen += len(watched.ids)
            lost = [one for one in expected if not seen[one]]
            self.verdict.pushes_lost += len(lost)
            self.verdict.pushes_doubled += sum(times - 1 for times in seen.values())
            fresh = Screen.of(*await phone.page(watched.visit))
            for what in watched.screen.differences(fresh):
                self.verdict.pushes_lost += 1
                self.verdict.note(f"{phone.guest.patient.no} {watched.visit}: the screen is not the page in {what}")

    async def _until(self, met: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not met() and time.monotonic() < end:
            await asyncio.sleep(0.05)


def _alive(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        if task.done():
            task.result()


def _chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    return [items[start : start + size] for start in range(0, len(items), size)]
