"""GPT: a transformer that predicts the next byte, and so writes."""

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
from etude.layers.attention import record_attention
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
    positions: Literal["learned", "rotary"] = (
        "rotary"  # how places are told: as in GPT-2, or by turning
    )
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
            "dataset": "shakespeare",
            "context": 128,
            "width": 192,
            "heads": 6,
            "layers": 4,
            "drop": 0.2,
            "steps": 6_500,
            "batch": 16,
            "learning_rate": 1e-2,
            "held_out": 0.02,
        },
    }
    claims = [
        Claim("test/bits", at_most=2.0, source="Etude; the goal of the curriculum is 2.3"),
        Claim(
            "test/nats",
            at_most=1.60,
            scale="full",
            source="goal of the curriculum; a character of the plays",
        ),
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
        for rows in run.steps(
            windows, self.steps, state=(net, optimizer, schedule)
        ):  # (batch, context + 1)
            loss = cross_entropy(net(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)
            if run.every(self.steps // 8):
                run.log(
                    **{
                        "validation/loss": surprises(
                            net, validation, self.context, self.context
                        ).nanmean()
                    }
                )

        nats = surprises(net, tested, self.context, self.stride)  # (windows, context)
        line = in_order(nats, self.stride)  # (bytes - 1,)
        each = line.sum() / (len(corpus.test) - 1)
        run.result(
            {"test/bits": each / math.log(2), "test/nats": each}, held_out=len(corpus.test) - 1
        )
        run.result({"test/perplexity": each.exp()}, held_out=len(corpus.test) - 1)
        run.figure(
            "context",
            by_place({"": (nats.nanmean(0) / math.log(2)).tolist()}, "bits a byte, held out"),
        )
        self.show(run, net, corpus.test, line)
        run.keep(net)

    def show(self, run: Run, net: GPT, tested: str, nats: Tensor) -> None:
        """Held-out and written text, shaded by surprise; where each head looks in one sentence."""
        at = tested.index("\n\n", len(tested) // 3) + 2
        bits = by_character(tested, nats)
        panels = {"held-out text, never trained on": (tested[at : at + 900], bits[at : at + 900])}
        for name, temperature, top_p in (
            ("temperature 1", 1.0, 1.0),
            ("nucleus 0.9", 1.0, 0.9),
            ("greedy", 0.0, 1.0),
        ):
            study = replace(self, temperature=temperature, top_k=0, top_p=top_p)
            text = "The " + "".join(study.write(net, "The "))
            tokens = run.place(data.bytes_of(text))
            cost = in_order(surprises(net, tokens, self.context, self.stride), self.stride)
            panels[f"written, {name}"] = (text, by_character(text, cost))
        run.figure("surprise", shaded(panels))

        sentence = "If the value of the list"[: self.context]
        with evaluating(net), record_attention(net) as looks:
            net(run.place(data.bytes_of(sentence))[None])
        maps = {
            f"layer {i + 1}": looks[f"blocks.blocks.{i}.attention"][0] for i in (0, self.layers - 1)
        }
        letters = [letter.replace(" ", "␣") for letter in sentence]
        run.figure("attention", attention_maps(maps, letters, letters), cover=True)

    @property
    def stride(self) -> int:
        """From one window of held-out text to the next: each byte but the first ones has half a
        context before it.
        """
        return -(-self.context // 2)

    def network(self) -> GPT:
        """A new network, over the 256 bytes."""
        return GPT(
            256,
            self.width,
            self.heads,
            self.layers,
            self.context,
            positions=self.positions,
            dropout=self.drop,
        )

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
            net,
            tokens,
            self.length,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
        ):
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
        starts = (
            ("The ", "def ", "class ") if self.dataset == "python" else ("ROMEO:", "To be", "What ")
        )
        asks: Controls = {
            "text": Words("It begins with", starts[0], starts),
            "temperature": Slider("Temperature", 0, 2, 0.8, 0.05),
            "top_k": Slider("Top-k (0: all)", 0, 64, 0, 1),
            "top_p": Slider("Nucleus", 0.05, 1, 0.95, 0.05),
            "seed": Slider("Seed of the draws", 0, 99, 0, 1),
        }
        return Demo(
            "What will it write?",
            asks,
            self.watch,
            ("sense", "words without sense", "letters"),
            live=False,
        )

    def watch(self, net: nn.Module, text: str, seed: float, **cut: float) -> Iterator[Answer]:
        """What is written, with the chances of each letter; where each head looked for the last
        one.
        """
        assert isinstance(net, GPT)
        with record_attention(net) as looks:
            yield (tokens := written(net, text, 240, int(seed), **cut))
        yield last_looks(looks.values(), [piece for piece, _ in tokens.pieces[:-1]])
