r"""Layers with their backward passes written by hand, in NumPy: no graph, no automatic
differentiation.

Each keeps from ``forward`` what ``backward`` needs. ``backward`` is given $\partial L / \partial y$
for the output $y$, puts the gradients of its own numbers into ``gradients``, and returns $\partial
L / \partial x$. Images are (batch, channels, height, width), and names and shapes of ``values`` are
those of ``torch.nn``. Random draws come from NumPy's global generator, which a run seeds and
resumes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]


class Layer:
    """A function of one array, with its derivative."""

    def __init__(self) -> None:
        self.values: dict[str, Array] = {}
        self.gradients: dict[str, Array] = {}
        self.statistics: dict[str, Array] = {}

    def forward(self, x: Array, training: bool) -> Array:
        """y."""
        raise NotImplementedError

    def backward(self, dy: Array) -> Array:
        """∂L/∂x from ∂L/∂y."""
        raise NotImplementedError


class Affine(Layer):
    r"""$y = x W^\top + b$.

    $L$ depends on $W_{oi}$ through $y_{no}$ for every row $n$, so $\partial L / \partial W_{oi} =
    \sum_n \partial L / \partial y_{no} \; x_{ni}$: a product of matrices, like the others.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.values["weight"] = np.random.normal(0, np.sqrt(2 / inputs), (outputs, inputs))
        self.values["bias"] = np.zeros(outputs)

    def forward(self, x: Array, training: bool) -> Array:
        """(rows, inputs) → (rows, outputs)."""
        self.x = x
        y: Array = x @ self.values["weight"].T + self.values["bias"]
        return y

    def backward(self, dy: Array) -> Array:
        """dx = dy W, dW = dyᵀ x, db = Σₙ dy."""
        self.gradients = {"weight": dy.T @ self.x, "bias": dy.sum(0)}
        dx: Array = dy @ self.values["weight"]
        return dx


class Convolution(Layer):
    r"""$y_{o}(i, j) = \sum_{c, u, v} W_{ocuv} \, x_c(i + u - p, j + v - p)$, with $p$ rows of zeros
    around the picture.

    Every output is a product of one patch with the filters. With all patches as rows of a matrix
    $X$ the convolution is affine, and so is its backward pass; a pixel that lies in several patches
    gets the sum of their gradients.
    """

    def __init__(self, channels: int, filters: int, kernel: int) -> None:
        super().__init__()
        spread = np.sqrt(2 / (channels * kernel**2))
        self.values["weight"] = np.random.normal(0, spread, (filters, channels, kernel, kernel))
        self.kernel, self.padding = kernel, kernel // 2

    def forward(self, x: Array, training: bool) -> Array:
        """(n, channels, h, w) → (n, filters, h, w)."""
        n, c, h, w = x.shape
        p, k = self.padding, self.kernel
        padded = np.pad(x, ((0, 0), (0, 0), (p, p), (p, p)))
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, (k, k), (2, 3)
        )  # (n, c, h, w, k, k)
        self.X = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * h * w, c * k * k)
        self.shape = x.shape
        y: Array = self.X @ self._matrix().T
        return y.reshape(n, h, w, -1).transpose(0, 3, 1, 2)

    def backward(self, dy: Array) -> Array:
        """dW = dYᵀ X, dX = dY W, and each patch's part goes back to where it was cut out."""
        n, c, h, w = self.shape
        p, k = self.padding, self.kernel
        dY = dy.transpose(0, 2, 3, 1).reshape(n * h * w, -1)
        self.gradients = {"weight": (dY.T @ self.X).reshape(self.values["weight"].shape)}
        dX = (dY @ self._matrix()).reshape(n, h, w, c, k, k)
        padded = np.zeros((n, h + 2 * p, w + 2 * p, c), dY.dtype)
        for u in range(k):
            for v in range(k):
                padded[:, u : u + h, v : v + w] += dX[..., u, v]
        return padded[:, p : p + h, p : p + w].transpose(0, 3, 1, 2)

    def _matrix(self) -> Array:
        weight = self.values["weight"]
        return weight.reshape(len(weight), -1)


