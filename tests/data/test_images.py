import contextlib
import io
import os
import struct
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from etude import data
from etude.data.images import MOST_PIXELS
from etude.errors import UserError


def seven(size=(200, 300), ground=255, pen=0, width=14, mode="L"):
    """A drawn 7 in the upper left part of a picture."""
    image = Image.new(mode, size, ground)
    ImageDraw.Draw(image).line(
        [(30, 40), (100, 40), (60, 150)], fill=pen, width=width, joint="curve"
    )
    return image


@pytest.mark.parametrize(
    ("image", "shape"),
    [
        (Image.new("L", (4, 5), 7), (1, 5, 4)),
        (Image.new("1", (4, 5), 1), (1, 5, 4)),
        (Image.new("RGB", (4, 5), 7), (3, 5, 4)),
        (Image.new("CMYK", (4, 5), 7), (3, 5, 4)),
        (Image.new("P", (4, 5), 7), (3, 5, 4)),
        (Image.new("RGBA", (4, 5), 7), (3, 5, 4)),
        (Image.new("LA", (4, 5), 7), (3, 5, 4)),
        (Image.new("I;16", (4, 5), 7), (1, 5, 4)),
        (np.zeros((5, 4), np.uint8), (1, 5, 4)),
        (np.zeros((5, 4, 3)), (3, 5, 4)),
        (np.zeros((5, 4), np.int64), (1, 5, 4)),
        (np.zeros((5, 4), bool), (1, 5, 4)),
        (torch.zeros(3, 5, 4), (3, 5, 4)),
        (torch.zeros(5, 4, dtype=torch.uint8), (1, 5, 4)),
    ],
)
def test_every_kind_of_picture(image, shape):
    pixels = data.read_image(image)
    assert pixels.shape == shape
    assert pixels.dtype == torch.uint8


def test_sixteen_bits_and_floating_point_are_scaled():
    assert data.read_image(
        Image.fromarray(np.full((2, 2), 65535, np.uint16))
    ).unique().tolist() == [255]
    assert data.read_image(np.full((2, 2), 0.5)).unique().tolist() == [128]


GREY = np.array([[0, 64, 128, 192, 255]], np.float64) / 255


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I"])
def test_any_depth_of_bits_is_the_same_picture(tmp_path, bits, mode):
    values = (GREY * (2**bits - 1)).round()
    kind = {"I;16": "<u2", "I;16B": ">u2", "I": "<i4"}[mode]
    image = Image.frombytes(mode, (5, 1), values.astype(kind).tobytes())
    image.save(tmp_path / "a.tif")
    for picture in (image, tmp_path / "a.tif"):
        assert data.read_image(picture).flatten().tolist() == pytest.approx(
            [0, 64, 128, 192, 255], abs=0.6
        )


@pytest.mark.parametrize("white", [1, 255, 4095, 65535])
def test_a_picture_in_floating_point_is_read_by_its_range(tmp_path, white):
    Image.fromarray((GREY * white).astype(np.float32)).save(tmp_path / "a.tif")
    assert data.read_image(tmp_path / "a.tif").flatten().tolist() == [0, 64, 128, 192, 255]


@pytest.mark.parametrize("wrong", [-0.5, float("nan"), float("inf")])
def test_what_is_no_brightness_is_named(tmp_path, wrong):
    Image.fromarray(np.array([[0, wrong]], np.float32)).save(tmp_path / "odd.tif")
    with pytest.raises(UserError, match=r"odd.tif should hold brightness from 0 on, and holds"):
        data.read_image(tmp_path / "odd.tif")


def test_a_blank_picture_is_named(tmp_path):
    seven(pen=255).save(tmp_path / "nothing.png")
    with pytest.raises(UserError, match="nothing.png is blank"):
        data.like_mnist(tmp_path / "nothing.png")


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "LAB", "HSV"]
)
def test_a_drawing_is_the_same_in_every_mode(mode):
    drawn = seven(mode="RGB", ground=(255, 255, 255), pen=(0, 0, 0))
    other = drawn.convert("L").convert(mode) if mode == "LA" else _converted(drawn, mode)
    assert (data.like_mnist(other).int() - data.like_mnist(drawn).int()).abs().max() <= 2


def _converted(image, mode):
    if mode == "LAB":
        from PIL import ImageCms

        profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
        return ImageCms.profileToProfile(image, *profiles, outputMode="LAB")
    return image.convert(mode)


