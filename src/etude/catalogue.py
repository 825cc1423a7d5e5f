"""Finds studies by reading their source, never by importing it, so that ``etude list`` answers at once.

A study is a Python file with one class derived from ``Study``. Studies come from three places: this package, the entry
points ``etude.studies`` of other packages, and any path that a user names.
"""

from __future__ import annotations

import ast
import gc
import importlib
import importlib.util
import inspect
import json
import re
import sys
import textwrap
import tokenize
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.claims import Claim
from etude.errors import UserError, nearest
from etude.study import FIELD_TYPES, Study, digest

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

STUDIES = Path(__file__).parent / "studies"
MEASURED = Path(__file__).parent / "measured.json"
GROUP = "etude.studies"  # of entry points


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
            return eval(self.annotation, {"__builtins__": {}}, FIELD_TYPES)  # names from FIELD_TYPES, nothing else
        except Exception:
            raise UserError(
                f"field {self.name} has type {self.annotation}; expected one of {', '.join(FIELD_TYPES)}"
            ) from None


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
    courses: tuple[str, ...]
    measured: Mapping[str, Any] = field(default_factory=dict)
    has_demo: bool = False  # whether the page offers something to try

    @property
    def title(self) -> str:
        """The lesson's first line."""
        return self.lesson.partition("\n")[0].rstrip(".")

    @property
    def references(self) -> str:
        """The lesson's last section, as Markdown."""
        return (
            re.split(r"^References\n-+\n", self.lesson, flags=re.MULTILINE)[-1] if "References\n" in self.lesson else ""
        )

    @property
    def source(self) -> str:
        """What ``study.json`` says, to find the study again."""
        return "catalogue" if self.module else str(self.path)

    @property
    def digest(self) -> str:
        """SHA-256 of its source file."""
        return digest(self.path)

    def defaults(self, scale: str = "quick") -> dict[str, Any]:
        """Every field's value at a scale.

        Raises:
            UserError: no such scale.
        """
        if scale not in self.scales:
            raise UserError(f"study {self.name} has no scale '{scale}'{nearest(scale, self.scales)}")
        return {f.name: f.default for f in self.fields} | dict(self.scales[scale])

    def load(self) -> type[Study]:
        """Import the study; only now is its code executed."""
        gc.disable()  # what an import makes stays: to look through it for garbage, again and again, takes 0.2 s
        try:
            if self.module:
                module = importlib.import_module(self.module)
            else:
                name = f"etude_user_{self.name}"
                spec = importlib.util.spec_from_file_location(name, self.path)
                assert spec
                assert spec.loader
                module = importlib.util.module_from_spec(spec)
                sys.modules[name] = module  # dataclasses look their module up
                spec.loader.exec_module(module)
        finally:
            gc.enable()
        cls: type[Study] = getattr(module, self.class_name)
        return cls


class Catalogue:
    """All studies that can be found from here, by name."""

    @cached_property
    def files(self) -> dict[str, tuple[Path, str]]:
        """``{name: (file, module)}``, read from folder listings alone."""
        files = {}
        for path in sorted(STUDIES.glob("*/*.py")):
            if not path.stem.startswith("_"):
                files[path.stem] = (path, f"etude.studies.{path.parent.name}.{path.stem}")
        for point in _entry_points():
            spec = importlib.util.find_spec(point.value)
            if spec and spec.origin:
                files[point.name] = (Path(spec.origin), point.value)
        return files

    def __getitem__(self, name: str) -> Entry:
        """A study by its name, or by the path of its file.

        Raises:
            UserError: there is none, with the nearest name; or its file can't be read.
        """
        if name.endswith(".py") or "/" in name:
            path = Path(name)
            if not path.is_file():
                raise UserError(f"no study file at {name}; expected a Python file with one class derived from Study")
            return read(path.resolve(), None)
        if name not in self.files:
            raise UserError(f"no study '{name}'{nearest(name, self.files)}")
        return read(*self.files[name])

    def all(self) -> list[Entry]:
        """Every study, by topic and name."""
        table = measured()
        return [read(path, module, table) for path, module in self.files.values()]


