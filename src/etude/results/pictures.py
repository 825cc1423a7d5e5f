"""A run's first figure, small: what stands for its study in the catalogue."""

from __future__ import annotations

import io
from pathlib import Path

from etude.runs.folder import RunFolder

SIZE = (480, 320)  # pixels, at most


def first_picture(folder: RunFolder) -> Path | None:
    """The figure that was made first, as PNG; None where there is none."""
    return next((path for path in folder.pictures() if path.suffix == ".png"), None)


def small(path: Path) -> bytes:
    """A picture as WebP, small enough for a card."""
    from PIL import Image

    with Image.open(path) as picture:
        flat = picture.convert("RGB")
    flat.thumbnail(SIZE)
    out = io.BytesIO()
    flat.save(out, "webp", quality=75, method=6)
    return out.getvalue()
