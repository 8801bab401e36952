"""What a method's constructor takes: attributes with a default, declared once."""

from __future__ import annotations

import inspect
from typing import ClassVar

import numpy as np
import pytest

from minienc.pretraining import GAN, METHODS, Autoencoder, DenoisingAutoencoder, KMeans


@pytest.mark.parametrize("name", METHODS)
def test_they_are_stored_shown_changed_and_cloned(name):
    method = METHODS[name]()
    params = method.get_params()
    assert params == method._parameters() and repr(method) == f"{type(method).__name__}()"
    assert list(inspect.signature(METHODS[name]).parameters) == list(params)
    assert METHODS[name](**params).get_params() == params
    assert method.set_params(epochs=7, random_state=3).epochs == 7
    assert repr(method) == f"{type(method).__name__}(epochs=7, random_state=3)"
    assert METHODS[name].epochs == params["epochs"], "the class keeps its default"
    with pytest.raises(ValueError, match="has no parameter 'depth', only"):
        method.set_params(depth=3)


def test_a_methods_own_come_first_and_by_position():
    assert KMeans(7).n_clusters == 7
    assert list(DenoisingAutoencoder._parameters())[:3] == ["noise", "noise_level", "hidden"]
    both = DenoisingAutoencoder("gaussian", 0.5, (8,), epochs=2)
    assert (both.noise, both.noise_level, both.hidden, both.epochs) == ("gaussian", 0.5, (8,), 2)


def test_what_has_no_use_is_refused():
    assert "optimizer" not in GAN._parameters() and "learning_rate" not in KMeans._parameters()
    with pytest.raises(TypeError, match="unexpected keyword argument 'optimizer'"):
        GAN(optimizer="sgd")
    with pytest.raises(TypeError, match="multiple values for argument 'n_clusters'"):
        KMeans(3, n_clusters=4)
    with pytest.raises(TypeError, match="too many positional arguments"):
        KMeans(*range(20))
    with pytest.raises(TypeError, match=r"Autoencoder: .* 'hiden'; did you mean 'hidden'"):
        Autoencoder(hiden=(4,))


@pytest.mark.parametrize("seed", [-1, 2.5, True, "0", np.random.default_rng(0)], ids=str)
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(ValueError, match=r"KMeans: random_state is .*, expected a whole number"):
        KMeans(2, random_state=seed).fit(np.eye(4))
    assert KMeans(2, random_state=np.int64(3), epochs=1).fit(np.eye(4)).random_state_ == 3


def test_a_method_of_ones_own():
    class Mine(Autoencoder):
        method = "mine"
        kinds_of_noise: ClassVar = ("none",)
        depth: int = 3
        epochs = 5

    assert list(Mine._parameters())[:2] == ["depth", "hidden"]
    assert "kinds_of_noise" not in Mine._parameters() and Mine().epochs == 5
    with pytest.raises(TypeError, match="parameters are attributes with a default"):

        class Old(Autoencoder):
            def __init__(self, depth=3, **params):
                super().__init__(**params)
