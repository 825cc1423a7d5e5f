"""Text and Markdown as LaTeX that needs nothing but the article class: ASCII, every special sign
escaped.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pylatexenc.latexencode import UnicodeToLatexEncoder

PARTS = re.compile(
    r"(?P<math>\$[^$\n]+\$)|`(?P<code>[^`]+)`|\*\*(?P<bold>[^*]+)\*\*|\*(?P<slanted>[^*\s][^*]*)\*"
    r"|\[(?P<words>[^\]]+)\]\((?P<address>[^)\s]+)\)|<(?P<bare>https?://[^>\s]+)>"
)


class Latex(str):
    """Text that is LaTeX already."""


@cache
def _encoder() -> UnicodeToLatexEncoder:
    from pylatexenc.latexencode import UnicodeToLatexEncoder

    return UnicodeToLatexEncoder(
        replacement_latex_protection="braces",
        unknown_char_policy="ignore",
        unknown_char_warning=False,
    )


def latex(text: object) -> Latex:
    r"""Any text, escaped: ``_ % & # $ { } ~ ^ \`` and all signs beyond ASCII.

    LaTeX stays as it is.
    """
    return text if isinstance(text, Latex) else Latex(_encoder().unicode_to_latex(str(text)))


def from_markdown(text: str) -> Latex:
    """One paragraph of Markdown: emphasis, code, links; its equations are LaTeX as they stand."""
    said, end = "", 0
    for match in PARTS.finditer(text):
        said += latex(text[end : match.start()])
        end = match.end()
        if match["math"]:
            said += match["math"]
        elif match["code"]:
            said += rf"\texttt{{{latex(match['code'])}}}"
        elif match["bold"]:
            said += rf"\textbf{{{latex(match['bold'])}}}"
        elif match["slanted"]:
            said += rf"\emph{{{latex(match['slanted'])}}}"
        elif match["words"]:
            said += rf"{latex(match['words'])} (\texttt{{{latex(match['address'])}}})"
        else:
            said += rf"\texttt{{{latex(match['bare'])}}}"
    return Latex(said + latex(text[end:]))
