"""Checking a function in somebody's file: ``minienc gradcheck homework.py:affine``.

The file is run, as ``python homework.py`` would run it. ``affine`` is looked for as a pair
``affine_forward`` and ``affine_backward``, or under its own name: a function that returns ``(y,
backward)`` or ``(loss, gradients)``, an object, a class. Any two are named with a comma, and an
object is made as Python makes it:

    homework.py:ln_f,ln_b          homework.py:relu,relu_prime          homework.py:Linear(3, 4)

What to call it with comes from ``affine_example()``, where the file has it, or from a small
specification:

    x=5,3 W=3,4 b=4        arrays of normal numbers of these shapes
    x=N,D W=D,M b=M        sizes by letters: several are tried, N = 1 and odd ones among them
    ids=6:int10            six integers below 10, some of them twice
    t=5,3:unit             numbers in (0, 1)
    rate=0.5               a plain number, as it is (anything with a decimal point)
"""

from __future__ import annotations

import importlib.util
import inspect
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from minienc.verify.adapters.pytorch import is_torch_function
from minienc.verify.adapters.statics import is_static
from minienc.verify.findings import FAIL
from minienc.verify.gradcheck import gradcheck
from minienc.verify.lesson.report import Report
from minienc.verify.subject import SubjectError


class Crash(Exception):
    """The student's own code raised; the message says what, and where."""


