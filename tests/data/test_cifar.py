import io
import lzma
import os
import pickle
import tarfile

import numpy as np
import pytest
import torch

from etude import data
from etude.data.unpickling import read_pickle
from etude.errors import UserError

PARTS = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def python_2(value):
    """Pickled as Python 2 and NumPy 1 did: byte strings, ``numpy.core``."""

    def text(string):
        return b"U" + bytes([len(string)]) + string.encode()

    if isinstance(value, np.ndarray):
        raw = value.tobytes()
        return (
            b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntU\x01btR(I1\n("
            + b"".join(b"I%d\n" % side for side in value.shape)
            + b"tcnumpy\ndtype\n(U\x02u1I0\nI1\ntR(I3\nU\x01|NNNI-1\nI-1\nI0\ntbI00\nT"
            + len(raw).to_bytes(4, "little")
            + raw
            + b"tb"
        )
    if isinstance(value, list):
        return b"(l" + b"".join(python_2(each) + b"a" for each in value)
    if isinstance(value, str):
        return text(value)
    if isinstance(value, int):
        return b"I%d\n" % value
    return b"(d" + b"".join(text(key) + python_2(each) + b"s" for key, each in value.items())


def batch(
    i, n=10, key="labels", classes=10, dump=lambda value: b"\x80\x02" + python_2(value) + b"."
):
    x = np.random.default_rng(i).integers(0, 256, (n, 3072), dtype=np.uint8)
    return x, dump({"batch_label": f"batch {i}", key: [k % classes for k in range(n)], "data": x})


def tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.fixture
def folder(home):
    folder = home / "data" / "cifar-10"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize(
    "form", ["archive", "folder", "folder.xz", "batches", "batches.xz", "torchvision"]
)
def test_every_form_gives_the_same(folder, form):
    made = {part: batch(i) for i, part in enumerate(PARTS)}
    if form == "archive":
        members = {f"cifar-10-batches-py/{part}": content for part, (_, content) in made.items()}
        tar(
            folder / "cifar-10-python.tar.gz", {"cifar-10-batches-py/readme.html": b"<p>"} | members
        )
    else:
        place = folder / ("." if form.startswith("batches") else "cifar-10-batches-py")
        place = folder.parent / place.name if form == "torchvision" else place
        place.mkdir(exist_ok=True)
        for part, (_, content) in made.items():
            if form.endswith(".xz"):
                (place / f"{part}.xz").write_bytes(lzma.compress(content))
            else:
                (place / part).write_bytes(content)
    cifar = data.cifar10()
    expected = np.concatenate([made[part][0] for part in PARTS[:5]]).reshape(-1, 3, 32, 32)
    assert np.array_equal(cifar.train.inputs.numpy(), expected)
    assert cifar.test.inputs.shape == (10, 3, 32, 32)
    assert cifar.test.labels.tolist() == list(range(10))
    assert cifar.train.inputs.dtype == torch.uint8
    assert cifar.classes[3] == "cat"
    cifar.train.inputs.add_(1)  # it is the caller's own


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_arrays_pickled_by_this_numpy(protocol):
    value = {
        "a": np.arange(6, dtype=">i4").reshape(2, 3),
        "f": np.asfortranarray(np.eye(3)),
        "b": b"x",
        "l": [1, 2.5, "ü"],
    }
    read = read_pickle(pickle.dumps(value, protocol), "x")
    assert read["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert np.array_equal(read["f"], np.eye(3))
    assert read["b"] == b"x"
    assert read["l"] == [1, 2.5, "ü"]


class Evil:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_a_pickle_that_runs_a_command_is_refused_and_not_run(folder, tmp_path):
    witness = tmp_path / "witness"
    for part in PARTS:
        (folder / part).write_bytes(batch(0)[1])
    (folder / "data_batch_3").write_bytes(
        pickle.dumps({"data": Evil(os.system, f"touch {witness}")})
    )
    with pytest.raises(UserError, match=r"data_batch_3 is refused.*system"):
        data.cifar10()
    assert not witness.exists()


@pytest.mark.parametrize(
    "value",
    [
        Evil(eval, "1"),
        Evil(getattr, "a", "upper"),
        Evil(np.load, "x"),
        Evil(np.dtype, "V8"),
        Evil(np.dtype, "O8"),
        np.array([{}], dtype=object),
        np.zeros(2, dtype=[("a", "u1"), ("b", "u1")]),
        np.array(["text"]),
        torch.zeros(1),
        Exception,
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_but_numbers_and_plain_values(value):
    with pytest.raises(UserError, match=r"refused|damaged"):
        read_pickle(pickle.dumps({"data": value}), "x")


@pytest.mark.parametrize(
    "content", [b"", b"abc", b"\x80\x02", pickle.dumps([1]), b"\x80\x04\x95" + b"\xff" * 8]
)
def test_no_pickle_or_no_dictionary(content):
    with pytest.raises(UserError, match=r"damaged|dictionary"):
        read_pickle(content, "x")


def test_bytes_that_are_too_few_for_the_shape():
    whole = batch(0)[1]
    with pytest.raises(UserError, match="damaged"):
        read_pickle(whole.replace(b"(I10\nI3072\n", b"(I90\nI3072\n"), "x")


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"labels": []}, "under 'data', and holds NoneType"),
        ({"data": np.zeros((2, 5), np.uint8), "labels": [0, 0]}, r"\(n, 3072\).*\(2, 5\)"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, "2 labels from 0 to 9"),
        ({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 10]}, "2 labels from 0 to 9"),
    ],
)
def test_a_batch_of_another_form(folder, value, says):
    for part in PARTS:
        (folder / part).write_bytes(batch(0)[1])
    (folder / "test_batch").write_bytes(pickle.dumps(value))
    with pytest.raises(UserError, match=says):
        data.cifar10()


