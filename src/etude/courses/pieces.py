"""What is marked in each part of a grade, and by which assignment it is handed in."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from etude.courses.course import Assignment, Course, Item


@dataclass(frozen=True)
class Piece:
    """What gets one mark.

    Attributes:
        id: its name; a part's, an assignment's, or ``quizzes/3`` where a part has many.
        assignments: by which it is handed in; several where one of them is chosen.
        keys: the names under which its mark may stand.
        optional: whether nobody has to hand it in.
    """

    id: str
    assignments: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    optional: bool = False


class Pieces:
    """The pieces of a course.

    Attributes:
        items: the parts of the grade by their ids.
        leaves: those that have no parts, in order.
        above: ``{item: itself and what it is a part of}``, from inside out.
        assignments: by their ids.
        of: ``{leaf: its pieces}``, without those that are only named in marks.
        wholes: ``{item: the assignments that hand it in as a whole}``; see :meth:`whole`.
    """

    def __init__(self, course: Course) -> None:
        self.items: dict[str, Item] = {}
        self.above: dict[str, tuple[str, ...]] = {}
        self.assignments: dict[str, Assignment] = {each.id: each for each in course.assignments}
        self._enter(course.grade, ())
        self.leaves = [name for name, item in self.items.items() if not item.parts]
        self.of = {leaf: self._pieces(leaf) for leaf in self.leaves}
        self.wholes: dict[str, tuple[str, ...]] = {}
        for each in self.assignments:
            item = self.whole(each)
            self.wholes[item] = (*self.wholes.get(item, ()), each)
        self._leaf = {
            key: leaf for leaf, found in self.of.items() for piece in found for key in piece.keys
        }
        self._marked: dict[str, tuple[str, ...]] = {}
        for found in self.of.values():
            for piece in found:
                for each in piece.assignments:
                    others = set(piece.assignments) - {each}  # what is marked by another's name
                    keys = tuple(key for key in piece.keys if key not in others)
                    self._marked[each] = (*self._marked.get(each, ()), *keys)

    def _enter(self, items: Iterable[Item], above: tuple[str, ...]) -> None:
        for item in items:
            self.items[item.id] = item
            self.above[item.id] = (item.id, *above)
            self._enter(item.parts, (item.id, *above))

    def _pieces(self, leaf: str) -> tuple[Piece, ...]:
        own = self.assignments.get(leaf)
        if own is not None:
            return (Piece(leaf, (leaf,), (leaf,), own.optional),)
        direct = [a for a in self.assignments.values() if a.item == leaf and a.id not in self.items]
        if direct:
            groups: dict[str, list[Assignment]] = {}
            for each in direct:
                groups.setdefault(each.either or each.id, []).append(each)
            return tuple(_chosen(name, group) for name, group in groups.items())
        for item in self.above[leaf][1:]:  # a project whose parts are marked each
            handed = [
                a.id
                for a in self.assignments.values()
                if a.id == item or (a.item == item and a.id not in self.items)
            ]
            if handed:
                return (Piece(leaf, tuple(handed), (leaf,)),)
        return (Piece(leaf, (), (leaf,)),)

    def named(self, leaf: str, names: Collection[str]) -> tuple[Piece, ...]:
        """The pieces of a leaf where marks name so many in it: ``quizzes/1``, ``quizzes/2``."""
        if not names:
            return self.of[leaf]
        return tuple(Piece(name, (), (name,)) for name in names)

    def has_many(self, leaf: str) -> bool:
        """Whether marks may name several pieces in a leaf: it has no assignment of its own."""
        (first, *_) = self.of[leaf]
        return leaf not in self.assignments and first.id == leaf and not first.assignments

    def leaf_of(self, work: str) -> str | None:
        """The leaf of the grade in which a work is marked; None where it is not one."""
        if work in self._leaf:
            return self._leaf[work]
        leaf, slash, name = work.partition("/")
        if slash and name and leaf in self.items and not self.items[leaf].parts:
            return leaf if self.has_many(leaf) else None
        return None

    def markable(self) -> list[str]:
        """The works that can be marked, those that only marks name apart."""
        return [*self._leaf]

    def marked_by(self, assignment: str) -> tuple[str, ...]:
        """The names under which marks stand for what was handed in by an assignment."""
        return self._marked.get(assignment, ())

    def handed_by(self, work: str) -> tuple[str, ...]:
        """The assignments by which a work is handed in; several where one of them is chosen."""
        return tuple(each for each, keys in self._marked.items() if work in keys)

    def choices(self, assignment: str) -> tuple[str, ...]:
        """An assignment, and those of which one is handed in in place of it."""
        there = self.assignments.get(assignment)
        if there is None or not there.either:
            return (assignment,)
        return tuple(a.id for a in self.assignments.values() if a.either == there.either)

    def whole(self, assignment: str) -> str:
        """The item that an assignment hands in as a whole; "" where it is one of several works of
        an item, or one of those of which one is chosen.
        """
        item = assignment if assignment in self.items else self.assignments[assignment].item
        if item == assignment or (item in self.items and self.items[item].parts):
            return item
        return ""

    def meant_by(self, assignment: str) -> tuple[str, ...]:
        """The ids by which a rule can mean an assignment: its own, its choice's, its items'."""
        each = self.assignments[assignment]
        item = assignment if assignment in self.items else each.item
        return (assignment, *([each.either] if each.either else []), *self.above.get(item, ()))

    def covers(self, of: Collection[str], assignment: str) -> bool:
        """Whether a rule of these ids is one of an assignment; one of no ids is one of all."""
        return not of or not set(of).isdisjoint(self.meant_by(assignment))


def _chosen(name: str, group: list[Assignment]) -> Piece:
    ids = tuple(each.id for each in group)
    return Piece(
        name, ids, tuple({name: None} | dict.fromkeys(ids)), all(a.optional for a in group)
    )
