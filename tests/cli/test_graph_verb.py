"""``etude graph`` as a user types it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import tiny
from etude.catalogue import Catalogue
from etude.cli import main
from etude.cli.graph import Options

CONVOLUTIONAL = """nn.Sequential(
            nn.Conv2d(1, self.hidden, 5, padding=2, bias=False).requires_grad_(False),
            nn.BatchNorm2d(self.hidden),
            nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * self.hidden, 2),
        )"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with two studies of one's own."""
    tiny.write(tmp_path)
    tiny.write(
        tmp_path,
        name="seen.py",
        old_1="nn.Sequential(MLP(4, [self.hidden, *self.more], 2), nn.Dropout(0.1))",
        new_1=CONVOLUTIONAL,
        old_2="zeros(2, 4)",
        new_2="zeros(2, 1, 8, 8)",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(["graph", *words]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def test_the_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "./seen.py", "--hidden", "24")
    rows = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    assert rows[0] == "module output parameters FLOPs receptive field"
    assert rows[2:] == [
        "input 1 × 8 × 8 1 × 1",
        "Sequential 2 1,418 78.3 k all",
        "0: Conv2d 5×5, 1 → 24 24 × 8 × 8 600 76.8 k 5 × 5",
        "1: BatchNorm2d 24 × 8 × 8 48 5 × 5",
        "2: ReLU 24 × 8 × 8 5 × 5",
        "3: MaxPool2d 2 24 × 4 × 4 6 × 6",
        "4: Flatten 384 6 × 6",
        "5: Linear 384 → 2 2 770 1.54 k all",
        "1,418 parameters, 818 of them trained · 78.3 k FLOPs forward, for one example",
        (
            "FLOPs are counted in convolutions and matrix products, two for a multiplication with"
            " its addition."
        ),
    ]
    assert {path.name for path in here.iterdir()} - {"__pycache__"} == {
        "tiny.py",
        "seen.py",
    }, "no run, no picture"


def test_fields_and_scales_change_the_network(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "digits", "--width", "32", "--scale=full")
    assert "1 → 32" in text
    assert "1 × 28 × 28" in text
    assert "5 × (Linear, relu)" in said(capsys, "spirals", "--layers", "6")
    assert "5 × (" not in said(capsys, "spirals", "--layers", "6", "--full")


def test_a_study_of_ones_own(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a window no receptive field; and modules opened as deep as asked."""
    text = said(capsys, "./tiny.py", "--hidden", "5", "--more", "6", "7")
    for words in ("0: Linear 4 → 5", "2: Linear 6 → 7", "3: Linear 7 → 2", "1: Dropout"):
        assert words in text
    assert "receptive" not in text
    assert "Linear" not in said(capsys, "./tiny.py", "--open", "1")


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, "./seen.py", "--json", "--scale", "full"))
    rows = found.pop("rows")
    assert found == {
        "network": "seen",
        "parameters": 946,
        "trained": 546,
        "idle": 0,
        "flops": 52224,
    }
    assert rows[2] == {
        "level": 1,
        "name": "0",
        "operation": "Conv2d 5×5, 1 → 16",
        "output": [16, 8, 8],
        "parameters": 400,
        "flops": 2 * 25 * 16 * 64,
        "receptive_field": [5, 5],
        "from": [0],
    }
    assert [row["from"] for row in rows] == [[], [], [0], [2], [3], [4], [5], [6]]
    assert sum(row["parameters"] for row in rows[2:]) == 946


def test_the_picture(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "spirals", "--svg").splitlines()[-1] == "spirals-graph.svg"
    for words, file in (
        (["--svg", "--layers", "2"], "spirals-graph.svg"),
        (["--svg", "net.svg"], "net.svg"),
    ):
        said(capsys, "spirals", *words, "--json")
        text = (here / file).read_text(encoding="utf-8")
        ElementTree.fromstring(text)
        assert "Linear 2 → 64" in text
        assert ("× 2" in text) == (file == "net.svg")
    said(capsys, "./tiny.py", "--svg=tiny.svg", "--full")
    assert {path.name for path in here.iterdir()} >= {"spirals-graph.svg", "net.svg", "tiny.svg"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["digts"], "no study 'digts'; did you mean 'digits'?"),
        (["--svg"], "etude graph: expected a study before --svg; 'etude list' shows them"),
        (["digits", "--wdth", "3"], "study digits has no option '--wdth'; did you mean '--width'?"),
        (["digits", "--width", "0"], "digits: width is 0; expected a whole number of at least 1"),
        (["digits", "--open", "-1"], "digits: open is -1; expected a whole number of at least 0"),
        (["digits", "--scale", "huge"], "study digits has no scale 'huge'; there is "),
        (["digits", "--svg", "net.png"], "net.png has the ending '.png'; expected .svg"),
        (["digits", "--svg", "no/net.svg"], "no/net.svg can't be written: there is no folder no"),
        (["digits", "more"], "digits: "),
        (["./none.py"], "study none gives no example input; expected a method example(self)"),
        (
            ["./bad.py"],
            "the network of study bad can't be applied to its example: mat1 and mat2 shapes",
        ),
    ],
    ids=" ".join,
)
def test_mistakes_get_one_sentence(
    words: list[str], sentence: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(here, name="none.py", old_1="def example", new_1="def instance")
    tiny.write(here, name="bad.py", old_1="zeros(2, 4)", new_1="zeros(2, 3)")
    assert main(["graph", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"etude: {sentence}")
    assert not (here / "digits-graph.svg").exists()


def test_no_field_has_the_name_of_an_option() -> None:
    options = {option.name for option in dataclasses.fields(Options)}
    for entry in Catalogue().all():
        assert not options & {field.name for field in entry.fields}, entry.name
