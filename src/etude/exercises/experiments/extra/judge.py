"""What ECE-472's extra challenge demands: 80 % with the fewest parameters."""

from __future__ import annotations

import ast
import re

import numpy as np

from etude.exercises.checks import Value, any_array, require
from etude.exercises.experiments._digits import accuracy, drawn, stored
from etude.exercises.sandbox import Limits
from etude.exercises.work import Work, condition, evidence

PACKAGES = ("torch", "numpy")
LIMITS = {
    "quick": Limits(wall=300.0, cpu=300, memory=4 << 30),
    "full": Limits(wall=1_800.0, cpu=1_200, memory=6 << 30),
}
LEAST = 0.8
BOARD = ("parameters", "The network is right on at least 80 % of the test set.")
DIGIT = 9  # the most parameters of which there is a single digit
NUMBER = re.compile(r"\d+\.?\d*|\.\d+")


def prepare(scale: str) -> None:
    """Look whether the digits are there.

    Raises:
        UserError: they are not.
    """
    stored(scale)


@evidence
def trained(work: Work) -> dict[str, Value]:
    """The table that train returns."""
    seed = int(work.rng("seed").integers(10**6))
    found = work.call("train", drawn(work).images, drawn(work).labels, seed)
    require(isinstance(found, dict) and bool(found), "train returns something else than a table")
    return {
        str(name): each if isinstance(each, str) else any_array(each, str(name))
        for name, each in found.items()
    }


def rounded(found: dict[str, Value]) -> dict[str, Value]:
    """The same with numbers of 32 bits: a longer one could hold several."""
    return {n: e if isinstance(e, str) else e.astype(np.float32) for n, e in found.items()}


@evidence
def right(work: Work) -> float:
    """How many test pictures are got right by nothing but the table and the code."""
    parameters = rounded(trained(work))
    work.restart()
    found = accuracy(
        work.call("predict", parameters, drawn(work).test_images), drawn(work).test_labels
    )
    work.measured["accuracy"] = found
    return found


def counted(found: dict[str, Value]) -> int:
    """How many numbers a table holds."""
    return sum(each.size for each in found.values() if not isinstance(each, str))


def written(work: Work) -> int:
    """How many numbers stand in the code that predicts, also those within texts."""
    count = 0
    for statement in work.code.reached("predict"):
        for node in ast.walk(statement):
            if isinstance(node, ast.Constant):
                if isinstance(node.value, str):
                    count += len(NUMBER.findall(node.value))
                elif isinstance(node.value, int | float):
                    count += not isinstance(node.value, bool)
    return count


@condition(
    "predict",
    "The network is right on at least 80 % of the test set.",
    "a network that gets at least 80% accuracy on the test set",
    points=2,
)
def accurate(work: Work) -> None:
    found = right(work)
    require(
        found >= LEAST, f"it is right on {found:.1%} of the test pictures; expected {LEAST:.0%}"
    )


@condition(
    "train",
    "The network with the fewest parameters wins, and the grader counts them.",
    "the student with the fewest number of parameters for a network that gets at least 80% accuracy"
    " on the test set will receive a prize",
    points=2,
)
def countable(work: Work) -> None:
    found = trained(work)
    texts = [name for name, each in found.items() if isinstance(each, str)]
    require(not texts, f"what train returns holds a text, {', '.join(texts)}; expected numbers")
    require(counted(found) > 0, "train returns no number at all")
    work.measured["parameters"] = float(counted(found))
    work.measured["numbers in the code"] = float(written(work))


@condition(
    "train",
    "A network with at most nine parameters wins an extra prize.",
    "There will be an extra prize if any one can achieve 80% on the test set with a single digit"
    " number of parameters.",
)
def single_digit(work: Work) -> None:
    count = counted(trained(work))
    require(count <= DIGIT, f"the network has {count:,} parameters; expected at most {DIGIT}")


@condition(
    "train",
    "An algorithm that follows gradients trains it.",
    "it just needs to be optimized by a gradient based algorithm",
)
def by_gradients(work: Work) -> None:
    trained(work)
    words = work.code.words("train")
    require(
        bool(words & {"backward", "GradientTape", "value_and_grad"})
        or {"autograd", "grad"} <= words,
        "train asks for no gradient; expected backward() or autograd.grad",
    )
