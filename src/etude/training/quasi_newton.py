r"""BFGS and L-BFGS: optimisers that learn the curvature from how the gradient changes along their
own steps.

With $s = w_{k+1} - w_k$ and $y = g_{k+1} - g_k$ the next estimate $H$ of the inverse Hessian
satisfies $H y = s$, the secant equation, and is otherwise as near to the last one as can be. The
step is $-\eta H g$.

``step()`` takes it as it is, from whatever gradient the parameters hold, so that these run in any
study; with a ``closure`` that computes loss and gradient, η is where the line search begins, and
the loss can't rise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, overload

import torch
from torch import Tensor

from etude.errors import UserError

LARGEST = 10_000  # numbers for BFGS: H has as many rows and columns, 800 MB in double precision
CURVED = 1e-10  # yᵀs above which a pair is used: only then does H stay positive definite


def plain(kind: type[torch.optim.Optimizer]) -> dict[str, Any]:
    """The methods of an optimiser that is not compiled.

    PyTorch's own load its compiler where they are first called, only to tell it to keep out; that
    takes a second or two of every run.
    """
    kept_out = ("add_param_group", "zero_grad", "state_dict", "load_state_dict", "step")
    return {
        name: getattr(getattr(kind, name), "__wrapped__", getattr(kind, name)) for name in kept_out
    }


class Optimizer(torch.optim.Optimizer):
    """What the optimisers that are written out here begin with."""


for _name, _method in plain(torch.optim.Optimizer).items():
    setattr(Optimizer, _name, _method)


class QuasiNewton(Optimizer):
    """The part that BFGS and L-BFGS share: the flat vectors, the pairs (s, y), the step, the line
    search.

    Args:
        parameters: tensors, or groups; all are one vector, and the first group's settings hold for
            it.
        lr: η, the length of a step in units of −Hg.
        weight_decay: λ; λw is added to the gradient.
        same: the closure is one function at every call, as where it takes all data: a step begins
            with what the line search before it ended with, which is half of the evaluations.
        settings: a subclass's own.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1.0,
        weight_decay: float = 0.0,
        *,
        same: bool = False,
        **settings: Any,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "weight_decay": weight_decay, **settings})
        self.same, self.known = (
            same,
            math.nan,
        )  # the loss where the parameters stand, whose gradient they hold
        self.tensors: list[Tensor] = [w for group in self.param_groups for w in group["params"]]

    def direction(self, g: Tensor, m: dict[str, Any]) -> Tensor:
        """−Hg for the flat gradient g (n,)."""
        raise NotImplementedError

    def learn(self, s: Tensor, y: Tensor, m: dict[str, Any]) -> None:
        """Take in a pair with yᵀs > 0."""
        raise NotImplementedError

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from where another stood."""
        self.known = math.nan
        super().load_state_dict(state_dict)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step; with a closure, as long as the conditions of Wolfe allow."""
        loss = (
            self.known
            if self.same and not math.isnan(self.known)
            else self._evaluate(closure)
            if closure
            else None
        )
        m, η = self.state[self.tensors[0]], float(self.param_groups[0]["lr"])
        g = self._gradient()
        if "g" in m:
            y = g - m["g"]
            if y @ m["s"] > CURVED:
                self.learn(m["s"], y, m)
            p = self.direction(g, m)
        else:
            p, η = (
                -g,
                η * min(1.0, 1.0 / max(float(g.abs().sum()), 1e-300)),
            )  # nothing is known yet: a careful first step
        if closure is not None and loss is not None:
            η = self._search(closure, loss, float(g @ p), p, η)
        else:
            self._move(p, η)
        m["g"], m["s"] = g, η * p
        return loss

    def _search(
        self, closure: Callable[[], float], loss: float, slope: float, p: Tensor, η: float
    ) -> float:
        """A step that lowers the loss by 10⁻⁴ of what its slope promises, and ends where less than
        0.9 of it is left.

        The second keeps yᵀs > 0, so that every step teaches H something: where the surface curves
        down, steps grow until it curves up again. Found by doubling, then halving. Source: Wolfe
        (1969); Lewis & Overton (2013).
        """
        start, low, high = [w.clone() for w in self.tensors], 0.0, math.inf
        for _ in range(40):
            for w, before in zip(self.tensors, start, strict=True):
                w.copy_(before)
            self._move(p, η)
            self.known = self._evaluate(closure)
            if not self.known <= loss + 1e-4 * η * slope:
                high = η
            elif float(self._gradient() @ p) < 0.9 * slope:
                low = η
            else:
                return η
            η = (low + high) / 2 if high < math.inf else 2 * η
        for w, before in zip(self.tensors, start, strict=True):
            w.copy_(before)
        self.known = math.nan
        self._move(
            p, low
        )  # 0 where nowhere on this line is down: at a minimum, to working precision
        return low

    def _evaluate(self, closure: Callable[[], float]) -> float:
        with torch.enable_grad():
            return float(torch.as_tensor(closure()).detach())

    def _gradient(self) -> Tensor:
        """(n,), with the penalty's part."""
        parts = []
        for group in self.param_groups:
            for w in group["params"]:
                g = torch.zeros_like(w) if w.grad is None else w.grad
                parts.append((g + group["weight_decay"] * w).flatten())
        return torch.cat(parts)

    def _move(self, p: Tensor, η: float) -> None:
        parts = torch.split(p, [w.numel() for w in self.tensors])
        for w, part in zip(self.tensors, parts, strict=True):
            w.add_(part.view_as(w), alpha=η)


