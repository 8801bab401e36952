// The parts around the arrays: bars, graph, source, verdict, where from and where to.

import { exact, short } from "./digits.js";
import { h, mathOf } from "./dom.js";
import { isCarried } from "./places.js";
import { refsIn } from "./record.js";
import { element, label, PHASES, sentence, statement, turnName } from "./walk.js";
import { sources, targets, trace } from "./where.js";

/** @typedef {import("./walk.js").Walk} Walk @typedef {import("./walk.js").Stop} Stop */
/** What a part may do. @typedef {{walk: Walk, step: number, link: (step: number) => string,
 *   show: (value: number, k: number) => void, name: (value: number) => string}} Setting */

// --------------------------------------------------------------------------------------- timeline

const AROUND = 80; // lines before and after the one at hand

/** Two rows of links: the calls of the step, and the lines of the one at hand. @param {Setting} s */
export function timeline({ walk, step, link }, different = -1) {
  const { run, stops } = walk,
    now = stops[step],
    first = run.steps.map((_, i) => stops.findIndex((x) => x.step === i));
  const calls = run.steps.flatMap((call, i) => {
    const n = stops.filter((x) => x.step === i).length;
    if (!n) return [];
    const el = h(
      "a",
      {
        class: `tick ${call.phase}`,
        href: link(first[i]),
        "aria-current": i === now.step ? "step" : null,
        "data-key": `call ${i}`,
        title: `${PHASES[call.phase]} ${call.path || call.primitive}`,
      },
      h("b", null, call.phase),
      h("span", null, ` ${call.path || call.primitive}`),
    );
    el.style.flexGrow = String(Math.sqrt(n));
    return [h("li", null, el)];
  });
  for (const li of calls) li.style.flexGrow = li.firstChild.style.flexGrow;
  const verdicts = verdictsOf(walk);
  const lines = stops.flatMap((stop, i) => {
    if (stop.step !== now.step || Math.abs(i - step) > AROUND) return [];
    const { numbers } = run.visits[stop.visit],
      found = verdicts.get(stop.visit),
      said = sentence(walk, i);
    const mark = found === "fail" ? "\u2717" : found === "pass" ? "\u2713" : found === "grey" ? "?" : "";
    const text = (numbers.length ? `(${numbers.join()})` : "\u00b7") + mark + (i === different ? " \u2260" : "");
    return [
      h(
        "li",
        null,
        h(
          "a",
          {
            class: `tick line ${run.steps[stop.step].phase} ${found ?? ""}`,
            href: link(i),
            "aria-current": i === step ? "step" : null,
            "data-key": `line ${i}`,
            title: said,
            "aria-label": `${said}${found ? `, ${found}` : ""}`,
          },
          text,
        ),
      ),
    ];
  });
  return [
    h("ol", { class: `calls${calls.length > 14 ? " many" : ""}`, "aria-label": "calls" }, ...calls),
    h("ol", { class: "lines", "aria-label": "lines of this call" }, ...lines),
  ];
}

/** Of each visit: pass, fail, grey (because of an earlier line) or inconclusive. @param {Walk} walk */
function verdictsOf({ run }) {
  const found = new Map(),
    rank = ["pass", "inconclusive", "grey", "fail"];
  for (const v of run.header.verdicts) {
    const word = v.verdict === "fail" && v.because !== null ? "grey" : v.verdict;
    if (rank.indexOf(word) >= rank.indexOf(found.get(v.visit) ?? "pass")) found.set(v.visit, word);
  }
  return found;
}

// ------------------------------------------------------------------------------------------ graph

/** The layers, and which way numbers go. @param {Setting} s */
export function graph({ walk, step, link }) {
  const { run, stops } = walk,
    now = run.steps[stops[step].step],
    back = now.phase === "B";
  const isSeen = (/** @type {number} */ v) => v !== undefined && walk.stopOf[run.makers[v]?.visit ?? 0] <= step;
  const known = run.header.graph.length
    ? run.header.graph
    : [...new Set(run.steps.filter((s) => "FL".includes(s.phase)).map((s) => s.path || s.primitive))].map(
        (path, i) => ({ path, kind: "", inputs: [i - 1] }),
      );
  const boxes = known.map((node, i) => {
    const of = (/** @type {string} */ phases) =>
      run.steps.findIndex((s) => phases.includes(s.phase) && (s.path || s.primitive) === node.path);
    const made = refsIn(run.steps[of("FL")]?.returned)[0],
      shape = made === undefined ? [] : run.values[made].shape;
    const sent = run.steps
      .filter((s) => s.phase === "B" && (s.path || s.primitive) === node.path)
      .map((s) => refsIn(s.returned)[0])
      .find(isSeen);
    const size = sent === undefined ? "" : `\u2016dx\u2016 ${short(normOf(run.values[sent]))}`;
    const to = stops.findIndex((x) => x.step === (back && of("B") >= 0 ? of("B") : of("FL")));
    const others = node.inputs.filter((n) => n >= 0 && n !== i - 1).map((n) => known[n].path),
      begins = node.inputs.some((n) => n < 0) && i > 0 && node.kind !== "LossLayer";
    const also = [...others, ...(begins ? ["the input"] : [])];
    const arrow = h(
      "span",
      { class: "arrow" },
      h("span", { "aria-hidden": "true" }, back ? "\u2190" : "\u2192"),
      h("small", null, size),
    );
    const box = h(
      "a",
      {
        class: "box",
        href: link(Math.max(to, 0)),
        "aria-current": node.path === (now.path || now.primitive) ? "true" : null,
        "data-key": `box ${i}`,
      },
      h("b", null, node.path),
      h("small", null, shape.join(" \u00d7 ") || (made === undefined ? "" : "a number")),
      also.length ? h("small", null, `also from ${also.join(", ")}`) : null,
    );
    return h("li", null, arrow, box);
  });
  const start = refsIn(run.steps[0]?.arguments)[0];
  return h(
    "ol",
    { class: "graph", "aria-label": back ? "layers, the gradient goes backward" : "layers" },
    start === undefined
      ? null
      : h(
          "li",
          null,
          h(
            "span",
            { class: "box plain" },
            h("b", null, "input"),
            h("small", null, run.values[start].shape.join(" \u00d7 ")),
          ),
        ),
    ...boxes,
  );
}

