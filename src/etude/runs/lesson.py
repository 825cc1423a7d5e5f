"""A lesson (Markdown with LaTeX) as HTML whose equations are MathML: any browser shows them,
without a network.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token


STUDY = re.compile(r"(?:\.\./)+(?:\w+/)*(?P<name>\w+)/README\.md")
"""How a lesson on disk links to another study's."""


def lesson_html(lesson: str, studies: str = "") -> str:
    """Markdown to HTML; an equation that can't be converted is shown as its LaTeX.

    Args:
        lesson: the text.
        studies: the address below which each study has its page. Links to other studies' lessons
            lead there; without it they are plain text, as in a report, which stands alone.
    """
    from latex2mathml.converter import convert
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def equation(latex: str, options: dict[str, bool]) -> str:
        try:
            mathml: str = convert(
                latex, display="block" if options.get("display_mode") else "inline"
            )
        except Exception:  # the converter raises whatever its parser stumbles over
            return f"<code>{html.escape(latex)}</code>"
        return mathml

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.use(dollarmath_plugin, renderer=equation, allow_digits=False)
    tokens = markdown.parse(lesson)
    for token in tokens:
        if token.children:
            token.children = _linked(token.children, studies)
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _linked(tokens: Sequence[Token], studies: str) -> list[Token]:
    """Inline tokens with links to studies' files turned into links to their pages, or into text."""
    kept: list[Token] = []
    plain = False
    for token in tokens:
        if token.type == "link_open" and (to := STUDY.fullmatch(str(token.attrs["href"]))):
            plain = not studies
            token.attrs["href"] = f"{studies}/{to['name']}"
            kept += [] if plain else [token]
        elif token.type == "link_close" and plain:
            plain = False
        else:
            kept.append(token)
    return kept
