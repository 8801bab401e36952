"""Models: graphs of layers that can be trained, evaluated, taken apart, saved and loaded.

x = Input(shape=(64,))
code = Dense(16, activation="relu")(x)
autoencoder = Model(x, Dense(64, activation="sigmoid")(code))
autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
autoencoder.fit(X, X, epochs=10)
encoder = Model(x, code)  # the trained encoder: the same layers, nothing copied
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minienc.arrays import Array, beside, check_device, device_of, to_numpy
from minienc.layers.base import Layer
from minienc.layers.graph import Graph
from minienc.layers.parameters import Gradients, Parameter, Parameters
from minienc.layers.symbolic import Input, SymbolicTensor
from minienc.saving import compile_arguments, graph_from_header, model_header
from minienc.summary import summary_lines
from minienc.training.batches import Batches
from minienc.training.callbacks import Callback, History
from minienc.training.checkpoints import check_fit, read_archive, write_archive
from minienc.training.fit import new_trainer, predict, run_evaluation
from minienc.training.losses import Loss, get_loss
from minienc.training.metrics import get_metric
from minienc.training.objective import ModelObjective
from minienc.training.optimizers import get_optimizer


class ModelCache(NamedTuple):
    layers: list[Any]  # a cache for each step of the graph
    output_parts: int


class Model(Layer):
    """All layers between ``inputs`` and ``outputs``.

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

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None) -> None:
        super().__init__(name)
        self._set_graph(inputs, outputs)

    def _set_graph(self, inputs: Any, outputs: Any) -> None:
        self.inputs: list[SymbolicTensor] = _tensors("inputs", inputs)
        self.outputs: list[SymbolicTensor] = _tensors("outputs", outputs)
        self._several_outputs = isinstance(outputs, (list, tuple))
        self.takes_several = isinstance(inputs, (list, tuple))
        self.graph = Graph(self.inputs, self.outputs)
        self.built_for = [t.sample_shape for t in self.inputs]
        self._parameters: Parameters | None = None
        self.optimizer: Any = None

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
    def input(self) -> Any:
        return self.inputs if self.takes_several else self.inputs[0]

    @property
    def output(self) -> Any:
        return self.outputs if self._several_outputs else self.outputs[0]

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

    def output_shape(self, sample_shape: Any) -> Any:
        given = sample_shape if self.takes_several else [sample_shape]
        if [tuple(s) for s in given] != self.built_for:
            raise ValueError(
                f"{self.label}: built for samples of {self.built_for}, and was given {given}"
            )
        shapes = [t.sample_shape for t in self.outputs]
        return shapes if self._several_outputs else shapes[0]

    def flops(self, sample_shape: Any = None) -> int:
        return sum(step.layer.flops(step.in_shapes) for step in self.graph.steps)

    def summary(self, print_fn: Callable[[str], None] = print) -> None:
        """Print a table: each layer's output shape, parameters, and FLOPs for one sample."""
        for line in summary_lines(self):
            print_fn(line)

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
            p.value = beside(weights[name], p.value)

    @property
    def device(self) -> str:
        """Where the weights live and the model computes: "cpu", "cuda:0", ..."""
        named = self.named_parameters()
        return device_of(named[0][1].value) if named else "cpu"

    def to(self, device: str) -> Model:
        """Move the weights, and what the optimiser remembers, to "cpu", "cuda" or "cuda:1".

        Other models that hold some of these weights see them there, too. ``fit`` brings each batch
        over by itself; ``predict`` returns arrays where its input lives; files are the same on
        either side.

        Returns
        -------
        Model
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
        self, x: Any, rng: np.random.Generator | None = None, training: bool | None = None
    ) -> tuple[Any, ModelCache]:
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

    def backward(
        self, dy: Any, cache: ModelCache, grads: Gradients | None, need_dx: bool = True
    ) -> Any:
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

    # -- training

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Sequence[float] | None = None,
    ) -> None:
        """Say how ``fit`` shall train.

        Parameters
        ----------
        optimizer : str or optimizer
        loss : str, Loss or primitive, or a list with one for each output
        metrics : list of str or functions ``(target, y) -> (N,)``; for several outputs a list of
            such lists
        loss_weights : list of numbers, one for each output
        """
        n = len(self.outputs)
        given = list(loss) if isinstance(loss, (list, tuple)) else [loss] * (n if n == 1 else 0)
        if len(given) != n:
            raise ValueError(f"compile: loss is {loss!r}, expected a list of {n}, one an output")
        self.losses: list[Loss] = [get_loss(part) for part in given]
        weights = [1.0] * n if loss_weights is None else list(loss_weights)
        if len(weights) != n:
            raise ValueError(f"compile: {len(weights)} loss_weights for {n} outputs")
        self.optimizer = get_optimizer(optimizer)
        self._compiled_with = {"loss": loss, "metrics": metrics, "loss_weights": loss_weights}
        self._objective = ModelObjective(
            self.graph, self.losses, weights, self._named_metrics(metrics)
        )

    def _named_metrics(self, metrics: Any) -> list[list[tuple[str, Callable]]]:
        n = len(self.outputs)
        if not metrics:
            return [[] for _ in range(n)]
        per_output = metrics if n > 1 else [metrics]
        if len(per_output) != n or any(isinstance(part, str) for part in per_output):
            raise ValueError(f"compile: metrics is {metrics!r}, expected {n} lists, one an output")
        named = []
        for tensor, part in zip(self.outputs, per_output, strict=True):
            prefix = f"{tensor.node.label}_" if n > 1 else ""
            named.append([(prefix + _metric_name(m), get_metric(m)) for m in part])
        return named

    @property
    def objective(self) -> ModelObjective:
        """The loss with its penalties, as a function of a batch, and its gradient."""
        if self.optimizer is None:
            raise RuntimeError('the model is not compiled: call model.compile(loss="...") first')
        return self._objective

    def fit(
        self,
        x: Any,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] = (),
        validation_split: float = 0.0,
        validation_data: tuple | None = None,
        shuffle: bool = True,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        seed: int | None = None,
        resume_from: str | Path | None = None,
    ) -> History:
        """Train: for every batch forward, loss, backward, one step of the optimiser.

        Parameters
        ----------
        x, y : array-like (N, ...), or a list of them
            Whatever has a shape, a dtype and takes index arrays; cast to the model's dtype batch
            by batch. ``y`` may be ``x`` itself.
        batch_size : int, default 32 (or all samples, if they are fewer)
        epochs : int
            Number of the last epoch (as in Keras: with ``initial_epoch=3, epochs=5`` two are run).
        verbose : 0 silent, 1 progress bar, 2 a line an epoch, "auto" is 1
        callbacks : list of Callback
        validation_split : float
            The last part of the samples is held out.
        validation_data : (x, y) or (x, y, sample_weight)
        shuffle : bool
            A new order of the samples for every epoch.
        sample_weight : array (N,)
        seed : int or None
            Fixes the order of the samples and the noise; None draws one (``history.seed``).
        resume_from : path
            A file of ``ModelCheckpoint``: go on from there, to the same bits.

        Returns
        -------
        History

        Raises
        ------
        ValueError, TypeError
            For data or settings that do not fit.
        NonFiniteError
            When the loss becomes NaN or infinite; weights and checkpoints stay as before.
        KeyboardInterrupt
            After Ctrl-C, when the batch under way is done and checkpoints are written.
        """
        self.objective  # noqa: B018 (raises if the model is not compiled)
        if y is None:
            raise ValueError("fit: y is missing; an autoencoder is trained with fit(x, x)")
        trainer = new_trainer(
            self,
            x,
            y,
            batch_size=batch_size,
            epochs=epochs,
            verbose=verbose,
            callbacks=callbacks,
            validation_split=validation_split,
            validation_data=validation_data,
            shuffle=shuffle,
            sample_weight=sample_weight,
            initial_epoch=initial_epoch,
            seed=seed,
            resume_from=resume_from,
        )
        return trainer.run()

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int = 256,
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """Return the loss on these samples; with metrics, [loss, metric, ...] or a dict."""
        self.objective  # noqa: B018
        data = Batches(self, x, y, sample_weight)
        values = run_evaluation(self, data, batch_size)
        if return_dict:
            return values
        return list(values.values()) if len(values) > 1 else values["loss"]

    def predict(self, x: Any, batch_size: int = 256) -> Any:
        """Return the output for every sample, computed batch by batch, without noise."""
        return predict(self, x, batch_size)

    # -- files

    def save(self, path: str | Path) -> None:
        """Write structure, weights and how the model was compiled to one ``.npz`` file (or
        ``.safetensors``, by the path's ending); ``minienc.load_model`` reads it back."""
        weights = {name: p.value for name, p in self.named_parameters()}
        write_archive(path, model_header(self), weights)

    def save_weights(self, path: str | Path) -> None:
        """Write the weights alone."""
        weights = {name: p.value for name, p in self.named_parameters()}
        write_archive(path, {"format": "minienc weights"}, weights)

    def load_weights(self, path: str | Path) -> None:
        """Read weights that fit this model by names and shapes.

        Raises
        ------
        ValueError
            If the file is damaged, or names and shapes differ (it says which); the model's own
            weights stay as they were.
        """
        _, weights = read_archive(path)
        self._set_named(weights, str(path))


class Sequential(Model):
    """Layers one behind the other.

    Without an ``Input`` in front, the model takes the shape of the first data it is given.
    """

    def __init__(self, layers: Sequence[Any] = (), name: str | None = None) -> None:
        Layer.__init__(self, name)
        self._stack: list[Layer] = []
        self._input: SymbolicTensor | None = None
        self._compile_later: dict[str, Any] | None = None
        self.optimizer = None
        for layer in layers:
            self.add(layer)

    def add(self, layer: Any) -> None:
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

    def build(self, sample_shape: Any, dtype: Any = "float32", rng: Any = None) -> None:
        self._input = Input(sample_shape, dtype)
        self._connect()
        if self._compile_later is not None:
            self.compile(**self._compile_later)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Sequence[float] | None = None,
    ) -> None:
        """As ``Model.compile``; before the model is built, it is noted for then."""
        how = dict(optimizer=optimizer, loss=loss, metrics=metrics, loss_weights=loss_weights)
        if self._input is None or not self._stack:
            self._compile_later = how
        else:
            super().compile(**how)

    def fit(self, x: Any, y: Any = None, *args: Any, **kwargs: Any) -> History:
        """As ``Model.fit``; builds the model for the shape of ``x`` if it has none yet."""
        if self._input is None and hasattr(x, "shape"):
            self.build(tuple(x.shape[1:]))
        return super().fit(x, y, *args, **kwargs)

    def _connect(self) -> None:
        tensor = self._input
        for layer in self._stack:
            tensor = layer(tensor)
        self._set_graph(self._input, tensor)

    def __getattr__(self, name: str) -> Any:
        if name in ("graph", "inputs", "outputs"):  # asked before it is built
            raise AttributeError(
                f"{self.label} has no {name} yet: begin it with Input(shape=...), or call "
                f"model.build(shape of one sample)"
            )
        raise AttributeError(name)


