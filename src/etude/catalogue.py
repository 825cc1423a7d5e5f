"""Finds studies by reading their source, never by importing it, so that ``etude list`` answers at
once.

A study is a folder that holds a Python file of its own name, with one class derived from ``Study``,
and its lesson, ``README.md``; a user's own may also be a single such file with its lesson as the
docstring. Studies come from three places: this package, the entry points ``etude.studies`` of other
packages, and any path that a user names.
"""

from __future__ import annotations

import ast
import copy
import gc
import importlib
import json
import operator
import re
import sys
import textwrap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, cached_property
from io import StringIO
from pathlib import Path
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from etude.claims import Claim
from etude.errors import UserError, nearest
from etude.importing import import_file
from etude.runs.record import option_of
from etude.sources import text_of, tree_of
from etude.study import (
    FIELD_TYPES,
    Study,
    check_field,
    check_study_name,
    lesson_of,
    name_trouble,
)

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
            for node in tree_of(path).body
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
    try:
        path = Path(name).resolve()
        folder, file = path.is_dir(), path.is_file()
    except (OSError, ValueError) as error:  # a folder that may not be entered, a name too long
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"no study file can be looked for at {name}: {reason}") from None
    if folder:
        path /= f"{path.name}.py"
        if not path.is_file():
            raise UserError(
                f"{name} holds no {path.name}; expected a folder with a study in a file of its own"
                " name"
            )
    elif not file:
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
            is not written out, or that none can be; with its line.
    """
    try:
        return _read(path, module)
    except (RecursionError, MemoryError):
        raise UserError(f"{path} can't be read as Python: it is nested too deeply") from None


def _read(path: Path, module: str | None) -> Entry:
    own = module is not None and module.startswith("etude.studies.")
    source = text_of(path)
    tree = tree_of(path, _above_methods(source) if own else source)
    names = {} if own else _names(tree)
    classes = [
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and any(_is_study(base, names) for base in node.bases)
    ]
    if len(classes) != 1:
        found = ", ".join(f"{each.name} in line {each.lineno}" for each in classes)
        raise UserError(
            f"{path} holds {len(classes)} classes derived from Study{found and f' ({found})'};"
            " expected one, and not within another class or a condition"
        )
    study = classes[0]
    if not own:
        check_study_name(path)
        _check_decorator(path, study, names)
    stated, annotated = _statements(study)
    if own:  # tests see to them
        fields = tuple(_field(path, source, names, s, stated) for s in annotated.values())
    else:
        fields = _checked_fields(path, source, names, annotated, stated)
    scales = _literal(path, "scales", stated.get("scales"), {})
    courses = _literal(path, "courses", stated.get("courses"), ())
    no_onnx = _literal(path, "no_onnx", stated.get("no_onnx"), "")
    claims = _claims(path, stated.get("claims"))
    if not own:
        _check_scales(path, stated.get("scales"), scales, fields)
        for claim in claims:
            if claim.scale not in {"quick", *scales}:
                raise UserError(
                    f"{path}, line {stated['claims'].lineno}: the claim on {claim.metric} is of a"
                    f" scale '{claim.scale}'{nearest(claim.scale, ['quick', *scales])}"
                )
        if not isinstance(no_onnx, str):
            raise UserError(
                f"{path}, line {stated['no_onnx'].lineno}: no_onnx is {no_onnx!r}; expected a text,"
                " the reason why ONNX can't express the network"
            )
        if not isinstance(courses, list | tuple) or not all(isinstance(c, str) for c in courses):
            raise UserError(
                f"{path}, line {stated['courses'].lineno}: courses is {courses!r}; expected several"
                " texts"
            )
    return Entry(
        name=path.stem,
        topic=path.parents[1].name if own else "yours",
        path=path,
        module=module,
        class_name=study.name,
        lesson=lesson_of(path, ast.get_docstring(tree) or ast.get_docstring(study)),
        fields=fields,
        scales={"quick": {}, **scales},
        claims=tuple(claims),
        courses=tuple(courses),
        no_onnx=str(no_onnx),
        has_demo=(
            "\n    def demo(" in source if own else any(_is_demo(each) for each in study.body)
        ),
    )


KNOWN_MODULES = ("etude", "etude.study", "etude.claims", "typing", "typing_extensions")
KNOWN_NAMES = (*FIELD_TYPES, "Study", "Claim", "ClassVar", "dataclass", "field")


def _names(tree: ast.Module) -> dict[str, str]:
    """``{local name: name}`` of what a file imports under another name, modules as ``name.``: of
    ``from etude import Count as C`` and of ``import etude as e``.
    """
    names: dict[str, str] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname: a.name for a in node.names if a.asname and a.name in KNOWN_NAMES}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name in (*KNOWN_MODULES, "dataclasses"):
                    names[f"{alias.asname or alias.name}."] = ""
    return names


def _plain_name(node: ast.expr, names: Mapping[str, str]) -> str:
    """A name as Etude calls it: ``Count`` of ``etude.Count``."""
    text = ast.unparse(node)
    module, dot, last = text.rpartition(".")
    return last if f"{module}{dot}" in names else names.get(text, text)


def _statements(study: ast.ClassDef) -> tuple[dict[str, ast.expr], dict[str, ast.AnnAssign]]:
    """What the names of a class are set to, the last time, and those that state a field."""
    stated: dict[str, ast.expr] = {}
    annotated: dict[str, ast.AnnAssign] = {}
    for each in study.body:
        if isinstance(each, ast.Assign):
            stated |= {t.id: each.value for t in each.targets if isinstance(t, ast.Name)}
        elif isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            if each.value is not None:
                stated[each.target.id] = each.value
            annotated[each.target.id] = each
    return stated, annotated


def _field(
    path: Path,
    source: str,
    names: Mapping[str, str],
    statement: ast.AnnAssign,
    stated: Mapping[str, ast.expr],
) -> Field:
    assert isinstance(statement.target, ast.Name)
    name = statement.target.id
    value = stated.get(name)
    if value is None:
        kind = ast.unparse(statement.annotation)
        raise UserError(
            f"{path}, line {statement.lineno}: field {name} has no default; expected one, as in"
            f" {name}: {kind} = …"
        )
    annotation = _text(statement.annotation, names)
    default = _default(path, name, annotation, value, names)
    return Field(name, annotation, default, _comment(source, statement))


def _checked_fields(
    path: Path,
    source: str,
    names: Mapping[str, str],
    annotated: Mapping[str, ast.AnnAssign],
    stated: Mapping[str, ast.expr],
) -> tuple[Field, ...]:
    """The fields of a user's study, each with a name, a type and a default that it can have.

    Raises:
        UserError: one has not; with its line, and what would be right.
    """
    options: dict[str, str] = {}
    fields = []
    for name, statement in annotated.items():
        kind = statement.annotation
        plain = _plain_name(kind.value if isinstance(kind, ast.Subscript) else kind, names)
        if plain.split(".")[-1] in ("ClassVar", "KW_ONLY"):
            continue
        where = f"{path}, line {statement.lineno}: field {name}"
        if trouble := name_trouble(name):
            raise UserError(f"{where} {trouble}")
        other = options.setdefault(option_of(name), name)
        if other != name:
            raise UserError(f"{where} has the option of {other}, {option_of(name)}; expected two")
        field = _field(path, source, names, statement, stated)
        try:
            check_field(path.stem, name, field.type, field.default)
        except UserError as error:
            said = str(error).removeprefix(f"{path.stem}: ").removeprefix(f"field {name} ")
            raise UserError(
                f"{where}: {said.removeprefix(f'{name} ')}"
                if said.startswith(f"{name} ")
                else f"{where} {said}"
            ) from None
        fields.append(field)
    return tuple(fields)


def _check_scales(path: Path, node: ast.expr | None, scales: Any, fields: Iterable[Field]) -> None:
    """Raise a UserError where a user's scales are no names and settings of fields."""
    if node is None:
        return
    where = f"{path}, line {node.lineno}: scales"
    if not isinstance(scales, dict) or not all(
        isinstance(name, str) and isinstance(values, dict) for name, values in scales.items()
    ):
        raise UserError(
            f"{where} are {ast.unparse(node)}; expected names, and of each the fields that it sets:"
            ' {"full": {"width": 256}}'
        )
    known = {field.name: field for field in fields}
    for scale, values in scales.items():
        for name, value in values.items():
            if name not in known:
                near = nearest(str(name), known)
                raise UserError(f"{where}: {scale} sets a field {name!r} that is not there{near}")
            check_field(f"{where}: {scale}", name, known[name].type, value)


