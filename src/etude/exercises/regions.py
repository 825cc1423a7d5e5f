"""Regions: the parts of a reference solution that a student writes.

A region stands between two comments, at the level of statements within one function::

    def softmax(x: Array) -> Array:
        \"\"\"Probabilities, row by row: (N, C) → (N, C).\"\"\"
        # task softmax, 2 points: Shift each row first, so that no exponential is too large.
        powers = np.exp(x - x.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)
        # end of task

The starter has a ``raise NotImplementedError("softmax")`` in its place; all else stays as it is, to
the letter.
"""

from __future__ import annotations

import ast
import io
import re
import textwrap
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etude.errors import UserError

BEGIN = re.compile(r"# task ([a-z][a-z0-9_-]*), (\d+) points?: (.+)")
MORE = re.compile(r"#   (.+)")
END = "# end of task"


@dataclass(frozen=True)
class Region:
    """A part that a student writes.

    Attributes:
        id: its name within the file.
        points: what it is worth.
        text: what is to be done.
        function: in which it stands, ``Adam.step`` of a method; the outermost of several.
        first: the line of its first comment, counted from 1.
        last: the line of its last one.
        indent: the columns before them.
    """

    id: str
    points: int
    text: str
    function: str
    first: int
    last: int
    indent: int


def regions_of(source: str, name: str = "the reference") -> list[Region]:
    """The regions of a file, in their order.

    Args:
        source: Python.
        name: what to call the file in errors.

    Raises:
        UserError: the file is not Python; a comment is lost; a region is not made of whole
            statements of one block of a function; two have one id.
    """
    try:
        tree = ast.parse(source)
        comments = list(_comments(source))
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        raise UserError(f"{name} is not Python: {error}") from None
    found: list[Region] = []
    waiting: tuple[int, int, re.Match[str], list[str]] | None = None
    for line, column, text in comments:
        begin = BEGIN.fullmatch(text)
        if begin or text == END:
            if (waiting is None) == (begin is None):
                expected = f"'{END}'" if waiting else "'# task NAME, N points: …' before it"
                raise UserError(f"{name}, line {line}: '{text}'; expected {expected}")
        elif text.startswith("# task") and not begin:
            raise UserError(
                f"{name}, line {line}: '{text}'; expected '# task NAME, N points: what to do'"
            )
        if begin:
            waiting = (line, column, begin, [begin[3]])
        elif waiting and text == END:
            first, indent, match, words = waiting
            if column != indent:
                raise UserError(
                    f"{name}, line {line}: the end stands in another column than line {first}"
                )
            function = _function(tree, first, line, name)
            found.append(
                Region(match[1], int(match[2]), " ".join(words), function, first, line, indent)
            )
            waiting = None
        elif waiting and (more := MORE.fullmatch(text)) and line == waiting[0] + len(waiting[3]):
            waiting[3].append(more[1])
    if waiting:
        raise UserError(f"{name}, line {waiting[0]}: the task has no end; expected '{END}'")
    ids = [region.id for region in found]
    if len(set(ids)) < len(ids):
        raise UserError(f"{name}: two tasks are called {max(ids, key=ids.count)}")
    return found


def _comments(source: str) -> Iterator[tuple[int, int, str]]:
    """Line, column and text of each comment that has a line of its own."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip():
            yield token.start[0], token.start[1], token.string.rstrip()


def _function(tree: ast.Module, first: int, last: int, name: str) -> str:
    """The function of which a block's whole statements stand between two lines.

    Raises:
        UserError: there is none.
    """
    for owner, block in _blocks(tree):
        inside = [s for s in block if first < _start(s) and _stop(s) < last]
        across = [s for s in block if s not in inside and _start(s) < last and _stop(s) > first]
        if inside and not across and owner:
            return owner
    raise UserError(
        f"{name}, line {first}: the task is not made of whole statements of one function; expected"
        " its comments between statements, in the column of both"
    )


def _start(statement: ast.stmt) -> int:
    decorators: list[ast.expr] = getattr(statement, "decorator_list", [])
    return min(statement.lineno, *(each.lineno for each in decorators), statement.lineno)


def _stop(statement: ast.stmt) -> int:
    return statement.end_lineno or statement.lineno


def _blocks(tree: ast.Module) -> Iterator[tuple[str, Sequence[ast.stmt]]]:
    """Each block of statements, with the qualified name of the outermost function in which it
    stands; ``""`` outside of functions.
    """

    def visit(
        node: ast.AST, path: tuple[str, ...], within: str
    ) -> Iterator[tuple[str, Sequence[ast.stmt]]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                own = within or ".".join((*path, child.name))
                yield from visit(child, (*path, child.name), own)
            elif isinstance(child, ast.ClassDef):
                yield from visit(child, (*path, child.name), within)
            else:
                yield from visit(child, path, within)
        for part in ("body", "orelse", "finalbody"):
            block = getattr(node, part, None)
            if isinstance(block, list):
                yield within, block

    yield from visit(tree, (), "")


# -- what is made of it ----------------------------------------------------------------------------


def starter(source: str, name: str = "the reference", *, only: Sequence[str] | None = None) -> str:
    """The file without its solutions.

    Args:
        source: of the reference.
        name: what to call it in errors.
        only: the regions that are taken out; all by default.

    Raises:
        UserError: the regions are none; what is left is not the same file but for them.
    """
    lines = source.splitlines()
    for region in reversed(regions_of(source, name)):
        if only is None or region.id in only:
            pad = " " * region.indent
            points = f"{region.points} point{'s' * (region.points != 1)}"
            said = textwrap.wrap(
                f"Your turn, {points}: {region.text}",
                98 - region.indent,
                initial_indent=f"{pad}# ",
                subsequent_indent=f"{pad}#   ",
                break_on_hyphens=False,
            )
            stop = f'{pad}raise NotImplementedError("{region.id}")'
            lines[region.first - 1 : region.last] = [*said, stop]
    text = "\n".join(lines) + "\n"
    _check_frame(source, text, name)
    return text


def _check_frame(source: str, text: str, name: str) -> None:
    """Whether signatures, docstrings, imports and all other statements are the reference's.

    Raises:
        UserError: they are not, or the text is no Python.
    """
    try:
        after = ast.parse(text)
    except SyntaxError as error:
        raise UserError(f"{name}: its starter is not Python: {error}") from None
    if frame(ast.parse(source)) != frame(after):
        raise UserError(f"{name}: its starter is another file than the reference but for the tasks")


def frame(tree: ast.Module) -> list[str]:
    """All of a file that a starter keeps: its statements outside of functions, and of each
    function its signature, decorators and docstring.
    """
    kept = []

    def visit(node: ast.AST, path: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                here = f"{path}.{child.name}"
                heads = [ast.dump(each) for each in child.decorator_list]
                if isinstance(child, ast.ClassDef):
                    heads += [ast.dump(each) for each in (*child.bases, *child.keywords)]
                else:
                    heads += [
                        ast.dump(child.args),
                        ast.dump(child.returns) if child.returns else "",
                    ]
                kept.append(f"{here} {heads} {ast.get_docstring(child)!r}")
                if isinstance(child, ast.ClassDef):
                    visit(child, here)
            elif isinstance(node, ast.Module | ast.ClassDef) and isinstance(child, ast.stmt):
                kept.append(f"{path} {ast.dump(child)}")

    visit(tree, "")
    return kept
