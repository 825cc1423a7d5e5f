"""The formats that Etude reads from outside: valid examples of each, and the function that reads
it.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import lzma
import pickle
import random
import shutil
import struct
import tarfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from PIL import Image

from etude.errors import UserError
from tests.faults.fuzz import Content, Format, in_memory, json_changed, mutated

NUMBERS = np.random.default_rng(0)


# -- data sets -------------------------------------------------------------------------------------


def idx(values: np.ndarray[Any, Any]) -> Content:
    codes = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    head = bytes((0, 0, codes[values.dtype.str[1:]], values.ndim)) + struct.pack(
        f">{values.ndim}I", *values.shape
    )
    return head + values.astype(values.dtype.newbyteorder(">")).tobytes()


def _idx_valid() -> list[Content]:
    return [
        idx(NUMBERS.integers(0, 255, (3, 28, 28), dtype=np.uint8)),
        idx(np.arange(10, dtype=np.uint8)),
        idx(NUMBERS.normal(size=(2, 3, 4)).astype(np.float32)),
        idx(np.zeros((0, 3), np.int32)),
    ]


def _read_idx(content: Content, place: Path) -> None:
    from etude.data.idx import read_idx

    (path := place / "file-idx3-ubyte").write_bytes(content)
    tensor = read_idx(path)
    assert tensor.numel() * tensor.element_size() <= 1100 * len(content), (
        "more than the file can hold"
    )


def gzipped_or_plain(chance: random.Random, content: Content) -> Content:
    return gzip.compress(content, 1, mtime=0) if chance.random() < 0.5 else content


def _cifar_valid() -> list[Content]:
    rows = NUMBERS.integers(0, 255, (2, 3072), dtype=np.uint8)
    return [
        pickle.dumps(
            {b"data": rows, b"labels": [3, 9], b"batch_label": b"one", b"filenames": [b"a", b"b"]},
            protocol,
        )
        for protocol in (0, 2, 3, 4, 5)
    ]


def _read_cifar(content: Content, place: Path) -> None:
    from etude.data.cifar import _batch, _file

    (path := place / "data_batch_1.xz").write_bytes(content)
    _batch(_file(path), str(path), "labels", 10)


def _read_cifar_plain(content: Content, place: Path) -> None:
    from etude.data.cifar import _batch

    _batch(content, "data_batch_1", "labels", 10)


def xz(chance: random.Random, content: Content) -> Content:
    return lzma.compress(content, preset=0)


def _csv_valid() -> list[Content]:
    return [
        (
            b'"3","Oil, up","It costs ""more"" #39;now\\$5"\n"1","Peace","Talks'
            b' &lt;b&gt;go&lt;/b&gt; on"\n'
        ),
        b'text,0\n"two\nlines",3\nlast quot;word quot;,1\n',
        "Überraschung;,2\r\n".encode(),
    ]


def _read_csv(content: Content, place: Path) -> None:
    from etude.data.agnews import read_csv, without_overlap

    (path := place / "train.csv").write_bytes(content)
    rows = read_csv(path)
    assert all(0 <= label < 4 for _, label in rows)
    without_overlap(rows, rows[:1])


def _text_valid() -> list[Content]:
    return ["Zwei Männer stehen.\nEin Hund.\n".encode(), b"To be,\nor not\n"]


def _read_text(content: Content, place: Path) -> None:
    from etude.data.translation import _lines

    (path := place / "train.de.gz").write_bytes(content)
    _lines(path)


def gz(chance: random.Random, content: Content) -> Content:
    return gzip.compress(content, 1, mtime=0)


def _voc_valid() -> list[Content]:
    box = "<bndbox><xmin>{}</xmin><ymin>2</ymin><xmax>30.5</xmax><ymax>40</ymax></bndbox>"
    one = "<object><name>{}</name>" + box + "</object>"
    rows = "".join(one.format(name, k) for k, name in enumerate(("RBC", "WBC", "Platelets")))
    text = (
        "<?xml version='1.0'?><annotation><size><width>640</width></size><!-- cells"
        f" -->{rows}</annotation>"
    )
    return [text.encode(), b"<annotation></annotation>"]


XML_SCRAPS = (
    b"<!DOCTYPE a [<!ENTITY b 'bb'>]>",
    b"&b;",
    b"<object>",
    b"</object>",
    b"<![CDATA[x]]>",
    b"inf",
    b"nan",
    b"1e400",
    b"<?xml version='1.0' encoding='utf-16'?>",
    b"&#0;",
    b"&#x1F600;",
    b"<a>" * 500,
    b"xmlns:x='y'",
    b"<name>None</name>",
)


def with_scraps(
    scraps: Sequence[Content], chance: random.Random, valid: Sequence[Content]
) -> Content:
    """Mutated, and now and then with a word of the format's own in a random place."""
    content = mutated(chance, valid) if chance.random() < 0.7 else chance.choice(valid)
    if chance.random() < 0.5:
        at = chance.randint(0, len(content))
        content = content[:at] + chance.choice(scraps) + content[at:]
    return content


