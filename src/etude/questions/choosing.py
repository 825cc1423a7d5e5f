"""Questions that are answered by choosing among what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, ClassVar, Self

from etude.questions.question import Judged, Question, Shown, Unreadable, Wrong
from etude.questions.reading import LETTERS, LONGEST, plain, quoted, read_letters

TRUE = {"true", "t", "yes", "y", "correct"}
FALSE = {"false", "f", "no", "n", "incorrect"}


def _mixed(options: Iterable[str], rng: Random) -> tuple[str, ...]:
    """Options in an order that says nothing of which is right."""
    found = sorted(options)
    rng.shuffle(found)
    return tuple(found)


def _letters(options: Sequence[str], chosen: Iterable[str]) -> list[str]:
    return [LETTERS[options.index(each)] for each in chosen]


def _doubled(options: Sequence[str], least: int) -> Iterator[str]:
    """What is wrong with options."""
    if len({each.casefold() for each in options}) < len(options):
        yield f"two of its options are the same: {', '.join(sorted(options))}"
    if len(options) < least:
        yield f"it has {len(options)} options; expected at least {least}"
    yield from (f"an option has {len(o)} signs" for o in options if len(o) > LONGEST)
    if len(options) > len(LETTERS):
        yield f"it has {len(options)} options; expected at most {len(LETTERS)}"


@dataclass(frozen=True, kw_only=True)
class Choice(Question):
    """One of several options is right.

    Attributes:
        answer: the right option.
        wrong: the others, each with what it says.
    """

    kind: ClassVar[str] = "choice"
    answer: str
    wrong: tuple[Wrong[str], ...]
    options: tuple[str, ...] = ()

    def shuffled(self, rng: Random) -> Self:
        """The options in a random order."""
        options = [self.answer, *(each.answer for each in self.wrong)]
        return replace(self, options=_mixed(options, rng))

    def shown(self) -> Shown:
        """The options, without which is right."""
        return Shown(self.kind, self.prompt, "a letter", self.options)

    def judge(self, text: str) -> Judged:
        """By the option's letter or its words."""
        places = read_letters(text, self.options)
        if len(places) != 1:
            raise Unreadable(f"{quoted(text)} names {len(places)} options; expected one letter")
        chosen = self.options[places[0]]
        if chosen == self.answer:
            return self.right()
        return self.wrong_by(next(each for each in self.wrong if each.answer == chosen))

    def key(self) -> str:
        """Letter and words."""
        return f"{self._letter(self.answer)}) {self.answer}"

    def _letter(self, option: str) -> str:
        return LETTERS[self.options.index(option)]

    def spellings(self) -> Iterator[str]:
        """The letter, in brackets and not; the words."""
        letter = self._letter(self.answer)
        yield from (letter, letter.upper(), f"({letter})", f"{letter}.", self.answer)

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """The other letters."""
        for each in self.wrong:
            yield self._letter(each.answer), each

    def troubles(self) -> Iterator[str]:
        """Options that are the same, or too few."""
        yield from _doubled([self.answer, *(each.answer for each in self.wrong)], 3)

    def with_another_answer(self) -> Choice:
        """One of the wrong options in the place of the right one."""
        first, *others = self.wrong
        return replace(
            self, answer=first.answer, wrong=(replace(first, answer=self.answer), *others)
        )


@dataclass(frozen=True, kw_only=True)
class Predict(Choice):
    """What will be measured is predicted, and then a command shows it.

    Attributes:
        run: the command.
    """

    kind: ClassVar[str] = "predict"
    run: str

    def shown(self) -> Shown:
        """The options, and the command."""
        return replace(super().shown(), run=self.run)

    def troubles(self) -> Iterator[str]:
        """Two options are enough for what goes up or down."""
        yield from _doubled([self.answer, *(each.answer for each in self.wrong)], 2)


