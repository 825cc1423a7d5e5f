"""What a study's source says of it: its fields, scales and claims, its lesson, its files."""

from __future__ import annotations

import ast
import gc
import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from etude.claims import Claim
from etude.errors import UserError, nearest
from etude.importing import import_file
from etude.study import FIELD_TYPES, Study

if TYPE_CHECKING:
    from etude.questions.asking import Generator


@dataclass(frozen=True)
class Field:
    """One hyper-parameter, as the source states it."""

    name: str
    annotation: str
    default: Any
    help: str

    @property
    def type(self) -> Any:
        """The annotation as a type.

        Raises:
            UserError: it is none that a field may have.
        """
        try:
            return _meant(ast.parse(self.annotation, mode="eval").body)
        except (KeyError, ValueError, TypeError, SyntaxError, RecursionError):
            raise UserError(
                f"field {self.name} has type {self.annotation}; expected one of"
                f" {', '.join(FIELD_TYPES)}"
            ) from None


def _meant(node: ast.AST) -> Any:
    """What an annotation means. It is read and never evaluated, for ``--help`` must be safe to ask
    of a stranger's file.

    Raises:
        KeyError, ValueError, TypeError, SyntaxError: it is no type of a field.
    """
    match node:
        case ast.Name(id=name) if name not in ("Literal", "tuple"):  # of what, is not said
            return FIELD_TYPES[name]
        case ast.Constant(value=None) | ast.Constant(value=EllipsisType()):
            return node.value
        case ast.Constant(value=str() as text):  # a type in quotes
            return _meant(ast.parse(text, mode="eval").body)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _meant(left) | _meant(right)
        case ast.Subscript(value=ast.Name(id=name), slice=inner):
            parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if name == "Literal":
                return FIELD_TYPES[name][tuple(_choice(part) for part in parts)]
            return FIELD_TYPES[name][tuple(map(_meant, parts))]
    raise ValueError(ast.dump(node))


def _choice(node: ast.expr) -> int | float | str | bool | None:
    value = ast.literal_eval(node)
    if not isinstance(value, int | float | str | None):
        raise ValueError(ast.dump(node))
    return value


@dataclass(frozen=True)
class Entry:
    """What the source of a study says of it."""

    name: str
    topic: str
    path: Path
    module: str | None  # None: a user's file, loaded by its path
    class_name: str
    lesson: str
    fields: tuple[Field, ...]
    scales: Mapping[str, Mapping[str, Any]]
    claims: tuple[Claim, ...]
    needs: tuple[str, ...]  # the studies that one should know before
    no_onnx: str = ""  # why ONNX can't express its network
    has_demo: bool = False  # whether the page offers something to try

    @property
    def title(self) -> str:
        """The lesson's first line."""
        return self.lesson.partition("\n")[0].rstrip(".")

    @property
    def references(self) -> str:
        """The lesson's last section, as Markdown."""
        _, *last = re.split(r"^(?:## References|References\n-+)\n", self.lesson, flags=re.MULTILINE)
        return last[-1] if last else ""

    @property
    def folder(self) -> Path | None:
        """The study's own folder; None for a single file."""
        return self.path.parent if self.path.parent.name == self.path.stem else None

    @cached_property
    def measured(self) -> Mapping[str, Any]:
        """What ``etude check --record`` found: ``{scale: {seconds, claims, …}}``."""
        record = self.path.with_name("record.json")
        if self.folder is None or not record.is_file():
            return {}
        table: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
        return table

    @property
    def cover(self) -> Path | None:
        """The small picture that stands for the study, where one was recorded."""
        path = self.path.with_name("cover.webp")
        return path if self.folder is not None and path.is_file() else None

    @property
    def source(self) -> str:
        """What ``study.json`` says, to find the study again."""
        return "catalogue" if self.module else str(self.path)

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each file that its numbers rest on (see :mod:`etude.sources`)."""
        from etude import sources

        return sources.digests(self.path)

    @property
    def digest(self) -> str:
        """SHA-256 of all of them together."""
        from etude import sources

        return sources.together(self.digests)

    def defaults(self, scale: str = "quick") -> dict[str, Any]:
        """Every field's value at a scale.

        Raises:
            UserError: no such scale.
        """
        if scale not in self.scales:
            raise UserError(
                f"study {self.name} has no scale '{scale}'{nearest(scale, self.scales)}"
            )
        return {f.name: f.default for f in self.fields} | dict(self.scales[scale])

    @property
    def has_questions(self) -> bool:
        """Whether questions lie beside it."""
        return self.folder is not None and self.path.with_name("_questions.py").is_file()

    def questions(self) -> list[Generator]:
        """The generators of its questions, in their order; only now is their code executed.

        Raises:
            UserError: its code fails as it is imported; with the error and the line.
        """
        from etude.questions.asking import generators_of

        if not self.has_questions:
            return []
        path = self.path.with_name("_questions.py")
        if self.module:
            module = importlib.import_module(f"{self.module.rpartition('.')[0]}._questions")
        else:
            module = import_file(path, self.folder)
        return generators_of(module, self.name, self.path.with_name("README.md"))

    def load(self) -> type[Study]:
        """Import the study; only now is its code executed.

        Raises:
            UserError: its code fails as it is imported; with the error and the line.
        """
        # what an import makes stays: to look through it for garbage, again and again, takes 0.2 s
        gc.disable()
        try:
            if self.module:
                module = importlib.import_module(self.module)
            else:
                module = import_file(self.path, self.folder)
        finally:
            gc.enable()
        cls: type[Study] = getattr(module, self.class_name, None)  # type: ignore[assignment]
        if not (isinstance(cls, type) and issubclass(cls, Study)):
            raise UserError(
                f"{self.path}: {self.class_name} is not derived from etude.Study once the file is"
                " imported; expected it to be"
            )
        return cls
