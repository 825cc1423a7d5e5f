from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from etude import UserError
from etude.figures.curves import compared
from etude.results.compare import compare, draw
from etude.runs.folder import RunFolder


@pytest.fixture
def two(run: Path, place: Path) -> list[RunFolder]:
    other = tiny.run(place / "tiny.py", place / "runs", seed=1, hidden=7, more=(4, 4))
    return [RunFolder(run), other.folder]


def test_only_what_differs_is_told(two: list[RunFolder]) -> None:
    found = compare(two)
    assert found.differing == {"seed": [0, 1], "hidden": [5, 7], "more": [[8], [4, 4]]}
    assert found.runs == [folder.name for folder in two]
    assert found.states == ["finished", "finished"]
    results = [folder.result() for folder in two]
    assert all(results)
    for metric in ("test/accuracy", "test/loss"):
        assert found.metrics[metric] == [result["metrics"][metric] for result in results if result]
    assert found.metrics["test/loss"][0] != found.metrics["test/loss"][1]
    assert found.seconds == [result["seconds"] for result in results if result]


def test_a_run_that_lacks_a_metric_has_none(two: list[RunFolder]) -> None:
    tiny.alter(two[0].path, "result.json", metrics={"other": 1.0})
    found = compare(two)
    assert found.metrics["other"] == [1.0, None]
    assert found.metrics["test/loss"][0] is None
    assert found.metrics["test/loss"][1] is not None
    (two[1].result_json).unlink()
    assert compare(two).seconds[1] is None


def test_one_run_is_too_few(two: list[RunFolder]) -> None:
    with pytest.raises(UserError, match="at least two runs"):
        compare(two[:1])


@pytest.mark.parametrize(
    ("ending", "begins"), [(".svg", b"<?xml"), (".png", b"\x89PNG"), (".pdf", b"%PDF")]
)
def test_the_figure_is_drawn(
    two: list[RunFolder], tmp_path: Path, ending: str, begins: bytes
) -> None:
    path = tmp_path / f"curves{ending}"
    assert draw(two, ["1", "2"], path)
    assert path.read_bytes().startswith(begins)


def test_the_figure_has_a_panel_for_each_metric_and_a_line_for_each_run() -> None:
    line = ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0])
    runs = {
        "1": {"loss": {"": line}, "accuracy": {"first": line, "second": line}},
        "2": {"loss": {"": line}},
        "3": {"loss": {"": line}, "rate": {"": line}},
    }
    figure = compared(runs)
    lines = {axes.get_title(loc="left"): len(axes.lines) for axes in figure.axes}
    assert lines == {"loss": 3, "accuracy": 2, "rate": 1}
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["1", "2", "3"]
    colours = [line.get_color() for line in figure.axes[0].lines]
    assert len(set(colours)) == 3


def test_without_curves_nothing_is_drawn(two: list[RunFolder], tmp_path: Path) -> None:
    for folder in two:
        folder.metrics_jsonl.write_text("")
    assert not draw(two, ["1", "2"], tmp_path / "curves.svg")
    assert not (tmp_path / "curves.svg").exists()


def test_a_wrong_ending_or_folder_gets_a_sentence(two: list[RunFolder], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected one of .svg, .png, .pdf"):
        draw(two, ["1", "2"], tmp_path / "curves.bmp")
    with pytest.raises(UserError, match="there is no folder"):
        draw(two, ["1", "2"], tmp_path / "nowhere" / "curves.svg")
