"""Runs for the page to show: made once, small."""

from __future__ import annotations

from pathlib import Path

import pytest

import etude

SMALL = {"points": 40, "steps": 30, "width": 8, "quiet": True}


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two finished runs of spirals, not to be changed."""
    root = tmp_path_factory.mktemp("runs")
    etude.run("spirals", root=root, **SMALL)
    etude.run("spirals", root=root, seed=1, layers=2, **SMALL)
    return root
