"""Each optimiser is PyTorch's, number for number; the quasi-Newton ones are SciPy's and the
theorems'.
"""

from __future__ import annotations

import copy
import itertools
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import etude
from etude.errors import UserError
from etude.runs.placement import has_bf16
from etude.study import OptimizerName
from etude.training import optimizers as written
from etude.training.optimizers import FUSED, WRITTEN, Muon, descent, orthogonal
from etude.training.quasi_newton import BFGS, LBFGS, bfgs_update

LATEST = {"tolerance_grad": 0.0, "tolerance_change": 0.0}
THEIRS: dict[str, tuple[Callable[..., torch.optim.Optimizer], dict[str, float]]] = {
    "SGD": (torch.optim.SGD, {"lr": 0.05}),
    "Momentum": (lambda p, **o: torch.optim.SGD(p, momentum=0.9, **o), {"lr": 0.02}),
    "Nesterov": (lambda p, **o: torch.optim.SGD(p, momentum=0.9, nesterov=True, **o), {"lr": 0.02}),
    "Adagrad": (torch.optim.Adagrad, {"lr": 0.1}),
    "Adadelta": (torch.optim.Adadelta, {"lr": 1.0}),
    "RMSprop": (torch.optim.RMSprop, {"lr": 0.01}),
    "Adam": (torch.optim.Adam, {"lr": 0.02}),
    "AdaMax": (torch.optim.Adamax, {"lr": 0.02}),
    "AdamW": (torch.optim.AdamW, {"lr": 0.02}),
}


def walk(
    make: Callable[[list[Tensor]], torch.optim.Optimizer], steps: int = 100, closure: bool = False
) -> Tensor:
    """A small network in double precision on noisy data, one new batch a step.

    (steps, parameters).
    """
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).double()
    optimizer = make(list(net.parameters()))
    path = []
    for step in range(steps):
        x = torch.randn(
            8,
            3,
            dtype=torch.double,
            generator=torch.Generator().manual_seed(step if not closure else 0),
        )

        def loss(x: Tensor = x) -> Tensor:
            optimizer.zero_grad()
            value = (net(x).squeeze(1) - x.sin().sum(1)).square().mean()
            value.backward()
            return value

        if closure:
            optimizer.step(loss)
        else:
            loss()
            optimizer.step()
        path.append(torch.cat([p.detach().flatten() for p in net.parameters()]).clone())
    return torch.stack(path)


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", THEIRS)
def test_a_hundred_steps_are_pytorchs(name: str, decay: float) -> None:
    theirs, settings = THEIRS[name]
    mine = walk(lambda p: getattr(written, name)(p, weight_decay=decay, **settings))
    assert torch.allclose(
        mine, walk(lambda p: theirs(p, weight_decay=decay, **settings)), atol=1e-6, rtol=0
    )
    assert (mine[1:] != mine[:-1]).any(1).all(), "it moves at every step"


def test_lbfgs_is_pytorchs_without_a_line_search() -> None:
    theirs = walk(
        lambda p: torch.optim.LBFGS(p, lr=0.5, max_iter=1, history_size=10, **LATEST), closure=True
    )
    mine = walk(lambda p: Evaluated(p), closure=True)
    assert torch.allclose(mine, theirs, atol=1e-6, rtol=0)
    assert (mine[-1] - mine[0]).norm() > 0.1


class Evaluated(LBFGS):
    """The step as it is, though there is a closure to compute the gradient by."""

    def __init__(self, parameters: list[Tensor]) -> None:
        super().__init__(parameters, lr=0.5)

    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        assert closure is not None
        closure()
        super().step()


def rosenbrock(w: Tensor) -> Tensor:
    return (1 - w[..., :-1]).square().sum(-1) + 100 * (
        w[..., 1:] - w[..., :-1].square()
    ).square().sum(-1)


def minimised(
    make: Callable[[list[Tensor]], torch.optim.Optimizer], steps: int, n: int
) -> tuple[Tensor, list[float]]:
    w = torch.linspace(-1.2, 1.0, n, dtype=torch.double).requires_grad_()
    optimizer = make([w])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = rosenbrock(w)
        loss.backward()
        return loss

    return w, [float(optimizer.step(closure)) for _ in range(steps)]


@pytest.mark.parametrize("n", [2, 10])
@pytest.mark.parametrize("make", [BFGS, LBFGS])
def test_with_a_line_search_the_loss_never_rises_and_the_minimum_is_found(
    make: type, n: int
) -> None:
    w, losses = minimised(make, 150, n)
    assert all(b <= a for a, b in itertools.pairwise(losses))
    assert torch.allclose(w.detach(), torch.ones(n, dtype=torch.double), atol=1e-6)


