"""How surprising a text is to a language model, token by token and character by character."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad

from etude.training import evaluating


def surprises(net: nn.Module, tokens: Tensor, context: int, stride: int, batch: int = 32) -> Tensor:
    r"""$-\ln p(\text{token} \mid \text{what stands before it in its window})$, in nats: (windows,
    context).

    Windows begin every ``stride`` tokens, and in each the ``context`` tokens after its first are
    predicted. The last window may reach beyond the end: there the surprise is NaN.

    Args:
        net: (batch, context) → logits (batch, context, vocabulary).
        tokens: the tokens of a text, (n,).
        context: the number of tokens that are read at most.
        stride: tokens from the beginning of one window to that of the next.
        batch: windows that are computed at once.
    """
    windows = max(0, -(-(len(tokens) - 1 - context) // stride)) + 1
    whole = pad(tokens, (0, (windows - 1) * stride + context + 1 - len(tokens)), value=-1)
    rows = whole.unfold(0, context + 1, stride)  # (windows, context + 1)
    found = []
    with evaluating(net):
        for part in torch.split(rows, batch):
            logits = net(part[:, :-1].clamp_min(0)).transpose(1, 2)  # (batch, vocabulary, context)
            nats = cross_entropy(logits, part[:, 1:].clamp_min(0), reduction="none")
            found.append(nats.masked_fill(part[:, 1:] < 0, torch.nan))
    return torch.cat(found)


def one_per_token(nats: Tensor, stride: int) -> Tensor:
    """The surprise of each token but a text's first, from the window in which it has the most
    context: (windows, context) → (n - 1,).
    """
    line = torch.cat([nats[0], nats[1:, -stride:].flatten()])
    return line[~line.isnan()]


def bits_per_character(text: str, nats: Tensor) -> list[float]:
    """The bits of each character, from the nats of each byte but the first of the text; the first
    character has NaN.
    """
    sizes = [len(character.encode()) for character in text]
    parts = torch.split(torch.cat([nats.new_tensor([torch.nan]), nats]).cpu(), sizes)
    return [float(part.sum()) / math.log(2) for part in parts]
