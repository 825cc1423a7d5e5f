"""Equations for a terminal: one line of Unicode in which nothing that a formula says is lost.

The tree that a browser shows (:mod:`etude.runs.mathml`) is written out. So a fraction has its
stroke and its brackets, and what is raised or lowered is so: by Unicode's own signs where it has
them, by ``^(…)`` and ``_(…)`` elsewhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from etude.errors import printable
from etude.runs.mathml import leaf, tree

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

RAISED = dict(
    zip(
        "0123456789+-−=()abcdefghijklmnoprstuvwxyzTABDEGHIJKLMNOPRUWβγδθφχ⊤′*∗",
        "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᵀᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵁᵂᵝᵞᵟᶿᵠᵡᵀ′**",
        strict=True,
    )
)
LOWERED = dict(
    zip(
        "0123456789+-−=()aehijklmnoprstuvxβγρφχ",
        "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ",
        strict=True,
    )
)
FRACTIONS = {"1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾", "1/8": "⅛"}
OVER = {  # accents, and the sign that Unicode puts over the letter before it
    "^": "\u0302",
    "~": "\u0303",
    "∼": "\u0303",
    "¯": "\u0304",
    "‾": "\u0304",
    "―": "\u0304",
    "_": "\u0304",
    "→": "\u20d7",
    "˙": "\u0307",
    "¨": "\u0308",
    "ˇ": "\u030c",
}
APART = {*"=<>≤≥≠≈≃≅≡∼~∝∈∉⊂⊆∪∩∧∨→←↦⇒⇔⟶⟼⟹⟸⟵≪≫≔:+−-±·×∗*⊙⊗⊕∖", ":=", "mod"}
OPEN, CLOSED = set("([{⟨⌊⌈"), set(")]}⟩⌋⌉")
BARS = set("|∣∥‖")
LINE = "\u0305"  # over the letter before it
UNCLOSED = re.compile(r"[_^]\w+$")  # an index without brackets ends where a space stands
LARGE = set("∑∏∫⋃⋂⨁⨂")


def formula(latex: str) -> str:
    """An equation as one line; as its LaTeX where it can't be converted."""
    try:
        text = _row([tree(latex)])
    except Exception:  # the converter raises whatever its parser stumbles over
        text = latex
    text = latex if "\\" in text else text  # a command that it does not know
    return printable(" ".join(text.split()))  # references in it may have stood for any sign


def _write(element: Element) -> str:
    parts = list(element)
    match element.tag:
        case "mi" | "mn" | "mtext" | "mo":
            return leaf(element)
        case "mspace":
            return "" if element.attrib.get("width", "").startswith("-") else " "
        case "mphantom":
            return ""
        case "mfrac":
            if element.attrib.get("linethickness", "").startswith("0"):
                return f"{_write(parts[0])} over {_write(parts[1])}"  # in brackets of its own
            written = f"{_bound(parts[0])}/{_bound(parts[1])}"
            return FRACTIONS.get(written, written)
        case "msqrt":
            return f"√{_bound_row(parts)}"
        case "mroot":
            return f"{_script(_write(parts[1]), RAISED, '^')}√{_bound(parts[0])}"
        case "msup":
            return _bound(parts[0]) + _script(_write(parts[1]), RAISED, "^")
        case "msub" | "munder":
            return _bound(parts[0]) + _script(_write(parts[1]), LOWERED, "_")
        case "mover":
            return _over(parts[0], _write(parts[1]))
        case "msubsup" | "munderover":
            low, high = (_write(part) for part in parts[1:])
            return _bound(parts[0]) + _script(low, LOWERED, "_") + _script(high, RAISED, "^")
        case "mtable":
            return "; ".join(_write(row) for row in parts)
        case "mtr":
            cells = [_write(cell).strip() for cell in parts]
            return " ".join(cell for cell in cells if cell)
    return "," if _groups_digits(element) else _row(parts)


def _row(parts: Sequence[Element]) -> str:
    """Terms one behind the other, with spaces where a reader needs them."""
    text = ""
    flat = _flat(parts)
    between = _bars_between(flat)
    for place, part in enumerate(flat):
        written = _write(part)
        core = _core(part)
        before, after = _term(flat[:place][::-1]), _term(flat[place + 1 :])
        if part.tag == "mo" and written == ",":
            text = f"{text.rstrip()}, "
        elif part.tag == "mo" and written in APART:
            infix = bool(text.strip()) and not text.rstrip().endswith(tuple(OPEN | APART | {","}))
            text = f"{text.rstrip()} {written} " if infix else text + written
        elif place in between:
            text = f"{text.rstrip()} {written} "
        elif core in LARGE:
            text = f"{_spaced(text)}{written} "
        elif (
            part.tag == "mfrac"
            and "/" in written
            and (
                _factor(after)
                or _ends_a_term(text)
                or (before is not None and _is_word(_core(before)))
            )
        ):
            text += f"({written})"
        elif _is_word(core):
            bracket = after is not None and (after.tag == "mfrac" or _core(after) in OPEN)
            text = f"{_spaced(text)}{written}" + (" " if _factor(after) and not bracket else "")
        else:
            apart = written[:1].isalnum() and UNCLOSED.search(text)
            text += f" {written}" if apart else written
    return text


