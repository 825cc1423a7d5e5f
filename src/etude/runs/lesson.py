"""A lesson (Markdown with LaTeX) as HTML whose equations are MathML: any browser shows them,
without a network.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from etude.runs.mathml import mathml

if TYPE_CHECKING:
    from markdown_it.token import Token


STUDY = re.compile(r"(?:\.\./)+(?:\w+/)*(?P<name>\w+)/README\.md")
"""How a lesson on disk links to another study's."""
PICTURE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,")
"""The address of a picture that lies in the text itself."""


def lesson_html(lesson: str, studies: str = "") -> str:
    """Markdown to HTML; an equation that can't be converted is shown as its LaTeX.

    The text may be a stranger's: HTML in it is shown as text, equations are made of elements of
    mathematics only, and nothing in it is fetched from anywhere. A picture that does not lie in the
    text itself is replaced by the words that stand for it.

    Args:
        lesson: the text.
        studies: the address below which each study has its page. Links to other studies' lessons
            lead there; without it they are plain text, as in a report, which stands alone.
    """
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def equation(latex: str, options: dict[str, bool]) -> str:
        return mathml(latex, display=options.get("display_mode", False))

    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.use(dollarmath_plugin, renderer=equation, allow_digits=False)
    tokens = markdown.parse(lesson)
    for token in tokens:
        if "style" in token.attrs:  # a table's column: styles in elements are not allowed
            token.attrs["class"] = str(token.attrs.pop("style")).removeprefix("text-align:")
        if token.children:
            token.children = _linked(token.children, studies)
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _linked(tokens: Sequence[Token], studies: str) -> list[Token]:
    """Inline tokens with links to studies' files turned into links to their pages, or into text;
    pictures that would have to be fetched, into their words.
    """
    kept: list[Token] = []
    plain = False
    for token in tokens:
        if token.type == "link_open" and (to := STUDY.fullmatch(str(token.attrs["href"]))):
            plain = not studies
            token.attrs["href"] = f"{studies}/{to['name']}"
            kept += [] if plain else [token]
        elif token.type == "link_close" and plain:
            plain = False
        elif token.type == "image" and not PICTURE.match(str(token.attrs["src"])):
            kept += token.children or []
        else:
            kept.append(token)
    return kept
