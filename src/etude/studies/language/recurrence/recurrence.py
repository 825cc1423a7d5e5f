"""Recurrent cells: what is left of a gradient after many steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.errors import UserError
from etude.figures.time import back_in_time, cliff
from etude.layers.recurrence import GRU, LSTM, RNN, Recurrent, through_time
from etude.runs.run import Run
from etude.study import Count, OptimizerName, Positive, Study
from etude.training.comparison import Variant, compare
from etude.training.optimizers import descent

Cell = Literal["rnn", "gru", "lstm", "lstm, bias 1"]
CELLS: tuple[Cell, ...] = get_args(Cell)


class Adder(nn.Module):
    """A recurrent layer, and a linear map of its last output to one number."""

    def __init__(self, cells: Recurrent) -> None:
        super().__init__()
        self.cells = cells
        self.sum = nn.Linear(cells.hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, 2) → (batch,)."""
        outputs, _ = self.cells(x)
        return torch.squeeze(self.sum(outputs[:, -1]), 1)


@dataclass
class Recurrence(Study):
    """Add two numbers that were seen long ago: a plain recurrent network, a GRU and two LSTMs."""

    length: Count = 50  # steps of a sequence; both marked values lie in its first half
    hidden: Count = 32  # units of a cell
    gains: tuple[Positive, ...] = (
        0.8,
        1.0,
        2.0,
    )  # of the recurrent weights, for the gradients of untrained RNNs
    steps: Count = 500  # of training
    batch: Count = 64  # sequences a step, always new ones
    learning_rate: Positive = (
        0.03  # until half of the steps are done; then it falls to zero along a line
    )
    rnn_rate: Positive = (
        0.01  # that of the plain network, which a larger one spoils even where sequences are short
    )
    clip: Positive = 1.0  # the largest norm of a gradient
    optimizer: OptimizerName = "adam"  # the rule of a step; choose the learning rate with it
    fused: bool = True  # the LSTM's loop is PyTorch's, two to three times as fast as ours
    repeats: Count = 2  # networks of each kind, from seeds of their own
    test: Count = 2_000  # sequences for each test

    claims = [
        Claim(
            "lstm/test/mse", at_most=0.01, source="Hochreiter & Schmidhuber (1997), experiment 4"
        ),
        Claim("gru/test/mse", at_most=0.01, source="Hochreiter & Schmidhuber (1997), experiment 4"),
        Claim("rnn/test/mse", at_least=0.1, source="always saying 1 gives 0.167; bound: Etude"),
        Claim(
            "gradient/over bound",
            at_most=1.001,
            each=True,
            source="Pascanu, Mikolov & Bengio (2013), section 2.1",
        ),
        Claim(
            "cliff/clipped", at_least=0.99, source="Pascanu, Mikolov & Bengio (2013), section 3.2"
        ),
    ]
    courses = ["CU", "ITU", "OU", "CUHK"]

    def __call__(self, run: Run) -> None:
        if self.length < 4:
            raise UserError(
                f"recurrence: length is {self.length}; expected 4 or more, for two marks in the"
                " first half"
            )
        nets: dict[str, Adder] = {}
        variants: dict[str, Variant] = {
            cell: partial(self.train, cell=cell, nets=nets) for cell in CELLS
        }
        compare(run, variants, self.repeats, "test/mse", better="lower")
        x = run.place(next(self.sequences(200))[0])
        scaled = {
            f"σ = {gain:g}": run.place(self.network("rnn", gain)).cells for gain in self.gains
        }
        sigma = {
            name: torch.linalg.matrix_norm(net.weight_hh_l0, 2).item()
            for name, net in scaled.items()
        }
        bounds = {
            name: value ** torch.arange(self.length, dtype=torch.float64)
            for name, value in sigma.items()
        }
        found = {name: through_time(cells, x) for name, cells in scaled.items()}
        before: dict[str, Tensor] = {
            cell: through_time(run.place(self.network(cell)).cells, x) for cell in CELLS
        }
        after: dict[str, Tensor] = {cell: through_time(nets[cell].cells, x) for cell in CELLS}
        panels = {"RNNs, untrained": found, "untrained": before, "trained": after}
        run.figure("gradients", back_in_time(panels, [*CELLS, *found], bounds), cover=True)
        run.result(
            {
                "gradient/over bound": max(
                    float((found[name] / bounds[name]).max()) for name in found
                )
            }
        )
        rows: list[tuple[str | float, ...]] = [
            (f"rnn, {name}", a_step(sizes), "") for name, sizes in found.items()
        ]
        rows += [(cell, a_step(before[cell]), a_step(after[cell])) for cell in CELLS]
        run.table("gradients", ["factor of the gradient a step", "untrained", "trained"], rows)
        self.meet_a_cliff(run)
        run.keep(nets["lstm"])

    def train(self, run: Run, cell: Cell, nets: dict[str, Adder]) -> None:
        """Train a network, and measure it on new sequences."""
        net = run.place(self.network(cell))
        optimizer = descent(
            self.optimizer, net, self.rnn_rate if cell == "rnn" else self.learning_rate
        )
        schedule = LambdaLR(optimizer, lambda step: min(1.0, 2 - 2 * step / self.steps))
        for x, y in run.steps(
            self.sequences(self.batch), self.steps, state=(net, optimizer, schedule)
        ):
            loss = mse_loss(net(run.place(x)), run.place(y))
            run.minimise(loss, optimizer, schedule, clip=self.clip)
            run.log(loss=loss)
        x, y = map(run.place, next(self.sequences(self.test)))
        with torch.inference_mode():
            run.result({"test/mse": mse_loss(net(x), y)}, held_out=self.test)
        nets[cell] = net

    def sequences(self, rows: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Values and marks, (rows, length, 2), and the sums of the two marked values, (rows,):
        always new ones.
        """
        while True:
            value, mark = torch.rand(rows, self.length), torch.zeros(rows, self.length)
            mark.scatter_(1, torch.rand(rows, self.length // 2).topk(2).indices, 1.0)
            yield torch.stack((value, mark), 2), (value * mark).sum(1)

    def network(self, cell: Cell = "lstm", gain: float = 1.0) -> Adder:
        """A new network; all singular values of an RNN's recurrent weights are ``gain``."""
        if cell == "rnn":
            rnn = RNN(2, self.hidden)
            nn.init.orthogonal_(rnn.get_parameter("weight_hh_l0"), gain)
            return Adder(rnn)
        if cell == "gru":
            return Adder(GRU(2, self.hidden))
        lstm = LSTM(2, self.hidden, fused=self.fused)
        if cell == "lstm":
            log_u = torch.empty(self.hidden).uniform_(1, self.length - 1).log()
            lstm.set_biases(i=-log_u, f=log_u)  # a unit writes little, and keeps for about u steps
        else:
            lstm.set_biases(i=0.0, f=1.0)
        return Adder(lstm)

    def meet_a_cliff(self, run: Run) -> None:
        """One unit without input is to end at -1/2: gradient descent from many starts, clipped and
        not.
        """
        start = torch.tensor([1.0, -0.5]) + torch.tensor([2.0, 1.0]) * torch.rand(500, 2)
        limits = {"not clipped": math.inf, "clipped": self.clip}
        paths = {name: descents(start, self.length, limit) for name, limit in limits.items()}
        falls = {name: one_unit(path, self.length) for name, path in paths.items()}
        arrived = {name: fall[-1] < 1e-3 for name, fall in falls.items()}
        run.result({f"cliff/{name}": found.float().mean() for name, found in arrived.items()})
        shown = int((arrived["clipped"] & ~arrived["not clipped"]).int().argmax())
        u, b = torch.linspace(0, 3.5, 281), torch.linspace(-1.5, 1, 201)
        losses = one_unit(torch.cartesian_prod(u, b), self.length).view(281, 201)
        one = {name: path[:, shown] for name, path in paths.items()}
        run.figure(
            "cliff",
            cliff(u, b, losses, one, {name: fall[:, shown] for name, fall in falls.items()}),
        )

    def example(self) -> Tensor:
        return next(self.sequences(2))[0]

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The sum of the marked values of one sequence, of any length: ``0.3 0.7* 0.2 0.1* 0.9``, a
        star is a mark.
        """
        words = str(input).split()
        x = data.read_numbers(str(input).replace("*", ""), max(len(words), 1), "0.3 0.7*, say")
        return {"sum": net(torch.stack([x, torch.tensor([["*" in w for w in words]])], 2)).item()}


def a_step(sizes: Tensor) -> float:
    """The factor by which a gradient changes with every step back, on average over the farther half
    of them.
    """
    far = sizes[len(sizes) // 2 :]
    return math.exp((far[-1] / far[0]).log() / (len(far) - 1))


def one_unit(p: Tensor, steps: int) -> Tensor:
    """Loss of h_t = tanh(u h_(t-1) + b) from h_0 = 1/2: (…, 2) of u and b → (…)."""
    u, b = p.unbind(-1)
    h = torch.full_like(u, 0.5)
    for _ in range(steps):
        h = torch.tanh(u * h + b)
    return (h + 0.5).square()


def descents(p: Tensor, steps: int, clip: float, rate: float = 0.2, updates: int = 400) -> Tensor:
    """Gradient descent from many points at once: (starts, 2) → (updates + 1, starts, 2)."""
    path = [p]
    for _ in range(updates):
        p = p.detach().requires_grad_()
        (g,) = torch.autograd.grad(one_unit(p, steps).sum(), p)
        p = p.detach() - rate * g * (clip / g.norm(dim=1, keepdim=True)).clamp(max=1.0)
        path.append(p)
    return torch.stack(path)
