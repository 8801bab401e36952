// The way through a run: which visits are worth a stop, what they make, and what it is called.

import { refsIn } from "./record.js";

/** @typedef {import("./record.js").Run} Run @typedef {import("./record.js").Op} Op */
/** What a line makes. @typedef {{value: number, name: string}} Result */
/** @typedef {{visit: number, step: number, results: Result[], inside: Set<number>, turn: number, turns: number, loop: number}} Stop */
/** @typedef {{run: Run, stops: Stop[], names: Map<number, string>[], stopOf: number[]}} Walk */

export const PHASES = { F: "forward", L: "loss", B: "backward", U: "update" };

/** @param {Run} run @returns {Walk} */
export function walkOf(run) {
  const inner = run.visits.map((visit) => [...visit.ops]);
  for (let v = run.visits.length - 1; v >= 0; v--) {
    const outer = run.frames[run.visits[v].frame].outer;
    if (outer >= 0) inner[outer].push(...inner[v]);
  }
  const names = namesOf(run),
    turns = turnsOf(run);
  /** @type {Stop[]} */
  const stops = [];
  const stopOf = run.visits.map(() => -1);
  run.visits.forEach((visit, v) => {
    const results = resultsOf(run, v, new Set(inner[v]));
    if (!results.length) return;
    const own = results.every(({ value }) => visit.ops.includes(run.makers[value]?.number ?? -1));
    const inside = new Set(own ? visit.ops : inner[v]); // o = sigmoid(z[...]): what sigmoid does, too
    stopOf[v] = stops.length;
    stops.push({ visit: v, step: visit.step, results, inside, ...turns(v) });
  });
  for (let v = run.visits.length - 1; v >= 0; v--) {
    // what has no stop of its own is seen from the line that called it
    for (let u = v; stopOf[v] < 0 && u >= 0; u = run.frames[run.visits[u].frame].outer) stopOf[v] = stopOf[u];
  }
  return { run, stops, names, stopOf };
}

/** @param {Run} run @param {number} v @param {Set<number>} inner @returns {Result[]} */
function resultsOf(run, v, inner) {
  const { bound, ops } = run.visits[v],
    found = [],
    seen = new Set();
  for (const [name, part] of Object.entries(bound)) {
    const direct = typeof part?.v === "number" || Array.isArray(part);
    for (const value of direct ? refsIn(part) : []) {
      const maker = run.makers[value];
      if (!maker || !inner.has(maker.number) || seen.has(value)) continue;
      seen.add(value);
      found.push({ value, name });
    }
  }
  if (!found.length && ops.length) found.push({ value: run.ops[ops[ops.length - 1]].value, name: "" });
  return found;
}

/** In each frame the values by their names; the first name stays. @param {Run} run */
function namesOf(run) {
  /** @type {Map<number, string>[]} */
  const names = run.frames.map(() => new Map());
  const put = (/** @type {Map<number, string>} */ map, /** @type {string} */ name, /** @type {any} */ x) => {
    if (typeof x?.v === "number") {
      if (!map.has(x.v)) map.set(x.v, name);
    } else if (Array.isArray(x)) x.forEach((part, i) => put(map, `${name}[${i}]`, part));
    else if (x && typeof x === "object") Object.entries(x).forEach(([key, part]) => put(map, key, part));
  };
  run.frames.forEach((frame, f) => Object.entries(frame.arguments).forEach(([name, x]) => put(names[f], name, x)));
  run.visits.forEach((visit) => {
    const bound = Object.entries(visit.bound);
    for (const [name, x] of bound) if (typeof x?.v === "number") put(names[visit.frame], name, x);
    for (const [name, x] of bound) put(names[visit.frame], name, x);
  });
  return names;
}

