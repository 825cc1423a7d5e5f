r"""A class for every pixel: what is there, and exactly where.

A classifier shrinks a picture until a single vector is left that says what it shows. Where it was is lost on the way.
Here every pixel is to be told its class, so the network must come back from *what* to *where*.

**How far a pixel sees.** Let one step of a map be $j$ pixels of the picture, and let each of its numbers depend on $r$
pixels. A convolution with kernel $k$ reaches $(k - 1) / 2$ steps further to each side, and a stride $s$ lengthens them:

$$r \leftarrow r + (k - 1) \, j, \qquad j \leftarrow s \, j.$$

Each level of the encoder has two 3 × 3 convolutions, and a pooling of stride 2 stands between levels. From $r = j = 1$
this gives 5, 14, 32 and 68 pixels. Only the last level sees a large shape whole, and can tell a disc from a square; but
there a step is 8 pixels, and an edge can't be told more exactly. The first level knows every edge, and no shape.

**Fully convolutional.** A linear classifier at each place of a map is a 1 × 1 convolution. An FCN has one at each
level, enlarges the coarser scores twofold by $U$ and adds the finer ones. With the map $f_l$ of level $l$,

$$s_l = W_l f_l + U s_{l + 1}.$$

These *skips* past the coarser levels divide the labour: below it is decided what, above the border is corrected. As the
gradient of a sum is that of each of its terms, every level also learns from the loss directly.

**The transposed convolution** is $U$. A convolution with stride 2 is linear, $y = C x$, where $C$ has half as many rows
as columns along each axis. So $C^\top$ makes a small map large: every input pixel writes the kernel, times its own
value, into the output, two pixels further than its neighbour did, and what overlaps is added. (Backpropagation through
$C$ is a product with that same $C^\top$; hence the name. It undoes nothing.) Its kernel begins as
$(\tfrac14, \tfrac34, \tfrac34, \tfrac14)$ along each axis: between $a$ and $b$ the output is then
$\tfrac34 a + \tfrac14 b$ and $\tfrac14 a + \tfrac34 b$, bilinear interpolation, from which learning may depart. A
kernel of 3 would overlap at every second pixel only, and draw a checkerboard.

**U-Net** puts the encoder's map *beside* the enlarged one, and convolves both twice. Adding is what one such
convolution can do, so it can do more, at more than twice the work for a step. It has one loss at the very end, and what
is coarse learns only through what is fine: after the same 825 steps its mIoU, explained below, is 0.87 and the FCN's
0.94; after 1,500 it is 0.94 too (seed 0; `--model unet`, and with `--epochs 4`).

**Intersection over union.** Four pixels in five are ground. Who calls everything ground is right for 80 % of all
pixels, and has found nothing. So compare, class by class, the set $P$ of pixels that were given a class with the set
$Y$ that have it:

$$\mathrm{IoU} = \frac{|P \cap Y|}{|P \cup Y|}, \qquad \mathrm{Dice} = \frac{2 |P \cap Y|}{|P| + |Y|}
= \frac{2 \, \mathrm{IoU}}{1 + \mathrm{IoU}}.$$

Their mean over the classes (mIoU) is 0.16 for that answer: 0.80 for the ground, and four times 0. Dice ranks alike and
is kinder: half a shape found is 0.5 in one and 0.67 in the other.

**Loss.** Cross-entropy counts pixels, so small classes hardly weigh. Put probabilities into Dice in place of sets, and
it has a gradient: the *Dice loss* is 1 minus the mean of $2 \sum p y / (\sum p + \sum y)$ over the classes, each of
which weighs the same however small it is. The sum of both is minimised (`--dice`).

What to look at
---------------
- *overlays*: mistakes, in red, lie along the borders, where even the eye can't say whose a pixel is.
- *development*: first where anything is, then what. A shape of two colours has not been seen whole.
- *iou* and *confusion*: stars have the longest border for their area, and lose the most to the ground.

Exercises
---------
1. `etude run segmentation --no-skips`: from 8 × 8 numbers to 64 × 64 pixels. What becomes of the stars?
2. `etude run segmentation --levels 2`: 14 pixels are seen. Which classes are taken for each other, and where?
3. `etude run segmentation --model unet --epochs 4`: follow `validation/miou` of both. Which learns sooner?
4. `etude run segmentation --dice 0`, and the same with `--balanced`: what do the rare classes gain, what does it cost?

References
----------
Long, J., Shelhamer, E. & Darrell, T. (2015). Fully convolutional networks for semantic segmentation. CVPR.

Ronneberger, O., Fischer, P. & Brox, T. (2015). U-Net: convolutional networks for biomedical image segmentation. MICCAI.

Milletari, F., Navab, N. & Ahmadi, S.-A. (2016). V-Net: fully convolutional neural networks for volumetric medical image
segmentation. 3DV.

Eigen, D. & Fergus, R. (2015). Predicting depth, surface normals and semantic labels with a common multi-scale
convolutional architecture. ICCV.

Brostow, G. J., Fauqueur, J. & Cipolla, R. (2009). Semantic object classes in video. Pattern Recognition Letters.
"""

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
from etude.training.optimizers import descent
from etude.training.schedules import one_cycle
from etude.training.segmentation import (
    IGNORED,
    balanced_weights,
    confusion,
    dice_loss,
    intersection_over_union,
    pixel_accuracy,
)  # fmt: skip
from etude.training.trail import Trail


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
        "full": {"dataset": "camvid", "levels": 5, "epochs": 60.0, "batch": 6, "balanced": True, "shift": 16},
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
        both = torch.cat([train.inputs, train.labels[:, None]], 1)  # what moves a picture moves its labels
        batches = Batches((both,), self.batch, augment=self.augment)
        steps = round(self.epochs * len(batches))
        classes = len(pictures.classes)
        weights = balanced_weights(train.labels, classes).to(run.device) if self.balanced else None

        net = run.place(self.network())
        optimizer = descent(self.optimizer, net, self.learning_rate, self.weight_decay)
        schedule = LambdaLR(optimizer, one_cycle(steps, warmup=0.2))
        seen, when = Trail(), Trail()  # the first validation picture, along the way

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
                iou = intersection_over_union(confusion(predicted, validation.labels[:200], classes))
                run.log(**{"validation/miou": iou.nanmean()})

        counts = confusion(predictions(net, validation.inputs), validation.labels, classes)
        run.result({"validation/miou": intersection_over_union(counts).nanmean()}, held_out=len(validation))
        predicted = predictions(net, test.inputs)
        counts = confusion(predicted, test.labels, classes)
        iou = intersection_over_union(counts)
        run.result({"test/miou": iou.nanmean(), "test/pixels": pixel_accuracy(counts)}, held_out=len(test))
        run.result({f"test/iou/{name}": v for name, v in zip(pictures.classes, iou, strict=True)}, held_out=len(test))

        ground = self.dataset == "shapes"
        some = torch.linspace(0, len(test) - 1, 6).long()
        look = overlays(test.inputs[some] / 255, test.labels[some], predicted[some], pictures.classes, ground=ground)
        run.figure("overlays", look)
        first = validation[:1]
        run.figure("development", development(
            first.inputs[0] / 255, first.labels[0], seen.stacked(), when.stacked().tolist(), pictures.classes,
            ground=ground,
        ))  # fmt: skip
        run.figure("iou", class_bars(iou, pictures.classes, "intersection over union", ground=ground))
        run.figure("confusion", shares(counts, pictures.classes))
        run.keep(net)

    def pictures(self) -> data.Parts[data.Labelled[Tensor]]:
        """Pictures and the class of each pixel, to train, to validate and to test with."""
        if self.dataset == "camvid":
            return data.camvid()
        drawn = parted_scenes(self.scenes, self.side)
        parts = (drawn.train, drawn.validation, drawn.test)
        train, validation, test = (data.Labelled(part.images, part.classes.byte()) for part in parts)
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
        """The part of one picture that each class covers; a file, an array or a tensor, of any size."""
        image = data.to_rgb(input, self.side if self.dataset == "shapes" else 180)
        found = torch.bincount(predictions(net, image[None]).flatten(), minlength=len(self.classes()))
        return dict(zip(self.classes(), (found / found.sum()).tolist(), strict=True))


def predictions(net: nn.Module, images: Tensor) -> Tensor:
    """The likeliest class of each pixel, (n, height, width), on the CPU; ``images`` uint8 (n, 3, height, width)."""
    device = next(net.parameters()).device
    with evaluating(net):
        return torch.cat([net(centred(part.to(device))).argmax(1).cpu() for part in torch.split(images, 50)])
