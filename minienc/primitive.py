"""The decorator ``@primitive``: the registry, the recording, and the one door to speed.

A primitive is a function written as in the textbook. Calling it does three more things than its
body says, and they stand here so that they need not stand anywhere else:

1. *A cache goes back only where it came from.* A backward whose parameter is annotated
   ``cache: DenseCache`` refuses the cache of any other function, and says so.
2. *The door.* A function of the same name in ``minienc.fast`` runs in the body's place where it
   accepts these arrays; where it returns ``NotImplemented``, it declines and the body runs.
   ``function.definition`` is always the body. Arrays of a GPU have functions of their own, which
   are loaded when the module that such arrays come from is.
   For a backward, ``fast/`` may have a *second entry*, ``X_backward_into(dy, cache, into, write,
   need_dx)``, which puts the gradients of the weights where they belong. Only ``Layer.backward``
   knows of it; in ``functions/`` a backward is ``(dy, cache)`` and nothing else.
3. *The recording.* Whoever entered ``recording(listener)`` hears of every call; while nobody
   listens, that costs one test of an empty list.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from minienc.arrays import to_device

REGISTRY: dict[str, Primitive] = {}  # every primitive by its name; the gradient checker sweeps it

_fast: dict[str, Callable] = {}  # name -> the faster function of the same name and signature
_fast_of_type: dict[type, dict[str, Callable]] = {}  # the same, for another type of arrays
_to_load: dict[str, Callable[[], Any]] = {}  # module -> what brings the functions for its arrays
_workspace: Callable[[], Any] = nullcontext  # what workspace() makes, if fast/ has no better
_device_loops: dict[str, Callable[[str], Any]] = {}  # kind of device -> what device_loop() makes
_door_is_open = False  # becomes True when minienc.fast has been asked once
_listeners: list[Callable] = []


class Primitive:
    """A registered function; see the module's docstring.

    Attributes
    ----------
    definition : function
        The textbook body.
    constants : tuple of str
        Names of the array arguments that the function does not differentiate (targets, weights
        of samples, labels): its backward returns no gradient for them.
    has_second_entry : bool
        Whether ``fast/`` has registered one for this backward; then ``into`` asks it.
    """

    __name__: str

    def __init__(self, definition: Callable, constants: tuple[str, ...] = ()) -> None:
        functools.update_wrapper(self, definition)
        self.definition = definition
        self.constants = constants
        self.has_second_entry = False
        self._name_of_second = f"{definition.__name__}_into"
        parameters = list(inspect.signature(definition).parameters.values())
        self._takes_cache = len(parameters) > 1 and parameters[1].name == "cache"
        self._cache_annotation = parameters[1].annotation if self._takes_cache else None
        self._cache_type: Any = None  # a type, once it has been asked for

    @functools.cached_property
    def backward(self) -> Primitive:
        """The backward of a forward: ``dense_forward.backward is dense_backward``."""
        return REGISTRY[self.__name__.removesuffix("_forward") + "_backward"]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._takes_cache:
            cache = args[1] if len(args) > 1 else kwargs.get("cache")
            if type(cache) is not self._cache_type:
                self._check_cache(cache)
        if not _door_is_open:
            _open_the_door()
        result = NotImplemented
        fast = (_functions_for(args) if _fast_of_type else _fast).get(self.__name__)
        if fast is not None:
            result = fast(*args, **kwargs)
        if result is NotImplemented:
            if _to_load and _load_what_is_met():
                return self(*args, **kwargs)
            result = self.definition(*args, **kwargs)
        if _listeners:
            for listener in tuple(_listeners):
                listener(self, args, kwargs, result)
        return result

    def into(self, dy: Any, cache: Any, into: Any, write: bool, need_dx: bool) -> Any:
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
            arrays, or somebody listens, who shall hear of the mathematics and not of this.
        """
        if _listeners:
            return NotImplemented
        if type(cache) is not self._cache_type:
            self._check_cache(cache)
        functions = _functions_for((dy, cache)) if _fast_of_type else _fast
        second = functions.get(self._name_of_second)
        return NotImplemented if second is None else second(dy, cache, into, write, need_dx)

    def _check_cache(self, cache: Any) -> None:
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

    def __repr__(self) -> str:
        return f"<primitive {self.__name__}{inspect.signature(self.definition)}>"


