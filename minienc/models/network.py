"""A graph of layers with one vector of parameters: what a ``Model`` is, before it is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from minienc.arrays import (
    Array,
    Arrays,
    Cache,
    check_device,
    device_of,
    to_device_of,
    to_numpy,
)
from minienc.layers.base import Layer, Past
from minienc.layers.graph import Graph
from minienc.layers.parameters import Grads, Parameter, Parameters
from minienc.layers.symbolic import Node, SymbolicTensor, TensorOrList
from minienc.notebook import html_table
from minienc.shapes import Shape, kind_of
from minienc.summary import HEADINGS, summary_lines, summary_rows, totals
from minienc.training.checkpoints import check_fit


class ModelCache(NamedTuple):
    layers: list[Cache]  # one for each step of the graph
    output_parts: int


class Network(Layer):
    """All layers between ``inputs`` and ``outputs``: a graph that can be run both ways.

    Parameters
    ----------
    inputs, outputs : symbolic tensor, or list of them
        ``inputs`` may be any tensors of a larger graph: so a decoder is taken out of an
        autoencoder as an encoder is.
    name : str or None

    Attributes
    ----------
    layers : list of Layer
    parameters : Parameters
        The flat vector of all weights and its named views.
    inputs, outputs : list of symbolic tensors
    """

    def __init__(
        self, inputs: TensorOrList, outputs: TensorOrList, name: str | None = None
    ) -> None:
        super().__init__(name)
        self._set_graph(inputs, outputs)

    def _set_graph(self, inputs: TensorOrList, outputs: TensorOrList) -> None:
        self.inputs: list[SymbolicTensor] = _tensors("inputs", inputs)
        self.outputs: list[SymbolicTensor] = _tensors("outputs", outputs)
        self._several_outputs = isinstance(outputs, (list, tuple))
        self.takes_several = isinstance(inputs, (list, tuple))
        self.graph = Graph(self.inputs, self.outputs)
        self.built_for = [t.sample_shape for t in self.inputs]
        self._parameters: Parameters | None = None
        self.optimizer: Any = None  # an Optimizer, once the model is compiled

    # A graph is copied node after node, from its beginning: from its end, each node would lead to
    # the one before it, deeper than Python goes.
    def __getstate__(self) -> dict[str, Any]:
        return {"nodes": _nodes_before(vars(self).get("outputs", [])), **vars(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        del state["nodes"]
        vars(self).update(state)

    # -- structure

    @property
    def layers(self) -> list[Layer]:
        return self.graph.layers

    def get_layer(self, name: str) -> Layer:
        """Return the layer of this name (or path, where models stand in models)."""
        for step in self.graph.steps:
            if name in (step.path, step.layer.name):
                return step.layer
        raise ValueError(
            f"no layer is named {name!r}, only {', '.join(step.path for step in self.graph.steps)}"
        )

    @property
    def input(self) -> TensorOrList:
        return self.inputs if self.takes_several else self.inputs[0]

    @property
    def output(self) -> TensorOrList:
        return self.outputs if self._several_outputs else self.outputs[0]

    @property
    def output_dtype(self) -> np.dtype:  # type: ignore[override]
        return self.outputs[0].dtype

    @property
    def dtype(self) -> np.dtype:
        """What the model computes in."""
        floating = [t.dtype for t in self.inputs if t.dtype.kind == "f"]
        parameters = [p.value.dtype for _, p in self.named_parameters()]
        return np.dtype((floating + parameters + [np.dtype("float32")])[0])

    @property
    def uses_rng(self) -> bool:  # type: ignore[override]
        return any(layer.uses_rng for layer in self.layers)

    @property
    def uses_training(self) -> bool:  # type: ignore[override]
        return any(layer.uses_training for layer in self.layers)

    def output_shape(self, sample_shape: Shape) -> Shape:
        given = sample_shape if self.takes_several else [sample_shape]
        if [tuple(s) for s in given] != self.built_for:
            raise ValueError(
                f"{self.label}: built for samples of {self.built_for}, and was given {given}"
            )
        shapes = [t.sample_shape for t in self.outputs]
        return shapes if self._several_outputs else shapes[0]

    def flops(self, sample_shape: Shape | None = None) -> int:
        return sum(step.layer.flops(step.in_shapes) for step in self.graph.steps)

    def summary(self, print_fn: Callable[[str], None] = print) -> None:
        """Print a table: each layer's output shape, parameters, and FLOPs for one sample."""
        for line in summary_lines(self):
            print_fn(line)

    def _repr_html_(self) -> str:
        """The same table, in a notebook."""
        if "graph" not in vars(self):
            return html_table([repr(self)], [["has no shape yet"]])
        return html_table(HEADINGS, summary_rows(self), f"{self.name or 'Model'}: {totals(self)}")

    # -- parameters

    def parameters_used(self) -> tuple[Parameter, ...]:
        return tuple(p for _, p in self.named_parameters())

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        return self.graph.named_parameters()

    @property
    def parameters(self) -> Parameters:
        """The flat vector. If another model has gathered some of the weights since, they are
        gathered here again: whoever trains last holds them, nothing is ever copied apart."""
        if self._parameters is None or not self._parameters.is_home:
            self._parameters = Parameters(self.named_parameters())
        return self._parameters

    def get_weights(self) -> list[np.ndarray]:
        """A copy of each weight, in the order of ``parameters.names``."""
        return [np.array(to_numpy(p.value)) for _, p in self.named_parameters()]

    def set_weights(self, weights: Sequence[Array]) -> None:
        """Give every parameter these numbers, in the order of ``get_weights``."""
        named = self.named_parameters()
        if len(weights) != len(named):
            raise ValueError(f"set_weights: {len(weights)} arrays for {len(named)} parameters")
        self._set_named({name: w for (name, _), w in zip(named, weights, strict=True)})

    def _set_named(self, weights: dict[str, Array], what: str = "set_weights") -> None:
        named = dict(self.named_parameters())
        check_fit(
            what,
            {name: tuple(w.shape) for name, w in weights.items()},
            {name: p.shape for name, p in named.items()},
        )
        for name, p in named.items():
            p.value = to_device_of(weights[name], p.value)

    @property
    def device(self) -> str:
        """Where the weights live and the model computes: "cpu", "cuda:0", ..."""
        named = self.named_parameters()
        return device_of(named[0][1].value) if named else "cpu"

    def to(self, device: str) -> Self:
        """Move the weights, and what the optimiser remembers, to "cpu", "cuda", "cuda:1" or "jax".

        Other models that hold some of these weights see them there, too. ``fit`` brings each batch
        over by itself; ``predict`` returns arrays where its input lives; files are the same on
        either side.

        Returns
        -------
        The model itself.

        Raises
        ------
        ValueError
            If the device's name is unknown, or there is no GPU of this number.
        RuntimeError
            If no GPU can be used here; the message says what is missing.
        """
        check_device(device)
        for _, p in self.named_parameters():
            p.to(device)
        if self.optimizer is not None:
            self.optimizer.to(device)
        return self

    def initialize(self, rng: np.random.Generator | int) -> None:  # type: ignore[override]
        """Draw all weights again; the same seed gives the same weights."""
        generator = np.random.default_rng(rng)
        for layer in self.layers:
            layer.initialize(generator)

    @property
    def trainable(self) -> bool:
        return any(layer.trainable for layer in self.layers)

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        for layer in self.layers:
            layer.trainable = trainable

    # -- forward and backward

    def forward(  # type: ignore[override]
        self, x: Arrays, rng: np.random.Generator | None = None, training: bool | None = None
    ) -> tuple[Arrays, ModelCache]:
        """Run the graph on arrays.

        Noise is drawn only from an ``rng`` that is given. ``training`` says whether layers that
        know two modes, as ``BatchNormalization`` does, are in training; None means: if there is an
        ``rng``.
        """
        xs = tuple(x) if isinstance(x, (list, tuple)) else (x,)
        if len(xs) != len(self.inputs):
            raise ValueError(f"{self.label}: {len(xs)} inputs came, expected {len(self.inputs)}")
        for i, (array, tensor) in enumerate(zip(xs, self.inputs, strict=True)):
            if tuple(array.shape[1:]) != tensor.sample_shape:
                raise ValueError(
                    f"{self.label}: input {i} is {tuple(array.shape)}, expected "
                    f"(N, {', '.join(map(str, tensor.sample_shape))})"
                )
        ys, caches = self.graph.forward(xs, rng, training)
        return (ys if self._several_outputs else ys[0]), ModelCache(caches, len(ys))

    def forward_from(self, x: Arrays, past: Past = None) -> tuple[Arrays, Past]:
        """y of the next steps of sequences, and what is remembered of them for those after.

            y, past = model.forward_from(first)          # any number of steps (N, T)
            y, past = model.forward_from(next, past)     # as if they had come in one

        Nothing is computed twice: attention keeps keys and values, a recurrent layer its states, a
        causal convolution its last inputs. For causal models; no noise is drawn.
        """
        xs = tuple(x) if isinstance(x, (list, tuple)) else (x,)
        ys, past = self.graph.forward_from(xs, past)
        return (ys if self._several_outputs else ys[0]), past

    @property
    def limits_context(self) -> bool:  # type: ignore[override]
        return any(layer.limits_context for layer in self.layers)

    def backward(self, dy: Arrays, cache: ModelCache, grads: Grads, need_dx: bool = True) -> Arrays:
        """Run the graph backwards: adds to ``grads`` (None passes through), returns dx."""
        dys = tuple(dy) if isinstance(dy, list) else dy
        dxs = self.graph.backward(dys, cache.layers, grads, need_dx)
        return dxs if self.takes_several else dxs[0]

    def update_state(self, cache: ModelCache) -> None:
        """Bring moving averages and the like up to date: for a training loop of one's own, after
        the optimiser's step, with the cache of each forward that the step was made of. ``fit``
        does it by itself."""
        for parameter, value in self.graph.updates(cache.layers):
            parameter.value = value


def _nodes_before(outputs: list[SymbolicTensor]) -> list[Node]:
    """All nodes that lead to these tensors, each behind those that it needs."""
    placed: dict[int, Node] = {}
    pending = [tensor.node for tensor in outputs]
    while pending:
        node = pending[-1]
        if missing := [t.node for t in node.inputs if id(t.node) not in placed]:
            pending.extend(missing)
        else:
            placed[id(pending.pop())] = node
    return list(placed.values())


def _tensors(what: str, given: Any) -> list[SymbolicTensor]:
    tensors = list(given) if isinstance(given, (list, tuple)) else [given]
    for t in tensors:
        if not isinstance(t, SymbolicTensor):
            raise TypeError(
                f"Model: {what} has {kind_of(t)}, expected what Input(...) or a layer "
                f"applied to it returns"
            )
    if not tensors:
        raise ValueError(f"Model: {what} is empty")
    return tensors
