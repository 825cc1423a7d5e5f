"""A training step of LeNet in ``etude.autodiff``, beside PyTorch and the package ``autograd``.

``python benchmarks/autodiff.py [--repeat 30]`` prints the median time of a step of each, interleaved, each with the
threads that it takes by itself: 64 images of 28×28, float32, ReLU, max pooling, SGD. All three begin with the same
weights; the first losses are printed, too, and are equal but for rounding. Where ``autograd`` isn't installed
(``pip install autograd``) it is left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from etude import autodiff as ad

Step = Callable[[], float]
SHAPES = [(6, 1, 5, 5), (16, 6, 5, 5), (400, 120), (120, 84), (84, 10)]
RATE = 0.01


def lenet(p: list[Any], x: Any, conv: Callable[..., Any], pool: Callable[..., Any], relu: Callable[..., Any]) -> Any:
    """LeCun et al. (1998), with ReLU and max pooling: images (64, 1, 28, 28) to logits (64, 10)."""
    x = pool(relu(conv(x, p[0], p[1], padding=2)), 2)
    x = pool(relu(conv(x, p[2], p[3], padding=0)), 2)
    x = relu(x.reshape(64, 400) @ p[4] + p[5])
    return relu(x @ p[6] + p[7]) @ p[8] + p[9]


def in_etude(start: list[np.ndarray], images: np.ndarray, labels: np.ndarray) -> Step:
    parameters = [ad.Tensor(a, requires_grad=True) for a in start]
    optimizer = ad.SGD(parameters, RATE)

    def step() -> float:
        loss = ad.cross_entropy(lenet(parameters, images, ad.conv2d, ad.max_pool2d, ad.relu), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def in_torch(start: list[np.ndarray], images: np.ndarray, labels: np.ndarray) -> Step:
    parameters = [torch.tensor(a, requires_grad=True) for a in start]
    optimizer = torch.optim.SGD(parameters, RATE)
    x, y = torch.tensor(images), torch.tensor(labels)

    def step() -> float:
        loss = F.cross_entropy(lenet(parameters, x, F.conv2d, F.max_pool2d, torch.relu), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def in_autograd(start: list[np.ndarray], images: np.ndarray, labels: np.ndarray) -> Step:
    """The package has no fast convolution, so this one is made of its slices and one matrix product."""
    import autograd.numpy as anp
    from autograd import value_and_grad

    def conv(x: Any, w: Any, b: Any, padding: int) -> Any:
        x = anp.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)), "constant")
        k, n = w.shape[-1], x.shape[2] - w.shape[-1] + 1  # all images are square
        taps = anp.array([x[:, :, i : i + n, j : j + n] for i in range(k) for j in range(k)])
        columns = anp.transpose(taps, (2, 0, 1, 3, 4)).reshape(
            math.prod(w.shape[1:]), -1
        )  # (channels · taps, batch · n · n)
        y = anp.dot(w.reshape(len(w), -1), columns).reshape(len(w), len(x), n, n)
        return anp.transpose(y, (1, 0, 2, 3)) + b[:, None, None]

    def pool(x: Any, size: int) -> Any:
        return anp.max(x.reshape(*x.shape[:2], x.shape[2] // size, size, x.shape[3] // size, size), axis=(3, 5))

    def loss(parameters: list[Any]) -> Any:
        z = lenet(parameters, images, conv, pool, lambda x: anp.maximum(x, 0))
        z = z - anp.max(z, axis=1, keepdims=True)
        return anp.mean(anp.log(anp.sum(anp.exp(z), axis=1)) - z[anp.arange(64), labels])

    parameters, derivative = [a.copy() for a in start], value_and_grad(loss)

    def step() -> float:
        value, gradient = derivative(parameters)
        for p, g in zip(parameters, gradient, strict=True):
            p -= RATE * g
        return float(value)

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=30)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    inputs = [math.prod(shape[1:]) if len(shape) == 4 else shape[0] for shape in SHAPES]
    weights = [rng.normal(0, math.sqrt(2 / n), shape) for n, shape in zip(inputs, SHAPES, strict=True)]
    start = [a.astype(np.float32) for w in weights for a in (w, np.zeros(w.shape[0 if w.ndim == 4 else 1]))]
    images, labels = rng.random((64, 1, 28, 28), np.float32), rng.integers(10, size=64)

    makers = {"etude.autodiff": in_etude, f"torch, {torch.get_num_threads()} threads": in_torch}
    if importlib.util.find_spec("autograd"):
        makers["autograd"] = in_autograd
    else:
        print("autograd is not installed and left out")
    steps = {name: make(start, images, labels) for name, make in makers.items()}
    losses = {name: step() for name, step in steps.items()}  # warms up, too
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(options.repeat):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            seconds[name].append(time.perf_counter() - began)
    ours = statistics.median(seconds["etude.autodiff"])
    print(f"LeNet, a step on 64 images; numpy {np.__version__}, torch {torch.__version__}; medians of {options.repeat}")
    for name, times in seconds.items():
        median = statistics.median(times)
        print(f"{name:<18} {median * 1e3:8.2f} ms   {median / ours:6.2f} × etude's   first loss {losses[name]:.6f}")


if __name__ == "__main__":
    main()
