"""The player in a browser: every page, key, mode and link, as a student uses them."""

from __future__ import annotations

import html
import re

import numpy as np
import pytest

import minienc
from minienc.kernel import kernel_info
from tests.stepper import homework
from tests.stepper.recorded import ALL

NAMES = [*ALL, "two"]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", NAMES)
def test_forward_through_everything_and_back(opened, name, width):
    """Every step is drawn; the way back shows what the way there showed."""
    with opened(name, width=width) as it:
        seen = {1: it.body()}
        stride = max(1, it.steps // 40)  # each is drawn; of long ones, some are compared
        for step in range(2, it.steps + 1):
            it.press("ArrowRight")
            assert it.step == step
            if step % stride == 0:
                seen[step] = it.body()
        it.press("ArrowRight")
        assert it.step == it.steps
        for step in range(it.steps - 1, 0, -1):
            it.press("ArrowLeft")
            if step in seen:
                assert it.body() == seen[step], f"step {step}"
        assert it.step == 1 and len(set(seen.values())) == len(seen)
        assert it.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_kept_out(opened, axe, name, scheme):
    for width in (1280, 390):
        with opened(name, width=width, color_scheme=scheme, bypass_csp=True) as it:
            it.page.evaluate(axe)
            steps = sorted({1, it.steps // 3, it.steps // 2, it.steps})
            for address in [f"#step={n}" for n in steps] + ["#mode=predict", "#mode=whatif"]:
                it.page.evaluate("(hash) => { location.hash = hash; }", address)
                it.page.wait_for_timeout(30)
                found = it.page.evaluate("axe.run().then((r) => r.violations)")
                said = [(v["id"], v["nodes"][0]["html"][:200]) for v in found]
                assert not said, f"{name}, {width}, {address}: {said}"


def test_times(opened):
    """Ready in half a second, a step in 50 ms: of the digits' autoencoder, the median of each."""
    with opened("autoencoder") as it:
        ready = it.page.evaluate("performance.getEntriesByName('ready')[0].startTime")
        assert ready < 2000  # 0.2 s where nothing else runs
        took = it.page.evaluate(
            """() => {
                const took = [], right = { key: "ArrowRight", bubbles: true };
                for (let n = 0; n < 31; n++) {
                    const t = performance.now();
                    document.dispatchEvent(new KeyboardEvent("keydown", right));
                    document.body.getBoundingClientRect();
                    took.push(performance.now() - t);
                }
                return took.sort((a, b) => a - b);
            }"""
        )
        print(f"ready in {ready:.0f} ms; a step: median {took[15]:.0f} ms, worst {took[-1]:.0f} ms")
        assert took[15] < 50


def test_keys(opened):
    with opened("small") as it:
        it.press("End")
        assert it.step == it.steps
        it.press("Home", "Shift+ArrowRight")
        assert "forward, dense_2" in it.sentence
        it.press("Shift+ArrowRight")
        assert "loss" in it.sentence
        it.press("Shift+ArrowLeft", "Shift+ArrowLeft")
        assert it.step == 1
        it.press("p")
        assert it.page.is_visible("#guess")
        it.page.focus("#guess")
        it.press("ArrowRight", "p", "End")  # a field has the focus: no key is taken
        assert it.step == 1 and it.page.is_visible("#guess")
        it.page.click("button[data-key='mode walk']")
        it.press("?")
        assert "line before, line after" in it.text("dialog")
        it.press("ArrowRight")
        assert it.step == 1
        it.press("Escape")
        it.page.wait_for_selector("dialog", state="detached")
        it.page.goto(it.page.url.split("#")[0] + "#step=4")
        it.page.wait_for_function(
            "document.querySelector('#sentence').textContent.startsWith('Step 4')"
        )
        it.press("w")
        assert it.step < 4


def test_within_an_array(opened):
    with opened("small") as it:
        it.page.focus("td.chosen")
        it.press("Enter", "ArrowDown", "ArrowRight", "ArrowRight")
        assert "z[1, 2]" in it.text(".same") and it.step == 1
        assert it.page.evaluate("document.activeElement.classList.contains('chosen')")
        it.press("Escape", "ArrowRight")
        assert it.step == 2


def test_all_buttons(opened):
    """Every button of some steps is pressed; nothing breaks."""
    for name in ("small", "convolution", "lstm", "two"):
        with opened(name) as it:
            for step in {1, it.steps // 2, it.steps}:
                for mode in ("walk", "predict", "whatif"):
                    address = f"#step={step}&mode={mode}"
                    it.page.evaluate("(hash) => { location.hash = hash; }", address)
                    it.page.wait_for_timeout(20)
                    for number in range(it.page.locator("button").count()):
                        it.page.evaluate(
                            "(n) => document.querySelectorAll('button')[n]?.click()", number
                        )
                        it.page.evaluate("document.querySelector('dialog button')?.click()")
                        it.page.evaluate("(hash) => { location.hash = hash; }", address)


def test_links(opened):
    with opened("small", "#step=3&at=2,1&hide=source,verdict,title") as it:
        assert it.step == 3 and "y[2, 1]" in it.text(".same")
        hidden = [".source", ".verdict", "h1"]
        assert all(it.page.query_selector(selector) is None for selector in hidden)
        it.press("ArrowRight")
        assert "hide=source,verdict,title" in it.page.evaluate("location.hash")
        it.page.go_back()
        it.page.wait_for_function("location.hash.includes('step=3&at=2,1')")
        assert it.step == 3 and "y[2, 1]" in it.text(".same")
        it.page.click("button[data-key=link]")
        assert "#step=3&at=2,1&hide" in it.page.input_value("dialog input")


@pytest.mark.parametrize(
    "address",
    ["#step=999", "#step=-1", "#step=x&at=9,9,9", "#at=a", "#lens=1", "#mode=no&run=q&hide=,,x",
     "#edit=x:9,9=1;y=2;dense_1.W:0,0=abc&mode=whatif", "#%", "#result=7", "#mode=__proto__"],
)  # fmt: skip
def test_addresses_that_say_nothing(opened, address):
    with opened("small", address) as it:
        assert 1 <= it.step <= it.steps
        it.press("ArrowLeft", "ArrowRight")


def test_a_part_of_a_large_model(opened):
    """The page says what it has; what it has not is neither shown nor chosen."""
    with opened("in_part") as it:
        assert "of features, filters and units the first 4" in it.text("#bar")
        step = next(n for n in range(1, it.steps + 1) if _at(it, n, "forward, dense_1, line (1)"))
        assert "20 of which the page has 3 × 4" in it.text(".falk figure >> nth=-1")
        assert "60 more terms, together" in it.text(".same")
        assert "and 59 more of W" in it.text(".where")
        it.page.goto(it.page.url.split("#")[0] + f"#step={step}&at=1,9")  # which is not there
        it.page.wait_for_function("location.hash.includes('at=1,9')")
        assert "z[0, 0]" in it.text(".same")
        it.press("End")
        assert "elements" in it.text(".arrays") and "nan" not in it.text(".arrays")
        it.page.click("button[data-key='mode whatif']")
        assert "the page leaves some out" in it.text(".whatif")
        it.press("?")
        assert "The page leaves numbers out" in it.text("dialog")


def _at(it, step, said):
    it.page.evaluate("(n) => { location.hash = `#step=${n}`; }", step)
    it.wait_for_step(step)
    return said in it.sentence


@pytest.mark.skipif(not kernel_info()["serves"], reason="needs the compiled kernel")
def test_a_step_of_the_kernel(opened):
    """Each call says how far the lines agree, and of a number that is otherwise what it is."""
    said = set()
    with opened("kernel") as it:
        for _ in range(it.steps):
            ran = it.text("#ran")
            assert re.match(
                r"With the compiled kernel on, this call gave (the very bits that|"
                r"\d+ of its \d+ numbers otherwise than these lines: they agree to \d digits)",
                ran,
            )
            said.add(ran)
            it.press("ArrowRight")
        assert len(said) > 1
        assert it.page.locator("h1 + p", has_text="computed by the compiled kernel").count() == 1
        it.press("?")
        assert "differ from the compiled kernel's" in it.text("dialog")
    with opened("small") as it:
        assert it.text("#ran") == "" and not it.page.is_visible("#ran")


def test_predict(opened):
    with opened("small", "#step=1&at=1,2&mode=predict") as it:
        assert "?" in it.text("td.chosen") and it.page.query_selector(".where") is None

        def answer(text):
            it.page.fill("#guess", text)
            it.page.click("button[data-key=check]")
            return it.text(".predict [role=status]")

        it.page.click("button[data-key=reveal]")
        said = it.text(".predict [role=status]").replace("\u2212", "-")
        right = float(re.search(r"It is ([^ ]+)\.$", said)[1])
        it.page.click("button[data-key='mode walk']")
        it.press("ArrowRight", "ArrowLeft")
        it.page.goto(it.page.url.split("#")[0] + "#step=1&at=1,2&mode=predict")
        it.page.wait_for_selector("#guess")
        assert "6 is the batch" in answer(f"{6 * right:.6g}")
        assert "the sign is not" in answer(f"{-right:.6g}")
        assert "no number" in answer("x")
        assert answer(f"{right:.6g}").startswith("Right")
        assert "?" not in it.text("td.chosen")


def test_what_if(opened):
    with opened("small", "#step=3&mode=whatif") as it:
        it.page.select_option("#other-name", label="dense_1.W")
        it.page.fill("#other-at", "0, 1")
        it.press("Tab")
        number = float(it.page.input_value("#other-number").replace("\u2212", "-"))
        it.page.fill("#other-number", f"{number + 1e-4:.8f}")
        it.page.click("button[data-key=set]")
        said = it.text(".whatif").replace("\u2212", "-")
        change, gradient = map(
            float, re.search(r"changes by ([^,]+),.*said ([^ ]+)\.\n", said).groups()
        )
        assert change != 0 and gradient == pytest.approx(change, rel=2e-2)
        assert it.page.locator("td.changed").count() > 0
        assert "edit=dense_1.W" in it.page.evaluate("location.hash")
        it.press("End")
        it.page.click("button[data-key=clear]")
        assert it.page.locator("td.changed").count() == 0


def test_a_wrong_line(opened):
    with opened("wrong_affine", "#step=3") as it:
        assert "fail: dz" in it.text(".verdict")
        it.press("ArrowRight")
        assert "wrong because of line (2)" in it.text(".verdict")
        it.press("End")
        it.page.click(".verdict a >> text=first wrong line")
        it.page.wait_for_function(
            "document.querySelector('#sentence').textContent.startsWith('Step 3')"
        )


def test_homework(opened):
    """From the first page to the wrong line, which says by what it is wrong."""
    with opened("homework") as it:
        it.page.click(".verdict a >> text=first wrong line")
        assert "db = np.mean(dy, axis=0)" in it.sentence
        assert it.text(".verdict .fail").endswith(": 5 times too small")


def test_a_number_that_came_in_says_what_it_is(opened):
    """From a weight's gradient to a pixel: two clicks."""
    with opened("small") as it:
        step = next(n for n in range(1, it.steps + 1) if _at(it, n, "dense_1, line (1): dW = "))
        it.page.evaluate("(n) => { location.hash = `#step=${n}&at=1,2`; }", step)
        it.page.wait_for_function("location.hash.includes('at=1,2')")
        button = it.page.locator(".where button", has_text="x[").first
        n = re.match(r"x\[(\d), 1\] = ", button.inner_text())[1]
        button.click()
        assert re.match(rf"x\[{n}, 1\] = .* with sample {n} of the batch\.$", it.text("#told"))
        it.press("Home")
        it.page.locator(".where button", has_text="W[").first.click()
        assert "dense_1.W[" in it.text("#told") and "is a parameter" in it.text("#told")


def test_a_weight_that_is_used_twice(opened):
    """Each use shows its own part of the gradient, and the sum beside it: the same sum."""
    with opened("tied") as it:
        sums = []
        for n in range(1, it.steps + 1):
            it.wait_for_step(n)
            if "backward" in it.sentence and "line (1): dW = " in it.sentence:
                at = "0,1" if "transpose" in it.sentence else "1,0"
                it.page.evaluate("(at) => { location.hash = at; }", f"#step={n}&at={at}")
                it.page.wait_for_function("(at) => location.hash.includes(at)", arg=at)
                sums.append(it.text(".same").split("all uses of this weight together: ")[1])
            it.press("ArrowRight")
        assert len(sums) == 2 and sums[0] == sums[1]


def test_two_runs(opened):
    with opened("two", "#run=ab") as it:
        assert it.page.locator("#stage > div").count() == 2
        it.page.click("a[data-key=different]")
        it.page.wait_for_function(
            "location.hash.includes('step=') && !location.hash.includes('step=1&')"
        )
        assert "w -=" in it.sentence
        numbers = it.page.locator(".same").all_inner_texts()
        assert numbers[0] != numbers[1]
        it.page.click("button[data-key='run b']")
        assert "run=b" in it.page.evaluate("location.hash")


def right_backward(dy, cache):
    """Beside homework's own, whose db is a mean."""
    x, W = cache
    dx = dy @ W.T
    dW = x.T @ dy
    db = np.sum(dy, axis=0)
    return dx, dW, db


def test_a_pair_beside_another_of_other_names(browser, tmp_path):
    """B's lines stand beside A's though its backward is called otherwise."""
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((4, 3)), rng.standard_normal((3, 2)), rng.standard_normal(2)
    pairs = [(homework.affine_forward, f) for f in (right_backward, homework.affine_backward)]
    minienc.step(*pairs[0], *arrays, against=pairs[1]).save(tmp_path / "two.html")
    page = browser.new_page()
    page.goto(f"file://{tmp_path / 'two.html'}")
    page.click("button[data-key='run ab']")
    for _ in range(30):
        assert page.locator("text=This line was not run.").count() == 0
        page.keyboard.press("ArrowRight")
    page.close()


def test_in_a_frame_without_rights(browser, pages, tmp_path):
    """A notebook's frame, and the site's: scripts and forms, and nothing else."""
    text = html.escape(pages("small").read_text("utf-8"))
    (tmp_path / "notebook.html").write_text(
        f'<!DOCTYPE html><title>t</title><iframe title="p" sandbox="allow-scripts allow-forms" '
        f'width="1200" height="900" srcdoc="{text}"></iframe>', encoding="utf-8",
    )  # fmt: skip
    page = browser.new_page()
    said = []
    page.on("console", lambda m: said.append(m.text))
    page.on("pageerror", lambda e: said.append(str(e)))
    page.goto(f"file://{tmp_path / 'notebook.html'}")
    frame = page.frame_locator("iframe")
    frame.locator("#sentence", has_text="Step 1 of").wait_for()
    frame.locator("button[data-key='way next']").click()
    frame.locator("#sentence", has_text="Step 2 of").wait_for()
    page.keyboard.press("ArrowRight")
    frame.locator("#sentence", has_text="Step 3 of").wait_for()
    frame.locator("a[data-key='call 3']").click()
    frame.locator("#sentence", has_text="backward").wait_for()
    frame.locator("button[data-key='mode predict']").click()
    frame.locator("#guess").fill("1e9")
    frame.locator("#guess").press("Enter")  # which sends a form
    frame.locator(".predict [role=status]", has_text="too large").wait_for()
    assert said == []
    page.close()


def test_print(opened):
    with opened("small") as it:
        it.page.evaluate("dispatchEvent(new Event('beforeprint'))")
        it.page.emulate_media(media="print")
        assert it.page.locator("#print article").count() == it.steps
        assert it.page.is_visible("#print") and not it.page.is_visible("main")
        it.page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert it.page.query_selector("#print") is None


@pytest.mark.parametrize("name", ["autoencoder", "lstm", "convolution", "attention"])
def test_a_step_is_a_page_of_paper(opened, name):
    with opened(name) as it:
        pdf = it.page.pdf(format="A4")  # the pages are objects of their own, not packed
        assert len(re.findall(rb"/Type\s*/Page\b", pdf)) == min(it.steps, 200)


def test_forced_colors_and_less_motion(opened):
    with opened("small", forced_colors="active", reduced_motion="reduce") as it:
        style = "getComputedStyle(document.querySelector('td.chosen')).outlineStyle"
        assert it.page.evaluate(style) == "solid"
        moved = "getComputedStyle(document.querySelector('.tick')).transitionDuration"
        assert it.page.evaluate(moved) == "0s"
