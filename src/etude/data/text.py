"""Texts as numbers: words, and n-grams of words and letters by a hash, so that no vocabulary has to
be kept.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from etude.data.ragged import Ragged

WORD = re.compile(r"\w+(?:'\w+)?|[$%?!]")
SHORTEST = 3  # letters of a subword, the signs < and > for a word's ends included
MIX = 116_049_371  # odd and large, from fastText's own hash of word n-grams


def words(text: str) -> list[str]:
    """Lower-case words, with an apostrophe inside, and the signs that stand for money, parts and
    questions.
    """
    return WORD.findall(text.lower().replace("’", "'"))


def subwords(word: str, letters: int) -> list[str]:
    """The pieces of ``<word>`` of 3 to ``letters`` letters: ``<oi``, ``oil``, ``il>`` … for oil."""
    whole = f"<{word}>"
    return [
        whole[i : i + n] for n in range(SHORTEST, letters + 1) for i in range(len(whole) - n + 1)
    ]


def fingerprint(text: str) -> int:
    """CRC-32 of the text in UTF-8: the same on every machine and in every process, as Python's own
    hash is not.
    """
    return zlib.crc32(text.encode())


def ngrams(texts: Iterable[str], buckets: int, phrase: int = 2, letters: int = 5) -> Ragged:
    """For each text the numbers of its words, phrases and subwords, each from 0 to ``buckets`` - 1.

    Args:
        texts: of any length, also empty.
        buckets: two n-grams whose hashes agree modulo this number are one.
        phrase: words of the longest phrase; 1: words alone.
        letters: of the longest subword; below 3: none.

    Sources: Joulin et al. (2017), Bag of tricks; Bojanowski et al. (2017), Enriching word vectors
    with subwords.
    """
    word_hash: dict[str, int] = {}
    piece_hash: dict[str, list[int]] = {}
    rows: list[list[int]] = []
    for text in texts:
        found = words(text)
        for word in found:
            if word not in word_hash:
                word_hash[word] = fingerprint(word)
                piece_hash[word] = [
                    fingerprint(f"#{piece}") % buckets for piece in subwords(word, letters)
                ]
        hashes = [word_hash[word] for word in found]
        row = [each % buckets for each in hashes]
        longer = hashes
        for n in range(1, phrase):  # h(w₁ … wₙ₊₁) = h(w₁ … wₙ) · MIX + h(wₙ₊₁)
            longer = [(a * MIX + b) % 2**32 for a, b in zip(longer, hashes[n:], strict=False)]
            row += [each % buckets for each in longer]
        for word in found:
            row += piece_hash[word]
        rows.append(row)
    return Ragged.of(rows)


def frequent(texts: Sequence[str], least: int) -> list[str]:
    """Words, and pairs of words, that ``least`` texts have at least, the most frequent first."""
    count: Counter[str] = Counter()
    for text in texts:
        found = words(text)
        count.update({*found, *map(" ".join, pairwise(found))})
    return [term for term, n in count.most_common() if n >= least]


def document_frequency(rows: Ragged, buckets: int) -> Tensor:
    """In how many rows each number occurs. Shape: (buckets,)."""
    row = torch.repeat_interleave(torch.arange(len(rows)), rows.lengths)
    return torch.bincount(torch.unique(row * buckets + rows.values) % buckets, minlength=buckets)
