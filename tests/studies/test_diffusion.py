"""Diffusion and flow on digits, trained shortly, and what is shown of them."""

from __future__ import annotations

import pytest
import torch

import etude
from etude.studies.generative.diffusion.diffusion import DiffusionModel

FIGURES = {"between", "guidance", "nearest", "samples", "schedules", "steps", "walk", "weights"}


@pytest.mark.claims
def test_it_learns_to_make_the_digit_that_is_asked_for(tmp_path) -> None:
    torch.set_num_threads(1)
    run = etude.run(
        "diffusion",
        root=tmp_path,
        quiet=True,
        epochs=14.0,
        width=16,
        judging=150,
        fakes=300,
        sampling=8,
        weights=(1.0, 3.0),
        guidance=3.0,
        average=0.97,
    )
    m = run.metrics
    assert m["judge/accuracy"] > 0.9
    assert m["generated/accuracy"] > 0.6
    assert m["student/accuracy"] > 0.5
    assert m["training digits/distance"] < m["generated/distance"]
    assert {path.stem for path in run.folder.pictures()} == FIGURES
    assert (run.folder.figures / "walk.gif").stat().st_size > 10_000
    losses = [row["validation/loss"] for row in run.folder.metrics() if "validation/loss" in row]
    assert losses[-1] < 0.3 < losses[0]
    assert "validation/loss" not in m
    net = etude.load(run.folder.path).network
    assert net(*DiffusionModel().example()).shape == (2, 1, 8, 8)


@pytest.mark.parametrize(
    "settings",
    [{"method": "flow"}, {"method": "flow", "heun": True}, {"eta": 1.0}, {"schedule": "linear"}],
    ids=str,
)
def test_every_method_runs(tmp_path, settings: dict[str, object]) -> None:
    run = etude.run(
        "diffusion",
        root=tmp_path,
        quiet=True,
        epochs=0.5,
        width=8,
        judging=5,
        fakes=30,
        sampling=3,
        weights=(1.0,),
        **settings,
    )
    assert 0 <= run.metrics["generated/accuracy"] <= 1


def test_more_steps_back_than_forth_are_refused(tmp_path) -> None:
    with pytest.raises(etude.UserError, match="from 1 to 10"):
        etude.run(
            "diffusion",
            root=tmp_path,
            quiet=True,
            epochs=0.1,
            width=8,
            judging=5,
            times=10,
            sampling=20,
        )


@pytest.mark.parametrize(
    "settings", [{}, {"method": "flow"}, {"dataset": "mnist", "eta": 1.0}], ids=str
)
def test_one_can_ask_for_a_digit_and_watch(settings: dict[str, object]) -> None:
    torch.manual_seed(0)
    study = DiffusionModel(width=8, sampling=4, **settings)  # type: ignore[arg-type]
    net, demo, ends = study.network(), study.demo(), {}
    for digit, w, number in [("3", 1.5, 1.0), ("any", 0.0, 1.0), ("3", 1.5, 2.0), ("8", 8.0, 1.0)]:
        given = {"digit": demo.inputs["digit"].read(digit), "guidance": w, "noise": number}
        torch.manual_seed(0)
        (frames,) = demo.answer(net, **given)
        assert len(frames.images) == len(frames.captions) == 5
        assert frames.captions[0] == "t = 1.00"
        ends[digit, number] = frames.images[-1]
    side = study.example()[0].shape[-1]
    assert all(end.shape == (side, 2 * side + side // 8) for end in ends.values())
    assert all((end >= 0).all() and (end <= 1).all() for end in ends.values())
    last = ends["3", 1.0]
    assert (last[:, :side] == last[:, -side:]).all(), "in the end the guess is what is there"
    assert (last != ends["3", 2.0]).any()
    assert (last != ends["8", 1.0]).any()