def _read_voc(content: Content, place: Path) -> None:
    from etude.data.blood import BLOOD_CELLS, boxes_of_voc

    boxes, labels = boxes_of_voc(content, "a.xml", BLOOD_CELLS)
    assert boxes.shape == (len(labels), 4)
    assert boxes.isfinite().all()


def picture(
    kind: str, mode: str = "RGB", side: tuple[int, int] = (24, 20), **options: Any
) -> Content:
    size = len(Image.new(mode, (1, 1)).getbands())
    values = NUMBERS.integers(0, 255, (*side, size), dtype=np.uint8)
    image = (
        Image.fromarray(values.squeeze())
        if mode in ("L", "RGB", "RGBA")
        else Image.new(mode, side[::-1], 3)
    )
    return in_memory(lambda out: image.save(out, kind, **options))


def png_with_sums(chance: random.Random, content: Content) -> Content:
    """The checksum of each chunk of a PNG set right, so that what was changed is looked at."""
    if not content.startswith(b"\x89PNG\r\n\x1a\n"):
        return content
    out, at = bytearray(content[:8]), 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if at + 12 + length > len(content):
            break
        body = content[at + 4 : at + 8 + length]
        out += content[at : at + 8 + length] + struct.pack(">I", zlib.crc32(body))
        at += 12 + length
    return bytes(out) + content[at:]


def _png_valid() -> list[Content]:
    return [
        picture("PNG"),
        picture("PNG", "L"),
        picture("PNG", "RGBA"),
        picture("PNG", "P"),
        picture("PNG", "I;16"),
    ]


def _jpeg_valid() -> list[Content]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        picture("JPEG"),
        picture("JPEG", "L"),
        picture("JPEG", progressive=True),
        picture("JPEG", exif=exif),
        picture("JPEG", "CMYK"),
    ]


def _other_pictures() -> list[Content]:
    return [
        picture("GIF", "P"),
        picture("BMP"),
        picture("TIFF"),
        picture("TIFF", "L", compression="tiff_lzw"),
        picture("WEBP"),
        picture("WEBP", lossless=True),
        picture("PPM"),
        picture("ICO", "RGBA", (16, 16)),
        picture("TIFF", "F"),
        picture("BMP", "1"),
    ]


def _read_picture(content: Content, place: Path) -> None:
    from etude.data.images import read_image, to_rgb

    (path := place / "picture.png").write_bytes(content)
    pixels = read_image(path)
    assert pixels.dtype == torch.uint8
    assert pixels.ndim == 3
    if pixels.numel() < 10_000:
        to_rgb(pixels, 16)


