"""Translation: one network reads, another writes, and attention lies between."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.data.pieces import BEGIN, PAD, Pieces
from etude.demos import Answer, Demo, Words
from etude.errors import UserError
from etude.figures.attention import attention_maps
from etude.figures.search import by_width
from etude.layers.attention import record_attention
from etude.networks.recurrent_seq2seq import Bahdanau, Luong, RecurrentEncoderDecoder
from etude.networks.transformer import EncoderDecoder
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import evaluating
from etude.training.optimizers import descent
from etude.training.playground import look_across
from etude.training.schedules import cosine
from etude.training.translation import bleu, exact, tokens_of, translate

Net = EncoderDecoder | RecurrentEncoderDecoder


@dataclass
class Translation(Study):
    """Translate English into German: numbers in words, or captions of photographs."""

    dataset: Literal["numbers", "multi30k"] = (
        "numbers"  # numbers below a million; captions of photographs
    )
    pairs: Count = 3_000  # numbers that are learned from
    vocabulary: Count = 120  # pieces of words, of both languages together
    model: Literal["bahdanau", "luong", "transformer"] = (
        "bahdanau"  # how the decoder looks at what was read
    )
    width: Count = 64  # of a row
    heads: Count = 4  # of each attention of the transformer; a divisor of the width
    layers: Count = (
        1  # of the recurrent encoder; or blocks of the transformer's encoder, and of its decoder
    )
    drop: Fraction = 0.0  # the part of activations that is dropped in training
    smoothing: Fraction = 0.0  # the part of a target's probability that is spread over all tokens
    steps: Count = 400  # of gradient descent
    batch: Count = 64  # pairs a step
    warmup: Count = 100  # steps in which the learning rate rises
    optimizer: OptimizerName = "adamw"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 4e-3  # at its height; falls to zero along half a cosine
    weight_decay: Amount = 0.01  # the L2 penalty; of AdamW decoupled from the gradient
    longest: Count = 30  # pieces that are written at most, the end among them
    beam: Count = 4  # texts that the search keeps
    penalty: Amount = (
        0.6  # alpha of the search: 0 ranks texts by probability, more prefers longer ones
    )

    scales = {
        "full": {
            "dataset": "multi30k",
            "vocabulary": 4_000,
            "model": "transformer",
            "width": 128,
            "layers": 4,
            "drop": 0.2,
            "smoothing": 0.1,
            "steps": 4_000,
            "batch": 128,
            "warmup": 500,
            "learning_rate": 3e-3,
            "longest": 60,
            "penalty": 1.0,
        },
    }
    claims = [
        Claim("test/exact", at_least=0.99, source="Etude; the goal of the curriculum is 0.95"),
        Claim(
            "test/bleu",
            at_least=33,
            scale="full",
            source="goal of the curriculum; the test of 2016, sacrebleu",
        ),
    ]
    courses = ["ITU", "CUHK"]

    def __call__(self, run: Run) -> None:
        texts, pieces = (
            parallel(self.dataset, self.pairs),
            learned(self.dataset, self.pairs, self.vocabulary),
        )
        measure = bleu if self.dataset == "multi30k" else exact
        measure(["a"], ["a"])  # what it needs is missed before training, not behind it
        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, cosine(self.steps, self.warmup))
        sides = [tokens_of(pieces, side) for side in (texts.train.source, texts.train.target)]
        train = Batches(sides, self.batch, alike=sides[0].lengths + sides[1].lengths)
        write = partial(translate, net, pieces, longest=self.longest, device=run.device)
        checked, right = texts.validation.source[:300], texts.validation.target[:300]
        early = deepcopy(
            net
        )  # and what it is in mid-training, when a search has more to choose from

        for batch in run.steps(train, self.steps, state=(net, optimizer, schedule, early)):
            source, target = (
                run.place(part.padded(PAD)) for part in batch
            )  # (batch, s), (batch, t)
            scores = net(source, begun(target)).flatten(0, 1)  # (batch · t, vocabulary)
            loss = cross_entropy(
                scores, target.flatten(), ignore_index=PAD, label_smoothing=self.smoothing
            )
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)
            if run.step == 3 * self.steps // 10:
                early.load_state_dict(net.state_dict())
            if run.every(self.steps // 8):
                run.log(**{f"validation/{measure.__name__}": measure(write(checked)[0], right)})

        greedy, _ = write(texts.test.source)
        best, _ = write(texts.test.source, width=self.beam, penalty=self.penalty)
        for name, written in (("test", best), ("greedy", greedy)):
            for count in dict.fromkeys((exact, measure)):
                run.result(
                    {f"{name}/{count.__name__}": count(written, texts.test.target)},
                    held_out=len(written),
                )
        rows = sorted(
            zip(texts.test.source, texts.test.target, best, strict=True),
            key=lambda row: row[1] == row[2],
        )
        run.table("translations", ("English", "German", "written"), rows[:6])

        widths, found = (1, 2, 4, 8), {}
        for name, each in ((f"after {3 * self.steps // 10} steps", early), ("at the end", net)):
            pairs = [
                translate(each, pieces, checked, self.longest, width=k, device=run.device)
                for k in widths
            ]
            found[name] = [(rank, measure(written, right)) for written, rank in pairs]
        run.figure(
            "search",
            by_width(widths, found, {"bleu": "BLEU"}.get(measure.__name__, "exact matches")),
        )
        self.show(run, net, pieces, texts.test)
        run.keep(net)

    def show(self, run: Run, net: Net, pieces: Pieces, test: data.Pairs) -> None:
        """Where the decoder looks while a text of usual length is written, given the true one."""
        middle = sorted(range(len(test)), key=lambda i: len(test.source[i]))[len(test) // 2]
        source, target = (
            tokens_of(pieces, [side[middle]]).padded(PAD) for side in (test.source, test.target)
        )
        with evaluating(net), record_attention(net) as looks:
            net(run.place(source), run.place(begun(target)))
        across = [
            weights[0]
            for name, weights in looks.items()
            if name.endswith("cross") or name == "attention"
        ]
        maps = {
            f"layer {i + 1}" if len(across) > 1 else self.model: look
            for i, look in enumerate(across)
        }
        rows, columns = ([*pieces.names(side[0].tolist()), "."] for side in (target, source))
        run.figure("attention", attention_maps(maps, rows, columns), cover=True)

    def network(self) -> Net:
        """An encoder and a decoder; padding is token 0."""
        if self.model == "transformer":
            return EncoderDecoder(
                self.vocabulary, self.width, self.heads, self.layers, dropout=self.drop, pad=PAD
            )
        kind = Bahdanau if self.model == "bahdanau" else Luong
        return kind(self.vocabulary, self.width, self.layers, dropout=self.drop, pad=PAD)

    def example(self) -> tuple[Tensor, Tensor]:
        """Two sources of one length, and what was written so far."""
        tokens = torch.arange(4, 28).view(2, 2, 6) % self.vocabulary
        return tokens[0], begun(tokens[1])

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The German of an English text, and how probable the network holds this row of pieces."""
        if not isinstance(input, str) or not input.strip():
            raise UserError(
                f"translation takes an English text, such as 'twenty-one', and was given {input!r}"
            )
        pieces = learned(self.dataset, self.pairs, self.vocabulary)
        (text,), rank = translate(
            net, pieces, [input.strip()], self.longest, width=self.beam, penalty=0.0
        )
        return {text: math.exp(rank)}

    def demo(self) -> Demo:
        """Type English; see the German, and where the decoder looked for each piece of it."""
        asks = {
            "text": Words("English", examples=parallel(self.dataset, self.pairs).test.source[:4])
        }
        return Demo(
            "How will its look move?", asks, self.look, ("straight on", "to and fro", "all over")
        )

    def look(self, net: nn.Module, text: str) -> Iterator[Answer]:
        pieces = learned(self.dataset, self.pairs, self.vocabulary)
        source, target = (
            tokens_of(pieces, [side]).padded(PAD)
            for side in (text.strip(), *self.predict(net, text))
        )
        with record_attention(net) as looks:
            yield from look_across(
                pieces, source, target, net(source, begun(target)).softmax(2), looks
            )


def begun(target: Tensor) -> Tensor:
    """What the decoder has before it when it writes each token of the target: (n, t) → (n, t)."""
    return pad(target[:, :-1], (1, 0), value=BEGIN)


@lru_cache(maxsize=2)
def parallel(dataset: str, pairs: int) -> data.Parallel:
    """The texts; those of numbers are the first so many."""
    return data.multi30k() if dataset == "multi30k" else data.number_words(pairs)


@lru_cache(maxsize=2)
def learned(dataset: str, pairs: int, vocabulary: int) -> Pieces:
    """The pieces of both languages; a thousand numbers have all there is to join."""
    train = parallel(dataset, pairs).train
    some = 1_000 if dataset == "numbers" else len(train)
    return Pieces((*train.source[:some], *train.target[:some]), vocabulary)
