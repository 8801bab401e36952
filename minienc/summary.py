"""The table that ``model.summary()`` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING

from minienc.layers.graph import Step

if TYPE_CHECKING:
    from minienc.models.network import Network

HEADINGS = ("layer", "kind", "output shape", "parameters", "FLOPs / sample")


def summary_lines(model: Network) -> list[str]:
    """The lines: one for each use of a layer, then the totals."""
    rows = summary_rows(model)
    widths = [max(len(row[i]) for row in [HEADINGS, *rows]) for i in range(len(HEADINGS))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return [
        f"Model {model.name or ''}".rstrip(),
        _line(HEADINGS, widths),
        rule,
        *(_line(row, widths) for row in rows),
        rule,
        totals(model),
    ]


def summary_rows(model: Network) -> list[tuple[str, ...]]:
    """The cells under ``HEADINGS``, for each use of a layer.

    A parameter that is used more than once (a shared layer, tied weights) counts at its first use.
    """
    seen: set[int] = set()
    rows: list[tuple[str, ...]] = [
        ("Input", "", _shape(t.sample_shape), "", "") for t in model.inputs
    ]
    return rows + [_row(step, seen) for step in model.graph.steps]


def totals(model: Network) -> str:
    """All parameters, and the cost of a sample."""
    parameters = model.parameters_used()
    total = sum(p.size for p in parameters)
    state = sum(p.size for p in parameters if p.is_state)
    frozen = sum(p.size for p in parameters if not (p.trainable or p.is_state))
    of_state = f", {state:,} of state" if state else ""
    return (
        f"{total:,} parameters ({total - frozen - state:,} trainable, {frozen:,} frozen"
        f"{of_state}), "
        f"{model.dtype}; {model.flops():,} FLOPs a sample, forward"
    )


def _row(step: Step, seen: set[int]) -> tuple[str, str, str, str, str]:
    own = [p for p in step.layer.parameters_used() if id(p) not in seen]
    again = len(step.layer.parameters_used()) - len(own)
    seen.update(id(p) for p in own)
    count = f"{sum(p.size for p in own):,}" + (" + shared" if again else "")
    learned = [p for p in own if not p.is_state]
    frozen = ", frozen" if learned and not any(p.trainable for p in learned) else ""
    activation = getattr(step.layer, "activation", None)
    wrapped = getattr(step.layer, "layer", None)
    around = f"({type(wrapped).__name__})" if wrapped is not None else ""
    kind = type(step.layer).__name__ + around + (f" {activation}" if activation else "") + frozen
    shapes = " ".join(_shape(s) for s in step.out_shapes)
    return step.path, kind, shapes, count, f"{step.layer.flops(step.in_shapes):,}"


def _shape(sample_shape: tuple[int, ...]) -> str:
    return "(N, " + ", ".join(map(str, sample_shape)) + ")"


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """Words are aligned to the left, numbers to the right."""
    cells = [
        cell.rjust(width) if i >= 3 else cell.ljust(width)
        for i, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
