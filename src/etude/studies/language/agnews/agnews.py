"""News by topic, from a bag of n-grams or a pretrained sentence encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
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
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    data,
    figures,
    training,
)
from etude.data.agnews import CLASSES
from etude.data.embedded import TOPICS
from etude.data.ragged import Ragged
from etude.data.text import document_frequency, frequent, ngrams
from etude.demos import Answer, Demo, Words
from etude.figures.bars import ranked, strongest
from etude.networks.ngrams import NGramBag, pad
from etude.networks.sentence_encoder import Head, SentenceClassifier, SentenceEncoder, word_pieces

from ._baseline import naive_bayes
from ._demo import topic_answers

Features = Ragged | Tensor
Rows = data.Labelled[Tensor]


@dataclass
class AGNews(Study):
    """Classify texts by topic: from scratch, or on top of a pretrained sentence encoder."""

    dataset: Literal["topics", "agnews", "agnews-complete"] = (
        "topics"  # Python's help texts, news, or all 120,000 news
    )
    encoder: Literal["none", "frozen", "finetuned"] = (
        "none"  # n-grams from scratch, or all-MiniLM-L6-v2
    )
    phrase: Count = 2  # words of the longest n-gram
    letters: Natural = 5  # letters of the longest subword; below 3: no subwords
    buckets: Count = 131_072  # buckets that n-grams are hashed to
    width: Count = 8  # features of an n-gram, or units of the hidden layer on an encoder
    dropout: Fraction = 0.6  # fraction of n-grams, or of an encoder's features, dropped in training
    epochs: Positive = 40.0  # passes over the training data
    batch: Count = 32  # texts per step
    optimizer: OptimizerName = "adamw"  # the update rule; choose the learning rate with it
    learning_rate: Positive = 3e-2  # the highest one of the cycle
    weight_decay: Amount = 0.3  # strength of the L2 penalty; for AdamW, of its decoupled decay
    held_out: Fraction = 0.1  # fraction of the training data that is kept for validation

    scales = {
        "full": {"dataset": "agnews", "epochs": 8.0, "learning_rate": 1e-2, "weight_decay": 1.0},
        "encoder": {
            "dataset": "agnews",
            "encoder": "frozen",
            "width": 1024,
            "dropout": 0.5,
            "epochs": 10.0,
            "learning_rate": 1e-3,
            "weight_decay": 1.0,
        },
        "finetuned": {
            "dataset": "agnews",
            "encoder": "finetuned",
            "width": 256,
            "dropout": 0.1,
            "epochs": 2.0,
            "batch": 16,
            "learning_rate": 1e-4,
            "weight_decay": 0.01,
        },
        "complete": {
            "dataset": "agnews-complete",
            "buckets": 1_048_576,
            "dropout": 0.3,
            "epochs": 3.0,
            "batch": 128,
            "learning_rate": 1e-2,
            "weight_decay": 0.1,
        },
    }
    claims = [
        Claim("test/accuracy", at_least=0.93, source="Etude"),
        Control(
            "naive Bayes/test/accuracy",
            at_most=0.92,
            source="Etude",
            of="test/accuracy",
            without="training: naive Bayes",
        ),
        Claim(
            "test/accuracy",
            at_least=0.87,
            scale="full",
            source="floor for the 7,000 rows that are there",
        ),
        Claim(
            "test/accuracy",
            at_least=0.88,
            scale="encoder",
            source="floor for the 7,000 rows that are there",
        ),
        Claim(
            "test/accuracy",
            at_least=0.92,
            scale="complete",
            source="Joulin et al. (2017), table 1: 0.925",
        ),
    ]
    needs = ["logistic"]

    def __call__(self, run: Run) -> None:
        if self.dataset == "agnews-complete":
            data.fetch("ag-news")
        news = data.pydoc_topics() if self.dataset == "topics" else data.ag_news()
        run.say(f"{len(news.train):,} training texts, {len(news.test):,} test texts: {news.source}")
        features = self.features(news.train.inputs, run)
        labels = news.train.labels
        rows = data.Labelled(torch.arange(len(labels)), labels)  # splits are made of row numbers

        train, validation = training.split(run, rows, round(self.held_out * len(rows)))
        net = self.train(run, features, train, validation)

        logits = self.logits(run, net, features[validation.inputs])
        reached = training.accuracy(logits, validation.labels)
        run.result({"validation/accuracy": reached}, held_out=len(validation))
        tested = self.features(news.test.inputs, run)
        logits = self.logits(run, net, tested)
        reached = training.accuracy(logits, news.test.labels)
        run.result({"test/accuracy": reached}, held_out=len(news.test))
        if isinstance(features, Ragged) and isinstance(tested, Ragged):
            guessed = naive_bayes(features[train.inputs], train.labels, tested, self.buckets)
            right = (guessed == news.test.labels).double().mean()
            run.result({"naive Bayes/test/accuracy": right}, held_out=len(news.test))

        predicted = logits.argmax(1)
        confusion = figures.confusion_matrix(predicted, news.test.labels, news.classes)
        run.figure("confusion", confusion)
        terms = frequent(news.train.inputs, least=max(5, len(labels) // 300))
        best = strongest(terms, self.logits(run, net, self.features(terms)), news.classes)
        measure = "score of the term as a text, above the mean of all classes' scores"
        run.figure("terms", ranked(best, measure))
        run.keep(net)

    def train(self, run: Run, features: Features, rows: Rows, validation: Rows) -> nn.Module:
        """A new network that is trained on some rows and validated on others."""
        texts = features[rows.inputs]
        labels = rows.labels
        net = run.place(self.network())
        if isinstance(net, NGramBag) and isinstance(texts, Ragged):
            net.weigh(document_frequency(texts, self.buckets), len(labels))

        batches = training.Batches((run.place(texts), run.place(labels)), self.batch)
        steps = round(self.epochs * len(batches))
        optimizer = training.descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, training.one_cycle(steps, warmup=0.1))
        for x, label in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            if run.every(len(batches)):
                logits = self.logits(run, net, features[validation.inputs])
                reached = training.accuracy(logits, validation.labels)
                run.log(**{"validation/accuracy": reached})
        return net

    def logits(self, run: Run, net: nn.Module, features: Features) -> Tensor:
        """The logits of n texts in evaluation mode, on the processor: (n, classes)."""
        return training.outputs(net, run.place(features), batch=50).cpu()

    def features(self, texts: Sequence[str], run: Run | None = None) -> Features:
        """What the network reads of texts: their n-grams' buckets, their word pieces, or the frozen
        encoder's vectors.
        """
        if self.encoder == "none":
            return ngrams(texts, self.buckets, self.phrase, self.letters)
        pieces = Ragged.of(word_pieces(texts))
        if self.encoder == "finetuned":
            return pieces
        encoder = SentenceEncoder().eval()
        if run is None:
            return encoder.embed(pieces)
        return run.place(encoder).embed(run.place(pieces), say=run.say)

    def network(self) -> nn.Module:
        """A new network; the frozen encoder is not a part of it."""
        if self.encoder == "none":
            return NGramBag(self.buckets, self.width, len(self.classes), self.dropout)
        kind = Head if self.encoder == "frozen" else SentenceClassifier
        return kind(self.width, len(self.classes), self.dropout)

    def example(self) -> Tensor:
        """A batch for export and tests: two texts, padded, (2, longest)."""
        texts = ("Stocks fall as oil prices rise", "The season is over for the champion")
        features = self.features(texts)
        return features if isinstance(features, Tensor) else pad(features)

    def free_axes(self) -> Sequence[Mapping[int, str]]:
        """Any number of texts, of any length."""
        return ({0: "batch", 1: "length"},)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the topics."""
        return tuple(TOPICS) if self.dataset == "topics" else CLASSES

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The probability of each topic for one text."""
        if not isinstance(input, str) or not input.strip():
            raise UserError(
                f"agnews takes a text, such as 'Oil prices rise again', and was given {input!r}"
            )
        features = self.features([input])[torch.arange(1)]
        p = net(features).softmax(1)[0]  # (classes,)
        return dict(zip(self.classes, p.tolist(), strict=True))

    def demo(self) -> Demo:
        """Type a headline; see its topic, and the words that decide it."""
        examples = ("A with statement", "A list of texts")
        if self.dataset != "topics":
            examples = ("Oil is dear", "A goal")
        controls = {"text": Words("A text", "", examples)}
        return Demo("Which topic will it say?", controls, self.answer, self.classes)

    def answer(self, net: nn.Module, text: str) -> Iterator[Answer]:
        """The topics of a text, and the words that decide it."""
        return topic_answers(text, lambda text: self.predict(net, text))
