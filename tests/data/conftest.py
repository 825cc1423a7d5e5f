import os
from pathlib import Path

import pytest

REAL = os.environ.get("ETUDE_DATA")  # before any test takes it away


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Every test has a data folder and a cache of its own, and no way out of this machine."""
    monkeypatch.setenv("ETUDE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path / "cache"))
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path


@pytest.fixture
def real(monkeypatch):
    """`real(name)`: the user's own folder of a set; the test is skipped where it is not there."""

    def ask(name: str) -> Path:
        if not REAL or not (Path(REAL) / name).is_dir():
            pytest.skip(f"needs $ETUDE_DATA/{name}")
        monkeypatch.setenv("ETUDE_DATA", str(Path(REAL).resolve()))
        return Path(REAL) / name

    return ask
