"""What the generative models are asked."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from etude.exercises.checks import Code, agree, array_of, check, require, same_answer, values_of

# -- variational -----------------------------------------------------------------------------------


@check("kl", public=True)
def divergences_of_some_examples(student: Code, reference: Code, rng: Generator) -> None:
    mean, log_variance = rng.normal(size=(2, 6, 3))
    same_answer(student, reference, "gaussian_kl", mean, log_variance, what="the divergences")
    found = student.call("gaussian_kl", np.zeros((2, 3)), np.zeros((2, 3)))
    agree(found, np.zeros(2), "the divergence of N(0, 1) from itself")


@check("kl")
def the_integral_that_it_is(student: Code, reference: Code, rng: Generator) -> None:
    mean, deviation = rng.uniform(-2, 2, 5), rng.uniform(0.3, 2, 5)
    found = student.call("gaussian_kl", mean[:, None], 2 * np.log(deviation)[:, None])
    z = np.linspace(-12, 12, 4801)
    x = mean[:, None] + deviation[:, None] * z  # the density's logarithms by x, and its part by z
    logs = (x**2 - z**2) / 2 - np.log(deviation)[:, None]
    integral = (np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * logs).sum(1) * (z[1] - z[0])
    agree(found, integral, "the divergence, beside its integral,", rtol=1e-5)
    mean, log_variance = rng.normal(size=(2, 4, 7))
    whole = student.call("gaussian_kl", mean, log_variance)
    part = student.call("gaussian_kl", mean[:, :3], log_variance[:, :3])
    rest = student.call("gaussian_kl", mean[:, 3:], log_variance[:, 3:])
    total = array_of(part, (4,), "the divergence") + array_of(rest, (4,), "the divergence")
    agree(whole, total, "the divergence of seven numbers, beside that of three and of four,")


@check("sample", public=True)
def samples_from_noise(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(
        student, reference, "reparameterised", *rng.normal(size=(3, 5, 2)), what="the samples"
    )


@check("sample")
def their_mean_and_their_variance(student: Code, reference: Code, rng: Generator) -> None:
    mean, variance = rng.normal(size=(3, 4)), rng.uniform(0.1, 9, (3, 4))
    signs = np.array([1.0, -1.0])[:, None, None]  # noise of mean 0 and variance 1, exactly
    found = [student.call("reparameterised", mean, np.log(variance), s + 0 * mean) for s in signs]
    both = np.stack([array_of(each, (3, 4), "the samples") for each in found])
    agree(both.mean(0), mean, "the mean of samples")
    agree(both.var(0), variance, "the variance of samples")
    require(bool((both[0] > both[1]).all()), "larger noise gives a smaller sample")


# -- diffusion -------------------------------------------------------------------------------------


@check("schedule", public=True)
def a_schedule_of_ten_steps(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "noise_schedule", 10, 0.01, 0.2, what="β and ᾱ")


@check("schedule")
def one_step_and_a_thousand(student: Code, reference: Code, rng: Generator) -> None:
    found = student.call("noise_schedule", 1, 0.3, 0.6)
    agree(found, (np.array([0.3]), np.array([0.7])), "β and ᾱ of one step")
    beta, alpha_bar = values_of(student.call("noise_schedule", 1000, 1e-4, 0.02), 2)
    beta, alpha_bar = array_of(beta, (1000,), "β"), array_of(alpha_bar, (1000,), "ᾱ")
    agree(np.diff(beta), np.full(999, 0.0199 / 999), "the difference of each β from the last")
    agree(np.log(alpha_bar), np.cumsum(np.log(1 - beta)), "the logarithm of ᾱ")


@check("posterior", public=True)
def one_step_earlier(student: Code, reference: Code, rng: Generator) -> None:
    beta = np.linspace(0.02, 0.4, 8)
    for step in (1, 4, 7):
        arguments = (*rng.normal(size=(2, 3, 2)), step, beta)
        what = f"mean and variance before step {step}"
        same_answer(student, reference, "posterior", *arguments, what=what)


@check("posterior")
def before_the_first_step(student: Code, reference: Code, rng: Generator) -> None:
    x, start = rng.normal(size=(2, 5))
    mean, variance = values_of(student.call("posterior", x, start, 0, rng.uniform(0.1, 0.9, 4)), 2)
    agree(mean, start, "the mean before step 0")
    agree(variance, 0.0, "the variance before step 0")


@check("posterior")
def what_bayes_says(student: Code, reference: Code, rng: Generator) -> None:
    beta = rng.uniform(0.1, 0.9, 6)  # in no order
    x, start = rng.normal(size=(2, 4))
    for step in range(1, 6):
        before = float(np.prod(1 - beta[:step]))
        # Two normal distributions of the example before the step: by the start, and by x.
        precision = 1 / (1 - before) + (1 - beta[step]) / beta[step]
        by_both = np.sqrt(before) / (1 - before) * start + np.sqrt(1 - beta[step]) / beta[step] * x
        mean, variance = values_of(student.call("posterior", x, start, step, beta), 2)
        agree(variance, 1 / precision, f"the variance before step {step}")
        agree(mean, by_both / precision, f"the mean before step {step}")


@check("ddim", public=True)
def steps_with_and_without_noise(student: Code, reference: Code, rng: Generator) -> None:
    for eta in (0.0, 0.5, 1.0):
        x, predicted, noise = rng.normal(size=(3, 2, 3))
        arguments = (x, predicted, 0.3, 0.6, eta, noise)
        same_answer(
            student, reference, "ddim_step", *arguments, what=f"the step for an eta of {eta:g}"
        )


@check("ddim")
def the_right_noise_leads_to_the_example(student: Code, reference: Code, rng: Generator) -> None:
    start, noise, unused = rng.normal(size=(3, 2, 3, 4))
    x = reference.call("noisy", start, noise, 0.05)
    for level, next_level in ((0.05, 0.3), (0.3, 0.9), (0.9, 1.0)):
        x = array_of(student.call("ddim_step", x, noise, level, next_level, 0.0, unused), (2, 3, 4))
        expected = reference.call("noisy", start, noise, next_level)
        agree(x, expected, f"the example on the way, where ᾱ is {next_level},")


@check("ddim")
def with_all_its_noise_it_is_the_posterior(student: Code, reference: Code, rng: Generator) -> None:
    beta = np.linspace(0.05, 0.5, 6)
    alpha_bar = np.cumprod(1 - beta)
    start, predicted, noise = rng.normal(size=(3, 7))
    for step in (1, 3, 5):
        now, before = float(alpha_bar[step]), float(alpha_bar[step - 1])
        x = reference.call("noisy", start, predicted, now)
        mean, variance = reference.call("posterior", x, start, step, beta)
        found = student.call("ddim_step", x, predicted, now, before, 1.0, noise)
        agree(found, mean + np.sqrt(variance) * noise, f"step {step}, beside the posterior,")


@check("guidance", public=True)
def neither_nor_both(student: Code, reference: Code, rng: Generator) -> None:
    with_label, without = rng.normal(size=(2, 3, 4))
    agree(student.call("guided", with_label, without, 0.0), without, "the answer for a scale of 0")
    agree(
        student.call("guided", with_label, without, 1.0), with_label, "the answer for a scale of 1"
    )


@check("guidance")
def beyond_both(student: Code, reference: Code, rng: Generator) -> None:
    with_label, without = rng.normal(size=(2, 2, 3, 4))
    for scale in (0.3, 2.0, 7.5):
        what = f"the answer for a scale of {scale}"
        same_answer(student, reference, "guided", with_label, without, scale, what=what)


# -- adversarial -----------------------------------------------------------------------------------


@check("interpolates", public=True)
def points_between(student: Code, reference: Code, rng: Generator) -> None:
    real, generated = rng.normal(size=(2, 5, 3))
    mix = np.array([0, 1, 0.5, 0.25, 0.9])
    found = array_of(student.call("interpolates", real, generated, mix), (5, 3), "the points")
    agree(found[0], generated[0], "a point of which nothing is real")
    agree(found[1], real[1], "a point of which all is real")
    agree(found, reference.call("interpolates", real, generated, mix), "the points")


@check("interpolates")
def points_between_images_and_between_numbers(
    student: Code, reference: Code, rng: Generator
) -> None:
    for shape in ((4, 4, 4), (3, 2, 4, 3), (6,), (1, 5)):
        real, generated = rng.normal(size=(2, *shape))
        arguments = (real, generated, rng.random(shape[0]))
        same_answer(
            student, reference, "interpolates", *arguments, what=f"points of the shape {shape}"
        )


@check("critic", public=True)
def the_loss_of_a_critic(student: Code, reference: Code, rng: Generator) -> None:
    real, generated = rng.normal(size=(2, 6))
    gradients = rng.normal(size=(6, 3))
    for penalty in (0.0, 10.0):
        what = f"the loss for a penalty of {penalty:g}"
        same_answer(
            student, reference, "critic_loss", real, generated, gradients, penalty, what=what
        )


@check("critic", points=2)
def gradients_of_images_and_of_length_one(student: Code, reference: Code, rng: Generator) -> None:
    real, generated = rng.normal(size=5), rng.normal(size=8)
    gradients = rng.normal(size=(7, 2, 3, 3))
    what = "the loss with gradients by images"
    same_answer(student, reference, "critic_loss", real, generated, gradients, 3.0, what=what)
    gradients /= np.sqrt((gradients**2).sum((1, 2, 3), keepdims=True))
    difference = float(generated.mean() - real.mean())
    for length, extra in ((1, 0), (3, 40), (0, 10)):
        found = student.call("critic_loss", real, generated, length * gradients, 10.0)
        agree(found, difference + extra, f"the loss with gradients of length {length}")
    found = student.call("critic_loss", real + 5, generated + 5, gradients, 10.0)
    agree(found, difference, "the loss of a critic that says 5 more of all")


# -- energy-based ----------------------------------------------------------------------------------


def _machine(rng: Generator, n: int = 8, v: int = 5, h: int = 3) -> list[np.ndarray]:
    data = (rng.random((n, v)) < 0.5).astype(float)
    weights = [rng.normal(size=shape) for shape in ((v, h), (v,), (h,))]
    return [data, *weights, rng.random((n, h)), rng.random((n, v))]


@check("rbm", public=True)
def the_directions(student: Code, reference: Code, rng: Generator) -> None:
    same_answer(student, reference, "contrastive_divergence", *_machine(rng), what="the directions")


@check("rbm", points=2)
def machines_of_other_sizes(student: Code, reference: Code, rng: Generator) -> None:
    for size in ((1, 3, 4), (30, 4, 4), (5, 1, 2)):
        for _ in range(3):
            arguments = _machine(rng, *size)
            same_answer(
                student, reference, "contrastive_divergence", *arguments, what="the directions"
            )


@check("rbm")
def a_machine_that_knows_its_data(student: Code, reference: Code, rng: Generator) -> None:
    data, _, _, _, hidden_draws, visible_draws = _machine(rng, 8, 4, 4)
    w, b = 400 * np.eye(4), np.full(4, -200.0)  # each hidden unit copies a visible one
    found = student.call("contrastive_divergence", data, w, b, b, hidden_draws, visible_draws)
    expected = {"w": np.zeros((4, 4)), "b": np.zeros(4), "c": np.zeros(4)}
    agree(found, expected, "the directions where the reconstruction is the data")
