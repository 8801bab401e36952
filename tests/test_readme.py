"""README's code runs, and its commands are commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from minienc.cli import _parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_python_code_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 3
    namespace: dict = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), namespace)
    assert namespace["codes"].shape == (1437, 32)


COMMANDS = re.findall(r"(?:^ {4}(?:\.venv/bin/)?|`)minienc ([^`\n#]+)", README, flags=re.MULTILINE)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_the_commands_are_understood(command):
    if "--help" not in command:
        _parser().parse_args(shlex.split(command))


def test_there_are_commands():
    assert len(COMMANDS) > 6
