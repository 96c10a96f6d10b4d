"""The tokens of our WeChat apps, kept for all processes and unreadable in the database."""

from datetime import timedelta

from sqlalchemy.dialects.postgresql import insert

from kernel.crypto import UnreadableError
from kernel.db import Tx
from people.models import WeChatToken


async def read(tx: Tx, name: str) -> tuple[str, float] | None:
    """The value and for how many seconds it is good; None when there is none, it has run out or cannot be opened."""
    row = await tx.get(WeChatToken, name)
    if row is None or row.expires_at <= tx.now:
        return None
    try:
        return tx.vault.open(row.value_sealed, "wechat_token", name), (row.expires_at - tx.now).total_seconds()
    except UnreadableError:
        return None


async def write(tx: Tx, name: str, value: str, seconds: float) -> None:
    """Keep a value for so long, in place of an older one."""
    kept = {
        "value_sealed": tx.vault.seal(value, "wechat_token", name),
        "expires_at": tx.now + timedelta(seconds=seconds),
    }
    row = insert(WeChatToken).values(name=name, **kept)
    await tx.session.execute(row.on_conflict_do_update(index_elements=["name"], set_=kept))


async def drop(tx: Tx, name: str, value: str) -> None:
    """Forget this value; another one that has taken its place stays."""
    row = await tx.get(WeChatToken, name, lock=True)
    if row is None:
        return
    try:
        same = tx.vault.open(row.value_sealed, "wechat_token", name) == value
    except UnreadableError:
        same = True
    if same:
        row.expires_at = tx.now
