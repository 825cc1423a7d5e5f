"""Beam search: the best of several translations that are continued at once."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class DecoderCache(Protocol):
    """What a decoder keeps from one call to the next, one row for each text."""

    def select(self, rows: Tensor, /) -> None:
        """Go on with these rows, in this order."""


class Seq2Seq(Protocol):
    """A network that reads one sequence and predicts the next token of another."""

    def encode(self, source: Tensor, /) -> Tensor:
        """The encoder's output: (n, s) → (n, s, width)."""

    def source_mask(self, source: Tensor, /) -> Tensor:
        """True where the source has a token and no padding; the first axis is n."""

    def cache(self) -> Any:
        """An empty :class:`DecoderCache`."""

    def decode(self, target: Tensor, memory: Tensor, source_mask: Tensor, past: Any, /) -> Tensor:
        """Logits of the token that follows each new one: (n, t) → (n, t, vocabulary)."""


def beam_search(
    net: Seq2Seq,
    source: Tensor,
    begin: int,
    end: int,
    longest: int,
    *,
    width: int = 1,
    penalty: float = 0.0,
    pad: int = 0,
) -> tuple[Tensor, Tensor]:
    r"""The text y with the highest rank $\ln p(y \mid x) / l(|y|)$ that a beam of ``width`` texts
    finds.

    At every step each text of the beam is continued by every token, and the best ``width`` are
    kept. A text that has ended keeps its rank, and its place until better ones push it out. The
    search ends when no unfinished text can still rank above the best finished one. A beam of width
    1 is greedy: it takes the most probable token each time. One as wide as there are texts is
    exact.

    $l(n) = \left(\frac{5 + n}{6}\right)^\alpha$, where n counts the end, too.

    Args:
        net: the network, in evaluation mode.
        source: the tokens that are read, (n, s).
        begin: the token before the first.
        end: the token that ends a text.
        longest: tokens of a text at most, its end included.
        width: texts that are kept for each source.
        penalty: α; 0 ranks by probability, which prefers short texts.
        pad: the token behind the end.

    Returns:
        The best text for each source, (n, longest), and its rank, (n,).

    Source: Wu et al. (2016), Google's neural machine translation system, equation 14, without
    coverage.
    """
    n, device = len(source), source.device
    memory = net.encode(source).repeat_interleave(width, 0)  # (n · width, s, features)
    source_mask = net.source_mask(source).repeat_interleave(width, 0)
    past = net.cache()
    first = torch.arange(n, device=device)[:, None] * width  # (n, 1): the first row of each beam
    token = torch.full((n * width, 1), begin, device=device)
    text = torch.full((n, width, longest), pad, device=device)
    log_p = torch.full((n, width), -torch.inf, device=device)
    log_p[:, 0] = 0  # at first all texts of a beam are the same one
    ended = torch.zeros(n, width, dtype=torch.bool, device=device)
    length = torch.zeros(n, width, device=device)
    rank = log_p

    for t in range(longest):
        logits = net.decode(token, memory, source_mask, past)[:, -1]  # (n · width, vocabulary)
        step = logits.float().log_softmax(-1).view(n, width, -1)  # (n, width, vocabulary)
        only_pad = torch.full_like(step[0, 0], -torch.inf)
        only_pad[pad] = 0  # what has ended goes on with padding, at no cost
        total = log_p[:, :, None] + torch.where(ended[:, :, None], only_pad, step)

        length = length + ~ended
        ranks = total / length_factor(length, penalty)[:, :, None]  # (n, width, vocabulary)
        rank, best = ranks.flatten(1).topk(width)  # (n, width)
        parent = best // step.shape[2]
        token = best % step.shape[2]

        log_p = total.flatten(1).gather(1, best)
        length = length.gather(1, parent)
        text = text.gather(1, parent[:, :, None].expand_as(text))
        text[:, :, t] = token
        ended = ended.gather(1, parent) | (token == end)

        # ln p only falls: an unfinished text ranks at most as if it ended now at the full length
        hope = log_p.masked_fill(ended, -torch.inf) / ((5 + longest) / 6) ** penalty
        if (rank.masked_fill(~ended, -torch.inf).amax(1) >= hope.amax(1)).all():
            break
        past.select((first + parent).flatten())
        token = token.view(-1, 1)
    winner = rank.argmax(1)
    return text[torch.arange(n, device=device), winner], rank.amax(1)


def length_factor(length: Tensor, penalty: float) -> Tensor:
    r"""$l(n) = ((5 + n) / 6)^\alpha$ of each length n: any shape → the same shape."""
    return ((5 + length) / 6).pow(penalty)
