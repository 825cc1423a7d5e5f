"""What a reader refuses the writer refuses first, and at its first line."""

from __future__ import annotations

import argparse
import datetime
import decimal
import enum
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etude.claims import Claim
from etude.errors import UserError
from etude.figures.style import canvas
from etude.runs import record
from etude.runs.folder import RunFolder, as_json, check_record, find_runs
from etude.runs.run import Run

NAMES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["train/loss", "../x", "a/../b", "/x", ".", "..", "", "-x", "x" * 300, "CON"]),
    st.text(alphabet="a/.\\-_ \x00\n\u202e\ud800é", max_size=6),
)


class Colour(enum.Enum):
    RED = 1


class Mode(str, enum.Enum):  # noqa: UP042 (as people write it)
    FAST = "fast"


def subcommand() -> None: ...


PLAIN: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (np.bool_(True), True),
    (np.int64(8), 8),
    (np.float32(0.5), 0.5),
    (np.float64(0.1), 0.1),
    (np.str_("a"), "a"),
    (float("inf"), "inf"),
    (np.float32("nan"), "nan"),
    (np.arange(3), [0, 1, 2]),
    (np.array(2.5), 2.5),
    (np.datetime64("2026-01-02"), "2026-01-02"),
    (np.dtype("float32"), "float32"),
    (np.float32, "numpy.float32"),
    (torch.tensor([1, 2]), [1, 2]),
    (torch.tensor(0.5), 0.5),
    (torch.device("cuda:1"), "cuda:1"),
    (torch.bfloat16, "torch.bfloat16"),
    (Path("data/mine"), "data/mine"),
    ((1, (2, 3)), [1, [2, 3]]),
    ({3, 1, 2}, [1, 2, 3]),
    ({"a": Path("b"), 1: None}, {"a": "b", "1": None}),
    (argparse.Namespace(lr=0.1), {"lr": 0.1}),
    (Claim("x", at_least=1.0).metric, "x"),
    (Colour.RED, "RED"),
    (Mode.FAST, "fast"),
    (1 + 2j, "(1+2j)"),
    (decimal.Decimal("0.10"), "0.10"),
    (datetime.date(2026, 1, 2), "2026-01-02"),
    (range(3), [0, 1, 2]),
    (subcommand, f"{__name__}.subcommand"),
    (torch.optim.SGD, "torch.optim.sgd.SGD"),
]


