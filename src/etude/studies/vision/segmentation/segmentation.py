"""A class for every pixel: a fully convolutional network or a U-Net."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Natural,
    OptimizerName,
    Positive,
    Run,
    Study,
    data,
    training,
)
from etude.data.annotated import centre
from etude.data.shapes import KINDS, scene_parts
from etude.networks.segmenters import FCN, UNet
from etude.training.history import History

from ._figures import class_bars, confusion_percentages, development, overlays
from ._losses import IGNORED, balanced_weights, dice_loss
from ._metrics import intersection_over_union, pixel_accuracy, pixel_confusion


@dataclass
class Segmentation(Study):
    """Give each pixel its class, with a fully convolutional network or a U-Net."""

    dataset: Literal["shapes", "camvid"] = "shapes"  # drawn scenes; streets seen from a car
    model: Literal["fcn", "unet"] = "fcn"  # the network: scores added up, or feature maps joined
    width: Count = 16  # channels of the finest level; each coarser level has twice as many
    levels: Count = 4  # levels of the encoder; each has half the height and width of the one before
    skips: bool = True  # whether fine levels are connected to the output past the coarser ones
    up: Literal["transposed", "bilinear"] = "transposed"  # learned or fixed enlargement of maps
    side: Count = 64  # height and width of the drawn scenes, in pixels
    scenes: Count = 3_000  # drawn scenes in the training data
    epochs: Positive = 2.2  # passes over the training data
    batch: Count = 8  # images in each step
    dice: Amount = 0.5  # weight of the Dice loss beside the cross-entropy
    balanced: bool = False  # whether pixels of rare classes weigh more in the cross-entropy
    optimizer: OptimizerName = "adamw"  # the update rule; change learning_rate with it
    learning_rate: Positive = 6e-3  # the largest learning rate of the run
    weight_decay: Amount = 0.01  # λ of AdamW's decoupled decay; of an L2 penalty for other rules
    padding: Natural = 0  # augmentation: the largest shift in pixels, into a mirrored border

    scales = {
        "full": {
            "dataset": "camvid",
            "levels": 5,
            "epochs": 60.0,
            "batch": 6,
            "balanced": True,
            "padding": 16,
        },
    }
    claims = [
        Claim("test/miou", at_least=0.92, source="Etude"),
        Control("no skips/test/miou", at_most=0.87, of="test/miou", without="skip connections"),
        Claim("test/miou", at_least=0.50, scale="full", source="Etude"),
    ]
    needs = ["digits"]

    def __call__(self, run: Run) -> None:
        pictures = self.pictures()
        run.say(pictures.source)
        validation = pictures.validation
        test = pictures.test
        classes = len(pictures.classes)
        net, times, maps = self.train(run, pictures)

        predicted = predicted_classes(net, validation.inputs)
        confusion = pixel_confusion(predicted, validation.labels, classes)
        miou = intersection_over_union(confusion).nanmean()
        run.result({"validation/miou": miou}, held_out=len(validation))

        predicted = predicted_classes(net, test.inputs)
        confusion = pixel_confusion(predicted, test.labels, classes)
        iou = intersection_over_union(confusion)  # (classes,)
        run.result({"test/miou": iou.nanmean()}, held_out=len(test))
        run.result({"test/pixels": pixel_accuracy(confusion)}, held_out=len(test))
        by_class = {f"test/iou/{name}": v for name, v in zip(pictures.classes, iou, strict=True)}
        run.result(by_class, held_out=len(test))

        names = pictures.classes
        ground = self.dataset == "shapes"
        some = torch.linspace(0, len(test) - 1, 6).long()
        images = test.inputs[some] / 255
        truth = test.labels[some]
        run.figure("overlays", overlays(images, truth, predicted[some], names, ground=ground))
        image = validation.inputs[0] / 255
        truth = validation.labels[0]
        stages = development(image, truth, maps, times.tolist(), names, ground=ground)
        run.figure("development", stages)
        run.figure("iou", class_bars(iou, names, "intersection over union", ground=ground))
        run.figure("confusion", confusion_percentages(confusion, names))

        if self.dataset == "shapes":  # at the scale full a second training would take too long
            with run.part("no skips", seed=run.seed):
                coarse, *_ = replace(self, skips=False).train(run, pictures)
            predicted = predicted_classes(coarse, test.inputs)
            confusion = pixel_confusion(predicted, test.labels, classes)
            miou = intersection_over_union(confusion).nanmean()
            run.result({"no skips/test/miou": miou}, held_out=len(test))
        run.keep(net)

    def train(
        self, run: Run, pictures: data.Parts[data.Labelled[Tensor]]
    ) -> tuple[nn.Module, Tensor, Tensor]:
        """A new network, trained.

        Returns:
            The network; numbers of steps, and what it predicted after them for the first validation
            picture, (times, height, width).
        """
        train = pictures.train
        validation = pictures.validation
        classes = len(pictures.classes)
        # The labels are a fourth channel: what shifts a picture shifts its labels too.
        labelled = torch.cat([train.inputs, train.labels[:, None]], 1)
        batches = training.Batches((labelled,), self.batch, augment=self.augment)
        steps = round(self.epochs * len(batches))
        weights = balanced_weights(train.labels, classes).to(run.device) if self.balanced else None

        net = run.place(self.network())
        optimizer = training.descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, training.one_cycle(steps, warmup=0.2))
        maps = History()  # predictions for the first validation picture in the course of training
        times = History()  # the number of steps before each
        state = (net, optimizer, schedule, maps, times)

        for (labelled,) in run.steps(batches, steps, state=state):
            images = labelled[:, :3].to(run.device)
            truth = labelled[:, 3].long().to(run.device)
            logits = net(centre(images))  # (batch, classes, height, width)
            loss = cross_entropy(logits, truth, weights, ignore_index=IGNORED)
            if self.dice:
                loss = loss + self.dice * dice_loss(logits, truth)
            run.minimise(loss, optimizer, schedule)
            run.log(loss=loss)
            if run.every(-(-steps // 8)):
                predicted = predicted_classes(net, validation.inputs[:200])
                maps.keep(predicted[0].byte())
                times.keep(torch.tensor(run.step + 1))
                confusion = pixel_confusion(predicted, validation.labels[:200], classes)
                run.log(**{"validation/miou": intersection_over_union(confusion).nanmean()})
        return net, times.stacked(), maps.stacked()

    def pictures(self) -> data.Parts[data.Labelled[Tensor]]:
        """Pictures with the class of each pixel, for training, validation and test."""
        if self.dataset == "camvid":
            return data.camvid()
        drawn = scene_parts(self.scenes, self.side)
        train, validation, test = (
            data.Labelled(scenes.images, scenes.classes.byte())
            for scenes in (drawn.train, drawn.validation, drawn.test)
        )
        return data.Parts(train, validation, test, self.classes(), drawn.source)

    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return data.CAMVID if self.dataset == "camvid" else ("ground", *KINDS)

    def augment(self, labelled: Tensor, generator: Generator) -> Tensor:
        """Pictures with their labels as a fourth channel, mirrored and shifted at random."""
        labelled = training.random_flip(labelled, generator)
        if self.padding:
            labelled = training.random_crop(labelled, generator, self.padding, "reflect")
        return labelled

    def network(self) -> FCN | UNet:
        """A new network, which takes pictures of any size."""
        kind = FCN if self.model == "fcn" else UNet
        return kind(3, len(self.classes()), self.width, self.levels, skips=self.skips, up=self.up)

    def example(self) -> Tensor:
        """A batch for export and tests: two pictures, centred."""
        return torch.randn(2, 3, self.side, self.side)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The fraction of a picture that each class covers; the picture is a file, an array or a
        tensor, of any size.
        """
        image = data.to_rgb(input, self.side if self.dataset == "shapes" else 180)
        predicted = predicted_classes(net, image[None])
        pixels = torch.bincount(predicted.flatten(), minlength=len(self.classes()))
        return dict(zip(self.classes(), (pixels / pixels.sum()).tolist(), strict=True))


def predicted_classes(net: nn.Module, images: Tensor) -> Tensor:
    """The most probable class of each pixel, (n, height, width), on the CPU.

    Args:
        net: A network for centred pictures.
        images: uint8 (n, 3, height, width).
    """
    device = next(net.parameters()).device
    with training.evaluating(net):
        blocks = [
            net(centre(block.to(device))).argmax(1).cpu() for block in torch.split(images, 50)
        ]
    return torch.cat(blocks)