def primitive(definition: Callable | None = None, *, constants: tuple[str, ...] = ()) -> Any:
    """Register a function of the textbook; see the module's docstring.

    Parameters
    ----------
    definition : function
        The body. Its name must be new.
    constants : tuple of str
        Array arguments that its backward gives no gradient for.
    """
    if definition is None:
        return functools.partial(primitive, constants=constants)
    name = definition.__name__
    if name in REGISTRY and REGISTRY[name].definition.__module__ != definition.__module__:
        raise ValueError(f"a primitive named {name} exists already")
    REGISTRY[name] = Primitive(definition, constants)
    return REGISTRY[name]


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


def _load_what_is_met() -> bool:
    """Load the functions for arrays of modules that have been imported meanwhile."""
    met = [module for module in _to_load if module in sys.modules]
    for module in met:
        _to_load.pop(module)()
    return bool(met)


def load_fast_with(module: str, load: Callable[[], Any]) -> None:
    """Call ``load()``, which registers functions for the arrays of a module, once the module has
    been imported by somebody: before that there are no such arrays."""
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
    table = _fast if array_type is None else _fast_of_type.setdefault(array_type, {})
    table[name] = function
    return function


def register_workspace(make: Callable[[], Any]) -> None:
    """Let ``workspace()`` enter the context that ``make()`` returns."""
    global _workspace
    _workspace = make


def workspace() -> Any:
    """A context in which a new array may take the memory of one that is gone.

    A training step makes the arrays of the step before it over again. Nothing that anybody holds is
    written to: memory changes hands when its array is dropped. Without a compiled kernel, the
    context does nothing.
    """
    if not _door_is_open:
        _open_the_door()
    return _workspace()


class DeviceLoop:
    """What a training loop asks of the device that its model lives on; this one is for any.

    Attributes
    ----------
    replays : bool
        A computation may be recorded once and replayed: then nothing in it may look at a number
        that it computes. A learning rate that is no number leaves all alone.
    """

    replays = False

    def __init__(self, device: str) -> None:
        self.device = device

    def upload(self, arrays: tuple[Any, ...]) -> tuple[Any, ...]:
        """Bring arrays over; it may go on while the device computes. One that comes twice (a target
        that is the input) is brought once. They may be overwritten by the third call after it."""
        moved = {id(a): to_device(a, self.device) for a in arrays}
        return tuple([moved[id(a)] for a in arrays])

    def compute(
        self,
        function: Callable[..., Any],
        arrays: tuple,
        numbers: tuple,
        noise: Any = None,
        bound_to: tuple = (),
    ) -> Any:
        """``function(arrays, numbers, noise)``, which returns a dict of numbers.

        ``arrays`` is a tuple of tuples of arrays, some of which may be the same. ``noise`` is a
        ``numpy.random.Generator``, or none. Where a call is recorded to be replayed for arrays of
        the same shapes, the numbers come to the function as arrays of no axes, and what it draws is
        drawn again each time. A record serves as long as everything in ``bound_to``, which is what
        the function uses beside its arguments, is the same object as then.
        """
        return function(arrays, numbers, noise)


def register_device_loop(kind: str, make: Callable[[str], Any]) -> None:
    """Let ``device_loop("cuda:0")`` be ``make("cuda:0")``, for ``kind`` "cuda"."""
    _device_loops[kind] = make


def device_loop(device: str) -> DeviceLoop:
    """What a training loop needs of this device."""
    if not _door_is_open:
        _open_the_door()
    _load_what_is_met()
    return _device_loops.get(device.partition(":")[0], DeviceLoop)(device)


def _open_the_door() -> None:
    """Ask for the faster functions once, at the first call: by then every definition is known."""
    global _door_is_open
    _door_is_open = True
    importlib.import_module("minienc.fast")


@contextmanager
def recording(listener: Callable[[Primitive, tuple, dict, Any], None]) -> Iterator[None]:
    """Within the block, ``listener(primitive, args, kwargs, result)`` hears of every call."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
