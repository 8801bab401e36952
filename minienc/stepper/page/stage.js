// The middle of the page: the formula with numbers, and the arrays of a line.

import { arrayOf, axesOfTable } from "./arrays.js";
import { exact, short } from "./digits.js";
import { h } from "./dom.js";
import { MOVES } from "./ops.js";
import { isCarried, sizeOf } from "./places.js";
import { refsIn } from "./record.js";
import { withNumbers } from "./numbers.js";
import { element, label, ravel, unravel } from "./walk.js";
import { targets, trace } from "./where.js";
import { isChanged } from "./whatif.js";

/** @typedef {import("./walk.js").Walk} Walk @typedef {import("./whatif.js").Other} Other */
/** @typedef {{walk: Walk, step: number, result: number, at: number[]|null, lens: number[]|null, changed: Other|null,
 *   hidden: boolean, width: number, show: (value: number, k: number) => void, choose: (k: number) => void,
 *   look: (corner: number[]) => void, pick: (result: number) => void, key: string}} Stage */

/** The result that is chosen, its name and its element. @param {Pick<Stage, "walk"|"step"|"result"|"at">} s */
export function chosenOf({ walk, step, result, at }) {
  const stop = walk.stops[step],
    { value, name } = stop.results[Math.min(result, stop.results.length - 1)];
  const array = walk.run.values[value],
    frame = walk.run.visits[stop.visit].frame;
  const asked = at && at.length === array.shape.length ? ravel(array.shape, at) : -1;
  return {
    value,
    name: name || label(walk, value, frame),
    k: asked >= 0 && isCarried(array, asked) ? asked : tellingOf(array),
  };
}

/** The first element that says something: zeros, such as of a picture's corner, do not.
 * @param {import("./places.js").Arr} array */
function tellingOf({ data }) {
  const first = data.findIndex((x) => x !== 0 && !Number.isNaN(x));
  return Number.isNaN(data[0]) || first < 0 ? 0 : first;
}

/** @param {Stage} s */
export function numbersOf(s) {
  const { walk, step, changed, hidden } = s,
    stop = walk.stops[step],
    { value, name, k } = chosenOf(s);
  const run = changed?.run ?? walk.run,
    array = run.values[value];
  if (!array.data.length) return h("p", null, `${name} has no elements.`);
  const tokens = withNumbers(run, stop.inside, value, k),
    frame = run.visits[stop.visit].frame;
  const parts = tokens.map((t) => {
    if (t.text !== undefined) return t.text;
    const dtype = t.value === undefined ? "float64" : run.values[t.value].dtype;
    if (t.value === undefined) return h("span", { class: "number", title: exact(t.x, dtype) }, short(t.x));
    const said = element(label(walk, t.value, frame), run.values[t.value].shape, t.at);
    return h(
      "button",
      {
        type: "button",
        class: `number${isChanged(changed, t.value)(t.at) ? " changed" : ""}`,
        title: `${said} = ${exact(t.x, dtype)}`,
        onclick: () => s.show(t.value, t.at),
      },
      short(t.x),
    );
  });
  const x = array.data[k];
  return h(
    "p",
    { class: "numbers" },
    h("b", null, element(name, array.shape, k)),
    " = ",
    ...parts,
    " = ",
    hidden
      ? h("b", null, "?")
      : h("b", { title: exact(x, array.dtype), class: isChanged(changed, value)(k) ? "changed" : null }, short(x, 4)),
    h("small", null, hidden ? "" : ` ${exact(x, array.dtype)} ${array.dtype}`),
    hidden || changed ? null : ofKernel(run, run.steps[stop.step], value, k),
    hidden ? null : ofAllUses(run, value, k),
    placeInVector(run, run.steps[stop.step], array.shape, k),
  );
}

/** Of a gradient by something that is used more than once: the sum of what all uses send back.
 * @param {import("./record.js").Run} run @param {number} value @param {number} k */
