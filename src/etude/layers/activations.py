r"""Activations: the function between two affine maps, without which they would be one.

| name | $\phi(z)$ | source |
|---|---|---|
| identity | $z$ | |
| hard_limit | 1 if $z > 0$, else 0 | McCulloch & Pitts (1943) |
| sigmoid | $1 / (1 + e^{-z})$ | Rumelhart, Hinton & Williams (1986) |
| tanh | $(e^z - e^{-z}) / (e^z + e^{-z})$ | LeCun, Bottou, Orr & Müller (1998) |
| relu | $\max(0, z)$ | Nair & Hinton (2010) |
| leaky_relu | $z$ if $z > 0$, else $0.01 z$ | Maas, Hannun & Ng (2013) |
| elu | $z$ if $z > 0$, else $e^z - 1$ | Clevert, Unterthiner & Hochreiter (2016) |
| selu | $\lambda z$ if $z > 0$, else $\lambda \alpha (e^z - 1)$; $\lambda = 1.0507$, $\alpha = 1.6733$ | Klambauer et al. (2017) |
| swish | $z / (1 + e^{-z})$, also called SiLU | Ramachandran, Zoph & Le (2017) |
| gelu | $z \, \Phi(z)$ with the standard normal distribution $\Phi$ | Hendrycks & Gimpel (2016) |
| maxout | $\max(z_1, z_2)$, of two affine maps | Goodfellow et al. (2013) |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from etude.errors import UserError


class HardLimit(nn.Module):
    r"""$h(z) = 1$ if $z > 0$, else 0, with a derivative that it does not have.

    Its own is 0 wherever there is one, and nothing could be learned through it. Backwards it is
    taken for the line that is clipped to 0 and 1, $\min(1, \max(0, (z + 1) / 2))$, whose derivative
    is 1/2 for $|z| < 1$, else 0: a *straight-through estimator*, of Hinton (2012), lecture 9c, and
    Bengio, Léonard & Courville (2013).
    """

    def forward(self, z: Tensor) -> Tensor:
        """Any shape, kept."""
        line = ((z + 1) / 2).clamp(0, 1)
        return (z > 0).to(z.dtype) + (
            line - line.detach()
        )  # the bracket is 0, and has the line's derivative


class Maxout(nn.Module):
    r"""$h_i = \max_j z_{ij}$: a unit takes the largest of several affine maps, and so learns a
    convex activation.

    Args:
        pieces: k, affine maps of each unit; the layer before has k outputs for each unit.

    Raises:
        UserError: the input's last axis can't be parted so.
    """

    def __init__(self, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, z: Tensor) -> Tensor:
        """(…, k units) → (…, units); the k numbers of a unit stand side by side."""
        if z.shape[-1] % self.pieces:
            raise UserError(
                f"Maxout: {z.shape[-1]} numbers can't be parted into units of {self.pieces} each"
            )
        return z.reshape(*z.shape[:-1], z.shape[-1] // self.pieces, self.pieces).amax(-1)


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,
    "hard_limit": HardLimit,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "swish": nn.SiLU,
    "gelu": nn.GELU,
    "maxout": Maxout,
}


def dense(activation: str, inputs: int, outputs: int) -> nn.Sequential:
    r"""$h = \phi(W x + b)$, (batch, inputs) → (batch, outputs); $W$ and $b$ begin as PyTorch's,
    evenly drawn.
    """
    phi = ACTIVATIONS[activation]()
    pieces = phi.pieces if isinstance(phi, Maxout) else 1
    return nn.Sequential(nn.Linear(inputs, pieces * outputs), phi)
