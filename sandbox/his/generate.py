"""A whole hospital day of made-up visits, the same for the same seed: what the rehearsal throws at Houfu.

The day is lived act by act (``Day.advance``), so that Houfu's commands may fall in between and be obeyed: an order it
abandoned is not performed any more. Times are simulated; nothing sleeps. Everything goes through ``Clinic``, so the
books know the right bill of every encounter at every moment.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from sandbox.his.books import Encounter, RightBill
from sandbox.his.catalogue import PatientCard, Template
from sandbox.his.clinic import Clinic
from words import his_scenes

_SURNAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜𠅤㛃䶮"
_GIVEN = "桂芳建国秀英志强晓雨立新福根卫东明远静文博佳乐慧晴宁平磊浩冬安然䶮㛃"
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_REPORTING = ("lab", "imaging")


class Clock:
    """A clock that stands still until it is moved; give it to ``Books`` as ``now``."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


@dataclass(slots=True)
class Guest:
    """One patient of the day with the encounters they have had so far.

    Attributes:
        deferred: they may pay later.
        twice: they see a second department in any case.
        come: begins their first encounter and says its number, where it is booked; its registration is in it.
    """

    patient: PatientCard
    deferred: bool
    twice: bool = False
    encounters: list[str] = field(default_factory=list)
    come: Callable[[], str] | None = None


def id_number(birth: date, sequence: int, male: bool) -> str:
    """A number with a right check digit in a region that does not exist (999901), so it can be nobody's."""
    body = f"999901{birth:%Y%m%d}{sequence % 490 * 2 + (1 if male else 2):03d}"
    return body + "10X98765432"[sum(int(d) * w for d, w in zip(body, _WEIGHTS, strict=True)) % 11]


class Day:
    """N patients arriving over some hours.

    Args:
        clinic: its books must run on ``clock``.
        seed: same seed, same day (as long as Houfu commands nothing).
        visits: how many patients come.
        hours: over how long they arrive.
    """

    def __init__(self, clinic: Clinic, clock: Clock, seed: int, visits: int, hours: float = 8.0) -> None:
        self.clinic, self.clock = clinic, clock
        self.guests: list[Guest] = []
        self._random = random.Random(seed)
        self._seed = seed
        self._agenda: list[tuple[datetime, int, Iterator[float]]] = []
        departments = clinic.catalogue.departments.values()
        self._consulting = [d.code for d in departments if d.kind == "consulting" and d.code != "EMER"]
        templates = clinic.catalogue.templates.values()
        self._orders = [t for t in templates if t.kind not in ("registration", "consultation") and t.department]
        begin = clock.at
        for n in range(visits):
            guest = self._guest(n)
            self.guests.append(guest)
            rng = random.Random(self._random.getrandbits(64))
            arrives = begin + timedelta(hours=hours * self._random.random())
            heapq.heappush(self._agenda, (arrives, n, _Visit(self, guest, rng).live()))

    def _guest(self, n: int) -> Guest:
        rng = self._random
        born = self.clock.at.date() - timedelta(days=rng.randint(400, 33_000))
        male = rng.random() < 0.48
        status = rng.choices(("normal", "suspended", "none"), (92, 4, 4))[0]
        scheme = rng.choice(("employee", "resident")) if status != "none" else None
        card = PatientCard(
            key=f"g{n}",
            no=f"G{self._seed % 10_000:04d}-{n:05d}",
            name=rng.choice(_SURNAMES) + "".join(rng.choices(_GIVEN, k=rng.choice((1, 2, 2)))),
            sex="M" if male else "F",
            birth_date=born.isoformat(),
            id_number=id_number(born, n, male),
            phone=f"199{n % 100_000_000:08d}",
            status=status,
            scheme=scheme,
            account_fen=rng.randrange(0, 60_000) if scheme == "employee" else 0,
        )
        self.clinic.catalogue.patients[card.no] = card
        return Guest(card, deferred=status == "normal")

    def department(self, rng: random.Random) -> str:
        """Where somebody without an emergency goes."""
        return rng.choice(self._consulting)

    def template(self, rng: random.Random) -> Template:
        """What a doctor orders."""
        return rng.choice(self._orders)

    def advance(self) -> datetime | None:
        """Let the next thing happen somewhere in the hospital; its time, or None when the day is over."""
        if not self._agenda:
            return None
        at, n, life = heapq.heappop(self._agenda)
        self.clock.at = max(at, self.clock.at)
        pause = next(life, None)
        if pause is not None:
            heapq.heappush(self._agenda, (self.clock.at + timedelta(minutes=pause), n, life))
        return self.clock.at

    def run(self) -> None:
        """Live the whole day at once."""
        while self.advance() is not None:
            pass

    def bills(self) -> dict[str, RightBill]:
        """The right bill of every encounter as of now."""
        return {no: self.clinic.books.right_bill(no) for g in self.guests for no in g.encounters}


