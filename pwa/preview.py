"""Look at every page without a hospital: ``python -m pwa.preview`` serves them on loopback, ``--out DIR`` writes files.

A page's address is ``/NAME``; ``?elder=1``, ``?scale=180``, ``?first=1`` change how it is drawn.
"""

import argparse
import io
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal, cast
from urllib.parse import parse_qs, urlsplit

import qrcode
from qrcode.image.pure import PyPNGImage

from pwa.render import Prefs, Renderer, renderer
from pwa.samples import NOW, PHONE, samples

TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "webmanifest": "application/manifest+json",
}


def draw(
    name: str, *, elder: bool = False, scale: int = 100, first: bool = False, draw_with: Renderer | None = None
) -> tuple[bytes, dict[str, str]]:
    """One sample page and its headers."""
    sample = samples()[name]
    prefs = Prefs(
        now=NOW,
        elder=elder,
        scale=cast("Literal[100, 120, 140, 180]", scale),
        csrf="preview",
        first_visit=first,
        path=f"/{name}",
        help_phone=PHONE,
        worker=False,
    )
    painter = draw_with or renderer()
    return painter.page(sample.template, sample.view, prefs, sample.nav), painter.headers(
        prefs, ("'self'",) if name == "stage" else ()
    )


def qr_png(text: str = "houfu:preview") -> bytes:
    """A QR picture with its white quiet zone."""
    code = qrcode.QRCode(error_correction=qrcode.constants.ERROR_CORRECT_M, box_size=6, border=4)
    code.add_data(text)
    out = io.BytesIO()
    code.make_image(image_factory=PyPNGImage).save(out)
    return out.getvalue()


class Preview(BaseHTTPRequestHandler):
    """Serves sample pages and the built assets; reads nothing, stores nothing."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer in one piece: in two, a kept connection waits 40 ms for the first to be acknowledged

    def do_GET(self) -> None:
        """Answer a page, an asset, the QR, or the list of pages."""
        url = urlsplit(self.path)
        query = {k: x[0] for k, x in parse_qs(url.query).items()}
        name = url.path.strip("/")
        if name == "qr.png":
            self.answer(qr_png(), {"Content-Type": "image/png"})
        elif name in samples():
            body, headers = draw(
                name, elder="elder" in query, scale=int(query.get("scale", "100")), first="first" in query
            )
            self.answer(body, headers)
        elif name.startswith("static/") or name in {"sw.js", "manifest.webmanifest"}:
            file = renderer().assets.folder / Path(name).name
            if file.exists():
                # Kept as in production, where the name carries a digest: else every page waits for the same files anew.
                kept = {"Cache-Control": "max-age=31536000, immutable"} if name.startswith("static/") else {}
                self.answer(file.read_bytes(), {"Content-Type": TYPES[file.suffix[1:]]} | kept)
            else:
                self.answer(b"", {}, 404)
        elif name == "frame":
            body, headers = draw("home")
            self.answer(
                body,
                {
                    **headers,
                    "Content-Security-Policy": headers["Content-Security-Policy"].replace(
                        "frame-ancestors 'none'", "frame-ancestors 'self'"
                    ),
                },
            )
        elif not name:
            links = "".join(f'<li><a href="/{n}">{n}</a> <a href="/{n}?elder=1">elder</a></li>' for n in samples())
            self.answer(f"<!doctype html><meta charset=utf-8><ul>{links}</ul>".encode(), {"Content-Type": "text/html"})
        else:
            self.answer(b"", {}, 404)

    def answer(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        """Send one answer."""
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""


def serve(port: int = 0) -> ThreadingHTTPServer:
    """A server on loopback, not yet running; port 0 takes a free one."""
    return ThreadingHTTPServer(("127.0.0.1", port), Preview)


def main() -> int:
    """Serve, or write files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8766)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        for name in samples():
            (args.out / f"{name}.html").write_bytes(draw(name)[0])
        sys.stdout.write(f"{len(samples())} pages in {args.out}\n")
        return 0
    server = serve(args.port)
    sys.stderr.write(f"http://127.0.0.1:{server.server_port}/\n")
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
