"""The doors WeChat's menu and messages lead to: whoever is known goes straight on, others log in once on the way."""

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from api.deps import MaybeCaller, TxDep
from billing.service.lines import bill_of
from kernel.db import Tx
from people.rules import Actor, ActorKind, View
from people.service import access
from pwa.answer import go, in_wechat, safe_path, world_of
from pwa.urls import Urls
from visits.service import reading
from visits.service.encounters import Visit

router = APIRouter(include_in_schema=False)

EACH = 5  # visits of each person that are looked at, newest first


def _log_in(request: Request, go_on: str) -> Response:
    silent = world_of(request).ports.wechat is not None and in_wechat(request)
    return go(f"{Urls.login_wechat if silent else Urls.login}?next={quote(go_on)}")


@router.get(Urls.door)
async def through(request: Request, caller: MaybeCaller, to: Annotated[str, Query(max_length=500)] = "/") -> Response:
    """On to one page of ours."""
    path = safe_path(to)
    return go(path) if caller is not None else _log_in(request, path)


@router.get(f"{Urls.door}/pay")
async def to_pay(request: Request, caller: MaybeCaller, tx: TxDep) -> Response:
    """The bill that is to be paid; when there is none, or more than one, the page where all are."""
    if caller is None or caller.kind is not ActorKind.PERSON:
        return _log_in(request, f"{Urls.door}/pay")
    owed = [v for v, view in await _visits(tx, caller) if await _owes(tx, v, view)]
    # Never a guess which of several is meant: two parents have two bills.
    return go(Urls.bill(str(owed[0].id)) if len(owed) == 1 else Urls.home)


@router.get(f"{Urls.door}/watch")
async def to_watch(request: Request, caller: MaybeCaller, tx: TxDep) -> Response:
    """The visit one may follow now; when there is none, or more than one, the family's page or the first one."""
    if caller is None or caller.kind is not ActorKind.PERSON:
        return _log_in(request, f"{Urls.door}/watch")
    running = [v for v, view in await _visits(tx, caller) if v.state == "open" and not view.owner]
    if not running:
        return go(Urls.family)
    return go(Urls.companion(str(running[0].id)) if len(running) == 1 else Urls.home)


async def _visits(tx: Tx, caller: Actor) -> list[tuple[Visit, View]]:
    found: list[tuple[Visit, View]] = []
    for person in await access.patients_of(tx, caller):
        found += await reading.visits_seen(tx, caller, person.id, limit=EACH)
    return found


async def _owes(tx: Tx, visit: Visit, view: View) -> bool:
    if not (view.owner or view.pays) or visit.state == "settled":
        return False
    return int((await bill_of(tx, visit, view))["sums"]["payable_fen"]) > 0
