"""What a picture costs: likelihood, rate, lower bounds on log p(x), and estimators of gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus

from etude.networks.vae import VAE, reparameterise


def log_likelihood(x: Tensor, log_ab: Tensor, bits: int) -> Tensor:
    """log p(x|z) in nats: each pixel is a number of draws from a Pólya urn.

    Source: Eggenberger & Pólya (1923); also called the beta-binomial distribution.

    Args:
        x: the number of inked bits of each pixel, (batch, pixels).
        log_ab: log a and log b of each pixel, (…, batch, 2, pixels).
        bits: of a pixel.

    Returns:
        (…, batch).
    """
    if bits == 1:  # Bernoulli: ink with probability a / (a + b)
        logits = log_ab[..., 0, :] - log_ab[..., 1, :]
        return (x * logits - softplus(logits)).sum(-1)
    a, b = log_ab.exp()[..., None].unbind(-3)  # (…, batch, pixels, 1)
    i = torch.arange(bits, device=x.device)
    ink = i < x[..., None]  # (batch, pixels, bits)
    blank = i < bits - x[..., None]
    draws = ink * (a + i).log() + blank * (b + i).log() - (a + b + i).log()
    ways = torch.tensor([math.comb(bits, k) for k in range(bits + 1)], device=x.device)
    return (ways.log()[x.long()] + draws.sum(-1)).sum(-1)


def kl_divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """The rate KL(N(μ, diag σ²) ‖ N(0, I)) in nats: (batch, latent) → (batch,)."""
    return (mu**2 + log_var.exp() - log_var - 1).sum(-1) / 2


def log_weights(net: VAE, x: Tensor, samples: int) -> Tensor:
    """log p(x|z) p(z) / q(z|x) for draws of z from q(z|x); their mean is the ELBO.

    Args:
        net: encoder and decoder.
        x: the number of inked bits of each pixel, (batch, pixels).
        samples: draws for each picture.

    Returns:
        (samples, batch).
    """
    mu, log_var = net.encode(x / net.bits)
    found = []
    for _ in range(samples):
        z = reparameterise(mu, log_var)
        log_prior = -(z**2).sum(-1) / 2  # here and below without d/2 log 2π, which cancels
        log_q = -((z - mu) ** 2 / log_var.exp() + log_var).sum(-1) / 2
        found.append(log_likelihood(x, net.decode(z), net.bits) + log_prior - log_q)
    return torch.stack(found)


def iwae_bound(log_w: Tensor, dim: int = 0) -> Tensor:
    """L_k, the logarithm of the mean of k importance weights, which lie along ``dim``.

    Source: Burda, Grosse & Salakhutdinov (2016), equation 8.
    """
    return log_w.logsumexp(dim) - math.log(log_w.shape[dim])


def bounds_by_samples(log_w: Tensor) -> dict[int, Tensor]:
    """The mean of L_k over all pictures for several k, of log weights (samples, batch)."""
    samples, batch = log_w.shape
    bounds = {}
    for k in [k for k in (1, 2, 5, 10, 50, 100) if k < samples] + [samples]:
        groups = log_w[: samples // k * k].view(-1, k, batch)
        bounds[k] = iwae_bound(groups, dim=1).mean()
    return bounds


def gradient_estimates(net: VAE, x: Tensor, samples: int) -> tuple[Tensor, Tensor, Tensor]:
    """Estimates of the gradient of E_q[log p(x|z)] by μ, one for each draw of z.

    Source of the baseline: Kool, van Hoof & Welling (2019), Buy 4 REINFORCE samples, get a baseline
    for free!

    Args:
        net: encoder and decoder.
        x: the number of inked bits of each pixel, (batch, pixels).
        samples: draws for each picture, at least 2.

    Returns:
        Those of the reparameterisation, those of the score function, and those of the score
        function with a baseline, the mean of log p(x|z) over the other draws: (samples, batch,
        latent) each.
    """
    with torch.no_grad():
        mu, log_var = (t.expand(samples, -1, -1) for t in net.encode(x / net.bits))
        z = reparameterise(mu, log_var)
    z.requires_grad_()
    log_p = log_likelihood(x, net.decode(z), net.bits)  # (samples, batch)
    (pathwise,) = torch.autograd.grad(log_p.sum(), z)

    log_p = log_p.detach()
    direction = (z.detach() - mu) / log_var.exp()
    others = (log_p.sum(0) - log_p) / (samples - 1)  # mean of the other draws
    score = log_p[..., None] * direction
    centred = (log_p - others)[..., None] * direction
    return pathwise, score, centred
