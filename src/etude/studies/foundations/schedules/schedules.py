"""Learning rates over time: schedules, larger batches, random rates."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    training,
)
from etude.training.schedules import Shape, constant, cosine, one_cycle, step_decay

from ._figures import progress, rates_and_batches
from ._random_rates import Mixture, at_rates, random_rates

Images = data.Labelled[Tensor]
Line = tuple[list[float], list[float]]  # steps, and values at these steps


def one_batch(step: int) -> int:
    """One batch for each update, at every step."""
    return 1


@dataclass(frozen=True)
class Schedule:
    """A learning rate, and a number of batches behind one update, for each step of a run.

    Args:
        shape: step → factor of the highest rate.
        highest: the highest learning rate.
        steps: the number of batches in the run.
        batches: step → the number of batches whose mean gradient makes one update.
    """

    shape: Shape
    highest: float
    steps: int
    batches: Callable[[int], int] = one_batch


@dataclass
class Schedules(Study):
    """Train one small network by nine schedules, and compare how soon each reaches a goal."""

    width: Count = 128  # units of the hidden layer
    steps: Count = 1_200  # batches in a long run
    short_steps: Count = 160  # batches in a short run
    batch: Count = 32  # examples in a batch
    learning_rate: Positive = 0.4  # highest rate of every schedule but the low constant one
    constant_rate: Positive = 0.005  # rate of the low constant schedule
    lowest: Positive = 1e-5  # smallest of the random rates
    highest: Positive = 10.0  # largest of the random rates
    last_layers: Count = 10  # copies of the last layer, where rates are random
    optimizer: OptimizerName = "momentum"  # rule of a step; choose the learning rates to suit it
    weight_decay: Amount = 5e-3  # λ of the L2 penalty on the weights; biases have none
    goal: Fraction = 0.97  # accuracy on the validation images that is to be reached
    look: Count = 20  # steps between two measurements on the validation images
    held_out: Fraction = 0.2  # fraction of the training data that is kept for validation
    repeats: Count = 5  # runs with each schedule, from different seeds

    claims = [
        Claim("cosine/test/accuracy", at_least=0.974, source="Etude"),
        Control(
            "constant/test/accuracy",
            at_most=0.972,
            source="Etude",
            of="cosine/test/accuracy",
            without="a falling rate: the best constant one",
        ),
        Control(
            "constant, high/test/accuracy",
            at_most=0.93,
            source="Etude",
            of="cosine/test/accuracy",
            without="a falling rate: the highest one is kept",
        ),
    ]
    needs = ["optimizers", "normalization"]

    def __call__(self, run: Run) -> None:
        schedules = self.schedules()
        variants: dict[str, Callable[[Run], nn.Module]] = {}
        for name, schedule in schedules.items():
            variants[name] = partial(self.train, schedule=schedule)
        variants["random rates"] = self.train_at_random
        comparison = training.compare(run, variants, self.repeats, "test/accuracy")

        curves = run.curves()["validation/accuracy"]
        lines = {}
        for name in variants:
            lines[name] = mean_line([curves[f"{name} #{k + 1}"] for k in range(self.repeats)])
        reached = {name: first_step(line, self.goal) for name, line in lines.items()}

        rows = []
        for name, (_, values) in lines.items():
            updates = comparison.mean(name, "updates")
            rows.append((name, updates, reached[name] or "never", values[-1]))
        columns = ["schedule", "updates", f"step of {self.goal:g}", "accuracy at the end"]
        run.table("reached", columns, rows)

        at_the_end = [lines[name][1][-1] for name in ("one-cycle", "step, short")]
        if min(at_the_end) >= self.goal:
            ratio = self.short_steps / (reached["step"] or self.steps)
            run.result({"short/steps ratio": ratio}, held_out=self.validation_images)

        picture = progress(lines, self.goal, "accuracy on validation images")
        run.figure("validation", picture)
        rates = {}
        for name, schedule in schedules.items():
            factors = [schedule.shape(k) for k in range(schedule.steps)]
            rates[name] = [schedule.highest * factor for factor in factors]
        growing = schedules["larger batches"].batches
        sizes = {"larger batches": [self.batch * growing(k) for k in range(self.steps)]}
        run.figure("schedules", rates_and_batches(rates, sizes, list(lines)), cover=True)
        run.keep(comparison.made["one-cycle"][-1])

    def schedules(self) -> dict[str, Schedule]:
        """The schedules that are compared, by name; random rates come on top."""
        long = self.steps
        short = self.short_steps
        high = self.learning_rate
        fall = step_decay(long)

        def growing(step: int) -> int:
            return round(1 / fall(step))

        return {
            "constant": Schedule(constant, self.constant_rate, long),
            "constant, high": Schedule(constant, high, long),
            "step": Schedule(fall, high, long),
            "cosine": Schedule(cosine(long), high, long),
            "warm-up, cosine": Schedule(cosine(long, warmup=long // 10), high, long),
            "larger batches": Schedule(constant, high, long, growing),
            "step, short": Schedule(step_decay(short), high, short),
            "one-cycle": Schedule(one_cycle(short), high, short),
        }

    def train(self, run: Run, schedule: Schedule) -> nn.Sequential:
        """Train one network by a schedule."""
        batches, validation = self.split(run)
        net = run.place(self.network())
        optimizer = training.descent(
            self.optimizer, net, schedule.highest, weight_decay=self.weight_decay
        )
        rate = LambdaLR(optimizer, schedule.shape)

        for images, labels in run.steps(batches, schedule.steps, state=(net, optimizer, rate)):
            loss = cross_entropy(net(images), labels)
            run.minimise(loss, optimizer, rate, accumulate=schedule.batches(run.step))
            run.log(loss=loss)
            self.validate(run, net, validation)

        self.evaluate(run, net, validation, updates=rate.last_epoch)
        return net

    def train_at_random(self, run: Run) -> Mixture:
        """Train a network in which each hidden unit and each last layer has its own rate."""
        batches, validation = self.split(run)
        features = self.network()[:-1]
        net = run.place(Mixture(features, self.width, 10, self.last_layers))
        rates = random_rates(net, self.lowest, self.highest)
        optimizer = training.descent(self.optimizer, net, 1.0, weight_decay=self.weight_decay)

        for images, labels in run.steps(batches, self.steps, state=(net, optimizer)):
            loss, log_p = net.losses(images, labels)
            with at_rates(rates):
                run.minimise(loss, optimizer)
            net.reweight(log_p)
            run.log(loss=loss)
            self.validate(run, net, validation)

        self.evaluate(run, net, validation, updates=self.steps)
        return net

    @property
    def validation_images(self) -> int:
        """The number of training images that are kept for validation."""
        return round(self.held_out * len(data.uci_digits().train))

    def split(self, run: Run) -> tuple[training.Batches, Images]:
        """Batches to train on, and images to validate with."""
        digits = data.uci_digits().train
        train, validation = training.split(run, digits, self.validation_images)
        x = run.place(to_unit_interval(train.inputs))
        y = run.place(train.labels)
        return training.Batches((x, y), self.batch), validation

    def validate(self, run: Run, net: nn.Module, validation: Images) -> None:
        """Log the accuracy on the validation images, every few steps."""
        if run.every(self.look):
            run.log(**{"validation/accuracy": accuracy(run, net, validation)})

    def evaluate(self, run: Run, net: nn.Module, validation: Images, updates: int) -> None:
        """Give the results of one network at the end of its run."""
        test = data.uci_digits().test
        for part, images in (("validation", validation), ("test", test)):
            result = {f"{part}/accuracy": accuracy(run, net, images)}
            run.result(result, held_out=len(images))
        run.result({"updates": updates})

    def network(self) -> nn.Sequential:
        """A new network of one hidden layer, with batch normalisation."""
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, self.width),
            nn.BatchNorm1d(self.width),
            nn.ReLU(),
            nn.Linear(self.width, 10),
        )

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the digits for one picture: a file, an array or a tensor."""
        images = to_unit_interval(data.like_uci(input)[None])
        p = net(images).softmax(1)[0]
        return dict(zip("0123456789", p.tolist(), strict=True))

    def example(self) -> Tensor:
        """A batch for export and tests: two images with values from 0 to 1, (2, 1, 8, 8)."""
        return torch.rand(2, 1, 8, 8)


def mean_line(lines: Sequence[Line]) -> Line:
    """The mean of several runs that were measured at the same steps."""
    steps, _ = lines[0]
    columns = zip(*(values for _, values in lines), strict=True)
    return steps, [fmean(values) for values in columns]


def first_step(line: Line, goal: float) -> float | None:
    """The first step at which a line is at the goal or above; None where it never is."""
    reached = (step for step, value in zip(*line, strict=True) if value >= goal)
    return next(reached, None)


def accuracy(run: Run, net: nn.Module, images: Images) -> float:
    """The fraction of images that a network classifies correctly."""
    logits = training.outputs(net, run.place(to_unit_interval(images.inputs)))
    return training.accuracy(logits, run.place(images.labels))


def to_unit_interval(images: Tensor) -> Tensor:
    """Pixels as numbers from 0 to 1, from whole numbers from 0 to 16, of any shape."""
    return images.float() / 16
