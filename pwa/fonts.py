"""Whether this machine can write Chinese on paper: a signed letter full of empty boxes is worse than none."""

import shutil
import subprocess
from pathlib import Path

from kernel.outside import NotConfigured

PACKAGED = Path(__file__).parent / "node_modules/@expo-google-fonts/noto-sans-sc/400Regular/NotoSansSC_400Regular.ttf"
_known: list[str] = []  # only what was found is remembered: a font installed now counts at the next try


def families() -> list[str] | None:
    """Installed families with Chinese characters, and the packaged one; None when nobody can tell (no fc-list)."""
    if not _known:
        lister = shutil.which("fc-list")
        if PACKAGED.exists():
            _known.append("Noto Sans SC (packaged)")
        if lister is None:
            return list(_known) or None
        listed = subprocess.run([lister, ":lang=zh", "family"], capture_output=True, text=True, check=False).stdout
        _known.extend(sorted({line.split(",")[0] for line in listed.splitlines() if line}))
    return list(_known)


def need_chinese() -> None:
    """Before paper is made.

    Raises:
        NotConfigured: there is no font to write it with; sealing tries again later, and ``houfu doctor`` says how to
            mend it.
    """
    if families() == []:
        raise NotConfigured("fonts.chinese")
