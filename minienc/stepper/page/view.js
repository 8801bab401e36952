// The page: what is seen is what the address says, and every key and button changes the address.

import { edited, predictPanel, whatIfPanel } from "./answers.js";
import { entered } from "./arrays.js";
import { helpDialog, linkDialog } from "./dialogs.js";
import { short } from "./digits.js";
import { byId, h, keepingFocus, panel } from "./dom.js";
import { formula, graph, timeline, unrolled, verdict, where } from "./panels.js";
import { isCarried } from "./places.js";
import { isInPart, refsIn, unpack } from "./record.js";
import { source } from "./source.js";
import { arraysOf, chosenOf, indexOf, keptAt, numbersOf } from "./stage.js";
import { element, firstDifference, keysOf, ranSentence, sentence, walkOf } from "./walk.js";
import { editName, editsOf, editsText, other } from "./whatif.js";

const PARTS = [
  "title",
  "modes",
  "timeline",
  "graph",
  "formula",
  "numbers",
  "arrays",
  "source",
  "verdict",
  "where",
  "foot",
];
const MODES = { walk: "Walk", predict: "Predict", whatif: "What if" };

/** @type {Object<string, import("./walk.js").Walk>} */
const walks = {};
/** What the address says.
 * @type {{run: string, step: number, at: number[]|null, result: number, lens: number[]|null, mode: string, hide: string[], edit: string}} */
let state = { run: "a", step: 0, at: null, result: 0, lens: null, mode: "walk", hide: [], edit: "" };
/** What was answered at this place: it is forgotten at the next. */
let answer = { key: "", text: "", said: "", right: false };
let different = -1;
let written = "";

// ---------------------------------------------------------------------------------------- address

/** @param {any} s */
function addressOf(s) {
  const parts = [];
  if (walks.b) parts.push(`run=${s.run}`);
  parts.push(`step=${s.step + 1}`);
  if (s.at?.length) parts.push(`at=${s.at.join(",")}`);
  if (s.result) parts.push(`result=${s.result}`);
  if (s.lens) parts.push(`lens=${s.lens.join(",")}`);
  if (s.mode !== "walk") parts.push(`mode=${s.mode}`);
  if (s.hide.length) parts.push(`hide=${s.hide.join(",")}`);
  if (s.edit) parts.push(`edit=${s.edit.replace(/[%&#+\s]/g, encodeURIComponent)}`);
  return `#${parts.join("&")}`;
}

/** @param {string} hash */
function stateOf(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, "").replace(/\+/g, "%2B"));
  const get = (/** @type {string} */ key) => said.get(key) ?? "";
  const list = (/** @type {string} */ key) => {
    const numbers = get(key).split(",").map(Number);
    return get(key) && numbers.every((n) => Number.isInteger(n) && n >= 0) ? numbers : null;
  };
  const run = ["a", "b", "ab"].includes(get("run")) && walks.b ? get("run") : "a";
  const last = walks[run === "b" ? "b" : "a"].stops.length - 1;
  const step = Math.min(Math.max(Math.trunc(Number(said.get("step")) || 1) - 1, 0), last);
  return {
    run,
    step,
    at: list("at"),
    result: list("result")?.[0] ?? 0,
    lens: list("lens")?.length === 2 ? list("lens") : null,
    mode: Object.keys(MODES).includes(get("mode")) ? get("mode") : "walk",
    hide: get("hide")
      .split(",")
      .filter((part) => PARTS.includes(part)),
    edit: get("edit"),
  };
}

/** @param {Object<string, any>} changes */
function go(changes) {
  const next = { ...state, ...changes };
  if ("step" in changes) {
    next.step = Math.min(Math.max(next.step, 0), atHand().stops.length - 1);
    if (!("at" in changes)) Object.assign(next, { at: null, lens: null, result: 0 });
  }
  state = next;
  written = addressOf(state);
  draw();
  if (location.hash !== written) location.hash = written;
}

