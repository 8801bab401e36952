"""The site in a browser, from its folder, as a reader has it: where ``make docs`` has built one."""

from __future__ import annotations

from pathlib import Path

import pytest

SITE = Path(__file__).parents[2] / "docs" / "_build" / "html"
PAGES = [
    "index.html",
    "start.html",
    "gradients.html",
    "player.html",
    "figures.html",
    "speed.html",
    "rooms.html",
    "commands.html",
    "api/index.html",
    "api/functions.dense.html",
    "api/layers.recurrent.html",
    "tutorials/index.html",
]
TUTORIALS = sorted(p.relative_to(SITE).as_posix() for p in SITE.glob("tutorials/[0-9]*.html"))

pytestmark = pytest.mark.skipif(not SITE.is_dir(), reason="needs the site: make docs")


WIDTHS, SCHEMES = [1280, 390], ["light", "dark"]


@pytest.fixture(params=WIDTHS)
def width(request):
    return request.param


@pytest.fixture(params=SCHEMES)
def scheme(request):
    return request.param


@pytest.fixture
def page(browser, scheme, width):
    """A page, and what it asked for and said; afterwards neither may be to anybody's harm."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True
    )
    page = context.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on(
        "console",
        lambda message: said.append(message.text) if message.type in ("error", "warning") else None,
    )
    yield page
    context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []


@pytest.mark.parametrize("name", PAGES)
def test_pages(page, axe, width, scheme, name):
    look_at(page, axe, width, scheme, name)


@pytest.mark.parametrize(
    ("width", "scheme"), list(zip(WIDTHS, SCHEMES, strict=True)), indirect=True
)
@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorials(page, axe, width, scheme, name):
    look_at(page, axe, width, scheme, name)


def look_at(page, axe, width, scheme, name):
    # not until all is loaded: a player in a frame may take its time where the machine is busy
    page.goto(f"file://{SITE / name}", wait_until="domcontentloaded")
    page.wait_for_selector("main h1")
    page.wait_for_function("document.querySelector('html').dataset.theme")
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate(axe)
    # what is within a frame is the player's, which has tests of its own
    found = page.evaluate(
        "axe.run(document, {iframes: false, preload: false}).then((r) => r.violations)"
    )
    assert [(v["id"], v["nodes"][0]["html"][:200], len(v["nodes"])) for v in found] == []


def test_the_front_page_is_one_screen(page, width):
    page.goto(f"file://{SITE / 'index.html'}")
    ends = page.evaluate("document.querySelector('div.landing').getBoundingClientRect().bottom")
    assert width < 1280 or ends <= 900


def test_what_comes_out_waits_for_the_answer(page):
    page.goto(f"file://{SITE / 'tutorials/01_one_neuron.html'}", wait_until="domcontentloaded")
    out = page.locator(".sphx-glr-script-out", has_text="change of the loss")
    out.wait_for(state="hidden")
    assert page.locator(".sphx-glr-script-out", has_text="by differences").is_visible()
    page.locator("summary", has_text="Answer").first.click()
    out.wait_for(state="visible")
    page.locator("summary", has_text="Answer").first.click()  # and stays there
    assert out.is_visible()
    assert page.locator("details.result").nth(1).get_attribute("open") is None


def test_search_finds_without_a_server(page):
    page.goto(f"file://{SITE / 'search.html'}?q=dense_backward")
    found = page.locator("#search-results a", has_text="dense_backward").first
    found.wait_for()
    found.click()
    page.wait_for_url("**/api/functions.dense.html*")


def test_formulas_and_drawings_are_there(page):
    page.goto(f"file://{SITE / 'rooms.html'}")
    assert page.locator("svg.rooms rect").count() >= 15
    box = page.locator("svg.rooms").bounding_box()
    assert box["width"] > 200 and box["height"] > 300
