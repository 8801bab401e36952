"""The mathematics: pairs ``X_forward`` / ``X_backward``, one idea a file, by hand.

    y, cache = dense_forward(x, W, b, activation="relu")  # pure; changes nothing
    dx, dW, db = dense_backward(dy, cache)  # one gradient for each array argument, in its order

The numbers ``# (1)`` on a forward's lines are quoted by the lines of the backward that undo them.
"""

from minienc.functions.activations import (
    ACTIVATIONS,
    elu_backward,
    elu_forward,
    gelu_backward,
    gelu_forward,
    get_activation,
    identity_backward,
    identity_forward,
    leaky_relu_backward,
    leaky_relu_forward,
    relu_backward,
    relu_forward,
    sigmoid_backward,
    sigmoid_forward,
    softmax_backward,
    softmax_forward,
    softplus_backward,
    softplus_forward,
    tanh_backward,
    tanh_forward,
)
from minienc.functions.crossentropy import (
    binary_crossentropy_backward,
    binary_crossentropy_forward,
    categorical_crossentropy_backward,
    categorical_crossentropy_forward,
    sparse_categorical_crossentropy_backward,
    sparse_categorical_crossentropy_forward,
)
from minienc.functions.dense import (
    dense_backward,
    dense_forward,
)
from minienc.functions.losses import (
    kl_divergence_backward,
    kl_divergence_forward,
    mean_absolute_error_backward,
    mean_absolute_error_forward,
    mean_squared_error_backward,
    mean_squared_error_forward,
)
from minienc.functions.merging import (
    add_backward,
    add_forward,
    concatenate_backward,
    concatenate_forward,
    reshape_backward,
    reshape_forward,
)
from minienc.functions.noise import (
    dropout_backward,
    dropout_forward,
    gaussian_noise_backward,
    gaussian_noise_forward,
    masking_noise_backward,
    masking_noise_forward,
    salt_and_pepper_noise_backward,
    salt_and_pepper_noise_forward,
)
from minienc.functions.penalties import (
    l1_penalty_backward,
    l1_penalty_forward,
    l2_penalty_backward,
    l2_penalty_forward,
)

__all__ = [
    "ACTIVATIONS",
    "add_backward",
    "add_forward",
    "binary_crossentropy_backward",
    "binary_crossentropy_forward",
    "categorical_crossentropy_backward",
    "categorical_crossentropy_forward",
    "concatenate_backward",
    "concatenate_forward",
    "dense_backward",
    "dense_forward",
    "dropout_backward",
    "dropout_forward",
    "elu_backward",
    "elu_forward",
    "gaussian_noise_backward",
    "gaussian_noise_forward",
    "gelu_backward",
    "gelu_forward",
    "get_activation",
    "identity_backward",
    "identity_forward",
    "kl_divergence_backward",
    "kl_divergence_forward",
    "l1_penalty_backward",
    "l1_penalty_forward",
    "l2_penalty_backward",
    "l2_penalty_forward",
    "leaky_relu_backward",
    "leaky_relu_forward",
    "masking_noise_backward",
    "masking_noise_forward",
    "mean_absolute_error_backward",
    "mean_absolute_error_forward",
    "mean_squared_error_backward",
    "mean_squared_error_forward",
    "relu_backward",
    "relu_forward",
    "reshape_backward",
    "reshape_forward",
    "salt_and_pepper_noise_backward",
    "salt_and_pepper_noise_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "softmax_backward",
    "softmax_forward",
    "softplus_backward",
    "softplus_forward",
    "sparse_categorical_crossentropy_backward",
    "sparse_categorical_crossentropy_forward",
    "tanh_backward",
    "tanh_forward",
]
