"""Generalisation: a network that can learn anything by heart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import repeat

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.curves import curves
from etude.figures.intervals import Interval
from etude.networks.mlp import MLP
from etude.runs.run import Run
from etude.studies.foundations._settings import by_setting
from etude.study import Amount, Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare, interval
from etude.training.evaluation import accuracy, evaluating, outputs
from etude.training.optimizers import descent
from etude.training.quasi_newton import LBFGS


@dataclass
class Generalization(Study):
    """Teach one network true, partly random and random labels, and probe its layers."""

    levels: tuple[Fraction, ...] = (
        0.0,
        0.25,
        0.5,
        0.75,
        1.0,
    )  # part of the training labels that are thrown by dice
    repeats: Count = 3  # networks for each level, from seeds of their own
    depth: Natural = 5  # hidden layers
    width: Count = 128  # units in each
    epochs: Count = 60  # at most: training ends when every label is learned
    batch: Count = 64  # images a step
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = (
        2e-3  # at the start; would fall along a straight line to zero at the last epoch
    )
    penalty: Amount = 1e-3  # λ, the L2 penalty of a probe; the network has none
    probe_steps: Count = 40  # of L-BFGS

    claims = [
        Claim(
            "random/train accuracy",
            at_least=0.99,
            source="Zhang et al. (2017), table 1; curriculum",
        ),
        Claim(
            "random/test accuracy",
            at_least=0.05,
            at_most=0.15,
            source="Zhang et al. (2017), table 1; curriculum",
        ),
        Claim("true/test accuracy", at_least=0.95, source="Etude"),
    ]
    courses = ["CU P8", "CU P14"]

    def __call__(self, run: Run) -> None:
        digits = data.uci_digits()
        named = {called(level): level for level in self.levels}
        variants = {
            name: partial(self.measure, digits=digits, level=level) for name, level in named.items()
        }
        variants["untrained"] = partial(self.measure, digits=digits, level=None)
        found = compare(run, variants, self.repeats, "test accuracy").measured

        logged = run.folder.curves()["loss"]
        run.figure(
            "curves",
            curves({"train loss": {name: logged[f"{name} #1"] for name in named}}),
            cover=True,
        )
        shown = {
            f"on {part} images": [interval(found[name][f"{part} accuracy"]) for name in named]
            for part in ("train", "test")
        }
        shown["1 - 0.9 p"] = [Interval(1 - 0.9 * level, math.nan, []) for level in self.levels]
        percents = [f"{level:.0%}" for level in self.levels]
        run.figure("noise", by_setting({"labels thrown by dice": (percents, shown)}, "accuracy"))
        places = ["input", *(str(k + 1) for k in range(self.depth)), "output"]
        wrong = {
            name: [interval([1 - right for right in m[f"probe/{k}"]]) for k in range(len(places))]
            for name, m in found.items()
        }
        panels = {"layer that is probed": (places, wrong)}
        run.figure("probes", by_setting(panels, "error on test images", logarithmic=True))

        x, y = run.place(flat(digits.train.inputs)).double(), run.place(digits.train.labels)
        for part, rows in (("train", digits.train), ("test", digits.test)):
            values = construction(x, y.double(), run.place(flat(rows.inputs)).double())
            right = (values.round().cpu() == rows.labels).double().mean()
            run.result(
                {f"construction/{part} accuracy": right}, held_out=len(rows) * (part == "test")
            )

    def measure(self, run: Run, digits: data.Dataset[Tensor], level: float | None) -> None:
        """Train a network on labels of which a part is thrown by dice (None: train nothing), and
        probe it.
        """
        x, y = run.place(flat(digits.train.inputs)), run.place(digits.train.labels)
        new, truth = run.place(flat(digits.test.inputs)), run.place(digits.test.labels)
        net = run.place(self.network())
        if level is not None:
            labels = torch.where(
                torch.rand(y.shape) < level, torch.randint(10, y.shape), y.cpu()
            ).to(y.device)
            optimizer = descent(self.optimizer, net, self.learning_rate)
            batches = Batches((x, labels), self.batch)
            epoch = len(batches)
            steps = self.epochs * epoch
            schedule = LambdaLR(optimizer, lambda step: 1 - step / steps)
            for inputs, targets in run.steps(batches, steps, state=(net, optimizer, schedule)):
                loss = cross_entropy(net(inputs), targets)
                run.minimise(loss, optimizer, schedule)
                run.log(loss=loss)
                if run.every(epoch) and accuracy(outputs(net, x), labels) == 1:
                    break
            run.result(
                {"train accuracy": accuracy(outputs(net, x), labels), "epochs": run.step / epoch}
            )
            run.result({"test accuracy": accuracy(outputs(net, new), truth)}, held_out=len(truth))
        for k, (seen, unseen) in enumerate(
            zip(activations(net, x), activations(net, new), strict=True)
        ):
            run.result({f"probe/{k}": self.probe(run, seen, y, unseen, truth)}, held_out=len(truth))

    def probe(self, run: Run, h: Tensor, y: Tensor, new: Tensor, truth: Tensor) -> float:
        """Accuracy on new rows of softmax regression on activations (rows, units), which stay as
        they are.
        """
        mean, deviation = h.mean(0), h.std(0) + 1e-6  # some units are silent
        h, new = (h - mean) / deviation, (new - mean) / deviation
        linear = nn.Linear(h.shape[1], 10).to(h.device)
        nn.init.zeros_(linear.weight)
        optimizer = LBFGS(linear.parameters(), same=True)

        def closure() -> float:
            optimizer.zero_grad()
            loss = cross_entropy(linear(h), y) + self.penalty / 2 * linear.weight.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.item()

        for _ in run.steps(repeat(None), self.probe_steps, state=(linear, optimizer)):
            optimizer.step(closure)
        return accuracy(outputs(linear, new), truth)

    def network(self) -> MLP:
        """A new network for 64 pixels."""
        return MLP(64, [self.width] * self.depth, 10)

    def example(self) -> Tensor:
        """Two images with values from 0 to 1, as rows."""
        return torch.rand(2, 64)


def called(level: float) -> str:
    """The name of a part of labels thrown by dice."""
    return {0.0: "true", 1.0: "random"}.get(level, f"{level:.0%} random")


def flat(images: Tensor) -> Tensor:
    """(rows, 1, 8, 8), 0 to 16 → (rows, 64), 0 to 1."""
    return images.flatten(1).float() / 16


def activations(net: MLP, x: Tensor) -> list[Tensor]:
    """What each layer holds: input, hidden layers, output; each (rows, units)."""
    *hidden, last = net.layers
    held = [x]
    with evaluating(net):
        for layer in hidden:
            held.append(net.activation(layer(held[-1])))
        return [*held, last(held[-1])]


def construction(x: Tensor, y: Tensor, new: Tensor) -> Tensor:
    r"""A network of $2 n + d$ weights that meets all n targets, at new rows: $\sum_j w_j \max(0,
    a^\top x - b_j)$.

    Along a random direction a the rows lie in order, $z_1 < z_2 < …$. Each unit begins at the row
    before its own, so the matrix of hidden activations is triangular with a positive diagonal.
    Source: Zhang et al. (2017), theorem 1.
    """
    a = torch.randn(x.shape[1], dtype=x.dtype, generator=torch.Generator().manual_seed(0)).to(
        x.device
    )
    z, order = (x @ a).sort()
    b = torch.cat([z[:1] - 1, z[:-1]])
    w = torch.linalg.solve_triangular((z[:, None] - b).relu(), y[order, None], upper=False)
    return torch.mv(((new @ a)[:, None] - b).relu(), w.squeeze(1))
