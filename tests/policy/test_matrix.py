"""Everybody asks every route: who may is let in, who may not finds what somebody finds who asks for nothing at all.

The cases are made from the routes and from ``houfu/access_table.py``; see there for how a route is added.
"""

import logging
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
import structlog
from qrcode.main import QRCode

from houfu.access import (
    DEPTHS,
    ELSEWHERE,
    EVERYBODY,
    NOBODY,
    PERSONS,
    STAFF,
    Answer,
    Row,
    expected,
    routes,
    rows,
    text,
    who,
)
from houfu.app import create_app
from kernel.db import Tx
from people.rules import Actor, Subject
from people.service import access
from pwa.pages import receipts, visit_receipt
from tests.architecture.source import ROOT
from tests.policy.asking import Answer as Found
from tests.policy.asking import House, asking
from tests.policy.cases import Sent, absent, parameters, sent
from tests.policy.requests import REQUESTS
from tests.policy.setting import HIDDEN, LINE, MOTHER, RESULT, STEP, everything

DOORS = dict(routes())
ROWS = [row for row in rows() if row.route in DOORS]
_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f-]{27}")
# What may stand in an answer to whom; the mother's identity number and phone stand in none at all.
_SIDE = {"patient", "guardian"}
_SEES_STAFF = {"doctor", "desk", "counter", "guide", "finance"}
KNOWN_TO = {
    MOTHER.name: _SIDE | _SEES_STAFF,
    HIDDEN: _SIDE | _SEES_STAFF,
    STEP: {*_SIDE, *_SEES_STAFF, "carrier", "steps", "bill", "results"},
    LINE: {*_SIDE, *_SEES_STAFF, "bill", "results"},
    RESULT: {*_SIDE, "results"},
    str(MOTHER.id_number): set(),
    str(MOTHER.phone): set(),
}


class _Picture:
    def save(self, out: BinaryIO, *_: object) -> None:
        """Nothing is drawn."""
        out.write(b"PNG")


