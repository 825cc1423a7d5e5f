"""What a browser would make of a page, and what a terminal would make of a text."""

from __future__ import annotations

import random
import re
from html.parser import HTMLParser

from etude.runs.mathml import ELEMENTS

OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
HARMLESS = ELEMENTS | set(
    "a blockquote body br code dd div dl dt em eq eqn figcaption figure footer h1 h2 h3 h4 h5 h6"
    " head header hr html i img li main meta ol p pre section small span strong style table tbody"
    " td th thead title tr ul".split()
)
"""Elements of a report: none runs anything, asks for anything, or can be filled in."""


class Parts(HTMLParser):
    """The elements of a page, their attributes with the values, and its words."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.values: list[tuple[str, str]] = []
        self.words = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.values += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data

    def handle_comment(self, data: str) -> None:
        self.elements.add("<!--")

    handle_pi = unknown_decl = handle_comment


def harm(page: str) -> str:
    """What in a page could do something; empty where nothing can."""
    parts = Parts(page)
    if others := parts.elements - HARMLESS:
        return f"elements {sorted(others)}"
    for name, value in parts.values:
        if name.startswith("on") or name in ("style", "srcset", "formaction", "srcdoc", "id"):
            return f"attribute {name}"
        if name == "src" and not value.startswith("data:image/"):
            return f"src {value[:40]}"
        if name == "href" and not re.match(r"https?://|mailto:|[\w./#?-]*$", value):
            return f"href {value[:40]}"
    return ""


INSIDE = (
    "x",
    "<script>1</script>",
    '" onload="1',
    "javascript:1",
    "&lt;img src=x onerror=1&gt;",
    "a<b",
    "</mtext></math><form action=/trash/empty method=post><button>",
    "<!--",
    "{",
    "url(//evil.example)",
)


def equation(chance: random.Random) -> str:
    """LaTeX of commands that the converter knows, with what would be HTML inside them."""
    return "".join(
        f"{chance.choice(COMMANDS)}{{{chance.choice(INSIDE)}}}" for _ in range(chance.randint(1, 4))
    )


def _commands() -> list[str]:
    from latex2mathml import commands

    every = (getattr(commands, name) for name in dir(commands))
    return sorted({word for word in every if isinstance(word, str) and word.startswith("\\")})


COMMANDS = _commands()
