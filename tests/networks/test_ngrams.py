"""The bag of n-grams: its weighted mean, its gradients, its two forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from etude.data.ragged import Ragged
from etude.data.text import document_frequency
from etude.networks.ngrams import NGramBag, pad

ROWS = Ragged.of([[3, 1, 1], [2], [], [5, 4, 0, 2]])


@pytest.fixture
def net() -> NGramBag:
    torch.manual_seed(0)
    net = NGramBag(buckets=6, width=4, classes=3, dropout=0.5)
    net.weigh(document_frequency(ROWS, 6), len(ROWS))
    return net


def test_the_mean_is_the_equation(net: NGramBag) -> None:
    net.eval()
    w = [math.log(5 / (1 + n)) for n in (1, 1, 2, 1, 1, 1)]
    for row, found in zip(([3, 1, 1], [2], [], [5, 4, 0, 2]), net.mean(ROWS), strict=True):
        h = sum((w[g] * net.embeddings[g] for g in row), torch.zeros(4))
        norm = math.sqrt(sum(w[g] ** 2 for g in row)) or 1.0
        torch.testing.assert_close(found, h / norm)


def test_padded_rows_give_the_same(net: NGramBag) -> None:
    net.eval()
    assert pad(ROWS).tolist() == [[3, 1, 1, -1], [2, -1, -1, -1], [-1] * 4, [5, 4, 0, 2]]
    torch.testing.assert_close(net(pad(ROWS)), net(ROWS))


def test_a_text_without_words_gets_the_bias(net: NGramBag) -> None:
    net.eval()
    torch.testing.assert_close(net(ROWS)[2], net.head.bias)


def test_every_parameter_learns_and_a_batch_can_be_learned_by_heart(net: NGramBag) -> None:
    net.dropout = 0.0
    labels = torch.tensor([0, 1, 2, 2])
    cross_entropy(net(ROWS), labels).backward()
    assert (net.embeddings.grad.abs().sum(1) > 0).all()
    assert all(p.grad.abs().sum() > 0 for p in net.head.parameters())
    optimizer = torch.optim.Adam(net.parameters(), 0.1)
    for _ in range(100):
        optimizer.zero_grad()
        loss = cross_entropy(net(ROWS), labels)
        loss.backward()
        optimizer.step()
    assert loss < 0.01


def test_leaving_out_is_for_training_only(net: NGramBag) -> None:
    assert not torch.equal(net(ROWS), net(ROWS))
    net.eval()
    assert torch.equal(net(ROWS), net(ROWS))
