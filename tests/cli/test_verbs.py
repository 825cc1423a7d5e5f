"""Every verb as a user types it, through ``main``: what it prints, its exit code, its one
sentence.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import etude
import tiny
from etude.cli import VERBS, main
from etude.runs.folder import RunFolder


def said(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> str:
    """What a command prints on standard output; it must end with ``code``."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == code
    return capsys.readouterr().out


def complaint(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one sentence of a command that must end with code 2."""
    capsys.readouterr()
    assert main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("etude: ")
    return line


# -- what imports nothing heavy --------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "--json"],
        ["show", "spirals"],
        ["show", "./tiny.py"],
        ["runs"],
        ["runs", "--json"],
        ["run", "spirals", "--help"],
        ["run", "./tiny.py", "--help"],
        ["data"],
        ["data", "--json"],
        ["compare", "--help"],
        ["check", "--help"],
        ["predict", "--help"],
        ["export", "--help"],
        ["resume", "--help"],
        ["report", "--help"],
        ["run", "./tiny.py", "--hiden", "3"],
        ["list", "--topic", "nothing"],
        ["runs", "--study", "no"],
        ["resume", "tiny"],
        ["check"],
        ["export", "tiny", "--to", "nothing"],
        ["graph", "--help"],
        ["graph", "digits", "--wdth", "3"],
    ],
)
def test_answers_come_without_torch(run: Path, place: Path, words: list[str]) -> None:
    code = (
        "import sys; from etude.cli import main\n"
        f"try: code = main({words!r})\n"
        "except SystemExit as stop: code = stop.code or 0\n"
        "print(code, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, timeout=400
    )
    assert done.returncode == 0, done.stderr
    last = done.stdout.splitlines()[-1]
    wrong = words in (["check"], ["resume", "tiny"]) or {"--hiden", "--wdth", "nothing", "no"} & {
        *words
    }
    assert last == f"{2 if wrong else 0} False"
    assert len(done.stderr.splitlines()) == bool(wrong)
    assert wrong or len(done.stdout.splitlines()) > 1


def test_comparing_needs_no_torch(run: Path, place: Path) -> None:
    shutil.copytree(run, run.parent / "2020-01-01_00-00-00-0000")
    code = (
        "import sys; from etude.cli import main\nmain(['compare', 'tiny', '2020'])\nprint('torch'"
        " in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=place, capture_output=True, text=True, timeout=400
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr
    assert (place / "runs" / "compare.svg").read_bytes().startswith(b"<?xml")


def test_help_and_version_are_verbs_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "version") == said(capsys, "--version")
    assert said(capsys, "help") == said(capsys, "--help")
    with pytest.raises(SystemExit):
        main(["help", "runs"])
    assert capsys.readouterr().out.startswith("usage: etude runs")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main([verb, "--help"])
    except SystemExit as stop:
        code = int(stop.code or 0)
    assert code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: etude {verb}")
    assert len(text) > 200


def test_a_wrong_verb_gets_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert complaint(capsys, "exprt") == "etude: no verb 'exprt'; did you mean 'export'?"


# -- runs ------------------------------------------------------------------------------------------


def test_runs_are_a_table(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "runs")
    (line,) = [line for line in text.splitlines() if run.name in line]
    accuracy = json.loads((run / "result.json").read_text())["metrics"]["test/accuracy"]
    for word in (
        f"tiny/{run.name}",
        "quick",
        "finished",
        "20",
        f"test/accuracy {accuracy:.4g}",
        "--hidden 5",
        "✓",
    ):
        assert word in line


def test_runs_as_json(run: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = json.loads(said(capsys, "runs", "--json", "--study", "tiny"))
    result = json.loads((run / "result.json").read_text())
    assert row["run"] == f"tiny/{run.name}"
    assert (row["study"], row["scale"], row["seed"], row["state"]) == (
        "tiny",
        "quick",
        0,
        "finished",
    )
    assert (row["steps"], row["seconds"], row["claims"]) == (20, result["seconds"], "✓")
    assert (row["main"], row["metrics"]) == ("test/accuracy", result["metrics"])
    assert row["changed"] == {"hidden": 5}
    assert json.loads(said(capsys, "runs", "--json", "--runs", place / "nowhere")) == []
    assert "no runs in" in said(capsys, "runs", "--runs", place / "nowhere")


def test_runs_show_what_is_wrong_with_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copies = {
        name: run.with_name(f"2020-01-0{i}_00-00-00-0000")
        for i, name in enumerate(("bad", "open", "failed", "worse"), 1)
    }
    for copy in copies.values():
        shutil.copytree(run, copy)
    (copies["bad"] / "study.json").write_text("{")
    (copies["open"] / "result.json").unlink()
    (copies["failed"] / "result.json").unlink()
    (copies["failed"] / "error.txt").write_text("it broke")
    tiny.alter(
        copies["worse"],
        "result.json",
        claims=[{"claim": {"metric": "test/accuracy"}, "holds": False}],
    )
    rows = {row["path"].rsplit("/")[-1]: row for row in json.loads(said(capsys, "runs", "--json"))}
    states = {name: rows[copy.name]["state"] for name, copy in copies.items()}
    assert states == {"bad": "damaged", "open": "stopped", "failed": "failed", "worse": "finished"}
    assert (rows[copies["open"].name]["steps"], rows[copies["open"].name]["claims"]) == (20, None)
    assert rows[copies["open"].name]["metrics"]["loss"] > 0
    assert rows[copies["worse"].name]["claims"] == "✗"
    table = said(capsys, "runs")
    assert "can't be read as JSON" in table.replace("\n", " ")
    assert len(rows) == 5


def test_runs_of_a_wrong_study(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run of study 'tinny' in runs; did you mean 'tiny'?" in complaint(
        capsys, "runs", "--study", "tinny"
    )


# -- resume ----------------------------------------------------------------------------------------


def crashed(place: Path, monkeypatch: pytest.MonkeyPatch, **fields: object) -> Path:
    """A run of which a checkpoint was written after each step, and which failed at its tenth."""
    monkeypatch.setenv("TINY_CRASH", "10")
    entry = etude.catalogue.Catalogue()[str(place / "tiny.py")]
    study = entry.load().at("quick", **fields)
    with pytest.raises(ValueError, match="crashed as asked"):
        etude.study.execute(
            study,
            root=place / "runs",
            seed=7,
            source=entry.source,
            quiet=True,
            checkpoint_every=1e-9,
        )
    monkeypatch.delenv("TINY_CRASH")
    return RunFolder.open("tiny", place / "runs").path


def test_a_run_is_resumed_to_the_same_bits(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = tiny.run(place / "tiny.py", place / "runs", seed=7, more=(6, 3))
    path = crashed(place, monkeypatch, more=(6, 3))
    assert path != whole.folder.path
    assert RunFolder(path).state == "failed"
    assert len([*(path / "checkpoint").glob("*.pt")]) == 2
    result = json.loads(said(capsys, "resume", "tiny", "--json"))
    assert Path(result["run"]).samefile(path)
    assert result["metrics"] == whole.metrics
    assert RunFolder(path).state == "finished"
    expected, weights = load_file(whole.folder.network), load_file(path / "network.safetensors")
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[key], expected[key]) for key in expected)
    assert [row["step"] for row in RunFolder(path).metrics()] == [*range(1, 21)]
    assert json.loads((path / "study.json").read_text())["changed"] == {"more": [6, 3]}


def test_a_changed_study_is_told(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = crashed(place, monkeypatch)
    tiny.write(place, old_1="momentum=0.9", new_1="momentum=0.8")
    capsys.readouterr()
    assert main(["resume", str(path), "--quiet"]) == 0
    assert "changed since the run began: tiny.py; " in capsys.readouterr().err


def test_a_study_changed_since_is_named_by_the_user(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = crashed(place, monkeypatch)
    with (place / "tiny.py").open("a") as file:
        file.write("\nSEEN = True\n")
    assert "has changed since you ran it" in complaint(capsys, "resume", path)
    said(capsys, "resume", path, "--study", "tiny.py", "--quiet")


def test_what_cannot_be_resumed(
    run: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "is finished; there is nothing to resume" in complaint(capsys, "resume", "tiny")
    assert "no run at 'tinny'" in complaint(capsys, "resume", "tinny")
    with pytest.raises(KeyError), etude.Run("mine", root=place / "runs", quiet=True):
        raise KeyError
    line = complaint(capsys, "resume", "mine")
    sentence = 'of a plain script; start the script again, with Run("mine", resume="auto")'
    assert sentence in line

    path = crashed(place, monkeypatch)
    record = json.loads((path / "study.json").read_text())
    for changes, word in (
        ({"seed": "x"}, "its seed is 'x'"),
        ({"threads": ...}, "its threads is None"),
        ({"device": 3}, "its device is 3"),
        ({"precision": "fp8"}, "damaged"),
        ({"scale": ...}, "its scale"),
        ({"fields": 3}, "its fields are 3"),
        ({"fields": {"hiden": 3}}, "did you mean 'hidden'"),
        ({"scale": "large"}, "no scale 'large'"),
        ({"source": str(path / "tiny.py")}, "nothing there is executed"),
        ({"device": "cuda:9"}, "no device 'cuda:9'"),
    ):
        tiny.alter(path, **changes)
        assert word in complaint(capsys, "resume", path)
        (path / "study.json").write_text(json.dumps(record))
    (path / "study.json").write_text("{")
    assert "can't be read as JSON" in complaint(capsys, "resume", path)
    (path / "study.json").write_text(json.dumps(record))
    said(capsys, "resume", path, "--quiet")


# -- compare ---------------------------------------------------------------------------------------


def test_two_runs_side_by_side(run: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tiny.run(place / "tiny.py", place / "runs", seed=1, hidden=77)
    text = said(capsys, "compare", run.name, other.folder.path, "--figure", "curves.png")
    lines = [line.split() for line in text.splitlines()]
    assert ["1", f"tiny/{run.name}"] in lines
    assert ["2", other.folder.name] in lines
    assert ["hidden", "5", "77"] in lines
    assert ["seed", "0", "1"] in lines
    assert not any(line[:1] == ["rate"] for line in lines)
    accuracy = json.loads((run / "result.json").read_text())["metrics"]["test/accuracy"]
    assert ["test/accuracy", f"{accuracy:.6g}", f"{other.metrics['test/accuracy']:.6g}"] in lines
    assert text.splitlines()[-1] == "curves: curves.png"
    assert (place / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert said(capsys, "compare", run, run).splitlines()[-1] == "curves: runs/compare.svg"
    assert (place / "runs" / "compare.svg").stat().st_size > 1_000


def test_a_study_alone_is_its_last_two_runs(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "at least two runs" in complaint(capsys, "compare", "tiny")
    for year in ("2019", "2020", "2021"):
        shutil.copytree(run, run.parent / f"{year}-01-01_00-00-00-0000")

    def compared(*names: str) -> list[str]:
        lines = said(capsys, "compare", *names).splitlines()
        return [line.split()[1] for line in lines if line[:1].isdigit()]

    latest = f"tiny/{run.name}"
    assert compared("tiny") == ["tiny/2021-01-01_00-00-00-0000", latest]
    assert compared("tiny", "2019") == [latest, "tiny/2019-01-01_00-00-00-0000"]
    assert len(compared("tiny/20")) == 4
    assert len(compared("2020", "2021")) == 2


def test_comparing_what_is_not_there(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "at least two runs" in complaint(capsys, "compare", run)
    assert "no run at 'gone'" in complaint(capsys, "compare", run, "gone")
    capsys.readouterr()
    assert main(["compare", str(run), str(run), "--figure", "a.bmp"]) == 2
    assert "expected one of .svg, .png, .pdf" in capsys.readouterr().err


# -- predict ---------------------------------------------------------------------------------------


def test_predictions_are_printed(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "predict", "tiny", "2 2 2 2", " -2 -2 -2 -2").splitlines()
    assert [lines[0], lines[3]] == ["2 2 2 2", " -2 -2 -2 -2"]
    assert lines[1].split()[0] == "positive"
    assert lines[4].split()[0] == "negative"
    classes = etude.load(run).predict("2 2 2 2")
    assert float(lines[1].split()[1]) == pytest.approx(classes["positive"], abs=1e-4)


def test_predictions_as_json(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = json.loads(said(capsys, "predict", run, "1 2 3 4", "--json"))
    assert found["input"] == "1 2 3 4"
    assert found["classes"] == pytest.approx(dict(etude.load(run).predict("1 2 3 4")))


def test_five_classes_are_shown_of_many(
    run: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    many = 'return {f"class {k}": k / 55 for k in range(11)}'
    tiny.write(place, old_1="return dict(zip(", new_1=f"{many}\n        return dict(zip(")
    lines = said(capsys, "predict", "tiny", "1 2 3 4").splitlines()
    assert lines[1:] == [f"  class {k:<2}  {k / 55:.4f}" for k in (10, 9, 8, 7, 6)]
    (found,) = json.loads(said(capsys, "predict", "tiny", "1 2 3 4", "--json"))
    assert len(found["classes"]) == 11


def test_predicting_with_what_does_not_predict(
    run: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write(place, old_1="def predict(", new_1="def guess(")
    assert "has no prediction to offer" in complaint(capsys, "predict", "tiny", "1 2 3 4")
    assert "no study file at gone.py" in complaint(
        capsys, "predict", "tiny", "1 2 3 4", "--study", "gone.py"
    )
    assert "required: input" in complaint(capsys, "predict", "tiny")


# -- report ----------------------------------------------------------------------------------------


def test_a_report_is_rebuilt_and_opened(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    (run / "report.html").unlink()
    assert said(capsys, "report", "tiny") == f"{run.resolve() / 'report.html'}\n"
    assert "The sign of a sum" in (run / "report.html").read_text()
    assert opened == []
    monkeypatch.setenv("DISPLAY", ":0")
    said(capsys, "report", run, "--no-open")
    assert opened == []
    said(capsys, "report", run)
    assert opened == [(run.resolve() / "report.html").as_uri()]


def test_a_report_of_a_damaged_run(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.alter(run, versions=...)
    assert "is damaged" in complaint(capsys, "report", run, "--no-open")
    (run / "study.json").write_text("[]")
    assert "expected a JSON object" in complaint(capsys, "report", run, "--no-open")
    assert "no run at 'gone'" in complaint(capsys, "report", "gone")


def test_a_scripts_run_has_a_report(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with etude.Run("mine", root=place / "runs", quiet=True) as run:
        run.result({"test/score": 0.25})
    run.folder.report_html.unlink()
    said(capsys, "report", "mine", "--no-open")
    assert "test/score" in run.folder.report_html.read_text()


# -- export ----------------------------------------------------------------------------------------


def test_exports_say_where_they_lie(
    run: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, ending in (("hdf5", "h5"), ("safetensors", "safetensors"), ("notebook", "ipynb")):
        path = said(capsys, "export", "tiny", "--to", kind).strip()
        assert path == f"tiny-{run.name}.{ending}"
        assert (place / path).stat().st_size > 500
        assert (
            said(capsys, "export", run, "--to", kind, "--output", f"net.{ending}").strip()
            == f"net.{ending}"
        )
        assert (place / f"net.{ending}").is_file()


def test_exporting_wrongly(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "invalid choice: 'pickle'" in complaint(capsys, "export", "tiny", "--to", "pickle")
    assert "required: --to" in complaint(capsys, "export", "tiny")
    assert "expected .h5 or .hdf5" in complaint(
        capsys, "export", "tiny", "--to", "hdf5", "--output", "net.txt"
    )
    assert "no folder nowhere" in complaint(
        capsys, "export", "tiny", "--to", "hdf5", "--output", "nowhere/net.h5"
    )


# -- data ------------------------------------------------------------------------------------------


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and the folder of the user's data sets."""
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ETUDE_DATA", str(tmp_path / "data"))
    (tmp_path / "data" / "mnist").mkdir(parents=True)
    return tmp_path / "data" / "mnist"


def test_data_sets_are_a_table(no_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = said(capsys, "data")
    assert all(
        name in text for name in ("mnist", "fashion-mnist", "cifar-10", "cifar-100", "ag-news")
    )
    rows = {row["set"]: row for row in json.loads(said(capsys, "data", "--json"))}
    assert rows["mnist"]["here"] == "no"
    assert rows["mnist"]["bytes"] == 9_912_422 + 28_881 + 1_648_877 + 4_542
    (no_data / "train-labels-idx1-ubyte.gz").write_bytes(b"x")
    rows = {row["set"]: row for row in json.loads(said(capsys, "data", "--json"))}
    assert rows["mnist"]["here"] == "1 of 4 files"
    assert rows["mnist"]["folder"] == str(no_data)
    assert not rows["mnist"]["complete"]


def test_data_sets_are_verified(no_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no data set is here" in said(capsys, "data", "verify")
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (no_data / f"{name}-ubyte.gz").write_bytes(b"x")
    text = said(capsys, "data", "verify", code=1)
    assert text.count("wrong checksum") == 4
    states = json.loads(said(capsys, "data", "verify", "mnist", "--json", code=1))
    assert [state["intact"] for state in states] == [False] * 4


def test_data_sets_are_fetched(
    no_data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from etude.data.sets import SETS
    from etude.data.store import Found

    found = Found(SETS["mnist"], SETS["mnist"].editions[0], {"a": no_data / "a"})
    asked: list[str] = []
    monkeypatch.setattr("etude.cli.data.fetch", lambda name: asked.append(name) or found)
    assert said(capsys, "data", "fetch", "mnist") == f"{no_data / 'a'}\n"
    assert asked == ["mnist"]


def test_wrong_words_about_data(no_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no data set 'mnits'; did you mean 'mnist'?" in complaint(
        capsys, "data", "fetch", "mnits"
    )
    assert "no data set 'mnits'" in complaint(capsys, "data", "verify", "mnits")
    assert "fetch which set?" in complaint(capsys, "data", "fetch")
    assert "can't 'delete'" in complaint(capsys, "data", "delete", "mnist")


# -- many runs -------------------------------------------------------------------------------------


def test_a_list_that_was_kept_says_what_the_runs_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is kept from one command to the next is read anew once a file has changed."""
    from etude.results import listing

    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(listing, "WORTH_KEEPING", 2)
    described: list[str] = []
    whole = listing.describe

    def counted(folder: RunFolder) -> dict[str, object]:
        described.append(folder.name)
        return whole(folder)

    monkeypatch.setattr(listing, "describe", counted)
    root = tmp_path / "runs"
    folders = [root / "one" / f"2026-01-0{k}_00-00-00-abcd" for k in (2, 1, 3)]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "study.json").write_text('{"study": "one", "seed": 1}')

    def rows(*words: str) -> list[dict[str, object]]:
        described.clear()
        found: list[dict[str, object]] = json.loads(
            said(capsys, "runs", "--json", "--runs", root, *words)
        )
        return found

    assert [row["run"] for row in rows()] == [f"one/{path.name}" for path in sorted(folders)]
    assert len(described) == 3
    assert [row["state"] for row in rows()] == ["stopped"] * 3
    assert described == []  # all was known
    (folders[0] / "result.json").write_text('{"metrics": {"loss": 2.0}, "claims": []}')
    (folders[1] / "error.txt").write_text("it broke")
    shown = rows()
    assert [row["state"] for row in shown] == ["failed", "finished", "stopped"]
    assert shown[1]["metrics"] == {"loss": 2.0}
    assert len(described) == 2
    (folders[2] / "study.json").write_text("{")
    assert rows()[2]["state"] == "damaged"
    shutil.rmtree(folders[0])
    assert len(rows("--study", "one")) == len(rows("one")) == 2
    for kept in (tmp_path / "cache" / "listings").iterdir():
        kept.write_text('{"made by": 3, "runs": [')
    assert len(rows()) == 2
