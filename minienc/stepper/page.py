"""The player: a page that walks through one training step, in one file.

    page_of(record).save("step.html")

The JavaScript modules of ``page/`` are joined into one, which the page carries as it carries the
numbers: deflated, in base64. A few lines unpack it. The page asks for nothing else, and its content
security policy allows those two scripts and one style by their hashes, so it runs from a file, in a
notebook's frame (``sandbox="allow-scripts allow-forms"``) and on a server alike.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import struct
import zlib
from functools import cache
from html import escape
from pathlib import Path

from minienc.files import write_text
from minienc.stepper.payload import as_json, encode
from minienc.stepper.record import Record
from minienc.stepper.saved import Saved

FOLDER = Path(__file__).parent / "page"
MODULES = [  # each after those that it names
    *("places", "ops", "digits", "dom", "record", "where", "walk", "numbers", "arrays", "whatif"),
    *("stage", "panels", "source", "predict", "answers", "dialogs", "view"),
]
READ = ["bool", "float32", "float64"]
READ += [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]
LARGEST = 2_000_000  # bytes of a page


class Page(str):
    """The text of a page, which a notebook shows in a frame."""

    def save(self, path: str | os.PathLike) -> None:
        """Write it, all or nothing."""
        write_text(path, self)

    def _repr_html_(self) -> str:
        return (
            '<iframe title="a training step, line by line" sandbox="allow-scripts allow-forms" '
            'style="width:100%;height:860px;border:1px solid #ccc" '
            f'srcdoc="{escape(self)}"></iframe>'
        )


def page_of(record: Record | Saved, against: Record | None = None) -> Page:
    """The page of a record, or of two runs beside one another.

    Parameters
    ----------
    record : Record, or Saved
    against : Record, optional
        Another run, which the page calls B.

    Raises
    ------
    ValueError
        For a record without lines, or one that makes more than 2 MB of a page.
    TypeError
        For a record with numbers that the page does not read, such as complex ones.
    """
    runs = {"a": packed(record)}
    if against is not None:
        runs["b"] = packed(against)
    code, style = script(), stylesheet()
    carried = {"code": deflated(code.encode()), **{f"run-{key}": run for key, run in runs.items()}}
    page = _PAGE.format(
        title=escape(record.title or "A training step"),
        policy=_policy([LOADER, code], style),
        style=style,
        carried="\n".join(
            f'<script type="text/plain" id="{key}">{text}</script>' for key, text in carried.items()
        ),
        loader=LOADER,
    )
    if len(page) > LARGEST:
        raise ValueError(
            f"page_of: the page would have {len(page) / 1e6:.1f} MB, more than "
            f"{LARGEST / 1e6:.0f}; record a smaller batch, or fewer units"
        )
    return Page(page)


def packed(record: Record | Saved) -> str:
    """A record as the page carries it: a length, the header in JSON, the numbers."""
    header, numbers = record if isinstance(record, Saved) else encode(record)
    if not header["ops"]:
        raise ValueError("page_of: the record has no line that computes; record a whole step")
    for dtype in {value[0] for value in header["values"]} - set(READ):
        raise TypeError(f"page_of: the record has numbers of dtype {dtype}, expected real ones")
    text = as_json(header).encode()
    text += b" " * (-(4 + len(text)) % 8)  # the numbers begin at a multiple of 8
    return deflated(struct.pack("<I", len(text)) + text + numbers)


def deflated(raw: bytes) -> str:
    """Without a header, as ``DecompressionStream("deflate-raw")`` reads it; in base64."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return base64.b64encode(packer.compress(raw) + packer.flush()).decode()


@cache
def script() -> str:
    """The modules as one: without what joins them, and without comments."""
    return "".join(joined(FOLDER.joinpath(f"{name}.js").read_text("utf-8")) for name in MODULES)


def joined(source: str) -> str:
    """A module without imports, the word ``export``, comments but those behind code, margins."""
    source = re.sub(r"^import [^;]*;\n", "", source, flags=re.MULTILINE)
    source = re.sub(r"^export ", "", source, flags=re.MULTILINE)
    source = re.sub(r"/\*\*(?:(?!\*/).)*\*/\s?", "", source, flags=re.DOTALL)
    source = re.sub(r"^ *//.*\n", "", source, flags=re.MULTILINE)
    return re.sub(r"^\s+", "", source, flags=re.MULTILINE)


@cache
def stylesheet() -> str:
    return FOLDER.joinpath("page.css").read_text("utf-8")


def _policy(scripts: list[str], style: str) -> str:
    allowed = " ".join(map(_hash, scripts))
    return (
        f"default-src 'none'; script-src {allowed}; style-src {_hash(style)}; base-uri 'none'; "
        f"form-action 'none'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


LOADER = """
const text = atob(document.getElementById("code").textContent);
const packed = Uint8Array.from(text, (c) => c.charCodeAt(0));
const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
const script = document.createElement("script");
script.type = "module";
script.textContent = await new Response(stream).text();
document.body.append(script);
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header>
<div id="bar"></div>
<nav id="ways" aria-label="steps"></nav>
</header>
<main>
<p id="sentence" aria-live="polite">This page needs JavaScript, and a browser of 2023 or newer.</p>
<p id="ran" class="small"></p>
<p id="told" role="status"></p>
<div id="strip"></div>
<div id="body"><div id="stage"></div><div id="side"></div></div>
</main>
<footer id="foot"></footer>
{carried}
<script type="module">{loader}</script>
</body>
</html>
"""
