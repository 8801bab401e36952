"""Optimisers: their trajectories."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.training.optimizers import SGD, Adagrad, Adam, AdamW, Lion, RMSprop
from minienc.verify import check_optimizer


@pytest.mark.parametrize(
    "optimizer",
    [
        SGD(0.1),
        SGD(0.1, momentum=0.9, nesterov=True),
        RMSprop(0.01),
        RMSprop(0.01, momentum=0.5),
        Adagrad(0.1),
        Adam(0.01),
        AdamW(0.01, weight_decay=0.1),
        Lion(0.01, weight_decay=0.1),
    ],
    ids=str,
)
def test_the_optimisers_of_the_project(optimizer):
    report = check_optimizer(optimizer)
    assert report, str(report)


def test_a_wrong_optimiser_is_told_by_its_step():
    class NoCorrection(Adam):
        @staticmethod
        def rule(w, g, m, v, learning_rate, scale, **_):
            m *= 0.9
            m += 0.1 * g
            v *= 0.999
            v += 0.001 * g * g
            w -= learning_rate * m / (np.sqrt(v) + 1e-7)

    from minienc.verify.laws.optimizers import adam

    report = check_optimizer(NoCorrection(0.01), adam)
    assert not report
    assert "FAIL  NoCorrection: step 1 already" in str(report)
    with pytest.raises(ValueError, match="no reference for NoCorrection"):
        check_optimizer(NoCorrection())