@pytest.fixture(scope="module")
async def house(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One setting for all cases: none of them leaves anything behind."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    folder: Path = tmp_path_factory.mktemp("policy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(receipts, "receipt_pdf", lambda *_: b"%PDF")  # drawing it is slow, and is tried elsewhere
        patch.setattr(visit_receipt, "merged_pdf", lambda *_: b"%PDF")
        patch.setattr(QRCode, "make_image", lambda *_, **__: _Picture())
        async with everything(module_database_url, folder) as setting:
            app = create_app(setting.world)
            async with asking(app, setting) as made:
                yield made
    structlog.configure(wrapper_class=before)


def test_every_route_has_its_row() -> None:
    """A route without a row fails by its name, and so does a row without a route, and one that stands there twice."""
    found = [row.route for row in rows()]
    missing, over = sorted(set(DOORS) - set(found)), sorted(set(found) - set(DOORS))
    assert not missing, f"add a line to houfu/access_table.py that says who may: {missing}"
    assert not over, f"no such route; take the line out of houfu/access_table.py: {over}"
    assert len(found) == len(set(found)), sorted(r for r in found if found.count(r) > 1)
    free = {row.route for row in rows() if row.rule in ("anyone", "link", "signed")}
    shut = {route for route, door in DOORS.items() if door not in ("nobody", "maybe", "signed", "kiosk")}
    assert free & shut == set(), "this door lets in nobody unknown: the rule cannot be for anybody"
    open_ = sorted(r for r, door in DOORS.items() if door in ("nobody", "maybe") and r not in free)
    assert open_ == [], "this door lets anybody in: the rule cannot be narrower"
    assert sorted(set(REQUESTS) - set(DOORS)) == [], "no such route; take it out of tests/policy/requests.py"


INCLUDES = {"results": {"steps", "bill"}, "former": {"other"}}  # what the first may not, the others may not either
ALIKE = ("oneself", "invited", "session")


def test_the_document_is_fresh() -> None:
    """docs/access.md is what `houfu docs` makes of the routes, the table and the policy."""
    assert (ROOT / "docs" / "access.md").read_text("utf-8") == text(), "run: houfu docs"


def asked_by(row: Row, door: str) -> Iterator[str]:
    """Who asks: everybody, but of those who are told apart by nothing on the way in, only one.

    The door is a dependency that runs before the route does, and refuses a kind of caller whoever they are and
    whatever is asked for; that each door refuses everybody of such a kind is seen once, in ``test_doors``.
    Staff of another hospital are asked for in the roles that may here: what a role may not here, it may not there.
    What everybody may do about themselves is read as everybody, and written as two of them. Where no depth of watching
    is enough, the deepest stands for all, and where a former relative is nobody, so is who never was one.
    """
    yield "anonymous"
    if door in ("nobody", "signed"):
        yield "patient"
        return
    if row.rule in ALIKE and not row.route.startswith(("GET", "WS")):
        yield from ("patient", "other")
    elif door != "staff":
        may = {name for name in PERSONS if expected(row, door, name) is Answer.YES}
        left_out = {less for more, lesser in INCLUDES.items() if more not in may for less in lesser - may}
        yield from (name for name in PERSONS if name not in left_out)
    if door in ("kiosk", "maybe"):
        yield from ("counter", "kiosk", "expired")
    elif door != "person":
        yield from STAFF
        yield from (n for n in ELSEWHERE if expected(row, door, n.removesuffix("@")) is Answer.YES)


def outcome(found: Found, says: int | None = None) -> Answer | str:
    """What an answer means; anything that is none of the five is told as it is."""
    status = {4401: 401, 4403: 403, 4404: 404}.get(found.close, found.status)
    if status == says:
        return Answer.YES
    if status in (401, 403, 404):
        return {401: Answer.LOGIN, 403: Answer.NO, 404: Answer.ABSENT}[status]
    return Answer.YES if status < 400 else f"{status} {found.body[:120]!r}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.route)
async def test_who_may(house: House, row: Row) -> None:
    """One route, everybody: exactly who may is let in, a no changes nothing, and no answer says what it may not."""
    door, one = DOORS[row.route], sent(house.setting, row.route)
    says = REQUESTS.get(row.route, {}).get("says", {})
    wrong, nothing = [], dict[str, Found]()
    for name in asked_by(row, door):
        found = await house.ask(name, *one.line, **one.rest)
        kept, wanted = house.kept, expected(row, door, name)
        told = says.get(name) if isinstance(says, dict) else says
        got = outcome(found, told)
        if wanted is Answer.SIGNATURE:
            got = Answer.SIGNATURE if found.status >= 400 else got
        elif wanted is Answer.ABSENT or (wanted is Answer.NO and _is_blind(name)):
            got = await _as_absent(house, row, name, found, nothing)
        if got != wanted:
            wrong.append(f"{name}: {got}, not {wanted}")
        elif wanted is not Answer.YES and kept and await house.wrote(name, *one.line, **one.rest):
            wrong.append(f"{name}: {got}, and yet something was written")
        if name not in REQUESTS.get(row.route, {}).get("shows", ()):
            wrong += [f"{name} reads {word}" for word in _said_too_much(name, one, found)]
    assert not wrong, f"{row.route} ({row.rule}): " + "; ".join(wrong)


def _is_blind(name: str) -> bool:
    return name not in NOBODY and who(name).view().blind


async def _as_absent(house: House, row: Row, name: str, found: Found, known: dict[str, Found]) -> Answer | str:
    """Whether somebody finds what they would find if there were no such thing, in every byte.

    Args:
        known: what has been found where there is nothing, by staff, and by relatives who are all told alike.
    """
    got = outcome(found)
    if not parameters(row.route) and row.route not in REQUESTS:
        return got
    asker = "" if name in PERSONS else name
    if asker not in known:
        one = sent(house.setting, row.route, nothing=True)
        known[asker] = await house.ask(name, *one.line, **one.rest)
    nothing = known[asker]
    if (nothing.status, nothing.close, _nameless(nothing.body)) != (found.status, found.close, _nameless(found.body)):
        return f"{got} {found.body[:80]!r}, where there is nothing {nothing.status} {nothing.body[:80]!r}"
    return Answer.ABSENT if got not in (Answer.NO, Answer.LOGIN) else got


def _nameless(body: bytes) -> bytes:
    return _ID.sub(b"ID", body)


def _said_too_much(name: str, one: Sent, found: Found) -> list[str]:
    text, sent_along = found.body.decode("utf-8", "replace"), str(one)
    return [w for w, known in KNOWN_TO.items() if name not in known and w in text and w not in sent_along]


MIXED = [row for row in ROWS if "{visit_id}" in row.route and len(parameters(row.route)) > 1]


@pytest.mark.parametrize("row", MIXED, ids=lambda row: row.route)
async def test_somebody_elses_under_ones_own(house: House, row: Row) -> None:
    """With one's own visit in the path, something of another's visit is as absent as what is nowhere."""
    door = DOORS[row.route]
    name = "counter@" if door == "staff" else "other"
    own = {"visit_id": house.setting.ids["theirs"]}
    inner = [p for p in parameters(row.route) if p not in ("visit_id", "way")]
    nowhere = own | {p: absent(house.setting.ids[p]) for p in inner}
    one, none = (sent(house.setting, row.route, ids) for ids in (own, nowhere))
    found, nothing = [await house.ask(name, *x.line, **x.rest) for x in (one, none)]
    assert (found.status, _nameless(found.body)) == (nothing.status, _nameless(nothing.body))
    assert _said_too_much(name, one, found) == []


LOOKS = [row for row in ROWS if row.route.startswith(("GET", "WS")) and "{visit_id}" in row.route]
NO_LOOK = {
    "GET /visits/{visit_id}/links/{link_id}/withdraw",  # a question about one's own link
    "GET /visits/{visit_id}/pay/taking",  # of one's own contract; here nothing is announced
}


async def test_every_look_of_a_relative_is_written_down(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a relative is shown of her visit, she can read who looked; what she looks at herself is not kept."""
    looked, kept = list[str](), access.look

    async def look(tx: Tx, actor: Actor, subject: Subject, page: str) -> None:
        looked.append(page)
        await kept(tx, actor, subject, page)

    monkeypatch.setattr(access, "look", look)
    unseen, seen = list[str](), 0
    for row in LOOKS:
        one, door = sent(house.setting, row.route), DOORS[row.route]
        for name in ("payer", "carrier", "results") if door != "staff" else ():
            looked.clear()
            if expected(row, door, name) is Answer.YES:
                await house.ask(name, *one.line, **one.rest)
                seen += 1
                if not looked and row.route not in NO_LOOK:
                    unseen.append(f"{name}: {row.route}")
    assert unseen == []
    assert seen > 30


ENDED = [row for row in ROWS if row.route.startswith("GET") and parameters(row.route) == ["visit_id"]]
AFTERWARDS = {
    "GET /visits/{visit_id}/story": dict.fromkeys(DEPTHS, Answer.YES),  # the page that says that it is over
    "GET /visits/{visit_id}/pay/taking": {"payer": Answer.ABSENT},  # nothing will be taken any more
    "GET /api/visits/{visit_id}/insurance": dict.fromkeys(("patient", "guardian"), Answer.ABSENT),  # it was not used
}


@pytest.mark.parametrize("row", [r for r in ENDED if DOORS[r.route] != "staff"], ids=lambda row: row.route)
async def test_after_the_end(house: House, row: Row) -> None:
    """Ended and paid: who watched finds nothing any more, who paid keeps amount and hospital, her side keeps all."""
    wrong = []
    over = sent(house.setting, row.route, {"visit_id": house.setting.ids["over"]})
    for name in ("patient", "guardian", "payer", "results", "former"):
        found = await house.ask(name, *over.line, **over.rest)
        wanted = AFTERWARDS.get(row.route, {}).get(name) or expected(row, DOORS[row.route], name, over=True)
        got = outcome(found, 409)
        if got != wanted:
            wrong.append(f"{name}: {got}, not {wanted}")
    assert not wrong, f"{row.route} ({row.rule}): " + "; ".join(wrong)


@pytest.mark.parametrize(
    ("route", "door", "answers"),
    [
        ("GET /api/family", "person", {**dict.fromkeys((*STAFF, *ELSEWHERE), 403), **dict.fromkeys(NOBODY, 401)}),
        ("GET /api/desk/stream", "staff", {**dict.fromkeys(PERSONS, 403), **dict.fromkeys(NOBODY, 401)}),
        ("GET /api/session", "any", dict.fromkeys(NOBODY, 401)),
    ],
)
async def test_doors(house: House, route: str, door: str, answers: dict[str, int]) -> None:
    """Each door refuses everybody who is not of the kind it lets in."""
    assert DOORS[route] == door
    one = sent(house.setting, route)
    assert {name: (await house.ask(name, *one.line)).status for name in answers} == answers
    others = set(EVERYBODY) - set(answers)
    assert {(await house.ask(name, *one.line)).status for name in others} == {200}
