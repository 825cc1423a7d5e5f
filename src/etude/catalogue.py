"""Finds studies by reading their source, never by importing it, so that ``etude list`` answers at
once.

A study is a folder that holds a Python file of its own name, with one class derived from ``Study``,
and its lesson, ``README.md``; a user's own may also be a single such file with its lesson as the
docstring. Studies come from three places: this package, the entry points ``etude.studies`` of other
packages, and any path that a user names.
"""

from __future__ import annotations

import ast
import gc
import importlib
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from io import StringIO
from pathlib import Path
from types import EllipsisType, ModuleType
from typing import TYPE_CHECKING, Any

from etude.claims import Claim
from etude.errors import UserError, nearest
from etude.study import FIELD_TYPES, Study, lesson_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

STUDIES = Path(__file__).parent / "studies"
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
    courses: tuple[str, ...]
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

    def load(self) -> type[Study]:
        """Import the study; only now is its code executed."""
        # what an import makes stays: to look through it for garbage, again and again, takes 0.2 s
        gc.disable()
        try:
            module = importlib.import_module(self.module) if self.module else self._load_file()
        finally:
            gc.enable()
        cls: type[Study] = getattr(module, self.class_name)
        return cls

    def _load_file(self) -> ModuleType:
        """A user's file as a module, within a package where it has a folder, so that ``from ._x
        import y`` works.
        """
        from importlib.util import module_from_spec, spec_from_file_location

        package = f"etude_user_{self.name}"
        for known in [
            name for name in sys.modules if name == package or name.startswith(f"{package}.")
        ]:
            del sys.modules[known]  # files may have changed since
        name = package
        if self.folder is not None:
            sys.modules[package] = ModuleType(package)
            sys.modules[package].__path__ = [str(self.folder)]
            name = f"{package}.{self.name}"
        spec = spec_from_file_location(name, self.path)
        assert spec
        assert spec.loader
        module = module_from_spec(spec)
        sys.modules[name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module


class Catalogue:
    """All studies that can be found from here, by name."""

    @cached_property
    def files(self) -> dict[str, tuple[Path, str]]:
        """``{name: (file, module)}``, read from folder listings alone."""
        files = {}
        for topic in topics():
            for path in sorted((STUDIES / topic).glob("*/*.py")):
                if path.stem == path.parent.name:
                    files[path.stem] = (path, f"etude.studies.{topic}.{path.stem}.{path.stem}")
        for point in _entry_points():
            from importlib.util import find_spec

            spec = find_spec(point.value)
            if spec and spec.origin:
                files[point.name] = (Path(spec.origin), point.value)
        return files

    def __getitem__(self, name: str) -> Entry:
        """A study by its name, or by the path of its file or folder.

        Raises:
            UserError: there is none, with the nearest name; or its file can't be read.
        """
        if name.endswith(".py") or "/" in name:
            return read(_main_file(name), None)
        if name not in self.files:
            raise UserError(f"no study '{name}'{nearest(name, self.files)}")
        return read(*self.files[name])

    def all(self) -> list[Entry]:
        """Every study, by topic and name."""
        return [read(path, module) for path, module in self.files.values()]


def topics() -> dict[str, str]:
    """``{topic: title}`` in the order in which courses go; both stand in
    ``studies/<topic>/__init__.py``.

    Raises:
        ValueError: such a file states no ``TITLE`` and ``ORDER``.
    """
    return _topics(STUDIES)


@cache
def _topics(studies: Path) -> dict[str, str]:
    found = []
    for path in studies.glob("*/__init__.py"):
        stated = {
            node.targets[0].id: ast.literal_eval(node.value)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        if not {"TITLE", "ORDER"} <= stated.keys():
            raise ValueError(
                f"{path} states no TITLE and ORDER; expected both, for the topic's place among"
                " others"
            )
        found.append((stated["ORDER"], path.parent.name, stated["TITLE"]))
    return {name: title for _, name, title in sorted(found)}


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Entries by topic, as courses go, and by name; those of no topic of ours last."""
    place = {topic: number for number, topic in enumerate(topics())}
    return sorted(
        entries, key=lambda entry: (place.get(entry.topic, len(place)), entry.topic, entry.name)
    )


def _main_file(name: str) -> Path:
    path = Path(name).resolve()
    if path.is_dir():
        path /= f"{path.name}.py"
        if not path.is_file():
            raise UserError(
                f"{name} holds no {path.name}; expected a folder with a study in a file of its own"
                " name"
            )
    if not path.is_file():
        raise UserError(
            f"no study file at {name}; expected a Python file with one class derived from Study"
        )
    return path


def _entry_points() -> Iterable[EntryPoint]:
    """Those of other packages.

    What reads them takes 30 ms to import, so look first whether anyone has some.
    """
    files = (file for folder in sys.path for file in Path(folder).glob("*-info/entry_points.txt"))
    with suppress(OSError):  # one that may not be read: then let the library see to it
        if not any(
            f"[{GROUP}]" in file.read_text(encoding="utf-8", errors="replace") for file in files
        ):
            return ()
    from importlib import metadata

    return metadata.entry_points(group=GROUP)


def read(path: Path, module: str | None) -> Entry:
    """One study's entry, from its source.

    Of Etude's own studies only what stands above the first method is parsed, which takes a fifth of
    the time; a test holds that nothing is missed.

    Raises:
        UserError: the file is not Python, or holds no study, or states a field, scale or claim that
            is not a literal.
    """
    try:
        source = path.read_text(encoding="utf-8")
        own = module is not None and module.startswith("etude.studies.")
        tree = ast.parse(_above_methods(source) if own else source)
    except (OSError, SyntaxError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read as Python: {error}") from None
    classes = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(_is_study(base) for base in node.bases)
    ]
    if len(classes) != 1:
        raise UserError(f"{path} holds {len(classes)} classes derived from Study; expected one")
    body = classes[0].body
    lines = source.split("\n")
    stated = {
        statement.targets[0].id: statement.value
        for statement in body
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)
    }
    _check_decorator(path, classes[0])
    fields = tuple(
        Field(
            s.target.id,
            _text(s.annotation),
            _default(path, s.target.id, s.annotation, s.value),
            _comment(lines, s),
        )
        for s in body
        if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name) and s.value is not None
    )
    scales = _literal(path, "scales", stated.get("scales"), {})
    courses = _literal(path, "courses", stated.get("courses"), ())
    claims = [_claim(path, node) for node in getattr(stated.get("claims"), "elts", ())]
    return Entry(
        name=path.stem,
        topic=path.parents[1].name if own else "yours",
        path=path,
        module=module,
        class_name=classes[0].name,
        lesson=lesson_of(path, ast.get_docstring(tree) or ast.get_docstring(classes[0])),
        fields=fields,
        scales={"quick": {}, **scales},
        claims=tuple(claims),
        courses=tuple(courses),
        has_demo=(
            "\n    def demo(" in source if own else any(_is_demo(statement) for statement in body)
        ),
    )


def _is_study(base: ast.expr) -> bool:
    """Whether a class is derived from ``Study`` or ``Study[…]``, by whatever module's name."""
    plain = base.value if isinstance(base, ast.Subscript) else base
    return ast.unparse(plain).split(".")[-1] == "Study"


def _is_demo(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef) and statement.name == "demo"


def _above_methods(source: str) -> str:
    study = re.search(r"^class \w+\(Study(\[.+\])?\):$", source, re.MULTILINE)
    method = study and re.compile(r"^    (def |@)", re.MULTILINE).search(source, study.end())
    return source[: method.start()] if method else source


def _check_decorator(path: Path, study: ast.ClassDef) -> None:
    """Raise a UserError where a class states fields and is no dataclass."""
    decorators = [
        node.func if isinstance(node, ast.Call) else node for node in study.decorator_list
    ]
    is_dataclass = any(ast.unparse(each).split(".")[-1] == "dataclass" for each in decorators)
    if not is_dataclass and any(isinstance(statement, ast.AnnAssign) for statement in study.body):
        raise UserError(
            f"{path}, line {study.lineno}: class {study.name} states fields and is no dataclass;"
            " expected @dataclass in the line above it"
        )


def _default(path: Path, name: str, annotation: ast.expr, value: ast.expr) -> Any:
    """A field's default.

    Raises:
        UserError: it is no literal.
    """
    try:
        return ast.literal_eval(value)
    except ValueError:
        kind = ast.unparse(annotation)
        known = kind.partition("[")[0] in FIELD_TYPES
        what = ast.unparse(value) if known else kind
        instead = "expected a value that is written out" if known else "use str"
        raise UserError(
            f"{path}, line {value.lineno}: field {name}: {what} is no literal; {instead}"
        ) from None


def _literal(path: Path, name: str, value: ast.expr | None, otherwise: Any) -> Any:
    """What a name of the class is set to.

    Raises:
        UserError: it is no literal.
    """
    if value is None:
        return otherwise
    try:
        return ast.literal_eval(value)
    except ValueError:
        raise UserError(
            f"{path}, line {value.lineno}: {name} must be written out, as literals; this is"
            f" {ast.unparse(value)}"
        ) from None


def _claim(path: Path, node: ast.expr) -> Claim:
    if not isinstance(node, ast.Call):
        raise UserError(
            f"{path}, line {node.lineno}: claims must be literals; {ast.unparse(node)} is no Claim"
        )
    if not isinstance(node.func, ast.Name | ast.Attribute):
        raise UserError(
            f"{path}, line {node.lineno}: claims must be written out, as literals; this is"
            f" {ast.unparse(node)}"
        )
    return Claim(
        *[_literal(path, "claims", argument, None) for argument in node.args],
        **{
            keyword.arg: _literal(path, "claims", keyword.value, None)
            for keyword in node.keywords
            if keyword.arg
        },
    )


def _text(node: ast.expr) -> str:
    """An annotation as it is written; most are plain names, and need no writing anew."""
    return node.id if isinstance(node, ast.Name) else ast.unparse(node)


def _comment(lines: list[str], statement: ast.stmt) -> str:
    """What stands behind a statement, on its last line; else the last comment within it, as the
    formatter leaves it where a value has to stand in brackets.
    """
    last = statement.end_lineno or statement.lineno
    line = lines[last - 1].encode()
    behind = line[statement.end_col_offset :].decode().strip()  # places are counted in bytes
    if behind.startswith("#"):
        return behind.lstrip("# ")
    if last == statement.lineno:
        return ""
    import tokenize

    inner = textwrap.dedent("\n".join(lines[statement.lineno - 1 : last]))
    comments = [
        token.string
        for token in tokenize.generate_tokens(StringIO(inner).readline)
        if token.type == tokenize.COMMENT
    ]
    return comments[-1].lstrip("# ") if comments else ""