function ofAllUses(run, value, k) {
  const { parameters } = run.header;
  const sum = (/** @type {number} */ v, /** @type {number} */ n, /** @type {boolean} */ isSum) => {
    if (isSum && parameters.some((p) => p.gradient === v)) return run.values[v].data[n];
    for (const { op, at } of targets(run, v, n)) {
      const found = op.visit < 0 && sum(op.value, at[0], isSum || op.kind === "add");
      if (typeof found === "number") return found;
    }
    return undefined;
  };
  const whole = sum(value, k, false);
  return whole === undefined ? null : h("small", null, `; all uses of this weight together: ${short(whole, 4)}`);
}

/** What the kernel has in its place. @param {import("./record.js").Run} run
 * @param {import("./record.js").Step} step @param {number} value @param {number} k */
function ofKernel(run, step, value, k) {
  const theirs = step.ran.pairs.find(([own]) => own === value)?.[1];
  if (theirs === undefined) return null;
  const { data, dtype } = run.values[theirs];
  return h("small", null, `; the kernel has ${exact(data[k], dtype)}`);
}

/** Of the vector of all parameters: whose number it is. @param {import("./record.js").Run} run
 * @param {import("./record.js").Step} step @param {number[]} shape @param {number} k */
function placeInVector(run, step, shape, k) {
  const after = refsIn(step.after.w)[0];
  if (after === undefined || shape.length !== 1 || shape[0] !== run.values[after].shape[0]) return null;
  const p = run.header.parameters.find((q) => q.after === after && k >= q.from && k < q.from + sizeOf(q.shape));
  return p ? h("small", null, `: number ${k} of the vector is ${element(p.name, p.shape, k - p.from)}`) : null;
}

/** @param {Stage} s */
export function arraysOf(s) {
  const { walk, step, changed, hidden, key } = s,
    stop = walk.stops[step],
    chosen = chosenOf(s);
  const run = changed?.run ?? walk.run,
    frame = run.visits[stop.visit].frame,
    step_ = run.steps[stop.step];
  const image = /2d|patches|pool/.test(step_.primitive),
    found = trace(run, stop.inside, chosen.value, run.values[chosen.value].data.length ? [chosen.k] : []);
  const core = productOf(run, stop.inside, chosen.value),
    made = (/** @type {number} */ v) => run.makers[v] && stop.inside.has(run.makers[v].number);
  const turned = (/** @type {number} */ v) =>
    run.makers[v]?.kind === "transpose" ? run.makers[v]?.refs[0] : undefined;
  const leaves = [...found.keys()].filter(
    (v) => v !== chosen.value && !made(v) && !core?.args.some((a) => a.v === v || turned(a.v) === v),
  );
  const room = Math.max(Math.floor((s.width - (core ? 125 : 70)) / 60), 4),
    last = (/** @type {number} */ v) => run.values[v].shape.at(-1) ?? 1;
  const right = core
    ? Math.min(12, last(core.args[1].v), Math.max(Math.ceil(room / 2), room - last(core.args[0].v)))
    : 0;
  const columnsOf = (/** @type {number} */ v) =>
    !core
      ? Math.min(12, room)
      : v === core.args[0].v
        ? Math.min(12, room - right)
        : v === chosen.value || v === core.args[1].v
          ? right
          : Math.min(12, room);
  const draw = (/** @type {number} */ v, /** @type {boolean} */ isResult) => {
    const array = run.values[v],
      axes = axesOfTable(array.shape, image);
    return arrayOf({
      key: `${key} ${isResult ? "result" : v}`,
      note: noteOf(run, stop, array.shape),
      name: isResult ? chosen.name : label(walk, v, frame),
      array,
      axes,
      rows: 12,
      columns: columnsOf(v),
      chosen: isResult ? chosen.k : undefined,
      marked: isResult ? undefined : found.get(v),
      changed: isChanged(changed, v),
      hidden: isResult && hidden,
      lens: isResult && s.lens ? s.lens : undefined,
      choose: isResult ? s.choose : (k) => s.show(v, k),
      look: isResult ? s.look : undefined,
    });
  };
  const tabs =
    stop.results.length > 1
      ? h(
          "p",
          { class: "tabs" },
          ...stop.results.map((r, i) =>
            h(
              "button",
              {
                type: "button",
                "aria-pressed": String(r.value === chosen.value),
                "data-key": `result ${i}`,
                onclick: () => s.pick(i),
              },
              r.name || label(walk, r.value, frame),
            ),
          ),
        )
      : null;
  if (image)
    windowsInto(run, stop, found).forEach(
      (at, v) => leaves.includes(v) || v === chosen.value || (leaves.push(v), found.set(v, at)),
    );
  if (!core)
    return [tabs, h("div", { class: "side-by-side" }, ...leaves.map((v) => draw(v, false)), draw(chosen.value, true))];
  const [a, b] = core.args.map((x) => x.v);
  return [
    tabs,
    h(
      "div",
      { class: "falk" },
      h("div", { class: "corner" }),
      draw(b, false),
      draw(a, false),
      draw(chosen.value, true),
    ),
    leaves.length ? h("div", { class: "side-by-side" }, ...leaves.map((v) => draw(v, false))) : null,
  ];
}

