"""Checks that one part of the house never reads another part's tables behind its back.

import-linter's own ``protected`` contract wants one block per package and fails on a package that has no tables yet;
this one covers them all and fills up by itself.
"""

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output


class OwnTablesContract(Contract):
    """Only ``X.service`` (or a module inside it) imports ``X.models``, for every X in ``packages``."""

    packages = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Look at every import of a ``models`` module of the listed packages."""
        foreign: list[tuple[str, str]] = []
        for package in self.packages:  # type: ignore[attr-defined]  # a field turns into its value at run time
            models = f"{package}.models"
            own = {m for m in graph.modules if m == models or m.startswith(f"{models}.")}
            service = f"{package}.service"
            for module in sorted(own):
                for importer in sorted(graph.find_modules_that_directly_import(module) - own):
                    if importer != service and not importer.startswith(f"{service}."):
                        foreign.append((importer, module))
        return ContractCheck(kept=not foreign, metadata={"foreign": foreign})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Name each module that looked into tables that are not its own."""
        for importer, models in check.metadata["foreign"]:
            output.print_error(f"{importer} imports {models}; only {models.split('.')[0]}.service may.")
