"""Turn a few exact third-party files and our own small ones into what a phone downloads: pruned, hashed, packed.

``python -m pwa.build`` reads ``pwa/node_modules`` (from ``npm ci``), ``pwa/src`` and ``pwa/templates`` and writes
``pwa/static`` together with ``assets.json``: logical name -> file, sizes, SRI. A deployed server needs no Node.
"""

import base64
import gzip
import hashlib
import json
import sys
import time
from pathlib import Path
from typing import TypedDict

import brotli

from pwa.css import build_css

HERE = Path(__file__).parent
STATIC = HERE / "static"
SRC = HERE / "src"
NODE = HERE / "node_modules"

# Logical script -> the files joined into it, in this order.
SCRIPTS: dict[str, tuple[Path, ...]] = {
    "app.js": (
        NODE / "htmx.org/dist/htmx.min.js",
        NODE / "htmx.org/dist/ext/hx-sse.min.js",
        SRC / "app.js",
    ),
    "map.js": (SRC / "map.js",),
    "pass.js": (SRC / "pass.js",),
    "letter.js": (NODE / "signature_pad/dist/signature_pad.umd.min.js", SRC / "letter.js"),
    "pay.js": (SRC / "pay.js",),
    "wx.js": (SRC / "wx.js",),
    "desk.js": (SRC / "desk.js",),
    "push.js": (SRC / "push.js",),
    "stage.js": (SRC / "stage.js",),
}
PLAIN = ("manifest.webmanifest", "sw.js")


class Asset(TypedDict):
    """One built file: its name under ``static/``, bytes raw/gzip/brotli, and its SRI."""

    file: str
    raw: int
    gz: int
    br: int
    sri: str


class BuildError(Exception):
    """Something the build needs is not there."""


def squeeze_js(text: str) -> str:
    """Drop whole-line comments, blank lines and indentation; safe because our sources keep strings on one line."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def _sri(data: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(data).digest()).decode()


def _write(name: str, data: bytes, *, hashed: bool = True) -> Asset:
    stem, _, ext = name.rpartition(".")
    file = f"{stem}.{hashlib.sha256(data).hexdigest()[:10]}.{ext}" if hashed else name
    (STATIC / file).write_bytes(data)
    gz, br = gzip.compress(data, 9, mtime=0), brotli.compress(data, quality=11)
    if ext not in {"png"}:
        (STATIC / f"{file}.gz").write_bytes(gz)
        (STATIC / f"{file}.br").write_bytes(br)
    return Asset(file=file, raw=len(data), gz=len(gz), br=len(br), sri=_sri(data))


def _script(parts: tuple[Path, ...]) -> bytes:
    out = []
    for part in parts:
        text = part.read_text("utf-8")
        if part.parent == SRC:
            text = squeeze_js(text)
        # A source map comment would make a browser ask for a file we do not ship.
        out.append("\n".join(line for line in text.splitlines() if not line.startswith("//# sourceMappingURL")))
    return ";\n".join(out).encode()


def build() -> dict[str, Asset]:
    """Build everything into ``pwa/static`` and return the manifest that was written there.

    Raises:
        BuildError: the packages of ``package-lock.json`` are not installed.
    """
    weui = NODE / "weui/dist/style/weui.css"
    if not weui.exists():
        raise BuildError("run `npm ci` in pwa/ first: the packages of package-lock.json are not installed")
    STATIC.mkdir(exist_ok=True)
    for old in STATIC.iterdir():
        old.unlink()
    css = build_css(
        weui.read_text("utf-8"),
        [p.read_text("utf-8") for p in sorted((SRC / "css").glob("*.css"))],
        [p.read_text("utf-8") for p in sorted((HERE / "templates").rglob("*.html"))],
    )
    assets: dict[str, Asset] = {}
    for group, text in css.items():
        assets[group] = _write(group, text.encode())
    for name, parts in SCRIPTS.items():
        assets[name] = _write(name, _script(parts))
    for icon in sorted((SRC / "icons").glob("*")):
        assets[icon.name] = _write(icon.name, icon.read_bytes())
    for name in PLAIN:
        text = (SRC / name).read_text("utf-8")
        for key, asset in assets.items():
            text = text.replace(f"/static/{key}", f"/static/{asset['file']}")
        if name == "sw.js":
            # A new build is a new worker: the list of files names the cache.
            names = sorted(
                a["file"]
                for k, a in assets.items()
                if k in {"app.css", "app.js", "map.js", "pass.js", "pay.js", "icon.svg"}
            )
            text = squeeze_js(text).replace("__BUILD__", hashlib.sha256("".join(names).encode()).hexdigest()[:10])
            text = text.replace("__FILES__", json.dumps([f"/static/{n}" for n in names]))
        assets[name] = _write(name, text.encode(), hashed=False)
    (STATIC / "assets.json").write_text(json.dumps(assets, indent=1, sort_keys=True) + "\n", "utf-8")
    return assets


def main() -> int:
    """Build and print a table of sizes."""
    began = time.monotonic()
    try:
        assets = build()
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    for name, asset in assets.items():
        print(f"{name:24} {asset['raw']:>8} {asset['gz']:>8} {asset['br']:>8}")
    print(f"{time.monotonic() - began:.2f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
