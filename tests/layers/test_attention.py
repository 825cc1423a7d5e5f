"""Attention against PyTorch's own, and against the theorems about it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from etude.errors import UserError
from etude.layers import fast_attention
from etude.layers.attention import MultiHeadAttention, attend, record_attention
from etude.layers.cache import Cache
from etude.layers.fast_attention import fused
from etude.layers.positions import alibi, rotate, sinusoids
from etude.layers.transformer import Block, FeedForward, Stack
from etude.networks.transformer import EncoderDecoder

PRECISIONS = pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.double, 1e-10), (torch.float, 1e-6)], ids=["double", "single"]
)
WATCHED = pytest.mark.parametrize("watched", [False, True], ids=["fused", "written out"])
POSITIONS = ["sinusoidal", "learned", "rotary", "alibi", "none"]


def drawn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.double) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double).to(
        dtype
    )


def real(lengths: Sequence[int], keys: int) -> Tensor:
    """The mask of what is no padding: (batch, 1, 1, keys)."""
    return (torch.arange(keys) < torch.tensor(lengths)[:, None])[:, None, None]


def assert_same(
    ours: Tensor, theirs: Tensor, mine: list[Tensor], others: list[Tensor], tolerance: float
) -> None:
    """Outputs, and gradients of all that stands in the two lists, in the same order.

    The tolerance is relative to the largest number of each: the two sum in another order.
    """

    def close(a: Tensor, b: Tensor, name: str) -> None:
        scale = max(1.0, float(b.detach().abs().max()))
        torch.testing.assert_close(
            a, b, rtol=0, atol=tolerance * scale, msg=lambda text: f"{name}: {text}"
        )

    close(ours, theirs, "output")
    towards = drawn(*ours.shape, seed=9, dtype=ours.dtype)
    found = torch.autograd.grad((ours * towards).sum(), mine)
    expected = torch.autograd.grad((theirs * towards).sum(), others)
    for i, (f, e) in enumerate(zip(found, expected, strict=True)):
        close(f, e, f"gradient {i}")


# -- attention -------------------------------------------------------------------------------------


@PRECISIONS
@pytest.mark.parametrize("masked", ["free", "causal", "padding", "both", "bias"])
def test_attention_is_pytorchs(masked: str, dtype: torch.dtype, tolerance: float) -> None:
    shape, keys = (3, 2, 5, 4), 7
    q, k, v = (
        drawn(*shape, dtype=dtype),
        drawn(3, 2, keys, 4, seed=1, dtype=dtype),
        drawn(3, 2, keys, 6, seed=2, dtype=dtype),
    )
    causal, padding = torch.ones(5, keys, dtype=torch.bool).tril(), real([7, 4, 1], keys)
    mask = {"causal": causal, "padding": padding, "both": causal & padding}.get(masked)
    bias = drawn(2, 5, keys, seed=3, dtype=dtype) if masked == "bias" else None
    mine, others = ([t.clone().requires_grad_() for t in (q, k, v)] for _ in range(2))
    ours, weights = attend(*mine, mask, bias)
    theirs = scaled_dot_product_attention(*others, mask if bias is None else bias)
    assert_same(ours, theirs, mine, others, tolerance)
    torch.testing.assert_close(weights.sum(-1), torch.ones(3, 2, 5, dtype=dtype))
    if mask is not None:
        assert (weights.masked_select(~mask.expand_as(weights)) == 0).all()


def test_a_query_that_may_see_nothing_gets_zero_and_no_gradient() -> None:
    q, k, v = (drawn(1, 1, 2, 4, seed=i).requires_grad_() for i in range(3))
    mask = torch.tensor([[True, True], [False, False]])
    out, weights = attend(q, k, v, mask)
    assert not out[0, 0, 1].any()
    assert not weights[0, 0, 1].any()
    gradients = torch.autograd.grad(out.square().sum(), (q, k, v))
    assert all(g.isfinite().all() for g in gradients)
    assert not gradients[0][0, 0, 1].any()


def test_the_root_of_d_keeps_the_scores_at_a_variance_of_one() -> None:
    for d in (4, 64, 1024):
        scores = (drawn(2000, d) * drawn(2000, d, seed=1)).sum(1)
        assert scores.var().item() == pytest.approx(d, rel=0.1)
    q, k = drawn(1, 400, 256), drawn(1, 400, 256, seed=1)
    _, weights = attend(q, k, k)
    torch.testing.assert_close(weights, (q @ k.transpose(1, 2) / 16).softmax(-1))


def test_far_larger_scores_look_up_one_value() -> None:
    """The soft dictionary becomes a hard one: the value of the key that fits best."""
    q, k, v = drawn(6, 8), drawn(9, 8, seed=1), drawn(9, 3, seed=2)
    out, _ = attend(1e4 * q, k, v)
    torch.testing.assert_close(out, v[(q @ k.T).argmax(1)])


# -- many heads ------------------------------------------------------------------------------------


def attention_from(theirs: nn.MultiheadAttention, ours: MultiHeadAttention) -> None:
    with torch.no_grad():
        for map, weight, bias in zip(
            (ours.query, ours.key, ours.value),
            theirs.in_proj_weight.chunk(3),
            theirs.in_proj_bias.chunk(3),
            strict=True,
        ):
            map.weight.copy_(weight)
            map.bias.copy_(bias)
    ours.output.load_state_dict(theirs.out_proj.state_dict())


def shaken(net: nn.Module) -> nn.Module:
    """No bias is 0 and no gain 1, so that none can be forgotten unseen."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in net.parameters():
            p += 0.1 * torch.randn(p.shape, generator=generator, dtype=torch.double).to(p.dtype)
    return net


