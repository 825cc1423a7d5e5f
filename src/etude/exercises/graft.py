"""Takes a student's functions out of what was handed in, and puts them into a clean starter.

Only what the tasks ask for is taken, by syntax tree; whatever else was deleted, doubled or edited
in the student's file can't matter:

- of each function with a task, the body: the last one of its name, at the level of the module or of
  its class. The signature, the decorators and all other code are the starter's.
- of its class, methods that the starter has not.
- at the level of the module, what these bodies use, and what that uses: imports, functions,
  classes, and all assignments of a value, in their order. What the starter has is never replaced.
  A value that is given in a block (``if``, ``for``) or beside a name of the starter's is passed
  over, and said. An import that fails is passed over, because a notebook imports much that no task
  needs.

Nothing is executed here. What is taken runs in a sandbox only.
"""

from __future__ import annotations

import ast
import copy
import io
import stat
import symtable
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath

import msgspec

from etude import files
from etude.errors import UserError, printable
from etude.exercises.regions import Region

LARGEST = 1_000_000  # bytes of a file that is handed in
LARGEST_ARCHIVE = 20_000_000
MOST_FILES = 2_000  # that are handed in by one student
MOST_CODE = 50  # of them, that may be graded
CLUTTER = ("__MACOSX", "__pycache__")
Function = ast.FunctionDef | ast.AsyncFunctionDef
Assignment = ast.Assign | ast.AnnAssign | ast.AugAssign


class Invalid(Exception):
    """Why what was handed in can't be graded at all, in a sentence for the student."""


@dataclass(frozen=True)
class Submission:
    """What a student has handed in.

    Attributes:
        name: of the file.
        text: its Python; of a notebook, its code cells one after the other.
        cells: of a notebook, the line at which each cell begins, and its number.
        notes: what was passed over.
    """

    name: str
    text: str
    cells: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()

    def place(self, line: int) -> str:
        """A line, as its author finds it: ``line 12``, or ``cell 3, line 2``."""
        for (first, cell), after in pairwise([*self.cells, (1 << 60, 0)]):
            if first <= line < after[0]:
                return f"cell {cell}, line {line - first + 1}"
        return f"line {line}"


# -- reading ---------------------------------------------------------------------------------------


