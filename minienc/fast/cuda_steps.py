"""The optimisers' steps on a GPU: one kernel reads and writes each number of the state once.

A learning rate, a step's number or a scale is a float, or a number that already lies on the GPU.
"""

from __future__ import annotations

from typing import Any

import cupy

from minienc.fast.cuda_launch import blocks_for, is_served, launch, most_blocks, register_cuda


@register_cuda
def sum_of_squares(g):
    if not is_served(g):
        return NotImplemented
    blocks = min(blocks_for(g.size), most_blocks(g.device.id), 1024)
    part, total = cupy.empty(blocks, dtype="float64"), cupy.empty((), dtype=g.dtype)
    launch("squares", g, blocks, g.size, g, part)
    launch("sum_of_parts", g, 1, blocks, part, total)
    return total


def _step(name: str, w: Any, arrays: tuple, rate: Any, scale: Any, *numbers: Any) -> Any:
    """Run a kernel that changes w and ``arrays`` in place, but for the gradient among them."""
    if not is_served(w, *[a for a in arrays if a is not None]):
        return NotImplemented
    if w.size:
        given = *_at(rate, "float64"), *_at(scale, w.dtype), *numbers
        launch(name, w, blocks_for(w.size), w.size, w, *arrays, *given)
    return None


def _at(number: Any, dtype: Any) -> tuple[float, Any]:
    """A number as a kernel takes one: its value; or, where it is the device's, where it is."""
    if type(number) is not cupy.ndarray:
        return float(number), None
    return 0.0, number.astype(dtype, copy=False)


@register_cuda
def sgd_step(w, g, velocity, learning_rate, momentum=0.0, nesterov=False, scale=1.0):
    if not momentum:
        return _step("sgd", w, (g,), learning_rate, scale)
    if velocity is None:
        return NotImplemented
    numbers = float(momentum), int(bool(nesterov))
    return _step("momentum_sgd", w, (g, velocity), learning_rate, scale, *numbers)


@register_cuda
def rmsprop_step(w, g, s, velocity, learning_rate, rho=0.9, momentum=0.0, epsilon=1e-7, scale=1.0):
    if s is None or (momentum and velocity is None):
        return NotImplemented
    arrays = g, s, velocity if momentum else None
    numbers = float(rho), float(momentum), float(epsilon)
    return _step("rmsprop", w, arrays, learning_rate, scale, *numbers)


@register_cuda
def adagrad_step(w, g, s, learning_rate, epsilon=1e-7, scale=1.0):
    if s is None:
        return NotImplemented
    return _step("adagrad", w, (g, s), learning_rate, scale, float(epsilon))


def _adam(w, g, m, v, step, rate, beta_1, beta_2, epsilon, decay, scale):
    if m is None or v is None:
        return NotImplemented
    numbers = *_at(step, "float64"), float(beta_1), float(beta_2), float(epsilon), float(decay)
    return _step("adam", w, (g, m, v), rate, scale, *numbers)


@register_cuda
def adam_step(w, g, m, v, step, learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7, scale=1.0):
    return _adam(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon, 0.0, scale)


@register_cuda
def adamw_step(
    w,
    g,
    m,
    v,
    step,
    learning_rate,
    beta_1=0.9,
    beta_2=0.999,
    epsilon=1e-7,
    weight_decay=0.004,
    scale=1.0,
):
    return _adam(w, g, m, v, step, learning_rate, beta_1, beta_2, epsilon, weight_decay, scale)
