"""``KSparse``: of the units of a layer, only the k largest speak."""

from __future__ import annotations

from minienc.functions.sparsity import k_sparse_forward
from minienc.layers.base import Layer
from minienc.shapes import Shape, is_whole

__all__ = ["KSparse"]


class KSparse(Layer):
    """Of each sample (K,), the ``k`` largest numbers as they are, and 0 for the others.

    Examples
    --------
    >>> KSparse(1)(np.array([[3.0, 1.0, 2.0]]))
    array([[3., 0., 0.]])
    """

    pair = k_sparse_forward
    options = ("k",)

    def __init__(self, k: int, name: str | None = None) -> None:
        super().__init__(name)
        if not is_whole(k, 1):
            raise ValueError(f"KSparse: k is {k!r}, expected a whole number from 1")
        self.k = int(k)

    def output_shape(self, sample_shape: Shape) -> Shape:
        if len(sample_shape) != 1 or sample_shape[0] < self.k:
            raise ValueError(
                f"{self.label}: a sample of shape {tuple(sample_shape)}, expected at least "
                f"{self.k} numbers in a row"
            )
        return tuple(sample_shape)
