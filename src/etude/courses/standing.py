"""Where a course stands after its events: who is in it, what each did, what was marked.

It is folded from the events, one after the other, and nothing else changes it. What an event may
not say in this place is refused with a sentence before it is kept.
"""

from __future__ import annotations

import copy
import itertools
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec

from etude.courses.amounts import DIGITS, is_number
from etude.courses.course import no_day
from etude.courses.events import (
    Adjusted,
    Drawn,
    Enrolment,
    Event,
    Excuse,
    Extension,
    Grading,
    HandMark,
    Missed,
    PolicyVersion,
    Proposal,
    Review,
    Submission,
    Team,
)
from etude.courses.pieces import Pieces
from etude.courses.student_work import Adjustment, Mark, StudentWork
from etude.errors import UserError, nearest

MOST_ADDED = 1_000  # marks of an adjustment
NEXT = {  # states of a proposal, and those that may follow
    "": ("draft", "proposed"),
    "draft": ("draft", "proposed"),
    "proposed": ("approved", "returned"),
    "returned": ("draft", "proposed"),
    "approved": (),
}


class Entry(NamedTuple):
    """An event with its place in the gradebook, and who caused it, when and why."""

    number: int
    at: datetime
    who: str
    why: str
    event: Event


class Handed(NamedTuple):
    """Something that was handed in: the number of its event, its digest, and when."""

    number: int
    digest: str
    at: datetime


@dataclass
class Marked:
    """A mark, the event that gave it, and the submission that it is for, where that is said; of a
    mark by hand what was said with it.
    """

    mark: Mark
    number: int
    submission: str
    rubric: Mapping[str, Decimal] = field(default_factory=dict)
    comment: str = ""


@dataclass
class Record:
    """What the gradebook knows of one student."""

    student: str
    name: str = ""
    email: str = ""
    section: str = ""
    left: bool = False
    marks: dict[str, Marked] = field(default_factory=dict)
    submissions: dict[str, list[Handed]] = field(default_factory=dict)
    extended: dict[str, datetime] = field(default_factory=dict)
    excused: dict[str, None] = field(default_factory=dict)
    missed: dict[str, None] = field(default_factory=dict)
    adjustments: list[Adjustment] = field(default_factory=list)

    def work(self, pieces: Pieces) -> StudentWork:
        """What the policy is given."""
        handed = {name: self.counts(name, pieces) for name in self.submissions}
        return StudentWork(
            {name: marked.mark for name, marked in self.marks.items()},
            {name: each.at for name, each in handed.items() if each is not None},
            self.extended,
            self.excused.keys(),
            self.missed.keys(),
            tuple(self.adjustments),
        )

    def counts(self, assignment: str, pieces: Pieces) -> Handed | None:
        """The submission of an assignment that counts; None where what counts was handed in by
        another assignment, in place of which this one was chosen later.

        It is the one that was marked: the one that the last mark names, and of several alike the
        first; else the last before that mark. As long as nothing is marked it is the last one.
        """
        there = self.submissions[assignment]
        marked = [self.marks[key] for key in pieces.marked_by(assignment) if key in self.marks]
        if marked:
            last = max(marked, key=lambda each: each.number)
            chosen = (self.submissions.get(each, ()) for each in pieces.choices(assignment))
            every = sorted(itertools.chain(*chosen))
            named = [each for each in every if each.digest and each.digest == last.submission]
            before = [each for each in every if each.number < last.number]
            if named or before:
                found = named[0] if named else before[-1]
                return found if found in there else None
        return there[-1]

    def submission(self, work: str, pieces: Pieces) -> str:
        """The digest of what was handed in for a work and counts; "" where there is none."""
        names = [each for each in pieces.handed_by(work) if each in self.submissions]
        found = [each for name in names if (each := self.counts(name, pieces)) is not None]
        return max(found, key=lambda each: each.at).digest if found else ""