def _read_drawn(content: Content, place: Path) -> None:
    from etude.data.archives import picture as in_archive
    from etude.data.cifar import _png
    from etude.data.images import like_mnist

    (path := place / "picture.png").write_bytes(content)
    refusals: list[UserError] = []
    for read in (
        lambda: like_mnist(path),
        lambda: in_archive(content, "x.png"),
        lambda: in_archive(content, "x.png", colour=False),
        lambda: _png(content, "x.png"),
    ):
        try:
            read()
        except UserError as error:
            refusals.append(error)
    if len(refusals) == 4:
        raise refusals[0]


def _found(name: str, paths: Mapping[str, Path]) -> Any:
    from etude.data.sets import SETS
    from etude.data.store import Found

    return Found(SETS[name], SETS[name].editions[0], dict(paths))


def tar(members: Mapping[str, Content | tarfile.TarInfo], mode: str = "w") -> Content:
    """An archive of these files; a ``TarInfo`` stands for itself."""

    def write(out: io.BytesIO) -> None:
        with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
            for name, content in members.items():
                if isinstance(content, tarfile.TarInfo):
                    archive.addfile(content)
                    continue
                member = tarfile.TarInfo(name)
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))

    return in_memory(write)


@cache
def _blood_members() -> dict[str, Content]:
    files = {"BCCD/README": b"cells"}
    for part in ("train", "val", "test"):
        files[f"BCCD/ImageSets/Main/{part}.txt"] = f"{part}1\n".encode()
        files[f"BCCD/JPEGImages/{part}1.jpg"] = picture("JPEG", side=(48, 64))
        files[f"BCCD/Annotations/{part}1.xml"] = _voc_valid()[0]
    return files


def _tar_valid() -> list[Content]:
    return [tar(_blood_members()), tar({f"./{k}": v for k, v in _blood_members().items()})]


def tarred(chance: random.Random, content: Content) -> Content:
    pack = chance.choice(
        (
            bytes,
            bytes,
            partial(gzip.compress, compresslevel=1, mtime=0),
            partial(lzma.compress, preset=0),
        )
    )
    return pack(content)


def read_bccd(content: Content, place: Path) -> None:
    from etude.data import blood

    (path := place / "BCCD.tar.gz").write_bytes(content)
    with mock.patch.object(blood, "obtain", return_value=_found("bccd", {path.name: path})):
        blood.bccd(24, 32)


def read_cifar_archive(content: Content, place: Path) -> None:
    from etude.data import cifar

    (path := place / "cifar-10-python.tar.gz").write_bytes(content)
    with mock.patch.object(cifar, "obtain", return_value=_found("cifar-10", {path.name: path})):
        cifar.cifar10()


def _cifar_tar() -> list[Content]:
    parts = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    batch = _cifar_valid()[1]
    return [tar({f"cifar-10-batches-py/{part}": batch for part in parts})]


def _npz_valid() -> list[Content]:
    arrays: dict[str, Any] = {
        "images": NUMBERS.integers(0, 255, (3, 6, 6, 4), dtype=np.uint8),
        "poses": np.stack([np.eye(4)] * 3),
        "focal": 7.5,
    }
    return [
        in_memory(lambda out: np.savez_compressed(out, **arrays)),
        in_memory(lambda out: np.savez(out, **arrays)),
    ]


def read_npz(content: Content, place: Path) -> None:
    from etude.data import views

    (path := place / "lego.npz").write_bytes(content)
    with mock.patch.object(views, "obtain", return_value=_found("nerf-lego", {path.name: path})):
        views.lego()


def _lists_valid() -> list[Content]:
    return [
        (
            b"/SegNet/CamVid/train/a.png"
            b" /SegNet/CamVid/trainannot/a.png\n/SegNet/CamVid/train/b.png"
            b" /SegNet/CamVid/trainannot/b.png\n"
        ),
        b"CamVid/train/a.png CamVid/trainannot/a.png",
    ]


