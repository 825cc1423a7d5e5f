"""Norms against PyTorch's and against the theorems about them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.layers.normalization import BatchNorm, BatchRenorm, GroupNorm, InstanceNorm, LayerNorm

SHAPES = [(8, 12), (8, 12, 5), (8, 12, 5, 3)]
PICTURES = SHAPES[2]


def drawn(shape: tuple[int, ...], seed: int = 0, dtype: torch.dtype = torch.double) -> Tensor:
    """Activations whose channels differ in mean and scale."""
    generator = torch.Generator().manual_seed(seed)
    channels = (1, shape[1], *[1] * (len(shape) - 2))
    scale = 0.5 + 3 * torch.rand(channels, generator=generator)
    x = 2 * torch.randn(channels, generator=generator) + scale * torch.randn(
        shape, generator=generator
    )
    return x.to(dtype).requires_grad_()


def with_other_numbers(ours: nn.Module, theirs: nn.Module) -> None:
    """The same γ and β in both, neither 1 nor 0."""
    with torch.no_grad():
        ours.gamma.copy_(torch.rand_like(ours.gamma) + 0.5)
        ours.beta.copy_(torch.randn_like(ours.beta))
        theirs.weight.copy_(ours.gamma)
        theirs.bias.copy_(ours.beta)


def assert_same(
    ours: nn.Module, theirs: nn.Module, shape: tuple[int, ...], seed: int, tolerance: float
) -> None:
    """Outputs, and gradients of input, γ and β."""
    dtype = ours.gamma.dtype
    x, z = drawn(shape, seed, dtype), drawn(shape, seed, dtype)
    a, b = ours(x), theirs(z)
    torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
    towards = torch.randn(shape, generator=torch.Generator().manual_seed(seed + 1)).to(dtype)
    found = torch.autograd.grad((a * towards).sum(), [x, ours.gamma, ours.beta])
    expected = torch.autograd.grad((b * towards).sum(), [z, theirs.weight, theirs.bias])
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(
            f, e, rtol=tolerance, atol=tolerance * max(1.0, float(e.abs().max()))
        )


PAIRS = [
    *(
        (shape, BatchNorm, {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[len(shape)])
        for shape in SHAPES
    ),
    *((shape, lambda c: GroupNorm(2, c), lambda c: nn.GroupNorm(2, c)) for shape in SHAPES),
    *((shape, LayerNorm, lambda c: nn.GroupNorm(1, c)) for shape in SHAPES),
    (SHAPES[0], LayerNorm, nn.LayerNorm),
    (SHAPES[1], InstanceNorm, lambda c: nn.InstanceNorm1d(c, affine=True)),
    (PICTURES, InstanceNorm, lambda c: nn.InstanceNorm2d(c, affine=True)),
    (PICTURES, lambda c: GroupNorm(c, c), lambda c: nn.InstanceNorm2d(c, affine=True)),
]


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.double, 1e-10), (torch.float, 1e-6)], ids=["double", "single"]
)
@pytest.mark.parametrize(("shape", "ours", "theirs"), PAIRS)
def test_outputs_and_gradients_are_pytorchs(shape, ours, theirs, dtype, tolerance) -> None:
    torch.manual_seed(0)
    own, other = ours(shape[1]).to(dtype), theirs(shape[1]).to(dtype)
    with_other_numbers(own, other)
    for seed in range(3):
        assert_same(own, other, shape, seed, tolerance)
    own.eval(), other.eval()
    assert_same(
        own, other, shape, 9, tolerance
    )  # of batch norm: with the running statistics of three steps


def test_layer_norm_over_a_picture_is_pytorchs_over_its_last_three_axes() -> None:
    x = drawn(PICTURES)
    torch.testing.assert_close(
        LayerNorm(12).double()(x), nn.LayerNorm(PICTURES[1:]).double()(x), rtol=0, atol=1e-10
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_running_statistics_are_pytorchs(shape) -> None:
    ours, theirs = BatchNorm(12, alpha=0.3).double(), nn.BatchNorm2d(12, momentum=0.3).double()
    for seed in range(5):
        x = drawn(shape, seed)
        ours(x), theirs(x.reshape(8, 12, -1, 1))
    torch.testing.assert_close(ours.mean, theirs.running_mean, rtol=0, atol=1e-12)
    torch.testing.assert_close(ours.variance, theirs.running_var, rtol=0, atol=1e-12)
    before = copy.deepcopy(ours.state_dict())
    ours.eval()(drawn(shape, 7))
    assert all(torch.equal(before[name], value) for name, value in ours.state_dict().items()), (
        "evaluation moves nothing"
    )


def settled(norm: BatchRenorm, past: int) -> BatchRenorm:
    """Running statistics that are not those of any batch below, and the schedule at a step."""
    generator = torch.Generator().manual_seed(3)
    norm.mean.copy_(torch.randn(12, generator=generator))
    norm.deviation.copy_(0.5 + torch.rand(12, generator=generator))
    norm.seen.fill_(past)
    return norm


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "bounds", [{"r_max": 1.0, "d_max": 0.0}, {}], ids=["no correction", "before the schedule"]
)
def test_without_correction_batch_renorm_is_batch_norm(shape, bounds) -> None:
    norm = settled(BatchRenorm(12, **bounds).double(), past=10**6 if bounds else 4_999)
    assert_same(
        norm,
        nn.BatchNorm2d(12).double() if len(shape) == 4 else nn.BatchNorm1d(12).double(),
        shape,
        0,
        1e-10,
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_with_unlimited_correction_training_sees_what_evaluation_sees(shape) -> None:
    norm = settled(BatchRenorm(12, r_max=1e9, d_max=1e9).double(), past=10**6)
    x = drawn(shape)
    expected = copy.deepcopy(norm).eval()(x)
    channel = (1, 12, *[1] * (len(shape) - 2))
    torch.testing.assert_close(
        expected, (x - norm.mean.view(channel)) / norm.deviation.view(channel)
    )
    torch.testing.assert_close(norm(x), expected, rtol=0, atol=1e-10)


def test_the_gradient_of_batch_renorm_is_batch_norms_times_r() -> None:
    """So no step is spent on shifting a channel as a whole, as it would be with the running
    statistics alone.
    """
    norm = settled(BatchRenorm(12, r_max=1e9, d_max=1e9).double(), past=10**6)
    x, z, towards = drawn((8, 12)), drawn((8, 12)), torch.randn(8, 12).double()
    r = (x.var(0, correction=0) + 1e-5).sqrt() / norm.deviation
    (found,) = torch.autograd.grad((norm(x) * towards).sum(), x)
    (expected,) = torch.autograd.grad((nn.BatchNorm1d(12).double()(z) * towards).sum(), z)
    torch.testing.assert_close(found, r.detach() * expected)
    assert found.sum(0).abs().max() < 1e-12


def test_the_correction_is_clipped_and_its_bounds_follow_the_papers_schedule() -> None:
    norm = BatchRenorm(6)
    for step, r, d in (
        (0, 1, 0),
        (5_000, 1, 0),
        (15_000, 1 + 2 * 10 / 35, 2.5),
        (25_000, 1 + 2 * 20 / 35, 5),
        (40_000, 3, 5),
    ):
        norm.seen.fill_(step)
        assert [float(bound) for bound in norm.bounds()] == pytest.approx([r, d])
    short = BatchRenorm(6, steps=1_600)
    short.seen.fill_(250)
    assert float(short.bounds()[1]) == 5
    x = drawn((8, 12)).detach()
    far = settled(BatchRenorm(12, r_max=1.1, d_max=0.2).double(), past=10**6)
    normed = (x - x.mean(0)) / (x.var(0, correction=0) + 1e-5).sqrt()
    sd = (x.var(0, correction=0) + 1e-5).sqrt()
    r, d = (
        (sd / far.deviation).clamp(1 / 1.1, 1.1),
        ((x.mean(0) - far.mean) / far.deviation).clamp(-0.2, 0.2),
    )
    assert ((r == 1.1) | (r == 1 / 1.1)).any()
    assert (d.abs() == 0.2).any()
    torch.testing.assert_close(far(x), normed * r + d)


def test_the_renorms_statistics_begin_as_a_plain_mean() -> None:
    norm = BatchRenorm(6, alpha=0.25).double()
    batches = [drawn((8, 6), seed).detach() for seed in range(6)]
    expected = torch.zeros(6).double()
    for k, x in enumerate(batches):
        norm(x)
        expected += max(0.25, 1 / (k + 1)) * (x.mean(0) - expected)
        if k == 2:
            torch.testing.assert_close(
                norm.mean, torch.stack([b.mean(0) for b in batches[:3]]).mean(0)
            )
    torch.testing.assert_close(norm.mean, expected)
    assert int(norm.seen) == 6


def test_in_two_values_only_the_order_is_left_and_no_gradient() -> None:
    x = (1_000 * drawn((2, 6)).detach()).requires_grad_()
    for norm in (BatchNorm(6).double(), BatchRenorm(6).double()):
        y = norm(x)
        torch.testing.assert_close(y, (x - x.flip(0)).sign(), rtol=0, atol=1e-6)
        (gradient,) = torch.autograd.grad((y * torch.randn(2, 6)).sum(), x)
        assert gradient.abs().max() < 1e-6


def test_half_precision_loses_no_mean() -> None:
    x = (100 + torch.randn(256, 6, 8, 8)).bfloat16()
    torch.testing.assert_close(BatchNorm(6)(x), BatchNorm(6)(x.float()))


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (InstanceNorm(6), (8, 6)),
        (InstanceNorm(6), (8, 6, 1, 1)),
        (BatchNorm(6), (1, 6)),
        (LayerNorm(1), (8, 1)),
    ],
)
def test_one_value_has_no_deviation(norm: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="one value for each; expected two or more"):
        norm(torch.rand(shape))


def test_groups_must_divide_the_channels() -> None:
    with pytest.raises(
        UserError, match="6 channels make no 4 groups of one size; expected a divisor of 6"
    ):
        GroupNorm(4, 6)


def test_a_scale_cannot_be_bounded_below_one() -> None:
    with pytest.raises(UserError, match=r"r_max of batch renorm is 0.5; expected at least 1"):
        BatchRenorm(6, r_max=0.5)
