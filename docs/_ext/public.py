"""Every public name, by room and file: what the reference has a page for, and what must have an
example that runs."""

from __future__ import annotations

import importlib
import inspect
from typing import NamedTuple

from minienc.primitive import Primitive

# Rooms whose ``__all__`` says what is public; names are documented as ``minienc.ROOM.NAME``.
ROOMS = {
    "functions": "The mathematics",
    "layers": "Layers",
    "models": "Models",
    "pretraining": "Pretraining",
    "language": "Pretraining on text",
    "audio": "Pretraining on sounds",
    "finetuning": "Fine-tuning",
    "tasks": "Translation and summaries",
    "verify": "Checking gradients",
    "data": "Data",
    "runs": "Runs",
    "gallery": "What reports show",
}

# Files whose own names are public: ``minienc.training.optimizers.Adam``.
FILES = {
    "training": {
        "training": "step objective loop optimizer optimizers losses schedules callbacks metrics",
    },
    "layers": {"layers": "initializers regularizers"},
    "stepper": {"stepper": "step_through"},
    "foundations": {"": "arrays primitive shapes kernel gpu"},
}
TITLES = ROOMS | {
    "training": "Training",
    "stepper": "Stepping through",
    "foundations": "What all rests on",
}
ORDER = [
    *("functions", "layers", "models", "training", "pretraining", "language", "audio"),
    *("finetuning", "tasks", "verify", "stepper", "data", "runs", "gallery", "foundations"),
]


class Page(NamedTuple):
    """A file of the package, and the names of it that are public."""

    room: str
    module: str  # minienc.functions.dense
    names: tuple[str, ...]  # as they are documented: minienc.functions.dense_forward

    @property
    def document(self) -> str:
        """Where its page is, under docs/."""
        return f"api/{self.module.removeprefix('minienc.')}"


def find(name: str) -> object:
    """What a dotted name stands for."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def home(room: str, thing: object) -> str:
    """The file in which something is defined."""
    found = getattr(thing, "__module__", None)
    return found if isinstance(found, str) and found.startswith("minienc") else f"minienc.{room}"


def line_of(name: str) -> int:
    """Where in its file something is defined: a forward comes before its backward."""
    thing = find(name)
    thing = getattr(thing, "definition", thing)
    try:
        return inspect.getsourcelines(thing)[1]  # type: ignore[arg-type]
    except (OSError, TypeError):  # a table of names
        return 0


def own_names(module: str) -> list[str]:
    """The public functions and classes that are defined in a file."""
    return [
        name
        for name, thing in vars(importlib.import_module(module)).items()
        if not name.startswith("_")
        and (inspect.isclass(thing) or inspect.isfunction(thing) or isinstance(thing, Primitive))
        and thing.__module__ == module
        and inspect.getdoc(thing)
    ]


def pages() -> list[Page]:
    """All of them, room by room."""
    found: list[Page] = []
    for room in ORDER:
        if room in ROOMS:
            package = importlib.import_module(f"minienc.{room}")
            by_file: dict[str, list[str]] = {}
            for name in package.__all__:
                thing = getattr(package, name)
                by_file.setdefault(home(room, thing), []).append(f"minienc.{room}.{name}")
            found += [
                Page(room, module, tuple(sorted(names, key=line_of)))
                for module, names in by_file.items()
                # a name of another room is handed on, and documented there
                if module.startswith(f"minienc.{room}")
            ]
        for folder, files in FILES.get(room, {}).items():
            for file in files.split():
                module = ".".join(filter(None, ("minienc", folder, file)))
                names = tuple(f"{module}.{name}" for name in own_names(module))
                found.append(Page(room, module, names))
    return [page for page in found if page.names]


def handed_on() -> dict[str, str]:
    """What ``minienc`` itself has, and where the reference has it: a name for each name."""
    import minienc

    of = {id(find(name)): name for page in pages() for name in page.names}
    names = [f"minienc.{name}" for name in minienc.__all__ if name != "__version__"]
    return {name: of[id(find(name))] for name in names}


def first_sentence(thing: object) -> str:
    """What something says of itself in a line."""
    text = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    return text.split(". ")[0].rstrip(".")
