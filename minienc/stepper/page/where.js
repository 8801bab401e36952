// Where from, where to: which numbers made a number, and which it helped to make.

import { compute, ELEMENTWISE, MOVES, productPlan, REDUCTIONS } from "./ops.js";
import { axesOf, isArr, isCarried, lines, locate, spread } from "./places.js";
import { fill } from "./record.js";

/** @typedef {import("./record.js").Run} Run @typedef {import("./record.js").Op} Op */
/** Some places of a value. @typedef {{value: number, at: number[]}} Places */

const POINTWISE = new Set([...Object.keys(ELEMENTWISE), "clip", "astype", "invert"]);
const INDICES = new Map([
  ["getitem", [1]],
  ["setitem", [1]],
  ["take_along_axis", [1]],
]);

/** Of an operation that moves numbers: for each place of the result, the operand and its place there,
 * as one number; -1 for numbers that came from nowhere. */
const moved = new WeakMap();

/** @param {Run} run @param {Op} op @returns {{codes: Float64Array, begins: number[], refs: number[]}} */
function movesOf(run, op) {
  let found = moved.get(op);
  if (!found) {
    const begins = [],
      refs = [];
    let next = 0;
    const number = (/** @type {number} */ v) => {
      const begin = next,
        a = run.values[v];
      begins.push(begin);
      refs.push(v);
      next += a.data.length;
      return { ...a, data: a.data.map((_, k) => begin + k), dtype: "int64" };
    };
    const skipped = INDICES.get(op.kind) ?? [];
    const args = op.args.map((x, i) => {
      if (skipped.includes(i)) return fill(x, (v) => run.values[v]);
      const alone = x !== null && typeof x === "object" && !Array.isArray(x) && !isArr(x);
      return alone || Array.isArray(x) ? fill(x, number) : x;
    });
    if (op.kind === "setitem" && !hasData(args[2])) args[2] = -1;
    const options = {
      ...fill(op.options, (v) => run.values[v]),
      ...(op.kind === "pad" ? { constant_values: -1 } : {}),
    };
    found = { codes: compute(op.kind, args, options).data, begins, refs };
    moved.set(op, found);
  }
  return found;
}

/** @param {any} x */
const hasData = (x) => isArr(x) && x.dtype === "int64";

/** @param {{codes: Float64Array, begins: number[], refs: number[]}} moves @param {number} k */
function decode({ codes, begins, refs }, k) {
  let i = begins.length - 1;
  while (i > 0 && begins[i] > codes[k]) i--;
  return { value: refs[i], at: [codes[k] - begins[i]] };
}

/** The operands that are values, in order; numbers are left out. @param {Op} op @returns {number[]} */
const operands = (op) => op.args.filter((x) => typeof x?.v === "number").map((x) => x.v);

/** @param {Op} op */
const axisOf = (op) => op.args[1] ?? op.options.axis;

/** What made number ``k`` of an operation's result. @param {Run} run @param {Op} op @param {number} k
 * @returns {Places[]} */
export function sources(run, op, k) {
  const { kind } = op,
    out = run.values[op.value],
    given = operands(op);
  if (kind === "where") return chosen(run, op, k);
  if (POINTWISE.has(kind))
    return given.map((value) => ({ value, at: [placeOf(run.values[value].shape, out.shape, k)] }));
  if (kind in MOVES && kind !== "flip") {
    const moves = movesOf(run, op);
    return moves.codes[k] < 0 ? [] : [decode(moves, k)];
  }
  if (kind in REDUCTIONS) {
    const { begins, within } = lines(run.values[given[0]].shape, axesOf(axisOf(op), run.values[given[0]].shape.length));
    return [{ value: given[0], at: Array.from(within, (i) => begins[k] + i) }];
  }
  if (kind === "matmul" || kind === "dot") return factors(run, op, k);
  if (kind === "cumsum" || kind === "sort" || kind === "argsort" || kind === "flip") {
    const a = run.values[given[0]],
      { begins, within } = lines(a.shape, axesOf(axisOf(op) ?? -1, a.shape.length).slice(0, 1));
    const lane = Array.from(begins, (b) => Array.from(within, (i) => b + i)).find((l) => l.includes(k)) ?? [];
    return [{ value: given[0], at: kind === "cumsum" ? lane.slice(0, lane.indexOf(k) + 1) : lane }];
  }
  if (kind === "add.at") return added(run, op, k);
  if (/^(zeros|ones|full)_like$/.test(kind)) return [];
  return given.map((value) => ({ value, at: [...run.values[value].data.keys()] }));
}

/** The place of an operand that place ``k`` of a result comes from. @param {number[]} shape @param {number[]} out @param {number} k */
function placeOf(shape, out, k) {
  let place = 0,
    stride = 1;
  for (let axis = out.length - 1, own = shape.length - 1; own >= 0; axis--, own--) {
    if (shape[own] !== 1) place += (k % out[axis]) * stride;
    k = Math.floor(k / out[axis]);
    stride *= shape[own];
  }
  return place;
}

