"""``minienc pretrain`` on text: learn to predict it, compare with counting, write the page.

    RUN/tokenizer.json     what the text was cut by: with model.npz, all that ``generate`` needs
    RUN/samples.json       what a language model wrote along the way

The other files are those of every run (``runs/__init__.py``).
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from minienc import __version__
from minienc.data.bpe import parts_of
from minienc.data.limits import memory_there
from minienc.data.pairs import has_sides, read_sides
from minienc.data.text import NAMED_TEXTS, read_text, split_text, text_files
from minienc.data.text_files import TextFiles, open_texts
from minienc.data.tokenizers import Tokenizer
from minienc.files import write_json
from minienc.gallery import text as gallery
from minienc.language import METHODS, KneserNey, LanguageModel, TextPretrainer, compressed_nats
from minienc.language.lm import bits
from minienc.report_text import TextReport, write_text_report
from minienc.runs.folder import new_folder, resumable, write_history
from minienc.runs.results import attempt
from minienc.runs.settings import (
    RENAMED,
    command_line,
    default_method,
    make_method,
    method_parameters,
    refuse_unknown,
)
from minienc.training.archives import damage_is_told, parse_json
from minienc.training.callbacks import Callback
from minienc.training.ranks import alone, is_first

PROSE = (".txt", ".text", ".md", ".rst", ".tex")  # endings of files that hold no numbers as a rule
# settings of every run on text, with their defaults
READING: dict[str, Any] = {"data": "shakespeare", "encoding": "utf-8", "held_out": 0.1}
RUNNING: dict[str, Any] = {"seed": 0, "dtype": "float32", "device": "cpu"}
N_GRAMS = (1, 2, 6)
LARGE = 64  # a text that is larger than this part of the memory is read in parts
HEAD = 5_000_000  # characters of such a text that are counted


class Text(NamedTuple):
    """A text in its two parts, and where it came from."""

    name: str
    source: str
    train: str | TextFiles  # files, where they are too large to be read as one
    valid: str


def is_text(said: dict[str, Any]) -> bool:
    """Whether a run is one on text."""
    return said.get("method", default_method(said.get("data"))) in METHODS


def hint(said: dict[str, Any]) -> str:
    """What to add to a refusal of data that may be meant as a text."""
    path = Path(said.get("data") or "")
    files = path.rglob("*") if path.is_dir() else [path]
    if "method" in said or not any(file.suffix.lower() in PROSE for file in files):
        return ""
    return f"; to learn from a text: --method {default_method('shakespeare')}"


def load_text(settings: dict[str, Any]) -> Text:
    """Read the text that the settings say, and hold out its end."""
    data = settings["data"]
    if METHODS[settings["method"]].reads_sides and data not in NAMED_TEXTS and has_sides(data):
        sides, held_out = read_sides(data)
        return Text(Path(data).stem, f"{data}: {', '.join(sides.sides)}", sides, held_out)
    if data in NAMED_TEXTS:
        whole, source = (
            NAMED_TEXTS[data](),
            "the plays of William Shakespeare, as A. Karpathy's file",
        )
    elif is_large(data):
        in_files, valid = open_texts(data, settings["encoding"]).split(settings["held_out"])
        return Text(Path(data).stem or "text", str(data), in_files, valid)
    else:
        whole, source = read_text(data, settings["encoding"]), str(data)
    train, valid = split_text(whole, settings["held_out"])
    return Text(Path(data).stem or "text", source, train, valid)


def is_large(data: str) -> bool:
    """Whether a text is read in parts: what is made of one as a whole takes many times its size."""
    there, path = memory_there(), Path(data)
    files = text_files(path) if path.is_dir() else [path] if path.is_file() else []
    return there is not None and sum(file.stat().st_size for file in files) > there // LARGE


def head(text: str | TextFiles) -> str:
    """What of a text is counted and shown: of one in files its first characters."""
    return text if isinstance(text, str) else text.head(HEAD)


def pretrain_text(said: dict[str, Any], *, out: str | None, force: bool, quiet: bool) -> Path:
    """Do a new run on text; return its folder."""
    settings = default_settings(said)
    text = load_text(settings)
    method = make_method(settings, quiet)
    method.check_params((settings["context"], 0))
    if settings["data"] not in NAMED_TEXTS:
        settings["data"] = os.path.abspath(settings["data"])
    config = {
        "minienc": __version__,
        "settings": settings,
        "preprocessing": {},
        "fingerprint": fingerprint(text),
    }
    name = f"{settings['method']}-{text.name}"
    with new_folder(out, name, force) as folder, resumable(folder):
        write_json(folder / "config.json", config)
        if not quiet:
            print(
                f"{text.name}: {len(text.train):,} characters to learn from, {len(text.valid):,} "
                f"to test\nrun folder: {folder}"
            )
        return run(folder, settings, text, quiet, resume=False)


def default_settings(said: dict[str, Any]) -> dict[str, Any]:
    """Fill in what was not said."""
    name = said.get("method", default_method(said.get("data")))
    settings = {**READING, "method": name, **RUNNING, **method_parameters(name)}
    said = {RENAMED.get(k, k): v for k, v in said.items()}
    refuse_unknown(name, said, settings)
    return settings | said


def fingerprint(text: Text) -> str:
    digest = hashlib.sha256()
    for part in parts_of(text.train):
        digest.update(part.encode("utf-8", "surrogatepass"))
    digest.update(text.valid.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def resume_text(folder: Path, config: dict[str, Any], quiet: bool) -> Path:
    """Go on with a run on text."""
    text = load_text(config["settings"])
    if config["fingerprint"] != fingerprint(text):
        raise ValueError(
            f"{text.source} holds another text than when {folder} began; bring it back, or begin "
            f"a new run"
        )
    return run(folder, config["settings"], text, quiet, resume=True)


def run(folder: Path, settings: dict[str, Any], text: Text, quiet: bool, resume: bool) -> Path:
    """Train (or go on), measure, write the results and, when they are safe, the page."""
    started = time.monotonic()
    method: Any = make_method(settings, quiet)
    tokenizer = _tokenizer(method, text)
    tokenizer.save(folder / "tokenizer.json")
    samples = Samples(folder / "samples.json", method, settings["seed"])
    method.fit(
        text.train,
        tokenizer=tokenizer,
        validation_data=text.valid or None,
        callbacks=[samples] if isinstance(method, LanguageModel) else [],
        checkpoint_dir=folder / "checkpoints",
        resume=resume,
    )
    if is_first():  # of several processes: it measures and writes
        with alone():
            _finish(folder, settings, text, method, time.monotonic() - started, quiet, samples)
    return folder


def _finish(
    folder: Path,
    settings: dict[str, Any],
    text: Text,
    method: TextPretrainer,
    seconds: float,
    quiet: bool,
    samples: Samples,
) -> None:
    """What a run leaves: models, history, results and, when they are safe, the page."""
    method.model_.save(folder / "model.npz")
    method.encoder_.save(folder / "encoder.npz")
    write_history(folder / "history.csv", method.history_)
    results = measure(method, text, seconds, (lambda line: None) if quiet else print)
    write_json(folder / "results.json", results)
    write_report(folder, settings, method, text, results, samples.read())
    print_results(folder, results)


def _tokenizer(method: TextPretrainer, text: Text) -> Tokenizer:
    """Characters are those of the whole file, as others who report figures of it do; words and byte
    pairs are learned from the part that is learned from."""
    if method.tokens != "characters":
        return method.new_tokenizer(text.train)
    if isinstance(text.train, str):
        return method.new_tokenizer(text.train + text.valid)
    return method.new_tokenizer(chain(text.train, [text.valid]))


class Samples(Callback):
    """After some epochs, what the model writes then: kept in a file, for a run may be resumed."""

    belongs_to_run = False

    def __init__(self, path: Path, method: LanguageModel, seed: int) -> None:
        self.path, self.method, self.seed = path, method, seed

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        n = self.trainer.epochs
        if n > 6 and (epoch + 1) % -(-n // 6) and epoch + 1 < n:
            return
        written = self.method.generate(length=300, random_state=self.seed)
        known = [s for s in self.read() if s["epoch"] <= epoch]
        loss = logs.get("val_loss", logs["loss"])
        known.append({"epoch": epoch + 1, "nats_per_token": loss, "text": written.lstrip("\n")})
        write_json(self.path, known)

    def read(self) -> list[dict[str, Any]]:
        """Those of a file that is whole, and no others."""
        try:
            with damage_is_told(self.path, "it"):
                return [dict(sample) for sample in parse_json(self.path.read_bytes())]
        except (OSError, ValueError, TypeError):
            return []


# ---------------------------------------------------------------------------------------- measured


def measure(method: Any, text: Text, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """The figures of a run, as ``results.json`` keeps them."""
    results: dict[str, Any] = {"training_seconds": round(seconds, 1), "steps": method.n_steps_}
    results["parameters"] = int(sum(p.size for p in method.model_.parameters_used()))
    if not text.valid:
        return results
    if not isinstance(method, LanguageModel):
        results["test_loss"] = -method.score(text.valid)
        return results
    known = head(text.train)
    first = "" if known is text.train else f" on the first {len(known):,} characters"
    say(f"comparing with counting, and with a compressor{first} ...")
    nats: dict[str, float] = {}
    for n in N_GRAMS:
        name = {1: "unigram", 2: "bigram"}.get(n, f"Kneser-Ney, order {n}")
        nats[name] = KneserNey(n).fit(known).nats_per_character(text.valid)
    nats["bzip2"] = compressed_nats(known, text.valid)
    nats[method.method] = method.nats_per_character(text.valid)
    results["evaluation"] = method.evaluation
    results["test_nats_per_character"] = nats
    results["test_bits_per_character"] = {name: bits(value) for name, value in nats.items()}
    return results


def print_results(folder: Path, results: dict[str, Any]) -> None:
    if "test_nats_per_character" in results:
        print(f"\n{'held-out text, a character:':<28} nats   bits   ({results['evaluation']})")
        for name, value in results["test_nats_per_character"].items():
            print(f"  {name:<26} {value:.3f}  {bits(value):.3f}")
    if "test_loss" in results:
        print(f"\nloss of the held-out text: {results['test_loss']:.4f}")
    print(
        f"\n{results['parameters']:,} parameters, {results['steps']:,} steps in "
        f"{results['training_seconds']:.0f} s; look at {folder / 'report.html'}"
    )


def write_report(
    folder: Path,
    settings: dict[str, Any],
    method: Any,
    text: Text,
    results: dict[str, Any],
    samples: list[dict[str, Any]],
) -> None:
    """The page; of a part that fails, it says so in its place."""
    missing: list[str] = []
    lines: list[str] = []
    method.model_.summary(print_fn=lines.append)
    part = text.valid or head(text.train)
    ids = lambda: method.tokenizer_.encode(part[:50_000])  # noqa: E731
    report = TextReport(
        title=f"{settings['method']} on {text.name}",
        command=command_line(settings, str(folder)),
        config={"minienc": __version__, "settings": settings},
        source=text.source,
        n_train=len(text.train),
        n_valid=len(text.valid),
        tokens=f"{len(method.tokenizer_):,} {method.tokens}",
        method=settings["method"],
        history=method.history_,
        results=results,
        samples=samples,
        neighbours=attempt(missing, "The neighbours", lambda: gallery.neighbours(method), []),
        pictures=attempt(
            missing, "The pictures of attention", lambda: gallery.pictures(method, ids()), []
        ),
        summary_text="\n".join(lines),
        missing=missing,
    )
    write_text_report(folder / "report.html", report)
