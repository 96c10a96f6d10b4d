"""The hospital system's own books: who came, what was ordered, charged, done, reported and paid, and what Houfu said.

Every fact is an event of the wire contract: recording one changes the books, writes one line to the journal (when there
is one) and puts the item into the outbox until Houfu has answered for it. Opening a journal again folds it back.
The books are the oracle of the rehearsal: ``right_bill`` says what each visit truly owes, to the fen.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO

from kernel.clock import wall_clock
from sandbox.his import wire
from sandbox.his.wire import Json


@dataclass(slots=True)
class Encounter:
    """One encounter and everything that hangs on it; inner dicts are the ``data`` of the events that made them."""

    no: str
    started: Json
    sequence: int = 0
    finished_at: str | None = None
    orders: dict[str, Json] = field(default_factory=dict)
    cancelled: dict[str, str] = field(default_factory=dict)
    charges: dict[str, Json] = field(default_factory=dict)
    reversed: dict[str, str] = field(default_factory=dict)
    at_window: dict[str, Json] = field(default_factory=dict)
    executions: list[Json] = field(default_factory=list)
    results: dict[str, Json] = field(default_factory=dict)
    queue: dict[str, Json] = field(default_factory=dict)
    performed_orders: set[str] = field(default_factory=set)
    executed: set[str] = field(default_factory=set)
    excluded_all: bool = False
    excluded: set[str] = field(default_factory=set)
    mode: str = "UPFRONT"
    posted: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RightBill:
    """What one encounter truly owes: each dict is charge number → amount in fen, and each charge is in exactly one."""

    encounter: str
    payable: Mapping[str, int]  # done, not reversed, not excluded, not paid at the HIS's own window
    planned: Mapping[str, int]  # not done, still wanted
    gone: Mapping[str, int]  # reversed, or its order cancelled before it was done
    at_window: Mapping[str, int]
    excluded: Mapping[str, int]  # done, but Houfu may not collect it
    self_fen: Mapping[str, int]  # the patient's part of each payable charge

    @property
    def total_fen(self) -> int:
        """The payable sum before insurance."""
        return sum(self.payable.values())

    @property
    def self_total_fen(self) -> int:
        """The payable sum after fund and personal account."""
        return sum(self.self_fen.values())


class Books:
    """Single writer; not for several threads.

    Args:
        hospital: the hospital's code, the ``source`` of every event.
        now: the clock.
        journal: a JSON-lines file to survive a restart, or None for memory only.
    """

    def __init__(self, hospital: str, now: wire.Now = wall_clock, journal: Path | None = None) -> None:
        self.hospital, self.now = hospital, now
        self.encounters: dict[str, Encounter] = {}
        self.encounter_of: dict[str, str] = {}  # order or charge number -> encounter
        self.account_used: Counter[str] = Counter()  # patient number -> fen of the personal account
        self.booked: dict[str, int] = {}  # slot -> places taken
        self.appointments: dict[str, Json] = {}  # Houfu's booking -> what it is and where it stands
        self.clinics_off: set[tuple[str, str]] = set()  # (doctor, day) on which the doctor sees nobody
        self.outbox: dict[str, Json] = {}  # id -> item, in the order said
        self.answers: dict[str, Json] = {}  # id -> Houfu's last answer
        self.lost: dict[str, Json] = {}  # said by nobody: only a snapshot can tell them
        self.commands: dict[str, tuple[Json, Json]] = {}  # key -> (command, answer)
        self.settlements: dict[str, Json] = {}
        self.refunds: dict[str, Json] = {}
        self.booked_at: dict[str, str] = {}  # settlement or refund number -> when it was entered
        self.settled: dict[str, str] = {}  # charge -> settlement that paid it and was not refunded
        self.paid_back: set[str] = set()  # charges paid back by Houfu: on request, or because they were reversed
        self.insured: dict[str, Json] = {}  # charge -> the split with which the insurance settled it
        self.complaints: list[str] = []  # what Houfu did that no careful partner does
        self.changed: Callable[[], None] = lambda: None  # rung whenever something new waits for Houfu
        self.heard: Callable[[Json, Json], None] = lambda item, answer: None  # told of each first answer to an item
        self.salt = ""  # sets the numbers of one system apart from another's that plays the same hospital
        self._numbers: Counter[str] = Counter()
        self._journal: IO[str] | None = None
        if journal is not None:
            self._open(journal)

    # -- the journal ------------------------------------------------------------------------------------------------

    def _open(self, path: Path) -> None:
        if path.exists():
            for line in path.read_text("utf-8").splitlines():
                self._fold(json.loads(line))
        self._journal = path.open("a", encoding="utf-8")

    def _write(self, record: Json) -> None:
        if self._journal is not None:
            self._journal.write(json.dumps(record, ensure_ascii=False) + "\n")
            self._journal.flush()

    def _fold(self, record: Json) -> None:
        match record["k"]:
            case "event":
                self._apply(record["item"])
                self.outbox[record["item"]["id"]] = record["item"]
            case "noise":
                self.outbox[record["item"]["id"]] = record["item"]
            case "number":
                self._numbers[record["prefix"]] += 1
            case "answers":
                self._acknowledged(record["ids"], record["answers"])
            case "lost":
                self._lose(record["ids"])
            case "off":
                self.clinics_off.add((record["doctor"], record["day"]))
            case "command":
                self.commands[record["command"]["key"]] = (record["command"], record["answer"])
                self._took(record["command"], record["answer"], record.get("at") or record["command"]["at"])

    def close(self) -> None:
        """Let go of the journal file."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    # -- what happens ------------------------------------------------------------------------------------------------

    def number(self, prefix: str, width: int = 4) -> str:
        """The next number with this prefix, never given twice."""
        self._numbers[prefix] += 1
        self._write({"k": "number", "prefix": prefix})
        return f"{prefix}{self.salt}{self._numbers[prefix]:0{width}d}"

    def record(self, kind: str, subject: str, data: Json, at: datetime | None = None) -> Json:
        """One more fact: check it against the contract, enter it, and queue it for Houfu.

        Raises:
            ValueError: it does not follow ``docs/his.md``.
            KeyError: it speaks of an encounter nobody started.
        """
        known = self.encounters.get(subject)
        if kind == "booking.changed":
            before = int(self.appointments[subject]["sequence"])
        elif known is None and kind != "encounter.started":
            raise KeyError(subject)
        else:
            before = known.sequence if known else 0
        item: Json = {
            "specversion": "1.0",
            "id": self.number("e-"),
            "source": f"/hospital/{self.hospital}",
            "type": kind,
            "subject": subject,
            "time": (at or self.now()).isoformat(),
            "sequence": before + 1,
            "data": data,
        }
        wire.check(item)
        self._apply(item)
        self.outbox[item["id"]] = item
        self._write({"k": "event", "item": item})
        self.changed()
        return item

    def noise(self, item: Json) -> None:
        """Queue an item that is no new fact (a repetition, a mistake) without entering it."""
        self.outbox[item["id"]] = item
        self._write({"k": "noise", "item": item})
        self.changed()

    def _apply(self, item: Json) -> None:
        kind, subject, data = item["type"], item["subject"], item["data"]
        if kind == "booking.changed":
            self._change_booking(self.appointments[subject], item["sequence"], data)
            return
        if kind == "encounter.started":
            self.encounters.setdefault(subject, Encounter(subject, data)).started = data
            if data.get("booking") in self.appointments:
                self._register(self.appointments[data["booking"]], subject, item)
        enc = self.encounters[subject]
        enc.sequence = max(enc.sequence, item["sequence"])
        if kind.startswith("charge."):
            self._apply_charge(kind, enc, data)
        else:
            self._apply_care(kind, enc, data)

    def _register(self, appointment: Json, encounter: str, item: Json) -> None:
        appointment["encounter"] = encounter
        if datetime.fromisoformat(item["data"]["started_at"]) <= datetime.fromisoformat(item["time"]):
            appointment["state"] = "arrived"

    def _change_booking(self, appointment: Json, sequence: int, data: Json) -> None:
        appointment["sequence"] = sequence
        match data["change"]:
            case "moved":
                self._place(appointment["slot"], -1)
                self._place(data["slot"], 1)
                appointment |= {k: data[k] for k in ("slot", "doctor", "from", "until")}
            case "stopped":
                self._place(appointment["slot"], -1)
                appointment["state"] = "stopped"
            case "missed":
                appointment["state"] = "missed"
            case "requeued":
                appointment["state"] = "arrived"

    def _place(self, slot: str, more: int) -> None:
        self.booked[slot] = self.booked.get(slot, 0) + more

    def call_off(self, doctor: str, day: str) -> None:
        """This doctor (by login) sees nobody on this day."""
        self.clinics_off.add((doctor, day))
        self._write({"k": "off", "doctor": doctor, "day": day})

    def _apply_care(self, kind: str, enc: Encounter, data: Json) -> None:
        match kind:
            case "encounter.finished":
                enc.finished_at = data["finished_at"]
            case "order.placed":
                enc.orders[data["order_no"]] = data
                self.encounter_of[data["order_no"]] = enc.no
            case "order.cancelled":
                undone = [no for no in self.charges_of(enc, data["order_no"]) if no not in enc.executed]
                self._return_account(enc, undone)
                enc.cancelled[data["order_no"]] = data["at"]
            case "execution.confirmed":
                self._perform(enc, data)
            case "result.ready":
                enc.results[data["report_no"]] = data
            case "queue.moved":
                enc.queue[data["order_no"]] = data
            case "visit.excluded":
                self._exclude(enc, data.get("charge_no"))

    def _apply_charge(self, kind: str, enc: Encounter, data: Json) -> None:
        match kind:
            case "charge.created":
                self._charge(enc, data)
            case "charge.reversed":
                self._return_account(enc, [data["charge_no"]])
                enc.reversed[data["charge_no"]] = data["at"]
            case "charge.settled":
                enc.at_window[data["charge_no"]] = {k: v for k, v in data.items() if k != "charge_no"}

    @staticmethod
    def _exclude(enc: Encounter, charge_no: str | None) -> None:
        if charge_no is None:
            enc.excluded_all = True
        else:
            enc.excluded.add(charge_no)

    def _charge(self, enc: Encounter, data: Json) -> None:
        enc.charges[data["charge_no"]] = data
        self.encounter_of[data["charge_no"]] = enc.no
        self.account_used[enc.started["patient"]["no"]] += data["split"]["account_fen"]
        if data.get("order_no") in enc.performed_orders:
            enc.executed.add(data["charge_no"])

    def _perform(self, enc: Encounter, data: Json) -> None:
        enc.executions.append(data)
        order = data.get("order_no")
        if "charge_nos" in data:
            enc.executed.update(data["charge_nos"])
        elif order is not None:
            enc.performed_orders.add(order)
            enc.executed.update(self.charges_of(enc, order))

    def _return_account(self, enc: Encounter, charges: Iterable[str]) -> None:
        for no in charges:
            charge = enc.charges[no]
            if no not in enc.reversed and (no in enc.executed or charge.get("order_no") not in enc.cancelled):
                self.account_used[enc.started["patient"]["no"]] -= charge["split"]["account_fen"]

    # -- what is asked of the books ----------------------------------------------------------------------------------

    @staticmethod
    def charges_of(enc: Encounter, order_no: str) -> list[str]:
        """The charge numbers of one order, in the order written."""
        return [no for no, c in enc.charges.items() if c.get("order_no") == order_no]

    @staticmethod
    def is_performed(enc: Encounter, order_no: str) -> bool:
        """Whether a department said that any part of this order was done."""
        if order_no in enc.performed_orders:
            return True
        return any(
            e.get("order_no") == order_no or any(enc.charges[c].get("order_no") == order_no for c in e["charge_nos"])
            for e in enc.executions
            if "charge_nos" in e
        )

    def encounter(self, number: str) -> Encounter:
        """The encounter with this number, or the one an order or charge belongs to.

        Raises:
            KeyError: nothing here has that number.
        """
        return self.encounters[self.encounter_of.get(number, number)]

    def right_bill(self, encounter: str) -> RightBill:
        """What this encounter truly owes by everything recorded here, whatever Houfu has heard of it."""
        enc = self.encounters[encounter]
        piles: dict[str, dict[str, int]] = {p: {} for p in ("payable", "planned", "gone", "at_window", "excluded")}
        for no, charge in enc.charges.items():
            pile = "gone" if no in self.paid_back else _pile(enc, no, charge)
            piles[pile][no] = charge["amount_fen"]
        owed = {no: enc.charges[no]["split"]["self_fen"] for no in piles["payable"]}
        return RightBill(enc.no, **piles, self_fen=owed)

    def split(self, charge_no: str) -> Json:
        """Who bears a charge, in fen: as the insurance settled it through Houfu, else as estimated."""
        line = self.insured.get(charge_no)
        if line is None:
            estimate: Json = self.encounter(charge_no).charges[charge_no]["split"]
            return estimate
        fund = line["fund_fen"] + line["other_fen"]
        return {"fund_fen": fund, "account_fen": line["account_fen"], "self_fen": line["self_fen"]}

    def snapshot(self, encounter: str) -> Json:
        """The ``data`` of a ``visit.snapshot``: all there is to know of one encounter, as of now."""
        enc = self.encounters[encounter]
        finished = {"finished_at": enc.finished_at} if enc.finished_at else {}
        return {
            "as_of": self.now().isoformat(),
            "encounter": enc.started | finished,
            "orders": [_with(o, "cancelled_at", enc.cancelled.get(no)) for no, o in enc.orders.items()],
            "charges": [
                _with(_with(c, "reversed_at", enc.reversed.get(no)), "settled", enc.at_window.get(no))
                for no, c in enc.charges.items()
            ],
            "executions": list(enc.executions),
            "results": list(enc.results.values()),
        }

    def insurance(self, encounter: str) -> Json | None:
        """What the insurance has to be told of one encounter; None for somebody not (or no longer) insured."""
        enc = self.encounters.get(encounter)
        if enc is None or enc.started["insurance"]["status"] != "normal" or not enc.started["patient"].get("id_number"):
            return None
        patient, doctor = enc.started["patient"], enc.started.get("doctor") or ""
        at, department = enc.started["started_at"], enc.started["department"]
        return {
            "insured": {
                "name": patient["name"],
                "id_type": "01",
                "id_number": patient["id_number"],
                "person_no": f"P{patient['id_number'][-12:]}",
                "scheme": {"employee": "310", "resident": "390"}[enc.started["insurance"]["scheme"]],
                "region": "320600",
            },
            "registration": f"M{encounter}",
            "department_name": department,
            "doctor": doctor,
            "diagnoses": [
                {
                    "code": "Z01.800",
                    "name": "特殊检查",
                    "department": department,
                    "doctor": doctor,
                    "doctor_name": doctor,
                    "at": at,
                }
            ],
            "codes": {c["item_code"]: c["item_code"] for c in enc.charges.values()},
        }

    # -- what Houfu answered -----------------------------------------------------------------------------------------

    def pending(self, limit: int, hold: frozenset[str] = frozenset()) -> list[Json]:
        """The oldest items Houfu has not answered for, except those of the encounters in ``hold``."""
        waiting: list[Json] = []
        for item in self.outbox.values():
            if item["subject"] not in hold:
                waiting.append(item)
                if len(waiting) == limit:
                    break
        return waiting

    def acknowledge(self, ids: Sequence[str], answers: Sequence[Json]) -> None:
        """Houfu has answered for these items: keep what it said, and never send them again."""
        for number, answer in zip(ids, answers, strict=True):
            if number in self.outbox:
                self.heard(self.outbox[number], answer)
        self._acknowledged(ids, answers)
        self._write({"k": "answers", "ids": list(ids), "answers": list(answers)})

    def _acknowledged(self, ids: Sequence[str], answers: Sequence[Json]) -> None:
        for number, answer in zip(ids, answers, strict=True):
            self.outbox.pop(number, None)
            self.answers[number] = answer

    def lose(self, ids: Sequence[str]) -> None:
        """Forget to send these items, as a real interface does on a bad day; a snapshot must make up for it."""
        self._lose(ids)
        self._write({"k": "lost", "ids": list(ids)})

    def _lose(self, ids: Sequence[str]) -> None:
        for number in ids:
            self.lost[number] = self.outbox.pop(number)

    # -- what Houfu told us ------------------------------------------------------------------------------------------

    def keep_command(self, command: Json, answer: Json) -> None:
        """Remember a command under its key with its answer, and enter its effect when it was done."""
        self.commands[command["key"]] = (command, answer)
        at = self.now().isoformat()
        self._took(command, answer, at)
        self._write({"k": "command", "command": command, "answer": answer, "at": at})

    def _took(self, command: Json, answer: Json, at: str) -> None:
        if answer["outcome"] != "done":
            return
        data: Json = command["data"]
        if command["kind"] in ("settle", "refund"):
            self.booked_at.setdefault(data["settlement_no" if command["kind"] == "settle" else "refund_no"], at)
        match command["kind"]:
            case "settle" if data["settlement_no"] not in self.settlements:
                self.settlements[data["settlement_no"]] = data
                self.settled.update({line["charge_no"]: data["settlement_no"] for line in data["charges"]})
                self.insured.update({line["charge_no"]: line for line in data["charges"] if "fund_fen" in line})
                self.paid_back -= {line["charge_no"] for line in data["charges"]}
            case "refund" if data["refund_no"] not in self.refunds:
                self._pay_back(data)
            case "post":
                for line in data["charges"]:
                    self.encounter(line["charge_no"]).posted[line["charge_no"]] = line["amount_fen"]
            case "book" | "cancel_booking" | "requeue":
                self._took_booking(command["kind"], data, answer)
            case "mark" | "unmark" | "exclude":
                for no in command["encounters"]:
                    self._turn(self.encounters[no], command["kind"], data.get("charge_no"))

    def _took_booking(self, kind: str, data: Json, answer: Json) -> None:
        booking = data["booking"]
        if kind == "book":
            self.appointments[booking] = data | answer["data"] | {"state": "booked", "sequence": 0, "encounter": None}
            self._place(data["slot"], 1)
            return
        known = self.appointments.get(booking)
        if kind == "requeue" and known is not None:
            known["state"] = "arrived"
        elif known is None:  # cancelled before it was ever heard of: it must not be booked later
            self.appointments[booking] = {"state": "cancelled", "sequence": 0, "slot": None, "encounter": None}
        elif known["state"] in ("booked", "missed"):
            known["state"] = "cancelled"
            self._place(known["slot"], -1)

    def _pay_back(self, data: Json) -> None:
        self.refunds[data["refund_no"]] = data
        for line in data["charges"]:
            self.settled.pop(line["charge_no"], None)
            if line.get("owed_again"):
                self.insured.pop(line["charge_no"], None)
            else:
                self.paid_back.add(line["charge_no"])

    def _turn(self, enc: Encounter, kind: str, charge_no: str | None) -> None:
        if kind != "exclude":
            enc.mode = "DEFERRED" if kind == "mark" else "UPFRONT"
        elif charge_no is None or charge_no in enc.charges:
            self._exclude(enc, charge_no)


def _with(data: Json, name: str, value: object) -> Json:
    return data if value is None else data | {name: value}


def _pile(enc: Encounter, no: str, charge: Json) -> str:
    if no in enc.reversed:
        return "gone"
    if no in enc.at_window:
        return "at_window"
    if no not in enc.executed:
        return "gone" if charge.get("order_no") in enc.cancelled else "planned"
    return "excluded" if enc.excluded_all or no in enc.excluded else "payable"
