"""A training step, recorded: the calls of the run, and the lines of each.

The run itself says which functions were called, in which layer, on which arrays (``recording``,
in ``minienc/primitive.py``); each call's definition is then replayed on those arrays, line by line
(``lines.py``), all on one tape, so that the x of a layer is the very value that was the y of the
one before. A run that is made of definitions alone has the replay's numbers to the bit. With the
compiled kernel on, some are rounded otherwise: then what a call returned is a value of its own
beside the replay's, it is what the next call is given, and ``Ran`` says how far they agree.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minienc.arrays import rows_of
from minienc.kernel import kernel_info
from minienc.primitive import Primitive, definitions_only
from minienc.stepper.check import Claim, check_lines
from minienc.stepper.heard import Heard, listen
from minienc.stepper.lines import Frame, Tracer, Visit
from minienc.stepper.tape import Ref, Tape, bare, mapped, referred
from minienc.training.batches import Batches
from minienc.training.step import Learner, NonFiniteError

FORWARD, LOSS, BACKWARD, UPDATE = "FLBU"


@dataclass
class Ran:
    """How far what a call of the run returned is what its replay did."""

    numbers: int = 0  # that were compared
    differing: int = 0
    error: float = 0.0  # the largest difference
    largest: float = 0.0  # of all numbers that it returned
    pairs: list[tuple[int, int]] = field(default_factory=list)  # values: the replay's, the run's

    @property
    def digits(self) -> int:
        """So many of the largest number's digits agree: a gradient that is zero, say, but for what
        was rounded on the way, is noise in any order of adding up."""
        part = self.error / self.largest if self.largest else math.inf
        return max(0, math.floor(-math.log10(part))) if 0 < part < math.inf else 0


@dataclass
class Step:
    """A call of the record."""

    phase: str  # "F", "L", "B" or "U"
    primitive: str
    path: str
    time: int | None
    arguments: dict[str, Any]  # by name: a Ref, or a structure with Refs, or plain things
    returned: Any
    frames: tuple[int, int]  # which of the record's frames are its own
    visits: tuple[int, int]
    after: dict[str, Any] = field(default_factory=dict)  # of what it overwrites
    ran: Ran = field(default_factory=Ran)


@dataclass
class Verdict:
    """What was found of a line of a backward; ``visit`` is the record's."""

    visit: int
    claim: Claim
    because: int | None


@dataclass
class Record:
    """A step, to be walked through."""

    title: str
    tape: Tape
    steps: list[Step]
    frames: list[Frame]
    visits: list[Visit]
    verdicts: list[Verdict]
    graph: list[dict[str, Any]] = field(default_factory=list)  # layers: path, kind, inputs, shape
    parameters: list[dict[str, Any]] = field(default_factory=list)  # in the flat vector
    loss: dict[str, float] = field(default_factory=dict)  # before, after, predicted
    about: dict[str, Any] = field(default_factory=dict)  # dtype, seed, command
    kernel: bool = False  # whether the run had the compiled kernel on
    most: int | None = None  # so many features a page carries (cut.py); None: all

    @property
    def differing(self) -> int:
        """Numbers that the run has otherwise than the replay."""
        return sum(step.ran.differing for step in self.steps)

    @property
    def numbers(self) -> int:
        """Numbers that were compared."""
        return sum(step.ran.numbers for step in self.steps)


def phase_of(primitive: Primitive) -> str:
    """F, L, B or U, by the primitive's name and room."""
    name, room = primitive.__name__, primitive.__module__
    if name.endswith("_backward"):
        return BACKWARD
    if name.endswith("_forward"):
        return LOSS if room.endswith((".losses", ".penalties")) else FORWARD
    return UPDATE


# ------------------------------------------------------------------------------------- the replay


