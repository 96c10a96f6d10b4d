"""Families in the rehearsal: friends who follow, daughters who pay, fathers who stand for a child.

With the patient herself they are three people a patient, on average: some come alone, some bring four. The last two
patients of every day are an adult who cannot act, for whom a guardian stands, and an elder without a phone.
"""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import httpx

from sandbox.credit import MAGIC
from sandbox.his.catalogue import PatientCard
from sandbox.his.generate import Guest, id_number
from sandbox.rehearsal.elder import OFFER, Elder
from sandbox.rehearsal.phones import Following, Phone, Sees
from sandbox.rehearsal.register import Register

Json = dict[str, Any]
_CHILD_DAYS = 14 * 365 - 30
OFFERS: dict[Sees, Json] = {
    "steps": {"relation": "friend", "depth": "steps"},
    "bill": {"relation": "daughter", "pays": True, "depth": "bill"},
    "total": {"relation": "son", "pays": True},
    "results": {"relation": "spouse", "depth": "results"},
}
# Who stands behind one patient, the next, and so on: two each on average, in the first three homes as well.
HOMES: tuple[tuple[Sees, ...], ...] = (
    ("bill", "steps"),
    ("total", "results", "steps"),
    ("results",),
    ("bill", "total", "steps", "results"),  # two who share the bill, one at the bedside, one far away
    (),
    ("total", "bill"),
)
LEAVES = ((0, 1), (3, 3))
"""Home and place of those whom the patient lets see no more while the visit goes on."""
NO_CREDIT = frozenset(MAGIC)
"""Last figures but one of an identity number against which the city's made-up credit platform holds something."""
WARD: tuple[Sees, ...] = ("bill", "steps")
"""Behind an adult who cannot act; the first, who may pay, is shut out by the guardian while the visit goes on."""


Home = tuple[tuple[Sees, ...], frozenset[int]]
"""Who stands behind a patient, and the places of those who are shut out."""


@dataclass(slots=True)
class Relative:
    """Somebody who follows a patient's visits as far as the patient let them."""

    guest: Guest
    phone: Phone
    sees: Sees
    bond: str = ""
    leaves: bool = False  # is to be shut out in the middle of the visit
    gone: datetime | None = None  # since when they were
    wrong: list[str] = field(default_factory=list)  # what they could begin all the same

    @property
    def pays(self) -> bool:
        """Whether they may pay."""
        return self.sees in ("bill", "total")


