"""A signed letter can be checked years later by anybody, and whatever was changed in it is named."""

import asyncio
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import delete, text, update
from typer.testing import CliRunner

from adapters import evidence_check
from adapters.evidence_check import examine, load_roots
from adapters.pdf_signer import PdfSigner, load_authority
from adapters.timestamp import Rfc3161, TimestampSettings
from consent import flows
from consent.events import ContractSealed
from consent.models import Contract, Evidence
from consent.rules import canonical, sha256
from consent.rules.bundle import UnreadableBundleError, finish, root_of
from consent.service import contracts, evidence
from houfu.cli import app
from people.models import Hospital
from people.rules import Role
from pwa.paper import Paper
from sandbox import timestamp as sandbox
from sandbox.keys import SandboxKeys
from tests.adapters.conftest import Servers
from tests.consent.conftest import House, a_house

ONE_BIT = 1


@dataclass
class Notary:
    """What seals papers, and what a stranger needs to trust them."""

    world: sandbox.World
    stamps: Rfc3161
    signer: PdfSigner
    roots: list[bytes]

    async def seal(self, house: House, contract_id: UUID) -> bool:
        """Run the job."""
        return await flows.seal(house.db, self.stamps, self.signer, Paper(), contract_id)


@dataclass(frozen=True)
class Papers:
    """The mother's signature on file, and whom a stranger has to trust for it."""

    pdf: bytes
    bundle: bytes
    roots: list[bytes]


@pytest.fixture
async def notary(world_keys: SandboxKeys, serving: Any, tmp_path: Path, house: House) -> AsyncIterator[Notary]:
    async with _a_notary(world_keys, serving, tmp_path, house) as made:
        yield made


@asynccontextmanager
async def _a_notary(keys: SandboxKeys, serving: Any, folder: Path, house: House) -> AsyncIterator[Notary]:
    world = sandbox.World(keys.timestamp, lambda: house.clock.time)
    async with serving(sandbox.build(world)) as base, _stamps(keys, base) as stamps:
        authority = load_authority(folder / "signing")
        roots = [authority.ca_pem, keys.timestamp.ca_cert.encode()]
        yield Notary(world, stamps, PdfSigner(authority, stamps.for_pdf()), roots)


def _stamps(keys: SandboxKeys, base: str) -> Rfc3161:
    return Rfc3161(TimestampSettings(**keys.client_timestamp(base + "/")))


