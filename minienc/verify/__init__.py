"""Verifying gradients: what a backward gives, against what the forward does.

    report = gradcheck(dense_forward, dense_backward, x, W, b, activation="tanh")
    print(report)

To be read in this order. ``numeric`` has the idea in a dozen lines; ``differences`` and ``noise``
its numerics; ``subject`` the one form of what is checked. Then the two steps: ``measure``, from a
direction to a derivative and how wrong that may be, and ``judge``, from a number and a derivative
to a word; ``examine`` takes them through a gradient, ``oracles`` are asked where differences see
nothing, ``findings`` are what comes of it, and ``gradcheck`` is the whole. Around that stand three
rooms: ``adapters`` for what it is given, ``laws`` for what must hold beside the numbers, ``lesson``
for what it explains.
"""

from minienc.verify.gradcheck import assert_gradients, gradcheck
from minienc.verify.laws.optimizers import check_optimizer
from minienc.verify.lesson.numeric import numerical_gradient
from minienc.verify.lesson.report import Report
from minienc.verify.subject import SubjectError

__all__ = [
    "Report",
    "SubjectError",
    "assert_gradients",
    "check_optimizer",
    "gradcheck",
    "numerical_gradient",
]