@pytest.mark.parametrize(("value", "written"), PLAIN, ids=[str(name) for _, name in PLAIN])
def test_a_field_is_written_by_its_value_or_its_name(value: Any, written: Any) -> None:
    plain = record.plain_fields({"it": value})["it"]
    assert plain == written
    assert json.loads(as_json(plain)) == plain


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (lambda: 0, "field it is <function <lambda>.*, a function; expected a number"),
        (object(), "field it is <object .*, a object; expected a number"),
        (b"x", "field it is b'x', a bytes"),
        (torch.nn.Linear(1, 1), "field it is Linear.*, a Linear"),
        (np.zeros((100, 100)), r"a ndarray of shape \(100, 100\); expected at most 1,000 numbers"),
        (10**400, "field it has more than 300 digits"),
        ("\ud800", "no text in UTF-8"),
        (Path("\udcff"), "no text in UTF-8"),
        (nested(99), "field it is nested more than 50 deep"),
        ({1: "a", "1": "b"}, "field it has two names that are written alike"),
        ({"deep": {"er": object()}}, "field it.deep.er is <object"),
        (range(10**9), "field it holds more than 100,000 values"),
    ],
)
def test_what_cannot_be_written_is_named_before_anything_is_done(
    tmp_path: Path, value: Any, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        Run("mine", fields={"it": value}, root=tmp_path)
    assert not [*tmp_path.iterdir()]


def test_the_options_of_argparse_are_fields(tmp_path: Path) -> None:
    options = argparse.Namespace(**{"learning-rate": 0.1, "optimizer.lr": 1, "out": Path("x")})
    with Run("mine", fields=vars(options), root=tmp_path, quiet=True) as run:
        run.result({"train/loss": 0.5})
    assert run.folder.study()["fields"] == {
        "learning-rate": 0.1,
        "optimizer.lr": 1,
        "out": "x",
    }
    assert run.folder.report_html.is_file()
    with Run("mine", fields=options, root=tmp_path, quiet=True, resume="auto") as again:  # type: ignore[arg-type]
        pass
    assert len(find_runs(tmp_path)) == 2, again.folder


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "mnist/baseline"}, "the run's name is 'mnist/baseline'; expected one that a"),
        ({"name": ""}, "the run's name is ''; expected a text that is not empty"),
        ({"name": "."}, "the run's name is '.'; expected one that a file can have"),
        ({"name": "../x"}, "the run's name is '../x'"),
        ({"name": "a\nb"}, "expected a text of one line"),
        ({"name": "x" * 400}, "expected at most 150 bytes, not 400"),
        ({"name": Path("x")}, "the run's name is PosixPath"),
        ({"seed": 0.5}, "the seed is 0.5; expected a whole number from 0 to"),
        ({"seed": True}, "the seed is True; expected a whole number"),
        ({"seed": -1}, "the seed is -1; expected a whole number"),
        ({"scale": 3}, "its scale is 3; expected a text"),
        ({"fields": [1]}, r"the fields are \[1\]; expected names and values"),
        ({"fields": {1: 2}}, "a field's name is 1; expected a text"),
        ({"fields": {"": 2}}, "a field's name is ''; expected a text that is not empty"),
        ({"claims": ["x"]}, "a claim is 'x'; expected etude.Claim"),
        ({"claims": [Claim(3, at_least=1.0)]}, "a claim is .*; expected a metric and its bounds"),
        ({"about": {"seed": "one"}}, "its seed is 'one'; expected a whole number"),
        (
            {"about": {"source": "/x.py"}, "fields": {"a-b": 1}},
            "its fields have one called 'a-b'; expected a name",
        ),
    ],
)
def test_a_run_is_refused_at_its_first_line(
    tmp_path: Path, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        Run(**{"name": "mine", "root": tmp_path, **given})
    assert not [*tmp_path.iterdir()]


def test_numbers_of_numpy_are_seeds_claims_and_results(tmp_path: Path) -> None:
    claims = [Claim("a", at_least=np.float32(0.5))]
    with Run("mine", seed=np.int64(3), claims=claims, root=tmp_path, quiet=True) as run:  # type: ignore[arg-type]
        run.log(a=np.float32(0.25), b=np.array([2]), c=torch.ones(1, 1), d=True)
        run.result({"a": np.float32(0.5), "b": torch.ones(1)}, held_out=np.int64(7))  # type: ignore[dict-item, arg-type]
    assert run.folder.study()["seed"] == 3
    row = next(run.folder.metrics())
    assert [row[key] for key in "abcd"] == [0.25, 2, 1, 1]
    result = run.folder.result()
    assert result is not None
    assert result["metrics"] == {"a": 0.5, "b": 1.0}
    assert result["held_out"] == {"a": 7, "b": 7}
    assert result["claims"][0]["holds"]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("a", "0.5", "metric 'a' is '0.5'; expected one number"),
        ("a", None, "metric 'a' is None; expected one number"),
        ("a", torch.ones(2), r"metric 'a' is a Tensor of shape \(2,\); expected one number"),
        ("a", np.ones((2, 3)), r"metric 'a' is a ndarray of shape \(2, 3\)"),
        ("a", torch.tensor(1j), "metric 'a' is"),
        ("a", 1j, "metric 'a' is 1j"),
        ("a", np.float32, "metric 'a' is <class 'numpy.float32'>"),
        ("a", 10**400, "metric 'a' is too large"),
        ("", 1.0, "a metric's name is ''"),
        ("a\nb", 1.0, "expected a text of one line"),
        ("x" * 400, 1.0, "expected at most 150 bytes"),
    ],
)
def test_a_metric_is_refused_where_it_is_given(
    tmp_path: Path, name: str, value: Any, said: str
) -> None:
    with Run("mine", root=tmp_path, quiet=True) as run:
        with pytest.raises(UserError, match=said):
            run.result({"fine": 1.0, name: value})
        assert run.metrics == {}
        for _ in run.steps(range(1)):
            with pytest.raises(UserError, match=said):
                run.log(**{name: value})
    assert run.folder.state == "finished"


@pytest.mark.parametrize("name", ["stage", "step", "seconds"])
def test_a_metric_is_not_called_as_the_log_calls_its_own(tmp_path: Path, name: str) -> None:
    with Run("mine", root=tmp_path, quiet=True) as run:
        with pytest.raises(UserError, match=f"expected another name, such as 'my_{name}'"):
            run.log(**{name: 1.0})
        run.result({name: 1.0})


