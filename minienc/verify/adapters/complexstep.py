"""An oracle by complex steps.

For an analytic f, f(x + i h d) = f(x) + i h f'(x) d - O(h^2): the imaginary part over h is the
derivative, and nothing was subtracted, so with h = 1e-100 it is exact to rounding (Squire and Trapp
1998, "Using complex variables to estimate derivatives of real functions"). It needs a forward that
takes complex numbers and treats them as mathematics does: |x| does not.
"""

from __future__ import annotations

import warnings

import numpy as np

from minienc.verify.measure import Direction
from minienc.verify.oracles import Answer, Oracle, add_up
from minienc.verify.subject import Trial

TINY = 1e-100  # any step will do whose square is lost beside 1


def complex_step(trial: Trial) -> Oracle:
    """The oracle by complex steps, where the forward takes complex numbers."""
    as_complex = {
        k: a.astype(complex) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
        for k, a in trial.arguments.items()
    }

    def ask(direction: Direction) -> Answer:
        name, step = direction.name, 1j * TINY * direction.vector
        moved = {**as_complex, name: as_complex[name] + step}
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of an imaginary part that is thrown away
            y = trial.subject.outputs(moved)
        if not any(np.iscomplexobj(part) for part in y):
            raise TypeError("the outputs are real for a complex argument")
        return add_up([c * np.imag(part) / TINY for c, part in zip(trial.v, y, strict=True)])

    for name in trial.subject.differentiable:
        x = trial.arguments[name]
        try:
            if x.size:
                ask(Direction(name, np.ones(x.shape)))
        except Exception as error:  # whatever it raises, it does not qualify
            reason = f"the forward does not take complex numbers: {first_line(error)}"
            return Oracle("complex step", None, reason)
    return Oracle("complex step", ask)


def first_line(error: Exception) -> str:
    """The first line of an exception's message."""
    lines = str(error).strip().splitlines()
    line = lines[0] if lines else type(error).__name__
    return line if len(line) <= 120 else line[:117] + "..."
