"""The perceptron: a rule that learns from its mistakes, and what no line can do."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from etude import data
from etude.claims import Claim
from etude.figures.perceptrons import TruthTable, mistake_bound, truth_tables, weight_paths
from etude.networks.mlp import MLP
from etude.runs.run import Run
from etude.study import Count, Natural, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs

BITS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TABLES = {
    "and": torch.tensor([0, 0, 0, 1]),
    "or": torch.tensor([0, 1, 1, 1]),
    "nand": torch.tensor([1, 1, 1, 0]),
    "xor": torch.tensor([0, 1, 1, 0]),
}


class Perceptron:
    """Rosenblatt's rule on rows a_i = y_i x_i, (rows, inputs), which are to have a_i·w > 0; it
    keeps its mistakes.
    """

    def __init__(self, a: Tensor, start: Tensor) -> None:
        self.a, self.start, self.w = a, start, start
        self.mistakes: list[int] = []  # rows in order: w = start + Σ a[mistakes]
        self.ends: list[int] = []  # how many mistakes had been made at the end of each pass

    def sweep(self) -> int:
        """One pass over the rows, from mistake to mistake; how many there were."""
        before, i = len(self.mistakes), 0
        while len(wrong := (self.a[i:] @ self.w <= 0).nonzero()):
            i += int(wrong[0])
            self.w = self.w + self.a[i]
            self.mistakes.append(i)
            i += 1
        self.ends.append(len(self.mistakes))
        return len(self.mistakes) - before

    def path(self) -> Tensor:
        """The weights at the start and after each mistake: (mistakes + 1, inputs)."""
        return torch.cat([self.start[None], self.a[self.mistakes]]).cumsum(0)

    def cycle(self) -> list[int]:
        """The mistakes since a pass ended in the very weights of now; none where no pass did, or
        nothing is wrong.
        """
        ends = self.path()[self.ends]
        same = (ends[:-1] == ends[-1]).all(1).nonzero()
        return self.mistakes[self.ends[int(same[-1])] :] if len(same) else []

    def state_dict(self) -> dict[str, Any]:
        """What changes."""
        return {"w": self.w, "mistakes": self.mistakes, "ends": self.ends}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.w, self.mistakes, self.ends = state["w"], state["mistakes"], state["ends"]


def fires(w: Tensor, x: Tensor) -> Tensor:
    """The hard limit, 1 where w·(x, 1) > 0, else 0: (inputs + 1,), (rows, inputs) → (rows,)."""
    return (x @ w[:-1] + w[-1] > 0).float()


def separable(points: int, dimensions: int, margin: float) -> tuple[Tensor, Tensor]:
    """``(a, u)``: random unit vectors a = y x, (points, dimensions), all at one distance from the
    plane of normal u.
    """
    u = normalize(torch.randn(dimensions), dim=0)
    across = torch.randn(points, dimensions)
    across = normalize(across - (across @ u)[:, None] * u)
    return margin * u + (1 - margin**2) ** 0.5 * across, u


@dataclass
class PerceptronRule(Study):
    """The perceptron rule with a hard limit: what it learns, what it can't, and how many mistakes
    it makes.
    """

    start: Natural = 3  # weights begin as whole numbers drawn from -start to start
    passes: Count = 20  # over a truth table, at most
    hidden: Count = 4  # smooth units of the network that learns XOR by gradient descent
    steps: Count = 500  # of gradient descent
    learning_rate: Positive = 0.03  # of Adam
    points: Count = 1_000  # of the separable sets
    dimensions: Count = 20  # of the separable sets
    halvings: Count = 7  # of the margin: one separable set each with γ = 1/2, 1/4, 1/8 …

    claims = [
        Claim("and/accuracy", at_least=1.0, each=True, source="the curriculum: truth tables exact"),
        Claim("or/accuracy", at_least=1.0, each=True, source="the curriculum: truth tables exact"),
        Claim("xor/one_layer", at_most=0.75, each=True, source="Minsky & Papert (1969)"),
        Claim("xor/certificate", at_least=1.0, each=True, source="Gordan (1873)"),
        Claim(
            "xor/two_layers", at_least=1.0, each=True, source="the curriculum: truth tables exact"
        ),
        Claim("mistakes/bound", at_most=1.0, each=True, source="Novikoff (1962)"),
    ]
    courses = ["OU", "ITU"]

    def __call__(self, run: Run) -> None:
        units = {}
        for name, t in TABLES.items():
            a = (2 * t - 1)[:, None] * torch.cat([BITS, torch.ones(4, 1)], 1)
            unit = units[name] = Perceptron(
                a, torch.randint(-self.start, self.start + 1, (3,)).float()
            )
            for _ in run.steps(range(self.passes), state=unit, name=name):
                wrong = unit.sweep()
                run.log(wrong=wrong)
                if wrong == 0:
                    break
            run.result({f"{name}/accuracy": accuracy(fires(unit.w, BITS) - 0.5, t)})

        xor, t = units["xor"], TABLES["xor"]
        tried = torch.cat(
            [unit.path() for unit in units.values()]
        )  # every line so far, whatever it was to learn
        one_layer = max(accuracy(fires(w, BITS) - 0.5, t) for w in tried)
        cycle = xor.cycle()
        m = torch.bincount(torch.tensor(cycle, dtype=torch.long), minlength=4).float()
        proved = m.any() and not (m @ xor.a).any()
        run.result(
            {"xor/one_layer": one_layer, "xor/cycle": len(cycle), "xor/certificate": float(proved)}
        )

        def two_layers(x: Tensor) -> Tensor:
            return fires(
                units["and"].w, torch.stack([fires(units["or"].w, x), fires(units["nand"].w, x)], 1)
            )

        run.result({"xor/two_layers": accuracy(two_layers(BITS) - 0.5, t)})

        net = run.place(self.network())
        optimizer = torch.optim.Adam(net.parameters(), self.learning_rate, fused=True)
        batches = Batches((run.place(BITS), run.place(t.float())), len(BITS))
        for x, target in run.steps(batches, self.steps, state=(net, optimizer), name="smooth"):
            loss = binary_cross_entropy_with_logits(net(x).squeeze(1), target)
            run.minimise(loss, optimizer)
            run.log(loss=loss)
        run.result({"xor/smooth": accuracy(outputs(net, run.place(BITS)), run.place(t))})

        bounds, mistakes = [], []
        for gamma in (0.5**k for k in range(1, self.halvings + 1)):
            a, u = separable(self.points, self.dimensions, gamma)
            unit = Perceptron(a, torch.zeros(self.dimensions))
            for _ in run.steps(
                itertools.count(), state=unit, name=f"margin {gamma:g}"
            ):  # ends, says the theorem
                wrong = unit.sweep()
                run.log(mistakes=wrong)
                if wrong == 0:
                    break
            bounds.append((a.norm(dim=1).max() / (a @ u).min()).square().item())
            mistakes.append(len(unit.mistakes))
        run.result(
            {
                "mistakes/bound": max(
                    made / bound for made, bound in zip(mistakes, bounds, strict=True)
                )
            }
        )
        tight = [
            Perceptron(torch.eye(d), torch.zeros(d)).sweep()
            for d in (4, 16, 64, 256, 1024)[: self.halvings]
        ]
        run.result({"orthonormal/bound": tight[-1] / 4 ** len(tight)})

        single = {name: units[name].w for name in ("and", "or", "nand")}
        panels = [
            TruthTable(name.upper(), TABLES[name], partial(fires, w), w[None])
            for name, w in single.items()
        ]
        meeting = (m * t) @ BITS / (m * t).sum() if cycle else None
        panels.append(
            TruthTable("XOR, one unit: lines tried", t, tried=xor.path(), meeting=meeting)
        )
        panels.append(
            TruthTable(
                "XOR, two layers", t, two_layers, torch.stack([single["or"], single["nand"]])
            )
        )
        panels.append(
            TruthTable(
                "XOR, smooth units", t, lambda x: outputs(net, run.place(x)).sigmoid()[:, 0].cpu()
            )
        )
        run.figure("planes", truth_tables(panels))
        shown = {
            "AND: the weights come to rest": units["and"],
            "XOR: the weights come back, again and again": xor,
        }
        run.figure(
            "weights",
            weight_paths(
                {title: (unit.path(), len(unit.cycle())) for title, unit in shown.items()}
            ),
        )
        made = {"rows at distance γ from a plane": mistakes, "orthonormal rows": tight}
        run.figure("bound", mistake_bound(bounds, made, unit.path()))
        run.keep(net)

    def network(self) -> MLP:
        """Two inputs, one layer of smooth hidden units, and the logit of XOR."""
        return MLP(2, [self.hidden], 1, "tanh")

    def example(self) -> Tensor:
        """Two pairs of bits."""
        return torch.tensor([[0.0, 1.0], [1.0, 1.0]])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of XOR's two values for two bits: two numbers, or the text ``1 0``."""
        p = net(data.read_numbers(input, 2, "x and y")).sigmoid().item()
        return {"0": 1 - p, "1": p}
