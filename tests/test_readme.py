"""The code of README and of the site's pages runs, their commands are commands, their figures are
those of ``benchmarks/results/``."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from pathlib import Path

import pytest

from minienc import audio, language, pretraining
from minienc.cli import _parser, _take_method_options, main

METHODS = [*pretraining.METHODS, *language.METHODS, *audio.METHODS]
ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.[mr][ds]*"))]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
README = TEXTS["README.md"]
MARKDOWN = r"```(?:python|\{run\})\n(?::\w+:[^\n]*\n)*(.*?)```"
REST = r"\.\. code-block:: python\n\n((?:    [^\n]*\n|\n)+)"


def code_in(name: str, text: str) -> list[str]:
    """The blocks of Python in a page."""
    if name.endswith(".md"):
        return re.findall(MARKDOWN, text, re.DOTALL)
    return [textwrap.dedent(block) for block in re.findall(REST, text)]


BLOCKS = [(name, block) for name, text in TEXTS.items() for block in code_in(name, text)]


@pytest.mark.parametrize(
    ("name", "block"), BLOCKS, ids=[f"{name}-{i}" for i, (name, _) in enumerate(BLOCKS)]
)
def test_the_python_code_runs(name, block, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "pasted"}  # as it is pasted, alone
    exec(compile(block, name, "exec"), namespace)
    if "encoder.predict(X_train)" in block:
        assert namespace["codes"].shape == (1437, 32)


def test_there_is_code():
    assert all("import" in block for _, block in BLOCKS)
    assert {name for name, _ in BLOCKS} >= {"README.md", "docs/index.md", "docs/gradients.md"}


def test_readme_is_read_in_two_minutes():
    assert README.count("\n") <= 180


COMMANDS = re.findall(
    r"(?:^ {4}(?:\.venv/bin/)?|`)minienc ([^`\n#]+)", "\n".join(TEXTS.values()), flags=re.MULTILINE
)


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_the_commands_are_understood(command):
    if "--help" not in command:
        words, parser = shlex.split(command), _parser()
        _take_method_options(parser, words)  # of a method, its own
        parser.parse_args(words)


def test_there_are_commands():
    assert len(COMMANDS) > 40


def test_the_wrong_gradient_is_found_as_readme_says(tmp_path, monkeypatch, capsys):
    """Both commands print what stands there, to the last digit."""
    (homework,) = [b for name, b in BLOCKS if name == "README.md" and "affine_backward" in b]
    monkeypatch.chdir(tmp_path)
    Path("homework.py").write_text(homework, encoding="utf-8")
    part = section("A wrong gradient, and its line")
    said = re.findall(r"^    (?!minienc)(.*)$", part.split("```")[2], flags=re.MULTILINE)
    printed = ""
    for command in re.findall(r"^    minienc (.*)$", part, flags=re.MULTILINE):
        main(shlex.split(command))
        printed += capsys.readouterr().out
    assert len(said) == 4 and set(said) <= set(printed.split("\n"))
    line = re.search(r"line (\d+) of homework.py", part)
    assert homework.split("\n")[int(line[1]) - 1].lstrip() == "dz = dy * (1 - y)"


def test_readme_counts_the_methods():
    assert f"[{len(METHODS)} methods]" in README
    for name in METHODS:
        assert f"| `{name}` |" in TEXTS["docs/methods.md"]


# -------------------------------------------------------------------------------- figures


def rows_of(text: str) -> list[list[str]]:
    """The cells of all tables in a Markdown text, row by row."""
    lines = [line for line in text.split("\n") if line.startswith("|") and "---" not in line]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def measured(name: str) -> str:
    return (ROOT / "benchmarks" / "results" / name).read_text(encoding="utf-8")


def section(title: str) -> str:
    return README.split(f"## {title}\n")[1].split("\n## ")[0]


def test_readme_has_the_figures_of_papers():
    rows = {row[0]: row for row in rows_of(measured("papers.md"))}
    shown = rows_of(section("Figures"))[1:]
    assert len(shown) >= 4
    for title, published, ours in shown:
        assert rows[title][1:3] == [published, ours]


def test_readme_has_the_times_of_an_epoch():
    table = measured("training.md").split("\n\n")
    (epoch,) = [rows_of(part) for part in table if part.startswith("| an epoch")]
    header, *rows = epoch
    shown_header, *shown = rows_of(section("Speed"))
    assert len(shown) >= 4
    for cells in shown:
        (row,) = [row for row in rows if row[0] == cells[0]]
        for name, cell in zip(shown_header[1:], cells[1:], strict=True):
            assert row[header.index(name)] == cell


CHECKERS = {
    "minienc": "minienc",
    "torch.autograd.gradcheck 2.13": "torch.autograd.gradcheck",
    "torch.autograd.gradcheck, fast_mode": "torch, fast_mode",
    "jax.test_util.check_grads 0.10": "jax.test_util.check_grads",
    "scipy.optimize.check_grad 1.17 (at 1e-4)": "scipy.optimize.check_grad",
}


@pytest.mark.parametrize("page", ["README.md", "docs/gradients.md"])
def test_the_gradient_checkers_are_those_that_were_measured(page):
    results = json.loads(measured("gradcheck.json"))
    rows = {row[0]: row[1:] for row in rows_of(TEXTS[page])}
    for shown, name in CHECKERS.items():
        found = results[name]
        assert rows[shown] == [str(len(found[k])) for k in ("missed", "failed_though_right")]
    assert f"{results['wrong']} wrong" in TEXTS[page].replace("\n", " ")
    assert f"{results['right']} right ones" in TEXTS[page].replace("\n", " ")
