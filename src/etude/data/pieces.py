"""Words in pieces: byte-pair encoding, so that a few thousand pieces write every word."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from heapq import heapify, heappop, heappush
from itertools import pairwise, takewhile

WORD = re.compile(r" ?\w+| ?[^\w\s]+")
PAD, BEGIN, END, UNKNOWN, FIRST = range(5)  # the tokens; piece 0 is token FIRST


class Pieces:
    """Letters, and pieces made of them: texts to tokens and back.

    A word, with the space before it, begins as letters; then pairs of pieces that stand side by
    side are joined, in the order in which they were learned.

    Args:
        texts: to learn from. All letters become pieces; then, over and over, the most frequent pair
            of pieces does.
        vocabulary: how many tokens there are at most, with those for padding, begin, end and
            unknown letters.

    Source: Sennrich, Haddow & Birch (2016), algorithm 1.
    """

    def __init__(self, texts: Iterable[str], vocabulary: int) -> None:
        counts = Counter(word for text in texts for word in WORD.findall(text))
        words, times = [list(word) for word in counts], list(counts.values())
        self.pieces = sorted({letter for word in words for letter in word})
        self.rank: dict[tuple[str, str], int] = {}  # when a pair was learned
        found: Counter[tuple[str, str]] = Counter()
        where: defaultdict[tuple[str, str], set[int]] = defaultdict(
            set
        )  # in which words a pair stands, or has stood
        for i, word in enumerate(words):
            for pair in pairwise(word):
                found[pair] += times[i]
                where[pair].add(i)
        heap = [(-n, pair) for pair, n in found.items()]
        heapify(heap)
        while heap and FIRST + len(self.pieces) < vocabulary:
            n, best = heappop(heap)
            if -n != found[best]:
                continue  # it was counted anew since, and stands in the heap again
            if n > -2:
                break
            self.rank[best] = len(self.rank)
            self.pieces.append("".join(best))
            changed = set()
            for i in where.pop(best):
                for pair in pairwise(words[i]):
                    found[pair] -= times[i]
                    changed.add(pair)
                words[i] = joined(words[i], best)
                for pair in pairwise(words[i]):
                    found[pair] += times[i]
                    where[pair].add(i)
                    changed.add(pair)
            for pair in changed:
                if found[pair] > 0:
                    heappush(heap, (-found[pair], pair))
        self.pieces = list(dict.fromkeys(self.pieces))  # two pairs may make one piece
        self.number = {piece: FIRST + i for i, piece in enumerate(self.pieces)}
        self.cut = lru_cache(maxsize=100_000)(self._cut)

    def _cut(self, word: str) -> tuple[int, ...]:
        """The tokens of one word."""
        parts = list(word)
        while len(parts) > 1:
            best = min(pairwise(parts), key=lambda pair: self.rank.get(pair, len(self.rank)))
            if best not in self.rank:
                break
            parts = joined(parts, best)
        return tuple(self.number.get(part, UNKNOWN) for part in parts)

    def encode(self, text: str) -> list[int]:
        """Its tokens, without begin and end."""
        return [token for word in WORD.findall(text) for token in self.cut(word)]

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens up to END; an unknown letter is ``?``."""
        return "".join(self.names(tokens)).strip()

    def names(self, tokens: Iterable[int]) -> list[str]:
        """The piece of each token up to END; padding and begin have none."""
        names = []
        for token in takewhile(lambda token: token != END, tokens):
            if token not in (PAD, BEGIN):  # a network may score more tokens than there are pieces
                names.append(
                    self.pieces[token - FIRST] if FIRST <= token < FIRST + len(self.pieces) else "?"
                )
        return names


def joined(parts: Sequence[str], pair: tuple[str, str]) -> list[str]:
    """The parts, with each occurrence of the pair made one, from the left."""
    whole, i = [], 0
    while i < len(parts):
        if i + 1 < len(parts) and parts[i] == pair[0] and parts[i + 1] == pair[1]:
            whole.append(parts[i] + parts[i + 1])
            i += 2
        else:
            whole.append(parts[i])
            i += 1
    return whole
