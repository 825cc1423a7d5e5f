"""Byte-pair encoding: the paper's example, what is learned first, and that nothing is lost."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from etude.data.pieces import BEGIN, END, FIRST, PAD, UNKNOWN, Pieces, joined


def learned(words: dict[str, int], merges: int) -> list[tuple[str, str]]:
    """Algorithm 1 as it stands: count all pairs, join the most frequent, again."""
    rows, found = {word: tuple(word) for word in words}, []
    for _ in range(merges):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, n in words.items():
            for pair in pairwise(rows[word]):
                pairs[pair] += n
        most = max(pairs.values())
        best = min(pair for pair, n in pairs.items() if n == most)
        rows = {word: tuple(joined(row, best)) for word, row in rows.items()}
        found.append(best)
    return found


WORDS = {"low": 5, "lower": 2, "newest": 6, "widest": 3}


def test_pairs_are_joined_in_the_order_of_how_frequent_they_are() -> None:
    letters = len(set("".join(WORDS)))
    pieces = Pieces([word for word, n in WORDS.items() for _ in range(n)], FIRST + letters + 8)
    assert list(pieces.rank) == learned(WORDS, 8)
    assert pieces.names(pieces.encode("lowest")) == ["low", "est"]


def test_on_longer_texts_too() -> None:
    text = (
        "the cat sat on the mat and the bat that sat there ate the rat, then the hat: hahaha! aaaa"
        " aaaaa".split()
    )
    words = dict(Counter(text))
    letters = len(set("".join(words)))
    plain = {word: n for word, n in words.items() if word.isalpha()}
    pieces = Pieces([word for word, n in plain.items() for _ in range(n)], FIRST + letters + 12)
    count = len(pieces.rank)
    assert count > 5
    assert list(pieces.rank) == learned(plain, count)


def test_joining_from_the_left() -> None:
    assert joined(list("aaaba"), ("a", "a")) == ["aa", "a", "b", "a"]
    assert joined(["x"], ("a", "a")) == ["x"]


def test_texts_come_back() -> None:
    texts = ["Ein Mann, der läuft.", "two-and-a-half (2.5) men", "x"]
    pieces = Pieces(texts, 60)
    for text in texts:
        tokens = pieces.encode(text)
        assert pieces.decode(tokens) == text
        assert pieces.decode([BEGIN, *tokens, END, FIRST, PAD]) == text
        assert all(FIRST <= token < 60 for token in tokens)
    assert len(pieces.pieces) == len(set(pieces.pieces)) <= 60 - FIRST


def test_an_unknown_letter_is_a_question_mark() -> None:
    pieces = Pieces(["ab ab"], 9)
    assert UNKNOWN in pieces.encode("aπb")
    assert pieces.decode(pieces.encode("aπb")) == "a?b"
    assert pieces.decode([1_000]) == "?"


@pytest.mark.parametrize("vocabulary", [FIRST, 7, 12, 1_000])
def test_there_are_no_more_tokens_than_asked_for_and_letters_are_kept(vocabulary) -> None:
    pieces = Pieces(["abc abd abe abe"], vocabulary)
    assert set("abcde") <= set(pieces.pieces)
    assert FIRST + len(pieces.pieces) <= max(vocabulary, FIRST + 6)
    assert all(pieces.decode(pieces.encode(text)) == text for text in ("abe abd", "cab"))
