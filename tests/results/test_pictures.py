from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image

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
