"""`etude predict`: text that comes piece by piece, and how a network is asked."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import tiny
from etude.cli import main

WRITES = """def write(self, net, input):
        drawn = torch.rand(()).item().hex() if self.rate == 7 else ""
        yield from (f"<{self.rate}", f" {input}", ">", drawn)

    def predict("""


@pytest.fixture
def writer(run: Path, place: Path) -> Path:
    """The run of a study that writes."""
    tiny.write(place, old_1="def predict(", new_1=WRITES)
    return run


def test_what_is_written_follows_what_was_given(
    writer: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "tiny", "a", "b c"]) == 0
    assert capsys.readouterr().out == "a<0.1 a>\nb c<0.1 b c>\n"


def test_pieces_are_shown_as_they_come(writer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "builtins.print", lambda *words, **how: seen.append((*words, how.get("flush", False)))
    )
    assert main(["predict", "tiny", "a"]) == 0
    assert seen[:-1] == [
        *[("a", True), ("<0.1", True), (" a", True), (">", True), ("", True)],
        ("", True),
    ]
    assert seen[-1][0].startswith("answered by run tiny/")


def test_written_as_json(writer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "tiny", "é", "b", "--json"]) == 0
    text = capsys.readouterr().out
    assert "é" in text
    name = f"{writer.parent.name}/{writer.name}"
    assert json.loads(text) == [
        {"run": name, "input": "é", "text": "<0.1 é>"},
        {"run": name, "input": "b", "text": "<0.1 b>"},
    ]


def test_the_run_that_answers_is_the_newest_whose_claims_hold_and_is_named(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = run.with_name("2999-01-31_12-00-00-abcd")
    shutil.copytree(run, later)
    result = json.loads((later / "result.json").read_text())
    assert result["claims"]
    for verdict in result["claims"]:
        verdict["holds"] = True
    for folder in (run, later):
        (folder / "result.json").write_text(json.dumps(result))
    assert main(["predict", "tiny", "1 2 3 4"]) == 0
    assert f"answered by run tiny/{later.name}: its claims hold\n" in capsys.readouterr().err
    result["claims"][0]["holds"] = False
    (later / "result.json").write_text(json.dumps(result))
    assert main(["predict", "tiny", "1 2 3 4"]) == 0
    assert f"answered by run tiny/{run.name}: its claims hold\n" in capsys.readouterr().err
    assert main(["predict", later.name, "1 2 3 4"]) == 0
    assert f"run tiny/{later.name}: its claims do not hold\n" in capsys.readouterr().err
    (run / "network.safetensors").unlink()
    assert main(["predict", "tiny", "1 2 3 4", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["run"] == f"tiny/{later.name}"


def test_each_time_another_text(writer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    assert main(["predict", "tiny", "a", "--set", "rate=7"]) == 0
    torch.manual_seed(0)
    assert main(["predict", "tiny", "a", "--set", "rate=7"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first != second


def test_fields_are_set_for_the_asking(writer: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "tiny", "a", "--set", "rate=0.5", "--set", "steps=3"]) == 0
    assert capsys.readouterr().out == "a<0.5 a>\n"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("rat=1", "study tiny has no field 'rat'; did you mean 'rate'?"),
        ("rate=much", "rate is 'much'; expected"),
        ("rate=-1", "rate is -1; expected"),
        ("hidden=9", "do not fit"),
        ("rate", "'rate' is not FIELD=VALUE"),
    ],
)
def test_what_cannot_be_set(
    run: Path, given: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", "tiny", "1 2 3 4", "--set", given]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err


PICTURES = """def predict(self, net, input):
        from etude.errors import UserError
        if "blank" in input:
            raise UserError("the picture is blank")
        if "other" in input:
            raise UserError(f"{input} can't be read")
        return {} if "nothing" in input else {"cell": 0.75}

    def guess("""


@pytest.fixture
def pictured(run: Path, place: Path) -> Path:
    """The run of a study that looks at pictures."""
    tiny.write(place, old_1="def predict(", new_1=PICTURES)
    return run


def test_of_many_pictures_the_bad_ones_are_named_and_the_others_answered(
    pictured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    names = ["blank.png", "good.png", "other.png"]
    assert main(["predict", str(pictured), *names]) == 2
    said = capsys.readouterr()
    assert said.out == "good.png\n  cell  0.7500\n"
    assert said.err.splitlines()[1:] == [
        "etude: blank.png: the picture is blank",
        "etude: other.png can't be read",
    ]
    assert main(["predict", str(pictured), *names, "--json"]) == 2
    said = capsys.readouterr()
    name = {"run": f"tiny/{pictured.name}"}
    assert json.loads(said.out) == [
        name | {"input": "blank.png", "error": "blank.png: the picture is blank"},
        name | {"input": "good.png", "classes": {"cell": 0.75}},
        name | {"input": "other.png", "error": "other.png can't be read"},
    ]


def test_of_many_texts_the_bad_ones_are_named_and_the_others_answered(
    pictured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["predict", str(pictured), "a text", "a blank " + "text " * 20]) == 2
    said = capsys.readouterr()
    assert said.out == "a text\n  cell  0.7500\n"
    begun = ("a blank " + "text " * 20)[:39]
    assert said.err.splitlines()[1] == f"etude: '{begun}…': the picture is blank"
    assert main(["predict", str(pictured), "blank", "blank, too"]) == 2
    assert capsys.readouterr().err == "etude: the picture is blank\n", "once, not for each"


def test_one_bad_picture_is_one_sentence(
    pictured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(["predict", str(pictured), "blank.png"]) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "etude: blank.png: the picture is blank\n")


def test_nothing_found_is_an_answer(pictured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert main(["predict", str(pictured), "nothing.png", "good.png"]) == 0
    assert capsys.readouterr().out == "nothing.png\n  nothing found\ngood.png\n  cell  0.7500\n"
    assert main(["predict", str(pictured), "nothing.png"]) == 0
    assert capsys.readouterr().out == "nothing.png\n  nothing found\n"


def test_a_picture_is_shown_as_the_network_gets_it(
    run: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read = """def read(self, input):
        return torch.tensor([[[0, 8], [16, 4]]], dtype=torch.uint8)

    def predict("""
    assert main(["predict", "tiny", "1 2 3 4"]) == 0
    assert "--show" not in "".join(capsys.readouterr())
    assert main(["predict", "tiny", "1 2 3 4", "--show"]) == 2
    assert "has no picture to show" in capsys.readouterr().err
    tiny.write(place, old_1="def predict(", new_1=read)
    assert main(["predict", "tiny", "1 2 3 4"]) == 0
    assert "--show draws each picture as the network got it" in capsys.readouterr().err
    assert main(["predict", "tiny", "1 2 3 4", "--show"]) == 0
    assert capsys.readouterr().out.splitlines()[1:3] == ["    ::", "  ##.."]
