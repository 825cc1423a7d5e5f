"""Surprise at a text, and drawing the next token."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from etude.networks.gpt import GPT
from etude.studies.language.gpt._sampling import next_probabilities, sample
from etude.studies.language.gpt._surprise import bits_per_character, one_per_token, surprises


class Bigram(nn.Module):
    """Knows p(next | this) and nothing else."""

    longest = 8

    def __init__(self, table: torch.Tensor) -> None:
        super().__init__()
        self.table = table

    def forward(self, tokens: torch.Tensor, past: object = None) -> torch.Tensor:
        return self.table[tokens]

    def cache(self) -> None:
        return None


@pytest.mark.parametrize("n", [3, 9, 10, 16, 17, 18, 40])
@pytest.mark.parametrize("stride", [3, 4, 8])
def test_every_token_but_the_first_is_counted_once_with_the_most_context(n, stride) -> None:
    torch.manual_seed(0)
    net, tokens = Bigram(torch.randn(5, 5)), torch.randint(5, (n,))
    nats = surprises(net, tokens, 8, stride, batch=2)
    p = net.table.log_softmax(1)
    torch.testing.assert_close(one_per_token(nats, stride), -p[tokens[:-1], tokens[1:]])
    assert nats.shape[1] == 8


def test_windows_overlap_and_do_not_see_each_other() -> None:
    torch.manual_seed(0)
    net, tokens = GPT(7, 16, 2, 1, 6).double().eval(), torch.randint(7, (20,))
    nats = surprises(net, tokens, 6, 3)
    for w, row in enumerate(nats[:-1]):
        window = tokens[3 * w : 3 * w + 7]
        expected = -net(window[None, :-1])[0].log_softmax(1).gather(1, window[1:, None])[:, 0]
        torch.testing.assert_close(row, expected)
    assert len(one_per_token(nats, 3)) == 19


def test_bits_of_a_letter_are_those_of_its_bytes() -> None:
    bits = bits_per_character("aé€b", math.log(2) * torch.tensor([1.0, 2, 4, 8, 16, 32]))
    assert math.isnan(bits[0])
    assert bits[1:] == pytest.approx([3, 28, 32])


def test_temperature() -> None:
    scores = torch.tensor([[2.0, 0.0, 1.0]])
    torch.testing.assert_close(next_probabilities(scores), scores.softmax(1))
    torch.testing.assert_close(next_probabilities(scores, 0.5), (2 * scores).softmax(1))
    torch.testing.assert_close(next_probabilities(scores, 1e9), torch.full((1, 3), 1 / 3))
    assert next_probabilities(scores, 0).tolist() == [[1, 0, 0]]


def test_top_k_leaves_the_k_likeliest() -> None:
    scores = torch.tensor([0.1, 0.2, 0.4, 0.3]).log()
    torch.testing.assert_close(
        next_probabilities(scores, top_k=2), torch.tensor([0, 0, 4 / 7, 3 / 7])
    )
    torch.testing.assert_close(next_probabilities(scores, top_k=9), scores.exp())


def test_the_nucleus_is_the_smallest_set_that_holds_enough() -> None:
    scores = torch.tensor([0.1, 0.2, 0.4, 0.3]).log()
    torch.testing.assert_close(next_probabilities(scores, top_p=0.39), torch.tensor([0.0, 0, 1, 0]))
    torch.testing.assert_close(
        next_probabilities(scores, top_p=0.41), torch.tensor([0, 0, 4 / 7, 3 / 7])
    )
    torch.testing.assert_close(
        next_probabilities(scores, top_p=0.75), torch.tensor([0, 2 / 9, 4 / 9, 3 / 9])
    )
    assert next_probabilities(scores, top_p=0.0).tolist() == [0, 0, 1, 0]
    torch.manual_seed(0)
    for row in torch.randn(50, 9):
        kept, p = next_probabilities(row, top_p=0.8) > 0, row.softmax(0)
        assert p[kept].sum() >= 0.8
        assert p[kept].sum() - p[kept].min() < 0.8
        assert p[kept].min() >= p[~kept].max()


def test_transformers_cuts_alike() -> None:
    transformers = pytest.importorskip("transformers")
    from transformers.generation.logits_process import TopKLogitsWarper, TopPLogitsWarper

    torch.manual_seed(0)
    scores = torch.randn(200, 30)
    assert transformers
    for k, p in ((5, 1.0), (0, 0.7), (0, 0.95), (4, 0.6)):
        theirs = scores / 0.7
        theirs = TopKLogitsWarper(k)(None, theirs) if k else theirs
        theirs = TopPLogitsWarper(p)(None, theirs) if p < 1 and not k else theirs
        if not (
            k and p < 1
        ):  # one after the other they cut otherwise: the nucleus of what top-k left
            torch.testing.assert_close(next_probabilities(scores, 0.7, k, p), theirs.softmax(1))


def test_draws_have_the_probabilities_they_should() -> None:
    torch.manual_seed(2)
    net = Bigram(torch.randn(3, 3) / 2)
    drawn = torch.tensor(list(sample(net, torch.tensor([0]), 6_000, temperature=0.7)))
    after = torch.stack(
        [torch.bincount(drawn[1:][drawn[:-1] == k], minlength=3) for k in range(3)]
    ).float()
    torch.testing.assert_close(
        after / after.sum(1, keepdim=True), (net.table / 0.7).softmax(1), rtol=0, atol=0.04
    )


@pytest.mark.parametrize("positions", ["learned", "rotary"])
@pytest.mark.parametrize("prompt", [1, 5, 12, 30])
def test_with_a_cache_the_same_tokens_come(positions, prompt) -> None:
    """Also behind the longest that the network reads."""
    torch.manual_seed(3)
    net, tokens = GPT(11, 16, 2, 2, 12, positions=positions).double(), torch.randint(11, (prompt,))
    with torch.no_grad():
        for p in net.parameters():
            p += 0.3 * torch.randn_like(p)
    drawn = [
        list(
            sample(
                net,
                tokens,
                60,
                top_p=0.9,
                cached=cached,
                generator=torch.Generator().manual_seed(1),
            )
        )
        for cached in (True, False)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 3


def test_tokens_come_one_at_a_time_and_leave_no_mode_behind() -> None:
    net = GPT(11, 16, 2, 1, 12, dropout=0.5).train()
    calls = []
    net.register_forward_hook(lambda *_: calls.append(net.training))
    stream = sample(net, torch.tensor([1, 2]), 5)
    assert calls == []
    next(stream)
    assert calls == [False]
    assert net.training
    assert not torch.is_inference_mode_enabled()
    assert len(list(stream)) == 4
