"""Several tasks at once: their gradients, how they are combined, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from minienc import gradcheck
from minienc.finetuning import MultiTask, finetune
from minienc.finetuning.multitask import COMBINE
from minienc.finetuning.task_losses import Head, TaskLosses
from minienc.functions import (
    mean_squared_error_forward,
    sparse_categorical_crossentropy_forward,
    uncertainty_weighting_forward,
)
from minienc.layers import (
    GRU,
    BatchNormalization,
    Dense,
    GaussianNoise,
    Input,
    UncertaintyWeighting,
)
from minienc.models import Model
from minienc.training.callbacks import Callback
from tests.finetuning.test_finetuning import blobs

SIDES = np.median(blobs()[0][:, 0])


def small_encoder(dtype="float32"):
    x = Input((5,), dtype)
    return Model(x, Dense(4, "tanh", seed=2)(Dense(6, "tanh", seed=1)(x)), name="encoder")


def three_tasks(n=90, seed=0):
    X, y = blobs(n, seed=seed)
    return X, {"shape": y, "side": np.where(X[:, 0] > SIDES, "right", "left"), "far": X[:, 1]}


def make(**params):
    given = {"quantities": ("far",), "epochs": 3, "batch_size": 16, "random_state": 0}
    return MultiTask(small_encoder(), **(given | params))


def objective_of(projects=False, learned=False):
    """Two classifications and a quantity on one trunk, in float64, and a batch."""
    trunk = small_encoder("float64")
    layers = [Dense(k, seed=k, name=f"head_{k}") for k in (3, 2, 1)]
    outputs = [layer(trunk.outputs[0]) for layer in layers]
    weighting, network = None, Model(trunk.inputs[0], outputs)
    if learned:
        weighting, losses = UncertaintyWeighting(), Input((3,), "float64")
        network = Model([trunk.inputs[0], losses], [*outputs, weighting(losses)])
        weighting.s.value = np.array([0.3, -0.2, 0.6])
    heads = [
        Head(f"t{i}", layer, i == 2, weight)
        for i, (layer, weight) in enumerate(zip(layers, (1.0, 0.5, 2.0), strict=True))
    ]
    rng = np.random.default_rng(4)
    targets = rng.integers(0, 3, 7), rng.integers(0, 2, 7), rng.standard_normal(7)
    return TaskLosses(network, trunk, heads, weighting, projects), (
        rng.standard_normal((7, 5)),
        *targets,
    )


def separately(objective, batch):
    """The gradient by the shared weights of each task, by a network of its own each time."""
    found = []
    for head, y in zip(objective.heads, batch[1:], strict=True):
        alone = Model(objective.trunk.inputs[0], head.layer(objective.trunk.outputs[0]))
        z, cache = alone.forward(batch[0])
        if head.is_quantity:
            _, inner = mean_squared_error_forward(z, y[:, None])
            dz = mean_squared_error_forward.backward(head.weight, inner)
        else:
            _, inner = sparse_categorical_crossentropy_forward(z, y, from_logits=True)
            dz = sparse_categorical_crossentropy_forward.backward(head.weight, inner)
        grads = alone.new_gradients()
        alone.backward(dz, cache, grads)
        shared = [grads[p].ravel() for p in objective.trunk.parameters_used()]
        found.append(np.concatenate(shared))
    return np.stack(found)


def test_each_task_sends_back_what_it_would_alone():
    objective, batch = objective_of()
    _, cache = objective.forward(batch)
    G = separately(objective, batch)
    np.testing.assert_allclose(objective.task_gradients(1.0, cache), G, atol=1e-14)
    grads = objective.network.new_gradients()
    objective.backward(1.0, cache, grads)
    shared = [grads[p].ravel() for p in objective.trunk.parameters_used()]
    np.testing.assert_allclose(np.concatenate(shared), G.sum(axis=0), atol=1e-14)
    norms = np.linalg.norm(G, axis=1)
    for i in range(3):
        assert objective.seen[f"t{i}_norm"] == pytest.approx(norms[i], rel=1e-12)
        for j in range(i + 1, 3):
            cosine = G[i] @ G[j] / (norms[i] * norms[j])
            assert objective.seen[f"t{i}_t{j}_cosine"] == pytest.approx(cosine, rel=1e-10)
            assert objective.seen[f"t{i}_t{j}_conflict"] == float(cosine < 0)


def test_pcgrad_projects_those_gradients():
    objective, batch = objective_of(projects=True)
    _, cache = objective.forward(batch, np.random.default_rng(0))
    grads, plain = objective.network.new_gradients(), separately(objective, batch)
    objective.backward(1.0, cache, grads)
    found = np.concatenate([grads[p].ravel() for p in objective.trunk.parameters_used()])
    total = 0
    for i, order in enumerate(cache[-1]):
        p = plain[i]
        for j in order:
            if j != i:
                p = p - min(p @ plain[j], 0) / (plain[j] @ plain[j]) * plain[j]
        total = total + p
    np.testing.assert_allclose(found, total, atol=1e-13)
    assert np.abs(found - plain.sum(axis=0)).max() > 1e-6  # there was a conflict


@pytest.mark.parametrize("learned", [False, True])
def test_the_gradient_of_the_whole(learned):
    """By the checker: of the loss, by every number that is learned."""
    objective, batch = objective_of(learned=learned)
    parameters = objective.network.parameters

    def loss(vector):
        parameters.vector[...] = vector
        parameters.touch()
        (total, *_), cache = objective.forward(batch)
        grads = objective.network.new_gradients()
        objective.backward(1.0, cache, grads)
        return np.asarray(total), lambda dy: dy * grads.vector

    assert gradcheck(loss, parameters.vector.copy(), budget=1.0).verdict == "pass"


def test_uncertain_tasks_count_less():
    """Where the losses stay as they are, exp(-s) comes to 1 / (2 l): eq. 10 at its lowest."""
    losses, s = np.array([[4.0, 0.5, 0.01]]), np.zeros(3)
    for _ in range(4000):
        y, cache = uncertainty_weighting_forward(losses, s)
        _, ds = uncertainty_weighting_forward.backward(np.ones_like(y), cache)
        s = s - 0.05 * ds
    np.testing.assert_allclose(np.exp(-s), 1 / (2 * losses[0]), rtol=1e-3)


def test_eq_10_of_the_paper():
    """sum_k l_k / sigma_k^2 + log sigma_k, the loss of a quantity being half the squared error."""
    objective, batch = objective_of(learned=True)
    (total, *losses), _ = objective.forward(batch)
    sigma = np.exp(objective.weighting.s.value / 2)
    weighted = np.array(losses[:3]) * [1.0, 0.5, 2.0] * [1, 1, 0.5]
    assert total == pytest.approx((weighted / sigma**2 + np.log(sigma)).sum(), rel=1e-12)


@pytest.mark.parametrize("combine", COMBINE)
def test_it_learns_all_of_them(combine):
    X, y = three_tasks()
    model = make(combine=combine, epochs=40, learning_rate=0.02)
    model.fit(X, y, validation_data=three_tasks(seed=1))
    scores = model.score(*three_tasks(seed=2))
    assert scores["shape"] > 0.95 and scores["side"] > 0.8 and scores["far"] > 0.8
    said = model.predict(X)
    assert set(said["side"]) == {"left", "right"} and said["shape"].dtype.kind == "i"
    assert np.corrcoef(said["far"], y["far"])[0, 1] > 0.9
    p = model.predict_proba(X)
    assert p.keys() == {"shape", "side"} and np.allclose(p["side"].sum(axis=1), 1, atol=1e-5)
    history = model.history_
    for name in ("loss", "far_loss", "side_accuracy", "shape_norm", "shape_side_cosine"):
        assert len(history[name]) == 40 and np.isfinite(history[name]).all(), name
    assert len(history["val_side_accuracy"]) == 40 and len(history["val_loss"]) == 40
    assert ("far_weight" in history) == (combine == "uncertainty")


def test_one_task_is_fine_tuning():
    """The same steps as those of ``finetune``, where all samples are one batch: to rounding."""
    X, y = blobs()
    how = dict(epochs=5, batch_size=90, random_state=3, optimizer="sgd", learning_rate=0.2)
    one = MultiTask(small_encoder(), **how).fit(X, {"shape": y})
    other = finetune(small_encoder(), X, y, **how)
    np.testing.assert_allclose(one.predict_proba(X)["shape"], other.predict(X), atol=1e-5)
    np.testing.assert_allclose(one.history_["loss"], other.history.history["loss"], rtol=1e-5)
    assert not [name for name in one.history_ if "cosine" in name]


def test_samples_keep_the_shape_that_the_encoder_takes():
    x = Input((4, 3))
    start = Model(x, GRU(5, seed=1)(x))
    X = np.random.default_rng(0).standard_normal((20, 4, 3)).astype("float32")
    y = {"one": np.arange(20) % 2, "other": np.arange(20) % 3}
    model = MultiTask(start, epochs=1, random_state=0).fit(X, y)
    assert model.transform(X).shape == (20, 5) and model.predict(X)["other"].shape == (20,)


def test_weights_count():
    X, y = three_tasks()
    model = make(weights={"side": 0.0}, head_initializer="glorot_uniform").fit(X, y)
    assert max(model.history_["side_norm"]) == 0 and min(model.history_["shape_norm"]) > 0
    once, twice = (
        make(weights={"far": w}, epochs=1, batch_size=90, head_initializer="ones").fit(X, y)
        for w in (1.0, 2.0)
    )
    ratio = twice.history_["far_norm"][0] / once.history_["far_norm"][0]
    assert ratio == pytest.approx(2, rel=1e-5)


def test_state_and_noise_go_through_the_one_step():
    x = Input((5,))
    start = Model(x, Dense(3, "tanh", seed=1)(BatchNormalization()(GaussianNoise(0.1)(x))))
    X, y = three_tasks()
    y.pop("far")
    model = MultiTask(start, epochs=2, random_state=0).fit(X, y)
    names = [n for n in model.encoder_.parameters.names if "moving_mean" in n]
    assert names and all(np.abs(model.encoder_.parameters[n]).max() > 0.01 for n in names)
    again = MultiTask(start, epochs=2, random_state=0).fit(X, y)
    np.testing.assert_array_equal(again.transform(X), model.transform(X))


@pytest.mark.parametrize("combine", COMBINE)
def test_a_resumed_run_ends_in_the_same_bits(combine, tmp_path):
    X, y = three_tasks()
    whole = make(combine=combine, dropout=0.2).fit(X, y)
    parted = make(combine=combine, dropout=0.2, epochs=3)
    with pytest.raises(KeyboardInterrupt):
        parted.fit(X, y, callbacks=[_AfterFirst()], checkpoint_dir=tmp_path)
    again = make(combine=combine, dropout=0.2).fit(X, y, checkpoint_dir=tmp_path, resume=True)
    np.testing.assert_array_equal(
        again.learners_["model"].network.parameters.vector,
        whole.learners_["model"].network.parameters.vector,
    )
    assert again.history_ == whole.history_
    assert "shape_side_cosine" in (tmp_path / "checkpoint.csv").read_text().splitlines()[0]


class _AfterFirst(Callback):
    """Stops once the first epoch's checkpoint is written."""

    belongs_to_run = False
    order = 4

    def on_epoch_end(self, epoch, logs):
        raise KeyboardInterrupt


