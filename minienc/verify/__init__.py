"""Checking gradients: is what the backward gives the derivative of what the forward does?

    report = gradcheck(dense_forward, dense_backward, x, W, b, activation="tanh")
    print(report)

To be read in this order. ``line``, ``noise`` and ``differences`` have the numerics, ``subject`` the
one form of what is checked. Then the two steps: ``measure``, from a direction to a derivative and
how wrong that may be, and ``judge``, from a number and a derivative to a verdict. ``examine`` takes
them through a whole gradient, ``oracles`` are asked where differences see nothing, and ``findings``
are the result. ``gradcheck`` brings this core together with its three rooms: ``adapters`` for what
it is given, ``laws`` for what must hold beside the numbers, ``lesson`` for what it explains.
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
