"""What the device that computes may offer to training: memory used again, and steps of its own.

Nothing here is needed to train. ``fast/`` registers what it has; where it has nothing, memory is
NumPy's own, batches are brought over one at a time, and a step is the learner's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Protocol

from minienc.arrays import Array, Scalar, to_device
from minienc.primitive import load_fast_of_arrays_met, open_the_door

if TYPE_CHECKING:
    from minienc.training.step import Learner

_workspace: Callable[[], AbstractContextManager] = nullcontext
_release: Callable[[], None] | None = None
_plans: Callable[..., Plan] | None = None
_steps: Callable[..., Steps] | None = None
_at_once = 0
_pipelines: dict[str, Callable[[str], Pipeline]] = {}  # kind of device -> what pipeline() makes


def register_workspace(
    make: Callable[[], AbstractContextManager], release: Callable[[], None]
) -> None:
    """Let ``workspace()`` enter the context that ``make()`` returns; ``release()`` gives back what
    is kept in the one that was entered last."""
    global _workspace, _release
    _workspace, _release = make, release


def workspace() -> AbstractContextManager:
    """A context in which a new array may take the memory of one that is gone.

    A training step makes the arrays of the step before it over again. Nothing that anybody holds is
    written to: memory changes hands when its array is dropped. Without a compiled kernel, the
    context does nothing.
    """
    open_the_door()
    return _workspace()


def release_workspace() -> None:
    """Give back the memory that the workspace keeps for later: what comes needs other sizes."""
    if _release is not None:
        _release()


class Room(AbstractContextManager, Protocol):
    """A workspace of its owner's own: ``kernels/workspace.pxi``."""

    nbytes: int


class Plan(Protocol):
    """Calls of the compiled kernel that were noted, to be made again: ``kernels/plan.pxi``."""

    workspace: Room
    draws: list[tuple[str, Array]]
    declined: str | None
    n_numbers: int

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def run(self) -> int: ...
    def number(self, i: int) -> float: ...
    def meet(self, a: Array, b: Array) -> Array: ...
    def put(self, total: Array, gradient: Array, write: bool) -> None: ...


class Steps(Protocol):
    """Steps by a plan and by that of an update: ``kernels/steps.pxi``."""

    def once(self, step: int, rate: float, clipnorm: float) -> tuple[list[float], int]: ...
    def run(
        self,
        sources: list[Array],
        batch: list[Array],
        parts: list[Array],
        step: int,
        rates: list[float],
        clipnorm: float,
        seconds: float,
    ) -> list[list[float]] | None: ...


def register_plans(
    make: Callable[..., Plan], make_steps: Callable[..., Steps], at_once: int
) -> None:
    """Let ``new_plan(...)`` be ``make(...)``, ``new_steps(...)`` be ``make_steps(...)``, and
    ``steps_at_once()`` this number."""
    global _plans, _steps, _at_once
    _plans, _steps, _at_once = make, make_steps, at_once


def has_plans() -> bool:
    """Whether calls of a compiled kernel can be noted here."""
    open_the_door()
    return _plans is not None


def new_plan(only_notes: bool = False) -> Plan:
    """A plan in which this thread's calls of the compiled kernel can be noted, as
    ``training/planned.py`` does; with ``only_notes`` they are not made."""
    assert _plans is not None
    return _plans(only_notes)


def new_steps(
    plan: Plan,
    update: Plan,
    multipliers: list[float],
    loss: int,
    single: bool,
    zeroed: list[Array],
) -> Steps:
    """Steps by these plans, as ``training/planned_update.py`` makes them."""
    assert _steps is not None
    return _steps(plan, update, multipliers, loss, single, zeroed)


def steps_at_once() -> int:
    """The most steps that one call makes."""
    return _at_once


class Pipeline:
    """How batches come to a device, and how a step is made there; this one is for any device."""

    def __init__(self, device: str) -> None:
        self.device = device

    def upload(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """Bring a batch over; an array that comes twice (a target that is the input) is brought
        once."""
        moved = {id(a): a if a is None else to_device(a, self.device) for a in arrays}
        return tuple([moved[id(a)] for a in arrays])

    def batches(
        self, take: Callable[..., tuple[Array, ...]], parts: Iterable[Array]
    ) -> Iterator[tuple[Array, ...]]:
        """``take(indices)`` of each part, where the device computes; ``take(indices, into)`` may
        use arrays that an earlier call returned again."""
        taken = map(take, parts)
        return taken if self.device == "cpu" else map(self.upload, taken)

    def ahead(self, arrays: tuple[Array, ...]) -> dict[str, list[float]]:
        """Make the steps of the next batches of ``batches``, which takes them from these arrays, as
        one call, and pass over them: {name of a number: what it was at each step}. {} where this
        cannot be done. Nobody sees what is between these steps."""
        return {}

    def step_of(self, learner: Learner) -> Callable[..., dict[str, Scalar]]:
        """What is to be called as ``learner.step`` is, for batches of ``batches``."""
        return learner.step

    def close(self) -> None:
        """The run is over."""


def register_pipeline(kind: str, make: Callable[[str], Pipeline]) -> None:
    """Let ``pipeline("cuda:0")`` be ``make("cuda:0")``, for ``kind`` "cuda"."""
    _pipelines[kind] = make


def pipeline(device: str) -> Pipeline:
    """The pipeline to this device."""
    open_the_door()
    load_fast_of_arrays_met()
    return _pipelines.get(device.partition(":")[0], Pipeline)(device)