def _is_study(base: ast.expr, names: Mapping[str, str]) -> bool:
    """Whether a class is derived from ``Study`` or ``Study[…]``, by whatever module's name."""
    plain = base.value if isinstance(base, ast.Subscript) else base
    return _plain_name(plain, names).split(".")[-1] == "Study"


def _is_demo(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef) and statement.name == "demo"


def _above_methods(source: str) -> str:
    study = re.search(r"^class \w+\(Study(\[.+\])?\):$", source, re.MULTILINE)
    method = study and re.compile(r"^    (def |@)", re.MULTILINE).search(source, study.end())
    return source[: method.start()] if method else source


def _check_decorator(path: Path, study: ast.ClassDef, names: Mapping[str, str]) -> None:
    """Raise a UserError where a class states fields and is no dataclass."""
    decorators = [
        node.func if isinstance(node, ast.Call) else node for node in study.decorator_list
    ]
    is_dataclass = any(
        _plain_name(each, names).split(".")[-1] == "dataclass" for each in decorators
    )
    if not is_dataclass and any(isinstance(statement, ast.AnnAssign) for statement in study.body):
        raise UserError(
            f"{path}, line {study.lineno}: class {study.name} states fields and is no dataclass;"
            " expected @dataclass in the line above it"
        )


def _default(
    path: Path, name: str, annotation: str, value: ast.expr, names: Mapping[str, str]
) -> Any:
    """A field's default, as it is written or within ``field(default=…)``.

    Raises:
        UserError: it is not written out.
    """
    where = f"{path}, line {value.lineno}: field {name}"
    inner = value
    if isinstance(value, ast.Call) and _plain_name(value.func, names).split(".")[-1] == "field":
        given = {keyword.arg: keyword.value for keyword in value.keywords}
        made = given.get("default_factory")
        if "init" in given:
            raise UserError(f"{where} is set by init; expected a field that can be chosen")
        if isinstance(made, ast.Lambda) and not ast.unparse(made.args):
            inner = made.body
        elif isinstance(made, ast.Name) and made.id in ("tuple", "int", "float", "bool", "str"):
            return {"tuple": (), "int": 0, "float": 0.0, "bool": False, "str": ""}[made.id]
        elif "default" in given:
            inner = given["default"]
        elif made is None:
            raise UserError(f"{where} has no default; expected field(default=…)")
    try:
        return _value(inner)
    except (ValueError, TypeError, SyntaxError, ArithmeticError):
        plain = annotation.partition("[")[0].partition(" ")[0]
        known = plain in FIELD_TYPES
        what = ast.unparse(value) if known else annotation
        instead = "expected a value that is written out" if known else "use str"
        raise UserError(f"{where}: {what} is no literal; {instead}") from None


