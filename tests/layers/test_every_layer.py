"""Every layer of the table in ``tests/layer_cases.py``: its gradient, the laws, files.

The laws are those of ``layers/base.py``; ``tests/test_laws.py`` has what concerns several layers.
Every device is tried in ``tests/test_device.py``, with the same table.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minienc
from minienc import layers as all_layers
from minienc import primitive
from minienc.layers import Dense, Input, Layer
from minienc.models import clone_model
from minienc.training.callbacks import ModelCheckpoint
from minienc.verify import gradcheck
from tests.layer_cases import LAYERS, OF_INTEGERS, STRAIGHT_THROUGH, layer_of, model_with, shape_for

N = 7
every_layer = pytest.mark.parametrize("name", LAYERS)


def public_layers() -> set[str]:
    found = {name: getattr(all_layers, name) for name in all_layers.__all__}
    layers = {n for n, cls in found.items() if isinstance(cls, type) and issubclass(cls, Layer)}
    return layers - {"Layer"}


def test_every_layer_has_a_case():
    assert {name.split()[0] for name in LAYERS} | OF_INTEGERS == public_layers()
    for name in LAYERS:
        assert type(layer_of(name)[0]).__name__ == name.split()[0]


def test_every_layer_is_public_where_it_is_written():
    """Each file of ``layers/`` names its layers in ``__all__``, and the package has them all."""
    for cls in subclasses(Layer):
        if cls.__module__.startswith("minienc.layers.") and cls.__name__[0] != "_":
            assert getattr(all_layers, cls.__name__) is cls


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*map(subclasses, cls.__subclasses__()))


def samples(shape: tuple[int, ...], seed: int = 0, dtype: str = "float64") -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((N, *shape)).astype(dtype)


class Alone:
    """A layer by itself, as it is trained, on arrays that cannot be written to."""

    def __init__(self, name: str) -> None:
        self.layer, self.shapes = layer_of(name)
        xs = tuple(samples(shape, k) for k, shape in enumerate(self.shapes))
        self.x = xs if self.layer.takes_several else xs[0]
        self.dy = np.random.default_rng(9).standard_normal(self.forward()[0].shape)
        self.given = [*xs, self.dy]
        for array in self.given:
            array.flags.writeable = False

    def forward(self, noise: int = 0) -> tuple:
        options = {"rng": np.random.default_rng(noise)} if self.layer.uses_rng else {}
        if self.layer.uses_training:
            options["training"] = True
        return self.layer.forward(self.x, **options)

    def backward(self, cache, start: float = 0.0, need_dx: bool = True) -> tuple[tuple, np.ndarray]:
        """dx, as a tuple, and the vector of all gradients, which began as ``start``."""
        grads = self.layer.new_gradients()
        grads.vector[...] = start
        dx = self.layer.backward(self.dy, cache, grads, need_dx)
        return dx if isinstance(dx, tuple) else (dx,), grads.vector


def assert_same(one, two) -> None:
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


# -------------------------------------------------------------------------------- its gradient


@pytest.mark.parametrize("name", [name for name in LAYERS if name not in STRAIGHT_THROUGH])
def test_the_checker_passes_it_and_nothing_that_is_nearly_right(name):
    layer, shapes = layer_of(name)
    report = gradcheck(layer, *(samples(shape, k) for k, shape in enumerate(shapes)))
    assert report, report
    assert report.mutants_caught == report.mutants > 0


# ------------------------------------------------------------------------------------- the laws


@every_layer
def test_forward_changes_nothing_and_backward_may_be_repeated_in_any_order(name):
    alone = Alone(name)
    before = [p.value.copy() for p in alone.layer.parameters_used()]
    (y, one), (_, two) = alone.forward(), alone.forward(noise=1)
    assert_same([y], [alone.forward()[0]])
    dx, grads = alone.backward(one)
    alone.backward(two)
    dx_again, grads_again = alone.backward(one)
    assert_same([*dx, grads], [*dx_again, grads_again])
    assert_same(before, [p.value for p in alone.layer.parameters_used()])


@every_layer
def test_eight_threads_agree_bit_for_bit(name):
    alone = Alone(name)

    def once(_):
        y, cache = alone.forward()
        dx, grads = alone.backward(cache)
        return b"".join(a.tobytes() for a in (y, *dx, grads))

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(once, range(16)))) == 1


@every_layer
def test_shapes_and_dtypes_are_those_of_x_and_y(name):
    alone = Alone(name)
    y, cache = alone.forward()
    shapes = alone.shapes if alone.layer.takes_several else alone.shapes[0]
    assert y.shape[1:] == tuple(alone.layer.output_shape(shapes)) and y.dtype == np.float64
    dx, _ = alone.backward(cache)
    assert [d.shape for d in dx] == [(N, *shape) for shape in alone.shapes]
    model = model_with(name, "float32")
    x = samples(shape_for(name), dtype="float32")
    y, cache = model.forward(x, rng=np.random.default_rng(0))
    assert y.dtype == model.backward(y, cache, model.new_gradients()).dtype == np.float32


@every_layer
def test_gradients_add_and_without_them_a_layer_is_passed_through(name):
    alone = Alone(name)
    _, cache = alone.forward()
    dx, once = alone.backward(cache)
    onto = alone.backward(cache, start=2.0)[1]
    np.testing.assert_allclose(onto - 2.0, once, rtol=1e-9, atol=1e-12)
    through = alone.layer.backward(alone.dy, cache, None)
    assert_same(through if isinstance(through, tuple) else (through,), dx)
    nothing, without_dx = alone.backward(cache, need_dx=False)
    assert_same([without_dx], [once])
    assert nothing == (None,)
    grads = alone.layer.new_gradients()
    grads.vector[...] = np.nan  # what was there is forgotten, though nobody wrote a zero yet
    alone.layer.backward(alone.dy, cache, grads.zero())
    assert_same([grads.vector], [once])


@every_layer
def test_by_second_entries_or_by_the_definitions_it_is_the_same(name):
    alone = Alone(name)
    _, cache = alone.forward()
    dx, grads = alone.backward(cache)
    with primitive.definitions_only():
        dx_of_definitions, grads_of_definitions = alone.backward(alone.forward()[1])
    for one, two in zip((*dx, grads), (*dx_of_definitions, grads_of_definitions), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-12)


@every_layer
def test_results_have_memory_of_their_own(name):
    alone = Alone(name)
    y, cache = alone.forward()
    dx, _ = alone.backward(cache)
    weights = [p.value for p in alone.layer.parameters_used()]
    for k, result in enumerate((y, *dx)):
        for other in (*alone.given, *weights, *(y, *dx)[k + 1 :]):
            assert not np.shares_memory(result, other)


@every_layer
def test_a_cache_is_its_own_layers_and_from_before_no_step(name):
    alone, other = Alone(name), Alone(name)
    _, cache = alone.forward()
    with pytest.raises(ValueError, match=r"the cache is of .*, not of this layer's forward"):
        other.backward(cache)
    learned = [p for p in alone.layer.parameters_used() if not p.is_state]
    for p in learned:
        p.value = p.value * 2
        with pytest.raises(ValueError, match=f"{p.name} was changed after this cache's forward"):
            alone.backward(cache)
        _, cache = alone.forward()
    alone.backward(cache)


@every_layer
def test_on_arrays_it_computes_and_on_symbolic_tensors_it_builds(name):
    alone = Alone(name)
    np.testing.assert_array_equal(alone.layer(alone.x), alone.layer.forward(alone.x)[0])
    assert LAYERS[name](Input(shape_for(name))).shape[0] is None


# ---------------------------------------------------------------------- training, and files


def trained(name, epochs=2, **fit):
    model = model_with(name, "float32")
    model.compile("adam", "mse")
    x = samples(shape_for(name), dtype="float32")
    model.fit(x, samples((2,), 1, "float32"), epochs=epochs, batch_size=3, verbose=0, seed=0, **fit)
    return model, x


@every_layer
def test_every_weight_moves_in_training(name):
    before, after = model_with(name, "float32"), trained(name)[0]
    for path, one in before.named_parameters():
        assert np.any(one.value != dict(after.named_parameters())[path].value), path


@every_layer
def test_what_is_saved_and_what_is_cloned_comes_back(name, tmp_path):
    model, x = trained(name)
    model.save(tmp_path / "model.npz")
    lines: list[list[str]] = []
    for other in (model, minienc.load_model(tmp_path / "model.npz"), clone_model(model)):
        assert other.parameters.names == model.parameters.names
        np.testing.assert_array_equal(other.predict(x), model.predict(x))
        for p, q in zip(other.parameters, model.parameters, strict=True):
            assert (p.trainable, p.is_state) == (q.trainable, q.is_state)
        for one, two in zip(other.layers, model.layers, strict=True):
            assert type(one) is type(two) and one.get_config().keys() == two.get_config().keys()
        lines.append([])
        other.summary(lines[-1].append)
    assert lines[0] == lines[1] == lines[2]


@every_layer
def test_a_run_that_is_resumed_ends_in_the_same_bits(name, tmp_path):
    whole = trained(name, 4)[0].parameters.vector.tobytes()
    trained(name, 2, callbacks=[ModelCheckpoint(tmp_path / "state.npz")])
    to_compare = [ModelCheckpoint(tmp_path / "other.npz")]
    halves, _ = trained(name, 4, resume_from=tmp_path / "state.npz", callbacks=to_compare)
    assert halves.parameters.vector.tobytes() == whole


@every_layer
def test_a_frozen_layer_passes_its_gradient_and_does_not_move(name):
    model = model_with(name, "float32")
    layer = next(step.layer for step in model.graph.steps[1:] if is_case(step.layer, name))
    layer.trainable = False
    before = [p.value.copy() for p in layer._own]
    first = model.layers[0].W.value.copy()
    model.compile("adam", "mse")
    x = samples(shape_for(name), dtype="float32")
    model.fit(x, samples((2,), 1, "float32"), epochs=1, verbose=0, seed=0)
    assert_same(before, [p.value for p in layer._own])
    assert np.any(model.layers[0].W.value != first)


def is_case(layer: Layer, name: str) -> bool:
    return type(layer).__name__ == name.split()[0]


def test_the_sweep_has_the_power_to_fail():
    """A layer that breaks a law is found by it."""

    class Overwriting(Dense):
        def backward(self, dy, cache, grads, need_dx=True):
            if grads is not None:
                grads[self.W][...] = 0
            return super().backward(dy, cache, grads, need_dx)

    class Slot(Dense):
        def forward(self, x, **given):
            y, self.slot = super().forward(x, **given)
            return y, self.slot

        def backward(self, dy, cache, grads, need_dx=True):
            return super().backward(dy, self.slot, grads, need_dx)

    for cls, law in (
        (Overwriting, test_gradients_add_and_without_them_a_layer_is_passed_through),
        (Slot, test_a_cache_is_its_own_layers_and_from_before_no_step),
    ):
        LAYERS["Dense wrong"] = lambda x, cls=cls: cls(3, "tanh", seed=0)(x)
        try:
            with pytest.raises((AssertionError, pytest.fail.Exception)):
                law("Dense wrong")
        finally:
            del LAYERS["Dense wrong"]


def test_a_list_in_the_place_of_an_array_is_told_at_the_first_call():
    with pytest.raises(TypeError, match=r"dense: x is a list, expected an array, such as np.asarr"):
        Dense(2)([[1.0, 2.0]])
