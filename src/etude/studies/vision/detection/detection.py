"""Where each object is, and what: a detector in one stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Generator, Tensor, nn
from torch.nn.functional import interpolate, one_hot
from torch.optim.lr_scheduler import LambdaLR

from etude import data
from etude.claims import Claim
from etude.data.annotated import centred
from etude.data.shapes import KINDS, parted_scenes
from etude.demos import Answer, Controls, Demo, Slider
from etude.errors import UserError
from etude.figures.detection import (
    anchors_by_level,
    before_and_after,
    found_and_true,
    precision_recall,
    sightings,
)
from etude.layers.boxes import (
    NEITHER,
    Detections,
    box_losses,
    candidates,
    decode,
    joined,
    match,
    suppressed,
    tally,
)
from etude.networks.retinanet import RetinaNet
from etude.runs.run import Run
from etude.study import Amount, Count, Fraction, OptimizerName, Positive, Study
from etude.training.augmentation import random_mirror
from etude.training.average_precision import RECALLS, AveragePrecision, average_precision
from etude.training.batches import Batches
from etude.training.detection import focal_loss
from etude.training.evaluation import evaluating
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle


@dataclass
class Detection(Study):
    """Find objects: a box, a class and a score for each."""

    dataset: Literal["shapes", "bccd"] = "shapes"  # drawn scenes; blood cells under a microscope
    detector: Literal["retinanet"] = "retinanet"  # which one is trained
    width: Count = 24  # channels of the backbone at stride 2; at most four times as many further on
    pyramid: Count = 64  # channels of each level of the pyramid, and of the heads
    strides: tuple[Count, ...] = (
        4,
        8,
        16,
    )  # of the pyramid's levels: 4 or more, each twice the one before
    anchor: Positive = 2.5  # size of a level's smallest anchor, in strides
    sizes: tuple[Positive, ...] = (1.0, 1.41)  # factors of that size
    ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)  # of an anchor's height to its width
    top_down: bool = True  # whether the pyramid's coarser levels reach the finer ones
    low: Fraction = 0.4  # an anchor that overlaps no object by this IoU is background
    high: Fraction = 0.5  # one that overlaps an object by this IoU stands for it
    gamma: Amount = 2.0  # how much less is lost where a score is nearly right; 0: cross-entropy
    alpha: Fraction = 0.5  # weight of objects in the focal loss; background has the rest
    box_loss: Literal["giou", "smooth"] = (
        "giou"  # of boxes by their overlap, or of offsets by their distance
    )
    overlap: Fraction = 0.5  # IoU above which a surer box of a class suppresses another
    side: Count = 64  # height of the pictures, in pixels
    scenes: Count = 3_000  # that are drawn to train with
    epochs: Positive = 3.0  # passes over the training data
    batch: Count = 16  # images a step
    optimizer: OptimizerName = "adamw"  # the rule of a step; choose the learning rate with it
    learning_rate: Positive = 4e-3  # at the height of the cycle
    weight_decay: Amount = 0.01  # the L2 penalty; of AdamW decoupled from the gradient

    scales = {
        "full": {
            "dataset": "bccd",
            "strides": (8, 16, 32),
            "side": 240,
            "epochs": 40.0,
            "batch": 8,
            "learning_rate": 2e-3,
        },
    }
    claims = [
        Claim("test/map50", at_least=0.90, source="curriculum: 0.80; bound: Etude"),
        Claim("test/map50", at_least=0.75, scale="full", source="floor of the curriculum"),
    ]
    courses = ["ITU", "OU"]

    def __call__(self, run: Run) -> None:
        pictures = self.pictures()
        run.say(pictures.source)
        train, validation, test = pictures.train, pictures.validation, pictures.test
        batches = Batches(train.parts, self.batch)
        steps = round(self.epochs * len(batches))
        net = run.place(self.network())
        anchors = net.anchors(*train.images.shape[2:]).to(run.device)
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.2))

        for images, boxes, labels in run.steps(batches, steps, state=(net, optimizer, schedule)):
            images, boxes = random_mirror(images, boxes)
            images, boxes, labels = (t.to(run.device) for t in (images, boxes, labels))
            outputs = net(centred(images))  # (batch, anchors, classes + 4)
            matched = match(anchors, boxes, labels, self.low, self.high)  # (batch, anchors)
            picture, anchor = (matched >= 0).nonzero(
                as_tuple=True
            )  # of each anchor that stands for an object
            n, logits, objects = (
                max(1, len(anchor)),
                outputs[..., : net.classes],
                matched[picture, anchor],
            )
            true = torch.zeros_like(logits)
            true[picture, anchor] = one_hot(labels[picture, objects], net.classes).float()
            told = (matched != NEITHER)[..., None]
            score_loss = (focal_loss(logits, true, self.gamma, self.alpha) * told).sum() / n
            offsets = outputs[picture, anchor, net.classes :]
            box_loss = (
                box_losses(offsets, anchors[anchor], boxes[picture, objects], self.box_loss).sum()
                / n
            )
            run.minimise(score_loss + box_loss, optimizer, schedule, clip=10.0)
            run.log(
                loss=score_loss + box_loss, **{"scores/loss": score_loss, "boxes/loss": box_loss}
            )
            if run.every(-(-steps // 6)):
                run.log(**{"validation/map50": self.measured(net, validation[:200]).at(0.5)})

        run.result(
            {"validation/map50": self.measured(net, validation).at(0.5)}, held_out=len(validation)
        )
        found = self.found(net, test.images)
        precision = average_precision(*found, test.boxes, test.labels, net.classes)
        run.result(
            {"test/map50": precision.at(0.5), "test/map": precision.mean}, held_out=len(test)
        )
        values = precision.table[0]  # (classes,)
        run.result(
            {f"test/ap50/{c}": v for c, v in zip(pictures.classes, values, strict=True)},
            held_out=len(test),
        )
        run.figure(
            "precision",
            precision_recall(RECALLS, precision.precision[0], values, pictures.classes, 0.5),
        )
        some = torch.linspace(0, len(test) - 1, 8).long()
        surest, (images, *truth) = [column[some] for column in found], test[some].parts
        run.figure(
            "detections", found_and_true(images / 255, surest, truth, pictures.classes), cover=True
        )
        crowded = test[test.counts.argmax()[None]]  # one picture
        raw, kept = self.found(net, crowded.images, suppress=False), self.found(net, crowded.images)
        run.figure(
            "suppression", before_and_after(crowded.images[0] / 255, raw, kept, pictures.classes)
        )
        anchors, levels = anchors.cpu(), net.levels(*test.images.shape[2:])
        counts = tally(
            match(anchors, train.boxes[:400], train.labels[:400], self.low, self.high), levels
        )
        rows = zip([*(f"stride {s}" for s in self.strides), "all"], counts.tolist(), strict=True)
        run.table(
            "anchors",
            ["of a picture", "for objects", "neither", "background"],
            [[a, *b] for a, b in rows],
        )
        run.result({"train/background_per_object": counts[-1, 2] / counts[-1, 0]})
        image, boxes, labels = crowded.parts
        chosen = match(anchors, boxes, labels, self.low, self.high)[0] >= 0
        run.figure(
            "anchors",
            anchors_by_level(image[0] / 255, anchors, chosen, boxes[0], self.strides, levels),
        )
        run.keep(net)

    def found(self, net: Any, images: Tensor, *, suppress: bool = True) -> Detections:
        """What the network finds in uint8 images (n, 3, height, width), on the CPU."""
        device, parts = next(net.parameters()).device, []
        anchors = net.anchors(*images.shape[2:]).to(device)
        with evaluating(net):
            for part in torch.split(images, 50):
                outputs = net(centred(part.to(device))).cpu()
                boxes = decode(outputs[..., net.classes :], anchors.cpu())
                raw = candidates(outputs[..., : net.classes].sigmoid(), boxes)
                parts.append(suppressed(raw, self.overlap) if suppress else raw)
        return joined(parts)

    def measured(self, net: RetinaNet, truth: data.Boxed) -> AveragePrecision:
        """Average precision on pictures with known boxes, at an IoU of 0.5."""
        found = self.found(net, truth.images)
        return average_precision(*found, truth.boxes, truth.labels, net.classes, thresholds=(0.5,))

    def pictures(self) -> data.Parts[data.Boxed]:
        """Pictures with boxes, to train, to validate and to test with."""
        if self.dataset == "bccd":
            return data.bccd(self.side, self.side * 4 // 3)
        drawn = parted_scenes(self.scenes, self.side)
        return data.Parts(
            drawn.train.boxed, drawn.validation.boxed, drawn.test.boxed, KINDS, drawn.source
        )

    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of their numbers."""
        return data.BLOOD_CELLS if self.dataset == "bccd" else KINDS

    def network(self) -> RetinaNet:
        """A new network, which takes pictures of any size."""
        return RetinaNet(
            len(self.classes()),
            self.width,
            self.pyramid,
            self.strides,
            self.anchor,
            self.sizes,
            self.ratios,
            top_down=self.top_down,
        )

    def example(self) -> Tensor:
        """Two pictures, as the network takes them."""
        return torch.randn(2, 3, self.side, self.side)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """What is found in one picture (a file, an array or a tensor, of any size), where, and how
        sure it is.
        """
        picture = data.read_image(input)
        height, width = picture.shape[1:]
        shape = (self.side, self.side * 4 // 3 if self.dataset == "bccd" else self.side)
        image = interpolate(picture[None].float(), shape, mode="bilinear", antialias=True).expand(
            1, 3, *shape
        )
        found = self.found(net, image.round().clamp(0, 255).byte())
        boxes = found.boxes[0] * torch.tensor([width / shape[1], height / shape[0]] * 2)
        named = zip(
            boxes.round().int().tolist(),
            found.scores[0].tolist(),
            found.labels[0].tolist(),
            strict=True,
        )
        return {
            f"{self.classes()[k]} at {', '.join(map(str, box))}": score
            for box, score, k in named
            if score >= 0.3
        }

    def demo(self) -> Demo:
        """Draw a scene, and say how sure a detection must be."""
        if self.dataset == "bccd":
            raise UserError(
                "the demo is of drawn scenes; the last run here was of blood cells: train at quick"
                " first"
            )
        controls: Controls = {
            "seed": Slider("Scene", 0, 99, 12, 1),
            "shapes": Slider("Shapes", 1, 9, 5, 1),
            "noise": Slider("Noise", 0, 0.2, 0.04),
            "least": Slider("Least score", 0.05, 0.95, 0.5),
        }
        return Demo(
            "Will it find all of them?",
            controls,
            self.look,
            ["all", "not all", "more than there are"],
        )

    def look(
        self, net: nn.Module, seed: float, shapes: float, noise: float, least: float
    ) -> Iterator[Answer]:
        """What is found in one new scene."""
        g, n = Generator().manual_seed(int(seed)), int(shapes)
        scene = data.scenes(1, self.side, (n, n), noise=noise, generator=g).boxed
        raw, kept = self.found(net, scene.images, suppress=False), self.found(net, scene.images)
        yield from sightings(scene.images[0] / 255, scene.boxes[0], raw, kept, KINDS, least)
