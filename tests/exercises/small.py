"""A small exercise, and its solutions: softmax, relu, a class with state."""

from __future__ import annotations

import hashlib
import types
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.random import Generator

from etude.exercises.checks import Code, Local, agree, array_of, check, require
from etude.exercises.grading import Exercise, Points, Result, Verdict, grade
from etude.exercises.graft import Invalid
from etude.exercises.sandbox import Limits, Tier
from etude.exercises.tiers import Choice, probe

REFERENCE = '''"""Three functions."""

import numpy as np


def softmax(x):
    """Probabilities, row by row: (N, C) → (N, C)."""
    # task softmax, 3 points: Shift each row first.
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
    # end of task


def relu(x):
    """The positive part."""
    # task relu, 2 points: Take the larger of 0 and each entry.
    return np.maximum(x, 0)
    # end of task


class Momentum:
    """Steps that remember."""

    def __init__(self, rate, momentum=0.9):
        self.rate = rate
        self.momentum = momentum
        self.velocity = 0.0

    def step(self, weights, gradient):
        """The weights after a step."""
        # task momentum, 4 points: Keep a part of the last step.
        self.velocity = self.momentum * self.velocity - self.rate * gradient
        return weights + self.velocity
        # end of task
'''


class Reference(Local):
    """A module that is made of a text."""

    def __init__(self, text: str) -> None:
        module = types.ModuleType("reference")
        exec(compile(text, "<reference>", "exec"), module.__dict__)
        super().__init__(module)
        self.text = text

    def source(self) -> str:
        return self.text


@check("softmax", points=1, public=True)
def rows_sum_to_one(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(5, 3))
    found = array_of(student.call("softmax", x), (5, 3))
    agree(found.sum(1), np.ones(5), "the sum of each row")
    agree(found.argmax(1), x.argmax(1), "where each row is largest")


@check("softmax", points=2)
def as_the_reference_has_it(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(4, 6)) * 3_000
    agree(student.call("softmax", x), reference.call("softmax", x))


@check("relu", points=2)
def the_positive_part(student: Code, reference: Code, rng: Generator) -> None:
    x = rng.normal(size=(20,))
    agree(student.call("relu", x), reference.call("relu", x))


@check("momentum", points=4)
def three_steps(student: Code, reference: Code, rng: Generator) -> None:
    rate = float(rng.uniform(0.1, 0.5))
    mine, theirs = student.call("Momentum", rate), reference.call("Momentum", rate)
    found = expected = rng.normal(size=3)
    for _ in range(3):
        gradient = rng.normal(size=3)
        found = student.call("Momentum.step", mine, found, gradient)
        expected = reference.call("Momentum.step", theirs, expected, gradient)
        agree(found, expected, "the weights")
    require(found.shape == (3,), "the shape changes")


CHECKS = (rows_sum_to_one, as_the_reference_has_it, the_positive_part, three_steps)
EXERCISE = Exercise("small", Reference(REFERENCE), CHECKS, limits=Limits(wall=20))
RIGHT = {
    "softmax": (
        "def softmax(x):\n"
        "    shifted = x - x.max(axis=1)[:, None]\n"
        "    return np.exp(shifted) / np.exp(shifted).sum(axis=1)[:, None]\n"
    ),
    "relu": "def relu(x):\n    return x * (x > 0)\n",
    "momentum": (
        "class Momentum:\n"
        "    def step(self, weights, gradient):\n"
        "        self.velocity = self.momentum * self.velocity - self.rate * gradient\n"
        "        return weights + self.velocity\n"
    ),
}


def handed_in(before: str = "import numpy as np\n", **functions: str) -> bytes:
    """A submission: the right functions, but for those that are given."""
    return "\n\n".join([before, *(functions.get(name, RIGHT[name]) for name in RIGHT)]).encode()


def held(tier: Tier) -> Choice:
    """A tier, or the reason why it can't be tested here."""
    found = probe(tier)
    if found.refused:
        pytest.skip(f"tier {tier} is refused on this machine: {found.refused}")
    return Choice(tier)


def best() -> Choice:
    """The better of the tiers that are sandboxes."""
    return Choice(Tier.A) if not probe(Tier.A).refused else held(Tier.B)


def running(mark: str) -> list[str]:
    """The command lines of processes that hold a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            line = path.read_bytes()
            if mark.encode() in line:
                found.append(line.decode(errors="replace"))
    return found


def result_of(
    student: str, verdict: Verdict = Verdict.PASS, submission: bytes = b"x", checks: str = "tests"
) -> Result:
    """A result in which the checks of relu and momentum pass, and those of softmax end so."""
    nothing = Invalid("it was not graded")
    found = grade(EXERCISE, "", nothing, key=b"k", student=student, tier=Choice(Tier.A))
    outcomes = []
    for each in found.outcomes:
        own = verdict if each.task == "softmax" else Verdict.PASS
        earned = each.points if own == Verdict.PASS else 0
        said = f"it is a {own}" if own != Verdict.PASS else ""
        outcomes.append(replace(each, verdict=own, earned=earned, sentence=said))
    return replace(
        found,
        outcomes=outcomes,
        scored=verdict != Verdict.GRADER_ERROR,
        attempt=True,
        public=Points(outcomes[0].earned, 1),
        hidden=Points(sum(each.earned for each in outcomes[1:]), 8),
        tier="A",
        submission=hashlib.sha256(submission).hexdigest(),
        checks=checks,
    )
