"""A loop that is left by ``break`` has ended its stage; one that is left by an error has not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import etude
from etude.runs.folder import RunFolder


def script(
    root: Path, *, crash: int | None = None, stop: int = 100, resume: RunFolder | None = None
) -> dict[str, float]:
    """Two stages of 20 steps; the first is left after ``stop``, and step ``crash`` (counted over
    both) fails.
    """
    count = 0
    with etude.Run("two", root=root, resume=resume, quiet=True, checkpoint_every=1e-9) as run:
        net = torch.nn.Linear(2, 1)
        optimizer = torch.optim.SGD(net.parameters(), 0.01)
        for stage in range(2):
            for _ in run.steps(range(20), 20, state=(net, optimizer)):
                if count == crash:
                    raise ValueError("as asked")
                run.minimise((net(torch.randn(4, 2)) - 1).square().mean(), optimizer)
                count += 1
                if stage == 0 and run.step + 1 == stop:
                    break
        run.result({"weights": net.weight.detach().double().sum(), "count": count})
    return run.metrics


@pytest.mark.parametrize(
    ("crash", "stop", "left"), [(10, 100, 30), (25, 100, 15), (3, 8, 25), (7, 8, 21), (12, 8, 16)]
)
def test_an_error_does_not_end_the_stage(tmp_path: Path, crash: int, stop: int, left: int) -> None:
    whole = script(tmp_path / "whole", stop=stop)
    with pytest.raises(ValueError, match="as asked"):
        script(tmp_path / "cut", crash=crash, stop=stop)
    (folder,) = (RunFolder(path.parent) for path in (tmp_path / "cut").glob("*/*/study.json"))
    done = [path.name for path in folder.checkpoint.glob("*-done.*")]
    assert len(done) == (crash >= min(stop, 20))
    resumed = script(tmp_path / "cut", stop=stop, resume=folder)
    assert resumed["weights"] == whole["weights"]
    assert (
        resumed["count"] == left
    )  # steps done again after the resume: those from the checkpoint on
