import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from etude import data
from etude.errors import UserError


def png(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(array).save(file, "PNG")
    return file.getvalue()


def made(
    side: tuple[int, int] = (180, 240), labels: int = 11, **changes: bytes | None
) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    random = np.random.default_rng(0)
    for part in ("train", "val", "test"):
        names = [f"{part}{i}.png" for i in range(2)]
        for name in names:
            files[f"CamVid/{part}/{name}"] = png(
                random.integers(0, 255, (*side, 3), dtype=np.uint8)
            )
            files[f"CamVid/{part}annot/{name}"] = png(
                random.integers(0, labels + 1, side, dtype=np.uint8)
            )
        lines = [
            f"/SegNet/CamVid/{part}/{name} /SegNet/CamVid/{part}annot/{name}" for name in names
        ]
        files[f"CamVid/{part}.txt"] = "\n".join(lines).encode()
    for key, value in changes.items():
        name = key.replace("__", "/").replace("_dot_", ".")
        files = {k: v for k, v in files.items() if k != f"CamVid/{name}"}
        if value is not None:
            files[f"CamVid/{name}"] = value
    return files


def as_tar(home: Path, files: dict[str, bytes]) -> Path:
    path = home / "data" / "camvid" / "camvid-240x180.tar"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def as_folder(home: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        path = home / "data" / "camvid" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def test_the_archive(home):
    as_tar(home, made())
    sets = data.camvid()
    assert sets.train.inputs.shape == (2, 3, 180, 240)
    assert sets.validation.labels.shape == (2, 180, 240)
    assert set(sets.test.labels.unique().tolist()) == {*range(11), 255}
    assert len(sets.classes) == 11


def test_the_folder_at_twice_the_size_is_halved(home):
    files = made((360, 480))
    as_folder(home, files)
    sets = data.camvid()
    assert sets.train.inputs.shape == (2, 3, 180, 240)
    labels = np.asarray(Image.open(io.BytesIO(files["CamVid/trainannot/train0.png"])))[::2, ::2]
    assert torch.equal(
        sets.train.labels[0], torch.from_numpy(np.where(labels == 11, 255, labels).astype(np.uint8))
    )
    frame = np.asarray(Image.open(io.BytesIO(files["CamVid/train/train0.png"]))).astype(float)
    mean = frame.reshape(180, 2, 240, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(sets.train.inputs[0].numpy() - mean).max() <= 0.5


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"val_dot_txt": None}, r"should hold a list val\.txt"),
        ({"train_dot_txt": b"one two three"}, "line 1 should name a frame and its labels"),
        ({"test_dot_txt": b""}, "names no frames"),
        ({"train__train1_dot_png": None}, r"should hold CamVid/train/train1\.png"),
        ({"train__train1_dot_png": b"no picture"}, "no picture that can be read"),
        (
            {"trainannot__train1_dot_png": png(np.zeros((9, 9), np.uint8))},
            r"is \(9, 9\), and its frame",
        ),
        (
            {"trainannot__train1_dot_png": png(np.zeros((180, 240, 3), np.uint8))},
            "one number a pixel",
        ),
        ({"trainannot__train1_dot_png": png(np.full((180, 240), 12, np.uint8))}, "holds 12"),
    ],
)
def test_what_is_wrong_is_named(home, changes, says):
    as_tar(home, made(**changes))
    with pytest.raises(UserError, match=says) as error:
        data.camvid()
    assert "camvid-240x180.tar" in str(error.value)


def test_a_wrong_size(home):
    as_tar(home, made((90, 120)))
    with pytest.raises(UserError, match="240×180 or 480×360"):
        data.camvid()


def test_an_archive_cut_short(home):
    path = as_tar(home, made())
    path.write_bytes(path.read_bytes()[:3_000])
    with pytest.raises(UserError, match="damaged or cut short"):
        data.camvid()


def test_where_it_is_not_one_is_told_where_to_put_it(home):
    with pytest.raises(UserError, match=r"camvid-240x180\.tar"):
        data.camvid()


def test_the_real_set(real):
    real("camvid")
    sets = data.camvid()
    assert [len(part) for part in (sets.train, sets.validation, sets.test)] == [367, 101, 233]
    road = (sets.train.labels == sets.classes.index("road")).double().mean().item()
    assert 0.2 < road < 0.4
    assert all(state.intact for state in data.verify("camvid"))
