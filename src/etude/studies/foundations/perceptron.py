r"""The perceptron: a rule that learns from its mistakes, and what no line can do.

Two bits go in, one comes out: AND, OR, exclusive or. A unit weighs its inputs, adds a bias and applies a *hard limit*:

$$\hat y = h(w_1 x_1 + w_2 x_2 + b), \qquad h(z) = 1 \text{ if } z > 0, \text{ else } 0.$$

Where $w \cdot x + b = 0$ lies a line. The unit says 1 on one side of it, 0 on the other, and that is all it can say.

**The rule** (Rosenblatt, 1958). Call the outputs $y = 1$ and $y = -1$, let the bias be the weight of a third input that
is always 1, and turn each row by its sign, $a_i = y_i (x_i, 1)$. All is right when $a_i \cdot w > 0$ for every row. Go
through the rows in turn, and wherever one is not right, add it:

$$a_i \cdot w \le 0 \quad \Rightarrow \quad w \leftarrow w + a_i.$$

That raises $a_i \cdot w$ by $\|a_i\|^2$. A pass without a mistake ends it. The weights are their start plus the rows
that were mistaken, each as often as it was: the code keeps a list of mistakes, and finds everything else from it.

**Why it ends** (Novikoff, 1962). Suppose that a unit vector $u$ parts the rows with a margin, $a_i \cdot u \ge \gamma$
with $\gamma > 0$, and that no row is longer than $R$. Start at $w_0 = 0$. Each mistake brings $w$ nearer to $u$ and
makes it little longer. After $k$ of them,

$$u \cdot w_k = u \cdot w_{k-1} + u \cdot a_i \ge \gamma k, \qquad
\|w_k\|^2 = \|w_{k-1}\|^2 + 2 \, a_i \cdot w_{k-1} + \|a_i\|^2 \le R^2 k,$$

for the middle term is at most 0: that is what made it a mistake. As $u \cdot w_k \le \|w_k\|$, this leaves
$\gamma k \le R \sqrt k$, that is $k \le (R / \gamma)^2$, however many rows there are, in however many dimensions. The
bound can't be bettered. Of $d$ orthonormal rows each is mistaken once, which makes $d$ mistakes, and
$u = \sum_i a_i / \sqrt d$ parts them with $\gamma = 1 / \sqrt d$.

**Why XOR can't be learned.** It would need $w_1 + b > 0$ and $w_2 + b > 0$, so that $w_1 + w_2 + 2 b > 0$; but also
$b \le 0$ and $w_1 + w_2 + b \le 0$, so that it is not. Behind this stands a theorem (Gordan, 1873). Either there is a
$w$ with $a_i \cdot w > 0$ for all $i$, or there are $m_i \ge 0$, not all 0, with $\sum_i m_i a_i = 0$; never both, for
that sum times $w$ would be positive. Such an $m$ is a certificate. Its last coordinate says that both classes get the
same total $M$, the others that one point is a mean of either class with weights $m_i / M$: there their hulls meet.

The rule finds the certificate by itself. Even without a line its weights stay bounded (Block & Levin, 1970). Here they
are whole numbers, so they must come back to where they were, and then go round for ever. What was added on the way sums
to zero: the $m_i$ count the mistakes of one round. So the rule finds a line, or a proof that there is none.

**Two layers.** XOR is AND of OR and NAND: three units, learned apart and put together, draw two lines and take the
strip between. But who teaches a hidden unit in its place? Nobody says what it should have answered, and the derivative
of the hard limit is 0 wherever there is one. With smooth units, $\tanh$ and then $1 / (1 + e^{-z})$, gradient descent
finds the hidden weights too. Two hidden units could do it, but from random weights they do in only four of seeds 0 to 9
(`etude run perceptron --hidden 2 --seed 0` …); four units do in all ten.

What to look at
---------------
- *planes*: arrows point to where a unit says 1. In the fourth picture no line parts what is joined at the star, the
  point that the certificate gives. In the last, the smooth network has its own idea of what lies between the bits.
- *weights*: those of AND come to rest, those of XOR go round. Each band, grey or white, is one round.
- *bound*: rows that all lie at distance $\gamma$ from a plane come near the bound, orthonormal rows reach it. Right,
  the proof: $\|w_k\|$ is caught between two lines, and they cross at the bound.

Exercises
---------
1. `etude run perceptron --start 0`. Work out the first pass over XOR by hand. What is $m$?
2. `etude run perceptron --dimensions 2` makes two mistakes, however small the margin. Draw the rows: why?
3. Copy this file to `mine.py` and let its `xor` table be that of equality, 1 0 0 1; then `etude run ./mine.py`. The two
   layers now fail. Which of the learned units should come last instead of AND?

References
----------
Gordan, P. (1873). Über die Auflösung linearer Gleichungen mit reellen Coefficienten. Mathematische Annalen 6, 23–28.

Rosenblatt, F. (1958). The perceptron. Psychological Review 65(6), 386–408.

Novikoff, A. B. J. (1962). On convergence proofs on perceptrons. Symposium on the Mathematical Theory of Automata 12.

Minsky, M. & Papert, S. (1969). Perceptrons. MIT Press.

Block, H. D. & Levin, S. A. (1970). On the boundedness of an iterative procedure for solving a system of linear
inequalities. Proceedings of the American Mathematical Society 26(2), 229–235.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from etude import data
from etude.claims import Claim
from etude.figures.perceptrons import TruthTable, mistake_bound, truth_tables, weight_paths
from etude.networks.mlp import MLP
from etude.runs.run import Run
from etude.study import Count, Natural, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs

BITS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
TABLES = {
    "and": torch.tensor([0, 0, 0, 1]), "or": torch.tensor([0, 1, 1, 1]),
    "nand": torch.tensor([1, 1, 1, 0]), "xor": torch.tensor([0, 1, 1, 0]),
}  # fmt: skip


class Perceptron:
    """Rosenblatt's rule on rows a_i = y_i x_i, (rows, inputs), which are to have a_i·w > 0; it keeps its mistakes."""

    def __init__(self, a: Tensor, start: Tensor) -> None:
        self.a, self.start, self.w = a, start, start
        self.mistakes: list[int] = []  # rows in order: w = start + Σ a[mistakes]
        self.ends: list[int] = []  # how many mistakes had been made at the end of each pass

    def sweep(self) -> int:
        """One pass over the rows, from mistake to mistake; how many there were."""
        before, i = len(self.mistakes), 0
        while len(wrong := (self.a[i:] @ self.w <= 0).nonzero()):
            i += int(wrong[0])
            self.w = self.w + self.a[i]
            self.mistakes.append(i)
            i += 1
        self.ends.append(len(self.mistakes))
        return len(self.mistakes) - before

    def path(self) -> Tensor:
        """The weights at the start and after each mistake: (mistakes + 1, inputs)."""
        return torch.cat([self.start[None], self.a[self.mistakes]]).cumsum(0)

    def cycle(self) -> list[int]:
        """The mistakes since a pass ended in the very weights of now; none where no pass did, or nothing is wrong."""
        ends = self.path()[self.ends]
        same = (ends[:-1] == ends[-1]).all(1).nonzero()
        return self.mistakes[self.ends[int(same[-1])] :] if len(same) else []

    def state_dict(self) -> dict[str, Any]:
        """What changes."""
        return {"w": self.w, "mistakes": self.mistakes, "ends": self.ends}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.w, self.mistakes, self.ends = state["w"], state["mistakes"], state["ends"]


