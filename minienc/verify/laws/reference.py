"""A forward that is right: whether the one that is checked gives the same.

A gradient can be right for the wrong function. So what differences cannot see is held against a
reference, at the point of the check.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.verify.line import float_outputs
from minienc.verify.subject import SubjectError, Trial, own

FAR = 1e-6  # of the largest number of an output


def check_reference(trial: Trial, reference: Any, name: str) -> list[str]:
    """A sentence for each output that is not the reference's.

    The reference is a function of the same arguments (of an object: of its inputs), which returns y
    or (y, cache).
    """
    subject = trial.subject
    given = own(trial.arguments)
    values = subject.inputs.values(given) if subject.inputs else given
    result = reference(*values.values())
    several = isinstance(result, (tuple, list))
    expected = float_outputs(tuple(result)[: len(trial.y)] if several else (result,))
    found = []
    if len(expected) != len(trial.y):
        raise SubjectError(f"{name} gave {len(expected)} outputs, expected {len(trial.y)}")
    for i, (y, right) in enumerate(zip(trial.y, expected, strict=True)):
        which = "the output" if len(trial.y) == 1 else f"output {i}"
        if y.shape != right.shape:
            found.append(f"{which} has shape {y.shape}, and that of {name} {right.shape}")
            continue
        gap = np.abs(y - right)
        wrong = np.argwhere(~(gap <= FAR * np.abs(right).max(initial=0)))
        if len(wrong):
            at = tuple(map(int, max(wrong, key=lambda k: np.nan_to_num(gap[tuple(k)], nan=np.inf))))
            found.append(
                f"{which} is not that of {name}: {len(wrong)} of {y.size} numbers differ, at "
                f"{list(at)} {y[at]:.6g}, expected {right[at]:.6g}"
            )
    return found
