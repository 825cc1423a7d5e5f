"""Animations, and how they become small GIF files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from PIL import Image

DPI = 100


@dataclass
class Film:
    """One figure that changes from frame to frame.

    Attributes:
        figure: what is drawn on.
        draw: puts a frame, by its number from 0 on, on the figure, and returns all that it changes;
            the rest is drawn once for all frames. Where it returns None, each frame is drawn as a
            whole.
        frames: how many there are.
    """

    figure: Figure
    draw: Callable[[int], Sequence[Artist] | None]
    frames: int

    def shots(self) -> Iterator[Image.Image]:
        """The frames as pictures. Afterwards the figure shows the last."""
        figure, canvas, dpi = self.figure, self.figure.canvas, self.figure.dpi
        figure.set_dpi(DPI)
        moving = self.draw(0)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the layout is found once, not for every frame
        for artist in moving or ():
            artist.set_animated(True)
        canvas.draw()
        ground = canvas.copy_from_bbox(figure.bbox)  # type: ignore[attr-defined]  # as below, only Agg's
        for frame in range(self.frames):
            changed = self.draw(frame)
            if changed is None:
                canvas.draw()
            else:
                canvas.restore_region(ground)  # type: ignore[attr-defined]
                for artist in sorted(changed, key=Artist.get_zorder):
                    figure.draw_artist(artist)
            pixels = np.asarray(canvas.buffer_rgba())  # type: ignore[attr-defined]
            yield Image.fromarray(pixels[..., :3].copy())
        for artist in moving or ():
            artist.set_animated(False)
        figure.set_dpi(dpi)


def write_gif(shots: Sequence[Image.Image], path: Path, fps: int) -> None:
    """All with one palette, made of four of them spread over the whole, and without dithering.

    So only what moves takes room: a tenth of what it is with a palette for each.
    """
    chosen = [shots[i * (len(shots) - 1) // 3] for i in range(4)]
    width, height = chosen[0].size
    sheet = Image.new("RGB", (width, 4 * height))
    for i, shot in enumerate(chosen):
        sheet.paste(shot, (0, i * height))
    palette = sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    first, *others = (shot.quantize(palette=palette, dither=Image.Dither.NONE) for shot in shots)
    first.save(
        path, format="GIF", save_all=True, append_images=others, duration=1000 // fps, loop=0
    )
