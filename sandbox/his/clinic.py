"""Everything people in the hospital do that its system writes down: register, order, call, perform, report, collect.

Scripts, the rehearsal and the stage's buttons all act through here, so that whatever they do reads alike on the wire.
"""

from collections.abc import Sequence

from kernel.clock import china_day
from sandbox.his import commands, insurance
from sandbox.his.books import Books, Encounter
from sandbox.his.catalogue import Catalogue, PatientCard
from sandbox.his.wire import Json


class NotPossibleError(Exception):
    """The hospital's own rules forbid it: performing a cancelled order, cancelling a performed one, and so on."""


class Clinic:
    """The acting side of the books; numbers it returns are the ones on the wire."""

    def __init__(self, books: Books, catalogue: Catalogue) -> None:
        self.books, self.catalogue = books, catalogue

    def _at(self) -> str:
        return self.books.now().isoformat()

    def _day(self) -> str:
        return f"{china_day(self.books.now()):%Y%m%d}"

    def register(
        self,
        patient: PatientCard,
        department: str,
        emergency: bool = False,
        doctor: str | None = None,
        booking: Json | None = None,
    ) -> str:
        """Begin an encounter and return its number; ``doctor`` defaults to the department's first.

        Args:
            booking: ``{"booking", "started_at"}`` of an encounter that somebody booked; it may begin later.
        """
        number = self.books.number(f"E{self._day()}", 3)
        data = self._started(patient, department, emergency) | (booking or {})
        name = doctor or self.catalogue.doctor_of.get(department)
        self.books.record("encounter.started", number, data | ({"doctor": name} if name else {}))
        return number

    def _started(self, patient: PatientCard, department: str, emergency: bool) -> Json:
        return {
            "patient": patient.wire(),
            "class": "EMER" if emergency else "AMB",
            "department": self.catalogue.departments[department].code,
            "insurance": patient.insurance(),
            "started_at": self._at(),
        }

    def identify(self, encounter: str, details: Json, insurance: Json | None = None) -> None:
        """Say ``encounter.started`` again with what has become known of an emergency patient and of his insurance."""
        started = self.books.encounters[encounter].started
        known = {"patient": started["patient"] | details} | ({"insurance": insurance} if insurance else {})
        self.books.record("encounter.started", encounter, started | known)

    def order(
        self, encounter: str, template: str, note: str | None = None, appointment: tuple[str, str] | None = None
    ) -> str:
        """Place an order with its charges and return the order number.

        Args:
            appointment: from and until when it is booked, where it is.
        """
        kind = self.catalogue.templates[template]
        enc = self.books.encounters[encounter]
        own = self.catalogue.departments[enc.started["department"]]
        performing = self.catalogue.departments[kind.department or own.code]
        number = self.books.number(f"O{self._day()}")
        data: Json = {
            "order_no": number,
            "kind": kind.kind,
            "name": kind.name,
            "department": performing.code,
            "place": performing.place,
            "ordered_by": enc.started.get("doctor"),
            "ordered_at": self._at(),
            "preparation": list(kind.preparation) or None,
            "note": note or kind.note,
            "category": own.sensitive,
            "appointment": {"from": appointment[0], "until": appointment[1], "at": self._at()} if appointment else None,
        }
        self.books.record("order.placed", encounter, {k: v for k, v in data.items() if v is not None})
        for price, quantity in kind.items:
            self.charge(encounter, price.item_code, quantity, number)
        return number

    def charge(self, encounter: str, item_code: str, quantity: int = 1, order_no: str | None = None) -> str:
        """Write one charge, cut by insurance, and return its number."""
        enc, price = self.books.encounters[encounter], self.catalogue.prices[item_code]
        amount = price.unit_price_fen * quantity
        plan = enc.started["insurance"]
        patient = self.catalogue.patients.get(enc.started["patient"]["no"])
        left = patient.account_fen - self.books.account_used[patient.no] if patient else 0
        parts = insurance.split(
            amount, price.insurance_class, plan["status"], plan.get("scheme"), self.catalogue.fund_percent, max(0, left)
        )
        number = self.books.number(f"C{self._day()}", 5)
        data: Json = {
            "charge_no": number,
            "item_code": item_code,
            "name": price.name,
            "quantity": quantity,
            "unit_price_fen": price.unit_price_fen,
            "amount_fen": amount,
            "insurance_class": price.insurance_class,
            "split": parts._asdict(),
            "created_at": self._at(),
        }
        self.books.record("charge.created", encounter, data | ({"order_no": order_no} if order_no else {}))
        return number

    def _order(self, order_no: str) -> Encounter:
        """The encounter of an order that is still to be done.

        Raises:
            KeyError: no such order.
            NotPossibleError: it is cancelled or done.
        """
        enc = self.books.encounter(order_no)
        if order_no not in enc.orders:
            raise KeyError(order_no)
        if order_no in enc.cancelled:
            raise NotPossibleError(f"{order_no} is cancelled")
        if order_no in enc.performed_orders:
            raise NotPossibleError(f"{order_no} is done")
        return enc

    def call(self, order_no: str, ahead: int, called: bool = False, room: str | None = None) -> None:
        """Move the queue before a department."""
        data: Json = {"order_no": order_no, "ahead": ahead, "called": called, "at": self._at()}
        self.books.record("queue.moved", self._order(order_no).no, data | ({"room": room} if room else {}))

    def confirm(self, order_no: str, by: str | None = None, charge_nos: Sequence[str] | None = None) -> str:
        """The department says it is done (执行确认), wholly or for some charges; returns the execution number."""
        enc = self._order(order_no)
        number = self.books.number(f"X{self._day()}")
        data: Json = {
            "execution_no": number,
            "order_no": order_no,
            "department": enc.orders[order_no]["department"],
            "at": self._at(),
        }
        data |= {"by": by} if by else {}
        data |= {"charge_nos": list(charge_nos)} if charge_nos else {}
        self.books.record("execution.confirmed", enc.no, data)
        return number

    def result(self, order_no: str, flag: str = "normal", summary: str | None = None, status: str = "final") -> str:
        """Issue a report, or a later version of the same one; returns the report number."""
        enc = self.books.encounter(order_no)
        if not self.books.is_performed(enc, order_no):
            raise NotPossibleError(f"{order_no} is not done")
        number = f"R{order_no[1:]}"
        data: Json = {"order_no": order_no, "report_no": number, "status": status, "flag": flag, "at": self._at()}
        self.books.record("result.ready", enc.no, data | ({"summary": summary} if summary else {}))
        return number

    def cancel(self, order_no: str, reason: str, by: str | None = None) -> None:
        """The doctor takes an order back before it is done."""
        enc = self._order(order_no)
        if self.books.is_performed(enc, order_no):
            raise NotPossibleError(f"{order_no} is done in part")
        commands.cancel(self.books, order_no, reason, by or enc.started.get("doctor") or "HIS")

    def reverse(self, charge_no: str, reason: str | None = None) -> None:
        """Take a charge out of the books, done or not (written by mistake, returned medicine)."""
        enc = self.books.encounter(charge_no)
        if charge_no in enc.reversed or charge_no in enc.at_window or charge_no in self.books.settled:
            raise NotPossibleError(f"{charge_no} is reversed or paid")
        data: Json = {"charge_no": charge_no, "at": self._at()} | ({"reason": reason} if reason else {})
        self.books.record("charge.reversed", enc.no, data)

    def pay_at_window(self, encounter: str, order_no: str | None = None, where: str = "CASH-1") -> list[str]:
        """Take money at the HIS's own window for every open charge (of one order); returns the charges paid."""
        enc = self.books.encounters[encounter]
        reference = self.books.number(f"W{self._day()}")
        paid = [no for no, charge in enc.charges.items() if self._is_open(enc, no, charge, order_no)]
        for no in paid:
            amount = enc.charges[no]["split"]["self_fen"]
            data = {"charge_no": no, "amount_fen": amount, "where": where, "reference": reference, "at": self._at()}
            self.books.record("charge.settled", encounter, data)
        return paid

    def _is_open(self, enc: Encounter, no: str, charge: Json, order_no: str | None) -> bool:
        if no in enc.reversed or no in enc.at_window or no in self.books.settled:
            return False
        own = charge.get("order_no")
        return own not in enc.cancelled and (order_no is None or own == order_no)

    def exclude(self, encounter: str, reason: str, charge_no: str | None = None) -> None:
        """Turn a visit, or one charge of it, pay-first."""
        data: Json = {"reason": reason, "at": self._at()} | ({"charge_no": charge_no} if charge_no else {})
        self.books.record("visit.excluded", encounter, data)

    def finish(self, encounter: str) -> None:
        """The doctor closes the encounter."""
        self.books.record("encounter.finished", encounter, {"finished_at": self._at()})

    def tell_all(self, encounter: str) -> None:
        """Send the whole encounter as one ``visit.snapshot``."""
        self.books.record("visit.snapshot", encounter, self.books.snapshot(encounter))
