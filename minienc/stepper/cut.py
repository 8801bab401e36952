"""What a page leaves out of a model that is too large for it: features, filters, units.

Where not even a few samples fit, arrays are carried in part: of matrices the first ``most`` rows
and columns, of other arrays the first ``most`` channels, which stand last, but not in windows of
images; of a convolution's kernel, the channels that come in and those that go out. Of the vectors
of all parameters the places of those are carried, so that a weight can be followed into the update.

The numbers that are carried are those of the whole model: a sum that the page writes out says how
many more terms there are, and what they are together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from minienc.stepper.links import Place
from minienc.stepper.record import UPDATE, Record
from minienc.stepper.tape import refs_in

STEPS = (128, 96, 64, 48, 32, 24, 16, 12, 8)  # how many features may be carried
HELD = 20_000_000  # numbers of all arrays, the parts that are left out as well: the page's memory

Lane = int | list[list[int]] | None  # the first so many; places from, how many; or all


def lanes_of(
    arrays: Sequence[np.ndarray], record: Record, places: Iterable[Place], most: int
) -> list[list[Lane] | None]:
    """Of each array, what is carried along each axis; None where all of it is."""
    places = list(places)
    kernels = {place.shape for place in places if len(place.shape) > 2}
    channels = {n for shape in kernels for n in shape[-2:]}
    vectors = _vectors(record, places, most)
    found: list[list[Lane] | None] = []
    for a in arrays:
        lanes: list[Lane] = [None] * a.ndim
        if a.ndim == 1 and a.size in vectors:
            lanes = [vectors[a.size]]
        elif a.dtype.kind in "fb":  # whole numbers are indices, and needed
            last = 2 if a.ndim == 2 or a.shape in kernels else 1
            for axis, n in enumerate(a.shape):
                is_feature = axis >= a.ndim - last or (a.ndim > 4 and n in channels)
                lanes[axis] = most if is_feature and n > most else None
        found.append(None if all(lane is None for lane in lanes) else lanes)
    return found


def _vectors(record: Record, places: list[Place], most: int) -> dict[int, Lane]:
    """By the size of a vector of parameters: the runs of places that are carried."""
    found: dict[int, Lane] = {}
    for step in record.steps:
        for after in refs_in(step.after) if step.phase == UPDATE else ():
            size, own = (
                record.tape.values[after].size,
                {after, dict(step.ran.pairs).get(after, after)},
            )
            runs: list[list[int]] = []
            for begin, n in (run for p in places if p.after in own for run in _runs(p, most)):
                if runs and sum(runs[-1]) == begin:
                    runs[-1][1] += n
                else:
                    runs.append([begin, n])
            if runs and size not in found:
                found[size] = None if runs == [[0, size]] else runs
    return found


def _runs(place: Place, most: int) -> Iterable[list[int]]:
    """Where the part of a parameter that is carried lies in its vector: [from, how many], ..."""
    shape, n = place.shape, len(place.shape)
    kept = [min(m, most) if axis >= n - 2 else m for axis, m in enumerate(shape)]
    if n == 0:
        yield [place.offset, 1]
        return
    strides = [int(np.prod(shape[axis + 1 :])) for axis in range(n)]
    for index in np.ndindex(*kept[:-1]):
        begin = place.offset + sum(i * s for i, s in zip(index, strides, strict=False))
        yield [int(begin), kept[-1]]


def part_of(a: np.ndarray, lanes: list[Lane] | None) -> np.ndarray:
    """The numbers that are carried."""
    for axis, lane in enumerate(lanes or ()):
        if isinstance(lane, int):
            a = a[(slice(None),) * axis + (slice(lane),)]
        elif lane is not None:
            a = a[np.concatenate([np.arange(i, i + n) for i, n in lane])]
    return a


def norm_of(a: np.ndarray) -> float:
    """Of an array that is carried in part, the size of the whole."""
    return float(np.sqrt((a.astype(float) ** 2).sum()))


def said_of(record: Record) -> float | None:
    """What the gradients say of the loss: the sum of g (w' - w) over all parameters."""
    total: float | None = None
    values = record.tape.values
    for step in record.steps:
        given = step.after.get("w"), step.arguments.get("w"), step.arguments.get("g")
        of = [next(refs_in(x), -1) for x in given]
        if step.phase == UPDATE and -1 not in of:
            after, w, g = (values[v].astype(float) for v in of)
            total = (total or 0.0) + float(g @ (after - w))
    return total