class _Visit:
    """One patient's day, as an iterator over the minutes until the next thing happens."""

    def __init__(self, day: Day, guest: Guest, rng: random.Random) -> None:
        self.day, self.guest, self.rng = day, guest, rng
        self.clinic, self.books = day.clinic, day.clinic.books

    def chance(self, part: float) -> bool:
        return self.rng.random() < part

    def live(self) -> Iterator[float]:
        emergency = self.chance(0.05) and self.guest.come is None
        yield from self.encounter("EMER" if emergency else self.day.department(self.rng), emergency)
        if self.chance(0.1) or self.guest.twice:
            yield self.rng.uniform(5, 40)
            yield from self.encounter(self.day.department(self.rng), False)

    def encounter(self, department: str, emergency: bool) -> Iterator[float]:
        patient = self.guest.patient
        if emergency and self.chance(0.3):  # nobody knows the name yet
            patient = replace(patient, name="无名氏", sex=None, birth_date=None, id_number=None, phone=None)
        come, self.guest.come = self.guest.come, None
        no = come() if come is not None else self.clinic.register(patient, department, emergency)
        self.guest.encounters.append(no)
        first = [self.clinic.order(no, "CONSE")] if emergency else self._arrive(no, booked=come is not None)
        yield self.rng.uniform(1, 5) if emergency else self.rng.uniform(8, 40)
        for order in first:
            yield from self.perform(no, order)
        orders = []
        for _ in range(self.rng.choices(range(7), (2, 4, 6, 5, 3, 2, 1))[0]):
            orders.append(self.clinic.order(no, self.day.template(self.rng).code))
            yield self.rng.uniform(0.1, 1)
        if patient.id_number is None:
            self.clinic.identify(no, self.guest.patient.wire())
        self.rng.shuffle(orders)
        for order in orders:
            yield self.rng.uniform(2, 30)
            yield from self.fate(no, order)
        yield from self.loose_ends(no)
        if not self.chance(0.03):  # some doctors forget to close
            self.clinic.finish(no)

    def _arrive(self, no: str, *, booked: bool) -> list[str]:
        first = [] if booked else [self.clinic.order(no, "REG")]
        return [*first, self.clinic.order(no, self.rng.choice(("CONS", "CONS2", "CONS3")))]

    def enc(self, no: str) -> Encounter:
        return self.books.encounters[no]

    def alive(self, no: str, order: str) -> bool:
        """Whether the order is still wanted and still to do: Houfu may have abandoned it, a desk confirmed it."""
        return order not in self.enc(no).cancelled and order not in self.enc(no).performed_orders

    def fate(self, no: str, order: str) -> Iterator[float]:
        """What becomes of one order: mostly done, sometimes never, cancelled, or done in part."""
        if not self.alive(no, order):
            return
        luck = self.rng.random()
        if luck < 0.08:
            return
        if luck < 0.14:
            self.clinic.cancel(order, "医生取消")
            if self.chance(0.5):  # half of the interfaces also reverse each charge
                for charge in self.books.charges_of(self.enc(no), order):
                    self.clinic.reverse(charge, "医嘱取消")
            return
        ahead = self.rng.randrange(0, 6)
        for waiting in range(ahead, -1, -2):
            self.clinic.call(order, waiting)
            yield self.rng.uniform(1, 6)
            if not self.alive(no, order):
                return
        yield from self.perform(no, order, part=luck > 0.93)

    def perform(self, no: str, order: str, part: bool = False) -> Iterator[float]:
        if not self.guest.deferred:
            self.clinic.pay_at_window(no, order)
            yield self.rng.uniform(1, 8)
        if not self.alive(no, order):
            return
        charges = [c for c in self.books.charges_of(self.enc(no), order) if c not in self.enc(no).reversed]
        if part and len(charges) > 1:
            self.clinic.confirm(order, charge_nos=charges[: len(charges) // 2])
            yield self.rng.uniform(1, 10)
            if self.chance(0.5):
                self.clinic.confirm(order, charge_nos=charges[len(charges) // 2 :])
        else:
            self.clinic.confirm(order)
        if self.chance(0.03):  # one tube more, written after the blood was drawn
            self.clinic.charge(no, "L001", 1, order)
        if self.enc(no).orders[order]["kind"] in _REPORTING:
            yield from self.report(order)

    def report(self, order: str) -> Iterator[float]:
        yield self.rng.uniform(3, 60)
        flag = self.rng.choices(("normal", "abnormal", "critical"), (75, 23, 2))[0]
        words = his_scenes.REPORTS["normal" if flag == "normal" else "mild"]
        if self.chance(0.1):
            self.clinic.result(order, flag, status="partial")
            yield self.rng.uniform(3, 30)
        self.clinic.result(order, flag, words)
        if self.chance(0.02):
            yield self.rng.uniform(3, 30)
            self.clinic.result(order, "abnormal", his_scenes.REPORTS["mild"], status="amended")

    def loose_ends(self, no: str) -> Iterator[float]:
        """Corrections, charges without an order, exclusions."""
        enc = self.enc(no)
        if self.chance(0.05):
            charge = self.clinic.charge(no, "M017")
            yield self.rng.uniform(0.5, 3)
            data = {
                "execution_no": self.books.number("XL-"),
                "charge_nos": [charge],
                "department": "DRESS",
                "at": self.books.now().isoformat(),
            }
            self.books.record("execution.confirmed", no, data)
        open_charges = [c for c in enc.executed if self._is_open(enc, c)]
        if open_charges and self.chance(0.05):
            yield self.rng.uniform(1, 20)
            wrong = self.rng.choice(sorted(open_charges))
            if self._is_open(enc, wrong):
                self.clinic.reverse(wrong, "记错了")
        if self.chance(0.01):
            self.clinic.exclude(no, "THIRD_PARTY_LIABILITY")
        elif enc.charges and self.chance(0.01):
            self.clinic.exclude(no, "OTHER", self.rng.choice(sorted(enc.charges)))

    def _is_open(self, enc: Encounter, charge: str) -> bool:
        return charge not in enc.reversed and charge not in enc.at_window and charge not in self.books.settled
