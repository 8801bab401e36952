"""Pictures of a run; each function returns a matplotlib ``Figure`` and writes nothing.

All are of one width and one size of letters, so that a page may show them at any width, a phone's
too, and they stay alike. Words in them are words, whatever signs a name has: no ``$`` begins a
formula. matplotlib is imported when a picture is asked for, and without pyplot: no window, no
global state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minienc.finetuning.curve import FewLabelCurve

# Okabe and Ito's palette: told apart with any kind of colour vision
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8a8a00")


WIDTH = 5.0  # inches, of every picture
STYLE: Any = {"font.size": 12.0, "legend.fontsize": 12.0, "text.parse_math": False}
for _part in ("axes.titlesize", "axes.labelsize", "xtick.labelsize", "ytick.labelsize"):
    STYLE[_part] = 12.0


def drawn(draw: Callable) -> Callable:
    """Draw in the one style, whatever the caller's settings of matplotlib are."""

    @wraps(draw)
    def in_style(*args: Any, **kwargs: Any) -> Any:
        from matplotlib import rc_context

        with rc_context(STYLE):
            return draw(*args, **kwargs)

    return in_style


def _figure(height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(WIDTH, height), layout="constrained")


def _legend(figure: Figure) -> None:
    """Above the picture, where it hides nothing."""
    figure.legend(loc="outside upper left", frameon=False, handlelength=1.5)


def printable(name: object) -> str:
    """A name that any font and file takes: of a folder that is no UTF-8, say."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def _quiet(ax: Axes) -> Axes:
    """Axes without a box, with a faint grid."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25, linewidth=0.6)
    return ax


def _counted(ax: Axes) -> None:
    """Ticks at whole numbers alone: there is no epoch 2.5, nor such a cluster."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True))


def image_shape(sample_shape: Sequence[int]) -> tuple[int, ...] | None:
    """(H, W) or (H, W, C), if samples of this shape are images; everything that draws asks here."""
    shape = tuple(sample_shape)
    if len(shape) == 3 and shape[-1] == 1:
        return shape[:2]
    return shape if len(shape) == 2 or (len(shape) == 3 and shape[-1] == 3) else None


@drawn
def learning_curves(history: dict[str, list[float]]) -> Figure:
    """Loss against epoch: training and, if there is one, validation."""
    figure = _figure(3.4)
    ax = _quiet(figure.subplots())
    named = {"loss": "training", "val_loss": "test samples"}
    for (key, label), colour in zip(named.items(), COLOURS, strict=False):
        if key in history:
            values = np.asarray(history[key], float)
            epochs = np.arange(1, len(values) + 1)
            ax.plot(epochs, values, color=colour, linewidth=1.8, label=label)
    ax.set(xlabel="epoch", ylabel="loss")
    _legend(figure)
    _counted(ax)
    return figure


def _height(width: float, image_shape: Sequence[int], n_rows: int) -> float:
    """Of rows of images that are so wide; within reason, for images may be strips."""
    return min(max(width * image_shape[0] / image_shape[1], 0.25) * n_rows, 12.0)


@drawn
def image_grid(rows: Sequence[tuple[str, np.ndarray]], image_shape: Sequence[int]) -> Figure:
    """Rows of images in [0, 1], each with its name: originals above what was restored."""
    n = len(rows[0][1])
    label = 0.11 * max(len(name) for name, _ in rows)  # inches
    figure = _figure(_height((WIDTH - label) / n, image_shape, len(rows)) + 0.1)
    axes = figure.subplots(len(rows), n, squeeze=False)
    for i, (name, images) in enumerate(rows):
        for ax, image in zip(axes[i], images, strict=True):
            ax.imshow(np.clip(image, 0, 1).reshape(image_shape), cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
        axes[i, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


@drawn
def spectrograms(rows: Sequence[tuple[str, np.ndarray]]) -> Figure:
    """Rows of spectrograms (T, F), each row with its name: time to the right, frequency upwards,
    bright is loud; grey where a number is NaN. One scale for all."""
    n = len(rows[0][1])
    figure = _figure(0.95 * len(rows) + 0.1)
    axes = figure.subplots(len(rows), n, squeeze=False)
    low, high = np.nanpercentile(np.concatenate([np.ravel(x) for _, x in rows]), (1, 99))
    for i, (name, xs) in enumerate(rows):
        for ax, x in zip(axes[i], xs, strict=True):
            ax.imshow(x.T, origin="lower", aspect="auto", cmap="magma", vmin=low, vmax=high)
            ax.set(xticks=[], yticks=[], facecolor="0.6")
        axes[i, 0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


@drawn
def filters(W: np.ndarray, image_shape: Sequence[int], most: int = 64) -> Figure:
    """First-layer weights W (D, M) as images, the strongest units first: blue negative, red
    positive, each scaled by its largest weight."""
    strongest = np.argsort(-(W * W).sum(axis=0), kind="stable")[:most]
    columns = 8
    n_rows = max(1, -(-len(strongest) // columns))
    figure = _figure(_height(WIDTH / columns, image_shape, n_rows))
    axes = figure.subplots(n_rows, columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, unit in zip(axes, strongest, strict=False):
        image = W[:, unit].reshape(image_shape)
        if image.ndim == 3:
            image = image.mean(axis=-1)
        top = np.abs(image).max() or 1.0
        ax.imshow(image, cmap="RdBu_r", vmin=-top, vmax=top)
    return figure


def class_colours(labels: np.ndarray) -> dict[int, Any]:
    """A colour for each class that occurs, in the classes' order."""
    from matplotlib import colormaps

    classes = np.unique(labels)
    colours = colormaps["tab10" if len(classes) <= 10 else "turbo"]
    last = max(len(classes) - 1, 1)
    return {int(k): colours(i if len(classes) <= 10 else i / last) for i, k in enumerate(classes)}