@PRECISIONS
@WATCHED
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("cross", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_many_heads_are_pytorchs(
    causal: bool, cross: bool, padded: bool, watched: bool, dtype: torch.dtype, tolerance: float
) -> None:
    theirs = shaken(nn.MultiheadAttention(12, 3, batch_first=True).to(dtype))
    ours = MultiHeadAttention(12, 3, causal=causal).to(dtype)
    attention_from(theirs, ours)
    x, z = (drawn(2, 6, 12, dtype=dtype).requires_grad_() for _ in range(2))
    source, other = (drawn(2, 5, 12, seed=1, dtype=dtype).requires_grad_() for _ in range(2))
    keys = 5 if cross else 6
    seen = real([keys, 3], keys) if padded else None
    forbidden = ~torch.ones(6, keys, dtype=torch.bool).tril() if causal else None
    expected, weights = theirs(
        z,
        other if cross else z,
        other if cross else z,
        attn_mask=forbidden,
        average_attn_weights=False,
        key_padding_mask=~seen[:, 0, 0] if seen is not None else None,
    )
    mine, others = ([x, source], [z, other]) if cross else ([x], [z])
    mine += [ours.output.weight, ours.output.bias]
    others += [theirs.out_proj.weight, theirs.out_proj.bias]
    if watched:
        with record_attention(ours) as maps:
            found = ours(x, source if cross else None, seen)
        torch.testing.assert_close(maps[""], weights, rtol=0, atol=10 * tolerance)
    else:
        found = ours(x, source if cross else None, seen)
    assert_same(found, expected, mine, others, tolerance)
    projections = [ours.query.weight, ours.key.weight, ours.value.weight]
    again = theirs(
        z,
        other if cross else z,
        other if cross else z,
        attn_mask=forbidden,
        need_weights=False,
        key_padding_mask=~seen[:, 0, 0] if seen is not None else None,
    )[0]
    stacked = torch.cat(
        torch.autograd.grad(ours(x, source if cross else None, seen).square().sum(), projections)
    )
    (wanted,) = torch.autograd.grad(again.square().sum(), theirs.in_proj_weight)
    torch.testing.assert_close(
        stacked, wanted, rtol=0, atol=tolerance * max(1.0, float(wanted.abs().max()))
    )


@PRECISIONS
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_what_is_watched_is_what_the_fused_kernel_does(
    positions, causal, padded, dtype, tolerance
) -> None:
    layer = MultiHeadAttention(16, 4, causal=causal, positions=positions).to(dtype)
    x, z = (drawn(3, 9, 16, dtype=dtype).requires_grad_() for _ in range(2))
    seen = real([9, 4, 0], 9) if padded else None  # the last one sees nothing
    fused = layer(x, mask=seen)
    with record_attention(layer) as maps:
        written = layer(z, mask=seen)
    assert maps[""].shape == (3, 4, 9, 9)
    assert layer.record is None
    assert_same(fused, written, [x], [z], tolerance)


@WATCHED
def test_one_place_looks_at_a_source_no_further_than_itself(watched) -> None:
    """Causal cross-attention goes by positions, however many queries come at once."""
    layer, x, source = (
        MultiHeadAttention(16, 4, causal=True).double(),
        drawn(2, 5, 16),
        drawn(2, 5, 16, seed=1),
    )
    whole = layer(x, source)
    for start, end in ((0, 1), (3, 4), (2, 5)):
        with record_attention(layer if watched else nn.Identity()):
            torch.testing.assert_close(
                layer(x[:, start:end], source, start=start), whole[:, start:end]
            )


def test_dropout_is_for_training_alone() -> None:
    torch.manual_seed(0)
    layer, x = Block(16, 4, dropout=0.5), drawn(2, 6, 16, dtype=torch.float)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))


