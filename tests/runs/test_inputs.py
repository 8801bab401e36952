"""How a run's data are read, kept with the run, and read again for later data."""

from __future__ import annotations

import json

import numpy as np
import pytest

from minienc.cli import main
from minienc.models import load_model
from minienc.pretraining.base import as_rows
from minienc.runs.inputs import advice, load_data, prepare

RNG = np.random.default_rng(0)
QUICK = ["--epochs", "1", "--hidden", "3", "--quiet", "--force"]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def encode(run, path):
    assert main(["encode", run, path, "--out", "codes.npy", "--force"]) == 0
    return np.load("codes.npy")


def write(path, x):
    if path.endswith("csv"):
        np.savetxt(path, x, fmt="%d", delimiter=",")
    else:
        np.save(path, x)


@pytest.mark.parametrize("end, dtype", [("csv", "int64"), ("npy", "int64"), ("npy", "uint8")])
def test_a_sample_has_one_code_whatever_else_is_in_its_file(end, dtype):
    X = RNG.integers(0, 256, (30, 9)).astype(dtype)
    X[0, :2], X[5] = (0, 255), RNG.integers(0, 2, 9)
    write(f"all.{end}", X)
    assert main(["pretrain", f"all.{end}", *QUICK, "--out", "run"]) == 0
    codes = encode("run", f"all.{end}")
    for i in (1, 5):  # less than 255 alone in a file; zeros and ones alone
        write(f"one.{end}", X[i : i + 1])
        np.testing.assert_allclose(encode("run", f"one.{end}"), codes[i : i + 1], rtol=1e-5)


def test_the_embedded_digits_encoder_takes_floats_as_they_are_and_integers_as_pixels(capsys):
    assert main(["pretrain", *QUICK, "--labels", "10", "--seeds", "1", "--out", "run"]) == 0
    digits = load_data({})
    expected = load_model("run/encoder.npz").predict(as_rows(digits.test_x[:5]))
    np.save("floats.npy", digits.test_x[:5])
    np.save("pixels.npy", digits.test_x.images[:5])
    for path in ("floats.npy", "pixels.npy"):
        np.testing.assert_allclose(encode("run", path), expected, rtol=1e-5)
    assert "note" not in capsys.readouterr().err
    np.save("floats.npy", digits.test_x[:5] * 16)
    assert abs(encode("run", "floats.npy")).max() > 2 * abs(expected).max()
    assert "floats runs from 0 to 16, the run's own data from 0 to 1" in capsys.readouterr().err
    words = ["encode", "run", "floats.npy", "--scale", "0.0625", "--out", "codes.npy", "--force"]
    assert main(words) == 0
    np.testing.assert_allclose(np.load("codes.npy"), expected, rtol=1e-5)


def test_floats_are_never_guessed_to_be_bytes():
    write("a.npy", RNG.uniform(0, 200, (30, 4)))
    assert main(["pretrain", "a.npy", *QUICK, "--out", "run"]) == 0
    write("bytes.npy", np.array([[0, 255, 3, 4]]))
    write("same.npy", np.array([[0.0, 255, 3, 4]]))
    np.testing.assert_array_equal(encode("run", "bytes.npy"), encode("run", "same.npy"))


HEADER = "id,small,large,kind\n"


def table(n=30):
    small, large = RNG.normal(0, 0.1, n), RNG.normal(50, 30, n)
    rows = zip(range(n), small, large, ["a", "b"] * n, strict=False)
    return [f"{i},{s:.4f},{b:.4f},{k}\n" for i, s, b, k in rows]


