"""The neural tangent kernel: the network's own is the gradients', and its limit is the formula."""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path

import pytest
import torch

from etude.runs.run import Run
from etude.studies.foundations.ntk._figures import functions, width_dependence
from etude.studies.foundations.ntk.ntk import (
    NTK,
    Wide,
    on_circle,
    predict_descent,
    slope,
    tangent_kernel,
    target,
)


def circle(n: int) -> torch.Tensor:
    return on_circle(2 * math.pi * torch.arange(n, dtype=torch.float64) / n)


def test_the_networks_kernel_is_the_product_of_its_gradients() -> None:
    torch.manual_seed(0)
    net, x = Wide(3, 20).double(), circle(5)
    rows = []
    for i in range(5):
        net.zero_grad()
        net(x)[i].backward()
        rows.append(torch.cat([p.grad.flatten() for p in net.parameters()]))
    jacobian = torch.stack(rows)
    assert torch.allclose(net.kernel(x), jacobian @ jacobian.T, atol=1e-12)


def test_at_the_start_the_function_is_zero() -> None:
    assert Wide(3, 64).double()(circle(7)).abs().max() < 1e-6


def test_the_limit_is_the_mean_over_very_many_units() -> None:
    torch.manual_seed(0)
    x = circle(6)
    assert torch.allclose(
        Wide(3, 1_000_000).double().kernel(x), tangent_kernel(x, x), rtol=0.02, atol=0.01
    )


def test_the_limit_at_equal_and_at_opposite_points() -> None:
    x = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    assert tangent_kernel(x, x).item() == pytest.approx(25.0)  # 25/2 from a, 25/2 from w
    assert tangent_kernel(x, -x).item() == pytest.approx(0.0, abs=1e-6)
    assert torch.linalg.eigvalsh(tangent_kernel(circle(9), circle(9))).min() > 0


def test_descended_to_the_end_is_kernel_regression() -> None:
    x, new = circle(7), on_circle(torch.rand(5, dtype=torch.float64))
    y = target(2 * math.pi * torch.arange(7, dtype=torch.float64) / 7)
    K = tangent_kernel(x, x)
    expected = tangent_kernel(new, x) @ torch.linalg.solve(K, y)
    assert torch.allclose(predict_descent(x, y, new, 0.9, 10**6), expected, atol=1e-8)


def test_descended_is_gradient_descent_on_the_linear_model() -> None:
    x, new = circle(6), circle(11)
    y = torch.randn(6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    K, k = tangent_kernel(x, x), tangent_kernel(new, x)
    step = 0.7 / torch.linalg.eigvalsh(K)[-1]
    f, g = torch.zeros(6, dtype=torch.float64), torch.zeros(11, dtype=torch.float64)
    for _ in range(40):
        f, g = f - step * K @ (f - y), g - step * k @ (f - y)
    assert torch.allclose(predict_descent(x, y, new, 0.7, 40), g, atol=1e-10)


def test_in_pairs_the_kernel_does_not_change_to_first_order() -> None:
    """A step changes a alike and w oppositely in both units of a pair."""
    x = circle(6)
    y = target(2 * math.pi * torch.arange(6, dtype=torch.float64) / 6)
    for paired in (True, False):
        torch.manual_seed(0)
        net = Wide(3, 40).double()
        if not paired:
            net.w.data[20:] = torch.randn(20, 3, dtype=torch.float64)
        before = net.kernel(x)
        loss = (net(x) - y).square().mean() / 2
        for p, g in zip(
            net.parameters(), torch.autograd.grad(loss, list(net.parameters())), strict=True
        ):
            p.data -= 1e-6 * g
        change = float((net.kernel(x) - before).norm()) / 1e-6
        assert change < 1e-4 if paired else change > 0.1


def test_only_with_the_root_of_the_width_do_the_weights_move_less_and_less(tmp_path: Path) -> None:
    """With 1/m, the control of the study, they move as far however many there are."""
    study = NTK(widths=(16, 64, 256), steps=40)
    x, y = circle(16).float(), target(2 * math.pi * torch.arange(16) / 16)
    (claim,) = (c for c in NTK.claims if c.metric == "generated/slope/weights moved")
    exponents = {}
    with Run("moved", root=tmp_path, quiet=True) as run:
        for power in (0.5, 1.0):
            moved = []
            for width in study.widths:
                with run.part(f"{power} {width}", seed=0) as metrics:
                    study.train(run, width, x, y, x, y, power)
                moved.append([metrics["weights moved"]])
            exponents[power] = slope(study.widths, moved)
    assert exponents[0.5] < -0.4
    assert abs(exponents[1.0]) < 0.2
    assert not claim.allows(exponents[1.0])


def test_the_slope_is_that_of_a_power_law() -> None:
    widths = [16, 64, 256]
    law = [[3 * w**-0.5] * 2 for w in widths]
    assert slope(widths, law) == pytest.approx(-0.5)
    assert slope([*widths, 1024], [*law, [math.nan, 1.0]]) == pytest.approx(-0.5)
    assert math.isnan(slope([16], [[1.0]]))


def test_above_the_edge_of_stability_the_pictures_are_drawn() -> None:
    """At a rate above 2 the prediction overflows and the networks are not numbers."""
    grid = torch.linspace(0, 6, 20)
    lost = {16: torch.full((20,), math.nan), 64: torch.full((20,), math.inf)}
    picture = functions(grid, torch.full((20,), math.inf), lost, (grid[:4], torch.ones(4)))
    picture.savefig(BytesIO(), format="svg")
    broken = {"distance": [[math.nan], [math.inf]], "weights moved": [[math.inf], [0.1]]}
    width_dependence([16, 64], broken, "diverged").savefig(BytesIO(), format="svg")