@dataclass(slots=True)
class Families:
    """Who belongs to whom.

    Args:
        desk: hospital, login and PIN of a desk that may write guardians down; None: children cannot be played.

    Attributes:
        ward, elder: the patients' numbers of who cannot act and of who has no phone; empty: there is none.
    """

    client: httpx.AsyncClient
    texts: str
    rng: random.Random
    register: Register
    desk: Json | None = None
    prefix: str = "1980"
    relatives: list[Relative] = field(default_factory=list)
    ward: str = ""
    elder: str = ""
    carried: Elder | None = None
    _made: int = 0
    _homes: dict[str, Home] = field(default_factory=dict)
    _desk_headers: dict[str, str] = field(default_factory=dict)

    def card(self, about: str, phone: str = "") -> PatientCard:
        """Somebody who is no patient."""
        self._made += 1
        n = self._made
        return PatientCard(
            key=f"r{n}",
            no=f"R{n:05d}",
            name=f"亲友{about}",
            sex="F",
            birth_date="1980-01-01",
            id_number=id_number(date(1980, 1, 1), n, False),
            phone=phone or self.prefix + str(n).zfill(11 - len(self.prefix)),
            status="none",
            scheme=None,
            account_fen=0,
        )

    def phone(self, card: PatientCard) -> Phone:
        """A phone of one of them."""
        return Phone(self.client, self.texts, card, random.Random(self.rng.getrandbits(64)))

    async def log_in(self, phone: Phone, *, wechat: bool = True) -> None:
        """By WeChat and a text message where there is a WeChat, else by the message alone."""
        openid = await self.register.wechat_for(phone.card) if wechat else ""
        await phone.log_in(await self.register.ticket(openid) if openid else "")
        phone.openid = openid

    def seat(self, numbers: Sequence[str]) -> None:
        """Decide who stands behind whom, by the order in which the patients were made up."""
        others = [number for number in numbers if number not in (self.ward, self.elder)]
        for n, number in enumerate(others):
            home = n % len(HOMES)
            self._homes[number] = HOMES[home], frozenset(place for at, place in LEAVES if at == home)
        self._homes |= {self.ward: (WARD, frozenset({0})), self.elder: ((), frozenset())}

    async def gather(self, guest: Guest, owner: Phone) -> None:
        """Let everybody of the patient's home in."""
        home, leaves = self._homes[guest.patient.no]
        made = [
            Relative(guest, self.phone(self.card(f"{guest.patient.key}{n}")), sees, leaves=n in leaves)
            for n, sees in enumerate(home)
        ]
        await asyncio.gather(*(self._let_in(relative, owner) for relative in made))
        self.relatives += made

    async def _let_in(self, relative: Relative, owner: Phone) -> None:
        await self.log_in(relative.phone, wechat=self.rng.random() < 0.5)
        relative.bond = await owner.let_in(relative.phone, OFFERS[relative.sees], owner.patient)
        if not relative.pays:
            relative.phone.patience = (3600.0,)  # lies on the table: what it misses it was not sent

    async def part_ways(self, guest: Guest, owner: Phone) -> None:
        """Whoever is to be shut out is, as soon as they follow the visit; their open page goes on, if it can."""
        for relative in self.relatives:
            watching = [watched for watched in relative.phone.following.values() if not watched.shut]
            if relative.guest is guest and relative.leaves and relative.gone is None and watching:
                answer = await owner.client.delete(f"/api/family/bonds/{relative.bond}", headers=owner.headers)
                answer.raise_for_status()
                relative.gone = datetime.now(UTC)
                if relative.pays:
                    for watched in watching:
                        await self._press(relative, watched)

    async def _press(self, relative: Relative, watched: Following) -> None:
        """Who was shut out this moment tries to pay, to share and to give a link; there must be nothing to do it to."""
        path, fen = f"/api/visits/{watched.visit}", max(2, watched.screen.sums.get("payable_fen", 0))
        tries: dict[str, Json] = {
            "payments": {"amount_fen": fen, "channel": "H5"},
            "pay-links": {"amount_fen": fen},
            "shares": {"left_fen": fen, "shares": [{"amount_fen": 1}]},
        }
        for what, body in tries.items():
            answer = await relative.phone.post(f"{path}/{what}", body, **{"Idempotency-Key": uuid4().hex})
            if answer.status_code != 404:
                relative.wrong.append(f"{what} of {watched.visit} answered {answer.status_code}: {answer.text[:120]}")
            if answer.status_code == 201 and what == "payments":  # it must not stand in the way of whoever may pay
                await relative.phone.post(f"/api/payments/{answer.json()['id']}/cancel")

    async def guardian(self, guest: Guest) -> Phone:
        """The father of a child logs in by the child's phone number, which is his, and the desk writes him down.

        For an adult who cannot act the desk sees a paper; the guardian's phone is the guardian's.
        """
        ward = guest.patient.no == self.ward
        phone = self.phone(self.card(guest.patient.key, guest.patient.phone or ""))
        await self.log_in(phone)
        await self.register.insure(guest.patient, phone.openid, guardian=phone.card)
        body: Json = {"patient_number": guest.patient.no, "guardian_phone": phone.card.phone}
        if ward:
            body |= {"relation": "sibling", "cannot_act": True, "document": "court"}
            phone.signs_as = {"reason": "unable"}
        answer = await self.client.post("/api/family/guardians", json=body, headers=await self._desk())
        if answer.status_code != 201:
            raise RuntimeError(f"the desk could not write down who stands for {guest}: {answer.text}")
        phone.patient = await self._other(phone)
        return phone

    async def daughter(self, guest: Guest) -> Phone:
        """An elder's daughter is bound by the desk, beside which the elder stands, and does it all from then on."""
        phone = self.phone(self.card(guest.patient.key))
        await self.log_in(phone)
        desk = await self._desk()
        body = OFFER | {"patient_number": guest.patient.no}
        made = await self.client.post("/api/family/desk-invitations", json=body, headers=desk)
        token = made.raise_for_status().json()["path"].rpartition("/")[2]
        (await phone.post(f"/api/family/invitations/{token}/accept")).raise_for_status()
        phone.patient, phone.sees, phone.signs_as = await self._other(phone), "bill", {}
        self.carried = Elder(guest, phone, desk)
        self.relatives.append(Relative(guest, phone, phone.sees))
        return phone

    async def _other(self, phone: Phone) -> str:
        people: list[Json] = (await phone.get("/api/session"))["people"]
        return next(str(p["id"]) for p in people if p["id"] != phone.person)

    async def bill_at_desk(self, visit: str) -> Json:
        """The bill of who has no phone, as the desk shows it."""
        answer = await self.client.get(f"/api/visits/{visit}", headers=await self._desk())
        found: Json = answer.raise_for_status().json()
        return found

    async def _desk(self) -> dict[str, str]:
        if not self._desk_headers:
            answer = await self.client.post("/api/session/staff", json=self.desk)
            self._desk_headers = {"Authorization": f"Bearer {answer.raise_for_status().json()['token']}"}
        return self._desk_headers

    async def look(self, patient_of: Callable[[Guest], str | None]) -> None:
        """Whoever follows nothing yet looks whether something has begun."""

        async def one(relative: Relative) -> None:
            patient = patient_of(relative.guest)
            if patient and not relative.phone.following and relative.gone is None:
                await relative.phone.look(patient, relative.sees)

        await asyncio.gather(*(one(r) for r in self.relatives))


