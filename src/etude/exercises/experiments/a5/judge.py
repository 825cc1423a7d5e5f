"""What ECE-472's fifth assignment demands of a classifier for news, and of its cross-validation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from etude.exercises.checks import Value, array_of, require, shape_of
from etude.exercises.sandbox import Limits
from etude.exercises.work import Work, condition

PACKAGES = ("torch", "numpy")
LIMITS = {
    "quick": Limits(wall=300.0, cpu=300, memory=4 << 30),
    "full": Limits(wall=1_800.0, cpu=1_200, memory=6 << 30),
}
LEAST = {"quick": 0.6, "full": 0.8}  # of the test texts; the most frequent class: 0.3 and 0.25
FOLDS = 3
SOME = {"quick": 150, "full": 1_200}  # texts of the cross-validation


@dataclass(frozen=True)
class News:
    """Texts and their classes, in two parts."""

    texts: list[str]
    labels: np.ndarray
    test_texts: list[str]
    test_labels: np.ndarray


@cache
def stored(scale: str) -> News:
    """AG News; or Python's help by subject, which is on every machine.

    Raises:
        UserError: AG News is not on this machine, and can't be had.
    """
    from etude import data

    found = data.ag_news() if scale == "full" else data.pydoc_topics()
    return News(
        list(found.train.inputs),
        found.train.labels.numpy(),
        list(found.test.inputs),
        found.test.labels.numpy(),
    )


def prepare(scale: str) -> None:
    """Look whether the texts are there.

    Raises:
        UserError: they are not.
    """
    stored(scale)


@condition(
    "classify",
    "The data are the headlines and descriptions of AG News.",
    "Consider the AG News dataset … which contains headlines and descriptions for a large set of"
    " news articles.",
    points=2,
)
def classified(work: Work) -> None:
    news = stored(work.scale)
    rng = work.rng("order")
    rows, asked = rng.permutation(len(news.texts)), rng.permutation(len(news.test_texts))
    found = work.call(
        "classify",
        [news.texts[i] for i in rows],
        news.labels[rows],
        [news.test_texts[i] for i in asked],
        int(rng.integers(10**6)),
    )
    scores = array_of(found, (len(asked), int(news.labels.max()) + 1), "what classify returns")
    right = float((scores.argmax(1) == news.test_labels[asked]).mean())
    work.measured["accuracy"] = right
    least = LEAST[work.scale]
    require(right >= least, f"{right:.1%} of the test texts are right; expected {least:.0%}")


@dataclass(frozen=True)
class Validated:
    """What cross-validation gave: the rows of each fold, and the scores (N, classes)."""

    folds: list[list[int]]
    scores: np.ndarray


def validated(work: Work, texts: list[str], labels: np.ndarray, seed: int) -> Validated:
    """Ask for a cross-validation.

    Raises:
        Failure: what comes back is none.
    """
    found: Value = work.call("cross_validate", texts, labels, FOLDS, seed)
    require(
        isinstance(found, dict) and set(found) == {"folds", "scores"},
        "cross_validate returns something else than a table of folds and scores",
    )
    require(
        isinstance(found["folds"], list | tuple) and len(found["folds"]) == FOLDS,
        f"cross_validate gives something else than {FOLDS} folds",
    )
    folds = []
    for fold in found["folds"]:
        if isinstance(fold, list | tuple) and all(isinstance(row, int) for row in fold):
            fold = np.array(fold, int)
        rows = array_of(fold, shape_of(fold, "a fold")[:1], "a fold")
        require(rows.dtype.kind in "iu" and len(rows) > 0, "a fold holds no rows")
        folds.append(rows.astype(int).tolist())
    size = (len(texts), int(labels.max()) + 1)
    return Validated(folds, array_of(found["scores"], size, "scores"))


@condition(
    "cross_validate",
    "The cross-validation is proper: no example is both trained on and judged, and all that is"
    " fitted is fitted on the training part.",
    "Perform proper cross validation.",
    points=4,
)
def proper(work: Work) -> None:
    news = stored(work.scale)
    rng = work.rng("cross-validation")
    rows = rng.permutation(len(news.texts))[: SOME[work.scale]]
    labels = news.labels[rows]
    labels[: int(news.labels.max()) + 1] = np.arange(int(news.labels.max()) + 1)  # all are there
    texts = [news.texts[i] for i in rows]
    seed = int(rng.integers(10**6))
    first = validated(work, texts, labels, seed)
    held_out = sorted(row for fold in first.folds for row in fold)
    require(
        held_out == list(range(len(texts))),
        "the folds do not hold out each text exactly once",
    )
    require(bool(np.isfinite(first.scores).all()), "some texts have scores that are no numbers")
    right = float((first.scores.argmax(1) == labels).mean())
    work.measured["cross-validated accuracy"] = right

    # All texts of one fold but a few are replaced. The model of that fold may not have seen them:
    # what it says of the few stays as it was.
    fold = first.folds[0]
    few, others = fold[:5], fold[5:]
    changed = [*texts]
    for row in others:
        words = texts[int(rng.integers(len(texts)))].split()
        changed[row] = " ".join(words[: max(1, len(words) // 3)])
    work.restart()  # nothing of the first time is remembered
    second = validated(work, changed, labels, seed)
    require(second.folds == first.folds, "the folds depend on the texts, or on more than the seed")
    moved = float(np.abs(second.scores[few] - first.scores[few]).max())
    require(
        moved < 1e-4 * max(1.0, float(np.abs(first.scores[few]).max())),
        "what a model says of held-out texts depends on other held-out texts: it was trained, or"
        " its features were fitted, on them",
    )