@pytest.fixture(scope="module")
async def papers(
    module_database_url: str, world_keys: SandboxKeys, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Papers:
    """Signed and sealed once; who looks at them, or changes a copy, needs no house of their own."""
    folder = tmp_path_factory.mktemp("notary")
    async with a_house(module_database_url) as house, _a_notary(world_keys, servers.serving, folder, house) as notary:
        await house.credit(house.mother)
        contract_id = await house.signed(house.mother)
        assert await notary.seal(house, contract_id)
        async with house.db.begin() as tx:
            found = await contracts.papers(tx, contract_id)
        assert found is not None
        return Papers(*found, notary.roots)


async def parts_found(data: bytes, trusted: list[bytes]) -> list[str]:
    """Names of the parts that do not hold."""
    return [f.part for f in (await examine(data, load_roots(trusted))).findings]


async def test_papers_are_made_and_hold(house: House, notary: Notary) -> None:
    """The job signs and timestamps; PDF and bundle hold offline; without roots they are intact, but nobody's."""
    await house.credit(house.mother)
    contract_id = await house.signed(house.mother)
    heard: list[object] = []

    async def hear(tx: object, event: object) -> None:
        heard.append(event)

    house.db.subscribers = {ContractSealed: [hear]}
    assert await notary.seal(house, contract_id)
    assert await notary.seal(house, contract_id)
    assert heard == [ContractSealed(house.hospital, house.mother, contract_id)]
    async with house.db.begin() as tx:
        contract = await tx.get(Contract, contract_id)
        assert contract is not None
        assert (contract.state, contract.seal_at) == ("sealed", None)
        assert await evidence.audit(tx, house.hospital) == []
        found = await contracts.papers(tx, contract_id)
    assert found is not None
    for kind, data in zip(("pdf", "bundle"), found, strict=True):
        report = await examine(data, load_roots(notary.roots))
        assert (report.kind, report.findings, report.trusted) == (kind, [], True)
        assert report.facts["contract"] == str(contract_id)
        stranger = await examine(data, [])
        assert (stranger.findings, stranger.trusted) == ([], False)
        one_root = await examine(data, load_roots(notary.roots[:1]))
        assert (one_root.findings, one_root.trusted) == ([], False)


async def test_the_doctors_signature_is_in_the_papers(house: House, notary: Notary) -> None:
    """Countersigned: the doctor's link is bound by the seal, and changing the name shows."""
    async with house.db.begin() as tx:
        hospital = await tx.get(Hospital, house.hospital)
        assert hospital is not None
        hospital.settings = {"countersign": True}
    await house.credit(house.mother)
    contract_id = await house.signed(house.mother)
    assert not await notary.seal(house, contract_id)
    async with house.db.begin() as tx:
        await contracts.countersign(tx, house.staff(house.doctor, Role.DOCTOR), contract_id)
    assert await notary.seal(house, contract_id)
    async with house.db.begin() as tx:
        found = await contracts.papers(tx, contract_id)
    assert found is not None
    assert await parts_found(found[1], notary.roots) == []
    bundle = json.loads(found[1])
    bundle["doctor"]["body"]["name"] = "别人"
    assert "doctor" in await parts_found(canonical(bundle), notary.roots)


@pytest.mark.parametrize("misdeed", ["refuse", "error", "foreign", "broken"])
async def test_no_timestamp_no_papers_but_a_contract(house: House, notary: Notary, misdeed: str) -> None:
    """The authority does not help: nothing is kept, the contract carries, and the sweeper succeeds later."""
    await house.credit(house.mother)
    contract_id = await house.signed(house.mother)
    notary.world.do, notary.world.times = misdeed, 1
    assert not await notary.seal(house, contract_id)
    async with house.db.begin() as tx:
        contract = await tx.get(Contract, contract_id)
        assert contract is not None
        assert (contract.state, contract.sealed_at, contract.seal_tries) == ("signed", None, 1)
        assert await contracts.papers(tx, contract_id) is None
    sweep = (house.db, notary.stamps, notary.signer, Paper())
    assert await flows.seal_due(*sweep) == 0
    house.clock.move(timedelta(seconds=5))
    assert await flows.seal_due(*sweep) == 1
    assert await flows.seal_due(*sweep) == 0


CHANGES: list[tuple[tuple[str | int, ...], object, str]] = [
    (("parts", "letter", "regions", 0, "text"), "随便什么时候付都行。", "letter"),
    (("parts", "patient", "name"), "别人", "patient"),
    (("parts", "reading", "opened_at"), "2026-11-19T00:00:00+00:00", "reading"),
    (("parts", "reading", "needed", "told"), 1, "reading"),
    (("parts", "signer", "role"), "proxy", "signer"),
    (("parts", "signature", "strokes", "strokes", 0, 0, 0), 201, "signature"),
    (("parts", "place", "channel"), "KIOSK", "place"),
    (("hashes", "letter"), "0" * 64, "hashes"),
    (("chain", "seq"), 7, "chain"),
    (("chain", "previous"), "1" * 64, "chain"),
    (("root",), "0" * 64, "root"),
    (("seal", "timestamp_at"), "2026-11-20T01:00:00+00:00", "seal"),
    (("contract",), "00000000-0000-0000-0000-000000000000", "root"),
]


async def test_the_changed_part_is_named(papers: Papers) -> None:
    """Whoever changes one field is told which."""
    for path, value, part in CHANGES:
        bundle = json.loads(papers.bundle)
        place = bundle
        for step in path[:-1]:
            place = place[step]
        assert place[path[-1]] != value
        place[path[-1]] = value
        assert (path, (await parts_found(canonical(bundle), papers.roots))[0]) == (path, part)


async def test_a_forger_who_rehashes_everything(papers: Papers) -> None:
    """Somebody shortens the reading and computes every hash anew: the rule of reading and the seal both betray it."""
    bundle = json.loads(papers.bundle)
    seal = bundle.pop("seal")
    bundle.pop("checksum")
    parts = bundle["parts"]
    parts["reading"]["opened_at"] = parts["place"]["signed_at"]
    bundle["hashes"]["reading"] = sha256(parts["reading"])
    bundle["chain"]["body_sha256"] = sha256(parts)
    from consent.rules import link_sha256

    chain = bundle["chain"]
    chain["link"] = link_sha256(
        chain["hospital"], chain["seq"], chain["at"], chain["kind"], chain["body_sha256"], chain["previous"]
    )
    bundle["root"] = root_of(bundle)
    report = await examine(finish(bundle, seal), load_roots(papers.roots))
    assert [(f.part, f.what) for f in report.findings] == [
        ("reading", "signed after 0 s, before the reading time was served"),
        ("seal", "the signature does not fit the contents"),
    ]


async def test_every_flipped_byte_of_a_bundle_shows(papers: Papers) -> None:
    """One bit in each of 600 places, spread evenly: not one goes unseen."""
    data, roots = papers.bundle, load_roots(papers.roots)
    unseen = []
    for place in range(0, len(data), max(1, len(data) // 600)):
        changed = bytearray(data)
        changed[place] ^= ONE_BIT
        try:
            if not (await examine(bytes(changed), roots)).findings:
                unseen.append(place)
        except UnreadableBundleError:
            pass
    assert unseen == []


@pytest.mark.slow
async def test_flipped_bytes_of_a_pdf_show(papers: Papers, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit in 20 places of the whole file and in 20 of the signature: not one goes unseen, nothing crashes."""
    # Encoding a signature anew is most of a check, and is the same for all changes outside it.
    monkeypatch.setattr(evidence_check, "encoded", cache(evidence_check.encoded))
    data, roots = papers.pdf, load_roots(papers.roots)
    begin = data.rindex(b"/Contents <")
    end = data.index(b">", begin)
    pick = random.Random(7)
    places = [pick.randrange(len(data)) for _ in range(20)] + [pick.randrange(begin, end) for _ in range(20)]
    unseen = []
    for place in places:
        changed = bytearray(data)
        changed[place] ^= ONE_BIT
        try:
            if not (await examine(bytes(changed), roots)).findings:
                unseen.append((place, data[place - 20 : place + 20]))
        except UnreadableBundleError:
            pass
    assert unseen == []
    assert await parts_found(data + b"\n% more", papers.roots) != []
    assert await parts_found(data[:-20], papers.roots) != []


async def test_another_hospitals_authority_is_not_trusted(papers: Papers, tmp_path: Path) -> None:
    """With a foreign root everything is intact, but not proven."""
    foreign = load_authority(tmp_path / "foreign").ca_pem
    for data in (papers.pdf, papers.bundle):
        report = await examine(data, load_roots([foreign]))
        assert (report.findings, report.trusted) == ([], False)


async def test_keys_are_made_once_and_kept_private(tmp_path: Path) -> None:
    """The second start reads what the first made; nobody else may read the key."""
    folder = tmp_path / "signing"
    first, second = load_authority(folder), load_authority(folder)
    assert first.certificate == second.certificate
    assert first.chain[-1].public_bytes(Encoding.PEM) == (folder / "ca.pem").read_bytes()
    assert (folder / "signer.key").stat().st_mode & 0o777 == 0o600


# ---------------------------------------------------------------------------------------------------------- the chain


async def _three_links(house: House) -> None:
    await house.credit(house.mother)
    await house.signed(house.mother)
    async with house.db.begin() as tx:
        await contracts.withdraw(tx, house.person(house.mother), house.hospital, house.mother)


@pytest.mark.parametrize(
    ("harm", "seq", "what"),
    [
        (delete(Evidence).where(Evidence.seq == 2), 2, "missing"),
        (delete(Evidence).where(Evidence.seq == 3), 3, "the end was cut off"),
        (update(Evidence).where(Evidence.seq == 2).values(kind="withdrawn"), 2, "changed"),
        (update(Evidence).where(Evidence.seq == 2).values(at=Evidence.at - timedelta(hours=1)), 2, "changed"),
        (
            text("UPDATE evidence SET seq = CASE seq WHEN 1 THEN -2 ELSE -1 END WHERE seq < 3"),
            1,
            "does not follow the link before",
        ),
        (
            text("UPDATE evidence a SET body_sealed = b.body_sealed FROM evidence b WHERE a.seq = 2 AND b.seq = 1"),
            2,
            "body unreadable",
        ),
    ],
)
async def test_harm_to_the_chain_is_found(house: House, harm: object, seq: int, what: str) -> None:
    """Deleted, cut off, changed, swapped, moved: the walk names the first place that does not hold."""
    await _three_links(house)
    async with house.db.begin() as tx:
        assert await evidence.audit(tx, house.hospital) == []
        await tx.session.execute(harm)  # type: ignore[call-overload]
        await tx.session.execute(text("UPDATE evidence SET seq = -seq WHERE seq < 0"))
    async with house.db.begin() as tx:
        flaws = await evidence.audit(tx, house.hospital)
    assert (flaws[0].seq, flaws[0].what) == (seq, what)


async def test_an_exported_chain_is_checked_offline(house: House, notary: Notary) -> None:
    """The chain leaves the house without contents; a link taken out, swapped, changed or cut off is named."""
    await _three_links(house)
    async with house.db.begin() as tx:
        chain = await evidence.export(tx, house.hospital)
    assert await parts_found(canonical(chain), notary.roots) == []
    links = chain["links"]
    assert len(links) == 3
    assert (await parts_found(canonical({**chain, "links": [links[0], links[2]]}), notary.roots))[0] == "link 2"
    crossed = [links[1], links[0], links[2]]
    assert (await parts_found(canonical({**chain, "links": crossed}), notary.roots))[0] == "link 1"
    assert await parts_found(canonical({**chain, "links": links[:2]}), notary.roots) == ["head"]
    changed = [links[0], {**links[1], "kind": "refused"}, links[2]]
    assert await parts_found(canonical({**chain, "links": changed}), notary.roots) == ["link 2"]


async def test_the_command_a_court_expert_runs(papers: Papers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``houfu verify-consent FILE --root CA``: 0 when it holds, 1 and the part's name when it was changed."""
    monkeypatch.setenv("HOUFU_DATA_DIR", str(tmp_path / "elsewhere"))
    roots = tmp_path / "roots.pem"
    roots.write_bytes(b"".join(papers.roots))
    bundle = json.loads(papers.bundle)
    bundle["parts"]["patient"]["name"] = "别人"
    files = {
        "letter.pdf": papers.pdf,
        "letter.json": papers.bundle,
        "changed.json": canonical(bundle),
        "no.txt": b"hello",
    }
    ended = {}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        asked = ["verify-consent", str(tmp_path / name), "--root", str(roots)]
        ended[name] = await asyncio.to_thread(CliRunner().invoke, app, asked)
    assert {n: e.exit_code for n, e in ended.items()} == {
        "letter.pdf": 0,
        "letter.json": 0,
        "changed.json": 1,
        "no.txt": 1,
    }
    assert "intact" in ended["letter.pdf"].output
    assert "patient: its content does not match its hash" in ended["changed.json"].output
    alone = [sys.executable, "-m", "houfu.cli", "verify-consent", str(tmp_path / "letter.pdf")]
    done = await asyncio.to_thread(subprocess.run, alone, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")
    assert "nobody named as trusted" in done.stdout
