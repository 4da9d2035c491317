"""`${{ vars.NAME }}` filled in, and `${{ secrets.NAME }}` let through only where it may stand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from opsroom.kernel.documents import Node, Path
from opsroom.kernel.errors import Problem
from opsroom.kernel.resources.faults import dotted, meant, shown
from opsroom.kernel.resources.model import Kind, Metadata
from opsroom.kernel.resources.references import values_at

_ANY = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)
_NAMED = re.compile(r"(vars|secrets)\.([A-Za-z_][A-Za-z0-9_]*)")


def fill_variables(
    spec: Any, metadata: Metadata, kind: Kind, node: Node, variables: Mapping[str, Any]
) -> tuple[Any, Metadata, list[Problem]]:
    """The spec and metadata with variables in their places, and the expressions that may not stand there.

    Of Backstage kinds, only annotations are filled: their specs hold texts of others, such as API definitions."""
    filler = _Filler(node, variables, {path for pattern in kind.secrets for path, _ in values_at(spec, pattern)})
    if not kind.api_version.startswith("backstage.io/"):
        spec = filler.fill(spec, ("spec",))
    if any(isinstance(text, str) and "${{" in text for text in metadata.annotations.values()):
        annotations = filler.fill(dict(metadata.annotations), ("metadata", "annotations"))
        metadata = metadata.model_copy(update={"annotations": {key: str(text) for key, text in annotations.items()}})
    return spec, metadata, filler.problems


class _Filler:
    """Walks a value and writes down what it could not fill."""

    def __init__(self, node: Node, variables: Mapping[str, Any], secret_paths: set[Path]) -> None:
        self.node = node
        self.variables = variables
        self.secret_paths = secret_paths
        self.problems: list[Problem] = []

    def fill(self, value: Any, path: Path) -> Any:
        """The value with its variables; one that is nothing but a variable takes the variable's type."""
        if isinstance(value, dict):
            return {key: self.fill(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item, (*path, index)) for index, item in enumerate(value)]
        if not isinstance(value, str) or "${{" not in value:
            return value
        if "${{" in _ANY.sub("", value):
            self._problem(
                path, f"{shown(value)} in {dotted(path)} opens ${{{{ and does not close it", "close it with }}"
            )
            return value
        whole = _ANY.fullmatch(value)
        if whole and value.count("${{") == 1:
            return self._value(whole, path)
        return _ANY.sub(lambda found: _text(self._value(found, path)), value)

    def _value(self, found: re.Match[str], path: Path) -> Any:
        named = _NAMED.fullmatch(found[1].strip())
        if named and named[1] == "vars" and named[2] in self.variables:
            return self.variables[named[2]]
        if named and named[1] == "secrets" and path[1:] in self.secret_paths:
            return found[0]
        what = f"{shown(found[0])} in {dotted(path)}"
        if named and named[1] == "vars":
            way_out = meant(named[2], sorted(self.variables), what="variables")
            self._problem(path, f"{what} names no variable", way_out)
        elif named:
            self._problem(path, f"{what}: a secret may not stand here", "only fields of type secret text may name one")
        else:
            self._problem(path, f"{what} is neither a variable nor a secret", "write ${{ vars.NAME }}")
        return found[0]

    def _problem(self, path: Path, message: str, way_out: str) -> None:
        self.problems.append(Problem(self.node.place(path), message, way_out))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
