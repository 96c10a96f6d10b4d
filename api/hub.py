"""Who is watching which visit, and how the next line reaches their phones: the doorbell of the house.

After each commit the database hands over what was rung. A feed row is drawn once per (view, face) and the same bytes go
to every stream of that kind, written straight to the ASGI ``send``: no task and no queue per phone while its socket
keeps up. What a stream missed is read from the feed, in order; the feed is the truth and this only the doorbell, so a
lost ring costs delay and never a row.
"""

import asyncio
import os
import random
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import structlog
from starlette.types import Receive, Send

from api.stream import RELOAD, Stream
from kernel.crypto import Positions
from kernel.db import Database, Tx
from kernel.errors import HoufuError, Kind
from notices import service as notices
from notices.rules import Row
from people.events import SessionsEnded, ViewsChanged
from people.rules import Actor, ActorKind, View

log = structlog.get_logger()

STREAMS_PER_VIEWER = 6
SLOTS = 15  # every so many seconds a phone to which nothing was written gets a comment, for proxies and dead sockets
HEALED_AT_ONCE, KEPT_AT_ONCE = 100, 20  # then others have their turn: no push waits for housekeeping
OLDEST = 900  # ticks after which a stream ends and the phone comes back with its session
HEARD = 10_000

Draw = Callable[[Row, View, Hashable], str | None]
"""(row, view, face) → the text of one message, or None when this viewer is not to know of the row."""
Look = Callable[[Tx, Actor, UUID], Awaitable[tuple[View, UUID]]]
"""(tx, caller, visit) → what the caller may see of it, and whose visit it is; absent and foreign are both blind."""


class TooManyStreamsError(HoufuError):
    """One viewer has as many open streams as anybody needs."""

    code = "too_many_streams"
    kind = Kind.TOO_MANY


class ClosingError(HoufuError):
    """The process is going down; the phone finds the next one."""

    code = "closing"
    kind = Kind.UNAVAILABLE


class Relay(Protocol):
    """Tells the other processes."""

    def tell(self, rows: Mapping[UUID, int], patients: Sequence[UUID], ended: Sequence[str] = ()) -> None:
        """Newest number per subject, patients whose views changed, viewers whose sessions ended; must not block."""
        ...


@dataclass(slots=True)
class Topic:
    """All streams of one subject. ``target``: the newest number anybody has told us of."""

    subject: UUID
    streams: set[Stream]
    target: int = 0
    reading: asyncio.Task[None] | None = None


