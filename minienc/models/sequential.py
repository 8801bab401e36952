"""``Sequential``: layers one behind the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minienc.arrays import DTypeLike, Rng
from minienc.data.plain import DataLike, plain_array
from minienc.layers.base import Layer
from minienc.layers.symbolic import Input, SymbolicTensor
from minienc.models.model import Metrics, Model
from minienc.shapes import Shape
from minienc.training.callbacks import History
from minienc.training.losses import LossLike
from minienc.training.optimizers import OptimizerLike


class Sequential(Model):
    """Layers one behind the other.

    Without an ``Input`` in front, the model takes the shape of the first data it is given.

    Examples
    --------
    >>> from minienc.layers import Dense
    >>> model = Sequential([Input((2,)), Dense(3, activation="relu"), Dense(1)])
    >>> model.predict(np.ones((5, 2))).shape
    (5, 1)
    """

    def __init__(
        self, layers: Sequence[Layer | SymbolicTensor] = (), name: str | None = None
    ) -> None:
        Layer.__init__(self, name)
        self._stack: list[Layer] = []
        self._input: SymbolicTensor | None = None
        self._compile_later: dict[str, Any] | None = None
        self.optimizer = None
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer | SymbolicTensor) -> None:
        """Put a layer behind the last."""
        if isinstance(layer, SymbolicTensor):
            if self._stack or self._input is not None:
                raise ValueError("Sequential: an Input can only be the first")
            self._input = layer
            return
        if not isinstance(layer, Layer):
            raise TypeError(f"Sequential: {layer!r} is not a layer")
        self._stack.append(layer)
        if self._input is not None:
            self._connect()

    def build(self, sample_shape: Shape, dtype: DTypeLike = "float32", rng: Rng = None) -> None:
        self._input = Input(sample_shape, dtype)
        self._connect()
        if self._compile_later is not None:
            self.compile(**self._compile_later)

    def compile(
        self,
        optimizer: OptimizerLike = "rmsprop",
        loss: LossLike | Sequence[LossLike] | None = None,
        metrics: Metrics = None,
        loss_weights: Sequence[float] | None = None,
    ) -> None:
        """As ``Model.compile``; before the model is built, it is noted for then."""
        how: dict[str, Any] = dict(
            optimizer=optimizer, loss=loss, metrics=metrics, loss_weights=loss_weights
        )
        if self._input is None or not self._stack:
            self._compile_later = how
        else:
            super().compile(**how)

    def fit(self, x: DataLike, y: DataLike | None = None, *args: Any, **kwargs: Any) -> History:
        """As ``Model.fit``; builds the model for the shape of ``x`` if it has none yet."""
        if self._input is None:
            plain = plain_array(x, "x")
            self.build(tuple(plain.shape[1:]))
            x, y = plain, plain if y is x else y
        return super().fit(x, y, *args, **kwargs)

    def _connect(self) -> None:
        assert self._input is not None
        tensor = self._input
        for layer in self._stack:
            tensor = layer(tensor)
        self._set_graph(self._input, tensor)

    def __getattr__(self, name: str) -> Any:
        if name in ("graph", "inputs", "layers", "outputs"):  # asked before it is built
            raise AttributeError(
                f"{self.label} has no {name} yet: begin it with Input(shape=...), or call "
                f"model.build(shape of one sample)"
            )
        raise AttributeError(name)
