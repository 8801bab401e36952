"""Which module of PyTorch's goes with which layer: by a mapping, or by the order of both.

A ``state_dict`` has its modules in the order in which they were made. A .safetensors file has its
names sorted, "10.weight" before "2.weight" and "decoder" before "encoder", and what was read from
it still has; where shapes fit, weights would go to another layer without a word. So an order that
is the alphabet's is not believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence


def parted(name: str, names: Iterable[str]) -> tuple[str, str]:
    """("encoder.0", "weight"). A module within PyTorch's own attention is a part of it."""
    module, _, own = name.rpartition(".")
    above, _, last = module.rpartition(".")
    attention = f"{above}.in_proj_weight" if above else "in_proj_weight"
    if last == "out_proj" and attention in names:
        return above, f"{last}.{own}"
    return module, own


def is_sorted(names: Sequence[str]) -> bool:
    """Whether names come from a file: sorted, with a bias before its weight, as in no module."""
    own = [name.rpartition(".")[2] for name in names]
    has_bias = any(name.startswith(("bias", "in_proj_bias")) for name in own)
    return has_bias and list(names) == sorted(names)


def pairs(
    layers: Mapping[str, object],
    modules: Sequence[str],
    mapping: Mapping[str, str] | None,
    in_order: bool = True,
) -> Iterable[tuple[str, str]]:
    """(layer's path, module's name), each layer and each module once.

    ``in_order`` says whether the modules stand in the order in which PyTorch has them.
    """
    if mapping is None:
        if len(layers) != len(modules):
            raise ValueError(
                f"load_torch: {len(layers)} layers with weights ({', '.join(layers)}) and "
                f"{len(modules)} modules ({', '.join(modules)}); say by mapping= which go together"
            )
        return zip(layers, modules if in_order else _ordered(layers, modules), strict=True)
    for what, said, there in (
        ("layer", mapping.keys(), layers),
        ("module", mapping.values(), modules),
    ):
        strange = [name for name in said if name not in there]
        missing = [name for name in there if name not in said]
        if strange:
            raise ValueError(
                f"load_torch: mapping names the {what} {strange[0]!r}, and there are "
                f"{', '.join(there)}"
            )
        if missing:
            raise ValueError(f"load_torch: mapping says nothing of the {what} {missing[0]!r}")
    if len(set(mapping.values())) < len(mapping):
        raise ValueError("load_torch: mapping names a module twice")
    return mapping.items()


def _ordered(layers: Mapping[str, object], modules: Sequence[str]) -> list[str]:
    """Modules whose order was lost, in that of the layers, where their names say it."""
    by_name = [path.replace("/", ".") for path in layers]
    if len(modules) == 1:
        return list(modules)
    if set(by_name) == set(modules):
        return by_name
    owners, numbers = zip(*[name.rpartition(".")[::2] for name in modules], strict=True)
    if len(set(owners)) == 1 and all(number.isdecimal() for number in numbers):
        return sorted(modules, key=lambda name: int(name.rpartition(".")[2]))
    raise ValueError(
        f"load_torch: a file's names are sorted ({', '.join(modules)}), so they do not say in "
        f"which order the modules stand; say by mapping= which go with {', '.join(layers)}"
    )
