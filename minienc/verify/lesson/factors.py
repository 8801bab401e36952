"""What a number may be that a gradient is too large or too small by."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minienc.verify.lesson.tape import Operation
from minienc.verify.subject import Trial

NEAR = 1e-4


def name_of_factor(c: float, operation: Operation) -> str:
    """What of an operation is lost in a gradient that is c times the right one; "" for nothing."""
    if c <= 0:
        return ""
    text, name = f"`{operation.text}`", operation.name
    for number in constants(operation):
        if name == "power":
            if _near(c * number, 1):
                return (
                    f"{number:g} times too small: the {number:g} of the power's derivative ({text})"
                )
            continue
        what = f"the division by {number:.4g}" if "divide" in name else f"the factor {number:.4g}"
        by = 1 / number if "divide" in name else number
        for factor, how in ((1 / by, "is missing"), (by, "is there twice")):
            if _near(c, abs(factor)):
                return f"{_times(c)}: {what} in {text} {how}"
    x = operation.operands[0]
    is_square = name == "square" or (name == "multiply" and np.array_equal(*operation.operands))
    if is_square and _near(2 * c, 1):
        return f"2 times too small: the derivative of a square is 2 x ({text})"
    if name in ("mean", "var", "std"):
        n = np.size(x) / max(np.size(operation.output), 1)
        for factor, how in ((n, "is missing"), (1 / n, "is there twice")):
            if n > 1 and _near(c, factor):
                return f"{_times(c)}: the 1/{n:g} of the {name} {how} ({text})"
    return ""


def name_of_length(c: float, operation: Operation) -> str:
    """The length of an array that a factor is; "" where it is none."""
    for n in (n for a in operation.operands for n in np.shape(a) if n > 2):
        if _near(c, n) or _near(c * n, 1):
            return f"{_times(c)}: {n} is a length in `{operation.text}`"
    return ""


def _times(c: float) -> str:
    return f"{c:.4g} times too large" if c > 1 else f"{1 / c:.4g} times too small"


def constants(operation: Operation) -> Iterator[float]:
    """The numbers of an operation that are the same everywhere, as those of a mask."""
    for a in operation.operands:
        if isinstance(a, (int, float, np.generic, np.ndarray)):
            values = np.unique(np.asarray(a, float))
            values = values[values != 0]
            if len(values) == 1 and abs(values[0]) != 1:
                yield float(values[0])


def name_of_size(c: float, trial: Trial) -> str:
    """What sizes and numbers of the call a factor is made of; "" for none."""
    for large in (True, False) if c > 0 else ():
        number = c if large else 1 / c
        words = list(dict.fromkeys(word for n, word in _sizes(trial) if n > 1 and _near(number, n)))
        if words:
            size, told = f"{number:.4g}", " or ".join(words[:3])
            end = (
                ("is the 1/N missing?" if large else "was a sum turned into a mean?")
                if "root" not in told
                else "is the scale missing?"
            )
            return f"{size} times too {'large' if large else 'small'}: {size} is {told}, {end}"
    return ""


def _sizes(trial: Trial) -> Iterator[tuple[float, str]]:
    """Numbers above 2 with their meanings, from the shapes of the arguments and the output."""
    y, name, first = trial.y[0], *next(iter(trial.arguments.items()))
    is_loss = y.ndim == 0
    shape = np.shape(first)
    if shape:
        yield _sizable(shape[0]), "the batch size"
    yield _sizable(y.size), "the number of outputs"
    if is_loss:
        yield _sizable(int(np.prod(shape))), "the number of elements"
    for axis, n in enumerate(shape[1:], 1):
        yield _sizable(n), f"the length of axis {axis} of {name}"
    if len(shape) == 4:
        for axes in ((1, 2), (2, 3)):
            yield (
                shape[axes[0]] * shape[axes[1]],
                f"the size of axes {axes[0]} and {axes[1]} of {name}",
            )
    if len(shape) >= 3:
        yield shape[0] * shape[1], f"the size of axes 0 and 1 of {name}"
        yield int(np.prod(shape)) / shape[-1], f"the size of all axes of {name} but the last"
    if y.ndim >= 3:
        for axis, which in ((1, "axis 1"), (-1, "the last")):
            yield y.size / y.shape[axis], f"the size of all axes of the output but {which}"
    for k, a in trial.arguments.items():
        for n in np.shape(a):
            if n**0.5 % 1:  # the root of 4 is just a 2
                yield n**0.5, f"the square root of {n}, an axis of {k}"
        if isinstance(a, float) and 0 < a < 1:
            yield 1 / a, f"1/{k}"
            yield 1 / (1 - a), f"1/(1 - {k})"
            yield a, k
        elif isinstance(a, (int, float)) and not isinstance(a, bool) and abs(a) > 2:
            yield abs(a), k


def _sizable(n: int) -> float:
    """A size that is no small number, which may be anything."""
    return float(n) if n > 2 else 0.0


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= NEAR * abs(b)
