"""Maps in the house: versions that never change, routes that name theirs, closures in force with the commit."""

import json
import math
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from guide.maps.findings import MapFileError
from guide.maps.network import Network, of_document
from guide.ports import Profile
from guide.service import maps, routes
from guide.service.routes import NoMapError, Spot
from houfu import cli, demo
from houfu import maps as command
from kernel.clock import ManualClock
from kernel.db import Database
from kernel.errors import NotFoundError
from people.service import hospitals
from people.service.hospitals import Hospital
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.conftest import ROOT


async def published(db: Database, hospital: Hospital, network: Network, *, anyway: bool = False) -> maps.Published:
    """One publishing."""
    async with db.begin() as tx:
        return await maps.publish(tx, hospital.id, network, anyway=anyway)


async def test_a_version_is_made_once_and_never_changed(db: Database, hospital: Hospital, network: Network) -> None:
    """The same content is the same version; other content is the next; the database refuses to change either."""
    first = await published(db, hospital, of_document(network.document()))
    again = await published(db, hospital, of_document(network.document()))
    assert (first.fresh, again.fresh, first.gaps) == (True, False, ())
    assert again.version.id == first.version.id
    network.name = "新的名字"
    second = await published(db, hospital, network)
    assert (second.version.number, second.fresh) == (2, True)
    assert second.version.digest == network.digest() != first.version.digest
    for change in ("UPDATE map_version SET name = 'x'", "DELETE FROM map_version"):
        with pytest.raises(DBAPIError, match="append-only"):
            async with db.begin() as tx:
                await tx.session.execute(text(change))
    async with db.begin() as tx:
        stored = await maps.network_of(tx, first.version.id)
    assert stored.digest() == first.version.digest
    assert len(stored.places) == 36


async def test_a_map_with_a_lost_department_is_refused(db: Database, hospital: Hospital, network: Network) -> None:
    """One department has no room, one no way to it: named, nothing published; with --anyway it is, and still named."""
    del network.occupants["CT室"]
    node = network.spaces[network.occupants["换药室"]].node
    network.edges = [e for e in network.edges if node not in (e.a, e.b)]
    with pytest.raises(maps.MapRefusedError) as refused:
        await published(db, hospital, network)
    assert refused.value.gaps == ["CT室 (CT) is not on the map", "no way leads to 换药室 (DRESS)"]
    async with db.begin() as tx:
        assert await maps.current(tx, hospital.id) is None
    done = await published(db, hospital, network, anyway=True)
    assert (done.version.number, done.gaps) == (1, tuple(refused.value.gaps))


async def test_a_route_names_its_map(db: Database, hospital: Hospital, network: Network) -> None:
    """From a check-in, the code on a wall, a tap: the same lines a person can follow, and the version they hold for."""
    done = await published(db, hospital, network)
    blood = network.spaces[network.occupants["抽血处"]]
    at = network.nodes[blood.node]
    async with db.begin() as tx:
        found = [
            await routes.route(tx, hospital.id, spot, "ECG")
            for spot in (Spot(department="BLOOD"), Spot(code=blood.key), Spot(tap=(at.level, at.x, at.y)))
        ]
    first = found[0]
    assert first is not None
    assert found == [first] * 3
    assert (first.version, first.digest) == (1, done.version.digest)
    assert first.lines == (
        "从抽血处到心电图室，2分钟以内，要坐1次扶梯。",
        "出门右转，直走约10米，“上行扶梯”在右手边。",
        "乘上行扶梯到3楼。",
        "下扶梯直走，“心电图室”在正前方。",
    )
    assert "“" not in first.spoken
    async with db.begin() as tx:
        for spot, goal in ((Spot(code="nowhere"), "ECG"), (Spot(department="ECG"), "nowhere"), (Spot(), "ECG")):
            with pytest.raises(NoMapError):
                await routes.route(tx, hospital.id, spot, goal)


async def test_no_map_yet(db: Database, hospital: Hospital) -> None:
    """A hospital without a map says so."""
    async with db.begin() as tx:
        with pytest.raises(NoMapError):
            await routes.route(tx, hospital.id, Spot(department="BLOOD"), "ECG")
        with pytest.raises(NotFoundError):
            await maps.close(tx, hospital.id, "1号电梯")


async def test_a_closure_holds_with_its_commit(
    db: Database, hospital: Hospital, network: Network, clock: ManualClock
) -> None:
    """Both lifts closed: the very next route has no way by wheelchair; opened, or past its end, it is back."""
    await published(db, hospital, network)

    async def way() -> float | None:
        async with db.begin() as tx:
            found = await routes.route(tx, hospital.id, Spot(department="CARD"), "BLOOD", Profile.WHEELCHAIR)
            times = await routes.walks(tx, hospital.id)
        seconds = times.walking_seconds("CARD", "BLOOD", Profile.WHEELCHAIR)
        assert (found is None) == (seconds == math.inf)
        assert times.walking_seconds("CARD", "CARD") == 0.0
        assert times.walking_seconds("CARD", "nowhere") == math.inf
        return found.seconds if found else None

    usual = await way()
    assert usual is not None
    async with db.begin() as tx:
        for name in ("1号电梯", "2号电梯", "空中连廊"):
            await maps.close(tx, hospital.id, name, until=tx.now + timedelta(minutes=30) if name[0] == "1" else None)
    assert await way() is None
    async with db.begin() as tx:
        assert await maps.reopen(tx, hospital.id, "2号电梯") == 1
        assert await maps.reopen(tx, hospital.id, "2号电梯") == 0
    assert await way() == usual
    async with db.begin() as tx:
        await maps.close(tx, hospital.id, "2号电梯", percent=300)
    crowded = await way()
    assert crowded is not None
    assert crowded > usual
    clock.move(timedelta(minutes=31))
    assert await way() == pytest.approx(usual, abs=10)
    async with db.begin() as tx:
        with pytest.raises(NotFoundError):
            await maps.close(tx, hospital.id, "9号电梯")
        with pytest.raises(NotFoundError):
            await maps.close(tx, hospital.id, "301")


