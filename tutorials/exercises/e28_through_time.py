"""
Exercise 28: backpropagation through time
=========================================

A recurrent layer reads a sequence of T steps, one after the other, and keeps a state h. At each
step the new state is made of what is read and of the state before:

    h[t] = tanh(x[t] W + h[t-1] U + b)          before the first step, h is h0

W, U and b are the same at all steps. The layer gives out its states of all steps, and the loss may
hear each of them: `dh[:, t]` says how the loss changes with the state of step t by hearing it
directly. What it hears of this state by way of later ones is not in it; that is for you to find.

The arrays are x (N, T, D), h0 (N, M), W (D, M), U (M, M), b (M,); the states h are (N, T, M).

**On paper first.** Take T = 3 and let all arrays be single numbers. Draw h0, h[0], h[1], h[2] in a
row, with an arrow wherever one is made of another, and arrows from x[t] and from U. By which ways
does h[1] reach the loss? Write down how the loss changes with h[2], then with h[1], then with h[0],
so that each uses what you found before. Let z[t] be what is in the brackets: how does the loss
change with z[t]? In how many z does U stand, and what is it multiplied by in each of them?
"""

import numpy as np

# %%
# The forward. A loop over the steps is needed: no state can be computed before the one in front of
# it. `x[:, t]` is what all N sequences read at step t. `cache` is whatever your backward needs.


def rnn_forward(x, h0, W, U, b):
    """x (N, T, D), h0 (N, M), W (D, M), U (M, M), b (M,) -> h (N, T, M), cache."""
    ### BEGIN SOLUTION
    states = [h0]
    for t in range(x.shape[1]):
        states.append(np.tanh(x[:, t] @ W + states[t] @ U + b))
    h = np.stack(states[1:], axis=1)
    cache = x, W, U, states
    ### END SOLUTION
    return h, cache


# %%
# The backward: from `dh` to how the loss changes with all that came in. In which order must the
# steps be visited?


def rnn_backward(dh, cache):
    """dh (N, T, M), cache -> dx (N, T, D), dh0 (N, M), dW (D, M), dU (M, M), db (M,)."""
    ### BEGIN SOLUTION
    x, W, U, states = cache
    dx, dW, dU, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros_like(U[0])
    dlater = np.zeros_like(states[0])  # what the steps behind this one say of its state
    for t in reversed(range(x.shape[1])):
        dstate = dh[:, t] + dlater
        dz = dstate * (1 - states[t + 1] ** 2)
        dx[:, t] = dz @ W.T
        dW += x[:, t].T @ dz
        dU += states[t].T @ dz
        db += dz.sum(axis=0)
        dlater = dz @ U.T
    dh0 = dlater
    ### END SOLUTION
    return dx, dh0, dW, dU, db


# %%
# **Predict 1.** N = D = M = 1 and T = 3. All numbers of x, h0 and b are 0, W is 1, U is 0.5. The
# loss hears the last state alone: dh is 0, 0, 1. What is dh0? Work it out on paper; answer with a
# number.

### BEGIN SOLUTION
predict_1 = 0.125
### END SOLUTION

# %%
# **Predict 2.** The same layer, but the loss hears every state: dh is 1, 1, 1. What is db?

### BEGIN SOLUTION
predict_2 = 4.25
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Pair

CASES = [Pair("rnn", "x=N,T,D h0=N,M W=D,M U=M,M b=M", T=(3, 5))]

POINTS = {"forward": 20, "gradients": 60, "laws": 10, "predictions": 10}

ANSWERS = {
    "predict_1": "All states are 0, and the slope of tanh at 0 is 1. What does a step multiply the "
    "gradient by on its way back, and how many steps are there?",
    "predict_2": "b is used at every step. What is dz at the last step, at the one before (which "
    "is heard directly and by the last), and at the first?",
}


def small(dh):
    """dh0 and db of the two questions."""
    zero, one = np.zeros((1, 1)), np.ones((1, 1))
    cache = rnn_forward(np.zeros((1, 3, 1)), zero, one, one / 2, np.zeros(1))[1]
    _, dh0, _, _, db = rnn_backward(np.reshape(dh, (1, 3, 1)), cache)
    return dh0[0, 0], db[0]


PROOFS = {
    "predict_1": lambda: small([0.0, 0.0, 1.0])[0],
    "predict_2": lambda: small([1.0, 1.0, 1.0])[1],
}

MISTAKES = {
    "the last step only": (
        (
            "dstate = dh[:, t] + dlater",
            "dstate = dlater + (dh[:, t] if t == len(dh[0]) - 1 else 0)",
        ),
        "Your backward begins with the last state's part of dh and forgets the other parts. The "
        "loss may hear the states in between directly, too.",
    ),
    "the future lost": (
        ("dstate = dh[:, t] + dlater", "dstate = dh[:, t]"),
        "Each of your steps knows its own part of dh alone. A state is also read by the step "
        "behind it: what does that one say of it?",
    ),
    "one step ahead only": (
        ("dlater = dz @ U.T", "dlater = (dh[:, t] * (1 - states[t + 1] ** 2)) @ U.T"),
        "Your state hears the step behind it, but nothing from further on. What that step passes "
        "back should hold all that it heard itself.",
    ),
    "the slope left out on the way back": (
        ("dlater = dz @ U.T", "dlater = dstate @ U.T"),
        "What your steps pass back has gone through U, and not through tanh. Which of the two did "
        "the state before meet first?",
    ),
    "no slope anywhere": (
        ("dz = dstate * (1 - states[t + 1] ** 2)", "dz = dstate"),
        "Your backward passes by tanh as if it were not there. What lies between the brackets and "
        "the state has a slope.",
    ),
    "from the first step to the last": (
        ("reversed(range(x.shape[1]))", "range(x.shape[1])"),
        "Your backward begins at the first step. What does it know there of what the later states "
        "will say?",
    ),
    "overwritten": (
        [("dW += ", "dW = "), ("dU += ", "dU = "), ("db += ", "db = ")],
        "Your gradient of a weight is the first step's alone: each step of your loop writes over "
        "what the others said. The weight is used at every step.",
    ),
    "dU with the wrong state": (
        ("dU += states[t].T @ dz", "dU += states[t + 1].T @ dz"),
        "Your dU multiplies dz by the state that came out of the step. By which state was U "
        "multiplied?",
    ),
    "dU without h0": (
        ("dU += states[t].T @ dz", "dU += states[t].T @ dz if t else 0"),
        "Your dU leaves out the first step. What was U multiplied by there?",
    ),
    "slope at the state before": (
        ("(1 - states[t + 1] ** 2)", "(1 - states[t] ** 2)"),
        "You take the slope of tanh from the state before the step. The slope of tanh can be said "
        "by what came out of it: which state is that?",
    ),
    "U not transposed": (
        ("dlater = dz @ U.T", "dlater = dz @ U"),
        "On your way back through the steps, U is used as the forward used it. U is square, so "
        "NumPy does not complain. What changes places?",
    ),
    "one step late": (
        ("np.stack(states[1:], axis=1)", "np.stack(states[:-1], axis=1)"),
        "Your h begins with h0 and lacks the state of the last step.",
    ),
    "no tanh": (
        ("np.tanh(x[:, t] @ W + states[t] @ U + b)", "x[:, t] @ W + states[t] @ U + b"),
        "Your states are what is in the brackets, and may grow without bound. What is done to it?",
    ),
    "always from h0": (
        ("states[t] @ U + b", "states[0] @ U + b"),
        "Each of your steps begins from h0 once more, and has forgotten what was read in between.",
    ),
}
### END LECTURER
