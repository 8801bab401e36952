"""``.. command-reference::``: what ``--help`` says of every command, from the parsers."""

from __future__ import annotations

import argparse
import os
from unittest import mock

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from minienc.cli import _explain_method, _parser

WIDTH = "88"


def help_of(parser: argparse.ArgumentParser) -> str:
    with mock.patch.dict(os.environ, {"COLUMNS": WIDTH, "NO_COLOR": "1"}):
        return parser.format_help()


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Each command's parser, in their order."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def method_options(method: str) -> str:
    """The part of ``minienc pretrain --method NAME --help`` that is that method's own."""
    pretrain = commands(_parser())["pretrain"]
    _explain_method(pretrain, method)
    text = help_of(pretrain)
    return text[text.index(f"options of --method {method}") :]


def methods() -> list[str]:
    from minienc import audio, language, pretraining

    return [*pretraining.METHODS, *language.METHODS, *audio.METHODS]


class CommandReference(SphinxDirective):
    """A section for each command, and one for each method's options."""

    def run(self) -> list[nodes.Node]:
        found = commands(_parser())
        sections = [self.section(f"minienc {n}", help_of(p)) for n, p in found.items()]
        own = self.section("Options of each method", None)
        own += [self.section(f"--method {name}", method_options(name)) for name in methods()]
        return [*sections, own]

    def section(self, title: str, text: str | None) -> nodes.section:
        name = nodes.make_id(title)
        section = nodes.section(ids=[name], names=[nodes.fully_normalize_name(title)])
        section += nodes.title(title, title)
        if text is not None:
            section += nodes.literal_block(text, text, language="text")
        return section


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("command-reference", CommandReference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
