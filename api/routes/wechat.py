"""What pages and desks need of WeChat: a page's signature for its script, and codes that lead through the account."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from api.deps import AnyCaller, StaffCaller, TxDep, WorldDep
from api.routes.session import wechat_of
from api.world import World
from kernel.errors import HoufuError
from kernel.outside import NotConfigured
from people import flows
from people.service.wechat_account import Purpose

router = APIRouter(prefix="/api/wechat", tags=["wechat"])

_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
PATHS = {
    Purpose.BIND: re.compile(r"/bind/[\w-]{8,64}"),
    Purpose.LETTER: re.compile(r"/consent/on/[\w-]{8,128}"),
    Purpose.ORDER: re.compile(r"/o/[\w-]{4,128}"),
    Purpose.PAY: re.compile(rf"/visits/{_ID}/(pay|bill)"),
    Purpose.VISIT: re.compile(rf"/visits/{_ID}/(pass|guide|story)"),
}
"""What a code may lead to: pages that themselves ask who is there and what they may."""


class ForeignPageError(HoufuError):
    """Not a page of ours that may be signed or led to."""

    code = "foreign_page"


class PageOut(BaseModel):
    """For ``wx.config`` of exactly this page."""

    app_id: Annotated[str, Field(alias="appId")]
    timestamp: int
    nonce_str: Annotated[str, Field(alias="nonceStr")]
    signature: str


class CodeBody(BaseModel):
    """Which page the code leads to."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"path": "/o/K7Q2M9"}]})
    path: Annotated[str, Field(max_length=200)]


class CodeOut(BaseModel):
    """The text to draw as a QR code; good for ten minutes at least."""

    url: str
    purpose: Purpose


def purpose_of(path: str) -> Purpose:
    """What a code leading there is about.

    Raises:
        ForeignPageError: no code may lead there.
    """
    found = next((purpose for purpose, shape in PATHS.items() if shape.fullmatch(path)), None)
    if found is None:
        raise ForeignPageError
    return found


def _is_ours(world: World, url: str) -> bool:
    base, parts = urlsplit(world.settings.base_url), urlsplit(url)
    if (parts.scheme, parts.netloc) == (base.scheme, base.netloc):
        return True
    return parts.netloc in world.extras.get("hosts", ())


@router.get("/page")
async def page(
    caller: AnyCaller,
    tx: TxDep,
    world: WorldDep,
    url: Annotated[str, Query(max_length=1000, description="the page's address, without its fragment")],
) -> PageOut:
    """Sign a page of ours for WeChat's script; 422 for anybody else's page."""
    wechat = wechat_of(world)
    if not _is_ours(world, url):
        raise ForeignPageError
    await tx.let_go()
    return PageOut.model_validate(await wechat.jssdk_config(url))


@router.post("/codes")
async def code(asked: CodeBody, caller: StaffCaller, tx: TxDep, world: WorldDep) -> CodeOut:
    """A code for a tablet or desk: whoever scans it follows the hospital's account, and is led to the page."""
    account = world.ports.wechat_account
    if account is None or world.ports.wechat_desk is None:
        raise NotConfigured("wechat.callback_token")
    purpose = purpose_of(asked.path)
    await tx.let_go()
    return CodeOut(url=await flows.code_to(world.db, account, asked.path, purpose), purpose=purpose)
