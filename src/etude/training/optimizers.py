r"""Optimisers: each is its update, in a few lines and in the letters of its paper; any study runs
with any of them.

A study has a field ``optimizer: OptimizerName = "adamw"`` and calls ``descent(self.optimizer, net,
rate, decay)``.

``w`` is a parameter, ``g`` its gradient (with the L2 penalty's part, ``weight_decay · w``), ``η``
the learning rate, ``m`` what the optimiser remembers of the parameter, and ``m["t"]`` how often it
has been stepped, from 1. Defaults are PyTorch's, and so are the numbers: tests hold each to
``torch.optim``, over 100 steps, Muon over 30. Where PyTorch has the same rule in one fused kernel,
:func:`descent` takes that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, overload

import torch
from torch import Tensor, nn

from etude.runs.placement import has_bf16
from etude.training.quasi_newton import BFGS, LBFGS, Optimizer, plain

Memory = dict[str, Any]
MAPS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]


class Rule(Optimizer):
    """An optimiser that treats every tensor on its own: a subclass says in ``update`` what one step
    does.

    Args:
        parameters: tensors, or groups with settings of their own.
        lr: the learning rate η.
        weight_decay: λ; λw is added to the gradient (AdamW: the weights shrink by ηλw apart from
            it).
        coefficients: the rule's own, as named in ``coefficients``.
    """

    lr = 1e-3
    coefficients: Mapping[str, float] = {}

    def __init__(
        self,
        parameters: Parameters,
        lr: float | None = None,
        weight_decay: float = 0.0,
        **coefficients: float,
    ) -> None:
        unknown = coefficients.keys() - self.coefficients.keys()
        if unknown:
            has = ", ".join(self.coefficients) or "none"
            raise TypeError(
                f"{type(self).__name__} has no coefficient {', '.join(sorted(unknown))}; expected:"
                f" {has}"
            )
        lr = self.lr if lr is None else lr
        super().__init__(
            parameters,
            {"lr": lr, "weight_decay": weight_decay, **self.coefficients, **coefficients},
        )

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        """Change ``w`` in place."""
        raise NotImplementedError

    def decay(self, w: Tensor, g: Tensor, η: float, λ: float) -> Tensor:
        """The gradient of the loss with the penalty λ|w|²/2."""
        return g.add(w, alpha=λ) if λ else g

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            coefficients = {name: group[name] for name in self.coefficients}
            for w in group["params"]:
                if w.grad is None:
                    continue
                m = self.state[w]
                m["t"] = m.get("t", 0) + 1
                g = self.decay(w, w.grad, group["lr"], group["weight_decay"])
                self.update(w, g, group["lr"], m, **coefficients)
        return loss


def kept(m: Memory, name: str, like: Tensor) -> Tensor:
    """What is remembered under a name; zero at first."""
    if name not in m:
        m[name] = torch.zeros_like(like)
    memory: Tensor = m[name]
    return memory


class SGD(Rule):
    r"""$w \leftarrow w - \eta g$. Source: Robbins & Monro (1951)."""

    lr = 1e-2

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        w.sub_(g, alpha=η)


class Momentum(Rule):
    r"""$v \leftarrow \mu v + g$, $w \leftarrow w - \eta v$: a heavy ball. Source: Polyak (1964)."""

    lr = 1e-2
    coefficients = {"momentum": 0.9}

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        v = kept(m, "v", w).mul_(coefficients["momentum"]).add_(g)
        w.sub_(v, alpha=η)


class Nesterov(Rule):
    r"""$v \leftarrow \mu v + g$, $w \leftarrow w - \eta (g + \mu v)$: the gradient a step ahead.

    Source: Nesterov (1983), in the form of Sutskever et al. (2013).
    """

    lr = 1e-2
    coefficients = {"momentum": 0.9}

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        μ = coefficients["momentum"]
        v = kept(m, "v", w).mul_(μ).add_(g)
        w.sub_(g + μ * v, alpha=η)


class Adagrad(Rule):
    r"""$s \leftarrow s + g^2$, $w \leftarrow w - \eta g / (\sqrt s + \epsilon)$.

    Source: Duchi, Hazan & Singer (2011).
    """

    lr = 1e-2
    coefficients = {"eps": 1e-10}

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        s = kept(m, "s", w).addcmul_(g, g)
        w.addcdiv_(g, s.sqrt().add_(coefficients["eps"]), value=-η)


class RMSprop(Rule):
    r"""$s \leftarrow \rho s + (1 - \rho) g^2$, $w \leftarrow w - \eta g / (\sqrt s + \epsilon)$.

    Source: Tieleman & Hinton (2012), lecture 6e.
    """

    lr = 1e-2
    coefficients = {"alpha": 0.99, "eps": 1e-8}

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        ρ = coefficients["alpha"]
        s = kept(m, "s", w).mul_(ρ).addcmul_(g, g, value=1 - ρ)
        w.addcdiv_(g, s.sqrt().add_(coefficients["eps"]), value=-η)


class Adadelta(Rule):
    r"""$\Delta = g \sqrt{d + \epsilon} / \sqrt{s + \epsilon}$ with running means $s$ of $g^2$ and
    $d$ of $\Delta^2$.

    The step $-\eta \Delta$ has the unit of $w$, so that $\eta = 1$ would do for every problem.
    Source: Zeiler (2012).
    """

    lr = 1.0
    coefficients = {"rho": 0.9, "eps": 1e-6}

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        ρ, ε = coefficients["rho"], coefficients["eps"]
        s, d = kept(m, "s", w), kept(m, "d", w)
        s.mul_(ρ).addcmul_(g, g, value=1 - ρ)
        Δ = g * (d + ε).sqrt() / (s + ε).sqrt()
        d.mul_(ρ).addcmul_(Δ, Δ, value=1 - ρ)
        w.sub_(Δ, alpha=η)


class Adam(Rule):
    r"""$w \leftarrow w - \eta \hat m / (\sqrt{\hat v} + \epsilon)$ with running means of $g$ and
    $g^2$, corrected for their start.

    Source: Kingma & Ba (2015), algorithm 1.
    """

    coefficients = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        β1, β2, t = coefficients["beta1"], coefficients["beta2"], m["t"]
        mean = kept(m, "m", w).mul_(β1).add_(g, alpha=1 - β1)
        square = kept(m, "v", w).mul_(β2).addcmul_(g, g, value=1 - β2)
        root = (square / (1 - β2**t)).sqrt_().add_(coefficients["eps"])
        w.addcdiv_(mean, root, value=-η / (1 - β1**t))


class AdamW(Adam):
    r"""Adam, with $w \leftarrow (1 - \eta \lambda) w$ apart from the gradient. Source:
    Loshchilov & Hutter (2019).
    """

    def decay(self, w: Tensor, g: Tensor, η: float, λ: float) -> Tensor:
        w.mul_(1 - η * λ)
        return g


class AdaMax(Rule):
    r"""Adam with the largest gradient of late, $u \leftarrow \max(\beta_2 u, |g|)$, in place of the
    root mean square.

    Source: Kingma & Ba (2015), algorithm 2; ε as in PyTorch.
    """

    lr = 2e-3
    coefficients = {"beta1": 0.9, "beta2": 0.999, "eps": 1e-8}

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        β1, β2, t = coefficients["beta1"], coefficients["beta2"], m["t"]
        mean = kept(m, "m", w).mul_(β1).add_(g, alpha=1 - β1)
        u = kept(m, "u", w).mul_(β2)
        torch.maximum(u, g.abs().add_(coefficients["eps"]), out=u)
        w.addcdiv_(mean, u, value=-η / (1 - β1**t))


def orthogonal(x: Tensor) -> Tensor:
    r"""About $U V^\top$ of $x = U \Sigma V^\top$: singular values of 0.7 to 1.2 in place of Σ's.

    No SVD is needed.

    An odd polynomial in x, such as $p(x) = a x + b x x^\top x + c (x x^\top)^2 x$, acts on the
    singular values alone. This one, five times, lifts whatever is not tiny to about 1. So coarse an
    aim can be computed in bf16.

    Args:
        x: (rows, columns).

    Source: Jordan et al. (2024), Muon; the coefficients are theirs.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    y = x.T if len(x) > x.shape[1] else x  # the smaller square
    y = y.bfloat16() if y.dtype == torch.float and has_bf16(y.device) else y
    y = y / y.norm().clamp_min(1e-7)
    for _ in range(5):
        square = y @ y.T
        y = torch.addmm(y, torch.addmm(square, square, square, beta=b, alpha=c), y, beta=a)
    return (y.T if len(x) > x.shape[1] else y).to(x.dtype)


