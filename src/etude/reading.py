"""Reads a study's file into its entry, by its syntax and never by importing it.

So ``etude list`` answers at once, and a stranger's file can be asked for its help. What can't be a
study is refused in a sentence with its line, before anything of it is executed.
"""

from __future__ import annotations

import ast
import copy
import operator
import re
import textwrap
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

from etude.claims import Claim, Control, check_controls
from etude.entry import Entry, Field
from etude.errors import UserError, nearest
from etude.runs.record import option_of
from etude.sources import text_of, tree_of
from etude.study import FIELD_TYPES, check_field, check_study_name, lesson_of, name_trouble


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
    needs = _literal(path, "needs", stated.get("needs"), ())
    no_onnx = _literal(path, "no_onnx", stated.get("no_onnx"), "")
    claims = _claims(path, stated.get("claims"), names)
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
        if not isinstance(needs, list | tuple) or not all(isinstance(n, str) for n in needs):
            raise UserError(
                f"{path}, line {stated['needs'].lineno}: needs is {needs!r}; expected the names of"
                " studies, several texts"
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
        needs=tuple(needs),
        no_onnx=str(no_onnx),
        has_demo=(
            "\n    def demo(" in source if own else any(_is_demo(each) for each in study.body)
        ),
    )


KNOWN_MODULES = ("etude", "etude.study", "etude.claims", "typing", "typing_extensions")
KNOWN_NAMES = (*FIELD_TYPES, "Study", "Claim", "Control", "ClassVar", "dataclass", "field")


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


def _claims(path: Path, node: ast.expr | None, names: Mapping[str, str]) -> list[Claim]:
    if node is None:
        return []
    if not isinstance(node, ast.List | ast.Tuple):
        raise UserError(
            f"{path}, line {node.lineno}: claims must be written out, as a list; this is"
            f" {ast.unparse(node)}"
        )
    claims = [_claim(path, each, names) for each in node.elts]
    try:
        check_controls(claims)
    except ValueError as error:
        raise UserError(f"{path}, line {node.lineno}: {error}") from None
    return claims


def _claim(path: Path, node: ast.expr, names: Mapping[str, str]) -> Claim:
    where = f"{path}, line {node.lineno}"
    if not isinstance(node, ast.Call):
        raise UserError(
            f"{where}: claims must be literals; {ast.unparse(node)} is no Claim and no Control"
        )
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
    kind = Control if _plain_name(node.func, names).split(".")[-1] == "Control" else Claim
    try:
        claim = kind(*[_literal(path, "claims", each, None) for each in node.args], **named)
    except (TypeError, ValueError) as error:
        said = str(error).removeprefix(f"{kind.__name__}.__init__() ")
        raise UserError(f"{where}: {ast.unparse(node)}: {said}") from None
    for name, type_, words in CLAIM:
        value = getattr(claim, name, "")
        if not isinstance(value, type_) or (isinstance(value, bool) and type_ is not bool):
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
    ("of", str, "a text, the metric that is claimed"),
    ("without", str, "a text, what is taken out"),
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
