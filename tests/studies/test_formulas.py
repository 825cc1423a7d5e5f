"""The formulas of the lessons are written so that every renderer shows what they mean."""

from __future__ import annotations

import re

import pytest

from etude.catalogue import Entry
from tests.test_house import ENTRIES

FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n][^$]*?\$", re.DOTALL)
CODE = re.compile(r"```.*?```|`[^`]*`", re.DOTALL)
UPRIGHT = re.compile(r"\\(?:text|mathrm|operatorname|mathbf|textbf|textit|tag)\{[^{}]*\}")
NAMES = re.compile(
    r"(?<![\\A-Za-z_{])(?:arg|cos|det|df|diag|exp|log|max|min|rank|sign|sin|softmax|tanh|Var)"
    r"(?![A-Za-z])"
)


def formulas(lesson: str) -> list[str]:
    """All formulas of a lesson, displayed or in a line."""
    return FORMULA.findall(CODE.sub("", lesson))


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_norms_and_functions_are_upright(entry: Entry) -> None:
    """``||w||`` is set as four separate bars, and ``diag`` as a product of four variables."""
    bare = [each for each in formulas(entry.lesson) if "||" in each]
    assert not bare, r"\lVert … \rVert"
    italic = [each for each in formulas(entry.lesson) if NAMES.search(UPRIGHT.sub("", each))]
    assert not italic, r"\operatorname{…}"


def test_what_would_be_wrong_is_found() -> None:
    assert formulas("costs `$x` and $$||w||$$, $a$") == ["$$||w||$$", "$a$"]
    for wrong in ("$diag(p)$", "$2 sign(z)$", r"$\alpha df$"):
        assert NAMES.search(UPRIGHT.sub("", wrong))
    for right in (r"$\operatorname{diag}(p)$", r"$\log x$", r"$\lambda_{max}$", r"$\text{sign}$"):
        assert not NAMES.search(UPRIGHT.sub("", right))
