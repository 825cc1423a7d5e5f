r"""Two spirals, one multi-layer perceptron.

Draft.

References
----------
Lang, K. & Witbrock, M. (1988). Learning to tell two spirals apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch.nn.functional import binary_cross_entropy_with_logits

from etude.claims import Claim
from etude.data.generated import two_spirals
from etude.figures.planes import decision_boundary
from etude.networks.mlp import MLP, Activation
from etude.runs.run import Run
from etude.study import Amount, Count, Natural, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import adamw


@dataclass
class Spirals(Study):
    """Separate two spirals; every training point must be classified correctly."""

    points: Count = 400  # both classes together
    turns: Positive = 2.0  # of each spiral around the centre
    noise: Amount = 0.05  # standard deviation of each coordinate
    hidden: Count = 64  # units in each hidden layer
    depth: Natural = 3  # hidden layers
    steps: Count = 2_000  # of gradient descent
    batch: Count = 128  # points a step
    weight_decay: Amount = 1e-3  # the L2 penalty
    learning_rate: Positive = 3e-3  # of AdamW

    claims = [Claim("train/accuracy", at_least=1.0, each=True, source="ECE-472 (2022), assignment 2")]
    courses = ["CU A2"]

    def network(self) -> MLP:
        return MLP(2, [self.hidden] * self.depth, 1)

    def __call__(self, run: Run) -> None:
        points, labels = two_spirals(self.points, self.turns, self.noise)
        net = run.place(self.network())
        optimizer = adamw(net, self.learning_rate, self.weight_decay)

        for x, label in run.steps(Batches((points, labels), self.batch), self.steps, state=(net, optimizer)):
            loss = binary_cross_entropy_with_logits(net(x).squeeze(1), label.float())
            run.minimise(loss, optimizer)
            run.log(loss=loss)

        run.result({"train/accuracy": accuracy(outputs(net, points), labels)})
        run.figure("boundary", decision_boundary(net, points, labels))
        run.keep(net)
