"""The demo: digits to begin a drawing with, and an explanation of the prediction."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.functional import interpolate, pad

from etude import data
from etude.demos import Answer, Image, Pictures

from ._attribution import feature_maps, occlusion


def handwritten_digits(n: int) -> dict[str, Image]:
    """Digits from the test set, enlarged to 28×28 pixels, for a visitor to start from."""
    test = data.uci_digits().test
    images = test.inputs[:n].float() / 16
    enlarged = interpolate(images, (20, 20), mode="bicubic").clamp(0, 1)
    framed = pad(enlarged, (4, 4, 4, 4))[:, 0]  # (n, 28, 28)
    return {chr(ord("a") + k): image.numpy() for k, image in enumerate(framed)}


def explanation(net: nn.Module, image: Tensor) -> Iterator[Answer]:
    """The image as the network receives it, where its prediction comes from, and first features.

    Args:
        net: A :class:`~etude.networks.strided.StridedCNN`.
        image: (1, height, width), from 0 to 1.
    """
    importance = occlusion(net, image).clamp_min(0)
    images = {"input": image[0].numpy(), "importance of each pixel": importance.numpy()}
    yield Pictures("The input, and where the prediction comes from", images)

    maps = feature_maps(net, net.get_submodule("first"), image)[:12]
    scaled = (maps / maps.amax((1, 2), keepdim=True).clamp_min(1e-6)).clamp_min(0)
    features = {f"{k + 1}": feature.numpy() for k, feature in enumerate(scaled)}
    yield Pictures("Feature maps of the first convolution", features, width=72)
