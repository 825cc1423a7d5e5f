"""Claims, and controls that leave no room for them."""

from __future__ import annotations

from pathlib import Path

import pytest

import etude
from etude.catalogue import Catalogue
from etude.claims import Claim, Control, check_controls
from etude.entry import Entry
from etude.errors import UserError

REACHED = Claim("test/accuracy", at_least=0.98)


def control(**bounds: float) -> Control:
    return Control("plain/test/accuracy", of="test/accuracy", without="positions", **bounds)


def test_a_control_is_judged_as_a_claim_is() -> None:
    verdict = control(at_most=0.7).judge([0.6, 0.7, 0.5])
    assert (verdict.mark, verdict.measured) == ("✓", "0.6 ± 0.25")
    assert control(at_most=0.7).judge([0.99, 0.99, 0.98]).mark == "✗"
    assert control(at_most=0.7).judge([None]).mark == "✗"


def test_what_was_measured_is_told_with_its_interval() -> None:
    def told(*values: float | None) -> str:
        return REACHED.judge(values).measured

    assert told() == told(None) == "not measured"
    assert told(0.5) == "0.5"
    assert told(0.5, 0.6) == "0.55"  # of two values it would say nothing
    assert told(0.6, 0.7, 0.5) == "0.6 ± 0.25"  # 4.303 · 0.1 / √3
    assert told(1.0, 1.0, 1.0) == "1 in all 3"


@pytest.mark.parametrize("entry", Catalogue().all(), ids=lambda entry: entry.name)
def test_what_is_recorded_is_what_its_values_say(entry: Entry) -> None:
    for found in entry.measured.values():
        for each in found["claims"]:
            claim = Claim(each["metric"], at_least=0)
            assert claim.judge(each["values"]).measured == each["measured"]


def test_a_control_says_what_it_is() -> None:
    about = control(at_most=0.7).judge([0.6]).as_json()
    assert about["kind"] == "control"
    assert about["name"] == "plain/test/accuracy (control: without positions)"
    assert about["claim"]["of"] == "test/accuracy"
    assert REACHED.judge([1.0]).as_json()["kind"] == "claim"


@pytest.mark.parametrize(
    ("claim", "bounds", "leaves_a_gap"),
    [
        ({"at_least": 0.98}, {"at_most": 0.7}, True),
        ({"at_least": 0.98}, {"at_most": 0.98}, False),  # 0.98 is both
        ({"at_least": 0.98}, {"at_least": 0.5}, False),
        ({"at_least": 0.98}, {"at_least": 0.3, "at_most": 0.9}, True),
        ({"at_most": 0.02}, {"at_least": 0.4}, True),
        ({"at_most": 0.02}, {"at_most": 0.01}, False),
        ({"at_least": 0.4, "at_most": 0.6}, {"at_most": 0.3}, True),
        ({"at_least": 0.4, "at_most": 0.6}, {"at_least": 0.5}, False),
    ],
)
def test_no_value_satisfies_a_claim_and_its_control(
    claim: dict[str, float], bounds: dict[str, float], leaves_a_gap: bool
) -> None:
    both = [Claim("test/accuracy", **claim), control(**bounds)]
    if leaves_a_gap:
        check_controls(both)
    else:
        with pytest.raises(ValueError, match="reached without the idea"):
            check_controls(both)


def test_a_control_belongs_to_a_claim_of_its_scale() -> None:
    with pytest.raises(ValueError, match="not claimed at scale quick"):
        check_controls([control(at_most=0.7)])
    other = Claim("test/accuracy", at_least=0.98, scale="full")
    with pytest.raises(ValueError, match="not claimed at scale quick"):
        check_controls([other, control(at_most=0.7)])
    check_controls([REACHED, other, control(at_most=0.7)])


def test_a_control_needs_a_bound_and_words() -> None:
    with pytest.raises(ValueError, match="no bound"):
        control()
    with pytest.raises(ValueError, match="'without'"):
        Control("x", at_most=0.1, of="y", without="")


def test_a_run_judges_its_controls(tmp_path: Path) -> None:
    claims = [REACHED, control(at_most=0.7)]
    with etude.Run("mine", claims=claims, root=tmp_path, quiet=True) as run:
        run.result({"test/accuracy": 0.99, "plain/test/accuracy": 0.8})
    assert [verdict.holds for verdict in run.verdicts] == [True, False]
    assert "(control: without positions) ≤ 0.7: 0.8" in (run.folder.path / "log.txt").read_text()
    assert "expected ≤ 0.7" in run.folder.report_html.read_text()


def test_a_run_refuses_a_control_that_leaves_no_gap(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="reached without the idea"):
        etude.Run("mine", claims=[REACHED, control(at_least=0.5)], root=tmp_path)


STUDY = '''"""Mine."""
from dataclasses import dataclass
from etude import {imported}

@dataclass
class Mine(Study):
    """Mine."""

    claims = [Claim("a", at_least=0.9), {control}]

    def __call__(self, run: Run) -> None:
        run.result({{"a": 1.0, "b": 0.0}})
'''


@pytest.mark.parametrize(
    ("imported", "name"),
    [("Claim, Control, Run, Study", "Control"), ("Claim, Control as C, Run, Study", "C")],
)
def test_a_control_is_read_from_the_source(tmp_path: Path, imported: str, name: str) -> None:
    file = tmp_path / "mine.py"
    written = f'{name}("b", at_most=0.5, of="a", without="layers")'
    file.write_text(STUDY.format(imported=imported, control=written))
    entry = Catalogue()[str(file)]
    assert [claim.kind for claim in entry.claims] == ["claim", "control"]
    assert entry.claims[1] == Control("b", at_most=0.5, of="a", without="layers")
    assert entry.load().claims == list(entry.claims)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('Control("b", at_most=0.95, of="a", without="layers")', "reached without the idea"),
        ('Control("b", at_most=0.5, of="c", without="layers")', "not claimed"),
        ('Control("b", at_most=0.5, of="a")', "without"),
        ('Control("b", at_most=0.5, of="a", without=3)', "a claim's without is 3"),
        ('Control("b", of="a", without="layers")', "has no bound"),
    ],
)
def test_a_control_that_is_none_gets_its_line(tmp_path: Path, written: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(STUDY.format(imported="Claim, Control, Run, Study", control=written))
    with pytest.raises(UserError, match="line 9") as caught:
        Catalogue()[str(file)]
    assert said in str(caught.value)
