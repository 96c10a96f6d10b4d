"""Guesses are looked at one by one: what was said holds from then on, for the same drawing read again, too."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from guide.maps import decide, lint, reading
from guide.maps.network import Network, of_document
from guide.ports import Profile
from guide.routes.engine import Engine
from houfu import cli
from kernel.errors import NotFoundError
from sandbox.his.catalogue import HOSPITAL_FILE
from tests.guide.test_map_reading import area, box, door, written

AT = "2026-03-04T01:00:00+00:00"


def drawing(folder: Path) -> Path:
    """A corridor with three rooms; two without a name or a door, opposite each other, so both are guessed alike."""
    features: list[dict[str, Any]] = [
        area(box(0, 0, 20, 3), indoor="corridor", level="0"),
        area(box(0, 3, 6, 5), indoor="room", level="0", ref="001"),
        door(3, 3, "0"),
        area(box(12, 3, 6, 5), indoor="room", level="0"),
        area(box(12, -5, 6, 5), indoor="room", level="0"),
    ]
    return written(folder, features)


def seconds(network: Network, space: int) -> float:
    """From the first room to another."""
    return Engine(network).seconds(network.spaces[1].node, network.spaces[space].node, Profile.WALK)


def test_a_guess_is_confirmed_or_refused(tmp_path: Path) -> None:
    """Confirmed, the way costs what it costs, and on to the other is still a guess; refused, it is gone."""
    network = reading.read_map(drawing(tmp_path))
    first, second = decide.names(network)
    before = [seconds(network, n) for n in (2, 3)]
    assert [g.why for g in network.guesses] == ["room_door"] * 2
    decide.decide(network, first, confirmed=True, by="王工", at=AT)
    assert list(decide.names(network)) == [second], "the other keeps its name"
    assert seconds(network, 2) < before[0]
    assert seconds(network, 3) == before[1]
    engine = Engine(network)
    path = engine.route(network.spaces[2].node, network.spaces[3].node, Profile.WALK)
    assert path is not None
    assert path.guessed
    assert of_document(network.document()) == network
    decide.decide(network, second, confirmed=False, by="李工", at=AT)
    assert network.guesses == []
    report = lint.look_over(network)
    assert (report.reached_rooms, report.rooms) == (2, 3)
    assert [(d.confirmed, d.by, d.at) for d in network.decided] == [(True, "王工", AT), (False, "李工", AT)]
    with pytest.raises(KeyError):
        decide.decide(network, first, confirmed=False, by="王工", at=AT)

    again = reading.read_map(drawing(tmp_path))
    decide.carry(again, network)
    assert again.digest() == network.digest()
    better = reading.read_map(written(tmp_path, [area(box(0, 0, 20, 3), indoor="corridor", level="0")]))
    decide.carry(better, network)
    assert better.decided == network.decided, "remembered, though nothing is guessed any more"


def test_a_refused_shaft_ends_at_its_floor(tmp_path: Path) -> None:
    """A lift that was guessed to open on the first floor does not: nobody is led out of it there."""
    from tests.guide.test_map_reading import house

    network = reading.read_map(written(tmp_path, house()))
    [name] = decide.names(network)
    decide.decide(network, name, confirmed=False, by="王工", at=AT)
    assert lint.look_over(network).reached_rooms == 2


def test_guesses_by_the_command(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Listed with names; each word makes the next version; the same drawing published again changes nothing."""
    monkeypatch.setenv("HOUFU_DATABASE_URL", database_url.replace("+psycopg", ""))
    monkeypatch.setenv("HOUFU_DATA_DIR", str(tmp_path))

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(cli.app, [*arguments, *(("--hospital", "HF01") if arguments[1] != "load" else ())])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, done.output

    document = json.loads(HOSPITAL_FILE.read_text("utf-8")) | {"staff": [], "slots": []}
    (tmp_path / "hospital.json").write_text(json.dumps(document), "utf-8")
    assert run("hospital", "load", str(tmp_path / "hospital.json"))[0] == 0
    with pytest.raises(NotFoundError):
        run("map", "guesses")
    network = reading.read_map(drawing(tmp_path))
    (tmp_path / "map.json").write_text(json.dumps(network.document()), "utf-8")
    first, second = decide.names(network)
    assert "Version 1" in run("map", "publish", str(tmp_path / "map.json"), "--anyway")[1]
    code, listed = run("map", "guesses")
    assert (code, listed.count("a room without a door")) == (1, 2)
    assert first in listed
    assert second in listed
    assert "Version 2" in run("map", "confirm", first, "--by", "王工")[1]
    refused = run("map", "refuse", second, "--by", "李工")
    assert (refused[0], "Not published" in refused[1]) == (1, True), "departments are lost: not without a second word"
    assert run("map", "guesses")[1].count("a room without a door") == 1
    assert "Version 3" in run("map", "refuse", second, "--by", "李工", "--anyway")[1]
    with pytest.raises(NotFoundError):
        run("map", "confirm", first, "--by", "王工")
    code, listed = run("map", "guesses")
    assert code == 0
    assert "confirmed by 王工, 20" in listed
    assert "refused by 李工, 20" in listed
    assert "Version 3" in run("map", "publish", str(tmp_path / "map.json"), "--anyway")[1]
