"""A line of Python as a formula: its syntax tree, in native MathML.

The formula cannot grow stale, for the line is all that it is made of. What it cannot say is shown
as code: ``formula_of`` returns "" then.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from html import escape

SYMBOLS = {
    **{"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "eta": "η"},
    **{"theta": "θ", "kappa": "κ", "mu": "μ", "nu": "ν", "rho": "ρ", "sigma": "σ", "tau": "τ"},
    **{"phi": "φ", "chi": "χ", "psi": "ψ", "omega": "ω"},
}


class CannotSayError(Exception):
    """A line that is no formula."""


def formula_of(text: str) -> str:
    """The MathML of a statement, or "" where it is shown as code."""
    try:
        (statement,) = ast.parse(text).body
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            parts = [_targets(statement.targets[0]), _op("="), _of(statement.value)]
        elif isinstance(statement, ast.AugAssign):
            sign = {ast.Add: "+", ast.Sub: "−", ast.Mult: "·", ast.Div: "/"}[type(statement.op)]
            target = _of(statement.target)
            parts = [target, _op("←"), target, _op(sign), _of(statement.value)]
        elif isinstance(statement, ast.Return) and statement.value is not None:
            parts = [_of(statement.value)]
        else:
            return ""
    except (CannotSayError, SyntaxError, ValueError, KeyError):
        return ""
    return f'<math display="block">{_row(parts)}</math>'


# ------------------------------------------------------------------------------------ the elements


def _row(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"<mrow>{''.join(parts)}</mrow>"


def _op(sign: str) -> str:
    return f"<mo>{sign}</mo>"


def _name(name: str) -> str:
    """x, z_1, dW, x-hat: as on a blackboard."""
    if name.startswith("d") and len(name) > 1 and name not in ("dot", "diag", "dy_dx"):
        return f"<mrow><mi>d</mi>{_name(name[1:])}</mrow>"
    base, _, index = name.partition("_")
    if index == "hat":
        return f"<mover>{_name(base)}<mo>^</mo></mover>"
    if index:
        return f"<msub>{_name(base)}{_name(index)}</msub>"
    return f"<mi>{escape(SYMBOLS.get(name, name))}</mi>"


def _targets(node: ast.expr) -> str:
    return _of(node)


def _parenthesised(part: str) -> str:
    return f"<mrow><mo>(</mo>{part}<mo>)</mo></mrow>"


# ---------------------------------------------------------------------------------- of each node

PRECEDENCE = {
    ast.Add: 1,
    ast.Sub: 1,
    ast.Mult: 2,
    ast.MatMult: 2,
    ast.Div: 3,
    ast.Pow: 4,
}


def _level(node: ast.expr) -> int:
    if isinstance(node, ast.BinOp):
        return PRECEDENCE.get(type(node.op), 0)
    if isinstance(node, ast.UnaryOp):
        return 1
    if isinstance(node, (ast.Compare, ast.IfExp, ast.BoolOp)):
        return 0
    return 9


def _inside(node: ast.expr, level: int) -> str:
    part = _of(node)
    return _parenthesised(part) if _level(node) < level else part


def _of(node: ast.expr) -> str:
    try:
        return _OF[type(node)](node)
    except KeyError:
        raise CannotSayError(type(node).__name__) from None


def _constant(node: ast.Constant) -> str:
    value = node.value
    if isinstance(value, bool) or value is None or value is Ellipsis:
        return f"<mtext>{'…' if value is Ellipsis else escape(str(value))}</mtext>"
    if isinstance(value, (int, float)):
        return f"<mn>{escape(repr(value))}</mn>"
    raise CannotSayError("a text")


def _binary(node: ast.BinOp) -> str:
    op = type(node.op)
    if op is ast.Div:
        return f"<mfrac>{_of(node.left)}{_of(node.right)}</mfrac>"
    if op is ast.Pow:
        return f"<msup>{_inside(node.left, 5)}{_of(node.right)}</msup>"
    level = PRECEDENCE.get(op)
    if level is None:
        sign = {ast.BitAnd: "∧", ast.BitOr: "∨", ast.FloorDiv: "÷", ast.Mod: "mod"}.get(op)
        if sign is None:
            raise CannotSayError(op.__name__)
        return _row([_inside(node.left, 1), _op(sign), _inside(node.right, 1)])
    right = _inside(node.right, level + (op is ast.Sub))
    if op is ast.MatMult:  # a product of matrices is written side by side
        return _row([_inside(node.left, level), right])
    sign = {ast.Add: "+", ast.Sub: "−", ast.Mult: "·"}[op]
    return _row([_inside(node.left, level), _op(sign), right])


def _unary(node: ast.UnaryOp) -> str:
    sign = {ast.USub: "−", ast.UAdd: "+", ast.Invert: "¬", ast.Not: "¬"}[type(node.op)]
    return _row([_op(sign), _inside(node.operand, 2)])


def _compare(node: ast.Compare) -> str:
    signs = {
        **{ast.Lt: "&lt;", ast.LtE: "≤", ast.Gt: "&gt;", ast.GtE: "≥", ast.Eq: "="},
        **{ast.NotEq: "≠", ast.Is: "is", ast.IsNot: "is not"},
    }
    parts = [_of(node.left)]
    for op, right in zip(node.ops, node.comparators, strict=True):
        parts += [_op(signs[type(op)]), _of(right)]
    return f"<mrow><mo>[</mo>{_row(parts)}<mo>]</mo></mrow>"


def _attribute(node: ast.Attribute) -> str:
    if node.attr == "T":
        return f"<msup>{_inside(node.value, 5)}<mo>′</mo></msup>"
    if isinstance(node.value, ast.Name) and node.value.id == "cache":
        return _name(node.attr)
    if isinstance(node.value, (ast.Name, ast.Attribute)):
        return f"<mtext>{escape(ast.unparse(node))}</mtext>"
    raise CannotSayError(node.attr)


def _subscript(node: ast.Subscript) -> str:
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if all(ast.unparse(part) in ("None", "...", ":") for part in parts):  # another axis
        return _of(node.value)
    inner = _op(",").join(_index(part) for part in parts)
    return f"<msub>{_inside(node.value, 5)}<mrow>{inner}</mrow></msub>"


def _index(node: ast.expr) -> str:
    if not isinstance(node, ast.Slice):
        return _of(node)
    ends = ["" if end is None else _of(end) for end in (node.lower, node.upper)]
    return _row([part for part in (ends[0], _op(":"), ends[1]) if part])


def _several(node: ast.Tuple | ast.List) -> str:
    return _row([_op(",").join(_of(part) for part in node.elts) or "<mrow></mrow>"])


def _if(node: ast.IfExp) -> str:
    when = f"<mtext>if\u00a0</mtext>{_of(node.test)}"
    either = f"<mtr><mtd>{_of(node.body)}</mtd><mtd>{when}</mtd></mtr>"
    other = f"<mtr><mtd>{_of(node.orelse)}</mtd><mtd><mtext>otherwise</mtext></mtd></mtr>"
    return f"<mrow><mo>{{</mo><mtable>{either}{other}</mtable></mrow>"


# ------------------------------------------------------------------------------------------- calls

SHORT = {"maximum": "max", "minimum": "min", "log1p": "log(1 + ·)", "expm1": "exp − 1"}


def _call(node: ast.Call) -> str:
    function = node.func
    arguments = list(node.args)
    if isinstance(function, ast.Attribute):
        name = function.attr
        is_module = _root_of(function.value) in ("xp", "np")
        is_module |= ast.unparse(function.value).startswith("get_array_module(")
        if name == "backward":  # get_activation(activation).backward(dy, f)
            return f"<mrow><msup><mi>f</mi><mo>′</mo></msup>{_of(arguments[0])}</mrow>"
        if not is_module:
            arguments = [function.value, *arguments]
    elif isinstance(function, ast.Name):
        name = function.id
    else:
        raise CannotSayError("a call of a call")
    arguments = [a for a in arguments if not _is_text(a)]  # the names in messages
    written = _WRITTEN.get(name)
    if written is not None:
        return written(arguments, node.keywords)
    return _called(name, arguments)


def _root_of(node: ast.expr) -> str:
    """xp, of xp.lib.stride_tricks."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _called(name: str, arguments: list[ast.expr]) -> str:
    inner = _op(",").join(_of(a) for a in arguments)
    label = name.removesuffix("_forward").removesuffix("_backward").replace("_", " ").strip()
    label = SHORT.get(name, label)
    slope = "<mo>′</mo>" if name.endswith("_backward") else ""
    head = f"<mtext>{escape(label)}</mtext>"
    head = f"<msup>{head}{slope}</msup>" if slope else head
    return f"<mrow>{head}{_parenthesised(inner)}</mrow>"


