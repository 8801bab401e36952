"""``minienc finetune --task translate | summarize``: learn from pairs, score, write the page.

RUN/task.json, tokenizer.json, weights.npz     all that ``translate`` and ``summarize`` need
RUN/config.json, checkpoints/                  what --resume goes on from
RUN/predictions.json                           the held-out texts, and what was written of them
RUN/results.json, history.csv, report.html
"""

from __future__ import annotations

import hashlib
import os
import shlex
import time
from pathlib import Path
from typing import Any

import numpy as np

from minienc import __version__
from minienc.arrays import check_device
from minienc.data.docstrings import PREFIX
from minienc.data.pairs import TextPairs, load_pairs
from minienc.files import write_json
from minienc.gallery import pairs as gallery
from minienc.report_pairs import Example, PairsReport, write_pairs_report
from minienc.runs.config import parsed_config
from minienc.runs.folder import held, is_complete, new_folder, resumable, write_history
from minienc.runs.pretrained import read_start, settings_of_start
from minienc.runs.results import attempt
from minienc.runs.settings import OWN, _value
from minienc.shapes import did_you_mean
from minienc.tasks.baselines import baseline_scores
from minienc.tasks.folder import save_task
from minienc.tasks.scores import bleu, chrf, rouge
from minienc.tasks.seq2seq import TASKS, PairsModel
from minienc.training.archives import damage_is_told, take, take_all

RUNNING: dict[str, Any] = {  # of every run of a task, beside the parameters of its class
    "limit": None,
    "parts": "all",
    "beam": 5,
    "no_repeat": 0,
    "seed": 0,
    "dtype": "float32",
    "device": "cpu",
}
# what suits a network better than the class's defaults: more epochs, and Muon, learn it faster
OF_NETWORK: dict[str, dict[str, Any]] = {
    "transformer": {"epochs": 30, "optimizer": "muon", "learning_rate": 0.02}
}


def finetune_pairs(
    run_folder: str | None, said: dict[str, Any], more: list[str], out: str | None, **how: bool
) -> Path:
    """Do a new run of a task; return its folder. ``said`` is what the options say."""
    settings = default_settings(run_folder, said, more)
    check_device(settings["device"])
    model = make_task(settings, how["quiet"])
    model.check_params(())
    data = load(settings)
    start = read_start(settings["run"], settings["parts"]) if settings["run"] else None
    config = {"minienc": __version__, "settings": settings, "fingerprint": fingerprint(data)}
    name = f"{settings['task']}-{data.name}"
    again = "minienc finetune --resume"
    with new_folder(out, name, how["force"]) as folder, resumable(folder, again):
        write_json(folder / "config.json", config)
        if not how["quiet"]:
            print(
                f"{data.name}: {len(data.train):,} pairs to learn from, {len(data.valid):,} held "
                f"out, {data.source} to {data.target}\nrun folder: {folder}"
            )
        return _run(folder, settings, model, data, start, how["quiet"], resume=False)


def resume_pairs(run: str, quiet: bool) -> Path:
    """Go on with a run of a task."""
    folder = Path(run)
    config = read_config(folder)
    settings = config["settings"]
    if is_complete(folder):
        print(f"{folder} is complete: see {folder / 'report.html'}")
        return folder
    with held(folder), resumable(folder, "minienc finetune --resume"):
        data = load(settings)
        if config["fingerprint"] != fingerprint(data):
            raise ValueError(
                f"{data.where} holds other pairs than when {folder} began; bring them back, or "
                f"begin a new run"
            )
        start = read_start(settings["run"], settings["parts"]) if settings["run"] else None
        with damage_is_told(folder / "config.json", "a setting"):
            model = make_task(settings, quiet)
            model.check_params(())
        return _run(folder, settings, model, data, start, quiet, resume=True)


# --------------------------------------------------------------------------------------- settings


def default_settings(
    run_folder: str | None, said: dict[str, Any], more: list[str]
) -> dict[str, Any]:
    """Fill in what was not said: by the pretrained run, or by the class of the task."""
    task = said["task"]
    if task not in TASKS:
        raise ValueError(f"--task is {task!r}, expected {' or '.join(TASKS)}")
    if not said.get("pairs"):
        raise ValueError(
            f"--task {task} needs --pairs: a folder with such as train.en and train.fr, a file of "
            f"pairs, two files, or {PREFIX}"
        )
    pairs = [p if p.startswith(PREFIX) else os.path.abspath(p) for p in said["pairs"]]
    run = None if run_folder is None else os.path.abspath(run_folder)
    parameters = {k: v for k, v in TASKS[task]._parameters().items() if k not in OWN}
    changed = settings_of_start(run) if run else {}
    for word in more:
        changed |= _setting(word, task, parameters)
    changed |= {k: v for k, v in said.items() if k in parameters and v is not None}
    network = changed.get("network", parameters["network"])
    suited = OF_NETWORK.get(network, {})
    if "optimizer" in changed:  # whose rate would be another
        suited = {k: v for k, v in suited.items() if k == "epochs"}
    parameters |= suited
    others = {k: said[k] if said.get(k) is not None else v for k, v in RUNNING.items()}
    sides = {k: said.get(k) for k in ("source", "target")}
    return {"task": task, "pairs": pairs, "run": run, **others, **parameters, **changed, **sides}


