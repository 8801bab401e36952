"""What lies between the calls of a step: numbers that went from one to the next by other means.

Calls are replayed one by one, so the tape does not see what the run does between them: the vector
of all parameters, into which the weights are gathered; the gradient of it; a weight that a tied
layer is given turned over; a gradient that is the sum of what two layers send back. Each is found
by its numbers, to the bit, and written down as an operation of no line: with these a page can
compute what another weight would have changed, up to the update. Where a replay has rounded
otherwise than the run, what the run made is a copy of what the replay did, but for these digits.

What is not found stays a value that nothing made, and what is changed before it ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minienc.stepper.record import BACKWARD, FORWARD, LOSS, UPDATE, Record, Step
from minienc.stepper.tape import Ref, refs_in


@dataclass
class Link:
    """An operation between two calls."""

    kind: str  # "flatten", "transpose", "reshape", "add", "copy"
    arguments: tuple
    result: int


@dataclass
class Place:
    """Where a page finds a parameter: its value, its gradient, its vector after the update."""

    name: str
    shape: tuple[int, ...]
    value: int | None = None
    gradient: int | None = None
    after: int | None = None  # the value of the vector
    offset: int = 0  # in that vector


@dataclass
class Links:
    """All that is found."""

    links: list[Link] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)
    gradients: list[tuple[int, int]] = field(default_factory=list)  # (value, one gradient of it)
    values: list[np.ndarray] = field(default_factory=list)  # new ones, behind the tape's


def links_of(record: Record) -> Links:
    """Look for what connects the calls of a record."""
    return _Search(record).found


class _Search:
    def __init__(self, record: Record) -> None:
        self.record, self.found = record, Links()
        self.values = list(record.tape.values)
        self.made = {op.result for op in record.tape.operations}
        self._rounded()
        self._same()
        self._sums()
        self._gradients()
        self._vectors()

    def _link(self, kind: str, arguments: tuple, result: int) -> None:
        self.found.links.append(Link(kind, arguments, result))
        self.made.add(result)

    def _new(self, array: np.ndarray) -> int:
        self.values.append(array)
        self.found.values.append(array)
        return len(self.values) - 1

    def _given(self, phases: str) -> Iterator[tuple[Step, int]]:
        """What calls are given that nothing has made, each value once."""
        seen: set[int] = set()
        for step in self.record.steps:
            for value in refs_in(step.arguments):
                if step.phase in phases and value not in seen and value not in self.made:
                    seen.add(value)
                    yield step, value

    # -- the same numbers, rounded otherwise

    def _rounded(self) -> None:
        """A replay that took another way than the run returned other digits."""
        returned: list[int] = []
        for own, again in (pair for step in self.record.steps for pair in step.ran.pairs):
            self._copy(own, again)
        for number, step in enumerate(self.record.steps if self.record.differing else []):
            forward = self._forward_of(number)
            if forward is not None:  # field by field: two may hold the same numbers
                pairs = zip(_refs(forward.returned[1]), _refs(step.arguments["cache"]), strict=True)
                for own, given in pairs:
                    self._copy(own, given)
            for value in _refs(step.arguments):
                like = next((v for v in returned if self._is_near(v, value)), None)
                if like is not None and _tells(self.values[value]) and value not in returned:
                    self._copy(like, value)
            returned += [v for v in _refs(step.returned) if v in self.made]

    def _copy(self, value: int, again: int) -> None:
        if again != value and again not in self.made:
            self._link("copy", (Ref(value),), again)

    def _is_near(self, one: int, other: int) -> bool:
        a, b = self.values[one], self.values[other]
        if a.shape != b.shape or a.dtype != b.dtype or b.dtype.kind != "f":
            return False
        close = 16 * np.finfo(b.dtype).eps * float(np.abs(b).max(initial=0))
        return bool((np.abs(a - b) <= close).all())

    # -- the same numbers in another shape, or turned over

    def _same(self) -> None:
        known: dict[bytes, int] = {}
        for _, value in self._given(FORWARD + LOSS + BACKWARD):
            a = self.values[value]
            if _tells(a) and (other := known.get(a.tobytes())) is not None:
                if self.values[other].shape == a.shape[::-1] and a.ndim == 2 and 1 not in a.shape:
                    self._link("transpose", (Ref(other), (1, 0)), value)
                elif self.values[other].size == a.size:
                    self._link("reshape", (Ref(other), tuple(a.shape)), value)
            elif _tells(a):
                known[a.tobytes()] = value
                if a.ndim == 2:
                    known.setdefault(a.T.tobytes(), value)

    # -- what comes back on several ways

    def _sums(self) -> None:
        waiting: list[int] = []
        for step in self.record.steps:
            if step.phase != BACKWARD:
                continue
            for value in _refs(step.arguments.get("dy")):
                if value in waiting:
                    waiting.remove(value)
                elif value not in self.made and value < len(self.record.tape.values):
                    self._sum(value, waiting)
            waiting += [v for v in _refs(step.returned) if v not in waiting]

    def _sum(self, value: int, waiting: list[int]) -> None:
        a = self.values[value]
        parts = [v for v in waiting if self.values[v].shape == a.shape]
        for first in range(len(parts)):
            for last in range(first + 2, len(parts) + 1):
                if self._adds_up(parts[first:last], a):
                    self._add(parts[first:last], value)
                    waiting[:] = [v for v in waiting if v not in parts[first:last]]
                    return

    def _adds_up(self, parts: list[int], total: np.ndarray) -> bool:
        found = self.values[parts[0]]
        for part in parts[1:]:
            found = found + self.values[part]
        return bool(total.size) and _same_bits(found, total)

    def _add(self, parts: list[int], result: int | None = None) -> int:
        total = parts[0]
        for part in parts[1:]:
            last = part == parts[-1] and result is not None
            array = self.values[total] + self.values[part]
            new = result if last and result is not None else self._new(array)
            self._link("add", (Ref(total), Ref(part)), new)
            total = new
        return total

    # -- which gradient is whose

    def _gradients(self) -> None:
        steps = self.record.steps
        for number, step in enumerate(steps):
            forward = self._forward_of(number)
            if forward is not None:
                self._pair(_refs(forward.arguments), _refs(step.returned))

    def _forward_of(self, number: int) -> Step | None:
        """The call whose cache a backward was given: one of the same kind, of the same values."""
        steps = self.record.steps
        cache = steps[number].arguments.get("cache")
        if steps[number].phase != BACKWARD or not _refs(cache):
            return None
        for forward in reversed(steps[:number]):
            if forward.phase in FORWARD + LOSS and isinstance(forward.returned, tuple):
                own = forward.returned[1]
                if type(own) is type(cache) and self._are_same(_refs(own), _refs(cache)):
                    return forward
        return None

    def _are_same(self, some: list[int], others: list[int]) -> bool:
        pairs = zip(some, others, strict=False)
        same = (a == b or (self.record.differing and self._is_near(a, b)) for a, b in pairs)
        return len(some) == len(others) and all(same)

    def _pair(self, arguments: list[int], gradients: list[int]) -> None:
        """One gradient for each argument, in their order; constants have none."""
        left = [v for v in arguments if self.values[v].dtype.kind == "f"]
        for gradient in gradients:
            shape = self.values[gradient].shape
            at = next((i for i, v in enumerate(left) if self.values[v].shape == shape), None)
            if at is not None:
                self.found.gradients.append((left[at], gradient))
                left = left[at + 1 :]

    # -- the vectors of all parameters

    def _vectors(self) -> None:
        for p in self.record.parameters:
            place = Place(p["name"], tuple(p["shape"]))
            place.value = self._value_of(place)
            if place.value is not None:
                place.gradient = self._gradient_of(place.value)
            self.found.places.append(place)
        for step in self.record.steps:
            if step.phase == UPDATE and isinstance(step.arguments.get("w"), Ref):
                self._vector(step)

    def _value_of(self, place: Place) -> int | None:
        """What a forward is given in its layer that looks like it."""
        names = place.name.split("/")
        candidates = [
            (step.path.split("/")[-1:] == names[-2:-1], arg == names[-1], value)
            for step in self.record.steps
            if step.phase in FORWARD + LOSS
            for arg, part in step.arguments.items()
            for value in _refs(part)
            if value not in self.made and self.values[value].shape == place.shape
        ]
        taken = {p.value for p in self.found.places}
        best = [c for c in candidates if c[2] not in taken and (c[0] or c[1])]
        return max(best, key=lambda c: c[:2])[2] if best else None

    def _gradient_of(self, value: int) -> int | None:
        parts = [g for v, g in self.found.gradients if v == value]
        for link in list(self.found.links):
            if link.kind in ("transpose", "reshape") and link.arguments[0] == Ref(value):
                for v, g in self.found.gradients:
                    if v == link.result:
                        back = self.values[g].T if link.kind == "transpose" else self.values[g]
                        new = self._new(np.array(back).reshape(self.values[value].shape))
                        told = (1, 0) if link.kind == "transpose" else self.values[value].shape
                        self._link(link.kind, (Ref(g), tuple(told)), new)
                        parts.append(new)
        return self._add(sorted(parts)) if parts else None

    def _vector(self, step: Step) -> None:
        w, g = step.arguments["w"].value, _first(step.arguments.get("g"))
        after = _first(step.after.get("w"))
        if after is not None:
            after = dict(step.ran.pairs).get(after, after)  # what the run made of it
        for run in _runs(self.found.places, self.values[w].size):
            if all(p.value is not None for p in run) and self._joined(run, "value", w):
                self._link("flatten", tuple(Ref(p.value) for p in run), w)  # type: ignore[arg-type]
                offset = 0
                for p in run:
                    p.after, p.offset = after, offset
                    offset += int(np.prod(p.shape))
                if g is not None and self._joined(run, "gradient", g) and g not in self.made:
                    self._link("flatten", tuple(Ref(p.gradient) for p in run), g)  # type: ignore[arg-type]
                return

    def _joined(self, run: list[Place], what: str, vector: int) -> bool:
        parts = [getattr(p, what) for p in run]
        if vector in self.made or any(part is None for part in parts):
            return False
        return _same_bits(
            np.concatenate([self.values[v].ravel() for v in parts]), self.values[vector]
        )


def _runs(places: list[Place], size: int) -> Iterator[list[Place]]:
    """Parameters that stand behind one another and have so many numbers together."""
    for first in range(len(places)):
        total = 0
        for last in range(first, len(places)):
            total += int(np.prod(places[last].shape))
            if total == size:
                yield places[first : last + 1]
            if total >= size:
                break


def _refs(x: Any) -> list[int]:
    return list(refs_in(x)) if x is not None else []


def _first(x: Any) -> int | None:
    return next(iter(_refs(x)), None)


def _tells(a: np.ndarray) -> bool:
    """Whether its numbers say which array it is."""
    return a.dtype.kind == "f" and a.size > 1 and bool((a != a.flat[0]).any())


def _same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def in_order(operations: Iterable[Any], links: list[Link]) -> Iterator[Any]:
    """Operations and links, each link before what is made of it: a program."""
    makers = {link.result: link for link in links}
    done: set[int] = set()

    def before(x: Any) -> Iterator[Link]:
        for value in refs_in(x):
            link = makers.get(value)
            if link is not None and value not in done:
                done.add(value)
                yield from before(link.arguments)
                yield link

    for op in operations:
        yield from before((op.arguments, op.options))
        yield op
    for link in links:
        if link.result not in done:
            done.add(link.result)
            yield from before(link.arguments)
            yield link
