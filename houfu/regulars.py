"""The demo's people have been here before: the mother signed her letter yesterday and let her family in.

Everything goes through the product's own use cases, on a clock of its own that lets the reading time pass.
"""

from datetime import timedelta
from uuid import UUID

from consent import flows as consent
from consent.rules import SigningChannel, read_strokes
from consent.service import reading, signing, standing
from family_pay.rules import Offer, Relation
from family_pay.service import confirming, invitations
from kernel.clock import ManualClock
from kernel.db import Database
from people.rules import Actor, ActorKind, Depth
from people.service import sessions

MOTHER = "mother"
FAMILY = {
    "daughter": Offer(Relation.DAUGHTER, pays=True, depth=Depth.BILL, books=True),
    "companion": Offer(Relation.FRIEND, depth=Depth.STEPS),
}
_PHONE = reading.Device(SigningChannel.OFFICIAL_ACCOUNT, "demo phone")


async def settle_in(db: Database, hospital_id: UUID, appid: str, openids: dict[str, str]) -> None:
    """Let the mother sign and bind her family, once; a later start changes nothing of what they did since.

    Args:
        openids: who → WeChat identity.
    """
    async with db.begin() as tx:
        now = tx.now
        found = {who: await sessions.by_wechat(tx, openids[who], appid) for who in (MOTHER, *FAMILY)}
        actors = {who: Actor(ActorKind.PERSON, p.id) for who, p in found.items() if p is not None}
        signed = await standing.contract_of(tx, hospital_id, actors[MOTHER].id) is not None
    if signed:
        return
    clock = ManualClock(now - timedelta(minutes=10))
    await _sign(Database(db.engine, db.vault, clock, db.subscribers, db.jobs), clock, hospital_id, actors[MOTHER])
    async with db.begin() as tx:
        for who, offer in FAMILY.items():
            invited = await invitations.invite(tx, actors[MOTHER], actors[MOTHER].id, offer, agrees=True)
            await tx.session.flush()
            await invitations.accept(tx, actors[who], invited.token)
            await confirming.answer(tx, actors[MOTHER], invited.id, agreed=True)


async def _sign(db: Database, clock: ManualClock, hospital_id: UUID, who: Actor) -> None:
    async with db.begin() as tx:
        read = await reading.open_reading(
            tx, who, hospital_id, who.id, _PHONE, insurance_status="normal", credit_asked_here=False
        )
    async with db.begin() as tx:
        left = await reading.beat(tx, who, read.id, end=False, regions=["told"])
    clock.move(timedelta(seconds=left + 1))
    async with db.begin() as tx:
        await reading.beat(tx, who, read.id, end=True, regions=["told", "identity"])
    nonce = await consent.ask_pen(db, who, read.id, _PHONE)
    wave = [[20 + 4 * i, 60 + 25 * (i % 5), 12 * i, 0.5] for i in range(60)]
    signature = signing.Signature(nonce, read_strokes([wave], 320, 180))
    await consent.sign(db, who, read.id, signature, _PHONE, insurance_status="normal", credit_asked_here=False)
