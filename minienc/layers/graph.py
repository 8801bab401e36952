"""Graphs of layers: the order in which they run.

Applying a layer to a symbolic tensor computes nothing; it notes where the layer stands. A
``Graph`` reads those notes backwards from its outputs, puts the layers into an order in which
each comes after what it needs, and gives every tensor a numbered slot. Running forward is then
one loop over that order, running backward the same loop from the end, in which a tensor that was
used in several places receives the sum of their gradients.

A model that stands in a graph like a layer is opened up: its layers take its place, under its
name. So there is one loop, one list of caches, and one place where gradients meet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, Arrays, Cache
from minienc.layers.base import Layer, Past, default_name
from minienc.layers.parameters import Gradients, Parameter
from minienc.layers.symbolic import Node, SymbolicTensor
from minienc.primitive import at, is_recording

# ------------------------------------------------------------------------------------------ Graph


class Step(NamedTuple):
    """One layer's place in the order."""

    layer: Layer
    path: str  # its name, below the names of the models that it stands in
    inputs: tuple[int, ...]  # slots
    outputs: tuple[int, ...]
    several: bool  # the layer takes a tuple, even if of one
    in_shapes: Any  # sample shape(s); None of a loss
    out_shapes: tuple[tuple[int, ...], ...]


class Need(NamedTuple):
    """What of a step's backward is needed where the gradient by the graph's inputs is not."""

    learns: bool  # the layer has parameters, or something before it has
    dx: bool  # something before it has


