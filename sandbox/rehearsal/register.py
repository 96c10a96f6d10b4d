"""Gives the people of a rehearsal what real ones have: a WeChat with a purse, an insurance, relatives who share it."""

import re
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

import httpx

from sandbox.his.catalogue import PatientCard
from sandbox.his.generate import id_number
from sandbox.rehearsal.verdict import Json

_SCHEMES = {"employee": "310", "resident": "390"}
_RELATIVE_HAS = 500_000  # fen on the account of whoever shares theirs


@dataclass(slots=True)
class Register:
    """Where people are registered outside Houfu.

    Args:
        url: Houfu's address, to log in through WeChat.
        wechat, till, insurance: addresses of the sandbox's WeChat, WeChat Pay and payment centre; empty: there is none.
        mark: sets this rehearsal's people apart from another's.
    """

    outside: httpx.AsyncClient
    url: str
    wechat: str
    till: str
    insurance: str
    mark: str
    _made: int = 0

    async def wechat_for(self, card: PatientCard) -> str:
        """A WeChat with a purse; its openid, empty where there is no WeChat."""
        if not self.wechat or not self.till:
            return ""
        self._made += 1
        openid = f"oReh{self.mark}-{self._made:020d}"
        told = {"name": card.name, "openid": openid}
        for place in (f"{self.wechat}/control/person", f"{self.till}/control/payer"):
            (await self.outside.post(place, json=told)).raise_for_status()
        return openid

    async def ticket(self, openid: str) -> str:
        """Go to Houfu through WeChat's login; the ticket that links the two once the phone is proven.

        Raises:
            RuntimeError: Houfu's login page gives none.
        """
        async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
            start = await browser.get(f"{self.url}/login/wechat")
            cookie = start.headers.get("set-cookie", "").partition(";")[0]
            there, _, _ = start.headers.get("location", "").partition("#")
            asked = await browser.get(f"{there}&{urlencode({'person': openid})}")
            back = await browser.get(asked.headers.get("location", ""), headers={"Cookie": cookie})
        found = re.search(r'name="ticket" value="([^"]+)"', back.text)
        if found is None:
            raise RuntimeError(f"logging in through WeChat ended in {back.status_code}: {back.text[:200]}")
        return found[1]

    async def insure(self, patient: PatientCard, openid: str, guardian: PatientCard | None = None) -> None:
        """The insurer knows the patient; a child's guardian uses the family account, a relative shares theirs."""
        if not self.insurance or not patient.id_number:
            return
        self._made += 1
        relative = id_number(date(1950, 1, 1), self._made + int(self.mark or 0), male=True)
        scheme = _SCHEMES.get(patient.scheme or "") if patient.status == "normal" else None
        people: list[Json] = [
            {"name": f"亲友{patient.key}", "id_number": relative, "account": _RELATIVE_HAS},
            {
                "name": patient.name,
                "id_number": patient.id_number,
                "openid": "" if guardian else openid,
                "scheme": scheme,
                "account": 100 + self._made % 5 * 200,  # soon used up: then a relative's comes in
                "sharing": [relative],
                "family": [guardian.id_number] if guardian else [],
            },
        ]
        if guardian is not None:
            people.append({"name": guardian.name, "id_number": guardian.id_number, "openid": openid})
        for one in people:
            (await self.outside.post(f"{self.insurance}/control/person", json=one)).raise_for_status()
