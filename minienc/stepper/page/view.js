// The page: what is seen is what the address says, and every key and button changes the address.

import { entered } from "./arrays.js";
import { byId, h, keepingFocus, panel } from "./dom.js";
import { exact, short, typed } from "./digits.js";
import { formula, graph, source, timeline, unrolled, verdict, where } from "./panels.js";
import { diagnose } from "./predict.js";
import { refsIn, unpack } from "./record.js";
import { arraysOf, chosenOf, indexOf, keptAt, numbersOf } from "./stage.js";
import { element, firstDifference, keysOf, sentence, walkOf } from "./walk.js";
import { difference, editName, editsOf, editsText, effect, gradientOf, other } from "./whatif.js";

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
  if (state.mode === "whatif" && editName(run, value)) return void edit(value, k);
  if (!op || op.visit < 0) return void tell(`${nameOf(value)} is no line's result: it came into the step.`);
  const step = stopOf[op.visit],
    result = stops[step].results.findIndex((r) => r.value === value);
  if (result < 0) {
    // a number in the middle of a line: the line that holds it
    return void go({ step });
  }
  go({ step, result, at: indexOf(run.values[value].shape, k), lens: null });
}

const nameOf = (/** @type {number} */ value) => editName(atHand().run, value) || `value ${value}`;
const tell = (/** @type {string} */ text) => (byId("told").textContent = text);

// ------------------------------------------------------------------------------------------- draw

const edits = () => (state.mode === "whatif" && state.edit ? editsOf(atHand().run, state.edit) : []);

function draw() {
  keepingFocus(() => {
    const w = atHand(),
      setting = { walk: w, step: state.step, link, show, name: (/** @type {number} */ v) => editName(w.run, v) };
    const changed = edits().length ? other(w.run, edits()) : null;
    const seen = (/** @type {string} */ part) => !state.hide.includes(part);
    tell("");
    byId("sentence").textContent = sentence(w, state.step);
    byId("bar").replaceChildren(...(seen("title") ? [titleOf(w.run)] : []), ...(seen("modes") ? [modesOf()] : []));
    byId("ways").replaceChildren(waysOf(), ...(seen("timeline") ? timeline(setting, different) : []));
    byId("strip").replaceChildren(...(seen("graph") ? [graph(setting), unrolled(setting)].filter(Boolean) : []));
    const both = state.run === "ab" && walks.b;
    byId("stage").className = both ? "beside" : "";
    byId("stage").replaceChildren(...(both ? besides(changed) : stageOf(w, state.step, changed, "a")));
    const answers = state.mode === "predict" ? [predictPanel()] : state.mode === "whatif" ? [whatIfPanel(changed)] : [];
    const { value, k } = chosenOf({ ...state, walk: w }),
      run = changed?.run ?? w.run;
    byId("side").replaceChildren(
      ...answers,
      ...(seen("verdict") ? [panel("verdict", "Verdict", ...verdict(setting))] : []),
      ...(seen("where") && !isHidden()
        ? [panel("where", "Where from, where to", ...where({ ...setting, walk: { ...w, run } }, value, k))]
        : []),
      ...(seen("source") ? [panel("source", "Source", source(setting))] : []),
    );
    byId("foot").replaceChildren(...(seen("foot") ? footOf(w.run) : []));
  });
  const lines = /** @type {any} */ (document.querySelector(".lines")),
    here = /** @type {any} */ (lines?.querySelector("[aria-current]"));
  if (lines && here) lines.scrollLeft = here.offsetLeft - lines.offsetLeft - lines.clientWidth / 2;
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
  const keys = keysOf(walks.a),
    step = keysOf(walks.b).indexOf(keys[state.step]);
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
    .map(([key, x]) => `${key} ${x}`)
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
    h("button", { type: "button", "data-key": "link", onclick: copyLink }, "Link"),
    h("button", { type: "button", "data-key": "help", "aria-label": "help", onclick: help }, "?"),
  );
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

