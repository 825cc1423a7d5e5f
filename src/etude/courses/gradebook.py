"""A course's gradebook: one SQLite file to which events are added, and from which none is taken.

Grades do not stand in it. They are reckoned from the events and the policy, so a deadline that is
moved or a test that is mended changes them all, and what was there before can still be reckoned.
Each event carries a digest of itself and of all before it, so a byte that was changed is found.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from etude.courses.events import Event, Grading, Submission
from etude.courses.pieces import Pieces
from etude.courses.standing import Entry, Standing
from etude.errors import UserError
from etude.files import Unreadable, opened

SIDES = ("-wal", "-shm", "-journal")  # files that SQLite keeps beside its own
LONGEST = 16_000_000  # bytes of a row, of which the longest is a policy
MAGIC = b"SQLite format 3\x00"
APPLICATION = 0x45544742  # "ETGB"
VERSION = 1
PATIENCE = 30.0  # seconds that a writer waits for another
SCHEMA = (
    """
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    why TEXT NOT NULL,
    same TEXT UNIQUE,
    event TEXT NOT NULL,
    chain BLOB NOT NULL
) STRICT""",
    """
CREATE TRIGGER events_are_kept BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never deleted'); END""",
    """
CREATE TRIGGER events_stay BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'an event is never changed'); END""",
    """
CREATE TRIGGER events_follow BEFORE INSERT ON events
WHEN NEW.number IS NOT (SELECT coalesce(max(number), 0) + 1 FROM events)
    OR EXISTS (SELECT 1 FROM events WHERE same = NEW.same)
BEGIN SELECT RAISE(ABORT, 'an event is never replaced'); END""",
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {VERSION}",
)

CONTENTS = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"

_encode = msgspec.json.Encoder(decimal_format="string", order="deterministic").encode
_decode = msgspec.json.Decoder(Event).decode


