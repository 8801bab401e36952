"""A verdict for each line of a backward: which is the first that is wrong?

By the naming law, ``dz`` in a backward claims to be the derivative of <dy, y> by what the forward
calls ``z``, be it an argument or something in between. The tape of the forward can be run again
with another z, so there is a difference for every such claim. A line whose claim fails is *wrong*;
one that was computed from it is not called so, for it had no chance: ``because`` names the line.

A name that forward and backward share without the d says that it is the same numbers again.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minienc.primitive import Primitive, definitions_only
from minienc.stepper.lines import Replay, comment_of, replay, text_of
from minienc.stepper.tape import Ref, Tape, bare, mapped, refs_in
from minienc.verify.differences import Derivative, derivative, find_kink, first_step
from minienc.verify.findings import Word
from minienc.verify.judge import judge
from minienc.verify.line import Line
from minienc.verify.noise import EPS

MOST = 32  # elements that are looked at one by one; of larger arrays, so many chosen ones
LARGE, FEW = 300_000, 8  # numbers on the way through a forward: from here on so few, for the time
PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


@dataclass
class Claim:
    """What a line says of a variable, and what was found."""

    name: str  # "dz"
    of: str  # "z", which the forward has
    visit: int  # of the backward
    value: int  # what it says, on the tape
    sources: list[int]  # what may be called so in the forward, on the tape
    is_gradient: bool
    verdict: str = INCONCLUSIVE
    index: tuple[int, ...] = ()  # of the worst element
    yours: float = 0.0
    numeric: float = 0.0
    uncertainty: float = 0.0
    shape: tuple = ()  # what it has and what is expected, where these differ
    because: int | None = None  # the visit of the wrong line that it was computed from

    @property
    def told(self) -> str:
        """What is wrong with it, in words."""
        if self.shape:
            return f"{self.name} is {self.shape[0]}, expected {self.shape[1]}"
        at = ", ".join(map(str, self.index))
        return f"{self.name}[{at}] is {self.yours:.6g}, expected {self.numeric:.6g}"


@dataclass
class Checked:
    """A pair, line by line."""

    forward: Replay
    backward: Replay
    claims: list[Claim]

    @property
    def wrong(self) -> list[Claim]:
        """The claims that are wrong by themselves, the first one first."""
        return [c for c in self.claims if c.verdict == FAIL and c.because is None]

    def line(self, claim: Claim) -> str:
        """The statement that makes a claim."""
        visit = self.backward.visits[claim.visit]
        return text_of(self.backward.frames[visit.frame].file, visit.line)

    def __str__(self) -> str:
        """The verdicts, a line each."""
        said = []
        for c in self.claims:
            text = self.line(c).split("\n")[0]
            why = ""
            if c.because is not None:
                label = comment_of(self._text(c.because)).split(" was")[0] or "an earlier line"
                why = f", because of {label}"
            elif c.verdict == FAIL:
                why = f": {c.told}"
            said.append(f"{c.verdict:12} {text}{why}")
        return "\n".join(said)

    def _text(self, number: int) -> str:
        visit = self.backward.visits[number]
        return text_of(self.backward.frames[visit.frame].file, visit.line)


def check_lines(
    forward: Callable,
    backward: Callable,
    args: tuple,
    kwargs: dict[str, Any] | None = None,
    constants: Sequence[str] = (),
    wanted: Callable[[str], bool] | None = None,
    seed: int = 0,
    dy: Any = None,
) -> Checked:
    """Replay a pair in float64 and judge each line of the backward.

    Parameters
    ----------
    forward, backward : functions
        ``y, cache = forward(*args, **kwargs)``, ``gradients = backward(dy, cache)``.
    args : tuple
        Arrays among them are copied.
    kwargs : dict, optional
    constants : sequence of str
        Arguments that the backward has no gradient for.
    wanted : function of a path, optional
        Whose lines are watched; those of ``functions/`` otherwise.
    seed : int
        Of dy, which is drawn unless it is given.
    """
    tape = Tape()
    ahead = replay(forward, widened(args), widened(kwargs or {}), tape, wanted)
    y, cache = ahead.watched
    n = len(tape.operations)
    v = drawn(bare(y), np.random.default_rng(seed)) if dy is None else as_cotangent(dy, bare(y))
    back = replay(backward, (tape.watch(v), cache), {}, tape, wanted)
    said: dict[str, list[Claim]] = {}
    for claim in _claims(forward, ahead, back, tuple(constants)):
        said.setdefault(claim.name, []).append(claim)
    trial = _Trial(ahead, list(refs_in(ahead.returned[0])), v if type(v) is tuple else (v,), n)
    claims = [claim for of_name in said.values() for claim in trial.judge(of_name)]
    claims.sort(key=lambda claim: claim.visit)
    _blame(claims, tape)
    return Checked(ahead, back, claims)


def widened(x: Any) -> Any:
    """Floating arrays in float64."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x.astype(np.float64) if x.dtype.kind == "f" else x
    return mapped(widened, x)


