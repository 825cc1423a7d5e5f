"""The gpt study: what it writes, how it is asked, what its pictures count."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

import etude
from etude.cli import main
from etude.errors import UserError
from etude.studies.language.gpt.gpt import LanguageModel


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> etude.Run:
    root = tmp_path_factory.mktemp("gpt")
    return etude.run(
        "gpt", root=root, quiet=True, steps=3, width=16, heads=2, layers=1, context=16, length=30
    )


def test_what_is_measured_is_bits_nats_and_perplexity(run) -> None:
    nats = run.metrics["test/nats"]
    assert run.metrics["test/bits"] == pytest.approx(nats / math.log(2))
    assert run.metrics["test/perplexity"] == pytest.approx(math.exp(nats), rel=1e-4)
    assert 3 < run.metrics["test/bits"] < 9
    assert run.held_out["test/bits"] == len(etude.data.python_help().test) - 1


def test_letters_come_whole_however_many_bytes_they_have(monkeypatch) -> None:
    study = LanguageModel(context=8, width=8, heads=1, layers=1)
    monkeypatch.setattr(
        "etude.studies.language.gpt.gpt.sample", lambda *_, **__: iter("aé€".encode() + b"\xc3")
    )
    assert list(study.write(study.network(), "x")) == ["a", "", "é", "", "", "€", "", "\ufffd"]


def test_a_text_is_gone_on_with_letter_by_letter(run) -> None:
    trained = etude.load(run)
    torch.manual_seed(0)
    pieces = list(trained.write("The "))
    assert len(pieces) == 31
    assert "".join(pieces)
    torch.manual_seed(1)
    assert list(trained.write("The ")) != pieces
    greedy = trained.but(temperature=0, length=5)
    assert list(greedy.write("The ")) == list(greedy.write("The "))
    assert len(list(trained.write(""))) == 31


def test_the_next_byte_is_predicted(run) -> None:
    p = etude.load(run).predict("The ")
    assert len(p) == 256
    assert sum(p.values()) == pytest.approx(1, abs=1e-4)
    assert {"'e'", "' '", "'\\n'", "'\\xff'"} <= p.keys()


def test_what_is_no_text_is_refused(run) -> None:
    trained = etude.load(run)
    with pytest.raises(UserError, match="such as 'def '"):
        list(trained.write(3))
    with pytest.raises(UserError, match="such as 'def '"):
        trained.predict("")


def test_fields_of_the_asking_can_be_changed_and_others_not(run) -> None:
    trained = etude.load(run)
    with pytest.raises(UserError, match="no field 'temprature'; did you mean 'temperature'"):
        trained.but(temprature=1)
    with pytest.raises(UserError, match="top_p is 2; expected a number from 0 to 1"):
        trained.but(top_p=2)
    with pytest.raises(UserError, match="do not fit"):
        trained.but(width=32)


def test_on_the_command_line_the_text_streams(run, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(Path(run.folder.path))
    assert main(["predict", folder, "The ", "--set", "temperature=0", "--set", "length=9"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("The ")
    assert text.endswith("\n")
    assert (
        main(["predict", folder, "The ", "--set", "temperature=0", "--set", "length=9", "--json"])
        == 0
    )
    (found,) = json.loads(capsys.readouterr().out)
    assert found == {"run": run.folder.name, "input": "The ", "text": text[4:-1]}
    assert main(["predict", folder, "The ", "--set", "length=few"]) == 2
    assert "length is 'few'; expected a whole number" in capsys.readouterr().err


def test_a_short_training_beats_knowing_how_frequent_each_byte_is(tmp_path) -> None:
    options = {
        "steps": 250,
        "width": 32,
        "heads": 2,
        "layers": 1,
        "context": 16,
        "length": 10,
        "warmup": 10,
        "learning_rate": 1e-2,
    }
    run = etude.run("gpt", root=tmp_path, quiet=True, **options)
    p = torch.bincount(etude.data.bytes_of(etude.data.python_help().test)).double()
    p = p[p > 0] / p.sum()
    assert run.metrics["test/bits"] < -(p * p.log2()).sum()
