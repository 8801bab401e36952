"""
Exercise 12: steps with momentum
================================

A gradient `g` says where the loss grows; `lr` is the learning rate. Three ways to use them:

    gradient descent    w <- w - lr g
    momentum            v <- mu v - lr g,   then  w <- w + v
    Nesterov's          v <- mu v - lr g,   then  w <- w + mu v - lr g

The velocity `v` remembers earlier steps: it points to where w moves, and each step keeps a part
`mu` of it. In both, the v that moves w is the new one. Nesterov's step looks ahead: w goes at once
to where the part of the new velocity that will be kept, mu v, is about to carry it.

**On paper first.** One weight, w = 0, v = 0, lr = 0.1, mu = 0.9, and a gradient that is always 1.
Make three steps of momentum. How long is each? If it goes on like this, there is a v that the next
step makes into itself: which? Then let the gradient change its sign at each step: 1, -1, 1, -1.
What do the steps do now? (That is what momentum is for: across a valley gradients contradict each
other, along it they agree.)

The three functions return new arrays. What came in stays as it was.
"""

import numpy as np

# %%
# Gradient descent.


def sgd_step(w, g, learning_rate):
    """w (P,), g (P,) -> new w (P,)."""
    ### BEGIN SOLUTION
    new_w = w - learning_rate * g
    ### END SOLUTION
    return new_w


# %%
# Momentum.


def momentum_step(w, g, v, learning_rate, mu):
    """w (P,), g (P,), v (P,) -> new w (P,), new v (P,)."""
    ### BEGIN SOLUTION
    new_v = mu * v - learning_rate * g
    new_w = w + new_v
    ### END SOLUTION
    return new_w, new_v


# %%
# Nesterov's.


def nesterov_step(w, g, v, learning_rate, mu):
    """w (P,), g (P,), v (P,) -> new w (P,), new v (P,)."""
    ### BEGIN SOLUTION
    next_v = mu * v - learning_rate * g
    next_w = w + mu * next_v - learning_rate * g
    ### END SOLUTION
    return next_w, next_v


# %%
# **Predict 1.** w = 0, v = 0, lr = 0.1, mu = 0.9, and g = 1 at every step. What is w after two
# steps of momentum? Answer with a number.

### BEGIN SOLUTION
predict_1 = -0.29
### END SOLUTION

# %%
# **Predict 2.** The gradient stays 1 for a long time; mu is 0.9 still. How many times as long as a
# step of gradient descent is a step of momentum in the end? Answer with a number.

### BEGIN SOLUTION
predict_2 = 10.0
### END SOLUTION

### BEGIN LECTURER
from minienc.course import Function


def without_velocity(rng, P):
    return rng.standard_normal(P), rng.standard_normal(P), 0.3


def with_velocity(rng, P):
    return rng.standard_normal(P), rng.standard_normal(P), rng.standard_normal(P), 0.3, 0.8


CASES = [
    Function("sgd_step", without_velocity, "new_w"),
    Function("momentum_step", with_velocity, "new_w new_v", share=1.5),
    Function("nesterov_step", with_velocity, "new_w new_v", share=1.5),
]

ANSWERS = {
    "predict_1": "The first step is -0.1 long. The second keeps 0.9 of it and adds as much again.",
    "predict_2": "In the end the velocity does not change any more: v = 0.9 v - 0.1.",
}


def steps(n):
    w, v = np.zeros(1), np.zeros(1)
    for _ in range(n):
        w, v = momentum_step(w, np.ones(1), v, 0.1, 0.9)
    return w.item(), v.item()


PROOFS = {
    "predict_1": lambda: steps(2)[0],
    "predict_2": lambda: steps(500)[1] / -0.1,
}


def sgd_in_place(w, g, learning_rate):
    w -= learning_rate * g
    return w


MISTAKES = {
    "uphill": (
        ("new_w = w - learning_rate * g", "new_w = w + learning_rate * g"),
        "Your gradient descent goes along the gradient. That is where the loss grows.",
    ),
    "w itself is changed": (
        {"sgd_step": sgd_in_place},
        "Your gradient descent writes into the w that came in. `w -= ...` changes the array that "
        "others hold, too; `w = w - ...` makes a new one.",
    ),
    "momentum uphill": (
        ("new_v = mu * v - learning_rate * g", "new_v = mu * v + learning_rate * g"),
        "Your velocity takes up the gradient itself. It is added to w: then w moves to where the "
        "loss grows.",
    ),
    "momentum: the velocity of other books": (
        [
            ("new_v = mu * v - learning_rate * g", "new_v = mu * v + learning_rate * g"),
            ("new_w = w + new_v", "new_w = w - new_v"),
        ],
        "Some books have it so: a velocity that points uphill and is taken from w. Here v points "
        "to where w moves, and the v that comes in does, too.",
    ),
    "momentum: the learning rate outside": (
        [
            ("new_v = mu * v - learning_rate * g", "new_v = mu * v + g"),
            ("new_w = w + new_v", "new_w = w - learning_rate * new_v"),
        ],
        "Some libraries have it so: the velocity collects gradients, and the learning rate "
        "multiplies it when w moves. Here v is a step already: it can be added to w as it is.",
    ),
    "momentum: velocity thrown away": (
        ("new_v = mu * v - learning_rate * g", "new_v = -learning_rate * g"),
        "Your velocity knows nothing of the one that came in. That is gradient descent.",
    ),
    "momentum: the old velocity moves w": (
        ("new_w = w + new_v", "new_w = w + v"),
        "You move w by the velocity that came in. Then this gradient is heard of one step late.",
    ),
    "momentum: both parts weighted": (
        ("new_v = mu * v - learning_rate * g", "new_v = mu * v - (1 - mu) * learning_rate * g"),
        "You weight old and new by mu and 1 - mu, as a running mean does. Here the gradient's "
        "part is lr g, whatever mu is.",
    ),
    "Nesterov without a look ahead": (
        ("next_w = w + mu * next_v - learning_rate * g", "next_w = w + mu * v - learning_rate * g"),
        "What you return is plain momentum. (So is w + mu v - lr g, if v is the one that came in: "
        "write both out.) Which velocity does the look ahead use?",
    ),
    "Nesterov: all of the velocity, and the gradient": (
        ("next_w = w + mu * next_v - learning_rate * g", "next_w = w + next_v - learning_rate * g"),
        "Your w moves by all of the new velocity and by the gradient. Only a part mu of the "
        "velocity is kept for the look ahead.",
    ),
}
### END LECTURER
