// Forms: what a number is, before it is shown; and what if it were another.

import { exact, short, typed } from "./digits.js";
import { h, panel } from "./dom.js";
import { diagnose } from "./predict.js";
import { chosenOf, indexOf } from "./stage.js";
import { element } from "./walk.js";
import { editName, effect, gradientOf } from "./whatif.js";

/** What somebody answered at a place. @typedef {{key: string, text: string, said: string, right: boolean}} Answer */
/** What an edit begins with. @typedef {{walk: import("./walk.js").Walk, edits: import("./whatif.js").Edit[], changed: any,
 *   edit: (edits: import("./whatif.js").Edit[]) => void, tell: (text: string) => void}} Editing */

/** The element that the form speaks of. */
export const edited = { value: -1, k: 0 };

/** @param {import("./walk.js").Walk} w @param {any} state @param {Answer} known @param {(answer: Answer) => void} answer */
export function predictPanel(w, state, known, answer) {
  const stop = w.stops[state.step],
    { value, name, k } = chosenOf({ ...state, walk: w }),
    { shape } = w.run.values[value];
  const input = h("input", {
    id: "guess",
    "data-key": "guess",
    autocomplete: "off",
    inputmode: "text",
    value: known.text,
  });
  const set = (/** @type {any} */ more) => answer({ ...known, ...more });
  const check = (/** @type {Event} */ e) => {
    e.preventDefault();
    set({ text: input.value, ...diagnose(w, stop, value, name, k, input.value) });
  };
  return panel(
    "predict",
    "Predict",
    h(
      "form",
      { onsubmit: check },
      h("label", { for: "guess" }, `What is ${element(name, shape, k)}? `),
      input,
      " ",
      h("button", { type: "submit", "data-key": "check" }, "Check"),
      " ",
      h(
        "button",
        {
          type: "button",
          "data-key": "reveal",
          onclick: () =>
            set({ right: true, said: `It is ${exact(w.run.values[value].data[k], w.run.values[value].dtype)}.` }),
        },
        "Show",
      ),
    ),
    h("p", { role: "status", class: known.said ? (known.right ? "pass" : "fail") : "" }, known.said),
  );
}

/** @param {Editing} c */
export function whatIfPanel(c) {
  const { run } = c.walk,
    { edits: list, changed } = c;
  const body = list.length
    ? [
        ...effect(run, list, changed, (v) => editName(run, v)),
        h("button", { type: "button", "data-key": "undo", onclick: () => c.edit(list.slice(0, -1)) }, "Undo"),
        " ",
        h("button", { type: "button", "data-key": "clear", onclick: () => c.edit([]) }, "As it was"),
      ]
    : [
        h(
          "p",
          null,
          "Choose an element of the input or of a parameter, in an array or by its name, and type another number.",
        ),
      ];
  return panel("whatif", "What if", editForm(c), ...body);
}

/** @param {Editing} c */
function editForm({ walk, edits, edit, tell }) {
  const { run } = walk,
    all = run.values.flatMap((a, v) => (editName(run, v) && a.dtype.startsWith("float") && a.data.length ? [v] : []));
  if (!all.length) return null;
  if (!all.includes(edited.value)) Object.assign(edited, edits.at(-1) ?? { value: all[0], k: 0 });
  const field = (/** @type {string} */ id, /** @type {number} */ size) =>
    h("input", { id, "data-key": id, autocomplete: "off", size });
  const at = field("other-at", 8),
    input = field("other-number", 14),
    slope = h("small", null);
  const select = h(
    "select",
    { id: "other-name", "data-key": "other-name" },
    ...all.map((v) => h("option", { value: v, selected: v === edited.value }, editName(run, v))),
  );
  const shapeOf = () => run.values[Number(select.value)].shape;
  const place = () => {
    const index = at.value.split(",").map(Number),
      shape = shapeOf();
    const fits =
      !shape.length ||
      (index.length === shape.length && index.every((i, a) => Number.isInteger(i) && i >= 0 && i < shape[a]));
    return fits ? shape.reduce((k, n, a) => k * n + index[a], 0) : -1;
  };
  const fill = (/** @type {number} */ value, /** @type {number} */ k) => {
    if (k < 0) return;
    Object.assign(edited, { value, k });
    const before = edits.find((e) => e.value === value && e.k === k),
      g = gradientOf(run, value, k),
      { data, dtype } = run.values[value];
    input.value = before ? exact(before.x, "float64") : exact(data[k], dtype);
    slope.textContent = Number.isNaN(g) ? "" : ` its gradient is ${short(g, 4)}`;
  };
  const begin = (/** @type {number} */ value, /** @type {number} */ k) => {
    at.value = indexOf(run.values[value].shape, k).join(", ");
    fill(value, k);
  };
  select.addEventListener("change", () => begin(Number(select.value), 0));
  at.addEventListener("change", () => fill(Number(select.value), place()));
  begin(edited.value, edited.k);
  const submit = (/** @type {Event} */ e) => {
    e.preventDefault();
    const value = Number(select.value),
      k = place(),
      x = typed(input.value);
    if (k < 0) return void tell(`The index is of ${shapeOf().length} whole numbers below ${shapeOf().join(", ")}.`);
    if (!Number.isFinite(x)) return void tell("That is no number: type one such as 0.25.");
    Object.assign(edited, { value, k });
    edit([...edits.filter((o) => o.value !== value || o.k !== k), { value, k, x }]);
  };
  return h(
    "form",
    { class: "edit", onsubmit: submit },
    h("label", null, "array ", select),
    h("label", null, " index ", at),
    h("label", null, " becomes ", input),
    " ",
    h("button", { type: "submit", "data-key": "set" }, "Set"),
    slope,
  );
}
