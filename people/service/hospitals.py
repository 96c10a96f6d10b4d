"""The hospitals that use the service: set up from a file, found by their code, spoken with by their keys."""

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any
from uuid import UUID

from sqlalchemy import select

from kernel.db import Base, Tx
from kernel.errors import NotFoundError
from kernel.ids import derive, new_id
from people.models import Catalogue, Department, HisKey, Hospital, Staff, Terminal
from people.rules import Creditor, HospitalSettings, MissedCall
from people.service import terminals
from people.service.hospital_file import HospitalFile, HospitalFileError, KeyPart, TerminalPart, parse
from people.service.pins import hash_pin

__all__ = [
    "Department",
    "Hospital",
    "HospitalFileError",
    "Snapshot",
    "by_code",
    "by_id",
    "catalogue",
    "department",
    "departments",
    "everyone",
    "fresh_secrets",
    "helpline_of",
    "his_access",
    "his_key",
    "keys_of",
    "load",
    "settings_of",
    "snapshot",
]

GENERATE = "generate"
_NAMES = {f.name for f in fields(HospitalSettings)}
_FRESH = "people.fresh_secrets"


async def load(tx: Tx, document: Mapping[str, Any]) -> Hospital:
    """Set up a hospital from its file, or change what differs: all of it or nothing.

    What left the file is switched off, never deleted. Secrets ``generate`` are made once and kept; those made now are
    in ``fresh_secrets(tx)`` for showing once.

    Args:
        document: the parsed JSON of ``docs/hospital-file.md``.

    Raises:
        HospitalFileError: the first wrong row, named; nothing was changed.
    """
    file = parse(document)
    part = file.hospital
    hospital = await tx.session.scalar(select(Hospital).where(Hospital.code == part.code).with_for_update())
    plain = {
        "name": part.name,
        "city": part.city,
        "phone": part.phone,
        "address": part.address,
        "his_url": file.his.base_url.rstrip("/"),
        "settings": {
            **part.settings.model_dump(mode="json"),
            "short_name": part.short_name,
            "helpline": part.helpline,
            "level": part.level,
            "province": part.province,
        },
    }
    if hospital is None:
        hospital = tx.add(Hospital(id=new_id(), code=part.code, **plain))
        await tx.session.flush()
    else:
        _change(hospital, plain)
    await _load_keys(tx, hospital, file)
    await _load_departments(tx, hospital, file)
    await _load_staff(tx, hospital, file)
    await _load_terminals(tx, hospital, file)
    whole = file.model_dump(mode="json", include={"desks", "departments", "price_list", "order_templates", "slots"})
    kept = await tx.get(Catalogue, hospital.id)
    if kept is None:
        tx.add(Catalogue(hospital_id=hospital.id, document=whole))
    else:
        _change(kept, {"document": whole})
    await tx.session.flush()
    return hospital


