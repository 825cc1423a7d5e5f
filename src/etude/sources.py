"""Which files a study's numbers rest on, and whether they still are what they were. Needs no torch.

A study is its folder, or one file of a user's. Its numbers also rest on what it imports of Etude:
leaves of its topic, ``training``, ``networks``, ``layers``, ``data``, ``autodiff``. They do not
rest on figures and demos, nor on what runs every study alike (the run, the catalogue, the command
line), which is left out.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

from etude.errors import UserError

PACKAGE = Path(__file__).parent
COUNTED = (
    "studies",
    "training",
    "networks",
    "layers",
    "data",
    "autodiff",
)  # rooms whose code makes numbers
PICTURES = (
    "_figures",
    "_demo",
    "_film",
    "_attention_maps",
)  # how the files of studies are named that make none


def closure(main: Path) -> dict[str, Path]:
    """``{name: file}`` of the study whose main file is ``main``: itself and all that it imports, in
    turn.

    A file of Etude is named by its path in the package (``etude/data/generated.py``), any other by
    its path beside the study (``mine.py``).
    """
    found: dict[Path, None] = {}
    waiting = [main.resolve()]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = None
            waiting += [other for other in imported_files(file) if _counts(other, main)]
    return {_name(file, main.resolve().parent): file for file in sorted(found)}


def text_of(path: Path) -> str:
    """A Python file's source, in whatever encoding it says it is, as Python reads it.

    Raises:
        UserError: it can't be read, or is not in that encoding.
    """
    try:
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return io.TextIOWrapper(io.BytesIO(content), encoding).read()
    except (OSError, SyntaxError, ValueError, LookupError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "msg", None) or error
        raise UserError(
            f"{path} can't be read as Python: {reason}; expected a text in UTF-8, or in the"
            " encoding that its first line names"
        ) from None


def tree_of(path: Path, source: str | None = None) -> ast.Module:
    """A Python file's syntax tree; ``source``: what of it is looked at.

    Raises:
        UserError: it can't be read, or is not Python; with the line.
    """
    source = text_of(path) if source is None else source
    try:
        return ast.parse(source)
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise UserError(f"{path}{line} can't be read as Python: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        reason = error if isinstance(error, ValueError) else "it is nested too deeply"
        raise UserError(f"{path} can't be read as Python: {reason}") from None


def digests(main: Path) -> dict[str, str]:
    """``{name: SHA-256}`` of a study's closure; docstrings and comments do not count."""
    return {name: digest(file) for name, file in closure(main).items()}


def together(each: Mapping[str, str]) -> str:
    """One SHA-256 of many."""
    return hashlib.sha256(
        "\n".join(f"{name} {each[name]}" for name in sorted(each)).encode()
    ).hexdigest()


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of the files that were changed, added or taken away, in order."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def digest(path: str | Path) -> str:
    """SHA-256 of a Python file's code, its docstrings and comments left out."""
    path = Path(path)
    stat = path.stat()
    return _digest(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(4096)
def _digest(path: Path, changed_at: int, size: int) -> str:
    tree = tree_of(path)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            del node.body[0]
    try:
        return hashlib.sha256(ast.dump(tree).encode(errors="surrogatepass")).hexdigest()
    except RecursionError:
        raise UserError(f"{path} is nested too deeply to be read") from None


def kept(main: Path) -> dict[str, Path]:
    """``{name: file}`` of what a run keeps to be rebuilt from: the closure, and all else in the
    study's own folder.
    """
    files = closure(main)
    main = main.resolve()
    if main.parent.name == main.stem:
        own = [*main.parent.glob("*.py"), *main.parent.glob("README.md")]
        files |= {_name(file, main.parent): file for file in sorted(own)}
    return files


# -- imports ---------------------------------------------------------------------------------------


def imported_files(file: Path) -> list[Path]:
    """The files of Etude, and those beside it, that a file imports anywhere in it.

    What is named through a face (``from etude import data`` and then ``data.mnist``) counts as the
    file that holds it.
    """
    if PACKAGE not in file.parents:  # what lies beside a user's file comes and goes
        return list(_imported_files.__wrapped__(file, 0, 0))
    stat = file.stat()
    return list(_imported_files(file, stat.st_mtime_ns, stat.st_size))


@lru_cache(4096)
def _imported_files(file: Path, changed_at: int, size: int) -> tuple[Path, ...]:
    tree = tree_of(file)
    found: dict[Path, None] = {}
    faces: dict[str, Path] = {}  # a local name: the room's face that it stands for
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found |= dict.fromkeys(_files_of(alias.name, (), file))
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, file)
            for alias in node.names:
                place = _place(base, file)
                room = place / alias.name if place else None
                if room and room.is_dir() and (room / "__init__.py").is_file() and _homes(room):
                    faces[alias.asname or alias.name] = room
                else:
                    found |= dict.fromkeys(_files_of(base, (alias.name,), file))
    for name, room in faces.items():
        found |= dict.fromkeys(_through_face(tree, name, room))
    found.pop(file, None)
    return tuple(found)


