"""Diffusion and flow against diffusers' schedulers, and against what is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from etude.errors import UserError
from etude.studies.generative._interpolation import slerp
from etude.studies.generative.diffusion._figures import factors
from etude.studies.generative.diffusion._flow import Flow
from etude.studies.generative.diffusion._process import Diffusion, spaced
from etude.studies.generative.diffusion._sampling import (
    Process,
    guided,
    sample,
    sampling_path,
    to_unit_interval,
)

SCHEDULES = pytest.mark.parametrize("schedule", ["cosine", "linear"])
NAMES = {"cosine": "squaredcos_cap_v2", "linear": "linear"}


def model(x: Tensor, t: Tensor) -> Tensor:
    """Stands for a network: any smooth function of both."""
    return 0.8 * torch.tanh(1.5 * x.flip(-1)) + t.to(x)[:, None].cos() * x


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.double)


def theirs(kind: str, schedule: str, clip: float | None, steps: int):  # type: ignore[no-untyped-def]
    """A scheduler of diffusers with our tables, which are in double precision, so that only the
    steps are compared.
    """
    diffusers = pytest.importorskip("diffusers")
    options = {
        "clip_sample": clip is not None,
        "clip_sample_range": clip or 1.0,
        "timestep_spacing": "trailing",
    }
    scheduler = getattr(diffusers, kind)(1_000, beta_schedule=NAMES[schedule], **options)
    scheduler.alphas_cumprod = Diffusion(1_000, schedule).alpha_bar  # type: ignore[arg-type]
    scheduler.set_timesteps(steps)
    return scheduler


@SCHEDULES
def test_the_schedules_are_those_of_diffusers(schedule: str) -> None:
    diffusers = pytest.importorskip("diffusers")
    expected = diffusers.DDPMScheduler(1_000, beta_schedule=NAMES[schedule])
    ours = Diffusion(1_000, schedule)  # type: ignore[arg-type]
    torch.testing.assert_close(ours.beta, expected.betas.double(), atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(
        ours.alpha_bar, expected.alphas_cumprod.double(), atol=1e-6, rtol=1e-3
    )


@SCHEDULES
def test_noising_is_that_of_diffusers(schedule: str) -> None:
    scheduler = theirs("DDPMScheduler", schedule, None, 1_000)
    x, e, t = noise(5, 3), noise(5, 3, seed=1), torch.tensor([0, 1, 500, 998, 999])
    ours = Diffusion(1_000, schedule).mix(x, t, e)  # type: ignore[arg-type]
    torch.testing.assert_close(ours, scheduler.add_noise(x, e, t), atol=1e-10, rtol=0)


@SCHEDULES
@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("steps", [1_000, 50, 8])
def test_ddpm_walks_as_in_diffusers(schedule: str, clip: float | None, steps: int) -> None:
    scheduler = theirs("DDPMScheduler", schedule, clip, steps)
    start = noise(4, 6)
    torch.manual_seed(0)
    path = list(Diffusion(1_000, schedule, eta=1.0, clip=clip).reverse(model, start, steps))  # type: ignore[arg-type]
    torch.manual_seed(0)
    x = start
    for here, t in zip(path, scheduler.timesteps, strict=False):
        torch.testing.assert_close(here.x, x, atol=1e-6, rtol=1e-6)
        x = scheduler.step(model(x, torch.full((4,), (int(t) + 1) / 1_000)), int(t), x).prev_sample
    torch.testing.assert_close(path[-1].x, x, atol=1e-6, rtol=1e-6)
    assert len(path) == steps + 1


@SCHEDULES
@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize("eta", [0.0, 0.3])
@pytest.mark.parametrize("steps", [1_000, 50, 8])
def test_ddim_walks_as_in_diffusers(
    schedule: str, clip: float | None, eta: float, steps: int
) -> None:
    scheduler = theirs("DDIMScheduler", schedule, clip, steps)
    start = noise(4, 6)
    torch.manual_seed(0)
    path = list(Diffusion(1_000, schedule, eta=eta, clip=clip).reverse(model, start, steps))  # type: ignore[arg-type]
    torch.manual_seed(0)
    x = start
    for here, t in zip(path, scheduler.timesteps, strict=False):
        torch.testing.assert_close(here.x, x, atol=1e-6, rtol=1e-6)
        answer = model(x, torch.full((4,), (int(t) + 1) / 1_000))
        x = scheduler.step(answer, int(t), x, eta=eta, use_clipped_model_output=True).prev_sample
    torch.testing.assert_close(path[-1].x, x, atol=1e-6, rtol=1e-6)


def test_a_flow_by_euler_walks_as_in_diffusers() -> None:
    diffusers = pytest.importorskip("diffusers")
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(1_000, shift=1.0)
    scheduler.set_timesteps(sigmas=[1 - i / 10 for i in range(10)])
    start = noise(4, 6).float()
    *_, end = Flow().reverse(model, start, 10)
    x = start
    for sigma, t in zip(scheduler.sigmas, scheduler.timesteps, strict=False):
        x = scheduler.step(model(x, sigma.expand(4)), t, x).prev_sample
    torch.testing.assert_close(end.x, x, atol=1e-6, rtol=1e-5)


# -- theorems --------------------------------------------------------------------------------------


@SCHEDULES
def test_noising_at_once_is_noising_step_by_step(schedule: str) -> None:
    process = Diffusion(200, schedule)  # type: ignore[arg-type]
    factor, variance = 1.0, 0.0
    for t, beta in enumerate(process.beta.tolist()):
        factor, variance = math.sqrt(1 - beta) * factor, (1 - beta) * variance + beta
        x = process.mix(
            torch.ones(2, 1).double(), torch.full((2,), t), torch.tensor([[0.0], [1.0]]).double()
        )
        assert x[0].item() == pytest.approx(factor, rel=1e-9)
        assert (x[1] - x[0]).item() ** 2 == pytest.approx(variance, rel=1e-9)
    assert variance > 0.99


@pytest.mark.parametrize(("t", "s"), [(1, 0), (500, 499), (999, 600), (40, 3)])
def test_a_step_of_ddpm_is_bayes(t: int, s: int) -> None:
    """q(x_s | x_t, x_0) ∝ q(x_t | x_s) q(x_s | x_0): precisions add, means weigh by them."""
    process = Diffusion(eta=1.0)
    alpha, before = process.bar(t) / process.bar(s), process.bar(s)
    x0, x = torch.tensor([0.7]).double(), torch.tensor([-0.4]).double()
    precision = alpha / (1 - alpha) + 1 / (1 - before)
    mean = (math.sqrt(alpha) * x / (1 - alpha) + math.sqrt(before) * x0 / (1 - before)) / precision
    assert process.variance(t, s) == pytest.approx(1 / precision, rel=1e-9)
    torch.manual_seed(0)
    found = process.step(x, t, s, x0)
    torch.manual_seed(0)
    torch.testing.assert_close(found, mean + torch.randn_like(x) / math.sqrt(precision))


M, S = 2.0, 0.5  # data that are normal: the best network is known


def best(process: Process) -> nn.Module:
    """E[target | x_t] for data from N(M, S²)."""

    class Best(nn.Module):
        def forward(self, x: Tensor, time: Tensor) -> Tensor:
            if isinstance(process, Diffusion):
                bar = process.alpha_bar[(time[0] * process.steps).round().long() - 1]
                return (1 - bar).sqrt() * (x - bar.sqrt() * M) / (bar * S**2 + 1 - bar)
            t = time[:, None].to(x)
            return -M + (t - (1 - t) * S**2) / ((1 - t) ** 2 * S**2 + t**2) * (x - (1 - t) * M)

    return Best()


@pytest.mark.parametrize(
    ("process", "steps"),
    [
        (Diffusion(eta=1.0), 1_000),
        (Diffusion(schedule="linear", eta=1.0), 1_000),
        (Diffusion(eta=0.0), 200),
        (Diffusion(eta=0.5), 500),
        (Flow(), 200),
        (Flow(heun=True), 20),
    ],
    ids=["DDPM", "DDPM linear", "DDIM", "between", "Euler", "Heun"],
)
def test_the_best_network_brings_back_mean_and_variance(process: Process, steps: int) -> None:
    torch.manual_seed(0)
    *_, end = process.reverse(best(process), torch.randn(20_000, 1, dtype=torch.double), steps)
    assert end.x.mean().item() == pytest.approx(M, abs=0.02)
    assert end.x.std().item() == pytest.approx(S, abs=0.02)


def test_the_best_network_is_the_least_loss() -> None:
    torch.manual_seed(0)
    for process in (Diffusion(), Flow()):
        x, e = M + S * torch.randn(50_000, 1), torch.randn(50_000, 1)
        t = process.sample_times(1).expand(50_000)
        mixture, target = process.mix(x, t, e), process.target(x, e)
        answer = best(process)(mixture, process.fraction(t))
        loss = [(answer + shift - target).square().mean() for shift in (0.0, 0.05, -0.05)]
        assert loss[0] < min(loss[1:])


def test_heun_is_of_second_order_and_euler_of_first() -> None:
    """For normal data the way is known: the point z of the noise ends at M + S z."""
    z = noise(200, 1)
    error = {
        (heun, n): (list(Flow(heun).reverse(best(Flow()), z, n))[-1].x - (M + S * z))
        .abs()
        .max()
        .item()
        for heun in (False, True)
        for n in (40, 80)
    }
    assert error[False, 40] / error[False, 80] == pytest.approx(2, rel=0.15)
    assert error[True, 40] / error[True, 80] > 3.3
    assert error[True, 40] < error[False, 80]


def test_guesses_are_cut() -> None:
    path = list(Diffusion(clip=1.0).reverse(model, 3 * noise(4, 6), 10))
    assert all(step.guess.abs().max() <= 1 for step in path)
    assert [step.time for step in path] == pytest.approx([1 - i / 10 for i in range(11)])


# -- guidance, spacing, spheres --------------------------------------------------------------------


class Told(nn.Module):
    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        return x * time[:, None] + label[:, None]


def test_guidance_goes_from_nothing_through_the_class_and_beyond() -> None:
    x, t, y = torch.zeros(2, 1), torch.ones(2), torch.tensor([1, 2])
    said = {w: guided(Told(), y, w)(x, t)[:, 0].tolist() for w in (0.0, 1.0, 3.0)}
    assert said == {0.0: [10, 10], 1.0: [1, 2], 3.0: [10 + 3 * -9, 10 + 3 * -8]}


def test_drawing_in_parts_is_drawing_at_once() -> None:
    z, y = torch.randn(1_001, 1), torch.arange(1_001) % 10
    whole = sample(Flow(), Told(), z, y, 3, 1.5)
    assert whole.shape == z.shape
    torch.testing.assert_close(whole[990:], sample(Flow(), Told(), z[990:], y[990:], 3, 1.5))


def test_the_whole_way_ends_where_drawing_does() -> None:
    z, y = noise(3, 4).float(), torch.arange(3)
    time, at, guess = sampling_path(Diffusion(), Told(), z, y, 5, 2.0)
    assert time == pytest.approx([1, 0.8, 0.6, 0.4, 0.2, 0])
    assert at.shape == guess.shape == (6, 3, 4)
    torch.testing.assert_close(at[0], to_unit_interval(z))
    torch.testing.assert_close(at[-1], sample(Diffusion(), Told(), z, y, 5, 2.0))
    assert to_unit_interval(torch.tensor([-2.0, -1, 0, 1, 2])).tolist() == [0, 0, 0.5, 1, 1]


def test_mixtures_are_those_of_the_processes() -> None:
    kinds = factors(1_000)
    assert set(kinds) == {"cosine", "linear", "flow"}
    x, e = torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0], [1.0]])
    for name, (time, picture, part) in kinds.items():
        flow = name == "flow"
        process = Flow() if flow else Diffusion(1_000, name)  # type: ignore[arg-type]
        t = time[[299, 299]] if flow else torch.tensor([299, 299])
        torch.testing.assert_close(process.fraction(t), time[[299, 299]], atol=1e-6, rtol=0)
        mixed = process.mix(x, t, e)[:, 0].double()
        torch.testing.assert_close(
            mixed, torch.stack([picture[299], part[299]]).double(), atol=1e-6, rtol=1e-5
        )


def test_steps_are_even_and_begin_at_the_end() -> None:
    assert spaced(1_000, 4) == [999, 749, 499, 249]
    assert spaced(3, 3) == [2, 1, 0]
    with pytest.raises(UserError, match="from 1 to 10"):
        spaced(10, 11)


def test_slerp_stays_on_the_sphere() -> None:
    a, b = (x / x.norm(dim=-1, keepdim=True) for x in (noise(3, 1, 50), noise(3, 1, 50, seed=1)))
    part = torch.linspace(0, 1, 5)[:, None].double()
    between = slerp(a, b, part)
    assert between.shape == (3, 5, 50)
    torch.testing.assert_close(between.norm(dim=-1), torch.ones(3, 5).double())
    torch.testing.assert_close(between[:, 0], a[:, 0])
    torch.testing.assert_close(between[:, -1], b[:, 0])
    assert torch.lerp(a, b, part).norm(dim=-1)[:, 2].max() < 0.9