class Recorder:
    """Replays calls on one tape, one after the other."""

    def __init__(self, wanted: Callable[[str], bool] | None = None) -> None:
        self.tape = Tape()
        self.tracer = Tracer(self.tape, wanted)
        self.steps: list[Step] = []
        self.verdicts: list[Verdict] = []
        self._forwards: list[tuple[Heard, Any]] = []  # with the cache of each

    def replay(self, call: Heard, phase: str = "") -> Step:
        """Run a call's definition again, on the same numbers."""
        primitive = call.primitive
        phase = phase or phase_of(primitive)
        if phase in (FORWARD, LOSS):
            self._forwards.append((call, call.result[1]))
        args, kwargs = self.tape.watch(again(call.args)), self.tape.watch(again(call.kwargs))
        start = len(self.tracer.frames), len(self.tracer.visits)
        bound = inspect.signature(primitive.definition).bind(*args, **kwargs).arguments
        arguments = {name: referred(value) for name, value in bound.items()}
        with self.tape, definitions_only(), self.tracer:
            result = primitive.definition(*args, **kwargs)
        returned, ran = referred(result), Ran()
        self._unify(call.result, result, ran)
        after = {name: self._unify(a, bound[name], ran) for name, a in call.overwritten.items()}
        ends = len(self.tracer.frames), len(self.tracer.visits)
        step = Step(
            phase,
            primitive.__name__,
            call.path,
            call.time,
            arguments,
            returned,
            (start[0], ends[0]),
            (start[1], ends[1]),
            after,
            ran,
        )
        self.steps.append(step)
        return step

    def _unify(self, one: Any, replayed: Any, ran: Ran) -> Any:
        """What comes later and is the run's array is the replay's value, if they are the same to
        the bit; otherwise it is a value of its own, and ``ran`` is told of both."""
        if isinstance(one, (np.ndarray, np.generic)):
            numbers = np.asarray(bare(replayed))
            ran.numbers += numbers.size
            sizes = np.abs(numbers[np.isfinite(numbers)])
            ran.largest = max(ran.largest, float(sizes.max(initial=0)))
            if np.asarray(one).tobytes() == numbers.tobytes():
                self.tape.take_for(one, replayed)
            else:
                differing, error = difference(np.asarray(one), numbers)
                ran.differing, ran.error = ran.differing + differing, max(ran.error, error)
                if isinstance(ref := referred(replayed), Ref):
                    ran.pairs.append((ref.value, self.tape.watch(one).index))
        elif isinstance(one, (tuple, list)):
            for a, b in zip(one, replayed, strict=True):
                self._unify(a, b, ran)
        return referred(replayed)

    def judge(self, step: Step, call: Heard) -> None:
        """Find the verdict of each line of a backward, by the forward whose cache it was given."""
        cache = call.args[1]
        forward = next((f for f, c in reversed(self._forwards) if _same(c, cache)), None)
        if forward is None:
            return
        checked = check_lines(
            forward.primitive.definition,
            call.primitive.definition,
            again(forward.args),
            again(forward.kwargs),
            forward.primitive.constants,
            self.tracer.wanted,
            dy=call.args[0],
        )
        first = step.visits[0]
        for claim in checked.claims:
            because = None if claim.because is None else first + claim.because
            self.verdicts.append(Verdict(first + claim.visit, claim, because))


def difference(one: np.ndarray, other: np.ndarray) -> tuple[int, float]:
    """How many numbers differ in bits, and by how much at most."""
    here = np.asarray(~((one == other) & (np.signbit(one) == np.signbit(other))))
    here &= ~(np.isnan(one) & np.isnan(other))
    with np.errstate(all="ignore"):
        error = float(np.abs(one.astype(float) - other.astype(float))[here].max(initial=0))
    return int(here.sum()), math.inf if math.isnan(error) else error


def again(x: Any) -> Any:
    """Arguments, with generators that draw what those drew."""
    return copy.deepcopy(x) if isinstance(x, np.random.Generator) else mapped(again, x)


def _same(a: Any, b: Any) -> bool:
    """Whether two copies of caches are of the same arrays."""
    if isinstance(a, tuple) and type(a) is type(b) and len(a) == len(b):
        return all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is b
    return type(a) is type(b)


def record(
    heard: list[Heard],
    title: str = "",
    wanted: Callable[[str], bool] | None = None,
    verdicts: bool = True,
) -> Record:
    """Replay the calls of a run.

    Parameters
    ----------
    heard : list of Heard
        As ``listen`` gives them.
    title : str
    wanted : function of a path, optional
        Whose lines are shown; those of ``functions/`` otherwise.
    verdicts : bool
        Whether each line of a backward is checked.
    """
    recorder = Recorder(wanted)
    for call in heard:
        step = recorder.replay(call)
        if verdicts and step.phase == BACKWARD:
            recorder.judge(step, call)
    return Record(
        title,
        recorder.tape,
        recorder.steps,
        recorder.tracer.frames,
        recorder.tracer.visits,
        recorder.verdicts,
    )


