"""Methods that make more of a batch than the gradient of a mean: shared, they end as alone.

The law is that of ``test_distributed.py``: the weights of 1, 2, 3, 4 ranks are those of one process
with the joint batch, to 1e-12 in float64, and the same bits on every rank. What is remembered
beside the weights and what is logged, too.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minienc.data import load_digits
from minienc.finetuning import MultiTask
from minienc.finetuning.multitask import COMBINE
from minienc.functions import (
    joint_kl_sparsity_backward,
    joint_kl_sparsity_forward,
    kl_sparsity_backward,
    kl_sparsity_forward,
)
from minienc.layers import BatchNormalization, Dense, Dropout, Input
from minienc.models import Model
from minienc.pretraining import DEC, KMeans
from minienc.tasks.seq2seq import PairLoss
from minienc.training.callbacks import Callback
from minienc.training.joint_draws import JointDraws, drawn_for, of_no_sample
from minienc.training.ranks import joint_batch, of_all_rows, ranks_here
from tests.language.test_methods import TEXT
from tests.language.test_methods import make as make_text
from tests.pretraining.test_methods import make
from tests.tasks.test_pairs_models import digits, small
from tests.thread_ranks import Meeting, ThreadRanks, run_ranks

SIZES = (1, 2, 3, 4)
DIGITS = load_digits()
X = np.asarray(DIGITS.x, "float64").reshape(-1, 64)[:44, 10:18]  # with 16: two batches, and 12
LABELS = {"digit": np.asarray(DIGITS.y)[:44], "odd": np.asarray(DIGITS.y)[:44] % 2}


def learned(method):
    """All that a run leaves: weights, what is remembered beside them, and the history."""
    learners = method.learners_.values() if hasattr(method, "learners_") else []
    models = [one.network for one in learners] or [method.model_]
    vector = np.concatenate([model.parameters.vector for model in models])
    arrays = {name: np.array(a) for one in learners for name, a in one.arrays.items()}
    return vector, arrays, method.history_


def check_law(work, size):
    vector, arrays, history = work()
    found = run_ranks(size, work)
    for its, beside, logs in found:
        np.testing.assert_array_equal(its, found[0][0])
        np.testing.assert_allclose(its, vector, rtol=0, atol=1e-12)
        assert logs == found[0][2] and set(logs) == set(history) and set(beside) == set(arrays)
        for name, values in history.items():
            np.testing.assert_allclose(logs[name], values, rtol=1e-9, atol=1e-12, err_msg=name)
        for name, a in arrays.items():
            assert beside[name].shape == a.shape and beside[name].dtype == a.dtype, name
            np.testing.assert_array_equal(beside[name], found[0][1][name])
            np.testing.assert_allclose(beside[name], a, rtol=1e-11, atol=1e-12, err_msg=name)


# -- a penalty on the mean of a unit


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 4), st.integers(4, 9), st.integers(0, 99))
def test_the_penalty_of_parts_is_that_of_the_whole(size, n, seed):
    rng = np.random.default_rng(seed)
    h, weights = rng.uniform(0.05, 0.95, (n, 3)), rng.dirichlet(np.ones(size))
    h[:, 0] = 0  # a dead unit, where m is held
    loss, cache = kl_sparsity_forward(h, 0.2, 3.0)
    wanted = kl_sparsity_backward(2.0, cache)

    def work(ranks):
        rows = ranks.rows_of(n)
        part = h[rows.start : rows.stop]
        loss, cache = joint_kl_sparsity_forward(part, 0.2, 3.0, ranks.sum)
        return loss, joint_kl_sparsity_backward(2.0 * weights[ranks.rank], cache)

    found = run_ranks(size, work)
    np.testing.assert_allclose([found_loss for found_loss, _ in found], loss, rtol=1e-12)
    np.testing.assert_allclose(np.concatenate([dh for _, dh in found]), wanted, rtol=1e-9)


def test_no_sum_of_the_parts_is_that_of_the_whole():
    """What the joint pair is for: the mean of the parts' own penalties is another number."""
    h = np.array([[0.1], [0.9]])
    whole, _ = kl_sparsity_forward(h, 0.5, 1.0)
    parts = [kl_sparsity_forward(part[None], 0.5, 1.0)[0] for part in h]
    assert whole < 1e-12 and np.mean(parts) > 0.5


@pytest.mark.parametrize("size", SIZES)
def test_sparse_kl(size):
    check_law(
        lambda ranks=None: learned(make("sparse", dtype="float64", strength=0.5).fit(X)), size
    )


def test_a_penalty_of_a_batch_that_is_smaller_than_the_ranks():
    """Batches of 14, 14, 14 and 2: of the last, each of three ranks has both rows."""
    options = {"dtype": "float64", "strength": 0.5, "batch_size": 14}
    check_law(lambda ranks=None: learned(make("sparse", **options).fit(X)), 3)


