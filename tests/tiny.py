"""A user's own study that trains in a fraction of a second, for the tests of what is made
of runs.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from etude import known
from etude.catalogue import Catalogue
from etude.runs.run import Run
from etude.study import execute

CLAIMS = """[
        Claim("test/accuracy", at_least=0.6, seeds=2, source="nobody"),
        Claim("test/loss", at_most=5.0, seeds=1),
    ]"""

SOURCE = '''"""The sign of a sum.

The network learns whether $x_1 + x_2 + x_3 + x_4 > 0$.

References
----------
Nobody (2025). Tiny studies.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from etude import Claim, Count, Positive, Run, Study
from etude.figures.style import canvas
from etude.networks.mlp import MLP
from etude.training.batches import Batches


@dataclass
class Tiny(Study):
    """Learn the sign of a sum."""

    hidden: Count = 8  # units of the first layer
    more: tuple[Count, ...] = (8,)  # units of the others
    rate: Positive = 0.1  # of learning
    steps: Count = 20  # of gradient descent

    claims = CLAIMS
    scales = {"full": {"hidden": 16}, "long": {"steps": 200_000}}

    def network(self) -> nn.Module:
        return nn.Sequential(MLP(4, [self.hidden, *self.more], 2), nn.Dropout(0.1))

    def example(self) -> Tensor:
        return torch.zeros(2, 4)

    def predict(self, net: nn.Module, input: Any) -> Mapping[str, float]:
        x = torch.tensor([[float(word) for word in str(input).split()]])
        return dict(zip(("negative", "positive"), net(x).softmax(1)[0].tolist()))

    def __call__(self, run: Run) -> None:
        x = torch.randn(512, 4)
        y = (x.sum(1) > 0).long()
        net = run.place(self.network())
        optimizer = torch.optim.SGD(net.parameters(), self.rate, momentum=0.9)
        batches = Batches((x[:256], y[:256]), 32)
        for step, (a, b) in enumerate(run.steps(batches, self.steps, state=(net, optimizer))):
            if str(step) == os.environ.get("TINY_CRASH"):
                raise ValueError("crashed as asked")
            loss = nn.functional.cross_entropy(net(a), b)
            run.minimise(loss, optimizer)
            run.log(loss=loss)
        net.eval()
        with torch.inference_mode():
            scores = net(x[256:])
        accuracy = (scores.argmax(1) == y[256:]).float().mean()
        run.result({"train/seen": self.steps})
        loss = nn.functional.cross_entropy(scores, y[256:])
        run.result({"test/accuracy": accuracy, "test/loss": loss}, held_out=256)
        figure, (axes,) = canvas(3, 2)
        axes.plot(x[:50, 0], x[:50, 1], ".")
        run.figure("points", figure)
        run.keep(net)
'''


def write(folder: Path, claims: str = CLAIMS, name: str = "tiny.py", **replacements: str) -> Path:
    """The study as a file, as if it had been run; ``replacements`` maps ``old`` to ``new`` texts by
    ``old_1=…, new_1=…``.
    """
    source = SOURCE.replace("CLAIMS", claims)
    for key, old in replacements.items():
        if key.startswith("old"):
            assert old in source
            source = source.replace(old, replacements[key.replace("old", "new")])
    path = folder / name
    path.write_text(source, encoding="utf-8")
    known.remember(path)
    return path


def run(
    path: Path,
    root: Path,
    *,
    scale: str = "quick",
    seed: int = 0,
    resume: Path | None = None,
    **fields: Any,
) -> Run:
    """A finished run of the study at ``path``."""
    entry = Catalogue()[str(path)]
    study = entry.load().at(scale, **fields)
    return execute(
        study, scale=scale, seed=seed, root=root, resume=resume, source=entry.source, quiet=True
    )


def alter(folder: Path, name: str = "study.json", **changes: Any) -> None:
    """Change a run's record, as someone else might have; ``...`` removes a key."""
    about = json.loads((folder / name).read_text(encoding="utf-8")) | changes
    kept = {key: value for key, value in about.items() if value is not ...}
    (folder / name).write_text(json.dumps(kept), encoding="utf-8")
