"""The demo's people and prices as the insurance knows them, so that it settles what the hospital's system estimated.

Close relatives count as family account (亲情账户) and share their personal account (共济); friends do neither.
"""

from collections.abc import Mapping
from typing import Any

from sandbox.insurance.books import Person
from sandbox.insurance.rules import Rules

SCHEMES = {"employee": "310", "resident": "390"}
CLOSE = ("child", "parent", "spouse")


def people(file: Mapping[str, Any], relatives_have: int = 3000) -> list[Person]:
    """Everybody of ``people.json`` who has an identity number.

    Args:
        relatives_have: fen on the account of somebody the file gives no insurance: relatives, not patients.
    """
    close: dict[str, list[str]] = {}
    numbers = {one["key"]: one["id_number"] for one in file["people"]}
    for tie in file["relations"]:
        number = numbers[tie["relative"]]
        if tie["kind"] in CLOSE and number:
            close.setdefault(tie["patient"], []).append(number)
    found = []
    for one in file["people"]:
        if not one["id_number"]:
            continue
        told = one["insurance"] or {"status": "normal", "scheme": "employee", "account_fen": relatives_have}
        scheme = SCHEMES.get(told["scheme"] or "") if told["status"] == "normal" else None
        relatives = tuple(close.get(one["key"], ()))
        openid = one["openid"] or ""
        found.append(Person(one["name"], one["id_number"], openid, scheme, told["account_fen"], relatives, relatives))
    return found


def rules(hospital: Mapping[str, Any]) -> Rules:
    """The percentages and classes of a hospital file (``docs/hospital-file.md``)."""
    percent = hospital["hospital"]["settings"]["insurance"]["fund_percent"]
    return Rules(
        percent={SCHEMES[scheme]: dict(classes) for scheme, classes in percent.items()},
        classes={row["item_code"]: row["insurance_class"] for row in hospital["price_list"]},
    )
