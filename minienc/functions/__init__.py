"""The mathematics: pairs ``X_forward`` / ``X_backward``, one idea a file, by hand.

    y, cache = dense_forward(x, W, b, activation="relu")  # pure; changes nothing
    dx, dW, db = dense_backward(dy, cache)  # one gradient for each array argument, in its order

The numbers ``# (1)`` on a forward's lines are quoted by the lines of the backward that undo them.
"""

from minienc.functions.activations import *  # noqa: F403
