"""Questions on variational autoencoders: rate, bound, reparameterisation, collapse."""

from __future__ import annotations

import math
from random import Random

import torch

from etude.questions import (
    Match,
    Number,
    Several,
    TrueFalse,
    Wrong,
    apart,
    question,
    written,
)

from ._bounds import iwae_bound, kl_divergence, log_likelihood


@question
def rate_of_a_code(rng: Random) -> Number:
    """What a code costs in nats."""
    mu = [rng.choice([-2.0, -1.0, 0.0, 0.5, 1.5]) for _ in range(2)]
    sigma = [rng.choice([0.1, 0.2, 0.5, 1.0]) for _ in range(2)]
    means = torch.tensor([mu]).double()
    log_var = 2 * torch.tensor([sigma]).double().log()
    found = float(kl_divergence(means, log_var))
    squares = sum(each**2 for each in mu) / 2
    told = [", ".join(written(each) for each in values) for values in (mu, sigma)]
    return Number(
        prompt=(
            f"The encoder gives a picture $\\mu$ = ({told[0]}) and $\\sigma$ = ({told[1]}). What"
            " is the"
            " rate $\\operatorname{KL}(q(z|x) \\Vert N(0, I))$ in nats?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                2 * found,
                "the half was forgotten",
                "$R = \\frac12 \\sum_j (\\mu_j^2 + \\sigma_j^2 - \\log \\sigma_j^2 - 1)$.",
            ),
            Wrong(
                squares,
                "the deviations were forgotten",
                "A *narrow* $q$ costs, too: it says more precisely where the code is.",
            ),
            Wrong(
                found / math.log(2),
                "bits were given",
                "A nat is $1 / \\ln 2$ bits.",
            ),
            Wrong(
                squares + sum(s**2 - math.log(s) - 1 for s in sigma) / 2,
                "the deviation was taken for the variance in the logarithm",
                "$\\log \\sigma^2 = 2 \\log \\sigma$.",
            ),
            within=0.03,
        ),
        why=(
            "$\\frac12 \\sum_j (\\mu_j^2 + \\sigma_j^2 - \\log \\sigma_j^2 - 1)$ ="
            f" {written(found)}; it is 0"
            " only for $\\mu = 0$, $\\sigma = 1$."
        ),
        see="How far the bound is from log p(x)",
    )


@question
def a_bound_from_weights(rng: Random) -> Number:
    """The bound that a few weights give."""
    k = rng.choice([2, 3, 4])
    w = [rng.choice([0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.5]) for _ in range(k)]
    if len(set(w)) == 1:
        w[0] = 0.8
    log_w = torch.tensor(w).double().log()
    found = float(iwae_bound(log_w))
    elbo = float(log_w.mean())
    told = ", ".join(f"{each:g}" for each in w)
    return Number(
        prompt=(
            f"{k} codes are drawn for a picture, with the weights $w = p(x|z)\\,p(z)/q(z|x)$ of"
            f" {told}."
            f" What do they give for $L_{k}$?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                elbo,
                "the mean of the logarithms was taken",
                "That estimates the ELBO, $L_1$. $L_k$ is the logarithm of the *mean weight*, and"
                " never"
                " lower.",
            ),
            Wrong(
                math.log(sum(w)),
                "the sum was not divided",
                f"The mean over {k} draws: $\\log k$ is subtracted.",
            ),
            Wrong(
                sum(w) / k,
                "the logarithm was forgotten",
                "Bounds are on $\\log p(x)$.",
            ),
            Wrong(
                math.log(max(w)),
                "the best code was taken",
                "All draws count, the improbable ones, too.",
            ),
            Wrong(-found, "the sign was turned", "A logarithm of a probability is negative."),
            within=0.03,
        ),
        why=(
            f"$\\log \\frac1{k} \\sum w_i$ = {written(found)}, while the mean of the logarithms is"
            f" {written(elbo)}."
        ),
        see="A tighter bound",
    )


