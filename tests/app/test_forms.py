"""Forms: what is typed becomes values as on the command line, or a sentence beside its field."""

from __future__ import annotations

import pytest

from etude.app.forms import controls, read, value_of, written
from etude.catalogue import Catalogue
from etude.study import Count, OptimizerName, Positive

ENTRIES = Catalogue().all()


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_form_as_it_is_changes_nothing(entry) -> None:
    for scale in entry.scales:
        shown = controls(entry, scale, {}, {})
        assert [control.name for control in shown] == [field.name for field in entry.fields]
        assert read(entry, scale, {control.name: control.value for control in shown}) == ({}, 0, {})


def test_what_is_typed_is_read_by_type() -> None:
    changes, seed, errors = read(
        Catalogue()["spirals"], "quick", {"width": " 1,024 ", "noise": "1e-1", "seed": "7"}
    )
    assert (changes, seed, errors) == ({"width": 1024, "noise": 0.1}, 7, {})
    assert value_of(tuple[Positive, ...], "0.5 2") == (0.5, 2.0)
    assert value_of(bool, "on") is True
    assert written((0.5, 2)) == "0.5 2"


@pytest.mark.parametrize("typed", ["zero", "0", "-3", "1.5", "", "nan", "1e999"])
def test_what_is_wrong_is_said_by_its_field(typed: str) -> None:
    changes, _, errors = read(Catalogue()["spirals"], "quick", {"width": typed, "noise": "0.1"})
    assert changes == {"noise": 0.1}
    assert list(errors) == ["width"]
    assert "expected a whole number of at least 1" in errors["width"]


def test_a_wrong_choice_and_a_wrong_seed_are_said() -> None:
    _, _, errors = read(Catalogue()["spirals"], "quick", {"optimizer": "adam'; rm", "seed": "-1"})
    assert "expected one of sgd" in errors["optimizer"]
    assert "seed" in errors


@pytest.mark.parametrize(
    ("kind", "text"), [(Count, "12"), (Positive, "0.25"), (bool, "False"), (OptimizerName, "sgd")]
)
def test_written_and_read_again(kind: object, text: str) -> None:
    assert written(value_of(kind, text)) == text
