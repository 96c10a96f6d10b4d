"""Judges a rehearsal: what phones and bills show against what the hospital's system and the till hold."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sandbox.his.generate import Day, Guest
from sandbox.his.noise import SPOILT
from sandbox.his.server import His
from sandbox.rehearsal.drawers import judge_drawers
from sandbox.rehearsal.family import Families, Relative
from sandbox.rehearsal.insurer import judge_insurance
from sandbox.rehearsal.money import judge_money
from sandbox.rehearsal.news import Fact, Heard, Truth, leaks, on_screen
from sandbox.rehearsal.phones import Following, Phone, Screen, Shut
from sandbox.rehearsal.spending import Spending
from sandbox.rehearsal.verdict import Json, Verdict, bill_mismatch, percentiles

_SHUTS = 3.0  # seconds a phone has to notice that its stream was ended, and to find nothing when it comes back
_IN_TIME = 2.0  # seconds a follower's phone has for a row before the end of the visit shuts its page


class Judge:
    """Fills a verdict; asks Houfu only for the pages people see.

    Args:
        before: patient numbers of those who signed ahead.
    """

    def __init__(
        self,
        verdict: Verdict,
        day: Day,
        his: His,
        truth: Truth,
        heard: Heard,
        phones: dict[str, Phone],
        families: Families,
        before: Collection[str],
    ) -> None:
        self.verdict, self.hospital_day, self.his = verdict, day, his
        self.truth, self.heard, self.phones, self.families, self.before = truth, heard, phones, families, before

    # -- bills, and what the hospital's system holds of our decisions

    async def disagreements(self, spending: Spending | None) -> list[str]:
        """What is not (yet) as it must be."""
        bills = await self.bills()
        wrong = [why for off, why in self._off(bills) if off] + self._his_wrong(bills)
        if spending is not None:
            so_far = Verdict()
            await self.money(spending, so_far)
            wrong += so_far.notes
        return wrong

    async def money(self, spending: Spending, verdict: Verdict) -> None:
        """Every fen at the till, in the drawers and at the insurance, against what the hospital's system was told."""
        books, hall, insurer = self.his.books, spending.hall, spending.insurer
        till = await spending.purse.books()
        doubled, other = judge_money(till, books.settlements, books.refunds)
        verdict.payments_doubled += len(doubled)
        for text in doubled:
            verdict.note(text)
        verdict.wrong_his(other)
        off, said = judge_drawers(till, books.settlements, books.refunds.values(), hall.moved, self._whose)
        verdict.drawer_mismatch_fen = off if hall.cashiers else None
        insured: tuple[int | None, list[str]] = (None, [])
        if insurer is not None:
            insured = judge_insurance(await insurer.books(), books.settlements, books.refunds.values())
        verdict.insurance_mismatch_fen = insured[0]
        for text in (*said, *insured[1]):
            verdict.note(text)

    def _whose(self, settlement: Json) -> str:
        charge = settlement["charges"][0]["charge_no"]
        return str(self.his.books.encounter(charge).started["patient"]["no"])

    async def bills(self) -> dict[str, list[Json]]:
        """Every patient's bills as the pages show them now."""
        found: dict[str, list[Json]] = {}
        waiting = list(self.phones.items())
        for start in range(0, len(waiting), 16):
            batch = waiting[start : start + 16]
            shown = await asyncio.gather(*(asyncio.gather(*(self._bill(p, v) for v in p.following)) for _, p in batch))
            found.update((no, list(bills)) for (no, _), bills in zip(batch, shown, strict=True))
        return found

    async def _bill(self, phone: Phone, visit: str) -> Json:
        if phone.sees != "all":
            return await self.families.bill_at_desk(visit)
        found: Json = await phone.get(f"/api/visits/{visit}")
        return found

    def _off(self, bills: dict[str, list[Json]]) -> list[tuple[int, str]]:
        right, settled = self.hospital_day.bills(), set(self.his.books.settled)
        found = []
        for guest in self.hospital_day.guests:
            mine = [right[no] for no in guest.encounters]
            off, why = bill_mismatch(self.his.books, mine, bills.get(guest.patient.no, []), settled)
            found.append((off, f"{guest.patient.no} {guest.encounters}: {why}"))
        return found

    def _his_wrong(self, bills: dict[str, list[Json]]) -> list[str]:
        """What the hospital's system holds of our decisions and was answered, against what it should."""
        books = self.his.books
        wrong = [f"complaint: {text}" for text in books.complaints]
        # Of a line the insurance paid whole there is no money to send back, and nobody needs to be told.
        gone = [c for c in books.settled if c in books.encounter(c).reversed]
        kept = [c for c in gone if books.split(c)["self_fen"]]
        wrong += [f"{c} was paid and taken back, and its money did not go back" for c in kept]
        wrong += [text for answer in books.answers.values() if (text := badly_answered(answer))]
        wrong += [f"{line['name']} is to go back, and has not" for line in on_its_way(bills.values())]
        for guest in self.hospital_day.guests:
            modes = {bill["visit"]["mode"] for bill in bills.get(guest.patient.no, [])}
            for no in guest.encounters:
                enc, bill = books.encounters[no], books.right_bill(no)
                if modes != {enc.mode}:
                    wrong.append(f"{no}: is {enc.mode} there and {modes} here")
                if enc.mode == "DEFERRED":
                    missing = [c for c in (*bill.payable, *bill.planned) if c not in enc.posted]
                    wrong += [f"{c} of {no} was never charged to account" for c in missing]
                if enc.excluded_all and enc.mode == "DEFERRED":
                    wrong.append(f"{no}: is excluded and still post-pay")
            excluded = any(books.encounters[no].excluded_all for no in guest.encounters)
            if guest.patient.no in self.before and modes != {"DEFERRED"} and not excluded:
                wrong.append(f"{guest.patient.no}: signed ahead and is {modes}")
        return wrong

    async def day(self, spending: Spending | None) -> None:
        """The last word on bills, calls and money."""
        verdict, books = self.verdict, self.his.books
        bills = await self.bills()
        verdict.events_sent = len(books.answers)
        verdict.signed = sum(1 for p in self.phones.values() if p.signed)
        verdict.relatives = len(self.families.relatives)
        verdict.withdrawn = sum(r.gone is not None for r in self.families.relatives)
        guardians = sum(1 for p in self.phones.values() if p.patient and p.sees == "all")
        verdict.children = guardians - (self.families.ward in self.phones)
        verdict.wards, verdict.elders = guardians - verdict.children, int(self.families.carried is not None)
        patients = len(self.hospital_day.guests)
        verdict.people = patients + guardians + verdict.relatives + (spending.purse.linked if spending else 0)
        verdict.people_per_patient = round(verdict.people / max(1, patients), 2)
        verdict.spoilt_refused = sum(
            1 for a in books.answers.values() if a["id"].startswith(SPOILT) and a["status"] == "rejected"
        )
        for off, why in self._off(bills):
            verdict.bill_mismatch_fen += off
            if off:
                verdict.note(why)
        verdict.wrong_his(self._his_wrong(bills))
        if spending is None:
            verdict.insurance_mismatch_fen = verdict.drawer_mismatch_fen = None
            return
        await self.money(spending, verdict)
        purse, insurer = spending.purse, spending.insurer
        verdict.wrong_his([*purse.fooled, *spending.hall.wrong, *(insurer.told if insurer else ())])
        verdict.payments = purse.payments + sum(1 for one in spending.hall.moved if one.fen > 0)
        verdict.strangers, verdict.limits_held = purse.linked, purse.held
        for text in purse.told:
            verdict.leaks += 1
            verdict.note(text)
        verdict.forged_refused = purse.forged + (insurer.forged if insurer else 0)
        verdict.shared, verdict.refunds, verdict.ways = purse.shared, len(books.refunds), spending.ways.counts
        if verdict.unplayed:
            verdict.note(f"ways the house offers that nobody went: {', '.join(verdict.unplayed)}")

    # -- pushes

    async def pushes(self, guest: Guest, phone: Phone) -> None:
        """Everything the patient's side must have been told, and nothing twice."""
        for watched in phone.following.values():
            rows = await phone.replay(watched)
            await self._until_all(watched, rows)
            seen = Counter(watched.ids)
            lost = [one for one in rows if not seen[one]]
            self.verdict.rows_seen += len(watched.ids)
            self.verdict.pushes_lost += len(lost)
            # That one line is to be paid at the window is told, and shows nothing where the patient's part is 0.
            silent = sum(len(self.his.books.encounters[no].excluded) for no in guest.encounters)
            doubled = sum(times - 1 for times in seen.values()) + max(0, len(watched.again) - silent)
            self.verdict.pushes_doubled += doubled
            if lost or doubled:
                said = f"{guest.patient.no}: of {len(rows)} rows {len(lost)} lost, {doubled} doubled"
                self.verdict.note(f"{said}; nothing new in {list(watched.again.values())[:2]}")
            fresh = Screen.of(*await phone.page(watched.visit))
            for what in watched.screen.differences(fresh):
                self.verdict.pushes_lost += 1
                self.verdict.note(f"{guest.patient.no} {watched.visit}: the screen is not the page in {what}")
        screens = [w.screen for w in phone.following.values()]
        self.told(guest.patient.no, screens, self.truth.lines(guest.encounters), "line", exact=True)
        self.told(guest.patient.no, screens, self.truth.steps(guest.encounters), "step", exact=True)

    def told(self, who: str, screens: list[Screen], right: Counter[Fact], kind: str, *, exact: bool) -> None:
        """Compare screens with the truth; ``exact``: what stands there beyond it is wrong, too."""
        shown: Counter[Fact] = Counter()
        pushed: Counter[Fact] = Counter()
        for screen in screens:
            shown += on_screen(screen, kind)
            pushed += on_screen(screen, kind, screen.pushed)
        missing, beyond = right - shown, shown - right if exact else Counter()
        seen = (right & pushed).total()
        self.verdict.pushes_expected += seen + missing.total()
        self.verdict.pushes_seen += seen
        # What stands there in another state than it should is missing and beyond: one lost push.
        self.verdict.pushes_lost += max(missing.total(), beyond.total())
        if missing or beyond:
            self.verdict.note(f"{who}: never told {dict(missing)}, but {dict(beyond)}")

    async def _until_all(self, watched: Following, rows: list[str], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not set(rows) <= set(watched.ids) and time.monotonic() < end:
            await asyncio.sleep(0.05)

    # -- those who are stood for, and relatives

    async def stood_for(self, children: Collection[str]) -> None:
        """Whose guardian stands for them owes nothing; an elder without a phone had all that others have."""
        said = list[str]()
        for number, phone in self.phones.items():
            if not phone.patient or phone.sees != "all":
                continue
            for visit in phone.following:
                debtor = (await phone.get(f"/api/visits/{visit}"))["debtor"]
                if not debtor["guardian"] or debtor["name"] != masked(phone.card.name):
                    said.append(f"{number} {visit}: is owed by {debtor}, and not by who stands for them")
                if debtor["minor"] is not (number in children):
                    said.append(f"{number} {visit}: is owed as {debtor}")
        if (elder := self.families.carried) is not None:
            said += await elder.judge()
        wanted = {self.families.elder, self.families.ward} - {""} - self.phones.keys()
        said += [f"{number} was never played" for number in wanted]
        for relative in self.families.relatives:
            if relative.leaves and relative.pays and relative.gone is None:
                said.append(f"{relative.guest.patient.no}'s {relative.sees} was never shut out")
            said += [f"{relative.guest.patient.no}'s {relative.sees}, shut out: {text}" for text in relative.wrong]
        self.verdict.families_wrong += len(said)
        for text in said:
            self.verdict.note(text)

    async def relatives(self) -> None:
        """What relatives' phones show, while the day's last word is said and nothing is paid up yet."""
        for relative in self.families.relatives:
            phone = relative.phone
            for text in phone.wrong:
                self._leak(relative, text)
            if relative.gone is not None:
                await self._shut_out(relative, relative.gone)
                continue
            secret = self.truth.secret_names(relative.guest.encounters)
            for watched in phone.following.values():
                for text in leaks(watched, secret):
                    self._leak(relative, text)
                if not relative.pays:
                    self._follower(relative, watched)
                else:
                    await self._payer(relative, watched)

    def _leak(self, relative: Relative, text: str) -> None:
        self.verdict.leaks += 1
        self.verdict.note(f"{relative.guest.patient.no}'s {relative.sees}: {text}")

    async def _shut_out(self, relative: Relative, since: datetime) -> None:
        """Whoever was shut out was told nothing from that moment on, and is told nothing now."""
        for watched in relative.phone.following.values():
            late = [raw for raw in watched.raw if datetime.fromisoformat(json.loads(raw)["at"]) > since]
            for raw in late:
                self._leak(relative, f"told after being shut out: {raw[:200]}")
            end = time.monotonic() + _SHUTS
            while not watched.shut and time.monotonic() < end:
                await asyncio.sleep(0.05)
            if not watched.shut:
                self._leak(relative, f"{watched.visit} goes on after being shut out")
            try:
                await relative.phone.page(watched.visit, relative.sees)
            except Shut:
                continue
            self._leak(relative, f"{watched.visit} opens after being shut out")

    def _follower(self, relative: Relative, watched: Following) -> None:
        # For a friend the visit is no more than its encounters that are open to all, and ends with them.
        books = self.his.books.encounters
        encounters = [no for no in relative.guest.encounters if not self.truth.hidden(books[no], None)]
        ended = [self.heard.ended[no] for no in encounters if no in self.heard.ended]
        who = f"{relative.guest.patient.no}'s friend"
        reports = relative.sees == "results"
        if not ended:
            right = self.truth.steps(encounters, all_of_it=False, reports=reports)
            self.told(who, [watched.screen], right, "step", exact=True)
            if reports:
                self.told(who, [watched.screen], self.truth.lines(encounters, all_of_it=False), "line", exact=True)
            return
        if reports:
            return  # how far the reports had come when the page was shut cannot be told afterwards
        # The end of the visit shuts the page: only what was said well before it can be asked for.
        right = self.truth.performed_by(encounters, self.heard.at, min(ended) - _IN_TIME)
        self.told(who, [watched.screen], right, "step", exact=False)

    async def _payer(self, relative: Relative, watched: Following) -> None:
        books, encounters = self.his.books, relative.guest.encounters
        who = f"{relative.guest.patient.no}'s {relative.sees}"
        owed = 0
        for no in encounters:
            bill = books.right_bill(no)
            if books.encounters[no].mode == "DEFERRED":
                owed += sum(fen for charge, fen in bill.self_fen.items() if charge not in books.settled)
        try:
            page, _ = await relative.phone.page(watched.visit, relative.sees)
        except Shut:
            page = None
        if page is None:
            if owed:
                self.verdict.wrong_his([f"{who}: {owed} fen are owed, and the page is shut"])
            return
        if page["sums"]["payable_fen"] != owed:
            self.verdict.bill_mismatch_fen += abs(page["sums"]["payable_fen"] - owed)
            self.verdict.note(f"{who}: is told {page['sums']} where {owed} fen are owed")
        if watched.screen.sums.get("payable_fen") != owed:
            self.verdict.pushes_lost += 1
            self.verdict.note(f"{who}: the screen says {watched.screen.sums} where {owed} fen are owed")
        self.verdict.pushes_expected += 1
        self.verdict.pushes_seen += watched.screen.sums.get("payable_fen") == owed
        if page["lines"] and relative.sees == "bill":
            self.told(who, [watched.screen], self.truth.lines(encounters, all_of_it=False), "line", exact=True)

    def times(self) -> None:
        """How long pushes took."""
        phones = [*self.phones.values(), *(r.phone for r in self.families.relatives)]
        delays = [delay for phone in phones for delay in phone.delays]
        self.verdict.push_p50_ms, self.verdict.push_p99_ms = percentiles(delays)


def masked(name: str) -> str:
    """As the house shows a name to others."""
    return name[:1] + "*" * (len(name) - 1)


def on_its_way(bills: Iterable[Sequence[Json]]) -> list[Json]:
    """Lines whose money the hospital agreed to give back, and which are still shown as paid."""
    lines = [line for pages in bills for page in pages for line in page["lines"]]
    return [line for line in lines if line["refund"] == "approved" and line["state"] == "settled"]


def badly_answered(answer: Json) -> str | None:
    """What is wrong with the answer to one item: what is right is taken, what is spoilt is refused with a reason."""
    refused = answer["status"] == "rejected"
    if not answer["id"].startswith(SPOILT):
        return f"rejected: {answer}" if refused else None
    if not refused or not answer.get("reason") or not answer.get("example"):
        return f"spoilt, and not refused with a reason and an example: {answer}"
    return None
