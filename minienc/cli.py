"""The command line: ``minienc pretrain | finetune | encode | classify | generate | ...``.

Exit status: 0 done; 1 training could not go on (the loss became NaN), or a gradient did not pass;
2 refused, with one line that says what came and what was expected; 3 the code that was to be
checked crashed; 4 it took longer than --time-limit; 130 after Ctrl-C, with how to resume.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from minienc.commands import course, multitask, pairs, texts
from minienc.commands.checks import add_gradcheck, add_step
from minienc.commands.options import (
    add_classify,
    add_data,
    add_device,
    add_later_data,
    add_reading,
    add_regularisation,
    integers,
)
from minienc.system import n_started
from minienc.terminal import patient_streams

EPILOG = """examples:
  minienc pretrain                                    the embedded 8x8 digits, a minute at most
  minienc pretrain mnist --data-dir ~/data --hidden 512,128,30 --epochs 20
  minienc pretrain photos/ --method denoising --noise masking:0.3
  minienc finetune runs/autoencoder-digits-1 --labels 100
  minienc finetune runs/predictive_coding-fsdd-1 --task multitask --heads digit=label speaker
  minienc encode runs/autoencoder-digits-1 new.npy --out codes.npy
  minienc classify runs/predictive_coding-fsdd-1 clip.wav
  minienc pretrain shakespeare                        a language model, 10 minutes
  minienc generate runs/rnn_lm-shakespeare-1 --prompt "ROMEO:"
  minienc finetune runs/rnn_lm-letters-1 --task classify --texts labelled.csv
  minienc finetune --task translate --pairs multi30k --source en --target fr
  minienc translate runs/translate-multi30k-1 "a man rides a horse"
  minienc step                                        walk through a training step
  minienc step homework.py:affine --shapes 'x=N,D W=D,M b=M'
  minienc grade submissions/ --exercise e04           exercises of the course, with hints
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status. What it prints may get lost on its way, to a reader
    that has gone, say: that ends nothing."""
    with patient_streams():
        words = pairs.options_first(list(sys.argv[1:] if argv is None else argv))
        if n_started() > 1:
            from minienc.commands import shared

            return shared.main(words, _main)
        return _main(words)


def _main(words: list[str]) -> int:
    try:
        parser = _parser()
        more = _take_method_options(parser, words)
        arguments = vars(parser.parse_args(words))
        command = arguments.pop("run")
        return command(**arguments, **more) or 0
    except KeyboardInterrupt as stop:
        print(f"\nstopped{_resume_hint(stop)}", file=sys.stderr)
        return 130
    except FloatingPointError as error:  # NonFiniteError
        print(f"minienc: {error}", file=sys.stderr)
        return 1
    except (ValueError, TypeError, OSError, RuntimeError, MemoryError, ImportError) as error:
        print(f"minienc: error: {_one_line(error)}", file=sys.stderr)
        return 2


def _resume_hint(stop: KeyboardInterrupt) -> str:
    return f"; go on with: {stop.args[0]}" if stop.args else ""


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror and error.filename:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split("\n")) or type(error).__name__


def _take_method_options(parser: argparse.ArgumentParser, words: list[str]) -> dict[str, Any]:
    """Remove the method's own options, which ``pretrain`` does not know, from the words; return
    them."""
    if words[:1] != ["pretrain"]:
        return {}
    from minienc import runs

    subparsers = next(a for a in parser._actions if isinstance(a.choices, dict))
    pretrain: Any = subparsers.choices["pretrain"]  # type: ignore[index]
    known = pretrain._option_string_actions
    name = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    name.add_argument("--method", default=None)
    name.add_argument("data", nargs="?")
    said = name.parse_known_args(words[1:])[0]
    method = said.method or runs.default_method(said.data)
    if {"-h", "--help"} & set(words):
        _explain_method(pretrain, method)
        return {"more": {}}
    if all(w.partition("=")[0] in known for w in words if w.startswith("--")):
        return {"more": {}}
    more, words[:] = runs.take_options(method, words, known)
    return {"more": more}


def _explain_method(pretrain: argparse.ArgumentParser, method: str) -> None:
    """Let the help list the method's own options, with what its class says of them."""
    from minienc import runs

    group = pretrain.add_argument_group(f"options of --method {method}")
    for flag, default, text in runs.explain_options(method):
        if flag not in pretrain._option_string_actions:
            shown = f"{text} ({default})" if text else f"({default})"
            group.add_argument(flag, help=shown.replace("%", "%%"), metavar="VALUE")


