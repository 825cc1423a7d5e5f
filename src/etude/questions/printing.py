"""Questions on paper: one HTML file for the students, and one with the key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from etude.questions.asking import Posed
from etude.questions.reading import LETTERS

if TYPE_CHECKING:
    from jinja2 import Template


def paper(posed: Sequence[Posed], title: str, about: str, *, key: bool) -> str:
    """The questions as a page to be printed.

    Args:
        posed: in their order.
        title: of the quiz or exam.
        about: what stands below it: the course, the seed.
        key: whether the answers stand there, too; without it, no answer does.
    """
    numbered = [
        {
            "shown": each.question.shown(),
            "answer": each.question.key() if key else "",
            "why": each.question.why if key else "",
            "id": each.generator.id if key else "",
            "see": each.generator.where(each.question.see) if key else "",
        }
        for each in posed
    ]
    return _template().render(title=title, about=about, questions=numbered, key=key)


@cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader
    from markupsafe import Markup

    from etude.runs.lesson import lesson_html

    def block(text: str) -> Markup:
        return Markup(lesson_html(text))

    def inline(text: str) -> Markup:
        html = lesson_html(text).strip()
        return Markup(html.removeprefix("<p>").removesuffix("</p>"))

    def digest(style: Any) -> str:
        hashed = hashlib.sha256(str(style).encode()).digest()
        return f"sha256-{base64.b64encode(hashed).decode()}"

    environment = Environment(
        loader=PackageLoader("etude", "questions"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"block": block, "inline": inline, "digest": digest}
    environment.globals["letters"] = LETTERS
    return environment.get_template("paper.html")
