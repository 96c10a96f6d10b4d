"""Rules of the house that can be read off the source: who commits, who looks at the clock, how long things are."""

import ast
import re
import tempfile
from pathlib import Path

import pytest

from tests.architecture.source import ROOT, modules, tracked_files

# Written in pieces, so that this file does not name them either.
REGISTRIES = [".".join(parts) for parts in (
    ("pypi", "org"), ("pythonhosted", "org"), ("registry", "npmjs"), ("registry", "yarnpkg"), ("npmmirror", "com"),
    ("pypi", "tuna"),
)]  # fmt: skip
CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"), ("func", "now")}


def calls(tree: ast.Module) -> list[tuple[str, str, int]]:
    """(object's last name, method, line) of every method call."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            found.append((name, node.func.attr, node.lineno))
    return found


def ends_a_transaction(owner: str, method: str) -> bool:
    """A commit, or a block that commits when it is left."""
    return method == "commit" or (method == "begin" and owner in {"session", "engine", "connection"})


def test_only_the_database_module_commits() -> None:
    """One transaction per fact: nobody but kernel/db.py opens and ends one."""
    found = {
        f"{path}:{line}"
        for path, tree in modules("sandbox")
        for owner, method, line in calls(tree)
        if ends_a_transaction(owner, method)
    }
    in_place = {place for place in found if place.startswith("kernel/db.py:")}
    assert in_place, "the guard does not recognise a transaction any more"
    assert found - in_place == set()


def test_only_the_clock_knows_what_time_it_is() -> None:
    """Time comes in as tx.now or as an argument, so that tests and rehearsals can move it."""
    found = [
        f"{path}:{line} {owner}.{method}"
        for path, tree in modules("sandbox")
        for owner, method, line in calls(tree)
        if (owner, method) in CLOCKS and path != "kernel/clock.py"
    ]
    assert found == []


def test_functions_fit_a_screen() -> None:
    """No function is longer than 70 lines."""
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 70
    ]
    assert found == []


def test_files_stay_readable() -> None:
    """No module is longer than 500 lines."""
    assert [path for path, _ in modules() if len((ROOT / path).read_text().splitlines()) > 500] == []


def test_modules_say_what_they_are_for() -> None:
    """Every module that has a line in it opens with a sentence."""
    assert [path for path, tree in modules() if tree.body and not ast.get_docstring(tree)] == []


def test_no_file_names_a_registry() -> None:
    """Packages come from whatever registry the machine is set to; no file of ours says which."""
    wanted = re.compile("|".join(map(re.escape, REGISTRIES)))
    assert [str(path.relative_to(ROOT)) for path in tracked_files() if wanted.search(text_of(path))] == []


def test_no_file_names_a_place_on_this_machine() -> None:
    """Nothing points into the folder this checkout happens to lie in."""
    parent = ROOT.parent
    common = {Path("/"), Path("/home"), Path("/root"), Path("/srv"), Path("/opt"), Path(tempfile.gettempdir())}
    wanted = re.compile(rf"(?<![\w.]){re.escape(str(ROOT if parent in common else parent))}/")
    assert [str(path.relative_to(ROOT)) for path in tracked_files() if wanted.search(text_of(path))] == []


def text_of(path: Path) -> str:
    """The file as text; pictures and the like as nothing."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("name", ["requirements.lock", "Makefile", ".ci/run"])
def test_the_guards_see_hidden_and_long_files(name: str) -> None:
    """The search for registries covers the files most likely to name one."""
    assert ROOT / name in tracked_files()
