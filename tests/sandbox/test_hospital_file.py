"""The demo hospital's data hold together: references resolve, prices are whole, identity numbers check out."""

import json
import re
from collections import Counter
from typing import Any

from sandbox.his import catalogue

HOSPITAL: dict[str, Any] = json.loads(catalogue.HOSPITAL_FILE.read_text("utf-8"))
PEOPLE: dict[str, Any] = json.loads(catalogue.PEOPLE_FILE.read_text("utf-8"))
WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def test_departments_are_many_and_codes_are_unique() -> None:
    """At least 18 departments of every kind; nothing is named twice."""
    departments = HOSPITAL["departments"]
    assert len(departments) >= 18
    kinds = {"consulting", "lab", "imaging", "treatment", "pharmacy", "counter"}
    assert {d["kind"] for d in departments} == kinds
    assert {d["sensitive"] for d in departments} == {None, "gynaecology", "psychiatry", "infection"}
    for table, key in (("departments", "code"), ("desks", "code"), ("staff", "login"), ("price_list", "item_code"),
                       ("order_templates", "code")):  # fmt: skip
        doubled = {k for k, n in Counter(row[key] for row in HOSPITAL[table]).items() if n > 1}
        assert doubled == set(), table


def test_every_reference_resolves() -> None:
    """Desks, staff, prices, templates and slots point at departments, items and doctors that exist."""
    departments = {d["code"] for d in HOSPITAL["departments"]} | {None}
    for table in ("desks", "staff", "price_list", "order_templates", "slots"):
        assert {row["department"] for row in HOSPITAL[table]} <= departments, table
    items = {p["item_code"] for p in HOSPITAL["price_list"]}
    assert {i["item_code"] for t in HOSPITAL["order_templates"] for i in t["items"]} <= items
    doctors = {s["login"] for s in HOSPITAL["staff"] if s["role"] == "doctor"}
    assert {s["doctor"] for s in HOSPITAL["slots"]} <= doctors


def test_prices_are_whole_fen_and_roles_complete() -> None:
    """Sixty items and more, each with a positive whole price and a class; every role has somebody."""
    assert len(HOSPITAL["price_list"]) >= 60
    assert all(type(p["unit_price_fen"]) is int and 0 < p["unit_price_fen"] < 100_000 for p in HOSPITAL["price_list"])
    assert {p["insurance_class"] for p in HOSPITAL["price_list"]} == {"A", "B", "C"}
    assert {s["role"] for s in HOSPITAL["staff"]} == {"doctor", "desk", "counter", "guide", "finance", "admin"}
    assert len({s["pin"] for s in HOSPITAL["staff"]}) == len(HOSPITAL["staff"])


def test_no_secret_stands_in_the_file() -> None:
    """Keys are made per installation; the file only says where."""
    his = HOSPITAL["his"]
    assert {k["secret"] for k in [*his["inbound_keys"], his["outbound_key"]]} == {"generate"}


def test_people_are_numbered_rightly_and_can_be_nobody() -> None:
    """Check digit, birth date and sex fit the number; the region 999901 does not exist; nothing is given twice."""
    numbered = [p for p in PEOPLE["people"] + PEOPLE["identities"] if p["id_number"]]
    assert len(numbered) >= 15
    for p in numbered:
        number = p["id_number"]
        digit = "10X98765432"[sum(int(d) * w for d, w in zip(number[:17], WEIGHTS, strict=True)) % 11]
        assert re.fullmatch(r"999901\d{11}[\dX]", number), p["name"]
        assert number[17] == digit, p["name"]
        assert number[6:14] == p["birth_date"].replace("-", ""), p["name"]
        assert (int(number[16]) % 2 == 1) == (p["sex"] == "M"), p["name"]
    for field in ("id_number", "phone", "openid", "patient_no", "key"):
        given = [p[field] for p in PEOPLE["people"] if p[field]]
        assert len(set(given)) == len(given), field


def test_rare_characters_survive_every_coding() -> None:
    """Names with 𠅤 (four bytes), 㛃 and 䶮 are there, and GB18030 takes them."""
    names = "".join(p["name"] for p in PEOPLE["people"])
    assert {"𠅤", "㛃", "䶮"} <= set(names)
    assert names.encode("gb18030").decode("gb18030") == names


def test_relations_name_people() -> None:
    """Every relation is between two people of the file, and the child of seven has a guardian."""
    keys = {p["key"] for p in PEOPLE["people"]}
    assert {r[side] for r in PEOPLE["relations"] for side in ("patient", "relative")} <= keys
    assert [r["relative"] for r in PEOPLE["relations"] if r["patient"] == "child" and r["guardian"]] == ["guardian"]
