"""From what a student did to a grade, with every step of the sum explained.

A policy is a pure function: it looks at no clock, no file and no other student. Marks are decimals,
deadlines have time zones, and in between everything is an exact fraction, so that nothing is
rounded before a letter is given. What needs a decision that the instructor has not made is not
computed; a sentence names the decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from fractions import Fraction

from etude.courses.course import Decision, Late, LateByLetter, LateCap
from etude.courses.edition import Edition
from etude.courses.pieces import Pieces
from etude.courses.student_work import StudentWork
from etude.courses.summing import Grade, Sum

LATE_CHOICES = {"nothing", "all", "rule"}  # of a decision on what late work loses
FAR = 2200  # a year of no deadline: days are counted from there, and years end at 9999


class Policy:
    """The rules of an edition, ready to be applied to many students.

    Args:
        edition: a course with what its instructor decided.
        named: the pieces that marks name in a part, for all students: ``{"quizzes":
            ["quizzes/1", "quizzes/2"]}``.
    """

    def __init__(self, edition: Edition, named: Mapping[str, Collection[str]] | None = None):
        self.edition = edition
        self.course = edition.course
        self.pieces = Pieces(edition.course)
        self.decisions = {each.id: each for each in edition.course.decisions}
        named = named or {}
        self.of = {
            leaf: self.pieces.named(leaf, named.get(leaf, ())) for leaf in self.pieces.leaves
        }
        self.bounds = self.course.bounds
        self.spread: dict[tuple[str, tuple[str, ...]], list[Fraction] | None] = {}
        self.left: dict[Fraction, Fraction] = {}
        self._due: dict[str, datetime | str] = {}
        self._late: dict[str, list[Late | str]] = {}

    def grade(self, work: StudentWork, *, final: bool = False) -> Grade:
        """A student's grade.

        Args:
            work: what the student did.
            final: whether the course is over: what has no mark then counts zero, and who did not
                hand in what must be handed in fails. Before that it is left aside, and no letter
                is given as long as something has no mark.
        """
        return Sum(self, work, final).grade()

    # -- decisions ---------------------------------------------------------------------------------

    def made(self, decision: str) -> str | None:
        """What was decided, where it was."""
        value = self.edition.made.get(decision)
        return value if isinstance(value, str) else None

    def sentence(self, decision: str) -> str:
        """That a decision is not made, and where it is."""
        known = self.decisions.get(decision)
        if known is None:
            return f"the course has no decision '{decision}', which its late rule needs"
        place = f"[due] {known.of}" if known.kind in ("date", "time") else f"[decisions] {known.id}"
        return f"{known.id} is not decided: {known.question} Set {place} in course.toml."

    def choosing(self, choices: Collection[str], of: str = "") -> Iterator[Decision]:
        """The decisions between these choices, on a part where one is named."""
        for decision in self.decisions.values():
            ids = {choice.id for choice in decision.choices}
            if ids == set(choices) and (not of or decision.of == of):
                yield decision

    # -- deadlines and late rules ------------------------------------------------------------------

    def due(self, assignment: str) -> datetime | str:
        """An assignment's deadline, or the sentence that says why there is none yet."""
        if assignment not in self._due:
            self._due[assignment] = self._deadline(assignment)
        return self._due[assignment]

    def _deadline(self, name: str) -> datetime | str:
        assignment = self.pieces.assignments[name]
        due = self.edition.due(assignment)
        if isinstance(due, datetime):
            if due.year < FAR:
                return due
            return (
                f"{name} is due in the year {due.year}; expected one before {FAR} in [due] {name}"
            )
        wanted = "date" if assignment.due is None else "time"
        if assignment.due is None or assignment.hour is None:
            for decision in self.decisions.values():
                if decision.kind == wanted and decision.of == name:
                    return self.sentence(decision.id)
            what = "day" if assignment.due is None else "hour"
            return f"{name} is late or not by a {what} that is not decided: set [due] {name}."
        zones = [each.id for each in self.decisions.values() if each.kind == "zone"]
        if zones:
            return self.sentence(zones[0])
        return "the course has no time zone; expected a decision of the kind zone in its file"

    def late_rules(self, assignment: str) -> list[Late | str]:
        """What an assignment loses that is late: rules, ``all``, or a sentence on what is open.

        A cap on an item that is handed in as a whole is not among them: it meets the whole item.
        """
        if assignment not in self._late:
            self._late[assignment] = [*self._rules(assignment)]
        return self._late[assignment]

    def _rules(self, name: str) -> Iterator[Late | str]:
        found = False
        of_items = []  # caps on the items that it is in; they come last, as those on whole items do
        for rule in self.course.late:
            if self.pieces.covers(rule.of, name):
                found = True
                if not isinstance(rule, LateCap):
                    yield rule
                elif self.pieces.whole(name):
                    continue  # it meets the whole item
                elif self.pieces.items.keys().isdisjoint(
                    set(rule.of) & set(self.pieces.meant_by(name))
                ):
                    yield rule
                else:
                    of_items.append(rule)
            elif isinstance(rule, LateByLetter) and "projects-too" in rule.decisions:
                too = self.decisions.get("projects-too")
                if too is not None and too.of and self.pieces.covers([too.of], name):
                    if self.made(too.id) is None:
                        yield self.sentence(too.id)
                    elif self.made(too.id) == "yes":
                        yield rule
        for decision in self.choosing(LATE_CHOICES):
            if self.pieces.covers([decision.of] if decision.of else [], name):
                made = self.made(decision.id)
                if made is None:
                    yield self.sentence(decision.id)
                elif made == "all":
                    yield "all"
                elif made == "rule" and not found:
                    yield (
                        f"{decision.id} is 'rule', and no late rule is there for {name}: add a"
                        " [[late]] to course.toml."
                    )
        for decision in self.decisions.values():
            if decision.id == "late" and decision.kind == "text" and self.made("late") is None:
                yield self.sentence("late")
        yield from of_items