@dataclass(frozen=True, kw_only=True)
class Several(Question):
    """Any number of options is right, and all of them are to be named.

    Attributes:
        answer: the right options.
        missed: what is said to whom one of the right ones is missing.
        wrong: the others.
    """

    kind: ClassVar[str] = "several"
    answer: tuple[str, ...]
    missed: str
    wrong: tuple[Wrong[str], ...]
    options: tuple[str, ...] = ()

    def shuffled(self, rng: Random) -> Self:
        """The options in a random order."""
        options = [*self.answer, *(each.answer for each in self.wrong)]
        return replace(self, options=_mixed(options, rng))

    def shown(self) -> Shown:
        """The options, without how many are right."""
        how = "all letters that are right, such as 'a c', or 'none'"
        return Shown(self.kind, self.prompt, how, self.options)

    def judge(self, text: str) -> Judged:
        """Right if exactly the right ones are named; the first wrong one is told."""
        none = plain(text).casefold() in ("none", "-", "no one")
        named = {
            self.options[place] for place in (() if none else read_letters(text, self.options))
        }
        if named == {*self.answer}:
            return self.right()
        for each in self.wrong:
            if each.answer in named:
                return self.wrong_by(each)
        return Judged(False, self.missed, self.see, "one that is right is missing")

    def key(self) -> str:
        """Letters and words."""
        chosen = [option for option in self.options if option in self.answer]
        pairs = zip(_letters(self.options, chosen), chosen, strict=True)
        return "; ".join(f"{letter}) {option}" for letter, option in pairs) or "none"

    def spellings(self) -> Iterator[str]:
        """The letters, in any order and with any sign between them."""
        letters = _letters(self.options, self.answer)
        if not letters:
            yield from ("none", "-")
            return
        yield from (" ".join(letters), ", ".join(reversed(letters)), "".join(letters).upper())

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """The right ones and one more."""
        letters = _letters(self.options, self.answer)
        for each in self.wrong:
            yield " ".join([*letters, *_letters(self.options, [each.answer])]), each

    def troubles(self) -> Iterator[str]:
        """Options that are the same, or too few."""
        yield from _doubled([*self.answer, *(each.answer for each in self.wrong)], 3)

    def with_another_answer(self) -> Several:
        """The other options are the right ones."""
        says = tuple(Wrong(option, "", "") for option in self.answer)
        return replace(self, answer=tuple(each.answer for each in self.wrong), wrong=says)


@dataclass(frozen=True, kw_only=True)
class TrueFalse(Question):
    """A statement holds or not, for one of several reasons.

    Attributes:
        prompt: the statement, and what it is about.
        holds: whether it is true.
        answer: the reason why.
        wrong: other reasons, for either.
    """

    kind: ClassVar[str] = "true or false"
    holds: bool
    answer: str
    wrong: tuple[Wrong[str], ...]
    options: tuple[str, ...] = ()

    def shuffled(self, rng: Random) -> Self:
        """The reasons in a random order."""
        options = [self.answer, *(each.answer for each in self.wrong)]
        return replace(self, options=_mixed(options, rng))

    def shown(self) -> Shown:
        """The reasons, without which is right."""
        how = "true or false and the letter of the reason, such as 'true b'"
        return Shown(self.kind, f"True or false, and why? {self.prompt}", how, self.options)

    def judge(self, text: str) -> Judged:
        """Both have to be right."""
        first, _, rest = re.sub(r"[,;:.]", " ", plain(text)).partition(" ")
        said = first.casefold()
        if said not in TRUE | FALSE or not rest.strip():
            raise Unreadable(
                f"{quoted(text)} is no answer; expected true or false and the letter of a reason,"
                " such as 'true b'"
            )
        places = read_letters(rest.strip().removeprefix("because "), self.options)
        if len(places) != 1:
            raise Unreadable(f"{quoted(text)} names {len(places)} reasons; expected one letter")
        reason = self.options[places[0]]
        if reason != self.answer:
            return self.wrong_by(next(each for each in self.wrong if each.answer == reason))
        if (said in TRUE) != self.holds:
            says = f"The reason is right, and it shows that the statement is {self._word()}."
            return Judged(False, says, self.see, "the reason shows the opposite")
        return self.right()

    def _word(self) -> str:
        return "true" if self.holds else "false"

    def key(self) -> str:
        """True or false, and the reason."""
        return f"{self._word()}, {_letters(self.options, [self.answer])[0]}) {self.answer}"

    def spellings(self) -> Iterator[str]:
        """With whole words and single letters."""
        (letter,) = _letters(self.options, [self.answer])
        word = self._word()
        yield from (f"{word} {letter}", f"{word.title()}, ({letter})", f"{word[0]} {letter}")
        yield f"{word} because {letter.upper()}"

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """The other reasons, with true and with false."""
        for each in self.wrong:
            (letter,) = _letters(self.options, [each.answer])
            yield f"true {letter}", each
            yield f"false {letter}", each

    def troubles(self) -> Iterator[str]:
        """Reasons that are the same, or too few."""
        yield from _doubled([self.answer, *(each.answer for each in self.wrong)], 3)

    def with_another_answer(self) -> TrueFalse:
        """The opposite, for another reason."""
        first, *others = self.wrong
        return replace(
            self,
            holds=not self.holds,
            answer=first.answer,
            wrong=(replace(first, answer=self.answer), *others),
        )