@pytest.mark.parametrize("causal", [False, True])
def test_key_biases_are_felt_by_nobody(causal: bool) -> None:
    """They add the same to all scores of a query: why the paper's maps, and ours in EncoderDecoder,
    have none.
    """
    layer, x = MultiHeadAttention(12, 3, causal=causal).double(), drawn(2, 6, 12)
    before = layer(x)
    with torch.no_grad():
        layer.key.bias += 5 * drawn(12, seed=1)
    torch.testing.assert_close(layer(x), before, rtol=0, atol=1e-12)


def test_a_width_must_split() -> None:
    with pytest.raises(
        UserError, match="width of 10 makes no 4 heads of one width; expected a divisor of 10"
    ):
        MultiHeadAttention(10, 4)
    with pytest.raises(UserError, match="a head is 3 wide; expected an even width"):
        MultiHeadAttention(12, 4, positions="rotary")
    with pytest.raises(UserError, match="rows are 15 wide; expected an even width"):
        EncoderDecoder(9, 15, 3, 1)


# -- positions -------------------------------------------------------------------------------------


def test_sinusoids_are_the_papers_formula_and_a_shift_is_a_rotation() -> None:
    table = sinusoids(torch.arange(50).double(), 8)
    for t in (0, 1, 17, 49):
        for i in range(4):
            angle = t / 10_000 ** (2 * i / 8)
            assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-6)
            assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    products = table @ table.T
    for distance in (1, 5, 20):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[:1].expand_as(along), rtol=0, atol=1e-6)


def test_rotation_is_multiplication_by_complex_numbers() -> None:
    x, t = drawn(2, 3, 7, 10), torch.arange(7)
    frequency = 10_000 ** (-torch.arange(0, 10, 2) / 10)
    turned = torch.view_as_complex(x.unflatten(-1, (-1, 2))) * torch.exp(
        1j * torch.outer(t, frequency)
    )
    torch.testing.assert_close(
        rotate(x, t), torch.view_as_real(turned).flatten(-2), rtol=0, atol=1e-6
    )
    torch.testing.assert_close(rotate(x, t).norm(dim=-1), x.norm(dim=-1))


def test_rotarys_scores_depend_on_distance_only() -> None:
    q, k = drawn(1, 16), drawn(1, 16, seed=1)

    def score(t: int, s: int) -> float:
        return float(rotate(q, torch.tensor([t])) @ rotate(k, torch.tensor([s])).T)

    for distance in (-7, -1, 0, 3, 40):
        near = score(10 + max(distance, 0), 10 + max(distance, 0) - distance)
        for shift in (1, 12, 200):
            assert score(
                10 + shift + max(distance, 0), 10 + shift + max(distance, 0) - distance
            ) == pytest.approx(near, abs=1e-4)
    assert abs(score(3, 0) - score(0, 3)) > 1e-2, "before and after are told apart"


