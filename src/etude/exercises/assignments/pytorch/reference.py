"""PyTorch: tensors, automatic differentiation, modules, training, loading, saving.

The functions that are called from outside take and return NumPy arrays; between them are tensors.
"""

from __future__ import annotations

import builtins
import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

Array = NDArray[np.float64]
Labels = NDArray[np.int64]

# -- tensors and dtypes ----------------------------------------------------------------------------


def normalise(
    images: NDArray[np.uint8], mean: Sequence[float], std: Sequence[float]
) -> NDArray[np.float32]:
    """Images as a convolutional network reads them.

    Args:
        images: whole numbers from 0 to 255, (N, height, width, C), of type ``uint8``.
        mean: of each channel, C numbers, in units of the largest brightness, 255.
        std: the standard deviation of each channel, in the same unit.

    Returns:
        (brightness / 255 − mean) / std, channel by channel: (N, C, height, width), of type
        ``float32``.
    """
    # task normalise, 2 points: Bring the axes into order, change the type, and give mean and std a
    #   shape that fits.
    x = torch.from_numpy(images).permute(0, 3, 1, 2).to(torch.float32) / 255
    shift = torch.tensor(mean).view(-1, 1, 1)
    scale = torch.tensor(std).view(-1, 1, 1)
    found: NDArray[np.float32] = ((x - shift) / scale).numpy()
    return found
    # end of task


# -- automatic differentiation ---------------------------------------------------------------------


def logistic_loss(w: Array, x: Array, y: Array) -> tuple[float, Array]:
    """The loss of logistic regression, and its gradient by automatic differentiation.

    Args:
        w: weights, (D,), of type ``float64``, as all other numbers here.
        x: examples, (N, D).
        y: −1 or 1 for each, (N,).

    Returns:
        The mean of log(1 + exp(−y x·w)), also where the exponential is too large for a computer;
        its gradient by w, (D,).
    """
    # task logistic, 2 points: Make a tensor of w that asks for a gradient. torch.nn.functional has
    #   log(1 + exp(·)) under the name softplus.
    weights = torch.tensor(w, requires_grad=True)
    margins = torch.from_numpy(y) * (torch.from_numpy(x) @ weights)
    loss = F.softplus(-margins).mean()
    (gradient,) = torch.autograd.grad(loss, weights)
    return loss.item(), gradient.numpy()
    # end of task


class Swish(torch.autograd.Function):
    """x σ(x), where σ is the logistic function (Ramachandran et al., 2017)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """The value; x is kept for the way back."""
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        """The gradient of the loss by x.

        Args:
            ctx: its ``saved_tensors`` are those that ``forward`` kept.
            upstream: the gradient of the loss by x σ(x), of the shape of x.
        """
        # task swish, 2 points: By the product rule; the derivative of σ is σ (1 − σ). Multiply by
        #   what comes from above.
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        derivative: Tensor = s + x * s * (1 - s)
        return upstream * derivative
        # end of task


def swish_gradient(x: Array, upstream: Array) -> Array:
    """Given: the gradient of Σ upstream · swish(x) by x."""
    at = torch.tensor(x, requires_grad=True)
    value = Swish.apply(at)  # type: ignore[no-untyped-call]
    (gradient,) = torch.autograd.grad((torch.from_numpy(upstream) * value).sum(), at)
    return gradient.numpy()


# -- a module with parameters ----------------------------------------------------------------------


class LayerNorm(nn.Module):
    """Layer normalisation (Ba et al., 2016): (x − m) / √(v + ε) · gain + bias, where m and v are
    the mean and the variance over the last axis.

    Attributes:
        gain: a parameter of shape (width,), ones in the beginning.
        bias: a parameter of shape (width,), zeros in the beginning.
        eps: ε.
    """

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        # task layer-norm-parameters, 2 points: Call the __init__ of nn.Module first. A tensor
        #   becomes a parameter, which an optimiser finds, by nn.Parameter.
        super().__init__()
        self.gain = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))
        self.eps = eps
        # end of task

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each vector: (…, width) → (…, width).

        The variance is the mean of (x − m)², with no correction for a small sample.
        """
        # task layer-norm, 2 points: Keep the last axis when you take mean and variance, so that
        #   shapes fit. Do not use nn.LayerNorm.
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred**2).mean(-1, keepdim=True)
        return centred / torch.sqrt(variance + self.eps) * self.gain + self.bias
        # end of task


