"""The reference mini-program in WeChat's simulator, page by page, and the whole of it against a running house."""

import asyncio
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from payments.service import attempts
from people.models import Person
from people.ports import WeChatSubject
from people.service import sessions
from pwa.mini_words import FILE, text
from tests.payments.conftest import MOTHER, House
from words.mini import tree

HERE = Path(__file__).resolve().parents[1] / "miniprogram"
PROGRAM = FILE.parent


class WeChatHere:
    """Says who a login code stands for; everything else is not asked."""

    async def mini_session(self, js_code: str) -> WeChatSubject:
        assert js_code == "a-code"
        return WeChatSubject(f"m{MOTHER}")


class Reader:
    """What the program says, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until(self, what: str) -> dict[str, Any]:
        """The line about this; whatever the program complained of, if it ends before."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while line := await self.process.stdout.readline():
                said: dict[str, Any] = json.loads(line)
                if said["what"] == what:
                    return said
            raise AssertionError((await self.process.stderr.read()).decode())


async def test_the_program_in_a_hand(house: House) -> None:
    """She opens it, is known by WeChat, sees her bill grow as a test is done, shows her pass and pays: once, whole."""
    assert (HERE / "node_modules").exists(), "run: make test-machine"
    bill = await house.bill()
    appid = house.town.keys.wechat.mini_appid
    async with house.db.begin() as tx:
        mother = await tx.get(Person, house.mother.id)
        assert mother is not None
        await sessions.link_wechat(tx, mother, f"m{MOTHER}", appid)
    object.__setattr__(house.world.ports, "wechat", WeChatHere())
    environment = os.environ | {
        "HOUFU_URL": house.url,
        "REGISTER_URL": house.town.ports.url("wechat_pay"),
        "OPENID": f"m{MOTHER}",
        "MINI_APPID": appid,
    }
    node = shutil.which("node")
    assert node is not None
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        node, str(HERE / "run.js"), env=environment, stdout=pipe, stderr=pipe
    )
    try:
        program = Reader(process)
        for one in ("amounts", "billGrows", "lineDrops", "loginAsks", "payOnce", "payBacksOut", "passWithoutNetwork"):
            await program.until(one)
        shown = (await program.until("bill"))["text"]
        for part in ("朱桂芳", "到现在要自己付", f"¥{bill.owed // 100}.{bill.owed % 100:02}", "随时更新"):
            assert part in shown, shown
        order = house.town.his.clinic.order(bill.encounter, "ECG12")
        house.town.his.clinic.confirm(order)
        grown = (await program.until("grown"))["total"]
        owed = await house.owed(bill.visit)
        assert owed > bill.owed
        assert grown == f"¥{owed // 100}.{owed % 100:02}"
        door = await house.phone(house.mother).get("/go/pay")
        assert door.headers["location"] == f"/visits/{bill.visit}/bill"
        shown_pass = await program.until("pass")
        assert (shown_pass["live"], shown_pass["image"][:22]) == (True, "data:image/png;base64,")
        assert (await program.until("paid"))["bill"] == "都付清了"
        await asyncio.wait_for(process.wait(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0
    async with house.db.begin() as tx:
        (paid,) = await attempts.of_visit(tx, bill.visit)
    assert (paid.channel, paid.amount_fen, house.payments, house.taken) == ("MINIPROG", owed, 1, owed)
    await house.balanced()


def sentences(found: dict[str, Any]) -> Iterator[str]:
    """All of a tree."""
    for one in found.values():
        if isinstance(one, dict):
            yield from sentences(one)
        else:
            yield one


def test_its_sentences_are_those_of_the_pages() -> None:
    """words.js is what the command makes of words/; no page of the program has a sentence of its own but its titles."""
    assert FILE.read_text("utf-8") == text(), "run: python -m pwa.mini_words"
    known = set(sentences(tree()))
    for file in [*PROGRAM.rglob("*.js"), *PROGRAM.rglob("*.wxml")]:
        if file != FILE:
            bare = "\n".join(line for line in file.read_text("utf-8").splitlines() if not line.strip().startswith("//"))
            assert not any("\u4e00" <= c <= "\u9fff" for c in bare), file.name
    for file in PROGRAM.glob("pages/*/*.json"):
        assert json.loads(file.read_text("utf-8"))["navigationBarTitleText"] in known | {"账单", "付款", "登录"}


def test_the_program_is_whole() -> None:
    """Every page of app.json has its four files' worth, and what a page shows it also names in its data or methods."""
    pages = json.loads((PROGRAM / "app.json").read_text("utf-8"))["pages"]
    assert {p.rpartition("/")[2] for p in pages} == {p.name for p in (PROGRAM / "pages").iterdir()}
    for page in pages:
        script, markup = ((PROGRAM / f"{page}.{kind}").read_text("utf-8") for kind in ("js", "wxml"))
        assert (PROGRAM / f"{page}.json").exists()
        script += (PROGRAM / "lib" / "page.js").read_text("utf-8")
        handlers = {part.split('"')[0] for part in markup.split('bindtap="')[1:] + markup.split('bindinput="')[1:]}
        assert [h for h in handlers if f" {h}(" not in script] == [], page
        assert "call" in handlers, "a person at the hospital is one tap away"


def test_the_lock_leaves_the_registry_to_whoever_installs() -> None:
    """Versions and hashes are pinned, no address is."""
    packages = json.loads((HERE / "package-lock.json").read_text("utf-8"))["packages"]
    assert all(p["integrity"].startswith("sha512-") for name, p in packages.items() if name)
    assert not any("resolved" in p for p in packages.values())
