"""What one should know before a study: the map of the catalogue."""

from __future__ import annotations

import json
import re

import pytest

from etude.catalogue import Catalogue
from etude.cli import main
from etude.courses.paths import after, before
from etude.entry import Entry

ENTRIES = Catalogue().all()
NAMES = {entry.name for entry in ENTRIES}
each_study = pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
LINK = re.compile(r"\[`?(\w+)`?\]\([./\w]*README\.md\)")


@each_study
def test_a_study_needs_studies_that_are_there_and_never_itself(entry: Entry) -> None:
    assert set(entry.needs) <= NAMES - {entry.name}
    way = [each.name for each in before(entry.name, ENTRIES)]
    assert way[-1] == entry.name
    assert len(way) == len(set(way))
    for number, name in enumerate(way):  # so there is no circle
        assert set(Catalogue()[name].needs) <= set(way[:number])


@each_study
def test_its_lesson_links_what_it_needs(entry: Entry) -> None:
    text = (entry.path.with_name("README.md")).read_text(encoding="utf-8")
    sentence = re.search(r"^Builds on .*?(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    said = set(LINK.findall(sentence[0].partition(";")[0])) if sentence else set()
    assert said <= {each.name for each in before(entry.name, ENTRIES)}
    assert said >= set(entry.needs), "a sentence that begins with 'Builds on'"


def test_what_follows_is_what_names_it() -> None:
    assert {each.name for each in after("transformer", ENTRIES)} >= {"translation", "gpt"}
    assert "linear" not in {each.name for each in after("gpt", ENTRIES)}


def test_a_circle_ends() -> None:
    from dataclasses import replace

    a, b, *_ = ENTRIES
    ring = [replace(a, needs=(b.name,)), replace(b, needs=(a.name,))]
    assert {each.name for each in before(a.name, ring)} == {a.name, b.name}


def test_the_path_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["path", "gpt"]) == 0
    out = capsys.readouterr().out
    assert out.index("recurrence") < out.index("transformer") < out.rindex("gpt ")
    assert main(["path", "gpt", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["study"] == "gpt"
    assert found["before"][-1] == "transformer"
    for word, sentence in (
        ("gtp", "did you mean 'gpt'?"),
        ("GPT", "did you mean 'gpt'?"),
        ("wavenet", "is planned, and not built yet"),
    ):
        assert main(["path", word]) == 2
        assert sentence in capsys.readouterr().err