def as_cotangent(dy: Any, y: Any) -> Any:
    """dy in float64, of y's form: a number stands for an array without axes, or for one of which
    it is every number."""
    if isinstance(y, (np.ndarray, np.generic)):
        v = np.broadcast_to(np.asarray(dy, np.float64), np.shape(y))
        return v.copy() if v.shape else np.float64(v)
    return tuple(map(as_cotangent, dy, y))


def drawn(y: Any, rng: np.random.Generator) -> Any:
    """A cotangent for y: numbers, where y has some."""
    if isinstance(y, (np.ndarray, np.generic)):
        v = rng.standard_normal(y.shape)
        return v if y.shape else np.float64(v)
    return mapped(lambda part: drawn(part, rng), y)


# --------------------------------------------------------------------------------------- claims


def _claims(
    forward: Callable, ahead: Replay, back: Replay, constants: tuple[str, ...]
) -> Iterator[Claim]:
    """What the names of the backward say, in the order of its lines."""
    values = ahead.tape.values
    known = _named(ahead)
    said: dict[str, list[tuple[int, int]]] = {}
    for number, visit in enumerate(back.visits):
        if visit.frame == 0:
            for name, ref in visit.bound.items():
                if isinstance(ref, Ref) and values[ref.value].dtype.kind == "f":
                    said.setdefault(name, []).append((number, ref.value))
    _add_returned(forward, ahead, back, constants, said)
    found = []
    for name, places in said.items():
        if name in known:  # the same numbers again
            found += [Claim(name, name, *p, known[name], False) for p in places[-1:]]
        elif name.startswith("d") and name[1:] in known:
            found += [Claim(name, name[1:], *p, known[name[1:]], True) for p in places]
    same = [c for c in found if not c.is_gradient and c.value in c.sources]
    yield from sorted((c for c in found if c not in same), key=lambda claim: claim.visit)


def _named(replay: Replay) -> dict[str, list[int]]:
    """The values of each name of the outermost function, floating ones."""
    names: dict[str, list[int]] = {}
    bound = [replay.frames[0].arguments] if replay.frames else []
    bound += [visit.bound for visit in replay.visits if visit.frame == 0]
    for names_here in bound:
        for name, ref in names_here.items():
            if isinstance(ref, Ref) and replay.tape.values[ref.value].dtype.kind == "f":
                values = names.setdefault(name, [])
                values += [ref.value] if ref.value not in values else []
    return names


def _add_returned(
    forward: Callable,
    ahead: Replay,
    back: Replay,
    constants: tuple[str, ...],
    said: dict[str, list[tuple[int, int]]],
) -> None:
    """Gradients that are returned without a name of their own."""
    if not ahead.frames or not back.visits:
        return
    parameters = inspect.signature(forward).parameters
    arguments = [
        name
        for name in parameters
        if isinstance(ref := ahead.frames[0].arguments.get(name), Ref)
        and ahead.tape.values[ref.value].dtype.kind == "f"
        and name not in constants
    ]
    returned = back.returned if type(back.returned) is tuple else (back.returned,)
    returned = tuple(part for part in returned if part is not None)
    visit = max((i for i, v in enumerate(back.visits) if v.frame == 0), default=-1)
    if visit < 0 or len(returned) != len(arguments):
        return
    for name, part in zip(arguments, returned, strict=True):
        if isinstance(part, Ref) and all(part.value != v for _, v in said.get(f"d{name}", [])):
            said.setdefault(f"d{name}", []).append((visit, part.value))


# ------------------------------------------------------------------------------------ judgement