@dataclass
class Standing:
    """Where a course stands.

    Attributes:
        students: by their ids, in the order in which they came.
        teams: ``{(assignment or "", team): its members}``.
        proposals: the last word on each, by ``(student or team, work)``.
        drawn: who reviews whose work, by the work.
        reviews: what was written, by ``(work, reviewer, whose work)``.
        policy: the version of ``course.toml`` that grades are reckoned by.
    """

    students: dict[str, Record] = field(default_factory=dict)
    teams: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    proposals: dict[tuple[str, str], Proposal] = field(default_factory=dict)
    drawn: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)
    reviews: dict[tuple[str, str, str], Review] = field(default_factory=dict)
    policy: PolicyVersion | None = None

    def copy(self) -> Standing:
        """The same, to try events on."""
        return copy.deepcopy(self)

    @property
    def present(self) -> list[Record]:
        """The students that have not left."""
        return [each for each in self.students.values() if not each.left]

    # -- what an event may say ---------------------------------------------------------------------

    def check(self, event: Event, why: str, pieces: Pieces | None) -> None:
        """Refuse an event that can't be here.

        Raises:
            UserError: it names nobody, or no work of the course; it changes a mark and does not say
                why; it is a step that a proposal can't take.
        """
        for student in self._named(event, pieces):
            if student not in self.students:
                raise UserError(f"no student '{student}'{nearest(student, [*self.students][:500])}")
        if pieces is not None:
            self._check_work(event, pieces)
        match event:
            case Grading() | HandMark():
                self._check_mark(event, why, pieces)
            case Adjusted():
                if not why:
                    raise UserError(
                        f"an adjustment for {event.student} says why; expected a reason"
                    )
                if not is_number(event.by) or abs(event.by) > MOST_ADDED:
                    raise UserError(
                        f"{event.by} marks can't be added; expected at most {MOST_ADDED}, with at"
                        f" most {DIGITS} digits"
                    )
            case Submission(at=at) | Extension(until=datetime() as at):
                if said := no_day(at):
                    raise UserError(said)
            case Team():
                self._check_team(event, pieces)
            case Proposal():
                self._check_proposal(event)
            case Drawn():
                self._check_drawn(event)
            case Review():
                if event.of not in self.drawn.get(event.work, {}).get(event.student, ()):
                    raise UserError(
                        f"{event.student} was not drawn to review {event.of} of {event.work}"
                    )

    def _named(self, event: Event, pieces: Pieces | None = None) -> Sequence[str]:
        if isinstance(event, Enrolment | PolicyVersion | Drawn):
            return ()
        if isinstance(event, Team):
            return event.members
        team = getattr(event, "team", "")
        if team:
            work = getattr(event, "teams_of", "") or getattr(event, "work", "")
            return self.members(team, work, pieces)
        if not event.student:
            raise UserError(f"whose {event.work} is it? expected a student or a team")  # type: ignore[union-attr]
        return (event.student,)

    def members(self, team: str, work: str, pieces: Pieces | None = None) -> tuple[str, ...]:
        """The members of a team, for a work.

        Raises:
            UserError: there is no such team for it.
        """
        return self.teams[self.teams_of(team, work, pieces), team]

    def teams_of(self, team: str, work: str, pieces: Pieces | None = None) -> str:
        """The assignment whose team is meant where one is named for a work; "" where it is one for
        all assignments.

        Teams of two assignments may have one name, so it is never another assignment's. Without the
        pieces of the course nothing says by which assignment a part is handed in; then it is the
        only team of that name.

        Raises:
            UserError: there is no such team for it, or there are several.
        """
        for of in (work, ""):
            if (of, team) in self.teams:
                return of
        others = [of for of, name in self.teams if name == team]
        if not others:
            raise UserError(f"no team '{team}'{nearest(team, {name for _, name in self.teams})}")
        found = [of for of in others if pieces is None or work in pieces.marked_by(of)]
        if len({self.teams[of, team] for of in found}) == 1:
            return found[0]
        raise UserError(
            f"team '{team}' is one of {' and of '.join(others)}, and which of them {work} means is"
            f" not known; expected a team of {work}, one for all assignments, or each student"
        )

    def settled(self, event: Event, pieces: Pieces | None) -> Event:
        """An event with the assignment whose team it names, so that it means the same ever after.

        Raises:
            UserError: there is no such team for its work.
        """
        if isinstance(event, Grading | HandMark | Proposal) and event.team:
            of = self.teams_of(event.team, event.work, pieces)
            return msgspec.structs.replace(event, teams_of="" if of in ("", event.work) else of)
        return event

    def team_of(self, student: str, work: str) -> str:
        """A student's team in an assignment; "" where there is none."""
        for wanted in (work, ""):
            for (of, team), members in self.teams.items():
                if of == wanted and student in members:
                    return team
        return ""

    def _check_work(self, event: Event, pieces: Pieces) -> None:
        work = getattr(event, "work", "") or getattr(event, "of", "")
        if not work or isinstance(event, Review | Drawn | Proposal | PolicyVersion):
            return
        assignments = pieces.assignments
        if isinstance(event, Submission | Extension | Team):
            if work not in assignments:
                raise UserError(f"no assignment '{work}'{nearest(work, assignments)}")
        elif isinstance(event, Excuse):
            if work not in assignments and work not in pieces.items and not pieces.leaf_of(work):
                raise UserError(f"no work '{work}'{nearest(work, [*pieces.items, *assignments])}")
        elif pieces.leaf_of(work) is None:
            item = pieces.items.get(work)
            if item is not None and item.parts:
                parts = ", ".join(part.id for part in item.parts)
                raise UserError(f"{work} is marked by its parts: {parts}")
            if work in assignments:
                raise UserError(f"{work} counts towards no part of the grade; nothing marks it")
            raise UserError(f"no work '{work}'{nearest(work, pieces.markable())}")

    def _check_mark(self, event: Grading | HandMark, why: str, pieces: Pieces | None) -> None:
        mark = None if event.earned is None else Mark(event.earned, event.most)
        if isinstance(event, HandMark) and event.rubric:
            for points in event.rubric.values():
                Mark(points, event.most)
            total = sum(event.rubric.values())
            if total != event.earned:
                raise UserError(
                    f"the criteria of {event.work} sum to {total}; expected {event.earned}"
                )
        for student in self._named(event, pieces):
            before = self.students[student].marks.get(event.work)
            if before is not None and before.mark != mark and not why:
                raise UserError(
                    f"{event.work} of {student} has {before.mark.earned} of {before.mark.most}"
                    " marks; expected a reason to change them"
                )
            if before is None and mark is None:
                raise UserError(f"{event.work} of {student} has no mark that could be taken back")

    def _check_team(self, event: Team, pieces: Pieces | None) -> None:
        for student, count in Counter(event.members).items():
            if count > 1:
                raise UserError(f"{student} stands twice in team {event.team}")
            other = next(
                (t for (o, t), m in self.teams.items() if o == event.of and student in m),
                event.team,
            )
            if other != event.team:
                raise UserError(f"{student} is in team {other}; expected a student without a team")
        most = pieces.assignments[event.of].team if pieces and event.of else None
        if most is not None and len(event.members) > most:
            raise UserError(
                f"team {event.team} has {len(event.members)} members; {event.of} allows {most}"
            )

    def _check_proposal(self, event: Proposal) -> None:
        key = (event.team or event.student, event.work)
        before = self.proposals[key].state if key in self.proposals else ""
        if event.state not in NEXT[before]:
            expected = " or ".join(NEXT[before]) or "nothing more"
            raise UserError(
                f"the proposal of {key[0]} for {event.work} is {before or 'not there yet'} and"
                f" can't become {event.state}; expected {expected}"
            )
        if event.state == "returned" and not event.feedback:
            raise UserError("a proposal is returned with feedback; expected a text")

    def _check_drawn(self, event: Drawn) -> None:
        unknown = event.pairs.keys() - self.students.keys()
        if unknown:
            raise UserError(f"no student '{min(unknown)}', who would review {event.work}")
        before = self.drawn.get(event.work, {})
        for reviewer, of in before.items():
            lost = set(of) - set(event.pairs.get(reviewer, ()))
            if lost:
                raise UserError(
                    f"{reviewer} reviews {', '.join(sorted(lost))} already; a draw only adds"
                )

    # -- what an event does ------------------------------------------------------------------------

    def apply(self, entry: Entry) -> None:
        """Go on by one event."""
        event = entry.event
        match event:
            case Enrolment():
                record = self.students.setdefault(event.student, Record(event.student))
                record.name, record.email = event.name, event.email
                record.section, record.left = event.section, event.left
            case Team():
                self.teams[event.of, event.team] = event.members
            case Submission():
                for student in self._named(event):
                    there = self.students[student].submissions.setdefault(event.work, [])
                    there.append(Handed(entry.number, event.digest, event.at))
            case Grading() | HandMark():
                self._mark(event, entry.number)
            case Adjusted():
                adjustment = Adjustment(event.by, event.fails, entry.why)
                self.students[event.student].adjustments.append(adjustment)
            case Extension():
                for student in self._named(event):
                    self.students[student].extended.pop(event.work, None)
                    if event.until is not None:
                        self.students[student].extended[event.work] = event.until
            case Excuse() | Missed():
                record = self.students[event.student]
                names = record.excused if isinstance(event, Excuse) else record.missed
                names.pop(event.work, None)
                if not event.withdrawn:
                    names[event.work] = None
            case PolicyVersion():
                self.policy = event
            case Drawn():
                self.drawn[event.work] = event.pairs
            case Review():
                self.reviews[event.work, event.student, event.of] = event
            case Proposal():
                self.proposals[event.team or event.student, event.work] = event

    def _mark(self, event: Grading | HandMark, number: int) -> None:
        for student in self._named(event):
            marks = self.students[student].marks
            if event.earned is None:
                marks.pop(event.work, None)
            else:
                mark = Mark(event.earned, event.most)
                marks[event.work] = marked = Marked(mark, number, event.submission)
                if isinstance(event, HandMark):
                    marked.rubric, marked.comment = event.rubric, event.comment

    def strange(self, pieces: Pieces) -> list[str]:
        """The works that have marks and are none of the course, as it is now."""
        found = dict.fromkeys(work for record in self.present for work in record.marks)
        return [work for work in found if pieces.leaf_of(work) is None]

    def named(self, pieces: Pieces) -> dict[str, list[str]]:
        """The pieces that marks, misses and excuses name in a part, of all students."""
        found: dict[str, dict[str, None]] = {}
        for record in self.students.values():
            for names in (record.marks, record.missed, record.excused):
                for name in names:
                    if "/" in name:
                        found.setdefault(name.partition("/")[0], {})[name] = None
        return {
            leaf: sorted(names, key=in_order) for leaf, names in found.items() if leaf in pieces.of
        }


def in_order(name: str) -> tuple[tuple[int, int, str], ...]:
    """A key that sorts ``quizzes/9`` before ``quizzes/10``."""
    parts: Iterable[str] = name.replace("-", "/").split("/")
    return tuple((0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts)