def test_transparent_parts_are_ground():
    black = Image.new("RGBA", (6, 6), (0, 0, 0, 0))
    black.putpixel((2, 2), (0, 0, 0, 255))
    assert data.read_image(black)[0].flatten().unique().tolist() == [0, 255]
    white = Image.new("RGBA", (6, 6), (255, 255, 255, 0))
    white.putpixel((2, 2), (255, 255, 255, 255))
    pixels = data.read_image(white)[0]
    assert int(pixels[2, 2]) == 255
    assert int(pixels[0, 0]) == 0


def test_a_photo_is_turned_as_its_exif_says(tmp_path):
    image = Image.new("L", (20, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by a quarter
    image.save(tmp_path / "x.jpg", exif=exif)
    assert data.read_image(tmp_path / "x.jpg").shape == (1, 20, 10)


def test_a_damaged_length_does_not_ask_for_gigabytes(tmp_path):
    """Pillow asks a file for as many bytes as a chunk says it has."""
    path = tmp_path / "x.png"
    Image.new("L", (4, 4)).save(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"IDAT") - 4
    content[at : at + 4] = (0x7FFFFFF0).to_bytes(4, "big")
    path.write_bytes(content)
    tracemalloc.start()
    with contextlib.suppress(UserError):  # as many bytes as there are may do for a picture
        data.read_image(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "no picture"), (b"hello", "no picture"), (b"%!PS-Adobe-3.0 EPSF-3.0\n", "no picture")],
)
def test_files_that_are_no_picture(tmp_path, content, says):
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(UserError, match=says) as error:
        data.read_image(tmp_path / "x.png")
    assert "x.png" in str(error.value)


def test_pictures_that_are_absent_cut_or_too_large(tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"absent.png cannot be read: No such file"):
        data.read_image(tmp_path / "absent.png")
    with pytest.raises(UserError, match="cannot be read"):
        data.read_image(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for kind in ("png", "jpg"):
        Image.fromarray(noise).save(tmp_path / f"x.{kind}")
        whole = (tmp_path / f"x.{kind}").read_bytes()
        (tmp_path / f"x.{kind}").write_bytes(whole[: len(whole) // 2])
        with pytest.raises(UserError, match="cannot be read"):
            data.read_image(tmp_path / f"x.{kind}")
    assert MOST_PIXELS < 100_000_000
    for size in (
        (30_000, 3_000),
        (20_000, 20_000),
    ):  # the second is also what Pillow itself refuses
        Image.new("1", size).save(tmp_path / "bomb.png")
        with pytest.raises(UserError, match="too large"):
            data.read_image(tmp_path / "bomb.png")


def test_a_picture_within_an_icon_has_a_limit_too(tmp_path):
    inner = io.BytesIO()
    Image.new("1", (20_000, 6_000)).save(inner, "png")
    place = struct.pack("<3H4B2H2I", 0, 1, 1, 64, 64, 0, 0, 1, 32, inner.tell(), 22)
    (tmp_path / "a.ico").write_bytes(place + inner.getvalue())
    with pytest.raises(UserError, match=r"a\.ico is too large"):
        data.read_image(tmp_path / "a.ico")


def test_a_file_without_an_end_is_not_read_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr("etude.data.images.MOST_BYTES", 1000)
    with pytest.raises(UserError, match="/dev/zero is too large"):
        data.read_image("/dev/zero")


@pytest.mark.parametrize("name", ["a.eps", "a.png", "a.jpg"])
def test_a_picture_that_would_start_a_program_is_none(name, tmp_path, monkeypatch):
    """Pillow hands EPS to Ghostscript, which executes it."""
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch {started}\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    page = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n"
    (tmp_path / name).write_text(page)
    with pytest.raises(UserError, match="is no picture that can be read; PNG, JPEG"):
        data.read_image(tmp_path / name)
    assert not started.exists()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 2, 2, 2)),
        np.zeros(4),
        np.full((2, 2), 2.0),
        np.full((2, 2), np.nan),
        np.full((2, 2), 300),
        np.zeros((0, 2)),
        np.array([["a"]]),
        7,
        None,
    ],
    ids=lambda wrong: str(getattr(wrong, "shape", wrong)),
)
def test_what_is_no_picture_gets_one_sentence(wrong):
    with pytest.raises(UserError):
        data.read_image(wrong)


