"""Penalties as layers take them: ``Dense(64, kernel_regularizer=L2(1e-4))``.

The mathematics stands in ``functions/penalties.py``.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Protocol

from minienc.arrays import Array, Cache, Scalar
from minienc.functions.joint_sparsity import (
    JointKLSparsityCache,
    joint_kl_sparsity_backward,
    joint_kl_sparsity_forward,
)
from minienc.functions.penalties import (
    l1_penalty_backward,
    l1_penalty_forward,
    l2_penalty_backward,
    l2_penalty_forward,
)
from minienc.functions.sparsity import kl_sparsity_backward, kl_sparsity_forward
from minienc.layers.joint import joint_total


class Regularizer(Protocol):
    """A penalty on the numbers of an array, and its gradient; L2(...), or one of one's own."""

    def forward(self, w: Array, /) -> tuple[Scalar, Cache]: ...
    def backward(self, dpenalty: Scalar, cache: Cache, /) -> Scalar: ...


RegularizerLike = str | Regularizer | None  # the name of one, or none


class PenaltyCache(NamedTuple):
    l1: Cache  # of the two pairs; None where the strength is 0
    l2: Cache


class L1L2:
    """penalty = l1 sum |w| + l2 sum w^2.

    Parameters
    ----------
    l1, l2 : float
        The strengths, at least 0.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        for name, strength in (("l1", l1), ("l2", l2)):
            if not (math.isfinite(strength) and strength >= 0):
                raise ValueError(
                    f"{type(self).__name__}: {name} is {strength}, expected a number >= 0"
                )
        self.l1, self.l2 = float(l1), float(l2)

    def forward(self, w: Array) -> tuple[Scalar, PenaltyCache]:
        """The penalty on ``w``, and the cache for ``backward``."""
        penalty, c1, c2 = 0.0, None, None
        if self.l1:
            part, c1 = l1_penalty_forward(w, self.l1)
            penalty = penalty + part
        if self.l2:
            part, c2 = l2_penalty_forward(w, self.l2)
            penalty = penalty + part
        return penalty, PenaltyCache(c1, c2)

    def backward(self, dpenalty: Scalar, cache: PenaltyCache) -> Scalar:
        """dw; the number 0 if both strengths are."""
        if cache.l2 is None:
            return 0.0 if cache.l1 is None else l1_penalty_backward(dpenalty, cache.l1)
        dw = l2_penalty_backward(dpenalty, cache.l2)
        return dw if cache.l1 is None else dw + l1_penalty_backward(dpenalty, cache.l1)

    def get_config(self) -> dict[str, float]:
        """The constructor's arguments."""
        return {"l1": self.l1, "l2": self.l2}

    def __repr__(self) -> str:
        values = ", ".join(f"{k}={v:g}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({values})"


class L1(L1L2):
    """penalty = l1 sum |w|."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, float]:
        return {"l1": self.l1}


class L2(L1L2):
    """penalty = l2 sum w^2."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, float]:
        return {"l2": self.l2}


class KLSparsity:
    """penalty = N strength sum_k KL(target || mean activity of unit k), for activities in [0, 1].

    Training divides a layer's penalty on its activities by N, the batch size: what is left is the
    penalty of the source, which speaks of means. Of a batch that several processes share, the mean
    is the joint one (``functions/joint_sparsity.py``).

    Parameters
    ----------
    target : float
        The mean activity that each unit shall have, in (0, 1).
    strength : float
        At least 0.
    """

    def __init__(self, target: float = 0.05, strength: float = 0.01) -> None:
        if not 0 < target < 1:
            raise ValueError(f"KLSparsity: target is {target}, expected a number in (0, 1)")
        if not (math.isfinite(strength) and strength >= 0):
            raise ValueError(f"KLSparsity: strength is {strength}, expected a number >= 0")
        self.target, self.strength = float(target), float(strength)

    def forward(self, h: Array) -> tuple[Scalar, Cache]:
        total, strength = joint_total.get(), len(h) * self.strength
        if total is None:
            return kl_sparsity_forward(h, self.target, strength)
        return joint_kl_sparsity_forward(h, self.target, strength, total)

    def backward(self, dpenalty: Scalar, cache: Cache) -> Array:
        if type(cache) is JointKLSparsityCache:
            return joint_kl_sparsity_backward(dpenalty, cache)
        return kl_sparsity_backward(dpenalty, cache)

    def get_config(self) -> dict[str, float]:
        return {"target": self.target, "strength": self.strength}

    def __repr__(self) -> str:
        return f"KLSparsity(target={self.target:g}, strength={self.strength:g})"


def get_regularizer(regularizer: RegularizerLike) -> Regularizer | None:
    """Return the regularizer of the name "l1", "l2" or "l1_l2" (strength 0.01 each), or the
    object itself, or None.

    Examples
    --------
    >>> get_regularizer("l2").l2
    0.01
    """
    if not isinstance(regularizer, str) and (
        regularizer is None or hasattr(regularizer, "backward")
    ):
        return regularizer
    named = {"l1": L1(), "l2": L2(), "l1_l2": L1L2(0.01, 0.01)}
    if isinstance(regularizer, str) and regularizer.lower() in named:
        return named[regularizer.lower()]
    raise ValueError(
        f"regularizer is {regularizer!r}, expected 'l1', 'l2', 'l1_l2', L1(...), L2(...), or None"
    )
