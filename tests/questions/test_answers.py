"""How answers are read and judged, kind by kind."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest

from etude.questions import (
    Choice,
    Code,
    Count,
    Match,
    Number,
    Order,
    Predict,
    Question,
    Redraw,
    Several,
    Shape,
    ShortText,
    TrueFalse,
    Unreadable,
    Wrong,
    apart,
    changed,
    line_of,
    written,
)
from etude.questions.reading import LONGEST, read_number
from etude.questions.shapes import read_shape

ABOUT = {"prompt": "What?", "why": "Because.", "see": "Here"}
BIAS = "the bias was forgotten"
KINDS: list[Question] = [
    Choice(**ABOUT, answer="two", wrong=(Wrong("one", BIAS, "…"), Wrong("three", "x", "…"))),
    Predict(**ABOUT, answer="up", wrong=(Wrong("down", BIAS, "…"),), run="etude run spirals"),
    Several(**ABOUT, answer=("one", "two"), missed="…", wrong=(Wrong("three", BIAS, "…"),)),
    TrueFalse(
        **ABOUT, holds=True, answer="so", wrong=(Wrong("no", BIAS, "…"), Wrong("or", "x", "…"))
    ),
    Number(**ABOUT, answer=0.25, unit="bits", wrong=(Wrong(0.5, BIAS, "…"),)),
    Number(**ABOUT, answer=-1234.5, wrong=(Wrong(1234.5, BIAS, "…"),)),
    Number(**ABOUT, answer=0.0, wrong=(Wrong(3e-7 + 1, BIAS, "…"),)),
    Count(**ABOUT, answer=12_345, unit="parameters", wrong=(Wrong(12_000, BIAS, "…"),)),
    Shape(**ABOUT, answer=("N", 32, "H/2"), wrong=(Wrong(("N", "H/2", 32), BIAS, "…"),)),
    Order(
        **ABOUT, answer=("one", "two", "three"), wrong=(Wrong(("two", "one", "three"), BIAS, "…"),)
    ),
    Match(
        **ABOUT,
        answer=(("1", "one"), ("2", "two"), ("3", "three")),
        wrong=(Wrong(("1", "two"), BIAS, "…"),),
    ),
    ShortText(
        **ABOUT,
        answer="symmetry breaking",
        also=("breaking the symmetry",),
        wrong=(Wrong("dropout", BIAS, "…"),),
    ),
    Code(**ABOUT, lines=("def f(x):", "    return x"), answer=2, wrong=(Wrong(1, BIAS, "…"),)),
]
each_kind = pytest.mark.parametrize("question", KINDS, ids=lambda question: question.kind)


@each_kind
def test_a_right_answer_is_right_in_every_spelling(question: Question) -> None:
    question = question.shuffled(Random(3))
    assert not [*question.troubles()]
    spellings = [*question.spellings()]
    assert len(spellings) >= 2
    for spelling in spellings:
        assert question.judge(spelling).right, spelling
        assert question.judge(f"  {spelling} ").right, spelling


@each_kind
def test_a_misconception_is_named_and_explained(question: Question) -> None:
    question = question.shuffled(Random(3))
    for spelling, wrong in question.slips():
        judged = question.judge(spelling)
        assert not judged.right
        assert judged.misconception == wrong.name
        assert judged.says == wrong.says
        assert judged.see == "Here"
    assert BIAS in [wrong.name for _, wrong in question.slips()]
    elsewhere = replace(next(iter(question.slips()))[1], see="There")
    assert question.wrong_by(elsewhere).see == "There"


@each_kind
def test_what_is_shown_does_not_depend_on_the_answer(question: Question) -> None:
    question = question.shuffled(Random(3))
    other = question.with_another_answer()
    assert other.key() != question.key()
    assert other.shown() == question.shown()


@each_kind
@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "?!",
        "9" * (LONGEST + 1),
        "__import__('os').system('echo x')",
        "lambda: 0",
        "\x1b[31m",
        "zz top zz",
    ],
)
def test_what_is_no_answer_is_refused_in_a_sentence(question: Question, text: str) -> None:
    question = question.shuffled(Random(3))
    if question.kind in ("short text", "shape") and text == "zz top zz":
        return  # words, or three symbols, though wrong ones
    with pytest.raises(Unreadable) as refused:
        question.judge(text)
    assert 10 < len(str(refused.value)) < 300
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.5", "3/2"),
        ("1,5", "3/2"),
        ("0,125", "1/8"),
        ("−2", "-2"),
        ("+.5", "1/2"),
        ("1,234.5", "2469/2"),
        ("1.234,5", "2469/2"),
        ("1 234 567", "1234567"),
        ("1'234'567", "1234567"),
        ("1,234,567", "1234567"),
        ("3/4", "3/4"),
        ("½", "1/2"),
        ("2^10", "1024"),
        ("2¹⁰", "1024"),
        ("1e-3", "1/1000"),
        ("1.5·10⁻³", "3/2000"),
        ("1,5 × 10^{-3}", "3/2000"),
        ("≈ 12.", "12"),
        ("25 %", "1/4"),
        ("$0.5$", "1/2"),
    ],
)
def test_a_number_is_read_however_it_is_written(text: str, value: str) -> None:
    assert read_number(text) == Fraction(value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("1,234", "could be 1.234 or 1234"),
        ("2+2", "not computed"),
        ("64*3*3", "not computed"),
        ("0x10", "not computed"),
        ("1e999999", "too large"),
        ("9^9^9", "not computed"),
        ("10^(10^10)", "not computed"),
        ("7^9999", "too large"),
        ("9" * 350, "larger than any"),
        ("1/0", "divides by zero"),
        ("0^-1", "divides by zero"),
        ("nan", "no number"),
        ("-inf", "no number"),
        ("12 apples", "without a unit"),
        ("1,23,456", "groups of three"),
        ("1.2.3", "groups of three"),
    ],
)
def test_what_is_no_single_number_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(Unreadable, match=sentence):
        read_number(text)


def test_a_unit_may_be_written_and_must_be_the_one_asked_for() -> None:
    assert read_number("12 bits", "bits") == read_number("12 Bit", "bits") == 12
    assert read_number("30 %", "%") == read_number("30", "%") == 30
    with pytest.raises(Unreadable, match="a number of bits"):
        read_number("12 nats", "bits")


def test_a_count_takes_a_point_or_comma_as_part_of_a_group() -> None:
    assert read_number("1,234", whole=True) == read_number("1.234", whole=True) == 1234
    assert read_number("2^8", whole=True) == read_number("25.6e1", whole=True) == 256
    with pytest.raises(Unreadable, match="not a whole number"):
        read_number("1.5", whole=True)


def test_a_number_is_judged_within_its_tolerance() -> None:
    question = Number(**ABOUT, answer=200.0, tolerance=0.01, wrong=(Wrong(100.0, BIAS, "…"),))
    assert question.judge("202").right
    assert question.judge("198").right
    assert not question.judge("202.1").right
    assert question.judge("100.9").misconception == BIAS
    assert question.judge("150").misconception == ""
    assert question.judge("150").says == "Because."


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("(N, 32, 15, 15)", "[n,32,15,15]"),
        ("(N, 32, 15, 15)", "N x 32 x 15 x 15"),
        ("(N, 32, 15, 15)", "batch × 32 × 15 × 15"),
        ("(N, 32, 15, 15)", "torch.Size([-1, 32, 15, 15])"),
        ("(N, 32, 15, 15)", "N 32 15 15"),
        ("(5,)", "5"),
        ("(5,)", "[5]"),
        ("()", "torch.Size([])"),
        ("(N, 2C, H/2)", "N, C*2, H//2"),
        ("(N, H-2)", "(N, -2 + H)"),
        ("(N*T, d)", "(T N, d)"),
    ],
)
def test_shapes_are_equal_however_they_are_written(one: str, other: str) -> None:
    assert read_shape(one) == read_shape(other)


@pytest.mark.parametrize("text", ["(1, 2", "(1,,2)", "x.shape", "(1, 2^3)", "(N/0,)", "a" * 13])
def test_what_is_no_shape_is_refused(text: str) -> None:
    with pytest.raises(Unreadable, match=r"shape|zero"):
        read_shape(text)


def test_letters_may_be_written_in_many_ways() -> None:
    several = KINDS[2].shuffled(Random(1))
    assert isinstance(several, Several)
    options = several.options
    a, b = sorted("abc"[options.index(option)] for option in several.answer)
    for text in (f"{a} and {b}", f"({b}), ({a})", f"{a}{b}", f"options {a.upper()}; {b}"):
        assert several.judge(text.replace("options", "option")).right
    assert several.judge(a).misconception == "one that is right is missing"
    assert not several.judge("none").right


def test_true_needs_its_reason() -> None:
    question = KINDS[3].shuffled(Random(1))
    assert isinstance(question, TrueFalse)
    letter = "abc"[question.options.index("so")]
    assert question.judge(f"True, because {letter}").right
    assert question.judge(f"false {letter}").misconception == "the reason shows the opposite"
    with pytest.raises(Unreadable, match="the letter of a reason"):
        question.judge("true")


def test_misconceptions_that_lead_to_the_right_answer_are_left_out() -> None:
    one, two, three = (Wrong(value, BIAS, "…") for value in (1.0, 2.0, 2.01))
    assert apart(1.0, one, two, three) == (two, three)
    assert apart(1.0, one, two, three, within=0.02) == (two,)
    with pytest.raises(Redraw):  # nothing would be learned from a wrong answer
        apart(1.0, one)


def scaled(x: float) -> float:
    """A lesson.

    In two paragraphs.
    """
    y = 2 * x

    return y + 1


def test_a_line_of_a_function_is_changed() -> None:
    lines, number = changed(scaled, "2 * x", "3 * x")
    assert lines == ("def scaled(x: float) -> float:", "    y = 3 * x", "    return y + 1")
    assert number == line_of(scaled, "y = 2") == 2
    with pytest.raises(ValueError, match="stands in 2 lines"):
        changed(scaled, "y", "z")
    with pytest.raises(ValueError, match="stands in 0 lines"):
        line_of(scaled, "nothing")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (12_345, "12\xa0345"),
        (-0.25, "−0.25"),
        (1e-5, "1e-05"),
        (10_000.0, "10\xa0000"),
        (2.0, "2"),
        (123_456.0, "123\xa0500"),
        (1 / 3, "0.3333"),
    ],
)
def test_numbers_are_written_for_people(value: float, text: str) -> None:
    assert written(value) == text
