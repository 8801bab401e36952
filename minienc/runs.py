"""A run of ``minienc pretrain`` and the folder that it leaves.

    RUN/config.json        everything that is needed to repeat the run
    RUN/checkpoints/       the state of training, for --resume
    RUN/model.npz          the whole model; RUN/encoder.npz its encoder
    RUN/history.csv        the losses of each epoch
    RUN/results.json       the figures; written last: its presence says that the run is complete
    RUN/report.html        the page to look at

``config.json`` is written before training begins, so that a run that was killed at any moment
can be resumed from the folder alone.
"""

from __future__ import annotations

import json
import shlex
import shutil
import time
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from minienc import __version__
from minienc.arrays import check_device
from minienc.data import Dataset, load_dataset
from minienc.files import atomic_write, ensure_writable_folder, write_json
from minienc.finetuning import few_label_curve, finetune
from minienc.finetuning.classifier import MODES
from minienc.finetuning.curve import FROM_RANDOM, draw_labelled
from minienc.models import Model, clone_model, load_model
from minienc.pretraining import METHODS, PCA, MeanSample, Pretrainer
from minienc.pretraining.base import as_samples, iterate_samples
from minienc.report import RunReport, few_label_verdicts, write_report

N_SHOWN = 5000  # samples on the map of the codes


# ----------------------------------------------------------------------------------- the settings


RENAMED = {"lr": "learning_rate"}  # options whose parameter has a longer name
YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}
OWN = ("random_state", "verbose", "dtype", "device")  # parameters that the run itself gives


def method_class(name: str) -> type[Pretrainer]:
    """The method of this name on the command line."""
    if name not in METHODS:
        raise ValueError(f"--method is {name!r}, expected one of {', '.join(sorted(METHODS))}")
    return METHODS[name]


def method_parameters(name: str) -> dict[str, Any]:
    """The parameters of a method that may be said, with their defaults."""
    parameters = method_class(name)._parameters()
    return {k: p.default for k, p in parameters.items() if k not in OWN}


