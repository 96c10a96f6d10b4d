"""Plays a made-up hospital day against a running Houfu.

Everything goes over the wire: events and commands signed as ``docs/his.md`` says, phones by Houfu's own JSON and
streams, desks and the kiosk by the pages people use, money through the sandbox's WeChat Pay and payment centre and over
the counter (``sandbox.rehearsal.spending``). The weather is bad until the day is over; then the air clears, and what
all sides hold must agree to the fen (``sandbox.rehearsal.judge``).
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx

from kernel.clock import CHINA, china_day, wall_clock
from sandbox.his.catalogue import Catalogue
from sandbox.his.generate import Clock, Day, Guest
from sandbox.his.noise import STORM, Noise
from sandbox.his.server import His
from sandbox.his.wire import Key
from sandbox.rehearsal.family import Families, another, grown_up, is_child, is_past_childhood, without_phone
from sandbox.rehearsal.hall import Account, Hall
from sandbox.rehearsal.house import House
from sandbox.rehearsal.insurer import Insurer
from sandbox.rehearsal.judge import Judge
from sandbox.rehearsal.money import Purse
from sandbox.rehearsal.news import Heard, Truth
from sandbox.rehearsal.phones import Phone
from sandbox.rehearsal.reconcile import compare_books, open_before
from sandbox.rehearsal.register import Register
from sandbox.rehearsal.spending import Spending
from sandbox.rehearsal.verdict import Verdict
from sandbox.rehearsal.ways import WAYS, Ways

Say = Callable[[str, float], None]
Afterwards = Callable[["Rehearsal"], Awaitable[None]]
"""What is going on, and how much of it is done (0–1)."""
_FAULTS = ("down", "late", "500_after", "garbage", "other_key", "slow", "refuse_abandon")
_PATIENCE = 330.0  # seconds; a call that failed often is tried again after at most five minutes
_EVENING = ("down", "500_after", "garbage", "other_key")
_SLIPS = ("repeat", "bad_signature", "stale", "old_events", "bad_items")


def his_for(houfu_url: str, inbound: Key, outbound: Key, seed: int, catalogue: Catalogue | None = None) -> His:
    """The hospital's system of a rehearsal: its day is simulated, its signatures are of now, its weather is bad."""
    now = wall_clock()
    morning = now.astimezone(CHINA).replace(hour=0, minute=5, second=0, microsecond=0)
    begin = max(morning, now.astimezone(CHINA) - timedelta(hours=6))
    noise = Noise(seed, STORM)
    clock = Clock(begin)
    his = His(houfu_url, inbound, [outbound], now=clock, signing_now=wall_clock, noise=noise, catalogue=catalogue)
    his.sender.size = 25  # an interface engine that sends when something happens, not by the hour
    return his


