"""A training step on a GPU, recorded once and replayed: what keeps small models from waiting.

A step of a small model is a hundred kernels of a few microseconds each, and Python takes longer to
launch one than the GPU to run it. CUDA can record what is launched on a stream as a graph, and
launch that as a whole. So ``GraphPipeline`` runs a step plainly a few times, records it when
batches of the same shapes come again, and from then on only launches the graph.

A replay does the same things to the same addresses, and Python does not run. What follows from it:

*The batch.* It is copied into arrays that the recorded step reads from: always the same ones.

*Numbers that change*, the step's number and its learning rate: the step reads them from the GPU's
memory, where they are put before each replay. Schedules and callbacks go on as they do on the CPU.

*Noise.* It is drawn on the host, from the run's own generator, for the same bits as without a GPU.
While a step is recorded, each draw is noted with its shape; before each replay the same draws are
made in the same order, and copied to where the step reads them.

*Nobody may look.* ``replayable.py`` has the step in which nobody does.

*Memory.* An array that a recorded step made is forgotten by Python, and CuPy's pool would give its
memory to the next who asks, under the eyes of a graph that goes on using it. So a recorded step
allocates from a pool of its own, which is kept as long as the graph.

*Weights that move.* If another model gathers the weights, or an optimiser's state is loaded, their
addresses change. The loop holds what its records were made for, and begins anew for anything else:
with plain steps, for a state that is made at the first step would be made anew in each replay.

*Streams.* CuPy records on no stream but one that does not wait for the default one. Nothing runs on
it: the graph is launched on the stream that everything else is on, and so comes in its turn.

*The next batch* is copied while this one computes, on a stream of its own: from pinned memory (what
the system may move, the GPU cannot read by itself) to one of several arrays in turn. Events say
when a copy has arrived, and when an array has been read and may be overwritten.

*Matrix products* while recording: ``cublas.py`` tells why they are not CuPy's.

What cannot be recorded (a layer whose products are CuPy's, a loss that looks at its numbers) is run
plainly, and a warning says why, once. Either way computes the same.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from operator import is_not
from typing import Any

import cupy
import cupyx
import numpy as np

from minienc.arrays import on_device
from minienc.devices import Pipeline
from minienc.fast import cublas
from minienc.fast.draws import Drawn, Draws, Kind
from minienc.fast.replayable import ReplayableStep

PLAIN_STEPS = 2  # before a shape is recorded: they compile kernels, and make what is made once
MOST_RECORDS = (
    4  # each has memory of its own: a training set's batches have two shapes, seldom more
)
TURNS = 3  # arrays for one place of a batch: one computes, one arrives, one may still be looked at


class GraphPipeline(Pipeline):
    """How batches come to a GPU, and how steps are made there; see the module's docstring."""

    def __init__(self, device: str) -> None:
        super().__init__(device)
        self.records: dict[Any, Record] = {}
        self.plain_steps: dict[Any, int] = {}  # that were run, by the shapes of their batches
        self.bound_to: tuple = ()  # what they were run for; kept, so that no address is given anew
        self.cannot_record = False
        with on_device(device):
            self.copying = cupy.cuda.Stream(non_blocking=True)
            self.numbers = Host((2,), "float64")  # a step's number and its learning rate
        self.places: dict[Any, list[Place]] = {}  # by position, shape and dtype
        self.place_of: dict[int, Place] = {}  # by the id of the array on the GPU
        self.arrived: Any = None  # the event after the last copy
        self.taken: Iterator[tuple] = iter(())
        self.following: tuple | None = None  # the batch that has set off

    # -- the next batch

    def batches(self, take: Callable[..., tuple], parts: Iterable[Any]) -> Iterator[tuple]:
        self.taken = map(take, parts)
        self.set_off()
        while (batch := self.following) is not None:
            self.following = None
            yield batch
            if self.following is None:  # the step has not sent for it
                self.set_off()

    def set_off(self) -> None:
        """Send the next batch on its way, if there is one."""
        arrays = next(self.taken, None)
        self.following = None if arrays is None else self.upload(arrays)

    def upload(self, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        moved: dict[int, Any] = {}
        for position, a in enumerate(arrays):
            if id(a) in moved:
                continue
            if isinstance(a, np.ndarray):
                place = self._next_place(position, a.shape, a.dtype)
                place.fill(a, self.copying)
                moved[id(a)] = place.on_gpu
            else:
                moved[id(a)] = super().upload((a,))[0]  # is there, or says why it cannot be
        self.arrived = self.copying.record(_event())
        return tuple([moved[id(a)] for a in arrays])

    def _next_place(self, position: int, shape: tuple[int, ...], dtype: Any) -> Place:
        """They take turns: the one whose turn is longest ago is the next."""
        places = self.places.setdefault((position, shape, dtype.str), [])
        place = Place(shape, dtype) if len(places) < TURNS else places.pop(0)
        places.append(place)
        self.place_of[id(place.on_gpu)] = place
        return place

    # -- a step

    def step_of(self, learner: Any) -> Callable[..., dict[str, Any]]:
        if learner.exchange is not None:  # with other processes: not from within a graph
            return learner.step
        return ReplayableStep(learner, self.compute, self.set_off)

    def compute(
        self,
        function: Callable[..., Any],
        arrays: tuple,
        numbers: tuple,
        noise: Any = None,
        bound_to: tuple = (),
    ) -> Any:
        """``function(arrays, numbers, noise)``, or a record of it: ``ReplayableStep``."""
        stream = cupy.cuda.get_current_stream()
        if self.arrived is not None:
            stream.wait_event(self.arrived)
        shapes = _shapes(arrays)
        self._forget_unless_bound_to(bound_to)
        record = self.records.get(shapes)
        if record is None and self._is_time_to_record(shapes):
            record = self._record(function, arrays, noise)
        self.numbers.send(numbers)
        if record is not None:
            record.take(arrays, noise)
            self._note_read(arrays, stream)
            record.graph.launch()
            return record.values
        self.plain_steps[shapes] = self.plain_steps.get(shapes, 0) + 1
        values = function(arrays, self._numbers(), noise)
        self._note_read(arrays, stream)
        return values

    def _numbers(self) -> tuple[Any, Any]:
        """The step's number and its rate as arrays of no axes: a step that is not recorded has them
        so, too, for then it has run every kernel that the record needs."""
        return self.numbers.on_gpu[0], self.numbers.on_gpu[1]

    def _forget_unless_bound_to(self, bound_to: tuple) -> None:
        """Begin anew, with plain steps, for weights or a state that are others than before."""
        if len(bound_to) != len(self.bound_to) or any(map(is_not, bound_to, self.bound_to)):
            self.records.clear()
            self.plain_steps.clear()
            self.bound_to = bound_to

    def _is_time_to_record(self, shapes: Any) -> bool:
        return (
            not self.cannot_record
            and self.plain_steps.get(shapes, 0) >= PLAIN_STEPS
            and len(self.records) < MOST_RECORDS
        )

    def _record(self, function: Any, arrays: tuple, noise: Any) -> Record | None:
        """A record, or None where there can be none."""
        try:
            record = Record(function, arrays, self._numbers(), noise)
        except Exception as error:  # CuPy's, CUDA's, or of a function that looks at its numbers
            self.cannot_record = True
            says = next(iter(str(error).splitlines()), "")
            warnings.warn(
                f"training steps on {self.device} are not recorded as a CUDA graph, but run one "
                f"operation at a time ({type(error).__name__}: {says})",
                RuntimeWarning,
                stacklevel=2,
            )
            return None
        self.records[_shapes(arrays)] = record
        return record

    def _note_read(self, arrays: tuple, stream: Any) -> None:
        """From here on, what this step read may be overwritten."""
        read = stream.record(_event())
        for a in arrays:
            if id(a) in self.place_of:
                self.place_of[id(a)].was_read = read


def _event() -> Any:
    return cupy.cuda.Event(disable_timing=True)


def _shapes(arrays: tuple) -> tuple:
    """What two batches must have in common to be computed by one record: shapes, dtypes, and which
    of the arrays are the same one."""
    seen: dict[int, int] = {}
    return tuple([(seen.setdefault(id(a), len(seen)), a.shape, a.dtype.str) for a in arrays])


class Place:
    """Where an array of a batch goes: pinned memory on the host, and an array on the GPU."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.pinned = cupyx.empty_pinned(shape, dtype=dtype)
        self.on_gpu = cupy.empty(shape, dtype=dtype)
        # the memory may be what a computation of before is still to read
        self.was_read: Any = cupy.cuda.get_current_stream().record(_event())
        self.was_copied: Any = None

    def fill(self, values: np.ndarray, stream: Any) -> None:
        """Copy over, when what was here has gone its way."""
        if self.was_copied is not None:
            self.was_copied.synchronize()
        np.copyto(self.pinned, values)
        stream.wait_event(self.was_read)
        self.on_gpu.set(self.pinned, stream=stream)
        self.was_copied = stream.record(_event())


class Record:
    """A step as a graph, and the arrays that it reads from and writes to.

    Attributes
    ----------
    graph : cupy.cuda.Graph
    values : tuple of arrays of no axes
        What the step returned: each launch of the graph writes there.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        arrays: tuple,
        numbers: tuple,
        noise: Any,
    ) -> None:
        self.inputs: dict[int, Any] = {}  # by the position of an array's first use
        given: dict[int, Any] = {}
        for a in arrays:
            if id(a) not in given:
                given[id(a)] = self.inputs[len(self.inputs)] = cupy.empty_like(a)
        own = tuple([given[id(a)] for a in arrays])
        self.draws = HostDraws(noise)
        self.pool = cupy.cuda.MemoryPool()
        cublas.prepare()
        stream = cupy.cuda.Stream(non_blocking=True)
        with cupy.cuda.using_allocator(self.pool.malloc), stream:
            stream.begin_capture()
            try:
                self.values = function(own, numbers, None if noise is None else self.draws)
            except BaseException:
                _abandon(stream)
                raise
            self.graph = stream.end_capture()

    def take(self, arrays: tuple, noise: Any) -> None:
        """Bring in another batch of the same shapes, and other noise."""
        seen: set[int] = set()
        for a in arrays:
            if id(a) not in seen:
                self.inputs[len(seen)][...] = a
                seen.add(id(a))
        self.draws.again(noise)


