"""Verifying gradients: what a backward claims, against what the forward does.

    report = gradcheck(dense_forward, dense_backward, x, W, b, activation="tanh")
    print(report)

``differences`` has the numerics, ``subject`` the ways in, ``laws`` what is checked beside the
numbers, ``diagnosis`` the likely causes, ``mutants`` the check of the check.
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
