"""A made-up address behind TLS: its private CA, and who shook hands with it."""

import ssl
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class Shaken(H11Protocol):
    """An HTTP connection that tells the application which certificate the other side showed in the handshake.

    ``scope["extensions"]["tls"]["client_cert"]``: DER, or None.
    """

    def connection_made(self, transport: Any) -> None:
        """Wrap the application for this connection."""
        super().connection_made(transport)
        shown = transport.get_extra_info("ssl_object").getpeercert(True)
        inside = self.app

        async def told(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("extensions", {})["tls"] = {"client_cert": shown}
            await inside(scope, receive, send)

        self.app = told


def context(cert: str, key: str, ca_cert: str) -> ssl.SSLContext:
    """Shows ``cert``, asks for one in return, and takes only what the CA has signed (PEM texts)."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_verify_locations(cadata=ca_cert)
    made.verify_mode = ssl.CERT_OPTIONAL
    with TemporaryDirectory() as folder:  # the ssl module reads files only
        both = Path(folder) / "server.pem"
        both.write_text(key + cert)
        made.load_cert_chain(both)
    return made
