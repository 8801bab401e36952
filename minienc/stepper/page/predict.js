// What was a guess, if it was not the number: a factor, a sign, another element, a missing slope.

import { looseness, short, typed } from "./digits.js";
import { compute, ELEMENTWISE } from "./ops.js";
import { sizeOf } from "./places.js";
import { fill } from "./record.js";
import { element, label, ravel, unravel } from "./walk.js";
import { sources } from "./where.js";

/** @typedef {import("./walk.js").Walk} Walk @typedef {import("./walk.js").Stop} Stop */

/** @param {Walk} walk @param {Stop} stop @param {number} value @param {string} name @param {number} k
 * @param {string} text what was typed @returns {{right: boolean, said: string}} */
export function diagnose(walk, stop, value, name, k, text) {
  const { run } = walk,
    array = run.values[value],
    x = array.data[k],
    guess = typed(text);
  if (Number.isNaN(guess))
    return { right: false, said: "That is no number: type one such as 0.25, \u22121e\u22123 or 1/6." };
  const near = (/** @type {number} */ y) =>
    Math.abs(guess - y) <= Math.max(5e-3 * Math.abs(y), Math.min(looseness(text), 0.05 * Math.abs(y)) * 1.0001, 1e-12);
  const no = (/** @type {string} */ said) => ({ right: false, said });
  if (near(x)) return { right: true, said: `Right: ${element(name, array.shape, k)} is ${short(x, 6)}.` };
  if (guess === 0) return no("It is not zero.");
  if (x === 0) return no("It is zero: look at what it is multiplied by, or cut off by.");
  const elsewhere = otherElement(array, k, near);
  const missing = missingPart(walk, stop, value, k, near);
  if (near(-x)) return no("The number is right, the sign is not.");
  if (missing) return no(missing);
  if (elsewhere >= 0) return no(`That is ${element(name, array.shape, elsewhere)}.`);
  const factor = factorOf(walk, stop, value, guess / x);
  if (factor) return no(factor);
  if (Math.sign(guess) !== Math.sign(x)) return no(`Not that, and the sign is not right.`);
  return no(Math.abs(guess) > Math.abs(x) ? "Not that: it is too large." : "Not that: it is too small.");
}

/** Another element that is the guess, the one with its indices exchanged first. */
function otherElement(array, k, near) {
  const index = unravel(array.shape, k),
    [n, m] = array.shape.slice(-2);
  if (index.length > 1 && index[index.length - 1] < n && index[index.length - 2] < m) {
    const turned = ravel(array.shape, [...index.slice(0, -2), index[index.length - 1], index[index.length - 2]]);
    if (turned !== k && near(array.data[turned])) return turned;
  }
  const others = [...array.data.keys()].filter(
    (i) => i !== k && array.data[i] !== array.data[k] && near(array.data[i]),
  );
  return others.length && others.length < Math.max(4, array.data.length / 4) ? others[0] : -1;
}

/** A factor with a name: a size of an array of this line, or of the batch. */
function factorOf(walk, stop, value, ratio) {
  const { run } = walk,
    size = Math.abs(ratio) >= 1 ? Math.abs(ratio) : 1 / Math.abs(ratio);
  const whole = Math.round(size),
    sign = ratio < 0 ? ", and the sign is not right" : "";
  if (whole < 2 || Math.abs(size / whole - 1) > 5e-3 || whole > 1e6) return "";
  const how = `${whole} times too ${Math.abs(ratio) > 1 ? "large" : "small"}${sign}`;
  const why = sizesOf(walk, stop, value).find(([n]) => n === whole);
  return why ? `${how}: ${whole} is ${why[1]}.` : `${how}.`;
}

/** @returns {[number, string][]} */
function sizesOf(walk, stop, value) {
  const { run } = walk,
    frame = run.visits[stop.visit].frame;
  const first = run.header.values[refOf(run.steps[0]?.arguments)]?.[1] ?? [];
  /** @type {[number, string][]} */
  const found = first.length
    ? [
        [first[0], "the batch"],
        [sizeOf(first), "the batch times the numbers of a sample"],
      ]
    : [];
  const near = [...stop.inside].flatMap((n) => run.ops[n].refs),
    seen = new Set();
  for (const v of [value, ...near]) {
    const { shape } = run.values[v];
    if (seen.has(v)) continue;
    seen.add(v);
    const names =
      shape.length === 2
        ? ["rows", "columns"]
        : shape.length === 1
          ? ["elements"]
          : shape.map((_, a) => `axis ${a}'s places`);
    shape.forEach((n, a) => found.push([n, `the number of ${names[a]} of ${label(walk, v, frame)}`]));
    found.push([sizeOf(shape), `the number of all elements of ${label(walk, v, frame)}`]);
  }
  return found;
}

