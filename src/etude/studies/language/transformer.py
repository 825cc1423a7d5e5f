r"""The transformer, written out: attention sorts sequences that it never saw.

An encoder reads a row of numbers, a decoder writes it sorted (or reversed, or as it is), one token at a time, and must
get *every* token right. Nothing moves information from one place to another but attention, so one can see how it does.

**Attention is a soft dictionary.** A dictionary compares a query with its keys and returns the value of the one that
is equal. That has no gradient. So compare by a dot product, and return a mean of all values, in which those whose keys
fit better weigh more:

$$\mathrm{attend}(q, k, v) = \sum_s w_s v_s, \qquad
w_s = \frac{e^{q \cdot k_s / \sqrt d}}{\sum_{s'} e^{q \cdot k_{s'} / \sqrt d}}.$$

Why $\sqrt d$? Let the $d$ numbers of $q$ and $k$ be independent, of mean 0 and variance 1. Each product $q_i k_i$ then
has mean 0 and variance 1, and their sum has variance $d$. Undivided, scores of width 64 would spread by 8, the largest
would take nearly all the weight, and $\partial w_s / \partial z_{s'} = w_s (\delta_{s s'} - w_{s'})$ would be nearly
zero: a softmax that has decided does not learn. Divided by $\sqrt d$ the variance is 1 at any width.

**Many heads.** One mean can look at one thing. So $q$, $k$ and $v$ are projected $H$ times to width $d$ = width / $H$,
each head takes its own mean, and a last map mixes them. This costs no more than one head of full width. In the encoder
all rows look at each other; in the decoder each row looks at what was written, and then at the encoder's rows.

**Masks** set scores to $-\infty$, and so weights to 0. The *causal* mask hides from place $t$ what is written after it,
so that all places are trained at once and yet each predicts what it has not seen. The *padding* mask hides what fills
up short sequences. When the decoder then writes, keys and values of earlier places do not change: a cache keeps them.

**Positions.** Let $P$ permute the rows of $X$. For every projection $M$ then $(P X) M = P (X M)$. The scores become
$P S P^\top$, softmax works along rows and gives $P A P^\top$, and $P A P^\top P V = P (A V)$: the output is permuted
alike. So attention reads a *set*. That suffices to sort. To copy or to reverse, it must be told where tokens stand:

- *sinusoidal, learned*: a vector for each position is added to the token's.
- *rotary*: take the numbers of $q$ and $k$ in pairs, as complex numbers, and multiply them by $e^{i \omega t}$, where
  $t$ is the position. The score is the real part of a product with a conjugate, so of the two angles the difference is
  left, and the score knows the distance only:
  $\mathrm{Re}\left[ q e^{i \omega t} \, \overline{k e^{i \omega s}} \right]
  = \mathrm{Re}\left[ q \bar k \, e^{i \omega (t - s)} \right]$. Each pair has its $\omega$, from 1 to nearly
  1/10,000.
- *alibi*: $-m_h |t - s|$ is added to the scores of head $h$, with a slope for each head.

The last two act in every attention; where the decoder looks at the encoder, $t$ counts what is written and $s$ what was
read.

**Where the norm stands.** After the sum, $x \leftarrow \mathrm{LN}(x + f(x))$ (*post*), or before $f$,
$x \leftarrow x + f(\mathrm{LN}(x))$ (*pre*). At the start each $f$ adds about as much variance as its normalised input
has. In pre these add up, so the rows behind $L$ blocks are as long as $\sqrt L$. The last norm divides by that, and
the gradient that comes back to the last block is smaller by $1 / \sqrt L$. In post every sum is normalised at once, and
the last block's gradient is as large at any depth: in a deep network too large for full steps. Hence the warm-up, in
which the learning rate rises from near zero.

Sequences are drawn anew at every step, and 1,000 more for the test. Even of length 6 there are $20^6$, so the odds that
a single one of the test was trained on are about one in a hundred.

What to look at
---------------
- *attention*: rows are what is written, columns what was read; the full stop is the end. In the second layer some heads
  look at the very number that they are about to write. Where it stands there twice, they share their look.
- *lengths*: exact matches at lengths beyond the trained ones.
- *positions*: a rotary pair is a cosine of the distance; fast and slow ones together are highest at distance 0.
- *gradients*: of the last block before the first step. Pre follows the dashed $1 / \sqrt L$, post stays.

Which positions for which task?
-------------------------------
Exact matches of `etude run transformer --task … --positions …` (seed 0), and on average at lengths 13 to 24, where
training ended at 12:

| positions | reverse | longer | copy | longer | sort | longer |
|---|---|---|---|---|---|---|
| none | 0.000 | 0.00 | 0.001 | 0.00 | 0.994 | 0.65 |
| sinusoidal | 1.000 | 0.02 | 1.000 | 0.06 | 0.998 | 0.11 |
| learned | 1.000 | 0.00 | 1.000 | 0.00 | 0.993 | 0.00 |
| rotary | 0.992 | 0.03 | 1.000 | 1.00 | 0.995 | 0.34 |
| alibi | 0.982 | 0.09 | 0.975 | 0.18 | 0.997 | 0.51 |

- *None* does what the theorem says: copying and reversing can't be learned at all, sorting can. And its sorting goes
  furthest beyond, since nothing in it hangs on a place.
- *Rotary* copies at twice the length without error: "look at distance 0" means the same everywhere. To reverse, it must
  look at $s = n - t$, at another distance for each $t$.
- *Learned* positions beyond the longest were never trained: nothing is right there.

Exercises
---------
1. `etude run transformer --task copy --positions rotary`: which heads look along the diagonal?
2. `etude run transformer --layers 4 --warmup 1`, and the same with `--norm post`. Which loss falls sooner?
3. `etude run transformer --heads 1`: the same number of weights. What is lost?
4. `etude run transformer --symbols 5`: many equal numbers. To write a 3 four times, the decoder has to count.

References
----------
Vaswani, A. et al. (2017). Attention is all you need. NeurIPS.

Su, J., Lu, Y., Pan, S., Murtadha, A., Wen, B. & Liu, Y. (2021). RoFormer: enhanced transformer with rotary position
embedding. arXiv:2104.09864.

Press, O., Smith, N. A. & Lewis, M. (2022). Train short, test long: attention with linear biases enables input length
extrapolation. ICLR.

Xiong, R. et al. (2020). On layer normalization in the transformer architecture. ICML.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.optim.lr_scheduler import LambdaLR

from etude.claims import Claim
from etude.errors import UserError
from etude.figures.attention import attention_maps, by_length, gradient_by_depth, position_kinds
from etude.layers.attention import alibi, rotate, sinusoids, watching
from etude.networks.seq2seq import EncoderDecoder
from etude.runs.run import Run
from etude.study import Amount, Count, OptimizerName, Positive, Study
from etude.training.evaluation import evaluating
from etude.training.optimizers import descent
from etude.training.schedules import cosine

PAD, BEGIN, END, FIRST = range(4)  # the tokens; symbol 0 is token FIRST


@dataclass
class Transformer(Study):
    """Sort, copy or reverse rows of symbols, with an encoder and a decoder."""

    task: Literal["copy", "reverse", "sort"] = "sort"  # what is written of what was read
    symbols: Count = 20  # how many different ones there are
    shortest: Count = 6  # length of a sequence, at least
    longest: Count = 12  # and at most; tested beyond it as well
    positions: Literal["sinusoidal", "learned", "rotary", "alibi", "none"] = "sinusoidal"  # how places are told
    norm: Literal["pre", "post"] = "pre"  # before each part of a block, or after its sum
    width: Count = 48  # of a row
    heads: Count = 4  # of each attention; a divisor of the width
    layers: Count = 2  # blocks of the encoder, and of the decoder
    steps: Count = 500  # each on sequences drawn anew
    batch: Count = 64  # sequences a step
    warmup: Count = 100  # steps in which the learning rate rises
    optimizer: OptimizerName = "adamw"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 4e-3  # at its height; falls to zero along half a cosine
    weight_decay: Amount = 0.01  # the L2 penalty; of AdamW decoupled from the gradient

    claims = [Claim("test/exact", at_least=0.99, source="goal of the curriculum")]
    courses = ["CU", "ITU", "NCKU", "OU", "CUHK"]

    def __call__(self, run: Run) -> None:
        if self.longest < self.shortest:
            raise UserError(f"transformer: longest is {self.longest}; expected at least shortest, {self.shortest}")
        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, cosine(self.steps, self.warmup))

        for _ in run.steps(range(self.steps), state=(net, optimizer, schedule)):
            source, target = self.draw(run.device, self.batch)
            scores = net(source, begun(target))  # (batch, time, vocabulary)
            loss = cross_entropy(scores.flatten(0, 1), target.flatten(), ignore_index=PAD)
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)
            if run.every(50):
                run.log(**{"validation/exact": exact(net, *self.draw(run.device, 200))})

        run.result({"test/exact": exact(net, *self.draw(run.device, 1_000))}, held_out=1_000)
        lengths = range(self.shortest, 2 * self.longest + 1)
        reached = [exact(net, *self.draw(run.device, 200, n, n)) for n in lengths]
        longer = reached[lengths.index(self.longest + 1) :]
        run.result({"longer/exact": statistics.fmean(longer)}, held_out=200 * len(longer))
        run.figure("lengths", by_length(lengths, reached, (self.shortest, self.longest), "exact matches"))

        source, target = self.draw(run.device, 1, self.longest, self.longest)
        with evaluating(net), watching(net) as looks:
            net(source, begun(target))
        maps = {f"layer {i + 1}": looks[f"decoder.blocks.{i}.cross"][0] for i in range(self.layers)}
        run.figure("attention", attention_maps(maps, names(target[0]), names(source[0])), cover=True)
        depths = (2, 4, 8, 16)
        gradients = {norm: [self.last_gradient(norm, layers) for layers in depths] for norm in ("pre", "post")}
        run.figure("gradients", gradient_by_depth(depths, gradients))
        apart = torch.arange(-32, 32.1, 0.25)
        cosines = rotate(torch.tensor([1.0, 0.0]).repeat(len(apart), 8), apart)[:, 0::2].T  # (pairs, distances)
        slopes = alibi(self.heads, apart, torch.zeros(1))[:, :, 0]  # (heads, distances)
        run.figure("positions", position_kinds(sinusoids(torch.arange(40), self.width), apart, cosines, slopes))
        run.keep(net)

    def network(self) -> EncoderDecoder:
        """Encoder and decoder; positions that are learned reach as far as the tests."""
        return EncoderDecoder(
            FIRST + self.symbols, self.width, self.heads, self.layers, positions=self.positions, norm=self.norm,
            longest=2 * self.longest + 1, pad=PAD,
        )  # fmt: skip

    def draw(
        self, device: torch.device | str, n: int, shortest: int | None = None, longest: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Sequences and what is to be written of them, each ended and then padded: twice (n, longest + 1)."""
        low, high = shortest or self.shortest, longest or self.longest
        length, place = torch.randint(low, high + 1, (n, 1)), torch.arange(high)
        read, over = torch.randint(FIRST, FIRST + self.symbols, (n, high)), place >= length
        if self.task == "sort":
            written = read.masked_fill(over, FIRST + self.symbols).sort(1).values  # padding behind the largest
        else:
            written = read.gather(1, (length - 1 - place).clamp_min(0)) if self.task == "reverse" else read
        read, written = (pad(x.masked_fill(over, PAD), (0, 1)).scatter(1, length, END) for x in (read, written))
        return read.to(device), written.to(device)

    def last_gradient(self, norm: Literal["pre", "post"], layers: int) -> float:
        """The length of the last block's, for the loss at one place, before the first step; the mean of eight draws."""
        sizes, last = [], f"blocks.{layers - 1}.feedforward.output.weight"
        for _ in range(8):
            stack = replace(self, norm=norm, layers=layers).network().encoder
            scores = stack(torch.randn(1, 10, self.width))[0, :1] @ torch.randn(self.width, 50) / self.width**0.5
            loss = cross_entropy(scores, torch.tensor([0]))
            sizes.append(torch.autograd.grad(loss, stack.get_parameter(last))[0].norm())
        return float(torch.stack(sizes).mean())

    def example(self) -> tuple[Tensor, Tensor]:
        """Two sequences, and what the decoder has written so far."""
        source, target = self.draw("cpu", 2)
        return source, begun(target)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """What is written of symbols, as ``7 3 15``, and how probable the whole of it was."""
        read = [str(symbol) for symbol in (input.split() if isinstance(input, str) else input)]
        if not read or not all(symbol.isdecimal() and int(symbol) < self.symbols for symbol in read):
            raise UserError(f"transformer: the input is {input!r}; expected numbers from 0 to {self.symbols - 1}")
        source = torch.tensor([[*(FIRST + int(symbol) for symbol in read), END]])
        written = net.greedy(source, BEGIN, END, len(read) + 1)  # type: ignore[operator]
        p = net(source, begun(written)).log_softmax(2).gather(2, written[:, :, None])[0, :, 0]
        return {" ".join(names(written[0][written[0] >= FIRST])): float(p[written[0] != PAD].sum().exp())}


def begun(target: Tensor) -> Tensor:
    """What the decoder has before it when it writes each token of the target: (n, t) → (n, t)."""
    return pad(target[:, :-1], (1, 0), value=BEGIN)


def exact(net: EncoderDecoder, source: Tensor, target: Tensor) -> float:
    """The part of sequences that are written without any error, from 0 to 1."""
    with evaluating(net):
        return float((net.greedy(source, BEGIN, END, target.shape[1]) == target).all(1).double().mean())


def names(tokens: Tensor) -> list[str]:
    """Symbols by their numbers, the end as a full stop."""
    return ["." if token == END else str(token - FIRST) for token in tokens.tolist()]
