// A line with numbers in the place of its names, for one element of what it makes.

import { ELEMENTWISE, MOVES, REDUCTIONS } from "./ops.js";
import { isArr, isCarried } from "./places.js";
import { isInPart } from "./record.js";
import { sources } from "./where.js";

/** @typedef {import("./record.js").Run} Run @typedef {import("./record.js").Op} Op */
/** Text, or a number that lies somewhere. @typedef {{text?: string, value?: any, at?: any, x?: any}} Token */

const INFIX = {
  add: [1, " + "],
  subtract: [1, " \u2212 "],
  multiply: [2, " \u00b7 "],
  divide: [3, " / "],
  power: [4, " ^ "],
};
const COMPARED = {
  greater: " > ",
  less: " < ",
  greater_equal: " \u2265 ",
  less_equal: " \u2264 ",
  equal: " = ",
  not_equal: " \u2260 ",
  bitwise_and: " and ",
  bitwise_or: " or ",
};
const CALLED = { maximum: "max", minimum: "min", absolute: "abs" };
const MANY = 8,
  LONG = 90;

/** The three largest of some numbers. @param {number[]} sizes @param {number[]} among their places */
const largest = (sizes, among) => [...among].sort((p, q) => Math.abs(sizes[q]) - Math.abs(sizes[p])).slice(0, 3);

const text = (/** @type {string} */ t) => ({ text: t });
const inBrackets = (/** @type {Token[]} */ tokens) => [text("("), ...tokens, text(")")];

/** @param {Run} run @param {Set<number>} inside operations that are written out @param {number} value
 * @param {number} k @returns {Token[]} */