function predictPanel() {
  const w = atHand(),
    stop = w.stops[state.step],
    { value, name, k } = chosenOf({ ...state, walk: w }),
    { shape } = w.run.values[value];
  const known = answer.key === placeKey() ? answer : { key: "", text: "", said: "", right: false };
  const input = h("input", {
    id: "guess",
    "data-key": "guess",
    autocomplete: "off",
    inputmode: "text",
    value: known.text,
  });
  const set = (/** @type {any} */ more) => {
    answer = { ...known, ...more, key: placeKey() };
    draw();
  };
  const check = (/** @type {Event} */ e) => {
    e.preventDefault();
    set({ text: input.value, ...diagnose(w, stop, value, name, k, input.value) });
  };
  return panel(
    "predict",
    "Predict",
    h(
      "form",
      { onsubmit: check },
      h("label", { for: "guess" }, `What is ${element(name, shape, k)}? `),
      input,
      " ",
      h("button", { type: "submit", "data-key": "check" }, "Check"),
      " ",
      h(
        "button",
        {
          type: "button",
          "data-key": "reveal",
          onclick: () =>
            set({ right: true, said: `It is ${exact(w.run.values[value].data[k], w.run.values[value].dtype)}.` }),
        },
        "Show",
      ),
    ),
    h("p", { role: "status", class: known.said ? (known.right ? "pass" : "fail") : "" }, known.said),
  );
}

/** @param {any} changed */
function whatIfPanel(changed) {
  const { run } = atHand(),
    list = edits();
  const body = list.length
    ? [
        ...effect(run, list, changed, (v) => editName(run, v)),
        h(
          "button",
          { type: "button", "data-key": "undo", onclick: () => go({ edit: editsText(run, list.slice(0, -1)) }) },
          "Undo",
        ),
        " ",
        h("button", { type: "button", "data-key": "clear", onclick: () => go({ edit: "" }) }, "As it was"),
      ]
    : [
        h(
          "p",
          null,
          "Choose an element of the input or of a parameter, in an array or by its name, and type another number.",
        ),
      ];
  return panel("whatif", "What if", editForm(), ...body);
}

let edited = { value: -1, k: 0 };

/** @param {number} value @param {number} k */
function edit(value, k) {
  edited = { value, k };
  draw();
  byId("other-number")?.focus();
}

function editForm() {
  const { run } = atHand(),
    all = run.values.flatMap((a, v) => (editName(run, v) && a.dtype.startsWith("float") && a.data.length ? [v] : []));
  if (!all.length) return null;
  if (!all.includes(edited.value)) edited = edits().at(-1) ?? { value: all[0], k: 0 };
  const field = (/** @type {string} */ id, /** @type {number} */ size) =>
    h("input", { id, "data-key": id, autocomplete: "off", size });
  const at = field("other-at", 8),
    input = field("other-number", 14),
    slope = h("small", null);
  const select = h(
    "select",
    { id: "other-name", "data-key": "other-name" },
    ...all.map((v) => h("option", { value: v, selected: v === edited.value }, editName(run, v))),
  );
  const shapeOf = () => run.values[Number(select.value)].shape;
  const place = () => {
    const index = at.value.split(",").map(Number),
      shape = shapeOf();
    const fits =
      !shape.length ||
      (index.length === shape.length && index.every((i, a) => Number.isInteger(i) && i >= 0 && i < shape[a]));
    return fits ? shape.reduce((k, n, a) => k * n + index[a], 0) : -1;
  };
  const fill = (/** @type {number} */ value, /** @type {number} */ k) => {
    if (k < 0) return;
    edited = { value, k };
    const before = edits().find((e) => e.value === value && e.k === k),
      g = gradientOf(run, value, k),
      { data, dtype } = run.values[value];
    input.value = before ? exact(before.x, "float64") : exact(data[k], dtype);
    slope.textContent = Number.isNaN(g) ? "" : ` its gradient is ${short(g, 4)}`;
  };
  const begin = (/** @type {number} */ value, /** @type {number} */ k) => {
    at.value = indexOf(run.values[value].shape, k).join(", ");
    fill(value, k);
  };
  select.addEventListener("change", () => begin(Number(select.value), 0));
  at.addEventListener("change", () => fill(Number(select.value), place()));
  begin(edited.value, edited.k);
  const submit = (/** @type {Event} */ e) => {
    e.preventDefault();
    const value = Number(select.value),
      k = place(),
      x = typed(input.value);
    if (k < 0) return void tell(`The index is of ${shapeOf().length} whole numbers below ${shapeOf().join(", ")}.`);
    if (!Number.isFinite(x)) return void tell("That is no number: type one such as 0.25.");
    edited = { value, k };
    go({ edit: editsText(run, [...edits().filter((o) => o.value !== value || o.k !== k), { value, k, x }]) });
  };
  return h(
    "form",
    { class: "edit", onsubmit: submit },
    h("label", null, "array ", select),
    h("label", null, " index ", at),
    h("label", null, " becomes ", input),
    " ",
    h("button", { type: "submit", "data-key": "set" }, "Set"),
    slope,
  );
}