class _Trial:
    """The forward, which can be run again with other numbers in the place of any that it made.

    Parameters
    ----------
    ahead : Replay
    outputs : list of int
        The values of y.
    v : tuple of arrays
        dy, a part for each.
    n : int
        Operations of the forward.
    """

    def __init__(self, ahead: Replay, outputs: list[int], v: tuple, n: int) -> None:
        self.ahead, self.outputs, self.n = ahead, outputs, n
        self.v = tuple(np.asarray(part, float) for part in v)
        self.values = ahead.tape.values
        self.y = tuple(self.values[value].astype(float) for value in outputs)
        self.measured: dict[int, dict] = {}  # by the value that moves
        size = sum(self.values[op.result].size for op in ahead.tape.operations[:n])
        self.most = FEW if size > LARGE else MOST

    def judge(self, claims: list[Claim]) -> Iterator[Claim]:
        """Judge what is said of one variable, and yield what can be said of it.

        Where a name is bound several times, by a loop or by a sum in the making, it need not be
        the gradient each time: one time is enough, and if it never is, the last one is wrong.
        """
        passed = [claim for claim in claims if self._holds(claim)]
        if passed:
            yield from passed
        elif claims[-1].verdict == FAIL:
            yield claims[-1]
        else:
            yield from claims

    def _holds(self, claim: Claim) -> bool:
        """Whether the value is what it is called, of any that the forward calls so."""
        said = self.values[claim.value]
        is_argument = claim.of in self.ahead.frames[0].arguments
        fits = tuple.__eq__ if is_argument else _fits
        sources = [s for s in claim.sources if fits(said.shape, self.values[s].shape)]
        if not sources and claim.is_gradient and is_argument:
            claim.verdict = FAIL
            claim.shape = said.shape, self.values[claim.sources[0]].shape
        for source in sources:
            self._compare(claim, np.broadcast_to(said, self.values[source].shape), source)
            if claim.verdict == PASS:
                return True
        return False

    def _compare(self, claim: Claim, said: np.ndarray, source: int) -> None:
        if not claim.is_gradient:
            right = self.values[source]
            same = np.allclose(said, right, rtol=1e-9, atol=1e-12, equal_nan=True)
            claim.verdict = PASS if same else FAIL
            if not same:
                _note(claim, said, right)
            return
        sizes = np.abs(said[np.isfinite(said)])
        floor = 1e-7 * float(sizes.max(initial=0))  # what others of the array have rounded
        words, worst = set(), 0.0
        for index, (line, h, d) in self.gradient(source).items():
            yours = float(said[index])
            with np.errstate(all="ignore"):
                word = judge(yours, d, lambda line=line, h=h: find_kink(line, h))  # type: ignore[misc]
            if not np.isfinite(yours) and np.isfinite(d.value):
                word = Word.WRONG
            off = abs(yours - d.value)
            if word is Word.WRONG and off <= floor:
                word = Word.RIGHT
            words.add(word)
            if word is Word.WRONG and not off < worst:
                worst = off
                claim.index, claim.yours, claim.numeric = index, yours, d.value
                claim.uncertainty = d.uncertainty
        if Word.WRONG in words:
            claim.verdict = FAIL
        elif Word.RIGHT in words:
            claim.verdict = PASS
            claim.index, claim.yours, claim.numeric, claim.uncertainty = (), 0.0, 0.0, 0.0

    def gradient(self, source: int) -> dict[tuple[int, ...], tuple[Line, float, Derivative]]:
        """The derivatives by elements of a value; measured once."""
        if source not in self.measured:
            value = self.values[source]
            held = {v: self.values[v] for v in self.beside(source)}
            program = self.ahead.tape.behind([source, *held], self.n)
            self.measured[source] = {
                index: self._along(source, index, held, program)
                for index in _chosen(value.shape, self.most, source)
            }
        return self.measured[source]

    def _along(
        self, source: int, index: tuple[int, ...], held: dict, program: list
    ) -> tuple[Line, float, Derivative]:
        value = self.values[source]

        def at(t: float) -> tuple[np.ndarray, ...]:
            moved = value.copy()
            moved[index] += t
            now = self.ahead.tape.again({**held, source: moved}, program)
            found = (now.get(v, y) for v, y in zip(self.outputs, self.y, strict=True))
            return tuple(np.asarray(y, float) for y in found)

        line = Line(at, self.v, self.y, 8 * EPS)
        h = first_step(float(value[index]), float(np.abs(value).mean()), EPS)
        with np.errstate(all="ignore"):
            return line, h, derivative(line, h)

    def beside(self, source: int) -> set[int]:
        """What the same statement made: of (h, c) = cell(x), h is held while c moves."""
        found: set[int] = set()
        for visit in self.ahead.visits:
            made = {r.value for r in visit.bound.values() if isinstance(r, Ref)}
            if visit.frame == 0 and source in made:
                found |= made
        return found - {source}


def _fits(shape: tuple[int, ...], of: tuple[int, ...]) -> bool:
    """Whether a gradient of this shape stands for one of that: one number may be that of all."""
    if len(shape) not in (0, len(of)):
        return False
    return all(n in (1, m) for n, m in zip(shape, of, strict=False))


def _chosen(shape: tuple[int, ...], most: int, seed: int) -> list[tuple[int, ...]]:
    size = int(np.prod(shape))
    if size <= most:
        return list(np.ndindex(shape))
    picked = np.random.default_rng(seed).choice(size, most, replace=False)
    return [tuple(map(int, np.unravel_index(i, shape))) for i in sorted(picked)]


def _note(claim: Claim, said: np.ndarray, right: np.ndarray) -> None:
    if said.size:
        index = np.unravel_index(np.argmax(np.abs(said - right)), said.shape)
        claim.index = tuple(int(i) for i in index)
        claim.yours, claim.numeric = float(said[index]), float(right[index])


def _blame(claims: list[Claim], tape: Tape) -> None:
    """Say of each wrong claim from which other wrong one it was computed, if from any."""
    made_of: dict[int, set[int]] = {}
    for op in tape.operations:
        before: set[int] = set()
        for ref in refs_in(op):
            before |= {ref} | made_of.get(ref, set())
        made_of[op.result] = before
    wrong = [c for c in claims if c.verdict == FAIL]
    for claim in wrong:
        earlier = [
            c for c in wrong if c is not claim and c.value in made_of.get(claim.value, set())
        ]
        if earlier:
            first = min(earlier, key=lambda c: c.visit)
            claim.because = first.visit


def check_primitive(forward: Primitive, args: tuple, kwargs: dict[str, Any]) -> Checked:
    """``check_lines`` of a primitive and its backward."""
    with definitions_only():
        return check_lines(forward, forward.backward, args, kwargs, forward.constants)
