r"""Eleven optimisers: down three surfaces, and in a race on digits.

A loss $f(w)$ has a gradient $g$, and $-g$ points downhill. How far to go, and is straight downhill the way? Every
optimiser is an answer. All are written out, a few lines each, in `etude/training/optimizers.py` and
`quasi_newton.py`. Here they walk where one can watch them.

**Descent**, $w \leftarrow w - \eta g$. Near a minimum $f \approx \frac{1}{2} w^\top A w$, and along an eigenvector of
$A$ a step multiplies the error by $1 - \eta \lambda$. The steepest direction allows $\eta < 2 / \lambda_{max}$ and no
more, and the flattest has to wait. With the best $\eta = 2 / (\lambda_{min} + \lambda_{max})$ both shrink alike; so
with the condition number $\kappa = \lambda_{max} / \lambda_{min}$

$$\rho_{\text{descent}} = \frac{\kappa - 1}{\kappa + 1}, \qquad
\rho_{\text{momentum}} = \frac{\sqrt\kappa - 1}{\sqrt\kappa + 1}.$$

**Momentum**, $v \leftarrow \mu v + g$, $w \leftarrow w - \eta v$, is a heavy ball: its last step, $\mu$ times, and a
push. A steady push adds up to $v = g \, (1 + \mu + \mu^2 + \dots) = g / (1 - \mu)$, ten steps in one with
$\mu = 0.9$; pushes that alternate cancel. On the quadratic the error goes like $r^k$ where
$r^2 - (1 + \mu - \eta \lambda) r + \mu = 0$. As long as $r$ is complex, $|r| = \sqrt\mu$ whatever $\lambda$. That is
so for $(1 - \sqrt\mu)^2 \le \eta \lambda \le (1 + \sqrt\mu)^2$. The whole spectrum just fits in where $\sqrt\mu$ is
the second rate above, and $\eta = 4 / (\sqrt{\lambda_{min}} + \sqrt{\lambda_{max}})^2$.
*Nesterov* takes the gradient where the ball is about to be, $w \leftarrow w - \eta (g + \mu v)$, and so brakes in
time. With $\eta = 1 / \lambda_{max}$ it has $1 - 1 / \sqrt\kappa$, and proofs for functions that are no quadratics.

**A rate for every number.** *Adagrad* divides by all gradients so far: $s \leftarrow s + g^2$,
$w \leftarrow w - \eta g / \sqrt s$. Where $g$ stays alike, steps fall like $1 / \sqrt t$. Their sum still grows
without end, so it gets there, late. *RMSprop* forgets, $s \leftarrow \rho s + (1 - \rho) g^2$: its steps stay about as
long as $\eta$ on slopes of any height, and in the end it circles at that distance. *Adadelta* steps by
$\Delta = g \sqrt{d + \epsilon} / \sqrt{s + \epsilon}$, $d$ the running mean of $\Delta^2$: this has the unit of $w$ and
needs no $\eta$. But while $s \gg \epsilon$, all of $\Delta$ is proportional to $\sqrt\epsilon$; that is the rate.

*Adam* keeps running means $m$ of $g$ and $v$ of $g^2$. They start at zero, so that a steady $g$ gives
$m_t = (1 - \beta_1^t) g$: it divides by $1 - \beta^t$, and steps by $\eta \hat m / \sqrt{\hat v}$. *AdaMax* puts the
$p$-norm of the past in place of the 2-norm and lets $p \to \infty$, where the largest alone remains:

$$u_t = \lim_{p \to \infty} \Big( \sum_i \beta_2^{p (t - i)} |g_i|^p \Big)^{1/p} = \max_i \beta_2^{t - i} |g_i|
= \max(\beta_2 u_{t-1}, |g_t|).$$

*AdamW* takes the L2 penalty out of the gradient, since there $\lambda w$ is divided by $\sqrt{\hat v}$ as well and
holds least where gradients are large. It shrinks the weights apart, $w \leftarrow (1 - \eta \lambda) w$.

**Curvature.** Newton's step $-A^{-1} g$ ends in the minimum of a quadratic at once, whatever $\kappa$. $A$ is too
dear, but every step $s$ shows how the gradient changes, $y = A s$. So let the next estimate $H$ of $A^{-1}$ satisfy
$H y = s$, the secant equation, and be symmetric and as near to the last one as can be. That is *BFGS*:

$$H \leftarrow (I - \rho s y^\top) H (I - \rho y s^\top) + \rho s s^\top, \qquad \rho = 1 / y^\top s.$$

Then $z^\top H z$ becomes $q^\top H q + \rho (s^\top z)^2$ with $q = z - \rho (s^\top z) y$. If $y^\top s > 0$, neither
part is negative, nor are both zero: $s^\top z = 0$ makes $q = z$. So $-H g$ stays a way down. Pairs with
$y^\top s \le 0$ are passed over. *L-BFGS* never forms $H$. It multiplies the update out, for the last ten pairs, onto
$q = -g$: from the newest to the oldest $\alpha = \rho s^\top q$, $q \leftarrow q - \alpha y$; then $q$ is scaled by
the newest $s^\top y / y^\top y$; then from the oldest to the newest $q \leftarrow q + (\alpha - \rho y^\top q) s$.
Here both search along their line, so a step can cost several gradients, and the loss never rises.
A twelfth, *Muon*, is for matrices and has no place on a plane: `gpt` tells of it.

What to look at
---------------
- *rosenbrock*: all fall into the valley in a few steps; then it is flat, at the end with $\kappa = 2508$. Descent at
  $\eta = 0.002$, the edge of what the walls allow, needs 2,821 steps to come from 0.1 to 0.01 of the minimum; by the
  theory it is $-1 / \log_{10}(1 - \eta \lambda_{min}) = 2{,}882$. The quasi-Newton two need some forty for all.
- *walk*: all at once on Beale's function, at first step by step, later by hundreds.
- The tables' last columns say who does not come nearer, and why. One rests where the gradient is below $10^{-6}$. Those
  that circle need a falling rate. AdamW creeps in from where decay and gradient were balanced, a little
  nearer to the origin.
- *saddle*: it begins 0.001 off the axis. Plain and quasi-Newton steps first run to the saddle, since there is hardly a
  gradient along it, and there a plain step makes $y$ no more than $1 + \eta$ times as large. Divided by its own size,
  a small gradient is as good as a large one: adaptive steps turn towards the minimum at once.
- *quadratics*: lines are the rates above, dots are measured. Steps grow like $\kappa$ without momentum, with it like
  $\sqrt\kappa$.
- *race*: equal passes over the data, which are 375 steps by 128 rows, or 20 quasi-Newton steps by all of them. Which
  differences are larger than the intervals? `--repeats 10` makes these narrower.

Exercises
---------
1. `etude run optimizers --pace 1.5`: who is thrown off, and on which surface? Who is sooner? Then `--pace 0.5`.
2. `etude run optimizers --scatter 0.1 --seed 4`: rates were chosen for such starts. Does every one still arrive?
3. `etude run digits --optimizer adamax --learning-rate 2e-3`: any study takes `--optimizer`. See `etude compare`.
4. `etude run digits --optimizer lbfgs --learning-rate 0.1`, then 0.01: the shorter step fails. $y$ is now the change
   from one batch to another; what is left of it when $s$ is short?

References
----------
Nocedal, J. & Wright, S. (2006). Numerical Optimization, chapters 6 and 7. Springer.

Polyak, B. (1964). Some methods of speeding up the convergence of iteration methods. USSR Comp. Math. 4(5).

Sutskever, I., Martens, J., Dahl, G. & Hinton, G. (2013). On the importance of initialization and momentum. ICML.

Duchi, J., Hazan, E. & Singer, Y. (2011). Adaptive subgradient methods. JMLR 12.

Tieleman, T. & Hinton, G. (2012). Lecture 6e: RMSprop. Zeiler, M. (2012). Adadelta. arXiv:1212.5701.

Kingma, D. & Ba, J. (2015). Adam. ICLR. Loshchilov, I. & Hutter, F. (2019). Decoupled weight decay. ICLR.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Choice, Controls, Demo, Points
from etude.figures.walks import animate, digit_times, walks
from etude.networks.mlp import MLP
from etude.runs.run import Run
from etude.study import Amount, Count, Positive, Study
from etude.training.batches import Batches
from etude.training.comparison import compare
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import WRITTEN, descent
from etude.training.playground import race
from etude.training.surfaces import SURFACES, Walk, quadratic_errors
from etude.training.validation import split

FAMILIES = {
    "plain": ("sgd", "momentum", "nesterov"),
    "adaptive": ("adagrad", "adadelta", "rmsprop", "adam", "adamax", "adamw"),
    "quasi-Newton": ("bfgs", "lbfgs"),
}
NAMES = [name for names in FAMILIES.values() for name in names]
# Learning rates, in this order. On a surface, of 1, 1.5, 2, 3, 5 and 7 times powers of ten, the one that came soonest
# within 0.01 of a minimum to stay there, in the mean over 20 starts scattered by 0.1 (at the saddle: x by 0.1, y by a
# factor of about 2). On digits, of 1, 2 and 5 times them, the one with the lowest validation loss over two other seeds.
# Quasi-Newton steps come with a length.
RATES = {
    "rosenbrock": (0.002, 0.0015, 0.001, 0.7, 0.05, 0.003, 0.007, 0.15, 0.01, 1.0, 1.0),
    "beale": (0.02, 0.003, 0.003, 2.0, 0.1, 0.005, 0.015, 0.15, 0.02, 1.0, 1.0),
    "saddle": (0.15, 0.1, 0.1, 1.0, 0.5, 0.002, 0.07, 1.0, 0.1, 1.0, 1.0),
    "digits": (2.0, 0.2, 0.2, 0.2, 5.0, 0.02, 0.01, 0.1, 0.01, 1.0, 1.0),
}
NEAR = (0.5, 0.1, 0.01, 0.001)  # of a minimum: from which step on is it within each?


@dataclass
class Optimizers(Study):
    """Walk eleven optimisers down three surfaces, hold their rates to theory, and race them on digits."""

    steps: Count = 12_000  # at most, on Rosenbrock's valley and Beale's function; a sixth of them at the saddle
    pace: Positive = 1.0  # all learning rates on the surfaces are multiplied by this
    scatter: Amount = 0.0  # standard deviation of the starts; at 0 every seed walks the same paths
    decay: Amount = 0.01  # λ of AdamW
    hidden: Count = 12  # units of the network that learns digits
    batch: Count = 128  # digits a step; the quasi-Newton ones take all
    passes: Count = 40  # over the digits, for each; a quasi-Newton step with its line search takes two, rarely more
    repeats: Count = 3  # seeds of the race

    claims = [
        Claim("rosenbrock/worst", at_most=0.01, source="curriculum: every one reaches the minimum; bound: Etude"),
        Claim("beale/worst", at_most=0.01, source="Etude"),
        Claim("saddle/worst", at_most=0.01, source="Etude"),
        Claim("quadratic/error", at_most=0.03, source="the rates derived in the lesson; bound: Etude"),
        Claim("race/worst", at_least=0.9, source="Etude"),
    ]
    courses = ["OU", "ITU", "CU P2", "CU P3", "CU P4"]

    def __call__(self, run: Run) -> None:
        for name in SURFACES:
            self.walk(run, name)
        self.hold_to_theory(run)
        variants = {name: partial(self.race, name=name) for name in NAMES}
        found = compare(run, variants, self.repeats, "validation/loss", better="lower", name="race")
        run.result(
            {"race/worst": min(found.mean(name, "test/accuracy") for name in NAMES)},
            held_out=len(data.uci_digits().test),
        )

    def walk(self, run: Run, name: str) -> None:
        """All from one start down one surface: when they came near the minimum, and why not nearer."""
        surface, rates = SURFACES[name], {n: self.pace * rate for n, rate in zip(NAMES, RATES[name], strict=True)}
        start = torch.tensor(surface.start, dtype=torch.double) + self.scatter * torch.randn(2, dtype=torch.double)
        rules = {n: partial(WRITTEN[n], lr=rates[n], weight_decay=self.decay * (n == "adamw")) for n in NAMES}
        walk = Walk(surface, start, rules)
        steps = math.ceil(self.steps / 6) if name == "saddle" else self.steps
        for _ in run.steps(range(steps), state=walk, name=name):
            walk.step()
            if not walk.walking:
                break
            run.log(distance=max(surface.distance(walk.paths[n][-1]) for n in walk.walking))

        away = {n: surface.distance(walk.paths[n][-1]) for n in NAMES}
        run.result({**{f"{name}/{n}": away[n] for n in NAMES}, f"{name}/worst": max(away.values())})
        soon = {n: [walk.within(n, radius) or "–" for radius in NEAR] for n in NAMES}
        columns = [name, "rate", *(f"within {radius}" for radius in NEAR), "gradients", "distance", "at the end it"]
        rows = [[n, rates[n], *soon[n], walk.gradients[n], away[n], walk.ending(n)] for n in NAMES]
        run.table(name, columns, rows)
        families = {family: {n: walk.paths[n] for n in names} for family, names in FAMILIES.items()}
        run.figure(name, walks(surface.loss, surface.view, surface.minima, families))
        if name == "beale":
            run.animation("walk", animate(surface.loss, surface.view, surface.minima, walk.paths))

    def hold_to_theory(self, run: Run) -> None:
        """Steps for a decimal digit on quadratics, each rule with the coefficients that are best there."""
        conditions = (3, 10, 30, 100, 300, 1000)
        measured: dict[str, list[float]] = {"sgd": [], "nesterov": [], "momentum": []}
        theory: dict[str, list[float]] = {name: [] for name in measured}
        for κ in conditions:
            r, steps = math.sqrt(κ), round(40 * math.sqrt(κ))
            for name, η, μ, left in (  # the last: what a step leaves of the error
                ("sgd", 2 / (κ + 1), {}, (κ - 1) / (κ + 1)),
                ("nesterov", 1 / κ, {"momentum": (r - 1) / (r + 1)}, 1 - 1 / r),
                ("momentum", 4 / (r + 1) ** 2, {"momentum": ((r - 1) / (r + 1)) ** 2}, (r - 1) / (r + 1)),
            ):
                errors = quadratic_errors(partial(WRITTEN[name], lr=η, **μ), κ, 2 * steps)
                measured[name].append(steps / math.log10(errors[steps] / errors[-1]))
                theory[name].append(-1 / math.log10(left))
        wrong = [abs(m / t - 1) for name in theory for m, t in zip(measured[name], theory[name], strict=True)]
        run.result({"quadratic/error": max(wrong)})
        run.figure("quadratics", digit_times(conditions, measured, theory))

    def race(self, run: Run, name: str) -> None:
        """A small network on digits; every optimiser goes over them equally often."""
        digits = data.uci_digits()
        train, held = split(run, digits.train, 237)
        (x, label), (x_held, label_held), (x_test, label_test) = (
            (run.place(part.inputs.flatten(1) / 16), run.place(part.labels)) for part in (train, held, digits.test)
        )
        net = run.place(MLP(64, [self.hidden], 10, "tanh"))
        decay, η = self.decay * (name == "adamw"), RATES["digits"][NAMES.index(name)]
        optimizer = descent(name, net, η, decay)
        whole = name in FAMILIES["quasi-Newton"]
        batches = Batches((x, label), len(x) if whole else self.batch)
        steps = math.ceil(self.passes / 2 if whole else self.passes * len(x) / self.batch)
        for images, labels in run.steps(batches, steps, state=(net, optimizer)):

            def closure(images: Tensor = images, labels: Tensor = labels) -> float:  # a line search calls it again
                optimizer.zero_grad()
                loss = cross_entropy(net(images), labels)
                loss.backward()  # type: ignore[no-untyped-call]
                return loss.item()

            run.log(loss=optimizer.step(closure))
        run.result({"validation/loss": cross_entropy(outputs(net, x_held), label_held)}, held_out=len(x_held))
        run.result({"test/accuracy": accuracy(outputs(net, x_test), label_test)}, held_out=len(x_test))

    def demo(self) -> Demo:
        """Choose a surface, click where to begin, and watch all of them walk."""
        points = Points("Click where they begin", 1, 1, {"up there": [(-0.1, 0.8, 0)], "far left": [(-0.9, -0.6, 0)]})
        inputs: Controls = {"surface": Choice("Surface", [*SURFACES]), "start": points}
        return Demo("Which one arrives first?", inputs, self.watch, NAMES, trained=False, live=False)

    def watch(self, net: None, surface: str, start: list[tuple[float, float, int]]) -> Iterator[Answer]:
        rules = {n: partial(WRITTEN[n], lr=rate) for n, rate in zip(NAMES, RATES[surface], strict=True)}
        yield race(SURFACES[surface], start[0][:2], rules)
