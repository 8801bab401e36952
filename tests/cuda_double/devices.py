"""GPUs, streams that do their work when somebody waits for it, graphs, and pools of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


class Device:
    """A GPU with few multiprocessors, so that blocks have more than one turn. There are two."""

    attributes = {"MultiProcessorCount": 1}  # noqa: RUF012
    current = 0
    _before: list[int] = []  # noqa: RUF012

    def __init__(self, number: int = 0) -> None:
        self.id = number

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and self.id == other.id

    __hash__ = None  # type: ignore[assignment]

    def __enter__(self) -> Device:
        Device._before.append(Device.current)
        Device.current = self.id
        return self

    def __exit__(self, *_: object) -> None:
        Device.current = Device._before.pop()


# ------------------------------------------------------------------------------- streams and graphs


class CUDARuntimeError(RuntimeError):
    """As CuPy's."""


class Stream:
    """What is done on a stream other than the default one is done when somebody waits for it."""

    _stack: list[Stream] = []  # noqa: RUF012
    null: Stream

    def __init__(self, non_blocking: bool = False) -> None:
        self.non_blocking = non_blocking
        self.pending: list[Callable[[], None]] = []
        self.n_done = 0
        self.graph: Graph | None = None
        self.device_id = Device.current if non_blocking else 0

    @property
    def ptr(self) -> int:
        return 0 if self is Stream.null else id(self)

    def __enter__(self) -> Stream:
        assert self.device_id == Device.current
        Stream._stack.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        Stream._stack.pop()

    def do(self, action: Callable[[], None]) -> None:
        if self.graph is not None:
            self.graph.nodes.append(action)
        elif self is Stream.null:
            action()
        else:
            self.pending.append(action)

    def flush(self, until: int) -> None:
        while self.n_done < until and self.pending:
            self.pending.pop(0)()
            self.n_done += 1

    def record(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.stream, event.until = self, self.n_done + len(self.pending)
        return event

    def wait_event(self, event: Event) -> None:
        event.synchronize()

    def synchronize(self) -> None:
        self.flush(self.n_done + len(self.pending))

    def begin_capture(self) -> None:
        if not self.non_blocking:
            raise RuntimeError("cannot capture on the default (legacy) stream")
        self.graph = Graph()

    def end_capture(self) -> Graph:
        graph, self.graph = self.graph, None
        assert graph is not None
        return graph


class Event:
    def __init__(self, disable_timing: bool = False) -> None:
        self.stream, self.until = Stream.null, 0

    def synchronize(self) -> None:
        self.stream.flush(self.until)


class Graph:
    """What was done while a stream was recorded."""

    launches = 0  # of all graphs

    def __init__(self) -> None:
        self.nodes: list[Callable[[], None]] = []

    def launch(self) -> None:
        Graph.launches += 1
        for node in self.nodes:
            get_current_stream().do(node)


Stream.null = Stream()


def get_current_stream() -> Stream:
    return Stream._stack[-1] if Stream._stack else Stream.null


def refuse_while_recording(what: str) -> None:
    if get_current_stream().graph is not None:
        raise CUDARuntimeError(f"cudaErrorStreamCaptureUnsupported: {what}")


# ------------------------------------------------------------------------------------------- memory


class MemoryPool:
    """Remembers what it gave, and spoils it in the end."""

    def __init__(self) -> None:
        self.given: list[np.ndarray] = []

    def malloc(self, size: int) -> None: ...

    def __del__(self) -> None:
        for values in self.given:
            values[...] = np.nan if values.dtype.kind == "f" else 77


_pools: list[MemoryPool] = []


@contextmanager
def using_allocator(malloc: Any) -> Iterator[None]:
    _pools.append(malloc.__self__)
    try:
        yield
    finally:
        _pools.pop()


def allocated(values: Any) -> np.ndarray:
    """A copy in memory of the pool in use."""
    values = np.array(values)
    if _pools:
        _pools[-1].given.append(values)
    elif get_current_stream().graph is not None:
        raise AssertionError("what is recorded takes memory that another may be given")
    return values