def _entry_points() -> Iterable[EntryPoint]:
    """Those of other packages. What reads them takes 30 ms to import, so look first whether anyone has some."""
    files = (file for folder in sys.path for file in Path(folder).glob("*-info/entry_points.txt"))
    with suppress(OSError):  # one that may not be read: then let the library see to it
        if not any(f"[{GROUP}]" in file.read_text(encoding="utf-8", errors="replace") for file in files):
            return ()
    from importlib import metadata

    return metadata.entry_points(group=GROUP)


def read(path: Path, module: str | None, table: Mapping[str, Any] | None = None) -> Entry:
    """One study's entry, from its source; ``table`` is what was measured, if that was read already.

    Of Etude's own studies only what stands above the first method is parsed, which takes a fifth of the time; a test
    holds that nothing is missed.

    Raises:
        UserError: the file is not Python, or holds no study, or states a field, scale or claim that is not a literal.
    """
    try:
        source = path.read_text(encoding="utf-8")
        own = module is not None and module.startswith("etude.studies.")
        tree = ast.parse(_above_methods(source) if own else source)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read as Python: {error}") from None
    classes = [
        node for node in tree.body
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).split(".")[-1] == "Study" for base in node.bases)
    ]  # fmt: skip
    if len(classes) != 1:
        raise UserError(f"{path} holds {len(classes)} classes derived from Study; expected one")
    body = classes[0].body
    comments = _comments(source, [s for s in body if isinstance(s, ast.AnnAssign)])
    stated = {
        statement.targets[0].id: statement.value
        for statement in body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }
    try:
        fields = tuple(
            Field(s.target.id, ast.unparse(s.annotation), ast.literal_eval(s.value), _help(comments, s))
            for s in body
            if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name) and s.value is not None
        )
        scales = ast.literal_eval(stated["scales"]) if "scales" in stated else {}
        courses = ast.literal_eval(stated["courses"]) if "courses" in stated else ()
        claims = [_claim(node) for node in getattr(stated.get("claims"), "elts", ())]
    except ValueError as error:
        raise UserError(f"{path}: fields, scales, courses and claims must be literals ({error})") from None
    doc = ast.get_docstring(tree) or ast.get_docstring(classes[0]) or ""
    topic = path.parent.name if own else "yours"
    return Entry(
        path.stem, topic, path, module, classes[0].name, inspect.cleandoc(doc), fields, {"quick": {}, **scales},
        tuple(claims), tuple(courses), (measured() if table is None else table).get(path.stem, {}),
        "\n    def demo(" in source if own else any(isinstance(s, ast.FunctionDef) and s.name == "demo" for s in body),
    )  # fmt: skip


def _above_methods(source: str) -> str:
    study = re.search(r"^class \w+\(Study\):$", source, re.MULTILINE)
    method = study and re.compile(r"^    (def |@)", re.MULTILINE).search(source, study.end())
    return source[: method.start()] if method else source


def measured() -> dict[str, Any]:
    """What ``etude check --record`` found: ``{study: {scale: {seconds, claims, …}}}``."""
    if not MEASURED.is_file():
        return {}
    table: dict[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return table["studies"]  # type: ignore[no-any-return]


def _claim(node: ast.expr) -> Claim:
    if not isinstance(node, ast.Call):
        raise ValueError(f"not a Claim: {ast.unparse(node)}")
    return Claim(
        *[ast.literal_eval(a) for a in node.args], **{k.arg: ast.literal_eval(k.value) for k in node.keywords if k.arg}
    )


def _comments(source: str, statements: Sequence[ast.stmt]) -> dict[int, str]:
    """``{line: comment}`` in those lines that reach from the first of these statements to the last."""
    if not statements:
        return {}
    first, last = statements[0].lineno, statements[-1].end_lineno
    lines = textwrap.dedent("\n".join(source.split("\n")[first - 1 : last]))
    return {
        first - 1 + token.start[0]: token.string.lstrip("# ").rstrip()
        for token in tokenize.generate_tokens(StringIO(lines).readline)
        if token.type == tokenize.COMMENT
    }


def _help(comments: dict[int, str], node: ast.stmt) -> str:
    return comments.get(node.end_lineno or node.lineno, "")
