"""The demo on the study's page: a scene of the reader's choice, and what is detected in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from matplotlib.colors import to_rgb
from torch import Generator, Tensor, nn

from etude import data
from etude.data import Boxed
from etude.data.shapes import KINDS
from etude.demos import Answer, Controls, Image, Pictures, Said, Slider
from etude.figures import PALETTE
from etude.layers.boxes import Detections

CONTROLS: Controls = {
    "seed": Slider("Scene", 0, 99, 12, 1),
    "shapes": Slider("Shapes", 1, 9, 5, 1),
    "noise": Slider("Noise", 0, 0.2, 0.04),
    "least": Slider("Least score", 0.05, 0.95, 0.5),
}


def answers(
    detect: Callable[..., Detections],
    side: int,
    net: nn.Module,
    seed: float,
    shapes: float,
    noise: float,
    least: float,
) -> Iterator[Answer]:
    """A new scene, the detections before and after non-maximum suppression, and their scores.

    Args:
        detect: The study's method.
        side: Height and width of the scene, in pixels.
        net: A trained detector.
        seed: Seed of the scene.
        shapes: Number of shapes in it.
        noise: Standard deviation of the noise.
        least: Detections with lower scores are not shown.
    """
    generator = Generator().manual_seed(int(seed))
    number = (int(shapes), int(shapes))
    scene = data.scenes(1, side, number, noise=noise, generator=generator).boxed
    raw = detect(net, scene.images, suppressed=False)
    kept = detect(net, scene.images)
    yield from comparison(scene, raw, kept, KINDS, least)


def comparison(
    scene: Boxed, raw: Detections, kept: Detections, classes: Sequence[str], least: float
) -> Iterator[Answer]:
    """A scene, the detections before and after non-maximum suppression, and their scores.

    Args:
        scene: One picture and its true boxes.
        raw: Detections in it.
        kept: Those of them that suppression leaves.
        classes: Names of the classes.
        least: Detections with lower scores are not shown.
    """
    image = scene.images[0] / 255
    before, after = raw.of(0, least), kept.of(0, least)
    pictures = {
        _counted("the scene", int(scene.counts[0]), "shape", "shapes"): framed(
            image, scene.boxes[0, :0], scene.labels[0, :0]
        ),
        _counted("before suppression", len(before.labels), "box", "boxes"): framed(
            image, before.boxes, before.labels
        ),
        _counted("after it", len(after.labels), "box", "boxes"): framed(
            image, after.boxes, after.labels
        ),
    }
    yield Pictures("Detections", pictures, width=230)
    pairs = zip(after.labels.tolist(), after.scores.tolist(), strict=True)
    scores = [f"{classes[k]} {score:.2f}" for k, score in pairs]
    yield Said("Scores", ", ".join(scores) or "No detection has such a high score.")


def framed(image: Tensor, boxes: Tensor, labels: Tensor, enlarged: int = 5) -> Image:
    """A picture, enlarged, with frames of two pixels in the colours of the classes.

    Args:
        image: (3, height, width), from 0 to 1.
        boxes: Boxes in it, (n, 4); the first lies on top.
        labels: Their classes, (n,).
        enlarged: The factor of enlargement.

    Returns:
        (enlarged · height, enlarged · width, 3), from 0 to 1.
    """
    large = image.float().repeat_interleave(enlarged, 1).repeat_interleave(enlarged, 2)
    picture = large.movedim(0, -1).clone()
    y = torch.arange(picture.shape[0])[:, None]
    x = torch.arange(picture.shape[1])
    for box, label in reversed(list(zip(boxes * enlarged, labels.tolist(), strict=True))):
        left, top, right, bottom = box.round().int().tolist()
        left, top = max(left, 0), max(top, 0)
        right, bottom = min(right, len(x)), min(bottom, len(y))
        inside = (x >= left) & (x < right) & (y >= top) & (y < bottom)
        inner = (x >= left + 2) & (x < right - 2) & (y >= top + 2) & (y < bottom - 2)
        picture[inside & ~inner] = torch.tensor(to_rgb(PALETTE[label % len(PALETTE)]))
    return picture.numpy()


def _counted(name: str, n: int, one: str, more: str) -> str:
    return f"{name}: {n} {one if n == 1 else more}"
