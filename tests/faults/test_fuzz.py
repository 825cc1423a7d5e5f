"""A hundred malformed files of each format, more or less; ``make faults`` reads 10,000."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from etude.errors import UserError
from tests.faults import hostile
from tests.faults.formats import FORMATS
from tests.faults.fuzz import Format, fuzz

SLOW = {
    "CIFAR pickles in .xz",
    "command line",
    "study.json",
    "result.json",
    "metrics.jsonl",
    ".status.json",
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


FORGIVING = (
    "metrics.jsonl",
    ".status.json",
)  # a line that can't be read is passed over, as one cut short by a kill


@pytest.mark.parametrize("each", FORMATS, ids=lambda each: each.name)
def test_malformed_files_are_read_or_refused(each: Format, tmp_path: Path) -> None:
    found = fuzz(each, 50 if each.name in SLOW else 150, tmp_path)
    assert not found.failed
    assert found.read + found.refused == found.inputs
    if each.name not in FORGIVING:
        assert found.refused > 0.2 * found.inputs, "what is malformed is mostly refused"


FAILED_ONCE = {
    "CIFAR pickles": (3771, 4537, 7506),
    "VOC XML": (3849, 5018),
    "tar": (2321, 8811),
    "CamVid lists": (3900,),
    "PNG": (3511, 4408),
}


@pytest.mark.parametrize("name", FAILED_ONCE)
def test_what_failed_once_holds(name: str, tmp_path: Path) -> None:
    each = next(each for each in FORMATS if each.name == name)
    for number in FAILED_ONCE[name]:
        assert not fuzz(each, number + 1, tmp_path, only=number).failed


@pytest.mark.parametrize(
    ("name", "work"), [pytest.param(name, work, id=name) for _, name, work in hostile.ATTACKS]
)
def test_files_made_to_do_harm_are_refused(name: str, work: hostile.Attack, tmp_path: Path) -> None:
    assert hostile.attack(name, work, tmp_path) == ""


def die(content: bytes, place: Path) -> None:
    if content == b"bad":
        import os

        os.kill(os.getpid(), 11)


def spin(content: bytes, place: Path) -> None:
    while content == b"bad":
        pass


def hoard(content: bytes, place: Path) -> None:
    if content == b"bad":
        try:
            bytearray(2 << 30)
        except MemoryError as error:
            raise UserError("it is damaged") from error


def crash(content: bytes, place: Path) -> None:
    if content == b"bad":
        raise IndexError("far out")


def rant(content: bytes, place: Path) -> None:
    if content == b"bad":
        raise UserError("")


@pytest.mark.parametrize(
    ("read", "what"),
    [
        (die, "SIGSEGV"),
        (spin, "it took"),
        (hoard, "out of memory"),
        (crash, "IndexError"),
        (rant, "no sentence"),
    ],
)
def test_the_fuzzer_sees_what_fails(
    read, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.faults.fuzz.SECONDS", 2.0)
    each = Format(
        "own",
        "",
        lambda: [b"good"],
        read,
        change=lambda chance, valid: chance.choice((b"bad", b"good")),
    )
    bad = [number for number in range(4) if each.input(number, [b"good"]) == b"bad"]
    found = fuzz(each, 4, tmp_path)
    assert bad
    assert sorted(number for number, _ in found.failed) == bad
    assert all(what in why for _, why in found.failed)
    assert found.read == 4 - len(bad)
    assert not found.held