X90, Y90 = three_tasks()


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        ([1, 2], "y is a list, expected labels by the names of tasks"),
        ({}, "y has no task"),
        ({**Y90, "shape": None}, "task 'shape' has no labels, expected one for each sample"),
        ({**Y90, "side": Y90["side"][:80]}, "task 'side' has labels (80,), expected (90,)"),
        ({**Y90, "side": np.full(90, "left")}, "task 'side' has one class, 'left', expected two"),
        ({**Y90, "shape": np.arange(90) / 7}, "if it is a quantity, name it in quantities"),
        ({**Y90, "far": np.full(90, np.nan)}, "task 'far' is a quantity, expected finite numbers"),
        ({**Y90, "far": np.full(90, 3)}, "has the quantity 3 throughout"),
        ({**Y90, "a/b": Y90["shape"]}, "a task is called 'a/b'"),
        ({"shape": Y90["shape"]}, "quantities has 'far', and the tasks are shape"),
        (
            {**Y90, "side": np.array([*Y90["side"][:-1], None], object)},
            "task 'side' has no label of sample 89",
        ),
    ],
)
def test_wrong_labels_are_refused(y, sentence):
    with pytest.raises((ValueError, TypeError)) as refusal:
        make().fit(X90, y)
    assert sentence in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("params", "sentence"),
    [
        ({"weights": {"side": -1.0}}, "weights: 'side' has -1.0, expected a number of at least 0"),
        ({"weights": {"sidee": 1.0}}, "weights has 'sidee', and the tasks are shape, side, far"),
        ({"weights": dict.fromkeys(Y90, 0)}, "weights: all are 0"),
        ({"combine": "mean"}, "combine is 'mean', expected sum, uncertainty or pcgrad"),
        ({"dropout": 1}, "dropout is 1, expected a part, in [0, 1)"),
        ({"encoder": 3}, "encoder is an int, expected a Model or a fitted method"),
    ],
)
def test_wrong_settings_are_refused(params, sentence):
    with pytest.raises((ValueError, TypeError)) as refusal:
        make().set_params(**params).fit(X90, Y90)
    assert sentence in str(refusal.value)


def test_a_class_without_a_head_is_refused():
    X, y = three_tasks()
    model = make(epochs=1).fit(X, y)
    strange = {**y, "side": np.where(X[:, 0] > SIDES, "right", "middle")}
    with pytest.raises(ValueError, match="'side' has the class 'middle', of which there was no"):
        model.score(X, strange)
    with pytest.raises(ValueError, match="validation_data: task 'side' has the class 'middle'"):
        make().fit(X, y, validation_data=(X, strange))
    del strange["side"]
    with pytest.raises(ValueError, match="y has no labels for task 'side'"):
        model.score(X, strange)
    with pytest.raises(RuntimeError, match="MultiTask is not fitted yet"):
        MultiTask(small_encoder()).predict(X)
