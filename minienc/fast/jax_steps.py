"""A training step that JAX compiles: the way to what JAX computes on, a TPU among others.

``Learner.step`` writes to weights, gradients and what the optimiser remembers. ``jax.jit`` compiles
functions that write to nothing. Both are the same step, looked at from two sides: while a step is
traced, ``JaxArray`` gathers what was written, and the function that comes out is

    (state, batch, numbers, noise)  ->  (state after the step, what the step returned)

So the mathematics of ``functions/``, written by hand, is compiled as it stands; JAX differentiates
nothing.

*The state* is three kinds of flat vectors: weights, gradients, and what the optimiser remembers. It
is donated: the new one takes the old one's memory.

*A loss that is not finite* changes nothing: the update is one of two branches.

*Numbers that change*, the step's number and its learning rate, are arguments.

*Noise* is drawn on the host, from the run's own generator, for the same numbers as without JAX. A
first trace, whose result nobody wants, notes what is drawn; it comes as an argument to the second.

What cannot be traced (a function that looks at its numbers) is run one operation at a time, and a
warning says so, once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from operator import is_not
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from minienc.arrays import Scalar
from minienc.devices import Pipeline, register_pipeline
from minienc.fast.draws import Draws, Kind
from minienc.fast.jax_arrays import JaxArray, bare, wrapped
from minienc.fast.replayable import ReplayableStep

if TYPE_CHECKING:
    from minienc.training.step import Learner

CANNOT_TRACE = (jax.errors.JAXTypeError, jax.errors.JAXIndexError, NotImplementedError)


class JaxPipeline(Pipeline):
    """What JAX offers to training: steps that it compiles."""

    def step_of(self, learner: Learner) -> Callable[..., dict[str, Scalar]]:
        if learner.exchange is not None:  # with other processes: between the two halves of a step
            return learner.step
        step: Callable = JaxStep(learner)
        return step


class JaxStep(ReplayableStep):
    """``learner.step``, compiled once for each shape of a batch."""

    def __init__(self, learner: Learner) -> None:
        super().__init__(learner, self._compute, lambda: None)
        self.compiled: dict[tuple, tuple[Callable, list]] = {}  # and what is drawn, by shapes
        self.bound_to: tuple = ()
        self.cannot_trace = ""  # or why
        self.n_steps = self.n_compiled = 0

    def says(self) -> str:
        """How many steps were compiled, and why not all."""
        found = f"of {self.n_steps} steps, {self.n_compiled} were compiled by JAX"
        return f"{found}: {self.cannot_trace}" if self.cannot_trace else found

    def _compute(
        self,
        arithmetic: Callable,
        batch: tuple,
        numbers: tuple,
        noise: np.random.Generator,
        bound_to: tuple,
    ) -> tuple:
        learner = self.learner
        self.n_steps += 1
        learner.optimizer.remember(learner.parameters)  # what it makes at its first step
        bound_to = self._bound_to()
        if len(bound_to) != len(self.bound_to) or any(map(is_not, bound_to, self.bound_to)):
            self.compiled.clear()
            self.bound_to = bound_to
        step, rate = np.asarray(numbers, learner.parameters.vector.dtype)
        if not self.cannot_trace:
            try:
                compiled, draws = self._compiled_for(batch, (step, rate))
            except CANNOT_TRACE as error:
                self._say_why_not(error)
            else:
                state = self._state()
                drawn = [getattr(noise, method)(size, dtype) for method, size, dtype in draws]
                after, found = compiled(
                    [a.values for a in state], _bare_batch(batch), (step, rate), drawn
                )
                _put(state, after)
                self.n_compiled += 1
                return found
        return self._plainly(batch, (step, rate), noise)

    def arithmetic(self, batch: tuple, settings: tuple, noise: np.random.Generator) -> tuple:
        """What ``Learner.step`` computes, its last lines in the branch of a finite loss: who kept
        the old vectors to choose from both would have to copy them."""
        learner, (step, rate) = self.learner, settings
        numbers, cache = learner.objective.forward(batch, noise)
        learner.objective.backward(1.0, cache, learner.gradients.zero())
        state = self._state()

        def update(values: list) -> list:
            _put(state, values)
            learner.optimizer.move(learner.parameters, learner.gradients, step, rate)
            for parameter, value in learner.objective.updates(cache):
                parameter.value = value
            return [a.values for a in state]

        is_made = jnp.isfinite(bare(numbers[0]))
        values = [a.values for a in state]
        _put(state, jax.lax.cond(is_made, update, lambda before: before, values))
        return numbers

    def _state(self) -> list[JaxArray]:
        """The vectors that a step writes to."""
        learner = self.learner
        remembered = learner.optimizer.remembered.values()
        return [learner.parameters.vector, learner.gradients.vector, *remembered]

    def _compiled_for(self, batch: tuple, numbers: tuple) -> tuple[Callable, list]:
        """The compiled step for batches of these shapes, and what it draws."""
        same, arrays = _which_are_the_same(batch)
        key = (same, tuple([(a.shape, str(a.dtype)) for a in arrays]))
        if key not in self.compiled:
            noting = Noting()
            step = self._as_function(same)
            state = [a.values for a in self._state()]
            jax.eval_shape(
                lambda *given: step(*given, noting),
                *(state, [a.values for a in arrays], numbers),
            )

            def with_draws(state: list, arrays: list, numbers: tuple, drawn: list) -> tuple:
                return step(state, arrays, numbers, Given(drawn))

            self.compiled[key] = jax.jit(with_draws, donate_argnums=0), noting.noted
        return self.compiled[key]

    def _as_function(self, same: tuple[int, ...]) -> Callable:
        """The step as a function without memory. ``same`` says which arrays of a batch are one."""

        def step(before: list, arrays: list, numbers: tuple, noise: np.random.Generator) -> tuple:
            state = self._state()
            there = [a.values for a in state]
            batch = [JaxArray(a) for a in arrays]
            try:
                _put(state, before)
                found = self.arithmetic(
                    tuple([batch[i] for i in same]), tuple(map(wrapped, numbers)), noise
                )
                return [a.values for a in state], tuple(map(bare, found))
            finally:  # nothing of a trace is left behind
                _put(state, there)

        return step

    def _plainly(self, batch: tuple, numbers: tuple, noise: np.random.Generator) -> tuple:
        """The same, one operation at a time."""
        return self.arithmetic(batch, tuple([JaxArray(jnp.asarray(n)) for n in numbers]), noise)

    def _say_why_not(self, error: Exception) -> None:
        says = next(iter(str(error).splitlines()), "")
        self.cannot_trace = f"{type(error).__name__}: {says}"
        warnings.warn(
            f"training steps are not compiled by JAX, but run one operation at a time "
            f"({self.cannot_trace})",
            RuntimeWarning,
            stacklevel=2,
        )


def _put(state: list[JaxArray], values: list) -> None:
    for a, new in zip(state, values, strict=True):
        a.values = new


def _which_are_the_same(batch: tuple) -> tuple[tuple[int, ...], list]:
    """(for each array of a batch the number of the one that it is, those); a target that is the
    input comes once."""
    seen: dict[int, int] = {}
    same = tuple([seen.setdefault(id(a), len(seen)) for a in batch])
    return same, list({id(a): a for a in batch}.values())


def _bare_batch(batch: tuple) -> list:
    return [a.values for a in _which_are_the_same(batch)[1]]


# -------------------------------------------------------------------------------------- the noise


class Noting(Draws):
    """In a first trace: notes what is drawn, and draws nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.noted: list[tuple[str, tuple[int, ...], Kind]] = []

    def draw(self, method: str, shape: tuple[int, ...], dtype: Kind) -> JaxArray:
        self.noted.append((method, shape, dtype))
        return JaxArray(jnp.zeros(shape, dtype))


class Given(Draws):
    """In the second trace: gives what was drawn, in the same order."""

    def __init__(self, drawn: list) -> None:
        super().__init__()
        self.drawn = iter(drawn)

    def draw(self, method: str, shape: tuple[int, ...], dtype: Kind) -> JaxArray:
        return JaxArray(jnp.asarray(next(self.drawn)))


register_pipeline("jax", JaxPipeline)