def layer_norm_parameters(width: int) -> dict[str, NDArray[np.float32]]:
    """Given: the parameters that an optimiser finds in a new :class:`LayerNorm`."""
    layer = LayerNorm(width)
    return {name: value.detach().numpy() for name, value in layer.named_parameters()}


def layer_norm(x: Array, gain: Array, bias: Array, eps: float) -> Array:
    """Given: what a :class:`LayerNorm` with these parameters makes of x."""
    layer = LayerNorm(len(gain), eps).double()
    with torch.no_grad():
        layer.gain.copy_(torch.from_numpy(gain))
        layer.bias.copy_(torch.from_numpy(bias))
        found: Array = layer(torch.from_numpy(x)).numpy()
    return found


# -- a training step -------------------------------------------------------------------------------


class Descent:
    """Given: gradient descent, with the two methods that each optimiser of ``torch.optim`` has too.

    ``torch.optim.SGD`` does the same, but it takes some seconds to load.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        self.parameters = list(parameters)
        self.learning_rate = learning_rate

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    def step(self) -> None:
        """Move each parameter against its gradient."""
        with torch.no_grad():
            for parameter in self.parameters:
                if parameter.grad is not None:
                    parameter.sub_(self.learning_rate * parameter.grad)


def train_step(model: nn.Module, optimizer: Descent, x: Tensor, y: Tensor) -> float:
    """One step of training a classifier, with the cross-entropy of its scores as the loss.

    Args:
        model: (N, D) → scores, (N, C); it is in training mode afterwards.
        optimizer: of the model's parameters. These may hold gradients of an earlier step.
        x: examples, (N, D).
        y: labels, (N,).

    Returns:
        The loss before the step: the mean over the examples.
    """
    # task train-step, 2 points: Training mode, old gradients away, loss, new gradients, step.
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return loss.item()
    # end of task


def train(
    x: Array, y: Labels, classes: int, steps: int, learning_rate: float
) -> tuple[list[float], Array, bool]:
    """Given: what ``train_step`` does to a linear classifier whose weights are zeros.

    Returns:
        The loss of each step; the weights after the last, (C, D); whether the model is in training
        mode.
    """
    model = nn.Linear(x.shape[1], classes, bias=False).double().eval()
    nn.init.zeros_(model.weight)
    optimizer = Descent(model.parameters(), learning_rate)
    points, labels = torch.from_numpy(x), torch.from_numpy(y)
    losses = [train_step(model, optimizer, points, labels) for _ in range(steps)]
    return losses, model.weight.detach().numpy(), model.training


# -- a loader --------------------------------------------------------------------------------------


def batches(x: Array, y: Labels, size: int, seed: int) -> list[tuple[Array, Labels]]:
    """One epoch of batches, in an order that only the seed decides.

    Args:
        x: examples, (N, D), N at least 1.
        y: their labels, (N,).
        size: how many examples a batch has; the last batch has what is left, and is not dropped.
        seed: of a generator of its own; PyTorch's own random numbers are neither read nor moved.

    Returns:
        The batches, in random order: examples with their labels. Each example occurs once.
    """
    # task batches, 2 points: A TensorDataset keeps examples and labels together, and a DataLoader
    #   shuffles it with the generator that you give it.
    data = TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
    generator = torch.Generator().manual_seed(seed)
    loader = DataLoader(data, batch_size=size, shuffle=True, generator=generator)
    return [(points.numpy(), labels.numpy()) for points, labels in loader]
    # end of task


def batches_move_the_global_generator(x: Array, y: Labels, size: int, seed: int) -> bool:
    """Given: whether ``batches`` changes the state of PyTorch's own random numbers."""
    before = torch.get_rng_state()
    batches(x, y, size, seed)
    return not torch.equal(before, torch.get_rng_state())


