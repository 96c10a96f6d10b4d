"""No package escapes the import rules, and none of our names belongs to somebody else."""

from importlib import metadata

from tests.architecture.source import AROUND, ROOT, contract, project, root_packages


def test_every_package_is_under_the_import_rules() -> None:
    """A new top-level package is named in root_packages; one left out would escape all rules."""
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")} - AROUND
    assert found == set(root_packages())


def test_every_package_has_its_layer() -> None:
    """The layers name each package once."""
    layers = [name.strip() for layer in contract("layers")["layers"] for name in layer.split("|")]
    assert sorted(layers) == sorted(root_packages())


def test_every_package_is_shipped() -> None:
    """What is installed elsewhere is the whole house and its migrations."""
    assert set(project()["tool"]["hatch"]["build"]["packages"]) == {*root_packages(), "migrations"}


def test_tables_are_protected() -> None:
    """Each package with tables stands in the contract that keeps others away from them."""
    with_tables = {path.parent.name for path in ROOT.glob("*/models*") if path.parent.name in root_packages()}
    assert with_tables <= set(contract("own_tables")["packages"])


def test_no_other_distribution_owns_our_names() -> None:
    """No installed package brings a top-level module of one of our names: it could be imported instead of ours."""
    ours = {*root_packages(), "migrations"}
    seen = 0
    for distribution in metadata.distributions():
        files = distribution.files or []
        seen += len(files)
        tops = {file.parts[0].removesuffix(".py") for file in files}
        assert not tops & ours, distribution.name
    assert seen > 1000
