from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

from etude.errors import UserError
from etude.results.pictures import SIZE, cover, small
from etude.runs.folder import RunFolder


@pytest.fixture
def drawn(run: Path) -> RunFolder:
    """A finished run with three figures, and no word on which is its cover."""
    folder = RunFolder(run)
    folder.figures.mkdir(exist_ok=True)
    for old in folder.figures.iterdir():
        old.unlink()
    for number, name in enumerate(("second", "first", "third")):
        Image.new("RGB", (900 + number, 450), (number, 0, 0)).save(folder.figures / f"{name}.png")
        (folder.figures / f"{name}.svg").write_text("<svg/>")
    return folder


def say(folder: RunFolder, **more: str) -> None:
    result = json.loads((folder.path / "result.json").read_text())
    (folder.path / "result.json").write_text(json.dumps({**result, **more}))


def test_the_chosen_figure_is_the_cover(drawn: RunFolder) -> None:
    say(drawn, cover="third")
    found = cover(drawn)
    assert found
    assert found.name == "third.png"


@pytest.mark.parametrize("spoil", ["none chosen", "one that is gone", "a damaged result"])
def test_else_it_is_the_first_that_there_is(drawn: RunFolder, spoil: str) -> None:
    if spoil == "one that is gone":
        say(drawn, cover="fourth")
    if spoil == "a damaged result":
        (drawn.path / "result.json").write_text("{")
    assert cover(drawn) == next(path for path in drawn.pictures() if path.suffix == ".png")


def test_a_run_without_figures_has_none(drawn: RunFolder) -> None:
    for path in drawn.figures.iterdir():
        path.unlink()
    assert cover(drawn) is None


def test_it_is_made_small_and_keeps_its_shape(drawn: RunFolder) -> None:
    found = cover(drawn)
    assert found
    with Image.open(io.BytesIO(small(found))) as picture:
        assert picture.format == "WEBP"
        assert picture.width == SIZE[0]
        assert abs(picture.width / picture.height - 2) < 0.02


EPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"


@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", EPS.encode(), b"GIF89a" + bytes(20)]
)
def test_a_figure_that_is_no_png_gets_a_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png can't be read as PNG"):
        small(tmp_path / "a.png")


def test_a_figure_has_a_limit(tmp_path: Path) -> None:
    Image.new("1", (8_000, 8_000)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="a.png is too large: 8,000×8,000 pixels"):
        small(tmp_path / "a.png")


def test_a_figure_that_is_a_link_is_not_read(drawn: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "other.png"
    Image.new("RGB", (90, 45)).save(other)
    (drawn.figures / "first.png").unlink()
    (drawn.figures / "first.png").symlink_to(other)
    assert cover(drawn) is None
    with pytest.raises(UserError, match="is a link"):
        small(drawn.figures / "first.png")
