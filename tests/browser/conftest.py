"""A browser for the pages: playwright, which drives it, and Chromium, which the system has.

``make test-browser`` sets MINIENC_REQUIRE_BROWSER=1, which makes an error of what is skipped
otherwise.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

REQUIRED = os.environ.get("MINIENC_REQUIRE_BROWSER") == "1"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")


def missing(what):
    if REQUIRED:
        pytest.fail(f"MINIENC_REQUIRE_BROWSER=1, but there is no {what}")
    pytest.skip(f"needs {what}")


@pytest.fixture(scope="session")
def browser():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright")
    if CHROMIUM is None:
        missing("Chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe():
    """The text of axe-core, which looks for what keeps people out."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        missing("axe-playwright-python")
    return Path(found.origin).with_name("axe.min.js").read_text("utf-8")


class Opened:
    """A page in the browser, with all that it said and asked for."""

    def __init__(self, browser, path, address="", width=1280, **options):
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        self.page = self.context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"file://{path}{address}")
        self.page.wait_for_selector("html[data-ready]")

    def __enter__(self):
        return self

    def __exit__(self, kind, *error):
        self.context.close()
        if kind is None:
            assert self.said == [], "the console is silent"
            assert len([url for url in self.asked if not url.startswith("blob:")]) == 1

    def text(self, selector):
        return self.page.inner_text(selector)

    @property
    def sentence(self):
        return self.text("#sentence")

    @property
    def step(self):
        return int(self.sentence.split()[1])

    @property
    def steps(self):
        return int(self.sentence.split()[3].rstrip(":"))

    def wait_for_step(self, step):
        said = "document.querySelector('#sentence').textContent"
        self.page.wait_for_function(f"{said}.startsWith('Step {step} ')")

    def body(self):
        """What is drawn, without what has the focus."""
        return self.page.evaluate(
            "[...document.querySelectorAll('#bar, #ways, #sentence, #strip, #stage, #side, #foot')]"
            ".map((e) => e.innerHTML).join('\\n')"
        )

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture(scope="session")
def pages(tmp_path_factory):
    """Paths of pages, each made when it is asked for."""
    import minienc
    from minienc.stepper.page import page_of
    from tests.stepper.homework import affine_backward, affine_forward
    from tests.stepper.recorded import ALL, autoencoder

    PAIR, ARRAYS = (affine_forward, affine_backward), [np.ones((5, 3)), np.ones((3, 2)), np.ones(2)]

    folder, made = tmp_path_factory.mktemp("pages"), {}

    def path(name):
        if name not in made:
            made[name] = folder / f"{name}.html"
            if name == "two":
                page = page_of(autoencoder(5, 3, 6), autoencoder(5, 3, 6, learning_rate=1.0))
            elif name == "kernel":
                page = page_of(autoencoder(5, 3, 6, kernel=True))
            elif name == "homework":
                page = minienc.step(*PAIR, *ARRAYS).html
            elif name == "small":
                page = page_of(autoencoder(5, 3, 6))
            else:
                page = page_of(ALL[name]())
            page.save(made[name])
        return made[name]

    return path


@pytest.fixture
def opened(browser, pages):
    return lambda name, address="", **options: Opened(browser, pages(name), address, **options)
