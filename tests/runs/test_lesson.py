"""Lessons as pages: equations, and links from one study to another."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from etude.catalogue import Catalogue
from etude.runs.lesson import illustrated, lesson_html
from etude.runs.mathml import ATTRIBUTES, DEEPEST, ELEMENTS, LONGEST, mathml
from etude.runs.run import Run
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


LOOKED_AT = """The idea has *fit* in it: so it is.

## What to look at

- *fit*, left: the line. It bends.
- *first bases* and *widths*: where they lie.
- Compare *loss* with that of *fit*: is it lower?
- *unknown*: not drawn.

*boundary*: a paragraph, too.

## Exercises

1. *other*: no.
"""


def test_each_figure_stands_below_the_words_that_speak_of_it() -> None:
    names = ["fit", "first_bases", "widths", "boundary", "other", "rest"]
    html, others = illustrated(LOOKED_AT, {name: f"/at/{name}.svg" for name in names})
    assert others == ["other", "rest"]
    places = [html.index(f'src="/at/{name}.svg"') for name in names[:4]]
    assert places == sorted(places)
    assert html.count("<img") == 4
    item = html[html.index("It bends.") : html.index("where they lie")]
    assert '<img src="/at/fit.svg" alt="Figure: fit"' in item
    assert html.index("a paragraph, too") < places[3] < html.index("Exercises")


def test_a_figures_address_and_name_are_text() -> None:
    lesson = 'What to look at\n---\n\n*a"><script>x*: y.'
    html, others = illustrated(lesson, {'a"><script>x': 'b"><script>'})
    assert not others
    assert "<script" not in html
    assert 'src="b&quot;&gt;&lt;script&gt;"' in html


def test_a_report_has_the_lesson_before_the_results(tmp_path: Path) -> None:
    about = {"title": "Mine", "lesson": f"Mine\n\n{LOOKED_AT}"}
    with Run("mine", root=tmp_path, about=about, quiet=True) as run:
        run.drawing("fit", "<svg xmlns='http://www.w3.org/2000/svg'/>")
        run.drawing("rest", "<svg xmlns='http://www.w3.org/2000/svg'/>")
        run.result({"x": 1.0})
    page = run.folder.report_html.read_text()
    order = ["It bends.", 'alt="Figure: fit"', "where they lie", "More figures", 'alt="rest"']
    places = [page.index(each) for each in [*order, "<h2>Results</h2>"]]
    assert places == sorted(places)
    assert page.count("<img") == 2


ANSWER = "<details><summary>Answer</summary>"


def test_an_answer_is_folded() -> None:
    html = lesson_html(
        f"1. Why?\n\n   {ANSWER}\n\n   As $x = 1$, **so**.\n\n   </details>\n2. And?"
    )
    answer = html[html.index("<details>") : html.index("</details>")]
    assert answer.startswith(ANSWER)
    assert "<math" in answer
    assert "<strong>so</strong>" in answer
    assert html.count("<li>") == 2


@pytest.mark.parametrize(
    "lesson",
    [
        f"{ANSWER}\n\nno end",
        f"1. Why?\n\n   {ANSWER}\n\n   So.\n\n</details>",
        "no beginning\n\n</details>",
        "<details open><summary>Answer</summary>\n\nSo.\n\n</details>",
        "<details><summary><b>x</b></summary>\n\nSo.\n\n</details>",
    ],
)
def test_what_is_no_folded_part_stays_text(lesson: str) -> None:
    html = lesson_html(lesson)
    assert "<details" not in html
    assert "</details>" not in html
    assert "&lt;/details&gt;" in html or "&lt;details&gt;" in html
