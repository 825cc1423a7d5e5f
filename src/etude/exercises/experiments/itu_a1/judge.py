"""What ITU's first assignment demands of a network for handwritten digits."""

from __future__ import annotations

from etude.exercises.checks import require
from etude.exercises.experiments._digits import accuracy, drawn, stored
from etude.exercises.sandbox import Limits
from etude.exercises.work import Work, condition

PACKAGES = ("torch", "numpy")
LIMITS = {
    "quick": Limits(wall=300.0, cpu=300, memory=4 << 30),
    "full": Limits(wall=1_800.0, cpu=1_200, memory=6 << 30),
}
LEAST = 0.9  # of the test pictures; the syllabus names no number, and guesses reach 0.1


def prepare(scale: str) -> None:
    """Look whether the digits are there.

    Raises:
        UserError: they are not.
    """
    stored(scale)


@condition(
    "train",
    "The digits are those of MNIST.",
    "Classification of MNIST Digits Using Pytorch",
    points=4,
)
def classified(work: Work) -> None:
    digits = drawn(work)
    seed = int(work.rng("seed").integers(10**6))
    parameters = work.call("train", digits.images, digits.labels, seed)
    found = accuracy(work.call("predict", parameters, digits.test_images), digits.test_labels)
    work.measured["accuracy"] = found
    require(
        found >= LEAST, f"it is right on {found:.1%} of the test pictures; expected {LEAST:.0%}"
    )


@condition(
    "network",
    "The network is written in PyTorch.",
    "Classification of MNIST Digits Using Pytorch",
    points=2,
)
def in_pytorch(work: Work) -> None:
    require(work.call("of_pytorch") is True, "network returns no torch.nn.Module")
    require("network" in work.code.words("train"), "train does not use network")
