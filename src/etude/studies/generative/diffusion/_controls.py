"""Digits out of the same noise, without guidance, and without the steps in between."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from torch import Tensor, nn

from etude import Run
from etude.studies.generative._judge import Judge, train_judge
from etude.training import accuracy, outputs

if TYPE_CHECKING:
    from .diffusion import DiffusionModel


def measure_controls(
    run: Run,
    study: DiffusionModel,
    net: nn.Module,
    judge: Judge,
    noise: Tensor,
    asked: Tensor,
    test: tuple[Tensor, Tensor],
) -> None:
    """The accuracy of what is generated with w = 1, and of a student of what one step generates.

    Args:
        run: gets both.
        study: says how digits are generated.
        net: the denoiser.
        judge: the classifier that recognises the study's own digits, too.
        noise: where the paths of these began, (n, 1, side, side).
        asked: their classes, (n,).
        test: pictures and labels.
    """
    plain = study.generate(net, noise, asked, 1.0)
    run.result({"w = 1/generated/accuracy": accuracy(outputs(judge, plain), asked)})
    guesses = replace(study, sampling=1).generate(net, noise, asked, study.guidance)
    student = train_judge(run, guesses, asked, seed=run.seed, name="one step", steps=study.judging)
    reached = accuracy(outputs(student, test[0]), test[1])
    run.result({"one step/student/accuracy": reached}, held_out=len(test[1]))
