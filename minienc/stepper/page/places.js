// Where the numbers of an array lie: strides, broadcasting, and what an index speaks of.

/**
 * An array: its numbers in rows, one behind the other.
 * Of one that is carried in part, ``lanes`` says of each axis which places are (null: all), ``norm``
 * is the size of the whole, and what is left out is NaN.
 * @typedef {{shape: number[], data: Float64Array, dtype: string, lanes?: (number[]|null)[], norm?: number}} Arr
 * @typedef {{start: number|null, stop: number|null, step: number|null}} Slice
 */

export const ELLIPSIS = Symbol("...");

/** @param {number[]} shape */
export const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

/** @param {number[]} shape @param {string} dtype @returns {Arr} */
export const zeros = (shape, dtype = "float64") => ({ shape, data: new Float64Array(sizeOf(shape)), dtype });

/** @param {any} x @returns {x is Arr} */
export const isArr = (x) => x !== null && typeof x === "object" && x.data instanceof Float64Array;

/** Whether a number is in the page. @param {Arr} a @param {number} k */
export function isCarried(a, k) {
  if (!a.lanes) return true;
  for (let axis = a.shape.length - 1; axis >= 0; axis--) {
    const lane = a.lanes[axis];
    if (lane && !isIn(lane, k % a.shape[axis])) return false;
    k = Math.floor(k / a.shape[axis]);
  }
  return true;
}

/** Whether a sorted list has a number. @param {number[]} list @param {number} n */
function isIn(list, n) {
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle] < n) low = middle + 1;
    else high = middle;
  }
  return list[low] === n;
}

/** The places of an axis that are in the page. @param {Arr} a @param {number} axis @returns {number[]} */
export const laneOf = (a, axis) => a.lanes?.[axis] ?? Array.from({ length: a.shape[axis] ?? 1 }, (_, i) => i);

/** How far apart neighbours along each axis lie. @param {number[]} shape */
export function stridesOf(shape) {
  const strides = shape.map(() => 1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

/** For every place of an array of this shape, in order: base + the sum of index times stride.
 * @param {number[]} shape @param {number[]} strides @param {number} base */
export function walk(shape, strides, base = 0) {
  const at = new Int32Array(sizeOf(shape));
  const index = shape.map(() => 0);
  for (let k = 0, place = base; k < at.length; k++) {
    at[k] = place;
    for (let i = shape.length - 1; i >= 0; i--) {
      place += strides[i];
      if (++index[i] < shape[i]) break;
      place -= strides[i] * shape[i];
      index[i] = 0;
    }
  }
  return at;
}

/** @param {number[][]} shapes */
export function broadcastShape(shapes) {
  const n = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: n }, (_, i) => {
    const sizes = shapes.map((s) => s[s.length - n + i] ?? 1);
    const size = sizes.find((d) => d !== 1) ?? 1;
    if (sizes.some((d) => d !== 1 && d !== size)) throw new Error(`shapes ${shapes.join(" and ")} do not fit`);
    return size;
  });
}

/** For every place of the result, the place of an operand. @param {number[]} shape @param {number[]} out */
export function spread(shape, out) {
  const own = stridesOf(shape),
    skip = out.length - shape.length;
  return walk(
    out,
    out.map((_, i) => (i < skip || shape[i - skip] === 1 ? 0 : own[i - skip])),
  );
}

/** @param {number} i @param {number} n */
export const wrapped = (i, n) => (i < 0 ? i + n : i);

/** An axis, or all of them. @param {any} axis @param {number} n @returns {number[]} */
export function axesOf(axis, n) {
  if (axis === null || axis === undefined) return Array.from({ length: n }, (_, i) => i);
  return (Array.isArray(axis) ? axis : [axis]).map((a) => wrapped(Number(isArr(a) ? a.data[0] : a), n));
}

/** What an index of NumPy's speaks of: the shape of the result, and where each number lies.
 * @param {number[]} shape @param {any} index @returns {{shape: number[], at: Int32Array}} */
