"""Makes PDF and slips in a process of its own, so that a letter neither holds up the phones nor fills our memory.

Embedding Chinese fonts takes a processor for a second and 200 MB. The process is started by the first paper, makes one
after the other, and ends by itself after a minute without work, or when we do.
"""

import atexit
import contextlib
import gc
import json
import os
import select
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any

from kernel.outside import Unknown
from pwa import fonts

HERE = Path(__file__).parent
IDLE_SECONDS = 60.0  # ``HOUFU_PRESS_IDLE_SECONDS`` for tests
LONGEST_SECONDS = 60.0
LONGEST_MM = 5000.0  # a PDF page is at most 200 inches long; what is longer goes on on another
TEAR_MM = 8.0  # left empty below, where the paper is torn off
PX_PER_MM = 96 / 25.4
_LENGTHS = struct.Struct("!II")


class Press:
    """One process that prints; may be used from any thread."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def make(
        self, html: str, identifier: bytes, attachment: tuple[str, bytes] | None = None, roll_mm: int | None = None
    ) -> bytes:
        """The PDF of a whole page; it fetches nothing from outside, its pictures travel inside it.

        Takes a second or two: call it in a thread.

        Args:
            identifier: the file's own id, so that the same content makes the same file.
            attachment: name and content of a file to put inside.
            roll_mm: the width of a roll of paper; the page ends below the element with the id ``end``.

        Raises:
            Unknown: it could not be made; the same may be tried again.
        """
        head = {"html": html, "id": identifier.hex(), "name": attachment[0] if attachment else None, "roll": roll_mm}
        return self._made(head, attachment[1] if attachment else b"")

    def slip(self, rows: Sequence[Mapping[str, Any]], roll_mm: int, *, drawn: bool = False) -> bytes:
        """The bytes of a slip for a thermal printer; see ``pwa.slip``. Call it in a thread.

        Args:
            roll_mm: 58 or 80.
            drawn: draw every line, for a printer whose letters nobody knows.

        Raises:
            Unknown: it could not be made; the same may be tried again.
        """
        return self._made({"slip": list(rows), "roll": roll_mm, "drawn": drawn}, b"")

    def _made(self, head: Mapping[str, Any], body: bytes) -> bytes:
        with self._turn:
            try:
                return self._ask(json.dumps(head).encode(), body)
            except OSError:  # it went home a moment ago, or was killed: once more with a new one
                self.close()
            try:
                return self._ask(json.dumps(head).encode(), body)
            except OSError as error:
                self.close()
                raise Unknown(f"paper: the printing process ends: {error}") from error

    def _ask(self, head: bytes, body: bytes) -> bytes:
        process = self._running()
        if process.stdin is None or process.stdout is None:
            raise OSError("no pipes")
        watch = threading.Timer(LONGEST_SECONDS, process.kill)
        watch.start()
        try:
            _write(process.stdin, head, body)
            said, pdf = _read(process.stdout)
        finally:
            watch.cancel()
        if trouble := json.loads(said)["trouble"]:
            raise Unknown(f"paper: {trouble}")
        return pdf

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            self.close()
            command = [sys.executable, "-m", "pwa.press"]
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=HERE.parent)
        return self._process

    @property
    def pid(self) -> int | None:
        """The process that prints, while there is one."""
        return self._process.pid if self._process is not None else None

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()


def _write(pipe: IO[bytes], head: bytes, body: bytes) -> None:
    pipe.write(_LENGTHS.pack(len(head), len(body)) + head + body)
    pipe.flush()


def _read(pipe: IO[bytes]) -> tuple[bytes, bytes]:
    head, body = _LENGTHS.unpack(_exactly(pipe, _LENGTHS.size))
    return _exactly(pipe, head), _exactly(pipe, body)


def _exactly(pipe: IO[bytes], size: int) -> bytes:
    got = pipe.read(size)
    if len(got) < size:
        raise BrokenPipeError("the other end has gone")
    return got


def _print(head: dict[str, Any], body: bytes) -> bytes:
    if "slip" in head:
        from pwa import slip  # only where paper is made: fonts and pictures

        return slip.write(head["slip"], head["roll"], drawn=head["drawn"])
    import weasyprint  # needs Pango: only where paper is made

    attached = []
    if head["name"]:
        attached = [weasyprint.Attachment(string=body, name=head["name"], relationship="Source")]
    # Paper fetches nothing from outside; its fonts are files of ours.
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=("data", "file"))
    html = weasyprint.HTML(string=fonts.boxed(head["html"]), base_url=str(HERE), url_fetcher=fetcher)
    identifier = bytes.fromhex(head["id"])
    sheets = [_roll(weasyprint, html, head["roll"])] if head["roll"] else []
    pdf: bytes = html.write_pdf(
        stylesheets=sheets,
        attachments=attached,
        full_fonts=False,
        pdf_identifier=identifier,
        font_config=_installed_fonts(),
    )
    return pdf


@cache
def _installed_fonts() -> Any:
    """What was looked up of the machine's fonts, kept from paper to paper; None where papers bring their own."""
    from weasyprint.text.fonts import FontConfiguration

    return None if fonts.PACKAGED.exists() else FontConfiguration()


def _roll(weasyprint: Any, html: Any, width: int) -> Any:
    """The page of a roll: laid out once on the longest page there can be, then cut below the element ``end``."""

    def page(length: float) -> Any:
        return weasyprint.CSS(string=f"@page {{ size: {width}mm {length:.1f}mm }}")

    pages = html.render(stylesheets=[page(LONGEST_MM)]).pages
    end = pages[0].anchors.get("end")
    return page(LONGEST_MM if len(pages) > 1 or end is None else min(LONGEST_MM, end[1] / PX_PER_MM + TEAR_MM))


def work(jobs: IO[bytes], papers: IO[bytes]) -> None:
    """Print until nobody asks any more."""
    idle = float(os.environ.get("HOUFU_PRESS_IDLE_SECONDS", IDLE_SECONDS))
    while select.select([jobs], [], [], idle)[0]:
        try:
            head, body = _read(jobs)
        except BrokenPipeError:
            return
        gc.disable()  # a paper is half a million objects; whoever waits for it need not wait for tidying up
        try:
            pdf, trouble = _print(json.loads(head), body), ""
        except Exception as error:
            pdf, trouble = b"", f"{type(error).__name__}: {error}"
        _write(papers, json.dumps({"trouble": trouble}).encode(), pdf)
        _tidy()


def _tidy() -> None:
    """Between two papers: what belongs to the next as well is set aside, so that looking through the rest is quick."""
    gc.enable()
    gc.collect()
    gc.freeze()


press = Press()
atexit.register(press.close)

if __name__ == "__main__":
    papers = sys.stdout.buffer
    sys.stdout = sys.stderr  # a library that prints a remark must not print it into a paper
    work(sys.stdin.buffer, papers)
