from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny
from etude import UserError
from etude.catalogue import Catalogue
from etude.entry import Entry
from etude.results import check as module
from etude.results.check import Checked, Outcome, check, record_of, replaces, reusable
from etude.results.documents import (
    between_markers,
    lesson_part,
    overview,
    results_page,
    table,
)
from etude.runs.folder import RunFolder
from etude.sources import changed

Answer = Callable[[int], dict[str, Any] | str]


def study(folder: Path, claims: str) -> Entry:
    """A study in a folder of its own, ``folder/tiny/tiny.py``, so that it may keep a record."""
    (folder / "tiny").mkdir(exist_ok=True)
    return Catalogue()[str(tiny.write(folder / "tiny", f"[{claims}]"))]


def measured(
    folder: Path, monkeypatch: pytest.MonkeyPatch, claims: str, answer: Answer, **options: Any
) -> Checked:
    """``check`` with runs that give at once what ``answer(seed)`` says: metrics, or why
    they fail.
    """

    def run(self: object, entry: Entry, seed: int) -> Outcome:
        given = answer(seed)
        if isinstance(given, str):
            return Outcome(seed, failure=given)
        result = {
            "metrics": given,
            "held_out": {"test/accuracy": 5_000},
            "seconds": 1.0 + abs(seed - 1),
            "peak_memory_bytes": 7,
        }
        return Outcome(seed, RunFolder(folder), result)

    monkeypatch.setattr(module._Runners, "run", run)
    (checked,) = check([study(folder, claims)], say=lambda line: None, **options)
    return checked


def test_the_mean_over_seeds_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = [0.88, 0.90, 0.95]
    claims = 'Claim("test/accuracy", at_least=0.9), Claim("test/accuracy", at_least=0.9, each=True)'
    checked = measured(tmp_path, monkeypatch, claims, lambda seed: {"test/accuracy": values[seed]})
    mean, each = checked.claims
    assert mean.verdict.mean == pytest.approx(0.91)
    assert mean.verdict.sd == pytest.approx(0.0360555, abs=1e-6)
    assert (mean.held, mean.failed, mean.mark) == (True, False, "✓")
    assert (each.held, each.failed, each.mark) == (False, True, "✗")
    assert checked.failed
    assert checked.seconds == 1.0


def test_each_claim_has_its_own_number_of_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = 'Claim("a", at_least=0, seeds=1), Claim("b", at_least=0, seeds=4)'
    claims += ', Claim("a", at_least=0, scale="full", seeds=9)'
    checked = measured(tmp_path, monkeypatch, claims, lambda seed: {"a": seed, "b": seed})
    assert [judged.verdict.values for judged in checked.claims] == [(0,), (0, 1, 2, 3)]
    assert not checked.failed
    checked = measured(
        tmp_path, monkeypatch, claims, lambda seed: {"a": seed, "b": seed}, seeds=2, jobs=2
    )
    assert [judged.verdict.values for judged in checked.claims] == [(0, 1), (0, 1)]


def test_fewer_seeds_than_stated_never_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = 'Claim("a", at_least=0.5), Claim("b", at_least=0.5)'
    checked = measured(tmp_path, monkeypatch, claims, lambda seed: {"a": 0.7, "b": 0.3}, seeds=1)
    good, bad = checked.claims
    assert (good.held, good.failed, good.mark) == (False, False, "1 of 3 seeds")
    assert (bad.held, bad.failed, bad.mark) == (False, True, "✗")


@pytest.mark.parametrize("given", [{}, {"other": 1.0}, {"a": None}])
def test_what_was_not_measured_never_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    checked = measured(tmp_path, monkeypatch, 'Claim("a", at_most=1.0)', lambda seed: given)
    (judged,) = checked.claims
    assert (judged.held, judged.failed, judged.mark) == (False, True, "✗")
    assert judged.verdict.measured == "not measured"
    assert checked.failed
    checked = measured(
        tmp_path, monkeypatch, 'Claim("a", at_most=1.0)', lambda seed: {"a": 0.5} if seed else given
    )
    assert checked.failed  # one seed of three is missing