class Muon(AdamW):
    r"""Momentum $m \leftarrow \mu m + (1 - \mu) g$, and a step as long in every direction of a
    matrix: $w \leftarrow w - 0.2 \eta \sqrt{\max(\text{rows}, \text{columns})} \, U V^\top$, where
    $(1 - \mu) g + \mu m = U \Sigma V^\top$.

    The factor gives a step the size of Adam's, so that η and λ can be as there. Vectors, and groups
    that say ``"matrix": False``, are AdamW's.

    Sources: Jordan et al. (2024), Muon; the factor: Liu et al. (2025), Muon is scalable for LLM
    training, section 2.2.
    """

    coefficients = {"matrix": True, "momentum": 0.95, **Adam.coefficients}

    def update(self, w: Tensor, g: Tensor, η: float, m: Memory, **coefficients: float) -> None:
        if w.ndim < 2 or not coefficients["matrix"]:
            super().update(w, g, η, m, **coefficients)
            return
        μ = coefficients["momentum"]
        step = g.lerp(kept(m, "m", w).lerp_(g, 1 - μ), μ).flatten(
            1
        )  # of a kernel: (channels out, all the rest)
        w.sub_(orthogonal(step).view_as(w), alpha=0.2 * η * max(step.shape) ** 0.5)


def eager(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """The same optimiser, for steps that are not compiled themselves."""
    methods = plain(kind)
    return type(kind.__name__, (kind,), methods | {"step": torch.no_grad()(methods["step"])})


FUSED: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": eager(torch.optim.SGD),
    "momentum": partial(eager(torch.optim.SGD), momentum=0.9),
    "nesterov": partial(eager(torch.optim.SGD), momentum=0.9, nesterov=True),
    "adagrad": eager(torch.optim.Adagrad),
    "adam": eager(torch.optim.Adam),
    "adamw": eager(torch.optim.AdamW),
}
WRITTEN: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": SGD,
    "momentum": Momentum,
    "nesterov": Nesterov,
    "adagrad": Adagrad,
    "adadelta": Adadelta,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamax": AdaMax,
    "adamw": AdamW,
    "muon": Muon,
    "bfgs": BFGS,
    "lbfgs": LBFGS,
}


