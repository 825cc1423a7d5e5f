from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import etude
import tiny
from etude import catalogue
from etude.catalogue import Catalogue
from etude.cli import check as verb
from etude.cli import main
from etude.results import check as results
from etude.results.check import Outcome
from etude.runs.folder import RunFolder


@pytest.fixture
def answers(run: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What each run measures, instead of running."""
    metrics: dict[str, Any] = {"test/accuracy": 0.8, "test/loss": 0.5, "seconds": 2.0}

    def outcome(self: object, entry: object, seed: int) -> Outcome:
        if "failure" in metrics:
            return Outcome(seed, failure=metrics["failure"])
        return Outcome(
            seed,
            RunFolder(run),
            {"metrics": metrics, "seconds": metrics["seconds"], "peak_memory_bytes": 1_000_000},
        )

    monkeypatch.setattr(results._Runners, "run", outcome)
    return metrics


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = main(["check", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_claims_that_hold_end_with_0(
    answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = check(capsys, "./tiny.py")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "test/accuracy" in line]
    assert line.split() == "tiny test/accuracy ≥ 0.6 0.8 in all 2 2.0 s ✓".split()
    assert out.splitlines()[-1] == "2 of 2 claims hold"
    assert "tiny seed 1/2 …" in err


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"test/accuracy": 0.59}, "✗"),
        ({"test/accuracy": None}, "not measured"),
        ({"test/loss": float("nan")}, "not measured"),
        ({"failure": "it broke"}, "✗ tiny seed 0: it broke"),
    ],
)
def test_a_claim_that_fails_ends_with_1(
    answers: dict[str, Any], changes: dict[str, Any], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    answers |= changes
    code, out, _ = check(capsys, "./tiny.py")
    assert code == 1
    assert word in out
    assert "2 of 2" not in out
    code, out, _ = check(capsys, "./tiny.py", "--json")
    (found,) = json.loads(out)
    assert code == 1
    assert any(claim["failed"] and not claim["held"] for claim in found["claims"])


def test_a_metric_that_is_missing_ends_with_1(
    answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    del answers["test/loss"]
    code, out, _ = check(capsys, "./tiny.py")
    assert code == 1
    (line,) = [line for line in out.splitlines() if "test/loss" in line]
    assert "not measured" in line
    assert "✗" in line


def test_fewer_seeds_are_told(answers: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = check(capsys, "./tiny.py", "--seeds", "1")
    assert code == 0
    (line,) = [line for line in out.splitlines() if "test/accuracy" in line]
    assert line.endswith("1 of 2 seeds")
    assert out.splitlines()[-1] == "1 of 2 claims hold; 1 measured on fewer seeds than stated"


def test_as_json(answers: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = check(capsys, "./tiny.py", "--json")
    (found,) = json.loads(out)
    assert code == 0
    assert (found["study"], found["scale"], found["seconds"]) == ("tiny", "quick", 2.0)
    assert [(c["metric"], c["values"], c["held"]) for c in found["claims"]] == [
        ("test/accuracy", [0.8, 0.8], True),
        ("test/loss", [0.5], True),
    ]
    assert [run["seed"] for run in found["runs"]] == [0, 1]
    assert err


def test_all_checks_the_whole_catalogue(
    answers: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    names = {entry.name for entry in etude.all_studies()}
    assert "spirals" in names
    code, out, _ = check(capsys, "--all", "--json")
    assert {each["study"] for each in json.loads(out)} == names
    assert code == 1  # spirals' claim was not measured by these answers


def test_wrong_words(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, sentence in (
        ([], "name one or more studies to check, or give --all"),
        (["spirals", "--all"], "name one or more studies to check, or give --all"),
        (["spirrals"], "no study 'spirrals'; did you mean 'spirals'?"),
        (["./tiny.py", "--scale", "qick"], "no scale 'qick'; did you mean 'quick'?"),
        (
            ["./tiny.py", "--scale", "full"],
            "no claim at scale full in tiny; there is nothing to check",
        ),
        (["./tiny.py", "--seeds", "0"], "'0' is not a whole number of at least 1"),
        (["./tiny.py", "--seeds", "three"], "'three' is not a whole number of at least 1"),
        (["./tiny.py", "--record"], "tiny.py is none of them"),
    ):
        code, out, err = check(capsys, *words)
        assert (code, out) == (2, "")
        assert sentence in err
        assert len(err.splitlines()) == 1


def test_recording_needs_a_checkout(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "STUDIES", place / "lib" / "site-packages" / "etude" / "studies")
    code, _, err = check(capsys, "spirals", "--record")
    assert code == 2
    assert "expected a source checkout" in err
    assert not (place / "lib").exists()


def test_what_was_measured_is_recorded(
    answers: dict[str, Any],
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    checkout = place / "checkout"
    studies = checkout / "src" / "etude" / "studies"
    shutil.copytree(catalogue.STUDIES / "foundations" / "spirals", studies / "foundations/spirals")
    shutil.copy(catalogue.STUDIES / "foundations/__init__.py", studies / "foundations")
    own = studies / "foundations" / "spirals"
    (checkout / "pyproject.toml").write_text('[project]\nname = "etude"\n')
    (checkout / "README.md").write_text("# Etude\n<!-- results -->\n<!-- /results -->\nend\n")
    for module in (verb, catalogue):
        monkeypatch.setattr(module, "STUDIES", studies)
    answers |= {"train/accuracy": 1.0, "linear/train/accuracy": 0.65}
    code, _, _ = check(capsys, "spirals", "--record", "--seeds", "3")
    assert code == 0
    record = json.loads((own / "record.json").read_text())
    kept = record["quick"]
    lesson = (own / "README.md").read_text()
    assert "| quick | `train/accuracy` ≥ 1 | 1 in all 3 | ✓ | 2 s |" in lesson
    assert "`train/accuracy`" not in Catalogue()["spirals"].lesson.partition("## ")[0]
    assert kept["command"] == "etude check spirals --scale quick --seeds 3"
    assert kept["claims"][0]["values"] == [1.0, 1.0, 1.0]
    page, readme = (
        (checkout / "docs" / "results.md").read_text(),
        (checkout / "README.md").read_text(),
    )
    (row,) = [
        line
        for line in page.splitlines()
        if line.startswith("| `spirals` | quick | train/accuracy ≥ 1")
    ]
    assert "| ✓ | 2 s |" in row
    (row,) = [line for line in readme.splitlines() if line.startswith("| `spirals` |")]
    assert "train/accuracy 1 in all 3 (≥ 1) | 2 of 2 | 2 s |" in row
    assert "etude check spirals --scale quick --seeds 3" in page
    assert readme.startswith("# Etude\n<!-- results -->\n|")
    assert readme.endswith("<!-- /results -->\nend\n")

    answers |= {"train/accuracy": 1.0, "seconds": 9.0}
    assert check(capsys, "spirals", "--untimed")[0] == 2
    assert check(capsys, "spirals", "--record", "--untimed", "--seeds", "4")[0] == 0
    record = json.loads((own / "record.json").read_text())
    assert record["quick"]["seconds"] == 2.0
    assert record["quick"]["claims"][0]["seeds"] == 4

    answers["failure"] = "it broke"
    code, _, err = check(capsys, "spirals", "--record")
    assert code == 1
    assert "spirals: not recorded, for a run failed" in err
    assert json.loads((own / "record.json").read_text()) == record
    (checkout / "README.md").write_text("# Etude\n")
    _, _, err = check(capsys, "spirals", "--record")
    assert "it is left as it is" in err
    assert (checkout / "README.md").read_text() == "# Etude\n"


def test_a_real_claim_that_fails(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.write(
        place,
        '[Claim("test/loss", at_most=0.0001, seeds=1), Claim("test/unknown", at_least=0, seeds=1)]',
    )
    code, out, err = check(capsys, "./tiny.py")
    assert code == 1
    assert "0 of 2 claims hold" in out
    assert out.count("✗") == 2
    assert "report.html" in err
    code, out, err = check(capsys, "./tiny.py", "--reuse", "--json")
    (found,) = json.loads(out)
    assert code == 1
    assert found["runs"][0]["reused"]
    assert "run before" in err
