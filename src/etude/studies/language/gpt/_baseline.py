"""What counting gives without a network: Kneser & Ney's n-grams of bytes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from torch import Tensor

from etude import Run

LONGEST = 7  # bytes of context: with the next byte they are the 64 bits of one number


def compare_to_counting(
    run: Run, parts: Sequence[Tensor], nats: Tensor, characters: int
) -> list[float]:
    """Results: the bits of counting, and of the mean of its distribution and the network's.

    Args:
        run: gets them.
        parts: bytes of the training, validation and test text.
        nats: the network's surprise at each byte of the test text but the first.
        characters: of the test text, by which its bits are divided.

    Returns:
        The bits a byte of the test text by 1, 2, … bytes of context.
    """
    validated, tested = kneser_ney(*parts)
    alone = tested[validated.mean(1).argmin()]  # the context that is best on validation text
    both = math.log(2) - np.logaddexp(-alone, -nats.double().cpu().numpy())  # of (p + q) / 2
    counting = alone.sum() / math.log(2) / characters
    averaged = both.sum() / math.log(2) / characters
    metrics = {"counting/test/bits": counting, "with counting/test/bits": averaged}
    run.result(metrics, held_out=characters)
    run.result({"gain/with counting over counting": counting - averaged})
    return [float(bits) for bits in tested.mean(1) / math.log(2)]


def kneser_ney(train: Tensor, *texts: Tensor) -> list[np.ndarray]:
    r"""$-\ln p$ of each byte but the first, by counts of a training text: (7, n - 1) a text.

    Row k looks at k + 1 bytes before the predicted one. Interpolated and modified Kneser & Ney: of
    an n-gram that was counted $c$ times, $D(c)$ are taken away and given to the shorter n-grams, in
    proportion to how many *different* bytes stand before each of them. The shortest give theirs to
    all 256 bytes alike. A context that was never seen is passed over.

    Source: Kneser & Ney (1995); Chen & Goodman (1999), An empirical study of smoothing techniques
    for language modeling, section 3.

    Args:
        train: bytes that are counted, (n,).
        texts: bytes that are predicted, (n,) each.
    """
    p = [np.full(len(text) - 1, 1 / 256) for text in texts]
    rows: list[list[np.ndarray]] = [[] for _ in texts]
    grams, counts = np.unique(grams_of(train, 1), return_counts=True)
    for n in range(1, LONGEST + 2):
        if n > 1:
            table = Discounted(grams, counts)
            for row, text, shorter in zip(rows, texts, p, strict=True):
                row.append(-np.log(table.interpolated(text, n, shorter)))
        if n <= LONGEST:
            longer, longer_counts = np.unique(grams_of(train, n + 1), return_counts=True)
            endings = longer & np.uint64(256**n - 1)  # each as often as different bytes precede it
            table = Discounted(*np.unique(endings, return_counts=True))
            p = [table.interpolated(t, n, shorter) for t, shorter in zip(texts, p, strict=True)]
            grams, counts = longer, longer_counts
    return [np.stack(row) for row in rows]


class Discounted:
    """n-grams in order, with what is taken of their counts and free for shorter ones."""

    def __init__(self, grams: np.ndarray, counts: np.ndarray) -> None:
        taken = discounts(counts)[np.minimum(counts, 3)]
        self.grams = grams
        self.kept = counts - taken
        self.contexts, first = np.unique(grams >> np.uint64(8), return_index=True)
        self.total = np.add.reduceat(counts, first)
        self.free = np.add.reduceat(taken, first)

    def interpolated(self, text: Tensor, n: int, shorter: np.ndarray) -> np.ndarray:
        """p of each byte but the first, by n-grams and by what shorter ones say: (len - 1,)."""
        p = shorter.copy()
        asked = grams_of(text, n)[max(0, 2 - n) :]  # the first bytes have shorter contexts only
        own, known = find(self.grams, asked)
        place, seen = find(self.contexts, asked >> np.uint64(8))
        kept = np.where(known, self.kept[own], 0)
        new = (kept + self.free[place] * p[max(0, n - 2) :]) / self.total[place]
        p[max(0, n - 2) :][seen] = new[seen]
        return p


def grams_of(tokens: Tensor, n: int) -> np.ndarray:
    """All runs of n bytes, each as one number: (len - n + 1,), or none, uint64."""
    bytes_ = tokens.cpu().numpy().astype(np.uint64)
    runs = max(0, len(bytes_) - n + 1)
    found = np.zeros(runs, np.uint64)
    for k in range(n):
        found = found << np.uint64(8) | bytes_[k : k + runs]
    return found


def discounts(counts: np.ndarray) -> np.ndarray:
    """D(c) for the counts 0, 1, 2, and 3 or more, (4,): Chen & Goodman, equation 26."""
    n1, n2, n3, n4 = (max(1, int((counts == c).sum())) for c in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    raw = np.array([0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return raw.clip(0, np.arange(4))


def find(sorted_: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each asked number stands in a sorted array, and whether it does."""
    place = np.searchsorted(sorted_, asked).clip(max=len(sorted_) - 1)
    return place, sorted_[place] == asked
