"""A hospital comes from its file: whole or not at all, and the same again when loaded again."""

from typing import Any

import pytest
from sqlalchemy import func, select

from kernel.db import Database
from kernel.errors import NotFoundError
from people.models import Department, HisKey, Staff
from people.service import hospitals
from people.service.pins import is_pin


async def test_loading_twice_changes_nothing(db: Database, document: dict[str, Any]) -> None:
    """The demo's file is loaded on every start: keys and PINs of the first time stay, nothing is doubled."""
    async with db.begin() as tx:
        first = await hospitals.load(tx, document)
        shown = dict(hospitals.fresh_secrets(tx))
        keys = await hospitals.keys_of(tx, first.id)
    machines = ["HF01-F01", "HF01-K01", "HF01-W01-scan", "HF01-W02-scan"]
    assert sorted(shown) == [*machines[:2], *machines[2:], "HF01-in-1", "HF01-out-1"]
    assert keys == {name: secret for name, secret in shown.items() if name not in machines}
    async with db.begin() as tx:
        again = await hospitals.load(tx, document)
        assert (again.id, dict(hospitals.fresh_secrets(tx))) == (first.id, {})
        assert await hospitals.keys_of(tx, first.id) == keys
        assert await hospitals.his_access(tx, again) == (
            "http://127.0.0.1:8091",
            "HF01-out-1",
            keys["HF01-out-1"],
        )
        assert await tx.session.scalar(select(func.count()).select_from(Department)) == 36
        staff = await tx.session.scalar(select(Staff).where(Staff.login == "c.cash"))
        assert staff is not None
        assert is_pin("003895", staff.pin_hash)
        assert not is_pin("003896", staff.pin_hash)


async def test_settings_and_places_are_found(db: Database, hospital: hospitals.Hospital) -> None:
    """The file's own names of settings become the product's; its extra keys do no harm."""
    async with db.begin() as tx:
        found = await hospitals.by_code(tx, "HF01")
        settings = hospitals.settings_of(found)
        assert settings.due_hours == 24
        assert settings.hidden_categories == ("gynaecology", "psychiatry", "infection")
        assert hospitals.helpline_of(found) == "0990-5550101"
        gyne = await hospitals.department(tx, found.id, "GYNE")
        assert gyne is not None
        assert (gyne.name, gyne.sensitive) == ("妇科门诊", "gynaecology")
        assert await hospitals.department(tx, found.id, "NOPE") is None
        assert len(await hospitals.departments(tx, found.id)) == 36
        assert [h.code for h in await hospitals.everyone(tx)] == ["HF01"]
        catalogue = await hospitals.catalogue(tx, found.id)
        assert sorted(catalogue) == ["departments", "desks", "order_templates", "price_list", "slots"]
        with pytest.raises(NotFoundError):
            await hospitals.by_code(tx, "HF02")


async def test_two_inbound_keys_are_valid_until_one_leaves_the_file(db: Database, document: dict[str, Any]) -> None:
    """A key is changed without a gap: the new one beside the old one, then the old one leaves and is refused."""
    async with db.begin() as tx:
        await hospitals.load(tx, document)
    document["his"]["inbound_keys"].append({"id": "HF01-in-2", "secret": "a new secret"})
    async with db.begin() as tx:
        loaded = await hospitals.load(tx, document)
    async with db.begin() as tx:
        old, new = await hospitals.his_key(tx, "HF01-in-1"), await hospitals.his_key(tx, "HF01-in-2")
        assert old is not None
        assert new is not None
        assert (new[0].hospital.id, new[1]) == (loaded.id, "a new secret")
        assert await hospitals.his_key(tx, "HF01-out-1") is None, "our own key opens nothing inbound"
    del document["his"]["inbound_keys"][0]
    async with db.begin() as tx:
        await hospitals.load(tx, document)
    async with db.begin() as tx:
        assert await hospitals.his_key(tx, "HF01-in-1") is None
        assert await hospitals.his_key(tx, "HF01-in-2") is not None
        assert await tx.session.scalar(select(func.count()).select_from(HisKey)) == 3, "switched off, not deleted"


async def test_what_leaves_the_file_is_switched_off(db: Database, document: dict[str, Any]) -> None:
    """A department closes: old orders still find its name, lists no longer show it."""
    async with db.begin() as tx:
        loaded = await hospitals.load(tx, document)
    document["departments"].append({**document["departments"][0], "code": "NEW", "name": "新科室"})
    async with db.begin() as tx:
        await hospitals.load(tx, document)
    document["departments"].pop()
    async with db.begin() as tx:
        await hospitals.load(tx, document)
    async with db.begin() as tx:
        gone = await hospitals.department(tx, loaded.id, "NEW")
        assert gone is not None
        assert not gone.active
        assert "NEW" not in {d.code for d in await hospitals.departments(tx, loaded.id)}


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("hospital", "colour"), "green", "hospital.colour"),
        (("hospital", "settings", "due_hours"), 0, "hospital.settings.due_hours"),
        (("hospital", "settings", "care", "wheelchair_desk"), "NOWHERE", "hospital.settings.care.0.wheelchair_desk"),
        (("staff", 3, "department"), "NOPE", "staff.3.department"),
        (("price_list", 5, "item_code"), "R000", "price_list.5.item_code"),
        (("order_templates", 1, "items", 0, "item_code"), "X9", "order_templates.1.items.0.item_code"),
        (("departments", 2, "sensitive"), "secret", "departments.2.sensitive"),
        (("his", "base_url"), "ftp://his", "his.base_url"),
    ],
)
async def test_a_wrong_row_is_named_and_nothing_is_loaded(
    db: Database, document: dict[str, Any], path: tuple[str | int, ...], value: object, where: str
) -> None:
    """Somebody mistypes one row of the file: it is named, and the hospital does not half exist."""
    place: Any = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    with pytest.raises(hospitals.HospitalFileError) as refused:
        async with db.begin() as tx:
            await hospitals.load(tx, document)
    assert refused.value.where == where
    async with db.begin() as tx:
        assert await hospitals.everyone(tx) == []
