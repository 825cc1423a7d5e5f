"""Language models measured and made to write: surprise at a text, temperature, top-k, nucleus,
sampling by a cache.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot, pad

from etude.runs.placement import in_fp32
from etude.training.evaluation import evaluating


class Reader(Protocol):
    """A network that scores the next token of each place, (1, time) → (1, time, vocabulary), and
    can keep a cache.
    """

    longest: int
    training: bool

    def __call__(self, tokens: Tensor, past: Any = None, /) -> Tensor:
        """Scores; with a cache, ``tokens`` are those that are new since the last call."""

    def cache(self) -> Any:
        """An empty one."""


def surprises(net: nn.Module, tokens: Tensor, context: int, stride: int, batch: int = 32) -> Tensor:
    r"""$-\ln p(\text{token} \mid \text{what stands before it in its window})$, in nats: (windows,
    context).

    Windows begin every ``stride`` tokens, and each predicts the ``context`` tokens behind its
    first. The last one may reach beyond the end: there it is NaN.

    Args:
        net: (batch, context) → (batch, context, vocabulary).
        tokens: a text, (n,).
        context: tokens that are read at most.
        stride: from one window to the next.
        batch: windows at once.
    """
    windows = max(0, -(-(len(tokens) - 1 - context) // stride)) + 1
    whole = pad(tokens, (0, (windows - 1) * stride + context + 1 - len(tokens)), value=-1)
    rows = whole.unfold(0, context + 1, stride)  # (windows, context + 1)
    found = []
    with evaluating(net):
        for part in torch.split(rows, batch):
            scores = net(part[:, :-1].clamp_min(0)).transpose(1, 2)  # (batch, vocabulary, context)
            nats = cross_entropy(scores, part[:, 1:].clamp_min(0), reduction="none")
            found.append(nats.masked_fill(part[:, 1:] < 0, torch.nan))
    return torch.cat(found)


def in_order(nats: Tensor, stride: int) -> Tensor:
    """One surprise for each token but a text's first, from :func:`surprises`: where it has the most
    context.
    """
    line = torch.cat([nats[0], nats[1:, -stride:].flatten()])
    return line[~line.isnan()]


def by_character(text: str, nats: Tensor) -> list[float]:
    """Bits of each character, from the nats of each byte but the first of a text; a first character
    has NaN.
    """
    sizes = [len(character.encode()) for character in text]
    parts = torch.split(torch.cat([nats.new_tensor([torch.nan]), nats]).cpu(), sizes)
    return [float(part.sum()) / math.log(2) for part in parts]


def narrowed(
    scores: Tensor, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Tensor:
    r"""Probabilities of the next token, sharpened and cut: (…, vocabulary) → the same.

    Args:
        scores: of the tokens.
        temperature: T; $p \propto e^{z / T}$. 0: all on the highest score.
        top_k: only so many, the likeliest, are left; 0: all.
        top_p: only the *nucleus* is left: the fewest likeliest tokens that hold at least so much
            probability.

    Sources: Fan, Lewis & Dauphin (2018), section 5 (top-k); Holtzman et al. (2020), section 3.1
    (nucleus).
    """
    if temperature == 0:
        return one_hot(scores.argmax(-1), scores.shape[-1]).to(scores.dtype)
    p = (scores / temperature).softmax(-1)
    if not top_k and top_p >= 1:
        return p
    p, order = p.sort(descending=True, stable=True)
    before = p.cumsum(-1) - p  # what the likelier ones hold
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
    """Tokens that go on from ``tokens``, one at a time, each drawn given all before it.

    Where the network can read no more, it goes on from the last half of what it read.

    Args:
        net: with or without a cache it gives the same tokens; with it, each costs one position and
            not all.
        tokens: at least one, (time,).
        n: how many to draw.
        temperature: as of :func:`narrowed`, and so are the next two.
        top_k: see there.
        top_p: see there.
        cached: keep keys and values of what was read.
        generator: of the draws; by default PyTorch's own.
    """
    window = tokens[None, -net.longest :]  # (1, time)
    past, new = net.cache() if cached else None, window
    for _ in range(n):
        # not around the loop: what is between two tokens is others'; a net that sleeps isn't looked
        # through each time
        with evaluating(net) if net.training else torch.inference_mode(), in_fp32():  # type: ignore[arg-type]
            p = narrowed(net(new if cached else window, past)[:, -1], temperature, top_k, top_p)
            # whose exponential clock strikes first; torch.multinomial does that, too, behind checks
            # that take longer
            new = (p / torch.empty_like(p).exponential_(generator=generator)).argmax(
                -1, keepdim=True
            )  # (1, 1)
        yield int(new)
        window = torch.cat([window, new], 1)
        if window.shape[1] > net.longest:
            window = window[:, -max(1, net.longest // 2) :]
            past, new = net.cache() if cached else None, window