class Rehearsal:
    """One rehearsal; ``his`` is being served and sends (``sandbox.his.server.create_app``).

    Args:
        mark: five digits that set this rehearsal's patients and numbers apart from another's at the same house.
    """

    def __init__(self, house: House, his: His, visits: int, seed: int, say: Say, mark: str = "") -> None:
        self.house, self.his, self.say = house, his, say
        self.rng = random.Random(seed)
        clock = his.now
        if not isinstance(clock, Clock):
            raise TypeError("the hospital of a rehearsal lives on a simulated clock")
        self.clock = clock
        begin = clock.at.astimezone(CHINA)
        hours = min(4.0, max(0.2, 20 - begin.hour - begin.minute / 60))  # nobody arrives so late that midnight comes
        self.day = Day(his.clinic, clock, seed, visits, hours=hours)
        self.verdict = Verdict(visits=visits)
        self.phones: dict[str, Phone] = {}  # patient number → who acts for the patient: she, or a child's father
        self.children: set[str] = set()
        self.before: set[str] = set()  # guests who sign before they come
        self.during: set[str] = set()
        self.met: set[str] = set()  # guests of ``during`` who have been asked to sign
        self.over = False  # the day
        self._known: dict[str, Account] = {}  # by visit
        self.began = china_day(wall_clock())
        self.heard = Heard(his.books, time.monotonic)
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        self.client = httpx.AsyncClient(base_url=house.url, trust_env=False, limits=limits, timeout=30)
        his.books.salt = mark
        self._set_apart(mark)
        self.purse = Purse(house.till, house.payer, his, self.rng) if house.till else None
        outside = self.purse.outside if self.purse is not None else self.client
        register = Register(outside, house.url, house.wechat, house.till, house.insurance, mark)
        prefix = f"17{mark}" if mark else "1980"
        self.families = Families(self.client, house.texts, self.rng, register, house.desk, prefix)
        self._cast(mark)
        self.spending = self._spending(self.purse, mark) if self.purse is not None else None
        truth = Truth(his.books, his.catalogue.departments)
        self.judge = Judge(self.verdict, self.day, his, truth, self.heard, self.phones, self.families, self.before)

    # -- the day

    async def run(self, afterwards: Afterwards | None = None) -> Verdict:
        """The whole of it.

        Args:
            afterwards: is let in when all is judged, while house and outside world are still open.
        """
        async with self.client:
            try:
                await self._open()
                await self._invite()
                await self._live()
                await self._clear_the_air()
                await self._evening()
                await self._judge()
                if afterwards is not None:
                    await afterwards(self)
            except (httpx.HTTPError, RuntimeError, LookupError) as error:
                self.verdict.broke_off = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
                self.verdict.note(f"The rehearsal broke off: {self.verdict.broke_off}")
            finally:
                everybody = [*self.phones.values(), *(r.phone for r in self.families.relatives)]
                await asyncio.gather(*(phone.hang_up() for phone in everybody))
                if self.purse is not None:
                    await self.purse.close()
        return self.verdict

    def _spending(self, purse: Purse, mark: str) -> Spending:
        house, rng = self.house, self.rng
        hall = Hall(self.client, purse, house.cashiers, house.finance, house.terminals, rng, mark)
        asked = bool(house.insurance and house.wechat)
        insurer = Insurer(purse.outside, house.insurance, house.till, rng) if asked else None
        return Spending(purse, hall, insurer, Ways(set(WAYS) - house.offers().keys(), rng), rng)

    async def _open(self) -> None:
        spending = self.spending
        if spending is None:
            return
        await spending.purse.open()
        if self.house.know is None and self.house.finance is not None:  # not the first to be at this house
            spending.purse.others |= await open_before(self.client, self.house.finance, spending.purse, [self.began])
        if spending.insurer is not None:
            await spending.insurer.open()
        await spending.hall.open()

    def _set_apart(self, mark: str) -> None:
        """Children come with a father where a desk can write him down; else, and near a birthday, they are grown."""
        today = self.clock.at.date()
        for n, guest in enumerate(self.day.guests):
            card = another(guest.patient, n, mark) if mark else guest.patient
            if is_child(card, today) and self.house.desk is not None:
                self.children.add(card.no)
            elif not is_past_childhood(card, today):
                card = grown_up(card, n)
            guest.patient = card
            self.his.catalogue.patients[card.no] = card

    def _cast(self, mark: str) -> None:
        """The last of the day is an elder without a phone; the one before is an adult for whom a guardian stands."""
        cast, families = (self.day.guests[::-1] if self.house.desk is not None else [])[:2], self.families
        for n, (guest, born_in) in enumerate(zip(cast, (1932, 1970), strict=False)):
            card = without_phone(guest.patient, len(self.day.guests) + n, mark, born_in)
            self.children.discard(card.no)
            guest.patient, guest.deferred = card, True
            self.his.catalogue.patients[card.no] = card
        families.elder, families.ward = [*(guest.patient.no for guest in cast), "", ""][:2]
        families.seat([guest.patient.no for guest in self.day.guests])

    async def _invite(self) -> None:
        for guest in self.day.guests:
            number = guest.patient.no
            if guest.deferred:
                chosen = self.rng.random()
                may_sign_ahead = self.house.know is not None and self.house.hospital and number not in self.children
                asked = number in (self.families.elder, self.families.ward)  # who signs for them does in any case
                if may_sign_ahead and (chosen < 0.5 or asked):
                    self.before.add(number)
                elif chosen < 0.8 or asked:
                    self.during.add(number)
            guest.deferred = number in self.before | self.during
        apart = self.children | {self.families.elder}  # nobody can use their insurance, or not twice
        grown = [g for g in self.day.guests if g.deferred and g.patient.no not in apart]
        for guest in grown[: max(1, len(self.day.guests) // 10)]:
            guest.twice = True  # the insurance then settles twice
        if self.house.know is None:
            return
        early = [g for g in self.day.guests if g.patient.no in self.before]
        await self.house.know([g.patient for g in early])
        for done, batch in enumerate(chunks(early, 10)):
            self.say("patients sign ahead", done * 10 / max(1, len(early)))
            await asyncio.gather(*(self._sign_ahead(guest) for guest in batch))

    async def _sign_ahead(self, guest: Guest) -> None:
        phone = await self._phone(guest)
        if not await phone.sign(self.house.hospital, phone.patient):
            self.before.discard(guest.patient.no)
        if (elder := self.families.carried) is not None and elder.guest is guest:
            await elder.book(self.house.hospital, self.his, comes=True)

    async def _phone(self, guest: Guest) -> Phone:
        if guest.patient.no in self.children or guest.patient.no == self.families.ward:
            phone = await self.families.guardian(guest)
        elif guest.patient.no == self.families.elder:
            phone = await self.families.daughter(guest)
        else:
            phone = self.families.phone(guest.patient)
            await self.families.log_in(phone)
            await self.families.register.insure(guest.patient, phone.openid)
        self.phones[guest.patient.no] = phone
        await self.families.gather(guest, phone)
        return phone

    async def _live(self) -> None:
        tasks = [asyncio.create_task(one) for one in (self._watch(), self._trouble(_FAULTS), self._spend())]
        guests, trouble, spending = tasks
        total, acts = len(self.day.guests), 0
        try:
            while self.day.advance() is not None:
                acts += 1
                if acts % 5 == 0:
                    await asyncio.sleep(0.01)
                while len(self.his.books.outbox) > 60:
                    _alive(*tasks)
                    await asyncio.sleep(0.05)
                _alive(*tasks)
                if self._awaited():
                    await self._until(lambda: not self._awaited(), 2)
                    self.met |= set(self._awaited())  # whoever takes longer signs when they can
                come = sum(1 for g in self.day.guests if g.encounters)
                self.say(f"{come} of {total} patients came, {len(self.his.books.answers)} events", come / total)
            await self._until(lambda: not self.his.books.outbox, 60)
        finally:
            self.over = True
            trouble.cancel()
            await asyncio.gather(trouble, return_exceptions=True)
            self.his.behaviour.good()
        await self._until(lambda: not self.his.books.outbox, 120)
        await asyncio.gather(guests, spending)
        await self._everybody_watches()

    def _awaited(self) -> list[str]:
        """Who has come, is to sign in the waiting room, and has not been asked yet."""
        come = (g.patient.no for g in self.day.guests if g.encounters)
        return [number for number in come if number in self.during - self.met]

    async def _trouble(self, faults: Sequence[str]) -> None:
        heard = -1
        while True:
            await asyncio.sleep(self.rng.uniform(0.1, 0.8))
            fault = self.rng.choice((*faults, *_SLIPS))
            if fault in _SLIPS:
                # Not before something got through since the last slip: or a slow house would never hear anything.
                if heard == len(self.his.books.answers):
                    continue
                heard = len(self.his.books.answers)
            elif self.rng.random() < 0.7:
                continue  # bad weather, not a wall: some calls get through
            self.his.behaviour.be(fault, times=self.rng.choice((1, 1, 2)), seconds=5.3)

    async def _spend(self) -> None:
        spending = self.spending
        if spending is None:
            return
        await spending.purse.misbehave()
        storm = asyncio.create_task(spending.insurer.storm(lambda: False)) if spending.insurer else None
        try:
            await spending.day(self._accounts, lambda: self.over)
        finally:
            if storm is not None:
                storm.cancel()
                await asyncio.gather(storm, return_exceptions=True)

    def _accounts(self) -> list[Account]:
        """Every visit somebody sees on a phone, with those who may pay for it."""
        found = []
        for guest, phone in self._guests_phones():
            card = guest.patient
            # Who carries everything for an elder pays by phone or at the window: her insurance is not theirs to use.
            own = card.status == "normal" and phone.sees == "all"
            insured = guest.deferred and own and bool(card.id_number)
            for visit in phone.following:
                made = Account(card.no, card.id_number or "", visit, phone, insured)
                account = self._known.setdefault(visit, made)
                account.helpers, account.encounters = self._helpers(guest), len(guest.encounters)
                found.append(account)
        return found

    async def _watch(self) -> None:
        """Phones are opened as their owners arrive, sign in the waiting room, and give things up now and then."""
        while not self.over:
            arrived = [g for g in self.day.guests if g.encounters]
            strangers = [g for g in arrived if g.patient.no not in self.phones]
            for batch in chunks(strangers, 8):
                await asyncio.gather(*(self._arrive(guest) for guest in batch))
            for batch in chunks([g for g in arrived if g.patient.no in self.phones], 16):
                await asyncio.gather(*(self._glance(guest) for guest in batch))
            await self.families.look(self._patient_of)
            await self._part_ways()
            await self._show_pass()
            await asyncio.sleep(0.3)

    async def _show_pass(self) -> None:
        if self.families.carried is not None:
            await self.families.carried.show_pass(self.client)

    async def _part_ways(self) -> None:
        for guest, phone in self._guests_phones():
            await self.families.part_ways(guest, phone)

    def _patient_of(self, guest: Guest) -> str | None:
        phone = self.phones.get(guest.patient.no)
        return (phone.patient or phone.person) if phone is not None and guest.encounters else None

    async def _arrive(self, guest: Guest) -> None:
        if not any(self._told(no) for no in guest.encounters):
            return  # the hospital's first word about this patient is still on its way, or lost
        await self._meet(guest, await self._phone(guest))

    async def _meet(self, guest: Guest, phone: Phone) -> None:
        await phone.look(phone.patient)
        if guest.patient.no in self.during and phone.hospital:
            await phone.sign(phone.hospital, phone.patient)
        if (elder := self.families.carried) is not None and elder.guest is guest and not elder.books:
            await elder.book(phone.hospital, self.his, comes=False)
        self.met.add(guest.patient.no)

    def _told(self, encounter: str) -> bool:
        # Nobody can log in for an unknown emergency patient before the name is known here too.
        started = self.his.books.encounters[encounter].started["patient"]
        waits = any(
            item["subject"] == encounter and item["type"] in ("encounter.started", "visit.snapshot")
            for item in (*self.his.books.outbox.values(), *self.his.books.lost.values())
        )
        known = any((kind, encounter, "") in self.heard.at for kind in ("encounter.started", "visit.snapshot"))
        return known and "id_number" in started and not waits

    async def _glance(self, guest: Guest) -> None:
        phone = self.phones[guest.patient.no]
        if not phone.following:
            await phone.look(phone.patient)
        if self.rng.random() < 0.05 and await phone.give_up_something():
            self.verdict.abandoned += 1

    async def _everybody_watches(self) -> None:
        await self._make_up()
        late = [g for g in self.day.guests if g.patient.no not in self.phones]
        for batch in chunks(late, 8):
            await asyncio.gather(*(self._phone(guest) for guest in batch))
        for batch in chunks(list(self.phones.values()), 16):
            await asyncio.gather(*(phone.look(phone.patient) for phone in batch))
        for guest in (g for g in late if g.patient.no == self.families.elder):
            await self._meet(guest, self.phones[guest.patient.no])  # that she came was lost on the way until now
        await self.families.look(self._patient_of)
        await self._part_ways()  # who came late to look is shut out before anybody settles up
        await self._show_pass()

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
        if self.spending is not None:
            await self.spending.tidy(self._accounts())
        await self._settles()

    async def _settles(self, seconds: float = _PATIENCE, accounts: Sequence[Account] = ()) -> None:
        """Wait until both sides agree, or give up; the judgement then says what does not."""
        end, wrong = time.monotonic() + seconds, list[str]()
        while time.monotonic() < end:
            await asyncio.sleep(0.5)
            if self.his.books.outbox:
                continue
            if self.spending is not None:
                await self.spending.keep_house(accounts)
            wrong = await self.judge.disagreements(self.spending)
            if not wrong:
                return
            self.say(f"both sides compare; {len(wrong)} differ", 1 - (end - time.monotonic()) / seconds)
        for text in wrong[:5]:
            self.verdict.note(f"still after {seconds:.0f} s: {text}")

    async def _evening(self) -> None:
        """Relatives' phones are judged while they may still see; then everybody pays what is left."""
        await self.judge.relatives()
        spending = self.spending
        if spending is None:
            return
        storms = [asyncio.create_task(self._trouble(_EVENING))]
        if spending.insurer is not None:
            storms.append(asyncio.create_task(spending.insurer.storm(lambda: False)))
        accounts = self._accounts()
        owing = [a for a in accounts if a.owner.following[a.visit].screen.sums.get("payable_fen")]
        for account in owing[1::3]:
            # Pays all of it without the insurance, so that more than remainders is paid; two departments never do.
            account.insured = account.insured and account.encounters > 1
        try:
            for done, batch in enumerate(chunks(accounts, 8)):
                self.say("families pay", done * 8 / max(1, len(accounts)))
                told = await asyncio.gather(*(spending.settle_up(account) for account in batch))
                self.verdict.wrong_his(text for text in told if text)
            self.say("some pay before it is done", 1.0)
            self.verdict.wrong_his(await spending.first.play(accounts))
            self.say("some ask for money back", 1.0)
            await self._until_booked(accounts)
            await spending.ask_back(accounts)
        finally:
            for storm in storms:
                storm.cancel()
            await asyncio.gather(*storms, return_exceptions=True)
        self.his.behaviour.good()
        if spending.insurer is not None:
            await spending.insurer.behave()
        await spending.purse.behave()
        await spending.purse.tidy()
        await self._settles(accounts=accounts)

    async def _until_booked(self, accounts: Sequence[Account], seconds: float = 20) -> None:
        """Only what the hospital has booked can be asked back."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            bills = await asyncio.gather(*(a.owner.get(f"/api/visits/{a.visit}") for a in accounts))
            if not any(bill["round"] and bill["round"]["state"] == "paid" for bill in bills):
                return
            await asyncio.sleep(0.5)

    def _guests_phones(self) -> list[tuple[Guest, Phone]]:
        return [(g, self.phones[g.patient.no]) for g in self.day.guests if g.patient.no in self.phones]

    def _helpers(self, guest: Guest) -> list[Phone]:
        mine = [r for r in self.families.relatives if r.guest is guest and r.pays and not r.leaves]
        return [r.phone for r in mine if r.phone is not self.phones.get(guest.patient.no)]

    async def _judge(self) -> None:
        await self.judge.day(self.spending)
        phones = list(self.phones.values())
        for done, batch in enumerate(chunks(list(self._guests_phones()), 16)):
            self.say("every push is counted", done * 16 / max(1, len(phones)))
            await asyncio.gather(*(self.judge.pushes(g, phone) for g, phone in batch if phone.sees == "all"))
        await self.judge.stood_for(self.children)
        self.judge.times()
        ledger = self.house.ledger
        await self._books()
        self.verdict.ledger_imbalance_fen = None if ledger is None else await ledger()
        if ledger is None:
            self.verdict.unjudged.append("the ledger: it is inside that Houfu")
        self.verdict.unjudged += self.house.not_played()

    async def _books(self) -> None:
        """The cashiers count their drawers, then finance has the day's books compared."""
        spending, verdict = self.spending, self.verdict
        if spending is not None and spending.hall.cashiers:
            off = await spending.hall.close()
            verdict.drawer_mismatch_fen = (verdict.drawer_mismatch_fen or 0) + off
            if off:
                verdict.note(f"the drawers are {off} fen off what the house thinks is in them")
        self.say("the books are compared", 1.0)
        await self.compare_books(verdict)

    async def compare_books(self, verdict: Verdict, tries: int = 12) -> Verdict:
        """The finance department has every day of this rehearsal compared; a verdict is told what differs."""
        finance, purse = self.house.finance, self.purse
        if finance is None or purse is None:
            verdict.reconcile_difference_fen = None
            if finance is None:
                verdict.unjudged.append("the books of the day: no finance department to log in as")
            return verdict
        today = china_day(wall_clock())
        days = [self.began + timedelta(days=n) for n in range((today - self.began).days + 1)]
        await compare_books(self.client, finance, purse, days, verdict, tries)
        return verdict

    async def _until(self, met: Callable[[], bool], seconds: float) -> None:
        end = time.monotonic() + seconds
        while not met() and time.monotonic() < end:
            await asyncio.sleep(0.05)


def _alive(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        if task.done():
            task.result()


def chunks(items: Sequence[Any], size: int) -> list[Sequence[Any]]:
    """Items by the handful."""
    return [items[start : start + size] for start in range(0, len(items), size)]
