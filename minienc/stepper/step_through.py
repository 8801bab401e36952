"""The ways in: a model and a batch, a method of pretraining, or somebody's forward and backward.

minienc.step(model, x, y).save("step.html")
minienc.step(forward, backward, x, W, b)          # homework; each line of backward is judged
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np

from minienc.primitive import definitions_only
from minienc.stepper.check import as_cotangent, drawn
from minienc.stepper.cut import HELD, STEPS
from minienc.stepper.heard import Heard
from minienc.stepper.page import Page, page_of
from minienc.stepper.payload import encode
from minienc.stepper.record import Record, record, record_batch, record_method
from minienc.stepper.saved import save_record
from minienc.stepper.tape import recording_numpy

MOST = 2_000_000  # bytes of numbers that a page may carry
FEW = 4  # samples: where these are too many, features are left out before samples are


class Stepped:
    """A recorded step; the last line of a notebook's cell shows it.

    Attributes
    ----------
    record : Record
    against : Record or None
        Another step, which the page shows beside it.
    """

    def __init__(self, record: Record, against: Record | None = None) -> None:
        self.record, self.against = record, against

    @cached_property
    def html(self) -> Page:
        """The page: one file that needs nothing else."""
        return page_of(self.record, self.against)

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, or to one that ends in .npz the record; return its path."""
        path = Path(path)
        if path.suffix == ".npz":
            save_record(path, self.record)
        else:
            self.html.save(path)
        return path

    def _repr_html_(self) -> str:
        return self.html._repr_html_()

    def __repr__(self) -> str:
        found = [v.claim.verdict for v in self.record.verdicts]
        judged = ", ".join(f"{found.count(w)} {w}" for w in ("pass", "fail", "inconclusive"))
        n = len(self.record.steps)
        return f"<a step of {n} calls, {self.record.title!r}; lines of backwards: {judged}>"


def step(
    what: Any,
    *arguments: Any,
    against: Any = None,
    seed: int = 0,
    title: str = "",
    kernel: bool = False,
    **options: Any,
) -> Stepped:
    """Record one training step, to be walked through line by line.

    Parameters
    ----------
    what : Model, method of pretraining, or function
        A compiled model: then a batch ``x``, or ``x, y``, follows. A fitted method, of several
        networks, say: then ``x``. A forward, ``y, cache = forward(*arrays)``: then its backward,
        ``gradients = backward(dy, cache)``, and the arrays.
    *arguments
    against : dict, Model, or a pair of functions, optional
        What the page shows beside it: the same step with other settings of the optimiser, such as
        ``{"learning_rate": 1.0}``; of another model with the same batch; or of another pair.
    seed : int
        Of what is drawn: dropout, or the dy of a pair.
    title : str
    kernel : bool
        Whether the step is made as ``fit`` makes it, with the compiled kernel. The lines are those
        of the definitions all the same, and the page says of each call how many digits agree.
    **options
        Of a forward.

    Returns
    -------
    Stepped
        ``save(path)`` writes the page. The model is as it was before.

    Raises
    ------
    TypeError
        For what cannot be recorded.
    ValueError
        If the page would be too large with a single sample, or the code takes more operations than
        anybody would walk through; if there is no compiled kernel, and ``kernel`` asks for it.

    Examples
    --------
    >>> from minienc.layers import Dense, Input
    >>> from minienc.models import Model
    >>> x = Input((3,))
    >>> model = Model(x, Dense(1, "sigmoid", seed=0)(x))
    >>> model.compile("sgd", "binary_crossentropy")
    >>> step(model, np.ones((4, 3)), np.ones((4, 1)))  # in a notebook: the page
    <a step of 5 calls, ''; lines of backwards: 8 pass, 0 fail, 0 inconclusive>
    """
    if callable(what) and arguments and callable(arguments[0]):
        if kernel:
            raise TypeError("step: a pair's functions run as they are written: leave out kernel")
        backward, *arrays = arguments
        how: dict[str, Any] = dict(options=options, title=title, seed=seed)
        made = record_pair(what, backward, tuple(arrays), **how)
        if against is None:
            return Stepped(made)
        forward, backward = against
        if forward is what and not title:  # or both would be called by the forward's name
            how["title"] = f"{made.title}, {getattr(backward, '__name__', 'another backward')}"
        return Stepped(made, record_pair(forward, backward, tuple(arrays), **how))
    if options:
        raise TypeError(f"step: {', '.join(options)}: only a forward has options")
    take: Any  # one of these; the batch, title and seed go behind
    if hasattr(what, "learners_"):
        take = record_method
    elif hasattr(what, "objective") and hasattr(what, "optimizer"):
        take = record_batch
    else:
        raise TypeError(
            f"step: {type(what).__name__} is no compiled model, no fitted method that makes steps, "
            f"and no forward with its backward behind it"
        )
    take = partial(take, seed=seed, kernel=kernel)
    made = _small_enough(take, what, arguments, title)
    if against is None:
        return Stepped(made)
    n = made.about.get("samples", len(arguments[0]))
    batch = tuple(a[:n] for a in arguments)
    if not isinstance(against, dict):
        return Stepped(made, take(against, *batch, title=title))
    with _settings(what, against):
        return Stepped(made, take(what, *batch, title=f"{title} {against}"))


@contextmanager
def _settings(what: Any, changed: dict[str, Any]) -> Iterator[None]:
    """With other settings of the optimisers, for the time of the block."""
    learners = getattr(what, "learners_", {"model": what})
    optimizers = [one.optimizer for one in learners.values()]
    before = [{name: getattr(o, name, None) for name in changed} for o in optimizers]
    for optimizer in optimizers:
        for name, value in changed.items():
            if not hasattr(optimizer, name):
                raise TypeError(f"step: {type(optimizer).__name__} has no {name}")
            setattr(optimizer, name, value)
    try:
        yield
    finally:
        for optimizer, names in zip(optimizers, before, strict=True):
            for name, value in names.items():
                setattr(optimizer, name, value)