def _absolute(node: ast.ImportFrom, file: Path) -> str:
    """The module that ``from … import`` names; that of a relative import begins with dots, as it is
    written.
    """
    return "." * node.level + (node.module or "")


def _place(module: str, file: Path) -> Path | None:
    """The folder or (without its ending) the file of a module; None if it is of neither Etude nor
    this folder.
    """
    dots = len(module) - len(module.lstrip("."))
    parts = module[dots:].split(".") if module[dots:] else []
    if dots:
        return file.parents[dots - 1].joinpath(*parts)
    if parts[:1] == ["etude"]:
        return PACKAGE.joinpath(*parts[1:])
    beside = file.parent.joinpath(*parts)
    there = beside.with_suffix(".py").is_file() or (beside / "__init__.py").is_file()
    return beside if there else None


def _files_of(module: str, names: tuple[str, ...], file: Path) -> Iterator[Path]:
    """The files that an import reads: those of submodules, of what a face hands on, or the module's
    own.
    """
    place = _place(module, file)
    if place is None:
        return
    own = place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"
    for name in names:
        if (place / f"{name}.py").is_file():
            yield place / f"{name}.py"
        elif own.name == "__init__.py" and (home := _homes(place).get(name)):
            yield home
        elif own.is_file():
            yield own
    if not names and own.is_file():
        yield own


def _through_face(tree: ast.AST, name: str, room: Path) -> Iterator[Path]:
    """The files behind ``name.attribute``; all of the room, where the face is used in any other
    way.
    """
    homes = _homes(room)
    bases = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Attribute)}
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == name
        ):
            if node.attr in homes:
                yield homes[node.attr]
            elif (room / f"{node.attr}.py").is_file():
                yield room / f"{node.attr}.py"
        elif isinstance(node, ast.Name) and node.id == name and id(node) not in bases:
            yield from homes.values()


def _homes(room: Path) -> dict[str, Path]:
    """``{name: file}`` of what a room's ``__init__`` hands on, as its imports for type checkers
    say.
    """
    face = room / "__init__.py"
    if not face.is_file():
        return {}
    stat = face.stat()
    return _homes_in(face, stat.st_mtime_ns, stat.st_size)


@lru_cache(256)
def _homes_in(face: Path, changed_at: int, size: int) -> dict[str, Path]:
    homes: dict[str, Path] = {}
    for node in ast.walk(tree_of(face)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("etude."):
            file = PACKAGE.joinpath(*(node.module or "").split(".")[1:]).with_suffix(".py")
            if file.is_file():
                homes |= {alias.asname or alias.name: file for alias in node.names}
    return homes


def _counts(file: Path, main: Path) -> bool:
    """Whether a file can move a study's numbers."""
    if file.stem.startswith(PICTURES):
        return False
    if PACKAGE in file.parents:
        return file.relative_to(PACKAGE).parts[0] in COUNTED and file.name != "__init__.py"
    return True


def _name(file: Path, own: Path) -> str:
    if PACKAGE in file.parents:
        return file.relative_to(PACKAGE.parent).as_posix()
    return file.relative_to(own).as_posix() if own in file.parents else file.name
