"""News by topic, from a bag of n-grams or a pretrained sentence encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.data.agnews import CLASSES
from etude.data.embedded import TOPICS
from etude.data.ragged import Ragged
from etude.data.text import document_frequency, frequent, ngrams
from etude.demos import Answer, Bars, Demo, Tokens, Words
from etude.errors import UserError
from etude.figures.bars import ranked, strongest
from etude.figures.classification import confusion_matrix
from etude.networks.ngrams import NGramBag, pad
from etude.networks.sentence_encoder import Head, SentenceClassifier, SentenceEncoder, word_pieces
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle
from etude.training.validation import split

Features = Ragged | Tensor
Rows = data.Labelled[Tensor]


@dataclass
class AGNews(Study):
    """Classify texts by topic: from scratch, or on top of a pretrained sentence encoder."""

    dataset: Literal["topics", "agnews", "agnews-complete"] = (
        "topics"  # Python's help; news; all 120,000 news
    )
    encoder: Literal["none", "frozen", "finetuned"] = (
        "none"  # n-grams from scratch, or all-MiniLM-L6-v2
    )
    phrase: Count = 2  # words of the longest n-gram
    letters: Natural = 5  # of the longest subword; below 3: no subwords
    buckets: Count = 131_072  # numbers that n-grams are hashed to
    width: Count = 8  # of an n-gram's embedding; with an encoder, of the hidden layer on top of it
    drop: Fraction = (
        0.6  # part of the n-grams (with an encoder: of its vector) left out in training
    )
    epochs: Positive = 40.0  # passes over the training data
    batch: Count = 32  # texts a step
    optimizer: OptimizerName = "adamw"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 3e-2  # at the height of the cycle
    weight_decay: Amount = 0.3  # the L2 penalty; of AdamW decoupled from the gradient
    held_out: Fraction = 0.1  # part of the training data kept for validation

    scales = {
        "full": {"dataset": "agnews", "epochs": 8.0, "learning_rate": 1e-2, "weight_decay": 1.0},
        "encoder": {
            "dataset": "agnews",
            "encoder": "frozen",
            "width": 1024,
            "drop": 0.5,
            "epochs": 10.0,
            "learning_rate": 1e-3,
            "weight_decay": 1.0,
        },
        "finetuned": {
            "dataset": "agnews",
            "encoder": "finetuned",
            "width": 256,
            "drop": 0.1,
            "epochs": 2.0,
            "batch": 16,
            "learning_rate": 1e-4,
            "weight_decay": 0.01,
        },
        "complete": {
            "dataset": "agnews-complete",
            "buckets": 1_048_576,
            "drop": 0.3,
            "epochs": 3.0,
            "batch": 128,
            "learning_rate": 1e-2,
            "weight_decay": 0.1,
        },
    }
    claims = [
        Claim("test/accuracy", at_least=0.90, source="floor of the curriculum"),
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
    courses = ["CU A5", "CUHK A2"]

    def __call__(self, run: Run) -> None:
        if self.dataset == "agnews-complete":
            data.fetch("ag-news")
        news = data.pydoc_topics() if self.dataset == "topics" else data.ag_news()
        run.say(f"{len(news.train):,} training texts, {len(news.test):,} test texts: {news.source}")
        features, labels = self.features(news.train.inputs, run), news.train.labels
        rows = data.Labelled(torch.arange(len(labels)), labels)  # splits are made of row numbers

        train, validation = split(run, rows, round(self.held_out * len(rows)))
        net = self.train(run, features, train, validation)
        scores = self.scores(run, net, features[validation.inputs])
        run.result(
            {"validation/accuracy": accuracy(scores, validation.labels)}, held_out=len(validation)
        )

        scores = self.scores(run, net, self.features(news.test.inputs, run))
        run.result({"test/accuracy": accuracy(scores, news.test.labels)}, held_out=len(news.test))
        run.figure("confusion", confusion_matrix(scores.argmax(1), news.test.labels, news.classes))
        terms = frequent(news.train.inputs, least=max(5, len(labels) // 300))
        speaking = strongest(terms, self.scores(run, net, self.features(terms)), news.classes)
        run.figure(
            "terms",
            ranked(speaking, "score of the term as a text, above the mean of all classes' scores"),
        )
        run.keep(net)

    def train(self, run: Run, features: Features, rows: Rows, validation: Rows) -> nn.Module:
        """A new network, trained on some rows, watched on others."""
        texts, labels = features[rows.inputs], rows.labels
        net = run.place(self.network())
        if isinstance(net, NGramBag) and isinstance(texts, Ragged):
            net.weigh(document_frequency(texts, self.buckets), len(labels))
        batches = Batches((run.place(texts), run.place(labels)), self.batch)
        steps = round(self.epochs * len(batches))
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.1))
        for x, label in run.steps(batches, steps, state=(net, optimizer, schedule)):
            loss = cross_entropy(net(x), label)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            if run.every(len(batches)):
                scores = self.scores(run, net, features[validation.inputs])
                run.log(**{"validation/accuracy": accuracy(scores, validation.labels)})
        return net

    def scores(self, run: Run, net: nn.Module, features: Features) -> Tensor:
        """(n, classes), on the processor."""
        return outputs(net, run.place(features), batch=50).cpu()

    def features(self, texts: Sequence[str], run: Run | None = None) -> Features:
        """What the network reads: numbers of n-grams, of word pieces, or the frozen encoder's
        vectors.
        """
        if self.encoder == "none":
            return ngrams(texts, self.buckets, self.phrase, self.letters)
        pieces = Ragged.of(word_pieces(texts))
        if self.encoder == "finetuned":
            return pieces
        encoder = SentenceEncoder().eval()
        return (
            run.place(encoder).embed(run.place(pieces), say=run.say)
            if run
            else encoder.embed(pieces)
        )

    def network(self) -> nn.Module:
        """A new network; the frozen encoder is none of it."""
        if self.encoder == "none":
            return NGramBag(self.buckets, self.width, len(self.classes), self.drop)
        kind = Head if self.encoder == "frozen" else SentenceClassifier
        return kind(self.width, len(self.classes), self.drop)

    def example(self) -> Tensor:
        """Two texts as the network reads them, padded."""
        features = self.features(
            ("Stocks fall as oil prices rise", "The season is over for the champion")
        )
        return features if isinstance(features, Tensor) else pad(features)

    @property
    def classes(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(TOPICS) if self.dataset == "topics" else CLASSES

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes for one text."""
        if not isinstance(input, str) or not input.strip():
            raise UserError(
                f"agnews takes a text, such as 'Oil prices rise again', and was given {input!r}"
            )
        probabilities = net(self.features([input])[torch.arange(1)]).softmax(1)[0]
        return dict(zip(self.classes, probabilities.tolist(), strict=True))

    def demo(self) -> Demo:
        """Type a headline."""
        texts = (
            ("A with statement", "A list of texts")
            if self.dataset == "topics"
            else ("Oil is dear", "A goal")
        )
        return Demo(
            "Which topic will it say?", {"text": Words("A text", "", texts)}, self.say, self.classes
        )

    def say(self, net: nn.Module, text: str) -> Iterator[Answer]:
        """The topics, and which words they hang on: how much less likely the topic is
        without each.
        """
        p = self.predict(net, text)
        yield Bars("Topics", p)
        best, words = max(p, key=lambda name: p[name]), text.split()[:40]
        without = [
            self.predict(net, " ".join(words[:k] + words[k + 1 :]) or ".")[best]
            for k in range(len(words))
        ]
        lost = [max(0.0, p[best] - q) for q in without]
        yield Tokens(
            "What it hangs on",
            [(f"{w} ", x / max(*lost, 1e-3)) for w, x in zip(words, lost, strict=True)],
        )
