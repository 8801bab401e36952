"""``minienc generate``: a language model writes to the terminal, as it finds its words."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

import numpy as np

from minienc import language
from minienc.data.tokenizers import Tokenizer, UnknownTokenError, load_tokenizer
from minienc.language.generation import check_settings, first_prompt, generate_ids, pieces
from minienc.models import load_model
from minienc.runs.config import read_config


def generate_run(
    run_folder: str,
    prompt: str | None,
    length: int,
    temperature: float,
    top_k: int | None,
    top_p: float | None,
    stop: str | None,
    seed: int | None,
    unknown: str,
) -> None:
    """``minienc generate RUN``: the folder is all that is needed."""
    folder = Path(run_folder)
    check_settings(length, temperature, top_k, top_p)
    method = read_config(folder)["method"]
    if not issubclass(language.METHODS.get(method, object), language.LanguageModel):
        writers = [n for n, m in language.METHODS.items() if issubclass(m, language.LanguageModel)]
        raise ValueError(
            f"{folder} is a run of {method}, which does not write; these do: "
            f"{', '.join(sorted(writers))}"
        )
    if not ((folder / "model.npz").is_file() and (folder / "model.npz").stat().st_size):
        raise ValueError(
            f"{folder} has no model.npz yet: finish it with minienc pretrain --resume {folder}"
        )
    tokenizer, model = load_tokenizer(folder / "tokenizer.json"), load_model(folder / "model.npz")
    if seed is not None and seed < 0:
        raise ValueError(f"--seed is {seed}, expected a whole number from 0")
    given = _prompt(tokenizer, prompt, unknown)
    ids = generate_ids(
        model,
        tokenizer.encode(given),
        length,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        rng=np.random.default_rng(secrets.randbits(63) if seed is None else seed),
    )
    sys.stdout.write(given if prompt is not None else given.lstrip("\n"))
    for piece in pieces(tokenizer, ids, stop):
        sys.stdout.write(piece)
        sys.stdout.flush()
    sys.stdout.write("\n")


def _prompt(tokenizer: Tokenizer, said: str | None, unknown: str) -> str:
    """What was said, or what to begin with otherwise."""
    if said is None:
        return first_prompt(tokenizer)
    if not said:
        raise ValueError("--prompt is empty, expected a character at least")
    if unknown == "skip":
        said = "".join(c for c in said if _knows(tokenizer, c))
        if not said:
            raise ValueError("--prompt: the vocabulary has none of its characters")
    try:
        tokenizer.encode(said)
    except UnknownTokenError as error:
        raise ValueError(f"--prompt: {error}; --unknown skip leaves it out") from None
    return said


def _knows(tokenizer: Tokenizer, text: str) -> bool:
    try:
        return len(tokenizer.encode(text)) > 0
    except UnknownTokenError:
        return False
