"""The optimizers study: surfaces are what they are said to be, walks resume and tell the truth,
lessons hold.
"""

from __future__ import annotations

import copy
import math
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.autograd.functional import hessian

import etude
from etude.studies.foundations.optimizers._demo import place_in_view
from etude.studies.foundations.optimizers._quadratics import quadratic_errors
from etude.studies.foundations.optimizers._rates import RATES
from etude.studies.foundations.optimizers._surfaces import (
    SURFACES,
    Surface,
    Walk,
    beale,
    rosenbrock,
    saddle,
)
from etude.studies.foundations.optimizers.optimizers import NAMES, Optimizers
from etude.training.optimizers import WRITTEN

DOUBLE = torch.float64


def curvatures(surface: Surface, place: tuple[float, float]) -> Tensor:
    """The eigenvalues of the Hessian, rising."""
    return torch.linalg.eigvalsh(hessian(surface.loss, torch.tensor(place, dtype=DOUBLE)))


def walk_on(name: str, names: list[str], steps: int, pace: float = 1.0) -> Walk:
    rules = {n: partial(WRITTEN[n], lr=pace * RATES[n][name]) for n in names}
    walk = Walk(SURFACES[name], torch.tensor(SURFACES[name].start, dtype=DOUBLE), rules)
    for _ in range(steps):
        walk.step()
    return walk


@pytest.mark.parametrize("surface", SURFACES.values(), ids=SURFACES)
def test_the_minima_are_minima_of_no_loss(surface: Surface) -> None:
    for minimum in surface.minima:
        w = torch.tensor(minimum, dtype=DOUBLE, requires_grad=True)
        loss = surface.loss(w)
        (g,) = torch.autograd.grad(loss, w)
        assert float(loss.detach()) == 0
        assert g.abs().max() == 0
        assert (curvatures(surface, minimum) > 0).all()
    left, right, bottom, top = surface.view
    for x, y in (surface.minima[0], surface.start):
        assert left < x < right
        assert bottom < y < top


