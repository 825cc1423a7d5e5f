"""Pictures of any kind, made into what a network was trained on."""

from __future__ import annotations

import math
import warnings
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate, max_pool2d, pad

from etude.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture: TypeAlias = str | Path | np.ndarray[Any, Any] | Tensor | Image

PEN = 4.5  # pixels of 32: the UCI set's ink covers 30 % of its bitmaps, as strokes so wide do
MOST_PIXELS = 64_000_000
MOST_BYTES = 256 << 20  # of a file
FORMATS = (
    "PNG",
    "JPEG",
    "GIF",
    "BMP",
    "TIFF",
    "WEBP",
    "PPM",
    "ICO",
)  # none that starts another program


def read_image(picture: Picture) -> Tensor:
    """A picture as uint8 (channels, height, width), one channel for gray and three for colour.

    From a file (turned as its EXIF data say), a PIL image, an array (height, width[, channels]) or
    a tensor ([channels,] height, width), in bytes or in floating point from 0 to 1. Transparent
    parts are laid on white, or on black where what is drawn is itself light.

    Raises
    ------
    UserError
        if it cannot be read, has more than 64 million pixels, or is no picture
    """
    if isinstance(picture, Tensor):
        picture = picture.detach().cpu()
        return _from_array(picture.numpy() if picture.ndim == 2 else picture.movedim(0, -1).numpy())
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    from PIL import Image, ImageOps, UnidentifiedImageError

    name = _name(picture)
    try:
        with warnings.catch_warnings():
            # the limit here is lower; what is hidden within a picture (an icon's, a frame of a
            # film) has Pillow's
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image: Any = picture
            if isinstance(
                picture, str | Path
            ):  # whole, for of a file Pillow asks for as much as a damaged length says
                image = Image.open(BytesIO(_bytes(Path(picture))), formats=FORMATS)
            if not isinstance(image, Image.Image):
                kind = type(image).__name__
                raise UserError(
                    "a picture is a file's name, an array, a tensor or a PIL image, and this is a"
                    f" {kind}"
                )
            _check_size(image.height, image.width, name)
            return _from_array(_pixels(ImageOps.exif_transpose(image), name), name)
    except UnidentifiedImageError as error:
        raise UserError(
            f"{name} is no picture that can be read; {', '.join(FORMATS)} can"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UserError(
            f"{name} is too large: at most {MOST_PIXELS:,} pixels can be read"
        ) from error
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror or error}") from error
    except Exception as error:  # decoders fail on damaged files in many ways
        raise UserError(f"{name} cannot be read: {error}") from error


def _name(picture: Picture) -> str:
    return str(picture) if isinstance(picture, str | Path) else "the picture"


def _bytes(path: Path) -> bytes:
    content = bytearray()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            content += piece
            if len(content) > MOST_BYTES:  # some have no end, as /dev/zero
                raise UserError(f"{path} is too large: at most {MOST_BYTES >> 20} MB can be read")
    return bytes(content)


def _pixels(image: Image, name: str) -> np.ndarray[Any, Any]:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):  # more than 8 bits, or measured
        return _in_bytes(np.array(image, dtype=np.float32), name, measured=image.mode == "F")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("L" if image.mode in ("1", "L") else "RGB"))


def _in_bytes(values: np.ndarray[Any, Any], name: str, *, measured: bool) -> np.ndarray[Any, Any]:
    """Brightness of any depth as bytes, in place: there may be many.

    A file does not say how many of its bits are used: of a camera's 16 often 10 or 12. So white is
    the next of 2^8 - 1, 2^10 - 1, … that the brightest pixel does not exceed; and of what was
    measured in fractions, 1.
    """
    low, high = float(values.min()), float(values.max())
    if not (math.isfinite(low) and math.isfinite(high) and low >= 0):
        raise UserError(
            f"{name} should hold brightness from 0 on, and holds {low:g} to {high:g}; scale it, to"
            " the numbers from 0 to 1 perhaps"
        )
    whites = [2.0**bits - 1 for bits in (1 if measured else 8, 8, 10, 12, 14, 16, 24, 32)]
    white = next((white for white in whites if high <= white), high)
    values *= 255 / white
    return values.clip(0, 255, out=values).round(out=values).astype(np.uint8)


