"""A task in a folder: read it anywhere, and refuse what somebody has altered."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

from minienc.tasks import Summarizer, Translator
from minienc.tasks.folder import load_task, save_task
from tests.tasks.test_pairs_models import X, Y, small


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("task")
    model = small(epochs=1, network="gru").fit(X, Y)
    save_task(model, folder)
    return folder, model.predict(X[:5])


@pytest.fixture
def copied(saved, tmp_path):
    shutil.copytree(saved[0], tmp_path / "copy")
    return tmp_path / "copy"


def test_the_folder_is_all_that_is_needed(saved, copied):
    model = load_task(copied)
    assert isinstance(model, Translator) and model.predict(X[:5]) == saved[1]
    assert sorted(os.listdir(copied)) == ["task.json", "tokenizer.json", "weights.npz"]
    with pytest.raises(FileNotFoundError, match="no run of translate or summarize"):
        load_task(copied / "elsewhere")


@pytest.mark.parametrize("network", ["gru_no_attention", "transformer"])
def test_every_network_comes_back(network, tmp_path):
    model = small(Summarizer, epochs=1, network=network).fit(X, Y)
    save_task(model, tmp_path)
    again = load_task(tmp_path)
    assert again.predict(X[:5], beam=2) == model.predict(X[:5], beam=2)
    np.testing.assert_array_equal(again.model_.parameters.vector, model.model_.parameters.vector)


def altered(folder, change):
    plain = json.loads((folder / "task.json").read_text())
    change(plain)
    (folder / "task.json").write_text(json.dumps(plain))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda p: p.update(format="other"), "something else than a task"),
        (lambda p: p.update(task="sing"), "a task 'sing', expected translate or summarize"),
        (lambda p: p["settings"].update(more=1), "has no 'more'"),
        (lambda p: p["settings"].update(network=3), "'network' is 3, expected text"),
        (lambda p: p["settings"].update(network="lstm"), "network is 'lstm'"),
        (lambda p: p["settings"].update(width=1 << 40), "more than the weights|does not fit"),
        (lambda p: p["settings"].update(width=10), "does not fit|more than the weights"),
        (lambda p: p["settings"].update(target="de"), "has no '<de>'"),
    ],
)
def test_a_strange_description_is_refused(copied, change, what):
    altered(copied, change)
    with pytest.raises(ValueError, match=what):
        load_task(copied)


def test_damaged_files_are_refused(copied):
    for name, content in [("task.json", b"{"), ("weights.npz", b"PK"), ("tokenizer.json", b"[]")]:
        whole = (copied / name).read_bytes()
        (copied / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            load_task(copied)
        (copied / name).write_bytes(whole)
    (copied / "task.json").write_bytes(b" " * (1 << 21))
    with pytest.raises(ValueError, match="more than 1,048,576 bytes"):
        load_task(copied)