def _sum(sign: str) -> Callable:
    def written(arguments: list[ast.expr], keywords: list[ast.keyword]) -> str:
        axis = next((k.value for k in keywords if k.arg == "axis"), None)
        if axis is None and len(arguments) > 1:
            axis = arguments[1]
        head = f"<mo>{sign}</mo>"
        if axis is not None:
            head = f"<munder>{head}<mrow><mtext>axis\u00a0</mtext>{_of(axis)}</mrow></munder>"
        return _row([head, _inside(arguments[0], 2)])

    return written


def _alone(arguments: list[ast.expr], keywords: list[ast.keyword]) -> str:
    return _of(arguments[0])


def _root(arguments: list[ast.expr], keywords: list[ast.keyword]) -> str:
    return f"<msqrt>{_of(arguments[0])}</msqrt>"


def _size(arguments: list[ast.expr], keywords: list[ast.keyword]) -> str:
    return _row([_op("|"), _of(arguments[0]), _op("|")])


_WRITTEN: dict[str, Callable] = {
    "sum": _sum("∑"),
    "prod": _sum("∏"),
    "sqrt": _root,
    "abs": _size,
    "copy": _alone,
    "astype": _alone,
    "float": _alone,
    "as_rows": _alone,
}

_OF: dict[type, Callable] = {
    ast.Name: lambda node: _name(node.id),
    ast.Constant: _constant,
    ast.BinOp: _binary,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Tuple: _several,
    ast.List: _several,
    ast.IfExp: _if,
    ast.Call: _call,
    ast.Starred: lambda node: _of(node.value),
}