def test_alibi_is_the_papers_bias() -> None:
    t = torch.arange(6)
    bias = alibi(8, t, t)
    for head, slope in enumerate([1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]):
        for i in range(6):
            assert bias[head, i].tolist() == pytest.approx([-slope * abs(i - j) for j in range(6)])
    assert alibi(16, t, t)[0, 1, 0].item() == pytest.approx(-(2**-0.5))
    later = alibi(8, torch.tensor([5]), t)
    torch.testing.assert_close(later, bias[:, 5:])


@pytest.mark.parametrize("positions", ["rotary", "alibi"])
def test_relative_positions_see_no_common_shift(positions) -> None:
    """What a row gets does not change when other rows stand before it that it may not see."""
    layer, x = MultiHeadAttention(16, 4, positions=positions).double(), drawn(2, 6, 16)
    later, seen = (
        torch.cat([drawn(2, 90, 16, seed=1), x], 1),
        (torch.arange(96) >= 90)[None, None, None],
    )
    torch.testing.assert_close(layer(later, mask=seen)[:, 90:], layer(x), rtol=0, atol=1e-5)
    order = torch.tensor([0, 3, 1, 2, 5, 4])
    assert (layer(x[:, order]) - layer(x)[:, order]).abs().max() > 1e-2


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_without_positions_a_permuted_input_gives_the_permuted_output(norm) -> None:
    stack, x, order = Stack(2, 16, 4, norm=norm).double(), drawn(2, 7, 16), torch.randperm(7)
    torch.testing.assert_close(stack(x[:, order]), stack(x)[:, order], rtol=0, atol=1e-12)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "rotary", "alibi"])
def test_with_positions_it_does_not(positions) -> None:
    torch.manual_seed(0)
    net = EncoderDecoder(9, 16, 4, 2, positions=positions, longest=8).double()
    source, order = torch.randint(1, 9, (2, 7)), torch.tensor([1, 0, 5, 3, 2, 6, 4])
    assert (net.encode(source[:, order]) - net.encode(source)[:, order]).abs().max() > 1e-3
    plain = EncoderDecoder(9, 16, 4, 2, positions="none").double()
    torch.testing.assert_close(
        plain.encode(source[:, order]), plain.encode(source)[:, order], rtol=0, atol=1e-12
    )


# -- what may be seen ------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", ["rotary", "alibi", "none"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_causal_blocks_do_not_look_ahead(positions, norm) -> None:
    stack, x = (
        Stack(2, 16, 4, norm=norm, causal=True, positions=positions).double(),
        drawn(2, 7, 16).requires_grad_(),
    )
    out = stack(x)
    for t in range(7):
        (gradient,) = torch.autograd.grad(out[:, t].square().sum(), x, retain_graph=True)
        assert not gradient[:, t + 1 :].any(), "no later input is felt"
        assert (gradient[:, : t + 1].abs().sum((0, 2)) > 0).all() or t == 0, "every earlier one is"
    other = x.detach().clone()
    other[:, 4:] = drawn(2, 3, 16, seed=3)
    torch.testing.assert_close(stack(other)[:, :4], out[:, :4], rtol=0, atol=1e-12)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm", ["pre", "post"])
@WATCHED
def test_padding_has_no_influence(positions, norm, watched) -> None:
    torch.manual_seed(0)
    net = EncoderDecoder(9, 16, 4, 2, positions=positions, norm=norm, longest=12).double()
    source, target = torch.randint(1, 9, (3, 5)), torch.randint(1, 9, (3, 4))
    alone = net(source, target)
    padded, behind = (
        torch.cat([t, torch.zeros(3, 6, dtype=torch.long)], 1) for t in (source, target)
    )
    if watched:
        with record_attention(net):
            together = net(padded, behind)
    else:
        together = net(padded, behind)
    torch.testing.assert_close(together[:, :4], alone, rtol=0, atol=1e-10)


