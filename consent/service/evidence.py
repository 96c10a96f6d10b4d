"""The chain of a hospital: what happened to a letter is linked to what happened before, so that none can vanish."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from consent.models import Evidence, EvidenceHead
from consent.rules import GENESIS, canonical, iso, link_sha256, sha256
from kernel.crypto import UnreadableError
from kernel.db import Tx


async def take_turn(tx: Tx, hospital_id: UUID) -> EvidenceHead:
    """Lock the end of a hospital's chain; who does this first also decides first."""
    head = await tx.get(EvidenceHead, hospital_id, lock=True)
    if head is None:
        begin = insert(EvidenceHead).values(hospital_id=hospital_id, seq=0, link=GENESIS)
        await tx.session.execute(begin.on_conflict_do_nothing())
        head = await tx.session.get(EvidenceHead, hospital_id, with_for_update=True, populate_existing=True)
        if head is None:
            raise LookupError("a chain without an end")
        tx.hold([head])
    return head


async def append(
    tx: Tx,
    hospital_id: UUID,
    kind: str,
    body: Mapping[str, Any],
    *,
    reading_id: UUID | None = None,
    contract_id: UUID | None = None,
) -> Evidence:
    """Add a link.

    Args:
        kind: reading_opened, refused, handed_over, signed, countersigned, sealed, withdrawn, suspended, restored.
        body: JSON values without floats; sealed at rest.
    """
    head = await take_turn(tx, hospital_id)
    head.seq += 1
    plain = canonical(body)
    digest = sha256(plain)
    link = link_sha256(str(hospital_id), head.seq, iso(tx.now), kind, digest, head.link)
    row = Evidence(
        hospital_id=hospital_id,
        seq=head.seq,
        at=tx.now,
        kind=kind,
        reading_id=reading_id,
        contract_id=contract_id,
        body_sealed=tx.vault.seal(plain, "evidence", "body", f"{hospital_id}/{head.seq}"),
        body_sha256=digest,
        previous=head.link,
        link=link,
    )
    head.link = link
    return tx.add(row)


def body_of(tx: Tx, row: Evidence) -> dict[str, Any]:
    """What a link holds.

    Raises:
        UnreadableError: its bytes were changed or moved.
    """
    plain = tx.vault.open_bytes(row.body_sealed, "evidence", "body", f"{row.hospital_id}/{row.seq}")
    body: dict[str, Any] = json.loads(plain)
    return body


async def of_contract(tx: Tx, contract_id: UUID, kind: str) -> Evidence | None:
    """The newest link of a kind about a contract."""
    query = select(Evidence).where(Evidence.contract_id == contract_id, Evidence.kind == kind)
    found: Evidence | None = await tx.session.scalar(query.order_by(Evidence.seq.desc()).limit(1))
    return found


async def of_reading(tx: Tx, reading_id: UUID) -> list[Evidence]:
    """All links about a reading, refusals included, oldest first."""
    query = select(Evidence).where(Evidence.reading_id == reading_id).order_by(Evidence.seq)
    return list(await tx.session.scalars(query))


@dataclass(frozen=True, slots=True)
class ChainFlaw:
    """Where a chain does not hold: the number of the link and what is wrong with it."""

    seq: int
    what: str


async def export(tx: Tx, hospital_id: UUID) -> dict[str, Any]:
    """The whole chain without what it is about: numbers, times, kinds and digests, for keeping elsewhere."""
    rows = await tx.session.scalars(select(Evidence).where(Evidence.hospital_id == hospital_id).order_by(Evidence.seq))
    head = await tx.session.get(EvidenceHead, hospital_id, populate_existing=True)
    return {
        "format": "houfu-consent-chain/1",
        "hospital": str(hospital_id),
        "links": [
            {
                "seq": r.seq,
                "at": iso(r.at),
                "kind": r.kind,
                "body_sha256": r.body_sha256,
                "previous": r.previous,
                "link": r.link,
            }
            for r in rows
        ],
        "head": {"seq": head.seq, "link": head.link} if head else {"seq": 0, "link": GENESIS},
    }


async def audit(tx: Tx, hospital_id: UUID) -> list[ChainFlaw]:
    """Walk a chain from its first link to its kept end, opening every body; an empty list means it holds."""
    flaws: list[ChainFlaw] = []
    previous, expected = GENESIS, 1
    rows = await tx.session.scalars(
        select(Evidence)
        .where(Evidence.hospital_id == hospital_id)
        .order_by(Evidence.seq)
        .execution_options(populate_existing=True)
    )
    for row in rows:
        if row.seq != expected:
            flaws.append(ChainFlaw(expected, "missing"))
        elif row.previous != previous:
            flaws.append(ChainFlaw(row.seq, "does not follow the link before"))
        link = link_sha256(str(hospital_id), row.seq, iso(row.at), row.kind, row.body_sha256, row.previous)
        if link != row.link:
            flaws.append(ChainFlaw(row.seq, "changed"))
        try:
            plain = tx.vault.open_bytes(row.body_sealed, "evidence", "body", f"{hospital_id}/{row.seq}")
            if sha256(plain) != row.body_sha256:
                flaws.append(ChainFlaw(row.seq, "body changed"))
        except UnreadableError:
            flaws.append(ChainFlaw(row.seq, "body unreadable"))
        previous, expected = row.link, row.seq + 1
    head = await tx.session.get(EvidenceHead, hospital_id, populate_existing=True)
    if head is not None and (head.seq, head.link) != (expected - 1, previous):
        flaws.append(ChainFlaw(expected, "the end was cut off"))
    return flaws
