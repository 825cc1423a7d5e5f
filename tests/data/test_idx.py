import gzip
import struct

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etude import data
from etude.data.idx import TYPES, read_idx
from etude.errors import UserError


def idx(array):
    code = {np.dtype(name): code for code, name in TYPES.items()}[array.dtype.newbyteorder(">")]
    return (
        struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def write_mnist(folder, train=30, test=20, pack=gzip.compress, suffix=".gz"):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for part, n in (("train", train), ("t10k", test)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = np.arange(n, dtype=np.uint8) % 10
        (folder / f"{part}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(images)))
        (folder / f"{part}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(labels)))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
def test_every_type_comes_back(tmp_path, dtype, pack):
    array = (np.arange(24).reshape(2, 3, 4) - 5).astype(dtype)
    (tmp_path / "x").write_bytes(pack(idx(array)))
    tensor = read_idx(tmp_path / "x")
    assert tensor.shape == (2, 3, 4)
    assert np.array_equal(tensor.numpy(), array)
    assert tensor.numpy().dtype == array.dtype


def test_what_is_read_can_be_written_to(tmp_path):
    (tmp_path / "x").write_bytes(idx(np.zeros(3, np.uint8)))
    assert read_idx(tmp_path / "x").add_(1).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "begins with nothing"),
        (b"PNG", "no IDX file"),
        (b"\0\0\x07\1\0\0\0\0", "type is 07"),
        (b"\0\0\x08\0", "no dimensions"),
        (b"\0\0\x08\3\0\0\0\1", "cut short"),
        (b"\0\0\x08\x09" + bytes(36), "9 dimensions"),
        (b"\0\0\x08\1\0\0\0\5abcd", "it cannot|cut short"),
        (b"\0\0\x08\1\0\0\0\5abcdef", "holds more"),
        (b"\0\0\x08\4" + b"\xff" * 16, "it cannot"),
        (gzip.compress(b"\0\0\x08\4" + b"\xff" * 16), "it cannot"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\5abcd"), "cut short"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\5abcdef"), "holds more"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\5abcde") + b"x", "behind the end"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\5abcde")[:-4], "cut short"),
        (gzip.compress(b"\0\0\x08\1\0\0\0\5abcde")[:-8] + bytes(8), "damaged"),
        (b"\x1f\x8b", "no IDX file"),
    ],
)
def test_a_malformed_file_gets_one_sentence(tmp_path, content, says):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        read_idx(tmp_path / "x")
    assert str(tmp_path / "x") in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match="cannot be read"):
            read_idx(path)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    header=st.binary(max_size=6) | st.sampled_from([bytes([0, 0, code, 1]) for code in TYPES]),
    shape=st.lists(st.integers(0, 2**32 - 1) | st.integers(0, 4), max_size=4),
    body=st.binary(max_size=60),
    gzipped=st.booleans(),
    cut=st.integers(0, 100),
)
@example(header=b"\0\0\x08\1", shape=[4], body=b"abcd", gzipped=False, cut=0)
def test_only_a_tensor_or_a_sentence_comes_out(tmp_path, header, shape, body, gzipped, cut):
    content = header + b"".join(struct.pack(">I", side) for side in shape) + body
    content = gzip.compress(content) if gzipped else content
    (tmp_path / "x").write_bytes(content[: len(content) - cut] if cut < 50 else content)
    try:
        tensor = read_idx(tmp_path / "x")
    except UserError:
        return
    assert tensor.element_size() * tensor.numel() <= 100


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, ".gz"), (bytes, "")])
@pytest.mark.parametrize(("load", "name"), [("mnist", "mnist"), ("fashion_mnist", "fashion-mnist")])
def test_the_loaders_read_the_official_names(home, load, name, pack, suffix):
    write_mnist(home / "data" / name, pack=pack, suffix=suffix)
    digits = getattr(data, load)()
    assert digits.train.inputs.shape == (30, 1, 28, 28)
    assert digits.test.inputs.shape == (20, 1, 28, 28)
    assert digits.train.inputs.dtype == torch.uint8
    assert digits.train.labels.dtype == torch.int64
    assert len(digits.classes) == 10


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, ".gz"), (bytes, "")])
@pytest.mark.parametrize(
    ("load", "folder"), [("mnist", "MNIST/raw"), ("fashion_mnist", "FashionMNIST/raw")]
)
def test_torchvisions_folder_is_found(home, load, folder, pack, suffix):
    write_mnist(home / "data" / folder, pack=pack, suffix=suffix)
    assert getattr(data, load)().train.inputs.shape == (30, 1, 28, 28)
    (state, *_) = data.present({"mnist": "mnist", "fashion_mnist": "fashion-mnist"}[load])
    assert state.path.parent == home / "data" / folder


