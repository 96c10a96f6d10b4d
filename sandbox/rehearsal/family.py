"""Families in the rehearsal: friends who follow, daughters who pay, fathers who stand for a child.

With the patient herself they are three people a patient, on average: some come alone, some bring four.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx

from sandbox.his.catalogue import PatientCard
from sandbox.his.generate import Guest, id_number
from sandbox.rehearsal.phones import Phone, Sees
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


@dataclass(slots=True)
class Relative:
    """Somebody who follows a patient's visits as far as the patient let them."""

    guest: Guest
    phone: Phone
    sees: Sees
    bond: str = ""
    leaves: bool = False  # is to be shut out in the middle of the visit
    gone: datetime | None = None  # since when they were

    @property
    def pays(self) -> bool:
        """Whether they may pay."""
        return self.sees in ("bill", "total")


@dataclass(slots=True)
class Families:
    """Who belongs to whom.

    Args:
        desk: hospital, login and PIN of a desk that may write guardians down; None: children cannot be played.
    """

    client: httpx.AsyncClient
    texts: str
    rng: random.Random
    register: Register
    desk: Json | None = None
    prefix: str = "1980"
    relatives: list[Relative] = field(default_factory=list)
    _made: int = 0
    _homes: int = 0
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

    async def gather(self, guest: Guest, owner: Phone) -> None:
        """Let everybody of the next home in."""
        home = self._homes % len(HOMES)
        self._homes += 1
        made = [
            Relative(guest, self.phone(self.card(f"{guest.patient.key}{n}")), sees, leaves=(home, n) in LEAVES)
            for n, sees in enumerate(HOMES[home])
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
            watching = any(not watched.shut for watched in relative.phone.following.values())
            if relative.guest is guest and relative.leaves and relative.gone is None and watching:
                answer = await owner.client.delete(f"/api/family/bonds/{relative.bond}", headers=owner.headers)
                answer.raise_for_status()
                relative.gone = datetime.now(UTC)

    async def guardian(self, guest: Guest) -> Phone:
        """The father of a child logs in by the child's phone number, which is his, and the desk writes him down."""
        phone = self.phone(self.card(guest.patient.key, guest.patient.phone or ""))
        await self.log_in(phone)
        await self.register.insure(guest.patient, phone.openid, guardian=phone.card)
        body = {"patient_number": guest.patient.no, "guardian_phone": guest.patient.phone}
        answer = await self.client.post("/api/family/guardians", json=body, headers=await self._desk())
        if answer.status_code != 201:
            raise RuntimeError(f"the desk could not write down the father of {guest}: {answer.text}")
        return phone

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


def is_past_childhood(card: PatientCard, day: date) -> bool:
    """Fourteen and more, by the same margin."""
    return (day - date.fromisoformat(card.birth_date or "")).days > _CHILD_DAYS + 60