def _value(node: ast.expr) -> Any:
    """A literal, or arithmetic of numbers as people write it: ``1 / 255``, ``60 * 60``, ``2**10``.

    Raises:
        ValueError, TypeError, SyntaxError, ArithmeticError: it is none.
    """
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        left, right = _value(node.left), _value(node.right)
        if not all(isinstance(each, int | float) for each in (left, right)):
            return ast.literal_eval(node)
        if isinstance(node.op, ast.Pow) and not (abs(left) <= 1e6 and abs(right) <= 64):
            raise ValueError("too large")
        return ARITHMETIC[type(node.op)](left, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    return ast.literal_eval(node)


ARITHMETIC: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
}


def _literal(path: Path, name: str, value: ast.expr | None, otherwise: Any) -> Any:
    """What a name of the class is set to.

    Raises:
        UserError: it is no literal.
    """
    if value is None:
        return otherwise
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError):
        raise UserError(
            f"{path}, line {value.lineno}: {name} must be written out, as literals; this is"
            f" {ast.unparse(value)}"
        ) from None


def _claims(path: Path, node: ast.expr | None) -> list[Claim]:
    if node is None:
        return []
    if not isinstance(node, ast.List | ast.Tuple):
        raise UserError(
            f"{path}, line {node.lineno}: claims must be written out, as a list; this is"
            f" {ast.unparse(node)}"
        )
    return [_claim(path, each) for each in node.elts]