@cache
def _street() -> dict[str, Content]:
    files = {}
    for name in ("a", "b"):
        files[f"CamVid/train/{name}.png"] = picture("PNG", side=(180, 240))
        values = NUMBERS.integers(0, 12, (180, 240), dtype=np.uint8)
        image = Image.fromarray(values)
        files[f"CamVid/trainannot/{name}.png"] = in_memory(lambda out, i=image: i.save(out, "PNG"))
    return files


def _read_list(content: Content, place: Path) -> None:
    from etude.data.driving import _listed, _pair

    files = {**_street(), "CamVid/train.txt": content}
    pairs = _listed(files, "train", "camvid.tar")
    for pair in pairs:
        for name in pair:
            if name not in files:
                _pair(files, pair, "camvid.tar")
    _pair(files, pairs[0], "camvid.tar")


def _csr_pickle(protocol: int, rows: int, columns: int) -> Content:
    import scipy.sparse

    matrix = scipy.sparse.random(
        rows, columns, density=0.3, format="csr", dtype=np.float32, random_state=0
    )
    return pickle.dumps(_as_csr_matrix(matrix), protocol)


def _as_csr_matrix(matrix: Any) -> Any:
    import scipy.sparse

    return scipy.sparse.csr_matrix(matrix)


PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")


@cache
def _planetoid_files() -> dict[str, Content]:
    """A graph of 12 papers with 5 words and 3 classes: 8 known, 4 tested."""
    known, tested, words, classes = 8, 4, 5, 3
    one_hot = np.eye(classes, dtype=np.int32)
    return {
        "x": _csr_pickle(2, 3, words),
        "y": pickle.dumps(one_hot[[0, 1, 2]], 2),
        "tx": _csr_pickle(2, tested, words),
        "ty": pickle.dumps(one_hot[[0, 1, 2, 0]], 2),
        "allx": _csr_pickle(2, known, words),
        "ally": pickle.dumps(one_hot[[0, 1, 2, 0, 1, 2, 0, 1]], 2),
        "graph": pickle.dumps({node: [(node + 1) % 12, (node + 5) % 12] for node in range(12)}, 2),
        "test.index": b"11\n8\n10\n9\n",
    }


READ_PARTS = ("y", "allx", "ally", "tx", "ty", "graph", "test.index")


def _planetoid_valid() -> list[Content]:
    """One file each, its part in the first byte."""
    files = _planetoid_files()
    return [bytes([k]) + files[part] for k, part in enumerate(READ_PARTS)]


def _planetoid_changed(chance: random.Random, valid: Sequence[Content]) -> Content:
    which = chance.choice(valid)
    same_kind = [which[1:], *(each[1:] for each in valid if chance.random() < 0.1)]
    return which[:1] + mutated(chance, same_kind)


def read_planetoid(content: Content, place: Path) -> None:
    from etude.data import graphs

    part = READ_PARTS[content[0] % len(READ_PARTS)] if content else "graph"
    paths = {}
    for name, original in _planetoid_files().items():
        path = place / f"ind.cora.{name}"
        paths[path.name] = path
        if name == part or not path.is_file():
            path.write_bytes(content[1:] if name == part else original)
    try:
        with mock.patch.object(graphs, "obtain", return_value=_found("planetoid", paths)):
            graphs.planetoid("cora")
    finally:
        (place / f"ind.cora.{part}").write_bytes(_planetoid_files()[part])


# -- what Etude writes, and may get from others ----------------------------------------------------


@cache
def tiny_study() -> Path:
    """The tests' own tiny study as a file, which lies where it stays."""
    import tempfile

    from tests import tiny

    folder = Path(tempfile.mkdtemp(prefix="etude-faults-"))
    return tiny.write(folder)


@cache
def finished_run() -> Path:
    """A finished run of it. Made once, in the process that asks first."""
    from tests import tiny

    run = tiny.run(tiny_study(), tiny_study().parent / "runs")
    (run.folder.tables).mkdir(exist_ok=True)
    (run.folder.tables / "sizes.csv").write_text("name,size\na,1\nb,2\n")
    return run.folder.path


