"""Translation: one network reads, another writes, and attention lies between."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    data,
    training,
)
from etude.data.pieces import PAD, Pieces
from etude.demos import Answer, Demo, Words
from etude.networks.recurrent_seq2seq import Bahdanau, Luong, RecurrentEncoderDecoder
from etude.networks.transformer import EncoderDecoder
from etude.studies.language._attention_maps import attention_maps

from ._controls import WithoutAttention
from ._demo import translation_answers
from ._figures import by_beam_width
from ._texts import learn_pieces, load_texts
from ._translate import bleu, cross_attention, exact, shift_right, tokens_of, translate

Network = EncoderDecoder | RecurrentEncoderDecoder
Measure = Callable[[Sequence[str], Sequence[str]], float]


@dataclass
class Translation(Study):
    """Translate English into German: numbers in words, or captions of photographs."""

    dataset: Literal["numbers", "multi30k"] = "numbers"  # numbers in words, or captions of photos
    pairs: Count = 3_000  # numbers to train with, each in both languages
    vocabulary: Count = 120  # pieces of words, of both languages together
    model: Literal["bahdanau", "luong", "transformer"] = "bahdanau"  # the architecture
    width: Count = 64  # features of each token
    heads: Count = 4  # heads of each attention of the transformer; a divisor of the width
    layers: Count = 1  # layers of the recurrent encoder, or blocks of encoder and of decoder
    dropout: Fraction = 0.0  # fraction of activations that is dropped in training
    smoothing: Fraction = 0.0  # fraction of a target's probability spread over all tokens
    steps: Count = 400  # steps of gradient descent
    batch: Count = 64  # pairs per step
    warmup: Count = 100  # steps in which the learning rate rises
    optimizer: OptimizerName = "adamw"  # the update rule; choose the learning rate with it
    learning_rate: Positive = 4e-3  # the highest one; falls to zero along half a cosine
    weight_decay: Amount = 0.01  # strength of the L2 penalty; for AdamW, of its decoupled decay
    longest: Count = 30  # pieces that are written at most, with the end
    beam: Count = 4  # width of the beam: texts that the search keeps
    length_penalty: Amount = 0.6  # α; 0 ranks texts by probability, more prefers longer ones

    scales = {
        "full": {
            "dataset": "multi30k",
            "vocabulary": 4_000,
            "model": "transformer",
            "width": 128,
            "layers": 4,
            "dropout": 0.2,
            "smoothing": 0.1,
            "steps": 4_000,
            "batch": 128,
            "warmup": 500,
            "learning_rate": 3e-3,
            "longest": 60,
            "length_penalty": 1.0,
        },
    }
    claims = [
        Claim("test/exact", at_least=0.99, source="Etude"),
        Control("no attention/test/exact", at_most=0.8, of="test/exact", without="attention"),
        Claim(
            "test/bleu",
            at_least=35,
            scale="full",
            source="Etude; the test of 2016, sacrebleu",
        ),
    ]
    no_onnx = (
        "its recurrent networks read each text to its own end, in packed sequences, which ONNX has"
        " not; that of --model transformer can be exported"
    )
    needs = ["recurrence", "transformer"]

    def __call__(self, run: Run) -> None:
        texts = load_texts(self.dataset, self.pairs)
        pieces = learn_pieces(self.dataset, self.pairs, self.vocabulary)
        measure = bleu if self.dataset == "multi30k" else exact
        measure(["a"], ["a"])  # a missing package is noticed before training, not after it
        write = partial(translate, pieces=pieces, longest=self.longest, device=run.device)
        fit = partial(self.train, run, texts, pieces, measure)
        net, early = fit(self.network())

        test = texts.test
        greedy, _ = write(net, texts=test.source)
        best, _ = write(net, texts=test.source, width=self.beam, penalty=self.length_penalty)
        for name, written in (("test", best), ("greedy", greedy)):
            for count in dict.fromkeys((exact, measure)):
                metric = f"{name}/{count.__name__}"
                run.result({metric: count(written, test.target)}, held_out=len(written))

        rows = list(zip(test.source, test.target, best, strict=True))
        rows.sort(key=lambda row: row[1] == row[2])  # wrong ones first
        run.table("translations", ("English", "German", "written"), rows[:6])

        checked = texts.validation.source[:300]
        expected = texts.validation.target[:300]
        widths = (1, 2, 4, 8)
        reached = {}
        for name, each in ((f"after {3 * self.steps // 10} steps", early), ("at the end", net)):
            searches = [write(each, texts=checked, width=width) for width in widths]
            reached[name] = [(rank, measure(found, expected)) for found, rank in searches]
        label = "BLEU" if measure is bleu else "exact matches"
        run.figure("search", by_beam_width(widths, reached, label))
        self.draw_attention(run, net, pieces, test)

        if self.dataset == "numbers":  # at the scale full a second training would take too long
            with run.part("no attention", seed=run.seed):
                sizes = self.vocabulary, self.width, self.layers
                blind, _ = fit(WithoutAttention(*sizes, dropout=self.dropout, pad=PAD))
            found, _ = write(blind, texts=test.source, width=self.beam, penalty=self.length_penalty)
            right = exact(found, test.target)
            run.result({"no attention/test/exact": right}, held_out=len(found))
        run.keep(net)

    def train(
        self,
        run: Run,
        texts: data.Parallel,
        pieces: Pieces,
        measure: Measure,
        net: Network,
    ) -> tuple[Network, Network]:
        """The network, trained; and a copy with the weights of mid-training."""
        net = run.place(net)
        early = deepcopy(net)
        optimizer = training.descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, training.cosine(self.steps, self.warmup))
        checked = texts.validation.source[:300]
        expected = texts.validation.target[:300]

        sides = [tokens_of(pieces, side) for side in (texts.train.source, texts.train.target)]
        lengths = sides[0].lengths + sides[1].lengths
        train = training.Batches(sides, self.batch, alike=lengths)
        for batch in run.steps(train, self.steps, state=(net, optimizer, schedule, early)):
            source, target = (run.place(side.padded(PAD)) for side in batch)  # (n, s), (n, t)
            logits = net(source, shift_right(target))  # (n, t, vocabulary)
            loss = cross_entropy(
                logits.flatten(0, 1),
                target.flatten(),
                ignore_index=PAD,
                label_smoothing=self.smoothing,
            )
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)
            if run.step == 3 * self.steps // 10:
                early.load_state_dict(net.state_dict())
            if run.every(self.steps // 8):
                found, _ = translate(net, pieces, checked, self.longest, device=run.device)
                run.log(**{f"validation/{measure.__name__}": measure(found, expected)})
        return net, early

    def draw_attention(self, run: Run, net: Network, pieces: Pieces, test: data.Pairs) -> None:
        """What the decoder attends to in a text of median length, given its true translation."""
        order = sorted(range(len(test)), key=lambda i: len(test.source[i]))
        median = order[len(test) // 2]
        source = tokens_of(pieces, [test.source[median]]).padded(PAD)
        target = tokens_of(pieces, [test.target[median]]).padded(PAD)

        _, layers = cross_attention(net, run.place(source), run.place(target))
        maps = {f"layer {i + 1}": weights for i, weights in enumerate(layers)}
        if len(layers) == 1:
            maps = {self.model: layers[0]}
        rows, columns = ([*pieces.names(side[0].tolist()), "."] for side in (target, source))
        run.figure("attention", attention_maps(maps, rows, columns), cover=True)

    def network(self) -> Network:
        """A new encoder and decoder; padding is token 0."""
        if self.model == "transformer":
            return EncoderDecoder(
                self.vocabulary, self.width, self.heads, self.layers, dropout=self.dropout, pad=PAD
            )
        kind = Bahdanau if self.model == "bahdanau" else Luong
        return kind(self.vocabulary, self.width, self.layers, dropout=self.dropout, pad=PAD)

    def example(self) -> tuple[Tensor, Tensor]:
        """A batch for export and tests: two sources, of which one is padded, and two targets,
        (2, 6) each.
        """
        source, target = torch.arange(4, 28).view(2, 2, 6) % self.vocabulary
        source[1, 4:] = PAD
        return source, shift_right(target)

    def free_axes(self) -> Sequence[Mapping[int, str]]:
        """Any number of texts, each side of any length."""
        return {0: "batch", 1: "source"}, {0: "batch", 1: "target"}

    def why_no_onnx(self) -> str:
        """The transformer has no loop."""
        return "" if self.model == "transformer" else self.no_onnx

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The German of an English text, and the probability of its tokens."""
        if not isinstance(input, str) or not input.strip():
            raise UserError(
                f"translation takes an English text, such as 'twenty-one', and was given {input!r}"
            )
        pieces = learn_pieces(self.dataset, self.pairs, self.vocabulary)
        (german,), log_probability = translate(
            net, pieces, [input.strip()], self.longest, width=self.beam
        )
        return {german: math.exp(log_probability)}

    def demo(self) -> Demo:
        """Type English; see the German, and what the decoder attends to for each piece of it."""
        examples = load_texts(self.dataset, self.pairs).test.source[:4]
        return Demo(
            "How will its look move?",
            {"text": Words("English", examples=examples)},
            self.answer,
            ("straight on", "to and fro", "all over"),
        )

    def answer(self, net: nn.Module, text: str) -> Iterator[Answer]:
        """The translation of a text, with its attention."""
        pieces = learn_pieces(self.dataset, self.pairs, self.vocabulary)
        (german,) = self.predict(net, text)
        source = tokens_of(pieces, [text.strip()]).padded(PAD)
        target = tokens_of(pieces, [german]).padded(PAD)
        logits, layers = cross_attention(net, source, target)
        yield from translation_answers(pieces, source, target, logits.softmax(2), layers)
