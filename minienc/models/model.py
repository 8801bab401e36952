"""``Model``: a network that is compiled, trained, evaluated, saved and loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minienc.arrays import Array, Arrays, to_numpy
from minienc.data.plain import DataLike
from minienc.models.network import Network
from minienc.saving import (
    OPTIMIZER,
    compile_arguments,
    graph_from_header,
    model_header,
    optimizer_state,
    restore_optimizer,
)
from minienc.training.advice import advice_for, warn_the_caller
from minienc.training.archives import damage_is_told, take, take_all
from minienc.training.batches import Batches, ClassWeight
from minienc.training.callbacks import Callback, History
from minienc.training.checkpoints import check_weights, read_archive, write_archive
from minienc.training.fit import new_trainer, predict, run_evaluation
from minienc.training.losses import Loss, LossLike, get_loss
from minienc.training.metrics import MetricFunction, MetricLike, get_metric
from minienc.training.objective import ModelObjective
from minienc.training.optimizers import OptimizerLike, get_optimizer

Metrics = Sequence[Any] | None  # a list of MetricLike; of several outputs, a list of such lists


class Model(Network):
    """A network that can be trained.

    Parameters
    ----------
    inputs, outputs : symbolic tensor, or list of them
        ``inputs`` may be any tensors of a larger graph: so a decoder is taken out of an
        autoencoder as an encoder is.
    name : str or None

    Examples
    --------
    >>> from minienc.layers import Dense
    >>> x = Input((4,))
    >>> code = Dense(2, activation="tanh", seed=0)(x)
    >>> model = Model(x, Dense(4, seed=0)(code))
    >>> model.compile(optimizer="adam", loss="mse")
    >>> X = np.random.default_rng(0).random((32, 4))
    >>> history = model.fit(X, X, epochs=5, verbose=0)
    >>> history.history["loss"][-1] < history.history["loss"][0]
    True
    >>> Model(x, code).predict(X).shape  # the encoder: the same weights
    (32, 2)
    """

    history: History | None = None  # of the last run
    class_names: tuple[str, ...] | None = None  # of a classifier's outputs; saved with it

    # -- training

    def compile(
        self,
        optimizer: OptimizerLike = "rmsprop",
        loss: LossLike | Sequence[LossLike] | None = None,
        metrics: Metrics = None,
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

        Warns
        -----
        UserWarning
            Where the loss and the output layer do not go together: a cross-entropy of what is no
            probability.
        """
        n = len(self.outputs)
        given: list[Any] = [loss] if n == 1 else []
        if isinstance(loss, (list, tuple)):
            given = list(loss)
        if len(given) != n:
            raise ValueError(f"compile: loss is {loss!r}, expected a list of {n}, one an output")
        self.losses: list[Loss] = [get_loss(part) for part in given]
        weights = [1.0] * n if loss_weights is None else list(loss_weights)
        if len(weights) != n:
            raise ValueError(f"compile: {len(weights)} loss_weights for {n} outputs")
        for advice in advice_for(self.graph, self.outputs, self.losses):
            warn_the_caller(advice)
        self.optimizer = get_optimizer(optimizer)
        self._compiled_with = {"loss": loss, "metrics": metrics, "loss_weights": loss_weights}
        self._objective = ModelObjective(
            self.graph, self.losses, weights, self._named_metrics(metrics)
        )

    def _named_metrics(self, metrics: Metrics) -> list[list[tuple[str, MetricFunction]]]:
        n = len(self.outputs)
        if not metrics:
            return [[] for _ in range(n)]
        per_output = metrics if n > 1 else [metrics]
        if len(per_output) != n or any(isinstance(part, str) for part in per_output):
            expected = "a list, metrics=[...]" if n == 1 else f"{n} lists, one for each output"
            raise ValueError(f"compile: metrics is {metrics!r}, expected {expected}")
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
        x: DataLike,
        y: DataLike | None = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: int | str = "auto",
        callbacks: Sequence[Callback] = (),
        validation_split: float = 0.0,
        validation_data: tuple | None = None,
        shuffle: bool = True,
        sample_weight: DataLike | None = None,
        class_weight: ClassWeight | None = None,
        initial_epoch: int = 0,
        seed: int | None = None,
        resume_from: str | Path | None = None,
    ) -> History:
        """Train: for every batch forward, loss, backward, one step of the optimiser.

        Parameters
        ----------
        x, y : array-like (N, ...), or a list of them
            Arrays, memory maps, ``Pixels``, frames and series (by place, whatever their index),
            tensors, lists; cast to the model's dtype batch by batch. ``y`` may be ``x`` itself.
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
            How much each sample counts; for several outputs, a list of them, or one for all.
        class_weight : dict of {label: weight}, or "balanced"
            How much the samples of each class count, where targets are classes: in training, not
            in validation. A class that is not in it counts 1; "balanced" gives all classes the
            same weight in sum.
        seed : int or None
            Fixes the order of the samples and the noise; None draws one (``history.seed``).
        resume_from : path
            A file of ``ModelCheckpoint``: go on from there, to the same bits.

        Returns
        -------
        History
            It is ``model.history`` from the first epoch on, also of a run that is interrupted.

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
            class_weight=class_weight,
            initial_epoch=initial_epoch,
            seed=seed,
            resume_from=resume_from,
        )
        self.history = trainer.history
        return trainer.run()

    def evaluate(
        self,
        x: DataLike,
        y: DataLike,
        batch_size: int = 256,
        sample_weight: DataLike | None = None,
        return_dict: bool = False,
    ) -> float | list[float] | dict[str, float]:
        """Return the loss on these samples; with metrics, [loss, metric, ...] or a dict."""
        self.objective  # noqa: B018
        data = Batches(self, x, y, sample_weight)
        values = run_evaluation(self, data, batch_size)
        if return_dict:
            return values
        return list(values.values()) if len(values) > 1 else values["loss"]

    def score(
        self, x: DataLike, y: DataLike, sample_weight: DataLike | None = None, batch_size: int = 256
    ) -> float:
        """How good a compiled model is on these samples, as scikit-learn asks: greater is better.

        Returns
        -------
        float
            The first metric that says which way it is better, the accuracy of a classifier that
            ``finetune`` made, with the sign to be greater then; without one, minus the loss.
        """
        values = self.evaluate(x, y, batch_size, sample_weight, return_dict=True)
        assert isinstance(values, dict)
        for name, greater in self.objective.greater_is_better.items():
            return values[name] if greater else -values[name]
        return -values["loss"]

    def predict(self, x: DataLike, batch_size: int = 256) -> Arrays:
        """Return the output for every sample, computed batch by batch, without noise."""
        return predict(self, x, batch_size)

    # -- files

    def save(self, path: str | Path, include_optimizer: bool = True) -> None:
        """Write structure, weights, how the model was compiled and where its optimiser stands to
        one ``.npz`` file (or ``.safetensors``, by the path's ending).

        ``minienc.load_model`` reads it back, and training goes on from there: the optimiser's
        count of steps, on which a schedule depends, and its moments are kept. Without
        ``include_optimizer`` it begins anew, and the file is smaller.
        """
        header = model_header(self)
        arrays = {name: p.value for name, p in self.named_parameters()}
        if include_optimizer and header["compiled"] is not None and self.optimizer.iterations:
            described = header["compiled"]["optimizer"]
            described["iterations"], vectors = optimizer_state(self.optimizer)
            arrays |= vectors
        write_archive(path, header, arrays)

    def save_weights(self, path: str | Path) -> None:
        """Write the weights alone."""
        weights = {name: p.value for name, p in self.named_parameters()}
        write_archive(path, {"format": "minienc weights"}, weights)

    def load_weights(self, path: str | Path) -> None:
        """Read weights that fit this model by names and shapes, from a file of ``save_weights`` or
        of ``save``.

        Raises
        ------
        ValueError
            If the file is damaged, or names and shapes differ (it says which); the model's own
            weights stay as they were.
        """
        _, arrays = read_archive(path)
        weights, _ = _split(arrays)
        check_weights(str(path), weights, self.dtype)
        self._set_named(weights, str(path))


def load_model(path: str | Path) -> Model:
    """Read a model that ``Model.save`` wrote, compiled as it was.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the file is damaged or is not a model; nothing in it is ever executed.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from minienc.layers import Dense
    >>> x = Input((2,))
    >>> model = Model(x, Dense(1, seed=0)(x))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(Path(folder, "model.npz"))
    ...     again = load_model(Path(folder, "model.npz"))
    >>> bool((again.predict(np.ones((1, 2))) == model.predict(np.ones((1, 2)))).all())
    True
    """
    header, arrays = read_archive(path)
    weights, vectors = _split(arrays)
    with damage_is_told(path, "the model's description"):
        model = _described(header, sum(w.size for w in weights.values()))
        check_weights(str(path), weights, model.dtype)
        model._set_named(weights, str(path))
        if header["compiled"] is not None:
            restore_optimizer(model, header, vectors)
    return model


def clone_model(model: Model) -> Model:
    """Return a model of the same structure with a copy of the weights, sharing nothing.

    Examples
    --------
    >>> from minienc.layers import Dense
    >>> x = Input((2,))
    >>> model = Model(x, Dense(1, seed=0)(x))
    >>> clone_model(model).layers[0].W is model.layers[0].W
    False
    """
    weights = {name: to_numpy(p.value) for name, p in model.named_parameters()}
    clone = _described(model_header(model), sum(w.size for w in weights.values()))
    clone._set_named(weights, "clone_model")
    return clone.to(model.device)


def _described(header: dict[str, Any], n_numbers: int) -> Model:
    """The model that ``model_header`` described, its weights drawn at random."""
    model = Model(*graph_from_header(header, n_numbers))
    model.name = take(header, "name", (str, type(None)), "the model")
    if header.get("class_names") is not None:
        model.class_names = tuple(take_all(header, "class_names", str, "the model"))
    if take(header, "compiled", (dict, type(None)), "the model") is not None:
        model.compile(**compile_arguments(header["compiled"]))
    return model


def _split(arrays: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """The weights of a file, and what the optimiser of the model in it remembered."""
    is_state = lambda name: name.startswith(OPTIMIZER) and "/" not in name  # noqa: E731
    vectors = {name.removeprefix(OPTIMIZER): a for name, a in arrays.items() if is_state(name)}
    return {name: a for name, a in arrays.items() if not is_state(name)}, vectors


def _metric_name(metric: MetricLike) -> str:
    if isinstance(metric, str):
        return metric.lower()
    return getattr(metric, "__name__", type(metric).__name__)
