"""The transformer, written out: attention reverses sequences that it never saw."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    training,
)
from etude.layers.attention import record_attention
from etude.layers.positions import alibi, rotate, sinusoids
from etude.layers.transformer import Norm
from etude.networks.transformer import EncoderDecoder
from etude.studies.language._attention_maps import attention_maps

from ._figures import by_length, gradient_by_depth, position_encodings

PAD, BEGIN, END, FIRST = range(4)  # the tokens; symbol 0 is token FIRST


@dataclass
class Transformer(Study):
    """Reverse, copy or sort sequences of symbols, with an encoder and a decoder."""

    task: Literal["copy", "reverse", "sort"] = "reverse"  # what is written of a sequence
    symbols: Count = 20  # number of different symbols
    shortest: Count = 6  # shortest sequence, in symbols
    longest: Count = 12  # longest sequence in training, in symbols; tests go beyond it
    positions: Literal["sinusoidal", "learned", "rotary", "alibi", "none"] = (
        "sinusoidal"  # how a token's position is encoded
    )
    norm: Literal["pre", "post"] = "pre"  # layer norm before each part of a block, or after its sum
    width: Count = 48  # features of each token
    heads: Count = 4  # heads of each attention; a divisor of the width
    layers: Count = 2  # blocks of the encoder, and of the decoder
    steps: Count = 500  # steps of gradient descent, each on new sequences
    batch: Count = 64  # sequences per step
    warmup: Count = 100  # steps in which the learning rate rises
    optimizer: OptimizerName = "adamw"  # the update rule; choose the learning rate with it
    learning_rate: Positive = 4e-3  # the highest one; falls to zero along half a cosine
    weight_decay: Amount = 0.01  # strength of the L2 penalty; for AdamW, of its decoupled decay

    claims = [
        Claim("test/exact", at_least=0.99, source="Etude"),
        Control(
            "no_positions/test/exact",
            at_most=0.01,
            source="Etude: attention is of a set",
            of="test/exact",
            without="positions",
        ),
    ]
    needs = ["spirals", "recurrence"]

    def __call__(self, run: Run) -> None:
        if self.longest < self.shortest:
            raise UserError(
                f"transformer: longest is {self.longest}; expected at least shortest,"
                f" {self.shortest}"
            )
        net = self.train(run)
        tested = self.sample(run.device, 1_000)
        run.result({"test/exact": exact_matches(net, *tested)}, held_out=1_000)
        with run.part("no positions", seed=run.seed):
            blind = replace(self, positions="none").train(run)
        run.result({"no_positions/test/exact": exact_matches(blind, *tested)}, held_out=1_000)

        lengths = range(self.shortest, 2 * self.longest + 1)
        reached = [exact_matches(net, *self.sample(run.device, 200, n, n)) for n in lengths]
        longer = reached[lengths.index(self.longest + 1) :]
        run.result({"longer/exact": statistics.fmean(longer)}, held_out=200 * len(longer))
        trained = (self.shortest, self.longest)
        run.figure("lengths", by_length(lengths, reached, trained, "exact matches"))

        self.draw_attention(run, net)
        self.draw_gradients(run)
        self.draw_positions(run)
        run.keep(net)

    def train(self, run: Run) -> EncoderDecoder:
        """A new network, trained on sequences that are drawn anew at every step."""
        net = run.place(self.network())
        optimizer = training.descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, training.cosine(self.steps, self.warmup))

        for _ in run.steps(range(self.steps), state=(net, optimizer, schedule)):
            source, target = self.sample(run.device, self.batch)  # (batch, time)
            logits = net(source, shift_right(target))  # (batch, time, vocabulary)
            loss = cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=PAD)
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)
            if run.every(50):
                run.log(**{"validation/exact": exact_matches(net, *self.sample(run.device, 200))})
        return net

    def draw_attention(self, run: Run, net: EncoderDecoder) -> None:
        """What each head of the decoder attends to in one source."""
        source, target = self.sample(run.device, 1, self.longest, self.longest)
        with training.evaluating(net), record_attention(net) as weights:
            net(source, shift_right(target))

        layers = range(self.layers)
        maps = {f"layer {i + 1}": weights[f"decoder.blocks.{i}.cross"][0] for i in layers}
        rows = names(target[0])
        columns = names(source[0])
        run.figure("attention", attention_maps(maps, rows, columns), cover=True)

    def draw_gradients(self, run: Run) -> None:
        """The last block's gradient before training, at several depths, for both norms."""
        depths = (2, 4, 8, 16)
        sizes = {}
        for norm in get_args(Norm):
            sizes[norm] = [self.last_gradient(norm, layers) for layers in depths]
        run.figure("gradients", gradient_by_depth(depths, sizes))

    def draw_positions(self, run: Run) -> None:
        """Three encodings of positions."""
        distances = torch.arange(-32, 32.1, 0.25)
        pairs = torch.tensor([1.0, 0.0]).repeat(len(distances), 8)  # 1 + 0i, eight times
        cosines = rotate(pairs, distances)[:, 0::2].T  # (pairs, distances)
        slopes = alibi(self.heads, distances, torch.zeros(1))[:, :, 0]  # (heads, distances)
        table = sinusoids(torch.arange(40), self.width)
        run.figure("positions", position_encodings(table, distances, cosines, slopes))

    def last_gradient(self, norm: Norm, layers: int) -> float:
        """The norm of the last block's gradient before training, for the loss at one position; the
        mean of eight random networks.
        """
        name = f"blocks.{layers - 1}.feedforward.output.weight"
        sizes = []
        for _ in range(8):
            stack = self.network(norm, layers).encoder
            h = stack(torch.randn(1, 10, self.width))[0, :1]  # (1, width)
            logits = h @ torch.randn(self.width, 50) / self.width**0.5
            loss = cross_entropy(logits, torch.tensor([0]))
            (gradient,) = torch.autograd.grad(loss, stack.get_parameter(name))
            sizes.append(gradient.norm())
        return float(torch.stack(sizes).mean())

    def network(self, norm: Norm | None = None, layers: int | None = None) -> EncoderDecoder:
        """A new encoder and decoder; positions that are learned reach as far as the tests."""
        return EncoderDecoder(
            FIRST + self.symbols,
            self.width,
            self.heads,
            layers or self.layers,
            positions=self.positions,
            norm=norm or self.norm,
            longest=2 * self.longest + 1,
            pad=PAD,
        )

    def sample(
        self,
        device: torch.device | str,
        n: int,
        shortest: int | None = None,
        longest: int | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Sequences and what is to be written of each, with its end and then padding: twice (n,
        longest + 1).
        """
        low = shortest or self.shortest
        high = longest or self.longest
        length = torch.randint(low, high + 1, (n, 1))
        source = torch.randint(FIRST, FIRST + self.symbols, (n, high))
        position = torch.arange(high)
        beyond = position >= length  # (n, high)

        target = source
        if self.task == "sort":
            largest = source.masked_fill(beyond, FIRST + self.symbols)
            target = largest.sort(1).values  # what lies beyond the end stays there
        if self.task == "reverse":
            target = source.gather(1, (length - 1 - position).clamp_min(0))

        source, target = (
            pad(tokens.masked_fill(beyond, PAD), (0, 1)).scatter(1, length, END)
            for tokens in (source, target)
        )
        return source.to(device), target.to(device)

    def example(self) -> tuple[Tensor, Tensor]:
        """A batch for export and tests: two sources and two targets, (2, longest + 1) each."""
        source, target = self.sample("cpu", 2)
        return source, shift_right(target)

    def free_axes(self) -> Sequence[Mapping[int, str]]:
        """Any number of sequences, each side of any length."""
        return {0: "batch", 1: "source"}, {0: "batch", 1: "target"}

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """What is written of symbols, such as ``7 3 15``, and the probability of the whole."""
        symbols = [str(symbol) for symbol in (input.split() if isinstance(input, str) else input)]
        valid = [symbol.isdecimal() and int(symbol) < self.symbols for symbol in symbols]
        if not symbols or not all(valid):
            raise UserError(
                f"transformer: the input is {input!r}; expected numbers from 0 to"
                f" {self.symbols - 1}"
            )
        source = torch.tensor([[*(FIRST + int(symbol) for symbol in symbols), END]])
        written = net.greedy(source, BEGIN, END, len(symbols) + 1)  # type: ignore[operator]
        log_p = net(source, shift_right(written)).log_softmax(2)  # (1, time, vocabulary)
        each = log_p.gather(2, written[:, :, None])[0, :, 0]  # (time,)
        text = " ".join(names(written[0][written[0] >= FIRST]))
        return {text: float(each[written[0] != PAD].sum().exp())}


def shift_right(target: Tensor) -> Tensor:
    """What the decoder has read when it predicts each token of the target: (n, t) → (n, t)."""
    return pad(target[:, :-1], (1, 0), value=BEGIN)


def exact_matches(net: EncoderDecoder, source: Tensor, target: Tensor) -> float:
    """The fraction of sequences that are written without any error, from 0 to 1."""
    with training.evaluating(net):
        written = net.greedy(source, BEGIN, END, target.shape[1])  # (n, time)
    return float((written == target).all(1).double().mean())


def names(tokens: Tensor) -> list[str]:
    """The symbols of tokens by their numbers, the end as a full stop."""
    return ["." if token == END else str(token - FIRST) for token in tokens.tolist()]
