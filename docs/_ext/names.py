"""Where a text names what the reference has under another name, or not at all.

``minienc.layers.dense.Dense`` is the ``minienc.layers.Dense`` of the reference; ``minienc.files``
has no page, but it is there. What is not there at all fails the build: that is the point of naming
things by their roles.
"""

from __future__ import annotations

import importlib

from docutils import nodes
from public import find, pages
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

_documented: dict[int, str] = {}


def documented() -> dict[int, str]:
    """Public things by their identity, and the names that they have in the reference."""
    if not _documented:
        for page in reversed(pages()):
            _documented.update({id(find(name)): name for name in page.names})
    return _documented


def thing_of(target: str) -> tuple[object, str] | None:
    """What a dotted name stands for, and what of it is behind the module and the first name."""
    parts = target.split(".")
    for n in range(len(parts), 0, -1):
        try:
            thing: object = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for i, name in enumerate(parts[n:]):
            if id(thing) in documented():
                if not hasattr(thing, name):
                    return None
                return thing, ".".join(parts[n + i :])
            if not hasattr(thing, name):
                return None
            thing = getattr(thing, name)
        return thing, ""
    return None


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.Node):
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    if not target.startswith("minienc"):
        # a base class or an exception of Python's own: its name will do
        return text if _is_known(target, node) else None
    found = thing_of(target)
    if found is None:
        return None
    thing, rest = found
    name = documented().get(id(thing))
    if name is not None and name != target:
        domain = env.get_domain("py")
        whole = f"{name}.{rest}" if rest else name
        node["reftarget"] = whole
        reference = domain.resolve_xref(
            env, node["refdoc"], app.builder, node["reftype"], whole, node, text
        )
        return reference if reference is not None else text
    return text


def _is_known(target: str, node: pending_xref) -> bool:
    import builtins

    first = target.split(".")[0]
    if hasattr(builtins, first) or first in ("abc", "enum", "typing", "NamedTuple"):
        return True
    module = node.get("py:module")
    return bool(module) and thing_of(f"{module}.{target}") is not None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