@contextmanager
def _run_with(place: Path, **files: Content) -> Iterator[Any]:
    """A copy of the run with some of its files' contents replaced."""
    from etude.runs.folder import RunFolder

    copy = place / "tiny" / finished_run().name
    if not copy.is_dir():
        shutil.copytree(finished_run(), copy)
    saved = {}
    for key, content in files.items():
        path = copy / RECORDS[key]
        saved[path] = path.read_bytes() if path.exists() else None
        path.write_bytes(content)
    try:
        yield RunFolder(copy)
    finally:
        for path, content in saved.items():
            path.unlink() if content is None else path.write_bytes(content)


RECORDS = {
    "study": "study.json",
    "result": "result.json",
    "metrics": "metrics.jsonl",
    "status": ".status.json",
    "table": "tables/sizes.csv",
    "log": "log.txt",
}


def _record_valid(kind: str) -> list[Content]:
    if kind == "status":
        return [b'{"pid": 4242, "stage": "first", "step": 3, "total": 20}', b'{"pid": 4242}']
    return [(finished_run() / RECORDS[kind]).read_bytes()]


def _read_record(kind: str, content: Content, place: Path) -> None:
    """Whatever reads a run folder: the table of runs, comparisons, curves, ``resume``, ``load``,
    report and pages.
    """
    from etude.cli.resume import check_record
    from etude.cli.runs import cells
    from etude.results.compare import compare
    from etude.results.listing import describe
    from etude.results.load import rebuild
    from etude.runs.folder import RunFolder
    from etude.runs.report import write_report

    first: UserError | None = None
    with _run_with(place, **{kind: content}) as folder:
        row = describe(folder)
        json.dumps(
            [row, cells(row), folder.status(), folder.curves(), folder.last_row()], allow_nan=False
        ).encode()
        "".join(map(str, cells(row))).encode()
        asked = [
            folder.tables_of,
            lambda: compare([folder, RunFolder(finished_run())]),
            lambda: check_record(folder.study(), folder),
            lambda: rebuild(folder.study(), "this run", _tiny()),
        ]
        if hashlib.sha256(content).digest()[0] < 16:  # the slow ones, of one input in 16
            asked += [lambda: write_report(folder), lambda: _pages(place, folder.name)]
        for ask in asked:
            try:
                ask()
            except UserError as error:
                first = first or error
    if first:
        raise first


@cache
def _tiny() -> Any:
    from etude.catalogue import Catalogue

    return Catalogue()[str(tiny_study())].load()


@cache
def _client(root: Path) -> Any:
    from starlette.testclient import TestClient

    from etude.app.guard import Access
    from etude.app.server import application

    client = TestClient(application(root, Access("token")), base_url="http://127.0.0.1")
    client.headers["cookie"] = "etude-80=token"
    return client


def _pages(root: Path, name: str) -> None:
    for address in ("/runs", f"/runs/{name}", f"/runs/{name}/live"):
        answer = _client(root).get(address, headers={"accept": "application/json"})
        if 400 <= answer.status_code < 500:
            raise UserError(answer.json()["error"])
        assert answer.status_code == 200, answer.status_code


def _safetensors_valid() -> list[Content]:
    from etude.results.export import export

    exported = tiny_study().parent / "exported.safetensors"
    if not exported.is_file():
        from etude.runs.folder import RunFolder

        export(RunFolder(finished_run()), "safetensors", exported)
    return [(finished_run() / "network.safetensors").read_bytes(), exported.read_bytes()]


def _read_exported(ending: str, content: Content, place: Path) -> None:
    from etude.results.load import load

    (path := place / f"network{ending}").write_bytes(content)
    load(path, study=_tiny()) if b"fields" in content else _read_weights(path)


def _read_weights(path: Path) -> None:
    from etude.results.load import read_hdf5, read_safetensors

    (read_hdf5 if path.suffix == ".h5" else read_safetensors)(path)