@question
def gradient_through_a_draw(rng: Random) -> Number:
    """The pathwise gradient through one draw."""
    mu = float(rng.choice([-1, 0, 1, 2]))
    sigma = rng.choice([0.5, 1.0, 2.0])
    eps = rng.choice([-1.5, -1.0, -0.5, 0.5, 1.0, 2.0])
    a = float(rng.choice([1, 2, 3]))
    which = rng.choice(["mu", "sigma"])
    m = torch.tensor(mu, dtype=torch.double, requires_grad=True)
    s = torch.tensor(sigma, dtype=torch.double, requires_grad=True)
    f = a * (m + s * eps) ** 2
    gradients = torch.autograd.grad(f, (m, s))
    found = float(gradients[0 if which == "mu" else 1])
    other = float(gradients[1 if which == "mu" else 0])
    z = mu + sigma * eps
    name = {"mu": "\\mu", "sigma": "\\sigma"}[which]
    score = a * z**2 * (eps / sigma if which == "mu" else (eps**2 - 1) / sigma)
    return Number(
        prompt=(
            f"A code is drawn as $z = \\mu + \\sigma \\epsilon$ with $\\mu$ = {written(mu)},"
            " $\\sigma$ ="
            f" {sigma:g}, $\\epsilon$ = {written(eps)}, and $f(z) = {a:g} z^2$. What does this"
            " draw give"
            f" for the derivative of $E[f(z)]$ by ${name}$, with reparameterisation?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                score,
                "the score function was taken",
                "$f(z) (z - \\mu) / \\sigma^2$ and its like are the other estimator, which needs no"
                " derivative of $f$ and varies far more.",
            ),
            Wrong(
                other,
                "the other parameter was taken",
                "$\\partial z / \\partial \\mu = 1$ and $\\partial z / \\partial \\sigma ="
                " \\epsilon$.",
            ),
            Wrong(
                2 * a * mu if which == "mu" else 2 * a * sigma,
                "the mean was put in before the draw was made",
                "That is the derivative of the mean itself; one draw gives an estimate of it.",
            ),
            Wrong(
                a * z**2,
                "nothing was differentiated",
                "This is $f(z)$.",
            ),
            Wrong(
                0.0,
                "the draw was thought to stop the gradient",
                "$\\epsilon$ is drawn without any parameter; $\\mu$ and $\\sigma$ stand outside of"
                " it.",
            ),
            within=0.03,
        ),
        why=(
            f"$z$ = {written(z)}, $f'(z)$ = {written(2 * a * z)}, times"
            f" {'1' if which == 'mu' else written(eps)}: {written(found)}."
        ),
        see="The gradient",
    )


@question
def likelihood_of_a_pixel(rng: Random) -> Number:
    """What a pixel costs under Pólya's urn."""
    a = float(rng.choice([1, 2, 3, 4]))
    b = float(rng.choice([1, 2, 3]))
    bits = rng.choice([2, 3])
    x = rng.randint(0, bits)
    log_ab = torch.tensor([[a], [b]]).double().log()[None]
    found = float(log_likelihood(torch.tensor([[x]]), log_ab, bits).exp())
    p = a / (a + b)
    ways = math.comb(bits, x)
    binomial = ways * p**x * (1 - p) ** (bits - x)
    return Number(
        prompt=(
            f"An urn holds {a:g} inked and {b:g} blank balls; after every draw the ball is put"
            " back with"
            f" one more of its kind. How probable are exactly {x} inked among {bits} draws?"
        ),
        answer=found,
        wrong=apart(
            found,
            Wrong(
                binomial,
                "the draws were thought to be independent",
                "Each draw adds a ball of its kind, so the next is more likely to be the same.",
            ),
            Wrong(
                found / ways,
                "one order was counted",
                f"There are {ways} orders, and all of them are equally probable.",
            ),
            Wrong(
                p,
                "one draw was taken",
                "This is the probability that a *single* draw is inked.",
            ),
            Wrong(
                1 / (bits + 1),
                "all counts were thought to be equally probable",
                "They are only with one ball of each kind.",
            ),
            within=0.03,
        ),
        why=(
            "$\\binom{n}{x} \\prod_{i<x} (a + i) \\prod_{i<n-x} (b + i) / \\prod_{i<n} (a + b +"
            " i)$ ="
            f" {written(found)}; independent draws would give {written(binomial)}."
        ),
        see="The likelihood",
    )


@question
def terms_of_the_bound(rng: Random) -> Match:
    """Which number is which part of the bound."""
    rate = rng.choice([8.0, 12.0, 20.0, 25.0])
    distortion = rng.choice([60.0, 75.0, 90.0])
    gap = rng.choice([1.5, 3.0, 4.5])
    elbo = -distortion - rate
    pairs = (
        ("the ELBO", written(elbo)),
        ("$\\log p(x)$", written(elbo + gap)),
        ("the loss with $\\beta = 2$", written(distortion + 2 * rate)),
        ("$E_q[\\log p(x|z)]$", written(-distortion)),
    )
    values = dict(pairs)
    return Match(
        prompt=(
            f"For a picture the distortion is {distortion:g} nats and the rate {rate:g};"
            f" $\\operatorname{{KL}}(q(z|x) \\Vert p(z|x))$ is {gap:g}. Which number is which?"
        ),
        answer=pairs,
        wrong=(
            Wrong(
                ("the ELBO", values["$\\log p(x)$"]),
                "the bound was thought to lie above",
                "$\\log p(x)$ is the ELBO *plus* the error of the encoder, which is never"
                " negative.",
            ),
            Wrong(
                ("the ELBO", values["$E_q[\\log p(x|z)]$"]),
                "the rate was forgotten",
                "The ELBO is $-D - R$: the code costs, too.",
            ),
            Wrong(
                ("$\\log p(x)$", values["$E_q[\\log p(x|z)]$"]),
                "the code was thought to be free",
                "$E_q[\\log p(x|z)] = -D$ is what the picture costs *if its code is known*.",
            ),
        ),
        why=(
            f"ELBO = −{distortion:g} − {rate:g}; $\\log p(x)$ lies {gap:g} above it; the loss is"
            f" $D + \\beta R$; $E_q[\\log p(x|z)] = -D$."
        ),
        see="How far the bound is from log p(x)",
    )