def content_of(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file that was handed in; no link is followed.

    Args:
        path: of the file.
        most: bytes that it may have; by default what code or an archive may.

    Raises:
        Invalid: it is no file, or too large.
    """
    try:
        most = most or (LARGEST_ARCHIVE if path.suffix.lower() == ".zip" else LARGEST)
        return files.content_of(path, most)
    except files.Unreadable as why:
        raise Invalid(f"the file {why}; expected a .py, .ipynb or .zip") from None


def read(name: str, content: bytes) -> Submission:
    """What was handed in, as Python.

    Args:
        name: of the file; its ending says what it is: ``.py``, ``.ipynb``, or a ``.zip`` of one.
        content: its bytes.

    Raises:
        Invalid: it can't be graded.
    """
    said = printable(PurePosixPath(name).name)[:200]
    if name.lower().endswith(".zip"):
        name, content = _of_archive(content)
    if len(content) > LARGEST:
        raise Invalid(f"the file has {len(content):,} bytes; expected at most {LARGEST:,}")
    if not content.strip():
        raise Invalid("the file is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("the file is not text in UTF-8") from None
    if "\0" in text:
        raise Invalid("the file is not text: it holds zeros")
    cells: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    if name.lower().endswith(".ipynb"):
        text, cells, notes = _of_notebook(text)
    elif not name.lower().endswith(".py"):
        raise Invalid(f"'{said}' is of an unknown kind; expected a .py, .ipynb or .zip")
    found = Submission(said, text, cells, notes)
    try:
        parsed(text)
    except SyntaxError as error:
        where = f", {found.place(error.lineno)}" if error.lineno else ""
        raise Invalid(f"the file is not Python: {error.msg}{where}") from None
    return found


def parsed(text: str) -> ast.Module:
    """The syntax tree of a text from anywhere.

    Raises:
        SyntaxError: it is not Python, or too deeply nested.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a student's file, not of ours
        try:
            return ast.parse(text)
        except (RecursionError, MemoryError):
            raise SyntaxError("it is nested too deep") from None
        except ValueError as error:
            raise SyntaxError(str(error)) from None


def _of_archive(content: bytes) -> tuple[str, bytes]:
    """The name and content of the one file of an archive.

    Raises:
        Invalid: there is none, or several; or the archive can't be read.
    """
    found = unpacked(content)
    if len(found) != 1:
        raise Invalid(f"the archive holds {len(found)} files to grade; expected one")
    return next(iter(found.items()))


def unpacked(content: bytes) -> dict[str, bytes]:
    """The Python files and notebooks of an archive, by their names. Nothing is unpacked to disk.

    Raises:
        Invalid: it is damaged, locked or too large; it holds a link, or a name that leads out of
            it, or two files of one name.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if len(members) > MOST_FILES:
                raise Invalid(f"the archive holds more than {MOST_FILES:,} files")
            for each in members:
                _refuse_outside(each)
            wanted = [each for each in members if is_code(each.filename)]
            if len(wanted) > MOST_CODE:
                raise Invalid(f"the archive holds more than {MOST_CODE} files of Python")
            found = {}
            for each in wanted:
                said = printable(each.filename)[:200]
                if each.filename in found:
                    raise Invalid(f"the archive holds two files called {said}; expected one")
                with archive.open(each) as file:
                    found[each.filename] = file.read(LARGEST + 1)
                if len(found[each.filename]) > LARGEST:
                    raise Invalid(f"{said} in the archive has more than {LARGEST:,} bytes")
            return found
    except Invalid:
        raise
    except Exception as error:  # zipfile raises whatever a damaged archive makes it stumble over
        raise Invalid(f"the archive can't be read: {printable(error)[:200]}") from None


def is_code(name: str) -> bool:
    """Whether a file's path says that it may be graded: Python or a notebook, and no clutter."""
    parts = PurePosixPath(name).parts
    hidden = any(each.startswith(".") or each in CLUTTER for each in parts)
    return name.lower().endswith((".py", ".ipynb")) and not hidden


def _refuse_outside(member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename.replace("\\", "/"))
    said = printable(member.filename)[:200]
    if stat.S_ISLNK(member.external_attr >> 16):
        raise Invalid(f"the archive holds a link, {said}; expected plain files")
    if path.is_absolute() or ".." in path.parts or (path.parts[:1] and path.parts[0][1:2] == ":"):
        raise Invalid(f"the archive holds a name that leads out of it, {said}")


class _Cell(msgspec.Struct):
    cell_type: str
    source: str | list[str] = ""


class _Notebook(msgspec.Struct):
    cells: list[_Cell]


def _of_notebook(text: str) -> tuple[str, tuple[tuple[int, int], ...], tuple[str, ...]]:
    """The code cells of a notebook, the line at which each begins, and what was passed over.

    Raises:
        Invalid: it is no notebook, or has no code.
    """
    try:
        notebook = msgspec.json.decode(text, type=_Notebook)
    except (msgspec.MsgspecError, RecursionError):
        raise Invalid("the file is no notebook; expected one of nbformat 4") from None
    lines: list[str] = []
    begins, notes = [], []
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type != "code":
            continue
        source = cell.source if isinstance(cell.source, str) else "".join(cell.source)
        source = source.replace("\0", "")
        if not _parses(source):
            source = _without_commands(source)
        if _parses(source):
            begins.append((len(lines) + 1, number))
            lines += [*source.split("\n"), ""]
        else:
            notes.append(f"cell {number} is not Python, and was passed over")
    if not begins:
        raise Invalid("the notebook has no cell with Python")
    return "\n".join(lines), tuple(begins), tuple(notes)


def _parses(source: str) -> bool:
    try:
        parsed(source)
    except SyntaxError:
        return False
    return True


def _without_commands(source: str) -> str:
    """A cell without lines for the notebook, ``%matplotlib inline`` or ``!pip install x``."""
    if source.lstrip().startswith("%%"):
        return ""
    return "\n".join(
        f"{line[: len(line) - len(line.lstrip())]}pass" if line.lstrip()[:1] in ("%", "!") else line
        for line in source.split("\n")
    )


# -- grafting --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Grafted:
    """A starter with a student's functions in it.

    Attributes:
        text: the module.
        missing: tasks without a function of the student's, and why: a sentence.
        other: tasks whose function has another signature: a sentence.
        notes: what was passed over, a sentence each.
        lines: a line of the text, and of what was handed in.
    """

    text: str
    missing: Mapping[str, str] = field(default_factory=dict)
    other: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    lines: Mapping[int, int] = field(default_factory=dict)


def graft(submission: Submission, starter: str, regions: Sequence[Region]) -> Grafted:
    """Put the student's functions into a starter.

    Args:
        submission: of which they are taken.
        starter: the clean one.
        regions: the tasks, and in which function each stands.

    Raises:
        Invalid: the submission is nested too deep to be taken apart.
        UserError: the starter has no such function.
    """
    try:
        return _grafted(submission, starter, regions)
    except (RecursionError, MemoryError, ValueError, SyntaxError):
        raise Invalid("the file can't be taken apart: it is nested too deep, or too odd") from None


def _grafted(submission: Submission, starter: str, regions: Sequence[Region]) -> Grafted:
    tree, own = parsed(starter), parsed(submission.text)
    for node in ast.walk(own):
        node._of_student = True  # type: ignore[attr-defined]
    places, found = dict(_functions(tree)), dict(_functions(own))
    counts = [name for name, _ in _functions(own)]
    missing, other, notes = {}, {}, [*submission.notes]
    taken: list[Function] = []
    for region in regions:
        target = places.get(region.function)
        if target is None:
            raise UserError(f"the starter has no function {region.function}; expected one")
        mine = found.get(region.function)
        if mine is None:
            missing[region.id] = f"the function {region.function} is missing"
        elif (said := _signature(mine)) != (expected := _signature(target)):
            other[region.id] = (
                f"the function is {region.function}{printable(said)[:300]}; expected {expected}"
            )
        elif mine not in taken:
            taken.append(mine)
            target.body = copy.deepcopy(mine.body)
            if (times := counts.count(region.function)) > 1:
                notes.append(f"{region.function} stands there {times} times; the last one counts")
    if taken:
        methods = _add_methods(tree, own, regions)
        notes += _add_used(tree, own, [*taken, *methods])
    text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    return Grafted(text, missing, other, tuple(notes), _lines(tree, parsed(text)))


def _functions(tree: ast.AST, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Function]]:
    """Each function of a module and of its classes, by its qualified name."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, Function):
            yield ".".join((*path, child.name)), child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, (*path, child.name))


def _signature(function: Function) -> str:
    """What a caller has to know of a function: its parameters, without annotations."""
    bare = copy.deepcopy(function.args)
    bare.defaults = [ast.Constant(...) for _ in bare.defaults]
    bare.kw_defaults = [each and ast.Constant(...) for each in bare.kw_defaults]
    for each in ast.walk(bare):
        if isinstance(each, ast.arg):
            each.annotation = None
    text = f"({ast.unparse(bare)})"
    return f"{text}, async" if isinstance(function, ast.AsyncFunctionDef) else text


def _classes(tree: ast.Module) -> dict[str, ast.ClassDef]:
    return {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}


def _add_methods(tree: ast.Module, own: ast.Module, regions: Sequence[Region]) -> list[Function]:
    """Add to the starter's classes with tasks what other methods the student's have."""
    added = []
    mine, theirs = _classes(own), _classes(tree)
    for name in {region.function.partition(".")[0] for region in regions}:
        if name not in mine or name not in theirs:
            continue
        known = {each for statement in theirs[name].body for each in _bound(statement)}
        extra = {each.name: each for each in mine[name].body if isinstance(each, Function)}
        for method in extra.values():
            if method.name not in known and not method.name.startswith("__"):
                theirs[name].body.append(copy.deepcopy(method))
                added.append(method)
    return added


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement gives something to, in the block in which it stands."""
    if isinstance(statement, Function | ast.ClassDef):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, Function | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.alias):
            yield node.asname or node.name.partition(".")[0]
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _needed(statement: ast.stmt) -> set[str]:
    """The names that a statement takes from its module, whether at once or when it is called."""
    found = set()
    waiting = [symtable.symtable(ast.unparse(statement), "a submission", "exec")]
    while waiting:
        table = waiting.pop()
        top = table.get_type() == "module"
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (top or symbol.is_global()):
                found.add(symbol.get_name())
        waiting += table.get_children()
    return found


