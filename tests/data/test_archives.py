"""What archives say of themselves is not believed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from etude.data.archives import arrays
from etude.errors import UserError


def test_arrays_come_back_packed_or_not(tmp_path: Path) -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.array([True, False])
    np.savez(tmp_path / "plain.npz", a=a, b=b)
    np.savez_compressed(tmp_path / "packed.npz", a=a, b=b)
    for name in ("plain", "packed"):
        found = arrays(tmp_path / f"{name}.npz", ["b", "a"])
        np.testing.assert_array_equal(found[0], b)
        np.testing.assert_array_equal(found[1], a)


def test_a_packed_size_beyond_the_file_is_refused_before_room_is_made(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(6.0))
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 20  # the directory's word on the packed size
    content[at : at + 4] = (0xFF000000).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match="4,278,190,080 bytes, more than the file"):
        arrays(path, ["a"])


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_packing_that_can_ask_for_gigabytes_is_refused(tmp_path: Path, packing: int) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, a=np.arange(6.0))
    with zipfile.ZipFile(path) as plain:
        content = plain.read("a.npy")
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.writestr("a.npy", content)
    with pytest.raises(UserError, match="packed in a way that NumPy does not use"):
        arrays(path, ["a"])