def default_settings(said: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Fill in what was not said: good settings for this data."""
    name = said.get("method", "autoencoder")
    settings: dict[str, Any] = {
        "data": "digits",
        "data_dir": None,
        "method": name,
        "labels": None,
        "seeds": 5,
        "seed": 0,
        "dtype": "float32",
        "device": "cpu",
    }
    parameters = method_parameters(name)
    suggested = method_class(name).suggest(
        len(dataset.x), dataset.sample_shape, _in_unit_interval(dataset.x)
    )
    parameters.update({k: v for k, v in suggested.items() if k in parameters})
    if "batch_size" in parameters:  # as it suits many samples; there may be fewer
        parameters["batch_size"] = min(parameters["batch_size"], len(dataset.x))
    said = {RENAMED.get(k, k): v for k, v in said.items()}
    if "noise" in said:
        said.update(_noise(said["noise"], parameters))
    for flag in said:
        if flag not in settings and flag not in parameters:
            raise ValueError(_not_for(name, flag))
    settings.update(parameters)
    settings.update(said)
    if dataset.y is None:
        if settings["labels"]:
            raise ValueError(f"--labels was given, but {dataset.name} has no labels")
        settings["labels"] = ()
    elif settings["labels"] is None:
        n_classes = int(dataset.y.max()) + 1
        settings["labels"] = tuple(k for k in (10, 100, 1000) if n_classes <= k <= len(dataset.x))
    return settings


def take_options(
    name: str, words: list[str], known: Collection[str]
) -> tuple[dict[str, Any], list[str]]:
    """Take ``--name value`` and ``--name=value`` of a method's own parameters out of the words.

    A value becomes what the parameter's default is: a number, several, a word, or yes and no (and
    a switch without a value is a yes).

    Returns
    -------
    options : dict
    rest : list of str
        The words with the options in ``known``, and what belongs to them.
    """
    parameters = method_parameters(name)
    options: dict[str, Any] = {}
    rest, words = [], list(words)
    while words:
        word = words.pop(0)
        flag, equals, text = word.partition("=")
        if not flag.startswith("--") or flag in known:
            rest.append(word)
            continue
        key = flag.removeprefix("--").replace("-", "_")
        if key not in parameters:
            raise ValueError(_not_for(name, flag, known))
        default = parameters[key]
        if not equals:
            has_value = bool(words) and not words[0].startswith("--")
            if isinstance(default, bool):
                has_value = has_value and words[0].lower() in YES_OR_NO
            elif not has_value:
                raise ValueError(f"{flag} needs a value, such as {default!r}")
            text = words.pop(0) if has_value else "yes"
        options[key] = _value(flag, text, default)
    return options, rest


def _value(flag: str, text: str, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            return YES_OR_NO[text.lower()]
        if isinstance(default, (tuple, list)):
            return tuple(int(part) for part in text.split(","))
        if isinstance(default, (int, float)):
            return type(default)(text)
    except (ValueError, KeyError):
        raise ValueError(f"{flag} is {text!r}, expected such as {default!r}") from None
    for convert in (int, float):  # a default of None, or a word
        try:
            return convert(text) if default is None else text
        except ValueError:
            continue
    return text


def _not_for(name: str, flag: str, known: Collection[str] = ()) -> str:
    flag = "--" + flag.removeprefix("--").replace("_", "-")
    own = ["--" + k.replace("_", "-") for k in method_parameters(name)]
    likely = get_close_matches(flag, [*own, *known], n=1, cutoff=0.8)
    if likely:
        return f"{flag} is no option; {likely[0]} is"
    return f"{flag} is not for --method {name}, which takes {', '.join(own)}"


def _noise(said: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """masking:0.3 is the noise "masking" at the level 0.3."""
    kind, _, level = said.partition(":")
    noise: dict[str, Any] = {"noise": kind}
    if level and "noise_level" in parameters:
        noise["noise_level"] = _level(said, level)
    return noise


def _check_settings(settings: dict[str, Any], dataset: Dataset) -> None:
    """Refuse what does not fit this data; the rest is the method's to check."""
    n = len(dataset.x)
    if "batch_size" in settings and not 1 <= settings["batch_size"] <= n:
        raise ValueError(
            f"--batch-size is {settings['batch_size']}, expected 1 to {n}, the training samples"
        )
    if settings["seeds"] < 1 or settings["seed"] < 0:
        raise ValueError("--seeds must be at least 1, and --seed at least 0")
    for k in settings["labels"]:
        n_classes = int(dataset.y.max()) + 1  # type: ignore[union-attr]
        if not n_classes <= k <= n:
            raise ValueError(
                f"--labels has {k}, expected at least {n_classes}, one for each class, and at most "
                f"{n}, the training samples"
            )


def _in_unit_interval(X: Any) -> bool:
    return all(
        batch.min() >= 0 and batch.max() <= 1 for batch in iterate_samples(X, dtype=np.float32)
    )


def make_method(settings: dict[str, Any], quiet: bool) -> Pretrainer:
    """The estimator that the settings describe."""
    method = method_class(settings["method"])
    given = {k: settings[k] for k in method._parameters() if k in settings}
    given = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    given |= {"random_state": settings["seed"], "verbose": 0 if quiet else 1}
    return method(**given)


def _level(noise: str, level: str) -> float:
    try:
        return float(level)
    except ValueError:
        raise ValueError(f"--noise is {noise!r}, expected such as masking:0.3") from None


def command_line(settings: dict[str, Any], out: str) -> str:
    """The command that repeats the run, every setting written out."""
    words = ["minienc", "pretrain", settings["data"]]
    defaults = method_parameters(settings["method"])
    for name, value in settings.items():
        if name == "data" or value is None or (value is False and not defaults.get(name)):
            continue
        flag = "--" + name.replace("_", "-")
        if value is True:
            words.append(flag)
        elif value is False:
            words += [flag, "no"]
        elif isinstance(value, (list, tuple)):
            words += [flag, ",".join(map(str, value))] if value else []
        else:
            words += [flag, f"{value}"]
    return shlex.join([*words, "--out", out])