const atHand = () => walks[state.run === "b" ? "b" : "a"];
const link = (/** @type {number} */ step) =>
  location.href.replace(/#.*/, "") + addressOf({ ...state, step, at: null, lens: null, result: 0 });

/** To the line that made a value, or where it is an input, to nothing but its number. @param {number} value @param {number} k */
function show(value, k) {
  const { run, stops, stopOf } = atHand(),
    op = run.makers[value];
  if (!isCarried(run.values[value], k))
    return void tell("This number is left out of the page: the model is too large.");
  if (state.mode === "whatif" && editName(run, value) && !isInPart(run)) return void edit(value, k);
  if (!op || op.visit < 0) return void tell(cameIn(value, k));
  const step = stopOf[op.visit],
    result = stops[step].results.findIndex((r) => r.value === value);
  if (result < 0) {
    // a number in the middle of a line: the line that holds it
    return void go({ step });
  }
  go({ step, result, at: indexOf(run.values[value].shape, k), lens: null });
}

/** Of a number that no line made: what it is. @param {number} value @param {number} k */
function cameIn(value, k) {
  const { run } = atHand(),
    { shape, data } = run.values[value];
  const said = `${element(editName(run, value) || `value ${value}`, shape, k)} = ${short(data[k])}`;
  if (run.header.parameters.some((p) => p.value === value)) return `${said} is a parameter: it came into the step.`;
  const isBatch = shape.length > 1 && refsIn(run.steps[0].arguments)[0] === value;
  return `${said} came into the step${isBatch ? ` with sample ${indexOf(shape, k)[0]} of the batch` : ": no line made it"}.`;
}

const tell = (/** @type {string} */ text) => (byId("told").textContent = text);

// ------------------------------------------------------------------------------------------- draw

const edits = () =>
  state.mode === "whatif" && state.edit && !isInPart(atHand().run) ? editsOf(atHand().run, state.edit) : [];

function draw() {
  keepingFocus(() => {
    const w = atHand(),
      setting = { walk: w, step: state.step, link, show, name: (/** @type {number} */ v) => editName(w.run, v) };
    const changed = edits().length ? other(w.run, edits()) : null;
    const seen = (/** @type {string} */ part) => !state.hide.includes(part);
    tell("");
    byId("sentence").textContent = sentence(w, state.step);
    byId("ran").textContent = ranSentence(w.run, w.stops[state.step].step);
    byId("bar").replaceChildren(...(seen("title") ? [titleOf(w.run)] : []), ...(seen("modes") ? [modesOf()] : []));
    byId("ways").replaceChildren(waysOf(), ...(seen("timeline") ? timeline(setting, different) : []));
    byId("strip").replaceChildren(...(seen("graph") ? [graph(setting), unrolled(setting)].filter(Boolean) : []));
    const both = state.run === "ab" && walks.b;
    byId("stage").className = both ? "beside" : "";
    byId("stage").replaceChildren(...(both ? besides(changed) : stageOf(w, state.step, changed, "a")));
    const { value, k } = chosenOf({ ...state, walk: w }),
      run = changed?.run ?? w.run;
    const answers =
      state.mode === "predict" && run.values[value].data.length
        ? [predictForm()]
        : state.mode === "whatif"
          ? [whatIfForm(changed)]
          : [];
    byId("side").replaceChildren(
      ...answers,
      ...(seen("verdict") ? [panel("verdict", "Verdict", ...verdict(setting))] : []),
      ...(seen("where") && !isHidden() && run.values[value].data.length
        ? [panel("where", "Where from, where to", ...where({ ...setting, walk: { ...w, run } }, value, k))]
        : []),
      ...(seen("source") ? [panel("source", "Source", source(setting))] : []),
    );
    byId("foot").replaceChildren(...(seen("foot") ? footOf(w.run) : []));
  });
  for (const strip of [document.querySelector(".lines"), byId("strip")]) {
    const here = /** @type {any} */ (strip?.querySelector("[aria-current]"));
    if (here) strip.scrollLeft = here.offsetLeft - strip.offsetLeft - strip.clientWidth / 2;
  }
}

const placeKey = () => `${state.run} ${state.step} ${state.result} ${state.at}`;
const isHidden = () => state.mode === "predict" && !(answer.key === placeKey() && answer.right);

/** @param {import("./walk.js").Walk} w @param {number} step @param {any} changed @param {string} key */
function stageOf(w, step, changed, key) {
  const seen = (/** @type {string} */ part) => !state.hide.includes(part),
    shape = w.run.values[chosenOf({ ...state, walk: w, step }).value].shape;
  const s = {
    walk: w,
    step,
    result: state.result,
    at: keptAt(shape, state.at),
    lens: state.lens,
    changed,
    hidden: isHidden(),
    key,
    show,
    width: byId("stage").clientWidth / (state.run === "ab" ? 2 : 1) || 600,
    choose: (/** @type {number} */ k) => choose(w, step, k),
    look: (/** @type {number[]} */ lens) => go({ lens }),
    pick: (/** @type {number} */ result) => go({ result, at: null, lens: null }),
  };
  return [
    seen("formula") ? panel("formula", "Formula", formula({ walk: w, step, link, show, name: () => "" })) : null,
    seen("numbers") ? panel("same", "The same with numbers", numbersOf(s)) : null,
    seen("arrays") ? panel("arrays", "Arrays", ...arraysOf(s)) : null,
  ].filter(Boolean);
}

/** @param {import("./walk.js").Walk} w @param {number} step @param {number} k */
function choose(w, step, k) {
  const { value } = chosenOf({ ...state, walk: w, step });
  const at = indexOf(w.run.values[value].shape, k),
    outside = state.lens && at.length > 1;
  go({ at, lens: outside ? null : state.lens });
}

/** Both runs: the same line of each. @param {any} changed */
function besides(changed) {
  const keys = keysOf(walks.a, walks.b),
    step = keysOf(walks.b, walks.a).indexOf(keys[state.step]);
  const head = (/** @type {string} */ text) => h("h2", { class: "which" }, text);
  const b = step < 0 ? [h("p", null, "This line was not run.")] : stageOf(walks.b, step, null, "b");
  return [
    h("div", null, head(`A: ${walks.a.run.header.title}`), ...stageOf(walks.a, state.step, changed, "a")),
    h("div", null, head(`B: ${walks.b.run.header.title}`), ...b),
  ];
}

/** @param {any} run */
function titleOf(run) {
  const about = Object.entries(run.header.about)
    .filter(([key]) => key !== "command")
    .map(([key, x]) => (key === "shown" ? `shown: ${x}` : `${key} ${x}`))
    .join(", ");
  return h("div", null, h("h1", null, run.header.title || "A training step"), h("p", { class: "small" }, about));
}

function modesOf() {
  const button = (
    /** @type {string} */ key,
    /** @type {string} */ text,
    /** @type {boolean} */ on,
    /** @type {() => void} */ act,
  ) => h("button", { type: "button", "aria-pressed": String(on), "data-key": key, onclick: act }, text);
  const runs = walks.b
    ? [
        h(
          "span",
          { role: "group", "aria-label": "runs" },
          ...[
            ["a", "A"],
            ["b", "B"],
            ["ab", "A beside B"],
          ].map(([run, text]) =>
            button(`run ${run}`, text, state.run === run, () =>
              go({ run, step: Math.min(state.step, walks[run === "b" ? "b" : "a"].stops.length - 1) }),
            ),
          ),
        ),
        different < 0
          ? h("span", { class: "small" }, "the same numbers in both")
          : h("a", { class: "small", "data-key": "different", href: link(different) }, "first difference"),
      ]
    : [];
  const modes = Object.entries(MODES).map(([mode, text]) =>
    button(`mode ${mode}`, text, state.mode === mode, () => go({ mode })),
  );
  return h(
    "div",
    { class: "modes" },
    ...runs,
    h("span", { role: "group", "aria-label": "modes" }, ...modes),
    ...linkButton(),
    h(
      "button",
      { type: "button", "data-key": "help", "aria-label": "help", onclick: () => helpDialog(atHand().run) },
      "?",
    ),
  );
}

// Within another page's frame it has no address of its own.
function linkButton() {
  if (location.protocol === "about:") return [];
  const onclick = () => linkDialog(location.href.replace(/#.*/, "") + addressOf(state), PARTS);
  return [h("button", { type: "button", "data-key": "link", onclick }, "Link")];
}

function waysOf() {
  const last = atHand().stops.length - 1;
  const way = (
    /** @type {string} */ name,
    /** @type {string} */ text,
    /** @type {number} */ step,
    /** @type {boolean} */ off,
  ) =>
    h(
      "button",
      { type: "button", "data-key": `way ${name}`, "aria-disabled": off ? "true" : null, onclick: () => go({ step }) },
      text,
    );
  return h(
    "div",
    { class: "ways", role: "group", "aria-label": "steps" },
    way("first", "first", 0, state.step === 0),
    way("previous", "previous", state.step - 1, state.step === 0),
    way("next", "next", state.step + 1, state.step === last),
    way("last", "last", last, state.step === last),
  );
}

// ------------------------------------------------------------------------------ predict and what if

function predictForm() {
  const known = answer.key === placeKey() ? answer : { key: "", text: "", said: "", right: false };
  return predictPanel(atHand(), state, known, (given) => {
    answer = { ...given, key: placeKey() };
    draw();
  });
}

/** @param {any} changed */
function whatIfForm(changed) {
  if (isInPart(atHand().run))
    return panel(
      "whatif",
      "What if",
      h("p", null, "This needs every number, and the page leaves some out: record a smaller model."),
    );
  const edit = (/** @type {import("./whatif.js").Edit[]} */ list) => go({ edit: editsText(atHand().run, list) });
  return whatIfPanel({ walk: atHand(), edits: edits(), changed, edit, tell });
}

/** @param {number} value @param {number} k */
function edit(value, k) {
  Object.assign(edited, { value, k });
  draw();
  byId("other-number")?.focus();
}

// ------------------------------------------------------------------------------------------- foot

/** @param {any} run */
function footOf(run) {
  const { before, after } = run.header.loss,
    parts = [];
  let said = run.header.loss.said ?? 0,
    known = "said" in run.header.loss;
  for (const step of known ? [] : run.steps.filter((s) => s.phase === "U" && s.after.w && s.arguments.g)) {
    const [w, g, to] = [step.arguments.w, step.arguments.g, step.after.w].map((x) => run.values[refsIn(x)[0]]?.data);
    if (!w || !g || !to) continue;
    known = true;
    g.forEach((x, i) => (said += x * (to[i] - w[i])));
  }
  if (before !== undefined) parts.push(`loss ${short(before, 6)}`);
  if (after !== undefined) parts.push(` \u2192 ${short(after, 6)} after the update: ${short(after - before, 3)}`);
  if (known && after !== undefined) parts.push(`; the gradient said ${short(said, 3)}`);
  return [h("p", null, ...parts), run.header.about.command ? h("pre", null, run.header.about.command) : null].filter(
    Boolean,
  );
}

// -------------------------------------------------------------------------------------- keys, print

/** @param {KeyboardEvent} e */
function onKey(e) {
  const target = /** @type {any} */ (e.target);
  if (
    e.defaultPrevented ||
    e.ctrlKey ||
    e.metaKey ||
    e.altKey ||
    /INPUT|SELECT|TEXTAREA/.test(target?.tagName ?? "") ||
    document.querySelector("dialog[open]")
  )
    return;
  const { stops } = atHand(),
    step = stops[state.step].step;
  const call = (/** @type {boolean} */ back) =>
    back
      ? stops.findIndex((s) => s.step === stops[stops.findLastIndex((x) => x.step < step)]?.step)
      : stops.findIndex((s) => s.step > step);
  /** @type {Object<string, () => void>} */
  const acts = {
    ArrowLeft: () => go({ step: e.shiftKey ? Math.max(call(true), 0) : state.step - 1 }),
    ArrowRight: () => go({ step: e.shiftKey ? (call(false) < 0 ? stops.length - 1 : call(false)) : state.step + 1 }),
    Home: () => go({ step: 0 }),
    End: () => go({ step: stops.length - 1 }),
    p: () => go({ mode: state.mode === "predict" ? "walk" : "predict" }),
    w: () => /** @type {any} */ (document.querySelector(".where button"))?.click(),
    "?": () => helpDialog(atHand().run),
    Escape: () => (entered.key = ""),
  };
  if (!(e.key in acts)) return;
  e.preventDefault();
  acts[e.key]();
}

const PRINTED = 200, // steps
  MANY_ROWS = 38; // rows of arrays: with more, a page of paper is printed smaller

function beforePrint() {
  const w = atHand(),
    pages = w.stops
      .slice(0, PRINTED)
      .map((_, step) =>
        h(
          "article",
          null,
          h("p", { class: "sentence" }, sentence(w, step)),
          h("p", { class: "small" }, ranSentence(w.run, w.stops[step].step)),
          ...stageOf(w, step, null, `print ${step}`),
          w.run.steps[w.stops[step].step].phase === "B"
            ? panel("verdict", "Verdict", ...verdict({ walk: w, step, link, show, name: () => "" }).slice(0, -1))
            : null,
        ),
      );
  for (const page of pages) page.classList.toggle("long", page.querySelectorAll("tr").length > MANY_ROWS);
  document.body.append(
    h(
      "div",
      { id: "print" },
      ...pages,
      w.stops.length > PRINTED ? h("p", null, `and ${w.stops.length - PRINTED} more steps`) : null,
    ),
  );
}

async function start() {
  for (const key of ["a", "b"])
    if (byId(`run-${key}`)) walks[key] = walkOf(await unpack(byId(`run-${key}`).textContent));
  if (walks.b) different = firstDifference(walks.a, walks.b);
  state = stateOf(location.hash);
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", () => {
    if (location.hash === written) return;
    state = stateOf(location.hash);
    written = location.hash;
    draw();
  });
  document.addEventListener("click", (e) => {
    // in a notebook's frame the address of a link is not that of the page: it is read here
    const address = /** @type {any} */ (e.target)?.closest?.("a")?.getAttribute("href")?.split("#")[1];
    if (!address || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    e.preventDefault();
    go(stateOf(address));
  });
  let timer = 0;
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(draw, 100);
  });
  addEventListener("beforeprint", beforePrint);
  addEventListener("afterprint", () => byId("print")?.remove());
  draw();
  document.documentElement.dataset.ready = "yes";
  performance.mark("ready");
}

try {
  await start();
} catch (error) {
  byId("sentence").textContent = `This page cannot be read: ${/** @type {Error} */ (error).message}`;
}
