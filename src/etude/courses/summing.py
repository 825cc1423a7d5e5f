"""One student's sum: the parts of the grade from the pieces up, and what is done with them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from etude.courses.amounts import shown, spoken, weighted
from etude.courses.course import Item, LateCap, Rule
from etude.courses.late_work import LateWork
from etude.courses.letters import WHOLE, letter_of
from etude.courses.pieces import Piece
from etude.courses.student_work import StudentWork

if TYPE_CHECKING:
    from etude.courses.policy import Policy

ZERO, ONE = Fraction(0), Fraction(1)
ONE_HUNDRED = Decimal(100)

State = Literal["marked", "missing", "excused", "undecided"]


@dataclass
class Part:
    """A part of the grade as it was reckoned.

    Attributes:
        item: what the course says of it.
        state: whether it has marks; ``undecided`` where it would need a decision.
        earned: of its weight, from 0 to 1.
        counted: how much of its weight has been marked, from 0 to 1.
        weight: marks of the whole; None where a decision sets it.
        notes: what was done, a sentence each.
        parts: its parts.
    """

    item: Item
    state: State = "missing"
    earned: Fraction = ZERO
    counted: Fraction = ZERO
    weight: Fraction | None = None
    notes: list[str] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)

    @property
    def marks(self) -> Fraction | None:
        """What it gives to the whole."""
        return None if self.weight is None else self.earned * self.weight


@dataclass(frozen=True)
class Grade:
    """A student's grade.

    Attributes:
        marks: the sum; None where something in it would need a decision.
        of: the weight of what is marked, of a hundred; extra credit is not counted in it.
        letter: None where letters are not decided, or not everything is marked.
        fails: why the student fails the course whatever the marks, a sentence each.
        parts: the parts of the grade.
        notes: what was done with the sum, a sentence each.
        undecided: what is not decided and would be needed, a sentence each.
        missing: the parts that have no mark.
    """

    marks: Fraction | None
    of: Fraction
    letter: str | None
    fails: tuple[str, ...]
    parts: tuple[Part, ...]
    notes: tuple[str, ...]
    undecided: tuple[str, ...]
    missing: tuple[str, ...]


class Sum:
    """One student's sum."""

    def __init__(self, policy: Policy, work: StudentWork, final: bool) -> None:
        self.policy = policy
        self.pieces = policy.pieces
        self.work = work
        self.final = final
        self.undecided: dict[str, None] = {}
        self.late = LateWork(policy, work, self.open)
        self.missing: list[str] = []
        self.capped: list[tuple[Part, LateCap]] = []

    def grade(self) -> Grade:
        """The grade."""
        course = self.policy.course
        parts = [self.part(item) for item in course.grade]
        for part in parts:
            self.weigh(part, self.weight(part))
        notes: list[str] = []
        marks, of = self.total(parts, notes)
        fails = self.fails()
        for adjustment in self.work.adjustments:
            if adjustment.by:
                marks += Fraction(adjustment.by)
                notes.append(
                    f"{'+' if adjustment.by > 0 else '−'} {shown(abs(adjustment.by))} marks:"
                    f" {adjustment.why}"
                )
        marks = max(marks, ZERO)
        whole = not self.undecided and not self.missing
        letter = None
        if whole and course.letters:
            letter = course.letters[-1].letter if fails else letter_of(course.letters, marks)
            notes.append(self.on_letter(letter, marks, fails))
        elif whole and "letters" in self.policy.decisions:
            notes.append(self.policy.sentence("letters"))
        return Grade(
            None if self.undecided else marks,
            of,
            letter,
            fails,
            tuple(parts),
            tuple(notes),
            tuple(self.undecided),
            tuple(self.missing),
        )

    def on_letter(self, letter: str, marks: Fraction, fails: tuple[str, ...]) -> str:
        """Why it is this letter."""
        if fails:
            return f"The letter is {letter}: {' '.join(fails)}"
        words = next(each.words for each in self.policy.course.letters if each.letter == letter)
        return f"{shown(marks, self.policy.bounds)} marks make the letter {letter}. “{words}”"

    def open(self, sentence: str) -> None:
        """Note that something would be needed that is not decided."""
        self.undecided[sentence] = None

    # -- the whole ---------------------------------------------------------------------------------

    def weight(self, part: Part) -> Fraction | None:
        """The marks that an item of the grade can give, where that is decided."""
        item = part.item
        weight = None if item.weight is None else Fraction(item.weight)
        if item.extra and weight is not None:
            for decision in self.policy.decisions.values():
                if decision.of == item.id and "course" in {each.id for each in decision.choices}:
                    made = self.policy.made(decision.id)
                    if made is None:
                        if part.earned:
                            self.open(self.policy.sentence(decision.id))
                        return None
                    if made != "course":
                        base = self.pieces.items[made].weight
                        part.notes.append(
                            f"It is {shown(weight)} % of the {shown(base or 0)} of {made}."
                        )
                        return weight * Fraction(base or 0) / WHOLE
        return weight

    def total(self, parts: list[Part], notes: list[str]) -> tuple[Fraction, Fraction]:
        """The sum, and the weight of what is marked in it."""
        self.hold_originality(parts)
        marks = of = extra = ZERO
        for part in parts:
            if part.state == "excused":
                sentence = (
                    f"{part.item.id} is excused, and nothing says what becomes of its weight:"
                    " give it a mark, or excuse a part of it."
                )
                if self.final:
                    self.open(sentence)
                part.notes.append(sentence)
            if part.weight is None:
                continue
            if part.item.extra:
                extra += part.earned * part.weight
            else:
                marks += part.earned * part.weight
                of += part.counted * part.weight
        for decision in self.policy.choosing({"within", "make-up"}):
            (part,) = [each for each in parts if each.item.id == decision.of]
            made = self.policy.made(decision.id)
            if made is None and part.state == "marked" and part.counted:
                self.open(self.policy.sentence(decision.id))
            elif made == "make-up" and part.weight is not None:
                marks, of = self.made_up(part, marks, of, notes)
        if extra:
            notes.append(f"{shown(extra)} marks of extra credit come on top.")
        return marks + extra, of

    def made_up(
        self, part: Part, marks: Fraction, of: Fraction, notes: list[str]
    ) -> tuple[Fraction, Fraction]:
        """The sum where a part only makes up for marks that were lost elsewhere: the rest counts as
        the whole hundred.
        """
        assert part.weight is not None
        own = part.earned * part.weight
        stretch = WHOLE / (WHOLE - part.weight)
        rest = (marks - own) * stretch
        of = (of - part.counted * part.weight) * stretch
        helped = min(own, of - rest)
        notes.append(
            f"The rest counts as the whole: {shown(rest)} of {shown(of)} marks; {part.item.id}"
            f" makes up for {shown(helped)} of those that are lost. “{part.item.words}”"
        )
        return rest + helped, of

    def hold_originality(self, parts: list[Part]) -> None:
        """Apply the cap of a late project to the extra marks beside it, where it is decided so.

        Only a cap that the course itself leaves open in this is meant, and none that an instructor
        adds.
        """
        for decision in self.policy.choosing({"beside", "within", "own-half"}):
            for extra in parts:
                if extra.item.id != decision.of or not extra.earned or extra.weight is None:
                    continue
                for part, rule in self.capped:
                    if decision.id not in rule.decisions:
                        continue
                    most = Fraction(rule.most) / WHOLE
                    made = self.policy.made(decision.id)
                    before = extra.earned
                    if made is None:
                        self.open(self.policy.sentence(decision.id))
                    elif made == "own-half":
                        extra.earned = min(before, most)
                    elif made == "within" and part.weight is not None:
                        room = (most - part.earned) * part.weight / extra.weight
                        extra.earned = min(before, room)
                    if extra.earned != before:
                        extra.notes.append(
                            f"{part.item.id} is late, so of {shown(before * extra.weight)} marks"
                            f" {shown(extra.earned * extra.weight)} count. “{rule.words}”"
                        )

    def fails(self) -> tuple[str, ...]:
        """Why the student fails the course, whatever the marks."""
        says = [each for each in self.work.adjustments if each.fails is not None]
        if says:
            return (f"{says[-1].why}.".replace("..", "."),) if says[-1].fails else ()
        if not self.final:
            return ()
        return tuple(
            f"{name} was not handed in. “{rule.words}”"
            for rule in self.policy.course.rules
            if rule.kind == "must submit"
            for name in self.not_submitted(rule)
        )

    def not_submitted(self, rule: Rule) -> Iterator[str]:
        """What a student had to hand in and did not."""
        groups: dict[str, list[str]] = {}
        too = self.policy.decisions.get("projects-too")
        for name, assignment in self.pieces.assignments.items():
            if self.pieces.covers(rule.of, name):
                groups.setdefault(assignment.either or name, []).append(name)
            elif too is not None and too.of and self.pieces.covers([too.of], name):
                group = assignment.either or name
                if self.policy.made(too.id) == "yes":
                    groups.setdefault(group, []).append(name)
                elif self.policy.made(too.id) is None and not any(map(self.submitted, (name,))):
                    alternatives = [
                        each.id
                        for each in self.pieces.assignments.values()
                        if (each.either or each.id) == group
                    ]
                    if not any(map(self.submitted, alternatives)):
                        self.open(self.policy.sentence(too.id))
        for group, names in groups.items():
            if not any(map(self.submitted, names)):
                yield group

    def submitted(self, name: str) -> bool:
        """Whether an assignment was handed in, has marks, or is excused."""
        if name in self.work.handed_in or self.is_excused(self.pieces.meant_by(name)):
            return True
        marks = self.work.marks
        return any(key in marks and marks[key].earned > 0 for key in self.pieces.marked_by(name))

    # -- parts -------------------------------------------------------------------------------------

    def part(self, item: Item) -> Part:
        """A part of the grade, by its parts or by its marks."""
        part = self.summed(item) if item.parts else self.marked(item)
        for rule in self.policy.course.late:
            if isinstance(rule, LateCap) and part.counted:
                self.cap(part, rule)
        if part.state == "marked" and part.counted and not item.parts:
            least = Fraction(item.least or 0) / WHOLE
            if item.least is not None and part.earned < least and self.has_marks(item):
                part.earned = least
                part.notes.append(f"It gives at least {shown(item.least)} %. “{item.words}”")
            if item.most is not None and part.earned > Fraction(item.most) / WHOLE:
                part.earned = Fraction(item.most) / WHOLE
                part.notes.append(f"It gives at most {shown(item.most)} %. “{item.words}”")
        return part

    def summed(self, item: Item) -> Part:
        """An item by the sum of its parts."""
        parts = [self.part(each) for each in item.parts]
        result = Part(item, parts=parts)
        states = {part.state for part in parts}
        if states == {"excused"}:
            result.state = "excused"
            return result
        if item.split and any(part.counted for part in parts):
            self.open(self.policy.sentence(item.split))
            result.state = "undecided"
            return result
        if item.split:
            return result
        if any(part.state == "undecided" for part in parts):
            result.state = "undecided"
        elif any(part.counted for part in parts):
            result.state = "marked"
        ratios = self.ratios(result)
        if ratios is not None:
            result.earned = weighted(ratios, [part.earned for part in parts])
            own = [(r, p.counted) for r, p in zip(ratios, parts, strict=True) if not p.item.extra]
            result.counted = weighted(*zip(*own, strict=True))
        if "excused" in states:
            names = ", ".join(part.item.id for part in parts if part.state == "excused")
            result.notes.append(f"{names} is excused; its weight is spread over the other parts.")
        return result

    def ratios(self, part: Part) -> list[Fraction] | None:
        """What each part counts for in an item, with the weight of those that are excused spread
        over the others; None where that is not decided.
        """
        excused = tuple(p.item.id for p in part.parts if p.state == "excused")
        key = (part.item.id, excused)
        if key not in self.policy.spread:
            weights = [
                ZERO if p.item.weight is None or p.item.id in excused else Fraction(p.item.weight)
                for p in part.parts
            ]
            own = [w for w, p in zip(weights, part.parts, strict=True) if not p.item.extra]
            base = sum(own, ZERO)
            known = base and not part.item.split
            self.policy.spread[key] = [weight / base for weight in weights] if known else None
        return self.policy.spread[key]

    def weigh(self, part: Part, weight: Fraction | None) -> None:
        """Set what a part and its parts count for in the whole."""
        part.weight = weight
        if not part.parts:
            return
        ratios = None if weight is None else self.ratios(part)
        for number, each in enumerate(part.parts):
            if ratios is None or weight is None or each.state == "excused":
                self.weigh(each, None)
            else:
                self.weigh(each, ratios[number] * weight)

    def marked(self, item: Item) -> Part:
        """An item by its marks."""
        part = Part(item)
        found: list[tuple[Fraction, Decimal]] = []
        states: list[State] = []
        pieces = self.policy.of[item.id]
        for piece in pieces:
            notes: list[str] = []
            state, share, most = self.piece(item, piece, notes)
            states.append(state)
            if state == "marked":
                found.append((share, most))
            if state == "missing" and not item.extra and not piece.optional:
                self.missing.append(piece.id)
            prefix = f"{piece.id}: " if len(pieces) > 1 or piece.id != item.id else ""
            part.notes += [prefix + note for note in notes]
        if "/" in pieces[0].id and item.id in self.work.marks:
            self.open(
                f"{item.id} is marked as a whole and in pieces; take the one or the others back."
            )
            states.append("undecided")
        if states and set(states) == {"excused"}:
            part.state = "excused"
        elif "undecided" in states:
            part.state, part.counted = "undecided", ONE
        elif found:
            average = self.averaged(item, found, part.notes)
            part.state, part.counted = "undecided" if average is None else "marked", ONE
            part.earned = average or ZERO
        return part

    def has_marks(self, item: Item) -> bool:
        """Whether anything in a part of the grade has marks."""
        pieces = self.policy.of[item.id]
        return any(key in self.work.marks for piece in pieces for key in piece.keys)

    def averaged(
        self, item: Item, found: list[tuple[Fraction, Decimal]], notes: list[str]
    ) -> Fraction | None:
        """The share of an item that several pieces give."""
        if len(found) == 1:
            return found[0][0]
        made = "equal"
        if len({most for _, most in found}) > 1:  # else both ways are one
            decisions = [*self.policy.choosing({"equal", "points"}, item.id)]
            if decisions:
                chosen = self.policy.made(decisions[0].id)
                if chosen is None:
                    self.open(self.policy.sentence(decisions[0].id))
                    return None
                made = chosen
            elif "/" in self.policy.of[item.id][0].id:
                self.open(
                    f"the pieces of {item.id} are marked out of different numbers, and nothing says"
                    " how they divide: mark each out of the same number."
                )
                return None
        weighed = [(share, ONE if made == "equal" else Fraction(most)) for share, most in found]
        drop = min(item.drop, len(weighed) - 1)
        if drop:
            notes.append(f"The worst {drop} of {len(weighed)} don't count. “{item.words}”")
        return best_average(weighed, len(weighed) - drop)

    # -- pieces ------------------------------------------------------------------------------------

    def piece(self, item: Item, piece: Piece, notes: list[str]) -> tuple[State, Fraction, Decimal]:
        """The state of a piece, its share from 0 to 1, and how many marks it has."""
        marks = [(key, self.work.marks[key]) for key in piece.keys if key in self.work.marks]
        excused = bool(self.work.excused) and self.is_excused(
            (*piece.keys, *piece.assignments, *self.pieces.above[item.id])
        )
        if len(marks) > 1:
            both = " and ".join(key for key, _ in marks)
            self.open(f"{both} are both marked; one of them counts.")
            return "undecided", ZERO, ONE_HUNDRED
        if not marks:
            return self.unmarked(item, piece, excused, notes)
        ((key, mark),) = marks
        share: Fraction | None = mark.share
        notes.append(f"{shown(mark.earned)} of {shown(mark.most)} marks.")
        assignment = self.handed(piece, key)
        if assignment is not None:
            share = self.late.after(assignment, mark.share, excused, notes)
        if share is None:
            return "undecided", ZERO, mark.most
        return "marked", share, mark.most

    def unmarked(
        self, item: Item, piece: Piece, excused: bool, notes: list[str]
    ) -> tuple[State, Fraction, Decimal]:
        """A piece without marks: excused, missed, still to be marked, or nothing."""
        handed = [each for each in piece.assignments if each in self.work.handed_in]
        if excused and not (handed and self.final):
            notes.append("It is excused, and does not count.")
            return "excused", ZERO, ONE_HUNDRED
        most = ONE_HUNDRED
        names = {item.id, piece.id} if handed else {item.id, *piece.keys}
        missed = not names.isdisjoint(self.work.missed)
        if missed or (self.final and not handed):
            for rule in self.policy.course.rules:
                of_it = set(rule.of) & {piece.id, *self.pieces.above[item.id]}
                if rule.kind == "missed is zero" and of_it:
                    notes.append(f"It was missed, and gives 0. “{rule.words}”")
                    return "marked", ZERO, most
            notes.append(
                "It was missed, and gives 0." if missed else "Nothing is there; it gives 0."
            )
            return "marked", ZERO, most
        if handed:
            notes.append("It is handed in and not marked yet.")
        return "missing", ZERO, most

    def is_excused(self, names: Collection[str]) -> bool:
        """Whether one of these is excused."""
        return bool(self.work.excused) and any(name in self.work.excused for name in names)

    def handed(self, piece: Piece, key: str) -> str | None:
        """The assignment by which a piece was handed in: the one that is marked, else the last."""
        there = [each for each in piece.assignments if each in self.work.handed_in]
        if key in there:
            return key
        if key in piece.assignments:
            return None
        return max(there, key=lambda each: self.work.handed_in[each]) if there else None

    def handed_whole(self, item: str) -> Iterator[str]:
        """The assignments by which an item was handed in as a whole; of those of which one is
        chosen, the last.
        """
        counts: dict[str, str] = {}
        for name in self.pieces.wholes.get(item, ()):
            if name in self.work.handed_in:
                group = self.pieces.assignments[name].either or name
                before = counts.get(group, name)
                counts[group] = max(before, name, key=lambda each: self.work.handed_in[each])
        yield from counts.values()

    def cap(self, part: Part, rule: LateCap) -> None:
        """Apply a cap to a whole item that was handed in late."""
        for assignment in self.handed_whole(part.item.id):
            if not self.pieces.covers(rule.of, assignment):
                continue
            days = self.late.days_late(assignment, rule.grace)
            if days is None:
                part.state = "undecided"
            elif days and not self.is_excused(self.pieces.meant_by(assignment)):
                self.capped.append((part, rule))
                most = Fraction(rule.most) / WHOLE
                part.notes.append(
                    f"It was {spoken(days)} late: at most {shown(rule.most)} % of it counts,"
                    f" and {shown(part.earned * 100)} % was earned. “{rule.words}”"
                )
                part.earned = min(part.earned, most)
                return


def best_average(weighed: list[tuple[Fraction, Fraction]], keep: int) -> Fraction:
    """The best weighted average of so many of the shares.

    With equal weights, the worst are left out. With unequal ones the worst shares need not be the
    ones that cost most, so the average is raised until no choice raises it (Dinkelbach's way).

    Args:
        weighed: shares from 0 to 1, each with its weight.
        keep: how many of them count; at least one.
    """
    average = ZERO
    while True:
        gains = sorted(weighed, key=lambda each: (each[0] - average) * each[1], reverse=True)
        kept = gains[:keep]
        better = sum((s * w for s, w in kept), ZERO) / sum((w for _, w in kept), ZERO)
        if better <= average:
            return average
        average = better
