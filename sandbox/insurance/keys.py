"""The payment centre's key cabinet: both ends' SM2 keys, the app's secret, and the city host's partnership.

``make(directory)`` writes ``insurance.json`` (mode 0600) on first use and reads it afterwards.
"""

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from sandbox.insurance import gm
from sandbox.insurance.wire import App

_FILE = "insurance.json"


@dataclass(frozen=True, slots=True)
class InsuranceKeys:
    """One hospital's app: ids and secrets as text, keys in hex."""

    app_id: str
    app_secret: str
    org_code: str
    private_key: str
    center_private_key: str
    partner_id: str
    partner_secret: str

    @property
    def public_key(self) -> str:
        """The hospital's, ``04‖x‖y`` in hex."""
        return gm.encode(gm.public_key(int(self.private_key, 16))).hex()

    @property
    def center_public_key(self) -> str:
        """The centre's, ``04‖x‖y`` in hex."""
        return gm.encode(gm.public_key(int(self.center_private_key, 16))).hex()

    def app(self, notify_url: str = "") -> App:
        """The centre's view of the hospital."""
        return App(self.app_id, self.app_secret, self.public_key, self.org_code, notify_url)

    def client_access(self) -> dict[str, str]:
        """Values for ``adapters.insurance.Access``."""
        return {
            "app_id": self.app_id,
            "app_secret": self.app_secret,
            "private_key": self.private_key,
            "public_key": self.center_public_key,
        }

    def client_user_query(self, base_url: str) -> dict[str, str]:
        """Values for ``adapters.insurance.UserQuerySettings``."""
        return {"base_url": base_url, "partner_id": self.partner_id, "partner_secret": self.partner_secret}


def fresh(org_code: str = "H43010000001") -> InsuranceKeys:
    """New ones, nothing written."""
    return InsuranceKeys(
        app_id=secrets.token_hex(16).upper(),
        app_secret=secrets.token_hex(16),
        org_code=org_code,
        private_key=f"{gm.new_key():064x}",
        center_private_key=f"{gm.new_key():064x}",
        partner_id=str(10_000_000 + secrets.randbelow(90_000_000)),
        partner_secret=secrets.token_hex(16),
    )


def make(directory: Path) -> InsuranceKeys:
    """Read the cabinet, or fill it on first use."""
    file = directory / _FILE
    if file.exists():
        return InsuranceKeys(**json.loads(file.read_text("utf-8")))
    keys = fresh()
    directory.mkdir(parents=True, exist_ok=True)
    new = directory / f"{_FILE}.{os.getpid()}"
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as out:
        json.dump(asdict(keys), out, indent=1)
    new.replace(file)
    return keys
