"""One step of training: the page that this library is about.

A ``Learner`` is all that learns by a gradient: ``Model.fit`` has one, a generative adversarial
network two. What it makes small is an ``Objective``, the numbers of which it computes forward and
differentiates backward; a compiled model has one made of its graph and its losses
(``training/objective.py``), a method of ``minienc.pretraining`` writes its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from minienc.arrays import Array, Cache, Scalar, is_array, to_device_of
from minienc.layers.parameters import Gradients, Parameter
from minienc.primitive import Call, recording
from minienc.training.checkpoints import check_fit
from minienc.training.ranks import JointObjective, ranks_here

if TYPE_CHECKING:
    from minienc.models.network import Network
    from minienc.training.objective import ModelObjective
    from minienc.training.optimizer import Optimizer


class NonFiniteError(FloatingPointError):
    """Training met NaN or infinity; the message says in which batch and layer."""


class Objective:
    """What a ``Learner`` makes small: a function of a batch, and its gradient.

        numbers, cache = objective.forward(batch, rng)     # numbers[0] is the loss
        objective.backward(dloss, cache, grads)            # adds dloss times its gradient to grads

    As a layer's, ``forward`` changes nothing, and a cache is good for any number of backwards.

    Attributes
    ----------
    names : tuple of str
        What the numbers are called in the logs.
    greater_is_better : dict of str to bool
        Which way the numbers are better that are no losses.
    uses_rng : bool
        Whether ``forward`` draws from the generator that it is given.
    """

    names: tuple[str, ...] = ("loss",)
    greater_is_better: Mapping[str, bool] = MappingProxyType({})
    uses_rng = True

    def forward(self, batch: tuple, rng: np.random.Generator) -> tuple[tuple[Scalar, ...], Cache]:
        raise NotImplementedError

    def backward(self, dloss: Scalar, cache: Cache, grads: Gradients) -> object:
        raise NotImplementedError

    def updates(self, cache: Cache) -> Iterable[tuple[Parameter, Array]]:
        """What the state that no gradient moves (a moving average) becomes after the step."""
        return []


class Learner:
    """A network and what trains it: one thing that learns.

    Parameters
    ----------
    network : Model
        Whose parameters are moved.
    objective : Objective
    optimizer : Optimizer
    arrays : dict of arrays, optional
        What is learned or remembered beside the parameters, to be saved with them.
    exchange : function of Gradients, optional
        Called between backward and update: where processes that share the work put the mean of
        their gradients in place of each one's own.
    """

    def __init__(
        self,
        network: Network,
        objective: Objective | ModelObjective,
        optimizer: Optimizer,
        arrays: dict[str, Array] | None = None,
        exchange: Callable[[Gradients], None] | None = None,
    ) -> None:
        self.network, self.objective, self.optimizer = network, objective, optimizer
        self.arrays = {} if arrays is None else arrays
        self.exchange = exchange
        if (ranks := ranks_here()) is not None:  # other processes learn from the same batches
            if objective is not None:  # where None is, a method makes its steps itself
                self.objective = JointObjective(objective, ranks)  # type: ignore[assignment]
            self.exchange = ranks.exchange
        self.gather()

    def step(
        self,
        batch: tuple,
        rng: np.random.Generator,
        objective: Objective | ModelObjective | None = None,
    ) -> dict[str, Scalar]:
        """Learn from one batch; return its numbers by their names, the loss first.

        ``objective`` is what computes the same numbers and gradients in another way, such as
        ``fast/planned.py`` has; None is the learner's own.

        Raises
        ------
        NonFiniteError
            If the loss is NaN or infinite. Nothing has been changed then.
        """
        if not self.parameters.is_home:  # another model has gathered these weights, or moved them
            self.gather()
        objective = self.objective if objective is None else objective
        noise = rng.bit_generator.state if objective.uses_rng else None
        numbers, cache = objective.forward(batch, rng)  # forward, and the loss
        if not math.isfinite(numbers[0]):  # is it finite?
            self.refuse(batch, rng, noise, numbers[0])
        objective.backward(1.0, cache, self.gradients.zero())  # backward
        if self.exchange is not None:
            self.exchange(self.gradients)  # what other processes found
        self.optimizer.step(self.parameters, self.gradients)  # update
        for parameter, value in objective.updates(cache):
            parameter.value = value  # state
        return dict(zip(self.objective.names, numbers, strict=True))

    def gather(self) -> None:
        """Bring the network's parameters into one vector, and make one for their gradients."""
        self.parameters = self.network.parameters
        self.gradients = self.network.new_gradients()

    def refuse(
        self, batch: tuple, rng: np.random.Generator, noise: Mapping | None, loss: Scalar
    ) -> None:
        """Say where NaN or infinity first appeared; ``noise`` is the generator's state before."""
        if noise is not None:
            rng.bit_generator.state = noise
        where = find_nonfinite(self.network, self.objective, batch, rng)
        raise NonFiniteError(
            f"the {self.objective.names[0].replace('_', ' ')} is {float(loss)}; {where}. The last "
            f"checkpoint stays as it was; try a smaller learning rate (it is "
            f"{self.optimizer.current_learning_rate:g}) or global_clipnorm=1"
        )

    # -- saving and going on

    def weights(self) -> dict[str, Array]:
        """A copy of what has been learned: the parameters' vector, and the arrays beside it."""
        arrays = {name: a.copy() for name, a in self.arrays.items()}
        return {"": self.network.parameters.vector.copy(), **arrays}

    def set_weights(self, weights: dict[str, Array]) -> None:
        """Take back what ``weights`` gave."""
        parameters = self.network.parameters
        parameters.vector[...] = to_device_of(weights[""], parameters.vector)
        parameters.touch()
        for name, old in self.arrays.items():
            self.arrays[name] = to_device_of(weights[name], old).copy()

    def state(self) -> dict[str, dict[str, Any]]:
        """What steps change: {part: {name: number or array}}."""
        optimizer = {} if self.optimizer is None else self.optimizer.state_dict()
        weights = dict(self.network.parameters.items())
        return {"weights": weights, "optimizer": optimizer, "arrays": dict(self.arrays)}

    def load_state(self, path: str, state: dict[str, dict[str, Any]]) -> None:
        """Take back what ``state`` gave; ``path`` is where it was read from, for messages."""
        parameters = self.network.parameters
        check_fit(
            path,
            {name: a.shape for name, a in state["weights"].items()},
            {name: tuple(view.shape) for name, view in parameters.items()},
        )
        for name, view in parameters.items():
            view[...] = to_device_of(state["weights"][name], view)
        parameters.touch()
        if self.optimizer is not None:
            like = parameters.vector
            self.optimizer.load_state_dict(
                {
                    k: to_device_of(v, like) if is_array(v) else v
                    for k, v in state["optimizer"].items()
                }
            )
        for name, array in state["arrays"].items():
            old = self.arrays.get(name)
            self.arrays[name] = array if old is None else to_device_of(array, old)


def find_nonfinite(
    network: Network, objective: Objective | ModelObjective, batch: tuple, rng: np.random.Generator
) -> str:
    """Say where NaN or infinity first appears when the objective runs forward on this batch."""
    for name, p in network.named_parameters():
        if not math.isfinite(float(p.value.sum())):
            return f"the weights {name} are not finite any more"
    found: list[Call] = []

    def look(call: Call) -> None:
        if call.event == "leave" and not found and not _is_finite(call.result):
            found.append(call)

    with recording(look):
        objective.forward(batch, rng)
    if not found:
        return "what every function returned is finite, so it appears in the sum of the losses"
    path, function = found[0].place.path, found[0].primitive.__name__
    if path.startswith("loss"):
        return f"every layer's output is finite, so it appears in the {path}"
    return f"it first appears in the output of {f'layer {path}' if path else function}"


def _is_finite(result: object) -> bool:
    """Whether the first of what a primitive returned, y, is finite."""
    y = result[0] if isinstance(result, tuple) else result
    parts = y if isinstance(y, tuple) else (y,)
    return all(math.isfinite(float(abs(part).sum())) for part in parts if is_array(part))