@pytest.mark.parametrize("within", [False, True])
def test_kaggles_names_are_found(home, within):
    folder = home / "data" / "mnist"
    write_mnist(folder, pack=bytes, suffix="")
    for file in [*folder.iterdir()]:
        if within:
            file.rename(file.with_suffix(".tmp"))
            file.mkdir()
            file.with_suffix(".tmp").rename(file / file.name)
        else:
            file.rename(folder / file.name.replace("-idx", ".idx"))
    assert data.mnist().test.inputs.shape == (20, 1, 28, 28)


def pixels(rows=12, header="", end="\n", mark=b""):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (rows, 784))
    lines = [",".join(map(str, [k % 10, *image])) for k, image in enumerate(images)]
    return images, mark + end.join([*([header] if header else []), *lines, "", ""]).encode()


NAMES = "label," + ",".join(f"{i}x{j}" for i in range(1, 29) for j in range(1, 29))


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("header", ["", NAMES])
def test_a_table_of_pixels_is_read(home, mark, end, header):
    images, content = pixels(header=header, end=end, mark=mark)
    for name in ("mnist", "fashion-mnist"):
        (home / "data" / name).mkdir(parents=True)
        for part in ("train", "test"):
            (home / "data" / name / f"{name}_{part}.csv").write_bytes(content)
    for digits in (data.mnist(), data.fashion_mnist()):
        assert digits.train.inputs.dtype == torch.uint8
        assert np.array_equal(digits.train.inputs.reshape(-1, 784).numpy(), images)
        assert digits.test.labels.tolist() == [*range(10), 0, 1]
        assert "CSV" in digits.source


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\n\n", "784 whole numbers: it is empty"),
        (b"1,2,3\n", "holds 1 rows of 3"),
        (b"label,x\n1,a\n", "whole numbers.*could not convert"),
        (b"1,2\n1,2,3\n", "whole numbers"),
        (b"12" + b",0" * 784, "labels from 0 to 9 in its first column"),
        (b"1" + b",256" * 784, "pixels from 0 to 255, and holds 256 to 256"),
    ],
)
def test_a_wrong_table_gets_one_sentence(home, content, says):
    folder = home / "data" / "mnist"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        (folder / f"mnist_{part}.csv").write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        data.mnist()
    assert "mnist_train.csv" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("file", "array", "says"),
    [
        ("train-labels-idx1-ubyte.gz", np.zeros(29, np.uint8), "each of the 30 images"),
        ("train-labels-idx1-ubyte.gz", np.full(30, 10, np.uint8), "from 0 to 9"),
        ("t10k-images-idx3-ubyte.gz", np.zeros((20, 8, 8), np.uint8), r"\(n, 28, 28\)"),
        ("t10k-images-idx3-ubyte.gz", np.zeros((20, 28, 28), np.float32), "bytes"),
    ],
)
def test_files_that_do_not_belong_together(home, file, array, says):
    write_mnist(home / "data" / "mnist")
    (home / "data" / "mnist" / file).write_bytes(gzip.compress(idx(array)))
    with pytest.raises(UserError, match=says):
        data.mnist()


def test_the_real_mnist(real):
    real("mnist")
    digits = data.mnist()
    assert digits.train.inputs.shape == (60_000, 1, 28, 28)
    assert digits.test.inputs.shape == (10_000, 1, 28, 28)
    assert torch.bincount(digits.train.labels).tolist()[:3] == [5923, 6742, 5958]
    assert digits.train.labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert abs(float(digits.train.inputs.float().mean()) / 255 - 0.1307) < 1e-4
    assert [state.intact for state in data.verify("mnist")] == [True] * 4


def test_the_real_fashion_mnist(real):
    folder = real("fashion-mnist")
    if not (folder / "train-images-idx3-ubyte.gz").is_file():
        pytest.skip("$ETUDE_DATA/fashion-mnist has not the official files")
    assert data.fashion_mnist().train.inputs.shape == (60_000, 1, 28, 28)
    assert [state.intact for state in data.verify("fashion-mnist")] == [True] * 4
