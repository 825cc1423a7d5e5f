"""Finds what students have handed in: whose each file of a folder is, and for which exercise.

A folder holds a file, a notebook, an archive or a folder for each student. Its names say whose they
are: by themselves, or by a roster. All of it is a stranger's: no link is followed, nothing is
unpacked to disk, and what is read is bounded.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from etude.errors import UserError, printable
from etude.exercises.graft import (
    CLUTTER,
    LARGEST_ARCHIVE,
    MOST_CODE,
    MOST_FILES,
    Invalid,
    content_of,
    is_code,
    unpacked,
)
from etude.exercises.work import LARGEST_PART, PARTS, files_of, is_part

MOST_STUDENTS = 10_000
DEEPEST = 8  # folders within a student's folder
LONGEST_ID = 200
SHORTEST = 4  # signs of an id that is looked for within a name: _1 may be the number of a task
LAST_SECOND = 253_402_300_799.0  # of the year 9999
SYSTEM = ("thumbs.db", "desktop.ini")  # what a system leaves in folders
KINDS = (".py", ".ipynb", ".zip", *PARTS)

# How programs name what students have handed in to them.
MOODLE = re.compile(r"(?P<person>.+)_(?P<number>\d+)_assignsubmission_[a-z]+_?(?P<own>.*)", re.I)
CANVAS = re.compile(r"(?P<person>[^\W\d_]+)(_LATE)?_(?P<number>\d{3,})_\d{3,}_(?P<own>.+)")
PLAIN = re.compile(r"(?P<person>.+?)_assign(ment|submission)?[-_]?\d*(?:_(?P<own>.*))?", re.I)


@dataclass(frozen=True)
class HandIn:
    """What one student has handed in.

    Attributes:
        student: an id; or a team.
        paths: of files and folders, in the order of their names.
    """

    student: str
    paths: tuple[Path, ...]

    @property
    def names(self) -> list[str]:
        """Of the files and folders, as they may be shown."""
        return [printable(path.name) for path in self.paths]


@dataclass(frozen=True)
class Content:
    """What was read of it.

    Attributes:
        raw: the files as they lay there, by their names; or why they can't be graded.
        digest: SHA-256 of them; of one file that of its bytes.
        modified: when the last of them was changed, as the folder says.
    """

    raw: Mapping[str, bytes] | Invalid
    digest: str
    modified: datetime

    @cached_property
    def files(self) -> Mapping[str, bytes] | Invalid:
        """The Python files and notebooks, also those in archives; or why there are none."""
        if isinstance(self.raw, Invalid):
            return self.raw
        files: dict[str, bytes] = {}
        try:
            for name, content in self.raw.items():
                if name.lower().endswith(".zip"):
                    inside = unpacked(content)
                    files |= {f"{name}/{inner}": each for inner, each in inside.items()}
                elif is_code(name):
                    files[name] = content
        except Invalid as error:
            return error
        return files or Invalid("there is nothing to grade; expected a .py, .ipynb or .zip")

    @property
    def parts(self) -> dict[str, bytes]:
        """What lies beside the code, also in archives, by names without folders."""
        found: dict[str, bytes] = {}
        for name, content in ({} if isinstance(self.raw, Invalid) else self.raw).items():
            inside = files_of(name, content) if name.lower().endswith(".zip") else {name: content}
            found |= {PurePosixPath(each).name: inside[each] for each in inside if is_part(each)}
        return found


def file_name(student: str) -> str:
    """The name of a file about a student, without its ending: no two students have one."""
    signs = [s if s.isalnum() or s in " @+=-._" else quote(s, safe="") for s in student]
    name = "".join(signs)
    if name.startswith(".") or len(name.encode()) > LONGEST_ID:
        digest = hashlib.sha256(student.encode()).hexdigest()[:16]
        return f"{name[:40].lstrip('.')}-{digest}"
    return name


# -- whose ----------------------------------------------------------------------------------------


def hand_ins(folder: Path, roster: Mapping[str, str] | None = None) -> list[HandIn]:
    """What lies in a folder, student by student.

    By a roster, a name is a student's if

    - it is an id, or begins with one and goes on with a sign such as ``_``;
    - or it is, or a program made it of, a name that one student has, in whatever order and spelling
      of its words: ``Ada Lovelace_123_assignsubmission_file``, ``lovelaceada_123_456_a.py``;
    - or else one of its parts between ``_`` is an id.

    Where these say two things, it is nobody's.

    Without a roster it is what stands before ``_assign`` in a name that has it, the number of the
    student in one of Canvas's, and else the whole name without its ending. Several files of one
    student are one submission.

    Args:
        folder: the folder.
        roster: ``{id: name}`` of those who may have handed in.

    Raises:
        UserError: it can't be read, or holds nothing; something belongs to nobody of the roster.
    """
    found: dict[str, list[Path]] = {}
    nobody: list[str] = []
    matched = Roster(roster) if roster is not None else None
    for path in _entries(folder):
        student = matched.student(path) if matched else _by_name(path)
        if student is None:
            nobody.append(path.name)
        else:
            found.setdefault(student, []).append(path)
    if nobody:
        some = ", ".join(nobody[:5]) + (" …" if len(nobody) > 5 else "")
        raise UserError(
            f"{folder} has {len(nobody)} that belong to nobody of the roster: {some}; expected"
            " names that begin with a student's id, or with a name that one student has"
        )
    if not found:
        raise UserError(f"{folder} holds no submission; expected a file or folder for each student")
    return [HandIn(student, tuple(sorted(paths))) for student, paths in sorted(found.items())]


def _entries(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MOST_STUDENTS + 1)]
    except OSError as error:
        raise UserError(f"{folder} can't be read: {error.strerror}; expected a folder") from None
    if len(names) > MOST_STUDENTS:
        raise UserError(f"{folder} holds more than {MOST_STUDENTS:,} files; expected one a student")
    kept = [n for n in sorted(names) if not n.startswith(".") and n not in CLUTTER]
    for name in kept:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise UserError(
                f"{folder} holds a name that is not UTF-8, {printable(name)}; expected one that is"
            ) from None
    return [folder / name for name in kept if name.lower() not in SYSTEM]


def _stem(path: Path) -> str:
    """A name without its ending; a folder's is whole."""
    name = path.stem if path.suffix.lower() in KINDS else path.name
    return " ".join(unicodedata.normalize("NFC", name).split())


