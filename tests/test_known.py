"""Code is executed for a run's record only if this user has run it, as it is now."""

from __future__ import annotations

import importlib.util
import json
import os
import py_compile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

import tiny
from etude import known
from etude.cli import main
from etude.errors import UserError
from etude.results.load import find, load
from etude.runs.folder import RunFolder

EVIL = '''"""Evil."""
import os
from dataclasses import dataclass
from etude import Study

os.mkdir("executed")


@dataclass
class Evil(Study):
    def __call__(self, run):
        pass
'''


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ETUDE_CONFIG", str(tmp_path / "settings"))
    (tmp_path / "pack").mkdir()
    monkeypatch.chdir(tmp_path / "pack")
    return tmp_path / "settings"


def pack(place: Path, source: str) -> RunFolder:
    """A course's pack: code, and a run that says where the code lies."""
    (place / "evil.py").write_text(EVIL)
    folder = RunFolder(place / "runs" / "evil" / "2025-01-01_00-00-00-aaaa")
    folder.path.mkdir(parents=True)
    record = {"study": "evil", "source": source, "fields": {}, "scale": "quick", "seed": 0}
    record |= {"device": "cpu", "precision": "auto", "threads": 1, "compiled": False}
    folder.study_json.write_text(json.dumps(record))
    return folder


@pytest.mark.parametrize("source", ["/proc/self/cwd/evil.py", "{here}/evil.py", "/proc/self/cwd"])
@pytest.mark.parametrize(
    "words",
    [
        ("predict", "evil", "1"),
        ("export", "evil", "--to", "hdf5"),
        ("export", "evil", "--to", "notebook"),
        ("resume", "evil"),
    ],
    ids=" ".join,
)
def test_a_strangers_code_is_not_executed(
    source: str, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    here = Path.cwd()
    folder = pack(here, source.format(here=here))
    if source == "/proc/self/cwd":  # the folder one stands in, as a study's own
        (here / "evil.py").rename(here / f"{here.name}.py")
    assert main([*words]) == 2
    assert "--study" in capsys.readouterr().err
    with pytest.raises(UserError, match="you have not run"):
        load(folder)
    assert not (here / "executed").exists()


def test_what_was_run_is_followed_until_it_changes() -> None:
    folder = pack(Path.cwd(), str(Path("evil.py").resolve()))
    known.remember(Path("evil.py"))
    assert find(folder.study(), "it", None, folder).path == Path("evil.py").resolve()
    with Path("evil.py").open("a") as file:
        file.write("# a comment may say how the rest is to be read\n")
    with pytest.raises(UserError, match=r"has changed since you ran it.*--study"):
        find(folder.study(), "it", None, folder)
    assert find(folder.study(), "it", "evil.py", folder).name == "evil"  # named by the user
    Path("evil.py").write_text(EVIL)
    assert known.is_as_run(Path("evil.py"))


def test_every_file_that_would_be_executed_counts() -> None:
    Path("mine.py").write_text("from helper import x\n")
    Path("helper.py").write_text("from _figures import y as x\n")  # makes no numbers, and is code
    Path("_figures.py").write_text("y = 1\n")
    known.remember(Path("mine.py"))
    assert known.is_as_run(Path("mine.py"))
    for name in ("mine.py", "helper.py", "_figures.py"):
        before = Path(name).read_text()
        Path(name).write_text(before + "import os\n")
        assert not known.is_as_run(Path("mine.py"))
        Path(name).write_text(before)
    assert known.is_as_run(Path("mine.py"))

    folder = Path("own")
    folder.mkdir()
    (folder / "own.py").write_text("x = 1\n")
    (folder / "_demo.py").write_text("x = 1\n")
    known.remember(folder / "own.py")
    assert known.is_as_run(folder / "own.py")
    (folder / "_demo.py").write_text("x = 2\n")
    assert not known.is_as_run(folder / "own.py")


@pytest.mark.parametrize("name", ["helper/__init__.py", f"helper{EXTENSION_SUFFIXES[0]}"])
def test_what_python_would_import_instead_counts(name: str) -> None:
    Path("mine.py").write_text("import helper\n")
    Path("helper.py").write_text("x = 1\n")
    known.remember(Path("mine.py"))
    assert known.is_as_run(Path("mine.py"))
    Path(name).parent.mkdir(exist_ok=True)
    Path(name).write_text("import os\n")
    assert not known.is_as_run(Path("mine.py"))


def test_what_was_compiled_beside_is_not_believed() -> None:
    """Python executes what was compiled of a file in the place of the file itself."""
    folder = pack(Path.cwd(), str(Path("evil.py").resolve()))
    harmless = EVIL.replace('os.mkdir("executed")', "")
    Path("evil.py").write_text(EVIL)
    cache = importlib.util.cache_from_source("evil.py")
    py_compile.compile("evil.py", invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    assert Path(cache).is_file()
    Path("evil.py").write_text(harmless)
    known.remember(Path("evil.py"))
    find(folder.study(), "it", None, folder).load()
    assert not Path("executed").exists()


def test_another_path_with_the_same_code_is_another() -> None:
    Path("a.py").write_text("x = 1\n")
    Path("b.py").write_text("x = 1\n")
    known.remember(Path("a.py"))
    assert known.has_run(Path("a.py"))
    assert not known.has_run(Path("b.py"))
    Path("c.py").symlink_to("a.py")
    assert known.is_as_run(Path("c.py"))


def test_running_a_file_is_remembered_once(tmp_path: Path, settings: Path) -> None:
    path = tmp_path / "tiny.py"
    path.write_text(tiny.SOURCE.replace("CLAIMS", "[]"))
    assert main(["run", str(path), "--steps", "1", "--quiet", "--runs", "runs"]) == 0
    (kept,) = (settings / "run").iterdir()
    text = kept.read_text()
    assert str(path) in text
    (run,) = Path("runs/tiny").iterdir()
    assert load(run).study.steps == 1  # type: ignore[attr-defined]
    known.remember(path)
    assert kept.read_text() == text
    assert kept.parent.stat().st_mode & 0o077 == 0


def test_settings_that_cannot_be_written_stop_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.py").write_text("x = 1\n")
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ETUDE_CONFIG", str(tmp_path / "file" / "within"))
    known.remember(Path("mine.py"))
    assert not known.is_as_run(Path("mine.py"))


def test_settings_are_where_the_system_has_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ETUDE_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    Path("mine.py").write_text("x = 1\n")
    known.remember(Path("mine.py"))
    if os.name == "posix" and os.uname().sysname == "Linux":
        assert (tmp_path / "xdg" / "etude" / "run").is_dir()
