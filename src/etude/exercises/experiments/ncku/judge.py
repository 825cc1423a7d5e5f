"""What NCKU's group project hands in, and how it is measured on digits that nobody has seen."""

from __future__ import annotations

import io
import json
import re

import numpy as np

from etude.exercises.checks import Code, Failure, Value, any_array, array_of, require
from etude.exercises.experiments._digits import accuracy, drawn, stored
from etude.exercises.experiments.ncku._independent import independent
from etude.exercises.sandbox import Limits
from etude.exercises.work import Missing, Work, condition, evidence

PACKAGES = ("torch", "numpy", "h5py")
LIMITS = {
    "quick": Limits(wall=300.0, cpu=300, memory=4 << 30),
    "full": Limits(wall=900.0, cpu=600, memory=6 << 30),
}
LEAST = 0.9  # of MNIST's test pictures; a linear model reaches 0.92
GUESSED = 0.5  # which a short training has to exceed
SMALL = 600  # pictures of a short training
UNSEEN = 205  # pictures of the independent set in quick; ten times as many in full
WORDS = 80  # letters of a specification


def prepare(scale: str) -> None:
    """Look whether the digits are there.

    Raises:
        UserError: they are not.
    """
    stored(scale)


def files(code: Code) -> dict[str, bytes]:
    """What is handed in beside the code: the notebook, the specification, and the model."""
    digits = stored("quick")
    parameters = code.call("train", digits.images, digits.labels, 0)
    count = sum(np.size(each) for each in parameters.values())
    return {
        "ncku.ipynb": notebook(code.source()),
        "specification.md": (
            "A multi-layer perceptron: 784 pixels, a hidden layer of 64 units with ReLU, 10 logits."
            f" It has {count:,} parameters, trained by Adam.\n"
        ).encode(),
        "model.h5": bytes(code.call("save", parameters)),
    }


def notebook(source: str) -> bytes:
    """A notebook of one cell."""
    cell = {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
    whole = {
        "cells": [{**cell, "execution_count": None, "id": "code"}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(whole).encode()


# -- the model that was handed in ------------------------------------------------------------------


@evidence
def hdf5(work: Work) -> dict[str, np.ndarray]:
    """The numbers in the file of HDF5, which is opened in the sandbox only."""
    _, content = work.file(".h5", ".hdf5")
    return numbers(work.call("read", np.frombuffer(content, np.uint8)))


@evidence
def model(work: Work) -> dict[str, np.ndarray]:
    """The model, also from NumPy's own format where there is none in HDF5."""
    try:
        return hdf5(work)
    except Missing:
        _, content = work.file(".npz")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return numbers({name: found[name] for name in found.files})
    except (ValueError, OSError) as error:
        raise Failure(f"the model can't be read: {str(error)[:100]}") from None


def numbers(found: Value) -> dict[str, np.ndarray]:
    """A table of arrays.

    Raises:
        Failure: it is something else, or empty.
    """
    require(isinstance(found, dict) and bool(found), "the model holds no numbers")
    return {str(name): any_array(each, str(name)) for name, each in found.items()}


@condition(
    "predict",
    "A network recognises MNIST's digits.",
    "Application of Deep Learning to digit recognition using MNIST: project … Apply a Neural"
    " Network to recognise digits",
    points=2,
)
def recognises(work: Work) -> None:
    digits = drawn(work)
    n = len(digits.test_labels) // 100 * 100
    found = accuracy(
        work.call("predict", model(work), digits.test_images[:n]), digits.test_labels[:n]
    )
    work.measured["accuracy"] = found
    require(
        found >= LEAST, f"it is right on {found:.1%} of the test pictures; expected {LEAST:.0%}"
    )


@condition(
    "network",
    "The group hands in a Jupyter notebook.",
    "A Jupyter notebook with both the training and prediction code",
)
def in_a_notebook(work: Work) -> None:
    there = work.name.lower().endswith(".ipynb") or any(
        name.lower().endswith(".ipynb") for name in work.files
    )
    untouched(work, "network")
    require("network" in work.code.words("train", "predict"), "nothing uses network")
    require(there, "the code is no notebook; expected a file .ipynb")


def untouched(work: Work, function: str) -> None:
    """Refuse the starter's function as it was handed out.

    Raises:
        Missing: it is that.
    """
    if "NotImplementedError" in work.code.words(function):
        raise Missing(f"{function} is not written")


@condition(
    "train",
    "The notebook has the code for training.",
    "A Jupyter notebook with both the training and prediction code",
    points=2,
)
def trains(work: Work) -> None:
    digits = drawn(work)
    seed = int(work.rng("seed").integers(10**6))
    found = numbers(work.call("train", digits.images[:SMALL], digits.labels[:SMALL], seed))
    some = slice(0, 300)
    right = accuracy(work.call("predict", found, digits.images[some]), digits.labels[some])
    require(right > GUESSED, f"after training it is right on {right:.0%} of the training pictures")


@condition(
    "predict",
    "The notebook has the code for prediction.",
    "A Jupyter notebook with both the training and prediction code",
)
def predicts(work: Work) -> None:
    images = drawn(work).test_images[:100]
    found = array_of(work.call("predict", model(work), images), (100,), "what predict returns")
    whole = found.dtype.kind in "iu" and bool(((found >= 0) & (found <= 9)).all())
    require(whole, "predict returns something else than classes from 0 to 9")


@condition(
    "network",
    "The model's specification is handed in.",
    "as well as the model specification and final model (saved in HDF5 format)",
)
def specified(work: Work) -> None:
    texts = [
        content.decode("utf-8", "replace")
        for name, content in sorted(work.files.items())
        if name.lower().endswith((".md", ".txt", ".json"))
    ]
    if not texts:
        raise Missing("no specification was handed in; expected specification.md")
    text = max(texts, key=len)
    require(len(text) >= WORDS, f"the specification has {len(text)} letters; expected its layers")
    count = sum(int(each.size) for each in model(work).values())
    said = {int(re.sub(r"[,.' _]", "", each)) for each in re.findall(r"\d[\d,.' _]*", text)}
    require(count in said, f"the specification does not say that there are {count:,} parameters")


@condition(
    "predict",
    "The final model is handed in, in HDF5.",
    "as well as the model specification and final model (saved in HDF5 format)",
)
def in_hdf5(work: Work) -> None:
    found = hdf5(work)
    work.measured["parameters"] = float(sum(each.size for each in found.values()))


@condition(
    "predict",
    "The trained network is measured on an independent test set.",
    "how well the trained Deep Neural Network performs on an independent test data set",
    points=2,
    public=False,
)
def independently(work: Work) -> None:
    n = UNSEEN if work.scale == "quick" else 10 * UNSEEN
    images, labels = independent(n, work.rng("independent set"))
    found = accuracy(work.call("predict", model(work), images), labels)
    work.measured["accuracy on the independent set"] = found
