"""How the gradient of W is called: dW, grad_W, W_diff, gW, nabla_W, or W itself in ``grads``."""

from __future__ import annotations

# before a name, after a name, and of a dictionary or list that holds nothing else
BEFORE = ("d", "grad", "gradient", "dld", "djd", "ded", "dlossd", "dcostd", "dl", "dj", "dloss")
BEFORE_TOO = ("g", "nabla", "delta", "diff", "del", "partial", "\u2202")
AFTER = ("grad", "grads", "gradient", "gradients")
AFTER_TOO = ("diff", "delta", "deriv", "derivative", "bar")
HOLDERS = (
    *("grads", "gradients", "grad", "gradient", "dparams", "dparameters", "dweights", "paramgrads"),
    *("gradparams", "paramsgrad", "derivatives", "nabla", "nablas", "deltas", "diffs", "gradcache"),
)
SYNONYMS = (
    ("w", "weight", "weights", "kernel", "kernels"),
    ("b", "bias", "biases", "c"),
    ("params", "parameters", "param", "theta", "weights", "w"),
)


def plain(name: str) -> str:
    """A name without capitals and underscores."""
    return str(name).lower().replace("_", "")


def is_holder(name: str) -> bool:
    """Whether it is called as what holds gradients alone, such as ``grads``."""
    return plain(name) in HOLDERS


def gradient_rank(key: str, name: str) -> int | None:
    """How plainly ``key`` says that it is the gradient of ``name``: 0 the best, None not at all."""
    k, n = plain(key), plain(name)
    if not n or k == n:
        return None
    if str(name) in str(key) or n in k:
        for rank, (before, after) in enumerate(((BEFORE, AFTER), (BEFORE_TOO, AFTER_TOO))):
            if (k.endswith(n) and k.removesuffix(n) in before) or (
                k.startswith(n) and k.removeprefix(n) in after
            ):
                # dW of W rather than dw of W, where an object has both
                return 2 * rank + (str(name) not in str(key))
    return None


def others(name: str) -> list[str]:
    """What a weight of this name may be called beside it: ``dW`` is that of ``weights``."""
    n = plain(name)
    return [word for words in SYNONYMS if n in words for word in words if word != n]
