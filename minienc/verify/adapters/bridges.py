"""Functions written by hand for the tensors of PyTorch or the arrays of JAX.

The checker's own arrays are NumPy's. So such a function is handed tensors made of them, and what it
gives is brought back; its noise is replayed, and JAX computes in float64 meanwhile.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np


class Bridge(NamedTuple):
    """To a library's arrays, and home."""

    there: Callable[[Any], Any]
    home: Callable[[Any], Any]
    inside: Callable[[], AbstractContextManager]
    seed: Callable[[], Any]

    def over(self, f: Callable, draws: bool = False) -> Callable:
        """The function, of NumPy's arrays."""

        @functools.wraps(f)
        def across(*args: object, **options: object) -> Any:
            if draws:
                self.seed()
            with self.inside():
                result = f(*_each(args, self.there), **_each(options, self.there))
                return _each(result, lambda x: self.over(x) if callable(x) else self.home(x))

        return across

    def bring_home(self, x: object) -> Any:
        return _each(x, self.home)


def torch_bridge() -> Bridge:
    import torch

    def there(x: object) -> Any:
        if not isinstance(x, (np.ndarray, np.generic)):
            return x
        x = np.asarray(x)
        shared = x.flags.writeable and all(s >= 0 for s in x.strides)
        return torch.from_numpy(x if shared else x.copy())

    def home(x: object) -> Any:
        return x.detach().cpu().numpy() if hasattr(x, "detach") else x

    return Bridge(there, home, nullcontext, lambda: torch.manual_seed(0))


def jax_bridge() -> Bridge:
    import jax

    def there(x: object) -> Any:
        return jax.numpy.asarray(x) if isinstance(x, (np.ndarray, np.generic)) else x

    def home(x: object) -> Any:
        return np.array(x) if isinstance(x, jax.Array) else x

    return Bridge(there, home, lambda: jax.enable_x64(True), lambda: None)


def _each(x: Any, f: Callable[[Any], Any]) -> Any:
    """The same of everything in dictionaries, lists and tuples."""
    if isinstance(x, dict):
        return {k: _each(v, f) for k, v in x.items()}
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(_each(v, f) for v in x))
    return type(x)(_each(v, f) for v in x) if type(x) in (list, tuple) else f(x)