class Graph:
    """The order in which the layers between some tensors run.

    Attributes
    ----------
    steps : list of Step
    input_slots, output_slots : list of int
    wants_dx : bool
        Whether ``backward`` returns the gradient by the inputs, where it is not told.
    """

    wants_dx = True

    def __init__(self, inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]) -> None:
        self.steps: list[Step] = []
        self.n_slots = 0
        self._slot: dict[int, int] = {}  # id(tensor) -> slot, while the graph is being read
        self._names: dict[str, dict[str, Layer]] = {}  # model's path -> the names in it
        self.input_slots = [self._new_slot(t) for t in inputs]
        if len({id(t) for t in inputs}) < len(inputs):
            raise ValueError("Model: the same Input is given twice")
        for tensor in outputs:
            self._visit(tensor, "")
        self.output_slots = [self._slot[id(t)] for t in outputs]
        del self._slot
        self.note_needs()

    # -- reading the notes

    def _new_slot(self, tensor: SymbolicTensor) -> int:
        self._slot[id(tensor)] = self.n_slots
        self.n_slots += 1
        return self.n_slots - 1

    def _visit(self, tensor: SymbolicTensor, path: str) -> None:
        """Give ``tensor`` a slot, after everything that it needs (depth first, without recursion
        over layers, so that a thousand layers are no problem)."""
        pending = [tensor]
        while pending:
            tensor = pending[-1]
            node = tensor.node
            if id(tensor) in self._slot:
                pending.pop()
            elif node.layer is None:
                name = f" {tensor.name!r}" if tensor.name else ""
                raise ValueError(
                    f"Model: an output depends on the Input{name} of shape {tensor.shape}, which "
                    f"is not among the model's inputs"
                )
            elif missing := [t for t in node.inputs if id(t) not in self._slot]:
                pending.extend(reversed(missing))
            else:
                self._place(node, path)

    def _place(self, node: Node, path: str) -> None:
        """Append the step of a node whose inputs have their slots; open up a nested model."""
        layer = node.layer
        assert layer is not None
        own_path = path + self._unique_name(layer, path)
        inner_inputs = getattr(layer, "inputs", None)
        if inner_inputs is None:
            slots_in = tuple(self._slot[id(t)] for t in node.inputs)
            slots_out = tuple(self._new_slot(t) for t in node.outputs)
            several = layer.takes_several
            shapes = [t.sample_shape for t in node.inputs]
            self.steps.append(
                Step(
                    layer,
                    own_path,
                    slots_in,
                    slots_out,
                    several,
                    shapes if several else shapes[0],
                    tuple(t.sample_shape for t in node.outputs),
                )
            )
            return
        outer = self._slot  # the nested model's tensors are read with slots of their own
        self._slot = {id(t): outer[id(o)] for t, o in zip(inner_inputs, node.inputs, strict=True)}
        for tensor in layer.outputs:  # type: ignore[attr-defined]
            self._visit(tensor, own_path + "/")
        results = [self._slot[id(t)] for t in layer.outputs]  # type: ignore[attr-defined]
        self._slot = outer
        for tensor, slot in zip(node.outputs, results, strict=True):
            self._slot[id(tensor)] = slot

    def _unique_name(self, layer: Layer, path: str) -> str:
        """The layer's name within its model: its own, or its kind's with a number."""
        names = self._names.setdefault(path, {})
        for name, other in names.items():
            if other is layer:
                return name
        if layer.name is not None:
            if layer.name in names and not layer.has_default_name:
                raise ValueError(f"Model: two different layers are named {layer.name!r}")
            name = layer.name
        if layer.name is None or layer.name in names:
            kind, number = default_name(layer), 1
            while f"{kind}_{number}" in names:
                number += 1
            name = f"{kind}_{number}"
        if layer.name is None:
            layer.name = name
            layer.has_default_name = True
        names[name] = layer
        return name

    def note_needs(self) -> None:
        """Look up once, whenever the steps have changed, what each of them needs."""
        behind_parameters = [False] * self.n_slots
        self.needs: list[Need] = []
        for step in self.steps:
            dx = any(behind_parameters[s] for s in step.inputs)
            learns = dx or bool(step.layer.parameters_used())
            self.needs.append(Need(learns, dx))
            for s in step.outputs:
                behind_parameters[s] = learns
        self.stateful = [k for k, step in enumerate(self.steps) if step.layer.has_state]

    # -- parameters

    @property
    def layers(self) -> list[Layer]:
        """Each layer once, in the order of its first turn."""
        return list({id(step.layer): step.layer for step in self.steps}.values())

    def named_parameters(self) -> list[tuple[str, Parameter]]:
        """(path, Parameter), each parameter once: sharing is identity."""
        named: dict[int, tuple[str, Parameter]] = {}
        for step in self.steps:
            for p in step.layer.parameters_used():
                named.setdefault(id(p), (f"{step.path}/{p.name}", p))
        return list(named.values())

    # -- running

    def forward(
        self,
        xs: Sequence[Array],
        rng: np.random.Generator | None = None,
        training: bool | None = None,
    ) -> tuple[tuple[Array, ...], list[Cache]]:
        """Run every layer in its turn; return the outputs and each layer's cache.

        Fewer arrays than inputs may come: the last inputs are then None. ``training`` None means:
        if a generator is given.
        """
        training = rng is not None if training is None else training
        recorded = is_recording()
        values: list[Any] = [None] * self.n_slots
        for slot, array in zip(self.input_slots, xs, strict=False):
            values[slot] = array
        caches = []
        for layer, path, inputs, outputs, several, _, _ in self.steps:
            x = tuple(map(values.__getitem__, inputs)) if several else values[inputs[0]]
            if recorded:
                at(path)
            if layer.uses_rng:
                y, cache = layer.forward(x, rng=rng)
            elif layer.uses_training:
                y, cache = layer.forward(x, training=training)
            else:
                y, cache = layer.forward(x)
            caches.append(cache)
            if len(outputs) == 1:
                values[outputs[0]] = y
            else:
                for slot, part in zip(outputs, y, strict=True):
                    values[slot] = part
        if recorded:
            at("")
        return tuple(map(values.__getitem__, self.output_slots)), caches

    def forward_from(
        self, xs: Sequence[Array], pasts: Sequence[Past] | None = None
    ) -> tuple[tuple[Array, ...], list[Past]]:
        """The outputs for the next steps of sequences, and what each layer remembers of them: a
        list, one for each step of the graph; None is the beginning."""
        values: list[Any] = [None] * self.n_slots
        for slot, array in zip(self.input_slots, xs, strict=True):
            values[slot] = array
        remembered = []
        for k, (layer, _, inputs, outputs, several, _, _) in enumerate(self.steps):
            x = tuple(map(values.__getitem__, inputs)) if several else values[inputs[0]]
            y, past = layer.forward_from(x, None if pasts is None else pasts[k])
            remembered.append(past)
            for slot, part in zip(outputs, y if len(outputs) > 1 else (y,), strict=True):
                values[slot] = part
        return tuple(map(values.__getitem__, self.output_slots)), remembered

    def backward(
        self,
        dy: Arrays,
        caches: Sequence[Cache],
        grads: Gradients | None,
        need_dx: bool | None = None,
    ) -> tuple[Array | None, ...]:
        """Run every layer from the last to the first; gradients that meet in a tensor add up.

        Fewer gradients than outputs may come, or None among them: nothing depends on the others.
        Returns a dx for each input, None where it is not needed or no output depends on it.
        """
        need_dx = self.wants_dx if need_dx is None else need_dx
        recorded = is_recording()
        d: list[Any] = [None] * self.n_slots
        for slot, part in zip(self.output_slots, dy if type(dy) is tuple else (dy,), strict=False):
            d[slot] = part if d[slot] is None else self.meet(d[slot], part)
        for k in range(len(self.steps) - 1, -1, -1):
            layer, path, inputs, outputs, *_ = self.steps[k]
            dy = d[outputs[0]] if len(outputs) == 1 else tuple(map(d.__getitem__, outputs))
            if dy is None or (len(outputs) > 1 and all(part is None for part in dy)):
                continue  # no output depends on this layer
            learns, dx_learns = self.needs[k]
            if not (learns or need_dx):
                continue  # neither this layer nor anything before it learns
            if recorded:
                at(path)
            dx = layer.backward(dy, caches[k], grads, need_dx=need_dx or dx_learns)
            for slot, part in zip(inputs, dx if type(dx) is tuple else (dx,), strict=False):
                if part is not None:
                    d[slot] = part if d[slot] is None else self.meet(d[slot], part)
        if recorded:
            at("")
        return tuple(map(d.__getitem__, self.input_slots))

    def meet(self, dy: Array, other: Array) -> Array:
        """The gradient of a tensor that was used in two places."""
        return dy + other

    def updates(self, caches: Sequence[Cache]) -> Iterator[tuple[Parameter, Array]]:
        """(parameter, value) of each layer's state after the step that these caches are from; one
        by one, for a layer that was used twice starts its second update from its first."""
        for k in self.stateful:
            yield from self.steps[k].layer.updates(caches[k])
