"""The assignments' references beside PyTorch, sacreBLEU, diffusers, and what can be counted."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

Array = np.ndarray[Any, np.dtype[np.float64]]


def reference(name: str) -> ModuleType:
    return importlib.import_module(f"etude.exercises.assignments.{name}.reference")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def leaves(*arrays: Array) -> list[torch.Tensor]:
    return [torch.tensor(array, requires_grad=True) for array in arrays]


def same(found: object, expected: torch.Tensor | Array | float, rtol: float = 1e-9) -> None:
    if isinstance(expected, torch.Tensor):
        expected = expected.detach().numpy()
    np.testing.assert_allclose(np.asarray(found), expected, rtol=rtol, atol=1e-10)


def same_gradients(
    found: tuple[Array, ...], out: torch.Tensor, by_out: Array, of: list[torch.Tensor]
) -> None:
    expected = torch.autograd.grad(out, of, torch.tensor(by_out))
    for one, other in zip(found, expected, strict=True):
        same(one, other)


# -- layers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("training", [True, False])
def test_batch_normalisation(rng: np.random.Generator, training: bool) -> None:
    layers = reference("layers")
    x, by_out = 3 * rng.normal(size=(2, 9, 4)) + 1
    gamma, beta, mean = rng.normal(size=(3, 4))
    var = rng.random(4) + 0.5
    found, new_mean, new_var = layers.batch_norm(x, gamma, beta, mean, var, training)
    tensors = leaves(x, gamma, beta)
    running = torch.tensor(mean), torch.tensor(var)  # changed in place
    out = F.batch_norm(tensors[0], *running, tensors[1], tensors[2], training, momentum=0.1)
    same(found, out)
    same(new_mean, running[0])
    # PyTorch's running variance divides by N − 1.
    unbiased = new_var + 0.1 * x.var(0) / 8 if training else var
    same(unbiased, running[1])
    if training:
        same_gradients(layers.batch_norm_backward(by_out, x, gamma), out, by_out, tensors)


def test_layer_normalisation(rng: np.random.Generator) -> None:
    x, gamma, beta = rng.normal(size=(5, 7)), rng.normal(size=7), rng.normal(size=7)
    expected = F.layer_norm(torch.tensor(x), (7,), torch.tensor(gamma), torch.tensor(beta))
    same(reference("layers").layer_norm(x, gamma, beta), expected)


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 2), (2, 0), (2, 1), (3, 1)])
def test_convolution(rng: np.random.Generator, stride: int, padding: int) -> None:
    layers = reference("layers")
    x, w = rng.normal(size=(2, 3, 8, 7)), rng.normal(size=(4, 3, 3, 2))
    b = rng.normal(size=4)
    tensors = leaves(x, w, b)
    out = F.conv2d(tensors[0], tensors[1], tensors[2], stride=stride, padding=padding)
    same(layers.conv2d(x, w, b, stride, padding), out)
    by_out = rng.normal(size=out.shape)
    found = layers.conv2d_backward(by_out, x, w, stride, padding)
    same_gradients(found, out, by_out, tensors)


@pytest.mark.parametrize(("size", "stride"), [(2, 2), (3, 2), (3, 1), (2, 3)])
def test_pooling(rng: np.random.Generator, size: int, stride: int) -> None:
    layers = reference("layers")
    for x in (rng.normal(size=(2, 3, 7, 8)), rng.integers(0, 3, (2, 3, 7, 8)).astype(float)):
        tensors = leaves(x)
        out = F.max_pool2d(tensors[0], size, stride)
        same(layers.max_pool(x, size, stride), out)
        by_out = rng.normal(size=out.shape)
        found = layers.max_pool_backward(by_out, x, size, stride)
        same_gradients((found,), out, by_out, tensors)


# -- optimisers ------------------------------------------------------------------------------------

Rule = Callable[[list[torch.Tensor]], torch.optim.Optimizer]
RULES: dict[str, tuple[int, tuple[float, ...], Rule]] = {
    "momentum_step": (1, (0.1, 0.9), lambda w: torch.optim.SGD(w, 0.1, momentum=0.9)),
    "nesterov_step": (
        1,
        (0.1, 0.9),
        lambda w: torch.optim.SGD(w, 0.1, momentum=0.9, nesterov=True),
    ),
    "adagrad_step": (1, (0.1,), lambda w: torch.optim.Adagrad(w, 0.1)),
    "rmsprop_step": (1, (0.1,), lambda w: torch.optim.RMSprop(w, 0.1)),
    "adam_step": (2, (0.1,), lambda w: torch.optim.Adam(w, 0.1)),
    "adamw_step": (2, (0.1, 0.3), lambda w: torch.optim.AdamW(w, 0.1, weight_decay=0.3)),
}


@pytest.mark.parametrize("rule", RULES)
def test_optimisers_walk_as_pytorchs(rng: np.random.Generator, rule: str) -> None:
    memories, options, torchs = RULES[rule]
    step = getattr(reference("optimizers"), rule)
    w = rng.normal(size=(3, 2))
    state = [w, *[np.zeros_like(w)] * memories]
    (weights,) = leaves(w)
    optimizer = torchs([weights])
    for number in range(1, 6):
        gradient = rng.normal(size=w.shape) * 10.0 ** rng.integers(-2, 3)
        place = [number] if rule.startswith("adam") else []
        state = step(state[0], gradient, *state[1:], *place, *options)
        weights.grad = torch.tensor(gradient)
        optimizer.step()
        same(state[0], weights)


@pytest.mark.parametrize("largest", [0.5, 100.0])
def test_gradients_are_clipped_as_in_pytorch(rng: np.random.Generator, largest: float) -> None:
    gradients = [rng.normal(size=(3, 2)), rng.normal(size=4)]
    tensors = leaves(*gradients)
    for tensor, gradient in zip(tensors, gradients, strict=True):
        tensor.grad = torch.tensor(gradient)
    found, norm = reference("optimizers").clip_by_norm(gradients, largest)
    same(norm, torch.nn.utils.clip_grad_norm_(tensors, largest))
    for one, tensor in zip(found, tensors, strict=True):
        assert tensor.grad is not None
        same(one, tensor.grad, rtol=1e-5)  # PyTorch adds 10⁻⁶ to the norm


def test_the_schedule_is_that_of_pytorch() -> None:
    optimizer = torch.optim.SGD(leaves(np.zeros(1)), 0.3)
    down = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 20, eta_min=0.02)
    for step in range(5, 26):
        found = reference("optimizers").learning_rate(step, 25, 5, 0.3, 0.02)
        same(found, down.get_last_lr()[0])
        optimizer.step()
        down.step()


# -- sequences -------------------------------------------------------------------------------------


def cell_weights(wx: Array, wh: Array, b: Array) -> tuple[torch.Tensor, ...]:
    return (
        torch.tensor(wx.T),
        torch.tensor(wh.T),
        torch.tensor(b),
        torch.zeros_like(torch.tensor(b)),
    )


def test_a_recurrent_step(rng: np.random.Generator) -> None:
    sequences = reference("sequences")
    values = [rng.normal(size=shape) for shape in ((5, 3), (5, 4), (3, 4), (4, 4), (4,))]
    x, h, wx, wh, b = tensors = leaves(*values)
    out = torch.rnn_tanh_cell(x, h, wx.T, wh.T, b, torch.zeros_like(b))
    same(sequences.rnn_step(*values), out)
    by_new = rng.normal(size=(5, 4))
    found = sequences.rnn_step_backward(by_new, *values)
    same_gradients(tuple(found.values()), out, by_new, tensors)


def test_an_lstm_step(rng: np.random.Generator) -> None:
    x, h, c = rng.normal(size=(5, 3)), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    wx, wh, b = rng.normal(size=(3, 16)), rng.normal(size=(4, 16)), rng.normal(size=16)
    found = reference("sequences").lstm_step(x, h, c, wx, wh, b)
    order = np.concatenate([np.arange(8), np.arange(12, 16), np.arange(8, 12)])  # PyTorch's
    weights = cell_weights(wx[:, order], wh[:, order], b[order])
    state = [torch.tensor(h), torch.tensor(c)]
    for one, other in zip(found, torch.lstm_cell(torch.tensor(x), state, *weights), strict=True):
        same(one, other)


def test_attention_is_that_of_pytorch(rng: np.random.Generator) -> None:
    q, k, v = (rng.normal(size=(2, 3, length, 8)) for length in (5, 6, 6))
    mask = rng.random((2, 1, 5, 6)) < 0.5
    mask[..., 0] = True
    tensors = torch.tensor(q), torch.tensor(k), torch.tensor(v)
    expected = F.scaled_dot_product_attention(*tensors, attn_mask=torch.tensor(mask))
    same(reference("sequences").attention(q, k, v, mask), expected)


def test_bleu_is_that_of_sacrebleu(rng: np.random.Generator) -> None:
    sacrebleu = pytest.importorskip("sacrebleu")
    for most in (2, 4):
        for _ in range(10):
            words = [rng.choice([*"abcde"], size).tolist() for size in rng.integers(6, 20, 12)]
            several = [
                [
                    (each + words[0])[: max(1, len(each) + int(rng.integers(-5, 6)))]
                    for _ in range(3)
                ]
                for each in words
            ]
            for references in several:
                for each in references:
                    each[int(rng.integers(len(each)))] = "f"
            metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=most)
            streams = [[" ".join(each[n]) for each in several] for n in range(3)]
            expected = metric.corpus_score([" ".join(each) for each in words], streams).score
            same(reference("sequences").bleu(words, several, most), expected / 100)


# -- boxes -----------------------------------------------------------------------------------------


def test_overlaps_can_be_counted(rng: np.random.Generator) -> None:
    boxes = reference("boxes")
    corner = rng.integers(0, 8, (12, 2))
    found = np.concatenate([corner, corner + rng.integers(1, 8, (12, 2))], axis=1)
    pixels = np.zeros((12, 16, 16), bool)
    for each, (left, top, right, bottom) in zip(pixels, found, strict=True):
        each[top:bottom, left:right] = True
    values = found.astype(float)
    for a in range(12):
        for b in range(12):
            union = (pixels[a] | pixels[b]).sum()
            rows, columns = np.nonzero(pixels[a] | pixels[b])
            hull = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            overlap = (pixels[a] & pixels[b]).sum() / union
            pair = values[[a]], values[[b]]
            same(boxes.iou(*pair)[0, 0], overlap)
            same(boxes.generalised_iou(*pair)[0, 0], overlap - (hull - union) / hull)


def test_average_precision_by_its_definition(rng: np.random.Generator) -> None:
    for _ in range(20):
        scores, correct = rng.permutation(15) / 15, rng.random(15) < 0.5
        points = []  # recall and precision where the k best are taken
        for k in range(1, 16):
            best = scores >= np.sort(scores)[-k]
            points.append(((correct & best).sum() / 10, (correct & best).sum() / k))
        recalls = sorted({0.0, *(recall for recall, _ in points)})
        area = sum(
            (high - low) * max(precision for recall, precision in points if recall >= high)
            for low, high in pairwise(recalls)
        )
        same(reference("boxes").average_precision(scores, correct, 10), area)


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
def test_the_focal_loss(rng: np.random.Generator, gamma: float) -> None:
    x, y = 3 * rng.normal(size=20), (rng.random(20) < 0.3).astype(float)
    (logits,) = leaves(x)
    label = torch.tensor(y)
    p = torch.sigmoid(torch.where(label == 1, logits, -logits))
    weight = torch.where(label == 1, 0.25, 0.75)
    loss = -(weight * (1 - p) ** gamma * p.log()).mean()
    found, gradient = reference("boxes").focal_loss(x, y, 0.25, gamma)
    same(found, loss)
    same_gradients((gradient,), loss, np.array(1.0), [logits])


# -- generative models -----------------------------------------------------------------------------


def test_the_divergence_of_normal_distributions(rng: np.random.Generator) -> None:
    mean, log_variance = torch.tensor(rng.normal(size=(2, 5, 3)))
    one = torch.distributions.Normal(mean, (log_variance / 2).exp())
    standard = torch.distributions.Normal(torch.zeros_like(mean), torch.ones_like(mean))
    expected = torch.distributions.kl_divergence(one, standard).sum(1)
    same(reference("generative").gaussian_kl(mean.numpy(), log_variance.numpy()), expected)


@pytest.mark.parametrize("eta", [0.0, 0.7, 1.0])
def test_ddim_steps_as_in_diffusers(rng: np.random.Generator, eta: float) -> None:
    diffusers = pytest.importorskip("diffusers")
    generative = reference("generative")
    scheduler = diffusers.DDIMScheduler(
        1_000, beta_start=1e-4, beta_end=0.02, beta_schedule="linear", clip_sample=False
    )
    _, alpha_bar = generative.noise_schedule(1_000, 1e-4, 0.02)
    same(alpha_bar, scheduler.alphas_cumprod, rtol=1e-5)
    scheduler.alphas_cumprod = torch.tensor(alpha_bar)
    scheduler.set_timesteps(50)
    for t in (980, 500, 20):
        x, predicted, noise = rng.normal(size=(3, 2, 4))
        found = generative.ddim_step(x, predicted, alpha_bar[t], alpha_bar[t - 20], eta, noise)
        tensors = torch.tensor(predicted), torch.tensor(x)
        step = scheduler.step(
            tensors[0], t, tensors[1], eta=eta, variance_noise=torch.tensor(noise)
        )
        same(found, step.prev_sample)


def test_contrastive_divergence_goes_nowhere_on_average(rng: np.random.Generator) -> None:
    """Where the data are drawn from the machine itself, nothing is to be learned."""
    w, b, c = rng.normal(size=(2, 2)), rng.normal(size=2), rng.normal(size=2)
    states = np.array([[0.0, 0], [0, 1], [1, 0], [1, 1]])
    energies = -(states @ b)[:, None] - states @ c - states @ w @ states.T
    p = np.exp(-energies).sum(1)
    v = states[rng.choice(4, 200_000, p=p / p.sum())]
    draws = rng.random((2, *v.shape))
    found = reference("generative").contrastive_divergence(v, w, b, c, *draws)
    for name in ("w", "b", "c"):
        np.testing.assert_allclose(found[name], np.zeros_like(found[name]), atol=0.006)


# -- returns ---------------------------------------------------------------------------------------


def test_the_objective_of_ppo(rng: np.random.Generator) -> None:
    old, gain = -rng.uniform(0.5, 3, 40), rng.normal(size=40)
    (new,) = leaves(old + 0.4 * rng.normal(size=40))
    ratio, weight = (new - torch.tensor(old)).exp(), torch.tensor(gain)
    loss = -torch.minimum(ratio * weight, ratio.clamp(0.8, 1.2) * weight).mean()
    found, gradient = reference("returns").ppo_loss(new.detach().numpy(), old, gain, 0.2)
    same(found, loss)
    same_gradients((gradient,), loss, np.array(1.0), [new])


def test_advantages_are_a_mean_of_returns_of_all_lengths(rng: np.random.Generator) -> None:
    """(1 − λ) Σ λⁿ⁻¹ (return of n steps − value), the longest with all the weight that is left."""
    returns = reference("returns")
    rewards, values = rng.normal(size=6), rng.normal(size=7)
    found = returns.advantages(rewards, values, np.zeros(6, bool), 0.9, 0.7)
    by_length = np.stack([returns.n_step_returns(rewards, values, n, 0.9) for n in range(1, 7)])
    for t in range(6):
        weights = 0.3 * 0.7 ** np.arange(6 - t)
        weights[-1] = 0.7 ** (5 - t)
        same(found[t], weights @ by_length[: 6 - t, t] - values[t])