def is_child(card: PatientCard, day: date) -> bool:
    """Younger than fourteen, by a margin that keeps birthdays out of it."""
    return (day - date.fromisoformat(card.birth_date or "")).days < _CHILD_DAYS


def another(card: PatientCard, n: int, mark: str) -> PatientCard:
    """Somebody like this whom no other rehearsal has: number, identity number and phone are of this one only."""
    born = date.fromisoformat(card.birth_date or "") - timedelta(days=int(mark) % 3000)
    number = id_number(born, n + int(mark), card.sex == "M")
    phone = f"16{mark}".ljust(7, "0") + f"{n % 10_000:04d}"
    return replace(card, no=f"{mark}-{card.no}", birth_date=born.isoformat(), id_number=number, phone=phone)


def grown_up(card: PatientCard, n: int) -> PatientCard:
    """The same person thirty years older."""
    born = date.fromisoformat(card.birth_date or "")
    born = born.replace(year=born.year - 30, day=min(born.day, 28))
    return replace(card, birth_date=born.isoformat(), id_number=id_number(born, n, card.sex == "M"))


def without_phone(card: PatientCard, n: int, mark: str, born_in: int) -> PatientCard:
    """The same person, insured, born in about this year, of good credit, known to the hospital without a phone."""
    born = date.fromisoformat(card.birth_date or "")
    born = born.replace(year=born_in + born.toordinal() % 9, day=min(born.day, 28))
    numbers = (id_number(born, n + int(mark or 0) + more, card.sex == "M") for more in count())
    number = next(one for one in numbers if one[-2:-1] not in NO_CREDIT)
    scheme = card.scheme or "resident"
    return replace(card, birth_date=born.isoformat(), id_number=number, phone=None, status="normal", scheme=scheme)


def is_past_childhood(card: PatientCard, day: date) -> bool:
    """Fourteen and more, by the same margin."""
    return (day - date.fromisoformat(card.birth_date or "")).days > _CHILD_DAYS + 60