# --------------------------------------------------------------------------------- a model's batch


def record_batch(
    model: Any,
    x: Any,
    y: Any = None,
    title: str = "",
    seed: int = 0,
    kernel: bool = False,
    verdicts: bool = True,
) -> Record:
    """Record one step of a compiled model on a batch, which is taken and then taken back.

    Parameters
    ----------
    model : Model
        Compiled.
    x, y : arrays, or tuples of them
        One batch; y is x where it is left out.
    title : str
    seed : int
        Of what is drawn, such as dropout.
    kernel : bool
        Whether the run is the compiled kernel's, as that of ``fit`` is.
    verdicts : bool
        Whether each line of a backward is checked.
    """
    data = Batches(model, x, x if y is None else y)
    batch = rows_of(data.arrays, data.dtypes, np.arange(data.n))
    learner = Learner(model, model.objective, model.optimizer)
    made = record_learners([learner], batch, title, seed, {}, kernel, verdicts)
    made.graph = list(graph_of(model.objective))
    made.about["dtype"] = str(model.dtype)
    return made


def record_method(
    method: Any,
    X: Any,
    title: str = "",
    seed: int = 0,
    kernel: bool = False,
    verdicts: bool = True,
) -> Record:
    """Record a step of each learner of a fitted method, such as a GAN's critic and generator."""
    X = np.asarray(X, method.dtype)
    if not method.takes_shape:
        X = X.reshape(len(X), -1)
    title = title or f"{type(method).__name__}, {len(X)} samples"
    learners = method.learners_
    networks = {name: one.network for name, one in learners.items()} if len(learners) > 1 else {}
    how = seed, networks, kernel, verdicts
    return record_learners(list(learners.values()), (X,), title, *how)


def record_learners(
    learners: list[Learner],
    batch: tuple,
    title: str,
    seed: int,
    networks: dict[str, Any] | None = None,
    kernel: bool = False,
    verdicts: bool = True,
) -> Record:
    """Record a step of each learner on one batch; what they learn is taken back."""
    if kernel and not (info := kernel_info())["serves"]:
        raise ValueError(f"step: kernel=True, but {info['reason']}; leave it out")
    befores = [copy.deepcopy(learner.state()) for learner in learners]
    rng = np.random.default_rng(seed)
    losses: list[dict[str, Any]] = []

    def run() -> None:
        with suppress(NonFiniteError):  # what led to it is there to be seen
            for learner in learners:
                losses.append(learner.step(batch, rng))

    try:
        made = record(listen(run, networks, kernel), title, verdicts=verdicts)
        if losses:
            with nullcontext() if kernel else definitions_only():
                numbers, _ = learners[0].objective.forward(batch, np.random.default_rng(seed))
            before_it = float(next(iter(losses[0].values())))
            made.loss = {"before": before_it, "after": float(numbers[0])}
    finally:
        for learner, before in zip(learners, befores, strict=True):
            learner.load_state("", before)
    for learner in learners:
        updates = {p["update"] for p in made.parameters} - {-1}
        made.parameters += layout_of(learner.network, len(updates))
    made.kernel = kernel
    made.about |= {"seed": seed, "numpy": np.__version__}
    made.about["computed by"] = "the compiled kernel" if kernel else "the definitions"
    return made


def graph_of(graph: Any) -> Iterator[dict[str, Any]]:
    """The layers in the order in which they run; ``inputs`` are numbers of earlier ones, -1 - i for
    the batch's i-th array."""
    made_by = {slot: -1 - i for i, slot in enumerate(graph.input_slots)}
    for number, step in enumerate(graph.steps):
        made_by |= dict.fromkeys(step.outputs, number)
        inputs = [made_by[slot] for slot in step.inputs if slot in made_by]
        yield {"path": step.path, "kind": type(step.layer).__name__, "inputs": inputs}


def layout_of(network: Any, first: int = 0) -> Iterator[dict[str, Any]]:
    """Where each parameter lies in the vectors that the updates move: the number of the update,
    from ``first`` on, and an offset. What is not trained has the number -1."""
    segments, offset = [part for part, _ in network.parameters.segments()], 0
    for name, view in network.parameters.items():
        found = {"name": name, "update": -1, "offset": 0, "shape": list(view.shape)}
        for number, part in enumerate(segments):
            if part.start <= offset < part.stop:
                found |= {"update": first + number, "offset": offset - part.start}
        offset += view.size
        yield found