def _hdf5_valid() -> list[Content]:
    from etude.results.export import export
    from etude.runs.folder import RunFolder

    path = tiny_study().parent / "exported.h5"
    if not path.is_file():
        export(RunFolder(finished_run()), "hdf5", path)
    return [path.read_bytes()]


def _checkpoint_valid() -> list[Content]:
    from etude.runs.checkpoints import _content
    from etude.runs.random_state import random_state

    net = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {
        "step": 3,
        "state": [net.state_dict(), optimizer.state_dict()],
        "batches": {"own": {"k": 4}},
        "random": random_state(),
        "window": {"sums": {"loss": 1.0}, "counts": {"loss": 2}},
        "metrics_bytes": 0,
        "seconds": 0.5,
    }
    return [_content(state), _content({**state, "random": {}})]


def _read_checkpoint(content: Content, place: Path) -> None:
    """With the right checksum in its name, as a stranger would make it; what is passed over counts
    as refused.
    """
    from etude.runs.checkpoints import Checkpoints

    folder = place / "checkpoint"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    digest = hashlib.sha256(content).hexdigest()[:16]
    (folder / f"0-00000003.{digest}.pt").write_bytes(content)
    said: list[str] = []
    _, state = Checkpoints(folder, said.append).restore()
    if state is None:
        raise UserError(said[0] if said else "")


# -- what is typed ---------------------------------------------------------------------------------

VALUES = (
    "0",
    "1",
    "-1",
    "3",
    "0.5",
    "1e-3",
    "1e999",
    "nan",
    "inf",
    "-inf",
    "true",
    "false",
    "None",
    "",
    " ",
    "1,000",
    "1_0",
    "0x10",
    "12",
    "9" * 30,
    "9" * 5000,
    "é",
    "\udcff",
    "\0",
    "[1, 2]",
    "1 2 3",
    "adam",
    "sgd",
    "--",
    "-",
    "=",
    "'",
    '"',
    "$(id)",
    "../..",
    "1.",
    ".5",
    "+1",
    "1e",
    "٣",
    "(" * 300,
    "9" * 400,
    "1e308",
    "quick",
    "full",
    "cpu",
    "\n",
    "a\nb",
)
STUDIES = ("spirals", "digits", "gpt", "dqn", "optimizers", "vae", "transformer")


@cache
def _entries() -> dict[str, Any]:
    from etude.catalogue import Catalogue

    catalogue = Catalogue()
    return {name: catalogue[name] for name in STUDIES}


def _typed(chance: random.Random, valid: Sequence[Content]) -> Content:
    """A study and lines of ``option``, ``value``; mostly the study's own names."""
    name = chance.choice(STUDIES)
    names = [field.name for field in _entries()[name].fields]
    lines = [name]
    for _ in range(chance.randint(1, 4)):
        option = chance.choice(
            [*names, *names, "seed", "scale", "runs", "folds", "nothing", "", "threads"]
        )
        lines += [option, chance.choice(VALUES).replace("\n", "\\n")]
    content = "\n".join(lines).encode("utf-8", "surrogateescape")
    return mutated(chance, [content]) if chance.random() < 0.2 else content


def _typed_valid() -> list[Content]:
    return [b"spirals\nseed\n3", b"digits\nscale\nquick"]


def _lines(content: Content) -> tuple[str, list[tuple[str, str]]]:
    name, *rest = content.decode("utf-8", "surrogateescape").split("\n")
    return name, list(zip(rest[::2], rest[1::2], strict=False))


def _read_words(content: Content, place: Path) -> None:
    from etude.cli.run import parse

    name, pairs = _lines(content)
    if name not in _entries():
        raise UserError(f"no study '{name}'")
    words = []
    for option, value in pairs:
        words += (
            [f"--{option.replace('_', '-')}={value}"] if len(value) % 2 else [f"--{option}", value]
        )
    try:
        parse(_entries()[name], words)
    except SystemExit as stop:
        assert stop.code in (0, None), "the parser ends the program"  # noqa: PT017


