"""Sequences in NumPy. Shapes: N examples, D numbers of an input, H numbers of a state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Words = Sequence[str]


def sigmoid(x: Array) -> Array:
    """1 / (1 + e⁻ˣ), entry by entry, without too large an exponential."""
    found: Array = (1 + np.tanh(x / 2)) / 2
    return found


def ngrams(words: Words, n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n words stands in a sentence."""
    return Counter(zip(*(words[start:] for start in range(n)), strict=False))


def rnn_step(x: Array, h: Array, wx: Array, wh: Array, b: Array) -> Array:
    """A step of a recurrent network with the hyperbolic tangent.

    Args:
        x: inputs, (N, D).
        h: states before the step, (N, H).
        wx: weights of the input, (D, H).
        wh: weights of the state, (H, H).
        b: biases, (H,).

    Returns:
        The states after the step, (N, H): tanh of all that the three give together.
    """
    # task rnn, 2 points: Two products and a sum.
    new: Array = np.tanh(x @ wx + h @ wh + b)
    return new
    # end of task


def rnn_step_backward(
    by_new: Array, x: Array, h: Array, wx: Array, wh: Array, b: Array
) -> dict[str, Array]:
    """The gradients of :func:`rnn_step`.

    Args:
        by_new: the gradient by the states after the step, (N, H).
        x: inputs, (N, D).
        h: states before the step, (N, H).
        wx: weights of the input, (D, H).
        wh: weights of the state, (H, H).
        b: biases, (H,).

    Returns:
        The gradients by ``x``, ``h``, ``wx``, ``wh`` and ``b`` under these names, each in the shape
        of what it is by.
    """
    # task rnn-backward, 3 points: The derivative of tanh is 1 − tanh²; from there, five gradients
    #   of a linear layer.
    by_sum = by_new * (1 - rnn_step(x, h, wx, wh, b) ** 2)
    return {
        "x": by_sum @ wx.T,
        "h": by_sum @ wh.T,
        "wx": x.T @ by_sum,
        "wh": h.T @ by_sum,
        "b": by_sum.sum(0),
    }
    # end of task


def lstm_step(x: Array, h: Array, c: Array, wx: Array, wh: Array, b: Array) -> tuple[Array, Array]:
    """A step of an LSTM.

    Args:
        x: inputs, (N, D).
        h: states before the step, (N, H).
        c: cells before the step, (N, H).
        wx: weights of the input, (D, 4H): of the input gate, the forget gate, the output gate and
            the candidate, H columns each, in this order.
        wh: weights of the state, (H, 4H), in the same order.
        b: biases, (4H,), in the same order.

    Returns:
        States and cells after the step, (N, H) each. The gates are sigmoids and the candidate is a
        tanh. The forget gate says how much of the old cell stays, the input gate how much of the
        candidate is added, and the output gate how much of the new cell's tanh is the new state.
    """
    # task lstm, 3 points: One product for all four parts; np.split takes it apart.
    into, forget, out, candidate = np.split(x @ wx + h @ wh + b, 4, axis=1)
    c = sigmoid(forget) * c + sigmoid(into) * np.tanh(candidate)
    return sigmoid(out) * np.tanh(c), c
    # end of task


def gru_step(x: Array, h: Array, wx: Array, wh: Array, b: Array) -> Array:
    """A step of a GRU, as Cho et al. wrote it.

    Args:
        x: inputs, (N, D).
        h: states before the step, (N, H).
        wx: weights of the input, (D, 3H): of the reset gate, the update gate and the candidate, H
            columns each, in this order.
        wh: weights of the state, (H, 3H), in the same order.
        b: biases, (3H,), in the same order.

    Returns:
        The states after the step, (N, H). The gates are sigmoids. The candidate is a tanh, and in
        it the state is multiplied by the reset gate before its weights. The update gate says how
        much of the old state stays; the candidate gives the rest.
    """
    # task gru, 3 points: The gates come first, for the candidate needs one of them.
    hidden = h.shape[1]
    from_x = x @ wx + b
    gates = sigmoid(from_x[:, : 2 * hidden] + h @ wh[:, : 2 * hidden])
    reset, update = np.split(gates, 2, axis=1)
    candidate = np.tanh(from_x[:, 2 * hidden :] + (reset * h) @ wh[:, 2 * hidden :])
    new: Array = update * h + (1 - update) * candidate
    return new
    # end of task


