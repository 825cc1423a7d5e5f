"""Losses, and the optimisers that descend them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from etude.autodiff.operations import check_labels, index, log_softmax, mean, softplus
from etude.autodiff.tensor import Array, Operand, ShapeError, Tensor, as_tensor, as_tensors


def mse(x: Operand, target: Operand) -> Tensor:
    """The mean squared difference. Both of one shape."""
    x, target = _alike("mse", x, target)
    return mean((x - target) ** 2)


def binary_cross_entropy_with_logits(z: Operand, t: Operand) -> Tensor:
    """The mean of −t log p − (1 − t) log(1 − p) with p = sigmoid(z): of softplus(z) − t z.

    Both of one shape.
    """
    z, t = _alike("binary_cross_entropy_with_logits", z, t)
    return mean(softplus(z) - t * z)


def cross_entropy(logits: Operand, labels: Operand) -> Tensor:
    """The mean of −log softmax(logits)[label], for logits (…, classes) and integers (…) from 0 to
    classes − 1.
    """
    logits = as_tensor(logits)
    labels = check_labels("cross_entropy", labels, logits.shape[-1] if logits.ndim else 0)
    if labels.shape != logits.shape[:-1]:
        raise ShapeError(
            f"cross_entropy expected labels of shape {logits.shape[:-1]}, got {labels.shape}"
        )
    return -mean(index(log_softmax(logits), (*np.indices(labels.shape), labels)))


def _alike(name: str, x: Operand, target: Operand) -> tuple[Tensor, ...]:
    x, target = as_tensors(x, target)
    if x.shape != target.shape:
        raise ShapeError(f"{name} expected a target of shape {x.shape}, got {target.shape}")
    return x, target


class Optimizer:
    """Takes steps against the gradients that ``backward`` left in the parameters.

    What a method keeps is in ``state``: for each quantity an array for each parameter.
    """

    def __init__(
        self, parameters: Sequence[Tensor], learning_rate: float, *quantities: str
    ) -> None:
        self.parameters, self.learning_rate, self.steps = list(parameters), learning_rate, 0
        self.state = {name: [np.zeros_like(p.data) for p in self.parameters] for name in quantities}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for p in self.parameters:
            p.grad = None

    def step(self) -> None:
        """Change each parameter that has a gradient by the learning rate times its direction."""
        self.steps += 1
        for i, p in enumerate(self.parameters):
            if p.grad is not None:
                kept = (arrays[i] for arrays in self.state.values())
                p -= self.learning_rate * self.direction(p.data, p.grad.data, *kept)

    def direction(self, p: Array, g: Array, *kept: Array) -> Array:
        """What is stepped against, at p with gradient g; updates what is kept."""
        raise NotImplementedError

    def state_dict(self) -> dict[str, Any]:
        """The number of steps, the learning rate and copies of what is kept."""
        kept = {
            f"{name}.{i}": a.copy()
            for name, arrays in self.state.items()
            for i, a in enumerate(arrays)
        }
        return {"steps": self.steps, "learning_rate": self.learning_rate, **kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put back what ``state_dict`` gave."""
        if state.keys() != self.state_dict().keys():
            raise ShapeError(f"load_state_dict expected {[*self.state_dict()]}, got {[*state]}")
        self.steps, self.learning_rate = int(state["steps"]), float(state["learning_rate"])
        for name, arrays in self.state.items():
            for i, a in enumerate(arrays):
                a[...] = state[f"{name}.{i}"]


class SGD(Optimizer):
    """Gradient descent with momentum: m ← μ m + g, and against m; with Nesterov's look ahead,
    against g + μ m.

    ``weight_decay`` λ is the L2 penalty, which adds λ p to g. Source: Sutskever et al. (2013).
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        learning_rate: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(parameters, learning_rate, "momentum")
        self.momentum, self.nesterov, self.weight_decay = momentum, nesterov, weight_decay

    def direction(self, p: Array, g: Array, *kept: Array) -> Array:
        """The momentum, or with Nesterov's look ahead the next."""
        (m,) = kept
        g = g + self.weight_decay * p
        m[...] = self.momentum * m + g
        return g + self.momentum * m if self.nesterov else m


class Adam(Optimizer):
    """m and s are running means of g and g², corrected for their beginning at 0; against m / (√s +
    ε).

    Source: Kingma & Ba (2015).
    """

    weight_decay = 0.0

    def __init__(
        self,
        parameters: Sequence[Tensor],
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(parameters, learning_rate, "mean", "square")
        self.betas, self.eps = betas, eps

    def direction(self, p: Array, g: Array, *kept: Array) -> Array:
        """The mean gradient in units of its size, and the way to 0 if weights decay."""
        (m, s), (b, c) = kept, self.betas
        m[...] = b * m + (1 - b) * g
        s[...] = c * s + (1 - c) * g * g
        d = m / (1 - b**self.steps) / (np.sqrt(s / (1 - c**self.steps)) + self.eps)
        return d + self.weight_decay * p


class AdamW(Adam):
    """Adam, while each parameter shrinks by ``weight_decay`` times the learning rate (Loshchilov &
    Hutter, 2019).
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        **options: Any,
    ) -> None:
        super().__init__(parameters, learning_rate, **options)
        self.weight_decay = weight_decay
