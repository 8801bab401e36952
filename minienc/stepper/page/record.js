// What the page carries: a header in JSON, and numbers; minienc/stepper/payload.py has the format.

import { compute, isKnown } from "./ops.js";
import { ELLIPSIS, isArr, laneOf, sizeOf, stridesOf } from "./places.js";

/** @typedef {import("./places.js").Arr} Arr */
/** A value among an operation's arguments. @typedef {{v: number}} Ref */
/** @typedef {{kind: string, args: any[], options: Object<string, any>, value: number, visit: number, refs: number[], number: number}} Op */
/** @typedef {{frame: number, line: number, last: number, numbers: number[], bound: Object<string, any>, ops: number[], formula: string, step: number}} Visit */
/** @typedef {{source: number, outer: number, arguments: Object<string, any>, returned: any}} Frame */
/** @typedef {{phase: string, primitive: string, path: string, time: number|null, arguments: Object<string, any>, returned: any, after: Object<string, any>, frames: number[], visits: number[],
 *   ran: {numbers: number, differing: number, digits: number, pairs: [number, number][]}}} Step */
/** @typedef {{header: any, values: Arr[], ops: Op[], makers: (Op|undefined)[], users: Op[][], visits: Visit[], frames: Frame[], steps: Step[], sources: any[]}} Run */