/** What rows and columns are, of attention's weights. @param {import("./record.js").Run} run
 * @param {import("./walk.js").Stop} stop @param {number[]} shape */
function noteOf(run, stop, shape) {
  const { frame } = run.visits[stop.visit],
    args = run.frames[frame].arguments,
    { name } = run.sources[run.frames[frame].source];
  const of = name === "attention_forward" ? args : name === "attention_backward" ? args.cache : null;
  const [T, S] = of ? [of.q, of.k].map((x) => run.values[x?.v]?.shape.at(-2)) : [];
  return T && shape.at(-2) === T && shape.at(-1) === S && shape.length > 2 ? "queries down, keys across" : "";
}

/** The images and kernels that numbers were only moved out of: what a window shows of them.
 * @param {import("./record.js").Run} run @param {import("./walk.js").Stop} stop @param {Map<number, Set<number>>} found
 * @returns {Map<number, Set<number>>} */
function windowsInto(run, stop, found) {
  const moves = new Set(
    run.ops
      .filter((op) => op.kind in MOVES && op.visit >= 0 && run.visits[op.visit].step === stop.step)
      .map((op) => op.number),
  );
  const roots = new Map();
  for (const [v, at] of found) {
    for (const [root, places] of trace(run, moves, v, [...at])) {
      if (root === v || moves.has(run.makers[root]?.number ?? -1) || run.values[root].shape.length !== 4) continue;
      roots.set(root, new Set([...(roots.get(root) ?? []), ...places]));
    }
  }
  return roots;
}

/** The product that makes a value, where its factors can stand left and above. @param {import("./record.js").Run} run
 * @param {Set<number>} inside @param {number} value */
function productOf(run, inside, value) {
  const { shape } = run.values[value];
  for (let op = run.makers[value], n = 0; op && inside.has(op.number) && n < 8; n++) {
    if (op.kind === "matmul") {
      const [a, b] = op.args.map((x) => run.values[x.v]?.shape.length ?? 0),
        own = run.values[op.value].shape;
      return a > 1 && b > 1 && own.slice(-2).join() === shape.slice(-2).join() ? op : undefined;
    }
    const whole = op.refs.filter((v) => run.values[v].data.length === run.values[value].data.length);
    op = run.makers[whole.find((v) => inside.has(run.makers[v]?.number ?? -1)) ?? -1];
  }
  return undefined;
}

/** The same element where the shape allows it. @param {number[]} shape @param {number[]|null} at */
export const keptAt = (shape, at) => (at && at.length === shape.length && at.every((i, a) => i < shape[a]) ? at : null);

/** @param {number[]} shape @param {number} k */
export const indexOf = (shape, k) => unravel(shape, k);
