// Arrays on the screen: a table of numbers, with a picture of the whole where it is large.

import { exact, short } from "./digits.js";
import { h } from "./dom.js";
import { isCarried, laneOf, sizeOf } from "./places.js";
import { element, ravel, unravel } from "./walk.js";

/** @typedef {import("./places.js").Arr} Arr */
/** What is to be drawn. ``chosen`` is an element, ``marked`` are those that made it; ``changed`` says
 * of an element whether it is another than before; ``hidden``: numbers are not shown.
 * @typedef {{key: string, name: string, array: Arr, axes: number[], chosen?: number, marked?: Set<number>,
 *   changed?: (k: number) => boolean, hidden?: boolean, note?: string, rows: number, columns: number, lens?: number[],
 *   choose?: (k: number) => void, look?: (corner: number[]) => void}} Shown */

/** Which two axes are rows and columns: images have theirs before the channels. @param {number[]} shape
 * @param {boolean} image */
export function axesOfTable(shape, image) {
  const n = shape.length;
  if (n === 4 && image) return shape[0] <= 11 && shape[1] === shape[0] && shape[2] !== shape[1] ? [0, 1] : [1, 2];
  return n < 2 ? [-1, n - 1] : [n - 2, n - 1];
}

/** A part of n in which the wanted places lie. @param {number} n @param {number} most @param {number} at @param {number|undefined} wish */
function windowOf(n, most, at, wish) {
  if (n <= most) return 0;
  const from = wish ?? at - Math.floor(most / 2);
  return Math.min(Math.max(from, 0), n - most);
}

/** @param {Shown} shown */
export function arrayOf(shown) {
  const { array, axes, chosen, marked } = shown,
    { shape } = array;
  const [down, across] = axes,
    lanes = [down, across].map((axis) => (axis < 0 ? [0] : laneOf(array, axis))),
    [n, m] = lanes.map((lane) => lane.length);
  const title = h(
    "figcaption",
    null,
    h("b", null, shown.name),
    ` ${shape.length ? shape.join(" \u00d7 ") : "a number"}`,
    shown.note ? h("small", null, ` ${shown.note}`) : null,
    array.lanes ? h("small", null, ` of which the page has ${partOf(array)}`) : null,
  );
  if (!array.data.length) return h("figure", { class: "array" }, title, "no elements");
  const carried = [...(marked ?? [])].find((k) => isCarried(array, k)),
    here = unravel(shape, chosen ?? carried ?? 0),
    place = [down, across].map((axis, i) => Math.max(lanes[i].indexOf(here[axis] ?? 0), 0));
  const at = (/** @type {number} */ i, /** @type {number} */ j) =>
    ravel(
      shape,
      here.map((x, a) => (a === down ? lanes[0][i] : a === across ? lanes[1][j] : x)),
    );
  const i0 = windowOf(n, shown.rows, place[0], shown.lens?.[0]),
    j0 = windowOf(m, shown.columns, place[1], shown.lens?.[1]);
  const rows = Math.min(n, shown.rows),
    columns = Math.min(m, shown.columns);
  let top = 0;
  for (const x of array.data) if (Math.abs(x) > top && Number.isFinite(x)) top = Math.abs(x);
  const large = n > rows || m > columns;
  const parts = [title];
  if (shape.length > 2) parts.push(sliceOf(shown, here));
  if (large && !shown.hidden) parts.push(pictureOf(shown, n, m, at, top, [i0, j0, rows, columns]));
  const cell = (/** @type {number} */ i, /** @type {number} */ j) => cellOf(shown, at(i, j), top, here);
  const head = h(
    "tr",
    { role: "row" },
    h("td", { class: "corner" }),
    ...Array.from({ length: columns }, (_, j) => h("th", { scope: "col" }, lanes[1][j0 + j])),
  );
  const body = Array.from({ length: rows }, (_, i) =>
    h(
      "tr",
      { role: "row" },
      down < 0 ? h("td", { class: "corner" }) : h("th", { scope: "row" }, lanes[0][i0 + i]),
      ...Array.from({ length: columns }, (_, j) => cell(i0 + i, j0 + j)),
    ),
  );
  const table = h(
    "table",
    { role: "grid", "aria-label": `${shown.name}, ${shape.join(" by ") || "one number"}` },
    h("tbody", null, head, ...body),
  );
  if (shown.choose) inside(table, shown, at, [n, m], place);
  parts.push(
    h(
      "div",
      {
        class: "scroll",
        tabindex: shown.choose ? null : "0",
        role: shown.choose ? null : "group",
        "aria-label": shown.choose ? null : shown.name,
      },
      table,
    ),
  );
  const seen = spanOf(lanes[1], j0, columns, shape[across] ?? 1);
  if (large)
    parts.push(
      h(
        "p",
        { class: "small" },
        down < 0 ? `elements ${seen}` : `rows ${spanOf(lanes[0], i0, rows, shape[down])}, columns ${seen}`,
      ),
    );
  const unseen = [...(marked ?? [])].filter((k) =>
    unravel(shape, k).some((x, a) => a !== down && a !== across && x !== here[a]),
  ).length;
  if (unseen) parts.push(h("p", { class: "small" }, `and ${unseen} marked in other slices`));
  return h("figure", { class: "array" }, ...parts);
}

