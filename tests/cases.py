"""For every forward of ``minienc.functions``: arguments to check it with.

A case is (arrays, options). Arrays are drawn anew from the generator; those that the primitive
calls constants are not differentiated. A new primitive without a case fails the suite.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minienc.functions
import minienc.training.optimizers
from minienc.functions.activations import ACTIVATIONS
from minienc.functions.slopes import SLOPES
from minienc.primitive import REGISTRY

Case = tuple[tuple, dict[str, Any]]


def _normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape)


def _away_from_zero(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """For functions with a kink at 0: the difference must not step over it."""
    return rng.choice([-1, 1], shape) * rng.uniform(0.1, 2, shape)


def _probabilities(rng: np.random.Generator, *shape: int) -> np.ndarray:
    p = rng.uniform(0.1, 1, shape)
    return p / p.sum(axis=-1, keepdims=True)


def _elementwise(rng: np.random.Generator) -> Iterator[Case]:
    for shape in [(3, 4), (1,), (2, 1, 3), (0, 4)]:
        yield (_away_from_zero(rng, *shape),), {}


def _with_option(**options: float) -> Callable[[np.random.Generator], Iterator[Case]]:
    """As the other activations, and once with another value of its option."""

    def cases(rng: np.random.Generator) -> Iterator[Case]:
        yield from _elementwise(rng)
        yield (_away_from_zero(rng, 3, 4),), dict(options)

    return cases


def _dense(rng: np.random.Generator) -> Iterator[Case]:
    for activation in ACTIVATIONS:
        yield (_normal(rng, 5, 3), _normal(rng, 3, 4), _normal(rng, 4)), {"activation": activation}
    for lead in [(1,), (2, 3), (0,), ()]:
        yield (_normal(rng, *lead, 3), _normal(rng, 3, 2), _normal(rng, 2)), {"activation": "tanh"}
    yield (_normal(rng, 5, 3), _normal(rng, 3, 1)), {}
    yield (_normal(rng, 5, 3), _normal(rng, 3, 2)), {"activation": "gelu"}


def _loss(
    y: Callable, target: Callable, logits: bool, last_axis: bool = True
) -> Callable[[np.random.Generator], Iterator[Case]]:
    """All reductions, with and without weights, of probabilities and of logits."""

    def cases(rng: np.random.Generator) -> Iterator[Case]:
        shapes = [(4, 3), (1, 2), (2, 3, 4)] + ([] if last_axis else [(5,)])
        for shape in shapes:
            for reduction in ("mean", "sum", "none"):
                weights = [rng.uniform(0, 2, shape[:n]) for n in range(1, max(2, len(shape)))]
                for weight in (None, *weights):  # one for each sample, one for each l
                    options: dict[str, Any] = {"reduction": reduction}
                    yield (y(rng, *shape), target(rng, *shape), weight), options
                    if logits:
                        options = {**options, "from_logits": True}
                        yield (_normal(rng, *shape), target(rng, *shape), weight), options

    return cases


def _labels(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.integers(0, shape[-1], shape[:-1])


def _sparse_crossentropy(rng: np.random.Generator) -> Iterator[Case]:
    """As the other losses; and with labels that do not count, and smoothed ones."""
    yield from _loss(_probabilities, _labels, logits=True)(rng)
    labels = np.array([[0, -1, 2], [-1, -1, 1]])
    for options in ({"ignore_class": -1}, {"label_smoothing": 0.1}, {"from_logits": True}):
        options = {"ignore_class": -1, **options}
        yield (_probabilities(rng, 2, 3, 4), labels, None), options
        yield (_probabilities(rng, 2, 3, 4), labels, None), {**options, "reduction": "sum"}
    yield (
        (_normal(rng, 2, 4), np.array([3, 0]), None),
        {"label_smoothing": 0.3, "from_logits": True},
    )


def _noise(strength: float) -> Callable[[np.random.Generator], Iterator[Case]]:
    def cases(rng: np.random.Generator) -> Iterator[Case]:
        yield (_normal(rng, 4, 3), strength), {}
        yield (_normal(rng, 4, 3), strength), {"rng": 5}  # a seed: every call draws the same noise

    return cases


def _augmentation(rng: np.random.Generator) -> Iterator[Case]:
    yield (_normal(rng, 3, 5, 4),), {}
    yield (_normal(rng, 3, 5, 4),), {"rng": 5}


def _several(rng: np.random.Generator) -> Iterator[Case]:
    yield (_normal(rng, 2, 3), _normal(rng, 2, 3), _normal(rng, 2, 3)), {}
    yield (_normal(rng, 2, 3),), {}


def _weighted(rng: np.random.Generator) -> Iterator[Case]:
    yield (_normal(rng, 2, 3), _normal(rng, 2, 3)), {"weights": (0.5, -2.0)}
    yield (_normal(rng, 4),), {"weights": (3.0,)}


def _concatenate(rng: np.random.Generator) -> Iterator[Case]:
    yield (_normal(rng, 2, 3), _normal(rng, 2, 1)), {}
    yield (_normal(rng, 2, 3, 2), _normal(rng, 2, 1, 2), _normal(rng, 2, 2, 2)), {"axis": 1}


def _penalty(rng: np.random.Generator) -> Iterator[Case]:
    yield (_away_from_zero(rng, 3, 2), 0.3), {}


def _squares(rng: np.random.Generator) -> Iterator[Case]:
    for shape in [(5, 4), (1, 3), (0, 2)]:
        yield (rng.uniform(0.1, 4, shape),), {}


def _uniform(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.uniform(0.05, 0.95, shape)


def _patches(rng: np.random.Generator) -> Iterator[Case]:
    """Windows that overlap, that leave gaps, that reach over the edge, on images of odd sizes."""
    yield (_normal(rng, 2, 4, 5, 2), 3), {}
    yield (_normal(rng, 2, 5, 4, 3), (2, 3)), {"strides": (2, 1), "padding": "same"}
    yield (_normal(rng, 1, 5, 6, 1), (1, 2)), {"strides": 3}
    yield (_normal(rng, 0, 3, 3, 2), 2), {}
    yield (_normal(rng, 2, 2, 3, 2), 1), {}


def _conv2d(rng: np.random.Generator) -> Iterator[Case]:
    for activation in ("identity", "tanh", "gelu", "softmax", "sigmoid"):
        arrays = _normal(rng, 2, 4, 5, 2), _normal(rng, 3, 2, 2, 3), _normal(rng, 3)
        yield arrays, {"activation": activation, "padding": "same"}
    for strides in (1, 2, (3, 2)):
        arrays = _normal(rng, 2, 6, 5, 2), _normal(rng, 2, 3, 2, 2), _normal(rng, 2)
        yield arrays, {"strides": strides}
        yield arrays, {"strides": strides, "padding": "same"}
    yield (_normal(rng, 2, 3, 3, 2), _normal(rng, 1, 1, 2, 2)), {}
    yield (_normal(rng, 0, 3, 3, 2), _normal(rng, 2, 2, 2, 2)), {}


def _conv2d_transpose(rng: np.random.Generator) -> Iterator[Case]:
    for activation in ("identity", "tanh", "gelu", "softmax", "sigmoid"):
        arrays = _normal(rng, 2, 3, 4, 2), _normal(rng, 3, 2, 3, 2), _normal(rng, 3)
        yield arrays, {"activation": activation, "padding": "same"}
    for strides in (1, 2, (3, 2)):  # the last: a kernel smaller than its step leaves gaps
        arrays = _normal(rng, 2, 3, 2, 2), _normal(rng, 2, 3, 3, 2), _normal(rng, 3)
        yield arrays, {"strides": strides}
        yield arrays, {"strides": strides, "padding": "same"}
    yield (_normal(rng, 2, 2, 2, 2), _normal(rng, 2, 2, 1, 2)), {}
    yield (_normal(rng, 0, 2, 2, 2), _normal(rng, 2, 2, 1, 2)), {}


def _pooling(rng: np.random.Generator) -> Iterator[Case]:
    """Without ties: there the difference steps over a kink."""
    for options in ({}, {"pool_size": 3, "strides": (1, 2)}, {"pool_size": (1, 2), "strides": 2}):
        yield (_normal(rng, 2, 5, 4, 2),), options
        yield (_normal(rng, 2, 5, 4, 2),), {**options, "padding": "same"}
    yield (_normal(rng, 0, 2, 2, 1),), {}


def _batch_normalization(rng: np.random.Generator) -> Iterator[Case]:
    for lead in [(5,), (2, 3, 2), (1, 4)]:
        for affine in [(_normal(rng, 3), _normal(rng, 3)), (None, None), (_normal(rng, 3), None)]:
            yield (_normal(rng, *lead, 3), *affine), {}
    x, gamma, beta = _normal(rng, 4, 3), _normal(rng, 3), _normal(rng, 3)
    yield (x, gamma, beta, _normal(rng, 3), rng.uniform(0.5, 2, 3)), {}
    yield (x, None, beta, _normal(rng, 3), rng.uniform(0.5, 2, 3)), {"epsilon": 0.1}
    yield (x, gamma, beta), {"epsilon": 0.5}


def _joint_batch_normalization(rng: np.random.Generator) -> Iterator[Case]:
    for lead in [(5,), (2, 3, 2)]:
        for affine in [(_normal(rng, 3), _normal(rng, 3)), (None, None), (_normal(rng, 3), None)]:
            yield (_normal(rng, *lead, 3), *affine), {}
    yield (_normal(rng, 4, 3), _normal(rng, 3), _normal(rng, 3)), {"epsilon": 0.5}


def _layer_normalization(rng: np.random.Generator) -> Iterator[Case]:
    for lead in [(5,), (2, 3), (), (0,)]:
        yield (_normal(rng, *lead, 4), _normal(rng, 4), _normal(rng, 4)), {}
    yield (_normal(rng, 3, 4),), {"epsilon": 0.5}
    yield (_normal(rng, 3, 4), None, _normal(rng, 4)), {}


def _spectral_normalization(rng: np.random.Generator) -> Iterator[Case]:
    for shape in [(4, 3), (3, 5), (2, 2, 3, 4)]:
        u = _normal(rng, shape[-1])
        yield (_normal(rng, *shape), u / np.sqrt((u * u).sum())), {}


def _embedding(rng: np.random.Generator) -> Iterator[Case]:
    """Ids that occur twice, that never occur, of no axes, of none."""
    for ids in ([[1, 4, 1], [0, 1, 1]], [2], [], 3):
        yield (np.array(ids, dtype=int), _normal(rng, 5, 3)), {}


def _recurrent(gates: int, biases: int, states: int) -> Callable:
    """With and without biases and first states; lengths of none, some and all steps."""

    def cases(rng: np.random.Generator) -> Iterator[Case]:
        N, T, D, M = 3, 4, 2, 3
        x, W, U = _normal(rng, N, T, D), _normal(rng, D, gates * M), _normal(rng, M, gates * M)
        b = tuple(_normal(rng, gates * M) for _ in range(biases))
        first = tuple(_normal(rng, N, M) for _ in range(states))
        yield (x, W, U), {}
        yield (x, W, U, *b, *first), {}
        yield (x, W, U, *b, *first, np.array([4, 2, 0])), {}
        yield (x, W, U, *b, *[None] * states, np.array([1, 4, 3])), {}
        yield (x[:1, :1], W, U, *[None] * biases, *[h[:1] for h in first]), {}
        yield (x[:0], W, U, *b), {}

    return cases


def _recurrent_step(gates: int, biases: int, states: int) -> Callable:
    def cases(rng: np.random.Generator) -> Iterator[Case]:
        for n in (3, 1, 0):
            x, h = _normal(rng, n, 2), [_normal(rng, n, 3) for _ in range(states)]
            weights = _normal(rng, 2, gates * 3), _normal(rng, 3, gates * 3)
            yield (x, *h, *weights, *(_normal(rng, gates * 3) for _ in range(biases))), {}
            yield (x, *h, *weights), {}

    return cases


def _attention(rng: np.random.Generator) -> Iterator[Case]:
    """Few and many keys; masks of all kinds, and one under which a query sees nothing."""
    for lead in [(2,), (2, 3), ()]:
        yield (_normal(rng, *lead, 3, 4), _normal(rng, *lead, 5, 4), _normal(rng, *lead, 5, 2)), {}
    q, k, v = _normal(rng, 2, 3, 4, 3), _normal(rng, 2, 3, 5, 3), _normal(rng, 2, 3, 5, 2)
    yield (q, k, v), {"causal": True}
    yield (q, k, v, np.array([5, 0])), {}
    yield (q, k, v, np.array([2, 4]), rng.random((4, 5)) < 0.6), {"causal": True}
    yield (
        (
            q,
            k,
            v,
            None,
            np.array([[True] * 5, [False] * 5, [True] * 5, [False, True] * 2 + [True]]),
        ),
        {},
    )
    yield (q[:0], k[:0], v[:0]), {"causal": True}


def _attention_with_weights(rng: np.random.Generator) -> Iterator[Case]:
    for lead in [(2,), (2, 3), ()]:
        yield (_normal(rng, *lead, 3, 4), _normal(rng, *lead, 5, 4), _normal(rng, *lead, 5, 2)), {}
    q, k, v = _normal(rng, 2, 4, 3), _normal(rng, 2, 5, 3), _normal(rng, 2, 5, 2)
    yield (q, k, v, np.array([5, 2])), {}
    yield (q, k, v, np.array([0, 1])), {}
    yield (q[:0], k[:0], v[:0]), {}


def _copied(rng: np.random.Generator, N: int) -> tuple[np.ndarray, np.ndarray]:
    """Attention (N, 3, 4) and what its words: one stands twice, one behind the end."""
    a = _probabilities(rng, N, 3, 4)
    a[:, :, 3] = 0
    return a, np.array([[1, 4, 1, 0], [0, 2, 2, 3]])[:N]


def _copying(rng: np.random.Generator) -> Iterator[Case]:
    for N in (2, 1, 0):
        yield (_probabilities(rng, N, 3, 5), rng.uniform(0.1, 0.9, (N, 3)), *_copied(rng, N)), {}


def _copying_crossentropy(rng: np.random.Generator) -> Iterator[Case]:
    """Labels that the source holds, once and twice, that it lacks, and that do not count."""
    labels = np.array([[1, 4, 3], [2, -1, 1]])
    for N in (2, 1, 0):
        arrays = (_normal(rng, N, 3, 5), _normal(rng, N, 3), *_copied(rng, N))
        yield (*arrays, np.maximum(labels[:N], 0)), {"reduction": "none"}
        for smoothing in (0.0, 0.2):
            for reduction in ("mean", "sum", "none"):
                options = {"ignore_class": -1, "label_smoothing": smoothing}
                yield (*arrays, labels[:N]), {**options, "reduction": reduction}


def _multi_head_attention(rng: np.random.Generator) -> Iterator[Case]:
    x, c = _normal(rng, 2, 3, 4), _normal(rng, 2, 5, 3)
    own = [_normal(rng, 4, 4), _normal(rng, 4, 4), _normal(rng, 4, 6), _normal(rng, 6, 3)]
    other = [own[0], _normal(rng, 3, 4), _normal(rng, 3, 6), own[3]]
    biases = [_normal(rng, n) for n in (4, 4, 6, 3)]
    yield (x, None, *own, *biases), {"num_heads": 2, "causal": True, "rotary": True}
    yield (x, None, *own, *biases), {"num_heads": 2, "rotary": True, "qk_norm": True}
    no_key = biases[0], None, *biases[2:]  # what is added to all keys alike changes no weight
    yield (x, c, *other, *no_key, 2, np.array([5, 2])), {}
    yield (x, c, *other), {"rotary": True}
    yield (x, None, *own, *[None] * 4, 1, None, rng.random((2, 1, 3, 3)) < 0.7), {}


def _positions(rng: np.random.Generator) -> Iterator[Case]:
    for lead in [(2,), (), (2, 3)]:
        yield (_normal(rng, *lead, 3, 4), _normal(rng, 5, 4)), {"start": len(lead)}
    yield (_normal(rng, 2, 5, 4), _normal(rng, 5, 4)), {}


def _rms_normalization(rng: np.random.Generator) -> Iterator[Case]:
    for lead in [(5,), (2, 3), (), (0,)]:
        yield (_normal(rng, *lead, 4), _normal(rng, 4)), {}
    yield (_normal(rng, 3, 4),), {"epsilon": 0.5}


def _conv1d(rng: np.random.Generator) -> Iterator[Case]:
    for activation in ("identity", "tanh", "gelu", "softmax"):
        yield (
            (_normal(rng, 2, 5, 2), _normal(rng, 3, 2, 3), _normal(rng, 3)),
            {
                "activation": activation,
                "padding": "same",
            },
        )
    for padding in ("valid", "same", "causal"):
        for strides, dilation in [(1, 1), (2, 1), (1, 2), (3, 2)]:
            yield (
                (_normal(rng, 2, 7, 2), _normal(rng, 2, 2, 3)),
                {
                    "strides": strides,
                    "padding": padding,
                    "dilation_rate": dilation,
                },
            )
    yield (_normal(rng, 0, 3, 2), _normal(rng, 2, 2, 2)), {}


def _pooling1d(rng: np.random.Generator) -> Iterator[Case]:
    yield (_normal(rng, 3, 4, 2),), {}
    yield (_normal(rng, 3, 4, 2), np.array([4, 0, 2])), {}
    yield (_normal(rng, 0, 4, 2),), {}


CASES: dict[str, Callable[[np.random.Generator], Iterator[Case]]] = {
    **{forward.__name__: _elementwise for forward in ACTIVATIONS.values()},
    "leaky_relu_forward": _with_option(negative_slope=0.05),
    "elu_forward": _with_option(alpha=1.7),
    "dense_forward": _dense,
    "mean_squared_error_forward": _loss(_normal, _normal, logits=False, last_axis=False),
    "mean_absolute_error_forward": _loss(_normal, _normal, logits=False, last_axis=False),
    "kl_divergence_forward": _loss(_probabilities, _probabilities, logits=False),
    "binary_crossentropy_forward": _loss(_uniform, _uniform, logits=True, last_axis=False),
    "categorical_crossentropy_forward": _loss(_probabilities, _probabilities, logits=True),
    "sparse_categorical_crossentropy_forward": _sparse_crossentropy,
    "dropout_forward": _noise(0.4),
    "masking_noise_forward": _noise(0.4),
    "salt_and_pepper_noise_forward": _noise(0.4),
    "gaussian_noise_forward": _noise(0.5),
    "spec_augment_forward": _augmentation,
    "random_equalizer_forward": _augmentation,
    "random_stretch_forward": _augmentation,
    "add_forward": _several,
    "weighted_sum_forward": _weighted,
    "uncertainty_weighting_forward": lambda rng: iter(
        [((_normal(rng, *lead, 3), _normal(rng, 3)), {}) for lead in [(1,), (4,), (2, 3), ()]]
    ),
    "concatenate_forward": _concatenate,
    "reshape_forward": lambda rng: iter([((_normal(rng, 2, 6), (3, 2)), {})]),
    "patches_forward": _patches,
    "conv2d_forward": _conv2d,
    "conv2d_transpose_forward": _conv2d_transpose,
    "max_pool2d_forward": _pooling,
    "average_pooling2d_forward": _pooling,
    "global_average_pooling2d_forward": lambda rng: iter([((_normal(rng, 2, 3, 4, 2),), {})]),
    "up_sampling2d_forward": lambda rng: iter(
        [((_normal(rng, 2, 2, 3, 2),), {}), ((_normal(rng, 2, 2, 3, 2), (3, 1)), {})]
    ),
    "batch_normalization_forward": _batch_normalization,
    "joint_batch_normalization_forward": _joint_batch_normalization,
    "layer_normalization_forward": _layer_normalization,
    "spectral_normalization_forward": _spectral_normalization,
    "kl_sparsity_forward": lambda rng: iter(
        [((rng.uniform(0.05, 0.95, shape), 0.1, 2.0), {}) for shape in [(5, 3), (1, 2)]]
    ),
    "joint_kl_sparsity_forward": lambda rng: iter(
        [((rng.uniform(0.05, 0.95, shape), 0.1, 2.0), {}) for shape in [(5, 3), (1, 2)]]
    ),
    "k_sparse_forward": lambda rng: iter(
        [((_normal(rng, 5, 4), k), {}) for k in (1, 3, 4)] + [((_normal(rng, 0, 3), 2), {})]
    ),
    "reparameterize_forward": lambda rng: iter(
        [(tuple(_normal(rng, *shape) for _ in range(3)), {}) for shape in [(4, 3), (0, 2), (5,)]]
    ),
    "normal_kl_forward": lambda rng: iter(
        [((_normal(rng, *shape), _normal(rng, *shape)), {}) for shape in [(4, 3), (0, 2), (5,)]]
    ),
    "squared_distances_forward": lambda rng: iter(
        [((_normal(rng, n, 3), _normal(rng, k, 3)), {}) for n, k in [(5, 4), (1, 2), (0, 3)]]
    ),
    "triangle_code_forward": _squares,
    "student_t_forward": lambda rng: iter(
        [*_squares(rng), ((rng.uniform(0.1, 4, (3, 4)), 2.5), {})]
    ),
    "free_energy_forward": lambda rng: iter(
        [
            (
                (_normal(rng, n, 4), _normal(rng, 4, 3), _normal(rng, 4), _normal(rng, 3)),
                {"visible": visible, "hidden": hidden},
            )
            for n in (5, 1)
            for visible in ("binary", "gaussian")
            for hidden in ("binary", "gaussian")
        ]
    ),
    "activation_slope_forward": lambda rng: iter(
        [
            ((rng.uniform(0.1, 0.9, (4, 3)) * sign, name), {})
            for name in SLOPES
            for sign in ((1, -1) if name in ("relu", "leaky_relu", "elu", "tanh") else (1,))
        ]
    ),
    "dense_contraction_forward": lambda rng: iter(
        [((_normal(rng, n, 3), _normal(rng, 4, 3)), {}) for n in (5, 1, 0)]
    ),
    "quantization_error_forward": lambda rng: iter(
        [((_normal(rng, n, 3), _normal(rng, 4, 3)), {}) for n in (6, 1, 0)]
    ),
    "nearest_code_forward": lambda rng: iter(
        [((_normal(rng, n, 3), _normal(rng, 4, 3)), {}) for n in (6, 1, 0)]
    ),
    "embedding_forward": _embedding,
    "rnn_step_forward": _recurrent_step(1, 1, 1),
    "rnn_forward": _recurrent(1, 1, 1),
    "lstm_step_forward": _recurrent_step(4, 1, 2),
    "lstm_forward": _recurrent(4, 1, 2),
    "gru_step_forward": _recurrent_step(3, 2, 1),
    "gru_forward": _recurrent(3, 2, 1),
    "attention_forward": _attention,
    "attention_with_weights_forward": _attention_with_weights,
    "copying_forward": _copying,
    "copying_crossentropy_forward": _copying_crossentropy,
    "add_positions_forward": _positions,
    "multi_head_attention_forward": _multi_head_attention,
    "negative_sampling_forward": lambda rng: iter(
        [((_normal(rng, N, 3), _normal(rng, N, K, 3)), {}) for N, K in ((4, 5), (1, 1))]
    ),
    "rotary_forward": lambda rng: iter(
        [((_normal(rng, *lead, 3, 4),), {"start": len(lead)}) for lead in [(2,), (), (2, 3), (0,)]]
    ),
    "reverse_forward": _pooling1d,
    "mask_steps_forward": _pooling1d,
    "center_steps_forward": _pooling1d,
    "rms_normalization_forward": _rms_normalization,
    "swiglu_forward": lambda rng: iter(
        [((_normal(rng, *lead, 4),), {}) for lead in [(3,), (), (0,), (2, 3)]]
    ),
    "conv1d_forward": _conv1d,
    "global_average_pooling1d_forward": _pooling1d,
    "global_max_pooling1d_forward": _pooling1d,
    "l1_penalty_forward": _penalty,
    "l2_penalty_forward": _penalty,
}

FORWARDS = sorted(name for name in REGISTRY if name.endswith("_forward"))


def all_cases(name: str) -> list[Case]:
    """Every case of one forward, always the same."""
    return list(CASES[name](np.random.default_rng(0)))


def parts(y: Any) -> tuple:
    """What a forward returned, one after the other: several outputs are a tuple."""
    return y if isinstance(y, tuple) else (y,)


def call(function: Any, arguments: tuple, options: dict[str, Any]) -> Any:
    """Call a forward with a case; a seed in ``rng`` becomes a generator of its own."""
    if "rng" in options:
        options = {**options, "rng": np.random.default_rng(options["rng"])}
    return function(*arguments, **options)


assert minienc.functions  # the import is what registers the functions
