"""What costs no training: naive Bayes, which counts in how many texts of a class an n-gram is."""

from __future__ import annotations

import torch
from torch import Tensor

from etude.data.ragged import Ragged
from etude.data.text import document_frequency


def naive_bayes(texts: Ragged, labels: Tensor, asked: Ragged, buckets: int) -> Tensor:
    r"""The most probable class of each text, if its n-grams were independent given the class: (n,).

    $\log p(y) + \sum_g \log \frac{1 + n_{g y}}{B + \sum_{g'} n_{g' y}}$, where $n_{g y}$ texts of
    class y contain the n-gram g and B is the number of different n-grams.

    Source: Manning, Raghavan & Schütze (2008), Introduction to information retrieval, section 13.2.

    Args:
        texts: training texts, as rows of n-grams' numbers.
        labels: of these, (N,).
        asked: texts to classify.
        buckets: the numbers are below it.
    """
    classes = int(labels.max()) + 1
    own = [(labels == k).nonzero().flatten() for k in range(classes)]
    counts = torch.stack([document_frequency(texts[rows], buckets) for rows in own])  # (classes, B)
    seen = counts.sum(0) > 0
    smooth = 1.0 + counts
    log_p = (smooth / smooth[:, seen].sum(1, keepdim=True)).log() * seen
    prior = torch.tensor([len(rows) for rows in own]).log()
    scores = prior.expand(len(asked), -1).clone()
    row = torch.repeat_interleave(torch.arange(len(asked)), asked.lengths)
    scores.index_add_(0, row, log_p.T[asked.values])
    return scores.argmax(1)
