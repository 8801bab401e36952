"""What an exercise file says in its lecturer's part: which functions are graded, and on what.

    CASES = [Pair("affine", "x=N,D W=D,M b=M", N=(1, 6), D=(2, 5), M=(2, 5))]

A ``Pair`` is ``NAME_forward`` and ``NAME_backward``: the forward is compared with the solution's,
and each gradient is checked. A ``Function`` is anything else: what it returns is compared, result
by result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from minienc.course.wire import Code, Seed, Value

__all__ = ["Code", "Function", "Pair", "Seed"]

BATCH = (1, 6)  # what N is drawn from, unless a case says otherwise
OTHERS = (2, 5)  # any other letter
Inputs = str | Callable[..., tuple]


class Case:
    """What is graded together: functions, and how to draw what they are called with.

    Parameters
    ----------
    name : str
    inputs : str or function
        A specification as ``minienc gradcheck --shapes`` has it, ``"x=N,D W=D,M ids=N:int10"``, or
        a function ``inputs(rng, N, D, M)`` of a ``numpy.random.Generator`` and the sizes that
        returns the arguments: arrays, numbers, strings, None, ``Seed``, ``Code``, and lists, tuples
        and dictionaries of these.
    options : sequence of dict
        Keyword arguments; each hidden shape takes the next in turn.
    constants : str
        Names of floating arguments that have no gradient: ``"mask target"``.
    share : float
        How much of the points is this case's, beside those of other cases.
    dtype : bool
        Whether float32 arguments must give float32 results.
    label : str
        What it is called behind its function's name in a report, ``"without a rest"``. Cases of one
        function are told apart by their options, shapes or sizes, where nothing is said.
    **sizes : pair of int
        The least and the most that a letter may be: ``N=(1, 6)``.
    """

    kind = ""

    def __init__(
        self,
        name: str,
        inputs: Inputs,
        *,
        options: Sequence[dict[str, Any]] = ({},),
        constants: str = "",
        share: float = 1.0,
        dtype: bool = True,
        label: str = "",
        **sizes: tuple[int, int],
    ) -> None:
        self.name, self.inputs, self.options = name, inputs, tuple(options)
        self.label = label
        self.constants = tuple(constants.split())
        self.share, self.dtype, self.sizes = share, dtype, sizes

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of what the student writes for it."""
        raise NotImplementedError


class Pair(Case):
    """``NAME_forward(x, W, b) -> y, cache`` and ``NAME_backward(dy, cache) -> dx, dW, db``.

    The gradients are those of the floating arguments that are no ``constants``, in their order;
    None in the place of one that is a constant is allowed.
    """

    kind = "pair"

    @property
    def functions(self) -> tuple[str, ...]:
        return f"{self.name}_forward", f"{self.name}_backward"


class Function(Case):
    """A function whose results are compared with the solution's.

    Parameters
    ----------
    name, inputs, ...
        As of ``Case``.
    outputs : str
        Names for what it returns, in this order: ``"loss dW db"``. What is called d and the name of
        an argument is that argument's gradient: of the first result, which is one number, the loss;
        it has its share of the gradients' points. A result that is called so and is no gradient has
        its argument among the ``constants``.
    rtol : float
        How far a result may lie from the solution's, of the largest number in it.
    changes : str
        Arguments that it is asked to write to, where it is: their new values are compared.
    """

    kind = "function"

    def __init__(
        self,
        name: str,
        inputs: Inputs,
        outputs: str = "result",
        *,
        rtol: float = 1e-8,
        changes: str = "",
        **rest: Value,
    ) -> None:
        super().__init__(name, inputs, **rest)
        self.outputs, self.rtol = tuple(outputs.split()), rtol
        self.changes = tuple(changes.split())

    @property
    def functions(self) -> tuple[str, ...]:
        return (self.name,)

    def gradients(self, arguments: Sequence[str]) -> dict[str, int]:
        """Which of the results are gradients: their places, by the names of the arguments."""
        named = enumerate(self.outputs)
        moved = set(arguments) - set(self.constants)
        return {n[1:]: k for k, n in named if n[:1] == "d" and n[1:] in moved}
