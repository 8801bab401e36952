"""Shapes, written once and executed: ``check_shapes`` and the one sentence in which it refuses.

The specification is what stands on the blackboard: ``"x: ... D, W: D M, b: M"``. Sizes are one
letter from one glossary: N batch, T time, D in, M out, C channels, H heads, V vocabulary, K
clusters. After the name of an argument there may stand:

    ...         any number of leading axes, the same in every argument that has them
    D, 28       a size: the same wherever the letter stands; or just this number
    int, bool   an array of integers, or of booleans; every other array is floating
    <= T, < K   of integers: none is below 0, or above T; none is below 0, or reaches K
    number      a plain number may stand in its place
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, device_of, is_array

Shape = Sequence[Any]  # of a sample, (H, W, C); of several inputs or outputs, a list of them


def is_whole(value: object, least: int | None = None) -> bool:
    """Whether ``value`` is a whole number of Python or NumPy (True is none), from ``least`` up."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        return False
    return least is None or bool(value >= least)


def kind_of(value: object) -> str:
    """The class of a value, for a message: "a list", "an EarlyStopping"."""
    name = type(value).__name__
    return f"an {name}" if name[:1].lower() in "aeio" or name == "ndarray" else f"a {name}"


def did_you_mean(given: Collection[str], known: Collection[str]) -> str:
    """What a name that is not known comes near to."""
    strange = [name for name in given if name not in known]
    near = [match for name in strange for match in get_close_matches(name, known, 1)]
    return f"; did you mean {near[0]!r}?" if near else ""


class Form(NamedTuple):
    """What a cache keeps of an array whose numbers nobody needs again, to be checked against."""

    shape: tuple[int, ...]
    dtype: np.dtype


class _Argument(NamedTuple):
    name: str
    sizes: tuple[str, ...]  # the letters, without the leading "..."
    leading: bool  # "..." allowed in front
    kinds: str  # of the dtypes that are let in
    number: bool  # a plain number will do
    limit: str | None  # the size that bounds its integers
    inclusive: bool  # they may be as large as it


_FLOATING, _INTEGERS, _BOOLEANS = "fc", "iu", "b"  # complex: the complex step differentiates by it

_is_of_host: dict[type, bool] = {np.ndarray: True, Form: True}  # every type of array that was seen


@cache
def _parse(spec: str) -> tuple[_Argument, ...]:
    arguments = []
    for part in spec.split(","):
        name, _, text = part.partition(":")
        words = text.split()
        limit = None
        for sign in {"<", "<="}.intersection(words):
            limit = words.pop(words.index(sign) + 1)
        kinds = _INTEGERS if "int" in words else _BOOLEANS if "bool" in words else _FLOATING
        sizes = tuple(w for w in words if w not in ("...", "int", "bool", "number", "<", "<="))
        arguments.append(
            _Argument(
                name.strip(), sizes, "..." in words, kinds, "number" in words, limit, "<=" in words
            )
        )
    return tuple(arguments)


