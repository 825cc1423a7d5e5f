"""A drawing found in a photograph: its ink, without the paper's light, dust, or a table's edge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import torch
from scipy import ndimage
from torch.nn.functional import interpolate

from etude.errors import UserError

Array: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
Labels: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.int32]]
Mask: TypeAlias = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

LOOKED_AT = 280  # pixels along the longer side in which a drawing is looked for
SMALL = 60  # pixels: a picture below is no photograph, and its ground is even
BLOCK = 4  # pixels: a picture made of larger blocks is a small one, enlarged
FAINTEST = 16.0  # of 255, the least by which ink differs from its ground
PENS = (0.25, 0.6)  # of the longer side: strokes are narrower; the second is tried if need be
SPECK = 0.04  # of the drawing's area, or of the picture's side: what is smaller is dust
EIGHT = np.ones((3, 3), bool)  # a pixel's neighbours, those at its corners included


def lengths(box: tuple[slice, ...]) -> list[int]:
    """Height and width of a box, in pixels."""
    return [int(side.stop - side.start) for side in box]


@dataclass(frozen=True)
class Part:
    """Connected ink."""

    number: int  # in the picture of labels
    box: tuple[slice, ...]
    area: float  # pixels
    ink: float  # the sum of its pixels
    contact: tuple[int, ...]  # pixels at the top, the bottom, the left and the right

    @property
    def size(self) -> int:
        """The longer side of its box."""
        return max(lengths(self.box))

    def gap(self, other: Part) -> int:
        """Pixels between the two boxes, along the axis on which there are more."""
        pairs = zip(self.box, other.box, strict=True)
        return max(max(int(a.start - b.stop), int(b.start - a.stop), 0) for a, b in pairs)

    def surrounds(self, other: Part) -> bool:
        """Whether the other's box lies within this one's, away from its sides."""
        pairs = zip(self.box, other.box, strict=True)
        return all(a.start < b.start and b.stop < a.stop for a, b in pairs)


@dataclass(frozen=True)
class Found:
    """What has been taken for the drawing."""

    mask: Mask
    drawn: Mask  # all that differs from the ground, whether it belongs to it or not
    box: tuple[slice, ...]
    strongest: float
    alike: bool  # another of like size lies beside it
    sign: int = -1  # of a dark pen; 1 of a light one
    edges: float = 0.0  # the part of its rim along which the picture has an edge

    @property
    def size(self) -> int:
        """The longer side of its box."""
        return max(lengths(self.box))

    @property
    def extent(self) -> int:
        """Pixels of its box."""
        height, width = lengths(self.box)
        return height * width

    @property
    def evidence(self) -> float:
        """How much speaks for it: what is drawn lies within the picture, and has edges."""
        inside = 1 - float(_border(self.mask).mean())
        return self.extent * self.strongest * self.edges**12 * inside


def drawing(brightness: Array, name: str, solid: bool = False) -> Array:
    """How much of each pixel is drawn, 0 to 1, cut to what is drawn.

    Paper is not lit evenly, and more than the paper may be in a photograph. So the ground is found
    anew around each stroke; and what touches the border (a table, a hand, the edge of a shadow), a
    frame around the drawing, and specks are left out. Only then is it decided whether the pen is
    dark or light. A tenth of the strongest ink is taken for noise.

    Args:
        brightness: (height, width), 0 to 255.
        name: What the picture is called in an error.
        solid: Whether shapes are filled, as clothes are: then the ground is the border's median,
            and whatever differs from it belongs to the drawing.

    Raises:
        UserError: nothing is drawn, or two drawings lie side by side.
    """
    image = _scaled(brightness, LOOKED_AT)
    if solid or max(image.shape) < SMALL or _is_enlarged(brightness, image):
        return _cut(_from_border(brightness, name))
    found = _look(image, name)
    if found.alike:
        raise UserError(
            f"{name} shows more than one drawing, side by side; cut out a picture of each"
        )
    scale = max(brightness.shape) / max(image.shape)
    if scale > 1.2 and found.size < 0.4 * LOOKED_AT:  # look closer
        around = 0.6 * found.size
        near = tuple(
            slice(max(0, round((side.start - around) * scale)), round((side.stop + around) * scale))
            for side in found.box
        )
        return drawing(brightness[near], name)
    return _cut(_ink(image, found))


def _look(image: Array, name: str) -> Found:
    """The drawing, by a dark or a light pen: that for which most speaks.

    A light pen leaves dark gaps between its strokes, and a dark pen light ones. But a gap ends
    where the window fits in again, and nothing is to be seen there, whereas strokes have edges all
    along; and a gap that is closed, as in a 0, reaches less far than the stroke around it.
    """
    quiet = _quiet(image)
    if filling := _filling(image, quiet):
        return filling
    tries: list[Found] = []
    for pen in PENS:
        for sign in (-1, 1):
            ground = _ground(quiet, sign, pen)
            contrast = _contrast(image, ground, sign)
            if chosen := _find(contrast):
                drawn = contrast > 0.15 * chosen.strongest
                edges = _edges(quiet, np.abs(quiet - ground), chosen.mask)
                tries.append(replace(chosen, drawn=drawn, sign=sign, edges=edges))
        if tries and max(tries, key=lambda found: found.extent).edges > 0.8:
            break
    if not tries:
        raise UserError(f"{name} is blank: nothing on it is lighter or darker than its ground")
    return max(tries, key=lambda found: found.evidence)


def _filling(image: Array, quiet: Array) -> Found | None:
    """A drawing that reaches all four sides of its picture, if it is one on an even ground."""
    difference = image - np.median(_border(quiet))
    sign = (
        1 if np.square(difference.clip(0)).sum() > np.square(difference.clip(max=0)).sum() else -1
    )
    contrast = sign * difference
    strongest = float(contrast.max())
    if strongest < FAINTEST:
        return None
    labels, parts = _parts(contrast, 0.25 * strongest)
    contact = [sum(part.contact[k] for part in parts) for k in range(4)]
    if not all(contact) or sum(contact) > sum(image.shape):  # half the border: a table, perhaps
        return None
    found = _together(contrast, labels, parts)
    edges = _edges(quiet, contrast, found.mask)
    return replace(found, sign=sign, edges=edges) if edges > 0.9 else None


def _edges(quiet: Array, contrast: Array, mask: Mask) -> float:
    """The part of a shape's rim along which the picture has an edge."""
    rim = mask & ~ndimage.binary_erosion(mask, EIGHT)
    step = ndimage.maximum_filter(quiet, 7) - ndimage.minimum_filter(quiet, 7)
    return float((step > 0.6 * ndimage.maximum_filter(contrast, 7))[rim].mean())


