"""Finds courses: those that come with Etude, and an instructor's own."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import msgspec

from etude.courses.course import Course
from etude.courses.edition import Edition, edition_of, is_edition, read_edition
from etude.courses.reading import content_of, read
from etude.errors import UserError, nearest

HERE = Path(__file__).parent
SYLLABI = ("OU", "ITU", "NCKU", "CU", "CUHK")  # published elsewhere
OWN = "ETUDE"  # Etude's own way through all studies
NAMES = (*SYLLABI, OWN)
PLANNED = HERE / "planned.toml"  # studies that courses name and that are not built yet


@cache
def course(name: str) -> Course:
    """One of Etude's own courses, by its id."""
    path = HERE / f"{name.lower()}.toml"
    return read(path, content_of(path))


def all_courses() -> list[Course]:
    """The courses that come with Etude."""
    return [course(name) for name in NAMES]


def find(name: str) -> Edition:
    """A course by its name, or by the path of its file or of the folder that holds ``course.toml``.

    A course of Etude's own is given as its syllabus states it: with its dates, and with every
    decision open.

    Raises:
        UserError: there is none, or its file is none.
    """
    if name.upper() in NAMES:
        return edition_of(course(name.upper()))
    path = Path(name)
    if path.is_dir():
        path = path / "course.toml"
    if path.suffix == ".toml" or "/" in name:
        if not path.is_file():
            raise UserError(f"there is no course in {path}; 'etude course new' makes one")
        return as_it_was(path, content_of(path))
    near = nearest(name.upper(), NAMES)
    raise UserError(f"no course '{name}'{near}{'' if near.endswith('?') else '; or a file'}")


def as_it_was(path: Path, content: bytes) -> Edition:
    """A course from what its file holds, or held at another time.

    Raises:
        UserError: that is no course.
    """
    if is_edition(path, content):
        return read_edition(path, course_named, content)
    return edition_of(read(path, content))


def course_named(name: str) -> Course:
    """One of Etude's own courses.

    Raises:
        UserError: there is none of that name.
    """
    if name.upper() not in NAMES:
        raise UserError(f"no course '{name}'{nearest(name.upper(), NAMES)}")
    return course(name.upper())


@cache
def planned() -> dict[str, str]:
    """``{study: what it is}`` of the studies that courses name and that are not built yet."""
    return msgspec.toml.decode(PLANNED.read_bytes(), type=dict[str, str])


@cache
def _asked() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for each in map(course, SYLLABI):
        for study, what in each.asked().items():
            found.setdefault(study, []).extend(what)
    return {study: tuple(what) for study, what in found.items()}


def asked_by(study: str) -> tuple[str, ...]:
    """What asks for a study in the syllabi: ``("CU A3", "ITU A1", "NCKU", "OU")``."""
    return _asked().get(study, ())
