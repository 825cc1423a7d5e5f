"""Digits as people photograph them: drawings of 280 pixels with what else is in the picture."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 280
PAPER, PEN = 235.0, 40.0
y, x = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) - 0.5


def drawn(digit, size=SIDE, scale=6.0):
    """Ink from 0 to 1, (size, size), of a digit of 28×28 pixels from 0 to 1, with a sharp pen."""
    small = Image.fromarray((digit * 255).astype(np.uint8))
    side = round(28 * scale)
    large = np.asarray(small.resize((side, side), Image.Resampling.BICUBIC)) / 255
    ink = np.clip((large - 0.25) / 0.5, 0, 1)
    before = (size - side) // 2
    return np.pad(ink, (before, size - side - before))


def on_paper(ink, paper=PAPER, pen=PEN):
    """Brightness."""
    return paper + (pen - paper) * ink


def _speck(photo, size, random):
    photo = photo.copy()
    row, column = ((10, 10), (20, 250), (260, 30), (250, 260))[random.integers(4)]
    photo[row : row + size, column : column + size] = PEN
    return photo


def _light(by):
    def change(ink, random):
        angle = random.uniform(0, 2 * np.pi)
        along = np.cos(angle) * x + np.sin(angle) * y
        along = (along - along.min()) / np.ptp(along)
        return on_paper(ink) * (1 - by * along)

    return change


def _shadow(soft):
    def change(ink, random):
        corner = np.rot90(x + y < -0.25, random.integers(4)).astype(float)
        return on_paper(ink) * (1 - 0.45 * ndimage.gaussian_filter(corner, soft))

    return change


def _table(ink, random, width=24, corner=False, around=False, tilt=0.0):
    table = x + tilt * y < -0.5 + width / SIDE
    if corner or around:
        table |= y < -0.5 + width / SIDE
    if around:
        table |= table[::-1, ::-1]
    return np.where(np.rot90(table, random.integers(4)), 80.0, on_paper(ink))


def _noise(photo, by, random):
    return photo + random.normal(0, by, photo.shape)


def _jpeg(ink, random):
    file = io.BytesIO()
    Image.fromarray(on_paper(ink).astype(np.uint8)).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file)).astype(float)


def _boxed(ink, random):
    photo = on_paper(ink)
    for row in (12, 13, 14, -13, -14, -15):
        photo[row, 12:-12] = photo[12:-12, row] = PEN
    return photo


def _ruled(ink, random):
    photo = on_paper(ink)
    photo[::28] *= 0.85
    return photo


def _small(ink, random):
    small = np.asarray(Image.fromarray(ink.astype(np.float32)).resize((150, 150)))
    row, column = random.integers(50, 800, 2)
    sheet = np.zeros((1000, 1000))
    sheet[row : row + 150, column : column + 150] = small
    return on_paper(sheet)


def _as_telephones_take_it(ink, random):
    photo = _light(0.35)(ink, random)
    table = np.rot90(x < -0.44, random.integers(4))
    photo = _noise(np.where(table, 80.0, photo), 8, random)
    return ndimage.gaussian_filter(_speck(photo, 3, random), 0.8)


# What is wrong with the picture, and how it comes about from the ink.
KINDS: dict[str, Callable] = {
    "clean": lambda ink, random: on_paper(ink),
    "one dark pixel": lambda ink, random: _speck(on_paper(ink), 1, random),
    "speck": lambda ink, random: _speck(on_paper(ink), 4, random),
    "light falls off by 20 %": _light(0.2),
    "light falls off by 40 %": _light(0.4),
    "light falls off by 60 %": _light(0.6),
    "vignette": lambda ink, random: on_paper(ink) * (1 - (x**2 + y**2)),
    "shadow over a corner": _shadow(1.0),
    "soft shadow over a corner": _shadow(8.0),
    "table": _table,
    "table at an angle": lambda ink, random: _table(ink, random, tilt=0.06),
    "table at a corner": lambda ink, random: _table(ink, random, corner=True),
    "table all around": lambda ink, random: _table(ink, random, around=True),
    "grain": lambda ink, random: _noise(on_paper(ink), 15, random),
    "JPEG": _jpeg,
    "pencil": lambda ink, random: on_paper(ink, pen=195),
    "pencil, grain, light": lambda ink, random: _noise(
        on_paper(ink, pen=180) * (1 - 0.4 * (x + 0.5)), 4, random
    ),
    "pencil and dust": lambda ink, random: _speck(on_paper(ink, pen=190), 3, random),
    "small": _small,
    "white on black": lambda ink, random: on_paper(ink, 25, 230),
    "chalk in uneven light": lambda ink, random: _noise(
        on_paper(ink, 40, 220) * (1 - 0.4 * (x + 0.5)), 5, random
    ),
    "white on black, table": lambda ink, random: np.where(x < -0.42, 200, on_paper(ink, 25, 230)),
    "lines": _ruled,
    "box": _boxed,
    "telephone": _as_telephones_take_it,
}

# Those by which the strokes themselves become others.
STROKES: dict[str, Callable] = {
    "thick": lambda ink, random: on_paper(ndimage.grey_dilation(ink, (9, 9))),
    "thin": lambda ink, random: on_paper(ndimage.grey_erosion(ink, (4, 4))),
    "tight": lambda ink, random: on_paper(
        np.pad(ink[np.ix_(*(np.flatnonzero(ink.max(k) > 0.5) for k in (1, 0)))], 6)
    ),
}


def photograph(digit, kind, random):
    """Bytes (height, width) of a digit of 28×28 pixels from 0 to 1."""
    return np.clip(np.round((KINDS | STROKES)[kind](drawn(digit), random)), 0, 255).astype(np.uint8)


def two(first, second):
    """Bytes (280, 280) of two digits side by side."""
    ink = np.zeros((SIDE, SIDE))
    ink[70:210, :140], ink[70:210, 140:] = (drawn(each, 140, 4.2) for each in (first, second))
    return np.round(on_paper(ink)).astype(np.uint8)
