"""The site as ``make docs`` has built it: ``make test-site``."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sphinx.util.inventory import InventoryFile

ROOT = Path(__file__).parents[2]
SITE = ROOT / "docs" / "_build" / "html"
sys.path[:0] = [str(ROOT / "docs"), str(ROOT / "docs" / "_ext")]

import links  # noqa: E402
import numbered  # noqa: E402
import public  # noqa: E402
from mathml import mathml  # noqa: E402

from minienc.cli import _parser  # noqa: E402


def text_of(name: str) -> str:
    return (SITE / name).read_text(encoding="utf-8")


def test_every_inner_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere():
    assert list(links.faults(SITE)) == []


def test_the_checker_of_links_finds_what_is_wrong(tmp_path):
    page = '<a href="b.html#x"></a><a href="c.html"></a><a href="#here"></a><p id="here"></p>'
    (tmp_path / "a.html").write_text(page + '<img src="no.png"><script src="https://cdn/x.js">')
    (tmp_path / "b.html").write_text('<p id="y"></p><a href="https://example.org">elsewhere</a>')
    (tmp_path / "s.css").write_text('@import "https://fonts/x.css"; a { background: url(x.png) }')
    assert sorted(f.split(",")[0] for f in links.faults(tmp_path)) == [
        "a.html links to b.html#x",
        "a.html links to c.html",
        "a.html loads https://cdn/x.js",
        "a.html loads no.png",
        "s.css loads https://fonts/x.css",
    ]


def test_every_public_name_has_its_place():
    with (SITE / "objects.inv").open("rb") as file:
        inventory = InventoryFile.load(file, "", "/".join)
    known = {n for kind, names in inventory.items() if kind.startswith("py:") for n in names}
    names = {name for page in public.pages() for name in page.names}
    assert len(names) > 400 and names <= known


def test_each_backward_stands_below_its_forward():
    for page in public.pages():
        names = list(page.names)
        for name in names:
            if name.endswith("_backward"):
                assert names.index(name.removesuffix("backward") + "forward") < names.index(name)


def test_every_tutorial_was_run():
    """Its page is there, with what it printed or drew, and a picture of its own in the gallery."""
    scripts = sorted((ROOT / "tutorials").glob("[0-9]*.py"))
    assert scripts
    index = text_of("tutorials/index.html")
    for script in scripts:
        page = text_of(f"tutorials/{script.stem}.html")
        assert "sphx-glr-script-out" in page or "sphx-glr-single-img" in page, script
        assert f'href="{script.stem}.html' in index, script
    order = [index.index(f'href="{script.stem}.html') for script in scripts]
    assert order == sorted(order)


def test_a_tutorial_that_is_named_by_its_number_is_a_link():
    index, page = text_of("tutorials/index.html"), text_of("tutorials/08_mse_or_crossentropy.html")
    for script in sorted((ROOT / "tutorials").glob("[0-9]*.py")):
        assert re.search(rf'href="{script.stem}.html"><span class="doc">{script.stem[:2]}<', index)
    assert re.search(r'href="07_autoencoder.html"><span class="doc">07<', page)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("As in tutorial 07.", "As in :doc:`tutorial 07 <07_autoencoder>`."),
        (
            "It needs tutorials 07\n(codes) and 13 (more), and 10 seconds.",
            "It needs :doc:`tutorials 07 <07_autoencoder>`\n"
            "(codes) and :doc:`13 <13_what>` (more), and 10 seconds.",
        ),
        (
            "It needs tutorials 07 and 13, and runs for 10 seconds.",
            "It needs :doc:`tutorials 07 <07_autoencoder>` and :doc:`13 <13_what>`, "
            "and runs for 10 seconds.",
        ),
        ("    - 07, an autoencoder", "    - :doc:`07 <07_autoencoder>`, an autoencoder"),
        ("See tutorial 99, or 07 (there).", "See tutorial 99, or 07 (there)."),
        ("    tutorial 07", "    tutorial 07"),
        (".. code-block:: text\n\n    tutorial 07", ".. code-block:: text\n\n    tutorial 07"),
        ("After tutorial 07\n-----------------", "After tutorial 07\n-----------------"),
    ],
)
def test_where_numbers_become_links(text, found):
    names = {"07": "07_autoencoder", "13": "13_what"}
    assert numbered.linked(text, names) == found


def test_every_command_is_explained():
    page = text_of("commands.html")
    (commands,) = [a.choices for a in _parser()._actions if isinstance(a.choices, dict)]
    for name in commands:
        assert f'id="minienc-{name}"' in page


def test_the_tables_are_the_measured_ones():
    page = re.sub(r"<[^>]*>", "", text_of("figures.html"))
    for line in (ROOT / "benchmarks/results/papers.md").read_text("utf-8").split("\n")[2:]:
        for cell in filter(None, (c.strip() for c in line.strip("|").split("|"))):
            assert cell.replace("&", "&amp;").replace("<", "&lt;") in page, cell


def test_no_page_says_where_it_was_made():
    for path in SITE.rglob("*.html"):
        assert str(ROOT) not in path.read_text("utf-8"), path


@pytest.mark.parametrize(
    ("tex", "parts"),
    [
        (r"x^2", ["<msup>", "<mi>x</mi>", "<mn>2</mn>"]),
        (r"\frac{1}{N} \sum_n x_n", ["<mfrac>", "<mi>N</mi>"]),
        (r"\sigma(z) = \frac{1}{1 + e^{-z}}", ["<mfrac>", "<mi>e</mi>"]),
        (r"a &= b \\ c &= d", ["<mtable", "<mtr>"]),
    ],
)
def test_formulas_become_mathml(tex, parts):
    text = mathml(tex, "block")
    assert text.startswith("<math") and 'xmlns="http://www.w3.org/1998/Math/MathML"' in text
    assert all(part in text for part in parts) and "\\" not in text


def test_the_front_page_shows_what_its_program_prints_from_a_file(tmp_path):
    blocks = re.findall(r"<pre>(.*?)</pre>", text_of("index.html"), re.S)
    blocks = [html.unescape(re.sub(r"<[^>]*>", "", block)) for block in blocks]
    source = next(block for block in blocks if "gradcheck(layer" in block)
    shown = next(block for block in blocks if block.startswith("FAIL")).split("\n")
    (tmp_path / "homework.py").write_text(source, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, str(tmp_path / "homework.py")], capture_output=True, text=True, check=True
    )
    assert shown[:5] == ran.stdout.split("\n")[:5]
    assert "`np.tanh(x @ W)`" in shown[2]