/** @param {import("./places.js").Arr} a */
const normOf = (a) => a.norm ?? Math.sqrt(a.data.reduce((sum, x) => sum + x * x, 0));

/** A loop's turns: the steps of time. @param {Setting} s */
export function unrolled({ walk, step, link }) {
  const { run, stops } = walk,
    stop = stops[step];
  if (stop.turns < 2) return null;
  const { frame, line } = run.visits[stop.loop],
    turns = [];
  stops.forEach((other, i) => {
    if (
      other.loop < 0 ||
      turns[other.turn - 1] ||
      run.visits[other.loop].frame !== frame ||
      run.visits[other.loop].line !== line
    )
      return;
    turns[other.turn - 1] = h(
      "li",
      null,
      h(
        "a",
        {
          class: "turn",
          href: link(i),
          "aria-current": other.turn === stop.turn ? "true" : null,
          "data-key": `turn ${other.turn}`,
        },
        turnName(walk, other).replace(/ of .*/, ""),
      ),
    );
  });
  if (run.steps[stop.step].phase === "B" && /rnn|lstm|gru/.test(run.steps[stop.step].primitive)) turns.reverse();
  return h("ol", { class: "turns", "aria-label": "turns of the loop" }, ...turns.filter(Boolean));
}

// ---------------------------------------------------------------------------------------- verdict

/** What the checker found of this line. @param {Setting} s */
export function verdict({ walk, step, link }) {
  const { run, stops, stopOf } = walk,
    all = run.header.verdicts;
  const here = all.filter((v) => v.visit === stops[step].visit || stopOf[v.visit] === step);
  const wrong = all.filter((v) => v.verdict === "fail" && v.because === null);
  const parts = here.map((v) => {
    const at = v.index.length ? `${v.name}[${v.index.join(", ")}]` : v.name;
    const claim = v.name === v.of ? "what the forward calls so" : `the gradient by ${v.of}`;
    if (v.verdict === "pass") return h("p", { class: "pass" }, `\u2713 pass: ${v.name} is ${claim}`);
    if (v.verdict !== "fail")
      return h(
        "p",
        { class: "grey" },
        `? inconclusive: whether ${v.name} is ${claim} cannot be told from rounding here`,
      );
    if (v.because !== null) {
      const { numbers, line } = run.visits[v.because];
      return h(
        "p",
        { class: "grey" },
        `? wrong because of `,
        h("a", { href: link(stopOf[v.because]) }, numbers.length ? `line (${numbers.join(", ")})` : `line ${line}`),
        `: ${v.name}`,
      );
    }
    if (v.shape.length)
      return h(
        "p",
        { class: "fail" },
        `\u2717 fail: ${v.name} is of shape (${v.shape[0].join(", ")}), expected (${v.shape[1].join(", ")})`,
      );
    return h(
      "p",
      { class: "fail" },
      `\u2717 fail: ${at} is ${short(numberOf(v.yours), 5)}, expected ${short(numberOf(v.numeric), 5)} \u00b1 ${short(numberOf(v.uncertainty), 2)}${timesOf(numberOf(v.yours) / numberOf(v.numeric))}`,
    );
  });
  if (!parts.length)
    parts.push(
      h(
        "p",
        null,
        run.steps[stops[step].step].phase === "B"
          ? "This line names no gradient of its own."
          : "Lines of the backward are checked.",
      ),
    );
  const passed = all.filter((v) => v.verdict === "pass").length,
    unsure = all.filter((v) => v.verdict === "inconclusive").length;
  const first = wrong[0] && h("a", { href: link(stopOf[wrong[0].visit]) }, "go to the first wrong line");
  parts.push(
    h(
      "p",
      { class: "small" },
      all.length
        ? `${passed} of ${all.length} right${unsure ? `, ${unsure} inconclusive` : ""}${wrong.length ? `, ${wrong.length} wrong: ` : ""}`
        : "Nothing was checked.",
      first ?? "",
    ),
  );
  return parts;
}

