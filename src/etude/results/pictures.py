"""A run's cover, small: what stands for its study in the catalogue."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

from etude.errors import UserError
from etude.runs.folder import RunFolder

SIZE = (480, 320)  # pixels, at most


def cover(folder: RunFolder) -> Path | None:
    """The figure that the study chose, else the one that was made first, as PNG; None where there
    is none.
    """
    drawn = [path for path in folder.pictures() if path.suffix == ".png"]
    chosen = None
    with suppress(UserError):  # a damaged result is told where it is asked for
        chosen = (folder.result() or {}).get("cover")
    return next((path for path in drawn if path.stem == chosen), drawn[0] if drawn else None)


def small(path: Path) -> bytes:
    """A picture as WebP, small enough for a card."""
    from PIL import Image

    with Image.open(path) as picture:
        flat = picture.convert("RGB")
    flat.thumbnail(SIZE)
    out = io.BytesIO()
    flat.save(out, "webp", quality=75, method=6)
    return out.getvalue()