# ------------------------------------------------------------------------------------- the folder


def pretrain(said: dict[str, Any], *, out: str | None, force: bool, quiet: bool) -> Path:
    """Do a new run; return its folder."""
    check_device(said.get("device", "cpu"))  # before the data, which may take a while to read
    dataset = _load(said)
    settings = default_settings(said, dataset)
    _check_settings(settings, dataset)  # before anything is written
    make_method(settings, quiet).check_params(dataset.n_features)
    folder = _new_folder(out, f"{settings['method']}-{dataset.name}", force)
    write_json(folder / "config.json", {"minienc": __version__, "settings": settings})
    return _run(folder, settings, dataset, quiet)


def resume(run: str, *, quiet: bool) -> Path:
    """Go on with a run that was interrupted."""
    folder = Path(run)
    settings = read_config(folder)
    if (folder / "results.json").exists():
        print(f"{folder} is complete: see {folder / 'report.html'}")
        return folder
    return _run(folder, settings, _load(settings), quiet)


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a run."""
    path = folder / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} is not a run folder: it has no config.json")
    try:
        return json.loads(path.read_text(encoding="utf-8"))["settings"]
    except (json.JSONDecodeError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: damaged: {error}") from error


def _load(settings: dict[str, Any]) -> Dataset:
    """The data, with a part kept for testing: always the same one."""
    where = (settings.get("data"), settings.get("data_dir"))
    dataset = load_dataset(*where, dtype=settings.get("dtype", "float32"))
    return dataset if dataset.test_x is not None else dataset.split(test_fraction=0.2, seed=0)


def _new_folder(out: str | None, name: str, force: bool) -> Path:
    """Make the folder: a new one, or with ``force`` an old run's, emptied."""
    if out is None:
        number = 1
        while (folder := Path("runs") / f"{name}-{number}").exists():
            number += 1
    else:
        folder = Path(out)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            if not force:
                raise ValueError(f"{folder} exists already; --force replaces the run in it")
            if not (folder / "config.json").is_file():
                raise ValueError(f"{folder} is no run folder, so --force does not touch it")
            for name in ("results.json", "config.json", "model.npz", "encoder.npz"):
                (folder / name).unlink(missing_ok=True)
            shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return ensure_writable_folder(folder)


# ---------------------------------------------------------------------------------------- the run


def _run(folder: Path, settings: dict[str, Any], dataset: Dataset, quiet: bool) -> Path:
    """Train (or go on), measure, write the results and the page."""
    say = (lambda line: None) if quiet else print
    say(_describe(dataset, folder))
    started = time.monotonic()
    method = make_method(settings, quiet)
    try:
        method.fit(
            dataset.x,
            validation_data=dataset.test_x,
            checkpoint_dir=folder / "checkpoints",
            resume=True,
        )
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"minienc pretrain --resume {shlex.quote(str(folder))}") from None
    method.model_.save(folder / "model.npz")
    method.encoder_.save(folder / "encoder.npz")
    _write_history(folder / "history.csv", method.history_)
    seconds = time.monotonic() - started
    errors: list[tuple[str, float]] = []
    if method.restores:
        say("comparing with the mean sample and with principal components ...")
        width = method.encoder_.outputs[0].sample_shape[-1]
        pca = PCA(width).fit(dataset.x)
        mean = MeanSample().fit(dataset.x)
        errors = [
            (name, float(model.reconstruction_error(dataset.test_x)))
            for name, model in (
                ("mean sample", mean),
                (f"PCA, {pca.components_.shape[0]} components", pca),
                (f"{settings['method']}, code of {width}", method),
            )
        ]
    measures = method.measures(dataset.test_x, dataset.test_y)
    curve = None
    if settings["labels"]:
        say("fine-tuning with a few labels, and the control arms ...")
        curve = few_label_curve(
            method.encoder_,
            dataset.x,
            dataset.y,
            dataset.test_x,
            dataset.test_y,
            labels=settings["labels"],
            seeds=range(settings["seeds"]),
            progress=say,
        )
    _write_report(folder, settings, dataset, method, errors, measures, curve, seconds)
    write_json(
        folder / "results.json",
        {
            "test_squared_error_per_sample": dict(errors),
            "test_measures": measures,
            "training_seconds": round(seconds, 1),
            "few_labels": None
            if curve is None
            else {
                "labels": curve.labels,
                "seeds": curve.seeds,
                "test_accuracy": {name: a.tolist() for name, a in curve.arms.items()},
            },
        },
    )
    _print_results(folder, dataset, errors, measures, curve, seconds)
    return folder


