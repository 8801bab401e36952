"""Whether a GPU computes what the CPU computes: every function, every layer, runs of training."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from minienc.arrays import is_array, to_device, to_numpy
from minienc.layers import Dense, Dropout, Input
from minienc.models import Model, clone_model
from minienc.primitive import REGISTRY

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}  # of the largest number that is compared


def check(device: str = "cuda") -> list[dict[str, Any]]:
    """Every comparison: what it is of, its dtype, the largest difference, and whether it passes."""
    results = []
    for dtype, tolerance in TOLERANCE.items():
        named = {**function_checks(dtype), **layer_checks(dtype), **training_checks(dtype)}
        for name, compare in named.items():
            try:
                error, says = compare(device), ""
            except Exception as exception:
                error, says = float("nan"), f"{type(exception).__name__}: {exception}"
            results.append(
                {
                    "of": name,
                    "dtype": dtype,
                    "error": error,
                    "passed": bool(error <= tolerance),
                    "says": says,
                }
            )
    return results


def difference(found: Any, expected: Any) -> float:
    """The largest difference over all arrays, over the largest number of the expected one."""
    if isinstance(expected, (tuple, list)):
        pairs = zip(found, expected, strict=True)
        return max([difference(*pair) for pair in pairs], default=0.0)
    if expected is None:
        return 0.0 if found is None else float("inf")
    found, expected = to_numpy(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return float("inf")
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    return float(np.abs(found - expected).max(initial=0)) / scale


def over(x: Any, device: str) -> Any:
    """Arrays, also those in a tuple, brought to a device."""
    if isinstance(x, tuple):
        return tuple([over(part, device) for part in x])
    return to_device(x, device) if is_array(x) else x


def cast(x: Any, dtype: str) -> Any:
    return x.astype(dtype) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def function_checks(dtype: str) -> dict[str, Callable[[str], float]]:
    """A comparison for each pair of ``minienc.functions``, on the cases of its tests."""
    from tests.cases import FORWARDS

    return {name.removesuffix("_forward"): partial(_pair, name, dtype) for name in FORWARDS}


def _pair(name: str, dtype: str, device: str) -> float:
    from tests.cases import all_cases, call

    worst = 0.0
    for arguments, options in all_cases(name):
        arguments, results = tuple([cast(a, dtype) for a in arguments]), []
        for place in (device, "cpu"):
            y, cache = call(REGISTRY[name], over(arguments, place), options)
            dy = _like(y, dtype)
            results.append((y, REGISTRY[name].backward(over(dy, place), cache)))
        worst = max(worst, difference(*results))
    return worst


def _like(y: Any, dtype: str) -> Any:
    """A gradient for y, the same for every place."""
    if isinstance(y, tuple):
        return tuple([_like(part, dtype) for part in y])
    rng = np.random.default_rng(1)
    return np.asarray(rng.standard_normal(tuple(y.shape)), dtype=dtype)


def layer_checks(dtype: str) -> dict[str, Callable[[str], float]]:
    """A comparison for each layer, between two others in a model: y, dx, the gradients of the
    weights, and what a layer's state becomes."""
    from tests.layer_cases import LAYERS

    return {f"layer {name}": partial(_layer, name, dtype) for name in LAYERS}


def _layer(name: str, dtype: str, device: str) -> float:
    from tests.layer_cases import model_with, shape_for

    model = model_with(name, dtype)
    x = np.random.default_rng(0).standard_normal((9, *shape_for(name))).astype(dtype)
    results = []
    for one in (clone_model(model).to(device), model):
        noise, grads = np.random.default_rng(2), one.new_gradients()
        y, cache = one.forward(over(x, one.device), rng=noise)
        dx = one.backward(over(_like(y, dtype), one.device), cache, grads)
        one.update_state(cache)
        results.append((y, dx, grads.vector, tuple(one.get_weights())))
    return difference(*results)


def training_checks(dtype: str) -> dict[str, Callable[[str], float]]:
    """Comparisons of the losses of runs: with an odd last batch, noise, clipping, labels."""
    return {
        "training, recorded": partial(_training, dtype, True),
        "training, not recorded": partial(_training, dtype, False),
    }


def _training(dtype: str, recorded: bool, device: str) -> float:
    from minienc.training import optimizers

    worst = 0.0
    x = np.random.default_rng(0).random((70, 12)).astype(dtype)
    for noise, loss in ((0.0, "binary_crossentropy"), (0.2, "mse")):
        for optimizer in ("SGD", "RMSprop", "Adagrad", "Adam", "AdamW"):
            results = []
            for place in (device, "cpu"):
                inputs = Input(shape=(12,), dtype=dtype)
                tensor = Dense(8, activation="tanh", seed=1)(inputs)
                if noise:
                    tensor = Dropout(noise)(tensor)
                model = Model(inputs, Dense(12, activation="sigmoid", seed=2)(tensor))
                made = getattr(optimizers, optimizer)(0.01, global_clipnorm=0.1)
                model.compile(optimizer=made, loss=loss, metrics=["mae"])
                with _recording(recorded), warnings.catch_warnings():
                    warnings.simplefilter("error")  # a step that is not recorded says so
                    history = model.to(place).fit(x, x, 16, epochs=4, verbose=0, seed=0).history
                numbers = np.array([history[key] for key in sorted(history)])
                results.append((numbers, to_numpy(model.parameters.vector)))
            worst = max(worst, difference(*results))
    return worst


class _recording:  # noqa: N801  (used as a context)
    """Within the block, steps are recorded, or are not."""

    def __init__(self, wanted: bool) -> None:
        self.wanted = wanted

    def __enter__(self) -> None:
        from minienc.fast import graphs

        self.before = graphs.PLAIN_STEPS
        graphs.PLAIN_STEPS = self.before if self.wanted else sys.maxsize

    def __exit__(self, *_: object) -> None:
        from minienc.fast import graphs

        graphs.PLAIN_STEPS = self.before
