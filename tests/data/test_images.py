import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest

from minienc.data import images, load_dataset, read_image_folder

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
    colour = read_image_folder(tmp_path).x  # a palette is colour, too
    assert colour.shape == (5, 4, 5, 3)
    np.testing.assert_array_equal(colour[4], RGB[0])


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


def test_pillow_says_no_bare_sentence_of_its_own(tmp_path):
    tiff = save(tmp_path / "a.tif", RGB[0], "TIFF").read_bytes()
    entry = struct.pack("<HHIHH", 0x0115, 3, 1, 3, 0)  # three samples a pixel
    assert entry in tiff
    (tmp_path / "a.tif").write_bytes(
        tiff.replace(entry, struct.pack("<HHIHH", 0x0115, 3, 1, 277, 0))
    )
    code = "import sys; from minienc.data import read_image_folder; read_image_folder(sys.argv[1])"
    command = [sys.executable, "-c", code, str(tmp_path)]
    errors = subprocess.run(command, capture_output=True, text=True).stderr.splitlines()
    assert "a.tif is a corrupt image" in errors[-1]
    assert not [line for line in errors if line.startswith("More samples")]


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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_upright_as_a_viewer_shows_it(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = RGB[0]
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    # what stands in the stored row 0 and column 0, as the EXIF standard says it
    turned = [
        stored,
        stored[:, ::-1],
        stored[::-1, ::-1],
        stored[::-1],
        stored.transpose(1, 0, 2),
        np.rot90(stored, -1),
        stored[::-1, ::-1].transpose(1, 0, 2),
        np.rot90(stored),
    ]
    np.testing.assert_array_equal(read_image_folder(tmp_path).x[0], turned[orientation - 1])


def test_transparent_pixels_are_composed_on_white(tmp_path):
    alpha = np.array([0, 255, 51], np.uint8)
    colour = np.array([[[10, 20, 30], [10, 20, 30], [0, 100, 255]]], np.uint8)
    share = alpha[None, :, None] / 255
    expected = np.rint(colour * share + 255 * (1 - share))
    Image.fromarray(np.dstack([colour, alpha[None]])).save(tmp_path / "a.png")
    got = read_image_folder(tmp_path).x[0]
    assert got.dtype == np.uint8 and abs(got - expected).max() <= 1
    grey = np.stack([colour[..., 0], alpha[None]], axis=-1)
    Image.fromarray(grey, "LA").save(tmp_path / "a.png")
    got = read_image_folder(tmp_path).x[0]
    assert got.shape == (1, 3) and abs(got - expected[..., 0]).max() <= 1
    one_colour = Image.fromarray(colour[..., 0])
    one_colour.save(tmp_path / "a.png", transparency=10)  # a colour that stands for nothing
    assert read_image_folder(tmp_path).x[0].tolist() == [[255, 255, 0]]


@pytest.mark.parametrize("format", ["ICO", "TGA", "PCX", "SGI", "JPEG2000", "DDS", "QOI"])
def test_formats_that_are_not_documented_are_refused_whatever_their_name(tmp_path, format):
    try:
        Image.fromarray(RGB[0]).save(tmp_path / "a.png", format)
    except (KeyError, OSError):  # not in this build of Pillow
        pytest.skip(f"Pillow writes no {format} here")
    with pytest.raises(ValueError, match=r"a\.png is a corrupt image: cannot identify"):
        read_image_folder(tmp_path)


def test_no_program_is_started_for_postscript(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "gs"
    program.write_text(f"#!/bin/sh\necho ran > {tmp_path}/ran\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    (tmp_path / "a.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EOF\n")
    with pytest.raises(ValueError, match=r"a\.png is a corrupt image"):
        read_image_folder(tmp_path)
    assert not (tmp_path / "ran").exists()


def test_the_size_is_compared_before_an_image_is_decoded(tmp_path, monkeypatch):
    save(tmp_path / "a.png", GREY[0])
    monkeypatch.setattr(images, "MOST_PIXELS", 19)
    with pytest.raises(ValueError, match=r"a\.png is 5 x 4, expected at most 19 pixels"):
        read_image_folder(tmp_path)


def test_photos_of_different_sizes_are_made_alike(tmp_path):
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 20:60] = 200  # its middle square
    save(tmp_path / "a.png", wide)
    save(tmp_path / "b.png", np.full((30, 30, 3), 200, np.uint8))
    with pytest.raises(ValueError, match=r"--resize 32\), whatever .*--crop"):
        read_image_folder(tmp_path)
    cut = load_dataset(tmp_path, resize=8, crop=True, grey=True).x.images
    assert cut.shape == (2, 8, 8) and (cut == 200).all()
    squeezed = read_image_folder(tmp_path, resize=(4, 8)).x
    assert squeezed.shape == (2, 4, 8, 3)
    assert (squeezed[0, :, [0, 7]] == 0).all() and (squeezed[0, :, 3:5] == 200).all()


@pytest.mark.parametrize("resize", [0, -3, 2.5, (3,), (3, 4, 5), (3, "4"), 10**5])
def test_sizes_that_are_none_are_refused(tmp_path, resize):
    save(tmp_path / "a.png", GREY[0])
    with pytest.raises(ValueError, match="resize is"):
        read_image_folder(tmp_path, resize=resize)
    with pytest.raises(ValueError, match="crop goes with resize"):
        read_image_folder(tmp_path, crop=True)
