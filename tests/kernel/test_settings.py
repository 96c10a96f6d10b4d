"""Settings: read from the environment, a misspelt one is refused by name, secrets stay out of sight."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from kernel.settings import Settings, SettingsError, load, table


def test_the_environment_counts() -> None:
    """Two settings are given, the rest are the defaults."""
    made = load({"HOUFU_PORT": "9000", "HOUFU_FRAME_ANCESTORS": "https://a.example, https://b.example", "HOME": "/"})
    assert (made.port, made.host) == (9000, "127.0.0.1")
    assert made.frame_ancestors == ("https://a.example", "https://b.example")
    assert made.base_url == "http://127.0.0.1:9000"


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("HOUFU_DATABSE_URL", "x", "There is no setting HOUFU_DATABSE_URL. Did you mean HOUFU_DATABASE_URL?"),
        ("HOUFU_PORT", "http", "HOUFU_PORT: "),
        ("HOUFU_DATABASE_URL", "mysql://x/y", "HOUFU_DATABASE_URL: Houfu runs on PostgreSQL only"),
        ("HOUFU_WECHAT_PAY_PRIVATE_KEY", "/absent.pem", "HOUFU_WECHAT_PAY_PRIVATE_KEY: neither a PEM text nor"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str, said: str) -> None:
    """The message names the setting and, for a slip of the pen, the one that was meant."""
    with pytest.raises(SettingsError) as error:
        load({name: value})
    assert str(error.value).startswith(said)


def test_keys_come_from_files_or_text(tmp_path: Path) -> None:
    """A PEM may be a path; it is read once, and does not show in the object's text."""
    file = tmp_path / "key.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----\nQUJD\n-----END PRIVATE KEY-----\n")
    made = load({"HOUFU_WECHAT_PAY_PRIVATE_KEY": str(file)})
    assert made.group("wechat_pay")["private_key"] == file.read_text()
    assert "QUJD" not in repr(made)


def test_settings_do_not_change() -> None:
    """Made once, at the start."""
    made = load({})
    with pytest.raises(ValidationError):
        setattr(made, "port", 1)  # noqa: B010 - mypy knows better


def test_every_setting_is_explained() -> None:
    """The table for the README has a sentence for each, and shows no secret's value."""
    rows = table()
    assert len(rows) == len(Settings.model_fields)
    assert [name for name, _, meaning in rows if not meaning] == []
