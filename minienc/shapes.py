"""Shapes, written once and executed: ``check_shapes`` and the one sentence in which it refuses.

The specification is what stands on the blackboard. Sizes are one letter from one glossary:
N batch, T time, D in, M out, C channels, H heads, V vocabulary, K clusters. ``...`` stands for any
number of leading axes, the same in every argument that has it; the word ``int`` marks an array
of integers; every other array is floating.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import device_of, is_array


def is_whole(value: Any, least: int | None = None) -> bool:
    """Whether ``value`` is a whole number of Python or NumPy (True is none), from ``least`` up."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and (least is None or value >= least)


class _Argument(NamedTuple):
    name: str
    sizes: tuple[str, ...]  # the letters, without the leading "..."
    leading: bool  # "..." allowed in front
    integer: bool


@cache
def _parse(spec: str) -> tuple[_Argument, ...]:
    arguments = []
    for part in spec.split(","):
        name, _, text = part.partition(":")
        words = text.split()
        integer = "int" in words
        leading = "..." in words
        sizes = tuple(word for word in words if word not in ("int", "..."))
        arguments.append(_Argument(name.strip(), sizes, leading, integer))
    return tuple(arguments)


def check_shapes(function: str, spec: str, *arrays: Any) -> None:
    """Refuse arrays whose shapes or dtypes do not fit the specification, or that live apart.

    Parameters
    ----------
    function : str
        Who asks: the first word of the message.
    spec : str
        For example ``"x: N D, W: D M, b: M"``; a letter that occurs twice must be the same size,
        a number must be that size.
    *arrays
        One for each argument of ``spec``. None stands for an argument left out.

    Raises
    ------
    ValueError
        "dense_forward: W is (4, 5), expected (D, M) with D = 3 because x is (2, 3)".
    TypeError
        If something is not an array, or floating arrays differ in dtype: nothing is silently
        upcast. If they live on two devices: "dense_forward: x lives on cuda:0, W on cpu; ...".
    """
    known: dict[str, Any] = {}  # letter -> its size
    dtype = None
    all_here = True
    for argument, array in zip(_parse(spec), arrays, strict=True):
        if array is None:
            continue
        if not is_array(array) and not isinstance(array, np.generic):
            raise TypeError(_not_an_array(function, argument, array))
        shape = array.shape  # of a np.generic, which NumPy makes of arrays without axes: ()
        n_leading = len(shape) - len(argument.sizes)
        fits = n_leading == 0 or (argument.leading and n_leading > 0)
        if fits and argument.leading:
            fits = known.setdefault("...", shape[:n_leading]) == shape[:n_leading]
        if fits:
            for letter, size in zip(argument.sizes, shape[n_leading:], strict=True):
                expected = int(letter) if letter.isdigit() else known.setdefault(letter, size)
                if expected != size:
                    fits = False
                    break
        if not fits:
            raise ValueError(_wrong_shape(function, spec, argument, arrays))
        dtype = _check_dtype(function, spec, argument, array, dtype, arrays)
        all_here = all_here and isinstance(array, (np.ndarray, np.generic))
    if not all_here:
        _check_devices(function, spec, arrays)


def _check_devices(function: str, spec: str, arrays: tuple) -> None:
    places = {
        argument.name: device_of(array)
        for argument, array in zip(_parse(spec), arrays, strict=True)
        if is_array(array)
    }
    first = next(iter(places))
    for name, place in places.items():
        if place != places[first]:
            raise TypeError(
                f"{function}: {first} lives on {places[first]}, {name} on {place}; move one of "
                f"them with minienc.arrays.to_device({name}, {places[first]!r})"
            )


def _check_dtype(
    function: str, spec: str, argument: _Argument, array: Any, dtype: Any, arrays: tuple
) -> Any:
    """Return the dtype that all floating arguments share, after this one."""
    kind = array.dtype.kind
    if argument.integer:
        if kind not in "iu":
            raise TypeError(f"{function}: {argument.name} is {array.dtype}, expected integers")
        return dtype
    if kind not in "fc":  # complex is let in: the complex step differentiates with it
        raise TypeError(
            f"{function}: {argument.name} is {array.dtype}, expected float32 or float64; "
            f"convert it with {argument.name}.astype(np.float32)"
        )
    if dtype is not None and array.dtype != dtype:
        first = next(
            a.name
            for a, b in zip(_parse(spec), arrays, strict=True)
            if not a.integer and b is not None
        )
        raise TypeError(
            f"{function}: {argument.name} is {array.dtype} but {first} is {dtype}; nothing is "
            f"silently upcast, so convert one of them with .astype"
        )
    return array.dtype


def _not_an_array(function: str, argument: _Argument, value: Any) -> str:
    return (
        f"{function}: {argument.name} is a {type(value).__name__}, expected an array; "
        f"make one with np.asarray({argument.name}, dtype=np.float32)"
    )


def _wrong_shape(function: str, spec: str, wrong: _Argument, arrays: tuple) -> str:
    """The sentence: what came, what was expected, and which other argument says so."""
    reasons, cited = [], set()
    for argument, array in zip(_parse(spec), arrays, strict=True):
        if argument is wrong:
            break
        if array is None:
            continue
        n_leading = len(array.shape) - len(argument.sizes)
        sizes: dict[str, Any] = {"...": array.shape[:n_leading]} if argument.leading else {}
        sizes.update(zip(argument.sizes, array.shape[n_leading:], strict=True))
        shared = [s for s in sizes if s in _symbols(wrong) and s not in cited]
        cited.update(shared)
        if shared:
            values = " and ".join(f"{s} = {sizes[s]}" for s in shared)
            reasons.append(f"{values} because {argument.name} is {tuple(array.shape)}")
    came = tuple(arrays[_parse(spec).index(wrong)].shape)
    if _symbols(wrong) == ("...",):  # the leading axes of an argument before it, and no others
        like, first = next(
            (a, b) for a, b in zip(_parse(spec), arrays, strict=True) if a.leading and b is not None
        )
        leading = tuple(first.shape[: len(first.shape) - len(like.sizes)])
        because = f", for {like.name} is {tuple(first.shape)}" if like.sizes else ""
        return f"{function}: {wrong.name} is {came}, expected {leading}{because}"
    expected = "(" + ", ".join(_symbols(wrong)) + ("," if len(_symbols(wrong)) == 1 else "") + ")"
    because = " with " + ", ".join(reasons) if reasons else ""
    return f"{function}: {wrong.name} is {came}, expected {expected}{because}"


def _symbols(argument: _Argument) -> tuple[str, ...]:
    return (("...",) if argument.leading else ()) + argument.sizes