/** Which turn of a loop a visit belongs to. @param {Run} run */
function turnsOf(run) {
  const counts = new Map(),
    turn = run.visits.map((visit) => {
      const key = `${visit.frame} ${visit.line}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
      return counts.get(key);
    });
  return (/** @type {number} */ v) => {
    for (let u = v; u >= 0; u = run.frames[run.visits[u].frame].outer) {
      const turns = counts.get(`${run.visits[u].frame} ${run.visits[u].line}`);
      if (turns > 1) return { turn: turn[u], turns, loop: u };
    }
    return { turn: 1, turns: 1, loop: -1 };
  };
}

// ------------------------------------------------------------------------------------ what is said

const SIGNS = {
  add: " + ",
  subtract: " \u2212 ",
  multiply: " \u00b7 ",
  divide: " / ",
  matmul: " ",
  greater: " > ",
  less: " < ",
  greater_equal: " \u2265 ",
  less_equal: " \u2264 ",
  equal: " = ",
};

/** What a value is called in a frame, or how it is made. @param {Walk} walk @param {number} value
 * @param {number} frame @returns {string} */
export function label(walk, value, frame, depth = 0) {
  for (let f = frame; f >= 0;) {
    const name = walk.names[f].get(value);
    if (name) return name;
    const outer = walk.run.frames[f].outer;
    f = outer >= 0 ? walk.run.visits[outer].frame : -1;
  }
  const given = walk.run.header.parameters.find((p) => p.value === value);
  const op = walk.run.makers[value],
    home = op && op.visit >= 0 ? walk.names[walk.run.visits[op.visit].frame].get(value) : "";
  if (home) return home;
  if (given) return given.name;
  if (!op || depth > 3) return `value ${value}`;
  const parts = op.args.map((x) =>
    typeof x?.v === "number"
      ? label(walk, x.v, frame, depth + 1)
      : typeof x === "number"
        ? String(Number(x.toPrecision(4)))
        : "\u2026",
  );
  const wrap = (/** @type {string} */ s) => (/ [+\u2212>]/.test(s) ? `(${s})` : s);
  let said = `${op.kind}(${parts.join(", ")})`;
  if (op.kind === "transpose") said = `${wrap(parts[0])}\u2032`;
  else if (["reshape", "copy", "astype", "getitem"].includes(op.kind)) said = parts[0];
  else if (op.kind === "negative") said = `\u2212${wrap(parts[0])}`;
  else if (op.kind in SIGNS) said = parts.map((p) => (/add|subtract/.test(op.kind) ? p : wrap(p))).join(SIGNS[op.kind]);
  return said.length > 40 ? `${op.kind} \u2026` : said;
}

/** The statement of a visit, without its comment. @param {Run} run @param {number} v */
export function statement(run, v) {
  const { frame, line, last } = run.visits[v],
    source = run.sources[run.frames[frame].source];
  const text = source.lines.slice(line - source.first, last - source.first + 1);
  return text.map((/** @type {string} */ t) => t.replace(/\s+# .*$/, "").trim()).join(" ");
}

/** @param {Walk} walk @param {number} i */
export function sentence(walk, i) {
  const { run } = walk,
    stop = walk.stops[i],
    step = run.steps[stop.step],
    visit = run.visits[stop.visit];
  const name = run.sources[run.frames[visit.frame].source].name;
  const where = [PHASES[step.phase], step.path || step.primitive];
  if (name !== step.primitive) where.push(`in ${name}`);
  if (stop.turns > 1) where.push(turnName(walk, stop));
  if (visit.numbers.length) where.push(`line (${visit.numbers.join(", ")})`);
  const said = statement(run, stop.visit)
    .replace(/\.T\b/g, "\u2032")
    .replace(/ @ /g, " ")
    .replace(/\bxp\./g, "");
  return `Step ${i + 1} of ${walk.stops.length}: ${where.join(", ")}: ${said}`;
}

/** How far what the kernel made of a call is what its lines make. @param {Run} run @param {number} step */
export function ranSentence(run, step) {
  const { numbers, differing, digits } = run.steps[step].ran;
  if (!run.header.kernel) return "";
  if (!differing) return "With the compiled kernel on, this call gave the very bits that these lines give.";
  const which = digits
    ? `they agree to ${digits} digit${digits > 1 ? "s" : ""} of the largest`
    : "not one digit agrees";
  return `With the compiled kernel on, this call gave ${differing} of its ${numbers} numbers otherwise than these lines: ${which}.`;
}

/** @param {Walk} walk @param {Stop} stop */
export function turnName(walk, stop) {
  const step = walk.run.steps[stop.step];
  if (!/rnn|lstm|gru|recurrent/.test(step.primitive)) return `turn ${stop.turn} of ${stop.turns}`;
  return `t = ${step.phase === "B" ? stop.turns - stop.turn : stop.turn - 1}`;
}

/** What the line says of itself, for the same line of another run; in steps whose functions have other names there, by
 * its order among those that ran. @param {Walk} walk @param {Walk} other @returns {string[]} */
export function keysOf(walk, other) {
  const counts = new Map();
  return walk.stops.map(({ visit, step }) => {
    const { frame, line } = walk.run.visits[visit];
    const name = walk.run.sources[walk.run.frames[frame].source].name;
    const own = frame === walk.run.steps[step].frames[0] && outermost(walk, step) !== outermost(other, step);
    const key = own ? `${step} ${orderOf(walk, step, frame).indexOf(line)}` : `${step} ${name} ${line}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
    return `${key} ${counts.get(key)}`;
  });
}

/** The name of a step's function. @param {Walk} walk @param {number} step */
function outermost({ run }, step) {
  const frame = run.frames[run.steps[step]?.frames[0]];
  return frame && run.sources[frame.source].name;
}

/** The lines of a frame that ran, each once. @param {Walk} walk @param {number} step @param {number} frame */
function orderOf({ run, stops }, step, frame) {
  const ran = stops.filter((stop) => stop.step === step && run.visits[stop.visit].frame === frame);
  return [...new Set(ran.map((stop) => run.visits[stop.visit].line))].sort((a, b) => a - b);
}

/** The first stop at which two runs have other numbers, -1 where they agree. @param {Walk} a @param {Walk} b */
export function firstDifference(a, b) {
  const keys = keysOf(b, a);
  return keysOf(a, b).findIndex((key, i) => {
    const j = keys.indexOf(key);
    if (j < 0) return true;
    return a.stops[i].results.some(({ value }, n) => {
      const one = a.run.values[value],
        other = b.run.values[b.stops[j].results[n]?.value];
      return !other || one.data.length !== other.data.length || one.data.some((x, k) => !Object.is(x, other.data[k]));
    });
  });
}

// -------------------------------------------------------------------------------------- elements

/** @param {number[]} shape @param {number} k */
export function unravel(shape, k) {
  const index = [];
  for (let i = shape.length - 1; i >= 0; i--) {
    index.unshift(k % shape[i]);
    k = Math.floor(k / shape[i]);
  }
  return index;
}

/** @param {number[]} shape @param {number[]} index */
export const ravel = (shape, index) =>
  shape.reduce((k, n, i) => k * n + Math.min(Math.max(index[i] ?? 0, 0), n - 1), 0);

/** @param {string} name @param {number[]} shape @param {number} k */
export const element = (name, shape, k) =>
  shape.length ? `${/[ \u2032]/.test(name) ? `(${name})` : name}[${unravel(shape, k).join(", ")}]` : name;
