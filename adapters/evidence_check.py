"""Checks a signed letter or its evidence without asking anybody: signatures, timestamps, chain, reading time, strokes.

Everything is decided from the file and the roots given; nothing is fetched.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from asn1crypto import cms, pem
from asn1crypto.x509 import Certificate
from cryptography import x509 as crypto_x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import async_validate_pdf_signature
from pyhanko.sign.validation.generic_cms import validate_tst_signed_data
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.settings import KeyUsageConstraints
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import PathBuildingError, PathValidationError

from consent.rules.bundle import CHAIN_FORMAT, Finding, UnreadableBundleError, check, check_chain, parse

ATTACHMENT = "evidence.json"


@dataclass(slots=True)
class Report:
    """What a check found.

    Attributes:
        kind: pdf, bundle or chain.
        findings: what does not hold; empty means intact.
        trusted: every signature chains to a root that was given.
        facts: what the file says, for people: contract, hospital, letter, signer, times.
    """

    kind: str
    findings: list[Finding] = field(default_factory=list)
    trusted: bool = True
    facts: dict[str, str] = field(default_factory=dict)


def load_roots(texts: Sequence[bytes]) -> list[Certificate]:
    """Certificates (PEM, several in a file allowed, or DER).

    Raises:
        ValueError: no certificate in there.
    """
    roots = []
    for text in texts:
        if pem.detect(text):
            roots += [Certificate.load(der) for _, _, der in pem.unarmor(text, multiple=True)]
        else:
            roots.append(Certificate.load(text, strict=True))
    for root in roots:
        _ = root.subject.native  # asn1crypto parses late; a wrong file should be told now
    return roots


async def examine(data: bytes, roots: Sequence[Certificate]) -> Report:
    """Check a file, whatever it is.

    Args:
        roots: to be trusted; without any the file can be intact but not ``trusted``.

    Raises:
        UnreadableBundleError: it is neither a PDF nor one of our evidence files.
    """
    if data[:5] == b"%PDF-":
        return await _pdf(data, roots)
    bundle = parse(data)
    if bundle["format"] == CHAIN_FORMAT:
        return Report("chain", check_chain(data), facts={"links": str(len(bundle.get("links", [])))})
    report = Report("bundle", check(data), facts=_facts(bundle))
    await _seal(bundle, roots, report)
    return report


# ------------------------------------------------------------------------------------------------------------ bundle


async def _seal(bundle: dict[str, Any], roots: Sequence[Certificate], report: Report) -> None:
    try:
        seal, root = bundle["seal"], bytes.fromhex(bundle["root"])
        signature, der = (base64.b64decode(seal[n], validate=True) for n in ("signature", "certificate"))
        token = base64.b64decode(seal["timestamp"], validate=True)
        public = crypto_x509.load_der_x509_certificate(der).public_key()
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise ValueError("not an EC certificate")
        public.verify(signature, root, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        report.findings.append(Finding("seal", "the signature does not fit the contents"))
        return
    except Exception as error:  # a changed certificate can be broken in every way there is
        report.findings.append(Finding("seal", f"the signature cannot be read ({type(error).__name__})"))
        return
    moment = await _token(token, hashlib.sha256(signature).digest(), roots, report)
    if moment is None:
        return
    if seal.get("timestamp_at") != moment.isoformat():
        report.findings.append(Finding("timestamp", "the time written beside the timestamp is another"))
    report.facts["timestamp"] = moment.isoformat()
    await _chain_of_trust(Certificate.load(der), roots, moment, report)


async def _token(der: bytes, digest: bytes, roots: Sequence[Certificate], report: Report) -> datetime | None:
    """The checked time of an RFC 3161 token over a digest."""
    try:
        signed = cms.ContentInfo.load(der, strict=True)["content"]
        info = signed["encap_content_info"]["content"].parsed
        moment: datetime = info["gen_time"].native.astimezone(UTC)
        if _odd(signed):
            report.findings.append(Finding("timestamp", "its envelope was changed"))
            return None
        if info["message_imprint"]["hashed_message"].native != digest:
            report.findings.append(Finding("timestamp", "it was made over something else"))
            return None
        # Without a root the token's own certificate stands in: intact can still be told from changed.
        trust = list(roots) or [c.chosen for c in signed["certificates"]]
        status = await validate_tst_signed_data(signed, _context(trust, moment), lambda _: digest)
    except Exception as error:
        report.findings.append(Finding("timestamp", f"it cannot be read ({type(error).__name__})"))
        return None
    if not (status["intact"] and status["valid"]):
        report.findings.append(Finding("timestamp", "its signature does not hold"))
        return None
    if not roots or status.get("trust_problem_indic") is not None:
        report.trusted = False
    return moment


def _context(roots: Sequence[Certificate], moment: datetime) -> ValidationContext:
    return ValidationContext(trust_roots=list(roots), allow_fetching=False, moment=moment)


async def _chain_of_trust(
    certificate: Certificate, roots: Sequence[Certificate], moment: datetime, report: Report
) -> None:
    try:
        validator = CertificateValidator(certificate, validation_context=_context(roots, moment))
        await validator.async_validate_usage({"digital_signature"})  # type: ignore[no-untyped-call]
    except (PathBuildingError, PathValidationError):
        report.trusted = False
    except Exception as error:  # asn1crypto reads late: a broken certificate shows only here
        report.findings.append(Finding("seal", f"the certificate cannot be read ({type(error).__name__})"))


def _odd(signed: cms.SignedData) -> bool:
    """Whether a signature's own envelope, which no signature covers, differs from how it was written.

    A change there cannot forge anything, but a file that promises to betray every change should betray this one too.
    """
    known = {(c.chosen.issuer.dump(), c.chosen.serial_number) for c in signed["certificates"]}
    plain = {"algorithm": "sha256", "parameters": None}
    for info in signed["signer_infos"]:
        sid = info["sid"].chosen
        if (sid["issuer"].dump(), sid["serial_number"].native) not in known:
            return True
        if info["version"].native != "v1" or dict(info["digest_algorithm"].native) != plain:
            return True
        if info["signature_algorithm"]["parameters"].native is not None:
            return True
    for certificate in signed["certificates"]:
        inner = certificate.chosen["tbs_certificate"]["signature"].dump()
        if certificate.chosen["signature_algorithm"].dump() != inner:
            return True
    algorithms = [dict(a.native) for a in signed["digest_algorithms"]]
    return algorithms != [plain] or signed["version"].native not in ("v1", "v3")


# --------------------------------------------------------------------------------------------------------------- PDF


async def _pdf(data: bytes, roots: Sequence[Certificate]) -> Report:
    report = Report("pdf")
    try:
        reader = PdfFileReader(BytesIO(data))
        signatures = list(reader.embedded_signatures)
    except Exception as error:  # a changed byte can break a PDF in every way there is
        report.findings.append(Finding("document", f"the PDF cannot be read any more ({type(error).__name__})"))
        return report
    if len(signatures) != 1:
        report.findings.append(Finding("signature", f"{len(signatures)} signatures where one belongs"))
        return report
    await _pdf_signature(data, signatures[0], roots, report)
    try:
        attached = _attachment(reader)
        bundle = parse(attached)
    except UnreadableBundleError as error:
        report.findings.append(Finding("evidence", str(error)))
        return report
    except Exception as error:
        report.findings.append(Finding("evidence", f"the attached evidence cannot be read ({type(error).__name__})"))
        return report
    report.facts.update(_facts(bundle))
    report.findings += [Finding(f"evidence: {f.part}", f.what) for f in check(attached)]
    await _seal(bundle, roots, report)
    return report


def encoded(contents: bytes) -> bytes:
    """A signature as it is written anew, without the zeros that fill the room reserved for it."""
    whole: bytes = cms.ContentInfo.load(contents).dump(force=True)
    return whole


async def _pdf_signature(
    data: bytes, embedded: EmbeddedPdfSignature, roots: Sequence[Certificate], report: Report
) -> None:
    try:
        contents = bytes(embedded.pkcs7_content)
        start, length, resume, _ = (int(n) for n in embedded.byte_range)
        gap = data[start + length : resume]
        whole = encoded(contents)
        if gap.upper() != b"<" + whole.hex().upper().encode().ljust(len(gap) - 2, b"0") + b">" or gap != gap.upper():
            report.findings.append(Finding("signature", "the signature itself was changed"))
        if _odd(embedded.signed_data):
            report.findings.append(Finding("signature", "its envelope was changed"))
        embedded.compute_integrity_info()  # type: ignore[no-untyped-call]
        if embedded.evaluate_signature_coverage() is not SignatureCoverageLevel.ENTIRE_FILE:
            report.findings.append(Finding("document", "something was added after signing"))
        signature = embedded.signer_info["signature"].native
        stamps = [
            value.dump()
            for attribute in embedded.signer_info["unsigned_attrs"]
            if attribute["type"].native == "signature_time_stamp_token"
            for value in attribute["values"]
        ]
        moment = None
        if len(stamps) != 1:
            report.findings.append(Finding("timestamp", "the signature carries no timestamp"))
        else:
            moment = await _token(stamps[0], hashlib.sha256(signature).digest(), roots, report)
        if moment is None:
            return
        context = _context(roots or [embedded.signer_cert], moment)
        usage = KeyUsageConstraints(key_usage={"non_repudiation"})
        status = await async_validate_pdf_signature(embedded, context, context, key_usage_settings=usage)
        if not status.intact:
            report.findings.append(Finding("document", "a page, or something else in the PDF, was changed"))
        elif not status.valid:
            report.findings.append(Finding("signature", "the signature does not hold"))
        if not roots or not status.trusted:
            report.trusted = False
        report.facts["timestamp"] = moment.isoformat()
    except Exception as error:
        report.findings.append(Finding("signature", f"the signature cannot be read ({type(error).__name__})"))


def _attachment(reader: PdfFileReader) -> bytes:
    names = reader.root["/Names"]["/EmbeddedFiles"]["/Names"]
    for place in range(0, len(names), 2):
        held = names[place + 1]["/EF"]["/F"]
        data: bytes = held.data
        return data
    raise UnreadableBundleError("no evidence is attached")


def _facts(bundle: dict[str, Any]) -> dict[str, str]:
    try:
        parts = bundle["parts"]
        return {
            "contract": str(bundle["contract"]),
            "hospital": str(parts["place"]["hospital"]["name"]),
            "letter": f"{parts['letter']['title']} {parts['letter']['label']}",
            "patient": str(parts["patient"]["shown"]["name"]),
            "signer": f"{parts['signer']['name']} ({parts['signer']['role']})",
            "method": str(parts["signature"]["method"]),
            "signed": str(parts["place"]["signed_at"]),
            "reading": f"opened {parts['reading']['opened_at']}, {sum(parts['reading']['needed'].values())} s asked",
            "chain": f"link {bundle['chain']['seq']} of hospital {parts['place']['hospital']['code']}",
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}
