import hashlib
import math
import struct
import subprocess
import sys
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minienc.data import Pixels, downloads, load_dataset, loading


def test_the_digits_come_without_a_name():
    for source in (None, "digits"):
        digits = load_dataset(source, dtype="float64")
        assert (digits.name, digits.x.shape, digits.x.dtype) == ("digits", (1437, 8, 8), np.float64)


def save(path, array):
    with open(path, "wb") as file:
        np.save(file, array)
    return path


@pytest.mark.parametrize(
    "array, scale, expected",
    [
        (np.array([[0, 255], [51, 3]], np.uint8), None, 1 / 255),
        (np.array([[0, 100], [51, 3]], np.uint8), None, 1 / 255),
        (np.array([[0, 255], [51, 3]], np.int64), None, 1 / 255),
        (np.array([[0, 1], [1, 1]], np.uint8), None, 1),
        (np.array([[False, True], [True, True]]), None, 1),
        (np.array([[0, 16], [1, 3]], np.uint8), 1 / 16, 1 / 16),
    ],
)
def test_bytes_stay_bytes(tmp_path, array, scale, expected):
    d = load_dataset(save(tmp_path / "some.name.npy", array), scale=scale)
    assert isinstance(d.x, Pixels) and d.x.images.dtype == np.uint8
    assert d.x.scale == pytest.approx(expected)
    np.testing.assert_allclose(d.x[:], array * expected, rtol=1e-6)
    assert (d.name, d.source) == ("some", str(tmp_path / "some.name.npy"))


@pytest.mark.parametrize(
    "array",
    [np.array([[0, 256], [3, 4]]), np.array([[1, 255], [3, 4]]), np.array([[0.0, 255], [1, 2]])],
)
def test_other_numbers_stay_as_they_are(tmp_path, array):
    path = save(tmp_path / "a", array)
    for dtype in ("float32", "float64"):
        d = load_dataset(path, dtype=dtype)
        assert isinstance(d.x, np.ndarray) and d.x.dtype == dtype
        np.testing.assert_array_equal(d.x, array)
    np.testing.assert_allclose(load_dataset(path, scale=0.5).x, array / 2)


def test_one_rule_serves_training_and_test_samples(tmp_path):
    ones, many = np.ones((3, 2), np.uint8), np.full((2, 2), 255, np.uint8)
    np.savez(tmp_path / "a.npz", x=ones, x_test=many, y=[0, 1, 1], y_test=[0, 1])
    d = load_dataset(tmp_path / "a.npz")
    assert d.x.scale == d.test_x.scale == pytest.approx(1 / 255)
    assert (d.y.tolist(), d.test_y.tolist()) == ([0, 1, 1], [0, 1])


def test_bad_content_is_refused_with_the_path(tmp_path):
    path = save(tmp_path / "a", np.array([[1, np.nan], [1, 2], [np.inf, 0]]))
    with pytest.raises(ValueError, match=rf"{path} has NaN or infinity in 2 of 3 rows \(rows 0, 2"):
        load_dataset(path)
    with pytest.raises(ValueError, match=r"a is \(4,\), expected .* labels alone"):
        load_dataset(save(path, np.arange(4)))
    with pytest.raises(ValueError, match="has no samples"):
        load_dataset(save(path, np.zeros((0, 4))))
    np.savez(tmp_path / "b.npz", x=np.ones((3, 2)), y=[0, 1])
    with pytest.raises(ValueError, match=r"b\.npz holds 3 samples and 2 labels"):
        load_dataset(tmp_path / "b.npz")
    with pytest.raises(FileNotFoundError, match=r"there is no minst; expected .* digits, mnist"):
        load_dataset("minst")
    with pytest.raises(ValueError, match="dtype is 'float16'"):
        load_dataset(dtype="float16")


def test_numbers_have_to_be_finite_in_the_dtype_that_they_are_used_in(tmp_path):
    large = save(tmp_path / "large", np.array([[1.0, 2], [1e300, 3]]))
    with pytest.raises(ValueError, match=rf"{large} as float32 has .* \(row 1, counted from 0\)"):
        load_dataset(large)
    assert load_dataset(large, dtype="float64").x[1, 0] == 1e300
    assert load_dataset(large, dtype="float64", scale=1e-300).x[1, 0] == pytest.approx(1)
    with pytest.raises(ValueError, match="as float64 has NaN or infinity"):
        load_dataset(large, dtype="float64", scale=1e10)
    np.savez(tmp_path / "a.npz", x=np.ones((2, 2)), x_test=np.full((2, 2), 1e300))
    with pytest.raises(ValueError, match=r"\(test samples\) as float32 has NaN or infinity"):
        load_dataset(tmp_path / "a.npz")