def check_shapes(function: str, spec: str, *arrays: Any) -> None:
    """Refuse arrays whose shapes or dtypes do not fit, or that live on different devices.

    Parameters
    ----------
    function : str
        The caller's name: the first word of the message.
    spec : str
        For example ``"x: N D, W: D M, b: M"``; the module's docstring says what may stand there.
    *arrays
        One for each argument of ``spec``, or its ``Form``; None for an argument that is left out.

    Raises
    ------
    ValueError
        "dense_forward: W is (4, 5), expected (D, M) with D = 3 because x is (2, 3)". If an integer
        is out of range: "f: lengths[1] is 9, expected 0 to 5 because x is (2, 5, 3)". Only arrays
        of the host are looked through: elsewhere that would wait for the device.
    TypeError
        If something is not an array, or floating arrays differ in dtype: nothing is silently
        upcast. If they live on two devices: "dense_forward: x lives on cuda:0, W on cpu; ...".

    Examples
    --------
    >>> try:
    ...     check_shapes("f", "x: N D, W: D M", np.ones((2, 3)), np.ones((4, 5)))
    ... except ValueError as error:
    ...     print(error)
    f: W is (4, 5), expected (D, M) with D = 3 because x is (2, 3)
    """
    known: dict[str, Any] = {}  # letter -> its size
    dtype = None  # of all floating arguments
    all_here = True
    for argument, array in zip(_parse(spec), arrays, strict=True):
        kind = type(array)
        if array is None or (argument.number and (kind is float or kind is int)):
            continue
        if kind not in _is_of_host:
            _learn_type(function, argument, array)
        all_here = all_here and _is_of_host[kind]
        shape = array.shape
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
        if array.dtype.kind not in argument.kinds:
            raise TypeError(_wrong_kind(function, argument, array))
        if argument.kinds == _FLOATING:
            dtype = array.dtype if dtype is None else dtype
            if array.dtype != dtype:
                raise TypeError(_two_dtypes(function, spec, argument, arrays))
        if argument.limit is not None and _is_of_host[kind]:
            _check_range(function, spec, argument, arrays, known)
    if not all_here:
        _check_devices(function, spec, arrays)


def _learn_type(function: str, argument: _Argument, array: object) -> None:
    """Look at a type for the first time. NumPy makes a ``np.generic`` of arrays without axes."""
    if not is_array(array) and not isinstance(array, np.generic):
        raise TypeError(
            f"{function}: {argument.name} is a {type(array).__name__}, expected an array; "
            f"make one with np.asarray({argument.name}, dtype=np.float32)"
        )
    _is_of_host[type(array)] = isinstance(array, (np.ndarray, np.generic))


def _check_range(
    function: str, spec: str, argument: _Argument, arrays: tuple, known: dict[str, Any]
) -> None:
    parsed, letter = _parse(spec), str(argument.limit)
    numbers = arrays[parsed.index(argument)]
    limit = int(letter) if letter.isdigit() else known[letter]
    most = limit if argument.inclusive else limit - 1
    wrong = (numbers < 0) | (numbers > most)
    if not wrong.any():
        return
    first = tuple(int(i) for i in np.argwhere(wrong)[0])
    because = "".join(
        f" because {a.name} is {tuple(array.shape)}"
        for a, array in zip(parsed, arrays, strict=True)
        if letter in a.sizes
    )
    raise ValueError(
        f"{function}: {argument.name}[{', '.join(map(str, first))}] is {numbers[first]}, expected "
        f"0 to {most}{because}"
    )


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


# ---------------------------------------------------------------------------------- the sentences


def _wrong_kind(function: str, argument: _Argument, array: Array) -> str:
    if argument.kinds == _INTEGERS:
        return f"{function}: {argument.name} is {array.dtype}, expected integers"
    if argument.kinds == _BOOLEANS:
        return (
            f"{function}: {argument.name} is {array.dtype}, expected booleans; make them with a "
            f"comparison, such as {argument.name} != 0"
        )
    return (
        f"{function}: {argument.name} is {array.dtype}, expected float32 or float64; "
        f"convert it with {argument.name}.astype(np.float32)"
    )


def _two_dtypes(function: str, spec: str, wrong: _Argument, arrays: tuple) -> str:
    parsed = _parse(spec)
    first, dtype = next(
        (argument.name, array.dtype)
        for argument, array in zip(parsed, arrays, strict=True)
        if argument.kinds == _FLOATING and array is not None
    )
    return (
        f"{function}: {wrong.name} is {arrays[parsed.index(wrong)].dtype} but {first} is {dtype}; "
        f"nothing is silently upcast, so convert one of them with .astype"
    )


def _wrong_shape(function: str, spec: str, wrong: _Argument, arrays: tuple) -> str:
    """The sentence: what came, what was expected, and which other argument implies it."""
    reasons, cited = [], set()
    for argument, array in zip(_parse(spec), arrays, strict=True):
        if argument is wrong:
            break
        if not hasattr(array, "shape"):  # left out, or a plain number
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