def test_like_mnist_is_light_on_dark_fits_and_is_centred():
    digit = data.like_mnist(seven())
    assert digit.shape == (1, 28, 28)
    assert digit.dtype == torch.uint8
    assert int(digit.max()) == 255
    rows, columns = (digit[0].amax(side).nonzero().squeeze(1) for side in (1, 0))
    assert int(rows[-1] - rows[0]) + 1 == 20
    assert int(columns[-1] - columns[0]) + 1 < 20
    mass = digit[0].float()
    for side in (0, 1):
        middle = (mass.sum(1 - side) * torch.arange(28)).sum() / mass.sum()
        assert abs(float(middle) - 14) <= 0.51


@pytest.mark.parametrize(
    "other",
    [
        seven(ground=0, pen=255),
        seven(ground=200, pen=90),
        seven(mode="RGB", ground=(250, 240, 200), pen=(10, 20, 120)),
        seven(mode="RGBA", ground=(0, 0, 0, 0), pen=(0, 0, 0, 255)),
        seven(mode="RGBA", ground=(0, 0, 0, 0), pen=(255, 255, 255, 255)),
        seven(size=(150, 200)),
        seven().resize((600, 900)),
        np.asarray(seven()),
        np.clip(
            np.asarray(seven(ground=230)) + np.random.default_rng(0).normal(0, 4, (300, 200)),
            0,
            255,
        ).astype(np.uint8),
    ],
    ids=[
        "light",
        "gray",
        "colour",
        "black on nothing",
        "white on nothing",
        "cropped",
        "large",
        "array",
        "noisy",
    ],
)
def test_paper_pen_size_and_place_do_not_matter(other):
    difference = data.like_mnist(other).float() - data.like_mnist(seven()).float()
    assert float(difference.abs().mean()) < 4
    assert float((data.like_uci(other).float() - data.like_uci(seven()).float()).abs().mean()) < 0.6


def test_like_uci_counts_ink():
    digit = data.like_uci(seven(width=24))
    assert digit.shape == (1, 8, 8)
    assert 0 <= int(digit.min()) < int(digit.max()) <= 16
    thin, thick = data.like_uci(seven(width=2)).float(), data.like_uci(seven(width=14)).float()
    assert float(thin.sum()) > 0.6 * float(thick.sum())  # a thin pen is made as wide as the set's


def test_like_uci_is_upright_and_narrow():
    """As the set's digits are: a slanted stroke becomes a straight one, a wide ring an oval."""
    image = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(image).line([(180, 40), (120, 260)], fill=0, width=12)
    slanted = data.like_uci(image)[0]
    assert int((slanted.amax(0) > 4).sum()) <= 2
    assert int((slanted.amax(1) > 4).sum()) == 8
    image = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(image).ellipse([40, 40, 260, 260], outline=0, width=14)
    ring = data.like_uci(image)[0]
    assert int((ring.amax(0) > 4).sum()) <= 6
    assert int((ring.amax(1) > 4).sum()) == 8


@pytest.mark.parametrize("like", [data.like_mnist, data.like_uci])
def test_odd_drawings(like):
    for blank in (
        Image.new("L", (50, 50), 255),
        Image.new("RGB", (1, 1)),
        Image.new("L", (50, 50), 0),
    ):
        with pytest.raises(UserError, match="blank"):
            like(blank)
    line = Image.new("L", (300, 300), 255)
    ImageDraw.Draw(line).line([(150, 20), (150, 280)], fill=0)
    dot = Image.new("L", (300, 300), 255)
    dot.putpixel((299, 0), 0)
    dot.putpixel((298, 1), 0)
    for image in (line, dot):
        assert int(like(image).max()) > 0


def test_a_digit_of_mnist_stays_what_it_was(real):
    real("mnist")
    digits = data.mnist().test.inputs[:200]
    again = torch.stack([data.like_mnist(x) for x in digits])
    assert float((again.float() - digits.float()).abs().mean()) < 3
    assert float((again != 0).float().mean()) == pytest.approx(
        float((digits != 0).float().mean()), abs=0.03
    )


def test_to_rgb_takes_the_middle():
    wide = torch.zeros(3, 40, 120, dtype=torch.uint8)
    wide[0, :, 40:80] = 200
    pixels = data.to_rgb(wide, 32)
    assert pixels.shape == (3, 32, 32)
    assert pixels[0, :, 2:30].unique().tolist() == [200]
    assert data.to_rgb(np.full((3, 500), 7, np.uint8), 32).unique().tolist() == [7]
    assert data.to_rgb(seven(), 16).shape == (3, 16, 16)