# -- step by step ----------------------------------------------------------------------------------


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize(
    "pieces", [[1] * 8, [3, 1, 4], [8]], ids=["one by one", "in pieces", "at once"]
)
def test_cached_decoding_is_full_decoding(positions, norm, pieces) -> None:
    torch.manual_seed(0)
    net = EncoderDecoder(9, 16, 4, 2, positions=positions, norm=norm, longest=12).double()
    source, target = torch.randint(1, 9, (3, 6)), torch.randint(1, 9, (3, 8))
    source[1, 4:] = 0
    whole, past = net(source, target), Cache()
    memory, seen = net.encode(source), net.source_mask(source)
    steps = torch.cat(
        [net.decode(piece, memory, seen, past) for piece in target.split(pieces, 1)], 1
    )
    torch.testing.assert_close(
        steps, whole, rtol=0, atol=1e-6 if positions in ("rotary", "sinusoidal") else 1e-10
    )
    assert net.decoder.next_position(past) == 8


@pytest.mark.parametrize("positions", ["rotary", "alibi", "none"])
def test_a_decoder_alone_can_be_cached(positions) -> None:
    stack, x, past = (
        Stack(3, 16, 4, causal=True, positions=positions).double(),
        drawn(2, 9, 16),
        Cache(),
    )
    steps = torch.cat([stack(piece, past=past) for piece in x.split([4, 1, 1, 3], 1)], 1)
    torch.testing.assert_close(steps, stack(x), rtol=0, atol=1e-6)


def test_keys_and_values_of_a_source_are_computed_once() -> None:
    block, x, source, past = (
        Block(16, 4, cross=True),
        torch.rand(2, 3, 16),
        torch.rand(2, 5, 16),
        Cache(),
    )
    calls = []
    block.cross.key.register_forward_hook(lambda *_: calls.append(1))
    for t in range(3):
        block(x[:, t : t + 1], source, past=past)
    assert len(calls) == 1
    assert past.length(block.cross) == 5
    assert past.length(block.attention) == 3


# -- blocks ----------------------------------------------------------------------------------------


def block_from(theirs: nn.Module, ours: Block, cross: bool) -> None:
    attention_from(theirs.self_attn, ours.attention)
    norms = [ours.attention_norm, *([ours.cross_norm] if cross else []), ours.feedforward_norm]
    for i, norm in enumerate(norms, start=1):
        norm.load_state_dict(getattr(theirs, f"norm{i}").state_dict())
    if cross:
        attention_from(theirs.multihead_attn, ours.cross)
    ours.feedforward.hidden.load_state_dict(theirs.linear1.state_dict())
    ours.feedforward.output.load_state_dict(theirs.linear2.state_dict())


@PRECISIONS
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", [torch.relu, gelu])
def test_the_encoders_block_is_pytorchs(norm, activation, dtype, tolerance) -> None:
    theirs = shaken(
        nn.TransformerEncoderLayer(
            16, 4, 40, 0.0, activation, batch_first=True, norm_first=norm == "pre"
        ).to(dtype)
    )
    ours = Block(16, 4, hidden=40, norm=norm, activation=activation).to(dtype)
    block_from(theirs, ours, cross=False)
    x, z = (drawn(3, 7, 16, dtype=dtype).requires_grad_() for _ in range(2))
    seen = real([7, 5, 2], 7)
    mine = [
        x,
        ours.feedforward.hidden.weight,
        ours.attention_norm.weight,
        ours.attention.output.weight,
    ]
    others = [z, theirs.linear1.weight, theirs.norm1.weight, theirs.self_attn.out_proj.weight]
    assert_same(
        ours(x, mask=seen), theirs(z, src_key_padding_mask=~seen[:, 0, 0]), mine, others, tolerance
    )


