"""The hospital side's own certificate: signs evidence and letters, so that any later change shows.

``load_authority(folder)`` makes a small certificate authority and one signing certificate on first start (EC P-256,
files readable by nobody else); ``ca.pem`` is what a court's expert is given. A hospital with a certificate of a public
CA puts ``signer.pem`` and ``signer.key`` there instead.
"""

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.registry import SimpleCertificateStore

from kernel.clock import wall_clock
from kernel.outside import NotConfigured

FIELD = "HoufuSignature"
_LIFE = timedelta(days=20 * 365)
_BEFORE = timedelta(days=400)  # wide on the early side too: demos and rehearsals move the clock


@dataclass(frozen=True, slots=True)
class Authority:
    """The signing key and its certificates; ``chain`` holds what stands between signer and root (root included)."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    chain: Sequence[x509.Certificate]

    @property
    def ca_pem(self) -> bytes:
        """The root to be trusted by whoever verifies."""
        return self.chain[-1].public_bytes(serialization.Encoding.PEM)


def load_authority(folder: Path) -> Authority:
    """Read the signing folder, or fill it on first use.

    Raises:
        ValueError: a file there cannot be read as what it should be.
    """
    if not (folder / "signer.key").exists():
        _fill(folder)
    key = serialization.load_pem_private_key((folder / "signer.key").read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("signer.key must be an EC key (P-256)")
    certificates = x509.load_pem_x509_certificates((folder / "signer.pem").read_bytes())
    roots = x509.load_pem_x509_certificates((folder / "ca.pem").read_bytes())
    return Authority(key, certificates[0], [*certificates[1:], *roots])


def _fill(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    mark = secrets.token_hex(4)
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Houfu letters CA {mark}")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Houfu letters {mark}")])
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    signer = (
        _certificate(name, ca_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    # The key of the CA is not kept: nobody can issue another signer under this root, and a new pair is made instead.
    _write(folder / "ca.pem", ca.public_bytes(pem))
    _write(folder / "signer.pem", signer.public_bytes(pem))
    # Last: its presence says that the folder is complete.
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(folder / "signer.key", plain)


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
    fresh.replace(path)


def _certificate(subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = wall_clock()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + _LIFE)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=not signs_certificates,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


class PdfSigner:
    """``consent.ports.DocumentSigner`` with pyHanko.

    Args:
        authority: key and certificates.
        stamper: the time stamping authority (``adapters.timestamp.Rfc3161.for_pdf``); ``None`` refuses to sign PDFs.
    """

    def __init__(self, authority: Authority, stamper: TimeStamper | None) -> None:
        self._authority, self._stamper = authority, stamper
        der = authority.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        registry = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        for certificate in authority.chain[:-1]:
            registry.register(_asn1(certificate))
        self._signer = signers.SimpleSigner(
            signing_cert=_asn1(authority.certificate),
            signing_key=asn1_keys.PrivateKeyInfo.load(der),
            cert_registry=registry,
            embed_roots=False,
        )

    def sign(self, data: bytes) -> bytes:
        """ECDSA over SHA-256, DER. See ``consent.ports.DocumentSigner.sign``."""
        return self._authority.key.sign(data, ec.ECDSA(hashes.SHA256()))

    def certificate(self) -> bytes:
        """DER. See ``consent.ports.DocumentSigner.certificate``."""
        return self._authority.certificate.public_bytes(serialization.Encoding.DER)

    async def sign_pdf(self, pdf: bytes, at: datetime) -> bytes:
        """PAdES with timestamp over the whole file. See ``consent.ports.DocumentSigner.sign_pdf``."""
        if self._stamper is None:
            raise NotConfigured("timestamp.url")
        meta = signers.PdfSignatureMetadata(
            field_name=FIELD,
            md_algorithm="sha256",
            subfilter=fields.SigSeedSubFilter.PADES,
            reason="signed letter",
            certify=True,
            docmdp_permissions=fields.MDPPerm.NO_CHANGES,
        )
        writer = IncrementalPdfFileWriter(BytesIO(pdf))
        out = await signers.async_sign_pdf(writer, meta, self._signer, timestamper=self._stamper, output=BytesIO())
        signed: bytes = out.getvalue()
        return signed


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
