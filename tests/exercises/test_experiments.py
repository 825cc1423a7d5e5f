"""Assignments that are whole runs: what is handed out, how it is judged, who is not deceived."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from etude.cli import main
from etude.courses.library import all_courses
from etude.exercises.checks import Check, Failure, require
from etude.exercises.gate import NOT_ATTEMPTED, Known, gate, generator, judged, leaks, outcome_of
from etude.exercises.grading import Exercise, Outcome, Points, Result, Verdict, grade
from etude.exercises.graft import Invalid
from etude.exercises.packs import Experiment, alone, names, pack
from etude.exercises.pictures import plot
from etude.exercises.sandbox import Limits
from etude.exercises.syntax import Text
from etude.exercises.twins import Twin
from etude.exercises.work import Missing, Work, archive_of, condition, evidence, files_of
from tests.exercises.small import Reference, best

EXPERIMENTS = [name for name in names() if isinstance(pack(name), Experiment)]
each_experiment = pytest.mark.parametrize("name", EXPERIMENTS)


def experiment(name: str) -> Experiment:
    found = pack(name)
    assert isinstance(found, Experiment)
    return found


# -- what is handed out ----------------------------------------------------------------------------


@each_experiment
def test_a_starter_holds_no_solution_and_scores_nothing(name: str) -> None:
    chosen = experiment(name)
    assert [*chosen.troubles(), *leaks(chosen)] == []
    found = judged(chosen, chosen.starter, {}, "quick", {})
    assert found
    assert set(found.values()) == {NOT_ATTEMPTED}


@each_experiment
def test_each_condition_has_a_solution_that_violates_it(name: str) -> None:
    chosen = experiment(name)
    twins: tuple[Twin, ...] = chosen.module("twins").TWINS
    for twin in twins:
        ast.parse(alone(twin.of(chosen.source)))
    assert {twin.condition for twin in twins} == {check.name for check in chosen.checks}


@each_experiment
def test_what_is_judged_is_what_the_syllabus_says(name: str) -> None:
    stated = [
        (each.text, each.words)
        for course in all_courses()
        for assignment in course.assignments
        if name in assignment.packs
        for each in assignment.conditions
        if each.by == "program"
    ]
    assert sorted(stated) == sorted((check.name, check.words) for check in experiment(name).checks)


def test_the_cheapest_experiment_passes_the_gate() -> None:
    """'make claims' tries them all."""
    chosen = experiment("itu_a1")
    report = gate(chosen)
    assert report.troubles == []
    assert report.killed == len(chosen.module("twins").TWINS)


@pytest.mark.claims
@each_experiment
def test_an_experiment_passes_the_gate(name: str) -> None:
    chosen = experiment(name)
    report = gate(chosen)
    assert report.survivors == []
    assert report.troubles == []
    assert report.killed == len(chosen.module("twins").TWINS)


def zipped(name: str, code: str, files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(f"{name}.py", code)
        for each, content in files.items():
            archive.writestr(f"folder/{each}", content)
    return file.getvalue()


@pytest.mark.claims
@pytest.mark.parametrize("name", ["a1", "a2", "a3", "extra", "a5", "itu_a1"])
def test_a_reference_scores_everything_at_full_scale(name: str) -> None:
    chosen = experiment(name)
    files = {}
    if name in ("a1", "a2"):
        files = chosen.module("judge").files(Known(chosen.solution, name, {}))
    handed_in = zipped(name, chosen.solution, files)
    exercise = chosen.exercise("full")
    found = grade(exercise, "s.zip", handed_in, key=b"full", student="s1", tier=best())
    assert {each.check: each.sentence for each in found.outcomes if not each.earned} == {}


# -- a small one, of NumPy -------------------------------------------------------------------------

SMALL = '''"""A mean that is learned."""

import numpy as np


def train(x, seed):
    """The mean of x."""
    # task train, 3 points: Learn it.
    return {"mean": np.mean(x)}
    # end of task


def predict(parameters, n):
    """The mean, n times."""
    # task predict, 2 points: Repeat it.
    return np.full(n, parameters["mean"])
    # end of task
'''
calls: list[str] = []


@evidence
def learned(work: Work) -> dict[str, np.ndarray]:
    calls.append("train")
    x = work.rng("data").normal(size=50)
    found = work.call("train", x, 0)
    work.measured["error"] = abs(float(found["mean"]) - float(x.mean()))
    return dict(found)


@condition("train", "It learns the mean.", "the mean", points=2)
def right(work: Work) -> None:
    learned(work)
    require(work.measured["error"] < 1e-9, "it is not the mean")


@condition("train", "It returns one number.", "a number")
def one(work: Work) -> None:
    require(len(learned(work)) == 1, "there is more than the mean")


@condition("predict", "It needs nothing but the parameters.", "nothing else")
def anew(work: Work) -> None:
    parameters = learned(work)
    work.restart()
    found = work.call("predict", parameters, 4)
    require(np.allclose(found, parameters["mean"]), "it says something else")


@condition("predict", "There is a note.", "a note", public=False)
def noted(work: Work) -> None:
    require(work.file(".md")[1] == b"note", "the note says something else")


CONDITIONS = (right, one, anew, noted)


def graded(
    code: str, *, files: dict[str, bytes] | None = None, checks: tuple[Check, ...] = ()
) -> Result:
    calls.clear()
    exercise = Exercise(
        "small", Reference(SMALL), checks or CONDITIONS, limits=Limits(wall=60), scale="quick"
    )
    beside = {"a.md": b"note"} if files is None else files
    content = zipped("small", code, beside)
    return grade(exercise, "s.zip", content, key=b"key", student="s1", tier=best())


def verdicts(found: Result) -> list[str]:
    return [each.verdict.value for each in found.outcomes]


def test_conditions_share_what_was_trained_once() -> None:
    found = graded(SMALL)
    assert verdicts(found) == ["pass"] * 4
    assert calls == ["train"]
    assert set(found.measured) == {"error"}
    assert (found.public, found.hidden) == (Points(4, 4), Points(1, 1))


def test_an_error_counts_for_each_condition_that_needs_the_training_and_for_no_other() -> None:
    found = graded(SMALL.replace('{"mean": np.mean(x)}', "1 / 0"))
    assert verdicts(found) == ["error", "error", "error", "pass"]
    assert calls == ["train"]
    assert "line" in found.outcomes[0].lines[0]


def test_what_is_not_handed_in_is_not_attempted() -> None:
    found = graded(SMALL, files={})
    assert verdicts(found) == ["pass", "pass", "pass", "not attempted"]
    assert "no file .md was handed in" in found.outcomes[3].sentence
    assert verdicts(graded(SMALL, files={"a.md": b"other"}))[3] == "fail"


@pytest.mark.parametrize(
    ("kept", "again"),
    [
        ("global KEPT\n    KEPT = np.mean(x)", "KEPT"),
        ("open('/tmp/kept', 'w').write(str(np.mean(x)))", "float(open('/tmp/kept').read())"),
    ],
)
def test_nothing_is_left_of_a_training_but_what_it_returned(kept: str, again: str) -> None:
    code = SMALL.replace('return {"mean"', f'{kept}\n    return {{"mean"').replace(
        'parameters["mean"]', again
    )
    found = graded(code)
    assert found.outcomes[0].verdict in (Verdict.PASS, Verdict.FORBIDDEN, Verdict.ERROR)
    assert found.outcomes[2].verdict != Verdict.PASS


def test_a_condition_that_stumbles_is_the_graders_error_and_is_not_scored() -> None:
    @condition("train", "It stumbles.", "…")
    def stumbles(work: Work) -> None:
        raise KeyError("x")

    found = graded(SMALL, checks=(right, one, anew, noted, stumbles))
    assert found.outcomes[-1].verdict == Verdict.GRADER_ERROR
    assert not found.scored
    assert found.outcomes[0].verdict == Verdict.PASS


def test_data_of_one_student_are_anothers_not() -> None:
    drawn = [generator("a1", student).normal() for student in ("s1", "s2")]
    assert drawn[0] != drawn[1]


def test_a_fit_of_a_noisy_sine_may_begin_at_zero() -> None:
    """With −y as other targets, w and b would be turned, and μ and σ the same bit for bit."""
    chosen = experiment("a1")
    begun = chosen.solution.replace("0.1 * torch.randn(bases)", "torch.zeros(bases)")
    assert begun != chosen.solution
    found = judged(chosen, begun, {}, "quick", {})
    (learned,) = [why for name, why in found.items() if "are all learned" in name]
    assert learned is None


# -- what is handed in beside the code -------------------------------------------------------------


def test_a_folder_becomes_what_is_handed_in(tmp_path: Path) -> None:
    for name in ("a1.py", "fit.svg", ".hidden.svg", "data.bin", "a1.md"):
        (tmp_path / name).write_text("x")
    (tmp_path / "more").mkdir()
    assert set(files_of("s.zip", archive_of(tmp_path, "a1"))) == {"a1.py", "fit.svg", "a1.md"}
    assert set(files_of("s.zip", archive_of(tmp_path / "a1.py", "a1"))) == {
        "a1.py",
        "fit.svg",
        "a1.md",
    }
    (tmp_path / "regression.py").write_text("y")
    assert set(files_of("s.zip", archive_of(tmp_path, "a1"))) == {"a1.py", "fit.svg", "a1.md"}
    with pytest.raises(Invalid, match=r"2 files might be meant .*; expected a2\.py"):
        archive_of(tmp_path, "a2")
    (tmp_path / "link.svg").symlink_to(tmp_path / "data.bin")
    with pytest.raises(Invalid):
        archive_of(tmp_path, "a1")
    with pytest.raises(Invalid):
        archive_of(tmp_path / "nothing.py", "a1")


def test_what_an_archive_may_hold() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("link.svg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../../up.svg", "up")
        archive.writestr("__MACOSX/x.svg", "x")
        archive.writestr(".git", "x")
    assert files_of("s.zip", file.getvalue()) == {"up.svg": b"up"}
    assert files_of("s.zip", b"PK no archive") == {}
    assert files_of("s.py", file.getvalue()) == {}


def test_one_file_of_a_kind() -> None:
    work = Work(lambda: None, "", "a.py", {"a.svg": b"", "b.SVG": b""}, generator, "quick")  # type: ignore[arg-type, return-value]
    with pytest.raises(Failure, match="2 files"):
        work.file(".svg")
    with pytest.raises(Missing):
        work.file(".h5", ".hdf5")


# -- plots -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("letters", ["none", "path"])
def test_a_plot_is_read_as_it_was_drawn(letters: str) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    x = np.linspace(-1, 1, 60)
    figure = Figure()
    axes = figure.subplots()
    axes.plot(x, x**2, label="square")
    axes.plot([0.0, 0.0], [0.0, 1.0])
    axes.scatter([0.25, 0.5, -0.5], [0.1, 0.7, -0.2], label="points")
    axes.plot([0.9], [-0.4], "o")
    axes.set(xlabel="place", ylabel="value", title="a title")
    axes.legend()
    file = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": letters}):
        figure.savefig(file, format="svg")
    (found,) = plot("fit.svg", file.getvalue())
    assert (found.xlabel, found.ylabel, found.title) == ("place", "value", "a title")
    assert found.legend == ("square", "points")
    assert np.allclose(
        found.points, [[0.25, 0.1], [0.5, 0.7], [-0.5, -0.2], [0.9, -0.4]], atol=1e-3
    )
    (curve,) = found.spanning(-0.95, 0.95)
    assert np.allclose(curve, np.linspace(-0.95, 0.95, 101) ** 2, atol=0.01)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\x89PNG", "is no SVG"),
        (b"<svg", "is no SVG"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "shows no axes"),
        (b'<!DOCTYPE s [<!ENTITY a "b">]><svg>&a;</svg>', "declares entities"),
        (
            b"<svg>" + b"<g>" * 100_000 + b"</g>" * 100_000 + b"</svg>",
            "is no SVG|no axes|more than",
        ),
    ],
)
def test_what_is_no_plot(content: bytes, sentence: str) -> None:
    with pytest.raises(Failure, match=sentence):
        plot("x.svg", content)


# -- the text of the code --------------------------------------------------------------------------


def test_what_a_function_uses() -> None:
    text = Text(
        "import numpy as np\nfrom torch.optim import LBFGS as Best, SGD\nRATE = np.pi\n"
        "def step(net):\n    return SGD(net.parameters(), lr=RATE)\n"
        "def train(x):\n    return step(x)\n"
        "def other():\n    return Best\n"
    )
    found = text.words("train")
    assert {"step", "SGD", "optim", "parameters", "lr", "RATE", "pi", "numpy"} <= found
    assert not {"LBFGS", "Best", "other"} & found
    assert {"LBFGS", "Best"} <= text.words("other")
    assert {"LBFGS", "SGD"} <= text.words()
    assert Text("def f(:").words() == set()


def test_a_reference_stands_alone() -> None:
    text = experiment("extra").solution
    assert "class StrokeNetwork" in text
    assert "etude" not in {
        node.module.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module
    }


# -- models in HDF5 --------------------------------------------------------------------------------


class Opened:
    """What a pickle would do."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return os.mkdir, (self.path,)