@drawn
def code_map(
    codes: np.ndarray,
    labels: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    legend: bool = True,
) -> Figure:
    """Codes (n, 2) as points, coloured by class where the classes are known.

    Of codes (n, 1) the second coordinate is the class, or nothing where there are none, with some
    scatter, so that points do not hide each other.
    """
    figure = _figure(4.2)
    ax: Any = _quiet(figure.subplots())
    ax.set(xlabel="first component of the codes", ylabel="second component of the codes")
    if codes.shape[1] == 1:
        scatter = np.random.default_rng(0).uniform(-0.3, 0.3, len(codes))
        y = scatter if labels is None else scatter + np.unique(labels, return_inverse=True)[1]
        codes = np.column_stack([codes[:, 0], y])
        ax.set(xlabel="the code", ylabel="" if labels is None else "class", yticks=[])
    if labels is None:
        ax.scatter(*codes.T, s=7, color=COLOURS[0], alpha=0.5, linewidths=0)
        return figure
    colours = class_colours(labels)
    for k, colour in colours.items():
        name = printable(k if class_names is None else class_names[k])
        members = codes[labels == k]
        ax.scatter(*members.T, s=9, color=colour, alpha=0.65, linewidths=0, label=name)
    if legend and len(colours) <= 20:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2)
    return figure


@drawn
def histograms(
    parts: Sequence[tuple[str, np.ndarray, float | None]], same_x: bool = False
) -> Figure:
    """Histograms, one under the other: (what is counted, values, where a line is drawn or None).

    ``same_x`` gives them one horizontal axis, so that they can be compared. What is NaN or infinite
    is left out.
    """
    figure = _figure(2.4 * len(parts))
    axes = figure.subplots(len(parts), 1, squeeze=False, sharex=same_x)[:, 0]
    for ax, (name, values, line) in zip(axes, parts, strict=True):
        values = np.asarray(values, float)
        _quiet(ax).hist(values[np.isfinite(values)], bins=30, color=COLOURS[0])
        if line is not None and np.isfinite(line):
            ax.axvline(line, color=COLOURS[1], linewidth=1.6)
        ax.set(xlabel=name, ylabel="how many")
    return figure


