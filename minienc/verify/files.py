"""Checking a function in somebody's file: ``minienc gradcheck homework.py:affine``.

The file is run, as ``python homework.py`` would run it. ``affine`` is looked for as a pair
``affine_forward`` and ``affine_backward``, or as a function that returns ``(y, backward)``. What to
call it with comes from ``affine_example()``, where the file has it, or from a small specification:

    x=5,3 W=3,4 b=4        arrays of normal numbers of these shapes
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

from minienc.verify.gradcheck import gradcheck
from minienc.verify.report import Report


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
    if shapes is not None:
        args = draw_arguments(shapes, np.random.default_rng(seed), dtype)
    else:
        args = _example(module, name, path)
    pair = (forward,) if backward is None else (forward, backward)
    return gradcheck(*pair, *args, seed=seed, **options)


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


_ITEM = re.compile(r"(?:(\w+)=)?([\d.,x+-]+)(?::(int\d+|unit))?")


def draw_arguments(shapes: str, rng: np.random.Generator, dtype: str = "float64") -> tuple:
    """Arrays of a specification; see the module's docstring."""
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
        shape = tuple(int(size) for size in re.split("[,x]", text) if size)
        if kind is None:
            args.append(rng.standard_normal(shape).astype(dtype))
        elif kind == "unit":
            args.append(rng.uniform(0.05, 0.95, shape).astype(dtype))
        else:
            args.append(_integers(shape, int(kind[3:]), rng))
    return tuple(args)


def _integers(shape: tuple[int, ...], below: int, rng: np.random.Generator) -> np.ndarray:
    """Integers of which at least one occurs twice, for that is where mistakes are."""
    values = rng.integers(0, below, shape)
    if values.size > 1:
        values.flat[-1] = values.flat[0]
    return values
