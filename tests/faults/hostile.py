"""Files made to do harm: they would execute code, leave their folder, or fill the memory.

Each is refused by name.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from etude.errors import UserError
from tests.faults import folders, formats
from tests.faults.disks import Trial
from tests.faults.fuzz import Content, Format, fuzz

Attack = Callable[[Path], object]


class Evil:
    """Makes a folder when it is unpickled by a reader that trusts."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"mkdir -p '{self.place}/executed'",)


def pickled_command(place: Path) -> None:
    formats._read_cifar_plain(pickle.dumps({b"data": Evil(place), b"labels": []}, 2), place)


def command_in_a_graph(place: Path) -> None:
    formats.read_planetoid(
        bytes([formats.READ_PARTS.index("graph")]) + pickle.dumps(Evil(place), 2), place
    )


def command_in_a_checkpoint(place: Path) -> None:
    out = io.BytesIO()
    torch.save({"step": 3, "state": [Evil(place)]}, out)
    formats._read_checkpoint(out.getvalue(), place)


def command_in_an_array(place: Path) -> None:
    out = io.BytesIO()
    np.savez(out, images=np.array([Evil(place)], dtype=object), poses=np.zeros(1), focal=1.0)
    formats.read_npz(out.getvalue(), place)


def study_among_the_runs(place: Path) -> None:
    from etude.results.load import rebuild
    from etude.runs.folder import RunFolder

    folder = place / "runs" / "evil" / "one"
    folder.mkdir(parents=True)
    source = folder / "evil.py"
    source.write_text(f"import os\nos.mkdir({str(place / 'executed')!r})\n")
    record = {"study": "evil", "source": str(source), "fields": {}}
    (folder / "study.json").write_text(json.dumps(record))
    run = RunFolder(folder)
    rebuild(run.study(), "this run", None, run)


def code_as_a_name(place: Path) -> None:
    """A field whose name would become code in an exported notebook."""
    from etude.runs.folder import RunFolder

    record = {
        "study": "spirals",
        "fields": {},
        "changed": {"__import__('os').mkdir('executed') or x": 1},
    }
    (place / "study.json").write_text(json.dumps(record))
    RunFolder(place).study()


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return member


def _tar_of(**others: Any) -> Content:
    return formats.tar({**formats._blood_members(), **others})


def tar_that_climbs(place: Path) -> None:
    formats.read_bccd(_tar_of(**{"../../executed": b"x"}), place)


def tar_from_the_root(place: Path) -> None:
    formats.read_bccd(_tar_of(**{f"{place}/executed": b"x"}), place)


def tar_with_a_link(place: Path) -> None:
    name = "BCCD/Annotations/train1.xml"
    formats.read_bccd(_tar_of(**{name: _member(name, tarfile.SYMTYPE, "/etc/passwd")}), place)


def tar_with_a_hard_link(place: Path) -> None:
    name = "BCCD/Annotations/train1.xml"
    formats.read_bccd(_tar_of(**{name: _member(name, tarfile.LNKTYPE, "../../etc/passwd")}), place)


def cifar_with_a_link(place: Path) -> None:
    name = "cifar-10-batches-py/data_batch_1"
    content = formats.tar({name: _member(name, tarfile.SYMTYPE, "/etc/passwd")})
    formats.read_cifar_archive(gzip.compress(content, 1), place)


def folder_with_a_link(place: Path) -> None:
    """A folder in which a wanted file is a link is read as if it were not there."""
    import re

    from etude.data.archives import contents

    home = place / "camvid"
    (home / "CamVid").mkdir(parents=True)
    for part in ("train", "val"):
        (home / "CamVid" / f"{part}.txt").write_text("x")
    (home / "CamVid" / "test.txt").symlink_to("/etc/passwd")
    found = formats._found(
        "camvid",
        {f"CamVid/{p}.txt": home / "CamVid" / f"{p}.txt" for p in ("train", "val", "test")},
    )
    files, where = contents(found, re.compile(r"CamVid/(train|val|test)\.txt"))
    if "CamVid/test.txt" in files:
        return
    raise UserError(f"{where} should hold CamVid/test.txt, and does not")