@drawn
def lines(curves: Mapping[str, Sequence[float]], xlabel: str, ylabel: str) -> Figure:
    """A line for each curve, whose values are those of 1, 2, 3, ..."""
    figure = _figure(3.2)
    ax = _quiet(figure.subplots())
    for (name, values), colour in zip(curves.items(), cycle(COLOURS), strict=False):
        ax.plot(np.arange(1, len(values) + 1), values, color=colour, linewidth=1.8, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    _legend(figure)
    _counted(ax)
    return figure


@drawn
def confusion(counts: np.ndarray, names: Sequence[object]) -> Figure:
    """Counts (K, K), a row a class and a column what was said of it, in per cent of the row."""
    total = counts.sum(axis=1, keepdims=True)
    share = 100 * counts / np.where(total > 0, total, 1)
    K, words = len(names), [printable(name) for name in names]
    figure = _figure(min(1.2 + 0.36 * K, 7.0))
    ax = figure.subplots()
    ax.imshow(share, cmap="Blues", vmin=0, vmax=100, aspect="auto")
    small = 12 if K <= 10 else 8
    ax.set_xticks(range(K), words, rotation=90, fontsize=small)
    ax.set_yticks(range(K), words, fontsize=small)
    ax.set(xlabel="what was said", ylabel="the class")
    for i, j in zip(*np.nonzero(counts), strict=True) if K <= 20 else ():
        colour = "white" if share[i, j] > 50 else "black"
        size = 10 if K <= 10 else 7
        ax.text(j, i, f"{share[i, j]:.0f}", ha="center", va="center", color=colour, fontsize=size)
    return figure


@drawn
def bars(
    values: np.ndarray | dict[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    names: Sequence[str] | None = None,
) -> Figure:
    """A bar for each value, in the order given; of several named values, as many side by side."""
    figure = _figure(2.9)
    ax = _quiet(figure.subplots())
    groups = values if isinstance(values, dict) else {"": values}
    places = np.arange(1, len(next(iter(groups.values()))) + 1)
    width = 0.8 / len(groups)
    for i, ((name, heights), colour) in enumerate(zip(groups.items(), COLOURS, strict=False)):
        left = places - 0.4 + width / 2 + i * width
        ax.bar(left, heights, width, color=colour, label=name)
    if len(groups) > 1:
        _legend(figure)
    if names is not None:
        ax.set_xticks(places, [printable(name) for name in names])
    else:
        _counted(ax)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    return figure


@drawn
def few_label_curve(curve: FewLabelCurve) -> Figure:
    """Test accuracy against the number of labels: a line an arm, a band of one standard deviation
    over the seeds."""
    figure = _figure(4.6)
    ax = _quiet(figure.subplots())
    for i, (name, accuracy) in enumerate(curve.arms.items()):
        mean, spread = 100 * accuracy.mean(axis=1), 100 * accuracy.std(axis=1)
        pretrained = name.startswith("pretrained")
        colour = COLOURS[i % len(COLOURS)]
        ax.plot(
            curve.labels,
            mean,
            color=colour,
            label=name,
            marker="o",
            markersize=4,
            linewidth=2.2 if pretrained else 1.4,
            linestyle="-" if pretrained else "--",
        )
        ax.fill_between(curve.labels, mean - spread, mean + spread, color=colour, alpha=0.12)
    ax.set_xscale("log")
    ax.set_xticks(curve.labels, [f"{n:,}" for n in curve.labels])
    ax.minorticks_off()
    ax.set(xlabel="labelled samples", ylabel="test accuracy, %")
    _legend(figure)
    return figure
