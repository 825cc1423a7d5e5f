"""Animations as small GIF files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.animation import AbstractMovieWriter
from matplotlib.figure import Figure
from PIL import Image


class GifWriter(AbstractMovieWriter):
    """Keeps each frame as it was drawn, and at the end writes all with one palette and without dithering.

    So only what moves takes room, and nothing is drawn a second time: a tenth of the size, and a third of the time, of
    ``PillowWriter``.
    """

    def setup(self, fig: Figure, outfile: Any, dpi: float | None = None) -> None:
        """Begin; ``outfile`` is a path."""
        super().setup(fig, outfile, dpi)
        self.frames: list[Image.Image] = []

    def grab_frame(self, **options: Any) -> None:
        """Take what the canvas shows."""
        pixels = np.asarray(self.fig.canvas.buffer_rgba())  # type: ignore[attr-defined]
        self.frames.append(Image.fromarray(pixels[..., :3].copy()))

    def finish(self) -> None:
        """Write the file; the palette is made of four frames, spread over the whole."""
        chosen = [self.frames[i * (len(self.frames) - 1) // 3] for i in range(4)]
        width, height = chosen[0].size
        sheet = Image.new("RGB", (width, 4 * height))
        for i, frame in enumerate(chosen):
            sheet.paste(frame, (0, i * height))
        palette = sheet.quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames]
        flat[0].save(
            Path(self.outfile), format="GIF", save_all=True, append_images=flat[1:], duration=1000 // self.fps, loop=0
        )
