"""The parts of a lesson that an answer can point at: its headings, paragraphs and figures."""

from __future__ import annotations

import re

HEADING = re.compile(r"^#{1,4} (.+)$")
OPENING = re.compile(r"^(?:- )?(\*{1,2})(?! )(.+?)\1")  # in bold or italics
FIGURES = re.compile(r"\*([\w ]+)\*")
LOOK = "what to look at"


def places(lesson: str) -> dict[str, int]:
    """``{name: line}`` of the parts of a lesson, the first line being 1.

    A part is a heading, or the words in bold or italics with which a paragraph or an item of a list
    begins; a figure that "What to look at" tells is ``figure NAME``.
    """
    found: dict[str, int] = {}
    looking = False
    for number, line in enumerate(lesson.splitlines(), 1):
        if heading := HEADING.match(line):
            looking = heading[1].strip().lower() == LOOK
            found.setdefault(heading[1].strip(), number)
        elif looking and line.startswith(("- ", "*")):
            for name in FIGURES.findall(line.partition(":")[0]):
                found.setdefault(f"figure {name}", number)
        elif opening := OPENING.match(line):
            found.setdefault(opening[2].rstrip(".:"), number)
    return found
