"""Families in the rehearsal: friends who follow, daughters who pay, and fathers who stand for a child."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
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
}


@dataclass(slots=True)
class Relative:
    """Somebody who follows a patient's visits as far as the patient let them."""

    guest: Guest
    phone: Phone
    sees: Sees

    @property
    def pays(self) -> bool:
        """Whether they may pay."""
        return self.sees != "steps"


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
        """Let somebody in, now and then."""
        chosen = self.rng.random()
        sees: Sees | None = "steps" if chosen < 0.3 else "bill" if chosen < 0.55 else "total" if chosen < 0.7 else None
        if sees is None:
            return
        phone = self.phone(self.card(guest.patient.key))
        await self.log_in(phone, wechat=self.rng.random() < 0.5)
        await owner.let_in(phone, OFFERS[sees], owner.patient)
        if sees == "steps":
            phone.patience = (3600.0,)  # lies on the table: what it misses it was not sent
        self.relatives.append(Relative(guest, phone, sees))

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
            if patient and not relative.phone.following:
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
