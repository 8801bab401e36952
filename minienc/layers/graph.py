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

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, get_array_module
from minienc.layers.base import Layer, default_name
from minienc.layers.parameters import Gradients
from minienc.layers.symbolic import Node, SymbolicTensor

# ------------------------------------------------------------------------------------------ Graph


class Step(NamedTuple):
    """One layer's turn."""

    layer: Layer
    path: str  # its name, below the names of the models that it stands in
    inputs: tuple[int, ...]  # slots
    outputs: tuple[int, ...]
    several: bool  # the layer takes a tuple, even if of one
    in_shapes: Any  # sample shape(s)
    out_shapes: tuple[tuple[int, ...], ...]


class Graph:
    """The order in which the layers between some tensors run.

    Attributes
    ----------
    steps : list of Step
    input_slots, output_slots : list of int
    """

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
        self._note_needs()

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

    def _note_needs(self) -> None:
        """Which slots have a parameter before them: only those need a gradient in training."""
        behind = [False] * self.n_slots
        for step in self.steps:
            needs = bool(step.layer.parameters_used()) or any(behind[s] for s in step.inputs)
            for s in step.outputs:
                behind[s] = needs
        self._behind_parameters = behind
        # What a turn needs, looked up once: in a small model that takes as long as computing.
        self._forward_turns: list[tuple[Any, ...]] = [
            (step.layer.forward, step.inputs, step.outputs, step.several, _wishes(step.layer))
            for step in self.steps
        ]
        self._stateful = [k for k, step in enumerate(self.steps) if step.layer.has_state]
        self._backward_turns = {
            need_dx: [self._backward_turn(step, need_dx) for step in reversed(self.steps)]
            for need_dx in (False, True)
        }

    def _backward_turn(self, step: Step, need_dx: bool) -> tuple:
        """(backward, slots, ..., whether its dx is needed), or with None where nothing learns."""
        need_this_dx = need_dx or any(self._behind_parameters[s] for s in step.inputs)
        learns = need_this_dx or bool(step.layer.parameters_used())
        backward = step.layer.backward if learns else None
        return backward, step.inputs, step.outputs, step.several, need_this_dx

    # -- parameters

    @property
    def layers(self) -> list[Layer]:
        """Each layer once, in the order of its first turn."""
        return list({id(step.layer): step.layer for step in self.steps}.values())

    def named_parameters(self) -> list[tuple[str, Any]]:
        """(path, Parameter), each parameter once: sharing is identity."""
        named: dict[int, tuple[str, Any]] = {}
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
    ) -> tuple[tuple[Array, ...], list[Any]]:
        """Run every layer in its turn; return the outputs and each layer's cache.

        ``training`` None means: if a generator is given.
        """
        given = {"rng": rng, "training": rng is not None if training is None else training}
        values: list[Any] = [None] * self.n_slots
        for slot, x in zip(self.input_slots, xs, strict=True):
            values[slot] = x
        caches = []
        for forward, inputs, outputs, several, wishes in self._forward_turns:
            x = tuple([values[s] for s in inputs]) if several else values[inputs[0]]
            y, cache = (
                forward(x, **{name: given[name] for name in wishes}) if wishes else forward(x)
            )
            caches.append(cache)
            if len(outputs) == 1:
                values[outputs[0]] = y
            else:
                for slot, part in zip(outputs, y, strict=True):
                    values[slot] = part
        return tuple([values[s] for s in self.output_slots]), caches

    def backward(
        self,
        dys: Sequence[Array | None],
        caches: Sequence[Any],
        grads: Gradients | None,
        need_dx: bool = True,
    ) -> tuple[Array | None, ...]:
        """Run every layer from the last to the first; gradients that meet in a tensor add up.

        A dy may be None: nothing depends on that output. Returns a dx for each input, None where
        it is not needed or no output depends on it.
        """
        d: list[Any] = [None] * self.n_slots
        for slot, dy in zip(self.output_slots, dys, strict=True):
            d[slot] = dy if d[slot] is None else d[slot] + dy
        turns = self._backward_turns[bool(need_dx)]
        for (backward, inputs, outputs, several, need_this_dx), cache in zip(
            turns, reversed(caches), strict=True
        ):
            dy = d[outputs[0]] if len(outputs) == 1 else tuple([d[s] for s in outputs])
            if dy is None or (len(outputs) > 1 and all(part is None for part in dy)):
                continue  # no output depends on this layer
            if backward is None:
                continue  # neither this layer nor anything before it learns
            dx = backward(dy, cache, grads, need_dx=need_this_dx)
            for slot, part in zip(inputs, dx if several else (dx,), strict=True):
                if part is not None:
                    d[slot] = part if d[slot] is None else d[slot] + part
        return tuple([d[s] for s in self.input_slots])

    def update_state(self, caches: Sequence[Any], is_made: Any = True) -> None:
        """Bring the layers' state up to date after the step that these caches are from.

        ``is_made`` says whether there was a step: a Python bool, or an array of no axes where
        nobody may look at it.
        """
        for k in self._stateful:
            for p, new in self.steps[k].layer.updates(caches[k]):
                if is_made is not True:
                    new = get_array_module(new).where(is_made, new, p.value)
                p.value = new


def _wishes(layer: Layer) -> tuple[str, ...]:
    """The options that a layer's forward takes beside x."""
    return ("rng",) * layer.uses_rng + ("training",) * layer.uses_training
