"""GPT against transformers' GPT-2, its cache against no cache, and what a causal network
must be.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from etude.errors import UserError
from etude.layers.attention import record_attention
from etude.networks.fast_gpt import FastCache
from etude.networks.gpt import GPT

POSITIONS = pytest.mark.parametrize("positions", ["learned", "rotary"])


def small(positions="learned", **options) -> GPT:
    torch.manual_seed(0)
    net = GPT(11, 16, 4, 2, 12, positions=positions, **options)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn_like(
                p
            )  # no bias is 0 and no gain 1, so that none can be forgotten unseen
    return net


def gpt2(**options):
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=11,
        n_positions=12,
        n_embd=16,
        n_layer=2,
        n_head=4,
        bos_token_id=0,
        eos_token_id=0,
        **options,
    )
    torch.manual_seed(1)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for p in theirs.parameters():
            p += 0.1 * torch.randn_like(p)
    return theirs


def test_gpt2s_weights_give_its_scores_and_gradients() -> None:
    theirs, tokens = gpt2(), torch.randint(11, (3, 12))
    ours = GPT.from_gpt2(theirs.state_dict(), heads=4).eval()
    torch.testing.assert_close(ours(tokens), theirs(tokens).logits, rtol=0, atol=1e-4)
    ours(tokens).square().sum().backward()
    theirs(tokens).logits.square().sum().backward()
    for mine, others in (
        (ours.table, theirs.transformer.wte.weight),
        (ours.place, theirs.transformer.wpe.weight),
    ):
        torch.testing.assert_close(mine.grad, others.grad, rtol=1e-3, atol=1e-3)


def test_weights_without_the_head_and_with_masks_are_gpt2s_as_well() -> None:
    """As the published file has them: no prefix, and each layer's mask beside its weights."""
    theirs, tokens = gpt2(), torch.randint(11, (3, 9))
    published = dict(theirs.transformer.state_dict()) | {"h.0.attn.bias": torch.ones(1, 1, 12, 12)}
    torch.testing.assert_close(
        GPT.from_gpt2(published, 4)(tokens), theirs(tokens).logits, rtol=0, atol=1e-4
    )


def test_weights_go_to_gpt2_and_come_back() -> None:
    tokens = torch.randint(11, (3, 12))
    for approximate, theirs in (("tanh", gpt2()), ("none", gpt2(activation_function="gelu"))):
        ours = small(approximate=approximate).eval()
        theirs.load_state_dict(ours.to_gpt2(), strict=True)
        torch.testing.assert_close(theirs(tokens).logits, ours(tokens), rtol=0, atol=1e-5)
    again = GPT.from_gpt2(ours.to_gpt2(), 4).state_dict()
    assert again.keys() == ours.state_dict().keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in ours.state_dict().items())


def test_what_is_no_gpt2_is_refused() -> None:
    with pytest.raises(UserError, match=r"there is no 'wte\.weight'"):
        GPT.from_gpt2({"a": torch.ones(1)})
    weights = small().to_gpt2() | {"transformer.h.1.mlp.c_fc.weight": torch.ones(16, 63)}
    with pytest.raises(UserError, match="size mismatch"):
        GPT.from_gpt2(weights, 4)
    with pytest.raises(UserError, match="rotary"):
        small("rotary").to_gpt2()


@POSITIONS
@pytest.mark.parametrize("learning", [True, False], ids=["with gradients", "without"])
def test_the_cache_changes_nothing(positions, learning) -> None:
    """Also where one token is read without calls of the blocks' modules."""
    net, tokens = small(positions).double().eval(), torch.randint(11, (3, 12))
    past = net.cache()
    with torch.set_grad_enabled(learning):
        pieces = torch.cat(
            [net(piece, past) for piece in tokens.split([5, 1, 1, 1, 2, 1, 1], 1)], 1
        )
    torch.testing.assert_close(pieces, net(tokens), rtol=0, atol=1e-12)