@PRECISIONS
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_decoders_block_is_pytorchs(norm, dtype, tolerance) -> None:
    theirs = shaken(
        nn.TransformerDecoderLayer(16, 4, 40, 0.0, batch_first=True, norm_first=norm == "pre").to(
            dtype
        )
    )
    ours = Block(16, 4, hidden=40, norm=norm, causal=True, cross=True).to(dtype)
    block_from(theirs, ours, cross=True)
    x, z = (drawn(3, 7, 16, dtype=dtype).requires_grad_() for _ in range(2))
    source, other = (drawn(3, 5, 16, seed=1, dtype=dtype).requires_grad_() for _ in range(2))
    seen = real([5, 3, 1], 5)
    expected = theirs(
        z,
        other,
        tgt_mask=~torch.ones(7, 7, dtype=torch.bool).tril(),
        memory_key_padding_mask=~seen[:, 0, 0],
    )
    mine = [
        x,
        source,
        ours.feedforward.hidden.weight,
        ours.cross_norm.weight,
        ours.cross.output.weight,
    ]
    others = [
        z,
        other,
        theirs.linear1.weight,
        theirs.norm2.weight,
        theirs.multihead_attn.out_proj.weight,
    ]
    assert_same(ours(x, source, source_mask=seen), expected, mine, others, tolerance)


def test_gpt2s_weights_fit_and_give_its_numbers() -> None:
    """Of the same layout as any decoder that is to come: with the cache as well."""
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.GPT2Config(vocab_size=11, n_positions=12, n_embd=16, n_layer=2, n_head=4)
    theirs = shaken(transformers.GPT2Model(config).double().eval())
    ours = Stack(2, 16, 4, causal=True, activation=lambda x: gelu(x, approximate="tanh")).double()
    with torch.no_grad():
        for block, other in zip(ours.blocks, theirs.h, strict=True):
            attention = block.attention
            for i, map in enumerate((attention.query, attention.key, attention.value)):
                map.weight.copy_(other.attn.c_attn.weight.chunk(3, 1)[i].T)
                map.bias.copy_(other.attn.c_attn.bias.chunk(3)[i])
            for map, conv in (
                (attention.output, other.attn.c_proj),
                (block.feedforward.hidden, other.mlp.c_fc),
                (block.feedforward.output, other.mlp.c_proj),
            ):
                map.weight.copy_(conv.weight.T)
                map.bias.copy_(conv.bias)
            block.attention_norm.load_state_dict(other.ln_1.state_dict())
            block.feedforward_norm.load_state_dict(other.ln_2.state_dict())
        ours.norm.load_state_dict(theirs.ln_f.state_dict())
        tokens = torch.randint(11, (3, 9))
        x, past = theirs.wte(tokens) + theirs.wpe.weight[:9], Cache()
        expected = theirs(tokens).last_hidden_state
        torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-10)
        steps = torch.cat([ours(piece, past=past) for piece in x.split([5, 1, 1, 2], 1)], 1)
        torch.testing.assert_close(steps, expected, rtol=0, atol=1e-10)


def test_the_feed_forward_part_sees_one_position() -> None:
    net, x = FeedForward(8, 20), drawn(2, 5, 8, dtype=torch.float)
    torch.testing.assert_close(net(x)[:, 2], net(x[:, 2]))


def test_at_the_start_the_last_gradient_of_post_stays_and_that_of_pre_shrinks_with_depth() -> None:
    """Xiong et al. (2020), theorem 1: O(d √ln d) whatever the depth L, and O(d √(ln d / L))."""

    def last(norm: str, layers: int) -> float:
        sizes = []
        for seed in range(12):
            torch.manual_seed(seed)
            stack, x = Stack(layers, 64, 4, norm=norm), torch.randn(1, 10, 64)
            for p in stack.parameters():
                if p.ndim == 2:
                    nn.init.xavier_uniform_(p)
            loss = nn.functional.cross_entropy(
                stack(x)[0, :1] @ torch.randn(64, 50) / 8, torch.tensor([0])
            )
            (gradient,) = torch.autograd.grad(loss, stack.blocks[-1].feedforward.output.weight)
            sizes.append(float(gradient.norm()))
        return sum(sizes) / len(sizes)

    assert last("post", 16) / last("post", 2) == pytest.approx(1, abs=0.15)
    assert last("pre", 16) / last("pre", 2) == pytest.approx(8**-0.5, abs=0.1)


