"""A finished run of the tiny study, and a folder of a user around a copy of it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tiny
from etude import known


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tiny.py`` and one finished run in ``runs/``; not to be changed."""
    place = tmp_path_factory.mktemp("finished")
    tiny.run(tiny.write(place), place / "runs", hidden=5)
    return place


@pytest.fixture
def place(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a user: a copy of ``finished`` that may be changed."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    (run,) = (tmp_path / "runs" / "tiny").iterdir()
    tiny.alter(run, source=str(tmp_path / "tiny.py"))
    known.remember(tmp_path / "tiny.py")  # as if it had been run here
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ETUDE_RUNS", raising=False)
    monkeypatch.setenv("COLUMNS", "160")  # a narrow terminal folds tables
    return tmp_path


@pytest.fixture
def run(place: Path) -> Path:
    """The run's folder."""
    (run,) = (place / "runs" / "tiny").iterdir()
    return run
