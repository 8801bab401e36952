"""``minienc pretrain`` on text, and ``minienc generate``: as somebody at a terminal meets them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minienc.cli import main
from minienc.language import METHODS

TEXT = "Look: the cat sat on the mat.\nThe rat sat on the cat.\n" * 40
QUICK = ["--epochs=2", "--steps-per-epoch=6", "--batch-size=4", "--context=8", "--quiet"]
SMALL = {
    "rnn_lm": ["--hidden", "6", "--embedding", "5"],
    "conv_lm": ["--filters", "5", "--embedding", "6", "--n-layers", "2"],
    "conv_rnn_lm": ["--hidden", "6", "--embedding", "5", "--filters", "4"],
    "transformer_lm": ["--embedding", "8", "--n-layers", "2", "--num-heads", "2"],
    "masked_lm": ["--embedding", "8", "--n-layers", "1", "--num-heads", "2"],
    "word_vectors": ["--embedding", "5", "--vocab-size", "20"],
    "seq_autoencoder": ["--units", "6", "--embedding", "5", "--code", "4"],
    "denoising_seq2seq": ["--width", "6", "--vocab-size", "264"],
}


@pytest.fixture
def text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my text.txt").write_text(TEXT)
    return "my text.txt"


def pretrain(text, method, out, *more):
    return main(["pretrain", text, "--method", method, *QUICK, *SMALL[method], "--out", out, *more])


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_leaves_a_run_and_a_page(text, method, capsys):
    assert pretrain(text, method, "run") == 0
    results = json.load(open("run/results.json"))
    page = open("run/report.html").read()
    assert "could not be" not in page and "Traceback" not in page
    assert {"model.npz", "encoder.npz", "tokenizer.json", "history.csv"} <= set(os.listdir("run"))
    if "test_nats_per_character" in results:
        assert list(results["test_nats_per_character"]) == [
            "unigram", "bigram", "Kneser-Ney, order 6", "bzip2", method,
        ]  # fmt: skip
        for said in (results["evaluation"], "What it wrote", "which does but count"):
            assert said in page
        assert len(json.load(open("run/samples.json"))) == 2
    else:
        assert np.isfinite(results["test_loss"])
    assert ("head 1" in page) == (method == "transformer_lm") or "Whom each head" in page
    assert "run/report.html" in capsys.readouterr().out
    assert main(["pretrain", "--resume", "run"]) == 0  # which is complete


def test_generate_needs_the_folder_alone(text, capsys):
    assert pretrain(text, "rnn_lm", "run") == 0
    os.rename("run", "elsewhere")
    os.remove(text)
    capsys.readouterr()
    assert main(["generate", "elsewhere", "--prompt", "The", "--length", "20", "--seed", "1"]) == 0
    one = capsys.readouterr().out
    assert one.startswith("The") and len(one) == 24
    assert main(["generate", "elsewhere", "--prompt", "The", "--length", "20", "--seed", "1"]) == 0
    assert capsys.readouterr().out == one
    for more in (["--temperature", "0"], ["--top-k", "3"], ["--top-p", "0.5"], ["--stop", "t"]):
        assert main(["generate", "elsewhere", "--length", "9", *more]) == 0
    assert "t" not in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--prompt", "Thé cat"], "character 'é' at place 2"),
        (["--prompt", ""], "--prompt is empty"),
        (["--temperature", "-1"], "temperature is -1.0"),
        (["--top-k", "0"], "top_k is 0"),
        (["--top-p", "2"], "top_p is 2.0"),
        (["--length", "-3"], "length is -3"),
        (["--seed", "-1"], "--seed is -1"),
        (["--prompt", "éé", "--unknown", "skip"], "none of its characters"),
    ],
)
def test_what_generate_refuses(text, capsys, more, said):
    assert pretrain(text, "rnn_lm", "run") == 0
    assert main(["generate", "run", *more]) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_prompt_may_leave_out_what_is_unknown(text, capsys):
    assert pretrain(text, "conv_lm", "run") == 0
    capsys.readouterr()
    said = ["--prompt", "Thé", "--unknown", "skip", "--length", "3"]
    assert main(["generate", "run", *said]) == 0
    assert capsys.readouterr().out.startswith("Th")


def test_what_does_not_write_says_so(text, capsys):
    assert pretrain(text, "word_vectors", "run") == 0
    assert main(["generate", "run"]) == 2
    assert "which does not write" in capsys.readouterr().err
    assert main(["generate", "nowhere"]) == 2
    assert "not a run folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "more", "said"),
    [
        (b"", [], "there is no text in it"),
        (b"ab", [], "expected more than a window"),
        (b"caf\xe9 " * 100, [], "byte 3 is 0xe9, which is no utf-8"),
        (TEXT.encode(), ["--encoding", "klingon"], "which Python does not know"),
        (TEXT.encode(), ["--held-out", "1"], "expected a share"),
        (TEXT.encode(), ["--resize", "8"], "--resize is not for --method rnn_lm"),
        (TEXT.encode(), ["--cell", "elman"], "cell is 'elman'"),
        (TEXT.encode(), ["--tokens", "letters"], "tokens is 'letters'"),
        (TEXT.encode(), ["--batch-size", "4000"], "too few for 4000 streams"),
        (TEXT.encode(), ["--labels", "10"], "--labels is not for --method rnn_lm"),
    ],
)
def test_what_pretrain_refuses_of_a_text(text, capsys, content, more, said):
    open(text, "wb").write(content)
    assert pretrain(text, "rnn_lm", "run", *more) == 2
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_a_text_without_a_method_is_told_the_way(text, capsys):
    assert main(["pretrain", text]) == 2
    assert capsys.readouterr().err.endswith("; to learn from a text: --method rnn_lm\n")
    os.mkdir("texts")
    os.rename(text, "texts/one.md")
    assert main(["pretrain", "texts"]) == 2
    assert "--method rnn_lm" in capsys.readouterr().err
    open("t.csv", "w").write("a,b\n1,x y\n")
    assert main(["pretrain", "t.csv"]) == 2
    assert "--method" not in capsys.readouterr().err


def test_an_encoding_may_be_said_and_a_folder_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("texts")
    content = ("café au lait, déjà vu. " * 30).encode("latin-1")
    for i in range(3):
        (tmp_path / "texts" / f"{i}.txt").write_bytes(content)
    assert pretrain("texts", "rnn_lm", "run", "--encoding", "latin-1") == 0
    vocabulary = json.load(open("run/tokenizer.json"))["vocabulary"]
    assert "é" in vocabulary and "à" in vocabulary


def test_a_changed_text_is_no_text_to_go_on_with(text, capsys):
    assert pretrain(text, "conv_lm", "run") == 0
    os.remove("run/results.json")
    open(text, "a").write("more")
    assert main(["pretrain", "--resume", "run"]) == 2
    assert "another text than when run began" in capsys.readouterr().err


def test_ctrl_c_says_how_to_go_on_and_the_end_is_the_same(text):
    command = [sys.executable, "-m", "minienc", "pretrain", text, "--method", "rnn_lm"]
    small = ["--epochs", "30", "--steps-per-epoch", "20", "--context", "8", *SMALL["rnn_lm"]]
    subprocess.run([*command, *small, "--out", "whole"], check=True, capture_output=True)
    process = subprocess.Popen(
        [*command, *small, "--out", "cut"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not os.path.exists("cut/checkpoints/checkpoint.npz"):
        time.sleep(0.01)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, error = process.communicate()
    if process.returncode:  # it may have been done by then
        assert process.returncode == 130 and b"minienc pretrain --resume cut" in error
        assert main(["pretrain", "--resume", "cut", "--quiet"]) == 0
    one, two = (np.load(f"{run}/model.npz") for run in ("whole", "cut"))
    for name in one.files:
        np.testing.assert_array_equal(one[name], two[name])


def test_a_hostile_tokenizer_is_refused(text, capsys):
    assert pretrain(text, "conv_lm", "run") == 0
    for content in ("{", "[]", '{"format": "minienc tokenizer", "kind": "characters"}'):
        open("run/tokenizer.json", "w").write(content)
        assert main(["generate", "run"]) == 2
        assert "tokenizer" in capsys.readouterr().err
    config = json.load(open("run/config.json"))
    config["settings"]["method"] = "nothing"
    json.dump(config, open("run/config.json", "w"))
    assert main(["generate", "run"]) == 2
    assert "'method' is" in capsys.readouterr().err


def test_the_help_lists_the_methods_of_text_and_their_options(capsys):
    with pytest.raises(SystemExit):
        main(["pretrain", "shakespeare", "--help"])
    said = capsys.readouterr().out
    assert "options of --method rnn_lm" in said and "--steps-per-epoch" in said
    assert "transformer_lm" in said
