"""A run's folder: whose it is, what is left of an old one, and which data it is of."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from minienc.cli import main
from minienc.models import load_model
from minienc.runs.folder import held, new_folder
from minienc.training.callbacks import ModelCheckpoint

QUICK = ["--epochs", "2", "--hidden", "4,2", "--quiet"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).random((60, 6), "f4"))


def pretrain(*words):
    return main(["pretrain", "x.npy", *QUICK, *words])


def weights(run):
    return load_model(f"{run}/model.npz").get_weights()


def same(one, two):
    return all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


# --------------------------------------------------------------------------- nothing of an old run


@posix
@pytest.mark.parametrize("linked", [True, False])
def test_force_begins_anew_even_where_the_checkpoints_are_a_link(linked):
    assert pretrain("--out", "new") == 0
    assert pretrain("--out", "run", "--lr", "0.1", "--epochs", "9") == 0
    if linked:
        shutil.move("run/checkpoints", "elsewhere")
        os.symlink("../elsewhere", "run/checkpoints")
    assert pretrain("--out", "run", "--force") == 0
    assert same(weights("run"), weights("new"))
    assert not os.path.islink("run/checkpoints")
    if linked:
        assert sorted(os.listdir("elsewhere")) == ["checkpoint.csv", "checkpoint.npz"]


@posix
def test_a_new_run_in_an_old_one_s_folder_has_the_files_rights(capsys):
    assert pretrain("--out", "run") == 0
    files = [p for p in Path("run").iterdir() if p.is_file()]
    for path in files:
        path.chmod(0o600)
    assert pretrain("--out", "run", "--force") == 0
    assert {p.name: p.stat().st_mode & 0o777 for p in files} == {p.name: 0o600 for p in files}


def test_while_a_forced_run_is_trained_nothing_of_the_old_one_can_be_used(monkeypatch, capsys):
    assert pretrain("--out", "run") == 0

    def stop(self):
        raise RuntimeError("stopped")

    with monkeypatch.context() as patch:
        patch.setattr(ModelCheckpoint, "save", stop)
        assert pretrain("--out", "run", "--force") == 2
    capsys.readouterr()
    assert main(["encode", "run", "x.npy", "--out", "z.npy"]) == 2
    assert "finish it with minienc pretrain --resume run" in capsys.readouterr().err
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0
    assert main(["encode", "run", "x.npy", "--out", "z.npy"]) == 0


# --------------------------------------------------------------------------------- several at once


@posix
def test_a_folder_in_which_somebody_trains_is_refused(capsys):
    assert pretrain("--out", "run") == 0
    os.remove("run/report.html")
    os.mkdir("empty")
    for words in (["--resume", "run"], ["x.npy", "--out", "run", "--force"], ["--out", "empty"]):
        with held(Path(words[1] if words[0][:2] == "--" else words[2])):
            assert main(["pretrain", *words]) == 2
        assert "is in use: another minienc trains in it" in capsys.readouterr().err
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0


def test_of_many_that_start_at_once_each_has_a_folder_of_its_own():
    def start(_):
        with new_folder(None, "autoencoder-x", False) as folder:
            (folder / "config.json").write_text("{}")
            return folder.name

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(start, range(24)))
    assert sorted(taken) == sorted(f"autoencoder-x-{k}" for k in range(1, 25))


def test_a_long_name_of_the_data_is_cut_in_the_folder_s(capsys):
    long = "学" * 80 + ".npy"
    os.rename("x.npy", long)
    assert main(["pretrain", long, *QUICK]) == 0
    (run,) = os.listdir("runs")
    assert run.startswith("autoencoder-学学") and run.endswith("-1")


# -------------------------------------------------------------------------------------- which data


def stopped(*words):
    """A run that is not complete."""
    assert pretrain("--out", "run", *words) == 0
    for name in ("report.html", "results.json"):
        os.remove(f"run/{name}")


def test_other_data_are_refused_and_the_same_ones_are_taken(capsys):
    stopped()
    x = np.load("x.npy")
    for other in (x[::-1], x + 1e-3, x[:, ::-1], x[:50]):
        np.save("x.npy", other)
        assert main(["pretrain", "--resume", "run"]) == 2
        assert "holds other data than when run began" in capsys.readouterr().err
    np.save("x.npy", x)
    assert main(["pretrain", "--resume", "run"]) == 0


def test_labels_count_too(capsys):
    x, y = np.load("x.npy"), np.arange(60) % 3
    np.savez("d.npz", x=x, y=y)
    assert (
        main(["pretrain", "d.npz", *QUICK, "--labels", "10", "--seeds", "1", "--out", "run"]) == 0
    )
    os.remove("run/results.json")
    assert main(["finetune", "run", "--labels", "9", "--seeds", "1", "--epochs", "1"]) == 0
    assert "note: " not in capsys.readouterr().err
    np.savez("d.npz", x=x, y=y[::-1])
    assert main(["finetune", "run", "--labels", "9", "--epochs", "1", "--force"]) == 0
    assert "note: d holds other data than when run began" in capsys.readouterr().err
    assert main(["pretrain", "--resume", "run"]) == 2
    assert "other data" in capsys.readouterr().err


def test_a_run_finds_its_data_from_another_folder(monkeypatch, tmp_path):
    stopped()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["pretrain", "--resume", "../run", "--quiet"]) == 0
    page = Path("../run/report.html").read_text()
    assert f"minienc pretrain {tmp_path / 'x.npy'}" in page


def test_where_a_named_data_set_lies_is_remembered(monkeypatch, tmp_path):
    from minienc.runs.folder import where_it_lies

    monkeypatch.setenv("MINIENC_DATA", "data")
    there = {"data": "mnist", "data_dir": str(tmp_path / "data")}
    assert where_it_lies({"data": "mnist", "data_dir": None}) == there
    assert where_it_lies({"data": "mnist", "data_dir": "data"}) == there
    digits = {"data": "digits", "data_dir": None}
    assert where_it_lies(digits) == digits


# ------------------------------------------------------------------------------------- config.json


def without(name):
    return lambda settings: settings.pop(name)


def with_(**changes):
    return lambda settings: settings.update(changes)


DAMAGED = {
    "its content is [], expected values by their names": "[]",
    "its content is None": "null",
    "its JSON is nested too deep": "[" * 100_000,
    "'settings' is []": '{"settings": []}',
    "its content has no 'settings'": "{}",
    "settings has no 'data'": without("data"),
    "settings has no 'method'": without("method"),
    "settings has no 'labels'": without("labels"),
    "settings has no 'seeds'": without("seeds"),
    "settings has no 'hidden'": without("hidden"),
    "'device' is 0, expected text": with_(device=0),
    "'method' is [], expected text": with_(method=[]),
    "'method' is 'x', expected": with_(method="x"),
    "'labels' is 'x', expected a list": with_(labels="x"),
    "'labels' is [-3]": with_(labels=[-3]),
    "'seeds' must be at least 1": with_(seeds=-1),
    "'dtype' is 'float16'": with_(dtype="float16"),
    "'epochs' is 2.5, expected a whole number": with_(epochs=2.5),
    "'tied' is 1, expected true or false": with_(tied=1),
    "'hidden': 0 is 'x'": with_(hidden=["x"]),
    "hidden is ()": with_(hidden=[]),
    "activation is 'x'": with_(activation="x"),
    "batch_size is 0": with_(batch_size=0),
    "a setting is damaged: MemoryError": with_(hidden=[10**15]),
}


@pytest.mark.parametrize("sentence", DAMAGED)
def test_a_damaged_config_is_refused_in_a_sentence(sentence, capsys):
    stopped()
    config = json.loads(Path("run/config.json").read_text())
    change = DAMAGED[sentence]
    if callable(change):
        change(config["settings"])
        change = json.dumps(config)
    Path("run/config.json").write_text(change)
    assert main(["pretrain", "--resume", "run"]) == 2
    error = capsys.readouterr().err
    assert sentence.replace("_", "-" if "batch" in sentence else "_") in error
    assert "run/config.json" in error and error.count("\n") == 1
