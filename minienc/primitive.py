"""The decorator ``@primitive``: the registry, the one door to speed, and the recording.

A primitive is a function written as in the textbook. Calling it does three more things than its
body says, and they stand here so that they need not stand anywhere else:

1. *A cache goes back only where it came from.* A backward whose parameter is annotated
   ``cache: DenseCache`` refuses the cache of any other function, and says so.
2. *The door.* A function of the same name in ``minienc.fast`` runs in the body's place where it
   accepts these arrays; where it returns ``NotImplemented``, it declines and the body runs.
   ``function.definition`` is always the body, and within ``definitions_only()`` it is what runs.
   It also runs where it was edited: a faster function serves none but the definition that it was
   proved equal to (``fast/proved.py``).
   Arrays of a GPU have functions of their own, loaded when their module is. For a backward,
   ``fast/`` may have a *second entry*, ``X_backward_into(dy, cache, into, write, need_dx)``, which
   puts the gradients of the weights where they belong. Only ``Layer.backward`` knows of it.
3. *The recording.* Whoever entered ``recording(listener)`` hears of every call of this thread, when
   it is entered and when it is left; while nobody listens, that costs one test of a number. Who
   listens hears of the mathematics: no second entry is taken meanwhile, unless it is asked for.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, overload

from minienc.arrays import Arrays, Cache

REGISTRY: dict[str, Primitive] = {}  # every primitive by its name; the gradient checker sweeps it

_fast: dict[str, Callable] = {}  # name -> the faster function of the same name and signature
_fast_of_type: dict[type, dict[str, Callable]] = {}  # the same, for another type of arrays
_to_load: dict[str, Callable[[], object]] = {}  # module -> what brings the functions for its arrays
_door: object | None = None  # open once minienc.fast was asked; None when a definition changes
_opening = threading.RLock()


class Place(NamedTuple):
    """Where in a model a call is made."""

    path: str = ""  # of the layer, such as "encoder/dense_1"; "" outside of every layer
    time: int | None = None  # the step of a sequence, where one is run through


# Who listens, who wants the definitions alone, and where the calls are made: each thread has its
# own. _n_watched counts the blocks that were entered, in all threads: while it is 0, nobody looks.
_n_watched = 0
_watching = threading.Lock()
_listeners: ContextVar[tuple[Callable[[Call], None], ...]] = ContextVar("listeners", default=())
_definitions_only: ContextVar[bool] = ContextVar("definitions_only", default=False)
_second_entries: ContextVar[bool] = ContextVar("second_entries", default=False)
_place: ContextVar[Place] = ContextVar("place", default=Place())  # noqa: B039 (a tuple)


class Primitive:
    """A registered function; see the module's docstring.

    Attributes
    ----------
    definition : function
        The textbook body.
    constants : tuple of str
        Names of the array arguments that the function does not differentiate (targets, weights
        of samples, labels): its backward returns no gradient for them.
    overwrites : tuple of str
        Names of the array arguments that it writes to: a step of an optimiser does, nothing else.
    has_second_entry : bool
        Whether ``fast/`` has registered one for this backward; then ``into`` asks it.
    runs_as_written : bool
        Whether no faster function may serve, for this is not the definition it was proved equal to.
    """

    __name__: str
    __qualname__: str

    def __init__(
        self,
        definition: Callable,
        constants: tuple[str, ...] = (),
        overwrites: tuple[str, ...] = (),
    ) -> None:
        functools.update_wrapper(self, definition)
        self._definition = definition
        self.constants = constants
        self.overwrites = overwrites
        self.has_second_entry = False
        self.runs_as_written = False
        self._name_of_second = f"{definition.__name__}_into"
        parameters = list(inspect.signature(definition).parameters.values())
        self._takes_cache = len(parameters) > 1 and parameters[1].name == "cache"
        self._cache_annotation = parameters[1].annotation if self._takes_cache else None
        self._cache_type: Any = None  # a type, once it has been asked for

    @property
    def definition(self) -> Callable:
        return self._definition

    @definition.setter
    def definition(self, definition: Callable) -> None:
        self._definition, self.runs_as_written = definition, True
        close_the_door()

    @property
    def fast(self) -> Callable | None:
        """The faster function for NumPy's arrays, if there is one that may serve."""
        return None if self.runs_as_written else _fast.get(self.__name__)

    @functools.cached_property
    def backward(self) -> Primitive:
        """The backward of a forward: ``dense_forward.backward is dense_backward``."""
        return REGISTRY[self.__name__.removesuffix("_forward") + "_backward"]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._takes_cache:
            cache = args[1] if len(args) > 1 else kwargs.get("cache")
            if type(cache) is not self._cache_type:
                self._check_cache(cache)
        if _n_watched and (_listeners.get() or _definitions_only.get()):
            return self._call_watched(args, kwargs)
        if _door is None:
            open_the_door()
        fast = (_functions_for(args) if _fast_of_type else _fast).get(self.__name__)
        if fast is not None and not self.runs_as_written:
            result = fast(*args, **kwargs)
            if result is not NotImplemented:
                return result
        if _to_load and load_fast_of_arrays_met():
            return self(*args, **kwargs)
        return self._definition(*args, **kwargs)

    def _call_watched(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """The same call, while this thread records it or wants the definitions alone."""
        listeners = _listeners.get()
        before = self._before(args, kwargs) if listeners and self.overwrites else {}
        call = Call("enter", self, args, kwargs, None, before, _place.get())
        for listener in listeners:
            listener(call)
        result = NotImplemented
        if not _definitions_only.get():
            open_the_door()
            load_fast_of_arrays_met()
            open_the_door()  # to what has just been loaded
            fast = None if self.runs_as_written else _functions_for(args).get(self.__name__)
            result = NotImplemented if fast is None else fast(*args, **kwargs)
        if as_written := result is NotImplemented:
            result = self._definition(*args, **kwargs)
        for listener in listeners:
            listener(call._replace(event="leave", result=result, as_written=as_written))
        return result

    def _before(self, args: tuple, kwargs: dict[str, Any]) -> dict[str, Any]:
        """Copies of the arguments that are about to be written to."""
        given = inspect.signature(self.definition).bind(*args, **kwargs).arguments
        return {n: given[n].copy() for n in self.overwrites if given.get(n) is not None}

    def into(
        self, dy: Arrays, cache: Cache, into: Sequence | None, write: bool, need_dx: bool
    ) -> Arrays:
        """Run this backward by its second entry.

        Parameters
        ----------
        dy, cache
            As of the backward.
        into : sequence of (array or None), or None
            Where the gradients behind dx go, in the backward's order; None in the place of what
            there is not. None for all of it: only dx is wanted.
        write : bool
            True where the arrays of ``into`` hold nothing yet: they are written to, instead of
            added to.
        need_dx : bool

        Returns
        -------
        dx, or None where it is not needed
            ``NotImplemented`` where the backward itself must be called: nobody serves these
            arrays, the backward was edited, or this thread is recorded (who listens shall hear of
            the mathematics, not of this) or wants the definitions alone.
        """
        if _n_watched and (
            _definitions_only.get() or (_listeners.get() and not _second_entries.get())
        ):
            return NotImplemented
        if type(cache) is not self._cache_type:
            self._check_cache(cache)
        if _door is None:
            open_the_door()
        if self.runs_as_written:
            return NotImplemented
        functions = _functions_for((dy, cache)) if _fast_of_type else _fast
        second = functions.get(self._name_of_second)
        return NotImplemented if second is None else second(dy, cache, into, write, need_dx)

    def _check_cache(self, cache: Cache) -> None:
        if self._cache_type is None:  # resolved late: annotations are strings until then
            module = sys.modules[self.definition.__module__]
            annotation = self._cache_annotation
            self._cache_type = (
                vars(module)[annotation] if isinstance(annotation, str) else annotation
            )
        if not isinstance(cache, self._cache_type):  # fast/ may have caches that carry more
            expected = getattr(self._cache_type, "__name__", self._cache_type)
            raise TypeError(
                f"{self.__name__}: the cache is a {type(cache).__name__}, expected the "
                f"{expected} that {self.__name__.replace('backward', 'forward')} "
                f"returned"
            )

    def __reduce__(self) -> str:
        """Copied and pickled by its name, as functions are."""
        return self.__qualname__

    def __repr__(self) -> str:
        return f"<primitive {self.__name__}{inspect.signature(self.definition)}>"


@overload
def primitive(definition: Callable) -> Primitive: ...
@overload
def primitive(
    *, constants: tuple[str, ...] = (), overwrites: tuple[str, ...] = ()
) -> Callable[[Callable], Primitive]: ...
def primitive(
    definition: Callable | None = None,
    *,
    constants: tuple[str, ...] = (),
    overwrites: tuple[str, ...] = (),
) -> Primitive | Callable[[Callable], Primitive]:
    """Register a function of the textbook; see the module's docstring.

    Parameters
    ----------
    definition : function
        The body. Its name must be new, or defined anew by the same module.
    constants : tuple of str
        Array arguments that its backward gives no gradient for.
    overwrites : tuple of str
        Array arguments that it writes to.
    """
    if definition is None:
        return functools.partial(primitive, constants=constants, overwrites=overwrites)
    name = definition.__name__
    before = REGISTRY.get(name)
    if before is not None and before.definition.__module__ != definition.__module__:
        raise ValueError(f"a primitive named {name} exists already")
    made = REGISTRY[name] = Primitive(definition, constants, overwrites)
    if before is not None:  # defined anew: what serves one need not serve the other
        before.runs_as_written = made.runs_as_written = True
        made.has_second_entry = before.has_second_entry
        close_the_door()
    return made


# ----------------------------------------------------------------------------------------- the door


def _functions_for(args: tuple) -> dict[str, Callable]:
    """The faster functions for the arrays among the arguments, or in a cache among them."""
    for a in args:
        kind = type(a)
        if kind in _fast_of_type:
            return _fast_of_type[kind]
        if isinstance(a, tuple):
            for field in a:
                if type(field) in _fast_of_type:
                    return _fast_of_type[type(field)]
    return _fast


def load_fast_of_arrays_met() -> bool:
    """Load the functions for arrays of modules that have been imported meanwhile."""
    met = [module for module in _to_load if module in sys.modules]
    for module in met:
        _to_load.pop(module)()
    return bool(met)


def load_fast_with(module: str, load: Callable[[], object]) -> None:
    """Call ``load()``, which registers functions for a module's arrays, once it is imported."""
    _to_load[module] = load


def register_fast(function: Callable, array_type: type | None = None) -> Callable:
    """Put a faster function before the definition of the same name and signature.

    The function returns ``NotImplemented`` for arrays that it does not serve. With ``array_type``,
    it is asked about arrays of this type alone, and no other function is asked about them. A second
    entry is registered the same way, as ``X_backward_into(dy, cache, into, write, need_dx)``.
    """
    name = function.__name__
    of = name.removesuffix("_into")
    if of not in REGISTRY:
        raise ValueError(f"{name} in fast/ has no definition of that name in functions/")
    expected = inspect.signature(REGISTRY[of].definition)
    is_second = name.endswith("_backward_into")
    names = [*expected.parameters, *(("into", "write", "need_dx") if is_second else ())]
    if list(inspect.signature(function).parameters) != names:
        raise TypeError(
            f"{name}{inspect.signature(function)} in fast/ differs from its definition "
            f"{of}{expected}" + (", with into, write, need_dx behind" if is_second else "")
        )
    REGISTRY[of].has_second_entry |= is_second
    REGISTRY[of].runs_as_written = False  # it is meant for this definition, unless minienc.fast
    close_the_door()  # keeps a record of what it was proved for
    table = _fast if array_type is None else _fast_of_type.setdefault(array_type, {})
    table[name] = function
    return function


def open_the_door() -> None:
    """Ask for the faster functions at the first call: by then every definition is known. And where
    one was defined anew since, ask again which of them are what was proved."""
    global _door
    if _door is not None:
        return
    with _opening:  # whoever comes meanwhile waits, for it is not yet known what may serve
        fast = importlib.import_module("minienc.fast")
        if hasattr(fast, "proved"):  # not with MINIENC_KERNEL=0, where nothing is registered
            fast.proved.look_at_definitions()
        _door = object()


def close_the_door() -> None:
    """Have ``minienc.fast`` look at the definitions again, at the next call."""
    global _door
    _door = None


@contextmanager
def definitions_only() -> Iterator[None]:
    """Within the block, every primitive that this thread calls runs as it is written."""
    with _watched(_definitions_only, True):
        yield


# ------------------------------------------------------------------------------------ the recording


class Call(NamedTuple):
    """What a listener hears."""

    event: str  # "enter" or "leave"
    primitive: Primitive
    args: tuple
    kwargs: dict[str, Any]
    result: Any  # None on "enter"
    before: dict[str, Any]  # copies of the arguments that the primitive overwrites
    place: Place
    as_written: bool = False  # on "leave": whether it was the definition that ran


@contextmanager
def recording(listener: Callable[[Call], None], second_entries: bool = False) -> Iterator[None]:
    """Within the block, ``listener(call)`` hears of every call that this thread makes: a ``Call``
    when it is entered, and one when it is left, in between those that it makes itself.

    With ``second_entries``, backwards that have one take it, and the listener hears nothing of it.
    """
    token = _second_entries.set(second_entries)
    try:
        with _watched(_listeners, (*_listeners.get(), listener)):
            yield
    finally:
        _second_entries.reset(token)


def is_recording() -> bool:
    """Whether somebody listens to this thread."""
    return bool(_n_watched and _listeners.get())


def plain_door() -> object | None:
    """The open door, another one after each time it was closed; None where it is not open to this
    thread, or somebody listens."""
    return None if _n_watched and (_listeners.get() or _definitions_only.get()) else _door


def at(path: str, time: int | None = None) -> None:
    """Say where the calls that follow are made; a graph does, for those who listen."""
    _place.set(Place(path, time))


@contextmanager
def _watched(variable: ContextVar, value: object) -> Iterator[None]:
    global _n_watched
    token = variable.set(value)
    with _watching:
        _n_watched += 1
    try:
        yield
    finally:
        with _watching:
            _n_watched -= 1
        variable.reset(token)
