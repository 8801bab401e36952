"""What a report shows is found by the method's name, and is of samples, images or not."""

from __future__ import annotations

import pkgutil

import numpy as np
import pytest

from minienc import audio, gallery, plots
from minienc.gallery.common import Picture
from minienc.pretraining import METHODS, Autoencoder
from tests.pretraining.test_methods import make

X = np.random.default_rng(0).random((60, 8)).astype("float32")


def test_every_file_is_of_a_method():
    files = {file.name for file in pkgutil.iter_modules(gallery.__path__)}
    assert files - {"common", "multitask", "pairs", "sounds", "text", "texts"} <= {
        *METHODS,
        *audio.METHODS,
    }


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(4, 2), (8,)])
def test_pictures_of_images_and_of_other_samples(name, shape):
    """Where samples are no images, no image is drawn."""
    method = make(name).fit(X)
    found = gallery.pictures(method, X.reshape(60, *shape))
    assert all(isinstance(picture, Picture) and picture.caption for picture in found)
    own_shape = {"patches", "convolutional"}  # which were told the shape of an image
    if shape == (8,) and name not in own_shape:
        assert all(picture.is_drawing for picture in found)
    elif name in {"gan", "rbm", "dbn", "variational", "aae", "kmeans", "vq", "masked"} | own_shape:
        assert not all(picture.is_drawing for picture in found)
    assert all(isinstance(v, (int, float)) for v in gallery.measures(method, X, None).values())
    weights = gallery.filters(method)
    assert weights is None or weights.shape[0] == 8


def test_a_method_shows_what_those_show_that_it_is_a_kind_of():
    class Sparser(METHODS["sparse"]):
        method = "sparser"

    class Other(Autoencoder):
        method = "other"

    assert Sparser.kinds() == ["sparser", "sparse", "autoencoder"]
    (picture,) = gallery.pictures(Sparser(hidden=(6,), epochs=1).fit(X), X)
    assert "are at work for a sample" in picture.caption
    other = Other(hidden=(6, 3), epochs=1).fit(X)
    assert gallery.pictures(other, X) == [] and gallery.measures(other, X, None) == {}
    assert gallery.filters(other).shape == (8, 6)


def test_which_samples_are_images():
    assert plots.image_shape((28, 28)) == plots.image_shape((28, 28, 1)) == (28, 28)
    assert plots.image_shape((32, 32, 3)) == (32, 32, 3)
    for other in ((784,), (), (5, 5, 2), (2, 3, 4, 3)):
        assert plots.image_shape(other) is None