/** @param {string} text base64 of a header's length, the header and the numbers, deflated */
export async function unpack(text) {
  const packed = Uint8Array.from(atob(text.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  const bytes = await new Response(stream).arrayBuffer();
  const length = new DataView(bytes).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
  return openRun(header, bytes.slice(4 + length));
}

/** What JSON says of Python's things, as things of the page. @param {any} x @returns {any} */
export function plain(x) {
  if (Array.isArray(x)) return x.map(plain);
  if (x === null || typeof x !== "object") return x;
  if ("v" in x) return x;
  if ("s" in x) return { start: x.s[0], stop: x.s[1], step: x.s[2] };
  if ("e" in x) return ELLIPSIS;
  if ("y" in x) return x.y === "nan" ? NaN : x.y === "inf" ? Infinity : -Infinity;
  if ("a" in x) return { data: Float64Array.from(x.a, Number), shape: x.h, dtype: x.d };
  if ("d" in x) return x.d;
  if ("x" in x) return x.x;
  return named(x.f ?? x.m);
}

/** What names stand for. @param {Object<string, any>} x @returns {Object<string, any>} */
const named = (x) => Object.fromEntries(Object.entries(x).map(([k, part]) => [k, plain(part)]));

/** The values that are referred to. @param {any} x @returns {number[]} */
export function refsIn(x) {
  if (x === null || typeof x !== "object" || isArr(x)) return [];
  if (typeof x.v === "number") return [x.v];
  return (Array.isArray(x) ? x : Object.values(x)).flatMap(refsIn);
}

/** Arrays in the place of references. @param {any} x @param {(v: number) => any} value @returns {any} */
export function fill(x, value) {
  if (x === null || typeof x !== "object" || isArr(x)) return x;
  if (typeof x.v === "number") return value(x.v);
  if (Array.isArray(x)) return x.map((part) => fill(part, value));
  return Object.fromEntries(Object.entries(x).map(([k, part]) => [k, fill(part, value)]));
}

/** @type {Object<string, any>} */
const READERS = {
  float32: Float32Array,
  float64: Float64Array,
  bool: Uint8Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
};

/** @param {any} header @param {ArrayBuffer} numbers @returns {Run} */
export function openRun(header, numbers) {
  const ops = header.ops.map(
    (/** @type {any[]} */ [kind, args, options, value, visit], /** @type {number} */ number) => {
      const op = { kind, args: plain(args), options: named(options), value, visit, number };
      return { ...op, refs: [...new Set([...refsIn(op.args), ...refsIn(op.options)])] };
    },
  );
  const makers = [],
    users = header.values.map(() => []);
  for (const op of ops) {
    makers[op.value] = op;
    for (const v of op.refs) users[v].push(op);
  }
  /** @type {Arr[]} */
  const values = header.values.map(([dtype, shape, offset, part, norm]) => {
    if (offset < 0) return undefined; // the page makes it
    const Reader = READERS[dtype];
    if (!Reader) throw new Error(`the page does not read ${dtype}`);
    if (part !== undefined) return inPart(shape, dtype, header.parts[part], plain(norm), Reader, numbers, offset);
    return { shape, data: Float64Array.from(new Reader(numbers, offset, sizeOf(shape)), Number), dtype };
  });
  for (const op of ops) {
    values[op.value] ??= compute(
      op.kind,
      fill(op.args, (v) => values[v]),
      fill(op.options, (v) => values[v]),
      header.values[op.value][0],
    );
  }
  const visits = header.visits.map((visit) => ({
    ...visit,
    bound: named(visit.bound),
    formula: header.formulas[visit.formula],
    step: -1,
  }));
  const steps = header.steps.map((step) => ({
    ...step,
    arguments: named(step.arguments),
    returned: plain(step.returned),
    after: named(step.after),
  }));
  steps.forEach((step, i) => {
    for (let v = step.visits[0]; v < step.visits[1]; v++) visits[v].step = i;
  });
  const frames = header.frames.map((f) => ({ ...f, arguments: named(f.arguments), returned: plain(f.returned) }));
  return { header, values, ops, makers, users, visits, frames, steps, sources: header.sources };
}

/** An array of which a part is carried. @param {number[]} shape @param {string} dtype
 * @param {(number|number[][]|null)[]} part of each axis: so many, from where how many, or all
 * @param {number} norm @param {any} Reader @param {ArrayBuffer} numbers @param {number} offset @returns {Arr} */
function inPart(shape, dtype, part, norm, Reader, numbers, offset) {
  const lanes = part.map((lane) =>
    Array.isArray(lane)
      ? lane.flatMap(([from, n]) => Array.from({ length: n }, (_, i) => from + i))
      : lane === null
        ? null
        : Array.from({ length: lane }, (_, i) => i),
  );
  const a = { shape, data: new Float64Array(sizeOf(shape)).fill(NaN), dtype, lanes, norm },
    strides = stridesOf(shape);
  const places = shape.reduce(
    (/** @type {number[]} */ at, _, axis) => at.flatMap((k) => laneOf(a, axis).map((i) => k + i * strides[axis])),
    [0],
  );
  new Reader(numbers, offset, places.length).forEach((x, i) => (a.data[places[i]] = Number(x)));
  return a;
}

/** Whether anything was left out of it. @param {Run} run */
export const isInPart = (run) => run.header.parts.length > 0;

// --------------------------------------------------------------------------------- run once more

/** All values in float64, from those that nothing made. @param {Run} run @returns {Arr[]} */
export function twin(run) {
  const values = run.values.map((a) => (a.dtype === "float32" ? { ...a, dtype: "float64" } : a));
  for (const op of run.ops) if (isKnown(op.kind)) values[op.value] = redo(op, (v) => values[v], values[op.value].dtype);
  return values;
}

/** @param {Op} op @param {(v: number) => Arr} value @param {string} dtype */
const redo = (op, value, dtype) => compute(op.kind, fill(op.args, value), fill(op.options, value), dtype);

/** What is different where some values are. @param {Run} run @param {Arr[]} base
 * @param {Map<number, Arr>} altered @param {(op: Op) => boolean} wanted
 * @returns {Map<number, Arr>} */
export function again(run, base, altered, wanted = () => true) {
  const now = new Map(altered);
  const value = (/** @type {number} */ v) => now.get(v) ?? base[v];
  for (const op of run.ops) {
    if (altered.has(op.value) || !wanted(op) || !op.refs.some((v) => now.has(v))) continue;
    now.set(op.value, redo(op, value, base[op.value].dtype));
  }
  return now;
}

/** The losses' sum. @param {Run} run @param {(v: number) => Arr} value */
export function lossOf(run, value) {
  const parts = run.steps.filter((s) => s.phase === "L").map((s) => refsIn(s.returned)[0]);
  return parts.length && parts.every((v) => v !== undefined && value(v).data.length === 1)
    ? parts.reduce((sum, v) => sum + value(v).data[0], 0)
    : NaN;
}

/** The loss with the parameters that the update made. @param {Run} run @param {Arr[]} base @param {(v: number) => Arr} value */
export function lossAfter(run, base, value) {
  const altered = new Map();
  for (const p of run.header.parameters) {
    if (p.value === undefined || p.after === undefined) continue;
    const data = value(p.after).data.slice(p.from, p.from + sizeOf(p.shape));
    altered.set(p.value, { ...base[p.value], data });
  }
  if (!altered.size) return NaN;
  const forward = (/** @type {Op} */ op) => op.visit < 0 || "FL".includes(run.steps[run.visits[op.visit].step].phase);
  const edited = { base: base.map((_, v) => value(v)) };
  const now = again(run, edited.base, altered, forward);
  return lossOf(run, (v) => now.get(v) ?? edited.base[v]);
}
