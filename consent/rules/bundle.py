"""The evidence of one signature as one JSON text, made so that anybody can check it years later without us.

``parts`` say what happened, ``hashes`` name each part, ``chain`` is the place in the hospital's chain, ``root`` binds
all that and is what ``seal`` signs and timestamps. ``checksum`` covers the whole file. Only whole numbers and texts.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from consent.rules import TIMED, canonical, letter_sha256, link_sha256, needed_seconds, sha256

FORMAT = "houfu-consent/1"
CHAIN_FORMAT = "houfu-consent-chain/1"
PARTS = ("letter", "patient", "reading", "signer", "signature", "place")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not hold: ``part`` is where, ``what`` is plain English."""

    part: str
    what: str


class UnreadableBundleError(Exception):
    """The file is no bundle at all."""


def svg(signature: Mapping[str, Any]) -> str:
    """The picture of a signature by finger, always the same for the same strokes."""
    strokes = signature["strokes"]
    paths = "".join(
        f'<path d="M{" L".join(f"{p[0]} {p[1]}" for p in line)}{" l0 0" if len(line) == 1 else ""}"/>'
        for line in strokes["strokes"]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {strokes["width"] * 10} {strokes["height"] * 10}" '
        f'fill="none" stroke="#111" stroke-width="24" stroke-linecap="round" stroke-linejoin="round">{paths}</svg>'
    )


def as_read(parts: Mapping[str, Any]) -> list[dict[str, str]]:
    """The regions with the patient's own data filled in, as they stood on the screen."""
    shown = parts["patient"]["shown"]
    regions = []
    for region in parts["letter"]["regions"]:
        text = region["text"]
        for name, value in shown.items():
            text = text.replace("{" + name + "}", value)
        regions.append({**region, "text": text})
    return regions


def root_of(bundle: Mapping[str, Any]) -> str:
    """The digest that binds format, contract, hashes, chain and the doctor's signature."""
    return sha256({k: bundle[k] for k in ("format", "contract", "hashes", "chain", "doctor")})


