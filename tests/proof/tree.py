"""Every schedule of a scenario up to so many disturbances, depth first, so that what they have in common runs once.

A scenario is a few acts in order. A disturbance is a crash at a place where something was just written or done, a call
that is lost or whose answer is, an act that does not happen, or an extra that happens early: at the beginning of an act
or in the middle of it. A crash leaves what was committed, and the next act begins.

A crash is not thrown: where one may happen the tree goes on from there with the next act, comes back, and lets the act
go on as if nothing had been (``replay`` throws). Where everything that can matter from now on is as it was in another
schedule, row for row in every book, what follows is known and not run again: the schedule counts, but not as ``run``.
"""

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from sqlalchemy import text

from kernel.errors import HoufuError, IllegalTransitionError
from tests.proof.office import Office, Wrong

Do = Callable[[Office], Awaitable[bool | None]]
_CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Act:
    """Something somebody does; refusals are part of life. ``may_fail``: it may also not happen at all."""

    name: str
    do: Do
    droppable: bool = False


@dataclass(frozen=True, slots=True)
class Scenario:
    """What usually happens, and what may happen besides at any moment, each at most once.

    ``whole``: in the end all lines are paid, or none is.
    """

    name: str
    acts: Sequence[Act]
    extras: Mapping[str, Do] = field(default_factory=dict)
    items: Sequence[str] = ("CONS2", "URINE")
    whole: bool = True


# What of each row can matter from now on; how often was looked, only where somebody will look again. Sealed columns say
# what others say; the feed is told to people and never read.
_STATE = """SELECT concat(
    (SELECT string_agg(concat_ws('|', id, round_id, allocation_id, actor, amount_fen, refunded_fen, state,
        transaction_id, out_trade_no, paid_at, closed_at, next_look_at, trouble, refusal, mixed,
        CASE WHEN next_look_at IS NOT NULL THEN concat(looks, expires_at, prepared_at IS NULL) END), '/' ORDER BY id)
        FROM attempt), '#',
    (SELECT string_agg(concat_ws('|', id, round_id, number, amount_fen, person_id, replaced_at IS NULL), '/'
        ORDER BY id) FROM allocation), '#',
    (SELECT string_agg(concat_ws('|', id, state, cash_fen, paid_fen, busy_fen, shared, insured, first, opened_at,
        given_up_by),
        '/' ORDER BY id) FROM round), '#',
    (SELECT string_agg(concat_ws('|', id, attempt_id, charge_id, part_id, amount_fen, state, next_at, tries, trouble,
        done_at), '/' ORDER BY id) FROM refund), '#',
    (SELECT string_agg(concat_ws('|', id, state, amount_fen), '/' ORDER BY id) FROM refund_request), '#',
    (SELECT string_agg(concat_ws('|', id, part_id, attempt_id, kind, state, mix_trade_no, sent_at IS NULL, next_look_at,
        disagrees_since, report_at, reports, reported_at, trouble, CASE WHEN next_look_at IS NOT NULL THEN looks END),
        '/' ORDER BY id) FROM mixed_order), '#',
    (SELECT string_agg(concat_ws('|', id, state, auth_sealed IS NULL, pay_order_id, fund_fen, account_fen, other_fen,
        hospital_part_fen, cash_fen, next_look_at, looks, trouble, refund_at, refund_tries, refunded_at), '/'
        ORDER BY id) FROM insurance_part), '#',
    (SELECT string_agg(concat_ws('|', id, state, round_id, fund_fen, account_fen, other_fen, self_fen, reversed_at,
        estimate, executed_at IS NULL, pay_first, elsewhere), '/' ORDER BY id) FROM charge_item), '#',
    (SELECT string_agg(concat_ws('|', id, state), '/' ORDER BY id) FROM "order"), '#',
    (SELECT string_agg(concat_ws('|', account, fen), '/' ORDER BY account) FROM (SELECT account,
        sum(amount_fen) AS fen FROM ledger_entry GROUP BY 1) AS l), '#',
    (SELECT string_agg(concat_ws('|', key, state, next_at, tries), '/' ORDER BY turn) FROM his_call), '#',
    (SELECT string_agg(concat_ws('|', id, times), '/' ORDER BY id) FROM notice_seen), '#',
    (SELECT string_agg(concat_ws('|', id, state), '/' ORDER BY id) FROM visit), '#',
    (SELECT bool_and(last_seq = (SELECT count(*) FROM feed_row r WHERE r.subject = f.subject)) FROM feed f))"""
