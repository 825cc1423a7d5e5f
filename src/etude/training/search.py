"""What a decoder writes: the likeliest token again and again, or the best of several texts
at once.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor


class Past(Protocol):
    """What a decoder keeps of earlier calls, one row for each text."""

    def select(self, rows: Tensor, /) -> None:
        """Go on with these rows, in this order."""


class Writer(Protocol):
    """A network that reads one sequence and scores the next token of another."""

    def encode(self, source: Tensor, /) -> Tensor:
        """(n, s) → (n, s, width)."""

    def source_mask(self, source: Tensor, /) -> Tensor:
        """Which of the source's tokens are no padding, first axis n."""

    def cache(self) -> Any:
        """An empty :class:`Past`."""

    def decode(self, target: Tensor, memory: Tensor, source_mask: Tensor, past: Any, /) -> Tensor:
        """Scores of the token behind each new one: (n, t) → (n, t, vocabulary)."""


def beam_search(
    net: Writer,
    source: Tensor,
    begin: int,
    end: int,
    longest: int,
    *,
    width: int = 1,
    penalty: float = 0.0,
    pad: int = 0,
) -> tuple[Tensor, Tensor]:
    r"""The text y of highest $\ln p(y \mid x) / l(|y|)$ that a beam of ``width`` texts finds: (n,
    longest), and its score.

    At every step each text of the beam is continued by every token, and the best ``width`` are
    kept. One that has ended keeps its place with its score until better ones push it out; it is
    over when none that has not ended can still rank above the best. A beam of width 1 is greedy:
    always the likeliest token. One as wide as there are texts is exact.

    $l(n) = \left(\frac{5 + n}{6}\right)^\alpha$, where n counts the end, too.

    Args:
        net: in evaluation mode.
        source: (n, s).
        begin: the token before the first.
        end: the token that ends a text; behind it the result is padded.
        longest: of what is written, its end included.
        width: texts that are kept.
        penalty: alpha; 0 ranks by probability, which prefers short texts.
        pad: the token behind the end.

    Returns:
        The best text of each row, and its rank, (n,).

    Source: Wu et al. (2016), Google's neural machine translation system, equation 14, without
    coverage.
    """
    n, device = len(source), source.device
    memory, source_mask = (
        part.repeat_interleave(width, 0) for part in (net.encode(source), net.source_mask(source))
    )
    past = net.cache()
    first = torch.arange(n, device=device)[:, None] * width  # (n, 1): the first row of each beam
    token = torch.full((n * width, 1), begin, device=device)
    text = torch.full((n, width, longest), pad, device=device)
    log_p = torch.full((n, width), -torch.inf, device=device)
    log_p[:, 0] = 0  # at first all texts of a beam are the same one
    over = torch.zeros(n, width, dtype=torch.bool, device=device)
    length = torch.zeros(n, width, device=device)
    rank = log_p

    for t in range(longest):
        step = (
            net.decode(token, memory, source_mask, past)[:, -1]
            .float()
            .log_softmax(-1)
            .view(n, width, -1)
        )
        ended = torch.full_like(step[0, 0], -torch.inf)
        ended[pad] = 0  # what is over goes on for nothing
        total = log_p[:, :, None] + torch.where(
            over[:, :, None], ended, step
        )  # (n, width, vocabulary)
        length = length + ~over
        ranks = total / ((5 + length) / 6).pow(penalty)[:, :, None]
        rank, best = ranks.flatten(1).topk(width)  # (n, width)
        parent, token = best // step.shape[2], best % step.shape[2]
        log_p, over, length = (
            total.flatten(1).gather(1, best),
            over.gather(1, parent),
            length.gather(1, parent),
        )
        text = text.gather(1, parent[:, :, None].expand_as(text))
        text[:, :, t] = token
        over = over | (token == end)
        hope = (
            log_p.masked_fill(over, -torch.inf) / ((5 + longest) / 6) ** penalty
        )  # ln p only falls
        if (rank.masked_fill(~over, -torch.inf).amax(1) >= hope.amax(1)).all():
            break
        past.select((first + parent).flatten())
        token = token.view(-1, 1)
    winner = rank.argmax(1)
    return text[torch.arange(n, device=device), winner], rank.amax(1)
