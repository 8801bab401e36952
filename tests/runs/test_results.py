"""Training that is over is never lost: not to a picture, a terminal, a name, or Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minienc import gallery, plots
from minienc.cli import main
from minienc.finetuning import curve as curves
from minienc.runs import results as measured
from minienc.runs import training
from minienc.terminal import Patient

QUICK = ["--epochs", "2", "--hidden", "4,2", "--quiet"]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(0).random((60, 6), "f4")
    np.save("x.npy", x)
    np.savez("labelled.npz", x=x, y=np.arange(60) % 3)


def fail(*_args, **_kwargs):
    raise RuntimeError("no such luck")


def page(run="run"):
    return Path(run, "report.html").read_text()


def figures(run="run"):
    return json.loads(Path(run, "results.json").read_text())


# ------------------------------------------------------------------------------ pictures that fail


def test_a_picture_that_fails_is_a_sentence_in_its_place(monkeypatch):
    for name in ("code_map", "learning_curves"):
        monkeypatch.setattr(plots, name, fail)
    assert main(["pretrain", "labelled.npz", *QUICK, "--labels", "10", "--out", "run"]) == 0
    assert "could not be drawn (map of the codes): RuntimeError: no such luck" in page()
    assert "could not be drawn (loss against epoch)" in page()
    assert "test accuracy against the number of labels" in page()
    assert set(figures()) >= {"few_labels", "test_squared_error_per_sample"}


@pytest.mark.parametrize("part", ["measures", "pictures", "filters"])
def test_what_a_method_has_to_show_may_fail(part, monkeypatch):
    monkeypatch.setattr(gallery, part, fail)
    assert main(["pretrain", "x.npy", *QUICK, "--out", "run"]) == 0
    assert "could not be made: RuntimeError: no such luck" in page()
    assert figures()["test_squared_error_per_sample"]["mean sample"] > 0


def test_a_comparison_that_fails_leaves_the_others(monkeypatch, capsys):
    monkeypatch.setattr(measured.PCA, "fit", fail)
    assert main(["pretrain", "labelled.npz", *QUICK, "--labels", "10", "--out", "run"]) == 0
    notes = figures()["notes"]
    assert [note.partition(" could not be made")[0] for note in notes] == [
        "The comparison of restored samples",
        "The comparison with a few labels",
    ]
    out = capsys.readouterr().out
    assert all(note in out for note in notes)


def test_results_come_first_and_resume_completes_without_measuring_again(monkeypatch, capsys):
    words = ["pretrain", "labelled.npz", *QUICK, "--labels", "10", "--seeds", "2"]
    assert main([*words, "--out", "whole"]) == 0
    with monkeypatch.context() as patch:
        patch.setattr(training, "write_report", fail)
        assert main([*words, "--out", "run"]) == 2
    assert not os.path.exists("run/report.html")
    assert figures() == {**figures("whole"), "training_seconds": figures()["training_seconds"]}
    monkeypatch.setattr(training, "measure", fail)
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0
    table = page("whole").split("With a few labels")[1].split("<figure")[0]
    assert table in page() and "pretrained, fine-tuned" in table
    assert main(["pretrain", "--resume", "run"]) == 0
    assert "is complete" in capsys.readouterr().out


@pytest.mark.parametrize(
    "damage",
    [
        "",
        "[]",
        "{}",
        '{"few_labels": 3}',
        None,
        {"few_labels": {"labels": [10], "seeds": [0], "test_accuracy": {"a": [[1]]}}},
        {"few_labels": {"labels": [10], "seeds": [0, 1], "test_accuracy": {"a": [1], "b": [1]}}},
        {"test_measures": {"a": "x"}},
        {"training_seconds": None},
    ],
)
def test_damaged_results_are_measured_again(damage):
    assert main(["pretrain", "x.npy", *QUICK, "--out", "run"]) == 0
    before = figures()
    os.remove("run/report.html")
    if damage is None:
        os.remove("run/results.json")
    else:
        text = json.dumps({**before, **damage}) if isinstance(damage, dict) else damage
        Path("run/results.json").write_text(text)
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0
    assert figures()["test_squared_error_per_sample"] == before["test_squared_error_per_sample"]


@pytest.mark.parametrize("where", ["measure", "write_report"])
def test_ctrl_c_after_training_says_how_to_go_on(where, monkeypatch, capsys):
    def press(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training, where, press)
        assert main(["pretrain", "x.npy", *QUICK, "--out", "a run"]) == 130
    assert "go on with: minienc pretrain --resume 'a run'" in capsys.readouterr().err
    assert main(["pretrain", "--resume", "a run", "--quiet"]) == 0


# ------------------------------------------------------------------------------ data that are hard


@pytest.mark.parametrize("name", ["$x^{$", r"\frac{", "a_b^c$$", "<b>&", "学", "🙂", "x" * 300])
def test_any_name_of_a_class_is_shown(name):
    with open("t.csv", "w", encoding="utf-8") as file:
        file.write("a,b,c,label\n")
        rng = np.random.default_rng(0)
        for i in range(60):
            file.write(",".join([*map(str, rng.random(3)), [name, "b", "c"][i % 3]]) + "\n")
    words = ["--labels", "10", "--seeds", "1", "--epochs", "1", "--hidden", "4,2", "--quiet"]
    assert main(["pretrain", "t.csv", *words, "--out", "run"]) == 0
    assert "could not be" not in page()
    escaped = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"</span>{escaped}</li>" in page()


@posix
def test_a_class_folder_whose_name_is_no_utf8_is_shown():
    rng = np.random.default_rng(0)
    for name in (b"cl\xff", b"b"):
        os.makedirs(b"img/" + name)
        for i in range(20):
            content = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (8, 8)).astype("u1")).save(content, "PNG")
            with open(b"img/" + name + b"/%d.png" % i, "wb") as file:
                file.write(content.getvalue())
    words = ["--labels", "10", "--seeds", "1", *QUICK]
    assert main(["pretrain", "img", *words, "--out", "run"]) == 0
    assert r"</span>cl\udcff</li>" in page() and "could not be" not in page()


@pytest.mark.parametrize(
    "words",
    [
        ["--hidden", "8,1"],
        ["--method", "kmeans", "--n-clusters", "1"],
        ["--method", "rbm", "--n-components", "1"],
    ],
)
def test_a_code_of_one_number_has_a_map(words):
    for data in ("x.npy", "labelled.npz"):
        more = [] if data == "x.npy" else ["--labels", "10", "--seeds", "1"]
        run = [data, *words, *more, "--epochs", "2", "--quiet", "--out", data + "-run"]
        assert main(["pretrain", *run]) == 0
        assert "which is one number" in page(data + "-run")
        assert "could not be" not in page(data + "-run")


def test_figures_that_are_not_finite_are_null(monkeypatch):
    measures = {"a": float("inf"), "b": float("nan"), "c": np.float32(0.5)}
    monkeypatch.setattr(gallery, "measures", lambda *_: measures)
    assert main(["pretrain", "x.npy", *QUICK, "--out", "run"]) == 0
    assert figures()["test_measures"] == {"a": None, "b": None, "c": 0.5}
    os.remove("run/report.html")
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0


def test_huge_values_are_told_of_and_nothing_is_lost():
    x = (np.random.default_rng(0).random((15, 16)) * 1e37).astype("f4")
    np.save("h.npy", x)
    words = ["--method", "gan", "--epochs", "2", "--quiet", "--out", "run"]
    assert main(["pretrain", "h.npy", *words]) == 0
    assert len(figures()["test_measures"]) == 3
    os.remove("run/report.html")
    assert main(["pretrain", "--resume", "run", "--quiet"]) == 0


@pytest.mark.parametrize(("width", "word"), [(6, "as wide as"), (9, "wider than")])
def test_a_code_as_wide_as_its_input_is_compared_with_no_components(width, word, capsys):
    words = ["--epochs", "2", "--hidden", str(width), "--out", "run"]
    assert main(["pretrain", "x.npy", *words]) == 0
    names = list(figures()["test_squared_error_per_sample"])
    assert names == ["mean sample", f"autoencoder, code of {width}"]
    said = f"a code that is {word} its input can hold a copy of it"
    assert said in page() and said in capsys.readouterr().out and "PCA, " not in page()


def test_few_wide_samples_are_compared_and_the_memory_is_said_before(capsys):
    np.save("wide.npy", np.random.default_rng(0).random((20, 30_000), "f4"))
    words = ["--epochs", "1", "--hidden", "4", "--out", "run"]
    assert main(["pretrain", "wide.npy", *words]) == 0
    out = capsys.readouterr().out
    assert "memory beside the data: " in out.split("epoch")[0]
    assert "as many principal components" in out and "PCA, 4 components" in out


# --------------------------------------------------------------------------------------- terminals


def minienc(words, **how):
    path = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": path, **how.pop("env", {})}
    return subprocess.Popen([sys.executable, "-m", "minienc", *words], env=environment, **how)


WORDS = ["pretrain", "labelled.npz", "--epochs", "3", "--hidden", "4,2", "--labels", "10"]


@posix
def test_a_reader_that_goes_away_costs_nothing():
    process = minienc([*WORDS, "--out", "run"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 0
    assert os.path.exists("run/report.html") and os.path.exists("run/results.json")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_disk_behind_the_output_costs_nothing():
    with open("/dev/full", "wb") as full:
        process = minienc([*WORDS, "--out", "run"], stdout=full, stderr=subprocess.PIPE)
        assert process.communicate()[1] == b"" and process.returncode == 0
    assert os.path.exists("run/report.html")


def test_a_terminal_of_ascii_is_told_in_ascii():
    process = minienc(
        [*WORDS, "--out", "run"], stdout=subprocess.PIPE, env={"PYTHONIOENCODING": "ascii"}
    )
    out = process.communicate()[0].decode("ascii")
    assert process.returncode == 0 and "+/-" in out
    assert "±" in page()


def test_the_status_of_a_check_does_not_depend_on_who_reads():
    Path("hw.py").write_text(
        "def square_forward(x):\n    return x * x, x\n"
        "def square_backward(dy, x):\n    return 3 * x * dy\n"
    )
    words = ["gradcheck", "hw.py:square", "--shapes", "x=3"]
    process = minienc(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 1


def test_a_stream_without_a_reader_stays_silent():
    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    for stream in (Patient(Broken()), Patient(None)):
        print("hello", file=stream, flush=True)
        assert not stream.isatty() and stream.stream is None


# -------------------------------------------------------------------------- one protocol, and help


def test_finetune_says_what_the_report_says(capsys):
    words = ["--labels", "10,20", "--seeds", "3", *QUICK, "--out", "run"]
    assert main(["pretrain", "labelled.npz", *words]) == 0
    accuracies = figures()["few_labels"]["test_accuracy"]
    verdict = next(line for line in capsys.readouterr().out.splitlines() if "With 20 lab" in line)
    assert main(["finetune", "run", "--labels", "20", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert verdict in out and "over 3 seeds" in out
    for name in (curves.PRETRAINED, curves.RANDOM):
        values = 100 * np.array(accuracies[name][1])
        assert f"| {name} | {values.mean():.1f} ± {values.std(ddof=1):.1f} |" in out
    assert main(["finetune", "run", "--quiet", "--epochs", "1", "--force"]) == 0
    assert "one seed: no spread known" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("sparse", ["--sparsity", "mean activity of each unit", "(0.1)"]),
        ("kmeans", ["--n-clusters", "options of --method kmeans"]),
        ("denoising", ["--noise-level"]),
    ],
)
def test_the_help_of_a_method_lists_its_options(method, words, capsys):
    with pytest.raises(SystemExit) as end:
        main(["pretrain", "--method", method, "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0 and all(word in text for word in words)


@pytest.mark.parametrize("out", ["there/classifier.npz", "x.npy/c.npz", "run"])
def test_a_place_where_nothing_can_be_written_is_refused_before_training(out, capsys):
    words = ["--labels", "10", "--seeds", "1", *QUICK, "--out", "run"]
    assert main(["pretrain", "labelled.npz", *words]) == 0
    capsys.readouterr()
    assert main(["finetune", "run", "--labels", "10", "--out", out]) == 2
    seen = capsys.readouterr()
    assert "seed" not in seen.out and out.partition("/")[0] in seen.err