def attention(q: Array, k: Array, v: Array, mask: NDArray[np.bool_]) -> Array:
    """Scaled dot-product attention.

    Args:
        q: queries, (…, T, D). The dots stand for any number of axes, such as examples and heads,
            and are the same in q, k and v.
        k: keys, (…, S, D).
        v: values, (…, S, E).
        mask: (T, S), or with the axes of the dots before; true where a query may see a key.

    Returns:
        (…, T, E): for each query the mean of the values that it may see. Their weights are the
        softmax, over these keys, of query · key / √D. It is zeros for a query that may see no key.
        Scores may be as large as 10⁴.
    """
    # task attention, 3 points: What may not be seen gets the score −∞. Shift each row by its
    #   largest score, and think of a row that has none.
    scores = np.where(mask, q @ np.swapaxes(k, -1, -2) / np.sqrt(q.shape[-1]), -np.inf)
    highest = np.maximum(scores.max(-1, keepdims=True), np.finfo(float).min)
    powers = np.exp(scores - highest)
    found: Array = powers / np.maximum(powers.sum(-1, keepdims=True), 1) @ v
    return found
    # end of task


def positional_encoding(length: int, width: int) -> Array:
    """Sines and cosines that tell positions apart: (length, width).

    Row t belongs to position t, counted from 0. Columns come in pairs 2i and 2i + 1, which hold the
    sine and the cosine of t / 10000^(2i / width).

    Args:
        length: how many positions.
        width: how many numbers each, even.
    """
    # task positions, 2 points: Make the table of angles, one for each pair; then fill every second
    #   column.
    angles = np.arange(length)[:, None] / 10_000 ** (np.arange(0, width, 2) / width)
    encoding = np.empty((length, width))
    encoding[:, 0::2] = np.sin(angles)
    encoding[:, 1::2] = np.cos(angles)
    return encoding
    # end of task


def beam_search(
    table: Array, start: int, end: int, width: int, length: int
) -> tuple[list[int], float]:
    """A probable sentence of a model that looks back by one word.

    Args:
        table: log-probabilities, (V, V): row a, column b holds log p(b follows a). It may be −∞.
        start: the word that comes before the first one.
        end: the word after which a sentence is complete. Nothing is added to it any more, and it
            still takes one of the places.
        width: how many sentences are kept after each word, at least 1: those whose sum of
            log-probabilities is greatest, complete or not.
        length: how many words a sentence has at most, ``end`` counted and ``start`` not; at least
            1.

    Returns:
        The best of the sentences that are kept at last, without ``start`` and with ``end`` where it
        was reached, and its sum of log-probabilities. Of equal sums, any may be kept.
    """
    # task beam, 4 points: Keep pairs of a sentence and its sum. At each word, lengthen every one by
    #   all V words, sort, and keep the first.
    beams: list[tuple[list[int], float]] = [([], 0.0)]
    for _ in range(length):
        grown = []
        for words, total in beams:
            last = words[-1] if words else start
            if words and last == end:
                grown.append((words, total))
            else:
                grown += [([*words, b], total + float(p)) for b, p in enumerate(table[last])]
        beams = sorted(grown, key=lambda beam: beam[1], reverse=True)[:width]
    return beams[0]
    # end of task


def matches(sentence: Words, references: Sequence[Words], n: int) -> tuple[int, int]:
    """How many runs of n words a sentence shares with references, and how many it has.

    A run that stands in the sentence several times counts several times, but at most as often as in
    that reference which has it most often.

    Args:
        sentence: its words.
        references: one or more sentences.
        n: at least 1; a sentence of fewer words has no runs.
    """
    # task matches, 2 points: ngrams() counts. Of two Counters, a & b has the smaller and a | b the
    #   larger of each count.
    found = ngrams(sentence, n)
    allowed: Counter[tuple[str, ...]] = Counter()
    for reference in references:
        allowed |= ngrams(reference, n)
    return (found & allowed).total(), found.total()
    # end of task


def bleu(sentences: Sequence[Words], references: Sequence[Sequence[Words]], most: int = 4) -> float:
    """BLEU of a whole corpus, from 0 to 1.

    Args:
        sentences: the translations, one or more.
        references: for each translation, one or more human ones.
        most: the longest runs that are counted.

    Returns:
        The geometric mean of the precisions for n = 1 … ``most``, times the brevity penalty; 0.0
        where a precision is 0 or has no runs. A precision is the sum of all matches in the corpus
        by the sum of all runs. The penalty is exp(1 − r / c) where c < r, else 1: c is the number
        of words of all translations, and r adds up, for each translation, the length of the
        reference whose length is closest to its own, the shorter one of two that are equally close.
    """
    # task bleu, 4 points: Sums come before quotients: BLEU of a corpus is no mean over sentences.
    logs = []
    for n in range(1, most + 1):
        counts = [matches(*pair, n) for pair in zip(sentences, references, strict=True)]
        shared, runs = np.sum(counts, axis=0)
        if shared == 0:
            return 0.0
        logs.append(np.log(shared / runs))
    c = sum(len(sentence) for sentence in sentences)
    r = sum(
        min((abs(len(each) - len(sentence)), len(each)) for each in several)[1]
        for sentence, several in zip(sentences, references, strict=True)
    )
    return float(np.exp(np.mean(logs) + min(0, 1 - r / c)))
    # end of task
