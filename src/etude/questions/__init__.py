"""Questions with answers that are computed: what a study's ``_questions.py`` is made of."""

from etude.questions.asking import Generator, Posed, draw, measured, question
from etude.questions.choosing import Choice, Match, Order, Predict, Several, TrueFalse
from etude.questions.measuring import Count, Number
from etude.questions.question import (
    Judged,
    Question,
    Redraw,
    Shown,
    Unreadable,
    Wrong,
    apart,
)
from etude.questions.reading import factor, written
from etude.questions.shapes import Shape
from etude.questions.wording import Code, ShortText, changed, line_of

__all__ = [
    "Choice",
    "Code",
    "Count",
    "Generator",
    "Judged",
    "Match",
    "Number",
    "Order",
    "Posed",
    "Predict",
    "Question",
    "Redraw",
    "Several",
    "Shape",
    "ShortText",
    "Shown",
    "TrueFalse",
    "Unreadable",
    "Wrong",
    "apart",
    "changed",
    "draw",
    "factor",
    "line_of",
    "measured",
    "question",
    "written",
]
