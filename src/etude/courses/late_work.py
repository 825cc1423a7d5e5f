"""What is left of a work's marks that was handed in late, on each scale of late rules."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, cast

from etude.courses.amounts import shown, spoken
from etude.courses.course import LateByLetter, LateByPercent, LateCap
from etude.courses.lateness import Counts, counted, late_days, later
from etude.courses.letters import WHOLE, capped, fallen, letter_of
from etude.courses.student_work import StudentWork

if TYPE_CHECKING:
    from etude.courses.policy import Policy

ZERO = Fraction(0)


class LateWork:
    """One student's late work.

    Args:
        policy: the rules.
        work: what the student did.
        open_: is told, in a sentence, what is not decided and would be needed.
    """

    def __init__(self, policy: Policy, work: StudentWork, open_: Callable[[str], None]) -> None:
        self.policy = policy
        self.work = work
        self.open = open_

    def days_late(self, assignment: str, grace: int) -> Fraction | None:
        """How late an assignment was; None where its deadline is not decided."""
        due = self.policy.due(assignment)
        if isinstance(due, str):
            self.open(due)
            return None
        due = later(due, self.work.extended.get(assignment))
        return late_days(due, self.work.handed_in[assignment], grace)

    def after(
        self, assignment: str, share: Fraction, excused: bool, notes: list[str]
    ) -> Fraction | None:
        """The share that is left of what was handed in by an assignment."""
        left: Fraction | None = share
        for rule in self.policy.late_rules(assignment):
            grace = 0 if isinstance(rule, str) else rule.grace
            days = self.days_late(assignment, grace)
            if days is None:
                return None
            if not days or left is None:
                continue
            late = f"It was {spoken(days)} late"
            if excused and not isinstance(rule, LateByLetter):
                notes.append(f"{late}, which is excused.")
            elif isinstance(rule, LateByPercent):
                left = self.by_percent(rule, days, left, late, notes)
            elif isinstance(rule, LateByLetter):
                left = self.by_letter(rule, days, left, excused, late, notes)
            elif isinstance(rule, LateCap):
                left = min(left, Fraction(rule.most) / WHOLE)
                notes.append(f"{late}: at most {shown(rule.most)} %. “{rule.words}”")
            elif rule == "all":
                left = ZERO
                notes.append(f"{late}, and late work is not accepted.")
            else:
                self.open(rule)
                left = None
        return left

    def by_percent(
        self, rule: LateByPercent, days: Fraction, share: Fraction, late: str, notes: list[str]
    ) -> Fraction | None:
        """The share that is left where each late day costs percents."""
        counts = rule.counts or self.policy.made("late-day")
        if not counts:
            self.open(self.policy.sentence("late-day"))
            return None
        number = min(counted(days, cast(Counts, counts)), Fraction(rule.days))
        lost = number * Fraction(rule.per_day)
        if lost not in self.policy.left:
            self.policy.left[lost] = max(ZERO, 1 - lost / WHOLE)
        factor = self.policy.left[lost]
        notes.append(
            f"{late}, which counts as {spoken(number)}: {shown(factor * 100)} % of its marks"
            f" are left. “{rule.words}”"
        )
        return share * factor

    def by_letter(
        self,
        rule: LateByLetter,
        days: Fraction,
        share: Fraction,
        excused: bool,
        late: str,
        notes: list[str],
    ) -> Fraction | None:
        """The share that is left where late days cost letters, and what is late has a best one."""
        policy, letters = self.policy, self.policy.course.letters
        ways = ("late-day", "late-days", "late-order", "late-marks")
        needed = ("late-excused",) if excused else ways
        undecided = [policy.sentence(name) for name in needed if policy.made(name) is None]
        if excused and policy.made("late-excused") == "no":
            notes.append(f"{late}, which is excused.")
            return share
        if not letters:
            undecided.append(policy.sentence("letters"))
        elif rule.most not in {each.letter for each in letters}:
            undecided.append(
                f"the late rule knows a letter {rule.most}, and the decided ones don't"
            )
        if undecided:
            for sentence in undecided:
                self.open(sentence)
            return None
        mark = share * WHOLE
        fall = 0
        if not excused:
            periods = counted(days, cast(Counts, policy.made("late-day"))) / rule.every
            up = policy.made("late-days") == "ceiling"
            fall = math.ceil(periods) if up else math.floor(periods)
        becomes = cast(Literal["top", "place", "bottom"], policy.made("late-marks") or "top")
        if policy.made("late-order") == "before":
            new = fallen(letters, capped(letters, mark, rule.most), fall, becomes)
        else:
            new = capped(letters, fallen(letters, mark, fall, becomes), rule.most)
        notes.append(
            f"{late}: its letter falls by {fall}, and is at most {rule.most}, so"
            f" {shown(mark, policy.bounds)} % becomes {shown(new, policy.bounds)} %, the letter"
            f" {letter_of(letters, new)}. “{rule.words}”"
        )
        return new / WHOLE
