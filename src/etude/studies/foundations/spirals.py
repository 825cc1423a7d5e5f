r"""Two spirals, one multi-layer perceptron.

Draft.

References
----------
Lang, K. & Witbrock, M. (1988). Learning to tell two spirals apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.planes import decision_boundary
from etude.networks.mlp import MLP
from etude.runs.run import Run
from etude.study import Amount, Count, Natural, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.schedules import cosine


@dataclass
class Spirals(Study):
    """Separate two spirals; every training point must be classified correctly."""

    points: Count = 400  # both classes together
    turns: Positive = 2.0  # of each spiral around the centre
    noise: Amount = 0.03  # standard deviation of each coordinate
    depth: Natural = 3  # hidden layers
    hidden: Count = 64  # units in each hidden layer
    activation: Literal["relu", "tanh", "sigmoid", "identity"] = "relu"  # of the hidden units
    penalty: Amount = 1e-3  # λ, the factor of the L2 penalty
    steps: Count = 2_000  # of gradient descent
    batch: Count = 128  # points a step
    learning_rate: Positive = 3e-3  # of Adam at the start; falls to zero along half a cosine

    claims = [Claim("train/accuracy", at_least=1.0, each=True, source="ECE-472 (2022), assignment 2")]
    courses = ["CU A2"]

    def __call__(self, run: Run) -> None:
        x, label = map(run.place, data.two_spirals(self.points, self.turns, self.noise))
        net = run.place(self.network())
        weights = [p for p in net.parameters() if p.ndim == 2]  # biases are left alone
        optimizer = torch.optim.Adam(net.parameters(), self.learning_rate, fused=True)
        schedule = LambdaLR(optimizer, cosine(self.steps))

        for inputs, t in run.steps(Batches((x, label), self.batch), self.steps, state=(net, optimizer, schedule)):
            likelihood = binary_cross_entropy_with_logits(net(inputs).squeeze(1), t)
            loss = likelihood + self.penalty / 2 * sum(w.square().sum() for w in weights)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss, **{"cross entropy/loss": likelihood})

        fresh, truth = map(run.place, data.two_spirals(10_000, self.turns, self.noise))
        run.result({"train/accuracy": accuracy(outputs(net, x), label)})
        run.result({"test/accuracy": accuracy(outputs(net, fresh), truth)}, held_out=len(fresh))
        run.result({"parameters": sum(p.numel() for p in net.parameters())})
        run.figure("boundary", decision_boundary(net, x, label))
        run.keep(net)

    def network(self) -> MLP:
        """A new network with two inputs and one output, the logit of class 1."""
        return MLP(2, [self.hidden] * self.depth, 1, self.activation)

    def example(self) -> Tensor:
        """Two points."""
        return torch.tensor([[0.5, 0.0], [0.0, -0.5]])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes at one point: two numbers, or the text ``0.5 -0.2``."""
        numbers = input.replace(",", " ").split() if isinstance(input, str) else input
        p = net(torch.tensor([[float(number) for number in numbers]])).sigmoid().item()
        return {"class 0": 1 - p, "class 1": p}
