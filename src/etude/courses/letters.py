"""Letters: the one that marks get, and the marks of a lower one.

All numbers are exact fractions, so that an edge is where the syllabus puts it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from etude.courses.course import Letter

HUNDREDTH = Fraction(1, 100)  # of a mark: how near the best mark comes to a bound that it excludes
WHOLE = Fraction(100)


@dataclass(frozen=True)
class Span:
    """The marks that get a letter.

    Attributes:
        letter: the letter.
        low: its lower bound; ``low_in`` says whether exactly that many marks get the letter.
        high: its upper bound; ``high_in`` alike.
    """

    letter: str
    low: Fraction
    high: Fraction
    low_in: bool
    high_in: bool

    @property
    def least(self) -> Fraction:
        """Its least mark. Where the bound itself is another letter's: a hundredth above."""
        return self.low if self.low_in else self.low + self._step

    @property
    def best(self) -> Fraction:
        """Its best mark. Where the bound itself is another letter's: a hundredth below."""
        return self.high if self.high_in else self.high - self._step

    @property
    def _step(self) -> Fraction:
        return min(HUNDREDTH, (self.high - self.low) / 2)


def letter_of(letters: Sequence[Letter], marks: Fraction) -> str:
    """The letter of so many marks, which are not rounded before.

    Args:
        letters: the best first, the last without a bound.
        marks: of a hundred, or more with extra credit.
    """
    for letter in letters:
        if letter.above is None or marks > letter.above:
            return letter.letter
        if letter.includes and marks == letter.above:
            return letter.letter
    return letters[-1].letter


def spans(letters: Sequence[Letter], *, whole: bool = False) -> list[Span]:
    """The marks of each letter, the best first.

    Args:
        letters: the best first, the last without a bound.
        whole: whether ``A-`` and ``A`` are one, as are ``B+``, ``B`` and ``B-``.
    """
    found: list[Span] = []
    high, high_in = WHOLE, True
    for letter in letters:
        low = Fraction(0) if letter.above is None else Fraction(letter.above)
        low_in = letter.includes or letter.above is None
        name = letter.letter[0] if whole else letter.letter
        if whole and found and found[-1].letter == name:
            before = found.pop()
            found.append(Span(name, low, before.high, low_in, before.high_in))
        else:
            found.append(Span(name, low, max(high, low), low_in, high_in))
        high, high_in = low, not low_in
    return found


def capped(letters: Sequence[Letter], mark: Fraction, most: str) -> Fraction:
    """A mark that gets at most so good a letter."""
    (span,) = [each for each in spans(letters) if each.letter == most]
    return min(mark, span.best)


def fallen(
    letters: Sequence[Letter],
    mark: Fraction,
    by: int,
    becomes: Literal["top", "place", "bottom"],
) -> Fraction:
    """A mark whose letter falls, by whole letters: from ``A-`` into the marks of the B's.

    Better work never gets less for it. So what would fall below the last letter gets the last one's
    least mark, and with ``top`` no more than its best.

    Args:
        letters: the best first, the last without a bound.
        mark: of a hundred.
        by: so many letters.
        becomes: the lower letter's best mark, the one at the same place in it, or its least.
    """
    if by == 0:
        return mark
    groups = spans(letters, whole=True)
    names = [group.letter for group in groups]
    at = names.index(letter_of(letters, mark)[0])
    last = len(groups) - 1
    if becomes == "top":
        return min(mark, groups[min(at + by, last)].best)
    if at + by > last:
        return groups[last].least
    here, lower = groups[at], groups[at + by]
    if becomes == "bottom":
        return lower.least
    width = here.high - here.low
    place = (mark - here.low) / width if width else Fraction(1)
    return max(lower.least, min(lower.best, lower.low + place * (lower.high - lower.low)))
