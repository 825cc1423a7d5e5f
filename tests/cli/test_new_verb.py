"""``etude new`` writes a study that runs, in both forms, and folders are studies everywhere."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from etude.catalogue import Catalogue
from etude.cli import main
from etude.errors import UserError
from etude.reading import read


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ETUDE_RUNS", raising=False)
    return tmp_path


@pytest.mark.parametrize("form", ["file", "folder"])
def test_what_is_written_runs_and_holds_its_claim(
    form: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = "./mine/" if form == "folder" else "./mine.py"
    assert main(["new", "mine", *["--folder"] * (form == "folder")]) == 0
    out = capsys.readouterr().out
    assert f"etude run {study}" in out
    written = {str(path.relative_to(here)) for path in here.rglob("*.*")}
    in_folder = {"mine/README.md", "mine/_figures.py", "mine/mine.py"}
    assert written == (in_folder if form == "folder" else {"mine.py"})

    assert main(["run", study, "--quiet", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [claim["holds"] for claim in result["claims"]] == [True, True]
    run = Path(result["run"])
    assert [*(run / "figures").glob("fit.*")]
    assert (run / "network.safetensors").is_file()

    assert main(["show", study]) == 0
    shown = capsys.readouterr().out
    for words in ("A sine through one hidden layer", "Cybenko", "tanh units of the hidden layer"):
        assert words in shown
    assert main(["resume", "mine"]) == 2
    assert "is finished; there is nothing to resume" in capsys.readouterr().err
    assert main(["run", study, "--wdth", "3"]) == 2
    assert "did you mean" in capsys.readouterr().err
    if form == "folder":  # in a process of its own, which finds the folder's parts, too
        assert main(["check", study, "--seeds", "1"]) == 0
        assert "test/rmse" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("Mine", "can't be a study's name"),
        ("my-study", "can't be a study's name"),
        ("mine.py", "can't be a study's name"),
        ("./mine", "can't be a study's name"),
        ("class", "can't be a study's name"),
        ("_mine", "can't be a study's name"),
        ("spirals", "there is a study 'spirals' already"),
        ("taken", "taken.py is there already"),
        ("there", "there is there already"),
    ],
)
def test_wrong_names_get_a_sentence(
    name: str, sentence: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "taken.py").write_text("mine")
    (here / "there").mkdir()
    before = sorted(here.rglob("*"))
    for words in (["new", name], ["new", name, "--folder"]):
        assert main(words) == 2
        captured = capsys.readouterr()
        assert sentence in captured.err
        assert len(captured.err.splitlines()) == 1
        assert captured.out == ""
    assert sorted(here.rglob("*")) == before
    assert (here / "taken.py").read_text() == "mine"


def test_a_folder_is_a_study_by_any_of_its_paths(here: Path) -> None:
    main(["new", "mine", "--folder"])
    names = ["./mine/", "./mine", "mine/", str(here / "mine"), "mine/mine.py"]
    entries = [Catalogue()[name] for name in names]
    assert all(entry == entries[0] for entry in entries)
    assert entries[0].title == "A sine through one hidden layer"
    assert entries[0].folder == here / "mine"
    assert {"mine.py", "_figures.py"} <= {path.name for path in (here / "mine").iterdir()}
    (here / "mine" / "mine.py").rename(here / "mine" / "other.py")
    with pytest.raises(UserError, match=r"holds no mine\.py"):
        Catalogue()["./mine/"]


def test_a_part_of_a_folder_may_change_and_is_loaded_anew(here: Path) -> None:
    main(["new", "mine", "--folder"])
    (here / "mine" / "_part.py").write_text("NUMBER = 1\n")
    main_file = here / "mine" / "mine.py"
    source = main_file.read_text().replace("from ._figures", "from ._part import NUMBER\n\\g")
    main_file.write_text(source.replace("\\g", "from ._figures"))
    entry = read(main_file, None)
    assert sys.modules[entry.load().__module__].NUMBER == 1
    (here / "mine" / "_part.py").write_text("NUMBER = 22\n")
    assert sys.modules[entry.load().__module__].NUMBER == 22
