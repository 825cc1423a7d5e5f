"""A lesson (Markdown with LaTeX) as HTML whose equations are MathML: any browser shows them,
without a network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from etude.runs.mathml import mathml

if TYPE_CHECKING:
    from markdown_it.token import Token


STUDY = re.compile(r"(?:\.\./)+(?:\w+/)*(?P<name>\w+)/README\.md")
"""How a lesson on disk links to another study's."""
PICTURE = re.compile(r"data:image/(?:png|gif|jpeg|webp);base64,")
"""The address of a picture that lies in the text itself."""


FOLD = re.compile(r"<details>\s*<summary>(?P<words>[^<>]*)</summary>")
"""What opens a folded part, such as an exercise's answer; alone in its paragraph, as is its end."""
UNFOLD = "</details>"
LOOK = "what to look at"
"""The section of a lesson in which a paragraph or a list's item begins with the figures of which it
speaks, as in: - *fit*, *bases*: …"""


def lesson_html(lesson: str, studies: str = "") -> str:
    """Markdown to HTML, as by :func:`illustrated`, without figures."""
    return illustrated(lesson, {}, studies)[0]


def illustrated(
    lesson: str, figures: Mapping[str, str], studies: str = ""
) -> tuple[str, list[str]]:
    """Markdown to HTML, with each figure below the words of "What to look at" that speak of it; and
    the names of the figures of which it says nothing.

    An equation that can't be converted is shown as its LaTeX.

    The text may be a stranger's: HTML in it is shown as text, equations are made of elements of
    mathematics only, and nothing in it is fetched from anywhere. A picture that does not lie in the
    text itself is replaced by the words that stand for it.

    Args:
        lesson: the text.
        figures: the address of each figure, by its name.
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
    left = dict(figures)
    tokens = _with_figures(_folded(tokens), left)
    return str(markdown.renderer.render(tokens, markdown.options, {})), [*left]


def _folded(tokens: Sequence[Token]) -> list[Token]:
    """The tokens of a lesson, with its folded parts as such: the only HTML that a lesson may have.

    A part that begins and does not end in the same list or quotation stays text.
    """
    from markdown_it.token import Token

    marks: dict[int, str] = {}  # what stands in the place of a paragraph, by its inline's place
    opened: list[tuple[int, int, str]] = []
    for place, token in enumerate(tokens):
        if token.type != "inline":
            continue
        text = token.content.strip()
        if begun := FOLD.fullmatch(text):
            words = escape(begun["words"])
            opened.append((place, token.level, f"<details><summary>{words}</summary>"))
        elif text == UNFOLD and opened and opened[-1][1] == token.level:
            first, _, mark = opened.pop()
            marks |= {first: mark, place: UNFOLD}
    shown: list[Token] = []
    for place, token in enumerate(tokens):
        if place + 1 in marks or place - 1 in marks:
            continue  # the ends of the paragraph
        if place in marks:
            token = Token("html_block", "", 0, content=f"{marks[place]}\n")
        shown.append(token)
    return shown


def _with_figures(tokens: Sequence[Token], left: dict[str, str]) -> list[Token]:
    """The tokens of a lesson, with figures of those ``left``, which are taken out of them."""
    from markdown_it.token import Token

    shown: list[Token] = []
    looking = False
    below: list[str] = []  # names of figures, to be shown where their paragraph ends
    for before, token in zip([None, *tokens], tokens, strict=False):
        shown.append(token)
        if token.type == "inline" and before is not None:
            if before.type == "heading_open":
                looking = token.content.strip().lower() == LOOK
            elif looking and before.type == "paragraph_open":
                below = [name for name in _named_first(token.children or []) if name in left]
        elif token.type == "paragraph_close" and below:
            pictures = "".join(_figure(name, left.pop(name)) for name in dict.fromkeys(below))
            shown.append(Token("html_block", "", 0, content=f"\n{pictures}"))
            below = []
    return shown


def _named_first(tokens: Sequence[Token]) -> list[str]:
    """The emphasised words before the first colon, as names of figures' files."""
    names = []
    emphasised = False
    for token in tokens:
        if token.type == "em_open":
            emphasised = True
        elif token.type == "em_close":
            emphasised = False
        elif emphasised:
            names.append(token.content.strip().replace(" ", "_"))
        elif ":" in token.content:
            return names
    return []


def _figure(name: str, address: str) -> str:
    words = escape(name.replace("_", " "))
    later = "" if address.startswith("data:") else ' loading="lazy"'  # on paper there is no later
    return f'<figure><img src="{escape(address)}" alt="Figure: {words}"{later}></figure>\n'


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