def test_samples_of_no_numbers_are_refused(tmp_path):
    for dtype in ("float32", "uint8", "int64"):
        with pytest.raises(ValueError, match=r"is \(3, 0\): its samples hold no numbers"):
            load_dataset(save(tmp_path / "a", np.zeros((3, 0), dtype)))


@given(hnp.arrays(np.uint8, (3, 4)), st.sampled_from(["uint8", "int64", "csv"]))
def test_with_the_scale_of_a_run_nothing_is_guessed_from_the_values(tmp_path_factory, X, kind):
    path = tmp_path_factory.mktemp("scale") / "a"
    if kind == "csv":
        np.savetxt(path, X, fmt="%d", delimiter=",", header="a,b,c,d", comments="")
    else:
        save(path, X.astype(kind))
    x = load_dataset(path, pixel_scale=1 / 16).x
    np.testing.assert_array_equal(x[:], X.astype("float32") / 16)
    save(path, X / 255)
    np.testing.assert_array_equal(load_dataset(path, pixel_scale=1 / 16).x, np.float32(X / 255))


def test_a_table_in_other_units_than_the_run_s_is_refused(tmp_path):
    (tmp_path / "a").write_text("a,b\n0.5,1\n")
    with pytest.raises(ValueError, match=r"numbers that are not whole.*--scale 1\)"):
        load_dataset(tmp_path / "a", pixel_scale=1 / 255)
    x = load_dataset(tmp_path / "a", pixel_scale=1 / 255, scale=1).x
    assert x.tolist() == [[0.5, 1]]


def test_what_is_said_of_images_or_tables_needs_some(tmp_path):
    array = save(tmp_path / "a.npy", np.ones((2, 3)))
    (tmp_path / "t.csv").write_text("1,2\n3,4\n")
    for path, said in (
        (array, {"resize": 8}),
        (array, {"drop": "id"}),
        (tmp_path / "t.csv", {"resize": 8, "crop": True}),
        (None, {"label_column": "a"}),
        ("mnist", {"resize": 8}),
        ("digits", {"scale": 2}),
    ):
        with pytest.raises(ValueError, match=r"for .*(images|tables)"):
            load_dataset(path, **said)
    for scale in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"scale is .*, expected a positive number"):
            load_dataset(array, scale=scale)
    assert load_dataset(array, label_column="a", may_lack=True).x.shape == (2, 3)


# --------------------------------------------------------------------------- sets that go by a name


def idx(*shape, fill=b"\0"):
    numbers = fill * (math.prod(shape) // len(fill))
    return struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape) + numbers


def sums(folder):
    """What the four files of a folder hold, as they are published."""
    files = [folder / name.removesuffix(".gz") for name in downloads.FILES]
    return tuple(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)


@pytest.fixture(scope="module")
def blank(tmp_path_factory):
    """A data folder with sets of MNIST's shape, all alike, at the names that are looked for."""
    root = tmp_path_factory.mktemp("data")
    for sub in ("fashion-mnist", "MNIST/raw"):
        (root / sub).mkdir(parents=True)
        for i, name in enumerate(downloads.FILES):
            n = 60_000 if i < 2 else 10_000
            content = idx(n, fill=bytes(range(10))) if i % 2 else idx(n, 28, 28, fill=b"\1")
            (root / sub / name.removesuffix(".gz")).write_bytes(content)
    return root


def test_a_named_set_is_found_in_its_sub_folder_or_the_folder_itself(blank, monkeypatch):
    d = load_dataset("fashion-mnist", data_dir=blank)
    assert (d.name, d.x.shape, d.test_x.shape) == (
        "fashion-mnist",
        (60000, 28, 28),
        (10000, 28, 28),
    )
    assert d.class_names[9] == "Ankle boot" and "Fashion-MNIST" in d.source
    monkeypatch.setenv("MINIENC_DATA", str(blank / "fashion-mnist"))
    assert load_dataset("fashion-mnist").x.images.nbytes == 60000 * 784