def _by_name(path: Path) -> str:
    """Whose a file is, as far as its own name says."""
    stem = _stem(path)
    if match := MOODLE.fullmatch(stem):
        return f"{match['person']}_{match['number']}"[:LONGEST_ID]
    if match := CANVAS.fullmatch(stem):
        return match["number"][:LONGEST_ID]
    if match := PLAIN.fullmatch(stem):
        return match["person"][:LONGEST_ID]
    return stem[:LONGEST_ID]


class Roster:
    """Finds students by the names of files.

    Args:
        names: ``{id: name}``.
    """

    def __init__(self, names: Mapping[str, str]) -> None:
        self.ids = {each.casefold(): each for each in names}
        self.people: dict[str, set[str]] = {}
        for student, name in names.items():
            words = name.replace(",", " ").split()
            for turn in range(len(words)):
                spelled = _squeezed("".join([*words[turn:], *words[:turn]]))
                self.people.setdefault(spelled, set()).add(student)

    def student(self, path: Path) -> str | None:
        """Whose a file is; None where the roster does not say, or says two things."""
        stem = _stem(path).casefold()
        begins = [
            each
            for each in self.ids
            if stem.startswith(each) and not stem[len(each) : len(each) + 1].isalnum()
        ]
        match = MOODLE.fullmatch(stem) or CANVAS.fullmatch(stem) or PLAIN.fullmatch(stem)
        found = self.people.get(_squeezed(match["person"] if match else stem), set())
        found = found if len(found) == 1 else set()
        if begins:
            found = {*found, self.ids[max(begins, key=len)]}
        if not found:
            parts = [part for part in stem.split("_") if len(part) >= SHORTEST]
            found = {self.ids[part] for part in parts if part in self.ids}
        return min(found) if len(found) == 1 else None


