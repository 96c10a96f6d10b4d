"""The HIS's reading of docs/his.md: signatures and the shape of every event."""

import hashlib
import hmac
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from sandbox.his import wire
from sandbox.his.clinic import Clinic
from sandbox.his.wire import Key

NOW = datetime(2026, 11, 22, 1, 31, 5, tzinfo=UTC)
KEY = Key("out-1", "秘密-secret")
DOC = (Path(__file__).parents[2] / "docs" / "his.md").read_text("utf-8")


def headers(body: bytes, key: Key = KEY, at: datetime = NOW) -> Headers:
    return Headers(wire.signed_headers(key, body, at))


def test_the_signature_is_the_documented_one() -> None:
    """Timestamp, a dot and the raw body under HMAC-SHA256, in lower-case hex."""
    made = wire.signed_headers(KEY, b'[{"a":1}]', NOW)
    expected = hmac.new(KEY.secret.encode(), b'1795311065.[{"a":1}]', hashlib.sha256).hexdigest()
    assert made == {"X-Houfu-Key": "out-1", "X-Houfu-Timestamp": "1795311065", "X-Houfu-Signature": expected}


@pytest.mark.parametrize("seconds", [-300, 0, 300])
def test_a_signature_within_five_minutes_is_good(seconds: int) -> None:
    """Clocks may differ by up to 300 s either way."""
    assert wire.is_signed(headers(b"x"), b"x", {KEY.id: KEY}, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("given", "body", "later"),
    [
        (headers(b"x"), b"y", 0),
        (headers(b"x"), b"x", 301),
        (headers(b"x"), b"x", -301),
        (headers(b"x", Key("out-1", "other")), b"x", 0),
        (headers(b"x", Key("out-2", KEY.secret)), b"x", 0),
        (Headers({}), b"x", 0),
        (Headers({**headers(b"x"), "x-houfu-timestamp": "179531106²"}), b"x", 0),
        (Headers({**headers(b"x"), "x-houfu-signature": headers(b"x")["x-houfu-signature"].upper()}), b"x", 0),
    ],
)
def test_anything_else_is_refused(given: Headers, body: bytes, later: int) -> None:
    """Another body, too old, too new, another secret, an unknown key, no headers, odd digits, upper case."""
    assert not wire.is_signed(given, body, {KEY.id: KEY}, NOW + timedelta(seconds=later))


def test_every_documented_event_and_command_is_known() -> None:
    """The tables of docs/his.md and this reading list the same names."""
    events = set(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", DOC, re.MULTILINE))
    commands = set(re.findall(r"^\| `([a-z_]+)` \| ", DOC, re.MULTILINE))
    assert events == set(wire.DATA)
    assert set(wire.COMMAND_DATA) <= commands
    assert commands - set(wire.COMMAND_DATA) == {"accepted", "duplicate", "parked", "rejected"}


def _charge(clinic: Clinic) -> dict[str, Any]:
    encounter = clinic.register(clinic.catalogue.by_key["mother"], "CARD")
    charge = clinic.charge(encounter, "L010", 2)
    return next(i for i in clinic.books.outbox.values() if i["data"].get("charge_no") == charge)


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "2.0"},
        {"time": "2026-11-22T09:31:05"},
        {"sequence": 0},
        {"sequence": "3"},
        {"type": "charge.imagined"},
        {"extra": 1},
        {"data": {"colour": "green"}},
        {"data": {"amount_fen": 4001}},
        {"data": {"amount_fen": 4000.0}},
        {"data": {"charge_no": None}},
        {"data": {"insurance_class": "D"}},
    ],
)
def test_what_the_contract_forbids_is_not_said(clinic: Clinic, change: dict[str, Any]) -> None:
    """The HIS holds its own items against the contract before they enter the books."""
    good = _charge(clinic)
    wire.check(good)
    bad = good | change | ({"data": good["data"] | change["data"]} if "data" in change else {})
    with pytest.raises(ValueError, match=r"."):
        wire.check(bad)


def test_a_broken_fact_never_enters_the_books(clinic: Clinic) -> None:
    """An execution that names neither order nor charge is refused, and nothing has happened."""
    encounter = clinic.register(clinic.catalogue.by_key["mother"], "CARD")
    waiting = list(clinic.books.outbox)
    with pytest.raises(ValueError, match="names its order or its charges"):
        clinic.books.record("execution.confirmed", encounter, {
            "execution_no": "X1", "department": "ECG", "at": NOW.isoformat(),
        })  # fmt: skip
    assert list(clinic.books.outbox) == waiting
    assert clinic.books.encounters[encounter].executions == []