def test_a_table_is_read_as_the_run_says_and_later_ones_alike(capsys):
    rows = table()
    with open("t.csv", "w") as file:
        file.writelines([HEADER, *rows])
    assert main(["pretrain", "t.csv", *QUICK]) == 2
    assert "--label-column kind" in capsys.readouterr().err
    said = ["--label-column", "kind", "--drop", "id", "--standardise"]
    curve = ["--labels", "2", "--seeds", "1"]
    assert main(["pretrain", "t.csv", *said, *curve, *QUICK, "--out", "run"]) == 0
    saved = json.load(open("run/config.json"))
    assert saved["preprocessing"]["columns"] == ["small", "large"]
    dataset = load_data(saved["settings"])
    assert dataset.class_names == ("a", "b")
    np.testing.assert_allclose(dataset.x.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(dataset.x.std(axis=0), 1, rtol=1e-5)
    codes = encode("run", "t.csv")
    with open("new.csv", "w") as file:  # without labels, in another order, alone
        _, small, large, _ = rows[3].split(",")
        file.writelines(["large,small\n", f"{large},{small}\n"])
    np.testing.assert_allclose(encode("run", "new.csv"), codes[3:4], rtol=1e-5)
    with open("new.csv", "w") as file:
        file.writelines(["large,other\n", "1,2\n"])
    assert main(["encode", "run", "new.csv", "--out", "c.npy"]) == 2
    assert "new lacks small, expected the columns of the run's table" in capsys.readouterr().err


def test_the_command_of_the_report_says_how_the_data_are_read():
    with open("t.csv", "w") as file:
        file.writelines([HEADER, *table()])
    said = ["--label-column", "kind", "--drop", "id", "--standardise", "--scale", "0.5"]
    assert main(["pretrain", "t.csv", *said, *QUICK, "--labels", "2", "--seeds", "1"]) == 0
    page = open("runs/autoencoder-t-1/report.html", encoding="utf-8").read()
    assert "--scale 0.5 --label-column kind --drop id --standardise" in page


def test_a_table_that_should_be_scaled_gets_advice():
    with open("t.csv", "w") as file:
        file.writelines([HEADER, *table()])
    settings = {"data": "t.csv", "label_column": "kind"}
    numbers, spread = advice(load_data(settings), settings)
    assert "column id rises with every row" in numbers and "--drop id" in numbers
    assert "--standardise makes each 1" in spread
    for more in ({"drop": ["id"], "standardise": True}, {"drop": ["id", "large"]}):
        assert advice(load_data(settings | more), settings | more) == []
    assert advice(load_data({}), {}) == []


def test_constant_columns_stay_finite_when_standardised():
    np.save("a.npy", np.tile([1.0, 2.0], (10, 1)))
    dataset, found = prepare({"data": "a.npy", "standardise": True})
    assert (dataset.x == 0).all() and found["deviation"] == [1, 1]


def photos(folder, *sizes):
    Image = pytest.importorskip("PIL.Image")
    folder.mkdir()
    for i, (width, height) in enumerate(sizes):
        pixels = RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")


def test_photos_need_a_size_and_are_encoded_in_it(tmp_path, capsys):
    photos(tmp_path / "mixed", *[(20, 30), (30, 20)] * 5)
    assert main(["pretrain", "mixed", *QUICK]) == 2
    assert "--resize 32" in capsys.readouterr().err
    said = ["--resize", "8x4", "--crop", "--grey"]
    assert main(["pretrain", "mixed", *said, *QUICK, "--out", "run"]) == 0
    assert load_data(json.load(open("run/config.json"))["settings"]).sample_shape == (4, 8)
    codes = encode("run", "mixed")
    photos(tmp_path / "one", (30, 20))
    (tmp_path / "one" / "0.png").write_bytes((tmp_path / "mixed" / "3.png").read_bytes())
    # Not to the bit: a BLAS may take one row another way than ten.
    np.testing.assert_allclose(encode("run", "one"), codes[3:4], rtol=1e-5)
    for size in ("8x", "a", "0", "1x2x3"):
        assert main(["pretrain", "mixed", "--resize", size, *QUICK]) == 2
        assert "resize is" in capsys.readouterr().err


def test_large_photos_are_refused_unless_it_was_said(tmp_path, capsys):
    photos(tmp_path / "large", *[(160, 120)] * 3)
    assert main(["pretrain", "large", *QUICK]) == 2
    error = capsys.readouterr().err
    assert "160 x 120, 57,600 numbers each" in error
    assert "--resize 32" in error and "--resize 160x120" in error
    assert prepare({"data": "large", "resize": "160x120"})[0].sample_shape == (120, 160, 3)


@pytest.mark.parametrize(
    "changed",
    [
        [],
        {"pixel_scale": "1"},
        {"pixel_scale": -1},
        {"range": 3},
        {"range": [1]},
        {"mean": [1, None], "deviation": [1, 1]},
        {"mean": [1, 1], "deviation": [0, 1]},
        {"mean": [1, 1], "deviation": [1]},
        {"columns": [1, 2]},
    ],
)
def test_a_changed_config_is_refused_in_a_sentence(capsys, changed):
    np.save("a.npy", RNG.normal(size=(10, 4)))
    assert main(["pretrain", "a.npy", *QUICK, "--standardise", "--out", "run"]) == 0
    config = json.load(open("run/config.json"))
    found = config["preprocessing"] | changed if isinstance(changed, dict) else changed
    with open("run/config.json", "w") as file:
        json.dump(config | {"preprocessing": found}, file)
    assert main(["encode", "run", "a.npy", "--out", "codes.npy"]) == 2
    assert "run/config.json: preprocessing" in capsys.readouterr().err
