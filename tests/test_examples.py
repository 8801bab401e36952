"""The examples in docstrings are true, and public names have one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import sys
from pathlib import Path

import numpy as np
import pytest

import minienc

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "docs" / "_ext")]

import public  # noqa: E402

# The pages of the reference say this: NumPy is np, and the names of the room are there.
RUNNER = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)


def named_in(module: str) -> dict[str, object]:
    """What ``from minienc.functions import *`` brings, or the public names of another file."""
    package = importlib.import_module(".".join(module.split(".")[:2]))
    names = {n: getattr(package, n) for n in getattr(package, "__all__", ())}
    own = vars(importlib.import_module(module))
    return {k: v for k, v in own.items() if not k.startswith("_")} | names | {"np": np}


def docstrings() -> list[tuple[str, str, str]]:
    """(module, name, docstring) of all that is defined in the package and has an example."""
    found = []
    for info in pkgutil.walk_packages(minienc.__path__, "minienc."):
        if info.name.endswith("__main__") or info.name == "minienc._kernels":
            continue
        if info.name.startswith("minienc.fast."):  # whose import switches the kernel on
            continue
        module = importlib.import_module(info.name)
        for name, thing in list(vars(module).items()):
            if getattr(thing, "__module__", None) != info.name or name.startswith("_"):
                continue
            parts = {name: thing}
            if inspect.isclass(thing):
                own = {k: v for k, v in vars(thing).items() if inspect.isfunction(v)}
                parts |= {f"{name}.{k}": v for k, v in own.items()}
            for path, part in parts.items():
                text = getattr(part, "__doc__", None) if part is not None else None
                if isinstance(text, str) and ">>>" in text:
                    found.append((info.name, path, text))
    return found


CASES = docstrings()


@pytest.mark.parametrize(
    ("module", "name", "text"), CASES, ids=[f"{module[8:]}.{name}" for module, name, _ in CASES]
)
def test_examples_are_true(module, name, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(text, named_in(module), name, module, 0)
    said: list[str] = []
    failed, tried = RUNNER.run(test, out=said.append, clear_globs=True)
    assert tried and not failed, "".join(said)


FULL = "its file has 400 lines, and no more"
BASE = "made to be subclassed: CONTRIBUTING.md has whole ones"
FOLDERS = "works on a run's folder: tests/runs"
WITHOUT = {
    "functions.identity_forward functions.relu_squared_forward functions.leaky_relu_forward "
    "functions.elu_forward functions.sigmoid_forward functions.tanh_forward "
    "functions.softplus_forward functions.gelu_forward functions.get_activation "
    "functions.mean_absolute_error_forward functions.kl_divergence_forward "
    "functions.binary_crossentropy_forward functions.categorical_crossentropy_forward "
    "functions.sparse_categorical_crossentropy_forward "
    "data.read_csv tasks.Translator tasks.Summarizer": FULL,
    "pretraining.Pretrainer pretraining.SteppedPretrainer language.LanguageModel "
    "language.TextPretrainer audio.SoundPretrainer audio.FramesEncoder": BASE,
    "runs.pretrain runs.resume runs.encode_run runs.finetune_run": FOLDERS,
    "functions.copying_forward functions.copying_crossentropy_forward "
    "finetuning.text_label_curve": "longer than what it would explain",
    "data.TextPairs gallery.Picture tasks.Start verify.SubjectError": "a result of others",
}


def lacking() -> list[str]:
    """Public names of the rooms without an example; a backward's is its forward's."""
    names = []
    for room in public.ROOMS:
        package = importlib.import_module(f"minienc.{room}")
        for name in package.__all__:
            thing = getattr(package, name)
            without = ">>>" not in (thing.__doc__ or "")
            if without and callable(thing) and not name.endswith("_backward"):
                names.append(f"{room}.{name}")
    return names


def test_public_names_have_an_example():
    allowed = {name for names in WITHOUT for name in names.split()}
    assert set(lacking()) == allowed  # one that has got its example leaves the list


if __name__ == "__main__":  # python -m tests.test_examples: which public names have none
    print("\n".join(lacking()))
