"""Noise that a function draws from outside its arguments: the same in every evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np

from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject


class Noise:
    """The generators that a check finds beside its arguments: ``np.random``, and what the functions
    read. Before every forward they are set back: the same masks in every evaluation. A backward
    that draws again finds them where its forward left them, and so gets another mask."""

    def __init__(self, found: list[Any]) -> None:
        self.found = found
        self.before = self.states()

    def states(self) -> list[Any]:
        return [np.random.get_state(), *(_state(g) for g in self.found)]

    def set_back(self) -> None:
        np.random.set_state(self.before[0])
        for g, state in zip(self.found, self.before[1:], strict=True):
            if isinstance(g, np.random.RandomState):
                g.set_state(state)
            else:
                g.bit_generator.state = state

    def replay(self, subject: Subject) -> None:
        """A forward that left them alone the first time is not asked again: setting them back takes
        longer than most."""
        forward, draws = subject.forward, True

        def replaying(given: Arguments) -> tuple[Outputs, Any]:
            nonlocal draws
            if not draws:
                return forward(given)
            self.set_back()
            result = forward(given)
            draws = not all(map(_same_state, self.states(), self.before))
            return result

        subject.forward = replaying


def _state(g: Any) -> Any:
    return g.get_state() if isinstance(g, np.random.RandomState) else g.bit_generator.state


def _same_state(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return all(map(_same_state, one.values(), other.values()))
    if isinstance(one, tuple):
        return all(map(_same_state, one, other))
    return bool(np.array_equal(one, other))
