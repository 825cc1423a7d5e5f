"""Lessons as pages: equations, and links from one study to another."""

from __future__ import annotations

from etude.runs.lesson import lesson_html

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
