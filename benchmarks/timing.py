"""Candidates, timed side by side: those that can be made take turns, and their times are compared.

A machine is slower or faster from hour to hour; candidates that take turns meet the same hour.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

# ---------------------------------------------------------------------------------- the candidates


def build(factories: Mapping[str, Callable[..., Any]], *args: Any) -> tuple[dict, dict[str, str]]:
    """Make every candidate that can be made; name the others with the reason.

    Without minienc or NumPy there is nothing to compare, so what they raise is raised.
    """
    made, missing = {}, {}
    for name, factory in factories.items():
        try:
            made[name] = factory(*args)
        except ImportError as error:
            missing[name] = f"not installed ({error.name or error})"
        except Exception as error:
            if name.startswith(("minienc", "NumPy")):
                raise
            missing[name] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    return made, missing


def chosen(factories: Mapping[str, Any], words: Sequence[str] | None) -> dict[str, Any]:
    """The candidates whose names hold one of the words."""
    if words is None:
        return dict(factories)
    return {
        name: factory
        for name, factory in factories.items()
        if any(word.lower() in name.lower() for word in words)
    }


# ----------------------------------------------------------------------------------- their times


def interleaved(
    candidates: Mapping[str, Callable[[], Any]],
    seconds: float | None = None,
    rounds: int | None = None,
    *,
    before: Mapping[str, Callable[[], Any]] | None = None,
    sample: float = 5e-3,
    settle: float = 30e-3,
    seed: int = 0,
) -> dict[str, list[float]]:
    """Time the candidates in turns: one sample of each a round, in a new order every round.

    So a machine that is slow for a while is slow for all, and ``ratio`` compares samples that were
    taken side by side.

    Parameters
    ----------
    candidates : dict of name to function without arguments
    seconds, rounds : float, int
        For how long, or how many rounds; one of them. Of ``seconds``, five rounds are the least.
    before : dict of name to function, optional
        Called before each sample, untimed: it brings a candidate back to where it began.
    sample : float
        A sample is as many calls as take this long (one at least); its time is their mean.
    settle : float
        Before its sample, a candidate runs untimed for so long. The caches become its own, and
        the threads of the one before go to sleep: those of OpenBLAS look out for work for 2^26
        ticks of the clock after their last, on cores that the next one needs.

    Returns
    -------
    dict of name to list of seconds a call, one for each round
    """
    if (seconds is None) == (rounds is None):
        raise ValueError("interleaved: give seconds or rounds, one of them")
    rng = np.random.default_rng(seed)
    before = before or {}
    names = list(candidates)
    calls = {name: _calls_in(candidates[name], sample) for name in names}
    samples: dict[str, list[float]] = {name: [] for name in names}
    started, done = time.perf_counter(), 0
    while done < (5 if rounds is None else rounds) or (
        seconds is not None and time.perf_counter() - started < seconds
    ):
        for i in rng.permutation(len(names)):
            name, call = names[i], candidates[names[i]]
            _run_for(call, settle)
            if name in before:
                before[name]()
                _time(call, 2)  # what was brought back is in the cache again
            samples[name].append(_time(call, calls[name]))
        done += 1
    return samples


def _calls_in(call: Callable[[], Any], seconds: float) -> int:
    """How many calls take so long. The first ones, which compile and allocate, do not count, and
    of three measurements the least does: a call that was interrupted is not a long one."""
    _time(call, 3)
    n = 1
    while (took := n * min(_time(call, n) for _ in range(3))) < seconds:
        n = max(2 * n, min(round(n * seconds / max(took, 1e-9)), 16 * n))
    return max(1, round(n * seconds / took)) if n > 1 else 1


def _run_for(call: Callable[[], Any], seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        call()


def _time(call: Callable[[], Any], n: int) -> float:
    """Seconds a call, over ``n`` calls. The collector of garbage has its day another time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        start = time.perf_counter()
        for _ in range(n):
            call()
        return (time.perf_counter() - start) / n
    finally:
        if was_on:
            gc.enable()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    lower, median, upper = np.quantile(values, (0.25, 0.5, 0.75))
    return {"median": float(median), "lower": float(lower), "upper": float(upper)}


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of one candidate's time over another's, round by round."""
    return spread([a / b for a, b in zip(above, below, strict=True)])


def summary(samples: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """What is kept of interleaved samples: rounds, spreads, and each candidate's over minienc's."""
    found: dict[str, Any] = {
        "rounds": min((len(values) for values in samples.values()), default=0),
        "seconds": {name: spread(values) for name, values in samples.items()},
    }
    if "minienc" in samples:
        found["times_minienc"] = {
            name: ratio(values, samples["minienc"]) for name, values in samples.items()
        }
    return found
