"""What counting gives: the probabilities of Kneser & Ney's n-grams."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
import pytest
import torch

from etude import data
from etude.studies.language.gpt._baseline import LONGEST, compare_to_counting, discounts, kneser_ney

TRAIN = "the cat sat on the mat. the hat of the cat is on the mat, and the rat ate the oats."


def directly(train: bytes, context: bytes, byte: int, top: bool = True) -> float:
    """p(byte | context) by dictionaries, as in Chen & Goodman (1999), section 3."""
    n = len(context) + 1
    if top:
        counts = Counter(train[i : i + n] for i in range(len(train) - n + 1))
    else:
        before = defaultdict(set)
        for i in range(len(train) - n):
            before[train[i + 1 : i + 1 + n]].add(train[i])
        counts = Counter({gram: len(found) for gram, found in before.items()})
    d = discounts(np.array([*counts.values()]))
    of_context = [c for gram, c in counts.items() if gram[:-1] == context]
    shorter = directly(train, context[1:], byte, top=False) if context else 1 / 256
    if not of_context:
        return shorter
    free = sum(d[min(c, 3)] for c in of_context)
    c = counts[context + bytes([byte])]
    return (c - d[min(c, 3)] + free * shorter) / sum(of_context)


@pytest.mark.parametrize("asked", ["the cat sat", "a hat is not on the mat", "xyz the", "€t"])
def test_counts_are_those_of_a_dictionary(asked) -> None:
    (nats,) = kneser_ney(data.bytes_of(TRAIN), data.bytes_of(asked))
    text = asked.encode()
    assert nats.shape == (LONGEST, len(text) - 1)
    for k in (1, 2, 4, 7):
        for i in range(k, len(text)):
            expected = directly(TRAIN.encode(), text[i - k : i], text[i])
            assert np.exp(-nats[k - 1, i - 1]) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("context", ["the", "zzz", "he cat s"])
def test_the_probabilities_of_all_bytes_add_up_to_one(context) -> None:
    asked = [torch.tensor([*context.encode(), byte]) for byte in range(256)]
    p = [np.exp(-nats[:, -1]) for nats in kneser_ney(data.bytes_of(TRAIN), *asked)]
    np.testing.assert_allclose(np.sum(p, 0), 1, rtol=1e-9)


def test_counting_is_a_result_and_so_is_what_the_network_adds() -> None:
    class Kept:
        def __init__(self) -> None:
            self.metrics: dict[str, float] = {}

        def result(self, metrics, held_out=0) -> None:
            self.metrics |= metrics

    text = data.bytes_of(TRAIN)
    run = Kept()
    knowing = torch.full((len(text) - 1,), 0.1)
    by_context = compare_to_counting(run, (text, text, text), knowing, len(text) - 1)
    assert len(by_context) == LONGEST
    counting = run.metrics["counting/test/bits"]
    assert counting == pytest.approx(min(by_context)), "chosen on validation text, here the same"
    gain = counting - run.metrics["with counting/test/bits"]
    assert run.metrics["gain/with counting over counting"] == pytest.approx(gain)
    assert gain > 0
