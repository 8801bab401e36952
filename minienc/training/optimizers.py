"""Optimisers: owners of what a step remembers, and of its settings.

The steps themselves, each as in its paper, stand in ``functions/optimizers.py``.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from numbers import Real
from typing import Any

from minienc.arrays import Array, get_array_module, to_device, zeros_aligned
from minienc.functions.optimizers import (
    adagrad_step,
    adam_step,
    adamw_step,
    lion_step,
    muon_step,
    rmsprop_step,
    sgd_step,
    sum_of_squares,
)
from minienc.layers.parameters import writable
from minienc.shapes import is_whole


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

    rule: Any  # the step: rule(w, g, learning_rate=, scale=, and what follows by its name)
    vectors: tuple[str, ...] = ()  # that the rule takes, to remember something
    slots: tuple[str, ...] = ()  # those of them that these settings need; the others are None
    options: tuple[str, ...] = ()  # the settings; "step" is the number of the step, from 1

    def __init__(self, learning_rate: Any, global_clipnorm: float | None = None) -> None:
        self.learning_rate = learning_rate
        if global_clipnorm is not None:
            _above_zero(type(self).__name__, global_clipnorm=global_clipnorm)
        self.global_clipnorm = global_clipnorm
        self.iterations = 0
        self._state: dict[str, Array] = {}
        self._layout: tuple | None = None
        self._seen: Any = None  # the parameters whose layout was compared last

    @property
    def learning_rate(self) -> Any:
        """The number or the schedule; assigning replaces it. It may be 0, as a warm-up begins: then
        a step changes no weight."""
        return self._learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        if not callable(learning_rate):
            _at_least_zero(type(self).__name__, learning_rate=learning_rate)
            learning_rate = float(learning_rate)
        self._learning_rate = learning_rate

    @property
    def current_learning_rate(self) -> float:
        """The number that the next step uses."""
        rate = self._learning_rate
        return float(rate(self.iterations)) if callable(rate) else rate

    def step(self, parameters: Any, gradients: Any) -> None:
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

    def move(self, parameters: Any, gradients: Any, step: Any, rate: Any) -> None:
        """The arithmetic of ``step``, which is step number ``step``, from 1: nothing is counted.

        Where a device replays it, the two numbers are arrays of no axes.
        """
        w, g = parameters.vector, gradients.vector
        if w.shape != g.shape:
            raise ValueError(
                f"{type(self).__name__}: gradients for {g.size} numbers, parameters have {w.size}"
            )
        if parameters is not self._seen:
            self._remember(parameters)
        segments = parameters.segments()
        scale = 1.0 if self.global_clipnorm is None else self._clipping_scale(g, segments)
        for part, multiplier in segments:
            rate_here = rate if multiplier == 1 else rate * multiplier
            self._move_part(w, g, part, step, rate_here, scale)

    def _move_part(self, w: Array, g: Array, part: slice, step: Any, rate: Any, scale: Any) -> None:
        """The step of one part of the flat vectors, in which all move at the same rate."""
        given: dict[str, Any] = dict.fromkeys(self.vectors)
        for name in self.slots:
            given[name] = self._state[name][part]
        for name in self.options:
            given[name] = step if name == "step" else getattr(self, name)
        self.rule(w[part], g[part], scale=scale, learning_rate=rate, **given)

    def _initial(self, xp: Any, w: Array) -> Array:
        """What a remembered vector begins as."""
        return zeros_aligned(xp, w.size, w.dtype)

    def _remember(self, parameters: Any) -> None:
        """Make the state at the first step; refuse a model of another layout afterwards."""
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

    def _clipping_scale(self, g: Array, segments: list) -> Any:
        assert self.global_clipnorm is not None
        total = sum(sum_of_squares(g[part]) for part, _ in segments)
        if isinstance(total, (int, float)):
            norm = math.sqrt(total)
            return self.global_clipnorm / norm if norm > self.global_clipnorm else 1.0
        xp = get_array_module(total)  # of a device: the same, without a look at the number
        return self.global_clipnorm / xp.maximum(xp.sqrt(total), self.global_clipnorm)

    @property
    def remembered(self) -> dict[str, Array]:
        """The vectors that steps change beside the weights: another dict once others are loaded."""
        return self._state

    def to(self, device: str) -> None:
        """Move what is remembered to a device, as ``Model.to`` moves the weights."""
        self._state = {name: to_device(v, device) for name, v in self._state.items()}

    # -- saving

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_seen": None}

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


class SGD(Optimizer):
    """Stochastic gradient descent; see ``sgd_step``."""

    rule, vectors = sgd_step, ("velocity",)
    options = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        _fraction("SGD", momentum=momentum)
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("velocity",) if momentum else ()


class RMSprop(Optimizer):
    """See ``rmsprop_step``."""

    rule, vectors = rmsprop_step, ("s", "velocity")
    options = ("rho", "momentum", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        _fraction("RMSprop", rho=rho, momentum=momentum)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon
        self.slots = ("s", "velocity") if momentum else ("s",)


class Adagrad(Optimizer):
    """See ``adagrad_step``."""

    rule = adagrad_step
    vectors = slots = ("s",)
    options = ("epsilon",)

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        _at_least_zero("Adagrad", initial_accumulator_value=initial_accumulator_value)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def _initial(self, xp: Any, w: Array) -> Array:
        return xp.full_like(w, self.initial_accumulator_value)


class Adam(Optimizer):
    """See ``adam_step``."""

    rule = adam_step
    vectors = slots = ("m", "v")
    options: tuple[str, ...] = ("step", "beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        _fraction(type(self).__name__, beta_1=beta_1, beta_2=beta_2)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon


class AdamW(Adam):
    """See ``adamw_step``; ``weight_decay`` acts on all trainable parameters."""

    rule = adamw_step
    options = (*Adam.options, "weight_decay")

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, global_clipnorm)
        _at_least_zero("AdamW", weight_decay=weight_decay)
        self.weight_decay = weight_decay


class Lion(Optimizer):
    """See ``lion_step``; the learning rate is a third to a tenth of Adam's."""

    rule = lion_step
    vectors = slots = ("m",)
    options = ("beta_1", "beta_2", "weight_decay")

    def __init__(
        self,
        learning_rate: Any = 0.0001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.0,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        _fraction("Lion", beta_1=beta_1, beta_2=beta_2)
        _at_least_zero("Lion", weight_decay=weight_decay)
        self.beta_1, self.beta_2, self.weight_decay = beta_1, beta_2, weight_decay


class Muon(Optimizer):
    """``muon_step`` for the matrices between layers, ``adamw_step`` for all other parameters.

    Parameters
    ----------
    learning_rate : float or schedule
        Of the matrices.
    momentum : float
    nesterov : bool
    ns_steps : int
        Steps of ``orthogonalized``.
    weight_decay : float
        Of all parameters.
    adam_lr_ratio : float
        The others' learning rate is the matrices' times this.
    adam_beta_1, adam_beta_2, epsilon : float
        Of the others.
    exclude : sequence of str
        Matrices whose name holds one of these are among the others: tables of vectors, and the
        layer that chooses among classes.
    global_clipnorm : float or None
    """

    vectors = slots = ("m", "v")

    def __init__(
        self,
        learning_rate: Any = 0.02,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_steps: int = 5,
        weight_decay: float = 0.0,
        adam_lr_ratio: float = 0.1,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.95,
        epsilon: float = 1e-7,
        exclude: Sequence[str] = ("embedding", "head"),
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        _fraction("Muon", momentum=momentum, adam_beta_1=adam_beta_1, adam_beta_2=adam_beta_2)
        _at_least_zero("Muon", weight_decay=weight_decay, adam_lr_ratio=adam_lr_ratio)
        if not is_whole(ns_steps, 1):
            raise ValueError(f"Muon: ns_steps is {ns_steps!r}, expected a whole number from 1")
        self.momentum, self.nesterov, self.ns_steps = momentum, nesterov, ns_steps
        self.weight_decay, self.adam_lr_ratio = weight_decay, adam_lr_ratio
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.exclude = list(exclude)

    def _move_part(self, w: Array, g: Array, part: slice, step: Any, rate: Any, scale: Any) -> None:
        m, v = self._state["m"], self._state["v"]
        settings = self.momentum, self.nesterov, self.weight_decay, self.ns_steps
        betas = self.adam_beta_1, self.adam_beta_2, self.epsilon, self.weight_decay
        for name, at, shape in self._seen.within(part):
            if len(shape) == 2 and not any(word in name for word in self.exclude):
                matrix = [a[at].reshape(shape) for a in (w, g, m)]
                muon_step(*matrix, rate, *settings, scale)
            else:
                adam_rate = rate * self.adam_lr_ratio
                adamw_step(w[at], g[at], m[at], v[at], step, adam_rate, *betas, scale)


OPTIMIZERS: dict[str, Callable[[], Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
    "adam": Adam,
    "adamw": AdamW,
    "lion": Lion,
    "muon": Muon,
}


def get_optimizer(optimizer: str | Optimizer) -> Optimizer:
    """Return a new optimiser of this name, or the object itself."""
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer.lower() in OPTIMIZERS:
        return OPTIMIZERS[optimizer.lower()]()
    made = f": {optimizer.__name__}()" if isinstance(optimizer, type) else ""
    raise ValueError(
        f"optimizer is {optimizer!r}, expected one of {', '.join(OPTIMIZERS)}, or an optimizer"
        f"{made}"
    )


# -- hyper-parameters are refused where they enter


def _above_zero(owner: str, **numbers: Any) -> None:
    _refuse(owner, lambda x: 0 < x < math.inf, "a number above 0", numbers)


def _at_least_zero(owner: str, **numbers: Any) -> None:
    _refuse(owner, lambda x: 0 <= x < math.inf, "a number of at least 0", numbers)


def _fraction(owner: str, **numbers: Any) -> None:
    _refuse(owner, lambda x: 0 <= x < 1, "a number in [0, 1)", numbers)


def _refuse(owner: str, is_good: Callable, expected: str, numbers: dict[str, Any]) -> None:
    for name, value in numbers.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not (is_number and is_good(value)):
            raise ValueError(f"{owner}: {name} is {value!r}, expected {expected}")
