"""Learning rates over time: schedules, larger batches, random rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.schedules import progress, settings
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import Variant, compare
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.random_rates import Mixture, at_rates, random_rates
from etude.training.schedules import Shape, constant, cosine, one_cycle, step_decay
from etude.training.validation import split

Rows = data.Labelled[Tensor]
Line = tuple[list[float], list[float]]


@dataclass
class Schedules(Study):
    """Train one small network by eight schedules, and see how soon each gets there."""

    width: Count = 128  # hidden units
    steps: Count = 1_200  # batches in a long run
    short: Count = 160  # batches in a short run
    batch: Count = 32  # images in a batch
    learning_rate: Positive = 0.4  # the highest of every schedule but the constant one
    constant_rate: Positive = 0.005  # of the schedule that is constant
    lowest: Positive = 1e-5  # of the random rates
    highest: Positive = 10.0  # of the random rates
    copies: Count = 10  # of the last layer, where rates are random
    optimizer: OptimizerName = "momentum"  # the rule of a step; choose the learning rates with it
    weight_decay: Amount = 5e-3  # λ, of the weights and not of the biases
    goal: Fraction = 0.97  # accuracy on the validation images that is to be reached
    look: Count = 20  # steps between two looks at the validation images
    held_out: Count = 287  # images of the training part that are kept for validation
    seeds: Count = 5  # runs with each schedule

    claims = [
        Claim(
            "one-cycle/steps ratio", at_most=0.5, source="Smith & Topin (2018); bound: curriculum"
        ),
        Claim("one-cycle/test/accuracy", at_least=0.965, source="Etude"),
    ]
    courses = ["ITU", "CU P17", "CU P18", "CU P19"]

    def __call__(self, run: Run) -> None:
        long, short, high, fall = self.steps, self.short, self.learning_rate, step_decay(self.steps)
        schedules: dict[str, tuple[Shape, float, int]] = {
            "constant": (constant, self.constant_rate, long),
            "step": (fall, high, long),
            "cosine": (cosine(long), high, long),
            "warm-up, cosine": (cosine(long, warmup=long // 10), high, long),
            "larger batches": (constant, high, long),
            "step, short": (step_decay(short), high, short),
            "one-cycle": (one_cycle(short), high, short),
        }
        nets: list[nn.Module] = []
        noise = dict.fromkeys(schedules, constant) | {"larger batches": fall}
        variants: dict[str, Variant] = {
            name: partial(
                self.train, shape=shape, rate=rate, steps=steps, noise=noise[name], nets=nets
            )
            for name, (shape, rate, steps) in schedules.items()
        }
        variants["random rates"] = self.train_at_random
        found = compare(run, variants, self.seeds, "test/accuracy")

        logged = run.folder.curves()["validation/accuracy"]
        lines = {
            name: mean_line([logged[f"{name} #{k + 1}"] for k in range(self.seeds)])
            for name in variants
        }
        reached = {name: first(line, self.goal) for name, line in lines.items()}
        rows = [
            (name, found.mean(name, "updates"), reached[name] or "never", lines[name][1][-1])
            for name in lines
        ]
        run.table(
            "reached",
            ["schedule", "updates", f"step of {self.goal:g}", "accuracy at the end"],
            rows,
        )
        if lines["one-cycle"][1][-1] >= self.goal:
            for name in ("constant", "step"):
                run.result(
                    {f"one-cycle/{name}s ratio": short / (reached[name] or long)},
                    held_out=self.held_out,
                )
        run.figure("validation", progress(lines, self.goal, "accuracy on validation images"))
        shown = {
            name: [rate * shape(k) for k in range(steps)]
            for name, (shape, rate, steps) in schedules.items()
        }
        sizes = {"larger batches": [self.batch * round(1 / fall(k)) for k in range(long)]}
        run.figure("schedules", settings(shown, sizes, list(lines)), cover=True)
        run.keep(nets[-1])

    def train(
        self, run: Run, shape: Shape, rate: float, steps: int, noise: Shape, nets: list[nn.Module]
    ) -> None:
        """One run by a schedule of the rate; where the noise is to be 1 / n, an update is made of n
        batches.
        """
        batches, validation = self.rows(run)
        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, rate, self.weight_decay)
        schedule = LambdaLR(optimizer, shape)
        for images, labels in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(images), labels)
            run.minimise(loss, optimizer, schedule, accumulate=round(1 / noise(run.step)))
            run.log(loss=loss)
            self.watch(run, net, validation)
        self.measure(run, net, validation, updates=schedule.last_epoch)
        nets.append(net)

    def train_at_random(self, run: Run) -> None:
        """One run in which every feature, and every copy of the last layer, has a rate of
        its own.
        """
        batches, validation = self.rows(run)
        net = run.place(Mixture(self.network()[:-1], self.width, 10, self.copies))
        rates = random_rates(net, self.lowest, self.highest)
        optimizer = descent(self.optimizer, net, 1.0, self.weight_decay)
        for images, labels in run.steps(batches, self.steps, state=(net, optimizer)):
            loss, own = net.losses(images, labels)
            with at_rates(rates):
                run.minimise(loss, optimizer)
            net.weigh(own)
            run.log(loss=loss)
            self.watch(run, net, validation)
        self.measure(run, net, validation, updates=self.steps)

    def rows(self, run: Run) -> tuple[Batches, Rows]:
        """Batches to train on, and images to validate with."""
        train, validation = split(run, data.uci_digits().train, self.held_out)
        x, y = run.place(scaled(train.inputs)), run.place(train.labels)
        return Batches((x, y), self.batch), validation

    def watch(self, run: Run, net: nn.Module, validation: Rows) -> None:
        """Log the accuracy on validation images, now and then."""
        if run.every(self.look):
            run.log(**{"validation/accuracy": measured(run, net, validation)})

    def measure(self, run: Run, net: nn.Module, validation: Rows, updates: int) -> None:
        """Results at the end of a run."""
        test = data.uci_digits().test
        run.result(
            {"validation/accuracy": measured(run, net, validation)}, held_out=len(validation)
        )
        run.result({"test/accuracy": measured(run, net, test)}, held_out=len(test))
        run.result({"updates": updates})

    def network(self) -> nn.Sequential:
        """A new network of one hidden layer, with batch normalisation."""
        hidden = [nn.Linear(64, self.width), nn.BatchNorm1d(self.width), nn.ReLU()]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(self.width, 10))

    def example(self) -> Tensor:
        """Two images with values from 0 to 1."""
        return torch.rand(2, 1, 8, 8)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the digits for one picture: a file, an array or a tensor, of any size
        and polarity.
        """
        p = net(scaled(data.like_uci(input)[None])).softmax(1)[0]
        return dict(zip("0123456789", p.tolist(), strict=True))


def mean_line(lines: Sequence[Line]) -> Line:
    """The mean over runs of the same steps."""
    return lines[0][0], [
        fmean(values) for values in zip(*(values for _, values in lines), strict=True)
    ]


def first(line: Line, goal: float) -> float | None:
    """The first step at which a line is at the goal or above."""
    return next((step for step, value in zip(*line, strict=True) if value >= goal), None)


def measured(run: Run, net: nn.Module, rows: Rows) -> float:
    """Accuracy on images."""
    return accuracy(outputs(net, run.place(scaled(rows.inputs))), run.place(rows.labels))


def scaled(images: Tensor) -> Tensor:
    """Whole numbers from 0 to 16 to values from 0 to 1."""
    return images.float() / 16