def _from_array(array: np.ndarray[Any, Any], name: str = "the picture") -> Tensor:
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4) and array.shape[0] in (1, 3, 4):
        array = np.moveaxis(array, 0, -1)
    if array.ndim != 3 or array.shape[2] not in (1, 2, 3, 4):
        raise UserError(
            f"{name} should have the shape (height, width) or (height, width, channels), and has"
            f" {array.shape}"
        )
    _check_size(array.shape[0], array.shape[1], name)
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * 255
    if array.dtype.kind == "f":
        if not (np.isfinite(array).all() and array.min() >= 0 and array.max() <= 1):
            raise UserError(
                f"{name} in floating point should lie between 0 and 1, and lies between"
                f" {array.min()} and {array.max()}"
            )
        array = (array * 255).round().astype(np.uint8)
    if array.dtype.kind in "iu" and array.dtype != np.uint8:
        if array.min() < 0 or array.max() > 255:
            raise UserError(
                f"{name} should hold numbers from 0 to 255, and holds {array.min()} to"
                f" {array.max()}"
            )
        array = array.astype(np.uint8)
    if array.dtype != np.uint8:
        raise UserError(f"{name} should hold numbers, and holds {array.dtype}")
    pixels = torch.from_numpy(np.ascontiguousarray(array).copy()).movedim(2, 0)
    return (_flatten(pixels) if len(pixels) in (2, 4) else pixels).contiguous()


def _check_size(height: int, width: int, name: str) -> None:
    if height * width > MOST_PIXELS:
        raise UserError(
            f"{name} is too large: {width:,}×{height:,} pixels, and at most {MOST_PIXELS:,} can be"
            " read"
        )
    if height * width == 0:
        raise UserError(f"{name} has no pixels: it is {width}×{height}")


def _flatten(pixels: Tensor) -> Tensor:
    """Lay (channels and alpha, height, width) on the ground that its drawing stands out from."""
    colour, alpha = pixels[:-1].float(), pixels[-1:].float() / 255
    brightness = (colour.mean(0, keepdim=True) * alpha).sum() / alpha.sum().clamp(min=1e-6)
    ground = 0.0 if brightness > 127.5 and float(alpha.min()) < 1 else 255.0
    return torch.lerp(torch.full_like(colour, ground), colour, alpha).round().byte()


def gray(pixels: Tensor) -> Tensor:
    """Brightness by ITU-R BT.601, (channels, height, width) to float (height, width), 0 to 255."""
    weights = torch.tensor([0.299, 0.587, 0.114]) if len(pixels) == 3 else torch.ones(1)
    return torch.einsum("c,chw->hw", weights, pixels.float())


def ink(picture: Picture, solid: bool = False) -> Tensor:
    """How much of each pixel is drawn, float (height, width), 0 (the ground) to 1, cut to what is
    drawn.

    See :func:`etude.data.drawings.drawing`, also for `solid`.

    Raises
    ------
    UserError
        if nothing is drawn, or if two drawings lie side by side
    """
    from etude.data.drawings import drawing

    return torch.from_numpy(drawing(gray(read_image(picture)).numpy(), _name(picture), solid))


def like_mnist(picture: Picture, solid: bool = False) -> Tensor:
    """A drawn digit as MNIST has them: uint8 (1, 28, 28), light on dark.

    Its bounding box is scaled, smoothly and with its aspect kept, to fit in 20×20, and placed so
    that its centre of mass is at the centre of 28×28. `solid`: what is shown is filled, as clothes
    are, and not drawn with a pen.

    References
    ----------
    Y. LeCun, C. Cortes, C. Burges: The MNIST database, http://yann.lecun.com/exdb/mnist/
    """
    small = _fit(ink(picture, solid), 20)
    height, width = small.shape
    mass = small.sum()
    row = float((small.sum(1) * torch.arange(height)).sum() / mass)
    column = float((small.sum(0) * torch.arange(width)).sum() / mass)
    top = min(max(round(14 - row), 0), 28 - height)
    left = min(max(round(14 - column), 0), 28 - width)
    canvas = torch.zeros(28, 28)
    canvas[top : top + height, left : left + width] = small / small.max()
    return (canvas * 255).round().byte().unsqueeze(0)