class Hub:
    """The streams of one process.

    Args:
        key: 32 bytes for the tokens of positions.
        draw: see ``Draw``; must be pure.
        look: decides a view anew.

    Attributes:
        turns: how often somebody's right to look may have changed; to be read before a view is decided.
    """

    def __init__(self, key: bytes, draw: Draw, look: Look) -> None:
        self._positions = Positions(key)
        self._draw, self._look = draw, look
        self._db: Database | None = None
        self._relay: Relay | None = None
        self._topics: dict[UUID, Topic] = {}
        self._patients: defaultdict[UUID, set[Stream]] = defaultdict(set)
        self._viewers: defaultdict[str, int] = defaultdict(int)
        self._slots: list[set[Stream]] = [set() for _ in range(SLOTS)]
        self._heard: OrderedDict[UUID, int] = OrderedDict()
        self._turned: OrderedDict[Hashable, int] = OrderedDict()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._next_slot = 0
        self._closing = False
        self._bells: list[asyncio.Event] = []
        self._told: set[tuple[UUID, UUID]] = set()
        self._own_bells: defaultdict[UUID, set[asyncio.Event]] = defaultdict(set)
        self.delivered = 0
        self.slow = 0
        self.turns = 0

    def connect(self, db: Database, relay: Relay | None = None) -> None:
        """Read from this database, and pass on what it announces."""
        self._db, self._relay = db, relay

    @property
    def open(self) -> int:
        """Open streams."""
        return sum(len(slot) for slot in self._slots)

    # -- what was committed

    def announce(self, items: Sequence[object]) -> None:
        """``Database.announce``: ring here, and have the other processes ring too. Never raises."""
        try:
            rows = [i for i in items if isinstance(i, Row)]
            patients = [i.patient_id for i in items if isinstance(i, ViewsChanged)]
            # Who may look is settled before anything is shown: both may have been decided in one transaction.
            for patient in patients:
                self.decide_anew(patient)
            for row in rows:
                self._row(row)
            self.ring_bells()
            ended = [i.viewer for i in items if isinstance(i, SessionsEnded)]
            for viewer in ended:
                self.end_viewer(viewer)
            if self._relay is not None and (rows or patients or ended):
                newest: dict[UUID, int] = {}
                for row in rows:
                    newest[row.subject] = max(row.seq, newest.get(row.subject, 0))
                self._relay.tell(newest, patients, ended)
        except Exception:
            log.exception("hub.announce")

    def bell(self, about: Collection[UUID] | None = None) -> asyncio.Event:
        """A bell that rings whenever anything was announced, here or by another process; who waits for it clears it.

        Args:
            about: ring only when somebody's view of one of these patients changes, or one of these feeds grows.
        """
        made = asyncio.Event()
        if about is None:
            self._bells.append(made)
        for one in about or ():
            self._own_bells[one].add(made)
        return made

    def no_bell(self, bell: asyncio.Event, about: Collection[UUID] | None = None) -> None:
        """Who waited for this bell has gone; ``about`` as it was made with."""
        if bell in self._bells:
            self._bells.remove(bell)
        for one in about or ():
            self._own_bells[one].discard(bell)
            if not self._own_bells[one]:
                del self._own_bells[one]

    @property
    def closing(self) -> bool:
        """Whether the process is going down."""
        return self._closing

    def ring_bells(self) -> None:
        """Something has changed somewhere."""
        for bell in self._bells:
            bell.set()

    def _ring(self, about: UUID) -> None:
        for bell in self._own_bells.get(about, ()):
            bell.set()

    def hear(self, subject: UUID, seq: int) -> None:
        """Another process has written up to here."""
        self._remember(subject, seq)
        self._ring(subject)
        topic = self._topics.get(subject)
        if topic is not None and seq > topic.target:
            topic.target = seq
            self._read(topic)

    def decide_anew(self, patient: UUID) -> None:
        """Somebody's view of this patient may have changed: show nothing more until that is known."""
        self._turn(patient)
        self._ring(patient)
        streams = [s for s in self._patients.get(patient, ()) if not s.ending]
        for stream in streams:
            stream.held += 1
        if streams:
            self._go(self._decide(streams))

    def told(self) -> set[tuple[UUID, UUID]]:
        """(person, subject) of every stream on which something came since the last time this was asked."""
        told, self._told = self._told, set()
        return told

    def end_viewer(self, viewer: str) -> None:
        """A session of somebody has ended: all their streams end; who still has one comes back with it."""
        self._turn(viewer)
        for topic in list(self._topics.values()):
            for stream in list(topic.streams):
                if stream.actor.viewer == viewer:
                    stream.end()

    def _row(self, row: Row) -> None:
        self._remember(row.subject, row.seq)
        self._ring(row.subject)
        topic = self._topics.get(row.subject)
        if topic is not None:
            self._deliver(topic, row)

    def _remember(self, subject: UUID, seq: int) -> None:
        # A row may be committed between a page's look at the feed and the opening of its stream.
        self._heard[subject] = max(seq, self._heard.pop(subject, 0))
        if len(self._heard) > HEARD:
            self._heard.popitem(last=False)

    def _turn(self, who: Hashable) -> None:
        # A right may end between a stream's look at it and its opening, when nobody finds the stream to end it yet.
        self.turns += 1
        self._turned.pop(who, None)
        self._turned[who] = self.turns
        if len(self._turned) > HEARD:
            self._turned.popitem(last=False)

    def _deliver(self, topic: Topic, row: Row) -> None:
        drawn: dict[tuple[View, Hashable], bytes | None] = {}
        behind = False
        for stream in list(topic.streams):
            if stream.seq >= row.seq or stream.ending:
                continue
            if stream.held or stream.seq != row.seq - 1:
                behind = True
                continue
            stream.seq = row.seq
            if stream.actor.kind is ActorKind.PERSON:
                self._told.add((stream.actor.id, stream.subject))
            key = (stream.view, stream.face)
            if key not in drawn:
                text = self._draw(row, stream.view, stream.face)
                drawn[key] = None if text is None else body(text)
            frame = drawn[key]
            if frame is not None:
                stream.write(b"id: " + stream.tokens.token(row.seq).encode() + b"\n" + frame)
                self.delivered += 1
        topic.target = max(topic.target, row.seq)
        if behind:
            self._read(topic)

    # -- what was missed

    def _read(self, topic: Topic) -> None:
        if topic.reading is None or topic.reading.done():
            topic.reading = self._go(self._catch_up(topic))

    async def _catch_up(self, topic: Topic) -> None:
        pause = 0.2
        while True:
            behind = [s.seq for s in topic.streams if not s.held and not s.ending and s.seq < topic.target]
            if not behind or self._db is None:
                return
            try:
                async with self._db.begin() as tx:
                    rows = await notices.since(tx, topic.subject, min(behind))
            except Exception as error:
                log.warning("hub.read", error=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)
                continue
            if not rows:
                topic.target = max((s.seq for s in topic.streams), default=0)  # somebody told us of a row that is not
                return
            for row in rows:
                self._deliver(topic, row)

    async def _decide(self, streams: Sequence[Stream]) -> None:
        for stream in streams:
            try:
                if self._db is None:
                    raise LookupError("no database")
                async with self._db.begin() as tx:
                    view, _ = await self._look(tx, stream.actor, stream.subject)
            except Exception as error:
                log.warning("hub.decide", error=type(error).__name__)
                stream.end(RELOAD)
                continue
            stream.held -= 1
            if view != stream.view:
                stream.end(RELOAD)
            elif not stream.held and (topic := self._topics.get(stream.subject)) is not None:
                self._read(topic)

    # -- one stream

    def position(self, token: str, actor: Actor, subject: UUID) -> int | None:
        """The number in a token; None when it was not made for this viewer and subject."""
        return self._positions.read(token, actor.viewer, subject)

    def token(self, actor: Actor, subject: UUID, seq: int) -> str:
        """Where a page stands, for ``?after=``; 22 characters."""
        return self._positions.writer(actor.viewer, subject).token(seq, os.urandom(3))

    def stream(self, actor: Actor, subject: UUID, patient: UUID, view: View, face: Hashable, after: int) -> Stream:
        """Prepare a stream that shows what comes after ``after``; it begins in ``serve``."""
        tokens = self._positions.writer(actor.viewer, subject)
        return Stream(actor, subject, patient, view, face, after, tokens)

    async def serve(self, stream: Stream, upto: int, since: int, receive: Receive, send: Send) -> None:
        """Run one stream until the phone goes away or we end it.

        Args:
            upto: the feed's last number a moment ago.
            since: ``turns`` as it was before the stream's view was decided.

        Raises:
            TooManyStreamsError: this viewer has six already.
            ClosingError: the process is going down.
        """
        self.admit(stream.actor.viewer)
        self._enter(stream)

        def begun() -> None:
            topic = self._topics[stream.subject]
            topic.target = max(topic.target, upto, self._heard.get(stream.subject, 0))
            if self._turned.get(stream.actor.viewer, 0) > since:
                stream.end()
                return
            if self._turned.get(stream.patient, 0) > since:
                self._go(self._decide([stream]))  # held until then
                return
            stream.held -= 1
            if stream.seq < topic.target:
                self._read(topic)

        try:
            await stream.run(receive, send, 500 + random.randrange(2500), begun)  # noqa: S311 - spreads reconnects
        finally:
            self._leave(stream)

    def admit(self, viewer: str) -> None:
        """One more line of this viewer; ``dismiss`` when it ends.

        Raises:
            TooManyStreamsError: this viewer has six already.
            ClosingError: the process is going down.
        """
        if self._closing:
            raise ClosingError
        if self._viewers.get(viewer, 0) >= STREAMS_PER_VIEWER:
            raise TooManyStreamsError
        self._viewers[viewer] += 1

    def dismiss(self, viewer: str) -> None:
        """A line of this viewer has ended."""
        self._viewers[viewer] -= 1
        if not self._viewers[viewer]:
            del self._viewers[viewer]

    def _enter(self, stream: Stream) -> None:
        stream.held += 1  # until its head is out
        stream.slot, self._next_slot = self._next_slot, (self._next_slot + 1) % SLOTS
        self._slots[stream.slot].add(stream)
        self._patients[stream.patient].add(stream)
        topic = self._topics.get(stream.subject)
        if topic is None:
            topic = self._topics[stream.subject] = Topic(stream.subject, set())
        topic.streams.add(stream)

    def _leave(self, stream: Stream) -> None:
        self.slow += stream.was_slow
        self._slots[stream.slot].discard(stream)
        self._patients[stream.patient].discard(stream)
        if not self._patients[stream.patient]:
            del self._patients[stream.patient]
        self.dismiss(stream.actor.viewer)
        topic = self._topics[stream.subject]
        topic.streams.discard(stream)
        if not topic.streams:
            del self._topics[stream.subject]

    # -- time and the end

    async def run(self) -> None:
        """Keep streams alive and heal lost rings, until cancelled; one per process."""
        tick = 0
        while True:
            await asyncio.sleep(1)
            tick += 1
            for number, stream in enumerate(list(self._slots[tick % SLOTS])):
                stream.age += SLOTS
                if stream.age > OLDEST:
                    stream.end()
                else:
                    stream.keep_alive()
                if number % KEPT_AT_ONCE == KEPT_AT_ONCE - 1:
                    await asyncio.sleep(0)
            if tick % SLOTS == 0:
                await self.heal()

    async def heal(self) -> None:
        """Ask the feeds where they stand: whatever ring was lost, its rows are read now."""
        subjects = list(self._topics)
        for start in range(0, len(subjects), HEALED_AT_ONCE):
            try:
                if self._db is None:
                    return
                async with self._db.begin() as tx:
                    found = await notices.positions(tx, subjects[start : start + HEALED_AT_ONCE])
            except Exception as error:
                log.warning("hub.heal", error=type(error).__name__)
                return
            for subject, seq in found.items():
                self.hear(subject, seq)

    def close(self) -> None:
        """End every stream now and take no more; for SIGTERM."""
        self._closing = True
        self.ring_bells()
        for bells in self._own_bells.values():
            for bell in bells:
                bell.set()
        for topic in list(self._topics.values()):
            for stream in list(topic.streams):
                stream.end()
        for task in self._tasks:
            task.cancel()

    def _go(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def body(text: str) -> bytes:
    """The part of a message that all streams of one kind share."""
    return "".join(f"data: {line}\n" for line in text.splitlines() or [""]).encode() + b"\n"
