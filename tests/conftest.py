"""What all tests share."""

from __future__ import annotations


def pytest_make_parametrize_id(config: object, val: object, argname: str) -> str | None:
    """Bytes are named by their parameter: compressed ones hold the time, and the workers must agree
    on the names.
    """
    return argname if isinstance(val, bytes) else None
