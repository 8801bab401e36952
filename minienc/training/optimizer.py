"""What the optimisers share: the learning rate, clipping, what is remembered, what is saved.

The steps themselves, each as in its paper, stand in ``functions/optimizers.py``, and who takes
which, in ``optimizers.py``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from numbers import Real
from operator import is_not
from types import ModuleType
from typing import Any

from minienc.arrays import Array, Scalar, get_array_module, to_device, zeros_aligned
from minienc.functions.optimizers import sum_of_squares
from minienc.layers.parameters import Gradients, Parameters, writable
from minienc.primitive import Primitive
from minienc.training.schedules import LearningRate


class Optimizer:
    """What the optimisers share: the learning rate, clipping, the state, the count of steps.

    A subclass says which step of ``functions/optimizers.py`` it takes, and with what.

    Parameters
    ----------
    learning_rate : float or schedule
    global_clipnorm : float or None
        The gradient as a whole is scaled down where its norm is larger (Pascanu, Mikolov and
        Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1).

    Attributes
    ----------
    iterations : int
        Steps done.
    """

    rule: Primitive  # the step: rule(w, g, learning_rate=, scale=, and what follows by its name)
    vectors: tuple[str, ...] = ()  # that the rule takes, to remember something
    slots: tuple[str, ...] = ()  # those of them that these settings need; the others are None
    options: tuple[str, ...] = ()  # the settings; "step" is the number of the step, from 1

    def __init__(self, learning_rate: LearningRate, global_clipnorm: float | None = None) -> None:
        self.learning_rate = learning_rate
        if global_clipnorm is not None:
            above_zero(type(self).__name__, global_clipnorm=global_clipnorm)
        self.global_clipnorm = global_clipnorm
        self.iterations = 0
        self._state: dict[str, Array] = {}
        self._layout: tuple | None = None
        self._seen: Parameters | None = None  # the parameters whose layout was compared last
        self._cut: dict[int, tuple] = {}  # by where a part begins: vectors, and what of them it is

    @property
    def learning_rate(self) -> LearningRate:
        """The number or the schedule; assigning replaces it. It may be 0, as a warm-up begins: then
        a step changes no weight."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: LearningRate) -> None:
        if not callable(learning_rate):
            at_least_zero(type(self).__name__, learning_rate=learning_rate)
            learning_rate = float(learning_rate)
        self._learning_rate = learning_rate

    @property
    def current_learning_rate(self) -> float:
        """The number that the next step uses."""
        rate = self._learning_rate
        return float(rate(self.iterations)) if callable(rate) else rate

    def step(self, parameters: Parameters, gradients: Gradients) -> None:
        """Move the trainable parameters once.

        Parameters
        ----------
        parameters : Parameters
        gradients : Gradients, of the same layout; not written to
        """
        rate = self.current_learning_rate
        self.iterations += 1
        self.move(parameters, gradients, self.iterations, rate)
        parameters.touch()

    def move(
        self, parameters: Parameters, gradients: Gradients, step: Scalar, rate: Scalar
    ) -> None:
        """The arithmetic of ``step``, which is step number ``step``, from 1: nothing is counted.

        Where a device replays it, the two numbers are arrays of no axes.
        """
        w, g = parameters.vector, gradients.vector
        if w.shape != g.shape:
            raise ValueError(
                f"{type(self).__name__}: gradients for {g.size} numbers, parameters have {w.size}"
            )
        if parameters is not self._seen:
            self.remember(parameters)
        segments = parameters.segments()
        scale = 1.0 if self.global_clipnorm is None else self._clipping_scale(g, segments)
        for part, multiplier in segments:
            rate_here = rate if multiplier == 1 else rate * multiplier
            self._move_part(w, g, part, step, rate_here, scale)

    def _move_part(
        self, w: Array, g: Array, part: slice, step: Scalar, rate: Scalar, scale: Scalar
    ) -> None:
        """The step of one part of the flat vectors, in which all move at the same rate."""
        w, g, remembered = self.views(w, g, part)
        options = {name: step if name == "step" else getattr(self, name) for name in self.options}
        self.rule(w, g, scale=scale, learning_rate=rate, **remembered, **options)

    def views(self, w: Array, g: Array, part: slice) -> tuple[Array, Array, dict[str, Any]]:
        """This part of w, of g, and of what is remembered: cut once, for as long as these are the
        vectors."""
        vectors = w, g, part, self._state, self.slots
        kept = self._cut.get(part.start)
        if kept is None or any(map(is_not, vectors, kept[0])):
            remembered: dict[str, Any] = dict.fromkeys(self.vectors)
            remembered |= {name: self._state[name][part] for name in self.slots}
            kept = self._cut[part.start] = vectors, (w[part], g[part], remembered)
        return kept[1]

    def _initial(self, xp: ModuleType, w: Array) -> Array:
        """What a remembered vector begins as."""
        return zeros_aligned(xp, w.size, w.dtype)

    def remember(self, parameters: Parameters) -> None:
        """Make the state at the first step; refuse a model of another layout afterwards."""
        if parameters is self._seen:
            return
        self._seen = parameters
        layout = tuple((name, tuple(view.shape)) for name, view in parameters.items())
        if self._layout is None:
            w = parameters.vector
            xp = get_array_module(w)
            for name in self.slots:
                if name not in self._state:
                    self._state[name] = self._initial(xp, w)
                elif self._state[name].shape != w.shape:
                    raise ValueError(
                        f"{type(self).__name__}: its state {name!r} is for "
                        f"{self._state[name].size} numbers, the model has {w.size}"
                    )
            self._layout = layout
        elif layout != self._layout:
            raise ValueError(
                f"{type(self).__name__}: this optimizer has stepped another model (its state "
                f"belongs to that one's weights); make a new one for each model"
            )

    def _clipping_scale(self, g: Array, segments: list) -> Scalar:
        assert self.global_clipnorm is not None
        total: Scalar = 0.0
        for part, _ in segments:  # sum() would not round after each, from Python 3.12 on
            total = total + sum_of_squares(g[part])
        if isinstance(total, (int, float)):
            norm = math.sqrt(total)
            return self.global_clipnorm / norm if norm > self.global_clipnorm else 1.0
        xp = get_array_module(total)  # of a device: the same, without a look at the number
        return self.global_clipnorm / xp.maximum(xp.sqrt(total), self.global_clipnorm)

    @property
    def remembered(self) -> dict[str, Array]:
        """The vectors that steps change beside the weights: another dict once others are loaded."""
        return self._state

    def remembers(self, parameters: Parameters) -> bool:
        """Whether the last step was one of these: then all that a step needs has been made."""
        return self._seen is parameters

    def to(self, device: str) -> None:
        """Move what is remembered to a device, as ``Model.to`` moves the weights."""
        self._state = {name: to_device(v, device) for name, v in self._state.items()}

    # -- saving

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_seen": None, "_cut": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._state = {name: writable(v) for name, v in self._state.items()}

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps: numbers and vectors."""
        rate = {} if callable(self._learning_rate) else {"learning_rate": self._learning_rate}
        return {"iterations": self.iterations, **rate, **self._state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what ``state_dict`` gave."""
        vectors = {k: v for k, v in state.items() if k not in ("iterations", "learning_rate")}
        if vectors and set(vectors) != set(self.slots):
            raise ValueError(
                f"{type(self).__name__}: the state has {', '.join(vectors)}, expected "
                f"{', '.join(self.slots) or 'none'}"
            )
        self.iterations = int(state["iterations"])
        if "learning_rate" in state:
            self.learning_rate = state["learning_rate"]
        self._state = {k: v.copy() for k, v in vectors.items()}
        self._layout = self._seen = None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = inspect.signature(type(self).__init__).parameters
        return {name: getattr(self, name) for name in names if name != "self"}

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items() if v is not None)
        return f"{type(self).__name__}({values})"


# -- hyper-parameters are refused where they enter


def above_zero(owner: str, **numbers: object) -> None:
    _refuse(owner, lambda x: 0 < x < math.inf, "a number above 0", numbers)


def at_least_zero(owner: str, **numbers: object) -> None:
    _refuse(owner, lambda x: 0 <= x < math.inf, "a number of at least 0", numbers)


def fraction(owner: str, **numbers: object) -> None:
    _refuse(owner, lambda x: 0 <= x < 1, "a number in [0, 1)", numbers)


def _refuse(owner: str, is_good: Callable, expected: str, numbers: dict[str, object]) -> None:
    for name, value in numbers.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not (is_number and is_good(value)):
            raise ValueError(f"{owner}: {name} is {value!r}, expected {expected}")