def _change(row: object, values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


async def _load_keys(tx: Tx, hospital: Hospital, file: HospitalFile) -> None:
    wanted = [*(("in", k) for k in file.his.inbound_keys), ("out", file.his.outbound_key)]
    for key in await tx.session.scalars(select(HisKey).where(HisKey.hospital_id == hospital.id)):
        tx.hold([key])
        key.active = any(key.id == k.id for _, k in wanted)
    for direction, part in wanted:
        key_row = await tx.get(HisKey, part.id)
        if key_row is None:
            sealed = tx.vault.seal(_secret(tx, part), "his_key", part.id)
            tx.add(HisKey(id=part.id, hospital_id=hospital.id, direction=direction, secret_sealed=sealed, active=True))
        elif key_row.hospital_id != hospital.id or key_row.direction != direction:
            raise HospitalFileError(f"his.{part.id}", "this key id is taken")
        elif part.secret not in (GENERATE, tx.vault.open(key_row.secret_sealed, "his_key", key_row.id)):
            key_row.secret_sealed = tx.vault.seal(part.secret, "his_key", part.id)


def _secret(tx: Tx, part: KeyPart | TerminalPart) -> str:
    if part.secret != GENERATE:
        return part.secret
    made = secrets.token_urlsafe(32)
    tx.memo.setdefault(_FRESH, {})[part.id] = made
    return made


def fresh_secrets(tx: Tx) -> Mapping[str, str]:
    """The secrets that ``load`` made in this transaction, key id → secret: shown once, never logged."""
    made: dict[str, str] = tx.memo.get(_FRESH, {})
    return made


async def _load_departments(tx: Tx, hospital: Hospital, file: HospitalFile) -> None:
    known = {d.code: d for d in await departments(tx, hospital.id, also_closed=True)}
    for part in file.departments:
        values = {
            "name": part.name,
            "kind": part.kind,
            "place": part.place,
            "sensitive": part.sensitive,
            "active": True,
        }
        row = known.pop(part.code, None)
        if row is None:
            identity = derive(hospital.id, "department", part.code)
            tx.add(Department(id=identity, hospital_id=hospital.id, code=part.code, **values))
        else:
            _change(row, values)
    for gone in known.values():
        gone.active = False


async def _load_staff(tx: Tx, hospital: Hospital, file: HospitalFile) -> None:
    found = await tx.session.scalars(select(Staff).where(Staff.hospital_id == hospital.id))
    known = {s.login: s for s in found}
    fresh = [p.pin for p in file.staff if p.pin and (p.login not in known or not known[p.login].pin_hash)]
    hashes = dict(zip(fresh, await asyncio.gather(*(asyncio.to_thread(hash_pin, p) for p in fresh)), strict=True))
    for part in file.staff:
        values = {"name": part.name, "role": part.role, "department": part.department, "active": True}
        row = known.pop(part.login, None)
        if row is None:
            row = tx.add(
                Staff(
                    id=derive(hospital.id, "staff", part.login),
                    hospital_id=hospital.id,
                    login=part.login,
                    pin_hash=b"",
                    failures=0,
                    **values,
                )
            )
        _change(row, values)
        if not row.pin_hash and part.pin:
            row.pin_hash = hashes[part.pin]
    for gone in known.values():
        gone.active = False


async def _load_terminals(tx: Tx, hospital: Hospital, file: HospitalFile) -> None:
    known = {t.name: t for t in await terminals.of_hospital(tx, hospital.id, also_gone=True)}
    for part in file.terminals:
        row = known.pop(part.id, None)
        if row is None:
            if await terminals.by_name(tx, part.id, also_gone=True) is not None:
                raise HospitalFileError(f"terminals.{part.id}", "another hospital has a terminal of this name")
            row = tx.add(
                Terminal(
                    id=derive(hospital.id, "terminal", part.id),
                    hospital_id=hospital.id,
                    name=part.id,
                    kind=part.kind,
                    place=part.place,
                    secret_sealed=terminals.seal(tx, part.id, _secret(tx, part)),
                    active=True,
                )
            )
        _change(row, {"kind": part.kind, "place": part.place, "active": True})
        if part.secret not in (GENERATE, terminals.secret_of(tx, row)):
            row.secret_sealed = terminals.seal(tx, part.id, part.secret)
    for gone in known.values():
        gone.active = False


def settings_of(hospital: Hospital) -> HospitalSettings:
    """What the hospital decided, with the product's defaults for what it did not; the file's other keys are ignored."""
    kept = {k: v for k, v in hospital.settings.items() if k in _NAMES}
    if "companion_hidden_categories" in hospital.settings:
        kept["hidden_categories"] = hospital.settings["companion_hidden_categories"]
    if "hidden_categories" in kept:
        kept["hidden_categories"] = tuple(kept["hidden_categories"])
    if "creditor" in kept:
        kept["creditor"] = Creditor(kept["creditor"])
    if "missed_call" in kept:
        kept["missed_call"] = MissedCall(kept["missed_call"])
    return HospitalSettings(**kept)


def helpline_of(hospital: Hospital) -> str:
    """The number printed wherever somebody may need a person."""
    return str(hospital.settings.get("helpline") or hospital.phone)


async def helplines(tx: Tx) -> tuple[tuple[str, str], ...]:
    """(hospital, number) of all hospitals where a person answers."""
    return tuple((h.name, helpline_of(h)) for h in await everyone(tx) if helpline_of(h))


async def everyone(tx: Tx) -> list[Hospital]:
    """All hospitals, by code."""
    return list(await tx.session.scalars(select(Hospital).order_by(Hospital.code)))


async def by_code(tx: Tx, code: str) -> Hospital:
    """The hospital with this code.

    Raises:
        NotFoundError: there is none.
    """
    memo = ("people.hospital", code)
    if memo not in tx.memo:
        tx.memo[memo] = await tx.session.scalar(select(Hospital).where(Hospital.code == code))
    found: Hospital | None = tx.memo[memo]
    if found is None:
        raise NotFoundError
    tx.hold([found])
    return found


async def by_id(tx: Tx, hospital_id: UUID) -> Hospital:
    """The hospital with this id.

    Raises:
        NotFoundError: there is none.
    """
    found = await tx.get(Hospital, hospital_id)
    if found is None:
        raise NotFoundError
    return found


async def department(tx: Tx, hospital_id: UUID, code: str) -> Department | None:
    """A department by its code, closed ones included (old orders name them); asked once per transaction."""
    return await tx.get(Department, derive(hospital_id, "department", code))


async def departments(tx: Tx, hospital_id: UUID, *, also_closed: bool = False) -> list[Department]:
    """The departments of a hospital, by code."""
    query = select(Department).where(Department.hospital_id == hospital_id).order_by(Department.code)
    found = list(await tx.session.scalars(query if also_closed else query.where(Department.active)))
    tx.hold(found)
    return found


async def sensitive_categories(tx: Tx) -> set[str]:
    """The categories that any department, closed ones included, falls into."""
    found = await tx.session.scalars(select(Department.sensitive).where(Department.sensitive.is_not(None)).distinct())
    return {category for category in found if category}


async def catalogue(tx: Tx, hospital_id: UUID) -> Mapping[str, Any]:
    """The file's ``desks``, ``departments`` (with rooms), ``price_list``, ``order_templates``, ``slots``."""
    row = await tx.get(Catalogue, hospital_id)
    return {} if row is None else row.document


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A hospital and its departments as a transaction has just read them; good for others for a second or so."""

    hospital: Hospital
    rows: Mapping[tuple[type[Base], UUID], Base]

    def hold(self, tx: Tx) -> None:
        """Spare this transaction asking for them."""
        tx.know(self.rows)


async def snapshot(tx: Tx, hospital_id: UUID) -> Snapshot:
    """The hospital with this id and all its departments, closed ones included.

    Raises:
        NotFoundError: there is none.
    """
    hospital = await by_id(tx, hospital_id)
    rows: dict[tuple[type[Base], UUID], Base] = {(Hospital, hospital.id): hospital}
    rows |= {(Department, d.id): d for d in await departments(tx, hospital_id, also_closed=True)}
    return Snapshot(hospital, rows)


async def his_key(tx: Tx, key_id: str) -> tuple[Snapshot, str] | None:
    """The hospital and secret behind an inbound key, for checking an event's signature; ``None`` if it is not valid."""
    key = await tx.get(HisKey, key_id)
    if key is None or key.direction != "in" or not key.active:
        return None
    return await snapshot(tx, key.hospital_id), tx.vault.open(key.secret_sealed, "his_key", key.id)


async def his_access(tx: Tx, hospital: Hospital) -> tuple[str, str, str]:
    """Base address, key id and secret with which we speak to the hospital's system.

    Raises:
        NotFoundError: no outbound key.
    """
    query = select(HisKey).where(HisKey.hospital_id == hospital.id, HisKey.direction == "out", HisKey.active)
    key = await tx.session.scalar(query)
    if key is None:
        raise NotFoundError
    return hospital.his_url, key.id, tx.vault.open(key.secret_sealed, "his_key", key.id)


async def keys_of(tx: Tx, hospital_id: UUID) -> dict[str, str]:
    """All valid keys of a hospital, id → secret: for setting up its other side, never for showing."""
    query = select(HisKey).where(HisKey.hospital_id == hospital_id, HisKey.active).order_by(HisKey.id)
    return {k.id: tx.vault.open(k.secret_sealed, "his_key", k.id) for k in await tx.session.scalars(query)}
