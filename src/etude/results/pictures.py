"""A run's pictures, small: what stands for its study in the catalogue and in its README."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

from etude.errors import UserError
from etude.runs import files
from etude.runs.folder import RunFolder

SIZE = (480, 320)  # pixels of a cover, at most
LARGER = (760, 560)  # of another figure
MOST_PIXELS = 32_000_000  # of a figure, before it is made small
OTHERS = 2  # figures beside the cover that a study's README shows


def cover(folder: RunFolder) -> Path | None:
    """The figure that the study chose, else the one that was made first, as PNG; None where there
    is none.
    """
    drawn, chosen = [], None
    with suppress(UserError):  # what is damaged is told where it is asked for, not in a list
        drawn = [path for path in folder.pictures() if path.suffix == ".png"]
        chosen = (folder.result() or {}).get("cover")
    return next((path for path in drawn if path.stem == chosen), drawn[0] if drawn else None)


def others(folder: RunFolder) -> list[Path]:
    """The first figures beside the cover, as PNG."""
    chosen = cover(folder)
    drawn = [path for path in folder.pictures() if path.suffix == ".png" and path != chosen]
    return drawn[:OTHERS]


def small(path: Path, size: tuple[int, int] = SIZE) -> bytes:
    """A picture as WebP of at most ``size`` pixels; by default small enough for a card.

    Raises:
        UserError: it is no PNG, which figures are, or has more pixels than a figure.
    """
    from PIL import Image

    try:
        # named formats only: Pillow hands some others, as EPS, to programs that execute them
        with Image.open(io.BytesIO(files.read(path, files.PICTURE)), formats=["PNG"]) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise UserError(
                    f"{path} is too large: {picture.width:,}×{picture.height:,} pixels; expected at"
                    f" most {MOST_PIXELS:,}"
                )
            flat = picture.convert("RGB")
    except UserError:
        raise
    except Exception as error:  # decoders fail on damaged files in many ways
        raise UserError(f"{path} can't be read as PNG: {error}") from error
    flat.thumbnail(size)
    out = io.BytesIO()
    flat.save(out, "webp", quality=75, method=6)
    return out.getvalue()
