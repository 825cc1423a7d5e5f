"""Sequential minimal optimisation of a support vector machine's dual."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class SMO:
    """Maximises the dual by changing two multipliers at a time, β_i up and β_j down.

    Here β_i = α_i y_i, so each β lies between 0 and C y. The attribute ``e`` holds y − K β.

    Source: Platt (1998); the choice of the pair: Fan, Chen & Lin (2005), WSS 2.

    Args:
        K: the kernel matrix, (n, n).
        y: the classes as ±1, (n,).
        C: the largest value of a multiplier α.
    """

    def __init__(self, K: Tensor, y: Tensor, C: float) -> None:
        self.K = K
        self.y = y
        self.C = C
        self.low = (C * y).clamp_max(0)
        self.high = (C * y).clamp_min(0)
        self.beta = torch.zeros_like(y)
        self.e = y.clone()

    def violations(self) -> tuple[Tensor, Tensor]:
        """How far the conditions of optimality are violated.

        Returns:
            The row i with the highest e among those whose β may rise, a scalar; and by how much
            e_i exceeds each e_j whose β may fall, (n,), which is −∞ where β_j may not.
        """
        rising = torch.where(self.beta < self.high, self.e, -math.inf)
        falling = torch.where(self.beta > self.low, self.e, math.inf)
        i = rising.argmax()
        return i, rising[i] - falling

    def ascend(self, steps: int, tolerance: float) -> float:
        """Make some steps, or fewer where the largest violation falls to the tolerance.

        Returns:
            The largest violation afterwards.
        """
        diagonal = self.K.diagonal()
        for _ in range(steps):
            i, d = self.violations()
            if d.max() <= tolerance:
                break
            a = (diagonal[i] + diagonal - 2 * self.K[i]).clamp_min(1e-12)  # (n,)
            gain = torch.where(d > 0, d**2 / a, 0)  # twice the gain of the dual
            j = gain.argmax()

            best = d[j] / a[j]
            room_above = self.high[i] - self.beta[i]
            room_below = self.beta[j] - self.low[j]
            t = torch.stack([best, room_above, room_below]).min()

            self.beta[i] += t
            self.beta[j] -= t
            self.e -= t * (self.K[i] - self.K[j])
        return self.violations()[1].max().item()

    def solution(self) -> tuple[Tensor, float, float]:
        """The bias b, and the values of the primal and of the dual.

        The bias lies in the middle between the largest e that may rise and the smallest that may
        fall.
        """
        i, d = self.violations()
        b = self.e[i] - d.max() / 2
        squared = self.beta @ (self.y - self.e)  # βᵀ K β = ‖w‖²
        slack = (self.y * (self.e - b)).clamp_min(0)  # 1 − y f(x), where it is positive
        primal = squared / 2 + self.C * slack.sum()
        dual = self.beta @ self.y - squared / 2
        return b, primal.item(), dual.item()

    def state_dict(self) -> dict[str, Tensor]:
        """What the steps change: β and e, each (n,)."""
        return {"beta": self.beta, "e": self.e}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Put back what :meth:`state_dict` gave."""
        self.beta = state["beta"].to(self.y.device)
        self.e = state["e"].to(self.y.device)