def _squeezed(text: str) -> str:
    """The letters and digits of a name, without accents: ``Zoë de Wit`` is ``zoedewit``."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in plain if sign.isalnum())


# -- reading --------------------------------------------------------------------------------------


def read_hand_in(hand_in: HandIn, *, parts: bool = False) -> Content:
    """Read what a student has handed in. Where it can't be graded, the content says why.

    Args:
        hand_in: the submission.
        parts: whether plots, models and texts beside the code belong to it.
    """
    raw: dict[str, bytes] = {}
    changed: list[float] = []
    try:
        for name, path in _plain_files(hand_in.paths, parts=parts):
            raw[name] = content_of(path, LARGEST_PART if is_part(name) else None)
            changed.append(_modified(path))
            if len(raw) > MOST_CODE or sum(map(len, raw.values())) > LARGEST_ARCHIVE:
                raise Invalid(
                    f"there are more than {MOST_CODE} files to grade, or more than"
                    f" {LARGEST_ARCHIVE:,} bytes"
                )
    except Invalid as error:
        digest = _digest({**raw, "why it is invalid": str(error).encode()})
        return Content(error, digest, _latest(changed))
    return Content(raw, _digest(raw), _latest(changed or map(_modified, hand_in.paths)))


def _plain_files(paths: Iterable[Path], *, parts: bool) -> Iterator[tuple[str, Path]]:
    """The files that may be graded, and archives, with their names from the given paths on; with
    ``parts`` what may lie beside code, too.

    Raises:
        Invalid: there is a link, or what is neither file nor folder; there is too much.
    """
    waiting = [(path.name, path, 0) for path in reversed([*paths])]
    seen = 0
    while waiting:
        name, path, depth = waiting.pop()
        mode = _about(path).st_mode
        said = printable(name)[:LONGEST_ID]
        if stat.S_ISLNK(mode):
            raise Invalid(f"{said} is a link; expected plain files")
        if stat.S_ISDIR(mode):
            inside = _listed(path, MOST_FILES - seen)
            seen += len(inside)
            if seen >= MOST_FILES or depth >= DEEPEST:
                raise Invalid(
                    f"there are more than {MOST_FILES:,} files, or folders more than {DEEPEST} deep"
                )
            waiting += [(f"{name}/{each}", path / each, depth + 1) for each in reversed(inside)]
        elif not stat.S_ISREG(mode):
            raise Invalid(f"{said} is neither a file nor a folder")
        elif is_code(name) or name.lower().endswith(".zip") or (parts and is_part(name)):
            yield name, path


def _listed(folder: Path, most: int) -> list[str]:
    """The names in a folder, without what is hidden and clutter; as many as may be."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, most)]
    except OSError as error:
        raise Invalid(f"a folder can't be read: {error.strerror}") from None
    return sorted(n for n in names if not n.startswith(".") and n not in CLUTTER)


def _about(path: Path) -> os.stat_result:
    try:
        return os.lstat(path)
    except OSError as error:
        raise Invalid(f"{printable(path.name)} can't be read: {error.strerror}") from None


def _modified(path: Path) -> float:
    try:
        return max(0.0, os.lstat(path).st_mtime)
    except OSError:
        return 0.0


def _latest(changed: Iterable[float]) -> datetime:
    """The last of some times, as far as there are years for it: a file may have any."""
    return datetime.fromtimestamp(min(max(changed, default=0.0), LAST_SECOND), UTC)


def _digest(raw: Mapping[str, bytes]) -> str:
    """SHA-256 of files; of one it is that of its bytes."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in raw.items()}
    if len(digests) == 1:
        return digests.popitem()[1]
    lines = [f"{digest} {name}\n" for name, digest in sorted(digests.items())]
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


# -- which is which -------------------------------------------------------------------------------


def for_exercise(
    files: Mapping[str, bytes], exercise: str, *, only: bool
) -> tuple[str, bytes | Invalid]:
    """The file that is graded for an exercise, with its name: the one that is called like it
    (``layers.py``, ``s1_layers.ipynb``), or the only one that there is.

    Args:
        files: what was handed in.
        exercise: its id.
        only: whether nothing else was to be handed in.
    """
    called = [name for name in files if _is_called(name, exercise)]
    if len(called) == 1:
        return called[0], files[called[0]]
    if not called and len(files) == 1:
        return next(iter(files.items()))
    found = ", ".join(printable(name) for name in called or files)[:LONGEST_ID]
    expected = f"one called {exercise}.py"
    reason = f"{len(called) or len(files)} files might be graded ({found}); expected {expected}"
    if not called and not only:
        reason = f"no file is for {exercise} ({found}); expected {expected}"
    return "", Invalid(reason)


def _is_called(name: str, exercise: str) -> bool:
    path = PurePosixPath(name)
    stem = re.sub(r"(-\d+|\s*\(\d+\))$", "", path.stem)  # of a file that was handed in again
    return re.search(rf"(^|[^a-z0-9]){re.escape(exercise)}$", stem.lower()) is not None