def _scaled(image: Array, size: int) -> Array:
    """Made so small that the longer side is `size` at most."""
    scale = size / max(image.shape)
    if scale >= 1:
        return image
    shape = [max(1, round(side * scale)) for side in image.shape]
    pixels = torch.from_numpy(np.ascontiguousarray(image))[None, None]
    small: Array = interpolate(pixels, shape, mode="bilinear", antialias=True)[0, 0].numpy()
    return small


def _is_enlarged(brightness: Array, image: Array) -> bool:
    """Whether a picture shows no more than a small one does: one that was made larger.

    Then its pixels are blocks, or it comes back when it is made small and large again, as no
    photograph does, and no drawing with a sharp pen.
    """
    if all(_least_run(brightness, axis) >= BLOCK for axis in (0, 1)):
        return True
    small = torch.from_numpy(_scaled(image, SMALL - 1))[None, None]
    back = interpolate(small, image.shape, mode="bicubic")[0, 0].numpy()
    darkest, lightest = np.quantile(image, (0.01, 0.99))  # without dust
    return bool(np.quantile(np.abs(back - image), 0.99) < 0.04 * (lightest - darkest))


def _least_run(image: Array, axis: int) -> int:
    """How many lines along an axis are alike, one behind the other, where the fewest are."""
    changes = np.flatnonzero(np.diff(image, axis=axis).any(1 - axis))
    return int(np.diff(changes).min()) if len(changes) > 1 else 0


def _border(image: Any) -> Any:
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def _from_border(image: Array, name: str) -> Array:
    """Ink where the ground is even: in that direction from it, lighter or darker, in which there is
    more.
    """
    difference = image - np.median(_border(image))
    sides = (difference.clip(min=0), (-difference).clip(min=0))
    drawn = max(sides, key=lambda side: float(np.square(side).sum()))
    if drawn.max() < FAINTEST:
        raise UserError(f"{name} is blank: nothing on it is lighter or darker than its border")
    return _without_noise(drawn, float(drawn.max()))


def _without_noise(drawn: Array, strongest: float) -> Array:
    return ((drawn / strongest - 0.1) / 0.9).clip(0, 1)


def _cut(drawn: Array) -> Array:
    rows, columns = (np.flatnonzero(drawn.max(side) > 0.2) for side in (1, 0))
    return drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _quiet(image: Array) -> Array:
    """With less grain and without single dark pixels, but with sharp edges: medians of three along
    columns and rows, twice.
    """
    for _ in range(2):
        for axis in (0, 1):
            ends = [(1, 1) if k == axis else (0, 0) for k in (0, 1)]
            padded = np.moveaxis(np.pad(image, ends, mode="edge"), axis, 0)
            before, here, after = padded[:-2], padded[1:-1], padded[2:]
            low, high = np.minimum(before, after), np.maximum(before, after)
            image = np.moveaxis(np.clip(here, low, high), 0, axis)
    return np.ascontiguousarray(image)


def _ground(quiet: Array, sign: int, pen: float) -> Array:
    """What is left when all that is darker (or lighter) and narrower than a window is closed.

    Light that falls off, the edge of a shadow and a table are wider than that, and stay.
    """
    change = ndimage.grey_opening if sign > 0 else ndimage.grey_closing
    size = max(3, round(pen * max(quiet.shape)))
    ground: Array = change(quiet, (size, size), mode="nearest")
    return ground


