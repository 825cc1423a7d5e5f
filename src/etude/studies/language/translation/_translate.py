"""Translations: the tokens of texts, beam search over batches of them, and their quality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from etude import UserError
from etude.data.pieces import BEGIN, END, PAD, Pieces
from etude.data.ragged import Ragged
from etude.layers.attention import record_attention
from etude.training import evaluating

from ._beam_search import beam_search


def tokens_of(pieces: Pieces, texts: Sequence[str]) -> Ragged:
    """The tokens of each text, with the end token behind them."""
    return Ragged.of([[*pieces.encode(text), END] for text in texts])


def shift_right(target: Tensor) -> Tensor:
    """What the decoder has read when it predicts each token of the target: (n, t) → (n, t)."""
    return pad(target[:, :-1], (1, 0), value=BEGIN)


def translate(
    net: Any,
    pieces: Pieces,
    texts: Sequence[str],
    longest: int,
    *,
    width: int = 1,
    penalty: float = 0.0,
    device: torch.device | str = "cpu",
    batch: int = 256,
) -> tuple[list[str], float]:
    """A translation of each text, and the mean of their ranks, by :func:`beam_search`.

    Texts of similar length go together, so that there is little padding.

    Args:
        net: an ``nn.Module`` and a :class:`Seq2Seq`.
        pieces: the pieces of both languages.
        texts: the texts to translate.
        longest: tokens of a translation at most.
        width: the width of the beam.
        penalty: the length penalty, α.
        device: the device of the network.
        batch: rows that are computed at once, so ``batch // width`` texts.
    """
    tokens = tokens_of(pieces, texts)
    order = tokens.lengths.argsort(stable=True)
    translations = [""] * len(texts)
    total = 0.0
    with evaluating(net):
        for part in torch.split(order, max(1, batch // width)):
            source = tokens[part].padded(PAD).to(device)  # (n, s)
            found, rank = beam_search(
                net, source, BEGIN, END, longest, width=width, penalty=penalty, pad=PAD
            )
            total += float(rank.sum())
            for i, row in zip(part.tolist(), found.tolist(), strict=True):
                translations[i] = pieces.decode(row)
    return translations, total / len(texts)


def cross_attention(net: nn.Module, source: Tensor, target: Tensor) -> tuple[Tensor, list[Tensor]]:
    """How the network predicts a translation, and what it attends to in the source.

    Args:
        net: the encoder and decoder.
        source: the tokens of one text, (1, s).
        target: the tokens of its translation, (1, t).

    Returns:
        The logits, (1, t, vocabulary), and the weights of each layer, (heads, t, s).
    """
    with evaluating(net), record_attention(net) as weights:
        logits = net(source, shift_right(target))
    layers = [name for name in weights if name == "attention" or name.endswith("cross")]
    return logits, [weights[name][0] for name in layers]


def exact(written: Sequence[str], expected: Sequence[str]) -> float:
    """The fraction of texts that are exactly as expected, from 0 to 1."""
    return sum(a == b for a, b in zip(written, expected, strict=True)) / len(expected)


def bleu(written: Sequence[str], expected: Sequence[str]) -> float:
    """BLEU of all texts together, from 0 to 100, case-sensitive, by the defaults of ``sacrebleu``.

    Sources: Papineni et al. (2002); Post (2018), A call for clarity in reporting BLEU scores.

    Raises:
        UserError: the package is missing.
    """
    try:
        import sacrebleu
    except ImportError:
        raise UserError(
            "BLEU is counted by sacrebleu; install it with: pip install 'etude[text]'"
        ) from None
    return float(sacrebleu.corpus_bleu(list(written), [list(expected)]).score)
