r"""News by topic: a bag of n-grams, and a pretrained sentence encoder.

Draft.

References
----------
Joulin, A., Grave, E., Bojanowski, P. & Mikolov, T. (2017). Bag of tricks for efficient text classification. EACL.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.data.ragged import Ragged
from etude.data.text import document_frequency, frequent, ngrams
from etude.errors import UserError
from etude.figures.bars import ranked, spread
from etude.figures.classification import confusion_matrix
from etude.networks.ngrams import NGramBag
from etude.networks.sentence_encoder import WIDTH, SentenceClassifier, SentenceEncoder, word_pieces
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, Natural, Positive, Study
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, outputs
from etude.training.optimizers import adamw
from etude.training.schedules import one_cycle


@dataclass
class AGNews(Study):
    """Classify texts by topic, from scratch or on top of a pretrained sentence encoder."""

    dataset: Literal["topics", "agnews", "agnews-complete"] = (
        "topics"  # Python's help texts; news, as much as is there; all 120,000
    )
    encoder: Literal["none", "frozen", "finetuned"] = "none"  # n-grams from scratch, or all-MiniLM-L6-v2
    phrase: Count = 2  # words of the longest n-gram
    letters: Natural = 5  # of the longest subword; below 3: no subwords
    buckets: Count = 2**17  # numbers that n-grams are hashed to
    width: Count = 8  # of an n-gram's embedding
    drop: Fraction = 0.6  # part of the n-grams that is left out in training
    epochs: Positive = 40.0  # passes over the training data
    batch: Count = 32  # texts a step
    learning_rate: Positive = 1e-2  # of AdamW, at the height of the cycle
    weight_decay: Amount = 1.0  # the L2 penalty, decoupled from the gradient
    held_out: Fraction = 0.1  # part of the training data kept for validation
    folds: Natural = 0  # of cross-validation instead; then the last network trains on all training data

    scales = {
        "full": {"dataset": "agnews", "epochs": 12.0},
        "encoder": {
            "dataset": "agnews",
            "encoder": "frozen",
            "epochs": 20.0,
            "learning_rate": 2e-3,
            "weight_decay": 1e-1,
        },
        "finetuned": {
            "dataset": "agnews",
            "encoder": "finetuned",
            "epochs": 2.0,
            "learning_rate": 1e-4,
            "weight_decay": 1e-2,
        },
    }
    courses = ["CU A5", "CUHK A2"]

    def __call__(self, run: Run) -> None:
        news = self.texts()
        features, labels = self.features(news.train.inputs, run), news.train.labels
        numbers = data.Labelled(torch.arange(len(labels)), labels)  # a split is made of row numbers

        accuracies = []
        for train, validation in (
            data.folds(numbers, self.folds)
            if self.folds
            else [data.hold_out(numbers, round(self.held_out * len(labels)))]
        ):
            name = f"fold {len(accuracies) + 1}" if self.folds else None
            net = self.train(run, features[train.inputs], train.labels, name)
            accuracies.append(accuracy(outputs(net, features[validation.inputs]), validation.labels))
        if self.folds:
            net = self.train(run, features, labels, "all")
        run.result({"validation/accuracy": statistics.fmean(accuracies)}, held_out=len(labels))
        scores = outputs(net, self.features(news.test.inputs, run))
        run.result({"test/accuracy": accuracy(scores, news.test.labels)}, held_out=len(news.test))
        run.figure("confusion", confusion_matrix(scores.argmax(1), news.test.labels, news.classes))
        run.keep(net)

    def train(self, run, features, labels, name):
        net = run.place(self.network())
        if isinstance(net, NGramBag):
            net.weigh(document_frequency(features, self.buckets), len(labels))
        batches = Batches((features, labels), self.batch)
        steps = round(self.epochs * len(batches))
        optimizer = adamw(net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.1))
        for texts, label in run.steps(batches, steps, state=(net, optimizer, schedule), name=name):
            loss = cross_entropy(net(texts), label)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
        return net

    def network(self):
        classes = 5 if self.dataset == "topics" else 4
        return NGramBag(self.buckets, self.width, classes, self.drop)

    def texts(self):
        return data.pydoc_topics() if self.dataset == "topics" else data.ag_news()

    def features(self, texts, run=None):
        return ngrams(texts, self.buckets, self.phrase, self.letters)
