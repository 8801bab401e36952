"""Checking what runs on a device: the functions compute there, the judgement stays on the host.

Differences, tolerances and verdicts are a few numbers at a time; on a GPU each would be a wait of
its own. So a subject of device arrays becomes one of host arrays, whose forward and backward bring
what they are given over, run where they were meant to, and bring home what comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from minienc.arrays import Cache, device_of, lives_on_device, to_device, to_host
from minienc.verify.line import Outputs
from minienc.verify.subject import Arguments, Subject, SubjectError


def find_device(what: Any, args: tuple, options: dict[str, Any]) -> str:
    """Where a check is to run: with the weights of ``what`` or, where it has none, with its
    arguments. "cpu" for arrays of JAX, too, which have their own way in.

    Raises
    ------
    SubjectError
        If the arguments of a function live on two devices, or a layer's input is on a device that
        its weights are not on.
    """
    own = _device_of_weights(what)
    places = dict(_places(args, options))
    for name, place in places.items():
        if own is not None and place not in (own, "cpu"):
            raise SubjectError(
                f"gradcheck: {name} lives on {place} and the weights of {what.label} on {own}; "
                f"move one of them: minienc.arrays.to_device(x, {own!r}), or model.to({place!r})"
            )
    if own is not None:
        return own
    if len(set(places.values())) > 1:
        told = ", ".join(f"{name} on {place}" for name, place in places.items())
        raise SubjectError(
            f"gradcheck: the arguments live on two devices ({told}); move them to one with "
            f"minienc.arrays.to_device(x, device)"
        )
    return next(iter(places.values()), "cpu")


def _device_of_weights(what: object) -> str | None:
    """The device of a layer's or model's weights; None where there are none (yet)."""
    if not hasattr(what, "named_parameters") or not hasattr(what, "built_for"):
        return None
    named = what.named_parameters() if what.built_for is not None else []
    return device_of(named[0][1].value) if named else None


def _places(args: tuple, options: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(argument, device) of every array; those of a list count one by one."""
    named = [*((f"argument {i}", a) for i, a in enumerate(args)), *options.items()]
    for name, value in named:
        for part in value if isinstance(value, (tuple, list)) else (value,):
            if lives_on_device(part):
                yield name, device_of(part)
            elif isinstance(part, np.ndarray):
                yield name, "cpu"


def run_on(subject: Subject, device: str) -> Subject:
    """The subject with arguments, outputs and gradients on the host, computing on ``device``."""

    def bring(given: object) -> Any:
        if isinstance(given, dict):
            return {k: bring(v) for k, v in given.items()}
        if isinstance(given, tuple):
            return tuple(map(bring, given))
        return to_device(given, device) if isinstance(given, np.ndarray) else given

    def forward(given: Arguments) -> tuple[Outputs, Any]:
        y, cache = subject.forward(bring(given))
        return to_host(y), cache

    def backward(dys: Outputs, cache: Cache) -> dict[str, Any]:
        return to_host(subject.backward(bring(dys), cache))

    def surrogate(given: Arguments) -> Outputs:
        assert subject.surrogate is not None
        return to_host(subject.surrogate(bring(given)))

    return replace(
        subject,
        arguments=to_host(subject.arguments),
        forward=forward,
        backward=backward,
        surrogate=surrogate if subject.surrogate else None,
        device=device,
        to_device=bring,
        on_device=subject,
    )
