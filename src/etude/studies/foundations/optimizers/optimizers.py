"""Eleven optimisers: down three surfaces, and in a race on digits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Choice, Controls, Demo, Points
from etude.figures.walks import animate, digit_times, walks
from etude.networks.mlp import MLP
from etude.runs.run import Run
from etude.study import Amount, Count, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import WRITTEN, descent
from etude.training.playground import race
from etude.training.surfaces import SURFACES, Walk, quadratic_errors
from etude.training.validation import split

FAMILIES = {
    "plain": ("sgd", "momentum", "nesterov"),
    "adaptive": ("adagrad", "adadelta", "rmsprop", "adam", "adamax", "adamw"),
    "quasi-Newton": ("bfgs", "lbfgs"),
}
NAMES = [name for names in FAMILIES.values() for name in names]
# Learning rates, in this order. On a surface, of 1, 1.5, 2, 3, 5 and 7 times powers of ten, the one
# that came soonest within 0.01 of a minimum to stay there, in the mean over 20 starts scattered by
# 0.1 (at the saddle: x by 0.1, y by a factor of about 2). On digits, of 1, 2 and 5 times them, the
# one with the lowest validation loss over two other seeds. Quasi-Newton steps come with a length.
RATES = {
    "rosenbrock": (0.002, 0.0015, 0.001, 0.7, 0.05, 0.003, 0.007, 0.15, 0.01, 1.0, 1.0),
    "beale": (0.02, 0.003, 0.003, 2.0, 0.1, 0.005, 0.015, 0.15, 0.02, 1.0, 1.0),
    "saddle": (0.15, 0.1, 0.1, 1.0, 0.5, 0.002, 0.07, 1.0, 0.1, 1.0, 1.0),
    "digits": (2.0, 0.2, 0.2, 0.2, 5.0, 0.02, 0.01, 0.1, 0.01, 1.0, 1.0),
}
NEAR = (0.5, 0.1, 0.01, 0.001)  # of a minimum: from which step on is it within each?


@dataclass
class Optimizers(Study):
    """Walk eleven optimisers down three surfaces, hold their rates to theory, and race them on
    digits.
    """

    steps: Count = 12_000  # at most, on Rosenbrock's and Beale's functions; a sixth at the saddle
    pace: Positive = 1.0  # all learning rates on the surfaces are multiplied by this
    scatter: Amount = 0.0  # standard deviation of the starts; at 0 every seed walks the same paths
    decay: Amount = 0.01  # λ of AdamW
    hidden: Count = 12  # units of the network that learns digits
    batch: Count = 128  # digits a step; the quasi-Newton ones take all
    passes: Count = 40  # over the digits, for each; a quasi-Newton step takes two or more
    repeats: Count = 3  # seeds of the race

    claims = [
        Claim(
            "rosenbrock/worst",
            at_most=0.01,
            source="curriculum: every one reaches the minimum; bound: Etude",
        ),
        Claim("beale/worst", at_most=0.01, source="Etude"),
        Claim("saddle/worst", at_most=0.01, source="Etude"),
        Claim(
            "quadratic/error", at_most=0.03, source="the rates derived in the lesson; bound: Etude"
        ),
        Claim("race/worst", at_least=0.9, source="Etude"),
    ]
    courses = ["OU", "ITU", "CU P2", "CU P3", "CU P4"]

    def __call__(self, run: Run) -> None:
        for name in SURFACES:
            self.walk(run, name)
        self.hold_to_theory(run)
        variants = {name: partial(self.race, name=name) for name in NAMES}
        found = compare(run, variants, self.repeats, "validation/loss", better="lower", name="race")
        run.result(
            {"race/worst": min(found.mean(name, "test/accuracy") for name in NAMES)},
            held_out=len(data.uci_digits().test),
        )

    def walk(self, run: Run, name: str) -> None:
        """All from one start down one surface: when they came near the minimum, and why not
        nearer.
        """
        surface, rates = (
            SURFACES[name],
            {n: self.pace * rate for n, rate in zip(NAMES, RATES[name], strict=True)},
        )
        start = torch.tensor(surface.start, dtype=torch.double) + self.scatter * torch.randn(
            2, dtype=torch.double
        )
        rules = {
            n: partial(WRITTEN[n], lr=rates[n], weight_decay=self.decay * (n == "adamw"))
            for n in NAMES
        }
        walk = Walk(surface, start, rules)
        steps = math.ceil(self.steps / 6) if name == "saddle" else self.steps
        for _ in run.steps(range(steps), state=walk, name=name):
            walk.step()
            if not walk.walking:
                break
            run.log(distance=max(surface.distance(walk.paths[n][-1]) for n in walk.walking))

        away = {n: surface.distance(walk.paths[n][-1]) for n in NAMES}
        run.result({**{f"{name}/{n}": away[n] for n in NAMES}, f"{name}/worst": max(away.values())})
        soon = {n: [walk.within(n, radius) or "–" for radius in NEAR] for n in NAMES}
        columns = [
            name,
            "rate",
            *(f"within {radius}" for radius in NEAR),
            "gradients",
            "distance",
            "at the end it",
        ]
        rows = [[n, rates[n], *soon[n], walk.gradients[n], away[n], walk.ending(n)] for n in NAMES]
        run.table(name, columns, rows)
        families = {family: {n: walk.paths[n] for n in names} for family, names in FAMILIES.items()}
        run.figure(name, walks(surface.loss, surface.view, surface.minima, families))
        if name == "beale":
            run.animation("walk", animate(surface.loss, surface.view, surface.minima, walk.paths))

    def hold_to_theory(self, run: Run) -> None:
        """Steps for a decimal digit on quadratics, each rule with the coefficients that are best
        there.
        """
        conditions = (3, 10, 30, 100, 300, 1000)
        measured: dict[str, list[float]] = {"sgd": [], "nesterov": [], "momentum": []}
        theory: dict[str, list[float]] = {name: [] for name in measured}
        for κ in conditions:
            r, steps = math.sqrt(κ), round(40 * math.sqrt(κ))
            for name, η, μ, left in (  # the last: what a step leaves of the error
                ("sgd", 2 / (κ + 1), {}, (κ - 1) / (κ + 1)),
                ("nesterov", 1 / κ, {"momentum": (r - 1) / (r + 1)}, 1 - 1 / r),
                (
                    "momentum",
                    4 / (r + 1) ** 2,
                    {"momentum": ((r - 1) / (r + 1)) ** 2},
                    (r - 1) / (r + 1),
                ),
            ):
                errors = quadratic_errors(partial(WRITTEN[name], lr=η, **μ), κ, 2 * steps)
                measured[name].append(steps / math.log10(errors[steps] / errors[-1]))
                theory[name].append(-1 / math.log10(left))
        wrong = [
            abs(m / t - 1)
            for name in theory
            for m, t in zip(measured[name], theory[name], strict=True)
        ]
        run.result({"quadratic/error": max(wrong)})
        run.figure("quadratics", digit_times(conditions, measured, theory))

    def race(self, run: Run, name: str) -> None:
        """A small network on digits; every optimiser goes over them equally often."""
        digits = data.uci_digits()
        train, held = split(run, digits.train, 237)
        (x, label), (x_held, label_held), (x_test, label_test) = (
            (run.place(part.inputs.flatten(1) / 16), run.place(part.labels))
            for part in (train, held, digits.test)
        )
        net = run.place(MLP(64, [self.hidden], 10, "tanh"))
        decay, η = self.decay * (name == "adamw"), RATES["digits"][NAMES.index(name)]
        optimizer = descent(name, net, η, decay)
        whole = name in FAMILIES["quasi-Newton"]
        batches = Batches((x, label), len(x) if whole else self.batch)
        steps = math.ceil(self.passes / 2 if whole else self.passes * len(x) / self.batch)
        for images, labels in run.steps(batches, steps, state=(net, optimizer)):

            def closure(
                images: Tensor = images, labels: Tensor = labels
            ) -> float:  # a line search calls it again
                optimizer.zero_grad()
                loss = cross_entropy(net(images), labels)
                loss.backward()  # type: ignore[no-untyped-call]
                return loss.item()

            run.log(loss=optimizer.step(closure))
        run.result(
            {"validation/loss": cross_entropy(outputs(net, x_held), label_held)},
            held_out=len(x_held),
        )
        run.result(
            {"test/accuracy": accuracy(outputs(net, x_test), label_test)}, held_out=len(x_test)
        )

    def demo(self) -> Demo:
        """Choose a surface, click where to begin, and watch all of them walk."""
        points = Points(
            "Click where they begin",
            1,
            1,
            {"up there": [(-0.1, 0.8, 0)], "far left": [(-0.9, -0.6, 0)]},
        )
        inputs: Controls = {"surface": Choice("Surface", [*SURFACES]), "start": points}
        return Demo(
            "Which one arrives first?", inputs, self.watch, NAMES, trained=False, live=False
        )

    def watch(
        self, net: None, surface: str, start: list[tuple[float, float, int]]
    ) -> Iterator[Answer]:
        rules = {
            n: partial(WRITTEN[n], lr=rate) for n, rate in zip(NAMES, RATES[surface], strict=True)
        }
        yield race(SURFACES[surface], start[0][:2], rules)
