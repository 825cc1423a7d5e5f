r"""Recurrent layers, written from their equations: Elman's network, the GRU and the LSTM.

A cell takes the input $x_t$ and its state at $t - 1$ to its state at $t$; the same weights serve at
every step. $\sigma$ is the logistic function, $\odot$ the elementwise product, and each $a$ is a
sum of two linear maps, $a = (W x_t + b) + (U h_{t-1} + b')$. The first does not depend on the
state: for all gates and all steps it is one matrix product before the loop. Only $U h_{t-1}$
remains in the loop, and $b'$ too where a gate acts on it.

Parameters have the names, shapes and order of gates of ``torch.nn.RNN``, ``GRU`` and ``LSTM``, so
that state dicts load both ways: ``weight_ih_l0`` is $W$ of all gates, stacked, ``weight_hh_l0`` is
$U$, ``bias_ih_l0`` $b$ and ``bias_hh_l0`` $b'$; ``l1`` is the layer above, and ``_reverse`` reads
from the end.
"""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from etude.errors import UserError

State = tuple[Tensor, ...]
"""(h,), or (h, c) of an LSTM."""


class Recurrent(nn.Module):
    """Layers of one cell over sequences; a subclass says in ``step`` what one step does.

    Args:
        inputs: features of the input at one step.
        hidden: units of each layer, so features of its state.
        layers: the number of stacked layers: each reads the outputs of the one below.
        bidirectional: whether every layer also reads from the end, with weights of its own; its
            output is then both, side by side.
    """

    gates: ClassVar[int] = 1
    states: ClassVar[int] = 1
    gated_bias: ClassVar[bool] = False  # b' does more than to be added to b

    def __init__(
        self, inputs: int, hidden: int, layers: int = 1, *, bidirectional: bool = False
    ) -> None:
        super().__init__()
        self.inputs, self.hidden, self.layers = inputs, hidden, layers
        self.directions = 2 if bidirectional else 1
        for layer in range(layers):
            below = inputs if layer == 0 else self.directions * hidden
            for direction in ("", "_reverse")[: self.directions]:
                shapes = {
                    "weight_ih": (below,),
                    "weight_hh": (hidden,),
                    "bias_ih": (),
                    "bias_hh": (),
                }
                for name, columns in shapes.items():
                    weight = torch.empty(self.gates * hidden, *columns)
                    nn.init.uniform_(
                        weight, -1 / math.sqrt(hidden), 1 / math.sqrt(hidden)
                    )  # as in PyTorch
                    self.register_parameter(f"{name}_l{layer}{direction}", nn.Parameter(weight))

    def step(self, wx: Tensor, state: State, u: Tensor, b: Tensor) -> State:
        """One step of one layer in one direction.

        Args:
            wx: W x + b of all gates, and b' where it is not gated, (batch, gates · hidden).
            state: at the step before, each (batch, hidden).
            u: U transposed, (hidden, gates · hidden).
            b: b', (gates · hidden,).
        """
        raise NotImplementedError

    def forward(self, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Outputs of the last layer, (batch, time, directions · hidden), and the state after the
        last step.

        Args:
            x: (batch, time, inputs).
            state: the state of every layer and direction before the first step, each (layers ·
                directions, batch, hidden); zero by default. The state that a call returns can be
                given to the next one, so a sequence can come in pieces.

        Raises:
            UserError: x has another number of axes or of features.
        """
        if x.ndim != 3 or x.shape[2] != self.inputs:
            raise UserError(
                f"{type(self).__name__} got an input of shape {tuple(x.shape)}; "
                f"expected (batch, time, {self.inputs}), features last"
            )
        if state is None:
            state = (
                x.new_zeros(self.layers * self.directions, x.shape[0], self.hidden),
            ) * self.states
        return self.compute(x, state)

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs and last state, from a given first state: shapes as for ``forward``."""
        last: list[State] = []
        for layer in range(self.layers):
            outputs = []
            for direction in ("", "_reverse")[: self.directions]:
                first = tuple(part[len(last)] for part in state)
                output, end = self.read(x, first, f"l{layer}{direction}", backwards=bool(direction))
                outputs.append(output)
                last.append(end)
            x = torch.cat(outputs, 2) if self.directions == 2 else outputs[0]
        return x, tuple(torch.stack(parts) for parts in zip(*last, strict=True))

    def read(self, x: Tensor, state: State, name: str, *, backwards: bool) -> tuple[Tensor, State]:
        """One layer in one direction: its outputs, (batch, time, hidden), and its last state, each
        (batch, hidden).
        """
        w, u, b, b_u = (
            getattr(self, f"{kind}_{name}")
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        steps = linear(
            x.transpose(0, 1), w, b if self.gated_bias else b + b_u
        ).unbind()  # all gates and steps at once
        u = u.T  # (hidden, gates · hidden)
        outputs = []
        for wx in reversed(steps) if backwards else steps:
            state = self.step(wx, state, u, b_u)
            outputs.append(state[0])
        return torch.stack(outputs[::-1] if backwards else outputs, 1), state


class RNN(Recurrent):
    r"""$h_t = \tanh a$. Source: Elman (1990)."""

    def step(self, wx: Tensor, state: State, u: Tensor, b: Tensor) -> State:
        """One step: (batch, hidden) → the same."""
        (h,) = state
        return (torch.tanh(torch.addmm(wx, h, u)),)


class GRU(Recurrent):
    r"""Two gates: $r$ resets what of the state enters the new value, $z$ keeps the state as it is.

    $$r = \sigma(a_r), \quad z = \sigma(a_z), \quad
    n = \tanh\left(W_n x_t + b_n + r \odot (U_n h_{t-1} + b'_n)\right), \quad
    h_t = (1 - z) \odot n + z \odot h_{t-1}.$$

    Source: Cho et al. (2014), with the reset after the product with $U_n$, as in PyTorch and cuDNN.
    """

    gates = 3
    gated_bias = True

    def step(self, wx: Tensor, state: State, u: Tensor, b: Tensor) -> State:
        """One step: (batch, hidden) → the same."""
        (h,) = state
        of_gates, of_new = wx.tensor_split([2 * self.hidden], 1)
        uh, uh_new = torch.addmm(b, h, u).tensor_split([2 * self.hidden], 1)
        r, z = torch.sigmoid(of_gates + uh).chunk(2, 1)
        n = torch.tanh(torch.addcmul(of_new, r, uh_new))
        return (torch.lerp(n, h, z),)


class LSTM(Recurrent):
    r"""A cell $c$ to which values are added, and gates for what is written ($i$), kept ($f$) and
    output ($o$).

    $$i = \sigma(a_i), \quad f = \sigma(a_f), \quad g = \tanh(a_g), \quad o = \sigma(a_o), \qquad
    c_t = f \odot c_{t-1} + i \odot g, \quad h_t = o \odot \tanh c_t.$$

    Source: Hochreiter & Schmidhuber (1997); the forget gate $f$ from Gers, Schmidhuber & Cummins
    (2000).

    Args:
        inputs: features of the input at one step.
        hidden: units.
        layers: the number of stacked layers.
        bidirectional: whether every layer also reads from the end.
        fused: whether PyTorch's kernel computes it with these weights: the result is the same but
            for rounding, and on a CPU it is two to three times as fast. (For the other cells its
            kernels are no faster than the loop.)
    """

    gates = 4
    states = 2

    def __init__(
        self,
        inputs: int,
        hidden: int,
        layers: int = 1,
        *,
        bidirectional: bool = False,
        fused: bool = False,
    ) -> None:
        super().__init__(inputs, hidden, layers, bidirectional=bidirectional)
        self.fused = fused

    @torch.no_grad()
    def set_biases(self, *, i: float | Tensor, f: float | Tensor) -> None:
        """Set b + b' of the input and the forget gates in every layer and direction, to a number or
        to a vector (hidden,).
        """
        for name, bias in self.named_parameters():
            if name.startswith("bias"):
                for of_gate, value in zip(bias.chunk(4), (i, f), strict=False):
                    of_gate.copy_(torch.as_tensor(value if name.startswith("bias_ih") else 0.0))

    def compute(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """Outputs and last state, from a given first state: shapes as for ``forward``."""
        if not self.fused and not torch.compiler.is_exporting():  # a loop has one length only
            return super().compute(x, state)
        weights: list[Tensor] = list(self.parameters())
        two = self.directions == 2
        outputs, h, c = torch.lstm(
            x, state, weights, True, self.layers, 0.0, self.training, two, True
        )
        return outputs, (h, c)

    def step(self, wx: Tensor, state: State, u: Tensor, b: Tensor) -> State:
        """One step: h and c, each (batch, hidden) → the same."""
        h, c = state
        i, f, g, o = torch.addmm(wx, h, u).chunk(4, 1)
        c = torch.addcmul(torch.sigmoid(f) * c, torch.sigmoid(i), torch.tanh(g))
        return torch.sigmoid(o) * torch.tanh(c), c
