"""The appointment desk of the hospital's system: its own books of who has which half hour, never more than it holds.

``take`` answers ``done`` or ``refused`` with one of: ``taken``, ``no_such_slot``, ``passed``, ``stopped``,
``already_booked``, ``fee_differs``, ``cancelled`` (a cancel came first), ``arrived``, ``not_missed``.
"""

from datetime import date, datetime

from kernel.clock import CHINA
from sandbox.his import commands
from sandbox.his.behave import Behaviour
from sandbox.his.catalogue import PatientCard
from sandbox.his.clinic import Clinic, NotPossibleError
from sandbox.his.wire import Command, Json


class Appointments:
    """Books through the clinic, so that whatever happens to a booking reads on the wire like everything else."""

    def __init__(self, clinic: Clinic, behaviour: Behaviour) -> None:
        self.clinic, self.books, self.catalogue = clinic, clinic.books, clinic.catalogue
        self.behaviour = behaviour

    def slots(self, department: str, day: date) -> list[Json]:
        """What ``docs/his.md`` promises of one department and day; a clinic that was called off has none."""
        logins = {name: login for login, name in self.catalogue.doctors.items()}
        return [
            slot
            for slot in self.catalogue.slots(department, day, self.books.booked)
            if (logins[slot["doctor"]], day.isoformat()) not in self.books.clinics_off
        ]

    # -- what Houfu asks -------------------------------------------------------------------------------------------

    def take(self, body: Json) -> Json:
        """Do one command and answer it; a repeated key is answered as before and does nothing."""
        command = Command.model_validate(body)
        if command.key in self.books.commands:
            before, answer = self.books.commands[command.key]
            if any(before[part] != body[part] for part in ("kind", "data")):
                self.books.complaints.append(f"key {command.key} came again with another meaning")
            return answer
        reason = self._refusal(command)
        answer = {"key": command.key, "outcome": "refused", "reason": reason} if reason else self._done(command)
        self.books.keep_command(body, answer)
        if reason is None and command.kind == "book" and command.data["pay"] == "upfront":
            self._register_ahead(command.data["booking"])
        if reason is None and command.kind == "cancel_booking":
            self._close(command.data["booking"])
        return answer

    def _refusal(self, command: Command) -> str | None:
        known = self.books.appointments.get(command.data["booking"])
        match command.kind:
            case "book":
                return self._unbookable(command.data, known)
            case "requeue":
                return None if known is not None and known["state"] == "missed" else "not_missed"
            case _:
                return "arrived" if known is not None and known["state"] == "arrived" else None

    def _unbookable(self, data: Json, known: Json | None) -> str | None:
        if known is not None:
            return "cancelled" if known["state"] == "cancelled" else "already_booked"
        slot = self.catalogue.slot(data["slot"], self.books.booked)
        if slot is None:
            return "no_such_slot"
        begins = datetime.fromisoformat(slot["from"])
        if begins <= self.books.now():
            return "passed"
        if (data["slot"].rpartition("-")[0], begins.astimezone(CHINA).date().isoformat()) in self.books.clinics_off:
            return "stopped"
        if slot["free"] == 0 or self.behaviour.take("taken", "book"):
            return "taken"
        if data["fee_fen"] != (0 if data["pay"] == "free" else slot["fee_fen"]):
            return "fee_differs"
        return "already_booked" if self._has_one(data, slot) else None

    def _has_one(self, data: Json, slot: Json) -> bool:
        """Whether this patient is with this doctor in this half day already."""
        for other in self.books.appointments.values():
            same = other["state"] == "booked" and other["patient"] == data["patient"]
            if same and other["doctor"] == slot["doctor"] and _half_day(other["from"]) == _half_day(slot["from"]):
                return True
        return False

    def _done(self, command: Command) -> Json:
        done: Json = {"key": command.key, "outcome": "done"}
        if command.kind != "book":
            return done
        slot = self.catalogue.slot(command.data["slot"], self.books.booked)
        if slot is None:
            raise KeyError(command.data["slot"])
        number = str(self.books.booked.get(slot["id"], 0) + 1)
        told = {k: slot[k] for k in ("department", "doctor", "from", "until")}
        return done | {"data": told | {"number": number}}

    # -- what happens in the hospital ------------------------------------------------------------------------------

    def _register_ahead(self, booking: str) -> None:
        """Paid before: the registration is written at once, with its one line, which is paid before it is done."""
        appointment = self.books.appointments[booking]
        encounter = self._register(booking, appointment, appointment["from"])
        order = self.clinic.order(encounter, "REG")
        for charge in self.books.charges_of(self.books.encounters[encounter], order):
            self.clinic.exclude(encounter, "OTHER", charge)

    def _register(self, booking: str, appointment: Json, started_at: str) -> str:
        card, named = self._card(appointment["patient"]), {"booking": booking, "started_at": started_at}
        return self.clinic.register(card, appointment["department"], doctor=appointment["doctor"], booking=named)

    def _card(self, who: Json) -> PatientCard:
        for card in self.catalogue.patients.values():
            if card.no == who.get("no") or (card.id_number is not None and card.id_number == who.get("id_number")):
                return card
        new = PatientCard(
            f"new-{len(self.catalogue.patients)}", self.books.number("P9", 6), who["name"], None, None,
            who.get("id_number"), who.get("phone"), "none", None, 0,
        )  # fmt: skip
        self.catalogue.patients[new.no] = new
        return new

    def arrive(self, booking: str) -> str:
        """She stands at the desk: her encounter begins, and the fee is on account unless it was paid; its number."""
        appointment = self._of(booking, "booked", "missed")
        now = self.books.now().isoformat()
        encounter = appointment["encounter"]
        if encounter is None:
            encounter = self._register(booking, appointment, now)
            orders = [self.clinic.order(encounter, "REG")] if appointment["pay"] == "account" else []
        else:
            enc = self.books.encounters[encounter]
            self.books.record("encounter.started", encounter, enc.started | {"started_at": now})
            orders = list(enc.orders)
        for order in orders:
            self.clinic.confirm(order)
        return str(encounter)

    def miss(self, booking: str) -> None:
        """Her number was called and she did not come."""
        self._of(booking, "booked", "arrived")
        self._change(booking, {"change": "missed"})

    def requeue(self, booking: str) -> None:
        """The hospital's own desk puts her back into the queue."""
        self._of(booking, "missed")
        self._change(booking, {"change": "requeued"})

    def move(self, booking: str, slot: str) -> None:
        """Another time; what is registered already stays within its day."""
        appointment, target = self._of(booking, "booked"), self.catalogue.slot(slot, self.books.booked)
        if target is None or target["free"] == 0:
            raise NotPossibleError(f"{slot} is full or none")
        if appointment["encounter"] is not None and target["from"][:10] != appointment["from"][:10]:
            raise NotPossibleError(f"{booking} is registered for its day")
        told = {k: target[k] for k in ("doctor", "from", "until")}
        self._change(booking, {"change": "moved", "slot": slot, "reason": "医生时间有变"} | told)

    def call_off(self, doctor: str, day: str) -> list[str]:
        """The doctor (login) sees nobody on this day (停诊); returns whose bookings that ends."""
        self.books.call_off(doctor, day)
        name, hit = self.catalogue.doctors[doctor], []
        for booking, appointment in list(self.books.appointments.items()):
            if appointment["state"] == "booked" and appointment["doctor"] == name and appointment["from"][:10] == day:
                self._change(booking, {"change": "stopped", "reason": "停诊"})
                self._close(booking)
                hit.append(booking)
        return hit

    def _close(self, booking: str) -> None:
        """End what was registered ahead: the order goes, and with it what was paid."""
        encounter = self.books.appointments[booking]["encounter"]
        if encounter is None or self.books.encounters[encounter].finished_at is not None:
            return
        for order in self.books.encounters[encounter].orders:
            commands.cancel(self.books, order, reason="booking", by="HIS")
        self.clinic.finish(encounter)

    def _change(self, booking: str, data: Json) -> None:
        self.books.record("booking.changed", booking, data | {"at": self.books.now().isoformat()})

    def _of(self, booking: str, *states: str) -> Json:
        appointment = self.books.appointments[booking]
        if appointment["state"] not in states:
            raise NotPossibleError(f"{booking} is {appointment['state']}")
        return appointment


def _half_day(begins: str) -> tuple[date, bool]:
    local = datetime.fromisoformat(begins).astimezone(CHINA)
    return local.date(), local.hour >= 12
