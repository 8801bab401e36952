"""Optimisers: owners of what a step remembers, and of its settings.

What they share is in ``optimizer.py``; the steps themselves, each as in its paper, stand in
``functions/optimizers.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType

from minienc.arrays import Array, Scalar
from minienc.functions.optimizers import (
    adagrad_step,
    adam_step,
    adamw_step,
    lion_step,
    muon_step,
    rmsprop_step,
    sgd_step,
)
from minienc.shapes import is_whole
from minienc.training.optimizer import Optimizer, at_least_zero, fraction
from minienc.training.schedules import LearningRate


class SGD(Optimizer):
    """Stochastic gradient descent; see ``sgd_step``.

    Examples
    --------
    >>> optimizer = SGD(0.1, momentum=0.9, nesterov=True)
    >>> optimizer.get_config()["momentum"]
    0.9
    """

    rule, vectors = sgd_step, ("velocity",)
    options = ("momentum", "nesterov")

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        fraction("SGD", momentum=momentum)
        self.momentum, self.nesterov = momentum, nesterov
        self.slots = ("velocity",) if momentum else ()


class RMSprop(Optimizer):
    """See ``rmsprop_step``."""

    rule, vectors = rmsprop_step, ("s", "velocity")
    options = ("rho", "momentum", "epsilon")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        fraction("RMSprop", rho=rho, momentum=momentum)
        self.rho, self.momentum, self.epsilon = rho, momentum, epsilon
        self.slots = ("s", "velocity") if momentum else ("s",)


class Adagrad(Optimizer):
    """See ``adagrad_step``."""

    rule = adagrad_step
    vectors = slots = ("s",)
    options = ("epsilon",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        at_least_zero("Adagrad", initial_accumulator_value=initial_accumulator_value)
        self.initial_accumulator_value, self.epsilon = initial_accumulator_value, epsilon

    def _initial(self, xp: ModuleType, w: Array) -> Array:
        return xp.full_like(w, self.initial_accumulator_value)


class Adam(Optimizer):
    """See ``adam_step``.

    Examples
    --------
    >>> Adam(learning_rate=3e-4, global_clipnorm=1.0).get_config()["global_clipnorm"]
    1.0
    """

    rule = adam_step
    vectors = slots = ("m", "v")
    options: tuple[str, ...] = ("step", "beta_1", "beta_2", "epsilon")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        fraction(type(self).__name__, beta_1=beta_1, beta_2=beta_2)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon


class AdamW(Adam):
    """See ``adamw_step``; ``weight_decay`` acts on all trainable parameters."""

    rule = adamw_step
    options = (*Adam.options, "weight_decay")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, beta_1, beta_2, epsilon, global_clipnorm)
        at_least_zero("AdamW", weight_decay=weight_decay)
        self.weight_decay = weight_decay


class Lion(Optimizer):
    """See ``lion_step``; the learning rate is a third to a tenth of Adam's."""

    rule = lion_step
    vectors = slots = ("m",)
    options = ("beta_1", "beta_2", "weight_decay")

    def __init__(
        self,
        learning_rate: LearningRate = 0.0001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        weight_decay: float = 0.0,
        global_clipnorm: float | None = None,
    ) -> None:
        super().__init__(learning_rate, global_clipnorm)
        fraction("Lion", beta_1=beta_1, beta_2=beta_2)
        at_least_zero("Lion", weight_decay=weight_decay)
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
        learning_rate: LearningRate = 0.02,
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
        fraction("Muon", momentum=momentum, adam_beta_1=adam_beta_1, adam_beta_2=adam_beta_2)
        at_least_zero("Muon", weight_decay=weight_decay, adam_lr_ratio=adam_lr_ratio)
        if not is_whole(ns_steps, 1):
            raise ValueError(f"Muon: ns_steps is {ns_steps!r}, expected a whole number from 1")
        self.momentum, self.nesterov, self.ns_steps = momentum, nesterov, ns_steps
        self.weight_decay, self.adam_lr_ratio = weight_decay, adam_lr_ratio
        self.adam_beta_1, self.adam_beta_2, self.epsilon = adam_beta_1, adam_beta_2, epsilon
        self.exclude = list(exclude)

    def _move_part(
        self, w: Array, g: Array, part: slice, step: Scalar, rate: Scalar, scale: Scalar
    ) -> None:
        m, v = self._state["m"], self._state["v"]
        settings = self.momentum, self.nesterov, self.weight_decay, self.ns_steps
        betas = self.adam_beta_1, self.adam_beta_2, self.epsilon, self.weight_decay
        assert self._seen is not None
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


OptimizerLike = str | Optimizer  # its name, or itself


def get_optimizer(optimizer: OptimizerLike) -> Optimizer:
    """Return a new optimiser of this name, or the object itself.

    Examples
    --------
    >>> type(get_optimizer("adam")).__name__
    'Adam'
    """
    if isinstance(optimizer, Optimizer):
        return optimizer
    if isinstance(optimizer, str) and optimizer.lower() in OPTIMIZERS:
        return OPTIMIZERS[optimizer.lower()]()
    made = f": {optimizer.__name__}()" if isinstance(optimizer, type) else ""
    raise ValueError(
        f"optimizer is {optimizer!r}, expected one of {', '.join(OPTIMIZERS)}, or an optimizer"
        f"{made}"
    )
