from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from etude.catalogue import Entry
from studies.catalogue import ENTRIES
from studies.golden import ELSEWHERE, OF_PYTHON, at_home, file_of, first_losses


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_first_losses_have_not_moved(
    entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert file_of(entry).is_file(), "a new study: 'make golden' writes its first losses down"
    golden = json.loads(file_of(entry).read_text(encoding="utf-8"))
    assert golden
    if OF_PYTHON.get(entry.name, platform.python_version()) != platform.python_version():
        pytest.skip(
            f"{entry.name} learns from Python's help texts; its first losses are of"
            f" {OF_PYTHON[entry.name]}"
        )
    compared = None if at_home() else ELSEWHERE.get(entry.name)  # None: all
    found = first_losses(entry, tmp_path, monkeypatch)
    assert len(found) == len(golden)
    assert found[:compared] == pytest.approx(golden[:compared], rel=1e-3)