def like_uci(picture: Picture) -> Tensor:
    """A drawn digit as the UCI set has them: uint8 (1, 8, 8), each pixel the count (0 to 16) of ink
    in a 4×4 block.

    The set's digits stand upright, are narrow and drawn with a broad pen. So a digit is sheared
    until its moments are upright, scaled to the height of 32 pixels and to 22 across at most, and
    its strokes are widened.

    References
    ----------
    E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits (1998):
    32×32 bitmaps, 4×4 blocks
    """
    drawing = _upright(ink(picture))
    height, width = drawing.shape
    scale = 32 / max(height, width / 1.6)  # what is very wide lies, and is no digit
    shape = [max(1, round(height * scale)), max(1, min(22, round(width * scale)))]
    small = interpolate(drawing[None, None], shape, mode="bilinear", antialias=True)[0, 0]
    height, width = shape
    top, left = (32 - height) // 2, (32 - width) // 2
    bitmap = torch.zeros(32, 32)
    bitmap[top : top + height, left : left + width] = (small > 0.5 * small.max()).float()
    while _stroke(bitmap) < PEN:
        bitmap = _dilate(bitmap)
    return bitmap.reshape(8, 4, 8, 4).sum((1, 3)).byte().unsqueeze(0)


def _upright(drawing: Tensor) -> Tensor:
    """Sheared, each row to the left or the right, until the ink's x and y are uncorrelated."""
    height, width = drawing.shape
    ink = drawing.sum()
    y, x = torch.arange(float(height)), torch.arange(float(width))
    y, x = y - (drawing.sum(1) * y).sum() / ink, x - (drawing.sum(0) * x).sum() / ink
    variance = (drawing.sum(1) * y.square()).sum()
    if variance < ink / 12:  # a single row
        return drawing
    slant = float((torch.einsum("yx,y,x->", drawing, y, x) / variance).clamp(-1, 1))
    margin = math.ceil(abs(slant) * float(y.abs().max())) + 1
    wide = pad(drawing, (margin, margin))
    across = torch.arange(1 - wide.shape[1], wide.shape[1], 2) + 2 * slant * y[:, None]
    down = torch.arange(1 - height, height, 2)[:, None].expand_as(across)
    grid = torch.stack([across / wide.shape[1], down / height], 2)
    sheared = grid_sample(wide[None, None], grid[None], align_corners=False)[0, 0]
    rows, columns = ((sheared.amax(side) > 0.2).nonzero()[:, 0] for side in (1, 0))
    return sheared[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def to_rgb(picture: Picture, size: int) -> Tensor:
    """A picture as uint8 (3, size, size): its shorter side scaled to `size`, its middle cut out."""
    pixels = read_image(picture).float()
    _, height, width = pixels.shape
    scale = size / min(height, width)
    shape = [max(size, round(height * scale)), max(size, round(width * scale))]
    pixels = interpolate(pixels[None], shape, mode="bilinear", antialias=True)[0]
    top, left = (shape[0] - size) // 2, (shape[1] - size) // 2
    pixels = pixels[:, top : top + size, left : left + size].round().clamp(0, 255).byte()
    return pixels.expand(3, size, size).contiguous()


def _dilate(bitmap: Tensor) -> Tensor:
    """Ink to each neighbour above, below, left and right."""
    across = max_pool2d(bitmap[None], (1, 3), 1, (0, 1))[0]
    return torch.maximum(across, max_pool2d(bitmap[None], (3, 1), 1, (1, 0))[0])


def _stroke(bitmap: Tensor) -> float:
    """The width of the pen in pixels: of a long stroke, twice its area by its edge."""
    edge = bitmap.sum() + _dilate(1 - bitmap).sum() - bitmap.numel()
    return float(2 * bitmap.sum() / edge.clamp(min=1))


def _fit(drawing: Tensor, size: int) -> Tensor:
    """(height, width) scaled, its aspect kept, so that the longer side is `size`."""
    scale = size / max(drawing.shape)
    shape = [max(1, round(side * scale)) for side in drawing.shape]
    return interpolate(drawing[None, None], shape, mode="bilinear", antialias=True)[0, 0].clamp(
        0, 1
    )