@dataclass(frozen=True, kw_only=True)
class Order(Question):
    """Things are put into their order.

    Attributes:
        answer: in the right order.
        wrong: orders that misconceptions lead to.
    """

    kind: ClassVar[str] = "order"
    answer: tuple[str, ...]
    wrong: tuple[Wrong[tuple[str, ...]], ...] = ()
    options: tuple[str, ...] = ()

    def shuffled(self, rng: Random) -> Self:
        """What is to be ordered, in a random order."""
        return replace(self, options=_mixed(self.answer, rng))

    def shown(self) -> Shown:
        """What is to be ordered."""
        how = "all letters in the right order, such as 'b a c'"
        return Shown(self.kind, self.prompt, how, self.options)

    def judge(self, text: str) -> Judged:
        """Right if every place is."""
        places = read_letters(text, self.options)
        if sorted(places) != [*range(len(self.options))]:
            raise Unreadable(
                f"{quoted(text)} is no order of {len(self.options)} things; expected each letter"
                " once"
            )
        order = tuple(self.options[place] for place in places)
        if order == self.answer:
            return self.right()
        return self.wrong_by(next((each for each in self.wrong if each.answer == order), None))

    def key(self) -> str:
        """Letters, and what they stand for."""
        return f"{' '.join(_letters(self.options, self.answer))}: {'; then '.join(self.answer)}"

    def spellings(self) -> Iterator[str]:
        """The letters, with any sign between them."""
        letters = _letters(self.options, self.answer)
        yield from (" ".join(letters), "".join(letters), ", ".join(letters).upper())
        yield " > ".join(letters)

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """The orders of misconceptions."""
        for each in self.wrong:
            yield " ".join(_letters(self.options, each.answer)), each

    def troubles(self) -> Iterator[str]:
        """Things that are the same; an order of other things; one that is right."""
        yield from _doubled(self.answer, 3)
        orders = [self.answer, *(each.answer for each in self.wrong)]
        if any(sorted(order) != sorted(self.answer) for order in orders):
            yield "a misconception orders other things"
        if len(set(orders)) < len(orders):
            yield "two of its orders are the same"

    def with_another_answer(self) -> Order:
        """The reverse."""
        return replace(self, answer=self.answer[::-1], wrong=())