export function withNumbers(run, inside, value, k) {
  let length = 0;
  /** The places of those that the page has. @param {number[]} sizes */
  const there = (sizes) => [...sizes.keys()].filter((i) => !Number.isNaN(sizes[i]) || !isInPart(run));

  /** @param {any} x an argument @param {number} n its place @param {number} level
   * @param {boolean} second whether a sign stands before it @returns {Token[]} */
  function argument(x, n, level, second = false) {
    if (typeof x?.v === "number") return element(x.v, n, level, second);
    const number = isArr(x) ? x.data[n] : Number(x);
    length++;
    return (level > 1 || second) && number < 0 ? inBrackets([{ x: number }]) : [{ x: number }];
  }

  /** @param {number} v @param {number} n @param {number} level @param {boolean} second @returns {Token[]} */
  function element(v, n, level, second = false) {
    const op = run.makers[v];
    if (!isCarried(run.values[v], n)) return [text("\u2026")];
    if (!op || !inside.has(op.number) || length > LONG) {
      length++;
      const x = run.values[v].data[n],
        one = [{ value: v, at: n, x }];
      return (level > 1 || second) && x < 0 ? inBrackets(one) : one;
    }
    if (op.kind in MOVES || op.kind === "astype") {
      const [from] = sources(run, op, n);
      if (from && !isCarried(run.values[from.value], from.at[0]))
        return [{ value: v, at: n, x: run.values[v].data[n] }];
      return from ? element(from.value, from.at[0], level, second) : [{ x: run.values[v].data[n] }];
    }
    if (op.kind === "where") {
      const unknown = sources(run, op, n).some((p) => !isCarried(run.values[p.value], p.at[0]));
      if (unknown) return [{ value: v, at: n, x: run.values[v].data[n] }];
      const [c, taken] = sources(run, op, n),
        yes = c?.value === op.args[0].v ? run.values[c.value].data[c.at[0]] : op.args[0];
      return argument(op.args[yes ? 1 : 2], taken?.at[0] ?? 0, level, second);
    }
    const [own, tokens] = said(op, n);
    return own < level ? inBrackets(tokens) : tokens;
  }

  /** The terms of a sum; those that the page has not (their sizes are NaN) are said by what is
   * missing to the whole. @param {Token[][]} terms @param {number[]} sizes @param {number} whole
   * @returns {Token[]} */
  function sum(terms, sizes, whole) {
    const known = there(sizes),
      shown = terms.length > MANY ? largest(sizes, known).sort((a, b) => a - b) : known;
    const tokens = shown.flatMap((i, place) => [...(place ? [text(" + ")] : []), ...terms[i]]);
    if (shown.length === terms.length) return tokens.length ? tokens : [text("0")];
    const rest =
      known.length < terms.length
        ? shown.reduce((s, i) => s - sizes[i], whole)
        : sizes.reduce((s, x, i) => (shown.includes(i) ? s : s + x), 0);
    return [
      ...tokens,
      text(`${shown.length ? " + " : ""}${terms.length - shown.length} more terms, together `),
      { x: rest },
    ];
  }

  /** @param {Op} op @param {number} n @returns {[number, Token[]]} how tightly it holds together, and what is said */
  function said(op, n) {
    const { kind, args } = op,
      from = sources(run, op, n);
    if (kind === "matmul" || kind === "dot") {
      const [a, b] = from,
        few = a.at.length <= MANY;
      const sizes = a.at.map((i, m) => run.values[a.value].data[i] * run.values[b.value].data[b.at[m]]);
      const most = new Set(largest(sizes, there(sizes)));
      const terms = a.at.map((i, m) =>
        few || most.has(m) ? [...element(a.value, i, 2), text(" \u00b7 "), ...element(b.value, b.at[m], 2)] : [],
      );
      return [1, sum(terms, sizes, run.values[op.value].data[n])];
    }
    if (kind === "sum" || kind === "mean" || kind === "cumsum") {
      const [{ value: v, at }] = from,
        sizes = at.map((i) => run.values[v].data[i]);
      const most = new Set(largest(sizes, there(sizes)));
      const terms = at.map((i, m) => (at.length <= MANY || most.has(m) ? element(v, i, 1, m > 0) : []));
      const tokens = sum(terms, sizes, run.values[op.value].data[n] * (kind === "mean" ? at.length : 1));
      return kind === "mean" ? [3, [...inBrackets(tokens), text(` / ${at.length}`)]] : [1, tokens];
    }
    if (kind in REDUCTIONS) {
      const [{ value: v, at }] = from,
        shown = at.slice(0, MANY);
      const parts = shown.flatMap((i, m) => [...(m ? [text(", ")] : []), ...element(v, i, 0)]);
      return [9, [text(`${kind}(`), ...parts, text(at.length > MANY ? ", \u2026)" : ")")]];
    }
    if (kind === "add.at")
      return [
        1,
        sum(
          from.flatMap((p) => p.at.map((i) => element(p.value, i, 1))),
          from.flatMap((p) => p.at.map((i) => run.values[p.value].data[i])),
          run.values[op.value].data[n],
        ),
      ];
    if (!(kind in ELEMENTWISE) && kind !== "clip" && kind !== "invert")
      return [9, [{ value: op.value, at: n, x: run.values[op.value].data[n] }]];
    let next = 0;
    const place = (/** @type {any} */ x) => (typeof x?.v === "number" ? from[next++].at[0] : 0);
    const given = args.map((x) => ({ x, n: place(x) }));
    if (kind in INFIX) {
      const [level, sign] = INFIX[kind],
        tight = /subtract|divide|power/.test(kind) ? 1 : 0;
      return [
        level,
        [
          ...argument(given[0].x, given[0].n, level),
          text(sign),
          ...argument(given[1].x, given[1].n, level + tight, true),
        ],
      ];
    }
    if (kind in COMPARED)
      return [
        0,
        [
          text("["),
          ...argument(given[0].x, given[0].n, 0),
          text(COMPARED[kind]),
          ...argument(given[1].x, given[1].n, 0),
          text("]"),
        ],
      ];
    if (kind === "negative") return [1, [text("\u2212"), ...argument(given[0].x, given[0].n, 2)]];
    if (kind === "sqrt") return [9, [text("\u221a"), ...inBrackets(argument(given[0].x, given[0].n, 0))]];
    const parts = given.flatMap(({ x, n: at }, m) => [...(m ? [text(", ")] : []), ...argument(x, at, 0)]);
    return [9, [text(`${CALLED[kind] ?? kind}(`), ...parts, text(")")]];
  }

  return element(value, k, 0);
}

/** What the tokens say, for those who hear them. @param {Token[]} tokens @param {(x: number) => string} digits */
export const spoken = (tokens, digits) => tokens.map((t) => t.text ?? digits(t.x)).join("");
