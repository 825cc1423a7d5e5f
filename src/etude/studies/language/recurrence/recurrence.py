"""Recurrent cells: what is left of a gradient after many steps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Claim,
    Control,
    Count,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    data,
    training,
)
from etude.layers.recurrence import GRU, LSTM, RNN, Recurrent

from ._cliff import descents, one_unit_loss
from ._figures import cliff, gradients_through_time
from ._gradients import factor_per_step, gradient_sizes

Cell = Literal["rnn", "gru", "lstm", "lstm, bias 1"]
CELLS: tuple[Cell, ...] = get_args(Cell)


@dataclass
class Recurrence(Study):
    """Add two numbers that were seen long ago: a plain recurrent network, a GRU and two LSTMs."""

    length: Count = 50  # steps of a sequence; both marked values lie in its first half
    width: Count = 32  # units of a cell
    gains: tuple[Positive, ...] = (0.8, 1.0, 2.0)  # singular values of untrained RNNs' weights
    steps: Count = 500  # steps of gradient descent
    batch: Count = 64  # sequences a step, always new ones
    learning_rate: Positive = 0.03  # for half of the steps; then it falls linearly to zero
    rnn_rate: Positive = 0.01  # learning rate of the plain network, which a larger one spoils
    gradient_clip: Positive = 1.0  # largest norm of a gradient
    optimizer: OptimizerName = "adam"  # the update rule; choose the learning rate with it
    fused: bool = True  # whether the LSTM is PyTorch's kernel, two to three times as fast as ours
    repeats: Count = 2  # networks of each kind, with different seeds
    test: Count = 2_000  # sequences to test with

    claims = [
        Claim(
            "lstm/test/mse",
            at_most=0.003,
            source="Etude; task after Hochreiter & Schmidhuber (1997)",
        ),
        Claim(
            "gru/test/mse",
            at_most=0.001,
            source="Etude; task after Hochreiter & Schmidhuber (1997)",
        ),
        Control(
            "rnn/test/mse",
            at_least=0.1,
            source="always saying 1 gives 0.167; bound: Etude",
            of="lstm/test/mse",
            without="gates",
        ),
        Claim(
            "gradient/over bound",
            at_most=1.001,
            each=True,
            source="Pascanu, Mikolov & Bengio (2013), section 2.1",
        ),
        Claim(
            "cliff/clipped", at_least=0.99, source="Pascanu, Mikolov & Bengio (2013), section 3.2"
        ),
        Control(
            "cliff/not clipped",
            at_most=0.9,
            source="Etude: descents that clipping saves",
            of="cliff/clipped",
            without="clipping",
        ),
    ]
    needs = ["backprop"]

    def __call__(self, run: Run) -> None:
        if self.length < 4:
            raise UserError(
                f"recurrence: length is {self.length}; expected 4 or more, for two marks in the"
                " first half"
            )
        variants = {str(cell): partial(self.train, cell=cell) for cell in CELLS}
        comparison = training.compare(run, variants, self.repeats, "test/mse", better="lower")
        nets = {cell: comparison.made[cell][-1] for cell in variants}  # of the last seed
        self.compare_gradients(run, nets)
        self.descend_a_cliff(run)
        run.keep(nets["lstm"])

    def train(self, run: Run, cell: Cell) -> Adder:
        """Train a network, and test it on new sequences."""
        net = run.place(self.network(cell))
        rate = self.rnn_rate if cell == "rnn" else self.learning_rate
        optimizer = training.descent(self.optimizer, net, rate)
        schedule = LambdaLR(optimizer, lambda step: min(1.0, 2 - 2 * step / self.steps))

        batches = self.sequences(self.batch)
        for x, y in run.steps(batches, self.steps, state=(net, optimizer, schedule)):
            loss = mse_loss(net(run.place(x)), run.place(y))
            run.minimise(loss, optimizer, schedule, clip=self.gradient_clip)
            run.log(loss=loss)

        x, y = map(run.place, next(self.sequences(self.test)))
        with torch.inference_mode():
            error = mse_loss(net(x), y)
        run.result({"test/mse": error}, held_out=self.test)
        return net

    def compare_gradients(self, run: Run, nets: Mapping[str, Adder]) -> None:
        """The size of gradients through time: of RNNs with several gains, beside their bounds, and
        of each kind of cell before and after training.
        """
        x = run.place(next(self.sequences(200))[0])  # (200, length, 2)
        rnns = {f"σ = {gain:g}": run.place(self.network("rnn", gain)).cells for gain in self.gains}
        k = torch.arange(self.length, dtype=torch.float64)  # steps back
        bounds = {}
        for name, cells in rnns.items():
            largest = torch.linalg.matrix_norm(cells.get_parameter("weight_hh_l0"), 2)
            bounds[name] = largest.item() ** k
        of_gains = {name: gradient_sizes(cells, x) for name, cells in rnns.items()}

        untrained: dict[str, Tensor] = {}
        for cell in CELLS:
            untrained[cell] = gradient_sizes(run.place(self.network(cell)).cells, x)
        trained: dict[str, Tensor] = {}
        for cell in CELLS:
            trained[cell] = gradient_sizes(nets[cell].cells, x)

        panels = {"RNNs, untrained": of_gains, "untrained": untrained, "trained": trained}
        figure = gradients_through_time(panels, [*CELLS, *of_gains], bounds)
        run.figure("gradients", figure, cover=True)
        over = max(float((of_gains[name] / bounds[name])[1:].max()) for name in of_gains)
        run.result({"gradient/over bound": over})

        rows: list[tuple[str | float, ...]] = []
        for name, sizes in of_gains.items():
            rows.append((f"rnn, {name}", factor_per_step(sizes), ""))
        for cell in CELLS:
            rows.append((cell, factor_per_step(untrained[cell]), factor_per_step(trained[cell])))
        run.table("gradients", ["factor of the gradient a step", "untrained", "trained"], rows)

    def descend_a_cliff(self, run: Run) -> None:
        """One unit without input is to end at -1/2: gradient descent from many starts, with and
        without clipping.
        """
        lowest = torch.tensor([1.0, -0.5])  # u and b
        extent = torch.tensor([2.0, 1.0])
        start = lowest + extent * torch.rand(500, 2)
        limits = {"not clipped": math.inf, "clipped": self.gradient_clip}
        paths = {name: descents(start, self.length, limit) for name, limit in limits.items()}
        losses = {name: one_unit_loss(path, self.length) for name, path in paths.items()}
        arrived = {name: loss[-1] < 1e-3 for name, loss in losses.items()}  # (starts,)
        for name, found in arrived.items():
            run.result({f"cliff/{name}": found.float().mean()})

        shown = int((arrived["clipped"] & ~arrived["not clipped"]).int().argmax())
        u = torch.linspace(0, 3.5, 281)
        b = torch.linspace(-1.5, 1, 201)
        surface = one_unit_loss(torch.cartesian_prod(u, b), self.length).view(281, 201)
        path = {name: points[:, shown] for name, points in paths.items()}
        loss = {name: values[:, shown] for name, values in losses.items()}
        run.figure("cliff", cliff(u, b, surface, path, loss))

    def sequences(self, n: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches without end of values and marks, (n, length, 2), and the sums of the two marked
        values, (n,).
        """
        while True:
            value = torch.rand(n, self.length)
            mark = torch.zeros(n, self.length)
            marked = torch.rand(n, self.length // 2).topk(2).indices  # (n, 2)
            mark.scatter_(1, marked, 1.0)
            yield torch.stack((value, mark), 2), (value * mark).sum(1)

    def network(self, cell: Cell = "lstm", gain: float = 1.0) -> Adder:
        """A new network; all singular values of an RNN's recurrent weights are ``gain``."""
        if cell == "rnn":
            rnn = RNN(2, self.width)
            nn.init.orthogonal_(rnn.get_parameter("weight_hh_l0"), gain)
            return Adder(rnn)
        if cell == "gru":
            return Adder(GRU(2, self.width))
        lstm = LSTM(2, self.width, fused=self.fused)
        if cell == "lstm":
            log_u = torch.empty(self.width).uniform_(1, self.length - 1).log()
            lstm.set_biases(i=-log_u, f=log_u)  # a unit writes little, and keeps for about u steps
        else:
            lstm.set_biases(i=0.0, f=1.0)
        return Adder(lstm)

    def example(self) -> Tensor:
        """A batch for export and tests: two sequences, (2, length, 2)."""
        return next(self.sequences(2))[0]

    def free_axes(self) -> Sequence[Mapping[int, str]]:
        """Any number of sequences, of any length."""
        sequences = {0: "batch", 1: "length"}
        return (sequences,)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The sum of the marked values of one sequence, of any length: ``0.3 0.7* 0.2 0.1* 0.9``,
        where a star is a mark.
        """
        words = str(input).split()
        values = data.read_numbers(str(input).replace("*", ""), max(len(words), 1), "0.3 0.7*, say")
        marks = torch.tensor([["*" in word for word in words]])  # (1, time)
        return {"sum": net(torch.stack([values, marks], 2)).item()}


class Adder(nn.Module):
    """A recurrent layer, and a linear map of its last output to one number."""

    def __init__(self, cells: Recurrent) -> None:
        super().__init__()
        self.cells = cells
        self.sum = nn.Linear(cells.hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, 2) → (batch,)."""
        outputs, _ = self.cells(x)  # (batch, time, hidden)
        return torch.squeeze(self.sum(outputs[:, -1]), 1)