def _add_used(tree: ast.Module, own: ast.Module, taken: Sequence[ast.stmt]) -> list[str]:
    """Add what the functions use of the student's module; what could not be taken."""
    notes = []
    known = {each for statement in tree.body for each in _bound(statement)}
    imports: dict[str, ast.stmt] = {}
    defined: dict[str, list[ast.stmt]] = {}  # of each name what gives it its value, in order
    elsewhere: set[str] = set()  # names that get a value where it can't be taken from
    for statement in own.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
                continue
            if isinstance(statement, ast.ImportFrom) and statement.level:
                notes.append("an import from a file beside yours was passed over")
                continue
            for alias in statement.names:
                if alias.name == "*":
                    notes.append("'import *' was passed over; import names instead")
                    continue
                alone = copy.copy(statement)
                alone.names = [alias]
                imports[alias.asname or alias.name.partition(".")[0]] = alone
        elif isinstance(statement, Function | ast.ClassDef):
            defined[statement.name] = [statement]  # the last one counts
        else:
            names = set(_bound(statement))
            if isinstance(statement, Assignment) and not names & known:
                for name in names:
                    defined.setdefault(name, []).append(statement)
            else:
                elsewhere |= names

    wanted: set[str] = set()
    waiting: list[ast.stmt] = [*taken]
    while waiting:
        for name in _needed(waiting.pop()) - known - wanted:
            if not name.startswith("__"):
                wanted.add(name)
                waiting += defined.get(name, [])
    first = _after_docstring(tree.body)
    tree.body[first:first] = [
        _tried(copy.deepcopy(statement)) for name, statement in imports.items() if name in wanted
    ]
    used = {id(each) for name in wanted for each in defined.get(name, [])}
    tree.body += [copy.deepcopy(each) for each in own.body if id(each) in used]
    for name in sorted(wanted & elsewhere):
        notes.append(
            f"a value of {name} was passed over: it is not given by an assignment at the level of"
            " the module, or beside a name of the starter's"
        )
    return list(dict.fromkeys(notes))


def _after_docstring(body: Sequence[ast.stmt]) -> int:
    """Where imports may stand: behind a docstring and what is imported from the future."""
    place = 0
    for number, statement in enumerate(body):
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            place = number + 1
        elif number == 0 and isinstance(statement, ast.Expr):
            place = 1
    return place


def _tried(statement: ast.stmt) -> ast.Try:
    """An import that may fail."""
    handler = ast.ExceptHandler(ast.Name("ImportError", ast.Load()), None, [ast.Pass()])
    return ast.Try([statement], [handler], [], [])


def _lines(tree: ast.Module, written: ast.Module) -> dict[int, int]:
    """Of each line that is the student's, the line of what was handed in.

    Args:
        tree: put together of the starter's and the student's statements.
        written: the same, as it was parsed from its text.
    """
    found = {}
    before, after = list(_statements(tree)), list(_statements(written))
    for old, new in zip(before, after, strict=False):
        if type(old) is not type(new):
            break
        if getattr(old, "_of_student", False):
            found[new.lineno] = old.lineno
    return found


def _statements(node: ast.AST) -> Iterator[ast.stmt]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield child
        yield from _statements(child)
