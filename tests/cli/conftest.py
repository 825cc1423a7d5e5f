"""Tests in this folder have the fixtures ``finished``, ``place`` and ``run``."""

from tiny_fixtures import finished, place, run

__all__ = ["finished", "place", "run"]