def tar_bomb(place: Path) -> None:
    """2 GiB of zeros beside what is wanted, in 9 MB of gzip."""
    (path := place / "bomb").mkdir()
    with gzip.open(path / "b.gz", "wb", compresslevel=1) as out:
        member = tarfile.TarInfo("BCCD/zeros")
        member.size = 1 << 31
        out.write(member.tobuf())
        out.write(bytes(1 << 20))  # no more is needed: the header is believed first
    formats.read_bccd((path / "b.gz").read_bytes(), place)


def tar_of_long_names(place: Path) -> None:
    """A name of 600 MiB, of which one is there: the header is believed first."""
    member = tarfile.TarInfo("././@LongLink")
    member.type, member.size = tarfile.GNUTYPE_LONGNAME, 600 << 20
    formats.read_bccd(gzip.compress(member.tobuf() + bytes(1 << 20), 1), place)


def gzip_bomb(place: Path) -> None:
    formats._read_text(gzip.compress(bytes(300 << 20), 1), place)


def idx_bomb(place: Path) -> None:
    formats._read_idx(b"\0\0\x08\x03" + struct.pack(">3I", 1 << 31, 28, 28) + bytes(100), place)


def idx_gzip_bomb(place: Path) -> None:
    formats._read_idx(
        gzip.compress(b"\0\0\x08\x01" + struct.pack(">I", 1) + bytes(300 << 20), 1), place
    )


def xz_bomb(place: Path) -> None:
    write = "import lzma, sys; sys.stdout.buffer.write(lzma.compress(bytes(400 << 20), preset=0))"
    made = subprocess.run(
        [sys.executable, "-c", write], capture_output=True, check=True
    )  # only to read it is timed
    formats._read_cifar(made.stdout, place)


