// The operations of a tape, again, in the page: what NumPy did to arrays, in float64.

import {
  axesOf,
  broadcastShape,
  isArr,
  lines,
  locate,
  sizeOf,
  spread,
  stridesOf,
  walk,
  wrapped,
  zeros,
  ELLIPSIS,
} from "./places.js";

/** @typedef {import("./places.js").Arr} Arr */

/** A number, a boolean, a list of them, as an array. @param {any} x @returns {Arr} */
export function asArr(x) {
  if (isArr(x)) return x;
  if (Array.isArray(x)) return x.length ? stack(x.map(asArr), 0) : zeros([0]);
  const dtype = typeof x === "boolean" ? "bool" : Number.isInteger(x) ? "int64" : "float64";
  return { shape: [], data: Float64Array.of(Number(x)), dtype };
}

/** @param {Arr} a @param {number[]} shape @param {Int32Array} at @returns {Arr} */
function gather(a, shape, at) {
  const r = zeros(shape, a.dtype);
  for (let k = 0; k < at.length; k++) r.data[k] = a.data[at[k]];
  return r;
}

// ------------------------------------------------------------------------------- number by number

const bool = (/** @type {boolean} */ x) => (x ? 1 : 0);

/** @param {number} a @param {number} b */
function logaddexp(a, b) {
  return a === b ? a + Math.LN2 : Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** @type {Object<string, (...x: number[]) => number>} */
export const ELEMENTWISE = {
  add: (a, b) => a + b,
  subtract: (a, b) => a - b,
  multiply: (a, b) => a * b,
  divide: (a, b) => a / b,
  floor_divide: (a, b) => Math.floor(a / b),
  remainder: (a, b) => a - b * Math.floor(a / b),
  power: (a, b) => a ** b,
  maximum: (a, b) => (a !== a ? a : b !== b ? b : Math.max(a, b)),
  minimum: (a, b) => (a !== a ? a : b !== b ? b : Math.min(a, b)),
  logaddexp,
  negative: (a) => -a,
  positive: (a) => a,
  absolute: Math.abs,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  square: (a) => a * a,
  tanh: Math.tanh,
  sin: Math.sin,
  cos: Math.cos,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  reciprocal: (a) => 1 / a,
  equal: (a, b) => bool(a === b),
  not_equal: (a, b) => bool(a !== b),
  less: (a, b) => bool(a < b),
  less_equal: (a, b) => bool(a <= b),
  greater: (a, b) => bool(a > b),
  greater_equal: (a, b) => bool(a >= b),
  logical_and: (a, b) => bool(a !== 0 && b !== 0),
  logical_or: (a, b) => bool(a !== 0 || b !== 0),
  logical_not: (a) => bool(a === 0),
  isfinite: (a) => bool(Number.isFinite(a)),
  isnan: (a) => bool(a !== a),
  bitwise_and: (a, b) => a & b,
  bitwise_or: (a, b) => a | b,
  bitwise_xor: (a, b) => a ^ b,
  where: (c, a, b) => (c ? a : b),
};

/** @param {(...x: number[]) => number} f @param {Arr[]} given @returns {Arr} */
function each(f, given) {
  const shape = broadcastShape(given.map((a) => a.shape));
  const r = zeros(shape),
    [a, b, c] = given.map((x) => x.data);
  const [i, j, k] = given.map((x) => spread(x.shape, shape));
  for (let n = 0; n < r.data.length; n++) {
    r.data[n] =
      given.length === 1 ? f(a[i[n]]) : given.length === 2 ? f(a[i[n]], b[j[n]]) : f(a[i[n]], b[j[n]], c[k[n]]);
  }
  return r;
}

// ------------------------------------------------------------------------------------- along axes

/** @typedef {(line: Float64Array) => number} OfLine */
/** @type {Object<string, OfLine>} */
export const REDUCTIONS = {
  sum: (x) => x.reduce((a, b) => a + b, 0),
  prod: (x) => x.reduce((a, b) => a * b, 1),
  mean: (x) => x.reduce((a, b) => a + b, 0) / x.length,
  max: (x) => x.reduce((a, b) => ELEMENTWISE.maximum(a, b), -Infinity),
  min: (x) => x.reduce((a, b) => ELEMENTWISE.minimum(a, b), Infinity),
  any: (x) => bool(x.some((a) => a !== 0)),
  all: (x) => bool(x.every((a) => a !== 0)),
  argmax: (x) => x.indexOf(x.reduce((a, b) => Math.max(a, b), -Infinity)),
  argmin: (x) => x.indexOf(x.reduce((a, b) => Math.min(a, b), Infinity)),
  var: variance,
  std: (x) => Math.sqrt(variance(x)),
};
/** @type {OfLine} */
function variance(x) {
  const mean = REDUCTIONS.mean(x);
  return x.reduce((s, a) => s + (a - mean) ** 2, 0) / x.length;
}

/** @param {OfLine} f @param {Arr} a @param {any} axis @param {boolean} keep @returns {Arr} */
function reduce(f, a, axis, keep) {
  const axes = axesOf(axis, a.shape.length),
    { kept, begins, within } = lines(a.shape, axes);
  const r = zeros(keep ? a.shape.map((n, i) => (axes.includes(i) ? 1 : n)) : kept);
  const line = new Float64Array(within.length);
  begins.forEach((begin, k) => {
    for (let i = 0; i < line.length; i++) line[i] = a.data[begin + within[i]];
    r.data[k] = f(line);
  });
  return r;
}

/** A line of as many numbers for each line. @param {(line: Float64Array) => ArrayLike<number>} f
 * @param {Arr} a @param {number} axis @returns {Arr} */
function along(f, a, axis) {
  const { begins, within } = lines(a.shape, [axis]),
    r = zeros(a.shape, a.dtype);
  for (const begin of begins) {
    const line = f(Float64Array.from(within, (i) => a.data[begin + i]));
    within.forEach((i, k) => (r.data[begin + i] = line[k]));
  }
  return r;
}

/** @param {Float64Array} line */
const summed = (line) => {
  let total = 0;
  return line.map((x) => (total += x));
};

/** @param {Float64Array} x */
const order = (x) => [...x.keys()].sort((i, j) => x[i] - x[j]);

// --------------------------------------------------------------------------------------- products

/** How a product's operands lie: the shapes as matrices, and where each result's row and column
 * begin. @param {number[]} a @param {number[]} b */
export function productPlan(a, b) {
  const one = a.length === 1 ? [1, ...a] : a,
    other = b.length === 1 ? [...b, 1] : b;
  const [n, inner] = one.slice(-2),
    m = other[other.length - 1];
  const lead = broadcastShape([one.slice(0, -2), other.slice(0, -2)]);
  const rows = spread(one.slice(0, -2), lead),
    columns = spread(other.slice(0, -2), lead);
  const shape = [...lead, ...(a.length === 1 ? [] : [n]), ...(b.length === 1 ? [] : [m])];
  return { n, inner, m, rows, columns, shape };
}

/** @param {Arr} a @param {Arr} b @returns {Arr} */
function matmul(a, b) {
  const { n, inner, m, rows, columns, shape } = productPlan(a.shape, b.shape),
    r = zeros(shape);
  for (let l = 0; l < rows.length; l++) {
    for (let i = 0; i < n; i++) {
      const to = (l * n + i) * m,
        row = (rows[l] * n + i) * inner;
      for (let k = 0; k < inner; k++) {
        const x = a.data[row + k],
          from = (columns[l] * inner + k) * m;
        for (let j = 0; j < m; j++) r.data[to + j] += x * b.data[from + j];
      }
    }
  }
  return r;
}

// ---------------------------------------------------------------------------------- moves and makes

/** @param {Arr} a @param {any} axes @returns {Arr} */
function transpose(a, axes) {
  const order = axes?.length ? axesOf(axes, a.shape.length) : a.shape.map((_, i) => a.shape.length - 1 - i);
  const strides = stridesOf(a.shape),
    shape = order.map((i) => a.shape[i]);
  return gather(
    a,
    shape,
    walk(
      shape,
      order.map((i) => strides[i]),
    ),
  );
}

/** @param {Arr} a @param {any} shape @returns {Arr} */
function reshape(a, shape) {
  const wanted = (Array.isArray(shape) ? shape : [shape]).map(Number);
  const known = wanted.filter((n) => n >= 0).reduce((x, y) => x * y, 1);
  return { ...a, shape: wanted.map((n) => (n < 0 ? a.data.length / known : n)) };
}

/** @param {Arr[]} parts @param {number} axis @returns {Arr} */
function concatenate(parts, axis) {
  const i = wrapped(axis, parts[0].shape.length),
    shape = [...parts[0].shape];
  shape[i] = parts.reduce((n, p) => n + p.shape[i], 0);
  const r = zeros(shape, parts[0].dtype),
    strides = stridesOf(shape);
  let from = 0;
  for (const part of parts) {
    const at = walk(part.shape, strides, from * strides[i]);
    for (let k = 0; k < at.length; k++) r.data[at[k]] = part.data[k];
    from += part.shape[i];
  }
  return r;
}

/** @param {Arr[]} parts @param {number} axis @returns {Arr} */
function stack(parts, axis) {
  const i = wrapped(axis, parts[0].shape.length + 1);
  return concatenate(
    parts.map((p) => ({ ...p, shape: p.shape.toSpliced(i, 0, 1) })),
    i,
  );
}

/** @param {Arr} a @param {any} index @param {any} value @param {boolean} adds @returns {Arr} */
function put(a, index, value, adds) {
  const { shape, at } = locate(a.shape, index),
    part = asArr(value);
  const from = spread(part.shape.slice(Math.max(0, part.shape.length - shape.length)), shape);
  const r = { ...a, data: a.data.slice() };
  for (let k = 0; k < at.length; k++) {
    if (!adds) r.data[at[k]] = 0;
    r.data[at[k]] += part.data[from[k]];
  }
  return r;
}

/** @param {Arr} a @param {any} size @param {any} axis @returns {Arr} */
function windows(a, size, axis) {
  const sizes = Array.isArray(size) ? size : [size],
    axes = axesOf(axis, a.shape.length);
  const shape = a.shape.map((n, i) => (axes.includes(i) ? n - sizes[axes.indexOf(i)] + 1 : n));
  const strides = stridesOf(a.shape);
  const all = [...shape, ...sizes];
  return gather(a, all, walk(all, [...strides, ...axes.map((i) => strides[i])]));
}

/** @param {Arr} a @param {any} widths @param {any} value @returns {Arr} */
function pad(a, widths, value) {
  const given = Array.isArray(widths) ? widths : [widths, widths];
  const pairs = Array.isArray(given[0]) ? given : [given];
  const [before, behind] = [0, 1].map((e) => a.shape.map((_, i) => pairs[pairs.length === 1 ? 0 : i][e]));
  const r = zeros(
    a.shape.map((n, i) => n + before[i] + behind[i]),
    a.dtype,
  );
  r.data.fill(asArr(value ?? 0).data[0]);
  const strides = stridesOf(r.shape),
    base = before.reduce((s, n, i) => s + n * strides[i], 0);
  walk(a.shape, strides, base).forEach((to, k) => (r.data[to] = a.data[k]));
  return r;
}

/** @param {Arr} a @param {number} times @param {any} axis @returns {Arr} */
function repeat(a, times, axis) {
  const flat = axis === null || axis === undefined,
    x = flat ? reshape(a, [-1]) : a;
  const i = flat ? 0 : wrapped(axis, a.shape.length),
    shape = x.shape.with(i, x.shape[i] * times);
  const strides = stridesOf(x.shape),
    split = [...x.shape.slice(0, i + 1), times, ...x.shape.slice(i + 1)];
  return gather(x, shape, walk(split, strides.toSpliced(i + 1, 0, 0)));
}

/** @param {Arr} a @param {Arr} index @param {number} axis @returns {Arr} */
function takeAlong(a, index, axis) {
  const i = wrapped(axis, a.shape.length),
    strides = stridesOf(a.shape);
  const shape = broadcastShape([index.shape, a.shape.with(i, index.shape[i])]);
  const from = spread(index.shape, shape),
    base = walk(shape, strides.with(i, 0));
  const at = base.map((place, k) => place + wrapped(index.data[from[k]], a.shape[i]) * strides[i]);
  return gather(a, shape, at);
}

/** @typedef {Object<string, any>} Options */
/** @type {Object<string, (args: any[], o: Options) => Arr>} */
export const MOVES = {
  getitem: ([a, index]) => {
    const { shape, at } = locate(a.shape, index);
    return gather(a, shape, at);
  },
  setitem: ([a, index, value]) => put(asArr(a), index, value, false),
  assign: ([a, value]) => put(asArr(a), ELLIPSIS, value, false),
  reshape: ([a, ...shape], o) => reshape(a, shape.length > 1 ? shape : (shape[0] ?? o.shape)),
  transpose: ([a, ...axes], o) => transpose(a, axes.length > 1 ? axes : (axes[0] ?? o.axes)),
  concatenate: ([parts, axis], o) => concatenate(parts.map(asArr), axis ?? o.axis ?? 0),
  flatten: (parts) =>
    concatenate(
      parts.map((p) => reshape(p, -1)),
      0,
    ),
  stack: ([parts, axis], o) => stack(parts.map(asArr), axis ?? o.axis ?? 0),
  array: ([x]) => asArr(x),
  pad: ([a, widths], o) => pad(a, widths, o.constant_values),
  repeat: ([a, n, axis], o) => repeat(a, Number(asArr(n ?? o.repeats).data[0]), axis ?? o.axis),
  sliding_window_view: ([a, size, axis], o) => windows(a, size ?? o.window_shape, axis ?? o.axis),
  take_along_axis: ([a, index, axis], o) => takeAlong(a, index, axis ?? o.axis ?? -1),
  broadcast_to: ([a, shape], o) => gather(asArr(a), shape ?? o.shape, spread(asArr(a).shape, shape ?? o.shape)),
  expand_dims: ([a, axis], o) => ({
    ...a,
    shape: a.shape.toSpliced(wrapped(axis ?? o.axis, a.shape.length + 1), 0, 1),
  }),
  flip: ([a, axis], o) => along((x) => x.toReversed(), a, wrapped(axis ?? o.axis, a.shape.length)),
};
for (const name of ["copy", "ascontiguousarray", "asarray"]) MOVES[name] = ([a]) => asArr(a);

/** @type {Object<string, (args: any[], o: Options) => Arr>} */
const MAKES = {
  matmul: ([a, b]) => matmul(asArr(a), asArr(b)),
  dot: ([a, b]) => (a.shape.length && b.shape.length ? matmul(a, b) : each(ELEMENTWISE.multiply, [a, b])),
  outer: ([a, b]) => matmul(reshape(a, [-1, 1]), reshape(b, [1, -1])),
  astype: ([a, type], o) =>
    each(
      type === "bool" || o.dtype === "bool"
        ? (x) => bool(x !== 0)
        : /int/.test(type ?? o.dtype)
          ? Math.trunc
          : (x) => x,
      [asArr(a)],
    ),
  invert: ([a]) => each(a.dtype === "bool" ? (x) => 1 - x : (x) => ~x, [a]),
  clip: ([a, low, high], o) =>
    each(
      (x, l, h) => Math.min(Math.max(x, l), h),
      [a, low ?? o.min ?? -Infinity, high ?? o.max ?? Infinity].map(asArr),
    ),
  zeros_like: ([a]) => zeros(a.shape),
  ones_like: ([a]) => each(() => 1, [a]),
  full_like: ([a, value]) => each((_, v) => v, [a, asArr(value)]),
  cumsum: ([a, axis], o) => along(summed, a, axesOf(axis ?? o.axis ?? 0, a.shape.length)[0]),
  sort: ([a, axis], o) => along((x) => x.toSorted(), a, axesOf(axis ?? o.axis ?? -1, a.shape.length)[0]),
  argsort: ([a, axis], o) => along(order, a, axesOf(axis ?? o.axis ?? -1, a.shape.length)[0]),
  "add.at": ([a, index, value]) => put(a, index, value, true),
};

/** Whether the page can do it again. @param {string} kind */
export const isKnown = (kind) => kind in ELEMENTWISE || kind in REDUCTIONS || kind in MOVES || kind in MAKES;

/** What an operation gives; float32 where that is its dtype, as NumPy rounds it.
 * @param {string} kind @param {any[]} args @param {Options} options @param {string} dtype @returns {Arr} */
export function compute(kind, args, options, dtype = "float64") {
  const single = dtype === "float32";
  let r;
  if (kind in ELEMENTWISE) {
    const given = args.map((x) => (single && !isArr(x) ? Math.fround(Number(x)) : x)).map(asArr);
    r = each(ELEMENTWISE[kind], given);
  } else if (kind in REDUCTIONS) {
    r = reduce(REDUCTIONS[kind], asArr(args[0]), args[1] ?? options.axis, options.keepdims === true);
  } else if (isKnown(kind)) {
    r = (MOVES[kind] ?? MAKES[kind])(args, options);
  } else {
    throw new Error(`the page does not know NumPy's ${kind}`);
  }
  return { shape: r.shape, data: single ? r.data.map(Math.fround) : r.data, dtype };
}