@POSITIONS
def test_some_rows_go_on(positions) -> None:
    net, tokens, rows = (
        small(positions).double().eval(),
        torch.randint(11, (3, 12)),
        torch.tensor([2, 0, 0, 1]),
    )
    past = net.cache()
    with torch.no_grad():
        net(tokens[:, :7], past)
        net(tokens[:, 7:8], past)
        past.select(rows)
        pieces = torch.cat([net(piece, past) for piece in tokens[rows, 8:].split(1, 1)], 1)
    torch.testing.assert_close(pieces, net(tokens[rows])[:, 8:], rtol=0, atol=1e-12)


def test_the_short_way_is_taken_where_it_is_the_same() -> None:
    net, x = small().eval(), torch.ones(1, 1, 16)
    past = net.cache()
    assert not past.serves(x), "gradients are wanted"
    with torch.no_grad():
        assert past.serves(x)
        with record_attention(net):
            assert not past.serves(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert not past.serves(x)
        assert not net.train().cache().serves(x), "it drops"


def test_the_short_way_is_taken_by_a_text_and_not_by_shards(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net, taken = small().eval(), []
    past, read_one = net.cache(), FastCache.read_one
    monkeypatch.setattr(
        FastCache, "read_one", lambda self, x: taken.append(len(x)) or read_one(self, x)
    )
    with torch.no_grad():
        for piece in torch.ones(2, 7, dtype=torch.long).split([3, 1, 2, 1], 1):
            net(piece, past)
        assert taken == [2, 2], "of the two single tokens"
        net.blocks.blocks[1].attention.query.weight.full_tensor = None  # as a weight in shards has
        net(torch.ones(2, 1, dtype=torch.long), past)
    assert taken == [2, 2]


@POSITIONS
def test_a_score_knows_what_stands_before_it_and_nothing_behind(positions) -> None:
    net, tokens = small(positions).double().eval(), torch.randint(11, (1, 12))
    scores = net(tokens)
    for place in range(12):
        other = tokens.clone()
        other[0, place] = (other[0, place] + 1) % 11
        moved = (net(other) - scores).abs().amax((0, 2)) > 1e-9
        assert moved.tolist() == [False] * place + [True] * (12 - place)


@POSITIONS
def test_a_batch_can_be_learned_by_heart(positions) -> None:
    torch.manual_seed(0)
    net, tokens = GPT(11, 32, 4, 2, 12, positions=positions), torch.randint(11, (4, 13))
    tokens[:, 0] = torch.arange(4)  # so that the first token tells which one it is
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    for _ in range(80):
        loss = cross_entropy(net(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())
    assert loss < 0.1


def test_at_the_start_every_token_is_as_likely_and_the_rows_are_as_long_at_any_depth() -> None:
    torch.manual_seed(0)
    tokens, others = torch.randint(256, (2, 2, 32))
    sizes = []
    for layers in (1, 4, 16):
        net = GPT(256, 64, 4, layers, 32)
        with torch.no_grad():
            assert cross_entropy(
                net(tokens).flatten(0, 1), others.flatten()
            ).item() == pytest.approx(5.545, abs=0.1)
            x = before = net.table[tokens] + net.place
            for block in net.blocks.blocks:
                x = block(x)
        sizes.append((x - before).std().item())
    assert max(sizes) < 1.2 * min(sizes)


def test_dropout_is_for_training_only() -> None:
    net, tokens = small(dropout=0.5), torch.randint(11, (2, 12))
    assert not torch.equal(net(tokens), net(tokens))
    assert torch.equal(net.eval()(tokens), net(tokens))


def test_it_reads_no_more_than_it_can() -> None:
    net, past = small(), small().cache()
    with pytest.raises(UserError, match="13 tokens are more than this network reads, 12"):
        net(torch.ones(1, 13, dtype=torch.long))
    net(torch.ones(1, 10, dtype=torch.long), past)
    with pytest.raises(UserError, match="13 tokens are more"):
        net(torch.ones(1, 3, dtype=torch.long), past)
