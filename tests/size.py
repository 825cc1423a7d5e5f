"""``make size``: how long each study is, by the measures of ``tests/test_house.py``."""

from __future__ import annotations

from tests.test_house import (
    ENTRIES,
    LINES,
    READING,
    TOKENS,
    TOKENS_A_LINE,
    WORDS,
    code,
    reading,
    words,
)


def main() -> None:
    """Print one row a study; what passes its limit is marked."""
    print(f"{'study':<16} {'lesson':>8} {'lines':>7} {'tokens':>8} {'a line':>8} {'to read':>9}")
    most = (WORDS[1], LINES, TOKENS, TOKENS_A_LINE, READING)
    print("{:<16} {:>7} {:>7} {:>8} {:>8} {:>9}".format("at most", *most))
    for entry in sorted(ENTRIES, key=lambda entry: entry.path):
        lines, tokens, filled = code(entry.path)
        density = tokens / filled
        found = (words(entry.lesson), lines, tokens, density, sum(reading(entry).values()))
        over = [limit < value for limit, value in zip(most, found, strict=True)]
        over[0] |= found[0] < WORDS[0]
        marks = ["!" if each else " " for each in over]
        cells = [f"{value:.1f}" if isinstance(value, float) else str(value) for value in found]
        text = "{:>7}{} {:>6}{} {:>7}{} {:>7}{} {:>8}{}".format(
            *[part for pair in zip(cells, marks, strict=True) for part in pair]
        )
        print(f"{entry.name:<16} {text}".rstrip())


if __name__ == "__main__":
    main()