def _abandon(stream: Any) -> None:
    """End a recording that failed, so that the stream can be let go."""
    with suppress(Exception):  # CUDA says once more that it failed
        stream.end_capture()


class Host:
    """Numbers that are written on the host before each replay, and read on the GPU."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:
        self.pinned = cupyx.empty_pinned(shape, dtype=dtype)
        self.on_gpu = cupy.empty(shape, dtype=dtype)
        self.was_copied: Any = None

    def free(self) -> np.ndarray:
        """Where to write them: once those of before are not on their way any longer."""
        if self.was_copied is not None:
            self.was_copied.synchronize()
        return self.pinned

    def send(self, values: Any = None) -> None:
        """Copy them over, in their turn on the current stream."""
        if values is not None:
            self.free()[...] = values
        stream = cupy.cuda.get_current_stream()
        self.on_gpu.set(self.pinned, stream=stream)
        self.was_copied = stream.record(_event())


class HostDraws(Draws):
    """A generator whose draws are noted, and are arrays on the GPU: a step is recorded with it."""

    def __init__(self, noise: np.random.Generator | None) -> None:
        super().__init__(noise)
        self.noted: list[tuple[str, Host]] = []

    def draw(self, method: str, shape: tuple[int, ...], dtype: Kind) -> Drawn:
        self.noted.append((method, Host(shape, dtype)))
        return self.noted[-1][1].on_gpu

    def again(self, noise: np.random.Generator) -> None:
        """Draw all that was noted from a generator, in the same order."""
        for method, host in self.noted:
            values = host.free()
            getattr(noise, method)(out=values, dtype=values.dtype)
            host.send()