# Ids and numbers are counted on, so they are as many as were drawn before: only which is which matters.
_NAMES = re.compile(
    r"[0-9a-f]{8}-[0-9a-f-]{27}|[0-9a-f]{32,}|HF[0-9A-Za-z]+|MIX[0-9A-F]+|4200[0-9]{10,}|5030[0-9]{10,}|ORD[0-9A-F]+"
)


@dataclass(slots=True)
class Tally:
    """What was done: schedules in all, those run to their end by themselves, and acts performed."""

    schedules: int = 0
    run: int = 0
    acts: int = 0


Counts = tuple[int, ...]
"""How many schedules there are with 0, 1, 2 … disturbances."""


def _sum(one: Counts, other: Counts) -> Counts:
    return tuple(a + b for a, b in zip_longest(one, other, fillvalue=0))


def _more(much: int, counts: Counts) -> Counts:
    """So many disturbances more."""
    return (0,) * much + counts


@dataclass(slots=True)
class _Run:
    """One execution of one act: what was chosen at each of its places, and what could have been."""

    forced: Sequence[str]
    left: int
    at: int
    deaths: Set[int] = frozenset()
    taken: list[str] = field(default_factory=list)
    options: list[tuple[str, ...]] = field(default_factory=list)
    moments: dict[int, bytes] = field(default_factory=dict)  # place -> everything as it was there
    crashed: Counts = ()


class _Same(BaseException):
    """An extra changed nothing, so this is no schedule of its own."""