export function locate(shape, index) {
  let items = (Array.isArray(index) ? index : [index]).flatMap((x) =>
    isArr(x) && x.dtype === "bool" ? whereTrue(x) : [x],
  );
  const taken = items.filter((x) => x !== null && x !== ELLIPSIS).length;
  const rest = Array.from({ length: shape.length - taken }, () => ({ start: null, stop: null, step: null }));
  const dots = items.indexOf(ELLIPSIS);
  items = dots < 0 ? [...items, ...rest] : [...items.slice(0, dots), ...rest, ...items.slice(dots + 1)];
  const strides = stridesOf(shape),
    chosen = [],
    before = [],
    after = [];
  const several = items.some((x) => isArr(x) && x.shape.length > 0);
  let axis = 0,
    base = 0,
    apart = false,
    last = -1;
  items.forEach((x, i) => {
    if (x === null) return void (chosen.length ? after : before).push([1, 0]);
    const n = shape[axis],
      stride = strides[axis++];
    if (typeof x === "object" && !isArr(x)) {
      const { first, step, length } = span(x, n);
      base += first * stride;
      return void (chosen.length ? after : before).push([length, step * stride]);
    }
    if (!several) return void (base += wrapped(Number(isArr(x) ? x.data[0] : x), n) * stride);
    apart ||= chosen.length > 0 && last !== i - 1;
    last = i;
    chosen.push({ part: isArr(x) ? x : { shape: [], data: Float64Array.of(Number(x)), dtype: "int64" }, n, stride });
  });
  const block = broadcastShape(chosen.map((c) => c.part.shape));
  const offsets = new Int32Array(sizeOf(block));
  for (const { part, n, stride } of chosen) {
    const at = spread(part.shape, block);
    for (let k = 0; k < offsets.length; k++) offsets[k] += wrapped(part.data[at[k]], n) * stride;
  }
  if (apart) after.unshift(...before.splice(0));
  const sizes = (/** @type {number[][]} */ p) => p.map((d) => d[0]);
  const outer = walk(
    sizes(before),
    before.map((d) => d[1]),
    base,
  );
  const inner = walk(
    sizes(after),
    after.map((d) => d[1]),
  );
  const at = new Int32Array(outer.length * offsets.length * inner.length);
  let k = 0;
  for (const o of outer) for (const m of offsets) for (const i of inner) at[k++] = o + m + i;
  return { shape: [...sizes(before), ...block, ...sizes(after)], at };
}

/** A slice of n: where it begins, how it goes on. @param {Slice} s @param {number} n */
function span(s, n) {
  const step = s.step ?? 1,
    low = step > 0 ? 0 : -1,
    high = step > 0 ? n : n - 1;
  const end = (/** @type {number|null} */ x, /** @type {number} */ none) =>
    x === null ? none : Math.min(Math.max(wrapped(x, n), low), high);
  const first = end(s.start, step > 0 ? 0 : n - 1),
    stop = end(s.stop, step > 0 ? n : -1);
  return { first, step, length: Math.max(0, Math.ceil((stop - first) / step)) };
}

/** The indices of what is true, an array for each axis. @param {Arr} mask @returns {Arr[]} */
function whereTrue(mask) {
  const found = [...mask.data.keys()].filter((k) => mask.data[k]);
  const strides = stridesOf(mask.shape);
  return mask.shape.map((n, i) => ({
    shape: [found.length],
    data: Float64Array.from(found, (k) => Math.floor(k / strides[i]) % n),
    dtype: "int64",
  }));
}

/** Lines along some axes: for each place of the result, where its line begins; and the steps in it.
 * @param {number[]} shape @param {number[]} axes */
export function lines(shape, axes) {
  const strides = stridesOf(shape);
  const kept = shape.map((_, i) => i).filter((i) => !axes.includes(i));
  return {
    kept: kept.map((i) => shape[i]),
    begins: walk(
      kept.map((i) => shape[i]),
      kept.map((i) => strides[i]),
    ),
    within: walk(
      axes.map((i) => shape[i]),
      axes.map((i) => strides[i]),
    ),
  };
}