def _term(parts: Sequence[Element]) -> Element | None:
    """The first of them that is no space."""
    return next((part for part in parts if part.tag != "mspace"), None)


def _bars_between(flat: Sequence[Element]) -> set[int]:
    """The places of those bars that stand between two terms, as in q(x | y), and not around one.

    Those around terms come in pairs within the same brackets.
    """
    within: list[list[int]] = [[]]
    between: set[int] = set()
    for place, part in enumerate(flat):
        core = _core(part)
        if core in OPEN:
            within.append([])
        elif core in CLOSED and len(within) > 1:
            bars = within.pop()
            between |= {*bars} if len(bars) % 2 else set()
        elif core in BARS:
            within[-1].append(place)
    return between | {place for bars in within if len(bars) % 2 for place in bars}


def _flat(parts: Sequence[Element]) -> list[Element]:
    """The parts of a row, with those of rows within it."""
    flat: list[Element] = []
    for part in parts:
        inner = part.tag in ("math", "mrow", "mstyle", "mpadded", "mtd", "menclose")
        inner = inner and not _groups_digits(part)
        flat += _flat(list(part)) if inner else [part]
    return flat


def _groups_digits(element: Element) -> bool:
    """Whether it is the comma of 2{,}882."""
    return len(element) == 1 and leaf(element[0]) == ","


def _core(element: Element) -> str:
    """The sign or word that a term with indices begins with."""
    while len(element):
        element = element[0]
    return leaf(element)


def _is_word(core: str) -> bool:
    return len(core) > 1 and core.isalpha()


def _spaced(text: str) -> str:
    """A text that a word may follow."""
    return f"{text} " if _ends_a_term(text) else text


def _ends_a_term(text: str) -> bool:
    return bool(text) and (text[-1].isalnum() or text[-1] in ")]}⟩‖′" or text[-1] in LOW_OR_HIGH)


def _factor(element: Element | None) -> bool:
    """Whether a term goes on with it: a letter, a number, a bracket, a root."""
    if element is None or element.tag == "mspace":
        return False
    core = _core(element)
    return bool(core) and (
        core[0].isalnum() or core[0] in OPEN or core[0] in "√∇∂∑∏∫" or core in BARS
    )


def _bound(element: Element) -> str:
    return _bound_row(_flat([element]))


def _bound_row(parts: Sequence[Element]) -> str:
    return _in_brackets(parts, _row(parts).strip())


def _in_brackets(parts: Sequence[Element], written: str) -> str:
    """What was written of some parts, in brackets where it is more than one term."""
    one = len(_flat(parts)) < 2 and "/" not in written
    derivative = written.startswith("∂") and all(map(_in_a_term, written[1:]))
    norm = written[:1] in BARS and written[-1:] in BARS and len(BARS & {*written[1:-1]}) == 0
    return written if one or written.isdigit() or derivative or norm else f"({written})"


def _in_a_term(sign: str) -> bool:
    return sign.isalnum() or sign in LOW_OR_HIGH or sign in "_∂"


def _script(text: str, signs: dict[str, str], mark: str) -> str:
    text = text.strip()
    plain = text if " " in text and text.replace(" ", "").isalpha() else text.replace(" ", "")
    word = len(plain) > 2 and plain.isalpha() and mark == "_"  # of small letters it is hard to read
    if plain and not word and all(sign in signs for sign in plain):
        return "".join(signs[sign] for sign in plain)
    return f"{mark}{plain}" if len(plain) == 1 or word else f"{mark}({plain})"


def _over(base: Element, accent: str) -> str:
    parts = _flat([base])
    written = _row(parts).strip()  # once: twice at each level would be without end in a deep one
    if accent in OVER and len(written) == 1:
        return unicodedata.normalize("NFC", written + OVER[accent])
    if accent in OVER and OVER[accent] == OVER["¯"]:
        alone = [sign == " " or unicodedata.combining(sign) for sign in written]
        return "".join(
            sign if no_line else sign + LINE for sign, no_line in zip(written, alone, strict=True)
        )
    return _in_brackets(parts, written) + _script(accent, RAISED, "^")


LOW_OR_HIGH = {*RAISED.values(), *LOWERED.values()}