def _setting(word: str, task: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """NAME=VALUE of --set."""
    name, equals, text = word.partition("=")
    key = name.strip().replace("-", "_")
    if not equals or key not in parameters:
        mend = did_you_mean([key], parameters) or f"; it has {', '.join(parameters)}"
        raise ValueError(f"--set {word}: no parameter of {task}{mend}")
    return {key: _value(f"--set {name}", text, parameters[key])}


def make_task(settings: dict[str, Any], quiet: bool) -> PairsModel:
    """The task that the settings describe; its sides are known once the pairs are read."""
    cls = TASKS[settings["task"]]
    given = {k: settings[k] for k in cls._parameters() if settings.get(k) is not None}
    given |= {"random_state": settings["seed"], "verbose": 0 if quiet else 1}
    return cls(**given)


def load(settings: dict[str, Any]) -> TextPairs:
    """The pairs; of those to learn from as many as ``limit`` says, drawn by the seed."""
    pairs, limit = settings["pairs"], settings["limit"]
    data = load_pairs(
        pairs[0] if len(pairs) == 1 else pairs, settings["source"], settings["target"]
    )
    if limit is None:
        return data
    if not 1 <= limit <= len(data.train):
        raise ValueError(f"--limit is {limit}, expected 1 to {len(data.train)}, the pairs")
    drawn = np.random.default_rng(settings["seed"]).permutation(len(data.train))[:limit]
    return data._replace(train=[data.train[i] for i in np.sort(drawn)])


def fingerprint(data: TextPairs) -> str:
    digest = hashlib.sha256()
    for pairs in (data.train, data.valid):
        for source, target in pairs:
            digest.update(f"{source}\0{target}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a run of a task.

    Raises
    ------
    ValueError
        If the folder is no such run, or the file holds what no run has written.
    """
    config = parsed_config(folder)
    with damage_is_told(folder / "config.json", "it"):
        settings = take(config, "settings", dict, "its content")
        if take(settings, "task", str, "settings") not in TASKS:
            raise ValueError(f"settings: 'task' is none of {', '.join(TASKS)}")
        take(config, "fingerprint", str, "its content")
        take_all(settings, "pairs", str, "settings", least=1)
        for name in ("run", "source", "target"):
            take(settings, name, (str, type(None)), "settings")
        for name, default in (RUNNING | TASKS[settings["task"]]._parameters()).items():
            if name not in OWN or name in RUNNING:
                kinds: Any = (int, str, type(None)) if default is None else type(default)
                if name not in ("source", "target"):
                    take(settings, name, kinds, "settings")
    return config


def command_line(settings: dict[str, Any], out: str) -> str:
    """The command that repeats the run, every setting written out."""
    words = ["minienc", "finetune", *([settings["run"]] if settings["run"] else [])]
    words += ["--task", settings["task"], "--pairs", *settings["pairs"]]
    for name in ("source", "target", *RUNNING):
        if settings[name] is not None and name not in ("dtype",):
            words += ["--" + name.replace("_", "-"), str(settings[name])]
    for name in TASKS[settings["task"]]._parameters():
        if name in settings and name not in ("source", "target", *RUNNING):
            value = settings[name]
            text = {True: "yes", False: "no"}.get(value) if isinstance(value, bool) else value
            words += [] if value is None else ["--set", f"{name}={text}"]
    return shlex.join([*words, "--out", out])


# --------------------------------------------------------------------------------------- the run


def _run(
    folder: Path,
    settings: dict[str, Any],
    model: PairsModel,
    data: TextPairs,
    start: Any,
    quiet: bool,
    resume: bool,
) -> Path:
    """Train (or go on), score, write the results and, when they are safe, the page."""
    say = (lambda line: None) if quiet else print
    began = time.monotonic()
    model.set_params(source=data.source, target=data.target)
    (X, y), (X_valid, y_valid) = (zip(*pairs, strict=True) for pairs in (data.train, data.valid))
    model.fit(
        X,
        y,
        validation_data=(X_valid, y_valid),
        start=start,
        checkpoint_dir=folder / "checkpoints",
        resume=resume,
    )
    save_task(model, folder)
    write_history(folder / "history.csv", model.history_)
    seconds = time.monotonic() - began
    say(f"writing {len(X_valid):,} held-out texts, beam {settings['beam']} ...")
    written = model.predict(X_valid, beam=settings["beam"], no_repeat=settings["no_repeat"])
    examples = [
        Example(s, r, w, model._score([w], [r]))
        for s, r, w in zip(X_valid, y_valid, written, strict=True)
    ]
    write_json(folder / "predictions.json", [e._asdict() for e in examples])
    results = measure(model, settings, data, examples, seconds)
    write_json(folder / "results.json", results)
    _write_report(folder, settings, model, data, results, examples)
    print_results(folder, results)
    return folder


def measure(
    model: PairsModel,
    settings: dict[str, Any],
    data: TextPairs,
    examples: list[Example],
    seconds: float,
) -> dict[str, Any]:
    """The figures of a run, as ``results.json`` keeps them."""
    written, references = [e.written for e in examples], [e.reference for e in examples]
    results: dict[str, Any] = {
        "task": settings["task"],
        "pairs_train": len(data.train),
        "pairs_valid": len(data.valid),
        "parameters": int(model.model_.parameters.vector.size),
        "vocabulary": len(model.tokenizer_),
        "steps": model.n_steps_,
        "training_seconds": round(seconds, 1),
        "beam": settings["beam"],
        "start": settings["run"],
        "taken_over": len(model.taken_over_),
        "valid_nats_per_token": model.nats([e.source for e in examples], references),
    }
    if settings["task"] == "translate":
        scores = {"chrF": chrf(written, references)}
        try:
            found = bleu(written, references)
            scores = {"BLEU": found.score, **scores}
            results["bleu_signature"] = found.signature
        except ImportError as error:
            results["note"] = str(error)
    else:
        found_rouge = rouge(written, references)
        names = {"rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L"}
        scores = {names[k]: v for k, v in found_rouge.items()}
        results["baselines"] = baseline_scores([e.source for e in examples], references)
    return results | {"scores": scores}


def print_results(folder: Path, results: dict[str, Any]) -> None:
    print(f"\nheld-out pairs ({results['pairs_valid']:,}), beam {results['beam']}:")
    for name, value in results["scores"].items():
        print(f"  {name:<40} {value:.1f}")
    for name, found in results.get("baselines", {}).items():
        print(f"  {'ROUGE-L of the ' + name:<40} {found['rougeL']:.1f}")
    for key in ("bleu_signature", "note"):
        if key in results:
            print(f"  {results[key]}")
    print(
        f"\n{results['parameters']:,} parameters, {results['steps']:,} steps in "
        f"{results['training_seconds']:.0f} s; look at {folder / 'report.html'}, and try\n"
        f"minienc {results['task']} {folder} "
        + ('"..."' if results["task"] == "translate" else "FILE")
    )


def _write_report(
    folder: Path,
    settings: dict[str, Any],
    model: PairsModel,
    data: TextPairs,
    results: dict[str, Any],
    examples: list[Example],
) -> None:
    """The page; of a part that fails, it says so in its place."""
    missing: list[str] = []
    lines: list[str] = []
    model.model_.summary(print_fn=lines.append)
    in_order = sorted(examples, key=lambda e: e.score)
    drawn = np.random.default_rng(settings["seed"]).permutation(len(examples))[:10]
    short = [e for e in examples if len(e.source) < 120] or examples
    shown = [e.source for e in short[:40]], [e.written for e in short[:40]]
    report = PairsReport(
        title=f"{settings['task']}: {data.name}, {data.source} to {data.target}",
        command=command_line(settings, str(folder)),
        config={"minienc": __version__, "settings": settings},
        said={
            "data": f"{len(data.train):,} pairs to learn from, {len(data.valid):,} held out",
            "network": f"{settings['network']}, {results['parameters']:,} parameters",
            "tokens": f"{results['vocabulary']:,} byte pairs, one vocabulary for both sides",
            "training": f"{results['training_seconds']:.0f} s, {results['steps']:,} steps",
            "source": data.where,
        },
        results=results,
        history=model.history_,
        examples=[examples[i] for i in drawn],
        best=in_order[::-1][:5],
        worst=in_order[:5],
        pictures=attempt(missing, "Alignments", lambda: gallery.alignments(model, *shown), []),
        curve=attempt(
            missing,
            "The score's curve",
            lambda: gallery.score_curve(model.history_, model.score_name),
            [],
        ),
        missing=missing,
        summary_text="\n".join(lines),
    )
    write_pairs_report(folder / "report.html", report)
