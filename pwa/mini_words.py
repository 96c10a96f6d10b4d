"""Writes the mini-program's sentences: ``python -m pwa.mini_words``; a test says when that is due."""

import json
from pathlib import Path

from words.mini import tree

FILE = Path(__file__).parent / "miniprogram" / "words.js"

_HEAD = "// Made by python -m pwa.mini_words from words/; change the sentences there.\n"
_TAIL = """
const fill = (text, values) => text.replace(/\\{(\\w+)\\}/g, (whole, name) => (name in values ? values[name] : whole));

module.exports = { words, fill };
"""


def text() -> str:
    """The file as it should be."""
    return f"{_HEAD}const words = {json.dumps(tree(), ensure_ascii=False, indent=2)};\n{_TAIL}"


if __name__ == "__main__":
    FILE.write_text(text(), "utf-8")
