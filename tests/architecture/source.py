"""Where the guards look: the packages pyproject.toml names, their files, and the files git knows."""

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
AROUND = {"migrations", "tests", "tools", "benchmarks"}  # packages, but no part of the house


@cache
def project() -> dict[str, Any]:
    """pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def root_packages() -> list[str]:
    """The packages the import rules know."""
    names: list[str] = project()["tool"]["importlinter"]["root_packages"]
    return names


def contract(kind: str) -> dict[str, Any]:
    """The first import contract of a type."""
    contracts: list[dict[str, Any]] = project()["tool"]["importlinter"]["contracts"]
    return next(entry for entry in contracts if entry["type"] == kind)


def modules(*without: str) -> Iterator[tuple[str, ast.Module]]:
    """Path (from the root) and syntax tree of every module of the house, apart from some packages."""
    for package in root_packages():
        if package in without:
            continue
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield str(path.relative_to(ROOT)), _tree(path)


@cache
def tracked_files() -> list[Path]:
    """Every file git would carry to someone else, new ones included."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))
