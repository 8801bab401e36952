"""What a deep belief network shows: its machines' courses; samples before and after fine-tuning."""

from __future__ import annotations

from collections.abc import Sequence

from minienc import plots
from minienc.arrays import to_device_of, to_numpy
from minienc.data.pixels import Samples
from minienc.gallery import rbm
from minienc.gallery.common import Picture, restoring, some
from minienc.pretraining.dbn import DBN


def pictures(method: DBN, X: Samples, image_shape: Sequence[int] | None) -> list[Picture]:
    """Samples as the stack restored them before it was fine-tuned, and after."""
    curves = {f"machine {i}": rbm.quality(machine) for i, machine in enumerate(method.rbms_, 1)}
    caption = (
        "The pseudo-likelihood of each machine while it learned (of its own input): a logarithm of "
        "probabilities, higher is better. Where the input is no bits, its squared error: lower is."
    )
    found = [Picture(caption, plots.lines(curves, "epoch", ""), is_drawing=True)]
    if image_shape is not None:
        x = some(method, X)
        there = to_device_of(x, method.model_.parameters.vector)
        rows = [
            ("sample", x),
            ("unrolled", to_numpy(method.unrolled_.predict(there))),
            ("fine-tuned", to_numpy(method.model_.predict(there))),
        ]
        caption = "Restored by the machines' weights alone, and after fine-tuning."
        found.append(Picture(caption, plots.image_grid(rows, image_shape)))
    return found


def course(method: DBN) -> str:
    return f"The loss of fine-tuning the whole stack: {restoring(method)}."
