"""Verifying gradients: what a backward claims, against what the forward does.

    report = gradcheck(dense_forward, dense_backward, x, W, b, activation="tanh")
    print(report)

To be read in this order: ``differences`` has the numerics, ``subject`` (then ``owners``,
``foreign``, ``ways_in``) what can be checked, ``examiner`` the judgement of each number,
``gradcheck`` the whole. Beside the numbers stand ``oracles`` (second opinions), ``curves`` (what a
shrinking step shows), ``laws`` and ``layouts`` (what a pair must keep), ``second_order``,
``diagnosis`` and ``formulas`` (likely causes), ``mutants`` (the check of the check), ``report`` and
``html``; ``files`` checks somebody's file, ``optimizers`` an optimiser.
"""

from minienc.verify.gradcheck import assert_gradients, gradcheck
from minienc.verify.numeric import numerical_gradient
from minienc.verify.optimizers import check_optimizer
from minienc.verify.report import Report
from minienc.verify.subject import SubjectError

__all__ = [
    "Report",
    "SubjectError",
    "assert_gradients",
    "check_optimizer",
    "gradcheck",
    "numerical_gradient",
]
