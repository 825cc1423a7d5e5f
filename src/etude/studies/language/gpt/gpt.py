"""GPT: a transformer that predicts the next byte, and so writes."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    data,
    training,
)
from etude.demos import Demo
from etude.layers.attention import record_attention
from etude.networks.gpt import GPT
from etude.studies.language._attention_maps import attention_maps

from ._baseline import compare_to_counting
from ._demo import writing_demo
from ._figures import bits_by_position, shaded_texts
from ._sampling import sample
from ._surprise import bits_per_character, one_per_token, surprises


@dataclass
class LanguageModel(Study[GPT]):
    """Learn to predict a text byte by byte, say how many bits a character costs, and write on."""

    dataset: Literal["python", "shakespeare"] = "python"  # help texts of Python, or plays
    positions: Literal["learned", "rotary"] = "rotary"  # how a byte's position is encoded
    context: Count = 64  # bytes that are read at most
    width: Count = 128  # features of each byte
    heads: Count = 4  # heads of each attention; a divisor of the width
    layers: Count = 2  # blocks
    dropout: Fraction = 0.0  # fraction of each block's output that is dropped in training
    steps: Count = 1_000  # steps of gradient descent
    batch: Count = 8  # windows of text per step
    warmup: Count = 100  # steps in which the learning rate rises
    optimizer: OptimizerName = "muon"  # the update rule; choose the learning rate with it
    learning_rate: Positive = 5e-3  # the highest one; falls to a hundredth along half a cosine
    weight_decay: Amount = 0.1  # strength of the L2 penalty; for AdamW, of its decoupled decay
    held_out: Fraction = 0.05  # fraction of the training text, its end, kept for validation
    length: Count = 400  # bytes that are written
    temperature: Amount = 0.8  # temperature of sampling; 0: always the most probable byte
    top_k: Natural = 0  # number of most probable bytes that are drawn from; 0: all
    top_p: Fraction = 0.95  # total probability of the bytes that are drawn from; 1: all

    scales = {
        "full": {
            "dataset": "shakespeare",
            "context": 128,
            "width": 192,
            "heads": 6,
            "layers": 4,
            "dropout": 0.2,
            "steps": 6_500,
            "batch": 16,
            "learning_rate": 1e-2,
            "held_out": 0.02,
        },
    }
    claims = [
        Claim("test/bits", at_most=2.0, source="Etude"),
        Claim("with counting/test/bits", at_most=1.77, source="Etude"),
        Control(
            "counting/test/bits",
            at_least=1.8,
            source="Kneser & Ney (1995)",
            of="with counting/test/bits",
            without="the network: counting alone",
        ),
        Claim(
            "test/nats",
            at_most=1.55,
            scale="full",
            source="Etude; a character of the plays; counting: 1.59",
        ),
    ]
    needs = ["transformer"]

    def __call__(self, run: Run) -> None:
        load = data.python_help if self.dataset == "python" else data.tiny_shakespeare
        corpus = load()
        text = run.place(data.bytes_of(corpus.train))
        tested = run.place(data.bytes_of(corpus.test))
        end = round((1 - self.held_out) * len(text))
        train = text[:end]
        validation = text[end:]

        net = run.place(self.network())
        optimizer = training.descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, training.cosine(self.steps, self.warmup, end=0.01))

        windows = training.Windows(train, self.context + 1, self.batch)
        for rows in run.steps(windows, self.steps, state=(net, optimizer, schedule)):
            logits = net(rows[:, :-1])  # rows: (batch, context + 1)
            loss = cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
            run.minimise(loss, optimizer, schedule, clip=1.0)
            run.log(loss=loss)
            if run.every(self.steps // 8):
                nats = surprises(net, validation, self.context, self.context)
                run.log(**{"validation/loss": nats.nanmean()})

        nats = surprises(net, tested, self.context, self.stride)  # (windows, context)
        each = one_per_token(nats, self.stride)  # (bytes - 1,)
        predicted = len(corpus.test) - 1  # characters
        cost = each.sum() / predicted  # nats a character
        run.result({"test/bits": cost / math.log(2), "test/nats": cost}, held_out=predicted)
        run.result({"test/perplexity": cost.exp()}, held_out=predicted)

        bits = {"the network": (nats.nanmean(0) / math.log(2)).tolist()}
        bits["counting"] = compare_to_counting(run, (train, validation, tested), each, predicted)
        run.figure("context", bits_by_position(bits, "bits a byte, held out"))
        self.draw_texts(run, net, corpus.test, each)
        self.draw_attention(run, net)
        run.keep(net)

    def draw_texts(self, run: Run, net: GPT, tested: str, nats: Tensor) -> None:
        """Held-out text and what the network writes, shaded by surprise."""
        begin = tested.index("\n\n", len(tested) // 3) + 2
        bits = bits_per_character(tested, nats)
        part = slice(begin, begin + 900)
        panels = {"held-out text, never trained on": (tested[part], bits[part])}

        samplings = {"temperature 1": (1.0, 1.0), "nucleus 0.9": (1.0, 0.9), "greedy": (0.0, 1.0)}
        for name, (temperature, top_p) in samplings.items():
            study = replace(self, temperature=temperature, top_k=0, top_p=top_p)
            text = "The " + "".join(study.write(net, "The "))
            tokens = run.place(data.bytes_of(text))
            own = surprises(net, tokens, self.context, self.stride)
            bits = bits_per_character(text, one_per_token(own, self.stride))
            panels[f"written, {name}"] = (text, bits)
        run.figure("surprise", shaded_texts(panels))

    def draw_attention(self, run: Run, net: GPT) -> None:
        """What each head of the first and the last layer attends to in one sentence."""
        sentence = "If the value of the list"[: self.context]
        with training.evaluating(net), record_attention(net) as weights:
            net(run.place(data.bytes_of(sentence))[None])

        layers = (0, self.layers - 1)
        maps = {f"layer {i + 1}": weights[f"blocks.blocks.{i}.attention"][0] for i in layers}
        letters = [letter.replace(" ", "␣") for letter in sentence]
        run.figure("attention", attention_maps(maps, letters, letters), cover=True)

    @property
    def stride(self) -> int:
        """Bytes from one window of held-out text to the next: every byte but the first ones has at
        least half a context before it.
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
            dropout=self.dropout,
        )

    def example(self) -> Tensor:
        """A batch for export and tests: two rows of bytes, (2, context)."""
        return torch.arange(2 * self.context).view(2, self.context) % 256

    def free_axes(self) -> Sequence[Mapping[int, str]]:
        """Any number of rows, of any length up to the context."""
        return ({0: "batch", 1: "length"},)

    def write(self, net: GPT, input: Any) -> Iterator[str]:
        """A continuation of a text, character by character."""
        if not isinstance(input, str):
            raise UserError(f"gpt goes on with a text, such as 'def ', and was given {input!r}")
        tokens = data.bytes_of(input or "\n").to(net.table.device)
        decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a character may be many bytes
        stream = sample(
            net,
            tokens,
            self.length,
            temperature=self.temperature,
            top_k=self.top_k,
            top_p=self.top_p,
        )
        for byte in stream:
            yield decoder.decode(bytes([byte]))
        yield decoder.decode(b"", final=True)

    def predict(self, net: GPT, input: Any) -> Mapping[str, float]:
        """The probability of each byte to follow a text."""
        if not isinstance(input, str) or not input:
            raise UserError(f"gpt takes a text, such as 'def ', and was given {input!r}")
        logits = net(data.bytes_of(input)[None, -self.context :])  # (1, time, 256)
        p = logits[0, -1].softmax(0)
        return {repr(bytes([byte]))[1:]: value for byte, value in enumerate(p.tolist())}

    def demo(self) -> Demo:
        """Begin a text, choose how it is sampled, and watch it being written."""
        if self.dataset == "python":
            return writing_demo(("The ", "def ", "class "))
        return writing_demo(("ROMEO:", "To be", "What "))
