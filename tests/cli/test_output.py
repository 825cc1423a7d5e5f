"""What a terminal obeys rather than shows never reaches it from a file."""

from __future__ import annotations

import ast
import io
import json
import re
from contextlib import suppress
from pathlib import Path

import pytest

import etude
from etude.cli import main, output
from etude.cli.output import echo
from etude.cli.tables import Column, table_lines
from etude.errors import UserError, printable, verb
from etude.runs.progress import Progress

CLEAR, TITLE, HIDE = "\x1b[2J", "\x1b]0;owned\x07", "\x9b8m"  # the last: one sign for ESC [
BIDI, BACK, LINE = "\u202egnp.exe\u2066", "\r\b\x7f", "\u2028\x85"
EVIL = f"a{CLEAR}b{TITLE}c{HIDE}d{BIDI}e{BACK}f{LINE}g"
OBEYED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def obeyed(text: str) -> list[str]:
    """The signs of a text that a terminal would obey, line ends apart."""
    return OBEYED.findall(text)


def test_what_is_obeyed_is_escaped_and_what_is_shown_is_not() -> None:
    assert len(obeyed(EVIL)) == 11
    assert obeyed(printable(EVIL)) == []
    assert printable("a\x1b[2Jb\n") == r"a\x1b[2Jb\n"
    assert printable("a\tb\nc\r", keep="\n\t") == "a\tb\nc\\r"
    for shown in ("Größe σ² → ∞", "数字　の", "12.3\xa0min", "😀", ""):
        assert printable(shown) == shown
    assert obeyed(str(UserError(EVIL))) == []