def test_a_model_in_hdf5_holds_numbers_only(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    from etude.exercises.experiments.ncku.reference import read, save

    good = {"0.weight": np.ones((2, 3), np.float32), "0.bias": np.zeros(2, np.float32)}
    back = read(np.frombuffer(save(good), np.uint8))
    assert set(back) == set(good)
    assert np.array_equal(back["0.weight"], good["0.weight"])

    harm = pickle.dumps(Opened(str(tmp_path / "opened")))
    for number, put in enumerate(
        [
            lambda file: file.create_dataset("x", data=np.frombuffer(harm, np.uint8)),
            lambda file: file.create_dataset("x", data=np.void(harm)),
            lambda file: file.create_dataset("x", data="text", dtype=h5py.string_dtype()),
            lambda file: file.__setitem__("x", h5py.ExternalLink("/etc/passwd", "y")),
            lambda file: file.__setitem__("x", h5py.SoftLink("/y")),
            lambda file: file.create_dataset(
                "x", (2,), "f4", external=[(str(tmp_path / "raw"), 0, 8)]
            ),
        ]
    ):
        path = tmp_path / f"{number}.h5"
        with h5py.File(path, "w") as file:
            put(file)
        content = path.read_bytes()
        with pytest.raises(ValueError, match="expected numbers|not a model's numbers"):
            read(np.frombuffer(content, np.uint8))
        chosen = experiment("ncku")
        code = Known(chosen.solution, "ncku", {})
        work = Work(lambda: code, "", "x.ipynb", {"model.h5": content}, generator, "quick")  # noqa: B023
        (check,) = [c for c in chosen.checks if c.name.startswith("The final model")]
        assert outcome_of(check, work) is not None
    assert not (tmp_path / "opened").exists()


def test_the_independent_set_depends_on_the_key_and_shows_digits() -> None:
    from etude.exercises.experiments.ncku._independent import independent

    images, labels = independent(40, generator("one"))
    again, _ = independent(40, generator("one"))
    other, _ = independent(40, generator("two"))
    assert np.array_equal(images, again)
    assert not np.array_equal(images, other)
    assert images.shape == (40, 28, 28)
    assert set(labels) <= set(range(10))
    inked = (images > 100).reshape(40, -1).sum(1)
    assert ((inked > 20) & (inked < 400)).all()
    rows = np.arange(28) - 13.5
    weight = images.sum((1, 2))
    assert (abs((images.sum(2) * rows).sum(1) / weight) < 1).all()


# -- the command line ------------------------------------------------------------------------------


def result(student: str, parameters: float, accuracy: float, *, met: bool = True) -> Result:
    name = "The network is right on at least 80 % of the test set."
    verdict = Verdict.PASS if met else Verdict.FAIL
    outcome = Outcome(f"predict/{name}", "predict", True, verdict, 2, 2 * met)
    begun = datetime(2026, 1, 1, tzinfo=UTC)
    return Result(
        *(1, "extra", student, [outcome], True, True, Points(2 * met, 2), Points(0, 0), [], "A"),
        *({}, "", "", "", {}, begun, 1.0),
        measured={"parameters": parameters, "accuracy": accuracy},
    )


def test_the_board_ranks_by_counted_parameters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, each in enumerate(
        [
            result("ada", 170, 0.81),
            result("ada", 60, 0.82),
            result("bob", 9, 0.9),
            result("eve", 3, 0.5, met=False),
            result("kim", 9, 0.95),
        ]
    ):
        (tmp_path / f"{number}.json").write_bytes(each.encoded())
    several = {"student": "lea", "results": [json.loads(result("lea", 7_850, 0.92).encoded())]}
    (tmp_path / "lea.json").write_text(json.dumps(several))
    (tmp_path / "none.json").write_text("{}")
    assert main(["assignment", "board", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [(each["student"], each["parameters"]) for each in rows] == [
        ("kim", 9),
        ("bob", 9),
        ("ada", 60),
        ("lea", 7_850),
    ]
    assert main(["assignment", "board", str(tmp_path)]) == 0
    assert "kim" in capsys.readouterr().out
    for words, sentence in (
        ([str(tmp_path / "none")], "is no folder"),
        ([str(tmp_path), "--of", "a1"], "a1 has no board"),
        ([], "board which folder of results?"),
    ):
        assert main(["assignment", "board", *words]) == 2
        assert sentence in capsys.readouterr().err


def test_the_reference_of_a_noisy_sine_is_graded_in_the_sandbox(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["assignment", "start", "a1"]) == 0
    assert "13 points" in capsys.readouterr().err
    chosen = experiment("a1")
    files = chosen.module("judge").files(Known(chosen.solution, "a1", {}))
    content = zipped("a1", chosen.solution, files)
    exercise = chosen.exercise()
    found = grade(exercise, "s.zip", content, key=b"key", student="s1", tier=best())
    assert {each.check: each.sentence for each in found.outcomes if not each.earned} == {}
    assert found.public.earned == 13


def test_a_scale_that_is_not_there(tmp_path: Path) -> None:
    from etude.errors import UserError

    with pytest.raises(UserError, match="no scale 'larger'"):
        experiment("a1").exercise("larger")
    assert replace(experiment("a1").exercise("quick")).scale == "quick"