def test_archives_that_are_cut_lack_a_part_or_hold_links(folder):
    path = folder / "cifar-10-python.tar.gz"
    members = {f"cifar-10-batches-py/{part}": batch(0)[1] for part in PARTS}
    tar(path, members)
    whole = path.read_bytes()
    for content in (
        whole[: len(whole) // 2],
        whole[:100] + bytes(50) + whole[150:],
        b"",
        b"no archive",
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"damaged|should hold"):
            data.cifar10()
    del members["cifar-10-batches-py/data_batch_2"]
    tar(path, members)
    with pytest.raises(UserError, match="should hold cifar-10-batches-py/data_batch_2"):
        data.cifar10()
    with tarfile.open(path, "w:gz") as archive:
        link = tarfile.TarInfo("cifar-10-batches-py/data_batch_1")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(UserError, match="is a link to"):
        data.cifar10()


def test_an_xz_that_is_cut(folder):
    for part in PARTS:
        (folder / f"{part}.xz").write_bytes(lzma.compress(batch(0)[1]))
    (folder / "data_batch_5.xz").write_bytes(lzma.compress(batch(0)[1])[:200])
    with pytest.raises(UserError, match=r"data_batch_5.xz is damaged or cut short"):
        data.cifar10()


@pytest.mark.parametrize("packed", [True, False])
def test_cifar_100(home, packed):
    folder = home / "data" / "cifar-100"
    folder.mkdir(parents=True)
    names = [f"class {k}" for k in range(100)]
    members = {
        "cifar-100-python/meta": pickle.dumps({"fine_label_names": names}),
        "cifar-100-python/train": batch(0, 200, "fine_labels", 100)[1],
        "cifar-100-python/test": batch(1, 100, "fine_labels", 100)[1],
    }
    if packed:
        tar(folder / "cifar-100-python.tar.gz", members)
    else:
        (folder / "cifar-100-python").mkdir()
        for name, content in members.items():
            (folder / name).write_bytes(content)
    cifar = data.cifar100()
    assert cifar.train.inputs.shape == (200, 3, 32, 32)
    assert cifar.test.labels.tolist() == list(range(100))
    assert cifar.classes == tuple(names)


def test_cifar_100_as_pictures(home):
    from PIL import Image

    folder = home / "data" / "cifar-100"
    folder.mkdir(parents=True)

    def png(colour, size=(32, 32)):
        file = io.BytesIO()
        Image.new("RGB", size, colour).save(file, "PNG")
        return file.getvalue()

    names = [f"class_{a}{b}" for a in "abcdefghij" for b in "abcdefghij"]
    members = {
        f"S/{part}/{name}/1.png": png((k, 0, 9))
        for part in ("train", "test")
        for k, name in enumerate(names)
    }
    tar(folder / "cifar-100-subset-png.tar.gz", dict(reversed(members.items())))
    cifar = data.cifar100()
    assert cifar.train.inputs.shape == (100, 3, 32, 32)
    assert cifar.train.inputs[7, :, 0, 0].tolist() == [7, 0, 9]
    assert cifar.train.labels.tolist() == list(range(100))
    assert "subset of 100 training" in cifar.source
    for wrong in (png(0, (40, 32)), b"no picture"):
        tar(folder / "cifar-100-subset-png.tar.gz", members | {"S/test/class_bc/1.png": wrong})
        with pytest.raises(UserError, match=r"class_bc/1.png"):
            data.cifar100()


@pytest.mark.slow
def test_the_real_cifar_10(real):
    real("cifar-10")
    cifar = data.cifar10()
    assert cifar.train.inputs.shape == (50_000, 3, 32, 32)
    assert cifar.test.inputs.shape == (10_000, 3, 32, 32)
    assert torch.bincount(cifar.train.labels).tolist() == [5_000] * 10
    assert cifar.train.labels[:5].tolist() == [6, 9, 9, 4, 1]
    mean = cifar.train.inputs.sum((0, 2, 3)) / (50_000 * 32 * 32 * 255)
    assert torch.allclose(mean, torch.tensor([0.4914, 0.4822, 0.4465]), atol=1e-4)


@pytest.mark.slow
def test_the_real_cifar_10_has_the_official_bytes(real):
    real("cifar-10")
    assert [state.intact for state in data.verify("cifar-10")] == [True] * 6


def test_the_real_cifar_100(real):
    real("cifar-100")
    cifar = data.cifar100()
    assert cifar.train.inputs.shape[1:] == (3, 32, 32)
    assert len(torch.bincount(cifar.train.labels).unique()) == 1
    assert cifar.classes[0] == "apple"
    assert cifar.classes[99] == "worm"
