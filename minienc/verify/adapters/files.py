"""Checking a function in somebody's file: ``minienc gradcheck homework.py:affine``.

The file is run, as ``python homework.py`` would run it. ``affine`` is looked for as a pair
``affine_forward`` and ``affine_backward``, or as a function that returns ``(y, backward)``. What to
call it with comes from ``affine_example()``, where the file has it, or from a small specification:

    x=5,3 W=3,4 b=4        arrays of normal numbers of these shapes
    x=N,D W=D,M b=M        sizes by letters: several are tried, N = 1 and odd ones among them
    ids=6:int10            six integers below 10, some of them twice
    t=5,3:unit             numbers in (0, 1)
    rate=0.5               a plain number, as it is (anything with a decimal point)
"""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minienc.verify.findings import FAIL
from minienc.verify.gradcheck import gradcheck
from minienc.verify.lesson.report import Report


def check_file(
    where: str, shapes: str | None = None, *, seed: int = 0, dtype: str = "float64", **options: Any
) -> Report:
    """Check ``path/to/file.py:name``.

    Parameters
    ----------
    where : str
        The file and the name in it.
    shapes : str, optional
        The specification; without it ``name_example()`` of the file is called for the arguments.
    seed : int
    dtype : {"float64", "float32"}
        Of the arrays that are drawn.
    **options
        Passed to ``gradcheck``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file or name, or nothing says what to call it with.
    """
    path, _, name = where.rpartition(":")
    if not path or not name:
        raise ValueError(f"gradcheck: {where!r}, expected path/to/file.py:name")
    module = _load(Path(path))
    forward, backward = _find(module, name, path)
    pair = (forward,) if backward is None else (forward, backward)
    if shapes is None:
        return gradcheck(*pair, *_example(module, name, path), seed=seed, **options)
    reports = []
    for sizes in _size_sets(shapes):
        args = draw_arguments(shapes, np.random.default_rng(seed), dtype, sizes)
        report = gradcheck(*pair, *args, seed=seed, **options)
        if sizes:
            text = ", ".join(f"{letter} = {size}" for letter, size in sizes.items())
            report.notes.append(f"the sizes were {text}")
        reports.append(report)
        if report.verdict == FAIL:
            return report
    for other in reports[1:]:
        reports[0].notes.append(f"{other.notes[-1]}, too: {other.verdict}")
    return reports[0]


def _size_sets(shapes: str) -> list[dict[str, int]]:
    """Sizes for the letters of a specification: all different, so that no two axes can be taken
    for each other; then the first letter, the batch, as 1; then odd sizes that are no multiple of
    anything."""
    letters = list(dict.fromkeys(re.findall(r"(?<=[=,x])[A-Z]", shapes)))
    if not letters:
        return [{}]
    small, odd = (5, 3, 4, 2, 6, 7), (7, 5, 9, 3, 11, 13)
    if len(letters) > len(small):
        raise ValueError(f"gradcheck: --shapes has {len(letters)} letters, expected at most 6")
    first = dict(zip(letters, small, strict=False))
    return [first, first | {letters[0]: 1}, dict(zip(letters, odd, strict=False))]


def _load(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"gradcheck: there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ValueError(f"gradcheck: {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))  # for what the file itself imports
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise ValueError(f"gradcheck: {path}, line {error.lineno}: {error.msg}") from error
    finally:
        sys.path.pop(0)
    return module


def _find(module: ModuleType, name: str, path: str) -> tuple[Any, Any]:
    """(forward, backward) or (function that returns its backward, None)."""
    stem = name.removesuffix("_forward")
    pair = [getattr(module, f"{stem}_{part}", None) for part in ("forward", "backward")]
    if all(map(callable, pair)):
        return pair[0], pair[1]
    if pair[0] is not None:
        raise ValueError(f"gradcheck: {path} has {stem}_forward, but no {stem}_backward")
    if callable(getattr(module, name, None)):
        return getattr(module, name), None
    functions = [k for k, v in vars(module).items() if callable(v) and not k.startswith("_")]
    raise ValueError(
        f"gradcheck: {path} has no {name} and no {stem}_forward, only "
        f"{', '.join(functions) or 'no function'}"
    )


def _example(module: ModuleType, name: str, path: str) -> tuple:
    stem = name.removesuffix("_forward")
    example = getattr(module, f"{stem}_example", None)
    if example is None:
        raise ValueError(
            f"gradcheck: nothing says what to call {name} with: give --shapes 'x=5,3 W=3,4', or "
            f"define {stem}_example() in {path} that returns the arguments"
        )
    args = example() if callable(example) else example
    return tuple(args) if isinstance(args, (tuple, list)) else (args,)


_ITEM = re.compile(r"(?:(\w+)=)?([\d.,x+A-Z-]+)(?::(int\d+|unit))?")


def draw_arguments(
    shapes: str,
    rng: np.random.Generator,
    dtype: str = "float64",
    sizes: dict[str, int] | None = None,
) -> tuple:
    """Arrays of a specification; see the module's docstring. ``sizes`` says what letters are."""
    args: list[Any] = []
    for word in shapes.split():
        match = _ITEM.fullmatch(word)
        if match is None:
            raise ValueError(
                f"gradcheck: --shapes has {word!r}, expected such as x=5,3 or ids=6:int10 or "
                f"rate=0.5"
            )
        _, text, kind = match.groups()
        if "." in text:
            args.append(float(text))
            continue
        shape = tuple(_size(size, word, sizes or {}) for size in re.split("[,x]", text) if size)
        if kind is None:
            args.append(rng.standard_normal(shape).astype(dtype))
        elif kind == "unit":
            args.append(rng.uniform(0.05, 0.95, shape).astype(dtype))
        else:
            args.append(_integers(shape, int(kind[3:]), rng))
    return tuple(args)


def _size(text: str, word: str, sizes: dict[str, int]) -> int:
    if text in sizes:
        return sizes[text]
    if not text.isdigit():
        raise ValueError(f"gradcheck: --shapes has {word!r}, expected sizes such as 5,3 or N,D")
    return int(text)


def _integers(shape: tuple[int, ...], below: int, rng: np.random.Generator) -> np.ndarray:
    """Integers of which at least one occurs twice, for that is where mistakes are."""
    values = rng.integers(0, below, shape)
    if values.size > 1:
        values.flat[-1] = values.flat[0]
    return values
