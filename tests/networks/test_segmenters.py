from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy, interpolate

from etude.errors import UserError
from etude.networks.segmenters import FCN, Encoder, UNet, bilinear_kernel

KINDS = [
    (kind, skips, up)
    for kind in (FCN, UNet)
    for skips in (True, False)
    for up in ("transposed", "bilinear")
]


@pytest.mark.parametrize(("kind", "skips", "up"), KINDS)
def test_shapes_inputs_and_gradients(kind, skips, up) -> None:
    torch.manual_seed(0)
    net = kind(3, 4, 4, 3, skips=skips, up=up)
    assert net(torch.randn(2, 3, 21, 30)).shape == (2, 4, 21, 30), "sides need not be even"
    x = torch.randn(2, 3, 24, 16)
    out = net(x)
    assert not torch.equal(out[0], out[1])
    out.square().sum().backward()
    silent = [
        name for name, p in net.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert not silent


def test_more_levels_than_pixels_are_refused() -> None:
    assert FCN(3, 4, 2, 4).eval()(torch.randn(1, 3, 8, 9)).shape == (1, 4, 8, 9)
    with pytest.raises(UserError, match="5 levels need sides of at least 16"):
        UNet(3, 4, 2, 5)(torch.randn(1, 3, 15, 64))


@pytest.mark.parametrize("kind", [FCN, UNet])
def test_one_batch_can_be_overfitted(kind) -> None:
    torch.manual_seed(0)
    net = kind(3, 3, 8, 3)
    x = torch.randn(2, 3, 16, 16)
    y = torch.randint(3, (2, 4, 4)).repeat_interleave(4, 1).repeat_interleave(4, 2)
    optimizer = torch.optim.AdamW(net.parameters(), 0.01)
    for _ in range(80):
        loss = cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


def test_a_transposed_convolution_begins_as_bilinear_interpolation() -> None:
    x = torch.randn(2, 3, 7, 5)
    ours, theirs = (
        bilinear_kernel(3)(x),
        interpolate(x, scale_factor=2, mode="bilinear", align_corners=False),
    )
    torch.testing.assert_close(
        ours[..., 1:-1, 1:-1], theirs[..., 1:-1, 1:-1], rtol=0, atol=1e-6
    )  # but for the border


def test_the_receptive_fields_are_those_of_the_lesson() -> None:
    """5, 14, 32 and 68 pixels: how far a change at one place of each map is felt in the picture."""
    torch.manual_seed(0)
    net = Encoder(1, [2, 2, 2, 2]).double().eval()
    for module in net.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.uniform_(module.weight, 0.1, 1.0)  # positive, so that nothing is cut off
    felt = torch.zeros(4, 160)
    for _ in range(6):  # a maximum passes on one of four; which one, is as the picture has it
        x = torch.rand(1, 1, 160, 160, dtype=torch.double, requires_grad=True)
        for level, y in enumerate(net(x)):
            middle = y.shape[-1] // 2
            (gradient,) = torch.autograd.grad(y[0, :, middle, middle].sum(), x, retain_graph=True)
            felt[level] += gradient[0, 0].abs().sum(0).float()
    width = [int(row.nonzero()[-1] - row.nonzero()[0] + 1) for row in felt]
    assert width[0] == 5
    assert all(seen <= said for seen, said in zip(width, (5, 14, 32, 68), strict=True))
    assert all(seen >= 0.85 * said for seen, said in zip(width, (5, 14, 32, 68), strict=True))