class Tree:
    """Explores one scenario in one office."""

    def __init__(self, office: Office, scenario: Scenario, disturbances: int) -> None:
        self.office, self.scenario, self.disturbances = office, scenario, disturbances
        self.tally = Tally()
        self.trail: list[str] = []
        self._known: dict[tuple[Any, ...], tuple[int, Counts]] = {}
        self._done: set[str] = set()
        self._savepoints = 0
        self._run: _Run | None = None

    async def explore(self) -> Tally:
        """All of it.

        Raises:
            Wrong: with the schedule that shows it, for ``replay``.
        """
        self.office.stepping = self._step
        async with self._back():
            self.tally.schedules = sum(await self._from(0, self.disturbances))
        return self.tally

    @asynccontextmanager
    async def _back(self) -> AsyncIterator[None]:
        """Whatever happens in the block has not happened afterwards."""
        self._savepoints += 1
        name, kept, done, run = f"t{self._savepoints}", self.office.keep(), set(self._done), self._run
        trail = len(self.trail)
        await self.office.db.raw(f"SAVEPOINT {name}")
        yield
        await self.office.db.raw(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
        self.office.restore(kept)
        self._done, self._run = done, run
        del self.trail[trail:]

    async def _digest(self) -> bytes:
        """Everything that can matter from now on."""
        rows: str = (await self.office.db.connection.execute(text(_STATE))).scalar_one()
        names: dict[str, str] = {}
        told = _NAMES.sub(lambda m: names.setdefault(m[0], f"~{len(names)}"), f"{rows}#{self.office.books()}")
        return hashlib.sha256(told.encode()).digest()

    async def _from(self, at: int, left: int, now: bytes | None = None) -> Counts:
        """How many schedules go on from here with 0, 1 … ``left`` disturbances, all of them checked."""
        now = now or await self._digest()
        key = (at, now, tuple(sorted(self._done)) if left else ())
        seen, known = self._known.get(key, (-1, ()))
        if seen < left:
            if at == len(self.scenario.acts):
                known = await self._leaf()
            else:
                known = await self._act(at, left)
                if left:
                    known = _sum(known, await self._otherwise(at, left, now))
            self._known[key] = left, known
        return known[: left + 1]

    async def _leaf(self) -> Counts:
        self.tally.run += 1
        async with self._back():
            try:
                await self.office.audit()
                await self.office.settle()
                await self.office.check(one=self.scenario.whole)
            except Exception as wrong:
                raise self._wrong(wrong) from wrong
        return (1,)

    def _wrong(self, wrong: Exception) -> Wrong:
        return Wrong(f"{wrong!r}\n  {self.scenario.name}: {' → '.join(self.trail)}")

    async def _otherwise(self, at: int, left: int, now: bytes) -> Counts:
        """The act does not happen, or something else happens before it."""
        found, act = Counts(), self.scenario.acts[at]
        if act.droppable:
            self.trail.append(f"[not: {act.name}]")
            found = _sum(found, _more(1, await self._from(at + 1, left - 1, now)))
            self.trail.pop()
        for name in self.scenario.extras:
            if name not in self._done:
                async with self._back():
                    self.trail.append(f"[{name}]")
                    await self._extra(name)
                    after = await self._digest()
                    if after != now:
                        found = _sum(found, _more(1, await self._from(at, left - 1, after)))
        return found

    async def _act(self, at: int, left: int) -> Counts:
        found, waiting = Counts(), [list[str]()]
        while waiting:
            forced = waiting.pop()
            much = sum(map(bool, forced))
            async with self._back():
                run, same = await self._once(at, left - much, forced)
                if same:
                    continue
                end = await self._digest()
                found = _sum(found, _more(much, await self._from(at + 1, run.left, end)))
            # A crash, or an extra, after the last thing an act does belongs to the next act.
            places = [n for n in range(len(forced), len(run.options)) if run.moments.get(n) != end]
            for place in places if run.left else ():
                waiting += [[*run.taken[:place], one] for one in run.options[place]]
            deaths = {place for place in places if place in run.moments}
            if deaths and run.left:
                async with self._back():
                    again, _ = await self._once(at, run.left, forced, deaths)
                    found = _sum(found, _more(much + 1, again.crashed))
        return found

    async def _once(
        self, at: int, left: int, forced: Sequence[str], deaths: Set[int] = frozenset()
    ) -> tuple[_Run, bool]:
        """Perform an act; at ``deaths`` also go on as if the process had died there."""
        run = self._run = _Run(forced, left, at, deaths)
        self.trail.append(self.scenario.acts[at].name)
        self.tally.acts += 1
        try:
            await self._perform(self.scenario.acts[at].do)
        except _Same:
            return run, True
        finally:
            self._run = None
        return run, False

    async def _perform(self, do: Do) -> None:
        try:
            await do(self.office)
        except IllegalTransitionError as wrong:
            raise self._wrong(wrong) from wrong
        except HoufuError:
            pass  # refused, as people are

    async def _step(self, where: str, faults: Sequence[str] = ()) -> str:
        run = self._run
        if run is None:
            return ""
        place = len(run.taken)
        choice = run.forced[place] if place < len(run.forced) else ""
        run.taken.append(choice)
        if faults:
            run.options.append(tuple(faults))
        else:
            run.options.append(tuple(n for n in self.scenario.extras if n not in self._done))
            if run.left or choice:
                run.moments[place] = await self._digest()
        if choice:
            self.trail.append(f"[{where}: {choice}]")
        if choice in self.scenario.extras:
            await self._extra(choice)
            if await self._digest() == run.moments[place]:
                raise _Same
        if place in run.deaths:
            async with self._back():
                self._run = None
                self.trail.append(f"[{where}: {_CRASH}]")
                run.crashed = _sum(run.crashed, await self._from(run.at + 1, run.left - 1, run.moments[place]))
        return choice if faults else ""

    async def _extra(self, name: str) -> None:
        run, self._run = self._run, None
        self._done.add(name)
        await self._perform(self.scenario.extras[name])
        self._run = run
