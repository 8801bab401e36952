"""What scikit-learn asks of an estimator: its parameters, its features and their names.

Nothing here needs scikit-learn. Its rules are kept by name: ``get_params``, ``n_features_in_``,
``feature_names_in_``, ``get_feature_names_out``, ``set_output``; and where it is loaded, what is
raised before ``fit`` is its own ``NotFittedError``.
"""

from __future__ import annotations

import functools
import inspect
import math
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, ClassVar, Self

import numpy as np

from minienc.data.plain import DataLike
from minienc.shapes import Shape

CONTAINERS = ("default", "pandas", "polars")  # that codes may come in


class NotFittedError(RuntimeError, ValueError, AttributeError):
    """A method was asked before ``fit``."""


def not_fitted(message: str) -> NotFittedError:
    """The error, which is scikit-learn's as well where somebody has loaded that."""
    known = sys.modules.get("sklearn.exceptions")
    return NotFittedError(message) if known is None else _kind_of_both(known)(message)


@functools.cache
def _kind_of_both(exceptions: ModuleType) -> type[NotFittedError]:
    return type("NotFittedError", (NotFittedError, exceptions.NotFittedError), {})


class Estimator:
    """Parameters that are attributes with a default, and features that have names."""

    without: ClassVar[tuple[str, ...]] = ()
    takes_shape: ClassVar[bool] = False
    takes_texts: ClassVar[bool] = False  # a sample is a str
    takes_rows: ClassVar[bool] = True  # False: of samples that are rows nothing can be learned
    random_state: int | None = None
    n_features_in_: int  # of a sample, all its axes together
    feature_names_in_: np.ndarray  # (D,) of str, where X was a frame whose columns have such names

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "transform" in vars(cls):
            cls.transform = _in_its_container(vars(cls)["transform"])  # type: ignore[attr-defined]

    # -- parameters, as scikit-learn has them

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """name -> default of what the constructor takes: the annotated attributes of the class that
        are no ``ClassVar`` and no result (which ends in "_"); its own, then those of the classes
        above."""
        found = [
            name
            for owner in cls.__mro__
            for name, kind in inspect.get_annotations(owner).items()
            if not name.endswith("_") and "ClassVar" not in str(kind)
        ]
        return {name: getattr(cls, name) for name in found if name not in cls.without}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The constructor's arguments."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params: object) -> Self:
        """Change arguments of the constructor before ``fit``."""
        known = self._parameters()
        for name, value in params.items():
            if name not in known:
                raise ValueError(
                    f"{type(self).__name__} has no parameter {name!r}, only {', '.join(known)}"
                )
            setattr(self, name, value)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "encoder_")

    def __sklearn_tags__(self) -> object:
        """What scikit-learn asks before it searches over a method or puts it into a pipeline."""
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type="clusterer" if hasattr(self, "predict") else None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(preserves_dtype=[]),
            non_deterministic=self.random_state is None,
            input_tags=InputTags(
                one_d_array=self.takes_texts,
                two_d_array=self.takes_rows,
                three_d_array=self.takes_shape,
                string=self.takes_texts,
            ),
        )

    def __repr__(self) -> str:
        defaults = self._parameters()
        values = self.get_params(deep=False)
        changed = [f"{k}={v!r}" for k, v in values.items() if v != defaults[k]]
        return f"{type(self).__name__}({', '.join(changed)})"

    # -- features

    def note_features(self, given: DataLike, sample_shape: Shape) -> None:
        """Remember how many features there are, and their names, if they have some."""
        self.n_features_in_ = math.prod(sample_shape)
        names = _names_of(given)
        if names is not None:
            self.feature_names_in_ = names
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_  # of an earlier fit

    def check_features(self, given: DataLike, name: str, sample_shape: Shape) -> None:
        """Refuse, after ``fit``, samples of other features.

        Raises
        ------
        ValueError
            If there are more or fewer of them, or their names are others or in another order.
        """
        expected = getattr(self, "n_features_in_", None)
        if expected is None:
            return
        n, who = math.prod(sample_shape), type(self).__name__
        names, known = _names_of(given), getattr(self, "feature_names_in_", None)
        if names is not None and known is not None and list(names) != list(known):
            raise ValueError(_other_names(names, known))
        if n != expected:
            raise ValueError(
                f"{name} has {n} features, but {who} is expecting {expected} features as input"
            )

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """The names of a code's numbers: "autoencoder0", "autoencoder1", ...

        Parameters
        ----------
        input_features : ignored
            There for scikit-learn's pipelines.

        Returns
        -------
        array (K,) of str
        """
        self.check_fitted()  # type: ignore[attr-defined]
        shape = self.encoder_.outputs[0].sample_shape  # type: ignore[attr-defined]
        prefix = type(self).__name__.lower()
        return np.array([f"{prefix}{k}" for k in range(math.prod(shape))], dtype=object)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Say in what ``transform`` returns codes (N, K).

        Parameters
        ----------
        transform : {"default", "pandas", "polars"} or None
            An array, or a frame with the names of ``get_feature_names_out``, and with the index of
            X where that is a pandas frame. None leaves it as it is.
        """
        if transform is not None:
            if transform not in CONTAINERS:
                raise ValueError(
                    f"transform is {transform!r}, expected one of {', '.join(CONTAINERS)}"
                )
            self._sklearn_output_config = {"transform": transform}  # where clone() looks
        return self


def _in_its_container(transform: Callable) -> Callable:
    """``transform``, whose codes come as ``set_output`` says, or as scikit-learn was told to return
    those of everybody."""

    @functools.wraps(transform)
    def transform_to(self: Estimator, X: DataLike) -> object:
        codes = transform(self, X)
        kind = getattr(self, "_sklearn_output_config", {}).get("transform", _for_all())
        if kind == "default" or not isinstance(codes, np.ndarray) or codes.ndim != 2:
            return codes
        names = self.get_feature_names_out()
        if kind == "polars":
            import polars

            return polars.DataFrame(codes, schema=list(names), orient="row")
        import pandas

        own = hasattr(X, "iloc")  # the index of a list, and of a str, is a method
        index = getattr(X, "index", None) if own else None
        return pandas.DataFrame(codes, columns=names, index=index)

    transform_to.__signature__ = inspect.signature(transform)  # type: ignore[attr-defined]
    return transform_to


def _for_all() -> str:
    sklearn = sys.modules.get("sklearn")
    return "default" if sklearn is None else sklearn.get_config()["transform_output"]


def _names_of(X: object) -> np.ndarray | None:
    """The names of a frame's columns, if all are strings."""
    columns = getattr(X, "columns", None)
    if columns is None or not len(columns):
        return None
    strings = [isinstance(name, str) for name in columns]
    if any(strings) and not all(strings):
        raise TypeError(
            "Feature names are only supported if all input features have string names, and some of "
            f"these are {', '.join(sorted({type(c).__name__ for c in columns}))}; convert them by "
            "X.columns = X.columns.astype(str)"
        )
    return np.asarray(columns, dtype=object) if all(strings) else None


def _other_names(names: np.ndarray, known: np.ndarray) -> str:
    """scikit-learn's own sentences, which its users know and its checks look for."""
    says = "The feature names should match those that were passed during fit.\n"
    new, gone = sorted(set(names) - set(known)), sorted(set(known) - set(names))
    if new:
        says += "Feature names unseen at fit time:\n" + "".join(f"- {n}\n" for n in new[:5])
    if gone:
        says += "Feature names seen at fit time, yet now missing:\n"
        says += "".join(f"- {n}\n" for n in gone[:5])
    if not new and not gone:
        says += "Feature names must be in the same order as they were in fit.\n"
    return says
