"""What somebody may not know leaves no trace in what they are sent: two visits differ in a sensitive order only."""

from datetime import timedelta
from typing import Any

from api import sees
from people.rules import View
from tests.feed.test_fold import VIEWS, begun, fresh, report
from tests.intake.conftest import Hall, Teller

BLIND = {name: v for name, v in VIEWS.items() if not v.owner and not v.staff and not v.pays and not v.opened}


async def day(hall: Hall, mark: str, *, secret: bool) -> dict[str, tuple[list[Any], Any]]:
    """A day with or without a gynaecological order; what each view is pushed, and what its page shows in the end."""
    t, hidden = Teller(mark), Teller(mark)
    story, begin = await begun(hall, t), len(hall.rows)
    plain = [t.placed(), t.charged(), t.confirmed(), report(t, "O", "final", 20)]
    secrets = [
        hidden.item("order.placed", hidden.order_data("G") | {"category": "gynaecology"}, 50),
        hidden.charged("G", "G"),
        hidden.confirmed("G", "XG"),
        report(hidden, "G", "final", 21),
    ]
    for one, other in zip(plain, secrets, strict=True):
        hall.clock.move(timedelta(seconds=1))
        await hall.say(one)
        hall.clock.move(timedelta(seconds=1))
        if secret:
            await hall.say(other)
    rows = [row for row in hall.rows[begin:] if row.subject == story.visit]
    async with hall.db.begin() as tx:
        return {
            name: (
                [_nameless(sees.see(r, v)) for r in rows if sees.see(r, v)],
                _nameless(await fresh(tx, story.visit, v)),
            )
            for name, v in BLIND.items()
        }


def _nameless(value: Any) -> Any:
    """The same without ids."""
    if isinstance(value, dict):
        if set(value) and all(len(key) == 36 for key in value):
            return [_nameless(one) for one in value.values()]
        return {k: _nameless(v) for k, v in value.items() if k not in ("id", "order_id")}
    return [_nameless(one) for one in value] if isinstance(value, list) else value


async def test_a_hidden_order_leaves_no_trace(hall: Hall) -> None:
    """Every row and every page of those who may not know is the same in both days."""
    assert all(isinstance(view, View) for view in BLIND.values())
    assert len(BLIND) == 3
    begin = hall.clock.time
    with_secret = await day(hall, "A", secret=True)
    hall.clock.time = begin
    without = await day(hall, "B", secret=False)
    assert with_secret == without
    assert any(rows for rows, _ in without.values())
