import io
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image

from etude import data
from etude.data.blood import boxes_of_voc
from etude.errors import UserError

OBJECT = (
    "<object><name>{}</name>"
    "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"
)


def notes(*objects: tuple) -> bytes:
    return f"<annotation>{''.join(OBJECT.format(*each) for each in objects)}</annotation>".encode()


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((480, 640, 3), 200, np.uint8)).save(file, "JPEG")
    return file.getvalue()


def written(home, **changes: bytes | None) -> None:
    files: dict[str, bytes] = {}
    for part in ("train", "val", "test"):
        files[f"ImageSets/Main/{part}.txt"] = f"{part}0\n{part}1\n".encode()
        for i in range(2):
            files[f"JPEGImages/{part}{i}.jpg"] = jpeg()
            objects = [("RBC", 1, 1, 640, 480), ("WBC", 101, 201, 140, 280), ("RBC", 9, 9, 8, 20)]
            files[f"Annotations/{part}{i}.xml"] = notes(*objects[: 3 - 2 * i])
    for key, value in changes.items():
        files[key.replace("__", "/").replace("_dot_", ".")] = value
    path = home / "data" / "bccd" / "BCCD.tar.gz"
    path.parent.mkdir(parents=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            if content is not None:
                member = tarfile.TarInfo(f"BCCD/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def test_pictures_and_boxes_are_scaled_alike(home):
    written(home)
    sets = data.bccd(240, 320)
    assert sets.train.images.shape == (2, 3, 240, 320)
    assert sets.train.labels.tolist() == [[0, 1], [0, -1]]  # a box without area is no box
    assert sets.test.boxes[0].tolist() == [[0, 0, 320, 240], [50, 100, 70, 140]]
    assert sets.classes == ("RBC", "WBC", "Platelets")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"ImageSets__Main__val_dot_txt": None},
            r"should hold a list BCCD/ImageSets/Main/val\.txt",
        ),
        ({"JPEGImages__test1_dot_jpg": None}, r"should hold BCCD/JPEGImages/test1\.jpg"),
        (
            {"Annotations__train0_dot_xml": notes(("RBX", 1, 1, 2, 2))},
            "names the class 'RBX'; expected one of RBC",
        ),
        (
            {"Annotations__train0_dot_xml": notes(("RBC", "", 1, 2, 2))},
            "no annotation in Pascal VOC",
        ),
        ({"Annotations__train0_dot_xml": b"<annotation>"}, "no annotation in Pascal VOC"),
        ({"Annotations__train0_dot_xml": b"\xff"}, "UTF-8"),
    ],
)
def test_what_is_wrong_is_named(home, changes, says):
    written(home, **changes)
    with pytest.raises(UserError, match=says):
        data.bccd()


@pytest.mark.parametrize(
    "start",
    [
        '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        "<!-- a comment --><!DOCTYPE a>",
        "<!--<!-- --><!ENTITY b 'c'>",
    ],
)
def test_declarations_are_refused_unread(start):
    with pytest.raises(UserError, match="document type"):
        boxes_of_voc((start + notes().decode()).encode(), "x.xml", ("RBC",))


def test_no_objects():
    boxes, labels = boxes_of_voc(b"<!-- none --><annotation></annotation>", "x.xml", ("RBC",))
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)


def test_the_real_set(real):
    real("bccd")
    sets = data.bccd()
    assert [len(part) for part in (sets.train, sets.validation, sets.test)] == [205, 87, 72]
    counts = sum(
        torch.bincount(p.labels.flatten() + 1, minlength=4)
        for p in (sets.train, sets.validation, sets.test)
    )
    assert counts[2:].tolist() == [372, 361]
    assert all(state.intact for state in data.verify("bccd"))
    there = sets.train.labels >= 0
    assert (sets.train.boxes[there][:, 2:] > sets.train.boxes[there][:, :2]).all()
