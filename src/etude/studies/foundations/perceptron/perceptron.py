"""The perceptron: a rule that learns from its mistakes, and what no line can do."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from etude import Claim, Control, Count, Natural, Positive, Run, Study, data, training
from etude.networks.mlp import MLP

from ._figures import TruthTable, mistake_bound, truth_tables, weight_paths
from ._rows import BITS, TABLES, fraction_correct, separable_rows, signed_rows


class Perceptron:
    """Rosenblatt's rule on signed rows a_i = y_i x_i, which are correct where a_i · w > 0.

    Args:
        a: the signed rows, (rows, inputs).
        start: the initial weights, (inputs,).
    """

    def __init__(self, a: Tensor, start: Tensor) -> None:
        self.a = a
        self.start = start
        self.w = start
        self.mistakes: list[int] = []  # rows in order: w = start + Σ a[mistakes]
        self.ends: list[int] = []  # number of mistakes made by the end of each pass

    def sweep(self) -> int:
        """Make one pass over the rows, from mistake to mistake, and return their number."""
        before = len(self.mistakes)
        i = 0
        while len(wrong := (self.a[i:] @ self.w <= 0).nonzero()):
            i += int(wrong[0])
            self.w = self.w + self.a[i]
            self.mistakes.append(i)
            i += 1
        self.ends.append(len(self.mistakes))
        return len(self.mistakes) - before

    def path(self) -> Tensor:
        """The weights at the start and after each mistake, (mistakes + 1, inputs)."""
        added = self.a[self.mistakes]  # (mistakes, inputs)
        return torch.cat([self.start[None], added]).cumsum(0)

    def cycle(self) -> list[int]:
        """The mistakes made since an earlier pass ended with the present weights.

        The list is empty where no pass did, and where the last pass made no mistake.
        """
        ends = self.path()[self.ends]  # (passes, inputs)
        earlier = ends[:-1]
        same = (earlier == ends[-1]).all(1).nonzero()
        if len(same) == 0:
            return []
        latest = int(same[-1])
        return self.mistakes[self.ends[latest] :]

    def state_dict(self) -> dict[str, Any]:
        """The weights, the mistakes and the ends of the passes so far."""
        return {"w": self.w, "mistakes": self.mistakes, "ends": self.ends}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.w = state["w"]
        self.mistakes = state["mistakes"]
        self.ends = state["ends"]


@dataclass
class PerceptronRule(Study):
    """Train units with a hard limit by the perceptron rule, and count their mistakes."""

    start: Natural = 3  # largest size of an initial weight; weights begin as whole numbers
    epochs: Positive = 20  # most passes over a truth table, rounded up to a whole number
    width: Count = 4  # smooth hidden units of the network that learns XOR by gradient descent
    steps: Count = 500  # steps of gradient descent
    learning_rate: Positive = 0.03  # step size of Adam
    points: Count = 1_000  # examples in each separable set
    dimensions: Count = 20  # inputs of each example in a separable set
    halvings: Count = 7  # number of separable sets, with margins γ = 1/2, 1/4, 1/8 …

    claims = [
        Claim("and/accuracy", at_least=1.0, each=True, source="truth tables"),
        Claim("or/accuracy", at_least=1.0, each=True, source="truth tables"),
        Control(
            "xor/one_layer",
            at_most=0.75,
            each=True,
            source="Minsky & Papert (1969)",
            of="xor/two_layers",
            without="a hidden layer",
        ),
        Claim("xor/certificate", at_least=1.0, each=True, source="Gordan (1873)"),
        Claim("xor/two_layers", at_least=1.0, each=True, source="truth tables"),
        Claim("xor/smooth", at_least=1.0, each=True, source="truth tables; four hidden units"),
        Claim("mistakes/bound", at_most=1.0, each=True, source="Novikoff (1962)"),
    ]

    def __call__(self, run: Run) -> None:
        units = {}
        passes = range(math.ceil(self.epochs))
        for name, targets in TABLES.items():
            start = torch.randint(-self.start, self.start + 1, (3,)).float()
            unit = Perceptron(signed_rows(targets), start)
            for _ in run.steps(passes, state=unit, name=name):
                mistakes = unit.sweep()
                run.log(wrong=mistakes)
                if mistakes == 0:
                    break
            units[name] = unit
            outputs = hard_limit(unit.w, BITS)
            run.result({f"{name}/accuracy": fraction_correct(outputs, targets)})

        xor = units["xor"]
        targets = TABLES["xor"]
        paths = [unit.path() for unit in units.values()]
        lines = torch.cat(paths)  # all that were ever tried, (lines, 3)
        correct = [fraction_correct(hard_limit(w, BITS), targets) for w in lines]
        run.result({"xor/one_layer": max(correct)})

        m = certificate(xor)
        total = m @ xor.a  # Σ m_i a_i, which is 0
        proved = bool(m.any()) and not total.any()
        run.result({"xor/cycle": int(m.sum()), "xor/certificate": float(proved)})

        outputs = two_layers(units, BITS)
        run.result({"xor/two_layers": fraction_correct(outputs, targets)})

        net = self.descend(run)
        bounds, mistakes_made, narrowest = self.count_mistakes(run)
        sizes = [4, 16, 64, 256, 1024][: self.halvings]
        orthonormal = [orthonormal_mistakes(d) for d in sizes]
        ratio = orthonormal[-1] / sizes[-1]
        run.result({"orthonormal/bound": ratio})

        panels = self.panels(run, units, net)
        run.figure("planes", truth_tables(panels))
        weights = {
            "AND: the weights come to rest": (units["and"].path(), 0),
            "XOR: the weights repeat a cycle": (xor.path(), len(xor.cycle())),
        }
        run.figure("weights", weight_paths(weights))
        made = {
            "rows at distance γ from a plane": mistakes_made,
            "orthonormal rows": orthonormal,
        }
        run.figure("bound", mistake_bound(bounds, made, narrowest.path()))
        run.keep(net)

    def descend(self, run: Run) -> MLP:
        """Train a network of smooth units on XOR, by gradient descent."""
        net = run.place(self.network())
        optimizer = torch.optim.Adam(net.parameters(), self.learning_rate, fused=True)
        bits = run.place(BITS)
        targets = run.place(TABLES["xor"])
        batches = training.Batches((bits, targets.float()), len(bits))

        for x, target in run.steps(batches, self.steps, state=(net, optimizer), name="smooth"):
            loss = binary_cross_entropy_with_logits(net(x).squeeze(1), target)
            run.minimise(loss, optimizer)
            run.log(loss=loss)

        logits = training.outputs(net, bits)
        run.result({"xor/smooth": training.accuracy(logits, targets)})
        return net

    def count_mistakes(self, run: Run) -> tuple[list[float], list[int], Perceptron]:
        """Train one unit on each separable set, with ever smaller margins.

        Returns:
            The bounds (R / γ)², the numbers of mistakes, and the unit of the smallest margin.
        """
        bounds = []
        mistakes = []
        for k in range(1, self.halvings + 1):
            gamma = 0.5**k
            a, u = separable_rows(self.points, self.dimensions, gamma)
            unit = Perceptron(a, torch.zeros(self.dimensions))
            # Novikoff's theorem says that this loop ends.
            for _ in run.steps(itertools.count(), state=unit, name=f"margin {gamma:g}"):
                wrong = unit.sweep()
                run.log(mistakes=wrong)
                if wrong == 0:
                    break
            longest = a.norm(dim=1).max()  # R
            margin = (a @ u).min()  # γ
            bounds.append((longest / margin).square().item())
            mistakes.append(len(unit.mistakes))
        ratios = [made / bound for made, bound in zip(mistakes, bounds, strict=True)]
        run.result({"mistakes/bound": max(ratios)})
        return bounds, mistakes, unit

    def panels(self, run: Run, units: Mapping[str, Perceptron], net: MLP) -> list[TruthTable]:
        """Panels with the outputs of each unit and of both networks over the plane."""
        panels = []
        for name in ("and", "or", "nand"):
            w = units[name].w
            panel = TruthTable(
                title=name.upper(),
                targets=TABLES[name],
                output=partial(hard_limit, w),
                lines=w[None],
            )
            panels.append(panel)

        targets = TABLES["xor"]
        m = certificate(units["xor"])
        positive = m * targets  # weights of the rows whose output is 1
        meeting = positive @ BITS / positive.sum() if m.any() else None  # of both classes' hulls
        hidden = torch.stack([units["or"].w, units["nand"].w])

        def probability(x: Tensor) -> Tensor:
            logits = training.outputs(net, run.place(x))  # (rows, 1)
            return logits.sigmoid().squeeze(1).cpu()

        tried = units["xor"].path()
        return [
            *panels,
            TruthTable("XOR, one unit: lines tried", targets, tried=tried, meeting=meeting),
            TruthTable("XOR, two layers", targets, partial(two_layers, units), hidden),
            TruthTable("XOR, smooth units", targets, probability),
        ]

    def network(self) -> MLP:
        """A new network: two inputs, one layer of smooth hidden units, and the logit of XOR."""
        return MLP(2, [self.width], 1, "tanh")

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of XOR's two values for two bits: two numbers, or the text ``1 0``."""
        p = net(data.read_numbers(input, 2, "x and y")).sigmoid().item()
        return {"0": 1 - p, "1": p}

    def example(self) -> Tensor:
        """A batch for export and tests: two pairs of bits, (2, 2)."""
        return torch.tensor([[0.0, 1.0], [1.0, 1.0]])


def hard_limit(w: Tensor, x: Tensor) -> Tensor:
    """The output of a unit, 1 where w · (x, 1) > 0, else 0, (rows,).

    Args:
        w: the weights, of which the last is the bias, (inputs + 1,).
        x: the inputs, (rows, inputs).
    """
    return (x @ w[:-1] + w[-1] > 0).float()


def two_layers(units: Mapping[str, Perceptron], x: Tensor) -> Tensor:
    """XOR as the AND of OR and NAND, from three trained units: (rows, 2) → (rows,)."""
    either = hard_limit(units["or"].w, x)
    not_both = hard_limit(units["nand"].w, x)
    hidden = torch.stack([either, not_both], 1)  # (rows, 2)
    return hard_limit(units["and"].w, hidden)


def certificate(unit: Perceptron) -> Tensor:
    """How often one cycle of mistakes holds each of the four rows, (4,): all 0 without a cycle."""
    cycle = torch.tensor(unit.cycle(), dtype=torch.long)
    return torch.bincount(cycle, minlength=4).float()


def orthonormal_mistakes(d: int) -> int:
    """The number of mistakes on d orthonormal rows, which reaches the bound."""
    return Perceptron(torch.eye(d), torch.zeros(d)).sweep()
