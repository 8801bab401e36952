"""Theory as a test: a linear autoencoder finds what principal components find."""

from __future__ import annotations

import numpy as np

from minienc.pretraining import PCA, Autoencoder
from minienc.training.schedules import CosineDecay


def test_a_linear_autoencoder_reaches_the_optimum_of_principal_components():
    """With squared error and no activations, no code of K numbers can restore centred data better
    than K principal components (Baldi and Hornik 1989), and every minimum is that one."""
    rng = np.random.default_rng(0)
    spread = np.array([3.0, 2.5, 2.0, 1.5, 1.0, 0.7, 0.5, 0.4, 0.3, 0.2])
    turn, _ = np.linalg.qr(rng.standard_normal((10, 10)))
    X = rng.standard_normal((400, 10)) * spread @ turn
    X -= X.mean(axis=0)
    for k in (1, 3, 6):
        optimum = PCA(k).fit(X).reconstruction_error(X)
        method = Autoencoder(
            hidden=(k,),
            loss="mean_squared_error",
            learning_rate=CosineDecay(0.02, 2000),
            epochs=500,
            batch_size=100,
            dtype="float64",
            random_state=0,
        )
        error = method.fit(X).reconstruction_error(X)
        assert optimum * (1 - 1e-9) <= error <= optimum * 1.001, k