def build(
    contract: str, parts: Mapping[str, Any], chain: Mapping[str, Any], doctor: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A bundle without its seal.

    Args:
        parts: the body of the chain's link ``signed``.
        chain: the link: hospital, seq, at, kind, body_sha256, previous, link.
        doctor: ``{"body": …, "chain": …}`` of the link ``countersigned``.
    """
    bundle: dict[str, Any] = {
        "format": FORMAT,
        "contract": contract,
        "parts": dict(parts),
        "hashes": {name: sha256(part) for name, part in parts.items()},
        "chain": dict(chain),
        "doctor": None if doctor is None else dict(doctor),
    }
    bundle["root"] = root_of(bundle)
    return bundle


def finish(bundle: Mapping[str, Any], seal: Mapping[str, str]) -> bytes:
    """The file: the bundle with its seal and checksum, in canonical form.

    Args:
        seal: base64 of ``signature`` (of root), ``certificate``, ``timestamp`` (of the signature), ``timestamp_at``.
    """
    whole = {**bundle, "seal": dict(seal)}
    return canonical({**whole, "checksum": sha256(whole)})


def parse(data: bytes) -> dict[str, Any]:
    """Read a file.

    Raises:
        UnreadableBundleError: no JSON, or not one of ours.
    """
    try:
        bundle = json.loads(data)
        if not isinstance(bundle, dict) or bundle.get("format") not in (FORMAT, CHAIN_FORMAT):
            raise UnreadableBundleError("not an evidence file of this service")
    except (ValueError, RecursionError):
        raise UnreadableBundleError("not readable as JSON") from None
    return bundle


def check(data: bytes) -> list[Finding]:
    """Everything that can be said without keys: parts against their hashes, chain, reading time, strokes.

    Raises:
        UnreadableBundleError: the file is no bundle at all.
    """
    bundle = parse(data)
    try:
        found = [*_hashes(bundle), *_letter(bundle), *_reading(bundle), *_signature(bundle), *_chain(bundle)]
        if not found and root_of(bundle) != bundle["root"]:
            found.append(Finding("root", "the hash that binds all parts was changed"))
        whole = {k: v for k, v in bundle.items() if k != "checksum"}
        if not found and (sha256(whole) != bundle["checksum"] or canonical(bundle) != data):
            part = "seal" if root_of(bundle) == bundle["root"] else "file"
            found.append(Finding(part, "the file was changed outside the hashed parts"))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        return [Finding("file", f"a field is missing or of the wrong form ({type(error).__name__}: {error})")]
    return found


def _hashes(bundle: Mapping[str, Any]) -> list[Finding]:
    parts, hashes = bundle["parts"], bundle["hashes"]
    found = [Finding(n, "this part is missing") for n in PARTS if n not in parts]
    found += [Finding(n, "this part does not belong here") for n in parts if n not in PARTS]
    wrong = [n for n in PARTS if n in parts and sha256(parts[n]) != hashes.get(n)]
    body_holds = sha256(parts) == bundle["chain"]["body_sha256"]
    if wrong and body_holds:  # the parts are as they were linked: somebody touched the list of hashes
        return [*found, Finding("hashes", f"the listed hash of '{wrong[0]}' was changed")]
    return [*found, *(Finding(n, "its content does not match its hash: it was changed") for n in wrong)]


def _letter(bundle: Mapping[str, Any]) -> list[Finding]:
    letter = bundle["parts"]["letter"]
    if letter_sha256(letter["title"], letter["label"], letter["regions"]) != letter["sha256"]:
        return [Finding("letter", "the text does not match the hash of its version")]
    return []


def _reading(bundle: Mapping[str, Any]) -> list[Finding]:
    parts = bundle["parts"]
    reading, found = parts["reading"], []
    if reading["letter_sha256"] != parts["letter"]["sha256"]:
        found.append(Finding("reading", "another version of the letter was read than was signed"))
    texts = {r["code"]: r["title"] + r["text"] for r in as_read(parts)}
    due = needed_seconds(texts, reading["rate"], reading["minimum"])
    if any(reading["needed"].get(code, -1) < due[code] for code in TIMED):
        found.append(Finding("reading", "the reading time asked for is shorter than the text needs"))
    spent = (
        datetime.fromisoformat(parts["place"]["signed_at"]) - datetime.fromisoformat(reading["opened_at"])
    ).total_seconds()
    if spent < sum(reading["needed"].values()):
        found.append(Finding("reading", f"signed after {spent:.0f} s, before the reading time was served"))
    return found


def _signature(bundle: Mapping[str, Any]) -> list[Finding]:
    signature = bundle["parts"]["signature"]
    if signature["method"] != "strokes":
        return []
    found = []
    if sha256(signature["strokes"]) != signature["sha256"]:
        found.append(Finding("signature", "the strokes do not match their hash"))
    elif svg(signature) != signature["svg"]:
        found.append(Finding("signature", "the picture is not made of these strokes"))
    return found


def _link(chain: Mapping[str, Any]) -> str:
    return link_sha256(
        chain["hospital"], chain["seq"], chain["at"], chain["kind"], chain["body_sha256"], chain["previous"]
    )


def _chain(bundle: Mapping[str, Any]) -> list[Finding]:
    chain, doctor, found = bundle["chain"], bundle["doctor"], []
    if _link(chain) != chain["link"]:
        found.append(Finding("chain", "the link of the hospital's chain was changed"))
    elif sha256(bundle["parts"]) != chain["body_sha256"] and all(
        sha256(bundle["parts"][n]) == bundle["hashes"].get(n) for n in PARTS
    ):
        found.append(Finding("chain", "the parts are not those the chain holds"))
    if chain["at"] != bundle["parts"]["place"]["signed_at"]:
        found.append(Finding("place", "the time of signing is not the time of the chain"))
    if doctor is not None:
        if sha256(doctor["body"]) != doctor["chain"]["body_sha256"]:
            found.append(Finding("doctor", "the doctor's signature was changed"))
        elif _link(doctor["chain"]) != doctor["chain"]["link"]:
            found.append(Finding("doctor", "the doctor's link of the chain was changed"))
    return found


def check_chain(data: bytes) -> list[Finding]:
    """Walk an exported chain from its first link to its end.

    Raises:
        UnreadableBundleError: the file is no chain at all.
    """
    exported = parse(data)
    found: list[Finding] = []
    try:
        links: Sequence[Mapping[str, Any]] = exported["links"]
        previous, expected = "0" * 64, 1
        for link in links:
            where = f"link {link['seq']}"
            if link["seq"] != expected:
                found.append(Finding(f"link {expected}", "it is missing or not in its place"))
            elif link["previous"] != previous:
                found.append(Finding(where, "it does not follow the link before it"))
            if _link({**link, "hospital": exported["hospital"]}) != link["link"]:
                found.append(Finding(where, "it was changed"))
            previous, expected = link["link"], link["seq"] + 1
        if (exported["head"]["seq"], exported["head"]["link"]) != (expected - 1, previous):
            found.append(Finding("head", "links were cut off at the end"))
    except (KeyError, TypeError, ValueError) as error:
        found.append(Finding("file", f"a field is missing or of the wrong form ({type(error).__name__})"))
    return found
