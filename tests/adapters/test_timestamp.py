"""Our RFC 3161 client against the sandbox's authority."""

import asyncio
import hashlib
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from asn1crypto import cms

from adapters.timestamp import Rfc3161, TimestampSettings
from kernel.outside import Guard, NotConfigured, Rejected, Unknown
from sandbox import timestamp as sandbox
from sandbox.keys import SandboxKeys, fresh

LETTER = "住院前先看病，看完再付".encode()
DIGEST = hashlib.sha256(LETTER).digest()


@dataclass
class Authority:
    """Both ends."""

    world: sandbox.World
    client: Rfc3161
    settings: TimestampSettings
    base: str

    async def behave(self, do: str, times: int = 1) -> None:
        async with httpx.AsyncClient(base_url=self.base, trust_env=False) as http:
            assert (await http.post("/control/behave", json={"do": do, "times": times})).status_code == 200


@pytest.fixture
async def authority(world_keys: SandboxKeys, clock: Any, serving: Any) -> AsyncIterator[Authority]:
    world = sandbox.World(world_keys.timestamp, clock, silence=3)
    async with serving(sandbox.build(world)) as base:
        settings = TimestampSettings(**world_keys.client_timestamp(base + "/"))
        async with Rfc3161(settings, Guard("timestamp", deadline=5), timeout=(2, 2)) as client:
            yield Authority(world, client, settings, base)


async def test_a_digest_gets_its_time(authority: Authority, clock: Any) -> None:
    """The token holds our digest and the world's time; the next one has another serial."""
    clock.move(hours=5)
    token = await authority.client.token(DIGEST)
    assert abs(clock() - token.at) < timedelta(seconds=5)
    info = cms.ContentInfo.load(token.der)["content"]["encap_content_info"]["content"].parsed
    assert info["message_imprint"]["hashed_message"].native == DIGEST
    assert (await authority.client.token(DIGEST)).serial != token.serial


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl command")
async def test_openssl_agrees(authority: Authority, tmp_path: Path) -> None:
    """A stranger's tool verifies the token over the text and refuses it over a changed text."""
    token = await authority.client.token(DIGEST)
    (tmp_path / "token.der").write_bytes(token.der)
    (tmp_path / "ca.pem").write_text(authority.settings.ca_cert)
    verify = ["openssl", "ts", "-verify", "-data", "letter", "-in", "token.der", "-token_in", "-CAfile", "ca.pem"]
    results = []
    for text in (LETTER, LETTER + b"."):
        (tmp_path / "letter").write_bytes(text)
        results.append(await asyncio.to_thread(subprocess.run, verify, cwd=tmp_path, capture_output=True, check=False))
    assert [done.returncode for done in results] == [0, 1]


@pytest.mark.parametrize(
    ("do", "why"),
    [
        ("refuse", "TSA_REJECTION: refused"),
        ("imprint", "BAD_TOKEN: imprint"),
        ("nonce", "BAD_TOKEN: nonce"),
        ("foreign", "BAD_TOKEN: signature or chain"),
        ("broken", "BAD_TOKEN: signature or chain"),
        ("garbage", "BAD_TOKEN: unreadable: ValueError"),
    ],
)
async def test_a_bad_token_is_refused(authority: Authority, do: str, why: str) -> None:
    """Refusal, another digest, another nonce, an unknown authority, a broken signature, nonsense: rejected each."""
    await authority.behave(do)
    with pytest.raises(Rejected) as no:
        await authority.client.token(DIGEST)
    assert str(no.value) == why
    assert (await authority.client.token(DIGEST)).der


@pytest.mark.parametrize("do", ["error", "silent"])
async def test_no_answer_is_unknown(authority: Authority, do: str) -> None:
    """500 or silence: unknown, and asking again is harmless."""
    await authority.behave(do)
    with pytest.raises(Unknown):
        await authority.client.token(DIGEST)
    assert (await authority.client.token(DIGEST)).der


async def test_the_ca_must_be_ours(authority: Authority) -> None:
    """With another hospital's CA in the settings the same authority is not believed."""
    other = replace(authority.settings, ca_cert=fresh().timestamp.ca_cert)
    async with Rfc3161(other) as client:
        with pytest.raises(Rejected, match="signature or chain"):
            await client.token(DIGEST)


async def test_the_pdf_signer_gets_the_same_tokens(authority: Authority) -> None:
    """pyHanko's interface returns a checked token, and only over SHA-256."""
    stamper = authority.client.for_pdf()
    token = await stamper.async_timestamp(DIGEST, "sha256")
    assert token["content_type"].native == "signed_data"
    with pytest.raises(ValueError, match="sha512"):
        await stamper.async_timestamp(bytes(64), "sha512")


async def test_nothing_is_sent_without_an_authority(authority: Authority) -> None:
    """A missing setting is named; a digest of the wrong length is a mistake of ours."""
    with pytest.raises(NotConfigured):
        Rfc3161(replace(authority.settings, url=""))
    with pytest.raises(ValueError, match="SHA-256"):
        await authority.client.token(b"short")
    assert authority.world.issued == 0
