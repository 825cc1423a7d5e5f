"""A run's folder may come from anyone: nothing in it leads elsewhere, is waited for, or has no
end.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from etude.errors import UserError
from etude.results.files import whole
from etude.results.listing import Listing, describe
from etude.results.pictures import cover
from etude.runs import files
from etude.runs.checkpoints import write_atomically
from etude.runs.folder import RunFolder, find_runs, runs_root
from etude.runs.metrics import MetricsFile
from etude.runs.run import Run

RECORD = {
    "study": "digits",
    "source": "catalogue",
    "scale": "quick",
    "seed": 0,
    "fields": {},
    "changed": {},
}
RESULT = {"metrics": {"test/accuracy": 0.5}, "claims": [], "seconds": 1.0}


def a_run(root: Path, name: str = "2025-01-01_00-00-00-aaaa") -> RunFolder:
    """A finished run, as it comes from somebody else."""
    folder = RunFolder(root / "digits" / name)
    for place in (folder.figures, folder.tables, folder.checkpoint, folder.source):
        place.mkdir(parents=True)
    folder.study_json.write_text(json.dumps(RECORD))
    folder.result_json.write_text(json.dumps(RESULT))
    folder.metrics_jsonl.write_text('{"step": 1, "loss": 2.0}\n')
    return folder


@pytest.fixture
def stranger(tmp_path: Path) -> RunFolder:
    return a_run(tmp_path / "runs")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the person who looks at the run."""
    path = tmp_path / "authorized_keys"
    path.write_text("mine")
    return path


