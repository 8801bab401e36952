import struct
import sys
import zlib

import numpy as np
import pytest

from minienc.data import read_image_folder

Image = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 4, 5), dtype=np.uint8)
RGB = RNG.integers(0, 256, (3, 4, 5, 3), dtype=np.uint8)


def save(path, image, format="PNG", mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(image)
    (picture.convert(mode) if mode else picture).save(path, format)
    return path


def chunk(kind, content):
    """A chunk of a PNG file."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def test_images_of_one_folder_come_in_the_order_of_their_names(tmp_path):
    for i in (2, 0, 1):
        save(tmp_path / f"{i}", GREY[i], format=("PNG", "BMP", "TIFF")[i])  # no suffix is needed
    (tmp_path / ".hidden.png").write_bytes(b"junk")
    (tmp_path / "README.txt").write_text("about these images")
    raw = read_image_folder(tmp_path)
    np.testing.assert_array_equal(raw.x, GREY[:3])
    assert raw.x.dtype == np.uint8 and raw.y is None


def test_sub_folders_are_classes(tmp_path):
    for i, name in enumerate(["b", "a", "c", "a", "b", "a"]):
        save(tmp_path / name / f"{i}.png", GREY[i])
    (tmp_path / "empty").mkdir()
    raw = read_image_folder(tmp_path)
    np.testing.assert_array_equal(raw.x, GREY[[1, 3, 5, 0, 4, 2]])
    assert raw.y.tolist() == [0, 0, 0, 1, 1, 2] and raw.y.dtype == np.int64
    assert raw.class_names == ("a", "b", "c")


def test_train_and_test_are_parts(tmp_path):
    for i, name in enumerate(["train/a", "train/b", "test/a", "test/b"]):
        save(tmp_path / name / "0.png", GREY[i])
    raw = read_image_folder(tmp_path)
    np.testing.assert_array_equal(raw.x, GREY[:2])
    np.testing.assert_array_equal(raw.test_x, GREY[2:4])
    assert raw.y.tolist() == raw.test_y.tolist() == [0, 1]
    save(tmp_path / "test/c/0.png", GREY[0])
    with pytest.raises(ValueError, match="expected the same"):
        read_image_folder(tmp_path)


def test_colour_is_kept_or_made_grey(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", RGB[i])
    np.testing.assert_array_equal(read_image_folder(tmp_path).x, RGB)
    grey = read_image_folder(tmp_path, grey=True).x
    luma = RGB @ np.array([0.299, 0.587, 0.114])  # ITU-R 601
    assert grey.shape == (3, 4, 5)
    assert abs(grey - luma).max() <= 1
    save(tmp_path / "3.png", RGB[0], mode="P")
    save(tmp_path / "4.png", RGB[0], mode="RGBA")
    assert read_image_folder(tmp_path, grey=True).x.shape == (5, 4, 5)
    with pytest.raises(ValueError, match=r"3\.png has mode P, expected 8-bit grey \(L\) or RGB"):
        read_image_folder(tmp_path)


def test_the_image_that_differs_is_named(tmp_path):
    save(tmp_path / "a.png", GREY[0])
    odd = save(tmp_path / "b.png", GREY[1].T.copy())
    with pytest.raises(ValueError, match=r"b\.png is 4 x 5 grey, expected 5 x 4 grey .*a\.png"):
        read_image_folder(tmp_path)
    save(odd, RGB[0])
    with pytest.raises(ValueError, match=r"b\.png is 5 x 4 RGB, expected 5 x 4 grey .*grey=True"):
        read_image_folder(tmp_path)
    save(odd, GREY[0].astype(np.uint16) * 256)
    with pytest.raises(ValueError, match=r"b\.png has mode I;16"):
        read_image_folder(tmp_path, grey=True)


def test_a_broken_image_is_named(tmp_path):
    save(tmp_path / "a.png", GREY[0])
    whole = save(tmp_path / "b.png", GREY[1]).read_bytes()
    changed = bytearray(whole)
    changed[whole.find(b"IDAT") + 20] ^= 0xFF
    contents = [whole[:n] for n in range(0, len(whole) - 4, 3)]  # the last 4 are of the end mark
    for content in [*contents, bytes(changed), b"no image at all"]:
        (tmp_path / "b.png").write_bytes(content)
        with pytest.raises(ValueError, match=r"b\.png is a corrupt image"):
            read_image_folder(tmp_path)


def test_a_header_that_declares_an_absurd_size_is_refused(tmp_path):
    size = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size)
    png += chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(png)
    with pytest.raises(ValueError, match=r"a\.png is a corrupt image: Image size .* exceeds"):
        read_image_folder(tmp_path)


def test_folders_without_images_or_with_two_layouts_are_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no images"):
        read_image_folder(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no"):
        read_image_folder(tmp_path / "none")
    save(tmp_path / "a" / "0.png", GREY[0])
    loose = save(tmp_path / "0.png", GREY[0])
    with pytest.raises(ValueError, match="beside sub-folders of images"):
        read_image_folder(tmp_path)
    with pytest.raises(NotADirectoryError, match="is a file, expected a folder"):
        read_image_folder(loose)


def test_without_pillow_the_message_says_what_to_install(tmp_path, monkeypatch):
    save(tmp_path / "0.png", GREY[0])
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match="pip install pillow"):
        read_image_folder(tmp_path)
