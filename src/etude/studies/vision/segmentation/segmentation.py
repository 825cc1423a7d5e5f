"""A class for every pixel: what is there, and exactly where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.data.annotated import centred
from etude.data.shapes import KINDS, parted_scenes
from etude.figures.segmentation import class_bars, development, overlays, shares
from etude.networks.segmenters import FCN, UNet
from etude.runs.run import Run
from etude.study import Amount, Count, Natural, OptimizerName, Positive, Study
from etude.training.augmentation import random_crop, random_flip
from etude.training.batches import Batches
from etude.training.evaluation import evaluating
from etude.training.history import History
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle
from etude.training.segmentation import (
    IGNORED,
    balanced_weights,
    confusion,
    dice_loss,
    intersection_over_union,
    pixel_accuracy,
)


@dataclass
class Segmentation(Study):
    """Give each pixel its class, with a fully convolutional network or a U-Net."""

    dataset: Literal["shapes", "camvid"] = "shapes"  # drawn scenes; streets seen from a car
    model: Literal["fcn", "unet"] = "fcn"  # scores added at every level, or maps joined
    width: Count = 16  # channels of the finest level; each further one has twice as many
    levels: Count = 4  # of the encoder; each further one halves the sides
    skips: bool = True  # whether finer levels reach the output past the coarser ones
    up: Literal["transposed", "bilinear"] = "transposed"  # how maps are enlarged: learned or fixed
    side: Count = 64  # of the drawn scenes, in pixels
    scenes: Count = 3_000  # that are drawn to train with
    epochs: Positive = 2.2  # passes over the training data
    batch: Count = 8  # images a step
    dice: Amount = 0.5  # weight of the Dice loss beside the cross-entropy
    balanced: bool = False  # whether pixels of rare classes weigh more in the cross-entropy
    optimizer: OptimizerName = "adamw"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 6e-3  # at the height of the cycle
    weight_decay: Amount = 0.01  # the L2 penalty; of AdamW decoupled from the gradient
    shift: Natural = 0  # augmentation: pixels, each way, the border mirrored

    scales = {
        "full": {
            "dataset": "camvid",
            "levels": 5,
            "epochs": 60.0,
            "batch": 6,
            "balanced": True,
            "shift": 16,
        },
    }
    claims = [
        Claim("test/miou", at_least=0.92, source="curriculum: 0.90; bound: Etude"),
        Claim("test/miou", at_least=0.50, scale="full", source="floor of the curriculum"),
    ]
    courses = ["ITU"]

    def __call__(self, run: Run) -> None:
        pictures = self.pictures()
        run.say(pictures.source)
        train, validation, test = pictures.train, pictures.validation, pictures.test
        both = torch.cat(
            [train.inputs, train.labels[:, None]], 1
        )  # what moves a picture moves its labels
        batches = Batches((both,), self.batch, augment=self.augment)
        steps = round(self.epochs * len(batches))
        classes = len(pictures.classes)
        weights = balanced_weights(train.labels, classes).to(run.device) if self.balanced else None

        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.2))
        seen, when = History(), History()  # the first validation picture, along the way

        for (drawn,) in run.steps(batches, steps, state=(net, optimizer, schedule, seen, when)):
            images, truth = drawn[:, :3].to(run.device), drawn[:, 3].long().to(run.device)
            scores = net(centred(images))  # (batch, classes, height, width)
            loss = cross_entropy(scores, truth, weights, ignore_index=IGNORED)
            if self.dice:
                loss = loss + self.dice * dice_loss(scores, truth)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            if run.every(-(-steps // 8)):
                predicted = predictions(net, validation.inputs[:200])
                seen.keep(predicted[0].byte())
                when.keep(torch.tensor(run.step + 1))
                iou = intersection_over_union(
                    confusion(predicted, validation.labels[:200], classes)
                )
                run.log(**{"validation/miou": iou.nanmean()})

        counts = confusion(predictions(net, validation.inputs), validation.labels, classes)
        run.result(
            {"validation/miou": intersection_over_union(counts).nanmean()}, held_out=len(validation)
        )
        predicted = predictions(net, test.inputs)
        counts = confusion(predicted, test.labels, classes)
        iou = intersection_over_union(counts)
        run.result(
            {"test/miou": iou.nanmean(), "test/pixels": pixel_accuracy(counts)}, held_out=len(test)
        )
        run.result(
            {f"test/iou/{name}": v for name, v in zip(pictures.classes, iou, strict=True)},
            held_out=len(test),
        )

        ground = self.dataset == "shapes"
        some = torch.linspace(0, len(test) - 1, 6).long()
        look = overlays(
            test.inputs[some] / 255,
            test.labels[some],
            predicted[some],
            pictures.classes,
            ground=ground,
        )
        run.figure("overlays", look)
        first = validation[:1]
        run.figure(
            "development",
            development(
                first.inputs[0] / 255,
                first.labels[0],
                seen.stacked(),
                when.stacked().tolist(),
                pictures.classes,
                ground=ground,
            ),
        )
        run.figure(
            "iou", class_bars(iou, pictures.classes, "intersection over union", ground=ground)
        )
        run.figure("confusion", shares(counts, pictures.classes))
        run.keep(net)

    def pictures(self) -> data.Parts[data.Labelled[Tensor]]:
        """Pictures and the class of each pixel, to train, to validate and to test with."""
        if self.dataset == "camvid":
            return data.camvid()
        drawn = parted_scenes(self.scenes, self.side)
        parts = (drawn.train, drawn.validation, drawn.test)
        train, validation, test = (
            data.Labelled(part.images, part.classes.byte()) for part in parts
        )
        return data.Parts(train, validation, test, self.classes(), drawn.source)

    def network(self) -> FCN | UNet:
        """A new network, which takes pictures of any size."""
        kind = FCN if self.model == "fcn" else UNet
        return kind(3, len(self.classes()), self.width, self.levels, skips=self.skips, up=self.up)

    def example(self) -> Tensor:
        """Two pictures, as the network takes them."""
        return torch.randn(2, 3, self.side, self.side)

    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return data.CAMVID if self.dataset == "camvid" else ("ground", *KINDS)

    def augment(self, both: Tensor, generator: torch.Generator) -> Tensor:
        """Pictures with their labels as a fourth channel: mirrored and shifted."""
        both = random_flip(both, generator)
        return random_crop(both, generator, self.shift, "reflect") if self.shift else both

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The part of one picture that each class covers; a file, an array or a tensor, of any
        size.
        """
        image = data.to_rgb(input, self.side if self.dataset == "shapes" else 180)
        found = torch.bincount(
            predictions(net, image[None]).flatten(), minlength=len(self.classes())
        )
        return dict(zip(self.classes(), (found / found.sum()).tolist(), strict=True))


def predictions(net: nn.Module, images: Tensor) -> Tensor:
    """The likeliest class of each pixel, (n, height, width), on the CPU; ``images`` uint8 (n, 3,
    height, width).
    """
    device = next(net.parameters()).device
    with evaluating(net):
        return torch.cat(
            [net(centred(part.to(device))).argmax(1).cpu() for part in torch.split(images, 50)]
        )
