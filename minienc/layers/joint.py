"""What layers know of a batch that several processes share: how to sum over all of them."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

from minienc.arrays import Array

# While processes share a batch: what puts the sum over all of them into an array.
joint_total: ContextVar[Callable[[Array], None] | None] = ContextVar("joint_total", default=None)
