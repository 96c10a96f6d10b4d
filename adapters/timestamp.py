"""A trusted clock's signature under a document: asks a time stamping authority (RFC 3161) and checks what it sends.

The token is believed only when the status is granted, the nonce is ours, the imprint is the digest we sent, and the
signature chains to the CA of the settings with the time stamping usage.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC
from types import TracebackType
from typing import Any, ClassVar, Self

import httpx
from asn1crypto import algos, cms, core, pem, tsp, x509
from pyhanko.sign.timestamps import TimeStamper
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko_certvalidator import ValidationContext

from consent.ports import TimestampToken
from kernel.outside import Guard, NotConfigured, Rejected, Throttled, Unknown

_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class TimestampSettings:
    """The authority's address and the CA (PEM) its certificate must chain to."""

    url: str
    ca_cert: str


class _Reply(core.Sequence):  # type: ignore[misc]
    # asn1crypto's own class demands a token even where the authority refuses.
    _fields: ClassVar[list[Any]] = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


class Rfc3161:
    """``consent.ports.Timestamps``; use inside ``async with``.

    Raises:
        NotConfigured: no address or no CA.
    """

    def __init__(
        self, settings: TimestampSettings, guard: Guard | None = None, timeout: tuple[float, float] = (3, 5)
    ) -> None:
        if not settings.url or not settings.ca_cert:
            raise NotConfigured("timestamp.url" if not settings.url else "timestamp.ca_cert")
        self._url = settings.url
        self._root = x509.Certificate.load(pem.unarmor(settings.ca_cert.encode())[2])
        self._guard = guard or Guard("timestamp", places=4)
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(timeout[1], connect=timeout[0]))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def token(self, digest: bytes) -> TimestampToken:
        """Have a SHA-256 digest timestamped. See ``consent.ports.Timestamps.token``."""
        if len(digest) != 32:
            raise ValueError("not a SHA-256 digest")
        nonce = secrets.randbits(63)
        asked = tsp.TimeStampReq(
            {
                "version": 1,
                "message_imprint": {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest},
                "nonce": nonce,
                "cert_req": True,
            }
        ).dump()
        raw = await self._guard.call(lambda: self._post(asked))
        return await self._checked(raw, digest, nonce)

    def for_pdf(self) -> TimeStamper:
        """The same authority as pyHanko's signers want it (``PdfSigner(timestamper=…)``)."""
        return _PdfStamper(self)

    async def _post(self, asked: bytes) -> bytes:
        try:
            answer = await self._http.post(self._url, content=asked, headers={"Content-Type": _QUERY, "Accept": _REPLY})
        except httpx.HTTPError as error:
            raise Unknown(type(error).__name__) from None
        if answer.status_code == 429:
            raise Throttled("HTTP 429")
        if answer.status_code >= 500:
            raise Unknown(f"HTTP {answer.status_code}")
        if answer.status_code != 200:
            raise Rejected(f"HTTP_{answer.status_code}")
        if answer.headers.get("content-type", "").partition(";")[0] != _REPLY or len(answer.content) > _MAX_BYTES:
            raise Unknown("not a timestamp reply")
        return answer.content

    async def _checked(self, raw: bytes, digest: bytes, nonce: int) -> TimestampToken:
        try:
            reply = _Reply.load(raw, strict=True)
            status = reply["status"]["status"].native
            if status not in ("granted", "granted_with_mods"):
                raise Rejected(f"TSA_{status.upper()}", "; ".join(reply["status"]["status_string"].native or []))
            signed = reply["time_stamp_token"]["content"]
            info = signed["encap_content_info"]["content"].parsed
            if info["nonce"].native != nonce:
                raise Rejected("BAD_TOKEN", "nonce")
            imprint = info["message_imprint"]
            if (imprint["hash_algorithm"]["algorithm"].native, imprint["hashed_message"].native) != ("sha256", digest):
                raise Rejected("BAD_TOKEN", "imprint")
            trusted = await validate_tst_signed_data(
                signed, ValidationContext(trust_roots=[self._root], allow_fetching=False), lambda _: digest
            )
            if not (trusted["intact"] and trusted["valid"] and trusted.get("trust_problem_indic") is None):
                raise Rejected("BAD_TOKEN", "signature or chain")
            at = info["gen_time"].native.astimezone(UTC)
            return TimestampToken(reply["time_stamp_token"].dump(), at, info["serial_number"].native)
        except (ValueError, TypeError, KeyError, AttributeError, SignatureValidationError) as error:
            raise Rejected("BAD_TOKEN", f"unreadable: {type(error).__name__}") from None


class _PdfStamper(TimeStamper):
    """Puts our checked tokens where pyHanko expects its own client."""

    def __init__(self, client: Rfc3161) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._client = client

    async def async_timestamp(self, message_digest: bytes, md_algorithm: str) -> cms.ContentInfo:
        """A token over a digest (SHA-256 only)."""
        if algos.DigestAlgorithmId(md_algorithm).native != "sha256":
            raise ValueError(f"timestamps are made over SHA-256, not {md_algorithm}")
        return cms.ContentInfo.load((await self._client.token(message_digest)).der)