# -- encoder and decoder ---------------------------------------------------------------------------


def test_greedy_writing_takes_the_likeliest_token_each_time() -> None:
    torch.manual_seed(3)
    net = EncoderDecoder(9, 16, 4, 2).eval()
    source = torch.randint(3, 9, (6, 5))
    written = net.greedy(source, 1, 2, 10)
    for row, given in zip(written, source, strict=True):
        tokens = [1]
        while len(tokens) <= 10 and tokens[-1] != 2:
            tokens.append(int(net(given[None], torch.tensor([tokens]))[0, -1].argmax()))
        expected = tokens[1:] + [0] * (11 - len(tokens))
        assert row.tolist() == expected


def test_a_row_that_ended_is_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    net, script = EncoderDecoder(5, 8, 2, 1), iter([[3, 2], [4, 3], [2, 4], [3, 3]])
    monkeypatch.setattr(
        net,
        "decode",
        lambda *_: nn.functional.one_hot(torch.tensor(next(script)), 5)[:, None].float(),
    )
    assert net.greedy(torch.ones(2, 3, dtype=torch.long), 1, 2, 9).tolist() == [
        [3, 4, 2] + [0] * 6,
        [2] + [0] * 8,
    ]


def test_learned_positions_have_an_end() -> None:
    net = EncoderDecoder(9, 8, 2, 1, positions="learned", longest=4)
    net(torch.ones(1, 4, dtype=torch.long), torch.ones(1, 4, dtype=torch.long))
    with pytest.raises(
        UserError, match="a sequence of 5 tokens has more than the 4 learned positions"
    ):
        net.encode(torch.ones(1, 5, dtype=torch.long))


@pytest.mark.parametrize("mask", ["none", "causal", "seen", "numbers"])
@pytest.mark.parametrize("short", [True, False], ids=["short", "long"])
def test_fused_in_bf16_is_attention_of_the_same_numbers(
    mask: str, short: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For long rows, in and output are rounded (1/256), and nothing between them; for short ones
    that, too.
    """
    monkeypatch.setattr(fast_attention, "SHORT", 7 if short else 6)
    called: list[bool] = []
    written = fast_attention.attend_in_bf16
    monkeypatch.setattr(
        fast_attention, "attend_in_bf16", lambda *a, **k: called.append(True) or written(*a, **k)
    )
    q, k, v = [drawn(2, 3, 7, 8, seed=i).bfloat16().requires_grad_() for i in range(3)]
    seen = drawn(2, 1, 7, 7, seed=3) > -1
    seen[0, 0, 2] = False  # a query that may see no key
    bias = drawn(1, 3, 7, 7, seed=4)
    given = {"none": None, "causal": None, "seen": seen, "numbers": bias.bfloat16()}[mask]
    ours = fused(q, k, v, given, causal=mask == "causal")
    assert ours.dtype == torch.bfloat16
    assert bool(called) == short
    precise = [x.detach().double().requires_grad_() for x in (q, k, v)]
    hidden = (
        torch.ones(7, 7, dtype=torch.bool).tril()
        if mask == "causal"
        else seen
        if mask == "seen"
        else None
    )
    expected, _ = attend(*precise, hidden, bias.bfloat16().double() if mask == "numbers" else None)
    torch.testing.assert_close(ours.double(), expected, rtol=1 / 256, atol=0.02 if short else 1e-6)
    towards = drawn(*ours.shape, seed=9).bfloat16()
    found = torch.autograd.grad((ours * towards).sum(), (q, k, v))
    right = torch.autograd.grad((expected * towards.double()).sum(), precise)
    for f, r in zip(found, right, strict=True):
        assert f.dtype == torch.bfloat16
        torch.testing.assert_close(f.double(), r, rtol=1 / 256, atol=0.04 if short else 1e-3)
        assert torch.nn.functional.cosine_similarity(f.double().flatten(), r.flatten(), 0) > 0.9999