def test_a_run_that_fails_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checked = measured(
        tmp_path,
        monkeypatch,
        'Claim("a", at_most=1.0)',
        lambda seed: {"a": 0.5} if seed != 1 else "it broke",
    )
    assert checked.failed
    assert checked.claims[0].failed
    assert checked.failures == ["tiny seed 1: it broke"]


def test_perfection_is_suspicious(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claims = 'Claim("test/accuracy", at_least=0.9)'
    checked = measured(
        tmp_path, monkeypatch, claims, lambda seed: {"test/accuracy": 1.0 if seed == 2 else 0.95}
    )
    assert checked.claims[0].mark == "?"
    assert checked.failed


def test_a_study_without_claims_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = {"metrics": {"a": 1.0}, "seconds": 1.0}
    monkeypatch.setattr(
        module._Runners, "run", lambda self, entry, seed: Outcome(seed, RunFolder("x"), result)
    )
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    some = study(tmp_path / "one", 'Claim("a", at_least=0, seeds=1)')
    none = study(tmp_path / "two", "")
    first, second = check([some, none], say=lambda line: None)
    assert first.claims[0].held
    assert (second.claims, second.outcomes, second.failed) == ([], [], False)
    with pytest.raises(
        UserError, match="no claim at scale quick in tiny; there is nothing to check"
    ):
        check([none])
    with pytest.raises(UserError, match="no claim at scale full in tiny, tiny"):
        check([some, none], "full")


def test_only_unchanged_finished_runs_of_this_source_are_reused(place: Path) -> None:
    entry, root = Catalogue()[str(place / "tiny.py")], place / "runs"
    assert reusable(entry, "quick", 0, root) is None  # the run that is there has hidden=5
    run = tiny.run(place / "tiny.py", root, seed=4)
    found = reusable(entry, "quick", 4, root)
    assert found
    assert found.folder
    assert found.folder.path == run.folder.path
    assert found.reused
    assert found.metric("test/accuracy") == run.metrics["test/accuracy"]
    assert reusable(entry, "quick", 5, root) is None
    assert reusable(entry, "long", 4, root) is None

    record = run.folder.study()
    for change in (
        {"digest": "0" * 64},
        {"digest": None},
        {"changed": {"hidden": 5}},
        {"changed": ...},
        {"precision": "bf16"},
    ):
        tiny.alter(run.folder.path, **change)
        assert reusable(entry, "quick", 4, root) is None
        tiny.alter(run.folder.path, **record)
    assert reusable(entry, "quick", 4, root)
    result = run.folder.result_json.read_text()
    for damaged in ("{", "[]", "{}", '{"metrics": 3, "seconds": 1}'):
        run.folder.result_json.write_text(damaged)
        assert reusable(entry, "quick", 4, root) is None
    run.folder.result_json.unlink()
    assert reusable(entry, "quick", 4, root) is None
    run.folder.result_json.write_text(result)
    tiny.write(place, old_1="momentum=0.9", new_1="momentum=0.8")
    assert reusable(Catalogue()[str(place / "tiny.py")], "quick", 4, root) is None


def test_a_run_of_other_data_is_not_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study's file is as it was; what it imports is not."""
    folder = tmp_path / "wave"
    folder.mkdir()
    tiny.write(
        folder,
        name="wave.py",
        old_1="import torch\n",
        new_1="import torch\n\nfrom ._data import examples\n",
        old_2="x = torch.randn(512, 4)",
        new_2="x = examples(512)",
    )
    leaf = folder / "_data.py"
    leaf.write_text("import torch\n\n\ndef examples(n):\n    return torch.randn(n, 4)\n")
    root = tmp_path / "runs"
    run = tiny.run(folder, root, seed=4)
    assert reusable(Catalogue()[str(folder)], "quick", 4, root)
    kept = run.folder.source / "_data.py"
    assert kept.read_text() == leaf.read_text()

    leaf.write_text("import torch\n\n\ndef examples(n):\n    return torch.rand(n, 4)\n")
    entry = Catalogue()[str(folder)]
    assert reusable(entry, "quick", 4, root) is None
    assert changed(run.folder.study()["digests"], entry.digests) == ["_data.py"]
    leaf.write_text('"""Data."""\n' + kept.read_text() + "# drawn anew\n")
    assert reusable(Catalogue()[str(folder)], "quick", 4, root)  # a comment moves no number


# -- the record ------------------------------------------------------------------------------------

CLAIMS = (
    'Claim("a", at_least=0.5, source="A paper | 1"), Claim("b", at_least=0.5), Claim("c",'
    ' at_most=1, scale="full")'
)


def recorded(place: Path, monkeypatch: pytest.MonkeyPatch, answer: Answer, **options: Any) -> Entry:
    """The study with its record beside it."""
    (run,) = (place / "runs" / "tiny").iterdir()
    checked = measured(run, monkeypatch, CLAIMS, answer, **options)
    record = {checked.scale: record_of(checked, "the command")}
    checked.entry.path.with_name("record.json").write_text(json.dumps(record))
    return Catalogue()[str(checked.entry.path)]


def test_what_was_measured_is_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = recorded(place, monkeypatch, lambda seed: {"a": 0.6 + seed / 10, "b": 0.1})
    assert [*entry.measured] == ["quick"]
    kept = entry.measured["quick"]
    assert kept["seconds"] == 1.0
    assert kept["peak_memory_bytes"] == 7
    assert kept["command"] == "the command"
    assert "cores, cpu" in kept["machine"]
    assert len(kept["date"]) == len("2025-01-31")
    assert kept["versions"]["torch"]
    a, b = kept["claims"]
    assert (a["metric"], a["bound"], a["values"], a["mark"], a["seeds"]) == (
        "a",
        "≥ 0.5",
        [0.6, 0.7, 0.8],
        "✓",
        3,
    )
    assert a["measured"] == "0.7 ± 0.25"
    assert (b["mark"], b["mean"]) == ("✗", pytest.approx(0.1))


def test_the_table_says_what_is_not_measured(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = recorded(place, monkeypatch, lambda seed: {"a": 0.6, "b": 0.1})
    assert table([entry]).splitlines()[2:] == [
        "| `tiny` | quick | a ≥ 0.5, mean of 3 | 0.6 in all 3 | ✓ | 1 s | A paper \\| 1 |",
        "| `tiny` | quick | b ≥ 0.5, mean of 3 | 0.1 in all 3 | ✗ | 1 s |  |",
        "| `tiny` | full | c ≤ 1, mean of 3 | not yet measured |  |  |  |",
    ]
    assert "the command" in results_page([entry])
    stricter = study(entry.path.parents[1], CLAIMS.replace("0.5", "0.55"))
    assert table([stricter]).count("not yet measured") == 3  # against another bound: not counted
    entry.path.with_name("record.json").unlink()
    assert table([Catalogue()[str(entry.path)]]).count("not yet measured") == 3


def test_the_overview_has_one_row_a_study(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = recorded(place, monkeypatch, lambda seed: {"a": 0.6, "b": 0.1})
    assert overview([entry]).splitlines()[2:] == [
        f"| `tiny` | {entry.title} | a 0.6 in all 3 (≥ 0.5) | 1 of 2 | 1 s | full: not yet |"
    ]
    entry.path.with_name("record.json").unlink()
    entry = Catalogue()[str(entry.path)]
    assert overview([entry]).splitlines()[2:] == [
        f"| `tiny` | {entry.title} | not yet |  |  | full: not yet |"
    ]


def test_the_table_marks_too_few_seeds(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = recorded(place, monkeypatch, lambda seed: {"a": 0.6, "b": 0.1}, seeds=2)
    first, second, _ = table([entry]).splitlines()[2:]
    assert "| 2 of 3 seeds |" in first
    assert "✓" not in first
    assert "| ✗ |" in second
    more = study(entry.path.parents[1], CLAIMS.replace("at_least=0.5,", "at_least=0.5, seeds=5,"))
    assert "| 2 of 5 seeds |" in table([more])  # the claim asks for more by now


def test_more_seeds_are_not_replaced_by_fewer(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(seed: int) -> dict[str, Any]:
        return {"a": 0.6, "b": 0.1}

    three = recorded(place, monkeypatch, answer).measured["quick"]
    one = recorded(place, monkeypatch, answer, seeds=1).measured["quick"]
    assert replaces(three, {})
    assert replaces(three, three)
    assert replaces(three, one)
    assert not replaces(one, three)
    claims = [{**claim, "bound": "≥ 0.7"} for claim in three["claims"]]
    assert replaces(one, {**three, "claims": claims})  # of other bounds


def test_a_lesson_holds_its_claims(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = recorded(place, monkeypatch, lambda seed: {"a": 0.6, "b": 0.1})
    part = lesson_part(entry)
    assert "| quick | `a` ≥ 0.5 | 0.6 in all 3 | ✓ | 1 s |" in part.splitlines()
    assert "| full | `c` ≤ 1 | not yet measured |  |  |" in part.splitlines()
    assert "`the command`" in part
    assert "cover.webp" not in part
    entry.path.with_name("cover.webp").write_bytes(b"a picture")
    assert lesson_part(entry).startswith(f"![{entry.title}](cover.webp)\n")


def test_the_readme_is_changed_between_its_markers() -> None:
    page = "# Etude\n<!-- results -->\nold\n<!-- /results -->\nend\n"
    assert (
        between_markers(page, "new", "results")
        == "# Etude\n<!-- results -->\nnew\n<!-- /results -->\nend\n"
    )
    assert between_markers("# Etude\n", "new", "results") is None
    assert between_markers("<!-- results -->", "new", "results") is None


# -- real processes --------------------------------------------------------------------------------


def test_runs_are_processes_of_their_own(place: Path) -> None:
    said: list[str] = []
    (checked,) = check(
        [Catalogue()[str(place / "tiny.py")]], jobs=2, root=place / "elsewhere", say=said.append
    )
    accuracy, loss = checked.claims
    assert (accuracy.held, loss.held, checked.failed) == (True, True, False)
    assert len(accuracy.verdict.values) == 2
    assert accuracy.verdict.values[0] != accuracy.verdict.values[1]
    assert len(loss.verdict.values) == 1
    folders = [outcome.folder for outcome in checked.outcomes]
    assert [folder.study()["seed"] for folder in folders if folder] == [0, 1]
    assert all(folder.path.is_relative_to(place / "elsewhere") for folder in folders if folder)
    assert {"tiny seed 1/2 …", "tiny seed 2/2 …"} <= {*said}


def test_a_crash_gives_its_last_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_CRASH", "3")
    said: list[str] = []
    (checked,) = check([Catalogue()[str(place / "tiny.py")]], seeds=1, say=said.append)
    assert checked.failures == ["tiny seed 0: ValueError: crashed as asked"]
    assert checked.failed
    assert any("Traceback" in line for line in said)  # what a run says is shown as it comes


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_reaches_the_runs(place: Path, number: int) -> None:
    words = [
        sys.executable,
        "-m",
        "etude",
        "check",
        "./tiny.py",
        "--scale",
        "long",
        "--runs",
        "stopped",
        "--seeds",
        "1",
    ]
    tiny.write(place, '[Claim("test/loss", at_most=1.0, scale="long")]')
    process = subprocess.Popen(
        words,
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # a background shell ignores it
    )
    begun = time.monotonic()
    while (
        not any(f.stat().st_size for f in place.glob("stopped/tiny/*/metrics.jsonl"))
        and time.monotonic() < begun + 200
    ):
        time.sleep(0.1)
    (path,) = place.glob("stopped/tiny/*/metrics.jsonl")
    process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=200)
    assert process.returncode == 130
    folder = RunFolder(path.parent)
    assert folder.state == "stopped"
    assert [*folder.checkpoint.glob("*.pt")]  # a slow machine has saved before
