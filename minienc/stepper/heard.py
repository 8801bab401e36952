"""What a run calls: each function with its arrays as they were, and where in a model it is."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minienc.primitive import Call, Primitive, definitions_only, recording
from minienc.stepper.tape import mapped


@dataclass
class Heard:
    """A call of the run, with its arrays as they were."""

    primitive: Primitive
    args: tuple
    kwargs: dict[str, Any]
    path: str
    time: int | None
    result: Any = None
    overwritten: dict[str, Any] = field(default_factory=dict)  # by the step of an optimiser: after


class Listener:
    """Hears a run, and keeps the outermost calls with copies of their arrays.

    ``networks``, by their names, are told apart by the weights that a call is given: its path
    begins with the network's name. A call without weights belongs to that of the one before it.
    """

    def __init__(self, networks: dict[str, Any] | None = None) -> None:
        self.heard: list[Heard] = []
        self._networks, self._network = networks or {}, ""
        self._depth = 0
        self._copies: dict[tuple, np.ndarray] = {}
        self._held: list[Any] = []  # so that nothing of the run lies where something else lay
        self._sequences: dict[int, tuple] = {}  # id of what makes its parts when asked -> the parts

    def __call__(self, call: Call) -> None:
        if call.event == "enter":
            if self._depth == 0:
                args, kwargs = self.copied(call.args), self.copied(call.kwargs)
                path = self._within((call.args, call.kwargs))
                path += call.place.path or (_subject(call.primitive) if path else "")
                self.heard.append(Heard(call.primitive, args, kwargs, path, call.place.time))
            self._depth += 1
            return
        self._depth -= 1
        if self._depth == 0:
            one = self.heard[-1]
            one.result = self.copied(call.result)
            bound = inspect.signature(call.primitive.definition).bind(*call.args, **call.kwargs)
            one.overwritten = {
                name: self.copied(bound.arguments[name])
                for name in call.primitive.overwrites
                if bound.arguments.get(name) is not None
            }

    def _within(self, given: object) -> str:
        """The name of the network whose weights are given, and a stroke; or nothing."""
        for name, network in self._networks.items():
            vector = network.parameters.vector
            if any(np.may_share_memory(a, vector) for a in arrays_in(given)):
                self._network = f"{name}/"
        return self._network

    def copied(self, x: Any) -> Any:
        """Arrays as they are now; the same array with the same numbers is copied once."""
        if isinstance(x, np.ndarray):
            place = x.__array_interface__["data"][0], x.shape, x.strides, x.dtype.str
            key = (*place, hash(x.tobytes()))
            if key not in self._copies:
                self._copies[key] = x.copy()
                self._held.append(x)
            return self._copies[key]
        if isinstance(x, np.random.Generator):
            return copy.deepcopy(x)  # what it draws next, it will draw again
        if isinstance(x, Sequence) and not isinstance(x, (tuple, list, str, bytes)):
            if id(x) not in self._sequences:  # the kernel's cells of a recurrent layer
                self._sequences[id(x)] = tuple(self.copied(part) for part in x)
                self._held.append(x)
            return self._sequences[id(x)]
        return mapped(self.copied, x)


def _subject(primitive: Primitive) -> str:
    """What a pair is about, for a call that is made in no layer: a loss, an update."""
    return primitive.__name__.removesuffix("_forward").removesuffix("_backward")


def arrays_in(x: object) -> Iterator[np.ndarray]:
    """The arrays of arguments or of a cache."""
    if isinstance(x, np.ndarray):
        yield x
    elif isinstance(x, (tuple, list, dict)):
        for part in x.values() if isinstance(x, dict) else x:
            yield from arrays_in(part)


def listen(
    run: Callable[[], Any], networks: dict[str, Any] | None = None, kernel: bool = False
) -> list[Heard]:
    """The outermost calls that a run makes, as their definitions compute them, or the kernel."""
    listener = Listener(networks)
    with nullcontext() if kernel else definitions_only(), recording(listener):
        run()
    return listener.heard