def link(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def link_to_a_folder(path: Path, secret: Path) -> None:
    path.symlink_to(secret.parent)


def link_to_nothing(path: Path, secret: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def pipe(path: Path, secret: Path) -> None:
    os.mkfifo(path)


def listener(path: Path, secret: Path) -> None:
    os.chdir(path.parent)  # the name of a socket may not be long
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)


PLANTED = (link, link_to_a_folder, link_to_nothing, pipe, listener)
AT_THE_TOP = (
    "study.json",
    "result.json",
    "metrics.jsonl",
    "log.txt",
    ".status.json",
    ".lock",
    "error.txt",
    "network.safetensors",
    "report.html",
    ".report.html.part",
    "figures",
    "tables",
    "checkpoint",
)
BELOW = ("figures/a.svg", "figures/a.png", "tables/a.csv", "source/a.py", "checkpoint/0-1.x.pt")


def planted(folder: RunFolder, name: str, plant: Callable[[Path, Path], None], at: Path) -> None:
    place = folder.path / name
    if place.is_dir():
        place.rmdir()
    place.unlink(missing_ok=True)
    plant(place, at)


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("name", AT_THE_TOP + BELOW)
def test_what_leads_elsewhere_is_refused_by_name(
    stranger: RunFolder,
    secret: Path,
    name: str,
    plant: Callable[[Path, Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from etude.runs.report import write_report

    monkeypatch.chdir(secret.parent)
    planted(stranger, name, plant, secret)
    for use in (
        lambda: RunFolder.open(stranger.path),
        lambda: RunFolder.open("digits", stranger.path.parents[1]),
        lambda: write_report(stranger),
        lambda: Run("digits", resume=stranger, quiet=True).__enter__(),
    ):
        with pytest.raises(UserError, match="expected a plain file") as caught:
            use()
        assert str(stranger.path / name) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert secret.read_text() == "mine"
    assert not (secret.parent / "report.html").exists()


@pytest.mark.parametrize("plant", PLANTED)
@pytest.mark.parametrize("name", ["study.json", "result.json", ".lock", "figures"])
def test_a_list_shows_the_others(
    stranger: RunFolder,
    secret: Path,
    name: str,
    plant: Callable[[Path, Path], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(secret.parent)
    root = stranger.path.parents[1]
    a_run(root, "2025-01-02_00-00-00-bbbb")
    planted(stranger, name, plant, secret)
    bad, good = map(describe, find_runs(root))
    assert bad["state"] == "damaged"
    assert "expected a plain file" in bad["error"]
    assert good["state"] == "finished"
    assert cover(stranger) is None


def test_a_run_folder_that_is_a_link_is_refused(stranger: RunFolder) -> None:
    linked = stranger.path.with_name("2025-01-03_00-00-00-cccc")
    linked.symlink_to(stranger.path)
    assert [describe(run)["state"] for run in find_runs(linked.parents[1])] == [
        "finished",
        "damaged",
    ]
    with pytest.raises(UserError, match="is a link; expected a folder"):
        RunFolder.open(linked)


def test_the_folder_of_all_runs_may_be_a_link(stranger: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(stranger.path.parents[1])
    assert RunFolder.open("digits", tmp_path / "here").state == "finished"


def test_what_is_too_large_is_not_read(stranger: RunFolder) -> None:
    for path, use in (
        (stranger.study_json, stranger.study),
        (stranger.result_json, stranger.result),
        (stranger.metrics_jsonl, stranger.curves),
        (stranger.tables / "a.csv", stranger.tables_of),
    ):
        before = path.read_bytes() if path.exists() else b""
        with path.open("ab") as file:
            file.truncate(files.LOG + 1)  # takes no room on the disk
        with pytest.raises(UserError, match=r"too large: .* expected at most"):
            use()
        path.write_bytes(before)


def test_more_files_than_a_run_leaves_are_refused(
    stranger: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_ENTRIES", 6)
    with pytest.raises(UserError, match="more than 6 files"):
        stranger.check()


def test_a_folder_that_a_running_run_removes_is_not_missed(
    stranger: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = os.lstat

    def late(path: Path) -> os.stat_result:
        if path == stranger.checkpoint:
            path.rmdir()
        return look(path)

    monkeypatch.setattr("os.lstat", late)
    stranger.check()
    assert not stranger.checkpoint.exists()
    with pytest.raises(UserError, match="can't be read: No such file"):
        RunFolder(stranger.path / "gone").check()


def test_a_result_of_a_finished_run_is_read(stranger: RunFolder) -> None:
    stranger.check()
    assert stranger.study() == RECORD
    assert stranger.result() == RESULT
    assert [*stranger.metrics()] == [{"step": 1, "loss": 2.0}]
    assert stranger.last_row() == {"step": 1, "loss": 2.0}


# -- writing --------------------------------------------------------------------------------------


def test_a_whole_file_takes_the_place_of_a_link(tmp_path: Path, secret: Path) -> None:
    path = tmp_path / "report.html"
    path.symlink_to(secret)
    write_atomically(path, b"report")
    assert path.read_bytes() == b"report"
    assert not path.is_symlink()
    assert secret.read_text() == "mine"


def test_no_file_is_written_into_a_linked_folder(tmp_path: Path, secret: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "figures").symlink_to(tmp_path / "home")
    with pytest.raises(UserError, match="is a link; expected a folder"):
        write_atomically(tmp_path / "figures" / "a.svg", b"<svg/>")
    assert not [*(tmp_path / "home").iterdir()]


@pytest.mark.parametrize(
    "write",
    [
        lambda path: write_atomically(path, b"x"),
        lambda path: whole(path).__enter__(),
    ],
    ids=["of a run", "of an export"],
)
def test_a_temporary_name_that_is_there_is_not_written_to(
    write: Callable[[Path], object], tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were the name known beforehand, which it is not, a link there would still lead nowhere."""
    monkeypatch.setattr("secrets.token_hex", lambda _: "known")
    for name in (".a.h5.known.part", ".part-known-a.h5"):
        (tmp_path / name).symlink_to(secret)
    with pytest.raises(UserError, match="could not be written|can't be written"):
        write(tmp_path / "a.h5")
    assert secret.read_text() == "mine"


def test_temporary_names_differ_and_go(tmp_path: Path) -> None:
    names = set()
    for _ in range(5):
        with files.temporary(tmp_path / "a.txt") as part:
            names.add(part.name)
            assert part.stat().st_mode & 0o777 == 0o666 & ~_mask()
    assert len(names) == 5
    assert not [*tmp_path.iterdir()]


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("plant", [link, link_to_nothing, pipe, os.link])
def test_nothing_is_written_through_a_link(
    plant: Callable[[Path, Path], None], tmp_path: Path, secret: Path
) -> None:
    path = tmp_path / "metrics.jsonl"
    plant(*((secret, path) if plant is os.link else (path, secret)))
    for use in (
        lambda: MetricsFile(path, replaying=False),
        lambda: files.appending(path),
        lambda: files.overwrite(path, b"x"),
    ):
        with pytest.raises(UserError, match="expected a (plain file|file of its own)"):
            use()
    assert secret.read_text() == "mine"
    assert not (tmp_path / "gone").exists()


def test_a_lock_empties_no_other_file(stranger: RunFolder, secret: Path) -> None:
    stranger.result_json.unlink()
    os.link(secret, stranger.path / ".lock")
    assert stranger.state == "stopped"
    with pytest.raises(UserError, match="a hard link"):
        stranger.lock()
    assert secret.read_text() == "mine"


def test_what_a_kill_left_half_written_goes_when_the_run_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Run("mine", root=tmp_path, quiet=True) as run:
        raise KeyError
    left = run.folder.path / f".network.safetensors.{'0' * 16}.part"
    left.write_bytes(b"half")
    with Run("mine", root=tmp_path, resume="auto", quiet=True) as again:
        assert again.folder.path == run.folder.path
        assert not left.exists()


def test_to_look_at_a_run_is_in_nobodys_way(tmp_path: Path) -> None:
    folder = RunFolder.create("looked-at", tmp_path)
    folder.study_json.write_text("{}")
    held = folder.lock()
    assert folder.state == "running"
    held.release()
    looked = os.open(folder.path / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(looked, fcntl.LOCK_SH)  # somebody else looks
    assert folder.state == "stopped"
    with pytest.raises(UserError, match="being written by another process"):
        folder.lock()
    letting_go = threading.Timer(0.05, os.close, [looked])
    letting_go.start()
    folder.lock().release()
    letting_go.join()


def test_a_closed_folder_of_runs_is_not_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(path: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    assert find_runs(tmp_path / "none") == []
    monkeypatch.setattr("os.scandir", closed)
    with pytest.raises(UserError, match="can't be read: Permission denied"):
        find_runs(tmp_path)
    with pytest.raises(UserError, match="can't be read: Permission denied"):
        Listing(tmp_path).rows()


def test_the_users_own_folder_may_be_written_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert runs_root("~/runs") == Path("/home/somebody/runs")
    monkeypatch.setenv("ETUDE_RUNS", "~/there")
    assert runs_root() == Path("/home/somebody/there")
