"""What ECE-472's third assignment demands of a network for handwritten digits."""

from __future__ import annotations

import numpy as np

from etude.exercises.checks import Value, any_array, array_of, require, shape_of, values_of
from etude.exercises.experiments._digits import SIDE, accuracy, drawn, stored
from etude.exercises.sandbox import Limits
from etude.exercises.work import Work, condition, evidence

PACKAGES = ("torch", "numpy")
LIMITS = {
    "quick": Limits(wall=300.0, cpu=300, memory=4 << 30),
    "full": Limits(wall=1_800.0, cpu=1_200, memory=6 << 30),
}
LEAST = 0.955
SMALL = 500  # examples of the trainings that try one thing
STRONGER = 1e4  # times the penalty
FROM_ELSEWHERE = {
    *("open", "load", "loadtxt", "genfromtxt", "fromfile", "memmap", "read_csv", "read_bytes"),
    *("read_text", "urlopen", "urlretrieve", "load_dataset", "hub", "datasets", "fetch_openml"),
}
LIBRARIES = {"tensorflow", "tf", "keras", "tfds", "tensorflow_datasets", "torchvision", "sklearn"}


def prepare(scale: str) -> None:
    """Look whether the digits are there.

    Raises:
        UserError: they are not.
    """
    stored(scale)


@evidence
def right(work: Work) -> float:
    """How many test pictures the student's network gets right."""
    digits = drawn(work)
    seed = int(work.rng("seed").integers(10**6))
    parameters = work.call("train", digits.images, digits.labels, seed)
    found = accuracy(work.call("predict", parameters, digits.test_images), digits.test_labels)
    work.measured["accuracy"] = found
    work.measured["parameters"] = float(sum(each.size for each in table(parameters).values()))
    return found


def table(found: Value) -> dict[str, np.ndarray]:
    """A table of arrays.

    Raises:
        Failure: it is something else.
    """
    require(isinstance(found, dict), "train returns something else than a table of arrays")
    return {str(name): any_array(each, str(name)) for name, each in found.items()}


@condition(
    "train",
    "The network is right on at least 95.5 % of the test set.",
    "Train a (optionally convolutional) neural network for classification using the training set"
    " that achieves at least 95.5% accuracy on the test set.",
    points=3,
)
def accurate(work: Work) -> None:
    found = right(work)
    require(
        found >= LEAST, f"it is right on {found:.1%} of the test pictures; expected {LEAST:.1%}"
    )


@condition(
    "predict",
    "It is trained on the training set alone.",
    "Train a (optionally convolutional) neural network for classification using the training set",
)
def on_nothing_else(work: Work) -> None:
    right(work)
    for word in sorted(work.code.words("train", "predict", "network", "split") & FROM_ELSEWHERE):
        require(False, f"the code uses {word}; expected that it reads nothing but its arguments")


@condition(
    "split",
    "A validation set is taken from the training set and used.",
    "use a validation set taken from the training set as discussed in class",
    points=2,
)
def validated(work: Work) -> None:
    digits = drawn(work)
    seed = int(work.rng("split").integers(10**6))
    held_out = rows_of(work, SMALL, seed)[1]
    require("split" in work.code.words("train") - {"train"}, "train does not use split")
    # Rows for validation get pictures that are like no digit. Who predicts their classes was
    # trained on them.
    planted = np.zeros((4, SIDE, SIDE), np.uint8)
    planted[0, ::4], planted[1, :, ::4], planted[2, :14], planted[3, :, 14:] = 255, 255, 255, 255
    classes = work.rng("planted").choice(10, 4, replace=False)
    which = np.arange(len(held_out)) % 4
    images, labels = digits.images[:SMALL].copy(), digits.labels[:SMALL].copy()
    images[held_out], labels[held_out] = planted[which], classes[which]
    parameters = work.call("train", images, labels, seed)
    learned = accuracy(work.call("predict", parameters, planted), classes)
    require(learned < 0.75, "the network is trained on the examples for validation, too")


def rows_of(work: Work, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The two parts of a split.

    Raises:
        Failure: they are none.
    """
    parts = []
    for part in values_of(work.call("split", n, seed), 2):
        found = array_of(part, shape_of(part, "a part of split")[:1], "a part of split")
        require(found.dtype.kind in "iu" and len(found) > 0, "a part of split holds no rows")
        parts.append(found.astype(int))
    every = np.concatenate(parts)
    require(bool((every >= 0).all() and (every < n).all()), "split gives rows that are not there")
    require(len(set(every.tolist())) == len(every), "split gives a row twice, or to both parts")
    require(len(parts[0]) > len(parts[1]), "split gives fewer rows to train on than to validate")
    return parts[0], parts[1]


@condition(
    "network",
    "The network uses dropout.",
    "Use dropout and an L^2 penalty for regularization.",
)
def drops(work: Work) -> None:
    images = drawn(work).test_images[:20]
    a, b, c, d = (array_of(y, (20, 10), "the logits") for y in values_of(twice(work, images), 4))
    require(np.allclose(a, b), "two passes in evaluation mode differ; dropout is to be off there")
    require(not np.allclose(c, d), "two passes in training mode are the same: nothing is dropped")
    require("network" in work.code.words("train"), "train does not use network")


def twice(work: Work, images: np.ndarray) -> Value:
    """Two passes in each mode."""
    return work.call("passes", images)


@condition(
    "train",
    "The loss has an L2 penalty.",
    "Use dropout and an L^2 penalty for regularization.",
    points=2,
)
def penalised(work: Work) -> None:
    digits = drawn(work)
    seed = int(work.rng("penalty").integers(10**6))
    some = digits.images[:SMALL], digits.labels[:SMALL], seed
    norms = []
    for factor in (1.0, STRONGER):
        found = table(work.call("train", *some, factor)).values()
        norms.append(sum(float((each.astype(float) ** 2).sum()) for each in found if each.ndim > 1))
    require(bool(np.isfinite(norms[0])), "the weights are no numbers after training")
    shrunk = not np.isfinite(norms[1]) or norms[1] < 0.95 * norms[0]
    require(
        bool(shrunk),
        f"a penalty {STRONGER:,.0f} times as strong leaves the weights as large as they were",
    )


@condition(
    "network",
    "The code does not use TensorFlow's built-in MNIST class.",
    "Do not use the built in MNIST data class from TensorFlow.",
)
def own_reader(work: Work) -> None:
    work.call("passes", drawn(work).test_images[:2])
    words = work.code.words()
    builtin = words & {"mnist", "MNIST", "fetch_openml"}
    require(
        not (builtin and words & LIBRARIES),
        "the code takes MNIST from a class that is built in; read the files yourself",
    )
