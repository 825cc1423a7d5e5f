"""What every study must show; a new study gets these tests for free."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib import pyplot

from etude.cli.run import Options
from etude.entry import Entry
from etude.errors import UserError
from etude.runs import keeping
from etude.runs.folder import RunFolder, find_runs
from etude.runs.lesson import lesson_html
from etude.runs.run import Interrupted
from etude.runs.stage import Stage
from etude.study import Study
from studies.catalogue import ENTRIES, drawn, fields_of, numbers, perform, shortened
from studies.golden import STEPS, moved, not_comparable

TIMED = {"autodiff"}  # shows how long something took
each_study = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)


def test_there_are_studies() -> None:
    assert {"sine", "spirals", "digits", "cifar", "agnews", "fewest"} <= {
        entry.name for entry in ENTRIES
    }


@each_study
def test_the_source_says_what_the_class_is(entry: Entry) -> None:
    cls = entry.load()
    real = {f.name: f.default for f in dataclasses.fields(cls)}
    assert real == {field.name: field.default for field in entry.fields}
    assert {"quick": {}, **cls.scales} == dict(entry.scales)
    assert list(cls.claims) == list(entry.claims)
    assert list(cls.needs) == list(entry.needs)
    for scale in entry.scales:
        assert fields_of(cls.at(scale)) == entry.defaults(
            scale
        )  # and every value passes its own check
    assert not {option.name for option in dataclasses.fields(Options)} & set(real), (
        "a field named as an option of run"
    )


@each_study
def test_every_field_is_explained(entry: Entry) -> None:
    unexplained = [field.name for field in entry.fields if len(field.help) < 3]
    assert not unexplained


@each_study
def test_the_fields_survive_json(entry: Entry) -> None:
    study = entry.load().at("quick")
    again = json.loads(json.dumps(fields_of(study)))
    restored = {
        name: tuple(value) if isinstance(value, list) else value for name, value in again.items()
    }
    assert entry.load()(**restored) == study


@each_study
def test_the_lesson_teaches_with_references(entry: Entry) -> None:
    assert entry.title
    assert len(entry.title) < 80
    assert re.search(r"\(\d{4}\)", entry.references), "references with their years"
    assert len(entry.lesson.split()) > 300
    assert "$" in entry.lesson, "equations in LaTeX"
    html = lesson_html(entry.lesson)
    assert "<math" in html
    assert "$$" not in html, "an equation that Markdown did not see"
    assert r"<code>\\" not in html, "an equation that could not be converted"
    assert any(claim.scale == "quick" for claim in entry.claims)


@each_study
def test_a_stopped_run_is_a_run_never_stopped_and_its_first_losses_stand(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also: it runs from end to end, keeps figures, writes a report.

    One test for all of this: whole studies are run, around a few steps of each loop.
    """
    torch.set_num_threads(1)
    shortened(STEPS, monkeypatch)
    shown: list[tuple[str, str]] = []
    keep_figure = keeping.figure

    def see(folder: RunFolder | None, name: str, figure: Any) -> None:
        if folder is not None:
            shown.append((name, drawn(figure)))
        keep_figure(folder, name, figure)

    with monkeypatch.context() as patch:
        patch.setattr(keeping, "figure", see)
        whole = perform(entry, tmp_path / "whole")
    assert whole.metrics
    assert whole.folder.pictures(), "a study shows something"
    for picture in whole.folder.pictures():
        assert picture.stat().st_size > 2_000
        assert picture.with_suffix(".svg").exists()
    report = whole.folder.report_html.read_text(encoding="utf-8")
    assert entry.title in report
    assert not re.search(r'(src|href)="(?!data:)', report), "the report needs nothing but itself"

    if list(whole.folder.metrics()):  # else nothing is trained
        again: list[tuple[str, str]] = []
        films: set[str] = set()

        def see_again(folder: RunFolder | None, name: str, figure: Any) -> None:
            if folder is not None:
                again.append((name, drawn(figure)))
            pyplot.close(figure)

        monkeypatch.setattr(keeping, "figure", see_again)

        def pass_over(folder: RunFolder | None, name: str, film: Any, fps: int) -> None:
            films.add(name)
            pyplot.close(film.figure)

        monkeypatch.setattr(keeping, "animation", pass_over)
        with monkeypatch.context() as patch, pytest.raises(Interrupted):
            stop_after(4, patch)
            perform(entry, tmp_path / "cut")
        (folder,) = find_runs(tmp_path / "cut")
        assert RunFolder(folder.path).state == "stopped"
        torch.rand(3)  # the process's own random state must not matter
        again.clear()  # some were drawn before the stop
        resumed = perform(entry, tmp_path / "cut", resume=folder.path)
        assert numbers(resumed) == numbers(whole)
        if entry.name not in TIMED:
            assert again == [each for each in shown if each[0] not in films]
            assert resumed.folder.tables_of() == whole.folder.tables_of()
    if reason := not_comparable(entry):
        pytest.skip(f"all but the first losses holds: {reason}")
    assert not moved(entry, whole)


def stop_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the run after so many steps in all, as Ctrl-C does."""
    after = Stage.after_step
    taken = 0

    def stop_once(self: Stage[Any]) -> None:
        nonlocal taken
        taken += 1
        if taken == steps:
            self.services.policy.signal = 2
        after(self)

    monkeypatch.setattr(Stage, "after_step", stop_once)


@each_study
def test_the_network_learns_what_it_can(entry: Entry) -> None:
    """The output depends on the input, and every learned parameter gets a gradient."""
    if entry.load().network is Study.network:
        pytest.skip("it keeps no network")
    study = entry.load().at("quick")
    torch.manual_seed(0)
    net, example = study.network(), study.example()
    inputs = example if isinstance(example, tuple) else (example,)
    output = net(*inputs)
    assert output.isfinite().all()
    assert not torch.equal(output[0], output[1]), "two inputs, one output"
    output.square().sum().backward()
    silent = [
        n
        for n, p in net.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.abs().sum() > 0)
    ]
    assert not silent, f"no gradient reaches {silent}"


@each_study
@pytest.mark.parametrize("given", ["no-such-file.png", "", "nan", "1 2 3 4 5 6 7"])
def test_what_can_not_be_predicted_gets_a_sentence(entry: Entry, given: str) -> None:
    """Or it is read, as a text may be that is any text."""
    if entry.load().network is Study.network:
        pytest.skip("it keeps no network")
    study = entry.load().at("quick")
    net = study.network().eval()
    sentence, answer = "", {}
    try:
        answer = dict(study.predict(net, given))
    except UserError as error:
        sentence = str(error)
    assert answer or (sentence and "\n" not in sentence)
    assert all(math.isfinite(value) for value in answer.values())
