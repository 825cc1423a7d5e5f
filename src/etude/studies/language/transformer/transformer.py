"""The transformer, written out: attention sorts sequences that it never saw."""

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
from etude.layers.attention import record_attention
from etude.layers.positions import alibi, rotate, sinusoids
from etude.networks.transformer import EncoderDecoder
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
    positions: Literal["sinusoidal", "learned", "rotary", "alibi", "none"] = (
        "sinusoidal"  # how places are told
    )
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
            raise UserError(
                f"transformer: longest is {self.longest}; expected at least shortest,"
                f" {self.shortest}"
            )
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
        run.figure(
            "lengths", by_length(lengths, reached, (self.shortest, self.longest), "exact matches")
        )

        source, target = self.draw(run.device, 1, self.longest, self.longest)
        with evaluating(net), record_attention(net) as looks:
            net(source, begun(target))
        maps = {f"layer {i + 1}": looks[f"decoder.blocks.{i}.cross"][0] for i in range(self.layers)}
        run.figure(
            "attention", attention_maps(maps, names(target[0]), names(source[0])), cover=True
        )
        depths = (2, 4, 8, 16)
        gradients = {
            norm: [self.last_gradient(norm, layers) for layers in depths]
            for norm in ("pre", "post")
        }
        run.figure("gradients", gradient_by_depth(depths, gradients))
        apart = torch.arange(-32, 32.1, 0.25)
        cosines = rotate(torch.tensor([1.0, 0.0]).repeat(len(apart), 8), apart)[
            :, 0::2
        ].T  # (pairs, distances)
        slopes = alibi(self.heads, apart, torch.zeros(1))[:, :, 0]  # (heads, distances)
        run.figure(
            "positions",
            position_kinds(sinusoids(torch.arange(40), self.width), apart, cosines, slopes),
        )
        run.keep(net)

    def network(self) -> EncoderDecoder:
        """Encoder and decoder; positions that are learned reach as far as the tests."""
        return EncoderDecoder(
            FIRST + self.symbols,
            self.width,
            self.heads,
            self.layers,
            positions=self.positions,
            norm=self.norm,
            longest=2 * self.longest + 1,
            pad=PAD,
        )

    def draw(
        self,
        device: torch.device | str,
        n: int,
        shortest: int | None = None,
        longest: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Sequences and what is to be written of them, each ended and then padded: twice (n,
        longest + 1).
        """
        low, high = shortest or self.shortest, longest or self.longest
        length, place = torch.randint(low, high + 1, (n, 1)), torch.arange(high)
        read, over = torch.randint(FIRST, FIRST + self.symbols, (n, high)), place >= length
        if self.task == "sort":
            written = (
                read.masked_fill(over, FIRST + self.symbols).sort(1).values
            )  # padding behind the largest
        else:
            written = (
                read.gather(1, (length - 1 - place).clamp_min(0))
                if self.task == "reverse"
                else read
            )
        read, written = (
            pad(x.masked_fill(over, PAD), (0, 1)).scatter(1, length, END) for x in (read, written)
        )
        return read.to(device), written.to(device)

    def last_gradient(self, norm: Literal["pre", "post"], layers: int) -> float:
        """The length of the last block's, for the loss at one place, before the first step; the
        mean of eight draws.
        """
        sizes, last = [], f"blocks.{layers - 1}.feedforward.output.weight"
        for _ in range(8):
            stack = replace(self, norm=norm, layers=layers).network().encoder
            scores = (
                stack(torch.randn(1, 10, self.width))[0, :1]
                @ torch.randn(self.width, 50)
                / self.width**0.5
            )
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
        if not read or not all(
            symbol.isdecimal() and int(symbol) < self.symbols for symbol in read
        ):
            raise UserError(
                f"transformer: the input is {input!r}; expected numbers from 0 to"
                f" {self.symbols - 1}"
            )
        source = torch.tensor([[*(FIRST + int(symbol) for symbol in read), END]])
        written = net.greedy(source, BEGIN, END, len(read) + 1)  # type: ignore[operator]
        p = net(source, begun(written)).log_softmax(2).gather(2, written[:, :, None])[0, :, 0]
        return {
            " ".join(names(written[0][written[0] >= FIRST])): float(
                p[written[0] != PAD].sum().exp()
            )
        }


def begun(target: Tensor) -> Tensor:
    """What the decoder has before it when it writes each token of the target: (n, t) → (n, t)."""
    return pad(target[:, :-1], (1, 0), value=BEGIN)


def exact(net: EncoderDecoder, source: Tensor, target: Tensor) -> float:
    """The part of sequences that are written without any error, from 0 to 1."""
    with evaluating(net):
        return float(
            (net.greedy(source, BEGIN, END, target.shape[1]) == target).all(1).double().mean()
        )


def names(tokens: Tensor) -> list[str]:
    """Symbols by their numbers, the end as a full stop."""
    return ["." if token == END else str(token - FIRST) for token in tokens.tolist()]
