"""What a method's report shows, looking from outside: one file for each method that has something.

    measures(method, X, y)     numbers of test samples X and, where known, their labels y
    pictures(method, X)        figures, each with a sentence or two
    filters(method)            what the first units look for, a column for each (D, M), or None
    disturbed(method, x)       what a method that adds noise was given for samples x, or None
    course(method)             what its loss is, and whether lower is better: a sentence or two

``gallery/NAME.py`` is found by the method's name, ``method = "NAME"``, and may hold any of these
functions; ``pictures`` is then given (H, W) or (H, W, C), too, or None where samples are no images.
What a file leaves out is taken from that of a method which this one is a kind of, and at last from
``common.py``: a method without a file has the common report.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from minienc import plots
from minienc.data.pixels import Samples
from minienc.gallery.common import Picture
from minienc.pretraining import Pretrainer

__all__ = ["Picture", "course", "disturbed", "filters", "measures", "pictures"]


def measures(method: Pretrainer, X: Samples, y: np.ndarray | None) -> dict[str, float]:
    """What else can be said of test samples in numbers; ``y`` are their labels, if known.

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> from minienc.pretraining import KMeans
    >>> digits = load_digits()
    >>> method = KMeans(10, random_state=0).fit(digits.x)
    >>> measures(method, digits.test_x, digits.test_y)["adjusted Rand index"] > 0.3
    True
    """
    return _find(method, "measures")(method, X, y)


def pictures(method: Pretrainer, X: Samples) -> list[Picture]:
    """What this method has to show of test samples X (n, ...), beyond what all have.

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> from minienc.pretraining import KMeans
    >>> digits = load_digits()
    >>> method = KMeans(10, random_state=0).fit(digits.x)
    >>> len(pictures(method, digits.test_x)) > 0
    True
    """
    return _find(method, "pictures")(method, X, plots.image_shape(X.shape[1:]))


def filters(method: Pretrainer) -> np.ndarray | None:
    """What the first units look for: (D, M), a column for each, on the host.

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> from minienc.pretraining import Autoencoder
    >>> digits = load_digits()
    >>> method = Autoencoder(hidden=(16,), epochs=1, random_state=0).fit(digits.x)
    >>> filters(method).shape
    (64, 16)
    """
    return _find(method, "filters")(method)


def disturbed(method: Pretrainer, x: Samples) -> np.ndarray | None:
    """What the method was given in training for samples x, if it disturbs them.

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> from minienc.pretraining import Autoencoder
    >>> digits = load_digits()
    >>> method = Autoencoder(hidden=(16,), epochs=1, random_state=0).fit(digits.x)
    >>> disturbed(method, digits.test_x) is None  # it adds no noise
    True
    """
    return _find(method, "disturbed")(method, x)


def course(method: Pretrainer) -> str:
    """What the curve of the loss shows, and whether lower is better.

    Examples
    --------
    >>> from minienc.data import load_digits
    >>> from minienc.pretraining import Autoencoder
    >>> digits = load_digits()
    >>> method = Autoencoder(hidden=(16,), epochs=1, random_state=0).fit(digits.x)
    >>> course(method).split(".")[0]
    'The loss: the binary cross-entropy of a restored sample, a mean over its numbers'
    """
    return _find(method, "course")(method)


def _find(method: Pretrainer, what: str) -> Callable[..., Any]:
    """The function of this name that is nearest to the method."""
    for name in (*method.kinds(), "common"):
        if find_spec(f"{__name__}.{name}") is not None:
            found = getattr(import_module(f"{__name__}.{name}"), what, None)
            if found is not None:
                return found
    raise AssertionError(f"gallery/common.py has no {what}")