class Gradebook:
    """A gradebook that is open. Close it, or use it in a ``with``.

    Args:
        path: of the file.
        pieces: of the course, so that an event that names a work which the course has not is
            refused.
        make: whether it is made where there is none.
        clock: gives the time at which an event is kept.
        patience: seconds to wait for another program that writes.

    Raises:
        UserError: there is none; the file is no gradebook, is damaged, or can't be used.
    """

    def __init__(
        self,
        path: Path,
        pieces: Pieces | None = None,
        *,
        make: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        patience: float = PATIENCE,
    ) -> None:
        self.path = path
        self.pieces = pieces
        self.entries: list[Entry] = []
        self.standing = Standing()
        self._clock = clock
        self._patience = patience
        self._chain = b""
        there = _refuse_foreign(path)
        if not there and not make:
            raise UserError(f"there is no gradebook in {path} yet; expected one that Etude wrote")
        address = f"{path.absolute().as_uri()}?mode={'rwc' if make else 'rw'}"
        with self._told():
            self._base = sqlite3.connect(address, patience, isolation_level=None, uri=True)
        try:
            with self._told():
                self._prepare(make)
            self.read()
        except BaseException:
            self._base.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._base.close()

    def read(self) -> Standing:
        """Read the events that others have added since, and return where the course stands.

        Raises:
            UserError: the file is damaged.
        """
        with self._told():
            rows = self._base.execute(
                "SELECT number, at, who, why, event, chain FROM events WHERE number > ?"
                " ORDER BY number",
                (len(self.entries),),
            )
            for row in rows:
                self._take(*row, read=True)
        return self.standing

    def append(self, events: Sequence[Event], *, who: str, why: str = "") -> int:
        """Keep events: all of them, or none.

        A submission that is there already, and a grading of the same submission by the same tests
        with the same result, are not kept twice.

        Args:
            events: in order.
            who: causes them.
            why: where a reason is asked for, or there is one to tell.

        Returns:
            how many were kept.

        Raises:
            UserError: one of them can't be here; nobody causes them; the disk is full; another
                program has written for longer than this one waits.
        """
        who, why = who.strip(), why.strip()
        if not who:
            raise UserError("an event says who causes it; expected a name")
        before = len(self.entries)
        with self._told():
            self._base.execute("BEGIN IMMEDIATE")
        try:
            self.read()
            before = len(self.entries)
            saved, chain = self.standing.copy() if len(events) > 1 else None, self._chain
            for event in events:
                self._add(event, who, why)
            with self._told():
                self._base.execute("COMMIT")
        except BaseException:
            if self._base.in_transaction:
                self._base.execute("ROLLBACK")
            if len(self.entries) > before:
                del self.entries[before:]
                self._chain = chain
                self.standing = saved if saved is not None else self._again()
            raise
        return len(self.entries) - before

    def preview(self, events: Sequence[Event], *, who: str, why: str = "") -> Standing:
        """Where the course would stand after these events, of which none is kept.

        Raises:
            UserError: one of them can't be here.
        """
        standing = self.read().copy()
        for number, each in enumerate(events, len(self.entries) + 1):
            event = standing.settled(each, self.pieces)
            standing.check(event, why.strip(), self.pieces)
            standing.apply(Entry(number, self._clock(), who, why, event))
        return standing

    # -- inside ------------------------------------------------------------------------------------

    def _prepare(self, make: bool) -> None:
        base = self._base
        base.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LONGEST)
        base.execute("PRAGMA trusted_schema = OFF")
        base.execute("PRAGMA synchronous = FULL")
        (application,) = base.execute("PRAGMA application_id").fetchone()
        (version,) = base.execute("PRAGMA user_version").fetchone()
        (tables,) = base.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if make and application == 0 and version == 0 and tables == 0:
            self._patiently("PRAGMA journal_mode = WAL")
            base.execute("BEGIN IMMEDIATE")
            if not base.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                for statement in SCHEMA:
                    base.execute(statement)
            base.execute("COMMIT")
        elif application != APPLICATION:
            raise UserError(f"{self.path} is another program's database; expected a gradebook")
        elif version > VERSION:
            raise UserError(
                f"{self.path} was written by a newer Etude, in version {version}; this one reads"
                f" {VERSION}"
            )
        if base.execute(CONTENTS).fetchall() != _contents():
            raise UserError(
                f"{self.path} is not a gradebook of Etude, for its tables are others; expected one"
                " that Etude wrote"
            )

    def _patiently(self, statement: str) -> None:
        """Execute what SQLite doesn't wait with where another program is at it."""
        until = time.monotonic() + self._patience
        while True:
            try:
                self._base.execute(statement)
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.05)
            else:
                return

    def _add(self, event: Event, who: str, why: str) -> None:
        event = self.standing.settled(event, self.pieces)
        text = _kept_as(event, who, why)
        self.standing.check(event, why, self.pieces)
        number, at = len(self.entries) + 1, self._clock().astimezone(UTC)
        same, moment = _same(event), at.isoformat()
        chain = _link(self._chain, number, moment, who, why, text)
        with self._told():
            if same is not None:
                found = "SELECT 1 FROM events WHERE same = ?"
                if self._base.execute(found, (same,)).fetchone():
                    if self._adds_nothing(event):
                        return
                    same = None
            self._base.execute(
                "INSERT INTO events (number, at, who, why, same, event, chain)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (number, moment, who, why, same, text, chain),
            )
        self._take(number, moment, who, why, text, chain)

    def _adds_nothing(self, event: Event) -> bool:
        """Whether an event that was there before still holds, so that it need not be kept again."""
        if not isinstance(event, Grading):
            return True
        of = event.teams_of or event.work
        students = self.standing.members(event.team, of) if event.team else (event.student,)
        for student in students:
            marked = self.standing.students[student].marks.get(event.work)
            if event.earned is None or marked is None:
                return False
            there = marked.mark.earned, marked.mark.most, marked.submission
            if there != (event.earned, event.most, event.submission):
                return False
        return True

    def _take(
        self,
        number: int,
        at: str,
        who: str,
        why: str,
        event: str,
        chain: bytes,
        *,
        read: bool = False,
    ) -> None:
        """Go on by one row of the file.

        One that was read may be anyone's, and is held to what one that is written is held to; but
        not to the pieces of the course, which may be others by now.

        Raises:
            UserError: it is not what was written, or nothing that could be.
        """
        right = all(isinstance(text, str) for text in (at, who, why, event))
        right = right and number == len(self.entries) + 1
        if not right or chain != _link(self._chain, number, at, who, why, event):
            raise UserError(_damaged(self.path, f"event {number} is not what was written"))
        try:
            entry = Entry(number, datetime.fromisoformat(at), who, why, _decode(event))
            if read:
                if entry.at.tzinfo is None or not who.strip():
                    raise UserError("it does not say when it was kept, or by whom")
                self.standing.check(entry.event, why.strip(), None)
        except (msgspec.MsgspecError, ValueError, OverflowError, UserError) as error:
            raise UserError(_damaged(self.path, f"event {number}: {error}")) from None
        self.standing.apply(entry)
        self.entries.append(entry)
        self._chain = chain

    def _again(self) -> Standing:
        standing = Standing()
        for entry in self.entries:
            standing.apply(entry)
        return standing

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say in a sentence what SQLite found."""
        try:
            yield
        except sqlite3.Error as error:
            raise UserError(_sentence(self.path, error, self._patience)) from None
        except (UnicodeDecodeError, OverflowError) as error:  # of a damaged schema, or a cell
            raise UserError(_damaged(self.path, str(error))) from None


def _sentence(path: Path, error: sqlite3.Error, patience: float) -> str:
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    match code:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return f"{path} has been written by another program for {patience:g} s; try again"
        case sqlite3.SQLITE_FULL:
            return f"{path} can't grow: the disk is full; nothing of this was kept"
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM:
            return f"{path} can't be written; expected a file and a folder that you may write"
        case sqlite3.SQLITE_CANTOPEN:
            return f"{path} can't be opened; expected a file in a folder that you may write"
        case sqlite3.SQLITE_IOERR:
            return f"{path} can't be read or written: {error}; nothing of this was kept"
        case sqlite3.SQLITE_CONSTRAINT:
            return f"{path}: {error}"
    return _damaged(path, str(error))


def _damaged(path: Path, what: str) -> str:
    return f"{path} is damaged ({what}); expected the gradebook as it was written, or a copy of it"


def _refuse_foreign(path: Path) -> bool:
    """Refuse what is no file of SQLite before it is opened, for SQLite would make it one; and where
    it or a file that SQLite keeps beside it leads elsewhere, for SQLite would write there.

    Returns:
        whether there is a file, and something in it.
    """
    for each in (path, *(path.with_name(path.name + side) for side in SIDES)):
        try:
            if not stat.S_ISREG(os.lstat(each).st_mode):
                raise UserError(
                    f"{each} is no file but a link, a folder or the like; expected a gradebook's"
                    " own"
                )
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UserError(f"{each} can't be read: {error.strerror}") from None
    if not os.path.lexists(path):
        return False
    try:
        with opened(path) as file:
            head = file.read(len(MAGIC))
    except Unreadable as why:
        raise UserError(f"{path} {why}; expected a gradebook") from None
    except OSError as error:
        raise UserError(f"{path} can't be read: {error.strerror}") from None
    if head and head != MAGIC:
        raise UserError(f"{path} is no gradebook; expected one that Etude wrote")
    return bool(head)


@cache
def _contents() -> list[tuple[str, ...]]:
    """The tables, indices and triggers of a gradebook, as SQLite writes them down."""
    base = sqlite3.connect(":memory:", isolation_level=None)
    for statement in SCHEMA:
        base.execute(statement)
    found = base.execute(CONTENTS).fetchall()
    base.close()
    return found


def _kept_as(event: Event, who: str, why: str) -> str:
    """An event as it is written, if it can be read again.

    Raises:
        UserError: a text in it is too long, or has signs that are none; a time has no zone.
    """
    try:
        text = _encode(event).decode()
        (who + why).encode()
        _decode(text)
    except UnicodeEncodeError:
        raise UserError("a text has signs that can't be written in UTF-8") from None
    except msgspec.MsgspecError as error:
        raise UserError(f"this can't be kept: {error}") from None
    return text


def _link(before: bytes, number: int, *texts: str) -> bytes:
    contents = [text.encode("utf-8", "surrogatepass") for text in (str(number), *texts)]
    head = " ".join([str(len(content)) for content in contents])  # so that no two cases are one
    return hashlib.sha256(b"".join([before, head.encode(), b"\n", *contents])).digest()


def _same(event: Any) -> str | None:
    """What two events share that are one: a submission, and a program's mark for it."""
    subject = f"{getattr(event, 'student', '')}\0{getattr(event, 'team', '')}"
    if isinstance(event, Submission) and event.digest:
        return f"submission\0{subject}\0{event.work}\0{event.digest}\0{event.at.astimezone(UTC)}"
    if isinstance(event, Grading) and event.submission and event.tests:
        result = f"{event.earned}\0{event.most}\0{event.submission}\0{event.source}\0{event.tests}"
        return f"grading\0{subject}\0{event.work}\0{result}"
    return None