def _write_history(path: Path, history: dict[str, list[float]]) -> None:
    lines = [",".join(["epoch", *history])]
    for epoch, values in enumerate(zip(*history.values(), strict=True)):
        lines.append(",".join([str(epoch), *map(repr, values)]))
    with atomic_write(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _describe(dataset: Dataset, folder: Path) -> str:
    shape = " x ".join(map(str, dataset.sample_shape))
    labels = "" if dataset.y is None else "; the labels are kept for later"
    return (
        f"{dataset.name}: {len(dataset.x):,} samples to train on, {len(dataset.test_x):,} to test, "
        f"each {shape}{labels}\nrun folder: {folder}"
    )


def _print_results(
    folder: Path,
    dataset: Dataset,
    errors: list[tuple[str, float]],
    measures: dict[str, float],
    curve: Any,
    seconds: float,
) -> None:
    if errors:
        print(f"\nsquared error per test sample, summed over {dataset.n_features} features:")
    for name, value in errors:
        print(f"  {name:<32} {value:9.4g}")
    if measures:
        print("\nof the test samples:")
    for name, value in measures.items():
        print(f"  {name:<46} {value:9.4g}")
    if curve is not None:
        print(f"\nmean and standard deviation over {len(curve.seeds)} seeds:\n{curve.table()}\n")
        print("\n".join(few_label_verdicts(curve)))
    print(f"\ntrained in {seconds:.0f} s; look at {folder / 'report.html'}")


def _write_report(
    folder: Path,
    settings: dict[str, Any],
    dataset: Dataset,
    method: Any,
    errors: list[tuple[str, float]],
    measures: dict[str, float],
    curve: Any,
    seconds: float,
) -> None:
    shown = as_samples(dataset.test_x[: min(10, len(dataset.test_x))])
    codes = method.transform(dataset.test_x[:N_SHOWN])
    lines: list[str] = []
    method.model_.summary(print_fn=lines.append)
    report = RunReport(
        title=f"{settings['method']} on {dataset.name}",
        command=command_line(settings, str(folder)),
        config={"minienc": __version__, "settings": settings},
        dataset=dataset.name,
        source=dataset.source,
        n_train=len(dataset.x),
        n_test=len(dataset.test_x),
        n_features=dataset.n_features,
        method=settings["method"],
        history=method.history_,
        errors=errors,
        measures=measures,
        image_shape=_image_shape(dataset.sample_shape),
        originals=np.asarray(shown),
        restored=method.reconstruct(shown) if method.restores else None,
        noisy=_noisy(method, shown),
        filters=method.filter_matrix(),
        pictures=method.pictures(
            as_samples(dataset.test_x[:N_SHOWN]), _image_shape(dataset.sample_shape)
        ),
        codes_2d=codes if codes.shape[1] == 2 else PCA(2).fit(codes).transform(codes),
        labels=None if dataset.test_y is None else dataset.test_y[:N_SHOWN],
        class_names=dataset.class_names,
        few_label=curve,
        seconds=seconds,
        summary_text="\n".join(lines),
    )
    write_report(folder / "report.html", report)


def _image_shape(shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """(H, W) or (H, W, C), if the samples are images."""
    if len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 3)):
        return tuple(shape[:2]) if shape[-1] == 1 and len(shape) == 3 else tuple(shape)
    return None