def load_model(path: str | Path) -> Model:
    """Read a model that ``Model.save`` wrote, compiled as it was.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is damaged or is not a model; nothing in it is ever executed.
    """
    header, weights = read_archive(path)
    return _made_of(header, weights, str(path))


def _made_of(header: dict[str, Any], weights: dict[str, Array], source: str) -> Model:
    """The model that ``model_header`` described, with these weights."""
    model = Model(*graph_from_header(header, source), name=header["name"])
    if header["compiled"]:
        model.compile(**compile_arguments(header["compiled"]))
    model._set_named(weights, source)
    return model


def _tensors(what: str, given: Any) -> list[SymbolicTensor]:
    tensors = list(given) if isinstance(given, (list, tuple)) else [given]
    for t in tensors:
        if not isinstance(t, SymbolicTensor):
            raise TypeError(
                f"Model: {what} has a {type(t).__name__}, expected what Input(...) or a layer "
                f"applied to it returns"
            )
    if not tensors:
        raise ValueError(f"Model: {what} is empty")
    return tensors


def _metric_name(metric: Any) -> str:
    if isinstance(metric, str):
        return metric
    return getattr(metric, "__name__", type(metric).__name__)


def clone_model(model: Model) -> Model:
    """Return a model of the same structure with a copy of the weights, sharing nothing."""
    weights = {name: to_numpy(p.value) for name, p in model.named_parameters()}
    return _made_of(model_header(model), weights, "clone_model").to(model.device)