# -- text that goes on, and pairs that are drawn


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_that_are_carried(cell, size):
    """Twelve steps of four streams; by the end of the text the states begin anew."""
    text = TEXT[:260]
    make_one = lambda: make_text("rnn_lm", dtype="float64", cell=cell)  # noqa: E731
    check_law(lambda ranks=None: learned(make_one().fit(text)), size)


def test_states_of_fewer_streams_than_ranks():
    make_one = lambda: make_text("rnn_lm", dtype="float64", batch_size=2)  # noqa: E731
    check_law(lambda ranks=None: learned(make_one().fit(TEXT)), 3)


@pytest.mark.parametrize("size", SIZES)
def test_words_beside_words(size):
    check_law(
        lambda ranks=None: learned(make_text("word_vectors", dtype="float64").fit(TEXT)), size
    )


class StopAfter(Callback):
    belongs_to_run = False

    def __init__(self, batches):
        self.batches = batches

    def on_train_batch_end(self, batch, logs):
        ranks = self.trainer.ranks
        if self.trainer.batches_done == self.batches:
            if ranks is None:
                raise KeyboardInterrupt
            ranks.pressed.append(True)


@pytest.mark.parametrize(("before", "behind"), [(3, 1), (1, 2), (2, 4)])
def test_any_number_goes_on_from_what_another_saved(before, behind, tmp_path):
    """In the midst of an epoch: the first rank saves the states of all streams."""

    def start(ranks=None):
        method = make_text("rnn_lm", dtype="float64")
        with pytest.raises(KeyboardInterrupt):
            method.fit(TEXT, checkpoint_dir=tmp_path / "run", callbacks=[StopAfter(17)])

    def go_on(ranks=None):
        method = make_text("rnn_lm", dtype="float64")
        method.fit(TEXT, checkpoint_dir=tmp_path / "run", resume=True)
        assert method.history_["loss"][1:]  # it is the second epoch that was cut
        return method.model_.parameters.vector.copy()

    whole = make_text("rnn_lm", dtype="float64").fit(TEXT).model_.parameters.vector
    start() if before == 1 else run_ranks(before, start)
    found = go_on() if behind == 1 else run_ranks(behind, go_on)[0]
    np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("network", ["gru", "transformer"])
def test_pairs_of_texts(network, size):
    """Batches of so many tokens, whose pairs the ranks share; dropout, and padding of the whole."""
    pairs = digits(60)

    def work(ranks=None):
        how = {"network": network, "dtype": "float64", "dropout": 0.1, "epochs": 1}
        model = small(**how, copying=True).fit(*pairs)
        return learned(model)

    check_law(work, size)


