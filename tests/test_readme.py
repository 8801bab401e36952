"""README's code runs, and its commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from minienc.cli import _parser, _take_method_options

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_the_python_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespaces = []
    for block in BLOCKS:  # each as it is pasted, alone
        namespaces.append({"__name__": "pasted"})
        exec(compile(block, "README.md", "exec"), namespaces[-1])
    assert namespaces[0]["codes"].shape == (1437, 32)


def test_there_is_code():
    assert len(BLOCKS) >= 4 and all("import" in block for block in BLOCKS)


COMMANDS = re.findall(r"(?:^ {4}(?:\.venv/bin/)?|`)minienc ([^`\n#]+)", README, flags=re.MULTILINE)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_the_commands_are_understood(command):
    if "--help" not in command:
        words, parser = shlex.split(command), _parser()
        _take_method_options(parser, words)  # of a method, its own
        parser.parse_args(words)


def test_there_are_commands():
    assert len(COMMANDS) > 6
