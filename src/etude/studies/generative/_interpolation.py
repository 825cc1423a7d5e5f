"""Between two points of a latent space."""

from __future__ import annotations

from torch import Tensor


def slerp(a: Tensor, b: Tensor, fraction: Tensor) -> Tensor:
    """Spherical interpolation between draws of N(0, 1): (…, n), (…, n), (…, 1) → (…, n).

    Draws of many dimensions have nearly the same length, so they lie near a sphere. The straight
    line between two of them leaves it: its middle is too near to 0.

    Source: Shoemake (1985), Animating rotation with quaternion curves.

    Args:
        a: where the path begins.
        b: where it ends.
        fraction: of the angle, 0 at ``a`` and 1 at ``b``.
    """
    lengths = a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)
    cos = (a * b).sum(-1, keepdim=True) / lengths
    angle = cos.clamp(-1 + 1e-6, 1 - 1e-6).acos()
    mixed = ((1 - fraction) * angle).sin() * a + (fraction * angle).sin() * b
    between: Tensor = mixed / angle.sin()
    return between