/** The first value that a call is given. */
const refOf = (x) => Object.values(x ?? {}).find((p) => typeof p?.v === "number")?.v;

/** What the guess would be if a part of the line, or the slope before it, were left out. */
function missingPart(walk, stop, value, k, near) {
  const { run } = walk,
    frame = run.visits[stop.visit].frame,
    name = (v) => label(walk, v, frame);
  const op = run.makers[value];
  if (!op) return "";
  const inBackward = run.steps[stop.step].phase === "B",
    isSlope = /activations|_backward/.test(run.steps[stop.step].primitive + fileOf(run, op));
  const from = sources(run, op, k);
  if (op.kind === "add" || op.kind === "subtract") {
    for (const part of from)
      if (near(run.values[part.value].data[part.at[0]]))
        return `Only ${name(part.value)} is that: the other term is missing.`;
  }
  if (op.kind === "multiply" || op.kind === "divide") {
    for (const part of from) {
      if (!near(run.values[part.value].data[part.at[0]])) continue;
      const other = from.find((p) => p !== part);
      return inBackward && isSlope && part.value === refOf(run.frames[frame].arguments)
        ? `The slope is missing: that is ${name(part.value)}.`
        : `That is ${name(part.value)} alone${other ? `: ${name(other.value)} is missing` : ": a factor is missing"}.`;
    }
  }
  if (op.kind in ELEMENTWISE && from.length === 1 && near(run.values[from[0].value].data[from[0].at[0]]))
    return `That is ${name(from[0].value)}, before ${op.kind}.`;
  if (op.kind === "matmul" || op.kind === "sum" || op.kind === "mean") {
    const terms = termsOf(run, from),
      total = terms.reduce((a, b) => a + b, 0);
    const left = terms.findIndex((t) => t !== 0 && near(total - t));
    if (left >= 0 && terms.length > 1) return `Term ${left} is missing: ${short(terms[left])}.`;
    if (op.kind === "mean" && near(total)) return `That is the sum: it is divided by ${terms.length}.`;
    if (terms.filter((t) => near(t)).length === 1 && terms.length > 1)
      return "That is one term alone: the others are to be added.";
  }
  return withoutSlope(run, op, k, near, name);
}

/** @returns {number[]} */
function termsOf(run, from) {
  const [a, b] = from.map((p) => p.at.map((i) => run.values[p.value].data[i]));
  return b ? a.map((x, i) => x * b[i]) : a;
}

/** @returns {string} of a line of which function an operation is */
const fileOf = (run, op) => (op.visit < 0 ? "" : run.sources[run.frames[run.visits[op.visit].frame].source].file);

/** The line again with what was there before a slope was multiplied in. */
function withoutSlope(run, op, k, near, name) {
  for (const v of op.refs) {
    const before = chain(run, v, 3);
    for (const u of before) {
      if (run.values[u].data.length !== run.values[v].data.length || run.values[u].dtype === "bool") continue;
      const stand = { ...run.values[u], shape: run.values[v].shape };
      const value = (w) => (w === v ? stand : run.values[w]);
      try {
        const other = compute(op.kind, fill(op.args, value), fill(op.options, value));
        if (near(other.data[k])) return `The slope is missing: that is with ${name(u)} in the place of ${name(v)}.`;
      } catch {
        continue; // these shapes do not go together
      }
    }
  }
  return "";
}

/** What a value was before it was multiplied, copied or turned. */
function chain(run, v, depth) {
  const op = run.makers[v];
  if (!op || depth < 0 || !["multiply", "copy", "reshape", "transpose", "where"].includes(op.kind)) return [];
  const own =
    op.kind === "multiply" ? op.refs.filter((u) => run.values[u].data.length === run.values[v].data.length) : [];
  return [...own, ...op.refs.flatMap((u) => chain(run, u, depth - 1))];
}
