"""Killed at any instant and resumed: the same weights, results and log as never killed, bit for
bit.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from etude.errors import UserError
from etude.runs.folder import RunFolder, find_runs
from etude.runs.run import Run
from runs import durable

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["etude.runs.run"])  # PyTorch is imported once
Outcome = tuple[bytes, dict[str, float], list[dict[str, Any]]]


def start(root: Path, **options: Any) -> Any:
    process = PROCESSES.Process(target=durable.train, args=(str(root),), kwargs=options)
    process.start()
    return process


def outcome(root: Path) -> Outcome:
    (folder,) = find_runs(root)
    result = folder.result()
    assert result is not None, "the run did not finish"
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in folder.metrics()]
    return folder.network.read_bytes(), result["metrics"], rows


@pytest.fixture(scope="module")
def never_killed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    root = tmp_path_factory.mktemp("whole")
    process = start(root)
    process.join()
    assert process.exitcode == 0
    weights, metrics, rows = outcome(root)
    steps = [row["step"] for row in rows if row.get("stage") == "stage 1" and "loss" in row]
    assert steps == list(range(1, durable.STEPS + 1))
    return weights, metrics, rows


@pytest.mark.parametrize("number", range(5))
def test_killed_at_a_random_instant(never_killed: Outcome, tmp_path: Path, number: int) -> None:
    """Up to three kills in one run, each some milliseconds after a random row of the log has
    appeared.
    """
    chance = random.Random(number)
    process = start(tmp_path)
    kills = 0
    for rows in sorted(chance.randrange(2 * durable.STEPS) for _ in range(chance.randint(1, 3))):
        wait_for_rows(tmp_path, rows, process)
        time.sleep(chance.uniform(0, 0.02))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        (folder,) = find_runs(tmp_path)
        if folder.result_json.exists():  # it was over already
            break
        assert folder.state == "stopped"
        process = start(tmp_path, resume=str(folder.path))
    process.join()
    assert kills
    assert outcome(tmp_path) == never_killed


def wait_for_rows(root: Path, rows: int, process: Any) -> None:
    """Until the log has that many rows (or the process is over)."""
    while process.exitcode is None:
        for folder in find_runs(root):
            if (
                folder.metrics_jsonl.exists()
                and folder.metrics_jsonl.read_bytes().count(b"\n") >= rows
            ):
                return
        time.sleep(0.001)


@pytest.mark.parametrize(
    ("number", "after_rename"), [(2, False), (3, True), (12, False), (32, True), (33, False)]
)
def test_killed_while_writing_a_checkpoint(
    never_killed: Outcome, tmp_path: Path, number: int, after_rename: bool
) -> None:
    process = start(tmp_path, kill_in_write=number, after_rename=after_rename)
    process.join()
    assert process.exitcode == -signal.SIGKILL
    (folder,) = find_runs(tmp_path)
    process = start(tmp_path, resume=str(folder.path))
    process.join()
    assert process.exitcode == 0
    assert outcome(tmp_path) == never_killed


def interrupted(root: Path, step: int) -> RunFolder:
    """A run of a small script that was stopped (as by Ctrl-C) after some steps; two checkpoints are
    there.
    """
    with pytest.raises(SystemExit) as stop:
        script(root, stop_at=step)
    assert stop.value.code == 130
    (folder,) = find_runs(root)
    return folder


def script(root: Path, resume: RunFolder | None = None, stop_at: int = -1) -> Run:
    with Run("small", root=root, resume=resume, checkpoint_every=1e-9, quiet=True) as run:
        net = torch.nn.Linear(3, 1)
        optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
        for _ in run.steps(range(20), state=(net, optimizer)):
            loss = (net(torch.randn(8, 3)) - 1).square().mean()
            run.minimise(loss, optimizer)
            run.log(loss=loss)
            if run.step + 1 == stop_at:
                os.kill(os.getpid(), signal.SIGINT)
        run.keep(net)
    return run


def test_ctrl_c_saves_and_resumes(tmp_path: Path) -> None:
    whole = script(tmp_path / "whole")
    folder = interrupted(tmp_path / "cut", 7)
    assert folder.state == "stopped"
    script(tmp_path / "cut", resume=folder)
    assert folder.network.read_bytes() == whole.folder.network.read_bytes()
    assert folder.state == "finished"
    assert not folder.checkpoint.exists()  # a finished run needs none


@pytest.mark.parametrize("damage", ["truncate", "flip a bit", "empty", "remove"])
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = script(tmp_path / "whole")
    folder = interrupted(tmp_path / "cut", 9)
    before, last = sorted(folder.checkpoint.glob("0-*.pt"))
    content = last.read_bytes()
    if damage == "truncate":
        last.write_bytes(content[:-7])
    elif damage == "flip a bit":
        middle = len(content) // 2
        last.write_bytes(content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :])
    elif damage == "empty":
        last.write_bytes(b"")
    else:
        last.unlink()
    said: list[str] = []
    monkeypatch.setattr(Run, "say", lambda self, message: said.append(message))
    script(tmp_path / "cut", resume=folder)
    assert folder.network.read_bytes() == whole.folder.network.read_bytes()
    assert any(
        f"step {int(before.name.split('-')[1].split('.')[0])}" in message for message in said
    )
    assert any("is damaged" in message for message in said) == (damage != "remove")


def test_the_log_is_whole_after_damage_to_its_end(tmp_path: Path) -> None:
    whole = script(tmp_path / "whole")
    folder = interrupted(tmp_path / "cut", 9)
    with folder.metrics_jsonl.open("ab") as file:
        file.write(
            b'{"step": 10, "loss": 0.1}\n{"step": 11, "lo'
        )  # rows after the checkpoint, the last one cut
    script(tmp_path / "cut", resume=folder)
    losses = [row["loss"] for row in folder.metrics()]
    assert losses == [row["loss"] for row in whole.folder.metrics()]
    assert len(losses) == 20


def test_a_finished_run_is_not_resumed(tmp_path: Path) -> None:
    run = script(tmp_path)
    with pytest.raises(UserError, match="finished"):
        script(tmp_path, resume=run.folder)


def test_other_code_is_refused(tmp_path: Path) -> None:
    folder = interrupted(tmp_path, 5)
    with (
        pytest.raises(UserError, match="holds 2 states, the code gives 1"),
        Run("small", root=tmp_path, resume=folder, quiet=True) as run,
    ):
        list(run.steps(range(20), state=torch.nn.Linear(3, 1)))
    net = torch.nn.Linear(4, 1)
    with (
        pytest.raises(UserError, match="the state of its Linear does not fit"),
        Run("small", root=tmp_path, resume=folder, quiet=True) as run,
    ):
        list(run.steps(range(20), state=(net, torch.optim.SGD(net.parameters(), 0.1))))


def test_two_processes_cannot_write_one_run(tmp_path: Path) -> None:
    folder = interrupted(tmp_path, 5)
    held = folder.lock()
    try:
        assert folder.state == "running"
        with pytest.raises(UserError, match="another process"):
            script(tmp_path, resume=folder)
    finally:
        held.release()


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow past a limit: the system's own refusal, not
    a simulated one.
    """
    program = f"""
import resource, signal, sys
sys.path[:0] = {sys.path!r}
import torch, etude
from etude.runs import checkpoints
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
net = torch.nn.Linear(300, 300)
try:
    with etude.Run("big", root={str(tmp_path)!r}, checkpoint_every=1e-9, quiet=True) as run:
        for step in run.steps(range(10), state=net):
            if step == 4:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
except etude.UserError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "could not be written" in done.stdout
    (folder,) = find_runs(tmp_path)
    kept = sorted(path.name for path in folder.checkpoint.iterdir())
    assert [name[:10] for name in kept] == ["0-00000003", "0-00000004"]
    assert json.loads(folder.study_json.read_text())["study"] == "big"


@pytest.mark.parametrize("code", ["ENOSPC", "EDQUOT", "EROFS"])
def test_what_the_disk_says_is_passed_on(code: str) -> None:
    import errno

    from etude.runs.checkpoints import disk_trouble

    error = disk_trouble(
        OSError(getattr(errno, code), os.strerror(getattr(errno, code))), Path("x/y.pt")
    )
    assert ("disk is full" in str(error)) == (code != "EROFS")
    assert "x/y.pt" in str(error)
