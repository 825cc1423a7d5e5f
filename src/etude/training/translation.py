"""Translations: a text's tokens, written by beam search in batches, and measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from etude.data.pieces import BEGIN, END, PAD, Pieces
from etude.data.ragged import Ragged
from etude.errors import UserError
from etude.training.evaluation import evaluating
from etude.training.search import beam_search


def tokens_of(pieces: Pieces, texts: Sequence[str]) -> Ragged:
    """The tokens of each text, and its end."""
    return Ragged.of([[*pieces.encode(text), END] for text in texts])


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
    """What is written of each text, and the mean rank of it, by :func:`beam_search`.

    Texts of like length go together, so that little is padded.

    Args:
        net: an ``nn.Module`` and a :class:`etude.training.search.Writer`.
        pieces: of both languages.
        texts: to be read.
        longest: tokens that are written at most.
        width: of the beam.
        penalty: of length.
        device: of the network.
        batch: rows at once, so ``batch // width`` texts.
    """
    read = tokens_of(pieces, texts)
    order = read.lengths.argsort(stable=True)
    written, ranks = [""] * len(texts), 0.0
    with evaluating(net):
        for part in torch.split(order, max(1, batch // width)):
            source = read[part].padded(PAD).to(device)
            found, rank = beam_search(
                net, source, BEGIN, END, longest, width=width, penalty=penalty, pad=PAD
            )
            ranks += float(rank.sum())
            for i, row in zip(part.tolist(), found.tolist(), strict=True):
                written[i] = pieces.decode(row)
    return written, ranks / len(texts)


def exact(written: Sequence[str], expected: Sequence[str]) -> float:
    """The part of texts that are right to the letter, from 0 to 1."""
    return sum(a == b for a, b in zip(written, expected, strict=True)) / len(expected)


def bleu(written: Sequence[str], expected: Sequence[str]) -> float:
    """BLEU of all texts together, from 0 to 100, with upper and lower case: as ``sacrebleu`` counts
    by default.

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
