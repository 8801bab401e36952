"""What may be said of a run on the command line, what stands in for the rest, and how it is said.

A method's options are the parameters of its class, so a new method has its own at once.
"""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Collection
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from minienc import audio, language
from minienc.data import Dataset
from minienc.data.loading import NAMED_SOUNDS
from minienc.data.pixels import Samples
from minienc.data.recordings import holds_sounds
from minienc.data.text import NAMED_TEXTS
from minienc.pretraining import METHODS, Pretrainer
from minienc.pretraining.base import iterate_samples
from minienc.runs.inputs import READING
from minienc.runs.streams import in_memory
from minienc.runs.suggestions import suggest

RENAMED = {"lr": "learning_rate"}  # options whose parameter has a longer name
YES_OR_NO = {"yes": True, "true": True, "no": False, "false": False}
OWN = ("random_state", "verbose", "dtype", "device")  # parameters that the run itself gives


def default_method(data: str | None) -> str:
    """The method for such data where none was said.

    Examples
    --------
    >>> default_method("digits"), default_method("shakespeare")
    ('autoencoder', 'rnn_lm')
    """
    if data in NAMED_TEXTS:
        return "rnn_lm"
    is_sound = data in NAMED_SOUNDS or (data and Path(data).is_dir() and holds_sounds(Path(data)))
    return "predictive_coding" if is_sound else "autoencoder"


def methods_of_samples() -> dict[str, type[Pretrainer]]:
    """The methods whose samples are arrays: all but those of text."""
    return {**METHODS, **audio.METHODS}


def method_class(name: str) -> type[Pretrainer]:
    """The method of this name on the command line.

    Examples
    --------
    >>> method_class("gan").__name__
    'GAN'
    """
    known: dict[str, type[Pretrainer]] = {**methods_of_samples(), **language.METHODS}
    if name not in known:
        raise ValueError(f"--method is {name!r}, expected one of {', '.join(sorted(known))}")
    return known[name]


def method_parameters(name: str) -> dict[str, Any]:
    """The parameters of a method that may be said, with their defaults."""
    parameters = method_class(name)._parameters()
    return {k: default for k, default in parameters.items() if k not in OWN}


def default_settings(said: dict[str, Any], dataset: Dataset) -> dict[str, Any]:
    """Fill in what was not said: good settings for this data."""
    name = said.get("method", default_method(said.get("data")))
    settings: dict[str, Any] = {
        "data": "digits",
        "data_dir": None,
        **READING,
        "method": name,
        "labels": None,
        "seeds": 5,
        "seed": 0,
        "dtype": "float32",
        "device": "cpu",
    }
    parameters = method_parameters(name)
    facts = (len(dataset.x), dataset.sample_shape, _in_unit_interval(in_memory(dataset).x))
    suggested = suggest(method_class(name), *facts)
    parameters.update({k: v for k, v in suggested.items() if k in parameters})
    if "batch_size" in parameters:  # as it suits many samples; there may be fewer
        parameters["batch_size"] = min(parameters["batch_size"], len(dataset.x))
    said = {RENAMED.get(k, k): v for k, v in said.items()}
    if "noise" in said:
        said.update(_noise(said["noise"], parameters))
    settings.update(parameters)
    refuse_unknown(name, said, settings)
    settings.update(said)
    if dataset.y is None:
        if settings["labels"]:
            raise ValueError(f"--labels was given, but {dataset.name} has no labels")
        settings["labels"] = ()
    elif settings["labels"] is None:
        n_classes = int(dataset.y.max()) + 1
        settings["labels"] = tuple(k for k in (10, 100, 1000) if n_classes <= k <= len(dataset.x))
    return settings


def refuse_unknown(name: str, said: Collection[str], settings: Collection[str]) -> None:
    """Refuse what is no setting of a run by this method."""
    for flag in said:
        if flag not in settings:
            raise ValueError(_not_for(name, flag))


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

    Examples
    --------
    >>> words = ["pretrain", "--hidden", "8,2"]
    >>> take_options("autoencoder", words, set())
    ({'hidden': (8, 2)}, ['pretrain'])
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


def explain_options(name: str) -> list[tuple[str, str, str]]:
    """(--flag, its default, what the class says of it) for each parameter of a method.

    Examples
    --------
    >>> explain_options("kmeans")[0][:2]
    ('--n-clusters', '100')
    """
    method = method_class(name)
    said: dict[str, str] = {}
    for owner in reversed(method.__mro__):
        said |= _parameters_section(inspect.getdoc(owner) or "")
    return [
        ("--" + key.replace("_", "-"), _shown(default), said.get(key, ""))
        for key, default in method_parameters(name).items()
    ]


def _parameters_section(text: str) -> dict[str, str]:
    """{name: its lines} of "Parameters" in a docstring."""
    body = re.split(r"^Parameters\n-+\n", text, flags=re.MULTILINE)[1:]
    found: dict[str, str] = {}
    names: list[str] = []
    for line in re.split(r"^\w+\n-+$", body[0], flags=re.MULTILINE)[0].splitlines() if body else ():
        if line and not line.startswith(" "):
            names = [word.strip() for word in line.partition(" : ")[0].split(",")]
            found |= {key: line.partition(" : ")[2] for key in names}
        for key in names if line.startswith(" ") else ():
            found[key] = f"{found[key]} {line.strip()}".strip()
    return found


def _shown(default: object) -> str:
    return ",".join(map(str, default)) if isinstance(default, (tuple, list)) else str(default)


def _value(flag: str, text: str, default: object) -> Any:
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


def check_settings(settings: dict[str, Any], dataset: Dataset) -> None:
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


def _in_unit_interval(X: Samples) -> bool:
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