/** Of ``where(c, a, b)``: c, and the one that was taken. @param {Run} run @param {Op} op @param {number} k */
function chosen(run, op, k) {
  const out = run.values[op.value].shape;
  const place = (/** @type {any} */ x) => ({ value: x.v, at: [placeOf(run.values[x.v].shape, out, k)] });
  const [c, a, b] = op.args;
  if (typeof c?.v === "number" && !isCarried(run.values[c.v], place(c).at[0])) return [place(c)]; // who knows
  const yes = typeof c?.v === "number" ? run.values[c.v].data[place(c).at[0]] !== 0 : Boolean(c);
  return [c, yes ? a : b].filter((x) => typeof x?.v === "number").map(place);
}

/** A row and a column: as many places of each, in the order in which they meet. @param {Run} run @param {Op} op @param {number} k */
function factors(run, op, k) {
  const [a, b] = operands(op),
    plan = productPlan(run.values[a].shape, run.values[b].shape);
  const j = k % plan.m,
    i = Math.floor(k / plan.m) % plan.n,
    l = Math.floor(k / (plan.m * plan.n));
  const inner = Array.from({ length: plan.inner }, (_, n) => n);
  return [
    { value: a, at: inner.map((n) => (plan.rows[l] * plan.n + i) * plan.inner + n) },
    { value: b, at: inner.map((n) => (plan.columns[l] * plan.inner + n) * plan.m + j) },
  ];
}

/** @param {Run} run @param {Op} op @param {number} k */
function added(run, op, k) {
  const [total, index, part] = op.args,
    shape = run.values[total.v].shape;
  const found = [{ value: total.v, at: [k] }];
  if (typeof part?.v !== "number") return found;
  const { shape: where, at } = locate(
    shape,
    fill(index, (v) => run.values[v]),
  );
  const from = spread(run.values[part.v].shape, where);
  return [...found, { value: part.v, at: [...at.keys()].filter((n) => at[n] === k).map((n) => from[n]) }];
}

/** What number ``k`` of a value helped to make, an operation each. @param {Run} run @param {number} value
 * @param {number} k @returns {{op: Op, at: number[]}[]} */
export function targets(run, value, k) {
  return run.users[value].map((op) => ({ op, at: reached(run, op, value, k) })).filter((t) => t.at.length);
}

/** @param {Run} run @param {Op} op @param {number} value @param {number} k @returns {number[]} */
function reached(run, op, value, k) {
  const out = run.values[op.value],
    size = out.data.length;
  const which = (/** @type {(n: number) => boolean} */ wanted) => {
    const at = [];
    for (let n = 0; n < size; n++) if (wanted(n)) at.push(n);
    return at;
  };
  if (op.kind === "matmul") {
    const [a, b] = operands(op),
      plan = productPlan(run.values[a].shape, run.values[b].shape);
    return which((n) => {
      const j = n % plan.m,
        i = Math.floor(n / plan.m) % plan.n,
        l = Math.floor(n / (plan.m * plan.n));
      return (
        (value === a && Math.floor(k / plan.inner) === plan.rows[l] * plan.n + i) ||
        (value === b && k % plan.m === j && Math.floor(k / (plan.m * plan.inner)) === plan.columns[l])
      );
    });
  }
  if (POINTWISE.has(op.kind) && op.kind !== "where") {
    if (run.values[value].data.length === size) return [k];
    const from = spread(run.values[value].shape, out.shape);
    return which((n) => from[n] === k);
  }
  if (op.kind in MOVES && op.kind !== "flip") {
    const moves = movesOf(run, op);
    const codes = moves.refs.flatMap((v, i) => (v === value ? [moves.begins[i] + k] : []));
    return which((n) => codes.includes(moves.codes[n]));
  }
  return which((n) => sources(run, op, n).some((s) => s.value === value && s.at.includes(k)));
}

const ENOUGH = 20000;

/** What made a number by way of some operations: the places of everything on the way, and of what
 * it began with. @param {Run} run @param {Set<number>} inside numbers of operations
 * @param {number} value @param {number[]} at @returns {Map<number, Set<number>>} */
export function trace(run, inside, value, at) {
  const found = new Map([[value, new Set(at)]]),
    queue = at.map((k) => [value, k]);
  for (let n = 0; n < queue.length && n < ENOUGH; n++) {
    const op = run.makers[queue[n][0]];
    if (!op || !inside.has(op.number)) continue;
    for (const part of sources(run, op, queue[n][1])) {
      const seen = found.get(part.value) ?? new Set();
      found.set(part.value, seen);
      for (const k of part.at) {
        if (!seen.has(k)) queue.push([part.value, k]);
        seen.add(k);
      }
    }
  }
  return found;
}
