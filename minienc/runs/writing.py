"""``minienc translate`` and ``minienc summarize``: the folder of the run is all that is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from minienc.data.pairs import read_lines
from minienc.tasks.folder import load_task
from minienc.tasks.seq2seq import PairsModel

AT_A_TIME = 32  # lines of a long file


def translate_run(
    run_folder: str,
    texts: list[str],
    file: str | None,
    beam: int | None,
    no_repeat: int | None,
) -> None:
    """Print the translation of each text."""
    model = _model(run_folder, "translate")
    if texts and file:
        raise ValueError("translate: a TEXT and --file were given, expected one of them")
    _print(model, texts or _lines(file or "-"), beam, no_repeat)


def summarize_run(
    run_folder: str, file: str, lines: bool, beam: int | None, no_repeat: int | None
) -> None:
    """Print the summary of a file, or of each of its lines."""
    model = _model(run_folder, "summarize")
    texts = _lines(file)
    if not lines:
        texts = [" ".join(" ".join(texts).split())]
    _print(model, texts, beam, no_repeat)


def _model(run_folder: str, task: str) -> PairsModel:
    folder = Path(run_folder)
    checkpoints = (folder / "config.json").is_file() and not (folder / "weights.npz").is_file()
    if checkpoints and (folder / "checkpoints").is_dir():
        raise ValueError(
            f"{folder} has no weights.npz yet: finish it with minienc finetune --resume {folder}, "
            f"if it is a run of --task {task}"
        )
    model = load_task(folder)
    if model.task != task:
        raise ValueError(f"{folder} is a run of {model.task}: minienc {model.task} {folder} ...")
    return model


def _lines(file: str) -> list[str]:
    if file != "-":
        return read_lines(file)
    if sys.stdin is None or sys.stdin.isatty():
        print("a text, then Ctrl-D:", file=sys.stderr)
    return [line.rstrip("\r\n") for line in sys.stdin or ()]


def _print(model: PairsModel, texts: list[str], beam: int | None, no_repeat: int | None) -> None:
    if not any(text.strip() for text in texts):
        raise ValueError(f"{model.task}: there is no text")
    if model.task == "translate":  # a summary is of a text's beginning anyway
        for n, text in enumerate(texts, 1):
            n_tokens = len(model.tokenizer_.encode(text))
            if n_tokens > model.most_source:
                print(
                    f"note: text {n} has {n_tokens} tokens, of which the first "
                    f"{model.most_source} are read; give it in sentences",
                    file=sys.stderr,
                )
    for text in _written(model, texts, 5 if beam is None else beam, no_repeat or 0):
        print(text, flush=True)


def _written(model: PairsModel, texts: list[str], beam: int, no_repeat: int) -> Iterator[str]:
    """A line for each text; of an empty one an empty line. What a terminal would obey is left
    out."""
    for k in range(0, len(texts), AT_A_TIME):
        part = texts[k : k + AT_A_TIME]
        full = [text.strip() for text in part if text.strip()]
        found = iter(model.predict(full, beam=beam, no_repeat=no_repeat))
        for text in part:
            line = next(found) if text.strip() else ""
            yield " ".join("".join(c if c.isprintable() else " " for c in line).split())
