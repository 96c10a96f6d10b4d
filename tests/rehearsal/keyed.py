"""A house that is open, rehearsed with from outside: as a hospital's engineer does it, by a key file and an address."""

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from houfu import rehearse
from kernel.settings import Settings
from sandbox.rehearsal.play import Rehearsal
from tests.hatchery import Hatchery
from tests.ports import free_port

Json = dict[str, Any]
KEYS = {
    "ok", "visits", "events_sent", "pushes_expected", "pushes_seen", "pushes_lost", "pushes_doubled", "push_p50_ms",
    "push_p99_ms", "bill_mismatch_fen", "ledger_imbalance_fen", "payments_doubled", "his_mismatch",
}  # fmt: skip
"""What whoever reads a verdict was promised to find in it."""


@dataclass
class Keyed:
    """``houfu rehearse --prepare`` and ``--url``, in processes of their own, and how each of them ended."""

    own: Settings
    hatchery: Hatchery
    folder: Path
    ended: dict[str, tuple[int, str]] = field(default_factory=dict)  # exit code, what was said
    verdict: Json = field(default_factory=dict)

    async def play(self, rehearsal: Rehearsal) -> None:
        """Prepare a hospital beside the one that is there, knock with wrong keys, and play two visits."""
        keys, report = self.folder / "keys.json", self.folder / "keyed.json"
        house = rehearsal.house
        await self._run("prepare", house.url, "--prepare", str(keys), "--his-port", str(free_port()))
        written = json.loads(keys.read_text("utf-8"))
        # It says where the demo's outside world would be; this house was told of another.
        written |= {"texts": house.texts, "till": house.till, "wechat": house.wechat, "insurance": house.insurance}
        keys.write_text(json.dumps(written), "utf-8")
        outside = ("--url", f"{house.url}/", "--visits", "2", "--seed", "3", "--keys")
        for name in ("inbound", "outbound"):
            wrong, none = self.folder / f"wrong-{name}.json", self.folder / "none.json"
            wrong.write_text(json.dumps(written | {name: written[name] | {"secret": "nobody's"}}), "utf-8")
            await self._run(f"wrong {name}", house.url, *outside, str(wrong), "--json", str(none))
        await self._run("played", house.url, *outside, str(keys), "--json", str(report))
        self.verdict = json.loads(report.read_text("utf-8"))
        self.ended["mode"] = (keys.stat().st_mode & 0o777, "")

    async def _run(self, name: str, url: str, *arguments: str) -> None:
        said = self.folder / f"{name}.txt"
        port = {"HOUFU_PORT": str(urlsplit(url).port), "COLUMNS": "200"}
        environment = rehearse.environment_of(self.own) | port
        process = self.hatchery.start(["rehearse", *arguments], environment, said, said)
        try:
            code = await asyncio.to_thread(process.wait, 120)
        finally:
            process.kill()
        self.ended[name] = code, said.read_text("utf-8")