@dataclass(frozen=True, kw_only=True)
class Match(Question):
    """Each thing on the left belongs to one on the right.

    Attributes:
        answer: pairs of a thing on the left and the one that belongs to it.
        wrong: pairs that misconceptions make.
    """

    kind: ClassVar[str] = "match"
    answer: tuple[tuple[str, str], ...]
    wrong: tuple[Wrong[tuple[str, str]], ...] = ()
    items: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    pairs: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pairs", dict(self.answer))

    def shuffled(self, rng: Random) -> Self:
        """Both sides in random orders."""
        left, right = zip(*self.answer, strict=True)
        return replace(self, items=_mixed(left, rng), options=_mixed(right, rng))

    def shown(self) -> Shown:
        """Both sides."""
        how = "a letter for each number, such as '1b 2a 3c'"
        return Shown(self.kind, self.prompt, how, self.options, self.items)

    def judge(self, text: str) -> Judged:
        """Right if every pair is; the first pair that is wrong is told."""
        found = self._read(text)
        if found == self.pairs:
            return self.right()
        for each in self.wrong:
            if found[each.answer[0]] == each.answer[1]:
                return self.wrong_by(each)
        return self.wrong_by(None)

    def _read(self, text: str) -> dict[str, str]:
        clean = plain(text).casefold()
        pairs = re.findall(r"(\d+)\s?[-=:.)>]*\s?([a-j])(?![a-z])", clean)
        if not pairs:  # the letters alone
            letters = read_letters(text, self.options)
            pairs = [(str(number), LETTERS[place]) for number, place in enumerate(letters, 1)]
        numbers = sorted(int(number[:4]) for number, _ in pairs)
        places = [LETTERS.index(letter) for _, letter in pairs]
        if numbers != [*range(1, len(self.items) + 1)] or max(places) >= len(self.options):
            raise Unreadable(
                f"{quoted(text)} does not match {len(self.items)} things; expected a letter for"
                " each number, such as '1b 2a'"
            )
        return {
            self.items[int(number) - 1]: self.options[place]
            for (number, _), place in zip(pairs, places, strict=True)
        }

    def _spelled(self, pairs: dict[str, str]) -> list[str]:
        return [LETTERS[self.options.index(pairs[item])] for item in self.items]

    def key(self) -> str:
        """Numbers, letters, and what they stand for."""
        letters = self._spelled(self.pairs)
        return "; ".join(
            f"{number}{letter}) {item} — {self.pairs[item]}"
            for number, (letter, item) in enumerate(zip(letters, self.items, strict=True), 1)
        )

    def spellings(self) -> Iterator[str]:
        """With numbers and without."""
        letters = self._spelled(self.pairs)
        numbered = [f"{number}{letter}" for number, letter in enumerate(letters, 1)]
        yield from (" ".join(numbered), ", ".join(reversed(numbered)), " ".join(letters))
        yield ", ".join(f"{each[0]} - {each[1].upper()}" for each in numbered)

    def slips(self) -> Iterator[tuple[str, Wrong[Any]]]:
        """The right pairs with one of a misconception's, whose other half is taken by the other."""
        for each in self.wrong:
            left, right = each.answer
            other = next(item for item, option in self.pairs.items() if option == right)
            pairs = self.pairs | {left: right, other: self.pairs[left]}
            letters = self._spelled(pairs)
            yield " ".join(f"{number}{letter}" for number, letter in enumerate(letters, 1)), each

    def troubles(self) -> Iterator[str]:
        """Things that are the same; a misconception that is right."""
        left, right = zip(*self.answer, strict=True)
        yield from _doubled(left, 3)
        yield from _doubled(right, 3)
        for each in self.wrong:
            if each.answer[0] not in left or each.answer[1] not in right:
                yield f"a misconception matches {' and '.join(each.answer)}, which are not there"
            elif each.answer in self.answer:
                yield f"the pair {' and '.join(each.answer)} of a misconception is right"

    def with_another_answer(self) -> Match:
        """Each with the next one's."""
        left, right = zip(*self.answer, strict=True)
        turned = (*right[1:], right[0])
        return replace(self, answer=tuple(zip(left, turned, strict=True)), wrong=())