def zip_bomb(place: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("images.npy", bytes(200 << 20))
    formats.read_npz(out.getvalue(), place)


def array_bomb(place: Path) -> None:
    """An array whose header claims 2^40 numbers."""
    head = io.BytesIO()
    about = {"descr": "<f8", "fortran_order": False, "shape": (1 << 40,)}
    np.lib.format.write_array_header_1_0(head, about)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("images.npy", head.getvalue())
    formats.read_npz(out.getvalue(), place)


def _png(width: int, height: int, rows: Content) -> Content:
    def chunk(kind: bytes, body: Content) -> Content:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


def picture_bomb(place: Path) -> None:
    formats._read_picture(_png(100_000, 100_000, bytes(1000)), place)


def picture_bomb_below_pillows_limit(place: Path) -> None:
    formats._read_picture(_png(13_000, 13_000, bytes(13_001 * 13_000)), place)


def picture_bomb_in_a_data_set(place: Path) -> None:
    from etude.data.archives import picture

    picture(_png(13_000, 13_000, bytes(13_001 * 13_000)), "train/a.png", colour=False)


def billion_laughs(place: Path) -> None:
    lines = "".join(f"<!ENTITY l{i} '{f'&l{i - 1};' * 10}'>" for i in range(1, 10))
    formats._read_voc(f"<!DOCTYPE a [<!ENTITY l0 'ha'>{lines}]><a>&l9;</a>".encode(), place)


def external_entity(place: Path) -> None:
    formats._read_voc(b"<!DOCTYPE a [<!ENTITY f SYSTEM 'file:///etc/passwd'>]><a>&f;</a>", place)


def deep_xml(place: Path) -> None:
    formats._read_voc(b"<a>" * 1_000_000, place)


def deep_json(place: Path) -> None:
    from etude.runs.folder import RunFolder

    (place / "study.json").write_text("[" * 1_000_000)
    RunFolder(place).study()


def safetensors_header(place: Path) -> None:
    formats._read_exported(".safetensors", struct.pack("<Q", 1 << 62) + b"{}", place)


def safetensors_offsets(place: Path) -> None:
    head = json.dumps(
        {"w": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}
    ).encode()
    formats._read_exported(".safetensors", struct.pack("<Q", len(head)) + head, place)


def pickle_memo(place: Path) -> None:
    """A value that is to be kept under the number 2^31."""
    formats._read_cifar_plain(b"\x80\x02}r" + struct.pack("<I", (1 << 31) - 1) + b".", place)


ATTACKS: tuple[tuple[str, str, Attack], ...] = (
    ("executes", "os.system in a CIFAR batch", pickled_command),
    ("executes", "os.system in a planetoid graph", command_in_a_graph),
    ("executes", "os.system in a checkpoint with a right checksum", command_in_a_checkpoint),
    ("executes", "a pickled object in an .npz", command_in_an_array),
    ("executes", "a study's source inside the run's folder", study_among_the_runs),
    ("executes", "code as the name of a field", code_as_a_name),
    ("leaves its folder", "tar with ../", tar_that_climbs),
    ("leaves its folder", "tar with an absolute name", tar_from_the_root),
    ("leaves its folder", "tar with a symbolic link", tar_with_a_link),
    ("leaves its folder", "tar with a hard link", tar_with_a_hard_link),
    ("leaves its folder", "CIFAR's archive with a link", cifar_with_a_link),
    ("leaves its folder", "a folder with a link", folder_with_a_link),
    ("explodes", "tar: 2 GiB beside what is wanted", tar_bomb),
    ("explodes", "tar: a name of 600 MiB", tar_of_long_names),
    ("explodes", "gzip: 300 MiB of text", gzip_bomb),
    ("explodes", "IDX: 2^31 rows", idx_bomb),
    ("explodes", "IDX in gzip: 300 MiB behind one row", idx_gzip_bomb),
    ("explodes", "xz: 400 MiB", xz_bomb),
    ("explodes", "zip: 200 MiB of zeros", zip_bomb),
    ("explodes", "zip: an array of 2^40 numbers", array_bomb),
    ("explodes", "PNG of 100,000×100,000", picture_bomb),
    ("explodes", "PNG of 13,000×13,000, whole", picture_bomb_below_pillows_limit),
    ("explodes", "the same in a data set", picture_bomb_in_a_data_set),
    ("explodes", "XML: a billion laughs", billion_laughs),
    ("explodes", "XML: an external entity", external_entity),
    ("explodes", "XML: a million levels", deep_xml),
    ("explodes", "JSON: a million levels", deep_json),
    ("explodes", "safetensors: a header of 2^62 bytes", safetensors_header),
    ("explodes", "safetensors: 2^40 numbers", safetensors_offsets),
    ("explodes", "pickle: a value numbered 2^31", pickle_memo),
    *folders.ATTACKS,
)
HARMS = tuple(dict.fromkeys(harm for harm, _, _ in ATTACKS))


def attack(name: str, work: Attack, place: Path) -> str:
    """What is wrong with how it was met; empty if it was refused.

    In a process of its own, with a memory limit.
    """
    with tempfile.TemporaryDirectory(dir=place) as folder:
        here = Path(folder)
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]

        def read(content: Content, _: Path) -> None:
            if content:
                work(here)

        one = Format(
            f"attack {digest}", name, lambda: [b""], read, change=lambda chance, valid: b"x"
        )
        found = fuzz(one, 1, here)
        if [*place.rglob("executed")] or Path("executed").exists():
            return "it was executed, or a file was written outside"
    if found.failed:
        return found.failed[0][1]
    return "" if found.refused else "it was read"


def attacks(place: Path, harms: tuple[str, ...] = HARMS) -> list[Trial]:
    """All of them."""
    trials = []
    for harm in harms:
        trial = Trial(harm, "; ".join(name for kind, name, _ in ATTACKS if kind == harm))
        for kind, name, work in ATTACKS:
            if kind == harm:
                trial.tried += 1
                if wrong := attack(name, work, place):
                    trial.failed.append(f"{name}: {wrong}")
        trials.append(trial)
    return trials
