"""Lessons as pages: equations, and links from one study to another."""

from __future__ import annotations

import random
import re

import pytest

from etude.catalogue import Catalogue
from etude.runs.lesson import lesson_html
from etude.runs.mathml import ATTRIBUTES, DEEPEST, ELEMENTS, LONGEST, mathml
from tests.faults.shown import COMMANDS, Parts, equation

LESSON = "It rests on [spirals](../../foundations/spirals/README.md), and [more](https://x.org)."


def test_a_link_to_a_study_leads_to_its_page() -> None:
    page = lesson_html(LESSON, studies="/studies")
    assert '<a href="/studies/spirals">spirals</a>' in page
    assert '<a href="https://x.org">more</a>' in page


def test_a_link_to_a_study_is_text_where_there_are_no_pages() -> None:
    page = lesson_html(LESSON)
    assert "It rests on spirals, and" in page
    assert "README" not in page
    assert page.count("<a ") == page.count("</a>") == 1


def test_equations_are_mathml() -> None:
    assert "<math" in lesson_html("$x^2$")
    assert 'display="block"' in lesson_html("$$x^2$$")


ATTACKS = [
    r"\text{<script>fetch('//evil')</script>}",
    r"\mbox{<img src=x onerror=alert(1)>}",
    r"\text{&lt;script&gt;alert(1)&lt;/script&gt;}",
    r"\text{&amp;lt;script&amp;gt;}",
    r"\text{</mtext></math><script>1</script>}",
    r"\text{<!-- }x\text{ --><svg onload=alert(1)>}",
    r"\text{<annotation-xml encoding='text/html'><b>}",
    r"\color{\"><script>1</script>}{x}",
    r"\style{background:url(//evil)}{x}",
    r"\class{a\" onclick=\"alert(1)}{x}",
    r"\href{javascript:alert(1)}{x}",
    r"\href{https://evil.example}{x}",
    r"\unicode{<script>}",
    r"\operatorname{<b>}",
    r"\hspace{1em\" onclick=\"1}x",
    r"\begin{<script>}x\end{<script>}",
]


@pytest.mark.parametrize("latex", ATTACKS)
@pytest.mark.parametrize("quoted", ["$%s$", "$$%s$$", "%s"])
def test_an_equation_holds_mathematics_only(latex: str, quoted: str) -> None:
    parts = Parts(lesson_html(quoted % latex))
    assert parts.elements <= ELEMENTS | {"p", "code", "div", "section", "span", "eq", "eqn", "em"}
    assert parts.attributes <= ATTRIBUTES | {"class"}
    assert not [value for _, value in parts.values if ":" in value or "<" in value]


def test_no_lesson_shows_a_backslash_in_its_equations() -> None:
    """The converter passes on what it does not know as it stands."""
    for entry in Catalogue().all():
        for shown in re.findall(r"<math.*?</math>", lesson_html(entry.lesson), re.DOTALL):
            assert "\\" not in shown, (entry.name, shown)


def test_any_latex_is_mathematics_or_itself() -> None:
    """Commands that the converter knows, in any order, with what would be HTML inside them."""
    assert len(COMMANDS) > 100
    chance = random.Random(0)
    for _ in range(1_500):
        latex = equation(chance)
        parts = Parts(mathml(latex))
        assert parts.elements <= ELEMENTS | {"code"}, latex
        assert parts.attributes <= ATTRIBUTES, latex
        assert not [value for _, value in parts.values if ":" in value or '"' in value], latex


def test_signs_in_a_text_are_shown() -> None:
    assert Parts(mathml(r"\text{a <b & c}")).words.split() == ["a", "<b", "&", "c"]
    assert Parts(mathml(r"a < b")).words == "a<b"


def test_what_is_too_much_is_shown_as_it_is() -> None:
    for latex in ("{" * 2_000 + "x" + "}" * 2_000, "x" * (LONGEST + 1)):
        assert mathml(latex) == f"<code>{latex}</code>"
    deep = r"\sqrt{" * (DEEPEST + 1) + "x" + "}" * (DEEPEST + 1)
    assert Parts(mathml(deep)).elements == {"code"}


@pytest.mark.parametrize(
    "lesson",
    [
        "<script>1</script>",
        "<img src=https://evil.example/x.png>",
        "![seen](https://evil.example/x.png)",
        "![seen](//evil.example/x.png)",
        "![seen](/trash/empty)",
        "![*s*een](x.png)",
        "![seen](data:image/svg+xml;base64,AAAA)",
        "[seen](javascript:alert(1))",
        "[seen](data:text/html,<script>1</script>)",
        "[seen](JaVaScRiPt&colon;alert(1))",
        "a | b\n:-:|--:\n1 | 2",
    ],
)
def test_a_strangers_lesson_runs_nothing_and_fetches_nothing(lesson: str) -> None:
    parts = Parts(lesson_html(lesson))
    assert not parts.elements & {"script", "img", "a", "svg"}
    assert parts.attributes <= {"class"}
    assert "seen" in parts.words or "seen" not in lesson


def test_a_picture_that_lies_in_the_lesson_is_shown() -> None:
    assert 'src="data:image/png;base64,AAAA"' in lesson_html("![x](data:image/png;base64,AAAA)")


def test_a_report_lets_nothing_in_and_knows_its_own_style() -> None:
    """The policy's digest is that of the style as it stands in the page."""
    import base64
    import hashlib
    import re

    from etude.runs.report import paper

    page = paper("runs/paper.html")
    policy = re.search(r'<meta http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    style = re.search(r"<style>(.*?)</style>", page, re.DOTALL)
    assert policy
    assert style
    assert page.index(policy[0]) < page.index("<style>")
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert policy[1].split("; ") == [
        "default-src 'none'",
        "img-src data:",
        f"style-src 'sha256-{digest}'",
        "form-action 'none'",
        "base-uri 'none'",
    ]
    assert "style=" not in page
