"""Files that are made whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from etude.errors import UserError
from etude.results.files import create


def test_files_are_made_with_their_folders(tmp_path: Path) -> None:
    create({tmp_path / "a" / "b.md": "ä\n", tmp_path / "a" / "c" / "d": b"\0"}, "")
    assert (tmp_path / "a" / "b.md").read_bytes() == "ä\n".encode()
    assert (tmp_path / "a" / "c" / "d").read_bytes() == b"\0"
    assert len(list(tmp_path.rglob("*"))) == 4


@pytest.mark.parametrize("links", [True, False])
def test_what_is_there_stays_and_nothing_is_made_beside_it(
    links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    if not links:  # as on an SD card
        monkeypatch.setattr(os, "link", refused)
    create({tmp_path / "b": "old"}, "")
    files = {tmp_path / "new" / "a": "new", tmp_path / "b": "new"}
    with pytest.raises(UserError, match="b is there already; --out names another"):
        create(files, "--out names another")
    assert [each.name for each in tmp_path.rglob("*")] == ["b"]
    assert (tmp_path / "b").read_text() == "old"


def test_a_full_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if content == b"second":
            write(path, content[:3])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match="b can't be written: No space left on device"):
        create({tmp_path / "new" / "a": "first", tmp_path / "new" / "b": "second"}, "")
    assert list(tmp_path.iterdir()) == []