def test_each_rank_reads_its_part_of_the_pairs(monkeypatch):
    seen = []  # of both ranks

    class Counts(PairLoss):
        def draw(self, batch, rng):
            drawn = super().draw(batch, rng)
            seen.append((len(drawn[0]), len(batch[0])))
            return drawn

    monkeypatch.setattr("minienc.tasks.seq2seq.PairLoss", Counts)
    run_ranks(2, lambda ranks: small(network="gru", epochs=1).fit(*digits(60)) and None)
    assert max(n for _, n in seen) > 10
    for mine, n in seen:  # of one pair, each has it
        assert mine in ((n // 2, n - n // 2) if n > 1 else (1,))


# -- several tasks


def encoder():
    x = Input((8,), dtype="float64")
    h = BatchNormalization(name="normal")(Dense(6, "tanh", seed=1, name="first")(x))
    return Model(x, Dense(5, "tanh", seed=2, name="second")(Dropout(0.2)(h)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("combine", COMBINE)
def test_several_tasks(combine, size):
    quantity = X.sum(axis=1) * (1 + LABELS["odd"])

    def work(ranks=None):
        model = MultiTask(
            encoder(),
            combine=combine,
            quantities=("light",),
            head_initializer="glorot_uniform",
            epochs=3,
            batch_size=16,
            random_state=0,
            learning_rate=1e-2,
        )
        return learned(model.fit(X, {**LABELS, "light": quantity}))

    _, _, history = work()
    if combine == "pcgrad":  # so that there is something to project
        assert max(history["digit_odd_conflict"] + history["digit_light_conflict"]) > 0
    check_law(work, size)


# -- clusters


@pytest.mark.parametrize("size", SIZES)
def test_clusters_that_become_clearer(size):
    options = {"dtype": "float64", "learning_rate": 1e-2, "update_every": 2}
    check_law(lambda ranks=None: learned(make("dec", **options).fit(X)), size)


def test_the_memberships_that_are_held_are_the_same_bits_everywhere():
    """Also where the ranks' own k-means ended elsewhere, as on machines of two kinds it may."""

    class Elsewhere(DEC):
        method = "dec_that_begins_elsewhere"

        def _run_steps(self, X, stage, epochs):
            if (ranks := ranks_here()) is not None and ranks.rank == 1:
                self._layer.C.value = self._layer.C.value + 0.1
                arrays = self.learners_["clusters"].arrays
                arrays["clusters"] = np.roll(arrays["clusters"], 1)
            return super()._run_steps(X, stage, epochs)

    def work(ranks=None):
        given = make("dec", dtype="float64").get_params()
        return learned(Elsewhere(**given).fit(X))

    check_law(work, 2)


def test_an_empty_cluster_takes_a_sample_of_any_rank():
    """Three points, of which two begin with none: far samples lie with the second rank."""
    rows = np.array([[0.0, 0.0]] * 8 + [[5.0, 0.0], [9.0, 1.0], [0.0, 0.1], [0.2, 0.0]])

    class FromOnePlace(KMeans):
        method = "kmeans_from_one_place"

        def _start(self, X):
            super()._start(X)
            self._place(np.array([[0.0, 0.0], [50.0, 50.0], [60.0, 60.0]]))

    def work(ranks=None):
        own = FromOnePlace(n_clusters=3, epochs=1, dtype="float64", random_state=0)
        return learned(own.fit(rows))

    assert np.isin([9.0, 5.0], work()[0]).all()
    for size in SIZES:
        check_law(work, size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("algorithm", ["lloyd", "minibatch"])
def test_k_means(algorithm, size):
    options = {"algorithm": algorithm, "n_clusters": 7, "batch_size": 14}  # and a batch of two
    check_law(lambda ranks=None: learned(make("kmeans", dtype="float64", **options).fit(X)), size)


def test_ctrl_c_on_one_stops_k_means_on_all(tmp_path):
    def stopped(ranks):
        press = StopAfter(4) if ranks.rank == 1 else StopAfter(99)
        press.order = 0  # so that every rank is told of batches
        with pytest.raises(KeyboardInterrupt):
            make("kmeans").fit(X, callbacks=[press])
        return press.trainer.batches_done

    assert run_ranks(3, stopped) == [5, 5, 5]  # it is heard of in the step behind


# -- codes that are chosen


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("batch_size", [16, 20])
def test_codes_that_are_chosen(size, batch_size):
    """With so many codes as two ranks have rows of a batch; some, chosen by nobody, begin anew."""
    options = {"n_codes": 10, "batch_size": batch_size, "patience": 2, "epochs": 6}
    check_law(lambda ranks=None: learned(make("vq", dtype="float64", **options).fit(X)), size)


def test_codes_that_begin_anew_where_there_are_fewer_rows_than_ranks():
    options = {"n_codes": 10, "batch_size": 14, "patience": 1}
    check_law(lambda ranks=None: learned(make("vq", dtype="float64", **options).fit(X)), 3)


# -- what they are made of


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 5), st.integers(1, 8), st.integers(1, 3), st.data())
def test_rows_of_all_come_here(size, n, each, data):
    """Of an array with so many rows for each sample: some, by their numbers, or all."""
    whole = np.arange(n * each * 2.0).reshape(n * each, 2) + 1
    numbers = np.array(data.draw(st.lists(st.integers(0, n * each - 1), max_size=6)), int)

    def work(ranks):
        assert joint_batch() is None
        ranks.begin_batch(n)
        rows = ranks.rows
        assert joint_batch() is (ranks if size > 1 else None)
        part = whole[rows.start * each : rows.stop * each]
        assert ranks.length(part) == len(whole)
        found = ranks.picked(part, numbers), ranks.whole(part)
        ranks.end_batches()
        assert joint_batch() is None
        return *found, of_all_rows(lambda rows: whole[rows], len(whole))

    for some, all_of_them, made in run_ranks(size, work):
        np.testing.assert_array_equal(some, whole[numbers])
        np.testing.assert_array_equal(all_of_them, whole)
        np.testing.assert_array_equal(made, whole)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 5), st.integers(1, 9))
def test_what_is_drawn_for_a_joint_batch_is_cut(size, n):
    def draw(n, rng):
        return rng.integers(0, 9, 4 * n)[:n], rng.choice([1, 2, 3], (n, 2))

    wanted = draw(n, np.random.default_rng(5))
    found = []
    for rank in range(size):
        rows = ThreadRanks(rank, size, Meeting(size)).rows_of(n)
        rng = JointDraws(np.random.default_rng(5), rows)
        found.append(drawn_for(draw, rows.stop - rows.start, rng))
        mine, other = rows.stop - rows.start, JointDraws(np.random.default_rng(7), rows)
        once, alone = of_no_sample(other).random(mine), np.random.default_rng(7).random(mine)
        np.testing.assert_array_equal(once, alone)
    for k in range(2):
        parts = [one[k] for one in found]
        np.testing.assert_array_equal(parts[0] if n < size else np.concatenate(parts), wanted[k])
    np.testing.assert_array_equal(drawn_for(draw, n, np.random.default_rng(5))[0], wanted[0])
    rng = np.random.default_rng(0)
    assert of_no_sample(rng) is rng