/** Which places of an axis are seen. @param {number[]} lane @param {number} from @param {number} n @param {number} size */
const spanOf = (lane, from, n, size) => `${lane[from]} to ${lane[from + n - 1]} of ${size}`;

/** What there is of an array that is carried in part. @param {Arr} array */
function partOf({ shape, lanes }) {
  const kept = shape.map((n, axis) => lanes?.[axis]?.length ?? n);
  return shape.length === 1 ? `${kept[0]} elements` : kept.join(" \u00d7 ");
}

/** @param {Shown} shown @param {number} k @param {number} top @param {number[]} here */
function cellOf(shown, k, top, here) {
  const { array, chosen, marked } = shown,
    x = array.data[k];
  const classes = [
    k === chosen && "chosen",
    marked?.has(k) && "marked",
    shown.changed?.(k) && "changed",
    !Number.isFinite(x) && "odd",
  ];
  const el = h(
    "td",
    {
      role: "gridcell",
      class: classes.filter(Boolean).join(" "),
      "data-k": k,
      title: shown.hidden
        ? "?"
        : `${element(shown.name, array.shape, k)} = ${exact(x, array.dtype)}${shown.choose ? "" : "; click: where it comes from"}`,
      tabindex: shown.choose ? (k === chosen ? 0 : -1) : null,
      "data-key": shown.choose ? `${shown.key} ${k === chosen ? "" : k}` : null,
      "aria-selected": shown.choose ? String(k === chosen) : null,
      onclick: shown.choose && (() => shown.choose?.(k)),
    },
    shown.hidden ? "?" : array.dtype === "bool" ? (x ? "1" : "0") : short(x),
  );
  if (!shown.hidden) tint(el, x, top);
  return el;
}

/** Blue below zero, red above. @param {any} el @param {number} x @param {number} top */
function tint(el, x, top) {
  if (!top || !Number.isFinite(x) || x === 0) return;
  const part = (Math.abs(x) / top) * 0.55;
  el.style.backgroundColor = x < 0 ? `rgba(33,102,172,${part.toFixed(3)})` : `rgba(178,24,43,${part.toFixed(3)})`;
}

