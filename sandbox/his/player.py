"""Plays scripted visits: one step at a press, or by itself at a speed.

An order that Houfu abandoned or the desk confirmed meanwhile is passed over, as it would be in a hospital.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.his.catalogue import PEOPLE_FILE
from sandbox.his.clinic import Clinic
from sandbox.his.scripts import SCRIPTS, Act, Script
from sandbox.his.wire import Json
from words import his_scenes

LOOK = 0.3  # seconds between two looks for the mark


@dataclass(slots=True)
class Run:
    """One visit being played. ``orders`` maps names to order numbers; ``waits``: for the mark, and that was said."""

    id: str
    script: Script
    patient: str
    encounter: str | None = None
    position: int = 0
    orders: dict[str, str] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    waits: bool = False
    task: "asyncio.Task[None] | None" = None

    @property
    def finished(self) -> bool:
        """Whether nothing is left to happen."""
        return self.position >= len(self.script.steps)


class Actor:
    """Carries out acts of the table in ``sandbox.his.scripts`` for one run."""

    def __init__(self, clinic: Clinic, identities: dict[str, tuple[Json, Json | None]]) -> None:
        self.clinic, self.identities = clinic, identities

    def act(self, run: Run, act: Act) -> bool:
        """Do one act; False when it was passed over because its order is gone or done already."""
        name, rest = act[0], act[1:]
        if name == "register":
            patient = self.clinic.catalogue.by_key[run.patient]
            run.encounter = self.clinic.register(patient, rest[0], emergency=len(rest) > 1 and bool(rest[1]))
            return True
        if run.encounter is None:
            raise ValueError(f"{run.script.name}: {name} before register")
        if name == "order":
            run.orders[rest[0]] = self.clinic.order(run.encounter, rest[1])
            return True
        return self._with_encounter(run, run.encounter, name, rest)

    def _with_encounter(self, run: Run, encounter: str, name: str, rest: Act) -> bool:
        match name:
            case "call" | "confirm" | "result":
                return self._with_order(name, run.orders[rest[0]], rest[1:])
            case "identify":
                self.clinic.identify(encounter, *self.identities[run.patient])
            case "pay":
                wanted: list[str | None] = [run.orders[n] for n in rest]
                for order in wanted or [None]:
                    self.clinic.pay_at_window(encounter, order)
            case "finish":
                self.clinic.finish(encounter)
            case _:
                raise ValueError(f"no such act: {name}")
        return True

    def _with_order(self, name: str, order: str, rest: Act) -> bool:
        enc = self.clinic.books.encounter(order)
        if order in enc.cancelled or (name != "result" and order in enc.performed_orders):
            return False
        if name == "call":
            ahead, room = rest[0], rest[1] if len(rest) > 1 else None
            self.clinic.call(order, ahead, called=room is not None, room=room)
        elif name == "confirm":
            self.clinic.confirm(order)
        else:
            self.clinic.result(order, rest[0], his_scenes.REPORTS[rest[1]])
        return True


class Player:
    """The runs of this HIS; they live in memory only, what they did lives in the books."""

    def __init__(self, clinic: Clinic, people: Path = PEOPLE_FILE) -> None:
        rows = json.loads(people.read_text("utf-8"))["identities"]
        known = ("name", "sex", "birth_date", "id_number", "phone")
        self.actor = Actor(clinic, {r["patient"]: ({k: r[k] for k in known}, r.get("insurance")) for r in rows})
        self.runs: dict[str, Run] = {}
        self.watchers: list[Callable[[Run, str], None]] = []

    def scripts(self) -> list[Json]:
        """Every script with the captions of its steps."""
        return [
            {
                "name": s.name,
                "title": his_scenes.TITLES[s.name],
                "patient": s.patient,
                "steps": [
                    {"key": st.key, "caption": self._caption(s, st.key), "minutes": st.minutes} for st in s.steps
                ],
            }
            for s in SCRIPTS.values()
        ]

    @staticmethod
    def _caption(script: Script, key: str) -> str:
        return his_scenes.CAPTIONS[script.name][key]

    def start(self, script: str, patient: str | None = None) -> Run:
        """Begin a run without doing its first step; ``patient`` is a key of the people file.

        Raises:
            KeyError: no such script or patient.
        """
        chosen = SCRIPTS[script]
        who = patient or chosen.patient
        if who not in self.actor.clinic.catalogue.by_key:
            raise KeyError(who)
        run = Run(f"v{len(self.runs) + 1}", chosen, who)
        self.runs[run.id] = run
        return run

    def step(self, run: Run) -> Json:
        """Do the next step and say what happened; ``"finished": true`` alone when there is none.

        A step that waits for the mark changes nothing until it is there; the answer says ``"waits": true``.
        """
        if run.finished:
            return {"waits": False, "finished": True}
        step = run.script.steps[run.position]
        if step.marked and not self._marked(run):
            if not run.waits:
                run.waits = True
                self._say(run, his_scenes.WAITS)
            return {"key": None, "caption": his_scenes.WAITS, "waits": True, "skipped": False, "finished": False}
        run.position, run.waits = run.position + 1, False
        done = [self.actor.act(run, act) for act in step.acts]
        skipped = bool(done) and not any(done)
        caption = his_scenes.SKIPPED if skipped else self._caption(run.script, step.key)
        if skipped:
            run.skipped.append(step.key)
        self._say(run, caption)
        return {"key": step.key, "caption": caption, "waits": False, "skipped": skipped, "finished": run.finished}

    def _marked(self, run: Run) -> bool:
        return run.encounter is not None and self.actor.clinic.books.encounters[run.encounter].mode == "DEFERRED"

    def _say(self, run: Run, caption: str) -> None:
        for watcher in self.watchers:
            watcher(run, caption)

    def play(self, run: Run, speed: float) -> None:
        """Let it go by itself: ``speed`` hospital minutes pass in one real minute; a second call changes the speed."""
        self.pause(run)
        run.task = asyncio.get_running_loop().create_task(self._play(run, speed), name=f"his-{run.id}")

    async def _play(self, run: Run, speed: float) -> None:
        while not run.finished:
            await asyncio.sleep(run.script.steps[run.position].minutes * 60 / speed)
            while self.step(run)["waits"]:
                await asyncio.sleep(LOOK)

    def pause(self, run: Run) -> None:
        """Stop playing by itself; stepping goes on where it stopped."""
        if run.task is not None:
            run.task.cancel()
            run.task = None

    async def close(self) -> None:
        """Stop every run and wait until it has stopped."""
        tasks = [run.task for run in self.runs.values() if run.task is not None]
        for run in self.runs.values():
            self.pause(run)
        await asyncio.gather(*tasks, return_exceptions=True)

    def show(self, run: Run) -> Json:
        """Where a run stands, for the stage."""
        steps: list[dict[str, Any]] = [
            {
                "key": st.key,
                "caption": self._caption(run.script, st.key),
                "done": n < run.position,
                "skipped": st.key in run.skipped,
            }
            for n, st in enumerate(run.script.steps)
        ]
        return {
            "id": run.id,
            "script": run.script.name,
            "title": his_scenes.TITLES[run.script.name],
            "patient": run.patient,
            "encounter": run.encounter,
            "orders": dict(run.orders),
            "steps": steps,
            "playing": run.task is not None and not run.task.done(),
            "finished": run.finished,
        }
