"""``minienc gradcheck`` and ``minienc step``: a gradient, checked and walked through."""

from __future__ import annotations

import argparse
from typing import Any


def add_gradcheck(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser(
        "gradcheck",
        help="check a hand-written gradient",
        description="Check FILE.py:NAME against differences: a pair NAME_forward, NAME_backward, a "
        "function that returns (y, backward) or (loss, gradients), a class or an object; "
        "FILE.py:F,G for any pair, 'FILE.py:Linear(3, 4)' for an object.",
        epilog="Exit status: 0 pass; 1 fail or inconclusive; 2 refused; 3 the code crashed; 4 out "
        "of time. What the file prints goes to stderr.",
    )
    p.set_defaults(run=_gradcheck)
    p.add_argument("where", metavar="FILE.py:NAME")
    p.add_argument(
        "--shapes",
        metavar="SPEC",
        help="what to call it with: 'x=5,3 W=3,4 ids=6:int10 t=5,3:unit rate=0.5'; letters, "
        "'x=N,D W=D,M', try several sizes (else NAME_example() of the file)",
    )
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--dtype", choices=("float64", "float32"), default="float64")
    p.add_argument(
        "--exhaustive", action="store_true", help="element by element, whatever the size"
    )
    p.add_argument(
        "--oracle", choices=("jax",), help="ask jax.vjp of the same forward, too (needs JAX)"
    )
    p.add_argument(
        "--second-order", action="store_true", help="check that the Hessian is symmetric, too"
    )
    p.add_argument(
        "--against", metavar="FILE.py:NAME", help="a forward that is right, to compare y with"
    )
    p.add_argument(
        "--stop-gradient", metavar="NAME,...", help="arguments that have no gradient: X,y"
    )
    p.add_argument("--rtol", type=float, help="relative tolerance of the judgement (1e-6)")
    p.add_argument(
        "--time-limit", type=float, metavar="SECONDS", help="stop after so long (exit status 4)"
    )
    p.add_argument("--json", action="store_true", help="print the report as JSON")
    p.add_argument("--html", metavar="FILE", help="write the report as a page, with its V-curve")


def add_step(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser(
        "step",
        help="walk through a training step, line by line, in a page",
        description="Write a page that walks through one training step, number by number, forward "
        "and back: of the embedded digits' autoencoder, of the model of RUN, or of a pair "
        "NAME_forward, NAME_backward in FILE.py, each line of whose backward is judged; or of a "
        "step that was saved.",
        epilog="Exit status: 0; 1 if a line of a backward is wrong; 2 refused; 3 the code crashed.",
    )
    p.set_defaults(run=_step)
    p.add_argument("what", nargs="?", metavar="RUN|FILE.py:NAME|STEP.npz")
    p.add_argument(
        "--shapes", metavar="SPEC", help="what to call NAME with, as for gradcheck: 'x=N,D W=D,M'"
    )
    p.add_argument("--batch", type=int, default=8, metavar="N", help="samples of the batch (8)")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument(
        "--kernel",
        action="store_true",
        help="the step as fit makes it, with the compiled kernel; of each call the page says how "
        "many digits the definition's lines agree in",
    )
    p.add_argument(
        "--out", metavar="FILE", help="the page (step.html), or such as step.npz: the record"
    )
    p.add_argument("--quiet", action="store_true")


def _gradcheck(**given: Any) -> int:
    from minienc.verify.adapters.command import run

    return run(**given)


def _step(**given: Any) -> int:
    from minienc.runs.step import step_run

    return step_run(**given)