def _claim(path: Path, node: ast.expr) -> Claim:
    where = f"{path}, line {node.lineno}"
    if not isinstance(node, ast.Call):
        raise UserError(f"{where}: claims must be literals; {ast.unparse(node)} is no Claim")
    given = [*node.args, *[keyword for keyword in node.keywords if keyword.arg is None]]
    if not isinstance(node.func, ast.Name | ast.Attribute) or any(
        isinstance(each, ast.Starred | ast.keyword) for each in given
    ):
        raise UserError(
            f"{where}: claims must be written out, as literals; this is {ast.unparse(node)}"
        )
    named = {
        keyword.arg: _literal(path, "claims", keyword.value, None)
        for keyword in node.keywords
        if keyword.arg
    }
    try:
        claim = Claim(*[_literal(path, "claims", each, None) for each in node.args], **named)
    except (TypeError, ValueError) as error:
        said = str(error).removeprefix("Claim.__init__() ")
        raise UserError(f"{where}: {ast.unparse(node)}: {said}") from None
    for name, kind, words in CLAIM:
        value = getattr(claim, name)
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise UserError(f"{where}: a claim's {name} is {value!r}; expected {words}")
    if claim.seeds < 1:
        raise UserError(f"{where}: a claim is over {claim.seeds} seeds; expected at least 1")
    return claim


CLAIM: tuple[tuple[str, Any, str], ...] = (
    ("metric", str, "a text"),
    ("at_least", int | float | None, "a number"),
    ("at_most", int | float | None, "a number"),
    ("scale", str, "a text"),
    ("seeds", int, "a whole number"),
    ("each", bool, "true or false"),
    ("source", str, "a text"),
)


def _text(node: ast.expr, names: Mapping[str, str]) -> str:
    """An annotation as Etude writes it; most are plain names, and need no writing anew."""
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if names:
        node = _Renamed(names).visit(copy.deepcopy(node))
    return ast.unparse(node)


class _Renamed(ast.NodeTransformer):
    """An annotation with the names that Etude gives to what it names."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        plain = _plain_name(node, self.names)
        return node if "." in plain else ast.Name(plain)


def _comment(source: str, statement: ast.stmt) -> str:
    """What stands behind a statement, on its last line; else the last comment within it, as the
    formatter leaves it where a value has to stand in brackets.
    """
    lines = source.split("\n")
    last = statement.end_lineno or statement.lineno
    line = lines[last - 1].encode()
    behind = line[statement.end_col_offset :].decode().strip()  # places are counted in bytes
    if behind.startswith("#"):
        return behind.lstrip("# ")
    if last == statement.lineno:
        return ""
    import tokenize

    inner = textwrap.dedent("\n".join(lines[statement.lineno - 1 : last]))
    comments = []
    with suppress(tokenize.TokenError, IndentationError):  # a part of a line may be cut off
        for token in tokenize.generate_tokens(StringIO(inner).readline):
            if token.type == tokenize.COMMENT:
                comments.append(token.string)
    return comments[-1].lstrip("# ") if comments else ""
