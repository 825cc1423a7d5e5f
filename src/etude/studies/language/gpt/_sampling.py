"""Sampling from a language model: temperature, top-k, nucleus, and a cache."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from etude.runs.placement import in_fp32
from etude.training import evaluating


class Reader(Protocol):
    """A language model with a cache: tokens (1, time) → logits of the next ones, (1, time,
    vocabulary).
    """

    longest: int
    training: bool

    def __call__(self, tokens: Tensor, past: Any = None, /) -> Tensor:
        """Logits; with a cache, ``tokens`` are those that are new since the last call."""

    def cache(self) -> Any:
        """An empty cache."""


def next_probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Tensor:
    r"""Probabilities of the next token from its logits, sharpened and cut: (…, vocabulary) → (…,
    vocabulary).

    Args:
        logits: z, (…, vocabulary).
        temperature: T; $p \propto e^{z / T}$. At 0 the highest logit has probability 1.
        top_k: how many tokens are kept, the most probable ones; 0 keeps all.
        top_p: the *nucleus* is kept: the fewest most probable tokens that hold at least so much
            probability together.

    Sources: Fan, Lewis & Dauphin (2018), section 5 (top-k); Holtzman et al. (2020), section 3.1
    (nucleus).
    """
    if temperature == 0:
        return one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    p = (logits / temperature).softmax(-1)
    if not top_k and top_p >= 1:
        return p
    p, order = p.sort(descending=True, stable=True)
    before = p.cumsum(-1) - p  # what the more probable tokens hold
    keep = before < top_p
    if top_k:
        keep[..., top_k:] = False
    keep[..., 0] = True
    p = p.masked_fill(~keep, 0)
    return torch.zeros_like(p).scatter(-1, order, p / p.sum(-1, keepdim=True))


def sample(
    net: Reader,
    tokens: Tensor,
    n: int,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    cached: bool = True,
    generator: torch.Generator | None = None,
) -> Iterator[int]:
    """Tokens that continue ``tokens``, one at a time, each drawn given all before it.

    When the context is full, the network goes on from the last half of it.

    Args:
        net: the language model.
        tokens: the prompt, at least one token, (time,).
        n: the number of tokens to draw.
        temperature: as for :func:`next_probabilities`, and so are ``top_k`` and ``top_p``.
        top_k: tokens that are kept.
        top_p: probability that is kept.
        cached: whether keys and values are kept: the tokens are the same, but each costs one
            position and not all.
        generator: the source of randomness; by default PyTorch's own.
    """
    window = tokens[None, -net.longest :]  # (1, time)
    past, new = net.cache() if cached else None, window
    for _ in range(n):
        # entered for each token, since the caller's code runs between two of them
        with evaluating(net) if net.training else torch.inference_mode(), in_fp32():  # type: ignore[arg-type]
            p = next_probabilities(
                net(new if cached else window, past)[:, -1], temperature, top_k, top_p
            )
            # the argmax of p / Exp(1) is distributed as p, and faster than torch.multinomial
            clocks = torch.empty_like(p).exponential_(generator=generator)
            new = (p / clocks).argmax(-1, keepdim=True)  # (1, 1)
        yield int(new)
        window = torch.cat([window, new], 1)
        if window.shape[1] > net.longest:
            window = window[:, -max(1, net.longest // 2) :]
            past, new = net.cache() if cached else None, window
