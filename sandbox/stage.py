"""The hand that moves the stage: it plays one scripted visit of the made-up hospital, by itself or step by step."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sandbox.his.clinic import NotPossibleError
from sandbox.his.player import Player, Run
from sandbox.his.scripts import SCRIPTS
from words import his_scenes

SPEEDS = {1: 60.0, 4: 240.0, 20: 1200.0}  # what the button says → hospital minutes in one real minute


@dataclass(slots=True)
class Stage:
    """One stage; whoever watches waits for a bell.

    Attributes:
        script: what is played next; ``letter`` when she has yet to sign.
        speed: a key of ``SPEEDS``.
        said: the caption under which things stand now.
        repeats: how often the visit was begun again after its end.
    """

    player: Player
    script: str = "cardiology"
    run: Run | None = None
    speed: int = 1
    said: str = his_scenes.BEFORE
    repeats: int = 0
    bells: list[asyncio.Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.player.watchers.append(self._moved)

    @property
    def step(self) -> int:
        """How many steps have happened."""
        return 0 if self.run is None else self.run.position

    @property
    def total(self) -> int:
        """Steps of the script."""
        return len(SCRIPTS[self.script].steps)

    @property
    def begins(self) -> bool:
        """Whether the next press begins a visit."""
        return self.run is None or self.run.finished

    @property
    def signing(self) -> bool:
        """Whether she is at her letter: until it is signed and the hospital has gone on."""
        signed = next((n for n, step in enumerate(SCRIPTS[self.script].steps) if step.marked), None)
        return signed is not None and (self.run is None or self.step <= signed + 1)

    @property
    def playing(self) -> bool:
        """Whether it goes by itself."""
        return self.run is not None and self.run.task is not None and not self.run.task.done()

    def do(self, what: str, value: str = "") -> None:
        """Press a button: ``play``, ``pause``, ``next``, ``speed`` (1, 4 or 20) or ``letter``; others change nothing.

        ``letter``: the next visit begins with the letter, which she has given back; not while one is played.
        """
        match what:
            case "play":
                self.player.play(self._run(), SPEEDS[self.speed])
            case "pause" if self.run is not None:
                self.player.pause(self.run)
            case "next":
                self._next()
            case "letter" if self.begins:
                self.repeats += 1
                self.script, self.run, self.said = "letter", None, his_scenes.UNSIGNED
            case "speed" if value.isdigit() and int(value) in SPEEDS:
                self.speed = int(value)
                if self.playing:
                    self.player.play(self._run(), SPEEDS[self.speed])
        self.ring()

    def _next(self) -> None:
        run = self._run()
        playing = self.playing
        self.player.pause(run)
        try:
            self.player.step(run)
        except NotPossibleError as error:
            self.said = str(error)
        if playing and not run.finished:
            self.player.play(run, SPEEDS[self.speed])

    def _run(self) -> Run:
        if self.run is None or self.begins:
            self.repeats += self.run is not None
            self.run = self.player.start(self.script)
        return self.run

    def _moved(self, run: Run, caption: str) -> None:
        if run is self.run:
            self.said = caption
            self.ring()

    def ring(self) -> None:
        """Let everybody who watches look again."""
        for bell in self.bells:
            bell.set()

    @contextmanager
    def watching(self) -> Iterator[asyncio.Event]:
        """A bell that rings when something moved; who waits for it clears it."""
        bell = asyncio.Event()
        self.bells.append(bell)
        try:
            yield bell
        finally:
            self.bells.remove(bell)