@pytest.mark.parametrize("make", [BFGS, LBFGS])
def test_where_the_closure_stays_the_same_a_step_goes_on_from_the_last_evaluation(
    make: type,
) -> None:
    walked, calls = [], []
    for same in (False, True):
        w = torch.linspace(-1.2, 1.0, 4, dtype=torch.double).requires_grad_()
        optimizer, evaluations = make([w], same=same), 0

        def closure(w: Tensor = w, optimizer: torch.optim.Optimizer = optimizer) -> Tensor:
            nonlocal evaluations
            evaluations += 1
            optimizer.zero_grad()
            loss = rosenbrock(w)
            loss.backward()
            return loss

        walked.append(
            torch.stack(
                [torch.tensor([float(optimizer.step(closure)), *w.tolist()]) for _ in range(30)]
            )
        )
        calls.append(evaluations)
        optimizer.load_state_dict(optimizer.state_dict())
        optimizer.step(closure)
        assert evaluations >= calls[-1] + 2, "what was put in its place has to be looked at anew"
    assert torch.equal(*walked)
    assert calls[1] == calls[0] - 29


def test_bfgs_finds_scipys_minimum_and_its_matrix() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    points = [torch.tensor([-1.2, 1.0, 0.5], dtype=torch.double)]

    def value(x: object) -> tuple[float, object]:
        w = torch.tensor(x, dtype=torch.double, requires_grad=True)
        loss = rosenbrock(w)
        (g,) = torch.autograd.grad(loss, w)
        return float(loss.detach()), g.numpy()

    found = optimize.minimize(
        value,
        points[0].numpy(),
        jac=True,
        method="BFGS",
        callback=lambda x: points.append(torch.tensor(x)),
    )
    H = torch.eye(3, dtype=torch.double)
    gradients = [torch.tensor(value(p.numpy())[1]) for p in points]
    for k in range(
        len(points) - 2
    ):  # SciPy's own steps through our update; after its last it makes none
        H = bfgs_update(H, points[k + 1] - points[k], gradients[k + 1] - gradients[k])
    assert torch.allclose(H, torch.tensor(found.hess_inv), rtol=1e-6, atol=1e-9)
    mine, _ = minimised(BFGS, 150, 3)
    assert torch.allclose(mine.detach(), torch.tensor(found.x), atol=1e-4)


def test_the_update_keeps_the_secant_equation_symmetry_and_positive_curvature() -> None:
    torch.manual_seed(1)
    A = torch.randn(6, 6, dtype=torch.double)
    H = A @ A.T + torch.eye(6)
    s, y = torch.randn(2, 6, dtype=torch.double)
    y = y * torch.sign(y @ s)
    new = bfgs_update(H, s, y)
    assert torch.allclose(new @ y, s)
    assert torch.allclose(new, new.T)
    assert torch.linalg.eigvalsh(new).min() > 0


@pytest.mark.parametrize("make", [BFGS, LBFGS])
def test_a_quadratic_is_solved_in_as_many_steps_as_it_has_dimensions(make: type) -> None:
    scales = torch.tensor([1.0, 3.0, 10.0, 30.0], dtype=torch.double)
    w = torch.ones(4, dtype=torch.double, requires_grad=True)
    optimizer = make([w])

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (scales * w.square()).sum() / 2
        loss.backward()
        return loss

    for _ in range(40):  # 4 with exact line searches; halving needs a few more
        optimizer.step(closure)
    assert float(w.detach().norm()) < 1e-9


def test_bfgs_refuses_a_matrix_that_no_machine_holds() -> None:
    with pytest.raises(UserError, match="20,000 parameters; expected at most 10,000: lbfgs"):
        BFGS([torch.zeros(20_000, requires_grad=True)])


def test_a_rule_knows_its_coefficients() -> None:
    with pytest.raises(
        TypeError, match="RMSprop has no coefficient momentum; expected: alpha, eps"
    ):
        written.RMSprop([torch.zeros(1, requires_grad=True)], momentum=0.9)


def test_the_names_are_those_that_a_field_may_have() -> None:
    assert set(WRITTEN) == set(typing.get_args(OptimizerName))


