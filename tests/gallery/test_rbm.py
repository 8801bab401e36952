"""What is told of a Boltzmann machine, against a sum over all states of a small one."""

from __future__ import annotations

import numpy as np
import pytest

from minienc import gallery
from tests.pretraining.test_rbm import energies, states, with_weights


def test_the_likelihood_of_samples_is_measured_where_z_can_be():
    method = with_weights(6, n_components=4)
    x = states(6)[[3, 17, 30, 60]]
    p = np.exp(-energies(method, states(6), states(4))).sum(axis=1)
    exact = np.log(p[[3, 17, 30, 60]] / p.sum()).mean()
    (value,) = gallery.measures(method, 0.8 * x + 0.1, None).values()
    assert value == pytest.approx(exact, abs=0.2)
    method.visible = "gaussian"
    assert gallery.measures(method, x, None) == {}