def _small_enough(take: Callable[..., Record], what: Any, arrays: tuple, title: str) -> Record:
    """The record of the batch; of its first samples if a page could not carry it, and where a few
    are too many, of the first features of everything."""
    if not arrays:
        raise TypeError("step: a batch is missing: step(model, x) or step(model, x, y)")
    n = whole = len(arrays[0])
    _refuse_too_many_parameters(what)
    while True:  # without verdicts, which take most of the time
        made = take(what, *(a[:n] for a in arrays), title=title, verdicts=False)
        held = sum(a.size for a in made.tape.values)
        size = len(encode(made)[1]) if held <= HELD else MOST * held // HELD
        if size > MOST and n <= FEW and held <= HELD:
            size = _leave_out_features(made)
        if size <= MOST and held <= HELD:
            break
        if n == 1:
            too_large = (
                f"the lines of one sample hold {held:,} numbers, expected at most {HELD:,}"
                if held > HELD
                else f"one sample takes {size:,} bytes of numbers, expected at most {MOST:,}"
            )
            raise ValueError(f"step: {too_large}: a smaller model of the same kind shows the same")
        n = max(1 if n <= FEW else FEW, min(n // 2, n * MOST // size))
    most, made = made.most, take(what, *(a[:n] for a in arrays), title=title)
    made.most, shown = most, []
    if n < whole:
        shown.append(f"the first {n} of the batch's {whole} samples")
        made.about["samples"] = n
    if made.most is not None:
        shown.append(f"of features, filters and units the first {made.most}")
    if shown:
        made.about["shown"] = "; ".join(shown)
    return made


def _refuse_too_many_parameters(what: Any) -> None:
    """Before a record of them is made, which takes much memory."""
    learners = getattr(what, "learners_", {})
    networks = [one.network for one in learners.values()] or [what]
    size = sum(network.parameters.vector.size for network in networks)
    if (
        size * 5 > HELD
    ):  # each is there before and after, in W and in the vector, as is its gradient
        raise ValueError(
            f"step: the model has {size:,} parameters, and a page has room for at most "
            f"{HELD // 5:,}: a smaller model of the same kind shows the same"
        )


def _leave_out_features(made: Record) -> int:
    """Carry as many features as there is room for; return how many bytes that takes."""
    size = 0
    for made.most in STEPS:
        size = len(encode(made)[1])
        if size <= MOST:
            break
    return size


# ------------------------------------------------------------------------------ somebody's own pair


class Written:
    """A function of somebody's, as a primitive is one: ``definition`` is its body."""

    overwrites: tuple[str, ...] = ()

    def __init__(self, function: Callable, name: str) -> None:
        self.constants: tuple[str, ...] = getattr(function, "constants", ())
        self.definition = recorded(function)
        self.__name__, self.__module__ = name, function.__module__


def record_pair(
    forward: Callable,
    backward: Callable,
    arrays: tuple,
    options: dict[str, Any] | None = None,
    *,
    title: str = "",
    seed: int = 0,
) -> Record:
    """Record a pair ``y, cache = forward(...)``, ``gradients = backward(dy, cache)``.

    ``dy`` is drawn. Lines of both files are shown, and NumPy's functions in them are recorded.
    """
    for f in (forward, backward):
        if not isinstance(inspect.unwrap(f), FunctionType):
            raise TypeError(f"step: {f!r} is no function with lines of Python to walk through")
    name = forward.__name__.removesuffix("_forward")
    pair = Written(forward, f"{name}_forward"), Written(backward, f"{name}_backward")
    files = {inspect.getsourcefile(inspect.unwrap(f)) for f in (forward, backward)}
    arrays = tuple(np.asarray(a) if isinstance(a, (list, tuple)) else a for a in arrays)
    with definitions_only():
        result = forward(*_copied(arrays), **(options or {}))
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(
            f"step: {forward.__name__} returned {type(result).__name__}, expected (y, cache), "
            f"which backward(dy, cache) takes"
        )
    y, cache = result
    dy = as_cotangent(drawn(y, np.random.default_rng(seed)), y)
    dy = _like(dy, y)
    with definitions_only():
        gradients = backward(_copied(dy), cache)
    there = Heard(pair[0], arrays, options or {}, name, None, result)  # type: ignore[arg-type]
    back = Heard(pair[1], (dy, cache), {}, name, None, gradients)  # type: ignore[arg-type]
    made = record([there, back], title or name, lambda file: file in files)
    made.graph = [{"path": name, "kind": forward.__name__, "inputs": [-1]}]
    return made


def _like(dy: Any, y: Any) -> Any:
    """dy in y's dtype."""
    if isinstance(y, tuple):
        return tuple(map(_like, dy, y))
    return dy.astype(np.asarray(y).dtype) if np.asarray(y).dtype.kind == "f" else dy


def _copied(x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return x.copy()
    return tuple(map(_copied, x)) if type(x) is tuple else x


def recorded(function: Callable) -> Callable:
    """The same function with a NumPy whose new arrays are recorded, and so the functions beside it
    that it may call."""
    function = inspect.unwrap(function)
    if not isinstance(function, FunctionType):
        return function
    own = function.__globals__
    names = {k: recording_numpy if v is np else v for k, v in own.items()}
    for k, v in own.items():
        if isinstance(v, FunctionType) and v.__globals__ is own:
            names[k] = _with_globals(v, names)
    return _with_globals(function, names)


def _with_globals(function: FunctionType, names: dict[str, Any]) -> FunctionType:
    made = FunctionType(
        function.__code__,
        names,
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made