@pytest.mark.parametrize("name", WRITTEN)
def test_by_name_it_is_what_is_written_here(name: str) -> None:
    """Also where PyTorch's fused kernel stands in for it."""
    mine = walk(lambda p: WRITTEN[name](p, lr=0.01, weight_decay=0.1))
    assert torch.allclose(walk(lambda p: descent(name, p, 0.01, 0.1)), mine, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", WRITTEN)
def test_it_goes_on_from_its_state(name: str) -> None:
    def make(w: Tensor) -> torch.optim.Optimizer:
        return WRITTEN[name]([w], lr=1e-3)

    def go(w: Tensor, optimizer: torch.optim.Optimizer, steps: int) -> None:
        for _ in range(steps):
            optimizer.zero_grad()
            rosenbrock(w).backward()
            optimizer.step()

    w = torch.tensor([-0.5, 0.7], requires_grad=True)
    optimizer = make(w)
    go(w, optimizer, 5)
    again = w.detach().clone().requires_grad_()
    other = make(again)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    go(w, optimizer, 5)
    go(again, other, 5)
    assert torch.equal(w, again)


# -- Muon ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 6), (9, 4), (4, 9)])
def test_an_orthogonal_step_keeps_directions_and_levels_lengths(shape: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    left, _ = torch.linalg.qr(torch.randn(shape[0], 4, generator=generator, dtype=torch.double))
    right, _ = torch.linalg.qr(torch.randn(shape[1], 4, generator=generator, dtype=torch.double))
    lengths = torch.tensor([1.0, 0.5, 0.1, 0.03], dtype=torch.double)
    found = left.T @ orthogonal(left * lengths @ right.T) @ right
    assert (found - found.diagonal().diag()).abs().max() < 1e-9, "the same directions"
    assert found.diagonal().min() > 0.65
    assert found.diagonal().max() < 1.25
    same = orthogonal(1e3 * left * lengths @ right.T)
    torch.testing.assert_close(same, orthogonal(left * lengths @ right.T), atol=1e-9, rtol=0)
    assert not orthogonal(torch.zeros(shape)).any()


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")
@pytest.mark.parametrize("shape", [(8, 8), (12, 5), (5, 12)])
def test_muon_is_pytorchs(shape: tuple[int, int]) -> None:
    start = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    mine, theirs = (start.clone().requires_grad_() for _ in range(2))
    settings = {"lr": 0.02, "weight_decay": 0.1}
    rules = (
        Muon([mine], **settings),
        torch.optim.Muon([theirs], adjust_lr_fn="match_rms_adamw", **settings),
    )
    for step in range(30):
        for w, rule in zip((mine, theirs), rules, strict=True):
            w.grad = torch.randn(shape, generator=torch.Generator().manual_seed(1 + step))
            rule.step()
    assert (mine - start).abs().max() > 0.1
    tolerance = (
        0.0 if has_bf16(torch.device("cpu")) else 2e-3
    )  # theirs is in bf16 anywhere, ours where that is fast
    torch.testing.assert_close(mine, theirs, atol=tolerance, rtol=0)


def test_muon_takes_maps_and_leaves_tables_and_vectors_to_adamw() -> None:
    torch.manual_seed(0)
    kernels = nn.Conv2d(2, 3, 3)
    net = nn.ModuleDict(
        {
            "table": nn.Embedding(7, 4),
            "map": nn.Linear(4, 5),
            "norm": nn.LayerNorm(5),
            "kernels": kernels,
        }
    )
    other = copy.deepcopy(net)
    rules = descent("muon", net, 0.01, 0.1), descent("adamw", other, 0.01, 0.1)
    for step in range(3):
        for each, rule in zip((net, other), rules, strict=True):
            generator = torch.Generator().manual_seed(step)
            for w in each.parameters():
                w.grad = torch.randn(w.shape, generator=generator)
            rule.step()
    for (name, w), v in zip(net.named_parameters(), other.parameters(), strict=True):
        assert torch.allclose(w, v, atol=1e-5) == (name not in ("map.weight", "kernels.weight")), (
            name
        )
    before = kernels.weight.detach().clone()
    rules[0].step()
    moved = (kernels.weight.detach() - before * (1 - 0.01 * 0.1)).flatten(1)
    assert float(moved.norm()) == pytest.approx(0.2 * 0.01 * (18 * 3) ** 0.5, rel=0.25), (
        "as long as Adam's"
    )


@pytest.mark.parametrize("study", ["sine", "digits"])
def test_any_study_runs_with_any_of_them(study: str, tmp_path: Path) -> None:
    short = {"steps": 20} if study == "sine" else {"epochs": 0.2, "width": 4}
    for name in ("adamax", "muon", "lbfgs"):
        run = etude.run(
            study, root=tmp_path, quiet=True, optimizer=name, learning_rate=1e-3, **short
        )
        assert run.metrics
        assert run.folder.study()["fields"]["optimizer"] == name


@pytest.mark.parametrize("name", sorted(FUSED))
def test_fused_ones_are_pytorchs_to_the_bit(name: str) -> None:
    theirs = {
        "sgd": "SGD",
        "momentum": "Momentum",
        "nesterov": "Nesterov",
        "adagrad": "Adagrad",
        "adam": "Adam",
        "adamw": "AdamW",
    }[name]
    make, settings = THEIRS[theirs]
    ours = walk(lambda p: FUSED[name](p, fused=True, weight_decay=0.1, **settings))
    assert torch.equal(ours, walk(lambda p: make(p, fused=True, weight_decay=0.1, **settings)))


def test_a_step_does_not_load_the_compiler() -> None:
    steps = """
import sys, torch
from etude.training.optimizers import FUSED, WRITTEN
w = torch.ones(3, requires_grad=True)
for make in (*FUSED.values(), *WRITTEN.values()):
    optimizer = make([w], lr=0.1)
    w.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    optimizer.load_state_dict(optimizer.state_dict())
assert float(w.detach().min()) < 1
print("torch._dynamo" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", steps], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