def test_importing_says_what_it_found(archive: Path, tmp_path: Path) -> None:
    """A whole map: exit 0. A broken house: exit 1, report with every guess, pictures, a map.json to publish."""
    from tests.guide.test_map_reading import house, written

    run = CliRunner()
    whole = run.invoke(command.app, ["import", str(archive), "--out", str(tmp_path / "whole")])
    assert whole.exit_code == 0, whole.output
    file = written(tmp_path, house())
    mended = run.invoke(command.app, ["import", str(file)])
    assert mended.exit_code == 1, mended.output
    folder = tmp_path / "house-map"
    assert sorted(p.name for p in folder.iterdir()) == ["floor-00.svg", "floor-01.svg", "map.json", "report.txt"]
    assert "a shaft without a door on this floor opens to the nearest corridor" in (folder / "report.txt").read_text(
        "utf-8"
    )
    assert "stroke-dasharray" in (folder / "floor-01.svg").read_text("utf-8")
    network = of_document(json.loads((folder / "map.json").read_text("utf-8")))
    assert len(network.guesses) == 1


def test_publishing_by_the_command(
    database_url: str, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Import, publish, publish again, close and open; what is no map and an unknown hospital are refused by name."""
    monkeypatch.setenv("HOUFU_DATABASE_URL", database_url.replace("+psycopg", ""))
    monkeypatch.setenv("HOUFU_DATA_DIR", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.app, arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    document = json.loads(HOSPITAL_FILE.read_text("utf-8")) | {"staff": [], "slots": []}
    (tmp_path / "hospital.json").write_text(json.dumps(document), "utf-8")
    assert run("hospital", "load", str(tmp_path / "hospital.json"))[0] == 0
    made = str(tmp_path / "m")
    assert run("map", "signs", "--hospital", "HF01")[0] == 2  # nobody knows our address
    monkeypatch.setenv("HOUFU_PUBLIC_URL", "https://houfu.test")
    assert run("map", "signs", "--hospital", "HF01")[0] == 2  # there is no map
    assert run("map", "import", str(archive), "--out", made)[0] == 0
    first, again = (run("map", "publish", made, "--hospital", "HF01") for _ in "12")
    assert (first[0], again[0]) == (0, 0)
    assert "Version 1" in first[1]
    assert "nothing changed" in again[1]
    assert run("map", "signs", "--hospital", "HF01", "--out", str(tmp_path / "signs.csv"))[0] == 0
    rows = (tmp_path / "signs.csv").read_text("utf-8-sig").splitlines()
    assert rows[0] == "place,floor,code,address"
    assert any(re.fullmatch(r"CT室,医技楼1楼,(\w{7}),https://houfu\.test/guide/at/HF01/\1", row) for row in rows)
    assert run("map", "close", "1号电梯", "--hospital", "HF01")[0] == 0
    assert [run("map", "open", "1号电梯", "--hospital", "HF01")[0] for _ in "12"] == [0, 1]
    (tmp_path / "none.geojson").write_text("{}")
    for wrong in (
        ("import", str(tmp_path / "none.geojson")),
        ("publish", str(tmp_path / "none.geojson"), "--hospital", "HF01"),
    ):
        with pytest.raises(MapFileError):
            run("map", *wrong)
    with pytest.raises(NotFoundError):
        run("map", "publish", made, "--hospital", "XX")
    document = json.loads((tmp_path / "m" / "map.json").read_text("utf-8"))
    del document["occupants"]["CT室"]
    (tmp_path / "m" / "map.json").write_text(json.dumps(document), "utf-8")
    assert run("map", "publish", made, "--hospital", "HF01")[0] == 1
    told = run("map", "publish", made, "--hospital", "HF01", "--anyway")
    assert told[0] == 1
    assert "CT室 (CT) is not on the map" in told[1]
    assert "Version 2" in told[1]


def test_nobody_pays_for_maps_who_does_not_look_at_one() -> None:
    """The commands and the services load neither scipy nor shapely before a map is asked for."""
    heavy = "[m for m in ('scipy', 'shapely', 'numpy') if m in sys.modules]"
    code = f"import houfu.cli, guide.service.maps, guide.service.routes, sys; print({heavy})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_the_demo_hangs_up_its_map_once(
    db: Database, hospital: Hospital, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first start imports and publishes the campus, the second does not even read it."""
    world = SimpleNamespace(db=db)
    for _ in range(2):
        await demo.hang_up_map(world, "HF01", tmp_path / "mark")  # type: ignore[arg-type]
        monkeypatch.setattr("guide.maps.reading.read_map", None)
    async with db.begin() as tx:
        version = await maps.current(tx, hospital.id)
        times = await routes.walks(tx, hospital.id)
        codes = [d.code for d in await hospitals.departments(tx, hospital.id)]
    assert version is not None
    assert version.number == 1
    for profile in Profile:
        assert all(times.walking_seconds("GUIDE", code, profile) < 600 for code in codes)