class MaxPool(Layer):
    """The largest of each 2 × 2 pixels; it alone gets the gradient.

    Of equal ones it is the first.
    """

    def forward(self, x: Array, training: bool) -> Array:
        """(n, c, h, w) → (n, c, h/2, w/2); an odd last row or column is left out."""
        n, c, h, w = self.shape = x.shape
        blocks = x[:, :, : h // 2 * 2, : w // 2 * 2].reshape(n, c, h // 2, 2, w // 2, 2)
        blocks = blocks.transpose(0, 1, 2, 4, 3, 5).reshape(n, c, h // 2, w // 2, 4)
        self.largest = blocks.argmax(-1)[..., None]
        return np.take_along_axis(blocks, self.largest, -1)[..., 0]

    def backward(self, dy: Array) -> Array:
        """dy where the largest was, 0 elsewhere."""
        n, c, h, w = self.shape
        blocks = np.zeros((*dy.shape, 4), dy.dtype)
        np.put_along_axis(blocks, self.largest, dy[..., None], -1)
        blocks = blocks.reshape(n, c, h // 2, w // 2, 2, 2).transpose(0, 1, 2, 4, 3, 5)
        dx = np.zeros(self.shape, dy.dtype)
        dx[:, :, : h // 2 * 2, : w // 2 * 2] = blocks.reshape(n, c, h // 2 * 2, w // 2 * 2)
        return dx


class BatchNorm(Layer):
    r"""$\hat x = (x - \mu) / s$ with $s = \sqrt{\sigma^2 + \epsilon}$ over rows and pixels, $y =
    \gamma \hat x + \beta$.

    $\mu$ and $\sigma$ depend on every $x$ of the channel. Collecting the three ways in which $x$
    acts,

    $$\frac{\partial L}{\partial x} = \frac{\gamma}{s} \Big( dy - \overline{dy} - \hat x \, \overline{dy \, \hat x} \Big),$$

    the bar being the mean over the batch: what would move mean or variance is taken out, for
    normalising undoes it.
    Source: Ioffe & Szegedy (2015), section 3.
    """  # noqa: E501

    def __init__(self, channels: int, epsilon: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.values = {"weight": np.ones(channels), "bias": np.zeros(channels)}
        self.statistics = {"running_mean": np.zeros(channels), "running_var": np.ones(channels)}
        self.epsilon, self.momentum = epsilon, momentum

    def forward(self, x: Array, training: bool) -> Array:
        """(n, c, h, w) → the same; by the batch's statistics in training, else by the
        running ones.
        """
        if training:
            mean, variance, n = x.mean((0, 2, 3)), x.var((0, 2, 3)), x.size / x.shape[1]
            for name, value in (("running_mean", mean), ("running_var", variance * n / (n - 1))):
                self.statistics[name] = (1 - self.momentum) * self.statistics[
                    name
                ] + self.momentum * value
        else:
            mean, variance = self.statistics["running_mean"], self.statistics["running_var"]
        self.s = np.sqrt(variance + self.epsilon)[:, None, None]
        self.x_hat = ((x - mean[:, None, None]) / self.s).astype(x.dtype)
        y: Array = (
            self.values["weight"][:, None, None] * self.x_hat + self.values["bias"][:, None, None]
        )
        return y.astype(x.dtype)

    def backward(self, dy: Array) -> Array:
        """Of a pass in training."""
        over = (0, 2, 3)
        self.gradients = {"weight": (dy * self.x_hat).sum(over), "bias": dy.sum(over)}
        centred = (
            dy
            - dy.mean(over, keepdims=True)
            - self.x_hat * (dy * self.x_hat).mean(over, keepdims=True)
        )
        dx: Array = self.values["weight"][:, None, None] / self.s * centred
        return dx.astype(dy.dtype)


class ReLU(Layer):
    """max(0, x); its derivative is 1 above 0, and 0 elsewhere."""

    def forward(self, x: Array, training: bool) -> Array:
        """Of any shape."""
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, dy: Array) -> Array:
        """dy where x was positive."""
        dx: Array = dy * self.positive
        return dx


class Dropout(Layer):
    """In training each entry is 0 with probability p, else divided by 1 − p; its derivative is that
    same factor.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Array, training: bool) -> Array:
        """Of any shape."""
        if training:
            self.factor = ((np.random.random(x.shape) >= self.p) / (1 - self.p)).astype(x.dtype)
        return x * self.factor if training else x

    def backward(self, dy: Array) -> Array:
        """dy through the same holes."""
        dx: Array = dy * self.factor
        return dx


class Flatten(Layer):
    """(n, …) → (n, all); backward it folds up again."""

    def forward(self, x: Array, training: bool) -> Array:
        """(n, …) → (n, numbers)."""
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, dy: Array) -> Array:
        """(n, numbers) → (n, …)."""
        return dy.reshape(self.shape)


def softmax_cross_entropy(z: Array, labels: Array) -> tuple[float, Array]:
    r"""$L = -\frac{1}{n} \sum_n \log p_{n y_n}$ with $p = \mathrm{softmax}(z)$, and $\partial L /
    \partial z = (p - e_y) / n$.

    The exponents are taken from the largest score of each row, which changes no probability and
    never overflows.

    Args:
        z: scores, (n, classes).
        labels: (n,), whole numbers.
    """
    rows = np.arange(len(z))
    shifted = z - z.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    dz = np.exp(log_p)
    dz[rows, labels] -= 1
    return float(-log_p[rows, labels].mean()), dz / len(z)


class CrossEntropy(Layer):
    """The loss as a layer with one output, for the checks."""

    def __init__(self, labels: Array) -> None:
        super().__init__()
        self.labels = labels

    def forward(self, x: Array, training: bool) -> Array:
        """(n, classes) → (1,)."""
        loss, self.dz = softmax_cross_entropy(x, self.labels)
        return np.array([loss])

    def backward(self, dy: Array) -> Array:
        """(1,) → (n, classes)."""
        dx: Array = dy * self.dz
        return dx


class Network:
    """Layers in a row, trained by momentum; its state has the names of the same
    ``torch.nn.Sequential``.
    """

    def __init__(self, layers: list[Layer], dtype: type = np.float32) -> None:
        self.layers = layers
        for layer in layers:
            layer.values = {name: value.astype(dtype) for name, value in layer.values.items()}
        self.velocity = {
            key: np.zeros_like(layer.values[name]) for key, layer, name in self.learned()
        }

    def learned(self) -> list[tuple[str, Layer, str]]:
        """Every array that is learned: its key, its layer, its name there."""
        return [
            (f"{i}.{name}", layer, name)
            for i, layer in enumerate(self.layers)
            for name in layer.values
        ]

    def forward(self, x: Array, training: bool = False) -> Array:
        """(n, 1, side, side) → scores (n, classes)."""
        for layer in self.layers:
            x = layer.forward(x, training)
        return x

    def backward(self, dy: Array) -> list[float]:
        """Fill every layer's gradients; the norms of what each hands to the one before it, the last
        layer first.
        """
        norms = []
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
            norms.append(float(np.linalg.norm(dy)))
        return norms

    def step(self, rate: float, momentum: float, decay: float) -> None:
        """v ← μv + g, w ← w − ηv; matrices and kernels have the L2 penalty's part in g."""
        for key, layer, name in self.learned():
            w = layer.values[name]
            g = layer.gradients[name] + (decay * w if w.ndim > 1 else 0)
            self.velocity[key] = (momentum * self.velocity[key] + g).astype(w.dtype)
            w -= (rate * self.velocity[key]).astype(w.dtype)

    def state_dict(self) -> dict[str, Tensor]:
        """What is learned, the running statistics, and the velocities, as tensors, so that PyTorch
        can load them.
        """
        state = {key: layer.values[name] for key, layer, name in self.learned()}
        state |= {
            f"{i}.{name}": v
            for i, layer in enumerate(self.layers)
            for name, v in layer.statistics.items()
        }
        state |= {f"velocity.{key}": v for key, v in self.velocity.items()}
        return {key: torch.from_numpy(np.array(value)) for key, value in state.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Put back what ``state_dict`` gave."""
        for i, layer in enumerate(self.layers):
            for numbers in (layer.values, layer.statistics):
                numbers.update({name: state[f"{i}.{name}"].numpy().copy() for name in numbers})
        self.velocity = {key: state[f"velocity.{key}"].numpy().copy() for key in self.velocity}


def differences(layer: Layer, x: Array, steps: Array | None = None) -> dict[float, float]:
    """For each h, ``steps``, the largest difference of gradient and central difference, over the
    largest gradient.

    The loss is a random weighting of the outputs, put through a sine so that it is curved; all of
    ``x`` and of the layer's values are moved in turn, in place. Random draws of the layer are the
    same at each evaluation.
    """
    drawn = np.random.get_state()

    def output() -> Array:
        np.random.set_state(drawn)
        return layer.forward(x, True)

    weights = np.random.normal(size=output().shape)
    dx = layer.backward(weights * np.cos(output()))
    gradients = [(x, dx), *((layer.values[name], g) for name, g in layer.gradients.items())]
    largest = max(float(np.abs(g).max()) for _, g in gradients)
    found = {}
    for h in 10.0 ** np.arange(-10, -1.5, 0.5) if steps is None else steps:
        worst = 0.0
        for array, gradient in gradients:
            for i in np.ndindex(array.shape):
                kept = array[i]
                array[i] = kept + h
                above = (weights * np.sin(output())).sum()
                array[i] = kept - h
                below = (weights * np.sin(output())).sum()
                array[i] = kept
                worst = max(worst, abs((above - below) / (2 * h) - gradient[i]))
        found[float(h)] = float(worst) / largest
    return found