# -- commands and options


class _Methods:
    """The names of the methods, loaded only when the help lists them."""

    def __contains__(self, name: object) -> bool:
        return True  # an unknown one is refused by ``runs.method_class``

    def __iter__(self) -> Iterator[str]:
        from minienc import audio, language, pretraining

        rooms = pretraining, language, audio
        return iter([name for room in rooms for name in sorted(room.METHODS)])


def _parser() -> argparse.ArgumentParser:
    from minienc import __version__

    parser = argparse.ArgumentParser(
        prog="minienc",
        description="Pretrain without labels, fine-tune with a few, and see whether it helped.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"minienc {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_pretrain(commands)
    _add_finetune(commands)
    _add_encode(commands)
    add_classify(commands)
    _add_generate(commands)
    pairs.add_commands(commands)
    add_gradcheck(commands)
    add_step(commands)
    course.add_commands(commands)
    add_data(commands)
    _add_info(commands)
    return parser


def _add_pretrain(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser(
        "pretrain",
        allow_abbrev=False,  # an option that it does not know is the method's
        help="learn without labels, and report whether it helped",
        description="Learn to encode DATA without its labels; leave a run folder with weights, "
        "history and report.html.",
        epilog="The parameters of the method's class are options, too: --method sparse --help "
        "lists those of that one, with their defaults.",
    )
    p.set_defaults(run=_pretrain)
    p.add_argument(
        "data",
        nargs="?",
        metavar="DATA",
        help="digits (embedded, the default), vowels (made), mnist, fashion-mnist, fsdd, or a file "
        "or folder: IDX, .npy, .npz, CSV, images, sounds; many files of arrays, a folder or "
        "'shards/*.npy', are read a few at a time; for methods of text shakespeare (embedded), a "
        "text, a folder of texts",
    )
    p.add_argument(
        "--data-dir", metavar="DIR", help="where a named data set lies (or MINIENC_DATA)"
    )
    add_reading(p)
    p.add_argument("--encoding", help="what a text is written in (utf-8)")
    p.add_argument("--held-out", type=float, help="the last part of a text, to test on (0.1)")
    p.add_argument(
        "--method", metavar="METHOD", choices=_Methods(), help="%(choices)s (default: autoencoder)"
    )
    p.add_argument(
        "--hidden", type=integers, metavar="N,N,...", help="widths of the encoder, the code last"
    )
    p.add_argument("--activation", help="of the hidden layers (relu)")
    p.add_argument("--tied", action="store_true", default=None, help="tie the decoder's weights")
    p.add_argument("--loss", help="binary_crossentropy (data in [0, 1]) or mean_squared_error")
    p.add_argument("--epochs", type=int)
    p.add_argument("--batch-size", type=int)
    p.add_argument("--optimizer", help="sgd, rmsprop, adagrad, adam, adamw, lion, muon")
    p.add_argument("--lr", type=float, help="learning rate (0.001)")
    p.add_argument(
        "--noise", metavar="KIND[:LEVEL]", help="masking:0.3, salt_and_pepper:0.2, gaussian:0.1"
    )
    p.add_argument(
        "--labels", type=integers, metavar="N,N,...", help="numbers of labels to fine-tune with"
    )
    p.add_argument("--seeds", type=int, help="repetitions of each few-label run (5)")
    p.add_argument("--seed", type=int, help="fixes everything (0)")
    p.add_argument("--dtype", choices=("float32", "float64"))
    add_device(p)
    p.add_argument("--out", metavar="DIR", help="the run folder (runs/METHOD-DATA-1, -2, ...)")
    p.add_argument("--force", action="store_true", help="replace the run in --out")
    p.add_argument("--resume", metavar="RUN", help="go on with an interrupted run")
    p.add_argument("--quiet", action="store_true", help="print the result alone")


def _add_finetune(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser(
        "finetune",
        help="train on a run's encoder: a classifier, several tasks; or to translate, to summarize",
        description="Train a classifier on the encoder of RUN, and the same from random weights, "
        "as the report does: with several draws of the labelled samples, compared seed by seed. "
        "With --task classify, a classifier of texts; with --task multitask, several tasks at "
        "once; with --task translate or summarize, learn from pairs of texts, without RUN then "
        "from random weights.",
    )
    p.set_defaults(run=_finetune)
    p.add_argument("run_folder", metavar="RUN", nargs="?")
    pairs.add_task_options(p)
    multitask.add_options(p)
    texts.add_options(p)
    p.add_argument("--labels", type=int, metavar="N", help="labelled samples to use (all)")
    p.add_argument("--mode", default="full", help="full (default), frozen, gradual")
    p.add_argument("--layer-decay", type=float, default=1.0, help="learning rate by depth (1)")
    p.add_argument("--seeds", type=int, help="repetitions (the run's; 1 with all labels)")
    p.add_argument("--epochs", type=int, help="(as many as make 500 steps; 20 with all labels)")
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--lr", type=float, help="(0.001)")
    p.add_argument("--seed", type=int, default=0, help="the first of the seeds (0)")
    add_regularisation(p)
    add_device(p)
    p.add_argument("--out", metavar="FILE", help="the classifier (RUN/classifier.npz)")
    p.add_argument("--force", action="store_true", help="replace FILE")
    p.add_argument("--quiet", action="store_true")


def _add_encode(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser(
        "encode",
        help="write the codes of some data",
        description="Write the codes (N, K) that the encoder of RUN gives DATA, as .npy.",
    )
    p.set_defaults(run=_encode)
    p.add_argument("run_folder", metavar="RUN")
    p.add_argument("data", metavar="DATA", help="as for pretrain; read and scaled as the run's")
    add_later_data(p)
    add_device(p)
    p.add_argument("--out", metavar="FILE", required=True)
    p.add_argument("--force", action="store_true", help="replace FILE")


def _add_generate(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser(
        "generate",
        help="let a language model write",
        description="Write what the language model of RUN holds likely, token by token.",
    )
    p.set_defaults(run=_generate)
    p.add_argument("run_folder", metavar="RUN")
    p.add_argument("--prompt", help="what to go on from (the beginning of a line)")
    p.add_argument("--length", type=int, default=500, help="tokens to write (500)")
    p.add_argument(
        "--temperature", type=float, default=1.0, help="below 1 surer, 0 the likeliest (1)"
    )
    p.add_argument("--top-k", type=int, metavar="K", help="draw from the K likeliest")
    p.add_argument("--top-p", type=float, metavar="P", help="draw from the fewest that make up P")
    p.add_argument("--stop", metavar="TEXT", help="end before TEXT would be written")
    p.add_argument("--seed", type=int, help="the same seed writes the same")
    p.add_argument(
        "--unknown",
        choices=("refuse", "skip"),
        default="refuse",
        help="what to do with what the vocabulary lacks (refuse)",
    )


def _add_info(commands: argparse._SubParsersAction) -> None:
    p = commands.add_parser("info", help="versions, kernel, threads, GPU")
    p.set_defaults(run=_info)


# -- what the commands do


def _pretrain(
    resume: str | None, quiet: bool, out: str | None, force: bool, more: dict, **given: object
) -> None:
    from minienc import runs

    said = {name: value for name, value in given.items() if value is not None}
    said.update(more)
    if resume is not None:
        if said or out or force:
            flags = ", ".join("--" + n.replace("_", "-") for n in said) or "--out or --force"
            raise ValueError(
                f"--resume goes on with the settings of {resume}; leave out DATA and {flags}"
            )
        runs.resume(resume, quiet=quiet)
    else:
        runs.pretrain(said, out=out, force=force, quiet=quiet)


def _finetune(run_folder: str | None, lr: float | None, **given: Any) -> None:
    from minienc import runs

    of_task, of_heads = pairs.take_task_options(given), multitask.take_options(given)
    of_texts = texts.take_options(given)
    if of_task["task"] != "classify":
        texts.refuse(of_texts)
    if multitask.is_meant(of_task):
        return multitask.finetune(run_folder, lr, of_task, of_heads, given)
    multitask.refuse(of_heads)
    if of_task["task"] == "classify":
        return texts.finetune(run_folder, lr, of_task, of_texts, given)
    if of_task["task"] or of_task["resume"]:
        return pairs.finetune(run_folder, lr, of_task, given)
    pairs.refuse_task_options(of_task)
    if run_folder is None:
        raise ValueError("finetune needs RUN, the folder of a run; or --task, and --pairs")
    runs.finetune_run(run_folder, lr=1e-3 if lr is None else lr, **given)


def _encode(**given: Any) -> None:
    from minienc import runs

    runs.encode_run(**given)


def _generate(**given: Any) -> None:
    from minienc.runs.generate import generate_run

    generate_run(**given)


def _info() -> None:
    from minienc.system import format_info, system_info

    print(format_info(system_info()))
