// What if a number were another one: everything after it, computed again in the page.

import { exact, short } from "./digits.js";
import { h } from "./dom.js";
import { again, lossAfter, lossOf, twin } from "./record.js";
import { element, ravel } from "./walk.js";

/** @typedef {import("./record.js").Run} Run @typedef {import("./places.js").Arr} Arr */
/** One number that was changed. @typedef {{value: number, k: number, x: number}} Edit */
/** A run with other numbers. @typedef {{run: Run, base: Arr[], now: Map<number, Arr>, refused: string}} Other */

/** @type {WeakMap<Run, Arr[]>} */
const twins = new WeakMap();

/** The page's own computation of a run, in float64. @param {Run} run @returns {Arr[]} */
export function twinOf(run) {
  const found = twins.get(run) ?? twin(run);
  twins.set(run, found);
  return found;
}

/** The largest difference between the page's numbers and Python's, as a part of each array's largest.
 * @param {Run} run */
export function difference(run) {
  let worst = 0;
  twinOf(run).forEach((a, v) => {
    const right = run.values[v].data,
      size = right.reduce((m, x) => Math.max(m, Number.isFinite(x) ? Math.abs(x) : 0), 0) || 1;
    right.forEach((x, k) => Number.isFinite(x) && (worst = Math.max(worst, Math.abs(a.data[k] - x) / size)));
  });
  return worst;
}

/** @param {Run} run @param {Edit[]} edits @returns {Other} */
export function other(run, edits) {
  const base = twinOf(run),
    altered = new Map();
  for (const { value, k, x } of edits) {
    const a = altered.get(value) ?? { ...base[value], data: base[value].data.slice() };
    a.data[k] = x;
    altered.set(value, a);
  }
  let now = new Map(),
    refused = "";
  try {
    now = again(run, base, altered);
  } catch (error) {
    refused = /** @type {Error} */ (error).message;
  }
  return { run: { ...run, values: base.map((a, v) => now.get(v) ?? a) }, base, now, refused };
}

/** Whether an element is another one than before. @param {Other|null} changed @param {number} value */
export const isChanged = (changed, value) => (/** @type {number} */ k) => {
  const a = changed?.now.get(value);
  return a !== undefined && !Object.is(a.data[k], changed?.base[value].data[k]);
};

/** The gradient by an element: the sum of what all its uses send back. @param {Run} run
 * @param {number} value @param {number} k */
export function gradientOf(run, value, k) {
  const base = twinOf(run),
    parameter = run.header.parameters.find((p) => p.value === value);
  if (parameter?.gradient !== undefined) return base[parameter.gradient].data[k];
  const own = run.header.gradients.filter(([v]) => v === value);
  return own.length ? own.reduce((sum, [, g]) => sum + base[g].data[k], 0) : NaN;
}

/** What the edits did to the loss, and what the gradient said they would. @param {Run} run
 * @param {Edit[]} edits @param {Other} changed @param {(value: number) => string} name */
export function effect(run, edits, changed, name) {
  const { base } = changed,
    value = (/** @type {number} */ v) => changed.run.values[v],
    before = lossOf(run, (v) => base[v]);
  const loss = lossOf(run, value),
    parts = [];
  if (changed.refused) parts.push(h("p", { class: "fail" }, `Not computed: ${changed.refused}.`));
  if (Number.isFinite(before) && Number.isFinite(loss)) {
    const said = edits.reduce((sum, e) => sum + gradientOf(run, e.value, e.k) * (e.x - base[e.value].data[e.k]), 0);
    const isTarget = edits.some((e) =>
      run.steps.some((s) => s.phase === "L" && Object.values(s.arguments).some((a) => a?.v === e.value)),
    );
    parts.push(
      h(
        "p",
        null,
        `The loss changes by ${short(loss - before, 4)}, from ${short(before, 6)} to ${short(loss, 6)}; the gradient said ${Number.isNaN(said) ? "nothing, for there is none by this number" : short(said, 4)}.`,
      ),
    );
    if (isTarget)
      parts.push(h("p", { class: "small" }, "This number is the target, too: the gradient is by the input alone."));
    const [one, two] = [lossAfter(run, base, (v) => base[v]), lossAfter(run, base, value)];
    if (Number.isFinite(one) && Number.isFinite(two))
      parts.push(h("p", { class: "small" }, `After the update the loss is ${short(two, 6)}; it was ${short(one, 6)}.`));
  }
  const list = edits.map((e) =>
    h(
      "li",
      null,
      `${element(name(e.value), base[e.value].shape, e.k)}: ${exact(run.values[e.value].data[e.k], run.values[e.value].dtype)} \u2192 ${exact(e.x, "float64")}`,
    ),
  );
  return [
    h("ul", null, ...list),
    ...parts,
    h("p", { class: "small" }, "Changed cells are computed in the page, in float64."),
  ];
}

// ------------------------------------------------------------------------------- names in the link

/** What a link calls an editable value. @param {Run} run @param {number} value */
export function editName(run, value) {
  if (run.makers[value]) return "";
  const parameter = run.header.parameters.find((p) => p.value === value);
  if (parameter) return parameter.name.replaceAll("/", ".");
  const first = run.steps.flatMap((s) => Object.entries(s.arguments)).find(([, a]) => a?.v === value);
  if (!first) return "";
  const names = run.header.parameters.map((p) => p.name.replaceAll("/", "."));
  return names.includes(first[0]) || run.steps[0].arguments[first[0]]?.v !== value ? `${first[0]}.${value}` : first[0];
}

/** @param {Run} run @param {Edit[]} edits */
export const editsText = (run, edits) =>
  edits.map((e) => `${editName(run, e.value)}:${indexText(run.values[e.value].shape, e.k)}=${e.x}`).join(";");

/** @param {number[]} shape @param {number} k */
function indexText(shape, k) {
  const index = [];
  for (let i = shape.length - 1; i >= 0; i--) [index[i], k] = [k % shape[i], Math.floor(k / shape[i])];
  return index.join(",");
}

/** @param {Run} run @param {string} text @returns {Edit[]} */
export function editsOf(run, text) {
  return text.split(";").flatMap((part) => {
    const found = /^(.+):([\d,]*)=(.+)$/.exec(part);
    const value = found ? run.values.findIndex((_, v) => editName(run, v) === found[1]) : -1;
    if (!found || value < 0 || !Number.isFinite(Number(found[3]))) return [];
    const index = found[2].split(",").map(Number),
      { shape } = run.values[value];
    if (shape.length !== (found[2] ? index.length : 0) || index.some((i, a) => i >= (shape[a] ?? 1))) return [];
    return [{ value, k: ravel(shape, index), x: Number(found[3]) }];
  });
}