def descent(
    name: str,
    parameters: nn.Module | Parameters,
    lr: float,
    weight_decay: float = 0.0,
    *,
    momentum: float = 0.9,
) -> torch.optim.Optimizer:
    """An optimiser by its name (``etude.study.OptimizerName``).

    Args:
        name: a key of ``WRITTEN``.
        parameters: a network, whose weights (matrices, kernels) are decayed and whose biases, norms
            and other vectors are not; or parameters, or groups, taken as they are. ``muon`` makes
            the steps of maps from layer to layer orthogonal; tables of embeddings are AdamW's.
        lr: the learning rate.
        weight_decay: λ: of ``adamw`` apart from the gradient, of all others λw in the gradient.
        momentum: of ``momentum`` and ``nesterov``.
    """
    if isinstance(parameters, nn.Module):
        learned = [w for w in parameters.parameters() if w.requires_grad]
        maps = (
            {id(layer.weight) for layer in parameters.modules() if isinstance(layer, MAPS)}
            if name == "muon"
            else {}
        )
        groups = [
            {
                "params": [w for w in learned if w.ndim >= 2 and id(w) not in maps],
                "weight_decay": weight_decay,
            },
            {"params": [w for w in learned if w.ndim < 2], "weight_decay": 0.0},
        ]
        if maps:
            groups = [{**group, "matrix": False} for group in groups]
            groups += [
                {"params": [w for w in learned if id(w) in maps], "weight_decay": weight_decay}
            ]
        parameters = [group for group in groups if group["params"]]
    coefficients = {"momentum": momentum} if name in ("momentum", "nesterov") else {}
    if name in FUSED:
        return FUSED[name](parameters, lr=lr, weight_decay=weight_decay, fused=True, **coefficients)
    return WRITTEN[name](parameters, lr=lr, weight_decay=weight_decay, **coefficients)
