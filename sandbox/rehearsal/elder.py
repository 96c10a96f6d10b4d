"""An elder without a phone: her daughter books for her, signs ahead, carries her pass and pays, by her own phone."""

from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import httpx

from kernel.clock import china_day, wall_clock
from sandbox.his.generate import Guest
from sandbox.his.server import His
from sandbox.rehearsal.phones import Phone
from sandbox.rehearsal.verdict import Json

OFFER: Json = {"relation": "daughter", "pays": True, "depth": "bill", "signs": True, "books": True, "share": True}
"""What the elder opens at the desk, read out to her there."""
_DEPARTMENT = "GMED"  # has times on every day of the week


@dataclass(slots=True)
class Elder:
    """One of them.

    Attributes:
        guest: the elder; ``phone``: her daughter's.
        desk: hospital, login and PIN at work: the headers of a cashier.
        wrong: what did not go as it must.
        books: whether a place was booked; ``carries``: visits whose pass a desk has read.
    """

    guest: Guest
    phone: Phone
    desk: dict[str, str]
    wrong: list[str] = field(default_factory=list)
    books: bool = False
    carries: set[str] = field(default_factory=set)

    async def book(self, hospital: str, his: His, *, comes: bool) -> None:
        """Book a place for tomorrow; she comes with it, or it is cancelled again.

        Args:
            comes: she takes it today, a day early, so that her visit begins with it.
        """
        day = (china_day(wall_clock()) + timedelta(days=1)).isoformat()
        asked = {"department": _DEPARTMENT, "day": day, "patient_id": self.phone.patient}
        free: list[Json] = await self.phone.get(f"/api/hospitals/{hospital}/slots", **asked)
        chosen = {"slot": free[-1]["id"], "fee_fen": free[-1]["fee_fen"], "pay": free[-1]["pay"]}
        body = {"hospital_id": hospital, **asked, **chosen}
        answer = await self.phone.post("/api/bookings", body, **{"Idempotency-Key": uuid4().hex})
        said = answer.json()
        held = [n for n, one in his.books.appointments.items() if one["patient"].get("no") == self.guest.patient.no]
        if said.get("state") != "booked" or len(held) != 1:
            self.wrong.append(f"her daughter's booking is {str(said)[:200]} here, {len(held)} at the hospital")
            return
        self.books = True
        if comes:
            self.guest.come = lambda: his.appointments.arrive(held[0])
            return
        await self.phone.post(f"/api/bookings/{said['id']}/cancel")

    async def show_pass(self, client: httpx.AsyncClient) -> None:
        """Her daughter shows the pass of each visit at a counter, once."""
        for visit in self.phone.following.keys() - self.carries:
            self.carries.add(visit)
            shown = await self.phone.client.get(f"/api/visits/{visit}/pass", headers=self.phone.headers)
            if shown.status_code != 200:
                self.wrong.append(f"the pass of {visit} is not shown to her daughter: {shown.status_code}")
                continue
            headers = self.desk | {"Accept": "text/html"}
            form = {"code": shown.json()["kept"]}
            found = await client.post("/desk/counter/find", data=form, headers=headers)
            if visit not in found.headers.get("location", "") + found.text:
                self.wrong.append(f"the pass of {visit} is not read at the counter: {found.status_code}")

    async def judge(self) -> list[str]:
        """What was not as it must be; she owes her visits herself."""
        if not self.phone.signed:
            self.wrong.append("her daughter could not sign ahead")
        if not self.books:
            self.wrong.append("her daughter booked nothing")
        if not self.carries:
            self.wrong.append("her pass was never shown")
        for visit in self.carries:
            answer = await self.phone.client.get(f"/api/visits/{visit}", headers=self.desk)
            debtor = answer.raise_for_status().json()["debtor"]
            if debtor["guardian"] or debtor["minor"] or not debtor["name"]:
                self.wrong.append(f"{visit} is owed by {debtor}")
        return [f"{self.guest.patient.no}, without a phone: {text}" for text in self.wrong]
