"""What the evaluation is asked."""

from __future__ import annotations

import math

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import Code, Failure, agree, array_of, check, require, same_answer

# -- which examples are for what -------------------------------------------------------------------


def _sets(student: Code, n: int, validation: int, test: int, seed: int) -> list[list[int]]:
    """Ask for a split, and return its three sets, each sorted."""
    found = student.call("split", n, validation, test, seed)
    if not isinstance(found, list | tuple) or len(found) != 3:
        raise Failure(f"the answer is a {type(found).__name__}; expected three arrays")
    sizes = (n - validation - test, validation, test)
    sets = []
    for array, size, name in zip(found, sizes, ("training", "validation", "test"), strict=True):
        numbers = array_of(array, (size,), f"the {name} set")
        require(numbers.dtype.kind in "iu", f"the {name} set holds {numbers.dtype}")
        sets.append(sorted(numbers.tolist()))
    together = sorted(number for each in sets for number in each)
    require(together == list(range(n)), "the sets together do not hold each example once")
    return sets


@check("split", public=True)
def no_example_twice(student: Code, reference: Code, rng: Generator) -> None:
    _sets(student, 10, 2, 3, 0)
    for n, validation, test in ((1, 0, 0), (5, 5, 0), (5, 0, 5), (6, 0, 0), (50, 10, 1)):
        _sets(student, n, validation, test, int(rng.integers(1000)))


@check("split")
def the_seed_alone_decides(student: Code, reference: Code, rng: Generator) -> None:
    seed = int(rng.integers(1000))
    first = _sets(student, 60, 20, 15, seed)
    require(first == _sets(student, 60, 20, 15, seed), "one seed gives two splits")
    require(first != _sets(student, 60, 20, 15, seed + 1), "two seeds give one split")
    means = [
        np.mean([_sets(student, 60, 20, 15, seed + i)[part] for i in range(40)]) for part in (1, 2)
    ]
    require(all(abs(float(mean) - 29.5) < 4 for mean in means), "the sets are not drawn at random")


@check("folds", public=True)
def three_folds_of_seven(student: Code, reference: Code, rng: Generator) -> None:
    expected = [
        (np.array([2, 3, 4, 5, 6]), np.array([0, 1])),
        (np.array([0, 1, 4, 5, 6]), np.array([2, 3])),
        (np.array([0, 1, 2, 3]), np.array([4, 5, 6])),
    ]
    agree(student.call("folds", 7, 3), expected, "the folds")


@check("folds")
def folds_of_any_number(student: Code, reference: Code, rng: Generator) -> None:
    for n, k in ((2, 2), (5, 5), (23, 4), (100, 10), (int(rng.integers(30, 99)), 7)):
        same_answer(student, reference, "folds", n, k, what=f"the {k} folds of {n}")


@check("standardise", public=True)
def training_rows_have_mean_0_and_spread_1(student: Code, reference: Code, rng: Generator) -> None:
    x = 5 + 3 * rng.normal(size=(12, 4))
    training = rng.permutation(12)[:8]
    found = array_of(student.call("standardise", x, training), (12, 4), "the answer")
    agree(found[training].mean(0), np.zeros(4), "the mean of the training rows")
    agree(found[training].std(0), np.ones(4), "the standard deviation of the training rows")


@check("standardise")
def other_rows_do_not_matter_and_constant_columns(
    student: Code, reference: Code, rng: Generator
) -> None:
    for rows in (1, 2, 9):
        x = rng.normal(size=(10, 5))
        training = rng.permutation(10)[:rows]
        x[training, 1] = 0.1
        x[:, 2] = 7.0
        x[:, 3] *= 1e-9
        before = x.copy()
        expected = reference.call("standardise", before, training)
        agree(student.call("standardise", x, training), expected, f"the answer for {rows} rows")
        require(bool((x == before).all()), "standardise changes the array that it is given")
        others = np.setdiff1d(np.arange(10), training)
        x[others] = 1e6
        found = array_of(student.call("standardise", x, training), (10, 5), "the answer")
        agree(found[training], expected[training], "the training rows beside other test rows")


# -- scores ----------------------------------------------------------------------------------------


@check("confusion", public=True)
def two_classes(student: Code, reference: Code, rng: Generator) -> None:
    labels, predictions = np.array([0, 0, 0, 1, 1]), np.array([0, 1, 1, 1, 1])
    found = student.call("confusion_matrix", labels, predictions, 2)
    agree(found, np.array([[1, 2], [0, 2]]), "the matrix")


@check("confusion")
def many_classes_and_none_of_some(student: Code, reference: Code, rng: Generator) -> None:
    for n, classes in ((0, 3), (1, 1), (4, 9), (300, 5)):
        labels, predictions = rng.integers(0, classes, n), rng.integers(0, classes, n)
        expected = np.zeros((classes, classes), int)
        np.add.at(expected, (labels, predictions), 1)
        found = student.call("confusion_matrix", labels, predictions, classes)
        agree(found, expected, f"the matrix of {classes} classes")


