"""Equations on a terminal say what they say in print."""

from __future__ import annotations

import re
import unicodedata
from xml.etree.ElementTree import Element

import pytest

from etude.catalogue import Catalogue
from etude.cli.formulas import LOWERED, RAISED, formula
from etude.runs.mathml import leaf, tree

EQUATION = re.compile(r"\$\$(.+?)\$\$|\$([^$\n]+?)\$", re.DOTALL)


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\tfrac12 \lVert w \rVert^2", "½‖w‖²"),
        (r"\frac{1}{2n} ||y - X w||^2", "(1/(2n))||y − Xw||²"),
        (r"\frac{a + b}{c}", "(a + b)/c"),
        (r"\frac{a}{2 b} x", "(a/(2b))x"),
        (r"\frac{\partial L}{\partial x_i}", "∂L/∂xᵢ"),
        (r"\log \frac{1 + N}{1 + n}", "log((1 + N)/(1 + n))"),
        (r"\sqrt{2 \pi} + \sqrt x", "√(2π) + √x"),
        (r"\sqrt[3]{x}", "³√x"),
        (r"\sum_{i=1}^{n} x_i", "∑ᵢ₌₁ⁿ xᵢ"),
        (r"\sum_{k<m} \gamma^k", "∑_(k<m) γᵏ"),
        (r"e^{-\sigma_i \delta}", "e^(−σᵢδ)"),
        (r"\lambda_{max} w_g e_g", "λ_max w_g e_g"),
        (r"|r| = \sqrt\mu", "|r| = √μ"),
        (r"E[\epsilon|x_t]", "E[ϵ | xₜ]"),
        (r"\max(|z| - \lambda, 0)", "max(|z| − λ, 0)"),
        (r"\hat y = w^\top x, \quad \text{if } x \le 0", "ŷ = wᵀx, if x ≤ 0"),
        (r"\overline{xy}", "x̅y̅"),
        (r"248{,}894", "248,894"),
        (r"\binom{n}{k}", "(n over k)"),
        (r"A = \begin{pmatrix} a & b \\ c & d \end{pmatrix}", "A = (a b; c d)"),
        (r"-\eta g", "−ηg"),
        (r"\notacommand{x", r"\notacommand{x"),
    ],
)
def test_a_formula_is_one_line_that_says_the_same(latex: str, text: str) -> None:
    assert formula(latex) == text


def test_no_formula_says_anything_to_the_terminal_or_takes_for_ever() -> None:
    """A lesson may be a stranger's."""
    assert formula(r"\text{a&#x202e;b}") == r"a\u202eb"
    for command in ("hat", "overline", "widehat", "vec", "sqrt"):
        deep = rf"\{command}{{" * 60 + "ab" + "}" * 60
        assert "a" in formula(deep)


def test_raised_and_lowered_signs_are_those_of_their_letters() -> None:
    alike = str.maketrans("−⊤∗", "-T*")
    for signs in (RAISED, LOWERED):
        for plain, sign in signs.items():
            shown = unicodedata.normalize("NFKC", sign).translate(alike)
            assert shown == unicodedata.normalize("NFKC", plain).translate(alike)


def letters(text: str) -> str:
    """Letters and digits, in their order, whether raised, lowered or under an accent."""
    plain = unicodedata.normalize("NFKD", text.replace("⊤", "T").replace(" over ", " "))
    return "".join(sign for sign in plain if sign.isalnum())


def leaves(element: Element) -> str:
    if element.tag == "mphantom":
        return ""
    return leaf(element) + "".join(map(leaves, element))


def test_no_formula_of_any_lesson_loses_a_letter() -> None:
    """A power that is printed as a factor, or a fraction without its stroke, has lost none: the
    examples above hold those.
    """
    seen = 0
    for entry in Catalogue().all():
        for match in EQUATION.finditer(entry.lesson):
            latex = match[1] or match[2]
            text = formula(latex)
            assert "\\" not in text, (entry.name, latex)
            assert letters(text) == letters(leaves(tree(latex))), (entry.name, latex, text)
            seen += 1
    assert seen > 1_000
