"""How a model is judged: splits, scores, calibration, and how sure a comparison is.

Shapes: N examples, C classes. Labels and predictions are whole numbers from 0 to C − 1.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

# -- which examples are for what -------------------------------------------------------------------


def split(n: int, validation: int, test: int, seed: int) -> tuple[Integers, Integers, Integers]:
    """Three sets of examples without overlap, drawn at random.

    Args:
        n: how many examples there are; their numbers are 0 … n − 1.
        validation: how many of them choose between models; 0 is allowed.
        test: how many judge the model in the end; 0 is allowed, validation + test ≤ n.
        seed: of the generator ``np.random.default_rng(seed)``; it alone decides the sets.

    Returns:
        The numbers of the training examples, which are all others; of the validation examples; of
        the test examples. The order within a set is of no account.
    """
    # task split, 2 points: Shuffle all numbers once, and cut the result into three pieces.
    order = np.random.default_rng(seed).permutation(n)
    return order[validation + test :], order[:validation], order[validation : validation + test]
    # end of task


def folds(n: int, k: int) -> list[tuple[Integers, Integers]]:
    """Training and validation examples for a k-fold cross-validation (Stone, 1974).

    Args:
        n: how many examples there are; their numbers are 0 … n − 1.
        k: the number of folds, from 2 to n.

    Returns:
        k pairs. The second part of pair i = 0 … k − 1 holds the numbers from ⌊i n / k⌋ up to, but
        without, ⌊(i + 1) n / k⌋; the first part holds all others. Both are sorted.
    """
    # task folds, 2 points: Compute all k + 1 bounds, in whole numbers.
    rows = np.arange(n)
    bounds = np.arange(k + 1) * n // k
    return [
        (np.concatenate([rows[:first], rows[last:]]), rows[first:last])
        for first, last in pairwise(bounds)
    ]
    # end of task


def standardise(x: Array, training: Integers) -> Array:
    """All examples in units of the training examples' spread.

    Args:
        x: examples, (N, D); the function leaves this array as it is.
        training: the numbers of the training examples, one at least.

    Returns:
        (x − m) / s, (N, D). Mean m and standard deviation s of each column are those of the
        training rows alone (s² is the mean of the squared deviations), so nothing of the others
        leaks into the training. A column whose training values are all equal has s = 1.
    """
    # task standardise, 2 points: Take the rows first. To see whether a column is constant, compare
    #   its values; its standard deviation may be a rounding error.
    rows = x[training]
    varies = rows.max(0) > rows.min(0)
    scale = np.where(varies, rows.std(0), 1.0)
    standardised: Array = (x - rows.mean(0)) / scale
    return standardised
    # end of task


# -- scores ----------------------------------------------------------------------------------------


def confusion_matrix(labels: Integers, predictions: Integers, classes: int) -> Integers:
    """How often each class is taken for each.

    Args:
        labels: the right classes, (N,); N may be 0.
        predictions: a model's, (N,).
        classes: C.

    Returns:
        Whole numbers, (C, C): in row i and column j, how many examples of class i are predicted to
        be of class j.
    """
    # task confusion, 2 points: Give each of the C² pairs one number, and count the numbers with
    #   np.bincount.
    pairs = labels * classes + predictions
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)
    # end of task


def class_scores(confusion: Integers) -> dict[str, Array]:
    """How well each class is found.

    Args:
        confusion: (C, C), as from ``confusion_matrix``.

    Returns:
        Three arrays (C,): ``precision``, the part of the examples predicted to be of a class that
        are of it; ``recall``, the part of the examples of a class that are predicted to be of it;
        ``f1``, the harmonic mean 2 P R / (P + R) of both. Where a denominator is 0, the score is 0.
    """
    # task class-scores, 2 points: The diagonal, the sums of the columns and the sums of the rows
    #   are enough. F1 is also 2 · right / (predicted + actual).
    right = confusion.diagonal()
    predicted = confusion.sum(0)
    actual = confusion.sum(1)
    return {
        "precision": right / np.maximum(predicted, 1),
        "recall": right / np.maximum(actual, 1),
        "f1": 2 * right / np.maximum(predicted + actual, 1),
    }
    # end of task


def roc_auc(labels: Integers, scores: Array) -> float:
    """The area below the ROC curve (Hanley & McNeil, 1982).

    It is the probability that an example of class 1 has a higher score than an example of class 0;
    equal scores count one half.

    Args:
        labels: 0 or 1, (N,); both occur.
        scores: (N,); only their order matters.

    Returns:
        From 0 to 1.
    """
    # task roc-auc, 2 points: Compare each positive example with each negative one by broadcasting.
    positive = scores[labels == 1][:, None]
    negative = scores[labels == 0]
    return float((positive > negative).mean() + (positive == negative).mean() / 2)
    # end of task


def calibration_error(probabilities: Array, labels: Integers, bins: int) -> float:
    """The expected calibration error (Naeini et al., 2015; Guo et al., 2017).

    The *confidence* of a prediction is its probability, the largest of a row. Predictions are put
    into bins by their confidence c: bin b = 0 … B − 1 holds b / B ≤ c < (b + 1) / B, and the last
    one holds c = 1 too.

    Args:
        probabilities: of each class, (N, C), with N at least 1.
        labels: (N,).
        bins: B.

    Returns:
        Σ over the bins of (number in the bin / N) · |accuracy in the bin − mean confidence in it|.
    """
    # task calibration, 2 points: The number of a bin and the divisor of its means cancel; so the
    #   sums of (right − confidence) in each bin are enough, and np.bincount takes weights.
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    bin_of = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))
    # end of task


# -- how sure a result is --------------------------------------------------------------------------


def bootstrap_interval(values: Array, draws: Integers, level: float) -> tuple[float, float]:
    """The percentile interval of a mean, by the bootstrap (Efron, 1979).

    Args:
        values: one for each example, such as whether it is classified rightly, (N,).
        draws: the numbers of the examples in each of B new samples, drawn with replacement, (B, N).
        level: the probability between the bounds, such as 0.95.

    Returns:
        The lower and the upper bound: the quantiles (1 − level) / 2 and (1 + level) / 2 of the B
        means, as ``np.quantile`` takes them.
    """
    # task bootstrap, 2 points: One indexing gives all samples.
    means = values[draws].mean(1)
    lower, upper = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(lower), float(upper)
    # end of task


def mcnemar(labels: Integers, a: Integers, b: Integers) -> float:
    """Whether two models differ, by McNemar's exact test (McNemar, 1947; Dietterich, 1998).

    Only examples count that exactly one of the models gets right: n of them, of which k belong to
    the model that gets fewer. If the models are equally good, each belongs to either with
    probability ½.

    Args:
        labels: the right classes, (N,).
        a: predictions of one model, (N,).
        b: predictions of the other one, (N,).

    Returns:
        The two-sided p-value min(1, 2 Σ C(n, i) / 2ⁿ), with the sum over i = 0 … k; so it is 1
        for n = 0.
    """
    # task mcnemar, 2 points: Count both kinds of examples. math.comb gives C(n, i) as a whole
    #   number of any length; divide such numbers last.
    only_a = int(((a == labels) & (b != labels)).sum())
    only_b = int(((b == labels) & (a != labels)).sum())
    n = only_a + only_b
    tail = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1))
    p_value: float = 2 * tail / 2**n
    return min(1.0, p_value)
    # end of task