class OutOfTime(BaseException):
    """The check took too long. No ``except Exception`` of a student holds it up."""


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Raise OutOfTime in what runs longer than so many seconds; None sets no limit."""
    if seconds is None:
        yield
        return
    if seconds <= 0:
        raise ValueError(f"gradcheck: --time-limit is {seconds:g}, expected more than 0 seconds")
    if not hasattr(signal, "setitimer"):
        raise ValueError("gradcheck: --time-limit needs signal.setitimer, which this system lacks")

    def stop(*_: object) -> None:
        raise OutOfTime(f"after {seconds:g} s, as --time-limit says")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)  # and again, where it was caught
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def check_file(
    where: str,
    shapes: str | None = None,
    *,
    seed: int = 0,
    dtype: str = "float64",
    against: str | None = None,
    **options: Any,
) -> Report:
    """Check ``path/to/file.py:name``.

    Parameters
    ----------
    where : str
        The file and the name in it, two names with a comma, or how an object of it is made.
    shapes : str, optional
        The specification; without it ``name_example()`` of the file is called for the arguments.
    seed : int
    dtype : {"float64", "float32"}
        Of the arrays that are drawn.
    against : str, optional
        A forward that is right, ``path/to/reference.py:name``.
    **options
        Passed to ``gradcheck``.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file or name, or nothing says what to call it with.
    Crash
        If what the file defines raises.
    """
    path, name = _split(where)
    with crashes_of(path):
        module = _load(Path(path))
        what = _find(module, name, path)
        if against is not None:
            other, reference = _split(against)
            options["against"] = _reference(_load(Path(other)), reference, other)
        if shapes is None:
            args = _example(module, name, path)
            return gradcheck(*what, *args, seed=seed, **options)
        return _check_sizes(what, shapes, seed, dtype, options)


def read_pair(
    where: str, shapes: str | None, *, seed: int = 0, dtype: str = "float64"
) -> tuple[tuple, tuple]:
    """(what ``path/to/file.py:name`` stands for, arguments to call it with), as ``check_file`` has
    them for its first sizes."""
    path, name = _split(where)
    with crashes_of(path):
        module = _load(Path(path))
        what = _find(module, name, path)
        if shapes is None:
            return what, _example(module, name, path)
        rng = np.random.default_rng(seed)
        return what, draw_arguments(shapes, rng, dtype, _size_sets(shapes)[0])


def _check_sizes(
    what: tuple, shapes: str, seed: int, dtype: str, options: dict[str, Any]
) -> Report:
    """With each set of sizes, until one fails."""
    reports = []
    for sizes in _size_sets(shapes):
        args = draw_arguments(shapes, np.random.default_rng(seed), dtype, sizes)
        report = gradcheck(*what, *args, seed=seed, **options)
        if sizes:
            text = ", ".join(f"{letter} = {size}" for letter, size in sizes.items())
            report.notes.append(f"the sizes were {text}")
        reports.append(report)
        if report.verdict == FAIL:
            return report
    for other in reports[1:]:
        reports[0].notes.append(f"{other.notes[-1]}, too: {other.verdict}")
    return reports[0]


def _split(where: str) -> tuple[str, str]:
    path, colon, name = where.partition(".py:")
    if not colon or not name:
        raise ValueError(f"gradcheck: {where!r}, expected path/to/file.py:name")
    return path + ".py", name


@contextmanager
def crashes_of(path: str) -> Iterator[None]:
    """An exception that passed through the student's file, or one beside it, is a crash of it; what
    this library raises by itself says what it was not given."""
    try:
        yield
    except (Exception, SystemExit) as error:
        folder = Path(path).resolve().parent
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if Path(f.filename).resolve().parent == folder]
        if not own or isinstance(error, SubjectError):
            raise
        last = own[-1]
        raise Crash(
            f"{type(error).__name__}: {error or 'no message'}, at {last.filename}, line "
            f"{last.lineno}: {last.line}"
        ) from error


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


def _find(module: ModuleType, name: str, path: str) -> tuple:
    """What ``gradcheck`` is given first: a pair, a function, or an object."""
    names = _names(name)
    if len(names) == 2:
        return tuple(_made(module, one, path) for one in names)
    stem = name.removesuffix("_forward")
    pair = [getattr(module, f"{stem}_{part}", None) for part in ("forward", "backward")]
    if all(map(callable, pair)):
        return tuple(pair)
    if pair[0] is not None:
        raise ValueError(
            f"gradcheck: {path} has {stem}_forward, but no {stem}_backward; name two with a comma, "
            f"{path}:forward,backward"
        )
    return (_made(module, name, path),)


def _names(name: str) -> list[str]:
    """Names with a comma between them, which is not one in brackets."""
    if "(" in name:
        return [name]
    return [part.strip() for part in name.split(",")]


def _made(module: ModuleType, name: str, path: str) -> Any:
    """What a name stands for; an object of a class; or what Python makes of ``Linear(3, 4)``."""
    root = re.match(r"\w*", name)[0]  # type: ignore[index]
    if not hasattr(module, root):
        own = [
            k
            for k, v in vars(module).items()
            if callable(v) and not k.startswith("_") and v.__module__ == module.__name__
        ]
        raise ValueError(
            f"gradcheck: {path} has no {root} and no {root}_forward, only "
            f"{', '.join(own) or 'no function'}"
        )
    try:
        what = eval(name, vars(module))  # of the file that was just run
    except SyntaxError:
        raise ValueError(
            f"gradcheck: {name!r}, expected a name, two with a comma, or such as Linear(3, 4)"
        ) from None
    if not isinstance(what, type) or is_static(what) or is_torch_function(what):
        return what
    try:
        inspect.signature(what).bind()
    except TypeError:
        needed = inspect.signature(what)
        raise ValueError(
            f"gradcheck: {name} is a class that is made by {name}{needed}: write "
            f"'{path}:{name}(...)' with its arguments"
        ) from None
    return what()


def _reference(module: ModuleType, name: str, path: str) -> Any:
    """A forward: a function, or that of an object."""
    stem = name.removesuffix("_forward")
    forward = getattr(module, f"{stem}_forward", None)
    what = _made(module, name, path) if forward is None else forward
    return what if callable(what) else what.forward


def _example(module: ModuleType, name: str, path: str) -> tuple:
    """What ``name_example()`` returns; of a pair it may be called after either."""
    stems = [re.match(r"\w*", part)[0].removesuffix("_forward") for part in _names(name)]  # type: ignore[index]
    for stem in stems:
        example = getattr(module, f"{stem}_example", None)
        if example is not None:
            args = example() if callable(example) else example
            return args if isinstance(args, tuple) else (args,)
    raise ValueError(
        f"gradcheck: nothing says what to call {name} with: give --shapes 'x=5,3 W=3,4', or "
        f"define {stems[0]}_example() in {path} that returns the arguments"
    )


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
