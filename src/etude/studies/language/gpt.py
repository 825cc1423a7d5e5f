r"""GPT: a transformer that predicts the next byte, and so writes.

Give a network a text, letter by letter, and let it bet on what comes next. To bet well it must know spelling, grammar,
and what the text is about. Nobody has to label anything: the text is its own answer. Here it reads the help texts of
Python as bytes, is measured on a tenth of them that it never saw, and then writes on.

**Maximum likelihood.** Any distribution over texts $x_1 \dots x_T$ is a product,
$p(x) = \prod_t p(x_t \mid x_1 \dots x_{t-1})$. The network with weights $\theta$ gives each factor as a softmax over
256 bytes. The weights under which the training text is likeliest are those that minimise

$$L(\theta) = -\frac1T \sum_t \ln p_\theta(x_t \mid x_{<t}),$$

the cross-entropy. On average over texts of the source, $L$ is the entropy of the source plus the divergence
$\mathrm{KL}(p \,\|\, p_\theta)$ from it: no betting can get below the first, and only the second can be learned away.

**Bits and perplexity.** An arithmetic coder that knows $p_\theta$ writes $x_t$ in $-\log_2 p_\theta(x_t \mid x_{<t})$
bits. So $L / \ln 2$ is the size, in bits a character, to which the network compresses the text, and does not depend on
how texts are cut into tokens if the sum is divided by *characters*. $e^L$, the *perplexity*, is the number of equally
likely bytes that would be as hard to guess. A uniform guess costs 8 bits. Every held-out character is counted once,
with at least half a context before it, but for the first ones.

**All places at once.** Behind a causal mask, place $t$ sees $x_{\le t}$ only. One pass over $n$ bytes gives $n$
predictions, each as if the rest had not been written, and $n$ gradients for the price of one pass.

**One table for reading and writing.** A byte enters as row $E_x$, and the score of byte $y$ behind the final row $h$
is $h \cdot E_y$. Tied so, the table learns from every place twice: what a byte means, and where it is expected; and
256 rows serve for 512. In GPT-2 small the table is 39 of 124 million weights.

**Writing.** Draw $x_{t+1}$ from the network, append it, go on. The network is right about the likely bytes and vague
about the rare ones; drawn a thousand times, the vague ones come up, and then it goes on from a text that it has never
seen the like of. So the tail is cut:

- *temperature* $T$: $p \propto e^{z / T}$. At 1 as learned, toward 0 always the likeliest, which soon runs in circles;
- *top-k*: draw from the $k$ likeliest. Too many where the next byte is certain, too few where much is possible;
- *nucleus*, top-p: draw from the fewest that hold probability $p$ together. Their number follows the certainty.

**The cache.** To write byte $t + 1$, attention needs a query at $t$, and keys and values at all places up to it; but
those of earlier places are what they were, since nothing behind them could change them. With width $w$ and $\ell$
layers, each place costs about $12 \ell w^2$ products in the weights and $2 \ell w t$ in attention. Reading all again
for each new byte costs $t$ times as much as reading one. For $n$ bytes that is $6 \ell w^2 n^2$ against
$12 \ell w^2 n$, so in products $n / 2$ times as much; in seconds less, for one place at a time leaves the processor
waiting for weights. `python benchmarks/gpt.py` measured 3.9 times for this network and 5.5 for that of the full scale,
from one byte to 256 (two threads; a test holds the bytes of both ways to be the same). The price is memory:
$2 \ell w$ numbers a place.

**How it is trained.** *Muon*: a layer's momentum is a matrix, $U \Sigma V^\top$, a few of whose singular values tower
above the others. It steps along $U V^\top$, as far in rare directions as in common ones; tables and vectors it leaves
to AdamW. A short warm-up (first steps are as large as the last, whatever the gradient), half a cosine down, gradients
clipped at norm 1. In pre-norm every branch adds to the stream, so the weights that end
each of the $2 \ell$ branches begin smaller by $\sqrt{2 \ell}$. Places are told by turning (`rotary`), as today, or by
learned rows as in GPT-2, whose weights the network takes: `GPT.from_gpt2`, `to_gpt2`.

What to look at
---------------
- *surprise*: each letter of a held-out text is shaded by its bits. Where is it dark? At the beginnings of words, and
  at names; inside words hardly anything is left to tell. Below: what is written, shaded by its own surprise.
- *context*: bits against how much was read. Most is won by the first few bytes.
- *attention*: rows look at columns up to their own. Some heads look one place back, others at the word's beginning.
- The loss of training and of validation: do they part?

Exercises
---------
1. `etude predict gpt "The " --set temperature=0.3`, then 1 and 1.5; `--set top_k=3`; `--set top_p=0.5`.
2. `etude run gpt --positions learned`: how many bits do they cost? At how many steps do they catch up?
3. `etude run gpt --context 16`, and 128 with `--batch 4`: as many bytes a step. Which knows more, and where?
4. `etude run gpt --steps 10000`: when does the validation loss turn? What does `--drop 0.2` do to that?
5. `etude run gpt --optimizer adamw --learning-rate 3e-3`: how many steps make up for the directions of Muon?
6. Write a counter of triples of bytes with `collections.Counter`, mix in pairs and single bytes, and measure its bits.

References
----------
Radford, A., Wu, J., Child, R., Luan, D., Amodei, D. & Sutskever, I. (2019). Language models are unsupervised multitask
learners. OpenAI.

Shannon, C. E. (1951). Prediction and entropy of printed English. Bell System Technical Journal, 30(1).

Press, O. & Wolf, L. (2017). Using the output embedding to improve language models. EACL.

Holtzman, A., Buys, J., Du, L., Forbes, M. & Choi, Y. (2020). The curious case of neural text degeneration. ICLR.

Jordan, K. et al. (2024). Muon: an optimizer for hidden layers in neural networks. kellerjordan.github.io/posts/muon.

Fan, A., Lewis, M. & Dauphin, Y. (2018). Hierarchical neural story generation. ACL.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.demos import Answer, Controls, Demo, Slider, Words
from etude.errors import UserError
from etude.figures.attention import attention_maps
from etude.figures.texts import by_place, shaded
from etude.layers.attention import watching
from etude.networks.gpt import GPT
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.batches import Windows
from etude.training.evaluation import evaluating
from etude.training.language import by_character, in_order, sample, surprises
from etude.training.optimizers import descent
from etude.training.playground import last_looks, written
from etude.training.schedules import cosine


@dataclass
class LanguageModel(Study):
    """Learn to predict a text byte by byte, say how many bits a character costs, and write on."""

    dataset: Literal["python", "shakespeare"] = "python"  # the help texts of Python; the plays
    positions: Literal["learned", "rotary"] = "rotary"  # how places are told: as in GPT-2, or by turning
    context: Count = 64  # bytes that are read at most
    width: Count = 128  # of a row
    heads: Count = 4  # of each attention; a divisor of the width
    layers: Count = 2  # blocks
    drop: Fraction = 0.0  # the part of what blocks add that is dropped in training
    steps: Count = 1_000  # of gradient descent
    batch: Count = 8  # windows of text a step
    warmup: Count = 100  # steps in which the learning rate rises
    optimizer: OptimizerName = "muon"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 5e-3  # at its height; falls to a hundredth along half a cosine
    weight_decay: Amount = 0.1  # the L2 penalty; of AdamW decoupled from the gradient
    held_out: Fraction = 0.05  # the last part of the training text, kept for validation
    length: Count = 400  # bytes that are written
    temperature: Amount = 0.8  # of what is written; 0: always the likeliest byte
    top_k: Natural = 0  # only so many bytes are drawn from; 0: all
    top_p: Fraction = 0.95  # only the likeliest that hold so much probability together; 1: all

    scales = {
        "full": {
            "dataset": "shakespeare", "context": 128, "width": 192, "heads": 6, "layers": 4, "drop": 0.2,
            "steps": 6_500, "batch": 16, "learning_rate": 1e-2, "held_out": 0.02,
        },
    }  # fmt: skip
    claims = [
        Claim("test/bits", at_most=2.0, source="Etude; the goal of the curriculum is 2.3"),
        Claim("test/nats", at_most=1.60, scale="full", source="goal of the curriculum; a character of the plays"),
    ]
    courses = ["CU P31", "CUHK"]

    def __call__(self, run: Run) -> None:
        corpus = {"python": data.python_help, "shakespeare": data.tiny_shakespeare}[self.dataset]()
        text, tested = (run.place(data.bytes_of(part)) for part in (corpus.train, corpus.test))
        at = round((1 - self.held_out) * len(text))
        train, validation = text[:at], text[at:]
        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, cosine(self.steps, self.warmup, end=0.01))

        windows = Windows(train, self.context + 1, self.batch)
        for rows in run.steps(windows, self.steps, state=(net, optimizer, schedule)):  # (batch, context + 1)
            loss = cross_entropy(net(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)
            if run.every(self.steps // 8):
                run.log(**{"validation/loss": surprises(net, validation, self.context, self.context).nanmean()})

        nats = surprises(net, tested, self.context, self.stride)  # (windows, context)
        line = in_order(nats, self.stride)  # (bytes - 1,)
        each = line.sum() / (len(corpus.test) - 1)
        run.result({"test/bits": each / math.log(2), "test/nats": each}, held_out=len(corpus.test) - 1)
        run.result({"test/perplexity": each.exp()}, held_out=len(corpus.test) - 1)
        run.figure("context", by_place({"": (nats.nanmean(0) / math.log(2)).tolist()}, "bits a byte, held out"))
        self.show(run, net, corpus.test, line)
        run.keep(net)

    def show(self, run: Run, net: GPT, tested: str, nats: Tensor) -> None:
        """Held-out and written text, shaded by surprise; where each head looks in one sentence."""
        at = tested.index("\n\n", len(tested) // 3) + 2
        bits = by_character(tested, nats)
        panels = {"held-out text, never trained on": (tested[at : at + 900], bits[at : at + 900])}
        for name, temperature, top_p in (("temperature 1", 1.0, 1.0), ("nucleus 0.9", 1.0, 0.9), ("greedy", 0.0, 1.0)):
            study = replace(self, temperature=temperature, top_k=0, top_p=top_p)
            text = "The " + "".join(study.write(net, "The "))
            tokens = run.place(data.bytes_of(text))
            cost = in_order(surprises(net, tokens, self.context, self.stride), self.stride)
            panels[f"written, {name}"] = (text, by_character(text, cost))
        run.figure("surprise", shaded(panels))

        sentence = "If the value of the list"[: self.context]
        with evaluating(net), watching(net) as looks:
            net(run.place(data.bytes_of(sentence))[None])
        maps = {f"layer {i + 1}": looks[f"blocks.blocks.{i}.attention"][0] for i in (0, self.layers - 1)}
        letters = [letter.replace(" ", "␣") for letter in sentence]
        run.figure("attention", attention_maps(maps, letters, letters), cover=True)

    @property
    def stride(self) -> int:
        """From one window of held-out text to the next: each byte but the first ones has half a context before it."""
        return -(-self.context // 2)

    def network(self) -> GPT:
        """A new network, over the 256 bytes."""
        return GPT(
            256, self.width, self.heads, self.layers, self.context, positions=self.positions, drop=self.drop
        )  # fmt: skip

    def example(self) -> Tensor:
        """Two rows of bytes."""
        return torch.arange(2 * self.context).view(2, self.context) % 256

    def write(self, net: nn.Module, input: Any) -> Iterator[str]:
        """What may follow a text, letter by letter."""
        if not isinstance(input, str):
            raise UserError(f"gpt goes on with a text, such as 'def ', and was given {input!r}")
        assert isinstance(net, GPT)
        tokens = data.bytes_of(input or "\n").to(net.table.device)
        letters = codecs.getincrementaldecoder("utf-8")("replace")  # a letter may be several bytes
        for byte in sample(
            net, tokens, self.length, temperature=self.temperature, top_k=self.top_k, top_p=self.top_p
        ):  # fmt: skip
            yield letters.decode(bytes([byte]))
        yield letters.decode(b"", final=True)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """How probable each byte is to follow a text."""
        if not isinstance(input, str) or not input:
            raise UserError(f"gpt takes a text, such as 'def ', and was given {input!r}")
        p = net(data.bytes_of(input)[None, -self.context :])[0, -1].softmax(0)
        return {repr(bytes([byte]))[1:]: value for byte, value in enumerate(p.tolist())}

    def demo(self) -> Demo:
        """Begin a text, say how boldly to draw, and watch it being written."""
        starts = ("The ", "def ", "class ") if self.dataset == "python" else ("ROMEO:", "To be", "What ")
        asks: Controls = {
            "text": Words("It begins with", starts[0], starts),
            "temperature": Slider("Temperature", 0, 2, 0.8, 0.05),
            "top_k": Slider("Top-k (0: all)", 0, 64, 0, 1), "top_p": Slider("Nucleus", 0.05, 1, 0.95, 0.05),
            "seed": Slider("Seed of the draws", 0, 99, 0, 1),
        }  # fmt: skip
        return Demo("What will it write?", asks, self.watch, ("sense", "words without sense", "letters"), live=False)

    def watch(self, net: nn.Module, text: str, seed: float, **cut: float) -> Iterator[Answer]:
        """What is written, with the chances of each letter; where each head looked for the last one."""
        assert isinstance(net, GPT)
        with watching(net) as looks:
            yield (tokens := written(net, text, 240, int(seed), **cut))
        yield last_looks(looks.values(), [piece for piece, _ in tokens.pieces[:-1]])
