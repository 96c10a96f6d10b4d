"""Opens a map file, whatever it is, and makes ways of it; a file nobody can read is refused with a reason."""

import json
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from shapely.errors import ShapelyError

from guide.maps import build, imdf, osm, repair, table
from guide.maps.drawing import Drawing
from guide.maps.findings import MapFileError
from guide.maps.network import Network

MOST = 100_000_000  # bytes in all, unpacked; the largest hospital is a tenth of it
_FILES = 300


def read_map(path: Path, *, strict: bool = False, metres_per_unit: float = 1.0) -> Network:
    """Read, mend, and make ways.

    Args:
        path: a zip, a folder, or a file (.geojson, .json, .osm, nodes.csv beside edges.csv).
        strict: take the file at its word and guess nothing.
        metres_per_unit: for tables only.

    Raises:
        MapFileError: this is no map we can read.
    """
    try:
        return _read(_contents(path), path.stem, strict, metres_per_unit)
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise MapFileError("unreadable", f"{path.name} cannot be opened ({str(error)[:80]}).") from None
    except ShapelyError as error:
        raise MapFileError("broken_shapes", f"{path.name} has shapes nobody can cut ({str(error)[:80]}).") from None
    except RecursionError:
        raise MapFileError("too_deep", f"{path.name} is nested too deeply.") from None


def read_bytes(name: str, content: bytes) -> Network:
    """As ``read_map``, of a file's content; ``name`` says by its ending what it is."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / PurePosixPath(name).name
        file.write_bytes(content)
        return read_map(file)


def _contents(path: Path) -> dict[str, bytes]:
    """File name → bytes, without folders and hidden files."""
    if path.is_dir():
        found = [p for p in sorted(path.rglob("*")) if p.is_file() and not p.name.startswith((".", "_"))]
        _bound(len(found), sum(p.stat().st_size for p in found))
        return {p.name: p.read_bytes() for p in found}
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            _bound(len(entries), sum(e.file_size for e in entries))
            made = {}
            for entry in entries:
                name = PurePosixPath(entry.filename).name
                if not name.startswith((".", "_")) and "__MACOSX" not in entry.filename:
                    if entry.flag_bits & 1:
                        raise MapFileError("locked", "The archive is locked with a password.")
                    try:
                        made[name] = archive.open(entry).read(MOST)
                    except Exception as error:  # a broken member raises whatever its decompressor raises
                        raise MapFileError("unreadable", f"{name} in the archive is broken ({error}).") from None
            return made
    _bound(1, path.stat().st_size)
    found = [path]
    if path.suffix.lower() == ".csv":
        found = [p for p in sorted(path.parent.glob("*.csv")) if p.is_file()][:_FILES]
    return {p.name: p.read_bytes() for p in found}


def _bound(files: int, size: int) -> None:
    if files > _FILES or size > MOST:
        raise MapFileError("too_large", f"That is more than a map: {files} files, {size // 1_000_000} MB.")


def _read(files: Mapping[str, bytes], name: str, strict: bool, scale: float) -> Network:
    lower = {n.lower(): n for n in files}
    if any(n.startswith("node") and n.endswith(".csv") for n in lower):
        points = next(lower[n] for n in sorted(lower) if n.startswith("node") and n.endswith(".csv"))
        ways = next((lower[n] for n in sorted(lower) if n.startswith("edge") and n.endswith(".csv")), None)
        if ways is None:
            raise MapFileError("no_edges", "Beside the table of points there is no edges.csv.")
        return table.read(_text(points, files[points]), _text(ways, files[ways]), name, scale)
    drawing = _drawing(files, lower, name)
    repair.mend(drawing, strict)
    return build.build(drawing, strict)


def _drawing(files: Mapping[str, bytes], lower: Mapping[str, str], name: str) -> Drawing:
    stems = {PurePosixPath(n).stem: lower[n] for n in lower if n.endswith((".geojson", ".json"))}
    if "level" in stems and "unit" in stems:
        return imdf.read({part: _json(stems[part], files[stems[part]]) for part in imdf.PARTS if part in stems})
    xml = [lower[n] for n in sorted(lower) if n.endswith((".osm", ".xml"))]
    if xml:
        return osm.read(osm.features_of_xml(files[xml[0]]), name)
    features: list[Any] = []
    for one in stems.values():
        document = _json(one, files[one])
        found = document.get("features") if isinstance(document, dict) else None
        features += found if isinstance(found, list) else []
    if not features:
        raise MapFileError(
            "unknown", "This is neither IMDF, nor OpenStreetMap indoor data, nor tables of points and ways."
        )
    return osm.read(features, name)


def _text(name: str, data: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise MapFileError("not_text", f"{name} is no text in UTF-8 or GB 18030.")


def _json(name: str, data: bytes) -> Any:
    try:
        return json.loads(_text(name, data))
    except ValueError as error:
        raise MapFileError("not_json", f"{name} is no JSON ({str(error)[:80]}).") from None
