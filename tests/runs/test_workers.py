"""Several processes carry out one run: equal to one, resumed by another number, and through
faults.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributed import PrefixStore, TCPStore

from etude.data.ragged import Ragged
from etude.errors import UserError
from etude.runs import launch as launch_module
from etude.runs import workers
from etude.runs.launch import launch
from etude.runs.workers import Workers, count_rows, first_host, take_rows
from runs import shared as script

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["runs.shared"])  # PyTorch is imported once
ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-9  # of losses near 1, in double precision; a shard left out gives 1e-1


def shared(root: Path, processes: int, *words: str, code: int = 0) -> Path:
    """Let so many processes run the script; gives the run's folder."""
    codes, said = crew(root, processes, *words)
    assert codes == [code] * processes, said
    return max(root.glob("shared/*"))


def crew(root: Path, processes: int, *words: str) -> tuple[list[int | None], str]:
    """The exit codes of so many processes that run the script, and what they said."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    files = [root / f"said {rank}.txt" for rank in range(processes)]
    root.mkdir(parents=True, exist_ok=True)
    started = []
    for rank, file in enumerate(files):
        options = (rank, processes, port, ["--root", str(root), *words], str(file))
        started.append(PROCESSES.Process(target=script.carry_out, args=options))
        started[-1].start()
    for process in started:
        process.join(300)
    return [process.exitcode for process in started], "\n".join(f.read_text() for f in files)


def torchrun(root: Path, processes: int, *words: str) -> subprocess.CompletedProcess[str]:
    """The script by torchrun, which starts once more after a fault."""
    command = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    command += ["--max-restarts=1", "-m", "tests.runs.shared", "--root", str(root), *words]
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": python_path()}
    return subprocess.run(
        [sys.executable, *command], env=env, cwd=ROOT, capture_output=True, text=True, timeout=400
    )


def python_path() -> str:
    """Where a new interpreter finds the tests, before what is set already."""
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))


def losses(folder: Path) -> dict[tuple[str, int], float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {(row["stage"], row["step"]): row["loss"] for row in rows}


def weights(folder: Path, name: str = "network") -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / f"{name}.safetensors")


def assert_alike(one: Path, other: Path) -> None:
    mine, theirs = losses(one), losses(other)
    assert list(mine) == list(theirs)
    assert max(abs(mine[at] - theirs[at]) for at in mine) < TOLERANCE
    for name in ("network", "gpt"):
        for key, tensor in weights(one, name).items():
            torch.testing.assert_close(tensor, weights(other, name)[key], atol=1e-7, rtol=0)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shared(tmp_path_factory.mktemp("alone"), 1)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_are_one(alone: Path, tmp_path: Path, strategy: str) -> None:
    together = shared(tmp_path, 2, "--strategy", strategy)
    assert_alike(alone, together)
    about = json.loads((together / "study.json").read_text())
    assert (about["devices"], about["strategy"]) == (2, strategy)
    mine, theirs = (
        json.loads((folder / "result.json").read_text())["metrics"] for folder in (alone, together)
    )
    assert mine == pytest.approx(theirs, abs=TOLERANCE)


@pytest.mark.parametrize(("strategy", "then"), [("fsdp", 3), ("ddp", 1)])
def test_resumed_by_another_number(alone: Path, tmp_path: Path, strategy: str, then: int) -> None:
    stopped = shared(tmp_path, 2, "--strategy", strategy, "--stop-at", "15", code=130)
    checkpoint = max((stopped / "checkpoint").glob("0-*.pt"))  # a slow machine has saved before
    assert (strategy == "fsdp") == checkpoint.with_name(
        checkpoint.name.split(".")[0] + ".shards"
    ).is_dir()
    assert len(losses(stopped)) < script.STEPS
    resumed = shared(tmp_path, then, "--strategy", "fsdp", "--resume", str(stopped))
    assert resumed == stopped
    assert_alike(alone, resumed)
    assert not (resumed / "checkpoint").exists()


def test_a_stop_in_a_later_loop_reaches_all(alone: Path, tmp_path: Path) -> None:
    stopped = shared(tmp_path, 2, "--stop-at", str(script.STEPS + 12), code=130)
    assert not (stopped / "result.json").exists()
    assert [*(stopped / "checkpoint").glob("1-*.pt")]
    assert_alike(alone, shared(tmp_path, 2, "--resume", str(stopped)))


def test_a_damaged_shard_is_noticed(alone: Path, tmp_path: Path) -> None:
    stopped = shared(
        tmp_path, 2, "--strategy", "fsdp", "--stop-at", "15", "--every", "0.001", code=130
    )
    newest = max((stopped / "checkpoint").glob("*.shards"))
    shard = next(newest.iterdir())
    content = bytearray(shard.read_bytes())
    content[-5] ^= 1
    shard.write_bytes(content)
    resumed = shared(tmp_path, 1, "--strategy", "fsdp", "--resume", str(stopped))
    assert "is damaged" in (resumed / "log.txt").read_text()
    assert_alike(alone, resumed)


def test_torchrun_starts_again_where_a_worker_was_killed(alone: Path, tmp_path: Path) -> None:
    done = torchrun(tmp_path, 2, "--die-at", "25", "--every", "0.001")
    assert done.returncode == 0, done.stderr[-3_000:]
    (survived,) = tmp_path.glob("shared/*")
    assert_alike(alone, survived)


def test_what_one_process_finds_wrong_is_what_is_said(tmp_path: Path) -> None:
    """One process's rows give NaN: it says so, and talks no more to the others, who are in the
    midst of the loop.
    """
    codes, said = crew(tmp_path, 2, "--err-at", "10")
    assert all(codes)
    assert "Diverged: the loss is nan at step 11 of shared" in said
    assert "process 0 of 2 lost the others" in said
    assert "Exception ignored" not in said


def test_steps_by_hand_that_nobody_averages_are_told_after_the_first(tmp_path: Path) -> None:
    codes, said = crew(tmp_path, 2, "--by-hand")
    assert all(codes)
    assert "hold different weights" in said
    assert "run.average(parameters) before optimizer.step()" in said
    (folder,) = tmp_path.glob("shared/*")
    assert not losses(folder), "no row was written after the step"


def test_a_killed_worker_ends_all(tmp_path: Path) -> None:
    """``etude run --devices 2``: one is killed; the other ends by itself, and a sentence says how
    to go on.
    """
    root = tmp_path / "runs"
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [
        sys.executable,
        "-m",
        "etude",
        "run",
        "digits",
        "--devices",
        "2",
        "--epochs",
        "500",
        "--runs",
        str(root),
    ]
    parent = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while not any("loss" in file.read_text() for file in root.glob("*/*/metrics.jsonl")):
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.2)
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    if not children.exists():
        pytest.skip("this system does not list a process's children")
    victim = int(children.read_text().split()[-1])
    os.kill(victim, signal.SIGKILL)
    _, said = parent.communicate(timeout=400)
    assert parent.returncode == 2
    assert "was killed (SIGKILL), and the others have ended; go on with 'etude resume'" in said
    assert "Traceback" not in said
    (folder,) = root.glob("digits/*")
    assert not (folder / "result.json").exists()


# -- parts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [1, 2, 7, 8, 31])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_rows_are_parted_without_overlap(rows: int, size: int) -> None:
    x = torch.randn(rows, 3)
    parts = [Workers(rank, size).share((x, torch.arange(rows))) for rank in range(size)]
    mean = torch.zeros(3)
    seen: list[int] = []
    for part in parts:
        assert part is not None
        (own, numbers), weight = part
        mean += weight * own.mean(0) / size
        seen += numbers.tolist() if weight else []
    assert seen == list(range(rows))
    torch.testing.assert_close(mean, x.mean(0))


def test_what_has_rows() -> None:
    ragged = Ragged.of([[1], [2, 3], [4]])
    assert count_rows((torch.zeros(3, 2), ragged)) == 3
    assert take_rows((torch.arange(3), ragged), torch.arange(1, 3))[1].values.tolist() == [2, 3, 4]
    for batch in (
        7,
        "text",
        torch.tensor(1.0),
        (torch.zeros(3), torch.zeros(4)),
        {"a": 1},
        None,
        (),
    ):
        assert count_rows(batch) is None
        assert Workers(0, 2).share(batch) is None


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node7", "node7"),
        ("gpu[03-05,7],login", "gpu03"),
        ("a1,a2", "a1"),
        ("n[12]", "n12"),
        ("rack-2-[1-4]", "rack-2-1"),
    ],
)
def test_slurms_first_host(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_who_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)
    assert Workers.here() == Workers()
    slurm = {
        "STEP_NUM_TASKS": "4",
        "PROCID": "3",
        "LOCALID": "1",
        "STEP_NODELIST": "gpu[2-3]",
        "JOB_ID": "40123",
    }
    for name, value in slurm.items():
        monkeypatch.setenv(f"SLURM_{name}", value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):  # set, and so put back; then taken away
        monkeypatch.setenv(name, "")
        del os.environ[name]
    assert Workers.here() == Workers(3, 4, 1)
    assert (os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"]) == ("gpu2", "20123")
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    assert Workers.here("fsdp") == Workers(1, 2, 0, "fsdp")
    monkeypatch.setenv("RANK", "2")
    with pytest.raises(UserError, match="process 2 of 2; expected one from 0 to 1"):
        Workers.here()
    monkeypatch.setenv("RANK", "two")
    with pytest.raises(UserError, match="does not say which process"):
        Workers.here()


def test_a_restart_does_not_meet_the_dead() -> None:
    """The store holds what an earlier start left in it; the second process of the next one comes
    late.
    """
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)

    def meet(rank: int) -> PrefixStore:
        time.sleep(0.3 * rank)
        return Workers(rank, 3)._meet(
            TCPStore("127.0.0.1", store.port, is_master=False, wait_for_workers=False)
        )

    with ThreadPoolExecutor(3) as pool:
        for _ in range(3):
            corners = list(pool.map(meet, range(3)))
            assert not any(corner.check(["address"]) for corner in corners)
            corners[1].set("address", "of one that will be dead")
            assert all(corner.check(["address"]) for corner in corners)


@pytest.mark.parametrize("kind", [nn.BatchNorm1d, nn.BatchNorm2d])
def test_batch_norm_over_processes_is_batch_norm(
    kind: type[nn.BatchNorm2d], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one process the sum over processes is the sum: outputs, gradients and running figures
    are torch's.
    """
    monkeypatch.setattr(workers.dist, "all_reduce", lambda tensor, *rest: None)
    torch.manual_seed(0)
    reference, ours = kind(4).double(), kind(4).double()
    for norm in (reference, ours):
        with torch.no_grad():
            norm.weight.copy_(torch.linspace(0.5, 2, 4))
            norm.bias.copy_(torch.linspace(-1, 1, 4))
    workers.synchronise_batch_norm(ours)
    x = torch.randn(6, 4, *([3, 3] if kind is nn.BatchNorm2d else []), dtype=torch.float64)
    for training in (True, False):
        inputs = [x.clone().requires_grad_(), x.clone().requires_grad_()]
        for norm, given in zip((reference, ours), inputs, strict=True):
            norm.train(training)
            norm(given).pow(3).sum().backward()
        torch.testing.assert_close(ours(x), reference(x))
        torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
        torch.testing.assert_close(ours.running_mean, reference.running_mean)
        torch.testing.assert_close(ours.running_var, reference.running_var)
        torch.testing.assert_close(ours.weight.grad, reference.weight.grad)


def test_the_first_to_fail_speaks_but_for_those_that_were_killed() -> None:
    class Ended:
        def __init__(self, *codes: int | None) -> None:
            self.codes = [*codes]

        def poll(self) -> int | None:
            return self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]

    first = launch_module._first_to_fail
    assert first([Ended(0), Ended(0)]) is None
    assert first([Ended(None, 2), Ended(2)]) == 1  # the other one only lost it
    assert first([Ended(2), Ended(None, -9)]) == 1  # what it lost was killed
    assert first([Ended(None, None, 0), Ended(None, 0)]) is None


def test_launch_gives_the_failing_workers_words(capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(["run", "no-such-study"], 2) == 2
    assert "no study 'no-such-study'" in capfd.readouterr().err
