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

MOST = 64  # elements that are looked at one by one; of larger arrays, so many chosen ones
PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


@dataclass
class Claim:
    """What a line says of a variable, and what was found."""

    name: str  # "dz"
    of: str  # "z", which the forward has
    visit: int  # of the backward
    value: int  # what it says, on the tape
    source: int  # what it is the derivative by, or the same as, on the tape
    is_gradient: bool
    verdict: str = INCONCLUSIVE
    index: tuple[int, ...] = ()  # of the worst element
    yours: float = 0.0
    numeric: float = 0.0
    uncertainty: float = 0.0
    because: int | None = None  # the visit of the wrong line that it was computed from


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
                why = f": {c.name}[{', '.join(map(str, c.index))}] is {c.yours:.6g}, expected "
                why += f"{c.numeric:.6g}"
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
        Of dy, which is drawn.
    """
    tape = Tape()
    ahead = replay(forward, widened(args), widened(kwargs or {}), tape, wanted)
    y, cache = ahead.watched
    n = len(tape.operations)
    v = drawn(bare(y), np.random.default_rng(seed))
    back = replay(backward, (tape.watch(v), cache), {}, tape, wanted)
    claims = list(_claims(forward, ahead, back, tuple(constants)))
    trial = _Trial(ahead, list(refs_in(ahead.returned[0])), v if type(v) is tuple else (v,), n)
    for claim in claims:
        trial.judge(claim)
    _blame(claims, tape)
    return Checked(ahead, back, claims)


def widened(x: Any) -> Any:
    """Floating arrays in float64."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x.astype(np.float64) if x.dtype.kind == "f" else x
    return mapped(widened, x)


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
                if isinstance(ref, Ref):
                    said.setdefault(name, []).append((number, ref.value))
    _add_returned(forward, ahead, back, constants, said)
    found = []
    for name, places in said.items():
        for is_gradient, of in ((True, name[1:]), (False, name)):
            if (is_gradient and not name.startswith("d")) or of not in known:
                continue
            if name in known and is_gradient:
                continue  # a forward that calls something "dy" itself
            fitting = [p for p in places if values[p[1]].dtype.kind == "f"]
            pairs = [
                (visit, value, source)
                for visit, value in fitting
                for source in known[of]
                if values[value].shape == values[source].shape
            ]
            if not pairs or len({source for _, _, source in pairs}) > 1:
                continue
            visit, value, source = pairs[-1]
            if value != source:
                found.append(Claim(name, of, visit, value, source, is_gradient))
    yield from sorted(found, key=lambda claim: claim.visit)


def _named(replay: Replay) -> dict[str, list[int]]:
    """The values of each name of the outermost function, floating ones."""
    names: dict[str, list[int]] = {}
    bound = [replay.frames[0].arguments] if replay.frames else []
    bound += [visit.bound for visit in replay.visits if visit.frame == 0]
    for names_here in bound:
        for name, ref in names_here.items():
            if isinstance(ref, Ref) and replay.tape.values[ref.value].dtype.kind == "f":
                if ref.value not in names.setdefault(name, []):
                    names[name].append(ref.value)
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
    returned = back.returned if isinstance(back.returned, tuple) else (back.returned,)
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

    def judge(self, claim: Claim) -> None:
        """Hold a claim against what is true."""
        said, source = self.values[claim.value], self.values[claim.source]
        if not claim.is_gradient:
            same = np.allclose(said, source, rtol=1e-9, atol=1e-12, equal_nan=True)
            claim.verdict = PASS if same else FAIL
            if not same:
                _note(claim, said, source)
            return
        floor = 1e-7 * float(np.abs(said).max(initial=0))  # what others of the array have rounded
        words, worst = set(), 0.0
        for index in _chosen(said.shape, claim.value):
            yours, d, word = self.measure(claim, index, float(said[index]))
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

    def measure(
        self, claim: Claim, index: tuple[int, ...], yours: float
    ) -> tuple[float, Derivative, Word]:
        """The derivative by one element, and what that says of the backward's."""
        source = self.values[claim.source]
        held = {v: self.values[v] for v in self.beside(claim.source)}
        program = self.ahead.tape.behind([claim.source, *held], self.n)

        def at(t: float) -> tuple[np.ndarray, ...]:
            moved = source.copy()
            moved[index] += t
            now = self.ahead.tape.again({**held, claim.source: moved}, program)
            found = (now.get(v, y) for v, y in zip(self.outputs, self.y, strict=True))
            return tuple(np.asarray(y, float) for y in found)

        line = Line(at, self.v, self.y, 8 * EPS)
        scale = float(np.abs(source).mean()) if source.size else 0.0
        h = first_step(float(source[index]), scale, EPS)
        with np.errstate(all="ignore"):
            d = derivative(line, h)
            return yours, d, judge(yours, d, lambda: find_kink(line, h))

    def beside(self, source: int) -> set[int]:
        """What the same statement made: of (h, c) = cell(x), h is held while c moves."""
        found: set[int] = set()
        for visit in self.ahead.visits:
            made = {r.value for r in visit.bound.values() if isinstance(r, Ref)}
            if visit.frame == 0 and source in made:
                found |= made
        return found - {source}


def _chosen(shape: tuple[int, ...], seed: int) -> list[tuple[int, ...]]:
    every = list(np.ndindex(shape))
    if len(every) <= MOST:
        return every
    picked = np.random.default_rng(seed).choice(len(every), MOST, replace=False)
    return [every[i] for i in sorted(picked)]


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