def fires(w: Tensor, x: Tensor) -> Tensor:
    """The hard limit, 1 where w·(x, 1) > 0, else 0: (inputs + 1,), (rows, inputs) → (rows,)."""
    return (x @ w[:-1] + w[-1] > 0).float()


def separable(points: int, dimensions: int, margin: float) -> tuple[Tensor, Tensor]:
    """``(a, u)``: random unit vectors a = y x, (points, dimensions), all at one distance from the plane of normal u."""
    u = normalize(torch.randn(dimensions), dim=0)
    across = torch.randn(points, dimensions)
    across = normalize(across - (across @ u)[:, None] * u)
    return margin * u + (1 - margin**2) ** 0.5 * across, u


@dataclass
class PerceptronRule(Study):
    """The perceptron rule with a hard limit: what it learns, what it can't, and how many mistakes it makes."""

    start: Natural = 3  # weights begin as whole numbers drawn from -start to start
    passes: Count = 20  # over a truth table, at most
    hidden: Count = 4  # smooth units of the network that learns XOR by gradient descent
    steps: Count = 500  # of gradient descent
    learning_rate: Positive = 0.03  # of Adam
    points: Count = 1_000  # of the separable sets
    dimensions: Count = 20  # of the separable sets
    halvings: Count = 7  # of the margin: one separable set each with γ = 1/2, 1/4, 1/8 …

    claims = [
        Claim("and/accuracy", at_least=1.0, each=True, source="the curriculum: truth tables exact"),
        Claim("or/accuracy", at_least=1.0, each=True, source="the curriculum: truth tables exact"),
        Claim("xor/one_layer", at_most=0.75, each=True, source="Minsky & Papert (1969)"),
        Claim("xor/certificate", at_least=1.0, each=True, source="Gordan (1873)"),
        Claim("xor/two_layers", at_least=1.0, each=True, source="the curriculum: truth tables exact"),
        Claim("mistakes/bound", at_most=1.0, each=True, source="Novikoff (1962)"),
    ]
    courses = ["OU", "ITU"]

    def __call__(self, run: Run) -> None:
        units = {}
        for name, t in TABLES.items():
            a = (2 * t - 1)[:, None] * torch.cat([BITS, torch.ones(4, 1)], 1)
            unit = units[name] = Perceptron(a, torch.randint(-self.start, self.start + 1, (3,)).float())
            for _ in run.steps(range(self.passes), state=unit, name=name):
                wrong = unit.sweep()
                run.log(wrong=wrong)
                if wrong == 0:
                    break
            run.result({f"{name}/accuracy": accuracy(fires(unit.w, BITS) - 0.5, t)})

        xor, t = units["xor"], TABLES["xor"]
        tried = torch.cat([unit.path() for unit in units.values()])  # every line so far, whatever it was to learn
        one_layer = max(accuracy(fires(w, BITS) - 0.5, t) for w in tried)
        cycle = xor.cycle()
        m = torch.bincount(torch.tensor(cycle, dtype=torch.long), minlength=4).float()
        proved = m.any() and not (m @ xor.a).any()
        run.result({"xor/one_layer": one_layer, "xor/cycle": len(cycle), "xor/certificate": float(proved)})

        def two_layers(x: Tensor) -> Tensor:
            return fires(units["and"].w, torch.stack([fires(units["or"].w, x), fires(units["nand"].w, x)], 1))

        run.result({"xor/two_layers": accuracy(two_layers(BITS) - 0.5, t)})

        net = run.place(self.network())
        optimizer = torch.optim.Adam(net.parameters(), self.learning_rate, fused=True)
        batches = Batches((run.place(BITS), run.place(t.float())), len(BITS))
        for x, target in run.steps(batches, self.steps, state=(net, optimizer), name="smooth"):
            loss = binary_cross_entropy_with_logits(net(x).squeeze(1), target)
            run.minimise(loss, optimizer)
            run.log(loss=loss)
        run.result({"xor/smooth": accuracy(outputs(net, run.place(BITS)), run.place(t))})

        bounds, mistakes = [], []
        for gamma in (0.5**k for k in range(1, self.halvings + 1)):
            a, u = separable(self.points, self.dimensions, gamma)
            unit = Perceptron(a, torch.zeros(self.dimensions))
            for _ in run.steps(itertools.count(), state=unit, name=f"margin {gamma:g}"):  # ends, says the theorem
                wrong = unit.sweep()
                run.log(mistakes=wrong)
                if wrong == 0:
                    break
            bounds.append((a.norm(dim=1).max() / (a @ u).min()).square().item())
            mistakes.append(len(unit.mistakes))
        run.result({"mistakes/bound": max(made / bound for made, bound in zip(mistakes, bounds, strict=True))})
        tight = [Perceptron(torch.eye(d), torch.zeros(d)).sweep() for d in (4, 16, 64, 256, 1024)[: self.halvings]]
        run.result({"orthonormal/bound": tight[-1] / 4 ** len(tight)})

        single = {name: units[name].w for name in ("and", "or", "nand")}
        panels = [TruthTable(name.upper(), TABLES[name], partial(fires, w), w[None]) for name, w in single.items()]
        meeting = (m * t) @ BITS / (m * t).sum() if cycle else None
        panels.append(TruthTable("XOR, one unit: lines tried", t, tried=xor.path(), meeting=meeting))
        panels.append(TruthTable("XOR, two layers", t, two_layers, torch.stack([single["or"], single["nand"]])))
        panels.append(TruthTable("XOR, smooth units", t, lambda x: outputs(net, run.place(x)).sigmoid()[:, 0].cpu()))
        run.figure("planes", truth_tables(panels))
        shown = {"AND: the weights come to rest": units["and"], "XOR: the weights come back, again and again": xor}
        run.figure("weights", weight_paths({title: (unit.path(), len(unit.cycle())) for title, unit in shown.items()}))
        made = {"rows at distance γ from a plane": mistakes, "orthonormal rows": tight}
        run.figure("bound", mistake_bound(bounds, made, unit.path()))
        run.keep(net)

    def network(self) -> MLP:
        """Two inputs, one layer of smooth hidden units, and the logit of XOR."""
        return MLP(2, [self.hidden], 1, "tanh")

    def example(self) -> Tensor:
        """Two pairs of bits."""
        return torch.tensor([[0.0, 1.0], [1.0, 1.0]])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of XOR's two values for two bits: two numbers, or the text ``1 0``."""
        p = net(data.read_numbers(input, 2, "x and y")).sigmoid().item()
        return {"0": 1 - p, "1": p}