// ------------------------------------------------------------------------------------------- foot

/** @param {any} run */
function footOf(run) {
  const { before, after } = run.header.loss,
    parts = [];
  let said = 0,
    known = false;
  for (const step of run.steps.filter((s) => s.phase === "U" && s.after.w && s.arguments.g)) {
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

function copyLink() {
  const box = h("input", {
    readonly: true,
    "aria-label": "link to this step",
    value: location.href.replace(/#.*/, "") + addressOf(state),
  });
  openDialog(
    "Link to this step",
    h("p", null, box),
    h("p", { class: "small" }, `hide=${PARTS.join(",")} leaves parts out.`),
  );
  box.select();
  navigator.clipboard?.writeText(box.value).catch(() => undefined);
}

function help() {
  const { run } = atHand(),
    keys = [
      ["\u2190 \u2192", "line before, line after"],
      ["shift \u2190 \u2192", "function before, after"],
      ["home, end", "first, last"],
      ["enter", "into an array: arrow keys choose an element"],
      ["esc", "out again"],
      ["p", "predict, or not"],
      ["w", "where the chosen element comes from"],
      ["?", "this help"],
    ];
  openDialog(
    "Help",
    h("dl", null, ...keys.flatMap(([key, what]) => [h("dt", null, h("kbd", null, key)), h("dd", null, what)])),
    h(
      "p",
      null,
      "F forward, L loss, B backward, U update. In arrays red is above zero, blue below, and the colours are of each array by itself.",
    ),
    h(
      "p",
      null,
      `The lines were run again on what each call was given: ${run.header.differing} of ${run.header.numbers} numbers differ from the run's. The page's own computation, with which What if begins, is in float64 and differs from them by ${difference(run).toExponential(1)} of an array's largest number at most: sums in another order.`,
    ),
    h(
      "p",
      null,
      "What if computes numbers again, not decisions of Python: a branch that was taken stays taken, and what was drawn stays drawn.",
    ),
  );
}

/** @param {string} title @param {...any} kids */
function openDialog(title, ...kids) {
  const close = h("button", { type: "button", onclick: () => dialog.close() }, "Close");
  const dialog = h(
    "dialog",
    { "aria-label": title, onclose: () => dialog.remove() },
    h("h2", null, title),
    ...kids,
    close,
  );
  document.body.append(dialog);
  dialog.showModal();
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
    "?": help,
    Escape: () => (entered.key = ""),
  };
  if (!(e.key in acts)) return;
  e.preventDefault();
  acts[e.key]();
}

const PRINTED = 200;

function beforePrint() {
  const w = atHand(),
    pages = w.stops
      .slice(0, PRINTED)
      .map((_, step) =>
        h(
          "article",
          null,
          h("p", { class: "sentence" }, sentence(w, step)),
          ...stageOf(w, step, null, `print ${step}`),
        ),
      );
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