def test_stages_and_parts_have_names_of_one_line(tmp_path: Path) -> None:
    with Run("mine", root=tmp_path, quiet=True) as run:
        with pytest.raises(UserError, match="a stage's name is 3; expected a text"):
            [*run.steps(range(1), name=3)]  # type: ignore[arg-type]
        with pytest.raises(UserError, match="a part's name is ''"), run.part("", seed=0):
            pass
        assert len([*run.steps(range(2), name="fine/tuning")]) == 2


def test_what_a_run_keeps_may_be_called_as_metrics_are(tmp_path: Path) -> None:
    with Run("mine", root=tmp_path, quiet=True) as run:
        run.figure("train/loss", canvas()[0])
        run.drawing("graph/first", "<svg xmlns='http://www.w3.org/2000/svg'/>")
        run.table("a/b", ["x"], [[1]])
        run.keep(torch.nn.Linear(1, 1), "best/model")
        with pytest.raises(UserError, match="'train/loss' and 'train-loss' would have one file"):
            run.figure("train-loss", canvas()[0])
    assert [path.stem for path in run.folder.pictures()] == ["train-loss", "graph-first"]
    assert run.folder.tables_of() == {"a-b": [["x"], ["1"]]}
    assert (run.folder.path / "best-model.safetensors").is_file()


def test_a_figure_a_network_and_results_are_what_they_are_called(tmp_path: Path) -> None:
    from matplotlib import pyplot

    with Run("mine", root=tmp_path, quiet=True) as run:
        run.figure("axes", canvas()[1][0])
        with pytest.raises(UserError, match="figure 'a' is a module; expected a figure"):
            run.figure("a", pyplot)  # type: ignore[arg-type]
        with pytest.raises(UserError, match="kept as 'network' is a dict; expected a network"):
            run.keep({})  # type: ignore[arg-type]
        with pytest.raises(UserError, match=r"a result is \[1\]; expected names and numbers"):
            run.result([1])  # type: ignore[arg-type]
    assert [path.stem for path in run.folder.pictures()] == ["axes"]


def test_a_table_is_refused_where_it_is_given(tmp_path: Path) -> None:
    with Run("mine", root=tmp_path, quiet=True) as run:
        with pytest.raises(UserError, match="table 'a': row 2 has 1 cells; expected 2, one for"):
            run.table("a", ["x", "y"], [[1, 2], [3]])
        with pytest.raises(UserError, match="table 'a' has a cell of 200,000 signs"):
            run.table("a", ["x"], [["z" * 200_000]])
        run.table("b", [3, "\ud800"], [])  # type: ignore[list-item]
        run.say("half a character: \ud800")
    assert run.folder.tables_of() == {"b": [["3", "\\ud800"]]}


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=NAMES,
    metric=NAMES,
    fields=st.dictionaries(
        NAMES,
        st.recursive(
            st.one_of(st.none(), st.floats(), st.integers(), NAMES, st.booleans()),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
            max_leaves=4,
        ),
        max_size=3,
    ),
)
def test_what_is_taken_is_read_again(
    tmp_path: Path, name: str, metric: str, fields: dict[str, Any]
) -> None:
    try:
        record.checked_file_name("it", name)
        plain = record.plain_fields(fields)
        record.checked_metric(metric, logged=True)
    except UserError:
        return
    check_record({"study": name, "fields": plain})
    (tmp_path / name).mkdir(exist_ok=True)
    assert [path.name for path in tmp_path.glob("*") if path.name == name]
    folder = RunFolder(tmp_path / name)
    folder.study_json.write_text(as_json({"study": name, "fields": plain}), encoding="utf-8")
    assert folder.study() == {"study": name, "fields": plain}
    folder.result_json.write_text(as_json({"metrics": {metric: 1.0}}), encoding="utf-8")
    assert folder.result() == {"metrics": {metric: 1.0}}


@settings(max_examples=30, deadline=None)
@given(NAMES)
def test_a_name_never_leaves_its_folder(name: str) -> None:
    try:
        file = record.file_name("it", name)
    except UserError:
        return
    assert Path("figures", f"{file}.svg").parts == ("figures", f"{file}.svg")
    assert len(f".{file}.svg.part".encode()) < 255
