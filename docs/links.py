"""Does every inner link of the built site lead somewhere, and is nothing fetched from elsewhere?

    python docs/links.py docs/_build/html

A link is good where its page is there and holds what is behind its ``#``. Links that a reader may
follow to another site are not tried; what a page loads by itself must lie beside it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

# what a browser asks for without being told to
LOADED = {
    "script": ("src",),
    "img": ("src", "srcset"),
    "iframe": ("src",),
    "source": ("src", "srcset"),
    "link": ("href",),
    "audio": ("src",),
    "video": ("src", "poster"),
    "object": ("data",),
    "embed": ("src",),
}
SAID_ONLY = {"canonical", "index", "search", "next", "prev", "author", "copyright"}  # of <link rel>


class Page(NamedTuple):
    """What a page holds that can be led to, and where it leads."""

    names: set[str]
    links: list[str]
    loaded: list[str]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.page = Page(set(), [], [])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.page.names.update(given[k] for k in ("id", "name") if k in given)
        if tag == "a" and "href" in given:
            self.page.links.append(given["href"])
        if tag == "link" and given.get("rel", "") in SAID_ONLY:
            self.page.links.append(given.get("href", ""))
            return
        for name in LOADED.get(tag, ()):
            for part in given.get(name, "").split(", ") if name in given else ():
                self.page.loaded.append(part.split(" ")[0])


def read(path: Path) -> Page:
    reader = _Reader()
    reader.feed(path.read_text("utf-8"))
    return reader.page


def is_elsewhere(address: str) -> bool:
    parts = urlsplit(address)
    return bool(parts.scheme or parts.netloc) and parts.scheme != "data"


def faults(folder: Path) -> Iterator[str]:
    """A sentence for each link that leads nowhere, and each thing that is loaded from elsewhere."""
    paths = [p for p in sorted(folder.rglob("*.html")) if "_static" not in p.parts]
    pages = {path.resolve(): read(path) for path in paths}
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        for address in page.loaded:
            if is_elsewhere(address):
                yield f"{where} loads {address}"
            elif not address.startswith("data:") and not _file(path, address).exists():
                yield f"{where} loads {address}, which is not there"
        for address in page.links:
            if not is_elsewhere(address) and not _leads(path, address, pages):
                yield f"{where} links to {address}, which is not there"
    for path in sorted(folder.rglob("*.css")):
        text = path.read_text("utf-8").replace('"', "").replace("'", "")
        for part in text.split("url(")[1:] + text.split("@import ")[1:]:
            address = part.split(")")[0].split(";")[0].strip()
            if is_elsewhere(address) and address.startswith(("http", "//")):
                yield f"{path.relative_to(folder)} loads {address}"


def _file(page: Path, address: str) -> Path:
    path = unquote(urlsplit(address).path)
    return (page.parent / path).resolve() if path else page


def _leads(page: Path, address: str, pages: dict[Path, Page]) -> bool:
    to, anchor = _file(page, address), unquote(urlsplit(address).fragment)
    if to not in pages:
        return to.exists() and to.is_file()
    return not anchor or anchor in pages[to].names


def main(folder: str) -> int:
    found = list(faults(Path(folder)))
    print("\n".join(found) or "all inner links lead somewhere; nothing is loaded from elsewhere")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
