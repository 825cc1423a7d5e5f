"""Small colour photographs, near the state of the art in minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, pad
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.figures.classification import confusion_matrix
from etude.figures.images import filter_grid, image_grid
from etude.networks.whitened import WhitenedCNN
from etude.runs.run import Run
from etude.study import Count, Fraction, Natural, OptimizerName, Positive, Study
from etude.training.augmentation import flip, random_crop
from etude.training.averages import Lookahead
from etude.training.batches import Batches
from etude.training.evaluation import accuracy, evaluating, outputs
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle
from etude.training.validation import split

MEAN = torch.tensor([125.3, 123.0, 113.9]).view(3, 1, 1)  # of CIFAR-10's training pixels, 0 to 255
SPREAD = torch.tensor([51.6, 50.8, 51.3]).view(3, 1, 1)  # within-image standard deviation


@dataclass
class Cifar(Study):
    """Classify 32×32 colour images."""

    dataset: Literal["glyphs", "cifar10", "cifar100", "cifar100-complete"] = (
        "glyphs"  # drawn, or photographs
    )
    width: Count = 16  # channels of the first group; the others have four times as many
    epochs: Positive = 4.0  # passes over the training data
    batch: Count = 256  # images a step
    optimizer: OptimizerName = "nesterov"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 11.5  # for 1,024 examples, at the height of the cycle
    momentum: Fraction = 0.85  # Nesterov's
    weight_decay: Positive = 0.0153  # the L2 penalty, for 1,024 examples
    bias_scale: Positive = 64.0  # learning rate of biases over that of weights
    smoothing: Fraction = 0.2  # part of each label spread over the other classes
    shift: Natural = 2  # augmentation: pixels, each way
    mirror: bool = False  # augmentation: mirrored in every other epoch; not for letters
    bias_epochs: Natural = 3  # the whitening layer's biases are learned for as many
    lookahead: Count = 5  # steps between returns to the slow weights
    held_out: Count = 500  # training images kept for validation

    scales = {
        "full": {
            "dataset": "cifar10",
            "width": 64,
            "epochs": 12.0,
            "batch": 1024,
            "mirror": True,
            "held_out": 1000,
        },
        "cifar100": {
            "dataset": "cifar100",
            "width": 64,
            "epochs": 40.0,
            "batch": 256,
            "mirror": True,
        },
        "complete": {
            "dataset": "cifar100-complete",
            "width": 64,
            "epochs": 40.0,
            "batch": 256,
            "mirror": True,
        },
    }
    claims = [
        Claim("test/accuracy", at_least=0.95, source="floor of the curriculum"),
        Claim(
            "test/accuracy",
            at_least=0.94,
            scale="full",
            source="ECE-472 (2022), assignment 4; Jordan (2024)",
        ),
        Claim(
            "test/top5",
            at_least=0.70,
            scale="cifar100",
            source="floor for the 6,000 rows that are there",
        ),
        Claim("test/top5", at_least=0.90, scale="complete", source="ECE-472 (2022), assignment 4"),
    ]
    courses = ["CU A4", "CUHK A1"]

    def __call__(self, run: Run) -> None:
        if self.dataset == "cifar100-complete":
            data.fetch("cifar-100")
        loaders = {"glyphs": data.coloured_glyphs, "cifar10": data.cifar10}
        pictures = loaders.get(self.dataset, data.cifar100)()
        run.say(pictures.source)
        train, validation = split(run, pictures.train, self.held_out)
        batches = Batches(
            (train.inputs, train.labels, torch.arange(len(train))), self.batch, augment=self.augment
        )
        steps = round(self.epochs * len(train) / self.batch)

        net = self.network()
        net.fit_whitening(standardised(train.inputs[:5000]))
        net = run.place(net)
        optimizer = descent(self.optimizer, self.groups(net), 1.0, momentum=self.momentum)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.23, start=0.2, end=0.07))
        slow = Lookahead(net)
        epoch = len(batches)

        for images, labels, rows in run.steps(
            batches, steps, state=(net, optimizer, schedule, slow)
        ):
            epochs_done = run.step // epoch
            net.learn_whitening_bias(epochs_done < self.bias_epochs)
            if self.mirror:
                images = flip(images, (rows + epochs_done) % 2 == 0)  # two epochs show both sides
            loss = cross_entropy(
                net(images), labels, label_smoothing=self.smoothing, reduction="sum"
            )
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss / len(labels))
            if run.every(self.lookahead):
                slow.update(0.95**5 * run.progress**3)
            if run.every(epoch):
                scores = outputs(net, standardised(validation.inputs))
                run.log(**{"validation/accuracy": accuracy(scores, validation.labels)})
        slow.update(1.0)  # end on the slow weights

        scores = self.views(net, validation.inputs)
        run.result(
            {"validation/accuracy": accuracy(scores, validation.labels)}, held_out=len(validation)
        )
        test, labels = pictures.test.inputs, pictures.test.labels
        scores = self.views(net, test)
        result = {"test/accuracy": accuracy(scores, labels)}
        if len(pictures.classes) >= 20:
            result["test/top5"] = accuracy(scores, labels, top=5)
        run.result(result, held_out=len(labels))
        sure, predicted = scores.softmax(1).max(1)
        wrong = (predicted != labels).nonzero().squeeze(1)
        hardest = wrong[sure[wrong].argsort(descending=True)][:24]
        names = [
            f"{pictures.classes[labels[i]]}\n→ {pictures.classes[predicted[i]]}" for i in hardest
        ]
        if names:
            run.figure(
                "hardest",
                image_grid(test[hardest] / 255, names, title="wrong, and surest: is → taken for"),
            )
        run.figure("confusion", confusion_matrix(predicted, labels, pictures.classes))
        run.figure(
            "filters",
            filter_grid(net.whiten.weight[:12], columns=6, title="the whitening filters"),
            cover=True,
        )
        run.keep(net)

    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return {"glyphs": data.GLYPHS, "cifar10": data.CIFAR_10}.get(self.dataset, data.CIFAR_100)

    def network(self) -> WhitenedCNN:
        """A new network for the data set's classes."""
        return WhitenedCNN(len(self.classes()), (self.width, 4 * self.width, 4 * self.width))

    def example(self) -> Tensor:
        """Two standardised images."""
        return torch.randn(2, 3, 32, 32)

    def groups(self, net: WhitenedCNN) -> list[dict[str, Any]]:
        """Weights and biases with settings for the summed loss; fields are for 1,024 rows, without
        momentum's gain.
        """
        scale = 1024 * (1 + 1 / (1 - self.momentum))
        rate, decay = self.learning_rate / scale, self.weight_decay * self.batch / scale
        learned = {name: p for name, p in net.named_parameters() if p.requires_grad}
        biases = [p for name, p in learned.items() if name.endswith("bias")]
        weights = [p for name, p in learned.items() if not name.endswith("bias")]
        return [
            {"params": weights, "lr": rate, "weight_decay": decay / rate},
            {
                "params": biases,
                "lr": rate * self.bias_scale,
                "weight_decay": decay / rate / self.bias_scale,
            },
        ]

    def augment(self, images: Tensor, generator: Generator) -> Tensor:
        """A shifted version of each image, its border mirrored."""
        return random_crop(standardised(images), generator, self.shift, "reflect")

    def views(self, net: nn.Module, images: Tensor) -> Tensor:
        """The mean of the logits over three places and, where mirroring is allowed, both sides.

        (rows, classes).
        """
        scores = []
        with evaluating(net):
            for part in torch.split(images, 500):
                part = standardised(part)
                side = part.shape[-1]
                shifted = pad(part, (1,) * 4, "reflect")
                places = [
                    (part, 0.5),
                    (shifted[..., :side, :side], 0.25),
                    (shifted[..., 2:, 2:], 0.25),
                ]
                views = [
                    (v, w)
                    for view, w in places
                    for v in ((view, view.flip(3)) if self.mirror else (view,))
                ]
                scores.append(sum(w * net(view) for view, w in views) / sum(w for _, w in views))
        return torch.cat(scores)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probabilities of the classes for one picture: a file, an array or a tensor, of
        any size.
        """
        image = data.to_rgb(input, 32)
        return dict(
            zip(self.classes(), self.views(net, image[None]).softmax(1)[0].tolist(), strict=True)
        )


def standardised(images: Tensor) -> Tensor:
    """uint8 images, centred and scaled channel by channel."""
    return (images.float() - MEAN) / SPREAD