def _contrast(image: Array, ground: Array, sign: int) -> Array:
    """How much darker (sign -1) or lighter (1) than its ground each pixel is.

    Ink on paper is multiplied up where it is dim, for in half the light it has half the contrast.
    """
    difference: Array = sign * (image - ground)
    if sign < 0:
        difference *= np.median(ground) / ground.clip(min=16)
    contrast: Array = difference - np.median(difference)
    return contrast


def _parts(ink: Array, level: float) -> tuple[Labels, list[Part]]:
    labels, n = ndimage.label(ink > level, EIGHT)
    numbers = np.arange(1, n + 1)
    areas = ndimage.sum_labels(np.ones_like(ink), labels, numbers)
    sums = ndimage.sum_labels(ink, labels, numbers)
    sides = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    contacts = np.stack([np.bincount(side, minlength=n + 1)[1:] for side in sides], 1)
    boxes = ndimage.find_objects(labels)
    rows = zip(boxes, areas, sums, contacts.tolist(), strict=True)
    return labels, [
        Part(i, b, float(a), float(s), tuple(c)) for i, (b, a, s, c) in enumerate(rows, 1)
    ]


def _find(contrast: Array) -> Found | None:
    """The drawing among all that differs from its ground."""
    side = max(contrast.shape)
    noise = 1.4826 * float(np.median(np.abs(contrast - ndimage.uniform_filter(contrast, 3))))
    least = max(FAINTEST, 2.5 * noise)
    left = ndimage.gaussian_filter(contrast, side / 300)
    tries: list[tuple[float, Found]] = []
    everything: Found | None = None
    floor, shapes = _parts(left, 0.6 * least)
    if shapes:
        everything = _together(left, floor, shapes)
    specks = [shape.number for shape in shapes if shape.size < SPECK * side]
    left = np.where(np.isin(floor, specks), 0, left)
    for _ in range(4):  # the strongest first: beside a dark table a pencil is hard to see
        strongest = float(left.max())
        if strongest < least:
            break
        for part_of_it in (0.25, 0.5, 0.7):  # what nearly touches a table does not do so higher up
            labels, parts = _parts(left, max(part_of_it * strongest, 0.6 * least))
            large = [part for part in parts if part.size >= SPECK * side]
            inner = [part for part in large if not _outside(part, side)]
            inner = [part for part in inner if not _is_frame(part, large, labels)]
            if inner:
                main = max(inner, key=_worth)
                tries.append((_worth(main), _belonging(left, labels, main, inner)))
                break
        left = np.where(np.isin(floor, np.unique(floor[labels > 0])), 0, left)
    return max(tries, key=lambda each: each[0])[1] if tries else everything


def _worth(part: Part) -> float:
    return part.ink * (0.25 if any(part.contact) else 1)


def _outside(part: Part, side: int) -> bool:
    """Whether it comes into the picture from outside: a table, a hand, a line across."""
    return sum(map(bool, part.contact)) > 1 or sum(part.contact) > 0.12 * side


def _is_frame(part: Part, parts: list[Part], labels: Labels) -> bool:
    """Whether it is a box drawn around the drawing: straight along all four sides."""
    if not any(part.surrounds(other) and other.size > 0.25 * part.size for other in parts):
        return False
    mask = labels[part.box] == part.number
    sides = [np.rot90(mask, turn) for turn in range(4)]
    return all(side[: max(1, len(side) // 8)].any(0).mean() > 0.8 for side in sides)


def _belonging(left: Array, labels: Labels, main: Part, parts: list[Part]) -> Found:
    """The main part with what belongs to it: the hat of a 5, and no speck."""

    def belongs(part: Part) -> bool:
        near = 0.1 if any(part.contact) else 0.5
        return part.area >= SPECK * main.area and part.gap(main) <= near * main.size

    alike = any(
        part is not main
        and part.size >= 0.5 * main.size
        and part.ink / part.area >= 0.6 * main.ink / main.area  # as the edge of a shadow is not
        and part.gap(main) >= 0.1 * main.size
        for part in parts
    )
    kept = [part for part in parts if part is main or belongs(part)]
    return _together(left, labels, kept, alike)


def _together(left: Array, labels: Labels, parts: list[Part], alike: bool = False) -> Found:
    largest = max(part.area for part in parts)
    parts = [part for part in parts if part.area >= SPECK * largest]
    mask = np.isin(labels, [part.number for part in parts])
    box = tuple(
        slice(min(part.box[k].start for part in parts), max(part.box[k].stop for part in parts))
        for k in (0, 1)
    )
    return Found(mask, mask, box, float(left[mask].max()), alike)


def _ink(image: Array, found: Found) -> Array:
    """The drawing's ink from 0 to 1, by the ground right beside it."""
    reach = max(1, round(max(image.shape) / 100))
    drawn = ndimage.binary_dilation(found.drawn, EIGHT, reach)
    nearest = ndimage.distance_transform_edt(drawn, return_distances=False, return_indices=True)
    contrast = _contrast(image, _quiet(image)[tuple(nearest)], found.sign)
    strongest = float(np.percentile(contrast[found.mask], 98))
    near = ndimage.binary_dilation(found.mask, EIGHT, reach)
    return np.where(near, _without_noise(contrast, strongest), 0).astype(np.float32)
