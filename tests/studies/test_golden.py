from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest

from etude.catalogue import Entry
from studies.catalogue import ENTRIES
from studies.golden import ELSEWHERE, FILE, OF_PYTHON, at_home, first_losses


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_first_losses_have_not_moved(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = json.loads(FILE.read_text(encoding="utf-8"))
    assert entry.name in golden, "a new study: 'make golden' writes its first losses down"
    assert golden[entry.name]
    if OF_PYTHON.get(entry.name, platform.python_version()) != platform.python_version():
        pytest.skip(f"{entry.name} learns from Python's help texts; its first losses are of {OF_PYTHON[entry.name]}")
    compared = None if at_home() else ELSEWHERE.get(entry.name)  # None: all
    found = first_losses(entry, tmp_path, monkeypatch)
    assert len(found) == len(golden[entry.name])
    assert found[:compared] == pytest.approx(golden[entry.name][:compared], rel=1e-3)
