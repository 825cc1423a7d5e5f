"""A course's folder with its gradebook, and what one types about it: students, days, names."""

from __future__ import annotations

import argparse
import getpass
import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from etude.courses.edition import Edition
from etude.courses.events import PolicyVersion
from etude.courses.library import NAMES, as_it_was, find
from etude.courses.pieces import Pieces
from etude.courses.standing import Record, Standing
from etude.errors import UserError, nearest

FILE = "grades.db"


@dataclass(frozen=True)
class Place:
    """A course's folder."""

    path: Path
    edition: Edition
    pieces: Pieces

    @property
    def book(self) -> Path:
        """The gradebook's file."""
        return self.path.parent / FILE

    @property
    def version(self) -> PolicyVersion:
        """What course.toml says now."""
        content = self.path.read_bytes()
        return PolicyVersion(digest=hashlib.sha256(content).hexdigest(), text=content.decode())

    def in_force(self, standing: Standing) -> Edition:
        """The course by which grades are reckoned: as it was when its policy was kept."""
        kept = standing.policy
        if kept is None or kept.digest == self.version.digest:
            return self.edition
        try:
            return as_it_was(self.path, kept.text.encode())
        except UserError as error:
            raise UserError(f"the policy that {self.book} keeps is none: {error}") from None


def placed(name: str) -> Place:
    """A course's folder.

    Raises:
        UserError: it is none.
    """
    path = Path(name)
    if path.is_dir():
        path = path / "course.toml"
    if not path.is_file():
        if name.upper() in NAMES:
            raise UserError(
                f"{name} has no folder yet; 'etude course new {name.upper()} --start DATE --out"
                " DIR' makes one"
            )
        raise UserError(f"there is no course in {path}; 'etude course new' makes one")
    edition = find(str(path.resolve()))
    return Place(path, edition, Pieces(edition.course))


def student_of(standing: Standing, name: str) -> Record:
    """A student by id, or by a name that only one has.

    Raises:
        UserError: there is none, or there are several.
    """
    if name in standing.students:
        return standing.students[name]
    named = [r for r in standing.students.values() if r.name.casefold() == name.casefold()]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(each.student for each in named)
        raise UserError(f"{len(named)} students are called {name}; give an id: {ids}")
    choices = [*standing.students, *(r.name for r in standing.students.values())]
    close = nearest(name, choices)
    parts = [r for r in standing.students.values() if name.casefold() in r.name.casefold().split()]
    if parts:
        ids = " or ".join(f"{each.student} ({each.name})" for each in parts[:3])
        raise UserError(f"no student '{name}'; did you mean {ids}?")
    raise UserError(f"no student '{name}'{close if 'did you mean' in close else ''}")


def moment(place: Place, text: str) -> datetime:
    """A day and an hour, in the course's time zone where the text names none.

    Raises:
        UserError: it is none, or the zone is not decided.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or len(text) <= len("2027-02-01"):
        raise UserError(f"'{text}' is no day with its hour; expected one like 2027-02-01T23:59")
    if found.tzinfo is not None:
        return found
    zone = place.edition.zone
    if zone is None:
        raise UserError(
            f"'{text}' has no time zone, and the course's is not decided: set [decisions] zone in"
            f" {place.path}, or write {text}+00:00"
        )
    return found.replace(tzinfo=zone)


def who(options: argparse.Namespace) -> str:
    """Who adds something.

    Raises:
        UserError: it is not known.
    """
    if options.who is not None:
        return str(options.who)
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise UserError("your user name is not known; expected --who NAME") from None
