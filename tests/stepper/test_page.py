"""The page: one file, which allows itself two scripts and one style, and no more."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import struct
import zlib

import numpy as np
import pytest

from minienc.stepper import page as written
from minienc.stepper.page import FOLDER, MODULES, page_of
from minienc.stepper.record import record as record_of
from tests.stepper.recorded import autoencoder


@pytest.fixture(scope="module")
def small():
    return page_of(autoencoder(5, 3, 6))


def test_names_at_the_top_of_modules_are_unique():
    """They are joined into one: none must mean two things."""
    found = {}
    for name in MODULES:
        source = FOLDER.joinpath(f"{name}.js").read_text("utf-8")
        pattern = r"^(?:export )?(?:async )?(?:const|let|class|function) (?:\{ )?(\w+)(?:, (\w+))?"
        for names in re.findall(pattern, source, re.MULTILINE):
            for one in filter(None, names):
                assert one not in found, f"{one} stands in {name}.js and in {found[one]}.js"
                found[one] = name
    assert len(found) > 100


def test_every_module_is_joined_behind_those_that_it_imports():
    assert sorted(MODULES) == sorted(p.stem for p in FOLDER.glob("*.js"))
    for number, name in enumerate(MODULES):
        source = FOLDER.joinpath(f"{name}.js").read_text("utf-8")
        for other in re.findall(r'^import [^;]* from "\./(\w+)\.js";', source, re.MULTILINE):
            assert other in MODULES[:number], f"{name}.js imports {other}.js"
    joined = written.script()
    assert not re.search(r"^(import|export|//|/\*)", joined, re.MULTILINE)


def test_joining_changes_no_text_of_several_lines():
    """Margins are cut, so a template must not go over a line's end."""
    for name in MODULES:
        for line in FOLDER.joinpath(f"{name}.js").read_text("utf-8").splitlines():
            assert line.count("`") % 2 == 0, f"{name}.js: {line}"


def test_the_policy_names_all_scripts_and_the_style(small):
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', small)[1]
    hashes = set(re.findall(r"'(sha256-[^']+)'", policy))
    code = zlib.decompress(base64.b64decode(carried(small, "code")), -15).decode()
    style = re.search(r"<style>(.*?)</style>", small, re.DOTALL)[1]
    loader = re.search(r'<script type="module">(.*?)</script>', small, re.DOTALL)[1]
    assert hashes == {hash_of(code), hash_of(style), hash_of(loader)}
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy


def hash_of(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def carried(page, key):
    return re.search(f'<script type="text/plain" id="{key}">([^<]*)</script>', page)[1]


def test_nothing_is_asked_of_another_place(small):
    outside = re.sub(r"<script.*?</script>", "", small, flags=re.DOTALL)
    assert not re.search(r"\b(src|href)=|url\(|@import|<link", outside)
    assert "fetch(" not in written.script() and "XMLHttp" not in written.script()
    addresses = set(re.findall(r"https?://[^\"]+", written.script()))
    assert addresses == {"http://www.w3.org/1998/Math/MathML"}  # a name, not a place


def test_what_is_carried_can_be_read_again(small):
    raw = zlib.decompress(base64.b64decode(carried(small, "run-a")), -15)
    (length,) = struct.unpack("<I", raw[:4])
    assert raw[4 : 4 + length].startswith(b'{"version":2') and (4 + length) % 8 == 0


def test_a_title_is_text():
    record = autoencoder(3, 2, 2)
    record.title = "</title><script>alert(1)</script>"
    page = page_of(record)
    assert "<script>alert" not in page and html.escape(record.title) in page


def test_two_runs(tmp_path):
    page = page_of(autoencoder(3, 2, 2), autoencoder(3, 2, 2, learning_rate=1.0))
    assert carried(page, "run-a") != carried(page, "run-b")
    page.save(tmp_path / "step.html")
    assert (tmp_path / "step.html").read_text("utf-8") == page


def test_a_notebook_shows_it_in_a_frame(small):
    frame = small._repr_html_()
    assert 'sandbox="allow-scripts allow-forms"' in frame and "allow-same-origin" not in frame
    assert html.unescape(re.search(r'srcdoc="([^"]*)"', frame)[1]) == small


def test_what_the_page_cannot_show_is_refused():
    with pytest.raises(ValueError, match=r"^page_of: the record has no line that computes"):
        page_of(record_of([]))
    record = autoencoder(3, 2, 2)
    record.tape.values.append(np.array([1j]))
    with pytest.raises(TypeError, match=r"^page_of: the record has numbers of dtype complex128"):
        page_of(record)


def test_what_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(written, "LARGEST", 50_000)
    with pytest.raises(ValueError, match=r"page_of: the page would have 0\.1 MB.*smaller batch"):
        page_of(autoencoder(5, 3, 6))


def test_sizes():
    """As carried: code and style in 60 kB; the autoencoder of digits in 120."""
    code = len(written.deflated(written.script().encode())) + len(written.stylesheet())
    assert code <= 60_000
    page = page_of(autoencoder(64, 16, 8))
    assert len(page) <= 120_000