# -- freezing --------------------------------------------------------------------------------------


def freeze(model: nn.Module, part: str) -> int:
    """Keep a part of a network as it is, so that training changes only the others.

    Args:
        model: a network; some of its parameters may be frozen before.
        part: the name of a module in it, such as ``"encoder"``, or of one parameter, such as
            ``"encoder.weight"``. The part ``"layers.1"`` does not contain ``"layers.10.weight"``.

    Returns:
        How many numbers are still trained: the entries of all parameters that ask for a gradient.
    """
    # task freeze, 2 points: model.named_parameters() says all names. Which begin of a name means
    #   that the parameter lies in the part?
    for name, parameter in model.named_parameters():
        if name == part or name.startswith(part + "."):
            parameter.requires_grad_(False)
    return sum(each.numel() for each in model.parameters() if each.requires_grad)
    # end of task


def frozen(parts: list[str], layers: int = 12) -> tuple[list[str], list[int]]:
    """Given: which parameters are frozen after ``freeze`` was called for each part of a network of
    some layers, ``"0"``, ``"1"``, …, from two numbers to three and back in turn; what it returned.
    """
    model = nn.Sequential(*[nn.Linear(2 + i % 2, 3 - i % 2) for i in range(layers)])
    left = [freeze(model, part) for part in parts]
    return [name for name, each in model.named_parameters() if not each.requires_grad], left


# -- saving and loading ----------------------------------------------------------------------------


def load_state(content: bytes) -> dict[str, Tensor]:
    """The state of a network from a file that a stranger may have made.

    ``torch.save`` writes Python's pickle, and a pickle can contain a call of any function: who
    loads it carelessly executes it.

    Args:
        content: of the file.

    Returns:
        The table of names and tensors that ``torch.save`` was given; nothing of the file is
        executed.

    Raises:
        ValueError: the file is damaged, asks for anything to be executed, or holds something other
            than a ``dict`` whose values are all tensors.
    """
    # task load, 2 points: torch.load has a switch that lets only tensors and plain values through.
    #   A damaged file can raise nearly any error: make a ValueError of it.
    try:
        state = torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:
        raise ValueError("the file holds no state of a network") from error
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError("the file holds something other than tensors and their names")
    return state
    # end of task


class Bomb:
    """Given: what executes a line of Python when it is loaded carelessly."""

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, ("import builtins; builtins.it_went_off = True",)


def loaded(kind: str, arrays: dict[str, Array]) -> tuple[str, dict[str, Array], bool]:
    """Given: what ``load_state`` makes of a file.

    Args:
        kind: ``"state"``, ``"bomb"``, ``"half"`` (cut in the middle), ``"empty"``, ``"noise"``,
            ``"list"``, ``"text"`` (one value of the table is a text).
        arrays: the state.

    Returns:
        ``"ValueError"`` or ``""``; the state, or nothing; whether a line of the file was executed.
    """
    state: dict[str, Any] = {name: torch.from_numpy(array) for name, array in arrays.items()}
    others: dict[str, Any] = {
        "bomb": {**state, "x": Bomb()},
        "list": list(state.values()),
        "text": {**state, "x": "a text"},
    }
    file = io.BytesIO()
    torch.save(others.get(kind, state), file)
    content = file.getvalue()
    cut = {"half": content[: len(content) // 2], "empty": b"", "noise": bytes(range(256))}
    try:
        found = load_state(cut.get(kind, content))
    except ValueError:
        return "ValueError", {}, vars(builtins).pop("it_went_off", False)
    went_off = vars(builtins).pop("it_went_off", False)
    return "", {name: value.numpy() for name, value in found.items()}, went_off
