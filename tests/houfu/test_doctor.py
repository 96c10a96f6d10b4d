"""The doctor tries the line for faces: its key and certificate are each other's, and will be for a while."""

from datetime import UTC, datetime, timedelta

import pytest

from houfu import doctor, lines
from kernel.settings import Settings, load
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
