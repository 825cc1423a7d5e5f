"""Small colour photographs, near the state of the art in minutes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy, pad
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
    data,
    figures,
    training,
)
from etude.networks.whitened import WhitenedCNN
from etude.studies.vision._baseline import nearest_neighbours
from etude.studies.vision._mistakes import most_confident_mistakes

from ._lookahead import Lookahead

MEAN = torch.tensor([125.3, 123.0, 113.9]).view(3, 1, 1)  # of CIFAR-10's training pixels, 0 to 255
SPREAD = torch.tensor([51.6, 50.8, 51.3]).view(3, 1, 1)  # standard deviation within an image


@dataclass
class Cifar(Study):
    """Classify 32×32 colour images."""

    dataset: Literal["glyphs", "cifar10", "cifar100", "cifar100-complete"] = "glyphs"  # the images
    width: Count = 16  # channels of the first group; the other groups have four times as many
    epochs: Positive = 4.0  # passes over the training data
    batch: Count = 256  # images in each step
    optimizer: OptimizerName = "nesterov"  # the update rule; change learning_rate with it
    learning_rate: Positive = 11.5  # the largest of the run, for 1,024 examples
    momentum: Fraction = 0.85  # the fraction of the last step that is kept
    weight_decay: Amount = 0.0153  # strength of the L2 penalty, for 1,024 examples
    bias_scale: Positive = 64.0  # learning rate of biases over that of weights
    smoothing: Fraction = 0.2  # α, the part of the target that is spread over all classes
    padding: Natural = 2  # augmentation: the largest shift in pixels, into a mirrored border
    mirror: bool = False  # augmentation: mirrors each image in every other epoch; not for letters
    bias_epochs: Natural = 3  # epochs in which the biases of the whitening layer are learned
    lookahead: Natural = 5  # steps between two returns to the slow weights; 0: there are none
    held_out: Fraction = 0.0833  # fraction of the training data that is kept for validation

    scales = {
        "full": {
            "dataset": "cifar10",
            "width": 64,
            "epochs": 12.0,
            "batch": 1024,
            "mirror": True,
            "held_out": 0.02,
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
            "held_out": 0.01,
        },
    }
    claims = [
        Claim("test/accuracy", at_least=0.99, source="Etude"),
        Control(
            "nearest neighbour/test/accuracy",
            at_most=0.3,
            of="test/accuracy",
            without="training: the nearest neighbour",
        ),
        Claim(
            "test/accuracy",
            at_least=0.94,
            scale="full",
            source="ECE-472 (2022), assignment 4; Jordan (2024)",
        ),
        Claim(
            "test/top5",
            at_least=0.73,
            scale="cifar100",
            source="floor for the 6,000 rows that are there",
        ),
        Claim("test/top5", at_least=0.90, scale="complete", source="ECE-472 (2022), assignment 4"),
    ]
    needs = ["digits", "optimizers", "normalization"]

    def __call__(self, run: Run) -> None:
        pictures = self.pictures()
        run.say(pictures.source)
        kept = round(self.held_out * len(pictures.train))
        train, validation = training.split(run, pictures.train, kept)
        numbers = torch.arange(len(train))
        columns = (train.inputs, train.labels, numbers)
        batches = training.Batches(columns, self.batch, augment=self.augment)
        steps = round(self.epochs * len(train) / self.batch)
        epoch = len(batches)  # steps in an epoch

        net = self.network()
        net.fit_whitening(standardise(train.inputs[:5000]))
        net = run.place(net)
        groups = self.parameter_groups(net)
        optimizer = training.descent(self.optimizer, groups, 1.0, momentum=self.momentum)
        schedule = LambdaLR(optimizer, training.one_cycle(steps, warmup=0.23, start=0.2, end=0.07))
        slow = Lookahead(net)
        state = (net, optimizer, schedule, slow)

        for images, labels, numbers in run.steps(batches, steps, state=state):
            epochs_done = run.step // epoch
            net.learn_whitening_bias(epochs_done < self.bias_epochs)
            if self.mirror:  # two successive epochs show both sides of each image
                images = training.flip(images, (numbers + epochs_done) % 2 == 0)
            logits = net(images)
            loss = cross_entropy(logits, labels, label_smoothing=self.smoothing, reduction="sum")
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss / len(labels))
            if self.lookahead and run.every(self.lookahead):
                slow.update(0.95**5 * run.progress**3)
            if run.every(epoch):
                logits = training.outputs(net, standardise(validation.inputs))
                run.log(**{"validation/accuracy": training.accuracy(logits, validation.labels)})
        if self.lookahead:
            slow.update(1.0)  # the network ends on the slow weights

        logits = self.mean_logits(net, validation.inputs)
        accuracy = training.accuracy(logits, validation.labels)
        run.result({"validation/accuracy": accuracy}, held_out=len(validation))

        labels = pictures.test.labels
        logits = self.mean_logits(net, pictures.test.inputs)
        run.result({"test/accuracy": training.accuracy(logits, labels)}, held_out=len(labels))
        if self.dataset == "glyphs":
            nearest = nearest_neighbours(train.inputs, train.labels, pictures.test.inputs)
            by_distance = (nearest == labels).double().mean()
            run.result({"nearest neighbour/test/accuracy": by_distance}, held_out=len(labels))
        if len(pictures.classes) >= 20:
            top5 = training.accuracy(logits, labels, top=5)
            run.result({"test/top5": top5}, held_out=len(labels))

        names = pictures.classes
        predicted = logits.argmax(1)
        mistakes = most_confident_mistakes(logits.softmax(1), labels)
        if len(mistakes):
            captions = [f"{names[labels[i]]}\n→ {names[predicted[i]]}" for i in mistakes]
            images = pictures.test.inputs[mistakes] / 255
            title = "most confident mistakes: true → predicted class"
            run.figure("hardest", figures.image_grid(images, captions, title=title))
        run.figure("confusion", figures.confusion_matrix(predicted, labels, names))
        whitening = net.whiten.weight[:12]
        title = "the whitening filters"
        run.figure("filters", figures.filter_grid(whitening, title=title, columns=6), cover=True)
        run.keep(net)

    def pictures(self) -> data.Dataset[Tensor]:
        """Images and labels, for training and test."""
        if self.dataset == "glyphs":
            return data.coloured_glyphs()
        if self.dataset == "cifar10":
            return data.cifar10()
        if self.dataset == "cifar100-complete":
            data.fetch("cifar-100")
        return data.cifar100()

    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        names = {"glyphs": data.GLYPHS, "cifar10": data.CIFAR_10}
        return names.get(self.dataset, data.CIFAR_100)

    def augment(self, images: Tensor, generator: Generator) -> Tensor:
        """Each image shifted at random, its border mirrored."""
        return training.random_crop(standardise(images), generator, self.padding, "reflect")

    def network(self) -> WhitenedCNN:
        """A new network for the data set's classes."""
        return WhitenedCNN(len(self.classes()), (self.width, 4 * self.width, 4 * self.width))

    def parameter_groups(self, net: WhitenedCNN) -> list[dict[str, Any]]:
        """Weights and biases with their learning rates and penalties, for the summed loss.

        The fields are for 1,024 examples, and divided by 1 + 1 / (1 - μ) as in Jordan's code;
        the gain of a constant gradient is 1 / (1 - μ).
        """
        scale = 1024 * (1 + 1 / (1 - self.momentum))
        rate = self.learning_rate / scale
        decay = self.weight_decay * self.batch / scale
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

    def mean_logits(self, net: nn.Module, images: Tensor) -> Tensor:
        """The mean logits of several views of each image, (examples, classes).

        The views are the image, with weight ½, and the image moved one pixel diagonally, either
        way, with weight ¼ each. If mirroring is allowed, their mirror images are views too.
        """
        blocks = []
        with training.evaluating(net):
            for block in torch.split(images, 500):
                image = standardise(block)
                side = image.shape[-1]
                padded = pad(image, (1,) * 4, "reflect")
                views = [image, padded[..., :side, :side], padded[..., 2:, 2:]]
                weights = [0.5, 0.25, 0.25]
                if self.mirror:
                    views = [both for view in views for both in (view, view.flip(3))]
                    weights = [weight for weight in weights for _ in range(2)]
                total = sum(w * net(view) for view, w in zip(views, weights, strict=True))
                blocks.append(total / sum(weights))
        return torch.cat(blocks)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """Probability of each class for one picture: a file, an array or a tensor, of any size."""
        image = data.to_rgb(input, 32)
        probabilities = self.mean_logits(net, image[None]).softmax(1)[0]
        return dict(zip(self.classes(), probabilities.tolist(), strict=True))

    def example(self) -> Tensor:
        """A batch for export and tests: two standardised images."""
        return torch.randn(2, 3, 32, 32)


def standardise(images: Tensor) -> Tensor:
    """Images uint8 (n, 3, height, width) with each channel centred and scaled."""
    return (images.float() - MEAN) / SPREAD
