"""Reads what was typed as an answer. Nothing of it is ever evaluated.

Numbers may be written with a decimal point or comma, with digits in groups, as a fraction, a power
or with a power of ten, and with a unit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from fractions import Fraction

from etude.questions.question import Unreadable

LONGEST = 400  # signs of an answer
LARGEST = 300  # decimal digits of a number
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
SIGNS = str.maketrans(
    {"−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "∙": "*", "⁄": "/", "’": "'"}
)
NUMBER = re.compile(
    r"(?P<mantissa>[+-]?\s?(?:\d[\d.,'_ ]*\d|\d|[.,]\d+))\s?"
    r"(?:e\s?(?P<e>[+-]?\d+)(?!\w)|\*\s?10\s?\^\s?[({]?\s?(?P<ten>[+-]?\d+)\s?[)}]?"
    r"|\^\s?[({]?\s?(?P<power>[+-]?\d+)\s?[)}]?|/\s?(?P<over>\d[\d.,]*))?",
    re.IGNORECASE | re.ASCII,
)
GROUPED = re.compile(r"\d{1,3}(?:([ '_.,])\d{3})(?:\1\d{3})*")


def plain(text: str) -> str:
    """An answer in plain signs: one minus, one sign of multiplication, one kind of space.

    Raises:
        Unreadable: it is empty, or longer than any answer.
    """
    if len(text) > LONGEST:
        raise Unreadable(f"the answer has {len(text):,} signs; expected at most {LONGEST}")
    text = re.sub(r"[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+", lambda m: "^" + m[0].translate(RAISED), text)
    text = unicodedata.normalize("NFKC", text).translate(SIGNS)
    text = " ".join(text.split()).strip("`$ ")
    if not text:
        raise Unreadable("there is no answer")
    return text


def quoted(text: str) -> str:
    """An answer as a sentence may quote it."""
    return f"'{text if len(text) <= 40 else text[:39] + '…'}'"


# -- numbers ---------------------------------------------------------------------------------------


def read_number(text: str, unit: str = "", *, whole: bool = False) -> Fraction:
    """A number, exactly as it was written.

    Args:
        text: what was typed.
        unit: in which it was asked for; it may be written or left out.
        whole: whether it is a whole number, in which a point or comma can only part groups.

    Raises:
        Unreadable: it is no number, or one in another unit, or could be either of two.
    """
    text = re.sub(r"^[≈~=]\s?", "", plain(text))
    kind = "a whole number such as 320" if whole else "a number such as 0.25, 2.5e-3 or 1/4"
    found = NUMBER.match(text)
    if not found:
        raise Unreadable(f"{quoted(text)} is no number; expected {kind}")
    rest = text[found.end() :].strip().rstrip(".")
    if re.search(r"[\d+*/^=()\[\]-]", rest):
        raise Unreadable(
            f"{quoted(text)} is not a single number, and is not computed here; expected {kind}"
        )
    value = _decimal(found["mantissa"], whole)
    try:
        if exponent := found["e"] or found["ten"]:
            value *= Fraction(10) ** _small(exponent)
        elif found["power"]:
            value = value ** _small(found["power"], by=len(found["mantissa"]))
        elif found["over"]:
            value /= _decimal(found["over"], whole)
    except ZeroDivisionError:
        raise Unreadable(f"{quoted(text)} divides by zero; expected {kind}") from None
    if rest:
        value *= _of_unit(rest, unit)
    if whole and value.denominator != 1:
        raise Unreadable(f"{quoted(text)} is not a whole number; expected one such as 320")
    if abs(value.numerator) >= 10**LARGEST * value.denominator:
        raise Unreadable(f"{quoted(text)} is larger than any answer here")
    return value


def _small(exponent: str, by: int = 1) -> int:
    """An exponent, if the power can be written out."""
    if len(exponent) > 4 or abs(int(exponent)) * by > LARGEST:
        raise Unreadable(f"an exponent of {quoted(exponent)} is too large for any answer here")
    return int(exponent)


def _decimal(text: str, whole: bool) -> Fraction:
    """Digits with points, commas and other separators as a number."""
    sign = -1 if text.startswith("-") else 1
    digits = text.lstrip("+- ")
    points, commas = digits.count("."), digits.count(",")
    mark = ""
    if points and commas:
        mark = max(".,", key=digits.rfind)
    elif points + commas == 1:
        mark = "." if points else ","
        if re.fullmatch(r"[1-9]\d{0,2}[.,]\d{3}", digits):
            if whole:
                mark = ""
            elif commas:
                two = digits.replace(",", "."), digits.replace(",", "")
                raise Unreadable(
                    f"{quoted(digits)} could be {two[0]} or {two[1]}; expected one of them"
                )
    before, _, after = digits.partition(mark) if mark else (digits, "", "")
    if not before.isdecimal() and before:
        if not GROUPED.fullmatch(before):
            raise Unreadable(f"{quoted(digits)} is no number; expected digits in groups of three")
        before = re.sub(r"\D", "", before)
    after = after.replace(" ", "").replace("_", "")
    if after and not after.isdecimal():
        raise Unreadable(f"{quoted(digits)} is no number; expected one such as 0.25")
    return sign * Fraction(f"{before or '0'}.{after or '0'}")


def _of_unit(found: str, unit: str) -> Fraction:
    """What a number in the unit that was found has to be multiplied by."""
    if found in ("%", "percent") and unit == "":
        return Fraction(1, 100)
    if _bare(found) == _bare(unit):
        return Fraction(1)
    expected = f"a number of {unit}" if unit else "a number without a unit"
    raise Unreadable(f"{quoted(found)} was not asked for; expected {expected}")


def _bare(unit: str) -> str:
    return unit.casefold().replace("percent", "%").rstrip("s").strip()


def written(value: float, digits: int = 4) -> str:
    """A number for people: ``12 345``, ``0.25``, ``1.2e-05``, ``−3``.

    Args:
        value: the number; one that is an ``int`` is written out.
        digits: how many significant digits any other has at most.
    """
    text = str(value) if isinstance(value, int) else f"{value:.{digits}g}"
    if ("e" in text and 1e4 <= abs(value) < 1e7) or text.lstrip("-").isdecimal():
        text = f"{float(text):,.0f}" if abs(value) >= 10_000 else f"{float(text):.0f}"
    text = text.replace(",", "\xa0")
    return text.replace("-", "−", 1) if text.startswith("-") else text


def factor(value: float, digits: int = 4) -> str:
    """A number as it stands in a product: in brackets where it is negative."""
    text = written(value, digits)
    return f"({text})" if value < 0 else text


# -- letters ---------------------------------------------------------------------------------------

LETTERS = "abcdefghij"


def read_letters(text: str, options: Sequence[str]) -> list[int]:
    """Which options an answer names, by their letters or, of one, by its words.

    Raises:
        Unreadable: it names none of them.
    """
    text = plain(text)
    same = [place for place, option in enumerate(options) if _folded(option) == _folded(text)]
    if same:
        return same[:1]
    last = LETTERS[len(options) - 1]
    words = re.findall(r"[^\W_]+", re.sub(r"\b(?:option|answer|and|then)\b", " ", text.casefold()))
    if len(words) == 1 and len(words[0]) <= len(options):
        words = [*words[0]]  # "bd"
    if not words or any(len(word) > 1 or not "a" <= word <= last for word in words):
        raise Unreadable(f"{quoted(text)} names no option; expected letters from a to {last}")
    return [LETTERS.index(word) for word in words]


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFKC", text).translate(SIGNS)
    return re.sub(r"[\s`$.*_\\{}]+", "", text).casefold()