def _read_form(content: Content, place: Path) -> None:
    from etude.app import forms

    name, pairs = _lines(content)
    if name not in _entries():
        raise UserError(f"no study '{name}'")
    entry, typed = _entries()[name], dict(pairs)
    scale = typed.pop("scale", "quick")
    _, seed, errors = forms.read(entry, scale, typed)
    assert seed >= 0
    forms.controls(entry, scale, typed, errors)
    if errors:
        raise UserError("; ".join(sorted(errors.values())))


FORMATS = (
    Format(
        "IDX", "MNIST and Fashion-MNIST, plain and gzipped", _idx_valid, _read_idx, gzipped_or_plain
    ),
    Format(
        "CIFAR pickles",
        "batches of CIFAR-10 and CIFAR-100, protocols 0 to 5",
        _cifar_valid,
        _read_cifar_plain,
    ),
    Format("CIFAR pickles in .xz", "the same, packed", _cifar_valid, _read_cifar, xz),
    Format("CIFAR archive", "the official .tar.gz", _cifar_tar, read_cifar_archive, gz),
    Format("CSV", "AG News", _csv_valid, _read_csv),
    Format("text in gzip", "Multi30k", _text_valid, _read_text, gz),
    Format(
        "VOC XML", "boxes of BCCD", _voc_valid, _read_voc, change=partial(with_scraps, XML_SCRAPS)
    ),
    Format(
        "tar", "BCCD: plain, gzip, xz; lists, XML and JPEG in it", _tar_valid, read_bccd, tarred
    ),
    Format("CamVid lists", "frames and their labels", _lists_valid, _read_list),
    Format("zip (npz)", "the bulldozer's views", _npz_valid, read_npz),
    Format(
        "planetoid",
        "pickles and index of Cora and Citeseer",
        _planetoid_valid,
        read_planetoid,
        change=_planetoid_changed,
    ),
    Format(
        "PNG",
        "predict, page, folders; its checksums set right",
        _png_valid,
        _read_picture,
        png_with_sums,
    ),
    Format("JPEG", "predict, page, folders", _jpeg_valid, _read_picture),
    Format("other pictures", "GIF, BMP, TIFF, WebP, PPM, ICO", _other_pictures, _read_picture),
    Format(
        "pictures in data sets",
        "digits that are drawn, photographs, labels of pixels",
        _png_valid,
        _read_drawn,
    ),
    Format(
        "study.json",
        "the record of a run",
        partial(_record_valid, "study"),
        partial(_read_record, "study"),
        change=json_changed,
    ),
    Format(
        "result.json",
        "what a run reached",
        partial(_record_valid, "result"),
        partial(_read_record, "result"),
        change=json_changed,
    ),
    Format(
        "metrics.jsonl",
        "the log of a run",
        partial(_record_valid, "metrics"),
        partial(_read_record, "metrics"),
        change=json_changed,
    ),
    Format(
        ".status.json",
        "where a run is",
        partial(_record_valid, "status"),
        partial(_read_record, "status"),
        change=json_changed,
    ),
    Format(
        "tables",
        "a run's CSV tables",
        partial(_record_valid, "table"),
        partial(_read_record, "table"),
    ),
    Format(
        "safetensors",
        "a run's network, and exported ones",
        _safetensors_valid,
        partial(_read_exported, ".safetensors"),
    ),
    Format("HDF5", "exported networks", _hdf5_valid, partial(_read_exported, ".h5")),
    Format(
        "checkpoint",
        "with a right checksum, as a stranger would make it",
        _checkpoint_valid,
        _read_checkpoint,
    ),
    Format(
        "command line",
        "fields of studies, options of run",
        _typed_valid,
        _read_words,
        change=_typed,
    ),
    Format("forms", "the same on the page", _typed_valid, _read_form, change=_typed),
)
BY_NAME = {each.name: each for each in FORMATS}