def test_the_surfaces_are_those_of_the_literature() -> None:
    optimize = pytest.importorskip("scipy.optimize")
    places = torch.randn(20, 2, dtype=DOUBLE, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(rosenbrock(places), torch.from_numpy(optimize.rosen(places.T.numpy())))
    assert float(beale(torch.zeros(2))) == pytest.approx(14.203125)  # 1.5² + 2.25² + 2.625²
    low, high = curvatures(SURFACES["saddle"], (0.0, 0.0))
    assert low == pytest.approx(-1)
    assert high == pytest.approx(10)
    assert saddle(places).shape == (20,)


def test_the_condition_of_rosenbrocks_valley_is_that_of_the_lesson() -> None:
    low, high = curvatures(SURFACES["rosenbrock"], (1.0, 1.0)).tolist()
    assert high / low == pytest.approx(2508, abs=0.5)
    rate = RATES["sgd"]["rosenbrock"]
    assert 0.9 < rate * high / 2 < 1, "descent just within the edge"
    assert -1 / math.log10(1 - rate * low) == pytest.approx(3034, abs=1)


def test_descent_within_the_edge_comes_to_rest_and_beyond_it_leaves() -> None:
    _, high = curvatures(SURFACES["rosenbrock"], (1.0, 1.0)).tolist()
    near = Surface(rosenbrock, (1.0, 1.0 + 1e-6), ((1.0, 1.0),), (0, 2, 0, 2))
    away = {}
    for part in (0.95, 1.05):
        rule = partial(WRITTEN["sgd"], lr=part * 2 / high)
        walk = Walk(near, torch.tensor(near.start, dtype=DOUBLE), {"sgd": rule})
        for _ in range(60):
            walk.step()
        away[part] = walk.farthest("sgd", since=40)
    assert away[0.95] < 1e-6 < away[1.05]


def test_the_farthest_is_that_of_the_last_steps() -> None:
    walk = walk_on("rosenbrock", ["sgd"], 1)
    walk.paths["sgd"] = [(1.0, 1.5), (1.0, 1.1), (1.0, 1.3), (1.0, 1.2)]
    assert walk.farthest("sgd", since=1) == pytest.approx(0.3)
    assert walk.farthest("sgd", since=9) == pytest.approx(0.2), "it rests there"


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_disturbed_by_the_others(name: str) -> None:
    alone, together = walk_on("beale", [name], 30), walk_on("beale", NAMES, 30)
    assert alone.paths[name] == together.paths[name]
    assert alone.gradients[name] == together.gradients[name] >= len(alone.paths[name]) - 1
    assert len(set(alone.paths[name])) > 15, "it moves"


def test_a_walk_goes_on_from_its_state() -> None:
    whole = walk_on("rosenbrock", NAMES, 60)
    begun = copy.deepcopy(walk_on("rosenbrock", NAMES, 35).state_dict())
    resumed = walk_on("rosenbrock", NAMES, 0)
    resumed.load_state_dict(begun)
    for _ in range(25):
        resumed.step()
    assert resumed.paths == whole.paths
    assert resumed.gradients == whole.gradients
    assert resumed.walking == whole.walking
    assert len(resumed.walking) == 9, "the quasi-Newton two have arrived"


def test_what_it_says_of_an_end_is_so() -> None:
    walk = walk_on("rosenbrock", ["sgd", "rmsprop", "bfgs"], 60)
    assert walk.ending("bfgs") == "rests"
    assert SURFACES["rosenbrock"].distance(walk.paths["bfgs"][-1]) < 1e-5
    soon = walk.arrival("bfgs", 0.01)
    assert soon is not None
    away = [math.dist(place, (1, 1)) for place in walk.paths["bfgs"]]
    assert max(away[soon:]) <= 0.01 < away[soon - 1]
    assert walk.arrival("sgd", 0.01) is None
    walk.paths["sgd"] = [(1 - 0.5**k, 1.0) for k in range(1, 120)]
    assert walk.ending("sgd").startswith("creeps, ")
    walk.paths["sgd"] = [(1 + 0.3 * (-1) ** k, 1.0) for k in range(120)]
    assert walk.ending("sgd") == "circles, 0.6 a step"


def test_who_is_thrown_off_is_told_and_left_behind() -> None:
    walk = walk_on("rosenbrock", ["sgd", "adam"], 30, pace=100)
    assert walk.ending("sgd") == "diverged"
    assert walk.walking == ["adam"]
    assert len(walk.paths["adam"]) == 31
    assert SURFACES["rosenbrock"].distance((math.nan, 0.0)) == math.inf


def test_adaptive_steps_leave_the_saddles_axis_and_plain_ones_wait_on_it() -> None:
    walk = walk_on("saddle", ["sgd", "adagrad", "adam", "adamax"], 20)
    assert abs(walk.paths["sgd"][-1][1]) < 0.02
    assert all(walk.paths[name][-1][1] > 0.5 for name in ("adagrad", "adam", "adamax"))


def test_the_rate_of_adadelta_is_hidden_in_its_epsilon() -> None:
    def path(η: float, ε: float) -> Tensor:
        surface = SURFACES["rosenbrock"]
        walk = Walk(
            surface,
            torch.tensor(surface.start, dtype=DOUBLE),
            {"it": lambda p: WRITTEN["adadelta"](p, lr=η, eps=ε)},
        )
        for _ in range(300):
            walk.step()
        return torch.tensor(walk.paths["it"])

    assert torch.allclose(path(0.1, 1e-6), path(1.0, 1e-8), atol=1e-4)
    assert (path(0.1, 1e-6)[-1] - path(1.0, 1e-6)[-1]).norm() > 0.1


def test_the_decay_of_adamw_draws_it_towards_the_origin() -> None:
    surface = SURFACES["saddle"]
    rules = {f"{λ}": partial(WRITTEN["adamw"], lr=0.1, weight_decay=λ) for λ in (0.0, 0.1)}
    walk = Walk(surface, torch.tensor(surface.start, dtype=DOUBLE), rules)
    for _ in range(300):
        walk.step()
    assert abs(walk.paths["0.1"][-1][1]) < abs(walk.paths["0.0"][-1][1]) - 1e-4


def test_descent_on_a_quadratic_loses_what_the_theory_says() -> None:
    errors = quadratic_errors(partial(WRITTEN["sgd"], lr=2 / 11), 10.0, 20)
    assert errors[20] / errors[19] == pytest.approx(9 / 11)
    assert errors[0] == pytest.approx(math.sqrt(2))


def test_a_run_too_short_says_so(tmp_path: Path) -> None:
    run = etude.run("optimizers", root=tmp_path, quiet=True, steps=120, epochs=2, repeats=1)
    assert {path.stem for path in run.folder.pictures()} == {
        "rosenbrock",
        "beale",
        "saddle",
        "walk",
        "quadratics",
        "race",
    }
    gif = (run.folder.figures / "walk.gif").read_bytes()
    assert gif.startswith(b"GIF89a")
    assert len(gif) < 2_000_000
    tables = run.folder.tables_of()
    assert [row[0] for row in tables["rosenbrock"][1:]] == NAMES
    held = {verdict.claim.metric: verdict.holds for verdict in run.verdicts}
    assert not held["rosenbrock/worst"]
    assert held["quadratic/error"]
    momentum = next(c for c in Optimizers.claims if c.metric == "quadratic/momentum/steps a digit")
    assert held[momentum.metric]
    assert not momentum.allows(run.metrics["quadratic/sgd/steps a digit"])
    assert run.metrics["rosenbrock/bfgs"] < 1e-5
    assert run.metrics["rosenbrock/restless"] >= run.metrics["rosenbrock/adadelta"]


def test_a_walk_that_diverges_is_drawn_and_told_all_the_same(tmp_path: Path) -> None:
    with etude.Run("walk", root=tmp_path, quiet=True) as run:
        Optimizers(steps=60, pace=50.0).walk(run, "rosenbrock")
    endings = {row[0]: row[-1] for row in run.folder.tables_of()["rosenbrock"][1:]}
    assert endings["sgd"] == "diverged"
    assert run.metrics["rosenbrock/worst"] > 1e100
    assert (run.folder.figures / "rosenbrock.png").stat().st_size > 20_000


def test_a_click_on_the_square_is_a_place_in_the_view() -> None:
    left, right, bottom, top = SURFACES["beale"].view
    assert place_in_view(SURFACES["beale"], (-1, 1)) == (left, top)
    assert place_in_view(SURFACES["beale"], (1, -1)) == (right, bottom)
    assert place_in_view(SURFACES["beale"], (0, 0)) == pytest.approx(
        ((left + right) / 2, (bottom + top) / 2)
    )


def test_every_optimizer_has_a_rate_for_every_task() -> None:
    assert [*RATES] == NAMES
    assert all(rates.keys() == {*SURFACES, "digits"} for rates in RATES.values())


def test_the_start_is_scattered_by_the_seed_if_at_all(tmp_path: Path) -> None:
    def ends(seed: int, scatter: float) -> dict[str, float]:
        with etude.Run("walk", root=tmp_path, quiet=True, seed=seed) as run:
            Optimizers(steps=30, scatter=scatter).walk(run, "saddle")
        return run.metrics

    still = ends(0, 0.0)
    assert ends(1, 0.0) == still
    assert ends(1, 0.1) != still
