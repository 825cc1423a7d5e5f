"""Work that was handed in for an experiment: what its conditions ask, and how they share answers.

An experiment is an assignment in which a student trains a network. Training takes long, and several
conditions of a syllabus speak of the same training. So a condition is a function of the whole
:class:`Work`, and what it needs is :func:`evidence`, which is gathered once::

    @evidence
    def fitted(work: Work) -> Fit:
        x, y = drawn(work.rng("data"))
        return fit_of(work.call("train", x, y, 0))

    @condition("train", "The bias, the weights … are all learned.", r"find estimates …", points=2)
    def learned(work: Work) -> None:
        require(fitted(work).error < 0.15, "…")

Evidence that could not be had (an error in the student's code, no time left) is missing for each
condition that needs it, and for no other.
"""

from __future__ import annotations

import functools
import io
import stat
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np

from etude.exercises.checks import Check, Code, Failure, Value
from etude.exercises.graft import CLUTTER, Invalid, content_of, is_code
from etude.exercises.syntax import Text

T = TypeVar("T")
LARGEST_PART = 20_000_000  # bytes of a file beside the code
MOST_PARTS = 50


class Missing(Failure):
    """Something was not handed in at all: it counts as not attempted."""


@dataclass
class Work:
    """What a student handed in, as conditions see it.

    Attributes:
        open: gives the student's code, started where it runs.
        text: the file with the code, whole, as it was handed in.
        name: of that file.
        files: what was handed in beside it: a name without folders, and its bytes.
        rng: gives random numbers for a purpose, the same each time for this student.
        scale: ``quick`` or ``full``: how much data there is.
        restart: ends the process of the code, so that nothing of it is left for the next call.
        known: evidence that was gathered.
        measured: numbers of which the result tells, whatever the verdicts are.
    """

    open: Callable[[], Code]
    text: str
    name: str
    files: Mapping[str, bytes]
    rng: Callable[[str], np.random.Generator]
    scale: str
    restart: Callable[[], None] = lambda: None
    known: dict[str, Any] = field(default_factory=dict)
    measured: dict[str, float] = field(default_factory=dict)

    def call(self, function: str, *args: Value, **kwargs: Value) -> Value:
        """What a function of the student's returns."""
        return self.open().call(function, *args, **kwargs)

    def source(self) -> str:
        """The text of the code."""
        return self.text

    @property
    def code(self) -> Text:
        """The text of the code, to be asked what it uses."""
        return Text(self.text)

    def file(self, *endings: str) -> tuple[str, bytes]:
        """The one file whose name ends in one of some endings.

        Raises:
            Missing: there is none.
            Failure: there are several.
        """
        found = [name for name in sorted(self.files) if name.lower().endswith(endings)]
        said = " or ".join(endings)
        if not found:
            raise Missing(f"no file {said} was handed in")
        if len(found) > 1:
            raise Failure(f"{len(found)} files {said} were handed in; expected one")
        return found[0], self.files[found[0]]


def evidence(gather: Callable[[Work], T]) -> Callable[[Work], T]:
    """Make a function gather its evidence once for each work, errors included."""

    @functools.wraps(gather)
    def gathered(work: Work) -> T:
        name = f"{gather.__module__}.{gather.__qualname__}"
        if name not in work.known:
            try:
                work.known[name] = gather(work), None
            except Exception as error:
                work.known[name] = None, error
        found, reason = work.known[name]
        if reason is not None:
            raise reason
        return found  # type: ignore[no-any-return]

    return gathered


Judge = Callable[[Work], None]


def condition(
    task: str, text: str, words: str, *, points: int = 1, public: bool = True
) -> Callable[[Judge], Check]:
    """Make a function a condition of a syllabus.

    Args:
        task: what a student writes for it.
        text: the condition, in a sentence.
        words: the syllabus's own.
        points: what it is worth.
        public: whether students are told what came of it before it is marked.
    """

    def made(judge: Judge) -> Check:
        def run(student: Code, reference: Code, rng: np.random.Generator) -> None:
            assert isinstance(student, Work)
            judge(student)

        functools.update_wrapper(run, judge)
        return Check(task, text, points, public, run, words)

    return made


def files_of(name: str, content: bytes) -> dict[str, bytes]:
    """The files of an archive beside the code, by their names without folders.

    What is no plain file, is hidden, or is too large is left out; so is all but the first fifty.
    """
    if not name.lower().endswith(".zip"):
        return {}
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for each in archive.infolist():
                base = PurePosixPath(each.filename).name
                link = stat.S_ISLNK(each.external_attr >> 16)
                odd = each.is_dir() or link or base.startswith(".") or "__MACOSX" in each.filename
                if odd or each.file_size > LARGEST_PART or len(found) == MOST_PARTS:
                    continue
                with archive.open(each) as file:
                    part = file.read(LARGEST_PART + 1)
                if len(part) <= LARGEST_PART:
                    found[base] = part
    except Exception:  # zipfile raises whatever a damaged archive makes it stumble over
        return {}
    return found


def archive_of(path: Path, name: str) -> bytes:
    """A folder, or a file with the plots that lie beside it, as the archive that is handed in.

    Args:
        path: of the folder or file.
        name: of the assignment; of several files with code in the folder the one that is called so
            is handed in.

    Raises:
        Invalid: there is nothing, too much, or what is no plain file.
    """
    code = [path]
    if path.is_dir():
        code = [each for each in sorted(path.iterdir()) if is_code(each.name)]
        code = [each for each in code if each.stem.lower() == name] or code
        if len(code) > 1:
            names = ", ".join(each.name for each in code[:5])
            raise Invalid(f"{len(code)} files might be meant ({names}); expected {name}.py")
    beside = path if path.is_dir() else path.parent
    there = sorted(beside.iterdir()) if beside.is_dir() else []
    found = code + [each for each in there if is_part(each.name) and not each.is_dir()]
    if len(found) > MOST_PARTS:
        raise Invalid(f"the folder holds {len(found)} files; expected at most {MOST_PARTS}")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in found:
            archive.writestr(each.name, content_of(each, LARGEST_PART))
    return file.getvalue()


PARTS = (".svg", ".md", ".txt", ".h5", ".hdf5", ".npz", ".json")


def is_part(name: str) -> bool:
    """Whether a file's path says that it is what assignments ask for beside the code."""
    hidden = any(each.startswith(".") or each in CLUTTER for each in PurePosixPath(name).parts)
    return name.lower().endswith(PARTS) and not hidden
