"""What a student's text uses, read from its syntax tree. Nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cached_property

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Text:
    """The text of a module.

    Args:
        text: Python; what is none uses nothing.
    """

    def __init__(self, text: str) -> None:
        try:
            self.tree = ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            self.tree = ast.parse("")

    @cached_property
    def _bound(self) -> dict[str, list[ast.stmt]]:
        """What gives each name of the module its value."""
        found: dict[str, list[ast.stmt]] = {}
        for statement in self.tree.body:
            for name in _names_bound(statement):
                found.setdefault(name, []).append(statement)
        return found

    def reached(self, *functions: str) -> list[ast.stmt]:
        """The statements of the module that some functions use, themselves included."""
        seen: set[str] = set()
        kept: dict[int, ast.stmt] = {}
        waiting = [*functions]
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            seen.add(name)
            for statement in self._bound.get(name, []):
                if id(statement) not in kept:
                    kept[id(statement)] = statement
                    waiting += [n.id for n in ast.walk(statement) if isinstance(n, ast.Name)]
        return list(kept.values())

    def words(self, *functions: str) -> set[str]:
        """All names, attributes, keywords and imported names in what some functions use; of the
        whole text where none is named.

        An import counts where a name that it gives is used. Of ``import a.b as c`` that is ``a``,
        ``b``, and ``c``.
        """
        if not functions:
            return set(_words(self.tree))
        statements = self.reached(*functions)
        own = [s for s in statements if not isinstance(s, ast.Import | ast.ImportFrom)]
        found = {word for statement in own for word in _words(statement)}
        for statement in statements:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                for alias in statement.names:
                    if _given(alias) in found:
                        found.update(_imported(statement, alias))
        return found

    def calls(self, *functions: str) -> Iterator[ast.Call]:
        """The calls in what some functions use."""
        for statement in self.reached(*functions):
            for node in ast.walk(statement):
                if isinstance(node, ast.Call):
                    yield node


def called(call: ast.Call) -> str:
    """The last part of what is called: ``Dropout`` of ``nn.Dropout(0.5)``."""
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _names_bound(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, Function | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield _given(node)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _given(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _imported(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> Iterator[str]:
    if isinstance(statement, ast.ImportFrom):
        yield from (statement.module or "").split(".")
    yield from alias.name.split(".")


def _words(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                yield from _imported(node, alias)
