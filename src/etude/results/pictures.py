"""A run's pictures, small: what stands for its study in the catalogue and in its README."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

from etude.errors import UserError
from etude.runs.folder import RunFolder

SIZE = (480, 320)  # pixels of a cover, at most
LARGER = (760, 560)  # of another figure
OTHERS = 2  # figures beside the cover that a study's README shows


def cover(folder: RunFolder) -> Path | None:
    """The figure that the study chose, else the one that was made first, as PNG; None where there
    is none.
    """
    drawn = [path for path in folder.pictures() if path.suffix == ".png"]
    chosen = None
    with suppress(UserError):  # a damaged result is told where it is asked for
        chosen = (folder.result() or {}).get("cover")
    return next((path for path in drawn if path.stem == chosen), drawn[0] if drawn else None)


def others(folder: RunFolder) -> list[Path]:
    """The first figures beside the cover, as PNG."""
    chosen = cover(folder)
    drawn = [path for path in folder.pictures() if path.suffix == ".png" and path != chosen]
    return drawn[:OTHERS]


def small(path: Path, size: tuple[int, int] = SIZE) -> bytes:
    """A picture as WebP of at most ``size`` pixels; by default small enough for a card."""
    from PIL import Image

    with Image.open(path) as picture:
        flat = picture.convert("RGB")
    flat.thumbnail(size)
    out = io.BytesIO()
    flat.save(out, "webp", quality=75, method=6)
    return out.getvalue()
