"""Object detection by a one-stage detector, RetinaNet.

A detector with another idea (Faster R-CNN, DETR) gets its own main file in this folder, beside this
one. It shares the average precision, the augmentation, the figures and the demo.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, one_hot
from torch.optim.lr_scheduler import LambdaLR

from etude import (
    Amount,
    Claim,
    Control,
    Count,
    Fraction,
    OptimizerName,
    Positive,
    Run,
    Study,
    UserError,
    data,
    training,
)
from etude.data.annotated import centre
from etude.data.shapes import KINDS, scene_parts
from etude.demos import Demo
from etude.layers.anchors import IGNORED, decode, match
from etude.layers.boxes import Detections, candidates, concatenate, suppress
from etude.networks.retinanet import RetinaNet

from ._augmentation import random_mirror
from ._average_precision import AveragePrecision, average_precision
from ._demo import CONTROLS, answers
from ._figures import (
    anchor_counts,
    anchor_table,
    anchors_by_level,
    before_and_after,
    detections_and_truth,
    precision_and_recall,
)
from ._losses import focal_loss, regression_loss


@dataclass
class Detection(Study):
    """Find objects: a box, a class and a score for each."""

    dataset: Literal["shapes", "bccd"] = "shapes"  # drawn scenes; blood cells under a microscope
    width: Count = 24  # channels of the backbone at stride 2; at most four times as many later
    pyramid: Count = 64  # channels of each level of the pyramid, and of the heads
    strides: tuple[Count, ...] = (4, 8, 16)  # pixels per cell of each level, each twice the last
    anchor_size: Positive = 2.5  # size of the smallest anchor of a level, in strides
    anchor_factors: tuple[Positive, ...] = (1.0, 1.41)  # factors of that size
    ratios: tuple[Positive, ...] = (0.5, 1.0, 2.0)  # ratios of an anchor's height to its width
    top_down: bool = True  # whether the coarser levels of the pyramid are added to the finer ones
    background_iou: Fraction = 0.4  # an anchor with a lower IoU with all objects is background
    match_iou: Fraction = 0.5  # at or above this IoU an anchor is matched to an object
    focal_gamma: Amount = 2.0  # γ of the focal loss; at 0 all errors have equal weight
    alpha: Fraction = 0.5  # α: weight of targets of 1; targets of 0 have 1 - α
    box_loss: Literal["giou", "smooth"] = "giou"  # of boxes: by overlap, or by distance
    nms_iou: Fraction = 0.5  # IoU above which a box suppresses another one of its class
    side: Count = 64  # height of the pictures, in pixels
    scenes: Count = 3_000  # drawn scenes in the training data
    epochs: Positive = 3.0  # passes over the training data
    batch: Count = 16  # images in each step
    optimizer: OptimizerName = "adamw"  # the update rule; change learning_rate with it
    learning_rate: Positive = 4e-3  # the largest learning rate of the run
    weight_decay: Amount = 0.01  # λ of AdamW's decoupled decay; of an L2 penalty for other rules

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
        Claim("test/map50", at_least=0.90, source="Etude"),
        Control(
            "all boxes/test/map50", at_most=0.6, of="test/map50", without="non-maximum suppression"
        ),
        Claim("test/map50", at_least=0.85, scale="full", source="Etude"),
    ]
    needs = ["digits", "segmentation"]

    def __call__(self, run: Run) -> None:
        pictures = self.pictures()
        run.say(pictures.source)
        train, validation = pictures.train, pictures.validation
        batches = training.Batches(train.parts, self.batch)
        steps = round(self.epochs * len(batches))

        net = run.place(self.network())
        anchors = net.anchors(*train.images.shape[2:]).to(run.device)
        optimizer = training.descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, training.one_cycle(steps, warmup=0.2))
        state = (net, optimizer, schedule)

        for images, boxes, labels in run.steps(batches, steps, state=state):
            images, boxes = random_mirror(images, boxes)
            images, boxes, labels = (t.to(run.device) for t in (images, boxes, labels))
            outputs = net(centre(images))  # (batch, anchors, classes + 4)
            classification, regression = self.losses(outputs, anchors, boxes, labels)
            loss = classification + regression
            run.minimise(loss, optimizer, schedule, clip=10.0)
            run.log(loss=loss, **{"scores/loss": classification, "boxes/loss": regression})
            if run.every(math.ceil(steps / 6)):  # six times
                run.log(**{"validation/map50": self.evaluate(net, validation).at(0.5)})

        measured = self.evaluate(net, validation)
        run.result({"validation/map50": measured.at(0.5)}, held_out=len(validation))
        test, classes = pictures.test, pictures.classes
        measured = self.evaluate(net, test)
        all_boxes = self.evaluate(net, test, suppressed=False)
        run.result({"test/map50": measured.at(0.5), "test/map": measured.mean}, held_out=len(test))
        run.result({"all boxes/test/map50": all_boxes.at(0.5)}, held_out=len(test))
        for name, value in zip(classes, measured.by_class(0.5), strict=True):
            run.result({f"test/ap50/{name}": value}, held_out=len(test))
        run.figure("precision", precision_and_recall(measured, classes))
        self.draw(run, net, test)
        self.count_anchors(run, net, train[:400])
        run.keep(net)

    def losses(
        self, outputs: Tensor, anchors: Tensor, boxes: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The losses of the scores and of the boxes, each per matched anchor.

        Args:
            outputs: Logits of the classes, then offsets, (batch, anchors, classes + 4).
            anchors: Left, top, right and bottom in pixels, (anchors, 4), as all boxes.
            boxes: True boxes, (batch, most, 4).
            labels: Their classes, (batch, most); below 0 where there is no box.
        """
        logits, offsets = outputs[..., :-4], outputs[..., -4:]
        # (batch, anchors): the index of its object, or BACKGROUND (-1), or IGNORED (-2)
        matched = match(anchors, boxes, labels, self.background_iou, self.match_iou)
        picture, anchor = (matched >= 0).nonzero(as_tuple=True)  # indices of the n matched anchors
        box = matched[picture, anchor]  # and of their objects, (n,)
        n = max(1, len(anchor))

        targets = torch.zeros_like(logits)
        targets[picture, anchor] = one_hot(labels[picture, box], logits.shape[2]).float()
        in_loss = (matched != IGNORED)[..., None]
        focal = focal_loss(logits, targets, self.focal_gamma, self.alpha) * in_loss

        predicted = offsets[picture, anchor]
        true = boxes[picture, box]
        distances = regression_loss(predicted, anchors[anchor], true, self.box_loss)  # (n,)
        return focal.sum() / n, distances.sum() / n

    def detect(self, net: Any, images: Tensor, *, suppressed: bool = True) -> Detections:
        """Detections in images; the result is on the CPU.

        Args:
            net: A :class:`~etude.networks.retinanet.RetinaNet`.
            images: uint8 (n, 3, height, width).
            suppressed: Whether non-maximum suppression is applied.
        """
        device = next(net.parameters()).device
        anchors = net.anchors(*images.shape[2:])
        blocks = []
        with training.evaluating(net):
            for block in torch.split(images, 50):
                outputs = net(centre(block.to(device))).cpu()
                scores = outputs[..., :-4].sigmoid()
                found = candidates(scores, decode(outputs[..., -4:], anchors))
                blocks.append(suppress(found, self.nms_iou) if suppressed else found)
        return concatenate(blocks)

    def evaluate(
        self, net: RetinaNet, truth: data.Boxed, *, suppressed: bool = True
    ) -> AveragePrecision:
        """Average precision on pictures with known boxes, at all of COCO's IoU thresholds."""
        found = self.detect(net, truth.images, suppressed=suppressed)
        return average_precision(*found, truth.boxes, truth.labels, net.classes)

    def draw(self, run: Run, net: RetinaNet, test: data.Boxed) -> None:
        """Draw what the network detects in some test pictures, and its anchors in one of them."""
        classes = self.classes()
        some = test[torch.linspace(0, len(test) - 1, 8).long()]
        found = self.detect(net, some.images)
        run.figure("detections", detections_and_truth(some, found, classes), cover=True)

        crowded = test[test.counts.argmax()[None]]  # the picture with the most objects
        before = self.detect(net, crowded.images, suppressed=False)
        after = self.detect(net, crowded.images)
        run.figure("suppression", before_and_after(crowded.images[0], before, after, classes))

        size = crowded.images.shape[2:]
        levels, anchors = net.levels(*size), net.anchors(*size)
        true = crowded.boxes, crowded.labels
        matched = match(anchors, *true, self.background_iou, self.match_iou)[0] >= 0
        run.figure("anchors", anchors_by_level(crowded, anchors, matched, levels, self.strides))

    def count_anchors(self, run: Run, net: RetinaNet, train: data.Boxed) -> None:
        """Tabulate how many anchors of a picture are matched to objects, level by level."""
        size = train.images.shape[2:]
        true = train.boxes, train.labels
        matched = match(net.anchors(*size), *true, self.background_iou, self.match_iou)
        counts = anchor_counts(matched, net.levels(*size))  # (levels + 1, 3)
        run.table("anchors", *anchor_table(counts, self.strides))
        run.result({"train/background_per_match": counts[-1, 2] / counts[-1, 0]})

    def pictures(self) -> data.Parts[data.Boxed]:
        """Pictures with boxes, for training, validation and test."""
        if self.dataset == "bccd":
            return data.bccd(*self.size)
        drawn = scene_parts(self.scenes, self.side)
        train = drawn.train.boxed
        return data.Parts(train, drawn.validation.boxed, drawn.test.boxed, KINDS, drawn.source)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the pictures."""
        return self.side, self.side * 4 // 3 if self.dataset == "bccd" else self.side

    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return data.BLOOD_CELLS if self.dataset == "bccd" else KINDS

    def network(self) -> RetinaNet:
        """A new network, which takes pictures of any size."""
        return RetinaNet(
            len(self.classes()),
            self.width,
            self.pyramid,
            self.strides,
            self.anchor_size,
            self.anchor_factors,
            self.ratios,
            top_down=self.top_down,
        )

    def example(self) -> Tensor:
        """A batch for export and tests: two pictures, centred."""
        return torch.randn(2, 3, self.side, self.side)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        """The class, box and score of each detection with a score of at least 0.3 in one picture, a
        file, an array or a tensor of any size, which is stretched to the size of the study's.
        """
        picture = data.read_image(input)
        scaled = interpolate(picture[None].float(), self.size, mode="bilinear", antialias=True)
        image = scaled.expand(1, 3, *self.size).round().clamp(0, 255).byte()
        found = self.detect(net, image).of(0, least=0.3)
        factors = [picture.shape[2] / self.size[1], picture.shape[1] / self.size[0]]
        boxes = (found.boxes * torch.tensor(factors * 2)).round().int()
        rows = zip(boxes.tolist(), found.scores.tolist(), found.labels.tolist(), strict=True)
        names = self.classes()
        return {f"{names[k]} at {', '.join(map(str, box))}": score for box, score, k in rows}

    def demo(self) -> Demo:
        """Draw a scene, and choose how high the score of a detection must be."""
        if self.dataset == "bccd":
            raise UserError("the demo shows drawn scenes: train at the quick scale first")
        guesses = ["all", "not all", "more than there are"]
        answer = partial(answers, self.detect, self.side)
        return Demo("Will it find all of them?", CONTROLS, answer, guesses)