def _noisy(method: Any, shown: np.ndarray) -> np.ndarray | None:
    """What a denoising method was given, for the samples that are shown."""
    first = method.model_.layers[0] if method.model_.layers else None
    if first is None or not first.uses_rng:
        return None
    return first.forward(np.asarray(shown, method.dtype), rng=np.random.default_rng(0))[0]


# ------------------------------------------------------------------------- what is done with a run


def finetune_run(
    run_folder: str,
    labels: int | None,
    mode: str,
    layer_decay: float,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    device: str | None,
    out: str | None,
    force: bool,
    quiet: bool,
) -> None:
    """``minienc finetune RUN``."""
    check_device(device or "cpu")
    folder = Path(run_folder)
    settings = read_config(folder)
    path = Path(out) if out else folder / "classifier.npz"
    _refuse_existing(path, force)
    if mode not in MODES:
        raise ValueError(f"--mode is {mode!r}, expected one of {', '.join(MODES)}")
    encoder = _read_encoder(folder).to(device or "cpu")
    dataset = _load(settings)
    if dataset.y is None:
        raise ValueError(f"{dataset.name} has no labels to fine-tune with")
    n = len(dataset.y) if labels is None else labels
    if not 1 <= n <= len(dataset.y):
        raise ValueError(f"--labels is {n}, expected 1 to {len(dataset.y)}")
    chosen = draw_labelled(dataset.y, n, np.random.default_rng(seed))
    X, X_test = as_samples(dataset.x)[chosen], as_samples(dataset.test_x)
    blank = clone_model(encoder)
    blank.initialize(seed)
    accuracy = {}
    pretrained = {"mode": mode, "layer_decay": layer_decay}
    for name, start, how in (
        ("pretrained", encoder, pretrained),
        ("random weights", blank, FROM_RANDOM),
    ):
        model = finetune(
            start,
            X,
            dataset.y[chosen],
            n_classes=int(dataset.y.max()) + 1,
            **how,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=lr,
            random_state=seed,
            verbose=0 if quiet else 1,
        )
        accuracy[name] = model.evaluate(X_test, dataset.test_y, return_dict=True)["accuracy"]
        if start is encoder:
            model.save(path)
    print(f"test accuracy with {n:,} labels:")
    for name, value in accuracy.items():
        print(f"  {name:<16} {100 * value:5.1f} %")
    print(f"the classifier is in {path}")


def encode_run(
    run_folder: str,
    data: str,
    data_dir: str | None,
    device: str | None,
    out: str,
    force: bool,
) -> None:
    """``minienc encode RUN DATA``."""
    check_device(device or "cpu")
    path = Path(out)
    _refuse_existing(path, force)
    encoder = _read_encoder(Path(run_folder)).to(device or "cpu")
    dataset = load_dataset(data, data_dir, dtype=encoder.dtype)
    X = as_samples(dataset.x)
    expected = encoder.inputs[0].sample_shape[0]
    if X.shape[1] != expected:
        raise ValueError(
            f"{dataset.name} has {X.shape[1]} features, the encoder of {run_folder} takes "
            f"{expected}"
        )
    codes = encoder.predict(X, batch_size=1000)
    with atomic_write(path) as file:
        np.save(file, codes, allow_pickle=False)
    print(f"{path}: {codes.shape[0]:,} codes of {codes.shape[1]} numbers, {codes.dtype}")


def _read_encoder(folder: Path) -> Model:
    read_config(folder)
    path = folder / "encoder.npz"
    if not path.is_file():
        raise ValueError(
            f"{folder} has no encoder.npz yet: finish it with minienc pretrain --resume {folder}"
        )
    return load_model(path)


def _refuse_existing(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise ValueError(f"{path} exists already; --force replaces it")