/** Which slice of more than two axes is seen, and the way to its neighbours. @param {Shown} shown @param {number[]} here */
function sliceOf(shown, here) {
  const { shape } = shown.array,
    text = here.map((x, a) => (shown.axes.includes(a) ? ":" : x)).join(", ");
  const move = (/** @type {number} */ by) => {
    const others = shape.map((_, a) => a).filter((a) => !shown.axes.includes(a)),
      kept = others.map((a) => laneOf(shown.array, a)),
      sizes = kept.map((lane) => lane.length);
    const total = sizeOf(sizes),
      next =
        (ravel(
          sizes,
          others.map((a, i) => kept[i].indexOf(here[a])),
        ) +
          by +
          total) %
        total;
    const index = unravel(sizes, next);
    shown.choose?.(
      ravel(
        shape,
        here.map((x, a) => (others.includes(a) ? kept[others.indexOf(a)][index[others.indexOf(a)]] : x)),
      ),
    );
  };
  if (!shown.choose) return h("p", { class: "small" }, `slice [${text}]`);
  const button = (/** @type {number} */ by, /** @type {string} */ sign, /** @type {string} */ name) =>
    h(
      "button",
      {
        type: "button",
        "aria-label": `${name} slice of ${shown.name}`,
        "data-key": `${shown.key} slice ${by}`,
        onclick: () => move(by),
      },
      sign,
    );
  return h("p", { class: "small" }, button(-1, "\u2039", "previous"), ` slice [${text}] `, button(1, "\u203a", "next"));
}

/** The whole as a picture, with a frame around what the table shows. @param {Shown} shown @param {number} n @param {number} m
 * @param {(i: number, j: number) => number} at @param {number} top @param {number[]} frame */
function pictureOf(shown, n, m, at, top, [i0, j0, rows, columns]) {
  const size = Math.max(1, Math.min(6, Math.floor(160 / n), Math.floor(240 / m)));
  const skip = [Math.ceil(n / 160), Math.ceil(m / 240)],
    height = Math.ceil(n / skip[0]),
    width = Math.ceil(m / skip[1]);
  const canvas = h("canvas", {
    width: width * size,
    height: height * size,
    role: "img",
    "aria-label": `${shown.name} as a picture: blue is below zero, red above`,
  });
  const paint = canvas.getContext("2d");
  const dark = matchMedia("(prefers-color-scheme: dark)").matches,
    zero = dark ? [24, 27, 32] : [255, 255, 255];
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      const x = shown.array.data[at(i * skip[0], j * skip[1])],
        part = top ? Math.min(1, Math.abs(x) / top) : 0;
      const to = x < 0 ? [33, 102, 172] : [178, 24, 43];
      paint.fillStyle = Number.isFinite(x)
        ? `rgb(${zero.map((z, c) => Math.round(z + (to[c] - z) * part)).join()})`
        : "#808000";
      paint.fillRect(j * size, i * size, size, size);
    }
  }
  paint.strokeStyle = dark ? "#fff" : "#000";
  paint.strokeRect(
    (j0 / skip[1]) * size + 0.5,
    (i0 / skip[0]) * size + 0.5,
    (columns / skip[1]) * size - 1,
    (rows / skip[0]) * size - 1,
  );
  if (shown.look) {
    canvas.addEventListener("click", (/** @type {MouseEvent} */ e) => {
      const box = canvas.getBoundingClientRect();
      const i = Math.floor(((e.clientY - box.top) / box.height) * n),
        j = Math.floor(((e.clientX - box.left) / box.width) * m);
      shown.look?.([Math.max(0, i - (rows >> 1)), Math.max(0, j - (columns >> 1))]);
    });
  }
  return canvas;
}

/** Arrow keys move the chosen element after Enter, until Escape. @param {any} table @param {Shown} shown
 * @param {(i: number, j: number) => number} at @param {number[]} size @param {number[]} place */
function inside(table, shown, at, [n, m], place) {
  table.addEventListener("keydown", (/** @type {KeyboardEvent} */ e) => {
    const by = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[e.key];
    if (e.key === "Enter") table.dataset.inside = entered.key = shown.key;
    else if (e.key === "Escape" && entered.key) {
      entered.key = "";
      delete table.dataset.inside;
    } else if (by && entered.key === shown.key) {
      const [i, j] = [n, m].map((size, a) => Math.min(Math.max(place[a] + by[a], 0), size - 1));
      shown.choose?.(at(i, j));
    } else return;
    e.preventDefault();
    e.stopPropagation();
  });
  table.addEventListener("focusout", (/** @type {FocusEvent} */ e) => {
    if (e.relatedTarget && !table.contains(e.relatedTarget)) entered.key = "";
  });
  if (entered.key === shown.key) table.dataset.inside = shown.key;
}

/** The array in which the arrow keys move. */
export const entered = { key: "" };