@question
def what_a_heavy_rate_does(rng: Random) -> TrueFalse:
    """When a code is no longer used."""
    beta = rng.choice([0.1, 0.5, 1.0, 2.0, 10.0, 50.0])
    saved = rng.choice([0.3, 0.8, 1.5, 5.0, 20.0])
    worth = saved > beta
    if abs(saved - beta) < 0.1:
        saved, worth = beta * 2, True
    pays = (
        "One nat of rate saves more than $\\beta$ nats of distortion, so it lowers $D + \\beta R$."
    )
    costs = (
        "One nat of rate saves less than $\\beta$ nats of distortion, so it raises $D + \\beta R$."
    )
    always = "A code can only help the decoder, so it is always used."
    never = "The decoder can do without a code, so it never pays."
    right = pays if worth else costs
    says = {
        pays: ("the comparison was turned around", f"{saved:g} nats are saved for {beta:g}."),
        costs: ("the comparison was turned around", f"{saved:g} nats are saved for {beta:g}."),
        always: (
            "the price of a code was forgotten",
            "It helps the distortion, and its rate is paid for, $\\beta$ a nat.",
        ),
        never: (
            "collapse was taken for the rule",
            "It is what happens where a code costs more than it saves.",
        ),
    }
    return TrueFalse(
        prompt=(
            f"A network minimises $D + \\beta R$ with $\\beta$ = {beta:g}. At its present codes,"
            " one more"
            f" nat of rate would save {saved:g} nats of distortion. *Training will make the codes"
            " say"
            " more.*"
        ),
        holds=worth,
        answer=right,
        wrong=tuple(Wrong(each, *said) for each, said in says.items() if each != right),
        why=(
            f"A nat more changes the loss by {beta:g} − {saved:g} = {written(beta - saved)}. It"
            " ends where"
            " one nat of rate saves exactly $\\beta$ nats of distortion."
        ),
        see="The weight of the rate",
    )


@question
def signs_of_a_collapse(rng: Random) -> Several:
    """What holds where the codes are empty."""
    n = rng.choice([4, 8, 16, 32])
    latent = torch.zeros(1, n)
    empty = float(kl_divergence(latent, latent)) == 0
    classes = rng.choice([5, 10])
    statements = {
        f"$\\mu = 0$ and $\\sigma = 1$ for all {n} numbers of the code, for every picture": True,
        "The rate is 0": empty,
        "Samples of the decoder look alike for all codes": True,
        f"Codes of the {classes} classes lie in {classes} separate clouds": False,
        "The distortion is 0": False,
        f"$\\sigma$ is nearly 0 for all {n} numbers of the code": False,
        "The rate is as large as the distortion": False,
    }
    says = {
        "Codes": ("codes were thought to differ", "They are the same for every picture."),
        "The dist": (
            "the terms were exchanged",
            "Without a code the picture costs all that independent pixels cost: the distortion is"
            " *large*.",
        ),
        "$\\sigma$": (
            "an empty code was taken for a sharp one",
            "A small $\\sigma$ says exactly where the code is, and costs a high rate.",
        ),
        "The rate": ("the rate was thought to stay", "It is 0: $q(z|x)$ is the prior."),
    }
    chosen = rng.sample(sorted(statements), 5)
    return Several(
        prompt="The posterior has collapsed: the codes say nothing. What holds?",
        answer=tuple(each for each in chosen if statements[each]),
        missed="One more follows from $q(z|x) = p(z)$ for every picture.",
        wrong=tuple(
            Wrong(each, *next(said for key, said in says.items() if each.startswith(key)))
            for each in chosen
            if not statements[each]
        ),
        why=(
            "$q(z|x)$ is the prior for every picture, the rate is 0, and the decoder does the best"
            " that"
            " it can without a code. It is what the loss asks for where a code costs too much."
        ),
        see="The weight of the rate",
    )
