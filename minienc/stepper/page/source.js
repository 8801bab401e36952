// The source of a line: forward and backward, side by side.

import { h } from "./dom.js";

/** @typedef {import("./panels.js").Setting} Setting */

/** The source of a pair: forward and backward, rows with the same number side by side. @param {Setting} s */
export function source({ walk, step }) {
  const { run, stops } = walk,
    visit = run.visits[stops[step].visit],
    own = run.sources[run.frames[visit.frame].source];
  const base = own.name.replace(/_(forward|backward)$/, ""),
    partner = (/** @type {string} */ end) => run.sources.find((s) => s.name === base + end && s.file === own.file);
  const pair = [partner("_forward"), partner("_backward")];
  const columns = (pair.includes(own) ? pair : [own]).filter(Boolean).map((s) => rowsOf(s));
  const mark = (/** @type {any} */ row, /** @type {any} */ s) =>
    s === own && row.line >= visit.line && row.line <= visit.last;
  const code = (/** @type {any} */ row, /** @type {any} */ s) => {
    const here = mark(row, s),
      same = row.numbers.some((n) => visit.numbers.includes(n));
    return h(
      "div",
      { class: `code${here ? " here" : same ? " same" : ""}`, "aria-current": here ? "true" : null },
      h("span", { class: "no" }, row.line),
      indented(row.text),
    );
  };
  const shown = pair.includes(own) ? pair.filter(Boolean) : [own];
  const head = shown.map((s) => h("p", { class: "small" }, `${s.file}: ${s.name}`));
  const groups = columns.length === 2 ? aligned(columns[0], columns[1]) : [columns];
  const grid = groups.flatMap((cells) =>
    cells.map((rows, c) => h("div", { class: "cell" }, ...rows.map((row) => code(row, shown[c])))),
  );
  return h("div", { class: `source-grid n${columns.length}` }, ...head, ...grid);
}

/** A line, whose margin stays where it is folded. @param {string} text */
function indented(text) {
  const code = h("code", null, text.trimStart());
  code.style.paddingLeft = `${(text.length - text.trimStart().length) / 2}ch`;
  return code;
}

/** The lines of a function that do something: without its documentation. @param {any} s */
function rowsOf(s) {
  let quoted = false;
  const rows = [],
    margin = Math.min(...s.lines.filter((t) => t.trim()).map((t) => t.length - t.trimStart().length));
  s.lines.forEach((/** @type {string} */ text, /** @type {number} */ i) => {
    const quotes = text.split('"""').length - 1,
      inQuotes = quoted || quotes > 0;
    if (quotes % 2) quoted = !quoted;
    if (inQuotes || !text.trim() || text.trim().startsWith("@")) return;
    const head = /# \((\d+(?:, \d+)*)\)(?: to \((\d+)\))?/.exec(text);
    let numbers = head ? head[1].split(", ").map(Number) : [];
    if (head?.[2]) numbers = Array.from({ length: Number(head[2]) - numbers[0] + 1 }, (_, n) => numbers[0] + n);
    rows.push({ line: s.first + i, text: text.slice(margin), numbers });
  });
  return rows;
}

/** Rows of both in groups by their numbers, where the backward undoes them one after the other;
 * as they stand otherwise. */
function aligned(forward, backward) {
  const groupsOf = (/** @type {any[]} */ rows) => {
    /** @type {{n: number, rows: any[]}[]} */
    const groups = [{ n: 0, rows: [] }];
    for (const row of rows) {
      const last = groups[groups.length - 1];
      if (!row.numbers.length || row.numbers[0] === last.n) last.rows.push(row);
      else groups.push({ n: row.numbers[0], rows: [row] });
    }
    return groups;
  };
  const [a, b] = [groupsOf(forward), groupsOf(backward)],
    order = b.slice(1).map((g) => g.n);
  if (order.some((n, i) => i && n >= order[i - 1])) return [[forward, backward]];
  const end =
    b.length > 1 ? b[b.length - 1].rows.splice(b[b.length - 1].rows.findLastIndex((r) => r.numbers.length) + 1) : [];
  const numbers = [...new Set([...a, ...b].map((g) => g.n))].sort((x, y) => x - y);
  const of = (groups, n) => groups.filter((g) => g.n === n).flatMap((g) => g.rows);
  return [...numbers.map((n) => [of(a, n), of(b, n)]), [[], end]];
}