def test_json_holds_escapes_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"nämé": EVIL + "\n\U000e0041", "n": 1}
    for indent in (2, None):
        output.echo_json(value, indent)
        text = capsys.readouterr().out
        assert obeyed(text) == []
        assert "nämé" in text
        assert json.loads(text) == value


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs and a study whose every text is hostile, as one unpacks them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        f'"""A title {EVIL}.\n\nA lesson {CLEAR}{HIDE}{BIDI} $x{HIDE}$ and\nmore.\n"""\n'
        "from dataclasses import dataclass\nfrom typing import Literal\n"
        "from etude import Count, Study\n\n@dataclass\n"
        "class Mine(Study):\n    way: Literal['a', 'b\\x1b[8m'] = 'a'\n"
        f"    steps: Count = 3  # how {CLEAR}{HIDE}{BIDI}many\n"
        '    word: str = "a\\x1b[2J\\x9b8m\\u202e"\n'
        "    def __call__(self, run):\n        pass\n",
        encoding="utf-8",
    )
    for number in (1, 2):
        folder = tmp_path / "runs" / f"study{CLEAR}{BIDI}" / f"2026-01-0{number}_00-00-00{TITLE}"
        folder.mkdir(parents=True)
        about = {
            "study": EVIL,
            "title": EVIL,
            "scale": EVIL,
            "seed": number,
            "device": EVIL,
            "fields": {"width": number, "word": EVIL},
            "changed": {"width": EVIL},
            "versions": {EVIL: f"{EVIL}{number}"},
        }
        result = {
            "metrics": {f"{EVIL}loss": 1.0},
            "claims": [{"claim": {"metric": f"{EVIL}loss"}, "holds": True, "mean": 1.0}],
            "seconds": 1.0,
        }
        (folder / "study.json").write_text(json.dumps(about))
        (folder / "result.json").write_text(json.dumps(result))
        (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, EVIL: 2.0}) + "\n")
    broken = tmp_path / "runs" / f"other{HIDE}" / f"2026-01-03{CLEAR}"
    broken.mkdir(parents=True)
    (broken / "study.json").write_text(json.dumps({"study": [EVIL]}))
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["runs", "--json"],
        ["runs", "--study", EVIL],
        ["compare", "2026-01-01", "2026-01-02"],
        ["compare", "2026-01-01", "2026-01-03"],
        ["export", "2026-01-01", "--to", "notebook"],
        ["export", "2026-01-01", "--to", "safetensors"],
        ["predict", "2026-01-01", EVIL],
        ["resume", "2026-01-01"],
        ["resume", "2026-01-03"],
        ["report", "2026-01-03", "--no-open"],
        ["show", "./mine.py"],
        ["show", EVIL],
        ["run", "./mine.py", "--help"],
        ["run", "./mine.py", "--steps", EVIL],
        ["run", "./mine.py", f"--{EVIL}"],
        ["run", EVIL],
        [EVIL],
        ["data", "fetch", EVIL],
    ],
    ids=lambda words: printable(" ".join(words)),
)
def test_no_verb_hands_on_what_is_obeyed(
    evil: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with suppress(SystemExit):  # of help
        main(words)
    said = capsys.readouterr()
    assert said.out + said.err
    assert obeyed(said.out) == []
    assert obeyed(said.err) == []


def test_a_table_shows_what_is_obeyed_as_escapes_and_keeps_its_width() -> None:
    rows = [EVIL, [EVIL, "2\xa0s"], ["two\nlines", "1"]]
    lines = list(table_lines([Column("name", wrap=True), Column("n")], rows, 60))
    assert obeyed("".join(lines)) == []
    assert not [line for line in lines if "\n" in line or len(line) > 60]
    assert any(line.endswith("2 s") for line in lines)


def test_progress_shows_what_a_run_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.say(f"checkpoint {EVIL} can't be read")
    progress.start(EVIL, 10)
    progress.show({EVIL: 1.0})
    progress.stop(10)
    said = capsys.readouterr().err
    assert "can't be read" in said
    assert obeyed(said) == []


def test_every_verb_prints_by_the_one_way() -> None:
    """``print`` stands in ``output.py`` and ``tables.py`` alone, and nothing writes to a stream."""
    cli = Path(etude.__file__).parent / "cli"
    direct = {
        path.name
        for path in cli.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and (
            getattr(node.func, "id", "") == "print"
            or ast.unparse(node.func) in ("sys.stdout.write", "sys.stderr.write")
        )
    }
    assert direct == {"output.py", "tables.py"}


class Full(io.StringIO):
    """A stream whose disk is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_what_is_said_beside_results_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stderr", Full())
    echo("progress", error=True)
    monkeypatch.setattr("sys.stderr", None)
    echo("progress", error=True)
    assert capsys.readouterr().out == "", "it is no result"
    monkeypatch.setattr("sys.stdout", Full())
    with pytest.raises(OSError, match="No space"):
        echo("a result")


def test_a_closed_file_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def closed(*_: object) -> int:
        raise PermissionError(13, "Permission denied", "/closed/file")

    monkeypatch.setattr("etude.cli.data.main", closed)
    assert main(["data"]) == 2
    assert capsys.readouterr().err.startswith("etude: /closed/file: Permission denied; expected")


LONG = "a" * 300  # more than a file system takes


@pytest.mark.parametrize(
    "words",
    [
        ["course", "show", f"./{LONG}"],
        ["course", "new", "OU", "--start", "2027-01-19", "--out", f"deep/{LONG}"],
        ["course", "calendar", "OU", "--out", LONG],
        ["assignment", "start", "layers", "--out", LONG],
        ["assignment", "check", LONG],
        ["grades", f"./{LONG}"],
        ["new", LONG],
        ["show", f"./{LONG}.py"],
        ["run", f"./{LONG}.py"],
        ["report", LONG],
        ["compare", LONG, LONG],
    ],
    ids=lambda words: " ".join(words[:2])[:20],
)
def test_a_name_that_no_file_can_have_is_one_sentence(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("etude: ")
    assert LONG in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdout", Full())
    assert main(["path", "gpt"]) == 2
    assert capsys.readouterr().err == "etude: No space left on device\n"


@pytest.mark.parametrize(
    "subject",
    [
        "the weights after step 3",
        "the distances",
        "loss and gradient of the old policy",
        "counts, means and variances",
        "7 folds of 30",
        "the gradients, beside differences",
    ],
)
def test_a_plural_has_its_verb(subject: str) -> None:
    assert [verb(subject, each) for each in ("is", "has", "holds")] == ["are", "have", "hold"]


@pytest.mark.parametrize(
    "subject",
    [
        "the answer for windows of 3 and stride 2",
        "the loss of 50 points",
        "the bias",
        "value 2 of the weights",
        "the gradient by x, beside differences of your own layer",
        "the mean of 2 and 5",
        "position 0",
    ],
)
def test_a_singular_has_its_verb(subject: str) -> None:
    assert [verb(subject, each) for each in ("is", "has", "differs")] == ["is", "has", "differs"]