def test_a_set_is_not_taken_for_another(blank, monkeypatch):
    with pytest.raises(ValueError, match="holds other test images than MNIST's, expected mnist"):
        load_dataset("mnist", data_dir=blank)
    published = sums(blank / "MNIST/raw")
    monkeypatch.setattr(loading, "MNIST_SHA256", published)
    assert load_dataset("mnist", data_dir=blank).name == "mnist"
    with pytest.raises(ValueError, match="holds MNIST's digits, expected fashion-mnist"):
        load_dataset("fashion-mnist", data_dir=blank)
    for i, name in enumerate(downloads.FILES):  # each file is compared, not the test images alone
        if i != 2:
            other = (*published[:i], "0", *published[i + 1 :])
            monkeypatch.setattr(loading, "MNIST_SHA256", other)
            with pytest.raises(ValueError, match=f"what {name} should hold is not mnist's"):
                load_dataset("mnist", data_dir=blank)


def test_blank_images_and_labels_of_one_class_are_not_fashion(blank, tmp_path):
    for file in (blank / "fashion-mnist").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / downloads.FILES[0].removesuffix(".gz")).write_bytes(idx(60_000, 28, 28))
    (tmp_path / downloads.FILES[3].removesuffix(".gz")).write_bytes(idx(10_000))
    with pytest.raises(
        ValueError, match=r"what train-images.*, t10k-labels.* is not fashion-mnist"
    ):
        load_dataset("fashion-mnist", data_dir=tmp_path)


def test_files_of_another_size_are_refused(tmp_path):
    for i, name in enumerate(downloads.FILES):
        n = 5 if i < 2 else 3
        (tmp_path / name).write_bytes(idx(n) if i % 2 else idx(n, 28, 28))
    with pytest.raises(ValueError, match=r"holds uint8 \(5, 28, 28\), expected mnist's"):
        load_dataset("mnist", data_dir=tmp_path)


def test_without_pooch_the_message_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    monkeypatch.delenv("MINIENC_DATA", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'minienc\[download\]'; or .* --data-dir"):
        load_dataset("mnist")
    with pytest.raises(ImportError, match=f"{tmp_path} does not"):
        load_dataset("mnist", data_dir=tmp_path)
    with pytest.raises(FileNotFoundError, match=r"data_dir is .*none, which is not a folder"):
        load_dataset("mnist", data_dir=tmp_path / "none")
    monkeypatch.setenv("MINIENC_DATA", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=r"MINIENC_DATA is .*none"):
        load_dataset("mnist")


class Mirror(types.ModuleType):
    """What of pooch is used, serving files of this machine; the first address fails."""

    def __init__(self, files, cache, failure):
        super().__init__("pooch")
        self.files, self.cache, self.failure, self.asked = files, cache, failure, []

    def os_cache(self, project):
        return self.cache / project

    def retrieve(self, url, known_hash, fname, path):
        self.asked.append(url)
        if self.failure is not None and url.startswith(downloads.NAMED["mnist"].urls[0]):
            raise self.failure
        content = (self.files / fname.removesuffix(".gz")).read_bytes()
        if known_hash != "sha256:" + hashlib.sha256(content).hexdigest():
            raise ValueError("the hash does not match")
        path.mkdir(parents=True, exist_ok=True)
        (path / fname).write_bytes(content)


def test_a_download_tries_each_mirror_and_compares_checksums(blank, tmp_path, monkeypatch):
    monkeypatch.delenv("MINIENC_DATA", raising=False)
    mirror = Mirror(blank / "MNIST" / "raw", tmp_path, OSError("no network"))
    monkeypatch.setitem(sys.modules, "pooch", mirror)
    named = downloads.NAMED["mnist"]
    with pytest.raises(
        ConnectionError, match=r"gave OSError, .* gave a file with another checksum"
    ):
        load_dataset("mnist")  # these are not MNIST: nothing is kept
    assert not (tmp_path / "minienc").exists()

    published = sums(mirror.files)
    monkeypatch.setitem(downloads.NAMED, "mnist", named._replace(sha256=published))
    monkeypatch.setattr(loading, "MNIST_SHA256", published)
    mirror.asked.clear()
    assert load_dataset("mnist").x.shape == (60000, 28, 28)
    assert mirror.asked == [url + file for file in downloads.FILES for url in named.urls]


def test_importing_the_data_room_is_light():
    program = (
        "import sys, minienc.data\n"
        "print([m for m in ('PIL', 'pooch', 'csv', 'matplotlib', 'tqdm') if m in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "[]"
