"""What a pretrained run of text gives to a task: its weights, its vocabulary, its sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minienc import language
from minienc.data.tokenizers import load_tokenizer
from minienc.runs.config import read_config
from minienc.tasks.start import Start
from minienc.training.archives import damage_is_told
from minienc.training.checkpoints import check_weights, read_archive


def read_start(run: str | Path, parts: str = "all") -> Start:
    """The tokenizer and the weights of a run of ``minienc pretrain``.

    Raises
    ------
    ValueError
        If it is no run on text, or not complete.
    """
    folder = Path(run)
    settings = read_config(folder)
    method = settings["method"]
    if method not in language.METHODS:
        raise ValueError(
            f"{folder} is a run of {method}, which has read no text; pretrain one with minienc "
            f"pretrain FOLDER --method denoising_seq2seq"
        )
    path = folder / "model.npz"
    if not (path.is_file() and path.stat().st_size):
        raise ValueError(
            f"{folder} has no model.npz yet: finish it with minienc pretrain --resume {folder}"
        )
    _, arrays = read_archive(path)
    weights = {name: a for name, a in arrays.items() if "/" in name}
    with damage_is_told(path, "it"):
        check_weights(str(path), weights, settings["dtype"])
    return Start(str(folder), load_tokenizer(folder / "tokenizer.json"), weights, parts)


def settings_of_start(run: str | Path) -> dict[str, Any]:
    """The parameters of a task whose network is as the run's, as far as that can be."""
    settings = read_config(Path(run))
    method = settings["method"]
    if method == "denoising_seq2seq":
        names = ("network", "width", "n_layers", "num_heads")  # whether to copy is the task's
        return {name: settings[name] for name in names}
    if method == "seq_autoencoder":
        return {"network": "gru", "width": settings["embedding"]}
    if method in ("masked_lm", "transformer_lm"):
        sizes = {name: settings[name] for name in ("n_layers", "num_heads")}
        return {"network": "transformer", "width": settings["embedding"], **sizes}
    return {}
