"""The doctor tries the lines: the key and certificate for faces, the key for browsers, the templates of reminders."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from houfu import doctor, lines, server
from houfu.hospitals import load_file
from kernel.crypto import load_vault
from kernel.settings import Settings, SettingsError, load
from sandbox.his.catalogue import HOSPITAL_FILE
from sandbox.keys import SandboxKeys, fresh


@pytest.fixture(scope="module")
def keys() -> SandboxKeys:
    """A merchant."""
    return fresh()


def settings(keys: SandboxKeys, **over: str) -> Settings:
    """Of a hospital that charges faces."""
    pay = keys.client_wechat_pay("http://127.0.0.1:1", "", "")
    del pay["mini_appid"]
    face = keys.client_wechat_face("https://127.0.0.1:1")
    groups = {**{f"wechat_pay_{n}": v for n, v in pay.items()}, **{f"wechat_face_{n}": v for n, v in face.items()}}
    return load({}, **{n: v for n, v in {**groups, **over}.items() if v})


def said(mine: Settings) -> doctor.Finding:
    """What the doctor says of faces."""
    return next(f for f in doctor._lines(mine) if f.what == "WeChat faces")


def test_nothing_set_is_no_fault() -> None:
    """Faces are not charged here, and how to begin."""
    found = said(load({}))
    assert (found.verdict, found.found) == ("note", "not set")
    assert found.mend == "HOUFU_WECHAT_FACE_APIV2_KEY switches it on"
    assert lines.wechat_face(load({})) is None


def test_it_fits(keys: SandboxKeys) -> None:
    """The merchant's own key serves where no other is given."""
    assert said(settings(keys)).verdict == "ok"


@pytest.mark.parametrize(("name", "value"), [("cert", ""), ("private_key", "other"), ("cert", "-----BEGIN X-----")])
def test_it_does_not_fit(keys: SandboxKeys, name: str, value: str) -> None:
    """Half a setting, somebody else's key, no certificate: bad, and which setting to mend."""
    value = fresh().wechat_pay.private_key if value == "other" else value
    found = said(settings(keys, **{f"wechat_face_{name}": value}))
    assert (found.verdict, found.mend) == ("bad", f"set HOUFU_WECHAT_FACE_{name.upper()}")


def test_a_certificate_ends(keys: SandboxKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less than a month is left: said in time, because without it nothing can be undone."""
    monkeypatch.setattr(doctor, "wall_clock", lambda: datetime.now(UTC) + timedelta(days=3630))
    found = said(settings(keys))
    assert found.verdict == "bad"
    assert "more; have WeChat Pay make a new one" in found.found


def test_reminders_have_their_templates(tmp_path: Path) -> None:
    """A kind without a template is named, one that names what is not there is bad; the gateway's address is told."""
    nothing = [f.what for f in doctor._reminders(load({}))]
    assert nothing == []
    load_vault(tmp_path / "keys")
    some = {"sms_secret_id": "A", "sms_templates": '{"turn": {"id": "1", "params": ["code"]}}', "wechat_appid": "wx"}
    found = {f.what: f for f in doctor._reminders(load({}, key_file=tmp_path / "keys", **some))}
    assert found["WeChat templates"].found.startswith("none for: step, turn")
    assert "turn" not in found["SMS templates"].found
    assert found["SMS reports"].found.startswith("http://127.0.0.1:8000/api/callbacks/sms/")
    (bad,) = doctor._reminders(load({}, wechat_templates='{"turn": {"id": "1", "data": {"thing1": "illness"}}}'))
    assert (bad.verdict, bad.found) == ("bad", "turn: no such field: illness")


def test_the_key_of_web_push_is_tried(keys: SandboxKeys) -> None:
    """Half a setting and somebody else's sort of key are bad; a P-256 key and a contact are well."""

    def said(**over: str) -> str:
        return next(f for f in doctor._lines(load({}, **over)) if f.what == "Web Push").verdict

    assert said() == "note"
    assert said(web_push_private_key=keys.vapid) == "bad"
    assert said(web_push_private_key=keys.wechat_pay.private_key, web_push_contact="mailto:a@b.test") == "bad"
    assert said(web_push_private_key=keys.vapid, web_push_contact="mailto:a@b.test") == "ok"


async def test_keys_that_do_not_belong_to_the_database(database_url: str, tmp_path: Path) -> None:
    """Restored without the key file: nothing starts and none is made. With another one, or half of one, it is said."""
    mine = load({}, database_url=database_url.replace("+psycopg", ""), data_dir=tmp_path)
    await load_file(mine, {**json.loads(HOSPITAL_FILE.read_text("utf-8")), "staff": [], "slots": []})

    def keys() -> list[str]:
        return [f.found for f in doctor._database(mine) if f.what == "keys"]

    assert keys() == []
    away = mine.keys.rename(tmp_path / "away")
    lost = f"{mine.keys} is missing, and the database holds what was sealed with it."
    with pytest.raises(SettingsError, match=re.escape(lost)), server.database(mine, upgrade=False):
        pass
    assert (keys()[0].startswith(lost), mine.keys.exists()) == (True, False)
    load_vault(mine.keys)
    assert keys() == ["they do not open what lies in the database"]
    mine.keys.write_text(away.read_text().replace("master 1 ", "master 2 "))
    assert keys() == ["sealed with master 1, which is not there"]


def test_a_database_that_does_not_answer(tmp_path: Path) -> None:
    """What the database said is told, without the password, and what to set where no folder can be made."""
    dead = load({}, database_url="postgresql://houfu:geheim@127.0.0.1:1/houfu", key_file=tmp_path / "keys")
    (found,) = doctor._database(dead)
    assert (found.verdict, "Connection refused" in found.found, "geheim" in found.found) == ("bad", True, False)
    (tmp_path / "file").touch()
    (found,) = doctor._database(load({}, data_dir=tmp_path / "file" / "data"))
    assert (found.verdict, found.mend) == ("bad", "set HOUFU_DATA_DIR to a folder this user may write to")
