"""A run's folder from its beginning to its end, and what a person is told."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from etude.catalogue import Catalogue
from etude.cli import main
from etude.errors import UserError
from etude.runs.folder import RunFolder, find_runs
from etude.runs.run import Interrupted, Run
from etude.study import execute

STUDY = '''"""A folder of one's own.

References
----------
None.
"""

from dataclasses import dataclass
from pathlib import Path

from etude import Run, Study


@dataclass
class Pictures(Study):
    folder: str = "nowhere"  # where the pictures are

    def __call__(self, run: Run) -> None:
        names = sorted(each.name for each in Path(self.folder).iterdir())
        run.result({"pictures": len(names)})
'''


def script(root: Path, *, stop_at: int = -1, seed: int = 0, step_size: float = 0.1) -> RunFolder:
    """A plain script that is started and resumed by the same line."""
    with Run(
        "mine", root=root, seed=seed, fields={"step_size": step_size}, resume="auto", quiet=True
    ) as run:
        net = nn.Linear(3, 1)
        optimizer = torch.optim.SGD(net.parameters(), step_size, momentum=0.9)
        for _ in run.steps(range(20), state=(net, optimizer)):
            run.minimise((net(torch.randn(8, 3)) - 1).square().mean(), optimizer)
            if run.step + 1 == stop_at:
                os.kill(os.getpid(), signal.SIGINT)
        run.result({"weight": net.weight.sum()})
    return run.folder


def test_auto_begins_a_run_and_goes_on_with_it(tmp_path: Path) -> None:
    whole = script(tmp_path / "whole")
    with pytest.raises(Interrupted, match="130") as stop:
        script(tmp_path / "cut", stop_at=7)
    assert stop.value.message == (
        "stopped after step 7 of 20, all saved; to go on, start the script again"
    )
    resumed = script(tmp_path / "cut")
    assert [run.path for run in find_runs(tmp_path / "cut")] == [resumed.path]
    assert "resumed training at step 7" in resumed.log_txt.read_text(encoding="utf-8")
    ours, theirs = resumed.result(), whole.result()
    assert ours
    assert theirs
    assert ours["metrics"] == theirs["metrics"]
    assert script(tmp_path / "cut").path != resumed.path, "a finished run is not gone on with"


def test_auto_leaves_runs_of_other_settings_alone(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        script(tmp_path, stop_at=7)
    (first,) = find_runs(tmp_path)
    assert script(tmp_path, seed=1).path != first.path
    assert script(tmp_path, step_size=0.2).path != first.path
    assert first.state == "stopped"
    assert script(tmp_path).path == first.path


def test_auto_leaves_a_run_that_is_under_way_alone(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        script(tmp_path, stop_at=7)
    (first,) = find_runs(tmp_path)
    held = first.lock()
    try:
        assert script(tmp_path).path != first.path
    finally:
        held.release()


def test_auto_passes_over_a_run_whose_record_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        script(tmp_path, stop_at=7)
    (first,) = find_runs(tmp_path)
    first.study_json.write_text("{", encoding="utf-8")
    assert script(tmp_path).path != first.path


def test_a_plain_script_is_told_the_line_that_resumes_it(tmp_path: Path) -> None:
    with pytest.raises(Interrupted) as stop, Run("mine", root=tmp_path, quiet=True) as run:
        for _ in run.steps(range(3)):
            os.kill(os.getpid(), signal.SIGINT)
    assert stop.value.message.endswith(
        'to go on, start the script again with: Run("mine", resume="auto")'
    )


def test_a_studys_missing_folder_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "pictures.py"
    file.write_text(STUDY, encoding="utf-8")
    assert main(["run", str(file), "--runs", str(tmp_path / "runs"), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert said == "etude: pictures: nowhere: No such file or directory (pictures.py, line 19)\n"
    assert not find_runs(tmp_path / "runs"), "a run that never began leaves nothing"
    (tmp_path / "nowhere").mkdir()
    assert main(["run", str(file), "--runs", str(tmp_path / "runs"), "--quiet"]) == 0


def test_a_run_that_can_t_begin_leaves_nothing(tmp_path: Path) -> None:
    """Its folder is made before the run finds out."""
    before = torch.get_num_threads()
    with pytest.raises(UserError, match="threads is 100,000"):
        Run("mine", root=tmp_path, threads=100_000, quiet=True).__enter__()
    assert not [*tmp_path.rglob("*.json")]
    assert not find_runs(tmp_path)
    assert torch.get_num_threads() == before
    with Run("mine", root=tmp_path, quiet=True) as run:  # its turn was given back
        run.result({"x": 1.0})


def test_what_happens_to_the_runs_own_folder_is_told_by_the_run(tmp_path: Path) -> None:
    file = tmp_path / "pictures.py"
    file.write_text(
        STUDY.replace("Path(self.folder).iterdir()", "(run.folder.path / 'gone').iterdir()"),
        encoding="utf-8",
    )
    study = Catalogue()[str(file)].load()
    with pytest.raises(UserError, match="could not be written: No such file"):
        execute(study(), root=tmp_path / "runs", quiet=True)
