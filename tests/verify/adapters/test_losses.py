"""Every loss of the project; every layer is in tests/layers/test_every_layer.py."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.training.losses import LOSSES, get_loss
from minienc.verify import gradcheck

RNG = np.random.default_rng(6)


def _targets(name, y):
    if name == "sparse_categorical_crossentropy":
        return RNG.integers(0, y.shape[1], len(y))
    t = RNG.uniform(0.1, 0.9, y.shape)
    return t / t.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss(name):
    loss = get_loss(name)
    y = RNG.uniform(0.1, 0.9, (5, 4))
    report = gradcheck(loss, y, _targets(loss.name, y))
    assert report, report