/** What a wrong number is of the right one, where that is a factor with a name. @param {number} ratio */
function timesOf(ratio) {
  const size = Math.max(Math.abs(ratio), 1 / Math.abs(ratio)),
    whole = Math.round(size);
  if (!Number.isFinite(size) || Math.abs(size / whole - 1) > 1e-6 || whole > 1e6) return "";
  if (whole > 1)
    return `: ${whole} times too ${Math.abs(ratio) > 1 ? "large" : "small"}${ratio < 0 ? ", and of the other sign" : ""}`;
  return ratio < 0 ? ": the sign is wrong" : "";
}

/** @param {any} x a number of the header, or what JSON has none for */
const numberOf = (x) => (typeof x === "number" ? x : Number({ nan: NaN, inf: Infinity, "-inf": -Infinity }[x?.y]));

// ---------------------------------------------------------------------------- where from, where to

/** @param {Setting} s @param {number} value @param {number} k */
export function where({ walk, step, show, name }, value, k) {
  const { run, stops, stopOf } = walk,
    op = run.makers[value],
    frame = run.visits[stops[step].visit].frame;
  const button = (/** @type {number} */ v, /** @type {number} */ n, /** @type {string} */ more = "") =>
    h(
      "li",
      null,
      h(
        "button",
        {
          type: "button",
          class: "link",
          "data-key": `where ${v} ${n} ${more}`,
          title: exact(run.values[v].data[n], run.values[v].dtype),
          onclick: () => show(v, n),
        },
        `${element(label(walk, v, frame), run.values[v].shape, n)} = ${short(run.values[v].data[n])}${more}`,
      ),
    );
  const { inside } = stops[step],
    made = (/** @type {number} */ v) => inside.has(run.makers[v]?.number ?? -1);
  const begun = [...trace(run, inside, value, [k])]
    .filter(([v]) => v !== value && !made(v))
    .map(([v, at]) => ({ value: v, at: [...at] }));
  begun.sort((p, q) => Number(!run.makers[p.value]) - Number(!run.makers[q.value])); // lines to go to first
  const from = op ? through(run, made(value) ? begun : sources(run, op, k)) : [];
  const listed = from.flatMap((p) => {
    const array = run.values[p.value],
      there = p.at.filter((n) => isCarried(array, n));
    const sorted = there.sort((a, b) => Math.abs(array.data[b]) - Math.abs(array.data[a])).slice(0, 4);
    const more = p.at.length - sorted.length;
    return [
      ...sorted.map((n) => button(p.value, n)),
      more ? h("li", { class: "small" }, `and ${more} more of ${label(walk, p.value, frame)}`) : null,
    ];
  });
  const reached = forward(run, value, k).flatMap(({ op, at }) => {
    const there = at.filter((n) => isCarried(run.values[op.value], n));
    return there.length ? [{ op, at: there }] : [];
  });
  const to = reached.map(({ op: user, at }) => {
    const i = stopOf[user.visit],
      call = run.steps[stops[i]?.step];
    const place = call ? ` in ${PHASES[call.phase]} ${call.path || call.primitive}` : "";
    const f = run.visits[user.visit].frame,
      n = at[0],
      v = user.value;
    return h(
      "li",
      null,
      h(
        "button",
        { type: "button", class: "link", "data-key": `to ${v}`, onclick: () => show(v, n) },
        `${element(label(walk, v, f), run.values[v].shape, n)}${at.length > 1 ? ` and ${at.length - 1} more` : ""}${place}`,
      ),
    );
  });
  const leaf = name(value)
    ? `a parameter or the input: ${name(value)}`
    : "an input of the step, or a number that the run made between two calls";
  return [
    h("h3", null, "Where from"),
    listed.length ? h("ul", null, ...listed) : h("p", { class: "small" }, op ? "made of no other number" : leaf),
    h("h3", null, "Where to"),
    to.length
      ? h(
          "ul",
          null,
          ...to.slice(0, 8),
          to.length > 8 ? h("li", { class: "small" }, `and ${to.length - 8} more lines`) : null,
        )
      : h("p", { class: "small" }, "no line of this step takes it"),
  ];
}

/** Past operations between calls, which have no line. */
function through(run, places) {
  return places.flatMap((p) => {
    const op = run.makers[p.value];
    return op && op.visit < 0 && p.at.length
      ? through(
          run,
          p.at.slice(0, 6).flatMap((n) => sources(run, op, n)),
        )
      : [p];
  });
}

function forward(run, value, k) {
  return targets(run, value, k).flatMap((t) =>
    t.op.visit >= 0 ? [t] : t.at.slice(0, 4).flatMap((n) => forward(run, t.op.value, n)),
  );
}

/** The formula of a line, or the line itself. @param {Setting} s */
export function formula({ walk, step }) {
  const { run, stops } = walk,
    visit = run.visits[stops[step].visit];
  return visit.formula ? mathOf(visit.formula) : h("p", null, h("code", null, statement(run, stops[step].visit)));
}
