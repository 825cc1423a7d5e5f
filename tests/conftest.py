"""What all tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("unhurried", deadline=None)  # no test asserts a time
settings.load_profile("unhurried")


def pytest_make_parametrize_id(config: object, val: object, argname: str) -> str | None:
    """Bytes are named by their parameter: compressed ones hold the time, and the workers must agree
    on the names.
    """
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session", autouse=True)
def settings_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What tests run is not remembered as code of the person who runs the tests."""
    before = os.environ.get("ETUDE_CONFIG")
    os.environ["ETUDE_CONFIG"] = str(tmp_path_factory.mktemp("settings"))
    yield
    os.environ.pop("ETUDE_CONFIG")
    if before is not None:
        os.environ["ETUDE_CONFIG"] = before