@check("class-scores", public=True)
def scores_of_two_classes(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("class_scores", np.array([[1, 2], [0, 2]]))
    expected = {
        "precision": np.array([1.0, 0.5]),
        "recall": np.array([1 / 3, 1.0]),
        "f1": np.array([0.5, 2 / 3]),
    }
    agree(found, expected, "the scores")


@check("class-scores")
def classes_that_do_not_occur(student: Code, reference: Code, rng: Generator) -> None:
    for classes in (1, 3, 8):
        for most in (2, 30):
            confusion = rng.integers(0, most, (classes, classes))
            confusion[-1] = 0
            if most == 2:
                confusion[:, 0] = 0
            what = f"the scores of {classes} classes"
            same_answer(student, reference, "class_scores", confusion, what=what)
    same_answer(
        student, reference, "class_scores", np.zeros((2, 2), int), what="the scores of nothing"
    )
    eye = np.diag(rng.integers(1, 9, 4))
    found = student.call("class_scores", eye)
    agree(found, dict.fromkeys(("precision", "recall", "f1"), np.ones(4)), "scores without errors")


@check("roc-auc", public=True)
def four_scores(student: Code, reference: Code, rng: Generator) -> None:
    labels, scores = np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.35, 0.8])
    agree(student.call("roc_auc", labels, scores), 0.75, "the area")
    agree(student.call("roc_auc", labels, np.ones(4)), 0.5, "the area for equal scores")


@check("roc-auc")
def ties_and_any_scale(student: Code, reference: Code, rng: Generator) -> None:
    for positives, negatives in ((1, 1), (1, 9), (25, 15)):
        labels = rng.permutation([1] * positives + [0] * negatives)
        scores = rng.integers(0, 6, len(labels)) + 2.0 * labels
        what = f"the area for {positives} positive and {negatives} negative examples"
        same_answer(student, reference, "roc_auc", labels, scores, what=what)
        expected = reference.call("roc_auc", labels, scores)
        agree(student.call("roc_auc", labels, np.exp(scores) - 50), expected, f"{what}, rescaled")
        agree(student.call("roc_auc", 1 - labels, scores), 1 - expected, f"{what}, exchanged")


def _calibration(p: np.ndarray, labels: np.ndarray, bins: int) -> float:
    """The error by its definition, bin by bin."""
    confidence, right = p.max(1), p.argmax(1) == labels
    error = 0.0
    for b in range(bins):
        inside = (b / bins <= confidence) & (confidence < (b + 1) / bins)
        if b == bins - 1:
            inside |= confidence == 1
        if inside.any():
            error += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    return float(error)


@check("calibration", public=True)
def two_bins(student: Code, reference: Code, rng: Generator) -> None:
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.6, 0.4]])
    labels = np.array([0, 1, 1, 0])
    # of confidence 0.85 one half is right, and of confidence 0.6 all
    agree(student.call("calibration_error", p, labels, 4), (0.35 + 0.4) / 2, "the error")


@check("calibration")
def bounds_of_bins_and_sure_predictions(student: Code, reference: Code, rng: Generator) -> None:
    for n, classes, bins in ((1, 2, 1), (7, 3, 8), (200, 4, 16), (200, 2, 4)):
        p = rng.dirichlet(np.full(classes, 0.4), n)
        labels = rng.integers(0, classes, n)
        expected = _calibration(p, labels, bins)
        found = student.call("calibration_error", p, labels, bins)
        agree(found, expected, f"the error of {n} predictions in {bins} bins")
    tops = rng.choice([0.5, 0.625, 0.75, 0.875, 1.0], 100)
    p = np.stack([tops, 1 - tops], 1)
    labels = (tops == 1).astype(int)  # only those who are quite sure are wrong
    for bins in (2, 4, 8):
        found = student.call("calibration_error", p, labels, bins)
        what = f"the error of confidences at the bounds of {bins} bins"
        agree(found, _calibration(p, labels, bins), what)


# -- how sure a result is --------------------------------------------------------------------------


@check("bootstrap", public=True)
def three_samples(student: Code, reference: Code, rng: Generator) -> None:
    values = np.array([0.0, 1.0, 1.0, 2.0])
    draws = np.array([[0, 0, 0, 0], [0, 1, 2, 3], [3, 3, 3, 3]])
    agree(student.call("bootstrap_interval", values, draws, 0.5), [0.5, 1.5], "the interval")


@check("bootstrap")
def other_levels(student: Code, reference: Code, rng: Generator) -> None:
    for n, samples in ((1, 1), (12, 40), (30, 500)):
        values = rng.normal(size=n)
        draws = rng.integers(0, n, (samples, n))
        for level in (0.0, 0.68, 0.95, 1.0):
            what = f"the interval of {samples} samples for the level {level}"
            same_answer(student, reference, "bootstrap_interval", values, draws, level, what=what)


@check("mcnemar", public=True)
def one_model_is_better(student: Code, reference: Code, rng: Generator) -> None:
    labels = np.zeros(6, int)
    agree(student.call("mcnemar", labels, labels, labels + 1), 2 / 64, "p for 6 against 0")
    agree(student.call("mcnemar", labels, labels, labels), 1.0, "p for equal models")


@check("mcnemar")
def many_examples_and_their_symmetry(student: Code, reference: Code, rng: Generator) -> None:
    for n, wrong in ((0, 0.5), (3, 0.5), (40, 0.4), (3000, 0.5)):
        labels = rng.integers(0, 4, n)
        a = np.where(rng.random(n) < wrong, rng.integers(0, 4, n), labels)
        b = np.where(rng.random(n) < wrong + 0.2, rng.integers(0, 4, n), labels)
        for one, other in ((a, b), (b, a)):
            what = f"p for {n} examples"
            same_answer(student, reference, "mcnemar", labels, one, other, what=what)
    labels = np.zeros(6, int)
    a, b = np.array([0, 0, 0, 0, 1, 1]), np.array([1, 1, 1, 0, 0, 1])
    agree(student.call("mcnemar", labels, a, b), 2 * (1 + 4) / 2**4, "p for 3 against 1")
    agree(student.call("mcnemar", labels[:2], a[3:5], b[2:4]), 1.0, "p for 1 against 1")
    require(math.isfinite(float(student.call("mcnemar", labels, b, a))), "p is no number")