class BFGS(QuasiNewton):
    r"""$H \leftarrow (I - \rho s y^\top) H (I - \rho y s^\top) + \rho s s^\top$, $\rho = 1 / y^\top
    s$: the whole matrix is kept.

    Source: Nocedal & Wright (2006), equations 6.17 and 6.20.

    Raises:
        UserError: more than 10,000 numbers are learned.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1.0,
        weight_decay: float = 0.0,
        *,
        same: bool = False,
    ) -> None:
        super().__init__(parameters, lr, weight_decay, same=same)
        n = sum(w.numel() for w in self.tensors)
        if n > LARGEST:
            raise UserError(
                f"BFGS keeps a matrix of {n:,} × {n:,} numbers for {n:,} parameters; expected at"
                f" most {LARGEST:,}: lbfgs keeps a few vectors instead"
            )

    def direction(self, g: Tensor, m: dict[str, Any]) -> Tensor:
        """−Hg."""
        return -(m["H"] @ g) if "H" in m else -g

    def learn(self, s: Tensor, y: Tensor, m: dict[str, Any]) -> None:
        """The update of H; the first one begins at the scale of the curvature just met."""
        eye = torch.eye(len(s), dtype=s.dtype, device=s.device)
        H = m["H"] if "H" in m else (y @ s) / (y @ y) * eye
        m["H"] = bfgs_update(H, s, y)


def bfgs_update(H: Tensor, s: Tensor, y: Tensor) -> Tensor:
    """The next inverse Hessian, (n, n): it is symmetric, maps y to s, and is positive definite
    where yᵀs > 0.
    """
    ρ = 1 / (y @ s)
    Hy = H @ y
    return (
        H
        - ρ * (torch.outer(s, Hy) + torch.outer(Hy, s))
        + (ρ * ρ * (y @ Hy) + ρ) * torch.outer(s, s)
    )


class LBFGS(QuasiNewton):
    """BFGS from the last few pairs (s, y) alone, by two passes over them.

    Source: Nocedal & Wright (2006), algorithm 7.4; numbers as ``torch.optim.LBFGS(max_iter=1)``.
    """

    def __init__(
        self,
        parameters: Iterable[Any],
        lr: float = 1.0,
        weight_decay: float = 0.0,
        history: int = 10,
        *,
        same: bool = False,
    ) -> None:
        super().__init__(parameters, lr, weight_decay, same=same, history=history)

    def learn(self, s: Tensor, y: Tensor, m: dict[str, Any]) -> None:
        """Remember the pair, and forget the oldest."""
        m["pairs"] = [*m.get("pairs", []), (s, y)][-self.param_groups[0]["history"] :]

    def direction(self, g: Tensor, m: dict[str, Any]) -> Tensor:
        """−Hg by the two-loop recursion, from H₀ = (sᵀy / yᵀy) I of the newest pair."""
        pairs, q, αs = m.get("pairs", []), -g, []
        for s, y in reversed(pairs):
            αs.append((s @ q) / (y @ s))
            q = q - αs[-1] * y
        if pairs:
            s, y = pairs[-1]
            q = q * ((s @ y) / (y @ y))
        for (s, y), α in zip(pairs, reversed(αs), strict=True):
            q = q + (α - (y @ q) / (y @ s)) * s
        return q
