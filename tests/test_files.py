"""Files that somebody names: plain ones only, read to a bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from etude.files import Unreadable, content_of, opened


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"abc")
    assert content_of(path, 3) == b"abc"
    with opened(path) as file:
        assert file.read() == b"abc"
    with pytest.raises(Unreadable, match="has more than 2 bytes"):
        content_of(path, 2)


def test_what_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").write_bytes(b"abc")
    os.mkfifo(tmp_path / "pipe")
    for path, why in (
        (tmp_path, "it is no plain file"),
        (tmp_path / "link", "it is a link"),
        (tmp_path / "pipe", "it is no plain file"),
        (Path("/dev/zero"), "it is no plain file"),
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / "a\0b", "embedded null byte"),
    ):
        with pytest.raises(Unreadable, match=f"can't be read: {why}"):
            content_of(path, 3)
