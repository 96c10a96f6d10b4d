"""An official account as a door: who follows, where a scanned code leads, and each message taken once."""

import json
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from kernel.crypto import digest
from kernel.db import Tx
from kernel.ids import token
from people.events import WeChatFollowChanged, WeChatMessageReported
from people.models import WeChatFollower, WeChatMessage, WeChatScene
from people.ports import Told, ToldKind
from people.service import sessions

SCENE_LIVES = timedelta(minutes=30)
USABLE = timedelta(minutes=10)
"""A code that is good for less is made anew rather than shown again."""
MESSAGES_KEPT = timedelta(days=2)


class Purpose(StrEnum):
    """What a scanned code is about; names nobody and nothing medical."""

    BIND = "bind"
    LETTER = "letter"
    ORDER = "order"
    PAY = "pay"
    VISIT = "visit"


class AnswerKind(StrEnum):
    """What the account has to say."""

    PAGE = "page"
    EXPIRED = "expired"
    WELCOME = "welcome"
    HELP = "help"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Answer:
    """``PAGE`` leads to ``path``, which is about ``purpose``."""

    kind: AnswerKind
    path: str | None = field(default=None, repr=False)
    purpose: Purpose | None = None


def _index(tx: Tx, appid: str, openid: str) -> bytes:
    return tx.vault.index("openid", f"{appid}/{openid}")


# -- codes that lead on


async def shown_code(tx: Tx, path: str) -> str | None:
    """The text of a code that leads to this path and is good for a while yet; None when one has to be made."""
    query = select(WeChatScene).where(
        WeChatScene.path_index == tx.vault.index("wechat-scene", path),
        WeChatScene.url_sealed.is_not(None),
        WeChatScene.expires_at > tx.now + USABLE,
    )
    row = (await tx.session.scalars(query.order_by(WeChatScene.expires_at.desc()).limit(1))).first()
    if row is None or row.url_sealed is None:
        return None
    return tx.vault.open(row.url_sealed, "wechat_scene", "url", row.scene_digest.hex())


async def new_scene(tx: Tx, path: str, purpose: Purpose) -> str:
    """A name nobody can guess for one path of ours, good for half an hour; kept as a digest, the path sealed."""
    scene = token()
    key = digest(scene)
    tx.add(
        WeChatScene(
            scene_digest=key,
            path_index=tx.vault.index("wechat-scene", path),
            path_sealed=tx.vault.seal(path, "wechat_scene", "path", key.hex()),
            purpose=purpose,
            url_sealed=None,
            expires_at=tx.now + SCENE_LIVES,
        )
    )
    return scene


async def code_made(tx: Tx, scene: str, url: str) -> None:
    """WeChat has made the code of a scene."""
    key = digest(scene)
    sealed = tx.vault.seal(url, "wechat_scene", "url", key.hex())
    await tx.session.execute(update(WeChatScene).where(WeChatScene.scene_digest == key).values(url_sealed=sealed))


async def _led_to(tx: Tx, scene: str) -> Answer:
    row = await tx.get(WeChatScene, digest(scene))
    if row is None or row.expires_at <= tx.now:
        return Answer(AnswerKind.EXPIRED)
    path = tx.vault.open(row.path_sealed, "wechat_scene", "path", row.scene_digest.hex())
    return Answer(AnswerKind.PAGE, path, Purpose(row.purpose))


# -- what the account is told


async def take(tx: Tx, told: Told) -> tuple[Answer, bool]:
    """Take one message; its effects and the note that it was taken are one transaction.

    Returns: the answer, and whether the message is new. One that comes again changes nothing and is answered alike,
    since WeChat brings it again because it has not heard the first answer.
    """
    claim = insert(WeChatMessage).values(key=told.key, at=tx.now, answer_sealed=b"").on_conflict_do_nothing()
    if (await tx.session.execute(claim.returning(WeChatMessage.key))).first() is None:
        before = await tx.get(WeChatMessage, told.key)
        if before is None:
            raise LookupError("a message that was taken is gone")
        return _opened(tx, before), False
    answer = await _effects(tx, told)
    kept = (
        update(WeChatMessage).where(WeChatMessage.key == told.key).values(answer_sealed=_sealed(tx, told.key, answer))
    )
    await tx.session.execute(kept)
    return answer, True


async def _effects(tx: Tx, told: Told) -> Answer:
    match told.kind:
        case ToldKind.FOLLOWED | ToldKind.LEFT:
            await _follow(tx, told)
            if told.kind is ToldKind.LEFT:
                return Answer(AnswerKind.NOTHING)
            return await _led_to(tx, told.scene) if told.scene else Answer(AnswerKind.WELCOME)
        case ToldKind.SCANNED:
            return await _led_to(tx, told.scene or "")
        case ToldKind.CLICKED | ToldKind.SAID:
            return Answer(AnswerKind.HELP)
        case ToldKind.REPORTED:
            await tx.emit(WeChatMessageReported(told.appid, told.detail or "", told.status or ""))
    return Answer(AnswerKind.NOTHING)


async def _follow(tx: Tx, told: Told) -> None:
    follows = told.kind is ToldKind.FOLLOWED
    row = {"appid": told.appid, "follows": follows, "at": told.at}
    made = insert(WeChatFollower).values(openid_index=_index(tx, told.appid, told.openid), **row)
    # WeChat may bring an older message after a newer one.
    changed = made.on_conflict_do_update(
        index_elements=["openid_index"], set_=row, where=WeChatFollower.at <= told.at
    ).returning(WeChatFollower.follows)
    if (await tx.session.execute(changed)).first() is None:
        return
    person = await sessions.by_wechat(tx, told.openid, told.appid)
    await tx.emit(WeChatFollowChanged(told.appid, person.id if person else None, follows))


async def follows(tx: Tx, appid: str, openid: str) -> bool | None:
    """Whether somebody follows the account; None when it has never told us."""
    row = await tx.get(WeChatFollower, _index(tx, appid, openid))
    return None if row is None else row.follows


async def forget_old(tx: Tx) -> None:
    """Codes that lead nowhere any more, and messages WeChat will not bring again."""
    await tx.session.execute(delete(WeChatScene).where(WeChatScene.expires_at < tx.now))
    await tx.session.execute(delete(WeChatMessage).where(WeChatMessage.at < tx.now - MESSAGES_KEPT))


def _sealed(tx: Tx, key: bytes, answer: Answer) -> bytes:
    return tx.vault.seal(json.dumps(asdict(answer)), "wechat_message", key.hex())


def _opened(tx: Tx, row: WeChatMessage) -> Answer:
    kept = json.loads(tx.vault.open(row.answer_sealed, "wechat_message", row.key.hex()))
    purpose = Purpose(kept["purpose"]) if kept["purpose"] else None
    return Answer(AnswerKind(kept["kind"]), kept["path"], purpose)
